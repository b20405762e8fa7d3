/* The charts of the page: time by layer, the roofline, memory over the step. */
#include "src/profile/html.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 1200, GROUPS = 400, MOST_BARS = 48, NAME = 96 };

typedef struct group {
    char name[NAME];
    uint32_t program;
    double seconds[SY_HTML_KINDS], sum;
} group;

static int by_time(const void *a, const void *b)
{
    double x = ((const group *)a)->sum, y = ((const group *)b)->sum;
    return (x < y) - (x > y);
}

/* In the order of the network; of very many the rest, shortest first, in one. */
static uint32_t gather(const sy_profile_report *r, sy_profile_mode mode, group *groups)
{
    uint32_t n = 0;
    char name[NAME];
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        const sy_profile_dispatch *d = &r->dispatches[i];
        sy_report_group(d->layer, name, sizeof name);
        uint32_t at = 0;
        while (at < n && (groups[at].program != d->program || strcmp(groups[at].name, name)))
            at++;
        if (at == n && n < GROUPS - 1) {
            groups[n].program = d->program;
            memcpy(groups[n++].name, name, sizeof name);
        }
        groups[at].seconds[sy_html_kind(d->kind)] += d->time[mode].median;
        groups[at].sum += d->time[mode].median;
    }
    if (n <= MOST_BARS)
        return n;
    qsort(groups, n, sizeof *groups, by_time);
    for (uint32_t i = MOST_BARS; i < n; i++) {
        for (int k = 0; k < SY_HTML_KINDS; k++)
            groups[MOST_BARS - 1].seconds[k] += groups[i].seconds[k];
        groups[MOST_BARS - 1].sum += groups[i].sum;
    }
    snprintf(groups[MOST_BARS - 1].name, NAME, "%u others", n - MOST_BARS + 1);
    return MOST_BARS;
}

void sy_html_layers(const sy_profile_report *r, sy_text *out)
{
    enum { LEFT = 250, RIGHT = 90, ROW = 22 };
    sy_profile_mode mode = sy_report_mode(r);
    group *groups = calloc(GROUPS, sizeof *groups);
    char text[32];
    if (!groups) {
        out->failed = true;
        return;
    }
    uint32_t n = gather(r, mode, groups);
    double most = 0;
    for (uint32_t i = 0; i < n; i++)
        most = groups[i].sum > most ? groups[i].sum : most;
    sy_text_printf(out, "<section><h2>Time by layer, %s</h2>\n", sy_profile_mode_text(mode));
    sy_html_legend(r, out);
    sy_text_printf(out, "<svg viewBox='0 0 %d %u' role=img aria-label='time by layer'>\n", WIDTH, n * ROW + 4);
    for (uint32_t i = 0; i < n; i++) {
        double x = LEFT;
        uint32_t y = i * ROW + 3;
        sy_text_printf(out, "<text x=%d y=%u text-anchor=end>", LEFT - 10, y + 13);
        if (r->n_programs > 1) {
            sy_html_escape(r->programs[groups[i].program].name, out);
            sy_text_add(out, " · ");
        }
        sy_html_escape(*groups[i].name ? groups[i].name : "(top)", out);
        sy_text_add(out, "</text>");
        for (int k = 0; k < SY_HTML_KINDS; k++) {
            double w = most > 0 ? (WIDTH - LEFT - RIGHT) * groups[i].seconds[k] / most : 0;
            if (w > 0)
                sy_text_printf(out, "<rect class=k%d x='%.1f' y=%u width='%.1f' height=%d><title>%s %s</title></rect>", k, x, y, w, ROW - 6,
                               sy_html_kind_text(k), sy_html_seconds(groups[i].seconds[k], text));
            x += w;
        }
        sy_text_printf(out, "<text class=s x='%.1f' y=%u>%s</text>\n", x + 7, y + 13, sy_html_seconds(groups[i].sum, text));
    }
    sy_text_add(out, "</svg></section>\n");
    free(groups);
}

/* Logarithmic axes. */
typedef struct plane {
    double x0, x1, y0, y1; /* powers of ten */
    double left, top, width, height;
} plane;

static double to_x(const plane *p, double x)
{
    return p->left + p->width * (log10(x) - p->x0) / (p->x1 - p->x0);
}

static double to_y(const plane *p, double y)
{
    return p->top + p->height * (1 - (log10(y) - p->y0) / (p->y1 - p->y0));
}

/* Whole powers that hold all dispatches and the ceilings; false where there is nothing to draw. */
static bool fit(const sy_profile_report *r, sy_profile_mode mode, plane *p)
{
    double x0 = INFINITY, x1 = 0, y0 = INFINITY, y1 = 0;
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        const sy_profile_dispatch *d = &r->dispatches[i];
        double rate = d->time[mode].median > 0 ? d->flops / d->time[mode].median : 0;
        if (rate <= 0 || d->intensity <= 0)
            continue;
        x0 = fmin(x0, d->intensity), x1 = fmax(x1, d->intensity);
        y0 = fmin(y0, rate), y1 = fmax(y1, rate);
    }
    for (uint32_t i = 0; i < r->roofs.n; i++)
        if (!strcmp(sy_roof_unit(r->roofs.roof[i].kind), "op/s") && r->roofs.roof[i].value > 0)
            y1 = fmax(y1, r->roofs.roof[i].value);
    if (!(x1 > 0) || !(y1 > 0))
        return false;
    p->x0 = floor(log10(x0)), p->x1 = ceil(log10(x1) + 0.01);
    p->y0 = floor(log10(y0)), p->y1 = ceil(log10(y1) + 0.01);
    return true;
}

static void grid(const plane *p, sy_text *out)
{
    char text[32];
    for (double x = p->x0; x <= p->x1; x++) {
        double at = to_x(p, pow(10, x));
        sy_text_printf(out, "<line class=g x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f' /><text class=s x='%.1f' y='%.1f' text-anchor=middle>%g</text>\n", at, at,
                       p->top, p->top + p->height, at, p->top + p->height + 17, pow(10, x));
    }
    for (double y = p->y0; y <= p->y1; y++) {
        double at = to_y(p, pow(10, y));
        sy_text_printf(out, "<line class=g x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f' /><text class=s x='%.1f' y='%.1f' text-anchor=end>%s</text>\n", p->left,
                       p->left + p->width, at, at, p->left - 8, at + 4, sy_html_amount(pow(10, y), "op/s", text));
    }
    sy_text_printf(out, "<text class=s x='%.1f' y='%.1f' text-anchor=middle>operations a byte that has to move (least bytes)</text>\n", p->left + p->width / 2,
                   p->top + p->height + 36);
}

/* Is there a kernel of that arithmetic? */
static bool is_used(const sy_profile_report *r, sy_roof_kind kind)
{
    for (uint32_t i = 0; i < r->n_kernels; i++)
        if (r->kernels[i].arithmetic == kind)
            return true;
    return false;
}

/* Bandwidths as slopes up to the highest ceiling, arithmetic as ceilings. */
static void roof_lines(const sy_profile_report *r, const plane *p, sy_text *out)
{
    char text[32], set[32];
    double highest = 0, left = pow(10, p->x0), right = pow(10, p->x1), low = pow(10, p->y0), shift = 4;
    for (uint32_t i = 0; i < r->roofs.n; i++) {
        const sy_roof *x = &r->roofs.roof[i];
        if (strcmp(sy_roof_unit(x->kind), "op/s") || x->value <= 0 || !is_used(r, x->kind))
            continue;
        highest = fmax(highest, x->value);
        if (x->value < low)
            continue;
        sy_text_printf(out, "<line class=r x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f' /><text class=s x='%.1f' y='%.1f' text-anchor=end>%s, %s</text>\n",
                       to_x(p, left), to_x(p, right), to_y(p, x->value), to_y(p, x->value), to_x(p, right) - shift, to_y(p, x->value) - 5,
                       sy_roof_text(x->kind), sy_html_amount(x->value, "op/s", text));
        shift += 110; /* they may lie close to each other */
    }
    const sy_roof *ends[2] = {NULL, NULL}; /* of memory, and of the fastest cache */
    for (uint32_t i = 0; i < r->roofs.n; i++) {
        const sy_roof *x = &r->roofs.roof[i];
        if (!x->bytes || x->value <= 0)
            continue;
        if (!ends[0] || x->bytes > ends[0]->bytes || (x->bytes == ends[0]->bytes && x->value < ends[0]->value))
            ends[0] = x;
        if (!ends[1] || x->value > ends[1]->value)
            ends[1] = x;
    }
    for (int i = 0; i < 2 && ends[0] && highest > 0; i++) {
        double from = fmax(left, low / ends[i]->value), to = fmin(right, highest / ends[i]->value);
        if (to <= from || (i && ends[1] == ends[0]))
            continue;
        double middle = pow(10, log10(from) + (i ? 0.4 : 0.1) * (log10(to) - log10(from)));
        sy_text_printf(out, "<line class=r stroke-dasharray='5 4' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f' /><text class=s x='%.1f' y='%.1f' text-anchor=%s>%s over %s: %s</text>\n",
                       to_x(p, from), to_x(p, to), to_y(p, from * ends[i]->value), to_y(p, to * ends[i]->value), to_x(p, middle) + (i ? -4 : 12),
                       to_y(p, middle * ends[i]->value) + (i ? -10 : 18), i ? "end" : "start", sy_roof_text(ends[i]->kind), sy_html_amount((double)ends[i]->bytes, "B", set),
                       sy_html_amount(ends[i]->value, "B/s", text));
    }
}

void sy_html_roofline(const sy_profile_report *r, sy_text *out)
{
    sy_profile_mode mode = sy_report_mode(r);
    plane p = {.left = 86, .top = 12, .width = WIDTH - 110, .height = 420};
    char text[32], rate_text[32];
    if (!fit(r, mode, &p))
        return;
    sy_text_printf(out, "<section><h2>Roofline, %s: a circle a dispatch, its area its time</h2>\n", sy_profile_mode_text(mode));
    sy_html_legend(r, out);
    sy_text_printf(out, "<svg viewBox='0 0 %d %d' role=img aria-label=roofline>\n", WIDTH, 484);
    grid(&p, out);
    roof_lines(r, &p, out);
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        const sy_profile_dispatch *d = &r->dispatches[i];
        double took = d->time[mode].median, rate = took > 0 ? d->flops / took : 0, sum = r->programs[d->program].sum[mode];
        if (rate <= 0 || d->intensity <= 0 || sum <= 0)
            continue;
        sy_text_printf(out, "<circle class=k%d cx='%.1f' cy='%.1f' r='%.1f' fill-opacity=.55><title>", sy_html_kind(d->kind), to_x(&p, d->intensity), to_y(&p, rate),
                       3 + 40 * sqrt(took / sum));
        sy_html_escape(d->name, out);
        sy_text_printf(out, "\n%s, %s, %.1f %% of its roof (%s)</title></circle>\n", sy_html_seconds(took, text), sy_html_amount(rate, "op/s", rate_text),
                       100 * d->share, d->bound_by);
    }
    sy_text_add(out, "</svg></section>\n");
}

/* The program with most memory; one buffer of it after another where there are several. */
static const sy_profile_program *fullest(const sy_profile_report *r)
{
    const sy_profile_program *most = NULL;
    for (uint32_t i = 0; i < r->n_programs; i++)
        if (!most || r->programs[i].arena_bytes > most->arena_bytes)
            most = &r->programs[i];
    return most;
}

void sy_html_memory(const sy_profile_report *r, sy_text *out)
{
    enum { LEFT = 86, TOP = 8, HEIGHT = 300, WIDE = WIDTH - 110 };
    const sy_profile_program *p = fullest(r);
    char text[32], bound[32], size[32];
    double total = 0;
    for (uint32_t i = 0; i < r->n_buffers; i++)
        if (&r->programs[r->buffers[i].program] == p && !r->buffers[i].buffer)
            total = fmax(total, (double)(r->buffers[i].offset + r->buffers[i].bytes));
    if (!p || total <= 0 || !p->n)
        return;
    sy_text_add(out, "<section><h2>Memory of activations over “");
    sy_html_escape(p->name, out);
    sy_text_printf(out, "”: %s planned, %s the least that is alive at once</h2>\n", sy_html_amount((double)p->arena_bytes, "B", text),
                   sy_html_amount((double)p->arena_lower_bound, "B", bound));
    sy_html_legend(r, out);
    sy_text_printf(out, "<svg viewBox='0 0 %d %d' role=img aria-label='memory over time'>\n", WIDTH, TOP + HEIGHT + 44);
    for (int i = 0; i <= 4; i++) {
        double y = TOP + HEIGHT - HEIGHT * i / 4.0;
        sy_text_printf(out, "<line class=g x1=%d x2=%d y1='%.1f' y2='%.1f' /><text class=s x=%d y='%.1f' text-anchor=end>%s</text>\n", LEFT, LEFT + WIDE, y, y, LEFT - 8,
                       y + 4, sy_html_amount(total * i / 4, "B", text));
    }
    for (uint32_t i = 0; i < r->n_buffers; i++) {
        const sy_profile_buffer *b = &r->buffers[i];
        if (&r->programs[b->program] != p || b->buffer)
            continue;
        double x = LEFT + WIDE * (double)(b->first - p->first) / p->n, w = WIDE * (double)(b->last - b->first + 1) / p->n;
        double h = HEIGHT * (double)b->bytes / total, y = TOP + HEIGHT - HEIGHT * (double)b->offset / total - h;
        sy_text_printf(out, "<rect class=k%d x='%.2f' y='%.2f' width='%.2f' height='%.2f' fill-opacity=.75 stroke='var(--card)' stroke-width=.7><title>",
                       sy_html_kind(r->dispatches[b->first].kind), x, y, w, h);
        sy_html_escape(b->name, out);
        sy_text_printf(out, "\n%s, dispatches %u to %u</title></rect>\n", sy_html_amount((double)b->bytes, "B", size), b->first - p->first, b->last - p->first);
    }
    for (uint32_t i = 0, step = p->n > 12 ? (p->n + 11) / 12 : 1; i < p->n; i += step)
        sy_text_printf(out, "<text class=s x='%.1f' y=%d text-anchor=middle>%u</text>", LEFT + WIDE * (i + 0.5) / p->n, TOP + HEIGHT + 17, i);
    sy_text_printf(out, "<text class=s x=%d y=%d text-anchor=middle>dispatch of the step</text></svg></section>\n", LEFT + WIDE / 2, TOP + HEIGHT + 36);
}
