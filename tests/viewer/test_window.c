/* The real window, on a display of its own (Xvfb), driven by mouse and keyboard (xdotool): what is seen on the screen agrees,
 * patch by patch, with the raw routes exported from the same run; scrubbing changes it; an expert that is switched off is in
 * no route; resizing and hiding while a run goes on harm nothing; the validation layer stays silent. */
#include "tests/check.h"
#include "help_desktop.h"
#include "viewer/file.h"
#include "viewer/palette.h"

#include <cjson/cJSON.h>

enum { GRID = 8, TOKENS = GRID * GRID, STEPS = 6 };

/* What the default model is known to have: the conditional half of a guided batch comes first, one expert a token. */
static const char shown_layer[] = "blocks.1.route";

/* ---- what was exported ---- */

typedef struct routes {
    char *data;
    cJSON *header;
} routes;

static const int32_t *array(const routes *r, const char *layer, const char *part, size_t *n)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(r->header, name), "data_offsets");
    uint64_t length;
    memcpy(&length, r->data, 8);
    REQUIRE(cJSON_GetArraySize(offsets) == 2);
    double begin = cJSON_GetArrayItem(offsets, 0)->valuedouble, end = cJSON_GetArrayItem(offsets, 1)->valuedouble;
    *n = (size_t)(end - begin) / 4;
    return (const int32_t *)(const void *)(r->data + 8 + length + (size_t)begin);
}

/* The expert of each patch of one step, from the rows of the conditional half: the one of the largest weight. */
static void experts_at(const routes *r, const char *layer, uint32_t step, int32_t expert[TOKENS])
{
    size_t n, steps, at = 0;
    float best[TOKENS];
    const int32_t *counts = array(r, layer, "counts", &steps), *rows = array(r, layer, "rows", &n);
    const int32_t *targets = array(r, layer, "targets", &n), *weights = array(r, layer, "weights", &n);
    REQUIRE(step < steps);
    at = n / steps * step;
    for (int i = 0; i < TOKENS; i++)
        expert[i] = -1;
    for (int32_t i = 0; i < counts[step]; i++, at++) {
        float weight;
        memcpy(&weight, &weights[at], 4);
        REQUIRE(rows[at] >= 0 && rows[at] < 2 * TOKENS);
        if (rows[at] < TOKENS && (expert[rows[at]] < 0 || weight > best[rows[at]])) {
            expert[rows[at]] = targets[at];
            best[rows[at]] = weight;
        }
    }
    for (int i = 0; i < TOKENS; i++)
        CHECK_SAY(expert[i] >= 0, "%s: token %d has no expert", layer, i);
}

static bool goes_anywhere(const routes *r, int32_t expert)
{
    bool any = false;
    for (const cJSON *item = r->header->child; item; item = item->next) {
        const char *end = strstr(item->string, ".route.targets");
        size_t n;
        if (!end)
            continue;
        char layer[96];
        snprintf(layer, sizeof layer, "%.*s.route", (int)(end - item->string), item->string);
        const int32_t *targets = array(r, layer, "targets", &n);
        for (size_t i = 0; i < n; i++)
            any = any || targets[i] == expert;
    }
    return any;
}

/* Presses Ctrl T until the run has ended and the file is there. */
static routes export_routes(desktop *d)
{
    routes r = {0};
    uint64_t length = 0;
    size_t bytes;
    char error[300], path[400];
    snprintf(path, sizeof path, "%s/routes.safetensors", d->folder);
    remove(path);
    for (int i = 0; i < 60 && !r.data; i++) {
        if (i > 0) /* the banner that says that the run has to end first */
            desktop_do(d, "key Escape sleep 0.3");
        desktop_do(d, "key ctrl+t sleep 0.4");
        r.data = file_read(path, &bytes, error, sizeof error);
    }
    REQUIRE(r.data && bytes > 8);
    memcpy(&length, r.data, 8);
    REQUIRE(length < bytes - 8 && (r.header = cJSON_ParseWithLength(r.data + 8, length)));
    return r;
}

static void routes_free(routes *r)
{
    cJSON_Delete(r->header);
    free(r->data);
}

/* What the window says of itself, by Ctrl S. The caller's. */
static cJSON *exploration(desktop *d)
{
    char error[300], path[400];
    size_t bytes;
    char *text = NULL;
    snprintf(path, sizeof path, "%s/exploration.json", d->folder);
    remove(path);
    for (int i = 0; i < 40 && !text; i++) {
        desktop_do(d, "key ctrl+s sleep 0.3");
        text = file_read(path, &bytes, error, sizeof error);
    }
    REQUIRE(text);
    cJSON *o = cJSON_ParseWithLength(text, bytes);
    REQUIRE(o);
    free(text);
    return o;
}

static double number(const cJSON *o, const char *part, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(o, part), name);
    return cJSON_IsNumber(item) ? item->valuedouble : -1e9;
}

static bool runs_with(desktop *d, const char *prompt)
{
    cJSON *o = exploration(d);
    const char *is = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(o, "run"), "prompt"));
    bool same = is && !strcmp(is, prompt);
    cJSON_Delete(o);
    return same;
}

/* ---- what is seen ---- */

typedef struct place {
    int x, y, side, agree; /* side of a patch, in pixels; patches that agree */
} place;

static bool is(const screen *s, int x, int y, palette_colour c)
{
    uint32_t p = screen_at(s, x, y);
    return p == ((uint32_t)c.r << 16 | (uint32_t)c.g << 8 | c.b);
}

/* Where on the screen the map lies: patches of one colour each from edge to edge, in squares of at least 24 pixels, over a
 * background. The place where most of them agree. A patch is looked at in its middle and near two corners. */
static place find(const screen *s, const int32_t expert[TOKENS])
{
    place best = {0};
    for (int y = 1; y < s->height - GRID * 24; y++)
        for (int x = 1; x < s->width - GRID * 24; x++) {
            palette_colour first = palette_expert((uint32_t)expert[0]);
            if (!is(s, x, y, first) || screen_at(s, x - 1, y) != screen_at(s, x - 1, y - 1) ||
                screen_at(s, x, y - 1) != screen_at(s, x - 1, y - 1) || is(s, x - 1, y, first))
                continue;
            for (int whole = GRID * 24; whole < s->height - y && whole < s->width - x; whole++) {
                int agree = 0;
                for (int t = 0; t < TOKENS; t++) {
                    int x0 = x + t % GRID * whole / GRID, y0 = y + t / GRID * whole / GRID, side = whole / GRID;
                    palette_colour c = palette_expert((uint32_t)expert[t]);
                    agree += is(s, x0 + 6, y0 + 6, c) && is(s, x0 + side / 2, y0 + side / 2, c) &&
                             is(s, x0 + side - 7, y0 + side - 7, c);
                }
                if (agree > best.agree || (agree == best.agree && whole / GRID > best.side))
                    best = (place){x, y, whole / GRID, agree};
            }
        }
    return best;
}

/* Waits until the screen shows these experts. */
static place expect_map(desktop *d, const int32_t expert[TOKENS], const char *what)
{
    place p = {0};
    for (int i = 0; i < 20 && p.agree < TOKENS; i++) {
        desktop_do(d, "sleep 0.3");
        screen s = desktop_look(d);
        p = find(&s, expert);
        screen_free(&s);
    }
    CHECK_SAY(p.agree == TOKENS && p.side > 30, "%s: %d of %d patches on the screen are of the colour of their expert", what,
              p.agree, TOKENS);
    return p;
}

/* ---- sessions ---- */

/* Types over what the field has and enters it, until the run is made of it. */
static void prompt(desktop *d, const char *text)
{
    bool there = false;
    for (int i = 0; i < 5 && !there; i++) {
        desktop_do(d, "key slash sleep 0.4 key ctrl+a sleep 0.1 type --delay 40 '%s'", text);
        desktop_do(d, "sleep 0.2 key Return sleep 0.5");
        there = runs_with(d, text);
    }
    CHECK_SAY(there, "\"%s\" was typed and entered, and the run is of another prompt", text);
}

static void check_pick(desktop *d, const place *p)
{
    cJSON *o;
    desktop_do(d, "mousemove %d %d sleep 0.2 click 1 sleep 0.3", p->x + 3 * p->side + p->side / 2, p->y + 5 * p->side + p->side / 2);
    o = exploration(d);
    CHECK_SAY(number(o, "look", "patch_x") == 3 && number(o, "look", "patch_y") == 5, "picked: %g, %g", number(o, "look", "patch_x"),
              number(o, "look", "patch_y"));
    cJSON_Delete(o);
    desktop_do(d, "mousemove %d %d sleep 0.2 mousedown 1 sleep 0.2 mousemove %d %d sleep 0.2 mouseup 1 sleep 0.3",
               p->x + p->side / 2, p->y + p->side / 2, p->x + 2 * p->side + p->side / 2, p->y + p->side + p->side / 2);
    o = exploration(d);
    CHECK(number(o, "look", "patch_x") == 0 && number(o, "look", "patch_width") == 3 && number(o, "look", "patch_height") == 2);
    cJSON_Delete(o);
    desktop_do(d, "key x mousemove 2 2 sleep 0.2");
    o = exploration(d);
    CHECK(number(o, "look", "patch_x") == -1);
    cJSON_Delete(o);
}

/* A prompt is typed, the run made and exported; the screen shows what was exported, at the last step, at the first and on
 * the way back; patches are picked. Returns an expert of some patch. */
static int32_t check_routes(desktop *d)
{
    int32_t last[TOKENS], first[TOKENS];
    char error[300], path[400];
    size_t bytes;
    desktop_start(d, "--prompt owl --seed 3 --steps 6 --guidance 2 --size 1100x760", "routes.log");
    prompt(d, "cat face");
    desktop_do(d, "mousemove 2 2 key --repeat 6 --delay 120 bracketright");
    routes r = export_routes(d);
    experts_at(&r, shown_layer, STEPS - 1, last);
    experts_at(&r, shown_layer, 0, first);
    REQUIRE(memcmp(first, last, sizeof first) != 0); /* else the next two say nothing */
    place p = expect_map(d, last, "the last step");
    desktop_do(d, "key Home");
    expect_map(d, first, "the first step");
    desktop_do(d, "key End");
    expect_map(d, last, "the last step again");
    check_pick(d, &p);
    desktop_do(d, "key ctrl+e sleep 0.5");
    snprintf(path, sizeof path, "%s/view.png", d->folder);
    char *png = file_read(path, &bytes, error, sizeof error);
    CHECK_SAY(png && bytes > 1000 && !memcmp(png, "\x89PNG", 4), "Ctrl E: %s", png ? "no PNG" : error);
    free(png);
    CHECK(goes_anywhere(&r, last[0]));
    routes_free(&r);
    desktop_end(d);
    return last[0];
}

/* The same with that expert switched off; meanwhile the window changes its size, goes and comes back. */
static void check_off(desktop *d, int32_t expert)
{
    static const int sizes[][2] = {{700, 500}, {1180, 840}, {900, 420}, {641, 800}, {1100, 760}};
    int32_t last[TOKENS];
    char text[120], error[300], path[400];
    snprintf(path, sizeof path, "%s/off.script", d->folder);
    snprintf(text, sizeof text, "steer * off %d\nopacity 1\n", expert);
    REQUIRE(file_write(path, text, strlen(text), error, sizeof error));
    desktop_start(d, "--prompt owl --seed 3 --steps 60 --guidance 2 --size 1100x760 --script off.script", "off.log");
    prompt(d, "cat face");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        desktop_do(d, "windowsize %s %d %d sleep 0.15", d->window, sizes[i][0], sizes[i][1]);
    desktop_do(d, "windowunmap %s sleep 0.4 windowmap %s sleep 0.3 windowfocus %s mousemove 2 2", d->window, d->window, d->window);
    routes r = export_routes(d);
    CHECK_SAY(!goes_anywhere(&r, expert), "expert %d was switched off and has tokens", expert);
    experts_at(&r, shown_layer, 59, last);
    expect_map(d, last, "with an expert switched off");
    routes_free(&r);
    desktop_end(d);
}

int main(void)
{
    desktop d;
    const char *driver = getenv("SWITCHYARD_TEST_DRIVER");
    if (driver && !strcmp(driver, "swiftshader")) /* whose frames take so long on a busy machine that keys are early */
        return check_skip("a person's hands are imitated on lavapipe alone");
    const char *why = desktop_open(&d, 1280, 900);
    if (why)
        return check_skip(why);
    int32_t expert = check_routes(&d);
    check_off(&d, expert);
    desktop_close(&d);
    return check_done();
}
