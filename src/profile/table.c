/* Reports for people: what was measured on what, both totals and what measuring cost, then dispatches, most time first. */
#include "src/profile/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "12.3 us" */
static const char *seconds(double s, char out[32])
{
    static const struct {
        double size;
        const char *unit;
    } units[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};
    int i = 0;
    while (i < 3 && fabs(s) < units[i].size)
        i++;
    double x = s / units[i].size;
    snprintf(out, 32, x >= 100 ? "%.0f %s" : x >= 10 ? "%.1f %s" : "%.2f %s", x, units[i].unit);
    return out;
}

static const char *amount(double x, const char *unit, char out[32])
{
    static const char *const prefixes[] = {"", "K", "M", "G", "T", "P"};
    int i = 0;
    while (i < 5 && x >= 1000) {
        x /= 1000;
        i++;
    }
    snprintf(out, 32, x >= 100 ? "%.0f %s%s" : x >= 10 ? "%.1f %s%s" : "%.2f %s%s", x, prefixes[i], unit);
    return out;
}

static void print_roofs(const sy_profile_report *r, sy_text *out)
{
    char a[32], b[32];
    if (!r->roofs.n)
        return;
    sy_text_printf(out, "roofs%s\n", r->roofs.cached ? " (measured earlier on this device and driver)" : " (measured now)");
    for (uint32_t i = 0; i < r->roofs.n; i++) {
        const sy_roof *x = &r->roofs.roof[i];
        bool time = !strcmp(sy_roof_unit(x->kind), "s");
        sy_text_printf(out, "  %-18s ", sy_roof_text(x->kind));
        if (x->value > 0)
            sy_text_add(out, time ? seconds(x->value, a) : amount(x->value, sy_roof_unit(x->kind), a));
        else
            sy_text_add(out, "-");
        if (x->bytes)
            sy_text_printf(out, ", working set %s", amount((double)x->bytes, "B", b));
        sy_text_printf(out, "%s%s\n", x->note && *x->note ? "  " : "", x->note ? x->note : "");
    }
}

static void print_totals(const sy_profile_report *r, sy_text *out)
{
    char a[32], b[32], c[32];
    for (uint32_t p = 0; p < r->n_programs; p++) {
        const sy_profile_program *program = &r->programs[p];
        sy_text_printf(out, "program \"%s\": %u dispatches, %u times a run\n", program->name, program->n, program->turns);
        for (int m = 0; m < SY_MODES; m++)
            if (program->total[m].n)
                sy_text_printf(out, "  %-8s %s +- %s from first to last; dispatches alone %s\n", sy_profile_mode_text((sy_profile_mode)m),
                               seconds(program->total[m].median, a), seconds(program->total[m].spread, b), seconds(program->sum[m], c));
    }
    if (r->host_plain.n)
        sy_text_printf(out, "host clock, a run without timestamps: %s +- %s\n", seconds(r->host_plain.median, a),
                       seconds(r->host_plain.spread, b));
    for (int m = 0; m < SY_MODES; m++)
        if (r->host_timed[m].n && r->host_plain.median > 0)
            sy_text_printf(out, "  with them, %-8s %s +- %s: profiling costs %+.1f %%%s\n", sy_profile_mode_text((sy_profile_mode)m),
                           seconds(r->host_timed[m].median, a), seconds(r->host_timed[m].spread, b),
                           100 * (r->host_timed[m].median / r->host_plain.median - 1),
                           r->host_plain.n < 3 ? ", of too few runs to tell noise"
                           : fabs(r->host_timed[m].median - r->host_plain.median) <= r->host_timed[m].spread + r->host_plain.spread
                               ? ", within the noise"
                               : "");
}

typedef struct row {
    const sy_profile_dispatch *d;
    double seconds;
} row;

static int most_first(const void *a, const void *b)
{
    const row *x = a, *y = b;
    if (x->seconds != y->seconds)
        return x->seconds < y->seconds ? 1 : -1;
    return x->d < y->d ? -1 : x->d > y->d;
}

static double of_program(const sy_profile_report *r, const sy_profile_dispatch *d, sy_profile_mode mode)
{
    return r->programs[d->program].sum[mode] > 0 ? 100 * d->time[mode].median / r->programs[d->program].sum[mode] : 0;
}

static void print_row(const sy_profile_report *r, const sy_profile_dispatch *d, sy_profile_mode mode, sy_text *out)
{
    char a[32], b[32], c[32], e[32], f[32];
    double took = d->time[mode].median;
    sy_text_printf(out, "%10s %8s %5.1f  %9s %9s %9s %7.1f ", seconds(took, a), seconds(d->time[mode].spread, b), of_program(r, d, mode),
                   amount(d->flops, "", c), amount(d->least_bytes, "B", e), amount(d->planned_bytes, "B", f), d->intensity);
    if (d->share > 0)
        sy_text_printf(out, "%5.1f%s %-7s", 100 * d->share, d->above_roof ? "!" : " ", d->bound_by);
    else
        sy_text_printf(out, "%5s  %-7s", "-", "");
    if (r->n_programs > 1)
        sy_text_printf(out, " [%s]", r->programs[d->program].name);
    sy_text_printf(out, " %-22s %s\n", r->kernels[d->kernel].name, d->name);
    for (uint32_t i = 0; i < d->n_counters; i++)
        sy_text_printf(out, "               %s: %s%s%s\n", d->counters[i].name, d->counters[i].text, *d->counters[i].unit ? " " : "",
                       d->counters[i].unit);
}

static void print_dispatches(const sy_profile_report *r, uint32_t most_rows, sy_text *out)
{
    sy_profile_mode mode = sy_report_mode(r);
    row *rows = calloc((size_t)r->n_dispatches + 1, sizeof *rows);
    if (!rows) {
        out->failed = true;
        return;
    }
    uint32_t n = 0, above = 0;
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        if (r->dispatches[i].time[mode].n)
            rows[n++] = (row){&r->dispatches[i], r->dispatches[i].time[mode].median};
        above += r->dispatches[i].above_roof;
    }
    qsort(rows, n, sizeof *rows, most_first);
    uint32_t shown = most_rows && most_rows < n ? most_rows : n;
    sy_text_printf(out, "dispatches, %s, %u of %u; time is the median, spread half of the samples' distance, %% of its program\n", sy_profile_mode_text(mode),
                   shown, n);
    sy_text_add(out, "      time   spread     %      FLOP  B, least   planned  FLOP/B  roof% bound    kernel                 what\n");
    for (uint32_t i = 0; i < shown; i++)
        print_row(r, rows[i].d, mode, out);
    if (above)
        sy_text_printf(out, "! %u above the roof: the model of their work or the roof is wrong there, not the time\n", above);
    free(rows);
}

static void print_routes(const sy_profile_report *r, sy_text *out)
{
    if (!r->n_routes)
        return;
    sy_text_add(out, "routes, means over the steps\n"
                     "      rows targets     slots      used   tiles   fill%  imbalance  first reader\n");
    for (uint32_t i = 0; i < r->n_routes; i++) {
        const sy_profile_route *x = &r->routes[i];
        char tiles[32] = "-", fill[32] = "-";
        if (x->tile_rows > 0 && x->tiles > 0) {
            snprintf(tiles, sizeof tiles, "%.1f", x->tiles);
            snprintf(fill, sizeof fill, "%.1f", 100 * x->used / (x->tiles * x->tile_rows));
        }
        sy_text_printf(out, "  %8u %7u %9u %9.1f %7s %7s %10.2f  %s\n", x->rows, x->targets, x->slots, x->used, tiles, fill, x->imbalance,
                       r->dispatches[x->layer_first].name);
    }
}

typedef struct kernel_row {
    const sy_profile_kernel *k;
    double seconds;
    uint32_t n;
} kernel_row;

static int kernels_most_first(const void *a, const void *b)
{
    const kernel_row *x = a, *y = b;
    if (x->seconds != y->seconds)
        return x->seconds < y->seconds ? 1 : -1;
    return x->k < y->k ? -1 : x->k > y->k;
}

static void print_kernel(const kernel_row *of, sy_text *out)
{
    const sy_profile_kernel *k = of->k;
    char time[32], local[40], mix[160] = "";
    snprintf(local, sizeof local, "%u x %u x %u", k->local[0], k->local[1], k->local[2]);
    for (uint32_t m = 0, at = 0; m < k->n_mix && m < 3 && at < sizeof mix; m++)
        at += (uint32_t)snprintf(mix + at, sizeof mix - at, "%s%u %s", m ? ", " : "", k->mix[m].count, k->mix[m].name);
    sy_text_printf(out, "%10s %4u  %-12s %7u  %7u  %12u  %-22s %s\n", seconds(of->seconds, time), of->n, local, k->shared_bytes, k->spirv_bytes,
                   k->instructions, k->name, mix);
    for (uint32_t f = 0; f < k->n_facts; f++)
        sy_text_printf(out, "               %s: %s %s\n", k->facts[f].name, k->facts[f].text, k->facts[f].unit);
}

static void print_kernels(const sy_profile_report *r, uint32_t most_rows, sy_text *out)
{
    kernel_row *rows = calloc((size_t)r->n_kernels + 1, sizeof *rows);
    if (!rows) {
        out->failed = true;
        return;
    }
    for (uint32_t i = 0; i < r->n_kernels; i++)
        rows[i].k = &r->kernels[i];
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        rows[r->dispatches[i].kernel].seconds += r->dispatches[i].time[sy_report_mode(r)].median;
        rows[r->dispatches[i].kernel].n++;
    }
    qsort(rows, r->n_kernels, sizeof *rows, kernels_most_first);
    uint32_t shown = most_rows && most_rows < r->n_kernels ? most_rows : r->n_kernels;
    sy_text_printf(out, "kernels, %u of %u, most time first; static counts of instructions\n"
                        "      time uses  workgroup     shared   SPIR-V  instructions  kernel                 most of them\n",
                   shown, r->n_kernels);
    for (uint32_t i = 0; i < shown; i++)
        print_kernel(&rows[i], out);
    free(rows);
}

void sy_report_table(const sy_profile_report *r, uint32_t most_rows, sy_text *out)
{
    sy_text_printf(out, "%s %s", r->what, r->target);
    for (uint32_t i = 0; i < r->n_settings; i++)
        sy_text_printf(out, ", %s %s", r->settings[i].name, r->settings[i].value);
    sy_text_printf(out, "\ndevice %s, %s%s\n", r->device, r->driver, r->device_kind && !strcmp(r->device_kind, "cpu") ? " (a CPU driver)" : "");
    sy_text_printf(out, "%u repeats after %u to warm up; timestamps of %u bits, %g ns a tick\n", r->repeats, r->warmups, r->timestamp_bits,
                   r->timestamp_period);
    for (uint32_t i = 0; i < r->n_clocks; i++)
        sy_text_printf(out, "%s: %s %s\n", r->clocks[i].name, r->clocks[i].text, r->clocks[i].unit);
    for (uint32_t i = 0; i < r->n_notes; i++)
        sy_text_printf(out, "note: %s\n", r->notes[i]);
    print_roofs(r, out);
    print_totals(r, out);
    if (r->timestamp_bits)
        print_dispatches(r, most_rows, out);
    print_routes(r, out);
    print_kernels(r, most_rows, out);
}
