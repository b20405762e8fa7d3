#include "tests/profile/help_report.h"
#include "tests/check.h"

enum { SAMPLES = 5 };

static void put(sy_profile_report *r, double base, sy_samples *out)
{
    double *of = sy_arena_array(&r->arena, SAMPLES, sizeof *of);
    REQUIRE(of);
    for (int i = 0; i < SAMPLES; i++)
        of[i] = base * (1 + 0.01 * (i - 2));
    REQUIRE(sy_samples_describe(of, SAMPLES, out));
}

static void add_up(sy_profile_report *r)
{
    for (uint32_t p = 0; p < r->n_programs; p++)
        for (int m = 0; m < SY_MODES; m++) {
            double at = 0;
            r->programs[p].sum[m] = 0;
            for (uint32_t i = r->programs[p].first; i < r->programs[p].first + r->programs[p].n; i++) {
                r->dispatches[i].begin[m] = at;
                at += r->dispatches[i].time[m].median + 1e-6; /* a gap of a microsecond */
                r->programs[p].sum[m] += r->dispatches[i].time[m].median;
            }
            put(r, at - 1e-6, &r->programs[p].total[m]);
        }
}

void help_slow(sy_profile_report *r, uint32_t dispatch, double factor)
{
    for (int m = 0; m < SY_MODES; m++)
        put(r, r->dispatches[dispatch].time[m].median * factor, &r->dispatches[dispatch].time[m]);
    add_up(r);
}

sy_profile_report *help_report(void)
{
    static const sy_profile_setting settings[] = {{"count", "1"}, {"steps", "5"}};
    static const sy_profile_mix mix[] = {{"multiply-add", 12}, {"load", 3}};
    static const char *const notes[] = {"a note with \"quotes\" & <brackets>"};
    static sy_profile_fact facts[] = {{"Registers", "", "96", 96}};
    static double load[] = {30, 10, 0, 24};
    sy_profile_report *r = sy_report_create();
    REQUIRE(r);
    r->target = "models/some.safetensors", r->what = "model", r->settings = settings, r->n_settings = 2;
    r->device = "Some Device", r->driver = "some driver 1.2", r->device_kind = "discrete";
    r->timestamp_bits = 64, r->timestamp_period = 1, r->repeats = SAMPLES, r->warmups = 1;
    r->measured[0] = r->measured[1] = true;
    r->notes = notes, r->n_notes = 1;
    r->calibrated = true, r->calibration_offset = 1000, r->calibration_error = 1e-6;
    r->host_run[0][0] = 2000, r->host_run[0][1] = 2000.5, r->host_run[1][0] = 2001, r->host_run[1][1] = 2001.25;
    put(r, 0.5, &r->host_plain);
    put(r, 0.51, &r->host_timed[0]);
    put(r, 0.505, &r->host_timed[1]);
    r->roofs = (sy_roofs){.roof = {{SY_ROOF_COPY, 1e11, 0, 1 << 20, ""}, {SY_ROOF_COPY, 1e10, 0, 1 << 28, ""}, {SY_ROOF_F32, 1e12, 0, 0, ""},
                                   {SY_ROOF_MATRIX, 0, 0, 0, "there are none"}, {SY_ROOF_EMPTY, 2e-6, 0, 0, ""}},
                          .n = 5};
    r->programs = sy_arena_array(&r->arena, 2, sizeof *r->programs);
    r->dispatches = sy_arena_array(&r->arena, 5, sizeof *r->dispatches);
    r->kernels = sy_arena_array(&r->arena, 2, sizeof *r->kernels);
    r->routes = sy_arena_array(&r->arena, 1, sizeof *r->routes);
    sy_profile_buffer *buffers = sy_arena_array(&r->arena, 2, sizeof *buffers);
    REQUIRE(r->programs && r->dispatches && r->kernels && r->routes && buffers);
    r->programs[0] = (sy_profile_program){.name = "full, guided", .first = 0, .n = 3, .turns = 4, .arena_bytes = 4096, .arena_lower_bound = 4000};
    r->programs[1] = (sy_profile_program){.name = "full", .first = 3, .n = 2, .turns = 1};
    r->n_programs = 2;
    r->programs[0].begun[0] = r->programs[1].begun[0] = 1000.1, r->programs[0].begun[1] = r->programs[1].begun[1] = 1001.1;
    r->kernels[0] = (sy_profile_kernel){.name = "matmul.tile64", .local = {8, 8, 1}, .shared_bytes = 8192, .spirv_bytes = 4000, .instructions = 15,
                                        .mix = mix, .n_mix = 2, .arithmetic = SY_ROOF_F32, .facts = facts, .n_facts = 1};
    r->kernels[1] = (sy_profile_kernel){.name = "map.vec4", .local = {64, 1, 1}, .arithmetic = SY_ROOF_F32};
    r->n_kernels = 2;
    r->routes[0] = (sy_profile_route){.name = "blocks.0.mlp", .layer_first = 1, .rows = 64, .targets = 4, .slots = 64, .used = 64, .tiles = 9, .tile_rows = 8,
                                      .imbalance = 1.875, .load = load};
    r->n_routes = 1;
    buffers[0] = (sy_profile_buffer){"blocks.0.attn: matmul", 0, 0, 0, 1024, 0, 1};
    buffers[1] = (sy_profile_buffer){"blocks.0.mlp: grouped_matmul", 0, 0, 1024, 3072, 1, 2};
    r->buffers = buffers, r->n_buffers = 2;
    const sy_profile_dispatch list[] = {
        {.name = "blocks.0.attn: matmul", .layer = "blocks.0.attn", .ops = "matmul", .kind = "matmul", .flops = 1e8, .bound_flops = 1e8, .least_bytes = 1e6, .planned_bytes = 4e6, .groups = {4, 4, 1}, .route = SY_NO_ROUTE},
        {.name = "blocks.0.mlp: grouped_matmul", .layer = "blocks.0.mlp", .ops = "grouped_matmul", .kind = "grouped matmul", .flops = 5e7, .bound_flops = 1e8, .least_bytes = 2e6, .planned_bytes = 3e6, .groups = {4, 12, 1}, .indirect = true, .barrier = true},
        {.name = "<script>alert(\"1\")</script>: add", .layer = "<script>alert(\"1\")</script>", .ops = "add", .kind = "map", .kernel = 1, .flops = 1e3, .bound_flops = 1e3, .least_bytes = 8e3, .planned_bytes = 8e3, .groups = {1, 1, 1}, .route = SY_NO_ROUTE},
        {.name = "blocks.0.attn: matmul", .layer = "blocks.0.attn", .ops = "matmul", .kind = "matmul", .program = 1, .flops = 5e7, .bound_flops = 5e7, .least_bytes = 5e5, .planned_bytes = 2e6, .groups = {2, 4, 1}, .route = SY_NO_ROUTE},
        {.name = "blocks.0.attn: matmul", .layer = "blocks.0.attn", .ops = "matmul", .kind = "matmul", .program = 1, .flops = 5e7, .bound_flops = 5e7, .least_bytes = 5e5, .planned_bytes = 2e6, .groups = {2, 4, 1}, .route = SY_NO_ROUTE}};
    const double took[] = {400e-6, 250e-6, 5e-6, 200e-6, 210e-6};
    memcpy(r->dispatches, list, sizeof list);
    r->n_dispatches = 5;
    for (uint32_t i = 0; i < 5; i++) {
        put(r, took[i], &r->dispatches[i].time[0]);
        put(r, 0.9 * took[i], &r->dispatches[i].time[1]);
    }
    add_up(r);
    sy_report_judge(r);
    return r;
}
