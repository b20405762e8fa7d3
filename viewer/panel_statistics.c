/* The whole run in numbers: load, entropy, affinity of experts, work done and saved, kept tokens, energy of skips. */
#include "viewer/facts.h"
#include "viewer/kinds.h"
#include "viewer/lines.h"
#include "viewer/numbers.h"
#include "viewer/palette.h"
#include "viewer/panels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LAYERS = LINES_MOST };

static uint32_t half_of(const app *a, const overlay_source *s, const layer *l)
{
    return facts_halves(s, l) > 1 && a->look.unconditional;
}

static void small(const char *text)
{
    gui_font_begin(GUI_SMALL);
    gui_text_wrapped(GUI_FAINT, "%s", text);
    gui_font_end();
}

static void look_at(app *a, const char *name)
{
    if (name)
        snprintf(a->look.layer, sizeof a->look.layer, "%s", name);
}

/* ---- work ---- */

static double flops_of(const engine_state *s, uint32_t row)
{
    const sy_result *r = s->result;
    return r && row < r->n_evaluations ? r->evaluations[row].flops : s->current->evaluations[row].flops;
}

static void work(app *a)
{
    const engine_state *s = &a->run;
    uint32_t counts[KINDS] = {0};
    double full = 0, done = 0, saved[KINDS] = {0};
    for (uint32_t i = 0; i < s->current->n_evaluations; i++)
        full = fmax(full, s->current->evaluations[i].flops);
    for (uint32_t i = 0; i < s->done; i++) {
        const kind_of_evaluation kind = kind_of(&s->current->evaluations[i]);
        counts[kind]++;
        done += flops_of(s, i);
        saved[kind] += fmax(full - flops_of(s, i), 0);
    }
    const double all = full * s->done;
    const gui_size at = gui_place();
    const float width = gui_available().x - gui_px(4), high = gui_px(14);
    gui_text("%.3g of %.3g GFLOP done, %.0f %% saved", done / 1e9, all / 1e9, all > 0 ? 100 * (1 - done / all) : 0.0);
    gui_tip("Against a run in which every evaluation does all the work of the largest one.");
    const float y = at.y + gui_line_height() + gui_px(6);
    gui_draw_filled(at.x, y, at.x + width, y + high, GUI_FIELD, 2);
    float x = at.x + (all > 0 ? width * (float)(done / all) : 0);
    gui_draw_filled(at.x, y, x, y + high, GUI_ACCENT, 2);
    for (int i = 0; i < KINDS; i++) {
        float part = all > 0 ? width * (float)(saved[i] / all) : 0;
        gui_draw_rectangle(x, y, x + part, y + high, kind_colour((kind_of_evaluation)i), 1, part > 1 ? gui_px(2) : 0);
        x += part;
    }
    gui_dummy(width, high + gui_px(6));
    gui_tip("Filled: done. Outlined: saved, by what the evaluation was.");
    gui_text_coloured(GUI_FAINT, "Evaluations, one a field:");
    const gui_size strip = gui_place();
    const float part = width / (float)(s->current->n_evaluations ? s->current->n_evaluations : 1);
    for (uint32_t i = 0; i < s->current->n_evaluations; i++)
        gui_draw_filled(strip.x + part * (float)i, strip.y, strip.x + part * (float)(i + 1) - (part > 4 ? 1 : 0), strip.y + high,
                        i < s->done ? kind_colour(kind_of(&s->current->evaluations[i])) : GUI_FIELD, 0);
    gui_dummy(width, high);
    for (int i = 0; i < KINDS; i++) {
        uint32_t one[KINDS] = {0};
        one[i] = counts[i];
        kinds_legend(one);
    }
}

/* ---- load ---- */

static void load_of(app *a, const overlay_source *s, const layer *l, bool chosen)
{
    uint32_t n, most = 1, used = 0;
    const ask_load *load = facts_load(a, s, l, half_of(a, s, l), &n);
    const float line = gui_line_height(), width = gui_available().x - gui_px(4), high = gui_px(34);
    gui_name_begin(l->name);
    if (gui_selectable(l->name, chosen, 0))
        look_at(a, l->name);
    const gui_size at = gui_place();
    for (uint32_t e = 0; load && e < n; e++) {
        most = load->load[e] > most ? load->load[e] : most;
        used += load->load[e] > 0;
    }
    const float step = width / (float)(n ? n : 1), mean = load && n ? load->slots / (float)n : 0;
    const float over = load && n ? (float)((at.x - gui_mouse().x) * -1 / step) : 0;
    gui_area("load", width, high);
    if (load && n && gui_tip_begin()) {
        uint32_t e = over > 0 ? (uint32_t)over : 0;
        e = e < n ? e : n - 1;
        gui_text("expert %u: %u of %.0f patches", e, load->load[e], (double)load->tokens);
        gui_text_coloured(GUI_FAINT, "%u of %u experts used; the line is the mean, %.1f", used, n, (double)mean);
        gui_tip_end();
    }
    for (uint32_t e = 0; load && e < n; e++) {
        palette_colour c = palette_expert(e);
        float part = high * (float)load->load[e] / (float)most;
        gui_draw_filled(at.x + step * (float)e, at.y + high - part, at.x + step * (float)(e + 1) - (step > 4 ? 1 : 0), at.y + high,
                        GUI_RGB(c.r, c.g, c.b), 0);
    }
    gui_draw_line(at.x, at.y + high * (1 - mean / (float)most), at.x + width, at.y + high * (1 - mean / (float)most),
                  GUI_TEXT_COLOUR, 1);
    char text[48];
    snprintf(text, sizeof text, "most %u patches", most);
    if (load)
        gui_draw_text(at.x + width - gui_text_size(text).x, at.y - line - gui_px(4), GUI_FAINT, text);
    gui_name_end();
}

static void loads(app *a, const overlay_source *s, const layer *const *list, uint32_t n)
{
    const layer *chosen = sight_layer(a, LOOK_EXPERT);
    gui_font_begin(GUI_SMALL);
    for (uint32_t i = 0; i < n; i++)
        load_of(a, s, list[i], list[i] == chosen);
    gui_text_wrapped(GUI_FAINT, "Patches of each expert at this step, from expert 0 on; the line is the mean.");
    gui_font_end();
}

/* ---- lines ---- */

typedef bool (*value_of)(app *a, const overlay_source *s, const layer *l, float *value);

static bool entropy_of(app *a, const overlay_source *s, const layer *l, float *value)
{
    uint32_t n;
    const ask_load *load = facts_load(a, s, l, half_of(a, s, l), &n);
    *value = load && load->with_bits > 0 ? load->bits / load->with_bits : NAN;
    return load != NULL;
}

static bool kept_of(app *a, const overlay_source *s, const layer *l, float *value)
{
    uint32_t n;
    const ask_load *load = facts_load(a, s, l, half_of(a, s, l), &n);
    *value = load ? 100 * load->tokens / (float)s->history->tokens_per_picture : NAN;
    return load != NULL;
}

static bool series_of(app *a, const overlay_source *s, const layer *l, float *value)
{
    return facts_value(a, s, l, half_of(a, s, l), value);
}

static void over_steps(app *a, const layer *const *list, uint32_t n, value_of value, const char *unit, float most)
{
    static lines l; /* large */
    overlay_source s;
    l = (lines){.unit = unit, .n = n, .most = most};
    l.n_points = facts_rows(a, l.rows, LINES_POINTS);
    for (uint32_t i = 0; i < n; i++) {
        l.names[i] = list[i]->name;
        for (uint32_t k = 0; k < l.n_points; k++)
            if (!sight_source_at(a, l.rows[k], &s) || !facts_halves(&s, list[i]) || !value(a, &s, list[i], &l.values[i][k]))
                l.values[i][k] = NAN;
    }
    gui_name_begin(unit);
    look_at(a, lines_draw(a, &l, gui_px(120), a->look.layer));
    gui_name_end();
}

/* ---- affinity ---- */

static void matrix(app *a, const overlay_source *s, const layer *from, const layer *to)
{
    const uint32_t *counts = facts_affinity(a, s, from, to, half_of(a, s, from), overlay_no_cells);
    const uint32_t n = (uint32_t)from->targets, m = (uint32_t)to->targets;
    const float names = gui_text_size("000 ").x, line = gui_line_height();
    const float side = fminf((gui_available().x - names - gui_px(6)) / (float)m, gui_px(20));
    const gui_size at = gui_place();
    const float x0 = at.x + names, y0 = at.y + line;
    uint32_t most = 1;
    char text[96];
    for (uint32_t i = 0; counts && i < n * m; i++)
        most = counts[i] > most ? counts[i] : most;
    gui_draw_filled(x0, y0, x0 + side * (float)m, y0 + side * (float)n, GUI_FIELD, 0);
    for (uint32_t i = 0; counts && i < n * m; i++) {
        palette_colour c = palette_size((float)counts[i] / (float)most);
        const float x = x0 + side * (float)(i % m), y = y0 + side * (float)(i / m);
        if (counts[i])
            gui_draw_filled(x, y, x + side, y + side, GUI_RGB(c.r, c.g, c.b), 0);
    }
    for (uint32_t i = 0; i < n; i += side < line ? 4 : 1) {
        snprintf(text, sizeof text, "%u", i);
        gui_draw_text(at.x, y0 + side * (float)i, GUI_FAINT, text);
    }
    for (uint32_t i = 0; i < m; i += side < line ? 4 : 1) {
        snprintf(text, sizeof text, "%u", i);
        gui_draw_text(x0 + side * (float)i, at.y, GUI_FAINT, text);
    }
    gui_place_set(x0, y0);
    gui_area("matrix", side * (float)m, side * (float)n);
    if (counts && gui_tip_begin()) {
        uint32_t i = (uint32_t)fmaxf((gui_mouse().y - y0) / side, 0), k = (uint32_t)fmaxf((gui_mouse().x - x0) / side, 0);
        uint32_t all = 0;
        i = i < n ? i : n - 1;
        k = k < m ? k : m - 1;
        for (uint32_t t = 0; t < m; t++)
            all += counts[i * m + t];
        gui_text("expert %u of %s, then %u of %s", i, from->name, k, to->name);
        gui_text("%u patches, %.0f %% of expert %u's %u", counts[i * m + k],
                 all ? 100.0 * counts[i * m + k] / all : 0.0, i, all);
        gui_tip_end();
    }
    gui_place_set(at.x, y0 + side * (float)n + gui_px(4));
    const gui_size ramp = gui_place();
    for (int i = 0; i < 32; i++) {
        palette_colour c = palette_size(((float)i + 0.5f) / 32);
        gui_draw_filled(ramp.x + gui_px(14) + gui_px(4) * (float)i, ramp.y + gui_px(2), ramp.x + gui_px(14) + gui_px(4) * (float)(i + 1),
                        ramp.y + line - gui_px(2), GUI_RGB(c.r, c.g, c.b), 0);
    }
    gui_draw_text(ramp.x, ramp.y, GUI_FAINT, "0");
    snprintf(text, sizeof text, "%u patches", most);
    gui_draw_text(ramp.x + gui_px(148), ramp.y, GUI_FAINT, text);
    gui_dummy(1, line);
    gui_text_wrapped(GUI_FAINT, "Rows: strongest experts of %s; columns: those of the same patches in %s.", from->name, to->name);
}

static void affinity(app *a, const overlay_source *s, const layer *const *list, uint32_t n)
{
    const layer *chosen = sight_layer(a, LOOK_EXPERT);
    uint32_t at = 0;
    for (uint32_t i = 0; i + 1 < n; i++)
        at = list[i] == chosen ? i : at;
    if (n && chosen == list[n - 1])
        at = n - 2;
    gui_font_begin(GUI_SMALL);
    for (uint32_t i = 0; i + 1 < n; i++) {
        char text[140];
        snprintf(text, sizeof text, "%s to %s", list[i]->name, list[i + 1]->name);
        if (i && i % 2)
            gui_same_line(-1);
        if (gui_radio(text, i == at))
            look_at(a, list[i]->name);
    }
    if (list[at]->targets * list[at + 1]->targets <= ASK_MOST_WORDS)
        matrix(a, s, list[at], list[at + 1]);
    else
        gui_text_wrapped(GUI_FAINT, "Too many experts for a matrix.");
    gui_font_end();
}

/* ---- the whole ---- */

static cJSON *as_json(app *a, const overlay_source *s, const layer *const *list, uint32_t n)
{
    cJSON *object = cJSON_CreateObject(), *loads_of = cJSON_AddArrayToObject(object, "load");
    cJSON_AddNumberToObject(object, "evaluation", s->evaluation);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t targets;
        const ask_load *load = facts_load(a, s, list[i], half_of(a, s, list[i]), &targets);
        if (!load) {
            cJSON_Delete(object);
            return NULL;
        }
        cJSON *one = cJSON_CreateObject(), *counts = cJSON_AddArrayToObject(one, "tokens");
        cJSON_AddStringToObject(one, "layer", list[i]->name);
        for (uint32_t t = 0; t < targets; t++)
            cJSON_AddItemToArray(counts, cJSON_CreateNumber(load->load[t]));
        cJSON_AddItemToArray(loads_of, one);
    }
    return object;
}

/* Of series those that are energies of skips. */
static uint32_t energies(app *a, const overlay_source *s, const layer **out)
{
    const layer *series[LAYERS];
    uint32_t n = facts_layers(a, s, LAYER_SERIES, series, LAYERS), m = 0;
    for (uint32_t i = 0; i < n; i++)
        if (sight_fits(LOOK_ENERGY, series[i]))
            out[m++] = series[i];
    return m;
}

void panel_statistics(app *a)
{
    overlay_source s;
    const layer *experts[LAYERS], *kept[LAYERS], *skips[LAYERS];
    if (!sight_source(a, SIGHT_NOW, &s)) {
        small("Load, entropy, affinity of experts and the work saved come here: generate first.");
        return;
    }
    const uint32_t n = facts_layers(a, &s, LAYER_EXPERTS, experts, LAYERS);
    const uint32_t m = facts_layers(a, &s, LAYER_KEPT, kept, LAYERS), k = energies(a, &s, skips);
    if (numbers_wanted(a))
        numbers_give(a, as_json(a, &s, experts, n));
    if (gui_header("Work", true))
        work(a);
    if (n && gui_header("Load of experts", true))
        loads(a, &s, experts, n);
    if (n && gui_header("Entropy of the gate over the steps", true))
        over_steps(a, experts, n, entropy_of, "bits", 0);
    if (n > 1 && gui_header("From expert to expert", true))
        affinity(a, &s, experts, n);
    if (m && gui_header("Kept patches over the steps", true))
        over_steps(a, kept, m, kept_of, "% of patches", 100);
    if (k && gui_header("Energy of skips over the steps", true))
        over_steps(a, skips, k, series_of, "of what it joins", 0);
    if (!n && !m && !k)
        small("This model has no experts, leaves no patches out and reports no skips: there is only its work.");
}
