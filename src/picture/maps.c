/* What a route says about one picture. Rows of a route are tokens of the batch: those of picture p are p T … p T + T -
 * 1 (the unconditional halves come after all conditional ones and are not shown).
 *
 * Evenness is the entropy of the load divided by its largest value, the logarithm of the number of targets: 1 when all
 * have the same number of tokens. Gate entropy is that of a token's scores, as they are where they are a distribution,
 * else after a softmax, in bits. */
#include "src/picture/maps.h"

#include "graph/import/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const sy_map_taps[SY_MAP_TAPS] = {
    "?preview",      "?*.route",         "?*.scores",      "?velocity",   "?guidance", "?*.map",
    "?perturbation", "?sampler.skipped", "?*.skip_energy", "?*.executed", "?ode.*",
};

/* "blocks.3.route" -> "blocks.3.scores" of the same result. */
static const sy_tap_result *scores_of(const sy_result *result, const sy_tap_result *route)
{
    size_t stem = strlen(route->name);
    stem = stem > 5 && !strcmp(route->name + stem - 5, "route") ? stem - 5 : stem;
    for (uint32_t i = 0; i < result->n_taps; i++) {
        const sy_tap_result *t = &result->taps[i];
        if (!t->is_route && !strncmp(t->name, route->name, stem) && !strcmp(t->name + stem, "scores") &&
            t->array.type == SY_ARRAY_F32)
            return t;
    }
    return NULL;
}

static double entropy_of_scores(const float *score, uint32_t n)
{
    double sum = 0, most = score[0], total = 0, entropy = 0;
    bool distribution = true;
    for (uint32_t i = 0; i < n; i++) {
        sum += (double)score[i];
        most = fmax(most, (double)score[i]);
        distribution = distribution && score[i] >= 0;
    }
    distribution = distribution && fabs(sum - 1) < 1e-3;
    for (uint32_t i = 0; i < n; i++)
        total += distribution ? (double)score[i] : exp((double)score[i] - most);
    for (uint32_t i = 0; i < n; i++) {
        double p = (distribution ? (double)score[i] : exp((double)score[i] - most)) / total;
        entropy -= p > 0 ? p * log2(p) : 0;
    }
    return entropy;
}

static double gate_entropy(const sy_result *result, const sy_tap_result *route, uint32_t evaluation, uint32_t picture)
{
    const sy_tap_result *t = scores_of(result, route);
    uint32_t tokens = result->tokens_per_picture;
    if (!t || t->array.rank < 1 || evaluation >= t->evaluations)
        return -1;
    uint64_t columns = (uint64_t)t->array.dim[t->array.rank - 1], elements = 1;
    for (uint32_t i = 0; i < t->array.rank; i++)
        elements *= (uint64_t)t->array.dim[i];
    if (elements < (uint64_t)(picture + 1) * tokens * columns)
        return -1;
    const float *score = (const float *)t->array.data + evaluation * elements + (uint64_t)picture * tokens * columns;
    double sum = 0;
    for (uint32_t i = 0; i < tokens; i++)
        sum += entropy_of_scores(score + i * columns, (uint32_t)columns);
    return sum / tokens;
}

/* Where only some tokens ran, a route over tokens counts those: its rows of a picture are, in order, the tokens of that
 * picture that the active route has. Sets *first and *n to the picture's rows; the token of one is then tokens[row].
 * NULL where all ran: rows are tokens. */
static int32_t *active_tokens(const sy_result *result, const sy_tap_result *route, uint32_t evaluation,
                              uint32_t picture, int64_t *first, int64_t *n)
{
    int64_t tokens = result->tokens_per_picture, begin = (int64_t)picture * tokens;
    const sy_route_step *active = NULL;
    for (uint32_t i = 0; i < result->n_taps; i++)
        if (result->taps[i].is_route && strstr(result->taps[i].name, "active.route") && &result->taps[i] != route &&
            evaluation < result->taps[i].evaluations && result->taps[i].steps[evaluation].n_slots)
            active = &result->taps[i].steps[evaluation];
    int32_t *list = active ? calloc((size_t)tokens + 1, sizeof *list) : NULL;
    *first = begin;
    *n = tokens;
    if (!list)
        return NULL;
    *first = *n = 0;
    for (uint32_t i = 0; i < active->n_slots; i++) {
        *first += active->row[i] < begin;
        if (active->row[i] >= begin && active->row[i] < begin + tokens && *n < tokens)
            list[(*n)++] = (int32_t)(active->row[i] - begin);
    }
    return list;
}

void sy_map_read(const sy_result *result, const sy_tap_result *route, uint32_t evaluation, uint32_t picture,
                 int32_t *owner, uint32_t *load, sy_map_facts *facts)
{
    const sy_route_step *step = &route->steps[evaluation];
    uint32_t tokens = result->tokens_per_picture, assigned = 0;
    int64_t first, n;
    int32_t *active = active_tokens(result, route, evaluation, picture, &first, &n);
    float *best = calloc(tokens, sizeof *best); /* without it the last target of a token counts */
    for (uint32_t i = 0; i < tokens; i++)
        owner[i] = -1;
    memset(load, 0, (size_t)route->targets * sizeof *load);
    for (uint32_t i = 0; i < step->n_slots; i++) {
        int64_t token = step->row[i] - first;
        if (token < 0 || token >= n)
            continue;
        token = active ? active[token] : token;
        load[step->target[i]]++;
        assigned++;
        if (owner[token] < 0 || !best || step->weight[i] > best[token]) {
            owner[token] = step->target[i];
            if (best)
                best[token] = step->weight[i];
        }
    }
    free(best);
    free(active);
    *facts = (sy_map_facts){.targets = route->targets, .gate = gate_entropy(result, route, evaluation, picture)};
    for (int32_t e = 0; e < route->targets; e++) {
        double p = assigned ? (double)load[e] / assigned : 0;
        facts->used += load[e] > 0;
        facts->evenness -= p > 0 ? p * log2(p) : 0;
    }
    facts->evenness = route->targets > 1 ? facts->evenness / log2(route->targets) : 1;
}

typedef struct columns {
    int32_t *counts, *rows, *targets;
    float *weights;
    char names[4][128];
} columns;

static bool gather(const sy_tap_result *t, columns *c, sy_safetensors_item *items, sy_error *error)
{
    uint64_t slots = 0;
    for (uint32_t i = 0; i < t->evaluations; i++)
        slots += t->steps[i].n_slots;
    c->counts = calloc(t->evaluations, sizeof *c->counts);
    c->rows = calloc(slots + 1, sizeof *c->rows);
    c->targets = calloc(slots + 1, sizeof *c->targets);
    c->weights = calloc(slots + 1, sizeof *c->weights);
    if (!c->counts || !c->rows || !c->targets || !c->weights || slots > INT32_MAX)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to write the routes");
    uint64_t at = 0;
    for (uint32_t i = 0; i < t->evaluations; i++) {
        uint32_t n = t->steps[i].n_slots;
        c->counts[i] = (int32_t)n;
        memcpy(c->rows + at, t->steps[i].row, n * sizeof *c->rows);
        memcpy(c->targets + at, t->steps[i].target, n * sizeof *c->targets);
        memcpy(c->weights + at, t->steps[i].weight, n * sizeof *c->weights);
        at += n;
    }
    int32_t evaluations = (int32_t)t->evaluations,
            all = slots ? (int32_t)slots : 1; /* tensors have at least one element */
    const char *const suffix[] = {"counts", "rows", "targets", "weights"};
    const void *data[] = {c->counts, c->rows, c->targets, c->weights};
    for (int i = 0; i < 4; i++) {
        snprintf(c->names[i], sizeof c->names[i], "%.100s.%s", t->name, suffix[i]);
        items[i] = (sy_safetensors_item){c->names[i], sy_tensor(i == 3 ? SY_F32 : SY_I32, 1, i ? &all : &evaluations),
                                         data[i]};
    }
    return true;
}

bool sy_map_save(const char *path, const sy_result *result, sy_error *error)
{
    uint32_t n = 0, routes = 0;
    for (uint32_t i = 0; i < result->n_taps; i++)
        routes += result->taps[i].is_route;
    columns *c = calloc((size_t)routes + 1, sizeof *c);
    sy_safetensors_item *items = calloc(4 * (size_t)routes + 1, sizeof *items);
    bool ok = c && items ? true : sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory to write the routes");
    for (uint32_t i = 0; ok && i < result->n_taps; i++)
        if (result->taps[i].is_route) {
            ok = gather(&result->taps[i], &c[n], items + 4 * (size_t)n, error);
            n++;
        }
    char tokens[32], pictures[32];
    snprintf(tokens, sizeof tokens, "%u", result->tokens_per_picture);
    snprintf(pictures, sizeof pictures, "%u", result->count);
    sy_safetensors_text texts[] = {{"tokens_per_picture", tokens}, {"pictures", pictures}};
    ok = ok && sy_safetensors_write(path, items, 4 * n, texts, 2, error);
    for (uint32_t i = 0; c && i < n; i++) {
        free(c[i].counts);
        free(c[i].rows);
        free(c[i].targets);
        free(c[i].weights);
    }
    free(c);
    free(items);
    return ok;
}
