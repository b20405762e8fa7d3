/* The load of a route's targets: a row a route, a cell a target, the darker the more of the rows it got. */
#include "src/profile/html.h"

#include <math.h>

enum { WIDTH = 1200, LEFT = 330, RIGHT = 210, ROW = 24, MOST_ROWS = 64, MOST_CELLS = 256 };

/* Cells: of very many targets neighbours together. */
static uint32_t cells_of(const sy_profile_route *x, double cells[MOST_CELLS])
{
    uint32_t n = x->targets < MOST_CELLS ? x->targets : MOST_CELLS;
    for (uint32_t i = 0; i < n; i++)
        cells[i] = 0;
    for (uint32_t e = 0; e < x->targets; e++)
        cells[(uint64_t)e * n / x->targets] += x->load[e];
    return n;
}

static void print_route(const sy_profile_report *r, const sy_profile_route *x, uint32_t y, sy_text *out)
{
    double cells[MOST_CELLS], most = 0;
    uint32_t n = cells_of(x, cells);
    for (uint32_t i = 0; i < n; i++)
        most = fmax(most, cells[i]);
    sy_text_printf(out, "<text x=%d y=%u text-anchor=end>", LEFT - 10, y + 15);
    if (r->n_programs > 1) {
        sy_html_escape(r->programs[r->dispatches[x->layer_first].program].name, out);
        sy_text_add(out, " · ");
    }
    sy_html_escape(x->name, out);
    sy_text_add(out, "</text>");
    double wide = (double)(WIDTH - LEFT - RIGHT) / n;
    for (uint32_t i = 0; i < n; i++) {
        double share = most > 0 ? cells[i] / most : 0;
        sy_text_printf(out, "<rect x='%.2f' y=%u width='%.2f' height=%d style='fill:rgba(var(--heat),%.2f)' stroke='var(--line)' stroke-width=.5><title>target %u%s: %.1f rows"
                            "</title></rect>",
                       LEFT + wide * i, y, wide, ROW - 4, 0.04 + 0.96 * share, (uint32_t)((uint64_t)i * x->targets / n), n < x->targets ? " and on" : "", cells[i]);
        if (wide >= 34)
            sy_text_printf(out, "<text class=s x='%.1f' y=%u text-anchor=middle%s>%.*f</text>", LEFT + wide * (i + 0.5), y + 14,
                           share > 0.6 ? " style='fill:var(--card)'" : "", cells[i] < 10 ? 1 : 0, cells[i]);
    }
    sy_text_printf(out, "<text class=s x=%d y=%u>imbalance %.2f", WIDTH - RIGHT + 12, y + 14, x->imbalance);
    if (x->tiles > 0 && x->tile_rows > 0)
        sy_text_printf(out, ", tiles %.0f %% full", 100 * x->used / (x->tiles * x->tile_rows));
    sy_text_add(out, "</text>\n");
}

void sy_html_routes(const sy_profile_report *r, sy_text *out)
{
    uint32_t n = r->n_routes < MOST_ROWS ? r->n_routes : MOST_ROWS;
    if (!n)
        return;
    sy_text_add(out, "<section><h2>Load of experts and blocks: rows that went to each target, mean of the steps</h2>\n");
    sy_text_printf(out, "<svg viewBox='0 0 %d %u' role=img aria-label='load of targets'>\n", WIDTH, n * ROW + 4);
    for (uint32_t i = 0; i < n; i++)
        print_route(r, &r->routes[i], i * ROW + 2, out);
    sy_text_add(out, "</svg>\n");
    if (n < r->n_routes)
        sy_text_printf(out, "<p class=soft>and %u more</p>\n", r->n_routes - n);
    sy_text_add(out, "</section>\n");
}
