/* Arithmetic of samples and of the roofline, on timelines and devices made up for it. */
#include "graph/program.h"
#include "src/profile/measure.h"
#include "tests/check.h"
#include "tests/profile/help_report.h"

#include <math.h>

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fabs(b);
}

static void test_samples(void)
{
    sy_samples s;
    const double odd[] = {5, 1, 4, 2, 100}, even[] = {4, 1, 3, 2}, one[] = {7};
    CHECK(sy_samples_describe(odd, 5, &s) && s.n == 5 && s.median == 4 && s.least == 1 && s.most == 100);
    CHECK(s.spread == 2); /* distances 1 3 0 2 96: one outlier moves neither median nor spread */
    CHECK(s.of == odd && odd[0] == 5);
    CHECK(sy_samples_describe(even, 4, &s) && s.median == 2.5 && s.spread == 1);
    CHECK(sy_samples_describe(one, 1, &s) && s.median == 7 && s.spread == 0);
    CHECK(sy_samples_describe(NULL, 0, &s) && s.n == 0 && s.median == 0);
}

static void test_roof(void)
{
    /* 1 Top/s, 100 GB/s in a cache of 1 MiB, 10 GB/s beyond, 2 us to launch, 3 us indirectly */
    sy_roofs roofs = {.roof = {{SY_ROOF_COPY, 1e11, 0, 1 << 20, ""}, {SY_ROOF_COPY, 1e10, 0, 1 << 28, ""}, {SY_ROOF_F32, 1e12, 0, 0, ""},
                               {SY_ROOF_F16, 4e12, 0, 0, ""}, {SY_ROOF_EMPTY, 2e-6, 0, 0, ""}, {SY_ROOF_INDIRECT, 3e-6, 0, 0, ""}},
                      .n = 6};
    const char *by;
    CHECK(near(sy_roof_seconds(&roofs, SY_ROOF_F32, 1e9, 1e6, false, &by), 1e-3) && !strcmp(by, "f32"));
    CHECK(near(sy_roof_seconds(&roofs, SY_ROOF_F16, 1e9, 1e6, false, &by), 0.25e-3) && !strcmp(by, "f16"));
    CHECK(near(sy_roof_seconds(&roofs, SY_ROOF_F32, 1e6, 1e6, false, &by), 1e-5) && !strcmp(by, "memory")); /* fits the cache */
    CHECK(near(sy_roof_seconds(&roofs, SY_ROOF_F32, 1e6, 1e8, false, &by), 1e-2) && !strcmp(by, "memory")); /* does not */
    CHECK(near(sy_roof_seconds(&roofs, SY_ROOF_F32, 1e6, 1e9, false, &by), 1e-1)); /* beyond all that was measured */
    CHECK(near(sy_roof_seconds(&roofs, SY_ROOF_F32, 10, 16, false, &by), 2e-6) && !strcmp(by, "launch"));
    CHECK(near(sy_roof_seconds(&roofs, SY_ROOF_F32, 10, 16, true, &by), 3e-6) && !strcmp(by, "launch"));
    roofs.roof[roofs.n++] = (sy_roof){SY_ROOF_READ, 2e10, 0, 1 << 28, ""}; /* reading is faster than copying */
    CHECK(near(sy_roof_seconds(&roofs, SY_ROOF_F32, 1e6, 1e8, false, &by), 0.5e-2));
    CHECK(sy_roof_seconds(&roofs, SY_ROOF_I8, 1e9, 0, false, &by) == 2e-6 && !strcmp(by, "launch")); /* no roof for it */
    sy_roofs none = {.n = 0};
    CHECK(sy_roof_seconds(&none, SY_ROOF_F32, 1e9, 1e9, false, &by) == 0 && !strcmp(by, ""));
}

static void test_judge(void)
{
    sy_profile_report *r = help_report();
    sy_profile_dispatch *d = &r->dispatches[0];
    CHECK(near(d->intensity, 100) && near(d->roof_seconds, 1e-4) && near(d->share, 0.25) && !strcmp(d->bound_by, "f32") && !d->above_roof);
    CHECK(near(d->roof_rate, 1e12));
    CHECK(!strcmp(r->dispatches[2].bound_by, "launch") && near(r->dispatches[2].share, 0.4));
    help_slow(r, 0, 0.1); /* faster than the device can: said, and not made 1 */
    sy_report_judge(r);
    CHECK(d->above_roof && near(d->share, 2.5));
    sy_report_destroy(&r);
    CHECK(!r);
}

static void test_groups(void)
{
    static const char *const pairs[][2] = {{"blocks.3.attn.qkv", "blocks.3"}, {"blocks.12", "blocks.12"}, {"final_layer", "final_layer"}, {"", ""},
                                           {"t_embedder.mlp.0", "t_embedder.mlp.0"}, {"down.0.1.conv2", "down.0"}, {"conv2d.x", "conv2d.x"}};
    char out[32];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        sy_report_group(pairs[i][0], out, sizeof out);
        CHECK_TEXT(out, pairs[i][1]);
    }
    sy_report_group("blocks.3.attn", out, 4);
    CHECK_TEXT(out, "blo");
}

/* a: 0-99, b: 100-199 joined into c's read, then a's memory is d's. */
static void test_lives(void)
{
    sy_binding bindings[4][3] = {{{{SY_SPACE_ARENA, 0, 0, 100}, SY_WRITE}},
                                 {{{SY_SPACE_ARENA, 0, 100, 100}, SY_WRITE}},
                                 {{{SY_SPACE_ARENA, 0, 0, 200}, SY_READ}, {{SY_SPACE_WEIGHT, 0, 0, 64}, SY_READ}, {{SY_SPACE_ARENA, 0, 256, 64}, SY_WRITE}},
                                 {{{SY_SPACE_ARENA, 0, 256, 64}, SY_READ}, {{SY_SPACE_ARENA, 0, 0, 50}, SY_WRITE}}};
    sy_dispatch dispatches[4] = {{.bindings = bindings[0], .n_bindings = 1}, {.bindings = bindings[1], .n_bindings = 1},
                                 {.bindings = bindings[2], .n_bindings = 3}, {.bindings = bindings[3], .n_bindings = 2}};
    sy_program program = {.dispatches = dispatches, .n_dispatches = 4};
    sy_profile_dispatch names[5] = {{.name = "x"}, {.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}};
    sy_profile_report *r = sy_report_create();
    sy_error error = {0};
    REQUIRE(r);
    r->dispatches = names;
    CHECK(sy_profile_lives(&program, 0, 1, r, &error) && r->n_buffers == 4);
    const uint32_t wanted[4][2] = {{1, 3}, {2, 3}, {3, 4}, {4, 4}};
    for (uint32_t i = 0; i < 4 && i < r->n_buffers; i++)
        CHECK_SAY(r->buffers[i].first == wanted[i][0] && r->buffers[i].last == wanted[i][1] && !strcmp(r->buffers[i].name, names[i + 1].name),
                  "%s lives from %u to %u", r->buffers[i].name, r->buffers[i].first, r->buffers[i].last);
    sy_report_destroy(&r);
}

int main(void)
{
    test_samples();
    test_roof();
    test_judge();
    test_groups();
    test_lives();
    return check_done();
}
