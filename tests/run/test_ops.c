/* Every op through the whole way - passes, kernels, session - on every device, against the f64 reference, on the
 * random ragged cases of tests/ops. Arguments: the name of one op, to look at it alone, and of how many cases. */
#include "graph/import/safetensors.h"
#include "graph/ir/build.h"
#include "graph/program.h"
#include "src/run/convert.h"
#include "src/run/session.h"
#include "tests/check.h"
#include "tests/ops/help_ops.h"
#include "tests/run/help_devices.h"

enum { SEEDS = 2, SEEDS_OF_CONV = 6 /* its kinds in turn */ };
static const char *only;
static uint64_t seeds = SEEDS;

/* A file of the case's parameters in memory. */
static sy_safetensors *weights_of(const help_case *c, uint8_t **bytes)
{
    sy_text header = {0};
    uint64_t offset = 0;
    static const char *const names[] = {
        [SY_F32] = "F32", [SY_F16] = "F16", [SY_BF16] = "BF16", [SY_I32] = "I32", [SY_U32] = "U32"};
    sy_text_add(&header, "{");
    for (int i = 0; i < c->n_arrays; i++) {
        const help_array *a = &c->arrays[i];
        if (a->leaf != SY_OP_PARAM)
            continue;
        uint64_t size = sy_type_count(&a->type) * (a->type.dtype == SY_F16 || a->type.dtype == SY_BF16 ? 2 : 4);
        sy_text_printf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", offset ? "," : "", a->name,
                       names[a->type.dtype]);
        for (int k = 0; k < a->type.rank; k++)
            sy_text_printf(&header, "%s%d", k ? "," : "", a->type.dim[k]);
        sy_text_printf(&header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                       (unsigned long long)(offset + size));
        offset += size;
    }
    sy_text_add(&header, "}");
    uint64_t n = header.size, total = 8 + n + offset;
    *bytes = calloc(1, total + 8);
    REQUIRE(*bytes && !header.failed);
    memcpy(*bytes, &n, 8);
    memcpy(*bytes + 8, header.data, n);
    sy_text_free(&header);
    uint8_t *at = *bytes + 8 + n;
    for (int i = 0; i < c->n_arrays; i++) {
        const help_array *a = &c->arrays[i];
        if (a->leaf != SY_OP_PARAM)
            continue;
        uint64_t count = sy_type_count(&a->type);
        sy_convert_from_double(a->type.dtype, a->data, count, at);
        at += count * (a->type.dtype == SY_F16 || a->type.dtype == SY_BF16 ? 2 : 4);
    }
    sy_error error = {0};
    sy_safetensors *file = sy_safetensors_from_memory(*bytes, total, 0, &error);
    CHECK_SAY(file, "%s", error.message);
    return file;
}

/* States begin as zeros; a program before the first step gives them the case's values. */
static sy_graph *init_graph(const help_case *c)
{
    sy_graph *g = sy_graph_create("init");
    char name[80];
    bool any = false;
    for (int i = 0; g && i < c->n_arrays; i++) {
        const help_array *a = &c->arrays[i];
        if (a->leaf != SY_OP_STATE)
            continue;
        snprintf(name, sizeof name, "first_%s", a->name);
        sy_state(g, a->name, a->type);
        sy_carry(g, a->name, sy_input(g, name, a->type));
        any = true;
    }
    if (!any)
        sy_graph_destroy(&g);
    return g;
}

static bool write_leaves(sy_session *session, const help_case *c, sy_error *error)
{
    for (int i = 0; i < c->n_arrays; i++) {
        const help_array *a = &c->arrays[i];
        char name[80];
        if (a->leaf != SY_OP_INPUT && a->leaf != SY_OP_STATE)
            continue;
        snprintf(name, sizeof name, "%s%s", a->leaf == SY_OP_STATE ? "first_" : "", a->name);
        uint64_t bytes = sy_type_bytes(&a->type);
        void *data = calloc(1, bytes);
        REQUIRE(data);
        sy_convert_from_double(a->type.dtype, a->data, sy_type_count(&a->type), data);
        bool ok = sy_session_write(session, name, data, bytes, error);
        free(data);
        if (!ok && error->code != SY_CODE_NOT_FOUND) /* an input that nothing depends on is no input of the program */
            return false;
        *error = (sy_error){0};
    }
    return true;
}

static bool compare(const sy_session *session, help_case *c, const char *what)
{
    sy_eval reference = help_case_eval(c);
    bool same = true;
    for (uint32_t i = 0; i < c->graph->n_ends; i++) {
        const sy_end *end = &c->graph->ends[i];
        sy_session_result r;
        if (end->kind != SY_END_OUTPUT)
            continue;
        if (!sy_session_read(session, end->name, &r, NULL)) {
            CHECK_SAY(false, "%s: no output %s", what, end->name);
            same = false;
            break;
        }
        const char *difference = help_case_compare(c, &reference, i, r.data, r.bytes);
        CHECK_SAY(!difference, "%s, output %s: %s", what, end->name, difference);
        same = same && !difference;
    }
    sy_eval_free(&reference);
    return same;
}

/* What no 32-bit integer holds casts to anything on a device: such numbers are left out here. */
static void tame_cast(help_case *c)
{
    sy_dtype to = c->graph->nodes[c->value].type.dtype;
    for (int i = 0; i < c->n_arrays && (to == SY_I32 || to == SY_U32); i++)
        for (uint64_t k = 0; k < sy_type_count(&c->arrays[i].type); k++) {
            double x = c->arrays[i].data[k];
            if (!(x >= (to == SY_I32 ? -2147483648.0 : 0) && x <= 2147483647.0))
                c->arrays[i].data[k] = 7;
        }
}

static void run_case(sy_vk_device *device, sy_op op, uint64_t seed)
{
    char what[96];
    const char *columns[HELP_ARRAYS];
    float row[HELP_ARRAYS];
    uint32_t n_columns = 0;
    uint8_t *bytes;
    sy_error error = {0};
    help_case *c = help_case_make(op, seed);
    if (op == SY_OP_CAST)
        tame_cast(c);
    snprintf(what, sizeof what, "%s, seed %llu", sy_op_get(op)->name, (unsigned long long)seed);
    for (int i = 0; i < c->n_arrays; i++)
        if (c->arrays[i].leaf == SY_OP_STEP) {
            columns[n_columns] = c->arrays[i].name;
            row[n_columns++] = (float)c->arrays[i].data[0];
        }
    bool states = false;
    for (int i = 0; i < c->n_arrays; i++)
        states = states || c->arrays[i].leaf == SY_OP_STATE;
    uint32_t steps = states ? 1 : c->step + 1; /* the reference takes one step, from the states given */
    float *table = calloc((size_t)steps * n_columns + 1, sizeof *table);
    REQUIRE(table);
    for (uint32_t s = 0; s < steps; s++)
        memcpy(table + (size_t)s * n_columns, row, n_columns * sizeof *row);
    sy_safetensors *file = weights_of(c, &bytes);
    sy_compile_params compile = {
        .limits = &device->plan->limits, .step_columns = columns, .n_step_columns = n_columns, .max_steps = steps};
    sy_graph *first = init_graph(c);
    sy_program *init = first ? sy_compile(first, &compile, &error) : NULL,
               *program = sy_compile(c->graph, &compile, &error);
    sy_session *session = NULL;
    if (program && (init || !first)) {
        sy_session_params params = {.device = device,
                                    .init = init,
                                    .step = program,
                                    .weights = file,
                                    .table = table,
                                    .columns = columns,
                                    .n_columns = n_columns,
                                    .n_steps = steps};
        session = sy_session_create(&params, &error);
    }
    bool ok = session && write_leaves(session, c, &error) && sy_session_run(session, NULL, NULL, &error);
    CHECK_SAY(ok, "%s: %s", what, error.message);
    if (ok && !compare(session, c, what) && only) {
        sy_text text = {0};
        sy_graph_print(c->graph, &text);
        fputs(text.data ? text.data : "", stderr);
        for (uint32_t k = 0; k < program->n_kernels; k++)
            fprintf(stderr, "---- %s\n%s\n", program->kernels[k].name, program->kernels[k].glsl);
        sy_text_free(&text);
    }
    sy_session_destroy(&session);
    sy_program_destroy(&program);
    sy_program_destroy(&init);
    sy_graph_destroy(&first);
    sy_safetensors_close(&file);
    free(bytes);
    free(table);
    help_case_free(c);
}

static void test(sy_vk_device *device)
{
    for (int op = SY_OP_NONE + 1; op < SY_OP_COUNT; op++)
        if (!only || !strcmp(only, sy_op_get((sy_op)op)->name))
            for (uint64_t seed = 0; seed < (op == SY_OP_CONV && seeds == SEEDS ? SEEDS_OF_CONV : seeds); seed++)
                run_case(device, (sy_op)op, seed);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : SEEDS;
    return sy_test_devices(test) ? check_done() : check_skip("no usable Vulkan device");
}
