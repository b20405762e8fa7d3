/* The tables of the samplers against the samplers as their sources say them (tools/reference/samplers.py): whole
 * trajectories with guidance, for given outputs of the network and given noise. */
#include "graph/import/safetensors.h"
#include "src/sample/sampler.h"
#include "tests/check.h"

#include <math.h>

enum { CHANNELS = 4 };

typedef struct given {
    double *values;
    uint64_t count;
} given;

/* The tensor "<run>.<key>" and its remainder, added; no values if it is not in the file. */
static given read_given(const sy_safetensors *file, const char *run, const char *key)
{
    char name[64], rest_name[64];
    snprintf(name, sizeof name, "%s.%s", run, key);
    snprintf(rest_name, sizeof rest_name, "%s.%s_rest", run, key);
    const sy_stored_tensor *value = sy_safetensors_find(file, name), *rest = sy_safetensors_find(file, rest_name);
    if (!value || !rest)
        return (given){0};
    uint64_t n = value->count;
    given out = {calloc(2 * n, sizeof(double)), n};
    REQUIRE(out.values && rest->count == n && sy_stored_read(value, out.values, n, NULL) &&
            sy_stored_read(rest, out.values + n, n, NULL));
    for (uint64_t i = 0; i < n; i++)
        out.values[i] += out.values[n + i];
    return out;
}

/* One row of the table over all pictures, as the step graph does it. */
static void step(const sy_sampler_row *row, const double *conditional, const double *unconditional, const double *noise,
                 double guidance, int guided, int out_channels, uint64_t pictures, uint64_t area, double *x, double *h)
{
    for (uint64_t n = 0; n < pictures; n++)
        for (uint64_t c = 0; c < CHANNELS; c++)
            for (uint64_t i = 0; i < area; i++) {
                uint64_t at = (n * CHANNELS + c) * area + i, from = (n * (uint64_t)out_channels + c) * area + i;
                double v = conditional[from], w = out_channels > CHANNELS ? conditional[from + CHANNELS * area] : 0;
                if ((int)c < guided)
                    v = unconditional[from] + guidance * (v - unconditional[from]);
                double e = row->l0 != 0 || row->l1 != 0 ? exp(row->l0 + row->l1 * w) : 1, old = x[at];
                x[at] = row->cx * old + row->ch * h[at] + row->cv * v + (noise ? row->cn * e * noise[at] : 0);
                h[at] = row->ex * old + row->eh * h[at] + row->ev * v;
            }
}

static void check_run(const sy_safetensors *file, const char *run, sy_sampler_params params)
{
    given x = read_given(file, run, "x"), states = read_given(file, run, "states"),
          times = read_given(file, run, "times");
    given conditional = read_given(file, run, "conditional"), unconditional = read_given(file, run, "unconditional");
    given noise = read_given(file, run, "noise"), guidance = read_given(file, run, "guidance");
    REQUIRE(x.count && times.count && states.count == times.count * x.count && guidance.count == 2);
    REQUIRE(conditional.count % (times.count * x.count) == 0 && unconditional.count == conditional.count);
    int out_channels = CHANNELS * (int)(conditional.count / (times.count * x.count));
    uint64_t per_call = conditional.count / times.count, pictures = 2, area = x.count / (pictures * CHANNELS);
    sy_sampler_row *rows;
    uint32_t n_rows;
    sy_error error = {0};
    params.guidance = guidance.values[0];
    bool ok = sy_sampler_table(&params, &rows, &n_rows, &error);
    CHECK_SAY(ok && n_rows == times.count, "%s: %u rows %s", run, n_rows, error.message);
    double *h = calloc(x.count, sizeof *h);
    REQUIRE(ok && n_rows == times.count && h);
    for (uint32_t k = 0; k < n_rows; k++) {
        CHECK_SAY(fabs(rows[k].t - times.values[k]) < 1e-9, "%s: time %u is %g, should be %g", run, k, rows[k].t,
                  times.values[k]);
        CHECK_SAY(rows[k].guidance == guidance.values[0], "%s: guidance %g", run, rows[k].guidance);
        step(&rows[k], conditional.values + k * per_call, unconditional.values + k * per_call,
             noise.count ? noise.values + k * x.count : NULL, guidance.values[0], (int)guidance.values[1], out_channels,
             pictures, area, x.values, h);
        double worst = 0;
        for (uint64_t i = 0; i < x.count; i++)
            worst = fmax(worst, fabs(x.values[i] - states.values[k * x.count + i]));
        CHECK_SAY(worst < 1e-9, "%s: state after row %u is off by %g", run, k, worst);
    }
    given all[] = {x, states, times, conditional, unconditional, noise, guidance};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i].values);
    free(h);
    free(rows);
}

int main(void)
{
    sy_error error = {0};
    sy_safetensors *file = sy_safetensors_open(SY_SOURCE_DIR "/tests/zoo/fixtures/sampling.safetensors", 0, &error);
    CHECK_SAY(file, "%s", error.message);
    REQUIRE(file);
    sy_sampler_params flow = {.objective = SY_OBJECTIVE_FLOW, .steps = 5, .time_scale = 1000}, p = flow;
    check_run(file, "euler", p);
    p.objective = SY_OBJECTIVE_FLOW_REVERSED;
    p.time_scale = 1;
    check_run(file, "euler_reversed", p);
    p.sampler = SY_SAMPLING_HEUN;
    p.steps = 4;
    check_run(file, "heun_reversed", p);
    p.objective = SY_OBJECTIVE_FLOW;
    check_run(file, "heun", p);
    check_run(file, "ddpm", (sy_sampler_params){.sampler = SY_SAMPLING_DDPM, .steps = 6, .learned_variance = true});
    check_run(file, "ddim", (sy_sampler_params){.sampler = SY_SAMPLING_DDIM, .steps = 5});
    check_run(file, "ddim_noisy",
              (sy_sampler_params){.sampler = SY_SAMPLING_DDIM, .steps = 7, .eta = 0.6, .spacing = SY_SPACING_ROUNDED});
    check_run(file, "dpm2m", (sy_sampler_params){.sampler = SY_SAMPLING_DPM2M, .steps = 6});
    sy_safetensors_close(&file);
    return check_done();
}
