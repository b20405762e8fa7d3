/* Times and routes of a session, by running it. The ways of running take turns within every round: without timestamps, and
 * with them in each mode asked for. All of them wait after every turn of the schedule, so what tells the first from the
 * others is the timestamps (and the barriers of the serial mode), not the waiting. */
#include "src/profile/measure.h"

#include "src/run/session_private.h" /* sy_seconds */


/* Samples under way: of each dispatch, and of its program's total. */
typedef struct taking {
    const sy_measure_params *m;
    sy_profile_report *r;
    sy_profile_mode mode;
    bool keep;                          /* no warm-up */
    double **samples, **begins;         /* by dispatch */
    double **totals;                    /* by program */
    uint32_t *taken;                    /* by program: turns so far */
} taking;

static bool no_memory(sy_error *error)
{
    return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a profile");
}

static bool take(void *context, const sy_session_turn *turn)
{
    taking *t = context;
    const sy_profile_program *p = &t->r->programs[turn->program];
    uint32_t at = t->taken[turn->program];
    if (!t->keep || !turn->times || !p->n)
        return true;
    t->taken[turn->program]++;
    for (uint32_t i = 0; i < p->n; i++) {
        t->samples[p->first + i][at] = turn->times[2 * i + 1] - turn->times[2 * i];
        t->begins[p->first + i][at] = turn->times[2 * i];
    }
    t->r->programs[turn->program].begun[t->mode] = turn->begun;
    t->totals[turn->program][at] = turn->times[2 * p->n - 1] - turn->times[0];
    return true;
}

static bool ignore(void *context, const sy_session_turn *turn)
{
    (void)context, (void)turn;
    return true;
}

static bool make_room(taking *t, sy_error *error)
{
    sy_profile_report *r = t->r;
    t->samples = sy_arena_array(&r->arena, r->n_dispatches + 1, sizeof *t->samples);
    t->begins = sy_arena_array(&r->arena, r->n_dispatches + 1, sizeof *t->begins);
    t->totals = sy_arena_array(&r->arena, r->n_programs + 1, sizeof *t->totals);
    t->taken = sy_arena_array(&r->arena, r->n_programs + 1, sizeof *t->taken);
    bool ok = t->samples && t->begins && t->totals && t->taken;
    for (uint32_t p = 0; ok && p < r->n_programs; p++) {
        size_t n = (size_t)t->m->repeats * r->programs[p].turns + 1;
        ok = (t->totals[p] = sy_arena_array(&r->arena, n, sizeof **t->totals));
        for (uint32_t i = r->programs[p].first; ok && i < r->programs[p].first + r->programs[p].n; i++)
            ok = (t->samples[i] = sy_arena_array(&r->arena, n, sizeof **t->samples)) &&
                 (t->begins[i] = sy_arena_array(&r->arena, n, sizeof **t->begins));
    }
    return ok || no_memory(error);
}

static bool tell(const sy_measure_params *m, const char *what, uint32_t done, uint32_t total, sy_error *error)
{
    return !m->progress || m->progress(m->user, what, done, total) || sy_fail(error, SY_CODE_CANCELLED, "cancelled");
}

/* One whole run, watched as said; its time by the host's clock. */
static bool run(const sy_measure_params *m, sy_session_timing timing, bool (*turn)(void *, const sy_session_turn *), void *context,
                double at[2], sy_error *error)
{
    sy_session_observer o = {.timing = timing, .turn = turn, .context = context};
    if (!sy_session_observe(m->session, &o, error))
        return false;
    at[0] = sy_seconds();
    bool ok = sy_session_run(m->session, NULL, NULL, error);
    at[1] = sy_seconds();
    return ok;
}

static bool finish_mode(taking *t, sy_error *error)
{
    sy_profile_report *r = t->r;
    sy_profile_mode mode = t->mode;
    sy_samples begin;
    for (uint32_t p = 0; p < r->n_programs; p++) {
        sy_profile_program *program = &r->programs[p];
        if (!sy_samples_describe(t->totals[p], t->taken[p], &program->total[mode]))
            return no_memory(error);
        for (uint32_t i = program->first; i < program->first + program->n; i++) {
            sy_profile_dispatch *d = &r->dispatches[i];
            if (!sy_samples_describe(t->samples[i], t->taken[p], &d->time[mode]) ||
                !sy_samples_describe(t->begins[i], t->taken[p], &begin))
                return no_memory(error);
            d->begin[mode] = begin.median;
            program->sum[mode] += d->time[mode].median;
        }
    }
    r->measured[mode] = true;
    return true;
}

static bool measure_times(const sy_measure_params *m, sy_profile_report *r, sy_error *error)
{
    static const sy_session_timing timing[] = {SY_TIMING_SERIAL, SY_TIMING_OVERLAP};
    taking t[SY_MODES] = {0};
    uint32_t n = m->repeats;
    double *plain = sy_arena_array(&r->arena, n + 1, sizeof *plain), *timed[SY_MODES], when[2] = {0};
    for (int mode = 0; mode < SY_MODES; mode++) {
        t[mode] = (taking){.m = m, .r = r, .mode = (sy_profile_mode)mode};
        timed[mode] = sy_arena_array(&r->arena, n + 1, sizeof **timed);
        if (!timed[mode] || !plain)
            return no_memory(error);
        if (m->modes[mode] && r->timestamp_bits && !make_room(&t[mode], error))
            return false;
    }
    for (uint32_t round = 0; round < m->warmups + n; round++) {
        uint32_t at = round >= m->warmups ? round - m->warmups : 0;
        if (!tell(m, round < m->warmups ? "warming up" : "measuring", round, m->warmups + n, error) ||
            !run(m, SY_TIMING_NONE, ignore, NULL, when, error))
            return false;
        plain[at] = when[1] - when[0];
        for (int mode = 0; mode < SY_MODES; mode++) {
            t[mode].keep = round >= m->warmups;
            if (m->modes[mode] && r->timestamp_bits && !run(m, timing[mode], take, &t[mode], r->host_run[mode], error))
                return false;
            timed[mode][at] = r->host_run[mode][1] - r->host_run[mode][0];
        }
    }
    for (int mode = 0; mode < SY_MODES; mode++)
        if (m->modes[mode] && r->timestamp_bits &&
            (!sy_samples_describe(timed[mode], n, &r->host_timed[mode]) || !finish_mode(&t[mode], error)))
            return false;
    r->repeats = n;
    r->warmups = m->warmups;
    return sy_samples_describe(plain, n, &r->host_plain) || no_memory(error);
}

/* Routes are looked at in a run of their own: the copies that it takes are in no time. */
typedef struct looking {
    sy_profile_report *r;
    uint32_t *seen; /* by program: turns */
} looking;

static bool look(void *context, const sy_session_turn *turn)
{
    looking *l = context;
    const sy_profile_program *p = &l->r->programs[turn->program];
    l->seen[turn->program]++;
    for (uint32_t k = 0; k < turn->n_heads; k++)
        for (uint32_t i = 0; i < l->r->n_routes; i++) {
            sy_profile_route *route = &l->r->routes[i];
            if (route->layer_first != p->first + turn->heads[k].first)
                continue;
            const uint32_t *words = turn->heads[k].words;
            route->used += words[0];
            for (uint32_t e = 0; e < route->targets; e++)
                route->load[e] += words[e + 2] - words[e + 1];
            route->tiles += route->tile_rows > 0 ? words[route->targets + 2] : 0;
        }
    return true;
}

static void finish_route(sy_profile_route *route, uint32_t turns)
{
    double most = 0;
    route->used /= turns;
    route->tiles /= turns;
    for (uint32_t e = 0; e < route->targets; e++) {
        double load = route->load[e] /= turns;
        most = load > most ? load : most;
    }
    route->imbalance = route->used > 0 ? most * route->targets / route->used : 0;
}

/* From the bound to what was there. Weights are read for targets that have rows; all else follows the slots, and what tiles
 * ask for follows the tiles. */
static void scale_work(sy_profile_report *r, const sy_dispatch *from, sy_profile_dispatch *d)
{
    const sy_profile_route *route = &r->routes[d->route];
    double used = route->slots ? route->used / route->slots : 0, hit = 0, weights = 0;
    for (uint32_t e = 0; e < route->targets; e++)
        hit += route->load[e] > 0;
    hit = route->targets ? hit / route->targets : 0;
    for (uint32_t i = 0; i < from->n_bindings; i++)
        if (from->bindings[i].place.space == SY_SPACE_WEIGHT)
            weights += (double)from->bindings[i].place.size;
    weights = weights < from->bytes ? weights : from->bytes;
    bool grouped = from->tile_rows > 0 && d->groups[1];
    d->flops = from->flops * used;
    d->least_bytes = grouped ? weights * hit + (from->bytes - weights) * used : from->bytes * (used < hit ? hit : used);
    d->planned_bytes = from->bytes_planned * (grouped ? route->tiles / d->groups[1] : used);
    d->planned_bytes = d->planned_bytes > d->least_bytes ? d->planned_bytes : d->least_bytes;
}

static bool measure_routes(const sy_measure_params *m, sy_profile_report *r, sy_error *error)
{
    looking l = {r, sy_arena_array(&r->arena, r->n_programs + 1, sizeof *l.seen)};
    sy_session_observer o = {.routes = true, .turn = look, .context = &l};
    if (!r->n_routes)
        return true;
    if (!l.seen)
        return no_memory(error);
    if (!tell(m, "looking at routes", 0, 1, error) || !sy_session_observe(m->session, &o, error) ||
        !sy_session_run(m->session, NULL, NULL, error))
        return false;
    for (uint32_t i = 0; i < r->n_routes; i++) {
        uint32_t turns = l.seen[r->dispatches[r->routes[i].layer_first].program];
        finish_route(&r->routes[i], turns ? turns : 1);
    }
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        sy_profile_dispatch *d = &r->dispatches[i];
        if (d->route != SY_NO_ROUTE)
            scale_work(r, &m->programs[d->program]->dispatches[i - r->programs[d->program].first], d);
    }
    return true;
}

bool sy_profile_measure(const sy_measure_params *m, sy_profile_report *r, sy_error *error)
{
    bool ok = measure_times(m, r, error) && measure_routes(m, r, error);
    return sy_session_observe(m->session, NULL, ok ? error : NULL) && ok;
}
