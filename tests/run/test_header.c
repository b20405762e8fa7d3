/* The public headers compile alone, as C and as C++, without a warning; and what is installed is enough to build
 * against, by pkg-config and by CMake, and shows the public interface and nothing else. */
#include "tests/check.h"

#include <stdarg.h>

static char folder[] = "/tmp/switchyard-test-XXXXXX";

/* Runs a shell command in the test's folder; its output is shown when it fails. */
static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *format, ...)
{
    char text[4000], whole[8400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole, "cd %s && { %s ; } >log 2>&1 || { cat log >&2; exit 1; }", folder, text);
    int status = system(whole);
    if (status)
        fprintf(stderr, "that was: %s\n", text);
    return status;
}

static void write_file(const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    REQUIRE(f);
    fputs(text, f);
    fclose(f);
}

static const char program[] =
    "#include <switchyard.h>\n"
    "#include <stdio.h>\n"
    "int main(void)\n"
    "{\n"
    "    sy_context *context;\n"
    "    const sy_device_info *devices;\n"
    "    size_t n;\n"
    "    if (sy_context_create(NULL, &context) != SY_OK || sy_context_devices(context, &devices, &n) != SY_OK)\n"
    "        return 1;\n"
    "    puts(devices[n - 1].name);\n"
    "    sy_model *model;\n"
    "    if (sy_model_open(context, \"/nonexistent\", &model) != SY_ERROR_NOT_FOUND)\n"
    "        return 1;\n"
    "    sy_context_destroy(&context);\n"
    "    return 0;\n"
    "}\n";

int main(void)
{
    REQUIRE(mkdtemp(folder));
    const char *headers[] = {SY_SOURCE_DIR "/src/switchyard.h", SY_SOURCE_DIR "/src/switchyard_vulkan.h"};
    for (int i = 0; i < 2; i++) {
        CHECK(shell("cc -x c -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only %s", headers[i]) == 0);
        CHECK(shell("c++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only %s", headers[i]) == 0);
    }

    CHECK(shell("cmake --install %s --prefix %s/prefix", SY_BINARY_DIR, folder) == 0);
    write_file("program.c", program);
    write_file("program.cpp", program);
    CHECK(shell("export PKG_CONFIG_PATH=$(dirname $(find %s/prefix -name switchyard.pc)); "
                "cc program.c -o program $(pkg-config --cflags --libs switchyard) -Wl,-rpath,$(pkg-config "
                "--variable=libdir switchyard) && "
                "./program | grep -x reference",
                folder) == 0);
    write_file("CMakeLists.txt",
               "cmake_minimum_required(VERSION 3.25)\nproject(user CXX)\nfind_package(switchyard 0.1 REQUIRED)\n"
               "add_executable(user program.cpp)\ntarget_link_libraries(user switchyard::switchyard)\n");
    CHECK(shell("cmake -S . -B build -DCMAKE_PREFIX_PATH=%s/prefix && cmake --build build && build/user | grep -x "
                "reference",
                folder) == 0);
    /* every function of the headers is in the library, and nothing else is */
    CHECK(shell("grep -ohE '\\bsy_[a-z_]+\\(' %s %s | tr -d '(' | sort -u > wanted; "
                "nm -D --defined-only $(find %s/prefix -name 'libswitchyard.so') | awk '$2 == \"T\" {print $3}' | sed "
                "'s/@.*//' | sort -u > shown; "
                "diff wanted shown",
                headers[0], headers[1], folder) == 0);
    CHECK(shell("%s/prefix/bin/switchyard --version", folder) == 0);
    CHECK(shell("rm -rf ../$(basename %s)/*", folder) == 0);
    remove(folder);
    return check_done();
}
