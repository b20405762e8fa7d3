/* See the header. Values are text of anybody: numbers are bounded by their row, lists by their count. */
#include "graph/zoo/settings.h"

#include "graph/base/nearest.h"
#include "graph/import/safetensors.h"
#include "graph/zoo/networks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const sy_setting_row sy_setting_table[] = {
#define SY_SETTING(name, value, least, most, count, where, doc) {name, value, where, doc, least, most, count},
#include "graph/zoo/settings.def"
#undef SY_SETTING
    {NULL, NULL, NULL, NULL, 0, 0, 0},
};

const sy_setting_row *sy_setting_find(const char *name)
{
    for (const sy_setting_row *row = sy_setting_table; row->name; row++)
        if (name && !strcmp(row->name, name))
            return row;
    return NULL;
}

/* Is `word` (so many characters) among the words of a list? */
static bool among(const char *list, char comma, const char *word, size_t size, int32_t *index)
{
    *index = 0;
    for (const char *at = list; at; ++*index) {
        const char *end = strchr(at, comma);
        size_t n = end ? (size_t)(end - at) : strlen(at);
        if (n == size && !strncmp(at, word, n))
            return true;
        at = end ? end + 1 : NULL;
    }
    return false;
}

/* Reads at most `row->count` numbers of its range into values, which may be NULL. */
static bool read_numbers(const sy_setting_row *row, const char *text, double *values, int32_t *count, sy_error *error)
{
    *count = 0;
    for (const char *at = text;;) {
        char *end;
        double x = strtod(at, &end);
        if (end == at || (*end && *end != ',') || *count == row->count)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the setting %s is \"%.60s\"; it takes %s", row->name, text,
                           row->value);
        if (!(x >= row->least && x <= row->most))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the setting %s is \"%.60s\"; it takes %s from %g to %g",
                           row->name, text, row->count > 1 ? "numbers" : "a number", row->least, row->most);
        if (values)
            values[*count] = x;
        ++*count;
        if (!*end)
            return true;
        at = end + 1;
    }
}

static bool read_word(const sy_setting_row *row, const char *text, int32_t *choice, sy_error *error)
{
    return among(row->value, '|', text, strlen(text), choice) ||
           sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the setting %s is \"%.60s\"; it takes %s", row->name, text,
                   row->value);
}

static bool fits(const sy_setting_row *row, const sy_network_config *config)
{
    static const char *const objectives[] = {
        [SY_OBJECTIVE_DDPM] = "ddpm",
        [SY_OBJECTIVE_FLOW] = "flow",
        [SY_OBJECTIVE_FLOW_REVERSED] = "flow-reversed",
        [SY_OBJECTIVE_EDM] = "edm",
    };
    const char *objective = objectives[config->objective];
    int32_t index;
    return !*row->where || among(row->where, ',', config->architecture, strlen(config->architecture), &index) ||
           among(row->where, ',', objective, strlen(objective), &index);
}

static bool unknown(const char *name, sy_error *error)
{
    sy_nearest nearest = {.wanted = name};
    for (const sy_setting_row *row = sy_setting_table; row->name; row++)
        sy_nearest_offer(&nearest, row->name);
    return sy_fail(error, SY_CODE_NOT_FOUND, "there is no setting \"%.60s\"%s%s%s; `switchyard settings` lists them",
                   name, nearest.best ? "; did you mean " : "", nearest.best ? nearest.best : "",
                   nearest.best ? "?" : "");
}

bool sy_settings_check(const sy_network_config *config, sy_error *error)
{
    for (uint32_t i = 0; i < config->n_settings; i++) {
        const sy_setting *s = &config->settings[i];
        if (!s->name || !s->value)
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "a setting has no name or no value");
        const sy_setting_row *row = sy_setting_find(s->name);
        int32_t count;
        if (!row)
            return unknown(s->name, error);
        for (uint32_t k = 0; k < i; k++)
            if (!strcmp(config->settings[k].name, s->name))
                return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the setting %s was given twice", s->name);
        if (row->count ? !read_numbers(row, s->value, NULL, &count, error) : !read_word(row, s->value, &count, error))
            return false;
        if (!fits(row, config))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                           "the setting %s does nothing for this model, which is %s: it is for %s", s->name,
                           config->architecture, row->where);
    }
    return true;
}

const char *sy_setting_text(const sy_network_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->n_settings; i++)
        if (!strcmp(config->settings[i].name, name))
            return config->settings[i].value;
    return config->file ? sy_zoo_metadata(config->file, name) : NULL;
}

bool sy_zoo_numbers(const sy_network_config *config, const char *name, double *values, int32_t room, int32_t *count,
                    sy_error *error)
{
    const char *text = sy_setting_text(config, name);
    const sy_setting_row *row = sy_setting_find(name);
    *count = 0;
    if (!text || !*text)
        return true;
    sy_setting_row own = row ? *row : (sy_setting_row){.name = name, .value = "numbers with commas between"};
    if (!row) { /* what only builders know of */
        own.least = -1e30;
        own.most = 1e30;
        own.count = room;
    }
    own.count = own.count < room ? own.count : room;
    return read_numbers(&own, text, values, count, error);
}

bool sy_setting_number(const sy_network_config *config, const char *name, double otherwise, double *value,
                       sy_error *error)
{
    int32_t count;
    *value = otherwise;
    return sy_zoo_numbers(config, name, value, 1, &count, error);
}

bool sy_setting_choice(const sy_network_config *config, const char *name, int32_t *choice, sy_error *error)
{
    const char *text = sy_setting_text(config, name);
    const sy_setting_row *row = sy_setting_find(name);
    *choice = 0;
    return !text || !row || read_word(row, text, choice, error);
}
