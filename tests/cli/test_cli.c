/* The command line, by running the program: what it says about wrong arguments, what it writes, how it ends. */
#include "tests/check.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spng.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/switchyard-test-XXXXXX";

typedef struct ended {
    int status; /* exit status; -1: killed */
    char out[200000], err[20000];
} ended;
static ended last;

static void slurp(const char *name, char *text, size_t room)
{
    FILE *f = fopen(name, "rb");
    size_t n = f ? fread(text, 1, room - 1, f) : 0;
    text[n] = 0;
    if (f)
        fclose(f);
}

/* Starts the program in the test's folder, arguments separated by spaces ('…' quotes); output goes to files. */
static pid_t start(const char *arguments)
{
    pid_t child = fork();
    if (child)
        return child;
    char command[4000];
    snprintf(command, sizeof command, "exec '%s/switchyard' %s >out.txt 2>err.txt", SY_BINARY_DIR, arguments);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static void finish(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    last.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    slurp("out.txt", last.out, sizeof last.out);
    slurp("err.txt", last.err, sizeof last.err);
    /* With SWITCHYARD_VALIDATION=1, as scripts/test sets it, the layer's messages come this way. */
    CHECK_SAY(!strstr(last.err, "validation: "), "%s", last.err);
}

static void run(const char *arguments)
{
    finish(start(arguments));
}

#define EXPECT(arguments, wanted, stream, says)                                                                        \
    do {                                                                                                               \
        run(arguments);                                                                                                \
        CHECK_SAY(last.status == (wanted) && strstr(last.stream, says), "%s: status %d\n%s%s", arguments, last.status, \
                  last.out, last.err);                                                                                 \
    } while (0)

static void test_help(void)
{
    static const char *const commands[] = {"generate", "compare", "tune", "settings", "run", "compile", "devices", "doctor"};
    static const char *const options[] = {
        "--prompt",    "--label",  "--count", "--seed",   "--list-prompts", "--steps", "--guidance", "--sampler",
        "--precision", "--device", "--out",   "--routes", "--taps",         "--stats", "--json",     "Exit status"};
    EXPECT("", 2, err, "usage: switchyard COMMAND");
    EXPECT("--help", 0, out, "generate");
    EXPECT("--version", 0, out, "switchyard 0.1.0");
    EXPECT("genrate", 2, err, "did you mean generate?");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s --help", commands[i]);
        EXPECT(text, 0, out, "usage: switchyard");
        CHECK(strstr(last.out, commands[i]) && strstr(last.out, "--help") && !*last.err);
    }
    run("generate --help");
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        CHECK_SAY(strstr(last.out, options[i]), "%s", options[i]);
}

static void test_wrong_arguments(void)
{
    EXPECT("generate --no-such", 2, err, "--no-such");
    EXPECT("generate --steps", 2, err, "takes a value");
    EXPECT("generate --steps 0 --prompt cat", 2, err, "--steps is \"0\"; it takes a whole number from 1");
    EXPECT("generate --steps 1x --prompt cat", 2, err, "--steps");
    EXPECT("generate --guidance nan --prompt cat", 2, err, "--guidance");
    EXPECT("generate --sampler magic --prompt cat", 2, err, "euler, heun");
    EXPECT("generate --sampler ddim --prompt cat", 2, err, "use euler, heun");
    EXPECT("generate --precision f64 --prompt cat", 2, err, "f32, f16");
    EXPECT("generate", 2, err, "--list-prompts");
    EXPECT("generate --label 3", 2, err, "use --prompt");
    EXPECT("generate --prompt cat --prompt dog --count 3", 2, err, "--count 3");
    EXPECT("generate one.safetensors two", 2, err, "\"two\" is one argument too many");
    EXPECT("generate missing.safetensors --prompt cat", 1, err, "missing.safetensors");
    EXPECT("generate --prompt cat --device nonesuch", 1, err, "nonesuch");
    EXPECT("generate --prompt 'cat fase' --device reference", 1, err, "\"face\"");
    EXPECT("generate --prompt '!!' --device reference", 2, err, "no word");
    EXPECT("run", 2, err, "which graph?");
    EXPECT("run missing.sy", 1, err, "missing.sy");
    EXPECT("run g.sy --in x", 2, err, "NAME=FILE.npy");
    EXPECT("compile", 2, err, "which file?");
    EXPECT("compile missing.sy", 1, err, "missing.sy");
    DIR *here = opendir(".");
    REQUIRE(here);
    int files = 0;
    while (readdir(here))
        files++;
    closedir(here);
    CHECK_SAY(files == 4, "%d", files); /* ., .., out.txt, err.txt: no refused command left anything */
}

/* The text of a key in a PNG, "" if there is none. Checks size and that the picture decodes. */
static const char *png_text(const char *path, const char *key, uint32_t side)
{
    static char found[400];
    struct spng_ihdr header;
    struct spng_text texts[32];
    uint32_t n = 32;
    size_t size;
    *found = 0;
    FILE *f = fopen(path, "rb");
    CHECK_SAY(f, "%s", path);
    spng_ctx *png = spng_ctx_new(0);
    if (f && png && !spng_set_png_file(png, f) && !spng_get_ihdr(png, &header) &&
        !spng_decoded_image_size(png, SPNG_FMT_RGB8, &size)) {
        uint8_t *pixels = malloc(size);
        CHECK(header.width == side && header.height == side);
        CHECK(pixels && !spng_decode_image(png, pixels, size, SPNG_FMT_RGB8, 0));
        free(pixels);
        if (!spng_get_text(png, texts, &n))
            for (uint32_t i = 0; i < n; i++)
                if (!strcmp(texts[i].keyword, key))
                    snprintf(found, sizeof found, "%s", texts[i].text);
    }
    spng_ctx_free(png);
    if (f)
        fclose(f);
    return found;
}

static void test_generate(const char *device)
{
    char text[300];
    snprintf(text, sizeof text, "generate --prompt 'cat face' --steps 2 --seed 5 --out one.png --json --stats %s",
             device);
    run(text);
    CHECK_SAY(last.status == 0, "%s", last.err);
    CHECK_TEXT(png_text("one.png", "Title", 32), "cat face");
    CHECK_TEXT(png_text("one.png", "Seed", 32), "5");
    CHECK(strstr(png_text("one.png", "Settings", 32), "euler, 2 steps"));
    CHECK(strstr(last.err, "dispatches"));
    cJSON *json = cJSON_Parse(last.out);
    CHECK(json && cJSON_GetObjectItem(json, "steps")->valueint == 2);
    CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(json, "files")) == 1);
    if (!*device)
        CHECK(cJSON_GetObjectItem(json, "host_waits")->valueint == 1);
    cJSON_Delete(json);

    snprintf(text, sizeof text,
             "generate --prompt 'cat face' --prompt 'red apple' --steps 2 --seed 4 --out two.png --routes maps --taps "
             "preview %s",
             device);
    run(text);
    CHECK_SAY(last.status == 0, "%s", last.err);
    CHECK_TEXT(png_text("two-0.png", "Seed", 32), "4");
    CHECK_TEXT(png_text("two-1.png", "Title", 32), "red apple");
    CHECK(access("two.png", F_OK) != 0 && access("maps/map-0.png", R_OK) == 0 && access("maps/map-1.png", R_OK) == 0);
    CHECK(access("maps/routes.safetensors", R_OK) == 0 && access("taps.safetensors", R_OK) == 0);
    CHECK(access("maps/steps.json", R_OK) == 0);
    CHECK(strstr(last.out, "two-1.png\n"));
    EXPECT("generate --prompt cat --steps 1 --out nowhere/x.png --device reference", 1, err, "nowhere/x.png");
    EXPECT("generate --list-prompts", 0, out, "cat");
}

/* Ctrl-C in the middle: status 130, and nothing is left behind. */
static void test_interrupt(const char *device)
{
    char text[300];
    snprintf(text, sizeof text, "generate --prompt 'cat face' --steps 10000 --out never.png %s", device);
    pid_t child = start(text);
    struct timespec nap = {.tv_sec = 3};
    nanosleep(&nap, NULL);
    kill(child, SIGINT);
    finish(child);
    CHECK_SAY(last.status == 130 && strstr(last.err, "interrupted"), "status %d: %s", last.status, last.err);
    DIR *here = opendir(".");
    REQUIRE(here);
    for (struct dirent *e; (e = readdir(here));)
        CHECK_SAY(!strstr(e->d_name, "never"), "%s was left", e->d_name);
    closedir(here);
}

static void test_run(void)
{
    static const unsigned char header[] =
        "\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }          \n";
    float x[] = {1, 2, 3, 4};
    FILE *f = fopen("x.npy", "wb");
    REQUIRE(f && sizeof header - 1 == 10 + 0x46);
    fwrite(header, 1, sizeof header - 1, f);
    fwrite(x, 1, sizeof x, f);
    fclose(f);
    f = fopen("g.sy", "wb");
    REQUIRE(f);
    fputs("graph \"g\" {\n  %x = input \"x\" : f32[2,2]\n  %y = matmul(%x, %x)\n  %z = add(%y, 1)\n  output \"z\" "
          "%z\n}\n",
          f);
    fclose(f);
    EXPECT("run g.sy --in x=x.npy --out z=z.npy --stats", 0, err, "running");
    float z[4] = {0};
    f = fopen("z.npy", "rb");
    CHECK(f && fseek(f, -16, SEEK_END) == 0 && fread(z, 4, 4, f) == 4);
    if (f)
        fclose(f);
    CHECK(z[0] == 8 && z[1] == 11 && z[2] == 16 && z[3] == 23);
    EXPECT("run g.sy --in x=x.npy --list --device reference", 0, out, "output z f32[2,2]");
    EXPECT("run g.sy --in x=x.npy --out q=q.npy", 1, err, "--list");
    EXPECT("run g.sy --in y=x.npy", 1, err, "\"y\"");
    EXPECT("compile g.sy --print", 0, out, "matmul");
    EXPECT("compile g.sy --stats --no-kernels", 0, out, "dispatches         1");
    EXPECT("compile g.sy --print-after=fuse --no-kernels", 0, out, "#");
    EXPECT("compile g.sy --print-after=nonesuch", 1, err, "nonesuch");
    EXPECT("compile g.sy --dump kernels", 0, out, "1 kernels in kernels");
    EXPECT("compile --passes", 0, out, "plan_memory");
    EXPECT("compile --ops", 0, out, "grouped_matmul");
}

/* The same pictures in two ways: what is left out costs nothing, and what changes nothing differs in nothing. */
static void test_compare(const char *device)
{
    char line[400];
    snprintf(line, sizeof line,
             "compare --prompt owl --steps 2 --repeat 1 %s --json --out sheet.png --with guidance.steps=0,0 "
             "--with 'guidance.steps=0,9 steps=2'",
             device);
    run(line);
    cJSON *root = cJSON_Parse(last.out), *ways = cJSON_GetObjectItem(root, "ways");
    CHECK_SAY(last.status == 0 && cJSON_GetArraySize(ways) == 3, "%s", last.err);
    const cJSON *less = cJSON_GetArrayItem(ways, 1), *same = cJSON_GetArrayItem(ways, 2);
    double work = cJSON_GetNumberValue(cJSON_GetObjectItem(less, "flops_ratio"));
    CHECK_SAY(work > 0.7 && work < 0.8, "%g of the work with one of two steps guided", work);
    CHECK(cJSON_GetNumberValue(cJSON_GetObjectItem(less, "psnr")) > 10);
    CHECK(cJSON_IsNull(cJSON_GetObjectItem(same, "psnr")));
    CHECK(cJSON_GetNumberValue(cJSON_GetObjectItem(same, "flops_ratio")) == 1);
    CHECK(access("sheet.png", R_OK) == 0);
    cJSON_Delete(root);
    EXPECT("compare --prompt owl", 2, err, "--with");
    EXPECT("compare --with freeu=1", 2, err, "--prompt");
    EXPECT("compare --prompt owl --with fredu=1", 2, err, "did you mean freeu?");
    EXPECT("compare --prompt owl --with freeu", 2, err, "NAME=VALUE");
    EXPECT("compare --prompt owl --with sampler=eular", 2, err, "no sampler");
    EXPECT("compare --prompt owl --with freeu=1,1,1,1", 2, err, "does nothing for this model");
    EXPECT("generate --prompt owl --steer none=3", 2, err, "a rule is off=N or to=N");
    EXPECT("generate --prompt owl --steer off=3@1,2,0,0", 2, err, "a rule is off=N or to=N");
    EXPECT("tune --seconds 0", 2, err, "--seconds");
    EXPECT("tune nonesuch.safetensors --quiet", 1, err, "nonesuch");
    EXPECT("tune --merge nonesuch.json --out x.json", 1, err, "nonesuch.json");
    EXPECT("settings freeu", 0, out, "FreeU");
    EXPECT("settings --json", 0, out, "guidance.steps");
    EXPECT("settings nonesuch", 2, err, "there is no setting");
    EXPECT("generate --prompt owl --set guidance.steps", 2, err, "NAME=VALUE");
}

int main(void)
{
    REQUIRE(mkdtemp(folder) && chdir(folder) == 0);
    test_help();
    test_wrong_arguments();
    run("devices");
    bool device = last.status == 0; /* else there is the reference alone */
    if (device)
        test_run();
    test_generate(device ? "" : "--device reference");
    test_compare(device ? "" : "--device reference");
    test_interrupt(device ? "" : "--device reference");
    char clean[100];
    snprintf(clean, sizeof clean, "rm -rf %s", folder);
    CHECK(chdir("/") == 0 && system(clean) == 0);
    return check_done();
}
