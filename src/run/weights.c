/* Load-time values. A plain parameter in its file's type goes straight from the mapped file. What is only moved about
 * (concat, stack, transpose, reshape, widening casts of parameters) is written once into its place in f32, exact for
 * f16 and bf16 as well. All else is worked out by the reference evaluator in f64. */
#include "src/run/weights.h"

#include "graph/import/safetensors.h"
#include "graph/ops/eval.h"
#include "src/run/convert.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 20 }; /* bytes converted at a time */

typedef struct loader {
    const sy_program *program;
    const sy_graph *graph;
    const sy_safetensors *file;
    sy_weight_sink *sink;
} loader;

static bool is_float(sy_dtype dtype)
{
    return dtype == SY_F32 || dtype == SY_F16 || dtype == SY_BF16;
}

/* The stored tensor of a parameter; its shape must be the node's, its type may be any that converts. */
static const sy_stored_tensor *stored(const sy_safetensors *file, const sy_node *param, sy_error *error)
{
    sy_type type;
    if (!file) {
        sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the graph has the parameter \"%s\" and no file of weights was given",
                param->name);
        return NULL;
    }
    const sy_stored_tensor *t = sy_safetensors_need(file, param->name, error);
    if (!t || !sy_stored_type(t, &type, error))
        return NULL;
    bool same = type.rank == param->type.rank;
    for (int i = 0; same && i < type.rank; i++)
        same = type.dim[i] == param->type.dim[i];
    if (!same || is_float(type.dtype) != is_float(param->type.dtype)) {
        char has[96], wants[96];
        sy_fail(error, SY_CODE_INVALID_FILE, "tensor \"%s\" is %s in the file; the network needs %s", param->name,
                sy_type_text(&type, has), sy_type_text(&param->type, wants));
        return NULL;
    }
    return t;
}

static bool check_value(loader *l, sy_value value, bool *seen, sy_error *error)
{
    const sy_node *n = &l->graph->nodes[value];
    if (seen[value])
        return true;
    seen[value] = true;
    if (n->op == SY_OP_PARAM)
        return stored(l->file, n, error) != NULL;
    for (uint32_t i = 0; i < n->n_args; i++)
        if (!check_value(l, n->args[i], seen, error))
            return false;
    return true;
}

bool sy_weights_check(const sy_program *program, const struct sy_safetensors *file, sy_error *error)
{
    loader l = {.program = program, .graph = program->graph, .file = file};
    bool *seen = calloc(program->graph->n_nodes, sizeof *seen);
    if (!seen)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to check the weights");
    bool ok = true;
    for (uint32_t i = 0; ok && i < program->n_weights; i++)
        ok = check_value(&l, program->weights[i].value, seen, error);
    free(seen);
    return ok;
}

bool sy_weights_read(const struct sy_safetensors *file, const sy_node *param, double *out, sy_error *error)
{
    const sy_stored_tensor *t = stored(file, param, error);
    if (!t || !sy_stored_read(t, out, t->count, error))
        return false;
    if (t->dtype == SY_F32 && (param->type.dtype == SY_F16 || param->type.dtype == SY_BF16)) /* narrowed on loading */
        for (uint64_t i = 0; i < t->count; i++)
            out[i] = param->type.dtype == SY_F16 ? sy_f16_to_double(sy_f16_from_double(out[i]))
                                                 : sy_bf16_to_double(sy_bf16_from_double(out[i]));
    return true;
}

static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    loader *l = context;
    if (leaf->op != SY_OP_PARAM)
        return sy_fail(error, SY_CODE_INTERNAL, "a load-time value depends on \"%s\", which is no parameter",
                       leaf->name ? leaf->name : "");
    return sy_weights_read(l->file, leaf, out, error);
}

/* Hands on a piece and says how far loading is. */
static bool put(loader *l, const sy_weight *w, uint64_t offset, const void *data, uint64_t bytes, sy_error *error)
{
    sy_weight_sink *sink = l->sink;
    if (!sink->put(sink->context, &w->place, offset, data, bytes, error))
        return false;
    sink->done += bytes;
    if (sink->progress && !sink->progress(sink->progress_context, sink->done, sink->total))
        return sy_fail(error, SY_CODE_CANCELLED, "loading the weights was cancelled");
    return true;
}

/* Elements of one floating-point type as the weight's own, in pieces; the last half word of an odd count is zero. */
static bool put_converted(loader *l, const sy_weight *w, sy_dtype from, const void *data, uint64_t count,
                          sy_error *error)
{
    uint64_t size = from == SY_F16 || from == SY_BF16 ? 2 : 4,
             to_size = w->type.dtype == SY_F16 || w->type.dtype == SY_BF16 ? 2 : 4;
    uint8_t *chunk = malloc(CHUNK);
    if (!chunk)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to convert weights");
    bool ok = true;
    for (uint64_t at = 0; ok && at < count;) {
        uint64_t n = count - at < CHUNK / 4 ? count - at : CHUNK / 4, bytes = n * to_size;
        sy_convert_floats(from, (const uint8_t *)data + at * size, w->type.dtype, n, chunk);
        if (bytes % 4) {
            memset(chunk + bytes, 0, 2);
            bytes += 2;
        }
        ok = put(l, w, at * to_size, chunk, bytes, error);
        at += n;
    }
    free(chunk);
    return ok;
}

/* A strided f32 destination. */
typedef struct view {
    float *base;
    int rank;
    int32_t dim[SY_MAX_RANK];
    int64_t stride[SY_MAX_RANK];
} view;

static view packed_view(float *base, const sy_type *type)
{
    view v = {.base = base, .rank = type->rank};
    int64_t stride = 1;
    for (int i = type->rank - 1; i >= 0; i--) {
        v.dim[i] = type->dim[i];
        v.stride[i] = stride;
        stride *= type->dim[i];
    }
    return v;
}

static bool is_packed(const view *v)
{
    int64_t stride = 1;
    for (int i = v->rank - 1; i >= 0; i--) {
        if (v->dim[i] != 1 && v->stride[i] != stride)
            return false;
        stride *= v->dim[i];
    }
    return true;
}

/* Writes packed elements in row-major order of dst. */
static void scatter(const view *dst, const float *data)
{
    int32_t index[SY_MAX_RANK] = {0};
    int inner = dst->rank - 1;
    int64_t at = 0, n = dst->dim[inner], stride = dst->stride[inner];
    for (;;) {
        for (int64_t i = 0; i < n; i++)
            dst->base[at + i * stride] = data[i];
        data += n;
        int k = inner - 1;
        for (; k >= 0; k--) {
            at += dst->stride[k];
            if (++index[k] < dst->dim[k])
                break;
            at -= dst->stride[k] * dst->dim[k];
            index[k] = 0;
        }
        if (k < 0)
            return;
    }
}

static bool evaluate(loader *l, sy_value value, const view *dst, sy_error *error)
{
    sy_eval eval;
    if (!sy_eval_init(&eval, l->graph, error))
        return false;
    eval.read = read_leaf;
    eval.context = l;
    uint64_t count = sy_type_count(&l->graph->nodes[value].type);
    float *packed = malloc(count * sizeof *packed);
    bool ok = (packed || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a load-time value")) &&
              sy_eval_value(&eval, value, error);
    if (ok) {
        sy_convert_from_double(SY_F32, eval.tensor[value], count, packed);
        scatter(dst, packed);
    }
    sy_eval_free(&eval);
    free(packed);
    return ok;
}

static bool fill(loader *l, sy_value value, const view *dst, sy_error *error);

static bool fill_param(loader *l, const sy_node *n, const view *dst, sy_error *error)
{
    const sy_stored_tensor *t = stored(l->file, n, error);
    if (!t)
        return false;
    if (is_packed(dst)) {
        sy_convert_floats(t->dtype, t->data, SY_F32, t->count, dst->base);
        return true;
    }
    float *packed = malloc(t->count * sizeof *packed);
    if (!packed)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to rearrange weights");
    sy_convert_floats(t->dtype, t->data, SY_F32, t->count, packed);
    scatter(dst, packed);
    free(packed);
    return true;
}

static bool fill_concat(loader *l, const sy_node *n, const view *dst, sy_error *error)
{
    view part = *dst;
    int axis = n->attributes.axis;
    for (uint32_t i = 0; i < n->n_args; i++) {
        part.dim[axis] = l->graph->nodes[n->args[i]].type.dim[axis];
        if (!fill(l, n->args[i], &part, error))
            return false;
        part.base += part.dim[axis] * part.stride[axis];
    }
    return true;
}

/* A box of a parameter, row by row, so that of a large tensor only the box is read. */
static bool fill_slice(loader *l, sy_value value, const view *dst, sy_error *error)
{
    const sy_node *n = &l->graph->nodes[value], *param = &l->graph->nodes[n->args[0]];
    const sy_stored_tensor *t = param->op == SY_OP_PARAM ? stored(l->file, param, error) : NULL;
    if (param->op != SY_OP_PARAM || (t && t->dtype != param->type.dtype && param->type.dtype != SY_F32))
        return evaluate(l, value, dst, error);
    uint64_t count = sy_type_count(&n->type), size = t && t->dtype == SY_F32 ? 4 : 2, at;
    int inner = n->type.rank - 1;
    float *packed = t ? malloc(count * sizeof *packed) : NULL;
    if (!packed)
        return t && sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to rearrange weights");
    for (uint64_t row = 0, run = (uint64_t)n->type.dim[inner]; row < count / run; row++) {
        uint64_t rest = row, stride = (uint64_t)param->type.dim[inner];
        at = (uint64_t)n->attributes.ints[inner];
        for (int i = inner - 1; i >= 0; i--) {
            at += (rest % (uint64_t)n->type.dim[i] + (uint64_t)n->attributes.ints[i]) * stride;
            rest /= (uint64_t)n->type.dim[i];
            stride *= (uint64_t)param->type.dim[i];
        }
        sy_convert_floats(t->dtype, (const uint8_t *)t->data + at * size, SY_F32, run, packed + row * run);
    }
    scatter(dst, packed);
    free(packed);
    return true;
}

/* The argument of a reshape lies packed, or is made packed first and spread then. */
static bool fill_reshape(loader *l, const sy_node *n, const view *dst, sy_error *error)
{
    const sy_type *type = &l->graph->nodes[n->args[0]].type;
    uint64_t count = sy_type_count(type);
    if (is_packed(dst)) {
        view same = packed_view(dst->base, type);
        return fill(l, n->args[0], &same, error);
    }
    float *whole = calloc(count, sizeof *whole);
    if (!whole)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to rearrange weights");
    view packed = packed_view(whole, type);
    bool ok = fill(l, n->args[0], &packed, error);
    if (ok)
        scatter(dst, whole);
    free(whole);
    return ok;
}

static bool fill(loader *l, sy_value value, const view *dst, sy_error *error)
{
    const sy_node *n = &l->graph->nodes[value];
    view turned = *dst;
    switch (n->op) {
    case SY_OP_PARAM: {
        const sy_stored_tensor *t = stored(l->file, n, error);
        /* f32 in the file, narrower here: the rounding is the evaluator's business */
        return t && (t->dtype == n->type.dtype || n->type.dtype == SY_F32 ? fill_param(l, n, dst, error)
                                                                          : evaluate(l, value, dst, error));
    }
    case SY_OP_CONCAT:
        return fill_concat(l, n, dst, error);
    case SY_OP_RESHAPE:
        return fill_reshape(l, n, dst, error);
    case SY_OP_SLICE:
        return fill_slice(l, value, dst, error);
    case SY_OP_TRANSPOSE:
        for (int i = 0; i < n->type.rank; i++) {
            turned.dim[n->attributes.ints[i]] = dst->dim[i];
            turned.stride[n->attributes.ints[i]] = dst->stride[i];
        }
        return fill(l, n->args[0], &turned, error);
    case SY_OP_CAST:
        if (n->type.dtype == SY_F32 && is_float(l->graph->nodes[n->args[0]].type.dtype))
            return fill(l, n->args[0], dst, error);
        return evaluate(l, value, dst, error);
    default:
        return evaluate(l, value, dst, error);
    }
}

/* Integers and routes: whatever the evaluator stores. */
static bool load_stored(loader *l, const sy_weight *w, sy_error *error)
{
    sy_eval eval;
    if (!sy_eval_init(&eval, l->graph, error))
        return false;
    eval.read = read_leaf;
    eval.context = l;
    uint64_t bytes = sy_type_bytes(&w->type);
    void *out = calloc(1, bytes);
    bool ok = out ? sy_eval_value(&eval, w->value, error)
                  : sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a load-time value");
    ok = ok && sy_eval_store(&eval, w->value, SY_ROUTE_TILE_MIN, out, bytes, error) && put(l, w, 0, out, bytes, error);
    free(out);
    sy_eval_free(&eval);
    return ok;
}

static bool load_one(loader *l, const sy_weight *w, sy_error *error)
{
    const sy_node *n = &l->graph->nodes[w->value];
    if (w->type.is_route || !is_float(w->type.dtype))
        return load_stored(l, w, error);
    if (n->op == SY_OP_PARAM) {
        const sy_stored_tensor *t = stored(l->file, n, error);
        return t && put_converted(l, w, t->dtype, t->data, t->count, error);
    }
    uint64_t count = sy_type_count(&n->type);
    float *whole = calloc(count, sizeof *whole);
    if (!whole)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a weight of %llu elements",
                       (unsigned long long)count);
    view packed = packed_view(whole, &n->type);
    bool ok = fill(l, w->value, &packed, error) && put_converted(l, w, SY_F32, whole, count, error);
    free(whole);
    return ok;
}

bool sy_weights_load(const sy_program *program, const struct sy_safetensors *file, sy_weight_sink *sink,
                     sy_error *error)
{
    loader l = {.program = program, .graph = program->graph, .file = file, .sink = sink};
    bool given = sink->total > 0;
    for (uint32_t i = 0; !given && i < program->n_weights; i++)
        sink->total += sy_type_bytes(&program->weights[i].type);
    for (uint32_t i = 0; i < program->n_weights; i++)
        if ((!sink->wanted || sink->wanted[i]) && !load_one(&l, &program->weights[i], error))
            return sy_fail_context(error, "weight \"%s\"",
                                   program->graph->nodes[program->weights[i].value].name
                                       ? program->graph->nodes[program->weights[i].value].name
                                       : program->graph->nodes[program->weights[i].value].scope);
    return true;
}
