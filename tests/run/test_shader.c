/* Shaders of a user's own on every device: what is generated is what the shader sees, outputs are held against files,
 * constants are swept, and what was not given is asked for by name. */
#include "graph/base/file.h"
#include "src/profile/array.h"
#include "src/profile/shader.h"
#include "tests/check.h"
#include "tests/run/help_devices.h"

#include <math.h>
#include <unistd.h>

static const char source[] =
    "#version 450\n"
    "layout(local_size_x_id = 0) in;\n"
    "layout(constant_id = 3) const float GAIN = 1;\n"
    "layout(std430, binding = 0) readonly buffer X { float x[]; };\n"
    "layout(std430, binding = 1) writeonly buffer Y { float y[]; };\n"
    "layout(std140, set = 1, binding = 0) uniform S { vec4 shift[2]; int which; } s;\n"
    "layout(push_constant) uniform P { uint n; float scale; } p;\n"
    "void main() {\n"
    "    uint i = gl_GlobalInvocationID.x;\n"
    "    if (i < p.n) y[i] = GAIN * p.scale * x[i] + s.shift[s.which].z EXTRA;\n"
    "}\n";

static char folder[] = "/tmp/switchyard-shader-XXXXXX";

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    REQUIRE(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static const char *const binds[] = {"x=f32[100]:iota", "1=f32[100]", "1.0=shift=1,2,3,4,5,6,7,8,which=1"};
static const char *const defines[] = {"EXTRA=+ 0.5"};

static sy_shader_params usual(void)
{
    return (sy_shader_params){.path = "mine.comp", .defines = defines, .n_defines = 1, .binds = binds, .n_binds = 3, .push = "n=100,2",
                              .threads = {100, 1, 1}, .repeats = 5, .warmups = 1, .tolerance = 1e-6};
}

static void fails(sy_vk_device *d, sy_shader_params p, const char *part)
{
    sy_error error = {0};
    sy_text log = {0};
    sy_shader_outcome outcome;
    sy_profile_report *r = sy_report_create();
    REQUIRE(r);
    CHECK(!sy_shader_profile(d, &p, r, &outcome, &log, &error));
    CHECK_SAY(strstr(error.message, part), "\"%s\" is not in: %s", part, error.message);
    sy_text_free(&log);
    sy_report_destroy(&r);
}

static void test_errors(sy_vk_device *d)
{
    sy_shader_params p = usual();
    p.n_binds = 1;
    fails(d, p, "binding 1 of set 0, the storage buffer \"Y\" { float[] y }, was given no content: add --bind 1=f32[N]");
    p = usual();
    p.n_binds = 2;
    fails(d, p, "binding 0 of set 1, the uniform buffer \"s\" { vec4[2] shift, int which }, was given no content: add --bind 1.0=");
    p = usual();
    p.push = NULL;
    fails(d, p, "the shader has push constants { uint n, float scale }: add --push NAME=VALUE");
    p.push = "n=100";
    fails(d, p, "\"scale\" (float, byte 4) was given 0 of 1 values: add scale=VALUE to --push");
    p.push = "n=100,size=3";
    fails(d, p, "there is no \"size\"; the shader declares uint n, float scale");
    p.push = "n=-1,1";
    fails(d, p, "no place for \"n=-1\"");
    static const struct {
        const char *bind, *says;
    } wrong[] = {{"7=f32[4]", "there is no \"7\" in the shader; it has 0.0 (X), 0.1 (Y), 1.0 (s)"},
                 {"0=f31[4]", "takes FILE.npy, or TYPE[SHAPE]"},
                 {"0=f32[4", "takes FILE.npy, or TYPE[SHAPE]"},
                 {"0=f32[0]", "shape"},
                 {"0=f32[4]:unifrom", "is no filling"},
                 {"0=u8[4]:300", "300 is no u8"},
                 {"0=u8[6]", "no whole number of the elements of \"X\""},
                 {"0=nothing.npy", "nothing.npy"},
                 {"1.0=f32[4]", "too few for \"s\""},
                 {"1.0=shift=1", "was given 1 of 8 values"},
                 {"0", "it takes BINDING=…"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        p = usual();
        p.binds = &wrong[i].bind;
        p.n_binds = 1;
        fails(d, p, wrong[i].says);
    }
    p = usual();
    p.n_defines = 0;
    fails(d, p, "mine.comp:10: ");
    p = usual();
    p.path = "none.comp";
    fails(d, p, "none.comp");
    const char *spec = "WIDTH=1";
    p = usual();
    p.specs = &spec, p.n_specs = 1;
    fails(d, p, "no specialisation constant \"WIDTH\"; it has 0 (), 3 (GAIN)");
    spec = "0=1.5";
    fails(d, p, "\"1.5\" is no value of the constant, which is u32");
    spec = "0=100000";
    fails(d, p, "this device has at most");
    write_text("broken.spv", "four");
    p = usual();
    p.path = "broken.spv";
    fails(d, p, "magic number");
    static const uint32_t words[] = {0x07230203, 0x00010500, 0, 8, 0, 0x00020011, 1};
    FILE *f = fopen("short.spv", "wb");
    REQUIRE(f && fwrite(words, sizeof words, 1, f) == 1 && !fclose(f));
    p.path = "short.spv";
    fails(d, p, "short.spv");
}

static void test_device(sy_vk_device *d)
{
    sy_error error = {0};
    sy_text log = {0};
    sy_shader_outcome outcome;
    sy_raw_array y;
    const char *specs[] = {"0=1,16,64", "GAIN=1,3"}, *outs[] = {"Y=y.npy"}, *expects[] = {"1=y.npy"};
    sy_shader_params p = usual();
    p.outs = outs, p.n_outs = 1;
    sy_profile_report *r = sy_report_create();
    REQUIRE(r);
    bool ok = sy_shader_profile(d, &p, r, &outcome, &log, &error);
    CHECK_SAY(ok, "%s", error.message);
    REQUIRE(ok && sy_raw_array_make("y.npy", &y, &error));
    CHECK(y.count == 100 && y.element == SY_ELEMENT_F32);
    for (uint64_t i = 0; i < y.count; i++) /* 2 x + shift[1].z + 0.5 */
        CHECK_SAY(fabs(sy_element_get(y.element, y.data + 4 * i) - (2.0 * (double)i + 7.5)) < 1e-5, "y[%d]", (int)i);
    sy_raw_array_free(&y);
    CHECK(r->n_dispatches == 1 && r->n_kernels == 1 && r->dispatches[0].groups[0] == 100);
    if (r->timestamp_bits)
        CHECK(r->dispatches[0].time[0].n == 5 && r->dispatches[0].time[0].median > 0);
    sy_report_destroy(&r);

    p.n_outs = 0;
    p.specs = specs, p.n_specs = 2;
    p.expects = expects, p.n_expects = 1;
    r = sy_report_create();
    REQUIRE(r && sy_shader_profile(d, &p, r, &outcome, &log, &error));
    CHECK(outcome.n_variants == 6 && r->n_dispatches == 6 && r->n_programs == 6);
    CHECK_SAY(outcome.n_wrong == 3 && r->n_notes == 3, "%u wrong, %u notes", outcome.n_wrong, r->n_notes); /* those with GAIN=3 */
    CHECK_TEXT(r->dispatches[1].ops, "local_size_x=1 GAIN=3");
    CHECK(r->dispatches[2].groups[0] == 7 && r->dispatches[4].groups[0] == 2 && r->kernels[4].local[0] == 64);
    CHECK(r->dispatches[0].n_counters == 1 && r->dispatches[0].counters[0].value == 0 && r->dispatches[1].counters[0].value > 0.1);
    CHECK(r->n_notes && strstr(r->notes[0], "WRONG: mine.comp local_size_x=1 GAIN=3: \"Y\" differs from y.npy"));
    sy_report_destroy(&r);

    specs[0] = "0=4,1000000"; /* what does not fit is left out of a sweep */
    p.n_specs = 1;
    r = sy_report_create();
    REQUIRE(r && sy_shader_profile(d, &p, r, &outcome, &log, &error));
    CHECK(outcome.n_skipped == 1 && r->n_dispatches == 1 && r->n_notes == 1 && strstr(r->notes[0], "left out"));
    sy_report_destroy(&r);
    sy_text_free(&log);
    test_errors(d);
}

static void test_arrays(void)
{
    sy_error error = {0};
    sy_raw_array a, b;
    static const struct {
        const char *text;
        double first, last;
        uint64_t bytes;
    } cases[] = {{"f32[3]", 0, 0, 12},           {"f64[2,3]:iota", 0, 5, 48}, {"i8[5]:-1,2", -1, -1, 5},   {"f16[4]:0.5", 0.5, 0.5, 8},
                 {"bf16[2]:1,3.140625", 1, 3.140625, 4}, {"u64[2]:ones", 1, 1, 16},   {"u16[3]:65535", 65535, 65535, 6}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        REQUIRE(sy_raw_array_make(cases[i].text, &a, &error));
        uint64_t size = a.bytes / a.count;
        CHECK(a.bytes == cases[i].bytes && sy_element_get(a.element, a.data) == cases[i].first &&
              sy_element_get(a.element, a.data + (a.count - 1) * size) == cases[i].last);
        CHECK(sy_raw_array_write("a.npy", &a, &error) && sy_raw_array_make("a.npy", &b, &error));
        sy_array_difference x;
        CHECK(sy_raw_array_compare(&a, &b, &x, &error) && x.greatest == 0 && x.n_unequal == 0);
        sy_raw_array_free(&a);
        sy_raw_array_free(&b);
    }
    REQUIRE(sy_raw_array_make("f32[4001]:normal:3", &a, &error) && sy_raw_array_make("f32[4001]:uniform:3", &b, &error));
    double mean = 0, square = 0, least = 1, most = 0;
    for (uint64_t i = 0; i < a.count; i++) {
        double n = sy_element_get(a.element, a.data + 4 * i), u = sy_element_get(b.element, b.data + 4 * i);
        mean += n / 4001, square += n * n / 4001;
        least = u < least ? u : least, most = u > most ? u : most;
    }
    CHECK_SAY(fabs(mean) < 0.06 && fabs(square - 1) < 0.1, "mean %g, square %g", mean, square);
    CHECK(least > 0 && least < 0.01 && most < 1 && most > 0.99);
    sy_raw_array_free(&a);
    sy_raw_array_free(&b);
}

int main(void)
{
    REQUIRE(mkdtemp(folder) && chdir(folder) == 0);
    write_text("mine.comp", source);
    test_arrays();
    uint32_t n = sy_test_devices(test_device);
    static const char *const files[] = {"mine.comp", "y.npy", "a.npy", "broken.spv", "short.spv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(files[i]);
    REQUIRE(chdir("/") == 0 && !rmdir(folder));
    return n ? check_done() : check_skip("no Vulkan device");
}
