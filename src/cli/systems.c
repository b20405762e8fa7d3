/* switchyard systems: the literature, what of it runs here, and what proves it. Prints the table that the tests iterate
 * over (graph/zoo/systems.tsv). */
#include "src/cli/commands.h"

#include "graph/base/nearest.h"
#include "graph/zoo/systems.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: switchyard systems [KEY] [--tier N] [--state runs|planned] [--json]\n"
    "\n"
    "Lists the published systems that Switchyard is meant to run, and says of each whether it does. With a KEY, all "
    "about\n"
    "that one.\n"
    "\n"
    "  --tier N             only rows of tier N: 1 must run whole, 2 follows, 3 later, 0 lies outside\n"
    "  --state runs|planned only rows that run, or only those that do not yet\n"
    "  --json               the same as JSON\n"
    "  --help               this text\n"
    "\n"
    "A row runs when it has a builder and a check. The builder is a network (what model files name as\n"
    "switchyard.architecture), a sampler (sampler:NAME) or a setting (setting:NAME). The check is a fixture, made by "
    "an\n"
    "independent implementation, that the tests hold every device against, or a test (FOLDER:NAME) of the sources.\n"
    "\n"
    "Exit status: 0 done, 1 there is no such row, 2 for wrong arguments.\n";

typedef struct filter {
    const char *key, *state;
    uint32_t tier;
    bool any_tier, json;
} filter;

static const char *state_of(const sy_system *s)
{
    return s->runs ? "runs" : "planned";
}

static bool passes(const filter *f, const sy_system *s)
{
    return (!f->key || !strcmp(f->key, s->key)) && (f->any_tier || (uint32_t)s->tier == f->tier) &&
           (!f->state || !strcmp(f->state, state_of(s)));
}

static bool add_list(cJSON *object, const char *name, const char *list)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    char item[64];
    bool ok = array;
    while (ok && sy_systems_next(&list, item)) {
        cJSON *text = cJSON_CreateString(item);
        ok = text && cJSON_AddItemToArray(array, text);
    }
    return ok;
}

static bool add_row(cJSON *rows, const sy_system *s)
{
    cJSON *row = cJSON_CreateObject();
    if (!row || !cJSON_AddItemToArray(rows, row))
        return false;
    return cJSON_AddStringToObject(row, "key", s->key) && cJSON_AddStringToObject(row, "title", s->title) &&
           cJSON_AddStringToObject(row, "kind", s->kind) && cJSON_AddNumberToObject(row, "tier", s->tier) &&
           cJSON_AddStringToObject(row, "state", state_of(s)) && add_list(row, "builder", s->builder) &&
           add_list(row, "check", s->check) && cJSON_AddStringToObject(row, "show", s->show);
}

static bool print_json(const sy_systems *systems, const filter *f)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *rows = root ? cJSON_AddArrayToObject(root, "systems") : NULL;
    bool ok = rows;
    for (uint32_t i = 0; ok && i < systems->count; i++)
        if (passes(f, &systems->rows[i]))
            ok = add_row(rows, &systems->rows[i]);
    char *text = ok ? cJSON_Print(root) : NULL;
    if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(root);
    return text != NULL;
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

static void print_row(const sy_system *s)
{
    printf("%s\n  title    %s\n  kind     %s, tier %d\n  state    %s\n  builder  %s\n  check    %s\n  show     %s\n",
           s->key, s->title, s->kind, (int)s->tier, state_of(s), or_dash(s->builder), or_dash(s->check),
           or_dash(s->show));
}

static void print_table(const sy_systems *systems, const filter *f)
{
    int wide = 3;
    uint32_t rows = 0, running = 0;
    for (uint32_t i = 0; i < systems->count; i++)
        if (passes(f, &systems->rows[i]) && (int)strlen(systems->rows[i].key) > wide)
            wide = (int)strlen(systems->rows[i].key);
    printf("%-*s  tier  %-10s  %-7s  title\n", wide, "key", "kind", "state");
    for (uint32_t i = 0; i < systems->count; i++) {
        const sy_system *s = &systems->rows[i];
        if (!passes(f, s))
            continue;
        printf("%-*s  %4d  %-10s  %-7s  %s\n", wide, s->key, (int)s->tier, s->kind, state_of(s), s->title);
        if (s->runs)
            printf("%-*s  by %s; proved by %s\n", wide, "", s->builder, s->check);
        rows++;
        running += s->runs;
    }
    printf("%u systems, %u of them run\n", rows, running);
}

/* SY_EXIT_DONE to go on, -1 when all is said. */
static int read_options(int argc, char **argv, filter *f)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
            fputs(help, stdout);
            return -1;
        }
        if (!strcmp(a, "--json")) {
            f->json = true;
        } else if (!strcmp(a, "--tier")) {
            if (!next)
                return sy_cli_usage("systems", "--tier needs a number after it");
            if (!sy_cli_u32("systems", "--tier", argv[++i], 0, 3, &f->tier))
                return SY_EXIT_USAGE;
            f->any_tier = false;
        } else if (!strcmp(a, "--state")) {
            if (!next || (strcmp(next, "runs") && strcmp(next, "planned")))
                return sy_cli_usage("systems", "--state needs \"runs\" or \"planned\" after it");
            f->state = argv[++i];
        } else if (*a == '-' || f->key) {
            return sy_cli_usage("systems", "\"%s\" is %s", a, *a == '-' ? "not an option of it" : "a second key");
        } else {
            f->key = a;
        }
    }
    return SY_EXIT_DONE;
}

static int no_such_row(const sy_systems *systems, const char *key)
{
    sy_nearest nearest = {.wanted = key};
    for (uint32_t i = 0; i < systems->count; i++)
        sy_nearest_offer(&nearest, systems->rows[i].key);
    return sy_cli_fail("systems", "there is no system \"%s\"%s%s%s", key, nearest.best ? "; did you mean " : "",
                       nearest.best ? nearest.best : "", nearest.best ? "?" : "");
}

int sy_command_systems(int argc, char **argv)
{
    filter f = {.any_tier = true};
    int status = read_options(argc, argv, &f);
    if (status)
        return status < 0 ? SY_EXIT_DONE : status;
    sy_error error = {0};
    sy_systems *systems = sy_systems_create(&error);
    if (!systems)
        return sy_cli_fail("systems", "%s", error.message);
    const sy_system *one = f.key ? sy_systems_find(systems, f.key) : NULL;
    if (f.key && !one)
        status = no_such_row(systems, f.key);
    else if (f.json)
        status = print_json(systems, &f) ? SY_EXIT_DONE : sy_cli_fail("systems", "out of memory");
    else if (one && passes(&f, one))
        print_row(one);
    else
        print_table(systems, &f);
    sy_systems_destroy(&systems);
    return status;
}
