/* Sessions in the reference evaluator: the same programs, their graphs evaluated value by value in f64. What the
 * device does by kernels and places, this does by walking the graph, so it shares no code with either and can judge
 * both. States stay f64 from step to step; what is read is rounded to its stored type. */
#include "graph/ops/eval.h"
#include "src/run/convert.h"
#include "src/run/session_private.h"
#include "src/run/weights.h"

#include <stdlib.h>
#include <string.h>

typedef struct reference {
    sy_session *session;
    sy_eval init, steps[SY_SESSION_PROGRAMS];
    bool have_init, have_step[SY_SESSION_PROGRAMS];
    uint32_t program; /* whose outputs are stored */
    double **states;  /* by slot: current value */
    double **next;    /* by slot: value of the carry, until the step's end */
    uint8_t *inputs, *results;
    uint32_t index; /* of the running step */
    sy_session_progress *progress;
    void *context;
} reference;

static bool read_step(const sy_session *s, uint32_t index, const char *name, double *out, sy_error *error)
{
    for (uint32_t i = 0; i < s->params.n_columns; i++)
        if (!strcmp(s->params.columns[i], name)) {
            *out = (double)s->params.table[(size_t)index * s->params.n_columns + i];
            return true;
        }
    return sy_fail(error, SY_CODE_INVALID_ARGUMENT,
                   "the graph reads step column \"%s\", which the step table does not have", name);
}

static bool read_leaf(void *context, const sy_node *leaf, double *out, sy_error *error)
{
    reference *r = context;
    const sy_session *s = r->session;
    const sy_slot *slot;
    switch (leaf->op) {
    case SY_OP_INPUT:
        slot = sy_slot_find(s->inputs, s->n_inputs, leaf->name);
        if (!slot)
            break;
        sy_convert_to_double(leaf->type.dtype, r->inputs + slot->offset, sy_type_count(&leaf->type), out);
        return true;
    case SY_OP_STATE:
        slot = sy_slot_find(s->states, s->n_states, leaf->name);
        if (!slot)
            break;
        memcpy(out, r->states[slot - s->states], sy_type_count(&leaf->type) * sizeof *out);
        return true;
    case SY_OP_STEP:
        return read_step(s, r->index, leaf->name, out, error);
    case SY_OP_PARAM:
        return sy_weights_read(s->params.weights, leaf, out, error);
    default:
        break;
    }
    return sy_fail(error, SY_CODE_INTERNAL, "leaf \"%s\" is of a kind or name the session does not know",
                   leaf->name ? leaf->name : "");
}

static bool still_wanted(void *context, sy_value value)
{
    reference *r = context;
    (void)value;
    return !r->progress || r->progress(r->context, r->index, r->session->params.n_steps);
}

static bool store_output(reference *r, const sy_eval *eval, const sy_end *end, sy_error *error)
{
    const sy_session *s = r->session;
    const sy_slot *slot = NULL;
    for (uint32_t i = 0; i < s->n_outputs && !slot; i++)
        if (s->outputs[i].program == r->program && !strcmp(s->outputs[i].name, end->name))
            slot = &s->outputs[i];
    if (!slot)
        return sy_fail(error, SY_CODE_INTERNAL, "output \"%s\" is not in the program's table", end->name);
    uint8_t *at = r->results + slot->result + (slot->n_slices > 1 ? r->index * slot->step_bytes : 0);
    return sy_eval_store(eval, end->value, SY_ROUTE_TILE_MIN, at, slot->bytes, error);
}

/* One run of a program: all ends from the values before, then the carries take effect together. */
static bool run_once(reference *r, sy_eval *eval, bool outputs, sy_error *error)
{
    const sy_session *s = r->session;
    const sy_graph *g = eval->graph;
    sy_eval_reset(eval);
    eval->step = r->index;
    for (uint32_t i = 0; i < g->n_ends; i++) {
        const sy_end *end = &g->ends[i];
        if (end->kind == SY_END_TAP)
            continue;
        if (!sy_eval_value(eval, end->value, error))
            return false;
        if (end->kind == SY_END_CARRY) {
            const sy_slot *slot = sy_slot_find(s->states, s->n_states, end->name);
            if (!slot)
                return sy_fail(error, SY_CODE_INTERNAL, "carry \"%s\" has no state", end->name);
            memcpy(r->next[slot - s->states], eval->tensor[end->value], sy_type_count(&slot->type) * sizeof(double));
        } else if (outputs && !store_output(r, eval, end, error)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < g->n_ends; i++)
        if (g->ends[i].kind == SY_END_CARRY) {
            ptrdiff_t k = sy_slot_find(s->states, s->n_states, g->ends[i].name) - s->states;
            memcpy(r->states[k], r->next[k], sy_type_count(&s->states[k].type) * sizeof(double));
        }
    return true;
}

/* A turn of the schedule, unless its condition says no. */
static bool take_turn(reference *r, const sy_turn *turn, sy_error *error)
{
    const sy_session *s = r->session;
    const char *condition = s->params.programs[turn->program].condition;
    const sy_slot *slot = condition ? sy_slot_find(s->states, s->n_states, condition) : NULL;
    if (slot && r->states[slot - s->states][0] == 0)
        return true;
    r->program = turn->program;
    return run_once(r, &r->steps[turn->program], true, error);
}

static bool run(sy_session *s, sy_session_progress *progress, void *context, sy_error *error)
{
    reference *r = s->state;
    r->progress = progress;
    r->context = context;
    r->index = 0;
    for (uint32_t i = 0; i < s->n_states; i++)
        memset(r->states[i], 0, sy_type_count(&s->states[i].type) * sizeof(double));
    if (r->have_init && !run_once(r, &r->init, false, error))
        return false;
    memset(r->results, 0, s->result_bytes); /* of turns not taken */
    for (uint32_t i = 0; i < s->n_turns; i++) {
        r->index = s->turns[i].step;
        if (progress && !progress(context, r->index, s->params.n_steps))
            return sy_fail(error, SY_CODE_CANCELLED, "cancelled after %u of %u steps", r->index, s->params.n_steps);
        if (!take_turn(r, &s->turns[i], error))
            return false;
    }
    for (uint32_t i = 0; i < s->n_states; i++)
        sy_convert_from_double(s->states[i].type.dtype, r->states[i], sy_type_count(&s->states[i].type),
                               r->results + s->states[i].result);
    if (progress)
        progress(context, s->params.n_steps, s->params.n_steps);
    s->stats.first_dispatch_seconds = 0;
    return true;
}

static void destroy(sy_session *s)
{
    reference *r = s->state;
    if (r->have_init)
        sy_eval_free(&r->init);
    for (uint32_t i = 0; i < SY_SESSION_PROGRAMS; i++)
        if (r->have_step[i])
            sy_eval_free(&r->steps[i]);
    for (uint32_t i = 0; i < s->n_states; i++) {
        free(r->states ? r->states[i] : NULL);
        free(r->next ? r->next[i] : NULL);
    }
    free(r->inputs);
    free(r->results);
}

static const sy_session_backend backend = {.run = run, .destroy = destroy};

static bool prepare(reference *r, const sy_program *program, sy_eval *eval, bool *have, sy_error *error)
{
    if (!sy_weights_check(program, r->session->params.weights, error) || !sy_eval_init(eval, program->graph, error))
        return false;
    *have = true;
    eval->read = read_leaf;
    eval->context = r;
    eval->progress = still_wanted;
    return true;
}

bool sy_session_reference_create(sy_session *s, sy_error *error)
{
    reference *r = sy_arena_alloc(&s->arena, sizeof *r);
    if (!r)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a session");
    r->session = s;
    s->state = r;
    s->backend = &backend;
    r->states = sy_arena_array(&s->arena, s->n_states + 1, sizeof *r->states);
    r->next = sy_arena_array(&s->arena, s->n_states + 1, sizeof *r->next);
    r->inputs = calloc(1, s->input_bytes + 1);
    r->results = calloc(1, s->result_bytes + 1);
    bool ok = r->states && r->next && r->inputs && r->results;
    for (uint32_t i = 0; ok && i < s->n_states; i++) {
        r->states[i] = calloc(sy_type_count(&s->states[i].type), sizeof(double));
        r->next[i] = calloc(sy_type_count(&s->states[i].type), sizeof(double));
        ok = r->states[i] && r->next[i];
    }
    if (!ok)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the states of a session");
    s->input_memory = r->inputs;
    s->results = r->results;
    s->stats.host_bytes = s->input_bytes + s->result_bytes;
    if (s->params.init && !prepare(r, s->params.init, &r->init, &r->have_init, error))
        return false;
    for (uint32_t i = 0; i < s->params.n_programs; i++)
        if (!prepare(r, s->params.programs[i].program, &r->steps[i], &r->have_step[i], error))
            return false;
    return true;
}
