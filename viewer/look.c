/* See look.h. */
#include "viewer/look.h"
#include "viewer/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct field {
    const char *name;
    enum { IS_NUMBER, IS_FLAG, IS_REAL, IS_TEXT } type;
    size_t offset;
} field;

#define NUMBER(name, first) {#name, IS_NUMBER, offsetof(look, name)},
#define FLAG(name, first) {#name, IS_FLAG, offsetof(look, name)},
#define REAL(name, first) {#name, IS_REAL, offsetof(look, name)},
#define TEXT(name) {#name, IS_TEXT, offsetof(look, name)},
static const field fields[] = {LOOK_FIELDS(NUMBER, FLAG, REAL, TEXT)};
static const field layout_fields[] = {LOOK_LAYOUT(NUMBER, FLAG, REAL, TEXT)};
#undef NUMBER
#undef FLAG
#undef REAL
#undef TEXT

void look_reset(look *l)
{
    memset(l, 0, sizeof *l);
#define VALUE(name, first) l->name = first;
#define TEXT(name) l->name[0] = 0;
    LOOK_FIELDS(VALUE, VALUE, VALUE, TEXT)
    LOOK_LAYOUT(VALUE, VALUE, VALUE, TEXT)
#undef VALUE
#undef TEXT
}

static const field *table(bool layout, size_t *n)
{
    *n = layout ? sizeof layout_fields / sizeof *layout_fields : sizeof fields / sizeof *fields;
    return layout ? layout_fields : fields;
}

static bool add_fields(const look *l, bool layout, cJSON *object)
{
    size_t n;
    const field *list = table(layout, &n);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const void *value = (const char *)l + list[i].offset;
        if (list[i].type == IS_NUMBER)
            ok = cJSON_AddNumberToObject(object, list[i].name, *(const int *)value);
        else if (list[i].type == IS_FLAG)
            ok = cJSON_AddBoolToObject(object, list[i].name, *(const bool *)value);
        else if (list[i].type == IS_REAL)
            ok = cJSON_AddNumberToObject(object, list[i].name, (double)*(const float *)value);
        else
            ok = cJSON_AddStringToObject(object, list[i].name, value);
    }
    return ok;
}

cJSON *look_to_json(const look *l, bool layout)
{
    cJSON *object = cJSON_CreateObject();
    if (object && (layout || add_fields(l, false, object)) && add_fields(l, true, object))
        return object;
    cJSON_Delete(object);
    return NULL;
}

static void take_fields(look *l, bool layout, const cJSON *object)
{
    size_t n;
    const field *list = table(layout, &n);
    for (size_t i = 0; i < n; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, list[i].name);
        void *value = (char *)l + list[i].offset;
        if (list[i].type == IS_NUMBER && cJSON_IsNumber(item) && fabs(item->valuedouble) < 1e9)
            *(int *)value = (int)item->valuedouble;
        else if (list[i].type == IS_FLAG && cJSON_IsBool(item))
            *(bool *)value = cJSON_IsTrue(item);
        else if (list[i].type == IS_REAL && cJSON_IsNumber(item) && fabs(item->valuedouble) < 1e9)
            *(float *)value = (float)item->valuedouble;
        else if (list[i].type == IS_TEXT && cJSON_IsString(item))
            snprintf(value, LOOK_NAME, "%s", item->valuestring);
    }
}

static float within(float x, float least, float most)
{
    return x >= least ? x <= most ? x : most : least;
}

/* What other code divides by or indexes with is kept in range, whatever the file said. */
static void mend(look *l)
{
    l->overlay = l->overlay >= 0 && l->overlay < LOOK_OVERLAY_COUNT ? l->overlay : LOOK_NONE;
    l->comparison = l->comparison >= 0 && l->comparison < LOOK_COMPARISON_COUNT ? l->comparison : LOOK_ALONE;
    l->opacity = within(l->opacity, 0, 1);
    l->split = within(l->split, 0, 1);
    l->zoom = within(l->zoom, 0.1f, 100);
    l->speed = within(l->speed, 0.1f, 60);
    l->left = within(l->left, 200, 800);
    l->right = within(l->right, 200, 1200);
    l->bottom = within(l->bottom, 60, 1000);
    l->text_scale = within(l->text_scale, 0.5f, 3);
    l->window_width = (int)within((float)l->window_width, 640, 8192);
    l->window_height = (int)within((float)l->window_height, 400, 8192);
    l->picture = l->picture < 0 ? 0 : l->picture;
    l->patch_width = l->patch_width < 1 ? 1 : l->patch_width;
    l->patch_height = l->patch_height < 1 ? 1 : l->patch_height;
}

void look_from_json(look *l, const cJSON *object, bool layout)
{
    if (!layout)
        take_fields(l, false, object);
    take_fields(l, true, object);
    mend(l);
}

static const char layout_file[] = "viewer.json";

void look_recall(look *l)
{
    char path[4200], error[256];
    size_t n;
    char *text = file_config(layout_file, path, sizeof path) ? file_read(path, &n, error, sizeof error) : NULL;
    cJSON *object = text ? cJSON_Parse(text) : NULL;
    if (object)
        look_from_json(l, object, true);
    cJSON_Delete(object);
    free(text);
}

void look_remember(const look *l)
{
    char path[4200], error[256];
    cJSON *object = look_to_json(l, true);
    char *text = object ? cJSON_Print(object) : NULL;
    if (text && file_config(layout_file, path, sizeof path))
        file_write(path, text, strlen(text), error, sizeof error);
    cJSON_Delete(object);
    free(text);
}

#define X(id, name, text) {name, text},
static const char *const overlays[][2] = {LOOK_OVERLAYS(X)};
static const char *const comparisons[][2] = {LOOK_COMPARISONS(X)};
#undef X

const char *look_overlay_name(int overlay)
{
    return overlay >= 0 && overlay < LOOK_OVERLAY_COUNT ? overlays[overlay][0] : NULL;
}

const char *look_overlay_text(int overlay)
{
    return overlay >= 0 && overlay < LOOK_OVERLAY_COUNT ? overlays[overlay][1] : NULL;
}

const char *look_comparison_name(int comparison)
{
    return comparison >= 0 && comparison < LOOK_COMPARISON_COUNT ? comparisons[comparison][0] : NULL;
}

const char *look_comparison_text(int comparison)
{
    return comparison >= 0 && comparison < LOOK_COMPARISON_COUNT ? comparisons[comparison][1] : NULL;
}
