/* The table of systems; see the header. A file of lines: those that begin with # are its head, then the names of the
 * columns, then a row a line with tabs between the cells. The text is cut up where it lies. */
#include "graph/zoo/systems.h"
#include "graph/emit/embedded.h"
#include "graph/zoo/settings.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 7, MOST_ROWS = 4096 };
static const char *const columns[COLUMNS] = {"key", "title", "kind", "tier", "builder", "check", "show"};

/* Cuts the line at `at` into cells and moves *at to the next line. */
static bool cut(char **at, uint32_t number, char *cells[COLUMNS], sy_error *error)
{
    char *line = *at, *end = strchr(line, '\n');
    if (end)
        *end = '\0';
    *at = end ? end + 1 : line + strlen(line);
    int n = 0;
    for (char *cell = line; cell; n++) {
        char *tab = strchr(cell, '\t');
        if (tab)
            *tab = '\0';
        if (!*cell)
            return sy_fail(error, SY_CODE_INVALID_FILE, "Line %u of the table of systems has an empty cell.", number);
        if (n < COLUMNS)
            cells[n] = cell;
        cell = tab ? tab + 1 : NULL;
    }
    return n == COLUMNS || sy_fail(error, SY_CODE_INVALID_FILE, "Line %u of the table of systems has %d cells, not %d.",
                                   number, n, COLUMNS);
}

static const char *said(const char *cell)
{
    return strcmp(cell, "-") ? cell : "";
}

static bool add_row(sy_systems *systems, char *const cells[COLUMNS], uint32_t number, sy_error *error)
{
    const char *tier = cells[3];
    if (tier[0] < '0' || tier[0] > '3' || tier[1])
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "The tier on line %u of the table of systems is \"%.20s\"; it must be 0 to 3.", number, tier);
    if (sy_systems_find(systems, cells[0]))
        return sy_fail(error, SY_CODE_INVALID_FILE, "The table of systems has \"%.40s\" twice, again on line %u.",
                       cells[0], number);
    if (systems->count == MOST_ROWS)
        return sy_fail(error, SY_CODE_INVALID_FILE, "The table of systems has more than %d rows.", MOST_ROWS);
    sy_system *row = &systems->rows[systems->count++];
    *row = (sy_system){.key = cells[0],
                       .title = cells[1],
                       .kind = cells[2],
                       .tier = tier[0] - '0',
                       .builder = said(cells[4]),
                       .check = said(cells[5]),
                       .show = said(cells[6])};
    row->runs = *row->builder && *row->check;
    return true;
}

static bool read_rows(sy_systems *systems, sy_error *error)
{
    bool named = false;
    uint32_t number = 1;
    for (char *at = systems->text; *at; number++) {
        char *cells[COLUMNS];
        if (*at == '#') {
            char *end = strchr(at, '\n');
            at = end ? end + 1 : at + strlen(at);
            continue;
        }
        if (!cut(&at, number, cells, error))
            return false;
        if (named && !add_row(systems, cells, number, error))
            return false;
        for (int i = 0; !named && i < COLUMNS; i++)
            if (strcmp(cells[i], columns[i]))
                return sy_fail(error, SY_CODE_INVALID_FILE,
                               "Column %d of the table of systems is \"%.40s\"; it must be \"%s\".", i + 1, cells[i],
                               columns[i]);
        named = true;
    }
    return true;
}

sy_systems *sy_systems_parse(const char *text, size_t size, sy_error *error)
{
    sy_systems *systems = calloc(1, sizeof *systems);
    if (systems) {
        systems->rows = calloc(MOST_ROWS, sizeof *systems->rows);
        systems->text = malloc(size + 1);
    }
    if (!systems || !systems->rows || !systems->text) {
        sy_systems_destroy(&systems);
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "No memory for the table of systems.");
        return NULL;
    }
    memcpy(systems->text, text, size);
    systems->text[size] = '\0';
    if (!read_rows(systems, error))
        sy_systems_destroy(&systems);
    return systems;
}

sy_systems *sy_systems_create(sy_error *error)
{
    return sy_systems_parse(sy_embedded_systems[0].data, sy_embedded_systems[0].size, error);
}

void sy_systems_destroy(sy_systems **systems)
{
    if (!systems || !*systems)
        return;
    free((*systems)->rows);
    free((*systems)->text);
    free(*systems);
    *systems = NULL;
}

const sy_system *sy_systems_find(const sy_systems *systems, const char *key)
{
    for (uint32_t i = 0; i < systems->count; i++)
        if (!strcmp(systems->rows[i].key, key))
            return &systems->rows[i];
    return NULL;
}

bool sy_systems_next(const char **at, char name[64])
{
    size_t n = strcspn(*at, ","), kept = n < 63 ? n : 63;
    memcpy(name, *at, kept);
    name[kept] = '\0';
    *at += n + ((*at)[n] == ',');
    return n > 0;
}

bool sy_systems_builder_known(const char *builder)
{
    if (!strncmp(builder, "setting:", 8))
        return sy_setting_find(builder + 8);
    if (strchr(builder, ':') || sy_zoo_find(builder)) /* samplers are not the graph's to know */
        return true;
    for (const sy_graph_network *n = sy_zoo_graph_networks; n->name; n++)
        if (!strcmp(n->name, builder))
            return true;
    return false;
}
