/* Reads the embedded manifest. It is part of the program, so anything wrong with it is a bug of ours; the test of the
 * manifest runs every row. */
#include "graph/emit/manifest.h"
#include "graph/emit/embedded.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static sy_variant table[SY_MAX_VARIANTS];
static uint32_t n_table;
static sy_error failure;

static const char *const kinds[] = {
    [SY_GROUP_MAP] = "map",
    [SY_GROUP_ROW] = "row",
    [SY_GROUP_MATMUL] = "matmul",
    [SY_GROUP_GROUPED_MATMUL] = "grouped_matmul",
    [SY_GROUP_CONV] = "conv",
    [SY_GROUP_DEPTHWISE] = "depthwise",
    [SY_GROUP_ATTENTION] = "attention",
    [SY_GROUP_ROUTE] = "route",
};

static bool text_of(const cJSON *row, const char *name, char *out, size_t room)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, name));
    if (!text || strlen(text) >= room)
        return sy_fail(&failure, SY_CODE_INTERNAL, "shaders/manifest.json: row %u has no good \"%s\"", n_table, name);
    strcpy(out, text);
    return true;
}

static uint32_t number_of(const cJSON *row, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, name);
    return cJSON_IsNumber(item) && item->valuedouble > 0 ? (uint32_t)item->valuedouble : 0;
}

static bool read_row(const cJSON *row, sy_variant *v)
{
    char kind[24], use[8];
    if (!text_of(row, "name", v->name, sizeof v->name) || !text_of(row, "file", v->file, sizeof v->file) ||
        !text_of(row, "section", v->section, sizeof v->section) || !text_of(row, "doc", v->doc, sizeof v->doc) ||
        !text_of(row, "shared", v->shared, sizeof v->shared) || !text_of(row, "kind", kind, sizeof kind) ||
        !text_of(row, "for", use, sizeof use))
        return false;
    unsigned k = 0;
    while (k < sizeof kinds / sizeof *kinds && strcmp(kinds[k], kind))
        k++;
    const cJSON *local = cJSON_GetObjectItemCaseSensitive(row, "local");
    if (k == sizeof kinds / sizeof *kinds || cJSON_GetArraySize(local) != 3)
        return sy_fail(&failure, SY_CODE_INTERNAL, "shaders/manifest.json: %s has no good \"kind\" or \"local\"",
                       v->name);
    v->kind = (sy_group_kind)k;
    for (int i = 0; i < 3; i++)
        v->local[i] = (uint32_t)cJSON_GetArrayItem(local, i)->valuedouble;
    v->cpu = strcmp(use, "gpu") != 0;
    v->gpu = strcmp(use, "cpu") != 0;
    v->rows = number_of(row, "rows");
    v->columns = number_of(row, "columns");
    v->lanes = number_of(row, "lanes");
    v->step = number_of(row, "step");
    v->anchors = number_of(row, "anchors");
    v->adjacent = number_of(row, "adjacent");
    v->subgroup = number_of(row, "subgroup");
    const cJSON *matrix = cJSON_GetObjectItemCaseSensitive(row, "matrix");
    for (int i = 0; i < 2 && cJSON_GetArraySize(matrix) == 2; i++)
        v->matrix[i] = (uint32_t)cJSON_GetArrayItem(matrix, i)->valuedouble;
    v->most_vectors = number_of(row, "most_vectors");
    v->most_rows = number_of(row, "most_rows");
    v->least_rows = number_of(row, "least_rows");
    v->least_columns = number_of(row, "least_columns");
    v->most_columns = number_of(row, "most_columns");
    return true;
}

static void read_all(void)
{
    const struct sy_embedded *file = sy_embedded_shaders;
    while (file->name && strcmp(file->name, "manifest.json"))
        file++;
    cJSON *json = file->name ? cJSON_ParseWithLength(file->data, file->size) : NULL;
    const cJSON *row;
    if (!cJSON_IsArray(json))
        sy_fail(&failure, SY_CODE_INTERNAL, "shaders/manifest.json is not a list");
    cJSON_ArrayForEach (row, json) {
        if (n_table == SY_MAX_VARIANTS || !read_row(row, &table[n_table])) {
            sy_fail(&failure, SY_CODE_INTERNAL, "shaders/manifest.json has too many rows");
            break;
        }
        n_table++;
    }
    cJSON_Delete(json);
}

const sy_variant *sy_variants(uint32_t *n, sy_error *error)
{
    pthread_once(&once, read_all);
    *n = n_table;
    if (failure.code == SY_CODE_OK)
        return table;
    sy_fail(error, failure.code, "%s", failure.message);
    return NULL;
}

const sy_variant *sy_variant_find(const char *name)
{
    uint32_t n;
    const sy_variant *all = name ? sy_variants(&n, NULL) : NULL;
    for (uint32_t i = 0; all && i < n; i++)
        if (!strcmp(all[i].name, name))
            return &all[i];
    return NULL;
}

/* formula: sums of products of numbers, names and sums in parentheses */
typedef struct formula {
    const char *at;
    const sy_variant *variant;
    const sy_problem *problem;
    const sy_limits *limits;
} formula;

static uint64_t sum(formula *f);

static uint64_t factor(formula *f)
{
    const sy_variant *v = f->variant;
    const struct {
        const char *name;
        uint64_t value;
    } names[] = {{"rows", v->rows},
                 {"columns", v->columns},
                 {"local", (uint64_t)sy_variant_local(v, f->problem, f->limits) * v->local[1] * v->local[2]},
                 {"step", v->step},
                 {"anchors", f->problem->n_anchors},
                 {"d4", (f->problem->d + 3) / 4},
                 {"e4", (f->problem->e + 3) / 4},
                 {"matrix_m", f->limits->matrix[0]},
                 {"matrix_n", f->limits->matrix[1]},
                 {"probe", f->problem->together > 0},
                 {"ids", f->problem->ids}};
    uint64_t value = 0;
    f->at += strspn(f->at, " ");
    if (*f->at == '(') {
        f->at++;
        value = sum(f);
        f->at += *f->at == ')';
    } else if (*f->at >= '0' && *f->at <= '9') {
        while (*f->at >= '0' && *f->at <= '9')
            value = value * 10 + (uint64_t)(*f->at++ - '0');
    } else {
        size_t length = strspn(f->at, "abcdefghijklmnopqrstuvwxyz_0123456789");
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strlen(names[i].name) == length && !memcmp(names[i].name, f->at, length))
                value = names[i].value;
        f->at += length;
    }
    f->at += strspn(f->at, " ");
    return value;
}

static uint64_t sum(formula *f)
{
    uint64_t total = 0;
    for (;;) {
        uint64_t product = factor(f);
        while (*f->at == '*') {
            f->at++;
            product *= factor(f);
        }
        total += product;
        if (*f->at != '+')
            return total;
        f->at++;
    }
}

static uint64_t shared_bytes(const sy_variant *variant, const sy_problem *problem, const sy_limits *limits)
{
    formula f = {variant->shared, variant, problem, limits};
    return sum(&f);
}

uint32_t sy_variant_shared(const sy_variant *variant, const sy_plan *plan, const sy_group *group)
{
    sy_problem problem = sy_problem_of(plan, group);
    return (uint32_t)shared_bytes(variant, &problem, &plan->limits);
}

/* A route has one set of tiles: the first consumer decides how many rows they have. */
static bool fits_tiles(const sy_variant *v, const sy_problem *p)
{
    return !p->tile_rows || p->tile_rows == v->rows;
}

static bool fits_quads(const sy_variant *v, const sy_problem *p)
{
    return !v->adjacent || (p->rows % 4 == 0 && p->quads);
}

/* Whole runs lie in what an invocation makes, or where a workgroup meets, are put together of what whole ones do. */
static bool fits_runs(const sy_variant *v, const sy_problem *p)
{
    bool rows = !strcmp(v->section, "rows"), tile = !strcmp(v->section, "tile");
    return !p->run || ((rows || tile) && v->rows % p->run == 0 && (rows || p->run % (v->rows / v->local[1]) == 0));
}

static uint32_t vectors(const sy_problem *p)
{
    return (p->d + 3) / 4 + (p->e + 3) / 4;
}

/* Subgroups of that size, all of whose invocations may read from one of them (VK_SUBGROUP_FEATURE_SHUFFLE_BIT). */
static bool fits_subgroups(const sy_variant *v, const sy_limits *limits)
{
    enum { SHUFFLE = 16 };
    return !v->subgroup || (limits->subgroup_size == v->subgroup && limits->subgroup_operations & SHUFFLE);
}

/* Tiles of whole matrices, and an invitation to round the left argument to f16. */
static bool fits_matrices(const sy_variant *v, const sy_problem *p, const sy_limits *limits)
{
    const uint32_t *shape = limits->matrix;
    return !v->matrix[0] || (p->half && shape[0] && limits->subgroup_size && v->rows / v->matrix[0] % shape[0] == 0 &&
                             v->columns / v->matrix[1] % shape[1] == 0 && v->step % shape[2] == 0);
}

uint32_t sy_variant_local(const sy_variant *v, const sy_problem *p, const sy_limits *limits)
{
    if (v->matrix[0])
        return limits->subgroup_size;
    uint32_t needed = (p->together + v->rows - 1) / v->rows;
    return p->kind == SY_GROUP_ATTENTION && needed > v->local[0]
               ? (needed + v->local[0] - 1) / v->local[0] * v->local[0]
               : v->local[0];
}

/* Turns of the loops of an invocation, more than fewer. */
static uint64_t turns_of(const sy_variant *v, const sy_problem *p, const sy_limits *limits)
{
    if (v->kind != SY_GROUP_ATTENTION) /* adjacent: counted in vectors along a row */
        return (v->lanes > 1 ? p->iterations / v->lanes + 64 : p->iterations) * (v->adjacent ? 4 : 1);
    uint64_t threads = (uint64_t)sy_variant_local(v, p, limits) * v->local[1], each = v->step ? v->step : 1;
    uint64_t turn = strstr(v->shared, "d4") ? 3 + each * vectors(p) / threads : 1;
    return (p->columns / each + 2 * p->blocks) * turn * (p->together ? 2 : 1) + 2 * v->rows;
}

static bool serves(const sy_variant *v, const sy_problem *p, const sy_limits *limits)
{
    return v->kind == p->kind && (limits->cpu ? v->cpu : v->gpu) && (!v->anchors || v->anchors == p->n_anchors) &&
           fits_tiles(v, p) && fits_runs(v, p) && (!v->adjacent || p->adjacent) && fits_quads(v, p) &&
           (!v->most_rows || p->rows <= v->most_rows) && p->rows >= v->least_rows &&
           (!v->most_vectors || vectors(p) <= v->most_vectors) && (!v->most_columns || p->columns <= v->most_columns) &&
           p->columns >= v->least_columns;
}

static bool fits(const sy_variant *v, const sy_problem *p, const sy_limits *limits)
{
    uint64_t iterations = turns_of(v, p, limits);
    uint32_t local = sy_variant_local(v, p, limits);
    if (v->kind == SY_GROUP_ROUTE && !v->step) /* each chunk is compared with itself in a loop */
        iterations += p->rows;
    return local * v->local[1] * v->local[2] <= limits->invocations && local <= limits->group_size[0] &&
           v->local[1] <= limits->group_size[1] && v->local[2] <= limits->group_size[2] && fits_subgroups(v, limits) && fits_matrices(v, p, limits) &&
           shared_bytes(v, p, limits) <= limits->shared_bytes && (!limits->loop_limit || iterations < limits->loop_limit);
}

bool sy_variant_can(const sy_variant *v, const sy_problem *p, const sy_limits *limits)
{
    return v->kind == p->kind && fits_tiles(v, p) && fits_runs(v, p) && fits_quads(v, p) && (!v->anchors || v->anchors == p->n_anchors) &&
           (!v->most_rows || p->rows <= v->most_rows) && fits(v, p, limits);
}

const sy_variant *sy_choose_variant(const sy_problem *problem, const sy_limits *limits, sy_error *error)
{
    uint32_t n;
    const sy_variant *all = sy_variants(&n, error);
    if (!all)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (serves(&all[i], problem, limits) && fits(&all[i], problem, limits))
            return &all[i];
    /* What is made for the other sort of device is slower, but right. */
    for (uint32_t i = 0; i < n; i++)
        if (sy_variant_can(&all[i], problem, limits))
            return &all[i];
    sy_fail(
        error, SY_CODE_UNAVAILABLE,
        "no %s kernel fits device %s (%u invocations, %u bytes of shared memory, loops of %u) for %llu rows of %llu",
        kinds[problem->kind], limits->device, limits->invocations, limits->shared_bytes, limits->loop_limit,
        (unsigned long long)problem->rows, (unsigned long long)problem->columns);
    return NULL;
}
