/* switchyard run --record and replay, and switchyard profile of a shader, by running the program: what is recorded is
 * what comes out again, what differs is a failure, what is missing is asked for. */
#include "tests/check.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

static const char graph[] = "graph \"small\" {\n"
                            "  %x = input \"x\" : f32[24,16]\n"
                            "  %w = input \"w\" : f32[16,16]\n"
                            "  %y = matmul(%x, %w)\n"
                            "  %s = softmax(%y)\n"
                            "  output \"s\" %s\n"
                            "}\n";
static const char shader[] = "#version 450\n"
                             "layout(local_size_x_id = 0) in;\n"
                             "layout(constant_id = 1) const float GAIN = 2;\n"
                             "layout(std430, binding = 0) readonly buffer X { float x[]; };\n"
                             "layout(std430, binding = 1) writeonly buffer Y { float y[]; };\n"
                             "layout(push_constant) uniform P { uint n; };\n"
                             "void main() { if (gl_GlobalInvocationID.x < n) y[gl_GlobalInvocationID.x] = GAIN * x[gl_GlobalInvocationID.x]; }\n";
static const char copy_shader[] = "#version 450\n"
                                  "layout(local_size_x = 64) in;\n"
                                  "layout(std430, binding = 0) writeonly buffer Y { float y[]; };\n"
                                  "layout(constant_id = 0) const uint COLUMNS = 1;\n"
                                  "void main() { y[gl_GlobalInvocationID.x] = float(gl_GlobalInvocationID.x % COLUMNS) / 3; }\n";

static char *slurp(const char *name)
{
    FILE *f = fopen(name, "rb");
    char *text = calloc(1, 1 << 20);
    REQUIRE(f && text);
    text[fread(text, 1, (1 << 20) - 1, f)] = '\0';
    fclose(f);
    return text;
}

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    REQUIRE(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* Runs the program; its exit status and whether it says `part`. */
static void says(const char *arguments, int wanted, const char *part)
{
    char command[2000];
    snprintf(command, sizeof command, "'%s/switchyard' %s >out.txt 2>&1", SY_BINARY_DIR, arguments);
    int ended = system(command), status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
    char *text = slurp("out.txt");
    CHECK_SAY(status == wanted && strstr(text, part), "%s: status %d, wanted %d and \"%s\":\n%.3000s", arguments, status, wanted, part, text);
    CHECK_SAY(!strstr(text, "validation: "), "%s: %.2000s", arguments, text);
    free(text);
}

static void check_json(const char *name, int dispatches)
{
    char *text = slurp(name);
    cJSON *root = cJSON_Parse(text), *list = cJSON_GetObjectItem(root, "dispatches");
    CHECK_SAY(root && cJSON_GetArraySize(list) == dispatches, "%s: %d dispatches", name, cJSON_GetArraySize(list));
    cJSON_Delete(root);
    free(text);
}

static void test_shader(void)
{
    write_text("mine.comp", shader);
    says("profile mine.comp --threads 100 --bind X=f32[100]:iota --bind Y=f32[100] --push n=100 --spec 0=32 --out Y=y.npy --repeat 3", 0, "mine.comp");
    says("profile mine.comp --threads 100 --bind X=f32[100]:iota --bind Y=f32[100] --push n=100 --spec 0=8,32 --expect Y=y.npy --repeat 3 "
         "--json s.json --trace s.trace --html s.html",
         0, "outputs: 2 of 2 variants as wanted");
    check_json("s.json", 2);
    CHECK(!access("s.trace", R_OK) && !access("s.html", R_OK));
    says("profile mine.comp --threads 100 --bind X=f32[100]:iota --bind Y=f32[100] --push n=100 --spec GAIN=2,3 --expect Y=y.npy --repeat 3", 1,
         "1 of 2 variants give wrong outputs");
    says("profile mine.comp --threads 100 --bind X=f32[100]", 1, "binding 1 of set 0, the storage buffer \"Y\" { float[] y }, was given no content: add --bind 1=");
    says("profile mine.comp --bind X=f32[100]", 2, "either --groups X,Y,Z or --threads X,Y,Z");
    says("profile mine.comp --groups 0", 2, "--groups is \"0\"");
    says("profile mine.comp --groups 1 --fast", 2, "there is no option --fast");
    says("profile mine.comp --groups 1 --device nonsuch", 1, "there is no Vulkan device \"nonsuch\"");
    says("profile mine.comp --help", 0, "--expect WHERE");
    write_text("bad.comp", "#version 450\nvoid main() { x = 1; }\n");
    says("profile bad.comp --groups 1", 1, "bad.comp:2: error: 'x' : undeclared identifier");
    write_text("bad.spv", "this is not it!\n");
    says("profile bad.spv --groups 1", 1, "magic number");
}

static void test_replay(void)
{
    write_text("small.sy", graph);
    write_text("fill.comp", copy_shader); /* inputs as files */
    says("profile fill.comp --groups 6 --bind 0=f32[24,16] --spec 0=7 --out 0=x.npy --repeat 1", 0, "fill.comp");
    says("profile fill.comp --groups 4 --bind 0=f32[16,16] --spec 0=5 --out 0=w.npy --repeat 1", 0, "fill.comp");
    says("run small.sy --in x=x.npy --in w=w.npy --out s=s.npy --record small.rec", 0, "");
    says("replay small.rec --list", 0, "small.sy, step 1, recorded on");
    says("replay small.rec --repeat 2 --json r.json", 0, "s: the same bytes");
    check_json("r.json", 2);
    says("replay s.npy", 1, "s.npy");
    says("replay small.rec --tolerance x", 2, "--tolerance");
    says("replay", 2, "a recording is needed");
    says("replay --help", 0, "--tolerance X");
    says("run small.sy --in x=x.npy --in w=w.npy --device reference --record none.rec", 1, "choose a Vulkan device");
    CHECK(access("none.rec", F_OK) != 0);

    /* Another result in the file: the last bytes of its data are those of a result. */
    FILE *f = fopen("small.rec", "r+b");
    REQUIRE(f);
    char *text = slurp("small.rec"), *at = strstr(text + 8, "\"result.0\":{"), *span = at ? strstr(at, "\"data_offsets\":[") : NULL;
    REQUIRE(span);
    uint64_t header = 0, begin = strtoull(span + 16, NULL, 10);
    memcpy(&header, text, 8);
    float other = 5;
    REQUIRE(!fseek(f, (long)(8 + header + begin + 40), SEEK_SET) && fwrite(&other, 4, 1, f) == 1 && !fclose(f));
    free(text);
    says("replay small.rec", 1, "s: DIFFERS by up to");
    says("replay small.rec --tolerance 100", 0, "s: differs by up to");
}

int main(void)
{
    char folder[] = "/tmp/switchyard-replay-XXXXXX";
    REQUIRE(mkdtemp(folder) && chdir(folder) == 0);
    char command[200];
    snprintf(command, sizeof command, "'%s/switchyard' devices >/dev/null 2>&1", SY_BINARY_DIR);
    bool any = system(command) == 0;
    if (any) {
        test_shader();
        test_replay();
    }
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    REQUIRE(chdir("/") == 0 && system(command) == 0);
    return any ? check_done() : check_skip("no Vulkan device");
}
