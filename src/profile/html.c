/* A report as one page: no script, nothing from outside, light and dark as the reader's system is. */
#include "src/profile/html.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--ground:#fbfbfa;--card:#fff;--ink:#1d1f22;--soft:#676c74;--line:#e3e4e6;--grid:#eeeff1;--warn:#b3261e;"
    "--k0:#3b6fd4;--k1:#d9772b;--k2:#2f9e6d;--k3:#8a5cc9;--k4:#1f9bb3;--k5:#c04a86;--k6:#a08a1e;--k7:#8b9099;--heat:59,111,212}\n"
    "@media(prefers-color-scheme:dark){:root{--ground:#15171a;--card:#1d2024;--ink:#e7e8ea;--soft:#9aa0a8;--line:#32363c;--grid:#282c31;--warn:#ff8a80;"
    "--k0:#6f9bf0;--k1:#f0a060;--k2:#5cc79a;--k3:#b592ea;--k4:#5ac4d8;--k5:#e684b4;--k6:#d2bd5a;--k7:#8b9199;--heat:111,155,240}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:14px/1.5 system-ui,sans-serif}\n"
    "main{max-width:1280px;margin:0 auto;padding:28px 24px 60px}h1{font-size:21px;margin:0 0 2px;overflow-wrap:anywhere}\n"
    "h2{font-size:15px;margin:0 0 10px}.sub{color:var(--soft);margin:0 0 18px}section{background:var(--card);border:1px solid var(--line);"
    "border-radius:10px;padding:18px 20px;margin:0 0 16px;overflow-x:auto}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));"
    "gap:12px;margin:0 0 16px}.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}"
    ".tile b{display:block;font-size:21px;font-weight:600}.tile span{color:var(--soft);font-size:12.5px}\n"
    "table{border-collapse:collapse;width:100%;font-size:13px}th,td{padding:3px 10px 3px 0;text-align:right;white-space:nowrap;border-bottom:1px solid "
    "var(--grid);font-variant-numeric:tabular-nums}th{color:var(--soft);font-weight:500}td.t,th.t{text-align:left}td.t:last-child{white-space:normal}\n"
    ".warn{color:var(--warn);font-weight:600}.soft{color:var(--soft)}svg{display:block;width:100%;height:auto}svg text{fill:var(--ink);font:12px system-ui,sans-serif}"
    "svg .s{fill:var(--soft);font-size:11px}svg .g{stroke:var(--grid)}svg .l{stroke:var(--soft)}svg .r{stroke:var(--ink);fill:none;stroke-width:1.5}\n"
    ".legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin:0 0 10px;color:var(--soft);font-size:12.5px}.legend i{display:inline-block;width:10px;height:10px;"
    "border-radius:2px;margin-right:5px}.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:16px}\n"
    ".k0{fill:var(--k0);background:var(--k0)}.k1{fill:var(--k1);background:var(--k1)}.k2{fill:var(--k2);background:var(--k2)}.k3{fill:var(--k3);background:var(--k3)}"
    ".k4{fill:var(--k4);background:var(--k4)}.k5{fill:var(--k5);background:var(--k5)}.k6{fill:var(--k6);background:var(--k6)}.k7{fill:var(--k7);background:var(--k7)}\n";

void sy_html_escape(const char *text, sy_text *out)
{
    for (const char *p = text ? text : ""; *p; p++) {
        const char *as = *p == '<' ? "&lt;" : *p == '>' ? "&gt;" : *p == '&' ? "&amp;" : *p == '"' ? "&quot;" : NULL;
        if (as)
            sy_text_add(out, as);
        else
            sy_text_add_bytes(out, p, 1);
    }
}

const char *sy_html_seconds(double s, char out[32])
{
    static const struct {
        double size;
        const char *unit;
    } units[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}, {1e-9, "ns"}};
    int i = 0;
    while (i < 3 && fabs(s) < units[i].size)
        i++;
    double x = s / units[i].size;
    snprintf(out, 32, fabs(x) >= 100 ? "%.0f %s" : fabs(x) >= 10 ? "%.1f %s" : "%.2f %s", x, units[i].unit);
    return out;
}

const char *sy_html_amount(double x, const char *unit, char out[32])
{
    static const char *const prefixes[] = {"", "K", "M", "G", "T", "P"};
    int i = 0;
    while (i < 5 && x >= 1000) {
        x /= 1000;
        i++;
    }
    snprintf(out, 32, x >= 100 || x == floor(x) ? "%.0f %s%s" : x >= 10 ? "%.1f %s%s" : "%.2f %s%s", x, prefixes[i], unit);
    return out;
}

static const char *const kinds[SY_HTML_KINDS] = {"matmul", "grouped matmul", "attention", "conv", "row", "route", "map", "other"};

int sy_html_kind(const char *kind)
{
    for (int i = 0; i < SY_HTML_KINDS - 1; i++)
        if (!strcmp(kind, kinds[i]))
            return i;
    return !strcmp(kind, "depthwise") ? 3 : SY_HTML_KINDS - 1;
}

const char *sy_html_kind_text(int kind)
{
    return kinds[kind];
}

void sy_html_legend(const sy_profile_report *r, sy_text *out)
{
    bool there[SY_HTML_KINDS] = {false};
    for (uint32_t i = 0; i < r->n_dispatches; i++)
        there[sy_html_kind(r->dispatches[i].kind)] = true;
    sy_text_add(out, "<div class=legend>");
    for (int k = 0; k < SY_HTML_KINDS; k++)
        if (there[k])
            sy_text_printf(out, "<span><i class=k%d></i>%s</span>", k, kinds[k]);
    sy_text_add(out, "</div>\n");
}

static void tile(sy_text *out, const char *value, const char *what)
{
    sy_text_add(out, "<div class=tile><b>");
    sy_html_escape(value, out);
    sy_text_add(out, "</b><span>");
    sy_html_escape(what, out);
    sy_text_add(out, "</span></div>\n");
}

static void tiles(const sy_profile_report *r, sy_text *out)
{
    char a[32], b[32], value[80], what[160];
    sy_text_add(out, "<div class=tiles>\n");
    for (uint32_t p = 0; p < r->n_programs && p < 4; p++)
        for (int m = 0; m < SY_MODES; m++) {
            const sy_samples *s = &r->programs[p].total[m];
            if (!s->n)
                continue;
            snprintf(value, sizeof value, "%s", sy_html_seconds(s->median, a));
            snprintf(what, sizeof what, "a step of “%.40s”, %s, ± %s", r->programs[p].name, sy_profile_mode_text((sy_profile_mode)m),
                     sy_html_seconds(s->spread, b));
            tile(out, value, what);
        }
    for (int m = 0; m < SY_MODES; m++)
        if (r->host_timed[m].n && r->host_plain.median > 0) {
            const char *noise = r->host_plain.n < 3 ? ", of too few runs to tell noise"
                                : fabs(r->host_timed[m].median - r->host_plain.median) <= r->host_timed[m].spread + r->host_plain.spread
                                    ? ", within the noise"
                                    : "";
            snprintf(value, sizeof value, "%+.1f %%", 100 * (r->host_timed[m].median / r->host_plain.median - 1));
            snprintf(what, sizeof what, "what profiling costs a run, %s%s (host clock, %s ± %s without)", sy_profile_mode_text((sy_profile_mode)m),
                     noise, sy_html_seconds(r->host_plain.median, a), sy_html_seconds(r->host_plain.spread, b));
            tile(out, value, what);
        }
    sy_text_add(out, "</div>\n");
}

static void roofs(const sy_profile_report *r, sy_text *out)
{
    char a[32], b[32];
    sy_text_add(out, "<section><h2>Roofs of this device, measured</h2><table><tr><th class=t>roof<th>value<th>working set<th class=t>note</tr>\n");
    for (uint32_t i = 0; i < r->roofs.n; i++) {
        const sy_roof *x = &r->roofs.roof[i];
        bool time = !strcmp(sy_roof_unit(x->kind), "s");
        sy_text_printf(out, "<tr><td class=t>%s<td>%s<td>%s<td class='t soft'>", sy_roof_text(x->kind),
                       x->value <= 0 ? "–" : time ? sy_html_seconds(x->value, a) : sy_html_amount(x->value, sy_roof_unit(x->kind), a),
                       x->bytes ? sy_html_amount((double)x->bytes, "B", b) : "");
        sy_html_escape(x->note, out);
        sy_text_add(out, "</tr>\n");
    }
    sy_text_add(out, "</table></section>\n");
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

static void print_row(const sy_profile_report *r, const sy_profile_dispatch *d, sy_profile_mode mode, double most, sy_text *out)
{
    char a[32], b[32], c[32], e[32], f[32];
    double took = d->time[mode].median, sum = r->programs[d->program].sum[mode];
    sy_text_printf(out, "<tr><td>%s<td class=soft>%s<td>%.1f<td>%s<td>%s<td>%s<td>%.1f<td%s>%.1f%s<td class=t>%s<td class=t>", sy_html_seconds(took, a),
                   sy_html_seconds(d->time[mode].spread, b), sum > 0 ? 100 * took / sum : 0, sy_html_amount(d->flops, "", c),
                   sy_html_amount(d->least_bytes, "B", e), sy_html_amount(d->planned_bytes, "B", f), d->intensity, d->above_roof ? " class=warn" : "",
                   100 * d->share, d->above_roof ? " !" : "", d->bound_by);
    sy_text_printf(out, "<svg viewBox='0 0 60 8' style='width:60px'><rect class=k%d width='%.1f' height=8 rx=1 /></svg><td class='t soft'>", sy_html_kind(d->kind),
                   most > 0 ? 60 * took / most : 0);
    sy_html_escape(r->kernels[d->kernel].name, out);
    sy_text_add(out, "<td class=t>");
    if (r->n_programs > 1) {
        sy_text_add(out, "<span class=soft>");
        sy_html_escape(r->programs[d->program].name, out);
        sy_text_add(out, "</span> ");
    }
    sy_html_escape(d->name, out);
    sy_text_add(out, "</tr>\n");
}

static void dispatches(const sy_profile_report *r, sy_text *out)
{
    sy_profile_mode mode = sy_report_mode(r);
    row *rows = calloc((size_t)r->n_dispatches + 1, sizeof *rows);
    uint32_t n = 0, above = 0;
    if (!rows) {
        out->failed = true;
        return;
    }
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        if (r->dispatches[i].time[mode].n)
            rows[n++] = (row){&r->dispatches[i], r->dispatches[i].time[mode].median};
        above += r->dispatches[i].above_roof;
    }
    qsort(rows, n, sizeof *rows, most_first);
    sy_text_printf(out, "<section><h2>Dispatches, %s, most time first</h2>\n", sy_profile_mode_text(mode));
    if (above)
        sy_text_printf(out, "<p class=warn>%u above the roof: there the model of the work or the roof is wrong, not the time.</p>\n", above);
    sy_text_add(out, "<table><tr><th>time<th>spread<th>%<th>FLOP<th>bytes, least<th>planned<th>FLOP/B<th>% of roof<th class=t>bound by<th class=t><th class=t>kernel"
                     "<th class=t>what</tr>\n");
    for (uint32_t i = 0; i < n; i++)
        print_row(r, rows[i].d, mode, n ? rows[0].seconds : 0, out);
    sy_text_add(out, "</table></section>\n");
    free(rows);
}

/* What the hardware counted; nothing where nothing was. */
static void counters(const sy_profile_report *r, sy_text *out)
{
    bool open = false;
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        const sy_profile_dispatch *d = &r->dispatches[i];
        if (!d->n_counters)
            continue;
        if (!open)
            sy_text_add(out, "<section><h2>Counters</h2><table><tr><th class=t>dispatch<th class=t>counters</tr>\n");
        open = true;
        sy_text_add(out, "<tr><td class=t>");
        sy_html_escape(d->name, out);
        sy_text_add(out, "<td class='t soft'>");
        for (uint32_t k = 0; k < d->n_counters; k++) {
            const char *const parts[] = {k ? ", " : "", d->counters[k].name, " ", d->counters[k].text, *d->counters[k].unit ? " " : "", d->counters[k].unit};
            for (size_t j = 0; j < sizeof parts / sizeof *parts; j++)
                sy_html_escape(parts[j], out);
        }
        sy_text_add(out, "</tr>\n");
    }
    if (open)
        sy_text_add(out, "</table></section>\n");
}

static void kernels(const sy_profile_report *r, sy_text *out)
{
    sy_text_add(out, "<section><h2>Kernels</h2><table><tr><th class=t>kernel<th>workgroup<th>shared bytes<th>SPIR-V bytes<th>instructions<th class=t>of them"
                     "<th class=t>from the driver</tr>\n");
    for (uint32_t i = 0; i < r->n_kernels; i++) {
        const sy_profile_kernel *k = &r->kernels[i];
        sy_text_add(out, "<tr><td class=t>");
        sy_html_escape(k->name, out);
        sy_text_printf(out, "<td>%u × %u × %u<td>%u<td>%u<td>%u<td class='t soft'>", k->local[0], k->local[1], k->local[2], k->shared_bytes, k->spirv_bytes,
                       k->instructions);
        for (uint32_t m = 0; m < k->n_mix && m < 6; m++)
            sy_text_printf(out, "%s%u %s", m ? ", " : "", k->mix[m].count, k->mix[m].name);
        sy_text_add(out, "<td class='t soft'>");
        for (uint32_t f = 0; f < k->n_facts; f++) {
            sy_text_add(out, f ? ", " : "");
            sy_html_escape(k->facts[f].name, out);
            sy_text_add(out, " ");
            sy_html_escape(k->facts[f].text, out);
        }
        sy_text_add(out, "</tr>\n");
    }
    sy_text_add(out, "</table></section>\n");
}

static void head(const sy_profile_report *r, sy_text *out)
{
    const char *slash = strrchr(r->target, '/');
    sy_text_add(out, "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'><title>");
    sy_html_escape(slash ? slash + 1 : r->target, out);
    sy_text_add(out, " – profile</title><style>");
    sy_text_add(out, style);
    sy_text_add(out, "</style></head><body><main>\n<h1>");
    sy_html_escape(slash ? slash + 1 : r->target, out);
    sy_text_add(out, "</h1><p class=sub>");
    sy_html_escape(r->device, out);
    sy_text_add(out, " · ");
    sy_html_escape(r->driver, out);
    sy_text_add(out, r->device_kind && !strcmp(r->device_kind, "cpu") ? " · a CPU driver" : "");
    for (uint32_t i = 0; i < r->n_settings; i++) {
        sy_text_add(out, " · ");
        sy_html_escape(r->settings[i].name, out);
        sy_text_add(out, " ");
        sy_html_escape(r->settings[i].value, out);
    }
    sy_text_printf(out, " · %u repeats after %u to warm up", r->repeats, r->warmups);
    for (uint32_t i = 0; i < r->n_clocks; i++) {
        sy_text_add(out, " · ");
        sy_html_escape(r->clocks[i].name, out);
        sy_text_printf(out, " %s MHz", r->clocks[i].text);
    }
    sy_text_add(out, "</p>\n");
    for (uint32_t i = 0; i < r->n_notes; i++) {
        sy_text_add(out, "<p class=sub>Note: ");
        sy_html_escape(r->notes[i], out);
        sy_text_add(out, "</p>\n");
    }
}

void sy_report_html(const sy_profile_report *r, sy_text *out)
{
    head(r, out);
    tiles(r, out);
    if (r->measured[sy_report_mode(r)]) {
        sy_html_layers(r, out);
        sy_html_roofline(r, out);
    }
    sy_html_memory(r, out);
    sy_html_routes(r, out);
    if (r->measured[sy_report_mode(r)])
        dispatches(r, out);
    counters(r, out);
    roofs(r, out);
    kernels(r, out);
    sy_text_add(out, "</main></body></html>\n");
}
