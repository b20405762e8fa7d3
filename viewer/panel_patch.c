/* What is picked, or the whole picture: its experts and their weights at each layer, its path through layers and steps, what
 * it attends to; and rules to send it elsewhere. */
#include "viewer/facts.h"
#include "viewer/numbers.h"
#include "viewer/palette.h"
#include "viewer/panels.h"
#include "viewer/ribbon.h"
#include "viewer/steer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LAYERS = 64, RANKS = 4, MOST_RANKED = 256, HALVES = 2 };

static uint32_t colour_of(uint32_t expert, uint8_t alpha)
{
    palette_colour c = palette_expert(expert);
    return GUI_RGBA(c.r, c.g, c.b, alpha);
}

static uint32_t patches(const sy_history *h, overlay_cells c)
{
    return c.x0 > c.x1 ? h->tokens_per_picture : (c.x1 - c.x0 + 1) * (c.y1 - c.y0 + 1);
}

static void small(const char *text)
{
    gui_font_begin(GUI_SMALL);
    gui_text_wrapped(GUI_FAINT, "%s", text);
    gui_font_end();
}

static void look_at(app *a, const layer *l)
{
    snprintf(a->look.layer, sizeof a->look.layer, "%s", l->name);
}

static void title(app *a, const overlay_source *s, overlay_cells c)
{
    const uint32_t n = patches(s->history, c);
    const bool picked = c.x0 <= c.x1;
    gui_font_begin(GUI_BOLD);
    if (!picked)
        gui_text("All %u patches", n);
    else if (n == 1)
        gui_text("Patch %u, %u", c.x0, c.y0);
    else
        gui_text("Region %u, %u to %u, %u: %u patches", c.x0, c.y0, c.x1, c.y1, n);
    gui_font_end();
    if (picked) {
        gui_same_line(-1);
        if (gui_button_small("all"))
            a->look.patch_x = a->look.patch_y = -1;
        gui_tip("let go of what is picked (x)");
    }
    gui_font_begin(GUI_SMALL);
    if (!picked)
        gui_text_wrapped(GUI_ACCENT, "Click a patch of the picture, or drag over a region, to see its own.");
    else
        gui_text_coloured(GUI_FAINT, "column, row from the top left · step %u%s", s->history->evaluations[s->evaluation].step,
                          a->look.unconditional ? " · unconditional half" : "");
    gui_font_end();
}

/* ---- ranked experts ---- */

/* One expert at a layer. `part` of the bar; hollow: not taken. */
static void row(app *a, const layer *l, uint32_t expert, float part, bool hollow, const char *text, float x, float width)
{
    const float high = gui_line_height(), name = gui_text_size("000").x, value = gui_text_size("00 of 00").x;
    const float y = gui_place().y, bar = fmaxf(width - name - value - gui_px(10), gui_px(12));
    const bool off = a->look.expert >= 0 && a->look.expert != (int)expert;
    char number[16];
    snprintf(number, sizeof number, "%u", expert);
    gui_place_set(x, y);
    gui_name_begin_number((int)expert);
    if (gui_area("expert", width, high))
        look_at(a, l);
    if (gui_hovered())
        gui_draw_filled(x, y, x + width, y + high, GUI_FIELD, 2);
    gui_tip("expert %u at %s: %s%s\nright click: switch it off, send patches to it, show it alone", expert, l->name, text,
            hollow ? " of the gate, not taken" : "");
    if (gui_menu_begin("act")) {
        steer_menu(a, l, expert);
        gui_menu_end();
    }
    gui_name_end();
    const float x0 = x + name, x1 = x0 + fmaxf(bar * fminf(part, 1), 2), y0 = y + high * 0.2f, y1 = y + high * 0.85f;
    gui_draw_text(x, y, hollow ? GUI_FAINT : GUI_TEXT_COLOUR, number);
    if (hollow)
        gui_draw_rectangle(x0, y0, x1, y1, colour_of(expert, 255), 1, 1);
    else
        gui_draw_filled(x0, y0, x1, y1, colour_of(expert, off ? 90 : 255), 1);
    gui_draw_text_fitted(x0 + bar + gui_px(6), y, width - name - bar - gui_px(6), hollow ? GUI_FAINT : GUI_TEXT_COLOUR, text);
    gui_place_set(x, y + high);
}

/* The gate's next best that were not taken, after the n taken ones. */
static void runners_up(app *a, const overlay_source *s, const layer *l, uint32_t half, const facts_share *taken, uint32_t n,
                       float x, float width)
{
    uint32_t targets;
    const float *shares = facts_scores(a, s, l, half, sight_picked(a), &targets);
    bool said[256] = {false};
    char text[24];
    targets = targets < 256 ? targets : 256;
    for (uint32_t i = 0; i < n; i++)
        if (taken[i].target < 256)
            said[taken[i].target] = true;
    for (; shares && n < RANKS - 1; n++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t t = 0; t < targets; t++)
            if (!said[t] && (best == UINT32_MAX || shares[t] > shares[best]))
                best = t;
        if (best == UINT32_MAX)
            return;
        said[best] = true;
        snprintf(text, sizeof text, "%.0f %%", 100 * (double)shares[best]);
        row(a, l, best, shares[best], true, text, x, width);
    }
}

static void by_times(facts_share *list, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = i; k > 0 && list[k].times > list[k - 1].times; k--) {
            facts_share share = list[k];
            list[k] = list[k - 1];
            list[k - 1] = share;
        }
}

static void half_of_layer(app *a, const overlay_source *s, const layer *l, uint32_t half, float x, float width)
{
    const overlay_cells picked = sight_picked(a);
    const uint32_t all = patches(s->history, picked);
    facts_share list[MOST_RANKED];
    uint32_t targets;
    const float *given = facts_given(a, s, l, half, picked, &targets);
    char text[32];
    if (!given)
        return;
    uint32_t n = facts_rank(given, targets, list, MOST_RANKED);
    if (all > 1) /* of several patches: who takes most of them */
        by_times(list, n);
    n = n < RANKS ? n : RANKS;
    for (uint32_t i = 0; i < n; i++) {
        if (all == 1)
            snprintf(text, sizeof text, "%.3f", (double)list[i].weight);
        else
            snprintf(text, sizeof text, "%.0f of %u", (double)list[i].times, all);
        row(a, l, list[i].target, all == 1 ? fabsf(list[i].weight) : list[i].times / (float)all, false, text, x, width);
    }
    if (!n) {
        gui_size at = gui_place();
        gui_draw_text(x, at.y, GUI_FAINT, "no expert");
        gui_place_set(x, at.y + gui_line_height());
    }
    if (all == 1)
        runners_up(a, s, l, half, list, n, x, width);
}

static void ranked(app *a, const overlay_source *s, const layer *const *list, uint32_t n)
{
    const layer *chosen = sight_layer(a, LOOK_EXPERT);
    const float wide = gui_available().x - gui_px(4);
    gui_font_begin(GUI_SMALL);
    for (uint32_t i = 0; i < n; i++) {
        const layer *l = list[i];
        const uint32_t halves = facts_halves(s, l);
        const float gap = gui_px(12), width = halves > 1 ? (wide - gap) / 2 : wide;
        float bottom = 0;
        gui_name_begin(l->name);
        if (gui_selectable(l->name, l == chosen, 0))
            look_at(a, l);
        gui_tip("look at this layer");
        const gui_size at = gui_place();
        if (!halves)
            gui_text_coloured(GUI_FAINT, "does not run at this step");
        for (uint32_t half = 0; half < halves && half < HALVES; half++) {
            gui_place_set(at.x + (float)half * (width + gap), at.y);
            gui_name_begin_number((int)half);
            if (halves > 1) {
                gui_draw_text(gui_place().x, at.y, GUI_FAINT, half ? "unconditional" : "conditional");
                gui_place_set(gui_place().x, at.y + gui_line_height());
            }
            half_of_layer(a, s, l, half, at.x + (float)half * (width + gap), width);
            gui_name_end();
            bottom = fmaxf(bottom, gui_place().y);
        }
        gui_name_end();
        if (halves) {
            gui_place_set(at.x, bottom + gui_px(4));
            gui_dummy(1, 1);
        }
    }
    gui_font_end();
}

/* ---- attended blocks ---- */

/* Mass of the blocks of keys as squares where they lie; false: it is not known (yet). */
static bool mass_map(app *a, const overlay_source *s, const layer *l, float side, bool chosen)
{
    layer_rows rows;
    uint32_t targets;
    const sy_history *h = s->history;
    const uint32_t half = facts_halves(s, l) > 1 && a->look.unconditional;
    const float *given = facts_given(a, s, l, half, sight_picked(a), &targets);
    const gui_size at = gui_place();
    if (gui_area("map", side, side))
        look_at(a, l);
    gui_draw_filled(at.x, at.y, at.x + side, at.y + side, GUI_FIELD, 0);
    bool ok = given && layer_rows_at(h, l, s->evaluation, &rows) && rows.key_side;
    float most = 0;
    for (uint32_t t = 0; ok && t < targets; t++)
        most = given[2 * t + 1] > 0 ? fmaxf(most, given[2 * t]) : most;
    for (uint32_t y = 0; ok && y < h->grid_height; y++)
        for (uint32_t x = 0; x < h->grid_width; x++) {
            uint32_t t = layer_block_at(h, l->regions, rows.key_side, x, y);
            if (t >= targets || given[2 * t + 1] <= 0 || most <= 0)
                continue;
            palette_colour c = palette_size(given[2 * t] / most);
            float w = side / (float)h->grid_width, v = side / (float)h->grid_height;
            gui_draw_filled(at.x + (float)x * w, at.y + (float)y * v, at.x + (float)(x + 1) * w, at.y + (float)(y + 1) * v,
                            GUI_RGB(c.r, c.g, c.b), 0);
        }
    if (chosen)
        gui_draw_rectangle(at.x, at.y, at.x + side, at.y + side, GUI_ACCENT, 0, gui_px(2));
    return ok;
}

static void blocks_of(app *a, const overlay_source *s, const layer *l)
{
    facts_share list[6];
    uint32_t targets;
    float sum = 0;
    const uint32_t half = facts_halves(s, l) > 1 && a->look.unconditional;
    const float *given = facts_given(a, s, l, half, sight_picked(a), &targets);
    if (!given)
        return;
    const uint32_t n = facts_rank(given, targets, list, 6);
    for (uint32_t t = 0; t < targets; t++)
        sum += given[2 * t];
    const float wide = gui_available().x - gui_px(4), value = gui_text_size("-00.000 (00 pairs)").x;
    for (uint32_t i = 0; i < n; i++) {
        char text[48];
        const gui_size at = gui_place();
        const float high = gui_line_height(), name = gui_text_size("block 000 ").x, bar = wide - name - value;
        const float part = list[0].weight > 0 ? fmaxf(list[i].weight / list[0].weight, 0) : 0;
        palette_colour c = palette_size(part);
        snprintf(text, sizeof text, "block %u", list[i].target);
        gui_draw_text(at.x, at.y, GUI_TEXT_COLOUR, text);
        gui_draw_filled(at.x + name, at.y + high * 0.2f, at.x + name + fmaxf(bar * part, 2), at.y + high * 0.85f,
                        GUI_RGB(c.r, c.g, c.b), 1);
        if (l->shares && sum > 0)
            snprintf(text, sizeof text, "%.1f %% of the mass", 100 * (double)(list[i].weight / sum));
        else
            snprintf(text, sizeof text, "score %.3g (%.0f x)", (double)list[i].weight, (double)list[i].times);
        gui_draw_text_fitted(at.x + name + bar + gui_px(6), at.y, value - gui_px(6), GUI_FAINT, text);
        gui_dummy(wide, high);
        gui_tip("Key block %u is read %.0f times by the heads and blocks of queries of what is picked%s.", list[i].target,
                (double)list[i].times, l->shares ? "" : "; scores are summed over them");
    }
    if (!n)
        gui_text_coloured(GUI_FAINT, "nothing is read at this step");
}

static void attended(app *a, const overlay_source *s, const layer *const *list, uint32_t n)
{
    const layer *chosen = sight_layer(a, LOOK_ATTENTION);
    const float side = gui_px(52), wide = gui_available().x;
    float x = 0;
    gui_font_begin(GUI_SMALL);
    for (uint32_t i = 0; i < n; i++) {
        if (x > 0 && x + side + gui_px(8) < wide)
            gui_same_line(gui_px(8));
        else
            x = 0;
        x += side + gui_px(8);
        gui_group_begin();
        gui_name_begin_number((int)i);
        mass_map(a, s, list[i], side, list[i] == chosen);
        gui_tip("%s: where what is picked looks, brighter is more. Click: look at this layer.", list[i]->name);
        gui_name_end();
        const gui_size at = gui_place();
        gui_draw_text_fitted(at.x, at.y, side, list[i] == chosen ? GUI_ACCENT : GUI_FAINT, list[i]->name);
        gui_dummy(side, gui_line_height());
        gui_group_end();
    }
    if (chosen) {
        gui_text_coloured(GUI_TEXT_COLOUR, "%s", chosen->name);
        blocks_of(a, s, chosen);
    }
    gui_font_end();
}

/* ---- the whole ---- */

static int strongest(app *a, const overlay_source *s, const layer *l)
{
    facts_share best;
    uint32_t targets;
    const float *given = facts_given(a, s, l, 0, sight_picked(a), &targets);
    return given && facts_rank(given, targets, &best, 1) ? (int)best.target : -1;
}

/* The same as JSON, for scripts: of every layer and half the ranked experts or blocks. NULL: not all is known yet. */
static cJSON *as_json(app *a, const overlay_source *s)
{
    const overlay_cells c = sight_picked(a);
    const layers *all = sight_layers(a, s);
    cJSON *object = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(object, "layers");
    cJSON_AddNumberToObject(object, "step", s->history->evaluations[s->evaluation].step);
    cJSON_AddNumberToObject(object, "evaluation", s->evaluation);
    cJSON_AddNumberToObject(object, "patches", patches(s->history, c));
    for (uint32_t i = 0; i < all->n; i++) {
        const layer *l = &all->list[i];
        for (uint32_t half = 0; l->kind <= LAYER_BLOCKS && half < facts_halves(s, l); half++) {
            static facts_share ranks[4096];
            uint32_t targets;
            const float *given = facts_given(a, s, l, half, c, &targets);
            if (!given) {
                cJSON_Delete(object);
                return NULL;
            }
            cJSON *one = cJSON_CreateObject(), *shares = cJSON_AddArrayToObject(one, "targets");
            cJSON_AddStringToObject(one, "layer", l->name);
            cJSON_AddNumberToObject(one, "half", half);
            for (uint32_t k = 0, n = facts_rank(given, targets, ranks, 4096); k < n; k++) {
                cJSON *share = cJSON_CreateObject();
                cJSON_AddNumberToObject(share, "target", ranks[k].target);
                cJSON_AddNumberToObject(share, "weight", (double)ranks[k].weight);
                cJSON_AddNumberToObject(share, "times", (double)ranks[k].times);
                cJSON_AddItemToArray(shares, share);
            }
            cJSON_AddItemToArray(list, one);
        }
    }
    return object;
}

void panel_patch(app *a)
{
    overlay_source s;
    const layer *experts[LAYERS], *blocks[LAYERS];
    if (!sight_source(a, SIGHT_NOW, &s)) {
        small("What a patch of the picture goes through comes here: generate, then click one.");
        return;
    }
    if (numbers_wanted(a))
        numbers_give(a, as_json(a, &s));
    const overlay_cells picked = sight_picked(a);
    const uint32_t n = facts_layers(a, &s, LAYER_EXPERTS, experts, LAYERS);
    const uint32_t m = facts_layers(a, &s, LAYER_BLOCKS, blocks, LAYERS);
    if (!n && !m) {
        small("This model routes nothing: no experts, no chosen blocks. Its steps, and the energy of its skips where it has "
              "them, are under Stats.");
        return;
    }
    title(a, &s, picked);
    const layer *chosen = sight_layer(a, LOOK_EXPERT);
    if (n && gui_header("Path through the layers", true))
        ribbon_layers(a, &s, picked, gui_px(170));
    if (chosen && gui_header("Steer", true))
        steer_section(a, chosen, strongest(a, &s, chosen));
    if (n && gui_header("Experts by weight", true)) {
        ranked(a, &s, experts, n);
        small(patches(s.history, picked) == 1 ? "Filled: taken, with its weight. Hollow: next in the gate's scores, with their "
                                                "share. Right click: switch off, send to."
                                              : "How many of the patches each takes. Right click: switch off, send to.");
    }
    if (m && gui_header("Attended blocks", true))
        attended(a, &s, blocks, m);
    char text[96];
    snprintf(text, sizeof text, "%s over the steps###steps", chosen ? chosen->name : "");
    if (chosen && gui_header(text, true))
        ribbon_steps(a, chosen, picked, gui_px(120));
}
