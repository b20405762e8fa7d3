/* See the header. */
#include "tests/zoo/help_system.h"
#include "tests/zoo/help_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FIXTURES = 400 };

static void require(bool ok, const char *name, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "fixture %s: %s\n", name, what);
    exit(1);
}

system_fixture system_open(const char *name)
{
    char path[512];
    sy_error error = {0};
    system_fixture f = {.name = name, .tolerance = 1e-9};
    snprintf(path, sizeof path, "%s/tests/zoo/fixtures/%s.safetensors", SY_SOURCE_DIR, name);
    f.file = sy_safetensors_open(path, 0, &error);
    require(f.file, name, error.message);
    const char *batch = sy_safetensors_metadata(f.file, "switchyard.reference_batch");
    const char *tolerance = sy_safetensors_metadata(f.file, "switchyard.reference_tolerance");
    require(batch && atoi(batch) > 0, name, "the metadata does not say switchyard.reference_batch");
    if (tolerance)
        f.tolerance = atof(tolerance);
    require(f.tolerance > 0 && f.tolerance <= 1e-6, name,
            "switchyard.reference_tolerance is not above 0 and at most 1e-6");
    f.graph = sy_zoo_file_graph(f.file, atoi(batch), &error);
    require(f.graph, name, error.message);
    return f;
}

void system_close(system_fixture *f)
{
    sy_graph_destroy(&f->graph);
    sy_safetensors_close(&f->file);
}

double *system_values(const system_fixture *f, const char *kind, const char *name, uint64_t *count)
{
    char full[1200];
    snprintf(full, sizeof full, "%s.%s", kind, name);
    return fixture_read(f->file, full, count);
}

static bool has_own_form(const char *name)
{
    for (const char *const *own = fixture_names; *own; own++)
        if (!strcmp(*own, name))
            return true;
    return false;
}

static bool wanted(char *const *only, const char *name)
{
    if (!only || !*only)
        return true;
    while (*only && strcmp(*only, name))
        only++;
    return *only;
}

typedef struct name_list {
    char name[MOST_FIXTURES][64];
    int count;
} name_list;

static void add_name(name_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++)
        if (!strcmp(list->name[i], name))
            return;
    require(list->count < MOST_FIXTURES, name, "the table names more fixtures than the test has room for");
    snprintf(list->name[list->count++], sizeof list->name[0], "%s", name);
}

int system_each(char *const *only, void (*test)(const system_fixture *f, void *context), void *context)
{
    static name_list list;
    sy_error error = {0};
    sy_systems *systems = sy_systems_create(&error);
    require(systems, "systems.tsv", error.message);
    char name[64];
    for (uint32_t i = 0; i < systems->count; i++)
        for (const char *at = systems->rows[i].check; sy_systems_next(&at, name);)
            if (!strchr(name, ':') && !has_own_form(name) && wanted(only, name))
                add_name(&list, name);
    sy_systems_destroy(&systems);
    for (int i = 0; i < list.count; i++) {
        system_fixture f = system_open(list.name[i]);
        test(&f, context);
        system_close(&f);
    }
    return list.count;
}

bool system_same_route(const system_fixture *f, const char *tap, const double *got, uint64_t count, double tolerance,
                       char why[200])
{
    uint64_t n = 0, pairs = 0, weights = 0;
    double *expected = system_values(f, "route", tap, &n);
    if (!expected || n != count) {
        snprintf(why, 200, expected ? "the file has a route of another size" : "the file has no such route");
        free(expected);
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        pairs += isnan(got[i]) != isnan(expected[i]);
        weights += fabs(got[i] - expected[i]) > tolerance;
    }
    snprintf(why, 200, "%llu pairs and %llu weights of %llu differ", (unsigned long long)pairs,
             (unsigned long long)weights, (unsigned long long)n);
    free(expected);
    return pairs + weights == 0;
}

/* Outputs and taps are told by their remainders: a weight may be called "output.weight". */
int system_expected(const system_fixture *f)
{
    static const char *const kinds[] = {"output.", "tap.", "route."};
    int n = 0;
    for (uint32_t i = 0; i < sy_safetensors_count(f->file); i++) {
        const char *name = sy_safetensors_at(f->file, i)->name;
        size_t length = strlen(name);
        bool rest = length > 5 && !strcmp(name + length - 5, "_rest");
        for (int k = 0; k < 3; k++)
            n += rest == (k < 2) && !strncmp(name, kinds[k], strlen(kinds[k]));
    }
    return n;
}
