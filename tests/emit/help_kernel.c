/* See help_kernel.h. */
#include "tests/emit/help_kernel.h"
#include "graph/emit/manifest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double step_value(uint32_t step, uint32_t column)
{
    return (float)(0.25 + 0.5 * step + 0.125 * column);
}

bool kernel_read(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    const kernel_case *c = context;
    uint64_t n = sy_type_count(&leaf->type), seed = 12345;
    (void)error;
    if (leaf->op == SY_OP_STEP) {
        for (uint32_t i = 0; i < c->n_step_columns; i++)
            if (!strcmp(c->step_columns[i], leaf->name))
                out[0] = step_value(c->step, i);
        return true;
    }
    for (const char *p = leaf->name; *p; p++)
        seed = seed * 31 + (unsigned char)*p;
    for (uint64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            sum += (double)(seed >> 40) / (1 << 24) - 0.5;
        }
        switch (leaf->type.dtype) {
        case SY_I32:
            out[i] = c->integers ? c->integers[i % c->n_integers] : (double)((seed >> 33) % 11);
            break;
        case SY_U32:
            out[i] = (double)((seed >> 33) % 100000);
            break;
        case SY_F16:
            out[i] = sy_f16_to_double(sy_f16_from_double(1.7 * sum));
            break;
        case SY_BF16:
            out[i] = sy_bf16_to_double(sy_bf16_from_double(1.7 * sum));
            break;
        default:
            out[i] = (float)(1.7 * sum);
        }
    }
    return true;
}

static void find_inputs(const sy_graph *g, sy_group *group, sy_value value, char *seen)
{
    const sy_node *node = &g->nodes[value];
    if (seen[value])
        return;
    seen[value] = 1;
    for (uint32_t i = 0; i < group->n_inputs; i++)
        if (group->inputs[i] == value)
            return;
    if (node->op == SY_OP_STEP || node->op == SY_OP_STEP_INDEX) {
        group->reads_step = true;
    } else if (node->op == SY_OP_INPUT || node->op == SY_OP_PARAM || node->op == SY_OP_STATE ||
               (node->type.is_route && group->kind != SY_GROUP_ROUTE) ||
               (node->op == SY_OP_CONST && node->attributes.values.count > 64)) {
        group->inputs[group->n_inputs++] = value;
        return;
    }
    for (uint32_t i = 0; i < node->n_args; i++)
        find_inputs(g, group, node->args[i], seen);
}

static double word_value(const void *data, sy_dtype dtype, uint64_t i)
{
    if (dtype == SY_F32)
        return ((const float *)data)[i];
    if (dtype == SY_F16)
        return sy_f16_to_double(((const uint16_t *)data)[i]);
    if (dtype == SY_BF16)
        return sy_bf16_to_double(((const uint16_t *)data)[i]);
    return dtype == SY_I32 ? (double)((const int32_t *)data)[i] : (double)((const uint32_t *)data)[i];
}

/* Rows of slots past a route's count mean nothing: how many elements of the value do. */
static uint64_t meaningful(const sy_eval *eval, sy_value value)
{
    const sy_graph *g = eval->graph;
    const sy_node *node = &g->nodes[value];
    uint64_t n = sy_type_count(&node->type);
    for (sy_value v = value; v; v = g->nodes[v].n_args ? g->nodes[v].args[0] : 0) {
        const sy_node *at = &g->nodes[v];
        sy_value route = at->op == SY_OP_GROUPED_MATMUL                                 ? at->args[2]
                         : at->op == SY_OP_ROUTE_GATHER || at->op == SY_OP_ROUTE_SPREAD ? at->args[1]
                                                                                        : 0;
        if (route && node->type.dim[0] == g->nodes[route].type.dim[SY_ROUTE_SLOTS])
            return n / (uint64_t)node->type.dim[0] * (uint64_t)eval->route[route]->count;
    }
    return n;
}

static bool compare(const kernel_case *c, const sy_eval *eval, sy_value value, const void *got)
{
    const sy_type *type = &eval->graph->nodes[value].type;
    double error = 0, norm = 0, tolerance = c->tolerance > 0 ? c->tolerance : 1e-5;
    uint64_t n = meaningful(eval, value), worst = 0;
    double most = -1;
    for (uint64_t i = 0; i < n; i++) {
        double g = word_value(got, type->dtype, i), w = eval->tensor[value][i], d = fabs(g - w);
        if (!(d <= most)) {
            most = d;
            worst = i;
        }
        error += d * d;
        norm += w * w;
    }
    if (sqrt(error) <= tolerance * sqrt(norm) + 1e-30)
        return true;
    fprintf(stderr, "%s: value %u: relative error %g; element %llu is %g, not %g\n", c->name, value, sqrt(error / norm),
            (unsigned long long)worst, word_value(got, type->dtype, worst), eval->tensor[value][worst]);
    return false;
}

static bool compare_route(const kernel_case *c, const sy_eval *eval, sy_value value, const uint32_t *got,
                          const uint32_t *wanted, uint32_t tile_rows)
{
    sy_route_layout at = sy_route_layout_of(&eval->graph->nodes[value].type);
    const sy_type *type = &eval->graph->nodes[value].type;
    uint32_t count = wanted[0], tiles = 0;
    const struct {
        const char *name;
        uint32_t first, n;
    } sections[] = {{"count", 0, 1},
                    {"offsets", at.offsets, (uint32_t)type->dim[1] + 1},
                    {"rows", at.rows, count},
                    {"targets", at.targets, count},
                    {"weights", at.weights, count},
                    {"row_offsets", at.row_offsets, (uint32_t)type->dim[0] + 1},
                    {"row_slots", at.row_slots, count}};
    for (size_t s = 0; s < sizeof sections / sizeof *sections; s++)
        for (uint32_t i = 0; i < sections[s].n; i++)
            if (got[sections[s].first + i] != wanted[sections[s].first + i]) {
                fprintf(stderr, "%s: %s[%u] is %u, not %u\n", c->name, sections[s].name, i, got[sections[s].first + i],
                        wanted[sections[s].first + i]);
                return false;
            }
    for (int32_t e = 0; e < type->dim[1]; e++)
        for (uint32_t slot = wanted[at.offsets + e]; slot < wanted[at.offsets + e + 1]; slot += tile_rows, tiles++)
            if (got[at.tiles + 1 + 2 * tiles] != (uint32_t)e || got[at.tiles + 2 + 2 * tiles] != slot) {
                fprintf(stderr, "%s: tile %u is wrong\n", c->name, tiles);
                return false;
            }
    if (got[at.tiles] != tiles || got[at.indirect] != 3 || got[at.indirect + 1] != tiles || got[at.indirect + 2] != 1) {
        fprintf(stderr, "%s: %u tiles, indirect %u %u %u; wanted %u\n", c->name, got[at.tiles], got[at.indirect],
                got[at.indirect + 1], got[at.indirect + 2], tiles);
        return false;
    }
    return true;
}

static bool fill_job(const kernel_case *c, const sy_plan *plan, sy_eval *eval, vk_job *job, sy_error *error)
{
    const sy_group *group = &plan->groups[0];
    for (uint32_t i = 0; i < group->n_inputs + group->n_outputs; i++) {
        bool input = i < group->n_inputs;
        sy_value value = input ? group->inputs[i] : group->outputs[i - group->n_inputs];
        uint32_t steps = 1;
        job->bytes[i] = sy_type_bytes(&plan->graph->nodes[value].type);
        for (uint32_t e = 0; e < plan->graph->n_ends; e++)
            if (!input && plan->graph->ends[e].kind == SY_END_STEP_OUTPUT && plan->graph->ends[e].value == value)
                steps = c->step + 1;
        job->bytes[i] = steps > 1 ? steps * SY_STEP_STRIDE(job->bytes[i]) : job->bytes[i];
        job->data[i] = calloc(1, job->bytes[i] + 16);
        memset(job->data[i], 0xab, job->bytes[i]);
        if (!sy_eval_value(eval, value, error) ||
            (input && !sy_eval_store(eval, value, group->indirect ? group->tile_rows : 16, job->data[i],
                                     sy_type_bytes(&plan->graph->nodes[value].type), error)))
            return false;
        if (input && group->indirect &&
            plan->graph->nodes[value].type.is_route) { /* the device's own sections, which the reference leaves out */
            uint32_t *words = job->data[i], n = 0;
            sy_route_layout at = sy_route_layout_of(&plan->graph->nodes[value].type);
            for (int32_t e = 0; e < plan->graph->nodes[value].type.dim[1]; e++)
                for (uint32_t slot = words[at.offsets + e]; slot < words[at.offsets + e + 1];
                     slot += group->tile_rows, n++) {
                    words[at.tiles + 1 + 2 * n] = (uint32_t)e;
                    words[at.tiles + 2 + 2 * n] = slot;
                }
            job->groups[1] = n;
        }
    }
    job->n_bindings = group->n_inputs + group->n_outputs;
    if (group->reads_step) {
        uint32_t words = SY_STEP_TABLE_WORD + c->n_step_columns * (c->step + 1), *step = calloc(words, 4);
        step[0] = c->step;
        for (uint32_t s = 0; s <= c->step; s++)
            for (uint32_t k = 0; k < c->n_step_columns; k++) {
                float v = (float)step_value(s, k);
                memcpy(&step[SY_STEP_TABLE_WORD + s * c->n_step_columns + k], &v, 4);
            }
        job->data[job->n_bindings] = step;
        job->bytes[job->n_bindings++] = 4 * (size_t)words;
    }
    return true;
}

static bool run(vk_device *device, struct sy_emitter *emitter, kernel_case *c, sy_plan *plan, sy_eval *eval,
                sy_error *error)
{
    sy_group *group = &plan->groups[0];
    sy_emitted emitted;
    vk_job job = {0};
    bool from_cache, ok;
    if (!sy_emit_group(plan, 0, &emitted, error))
        return false;
    if (getenv("SY_PRINT") && strstr(c->name, getenv("SY_PRINT")))
        fprintf(stderr, "---- %s: %s %ux%ux%u\n%s", c->name, group->variant, group->groups[0], group->groups[1],
                group->groups[2], emitted.glsl);
    memcpy(job.groups, group->groups, sizeof job.groups);
    ok = sy_emit_spirv(emitter, group->variant, emitted.glsl, &job.spirv, &job.n_spirv, &from_cache, error) &&
         fill_job(c, plan, eval, &job, error);
    job.push = emitted.push;
    job.n_push = emitted.n_push;
    job.texels = emitted.texel_bindings;
    job.repeats = getenv("SY_REPEATS") ? (uint32_t)atoi(getenv("SY_REPEATS")) : 0;
    if (ok && job.groups[1] > 0) {
        double first, seconds = vk_run(device, &job, &first);
        if (seconds < 0)
            ok = sy_fail(error, SY_CODE_DEVICE, "the dispatch failed");
        else if (job.repeats)
            fprintf(stderr, "%-40s %-16s %8.3f ms, first %8.3f\n", c->name, group->variant, 1e3 * seconds, 1e3 * first);
    }
    for (uint32_t i = 0; ok && i < group->n_outputs; i++) {
        sy_value value = group->outputs[i];
        char *got = job.data[group->n_inputs + i];
        for (uint32_t e = 0; e < plan->graph->n_ends; e++)
            if (plan->graph->ends[e].kind == SY_END_STEP_OUTPUT && plan->graph->ends[e].value == value)
                got += c->step * SY_STEP_STRIDE(sy_type_bytes(&plan->graph->nodes[value].type));
        if (plan->graph->nodes[value].type.is_route) {
            uint64_t bytes = sy_type_bytes(&plan->graph->nodes[value].type);
            uint32_t *wanted = calloc(1, bytes);
            ok = sy_eval_store(eval, value, plan->route_uses[value].tile_rows, wanted, bytes, error) &&
                 compare_route(c, eval, value, (uint32_t *)got, wanted, plan->route_uses[value].tile_rows);
            free(wanted);
        } else {
            ok = compare(c, eval, value, got);
        }
    }
    for (uint32_t i = 0; i < job.n_bindings; i++)
        free(job.data[i]);
    return ok;
}

bool kernel_run(vk_device *device, struct sy_emitter *emitter, kernel_case *c)
{
    sy_error error = {0};
    sy_eval eval;
    if (getenv("SY_CASE") && !strstr(c->name, getenv("SY_CASE"))) {
        sy_graph_destroy(&c->graph);
        return true;
    }
    sy_compile_params params = {.step_columns = c->step_columns, .n_step_columns = c->n_step_columns};
    char *seen = calloc(c->graph->n_nodes, 1);
    sy_plan plan = {
        .graph = c->graph, .params = &params, .limits = *vk_limits(device), .groups = &c->group, .n_groups = 1};
    plan.route_uses = calloc(c->graph->n_nodes, sizeof *plan.route_uses);
    bool ok = sy_graph_check(c->graph, &error);
    for (uint32_t i = 0; ok && i < c->group.n_outputs; i++) {
        find_inputs(c->graph, &c->group, c->group.outputs[i], seen);
        for (uint32_t e = 0; e < c->graph->n_ends; e++)
            if (c->graph->ends[e].kind == SY_END_STEP_OUTPUT && c->graph->ends[e].value == c->group.outputs[i])
                c->group.reads_step = true;
        if (c->group.kind == SY_GROUP_ROUTE)
            plan.route_uses[c->group.outputs[i]] = (struct sy_route_use){c->tile_rows ? c->tile_rows : 16, 1, {3}};
    }
    ok = ok && sy_eval_init(&eval, c->graph, &error);
    if (ok) {
        eval.read = kernel_read;
        eval.context = c;
        eval.step = c->step;
        uint32_t n = 0;
        const sy_variant *all = sy_variants(&n, &error);
        sy_problem problem = sy_problem_of(&plan, &c->group);
        ok = all && (c->every || (sy_choose_kernel(&plan, 0, &error) && run(device, emitter, c, &plan, &eval, &error)));
        for (uint32_t i = 0; ok && c->every && i < n; i++) {
            if (!sy_variant_can(&all[i], &problem, &plan.limits))
                continue;
            if (c->group.kind == SY_GROUP_GROUPED_MATMUL)
                plan.route_uses[c->graph->nodes[c->group.anchors[0]].args[2]] = (struct sy_route_use){0};
            ok = sy_variant_apply(&all[i], &plan, 0, &error) && run(device, emitter, c, &plan, &eval, &error);
            if (!ok)
                fprintf(stderr, "%s: failed as %s\n", c->name, all[i].name);
        }
        sy_eval_free(&eval);
    }
    if (error.code != SY_CODE_OK)
        fprintf(stderr, "%s: %s\n", c->name, error.message);
    free(plan.route_uses);
    free(seen);
    sy_graph_destroy(&c->graph);
    return ok;
}
