/* See steer.h. */
#include "viewer/steer.h"

#include <stdio.h>
#include <string.h>

static void add(app *a, const layer *l, sy_steer rule)
{
    engine_request *q = &a->request;
    engine_steer s = {.rule = rule};
    if (l)
        snprintf(s.route, sizeof s.route, "%.57s.route", l->name);
    for (uint32_t i = 0; i < q->n_steers; i++)
        if (!strcmp(q->steers[i].route, s.route) && !memcmp(&q->steers[i].rule, &rule, sizeof rule))
            return;
    if (q->n_steers == ENGINE_STEERS) {
        app_complain(a, true, "There are %d rules already; take one out first.", ENGINE_STEERS);
        return;
    }
    q->steers[q->n_steers++] = s;
    app_generate(a);
}

static void take_out(app *a, uint32_t index)
{
    engine_request *q = &a->request;
    q->n_steers--;
    memmove(&q->steers[index], &q->steers[index + 1], (q->n_steers - index) * sizeof *q->steers);
    app_generate(a);
}

void steer_off(app *a, const layer *l, uint32_t expert)
{
    sy_steer rule;
    memset(&rule, 0, sizeof rule); /* rules are compared as bytes */
    rule.kind = SY_STEER_OFF;
    rule.target = (int32_t)expert;
    add(a, l, rule);
}

void steer_to(app *a, const layer *l, uint32_t expert, overlay_cells c)
{
    sy_steer rule;
    memset(&rule, 0, sizeof rule);
    rule.kind = SY_STEER_TO;
    rule.target = (int32_t)expert;
    if (c.x0 <= c.x1) {
        rule.x = c.x0;
        rule.y = c.y0;
        rule.width = c.x1 - c.x0 + 1;
        rule.height = c.y1 - c.y0 + 1;
    }
    add(a, l, rule);
}

void steer_text(const engine_steer *s, char *out, size_t size)
{
    static const char end[] = ".route";
    char where[96] = "all layers", what[96] = "";
    const sy_steer *r = &s->rule;
    size_t n = strlen(s->route);
    if (n > strlen(end) && !strcmp(s->route + n - strlen(end), end))
        n -= strlen(end);
    if (n)
        snprintf(where, sizeof where, "%.*s", (int)n, s->route);
    if (r->width)
        snprintf(what, sizeof what, "patches %u, %u to %u, %u ", r->x, r->y, r->x + r->width - 1, r->y + r->height - 1);
    else if (r->kind == SY_STEER_TO)
        snprintf(what, sizeof what, "all patches ");
    if (r->kind == SY_STEER_OFF)
        snprintf(out, size, "%s: expert %d off%s%s", where, r->target, *what ? " for " : "", what);
    else
        snprintf(out, size, "%s: %sto expert %d", where, what, r->target);
}

static bool picks(const app *a)
{
    return a->look.patch_x >= 0 && a->look.patch_y >= 0;
}

void steer_menu(app *a, const layer *l, uint32_t expert)
{
    char text[120];
    snprintf(text, sizeof text, "Switch expert %u off in %s", expert, l->name);
    if (gui_menu_item(text, NULL, false))
        steer_off(a, l, expert);
    snprintf(text, sizeof text, "Switch expert %u off in all layers", expert);
    if (gui_menu_item(text, NULL, false))
        steer_off(a, NULL, expert);
    snprintf(text, sizeof text, picks(a) ? "Send what is picked to expert %u in %s" : "Send all patches to expert %u in %s",
             expert, l->name);
    if (gui_menu_item(text, NULL, false))
        steer_to(a, l, expert, sight_picked(a));
    snprintf(text, sizeof text, a->look.expert == (int)expert ? "Show all experts" : "Show expert %u alone", expert);
    if (gui_menu_item(text, NULL, false))
        a->look.expert = a->look.expert == (int)expert ? -1 : (int)expert;
}

static void rules(app *a)
{
    char text[200];
    for (uint32_t i = 0; i < a->request.n_steers; i++) {
        gui_name_begin_number((int)i);
        steer_text(&a->request.steers[i], text, sizeof text);
        if (gui_button_small("x")) {
            take_out(a, i);
            gui_name_end();
            return;
        }
        gui_tip("take this rule out and make the run anew");
        gui_same_line(-1);
        gui_text_wrapped(GUI_TEXT_COLOUR, "%s", text);
        gui_name_end();
    }
    if (!a->request.n_steers) {
        gui_text_wrapped(GUI_FAINT, "No rule: tokens go where the network sends them.");
        return;
    }
    if (gui_button("Undo the last", 0))
        take_out(a, a->request.n_steers - 1);
    gui_same_line(-1);
    if (gui_button("Remove all", 0)) {
        a->request.n_steers = 0;
        app_generate(a);
    }
}

void steer_section(app *a, const layer *l, int strongest)
{
    static int chosen = -1; /* follows the strongest until another is taken */
    static bool everywhere;
    int expert = a->look.expert >= 0 ? a->look.expert : chosen >= 0 ? chosen : strongest >= 0 ? strongest : 0;
    expert = expert < l->targets ? expert : l->targets - 1;
    gui_next_width(gui_px(110));
    if (gui_number("expert", &expert, 1, 0, l->targets - 1))
        chosen = a->look.expert = expert;
    gui_tip("Which expert; it is shown alone in the picture. At first the strongest of what is picked.");
    gui_same_line(-1);
    gui_checkbox("in all layers", &everywhere);
    const layer *where = everywhere ? NULL : l;
    if (gui_button("Switch it off", 0))
        steer_off(a, where, (uint32_t)expert);
    gui_tip("Nothing is routed to expert %d %s%s; the run is made anew from the same noise.", expert,
            everywhere ? "in all layers" : "in ", everywhere ? "" : l->name);
    gui_same_line(-1);
    if (gui_button(picks(a) ? "Send the picked here" : "Send all patches here", 0))
        steer_to(a, where, (uint32_t)expert, sight_picked(a));
    gui_tip("The patches go to expert %d before all others; its weight is what the router gives it.", expert);
    rules(a);
}
