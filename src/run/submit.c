/* Running a session: submissions bounded in predicted time, a bounded number of them in flight when somebody watches,
 * and one wait for the device at the end. Where others share the queue, submissions are bounded by the time that their
 * segments took before, and only two are in flight, so that what others submit soon has its turn. Progress is read from
 * the timeline semaphore's counter, which asks the device nothing and waits for nothing. */
#include "src/run/device_session.h"

#include "src/run/marks.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { IN_FLIGHT = 4, SLICES_IN_FLIGHT = 2, BATCH = 32 /* command buffers a submission */ };
static const uint64_t watchdog_nanoseconds = UINT64_C(600) * 1000000000; /* of silence, not of a run */

bool sy_submit_lost(sy_device_session *d, sy_error *error)
{
    char fault[400];
    size_t used = error ? strlen(error->message) : 0;
    if (!error || error->code != SY_CODE_DEVICE_LOST || d->session->lost.code != SY_CODE_OK)
        return false;
    if (sy_vk_device_fault(d->device, fault, sizeof fault))
        snprintf(error->message + used, sizeof error->message - used, " The driver says: %s.", fault);
    sy_marks_explain(d, error);
    d->session->lost = *error;
    if (d->device->lost.code == SY_CODE_OK)
        d->device->lost = *error;
    return false;
}

bool sy_submit_chained(sy_device_session *d, const void *more, const VkCommandBuffer *commands, uint32_t n, uint64_t *value, sy_error *error)
{
    uint64_t next = d->reached + 1;
    VkTimelineSemaphoreSubmitInfo timeline = {.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                              .pNext = more,
                                              .signalSemaphoreValueCount = 1,
                                              .pSignalSemaphoreValues = &next};
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                         .pNext = &timeline,
                         .commandBufferCount = n,
                         .pCommandBuffers = commands,
                         .signalSemaphoreCount = 1,
                         .pSignalSemaphores = &d->timeline};
    if (!sy_vk_check(sy_vk_device_submit(d->device, &info), error, "submitting work"))
        return sy_submit_lost(d, error);
    d->session->stats.submissions++;
    d->reached = *value = next;
    return true;
}

bool sy_submit(sy_device_session *d, const VkCommandBuffer *commands, uint32_t n, uint64_t *value, sy_error *error)
{
    return sy_submit_chained(d, NULL, commands, n, value, error);
}

bool sy_submit_wait(sy_device_session *d, uint64_t value, sy_error *error)
{
    VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                .semaphoreCount = 1,
                                .pSemaphores = &d->timeline,
                                .pValues = &value};
    d->session->stats.host_waits++;
    VkResult result = d->device->vk.vkWaitSemaphores(d->device->handle, &info, watchdog_nanoseconds);
    if (result == VK_TIMEOUT)
        return sy_fail(error, SY_CODE_DEVICE,
                       "the device finished nothing for ten minutes; what it was given last is still waited for");
    return sy_vk_check(result, error, "waiting for the device") || sy_submit_lost(d, error);
}

/* A run in progress. */
typedef struct run {
    sy_device_session *d;
    sy_session_progress *progress;
    void *context;
    uint64_t first;               /* timeline value of the first submission of steps, less one */
    uint32_t shown;               /* steps last told */
    uint64_t position;            /* segments given to the device so far */
    uint64_t ends[2 * IN_FLIGHT]; /* segments complete when submission i (modulo) is */
    double given[2 * IN_FLIGHT];  /* when it was submitted */
    uint64_t seen;                /* submissions seen complete */
    double seen_at;               /* when the last was */
    double predicted, longest;    /* of the longest submission */
} run;

static bool counter(run *r, uint64_t *value, sy_error *error)
{
    sy_vk_device *v = r->d->device;
    return sy_vk_check(v->vk.vkGetSemaphoreCounterValue(v->handle, r->d->timeline, value), error,
                       "asking the device how far it is") ||
           sy_submit_lost(r->d, error);
}

/* The turn that position lies in: the number of turns that are over before it. The init program's is none. */
static uint32_t turn_of(const sy_device_session *d, uint64_t position)
{
    uint32_t low = 0, high = d->session->n_turns;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (d->turn_ends[middle] <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The segment at a position of the run: those of the init program, then those of the program whose turn it is, turn
 * after turn. `step`: which step it belongs to; 0 also for the init program. */
static sy_segment *segment_at(const run *r, uint64_t position, uint32_t *which, uint64_t *step)
{
    const sy_device_session *d = r->d;
    const sy_program_objects *init = &d->objects[SY_INIT];
    uint32_t turn = turn_of(d, position);
    uint64_t begin = turn ? d->turn_ends[turn - 1] : init->n_segments;
    *which = position < init->n_segments ? SY_INIT : SY_STEP + d->session->turns[turn].program;
    *step = 0;
    if (*which == SY_INIT)
        return &init->segments[position];
    *step = d->session->turns[turn].step;
    return &d->objects[*which].segments[position - begin];
}

/* Says which step a lost device was in, where no marks did. */
static bool where_lost(run *r, sy_error *error)
{
    uint32_t which;
    uint64_t step;
    if (!error || error->code != SY_CODE_DEVICE_LOST || !r->position || sy_marks_on(r->d))
        return false;
    const sy_segment *segment = segment_at(r, r->position - 1, &which, &step);
    const sy_dispatch *dispatches = r->d->objects[which].program->dispatches;
    if (!segment->n)
        return false;
    sy_fail_context(error, "at or before %s %llu, dispatches \"%s\" to \"%s\"",
                    which == SY_INIT ? "the start, step" : "step", (unsigned long long)step + 1,
                    dispatches[segment->first].label, dispatches[segment->first + segment->n - 1].label);
    r->d->session->lost = *error;
    return false;
}

/* Complete steps when so many segments are. */
static uint32_t steps_of(const run *r, uint64_t position)
{
    const sy_session *s = r->d->session;
    uint32_t turns = position ? turn_of(r->d, position) : 0; /* that are over */
    if (!turns || position < r->d->turn_ends[turns - 1])
        return 0;
    return s->turns[turns - 1].step + s->turns[turns - 1].ends_step;
}

/* Tells progress; false when cancelled. */
static bool tell(run *r, uint64_t value)
{
    uint32_t total = r->d->session->params.n_steps, done = 0;
    if (!r->progress)
        return true;
    if (value > r->first)
        done = steps_of(r, r->ends[(value - r->first - 1) % (2 * IN_FLIGHT)]);
    r->shown = done > r->shown ? done : r->shown;
    return r->progress(r->context, r->shown, total);
}

/* The segments that are complete now took so long: the time since those before were, or since they were submitted. */
static void learn(run *r, uint64_t value)
{
    uint64_t from = r->seen ? r->ends[(r->seen - 1) % (2 * IN_FLIGHT)] : 0, complete = value - r->first, step;
    if (value <= r->first || complete == r->seen)
        return;
    double now = sy_seconds(), since = r->given[r->seen % (2 * IN_FLIGHT)], expected = 0;
    uint32_t which;
    uint64_t to = r->ends[(complete - 1) % (2 * IN_FLIGHT)];
    double took = now - (r->seen_at > since ? r->seen_at : since), each = took / (double)(complete - r->seen);
    r->longest = each > r->longest ? each : r->longest;
    for (uint64_t p = from; p < to; p++)
        expected += segment_at(r, p, &which, &step)->expected;
    double ratio = expected > 0 ? took / expected : 1;
    ratio = ratio < 0.2 ? 0.2 : ratio > 5 ? 5 : ratio; /* one odd measurement is not believed */
    for (uint64_t p = from; p < to; p++)
        segment_at(r, p, &which, &step)->expected *= 1 + 0.7 * (ratio - 1);
    r->seen = complete;
    r->seen_at = now;
}

/* Until the device has reached `value`: look, tell, sleep a little. */
static bool watch(run *r, uint64_t value, sy_error *error)
{
    struct timespec nap = {.tv_nsec = 500000};
    double silent_since = sy_seconds();
    uint64_t now = 0, before = 0;
    for (;;) {
        if (!counter(r, &now, error))
            return where_lost(r, error);
        if (r->d->session->params.slice_seconds > 0)
            learn(r, now);
        if (!tell(r, now))
            return sy_fail(error, SY_CODE_CANCELLED, "cancelled after %u of %u steps", r->shown,
                           r->d->session->params.n_steps);
        if (now >= value)
            return true;
        if (now != before)
            silent_since = sy_seconds();
        before = now;
        if (sy_seconds() - silent_since > 1e-9 * (double)watchdog_nanoseconds)
            return sy_fail(error, SY_CODE_DEVICE, "the device finished nothing for ten minutes");
        nanosleep(&nap, NULL);
    }
}

/* May this segment be in the submission too? As many as fit the bounds; without the first (CPU drivers) a step at a
 * time, so that there is something to tell. */
static bool fits(const run *r, const sy_segment *segment, bool same_step, double predicted, double expected)
{
    double bound = r->d->device->plan->submission_seconds, slice = r->d->session->params.slice_seconds;
    if (slice > 0 && expected + segment->expected > slice)
        return false;
    return bound > 0 ? predicted + segment->predicted <= bound : same_step;
}

static bool submit_next(run *r, uint64_t all, sy_error *error)
{
    sy_device_session *d = r->d;
    VkCommandBuffer commands[BATCH];
    double bound = d->device->plan->submission_seconds, predicted = 0, expected = 0;
    uint64_t value;
    uint32_t n = 0, which;
    uint64_t start = r->position, step, begun = UINT64_MAX;
    if (start == 0)
        commands[n++] = d->begin;
    while (r->position < all && n < BATCH - 1) {
        const sy_segment *segment = segment_at(r, r->position, &which, &step);
        if (begun != UINT64_MAX && !fits(r, segment, step == begun, predicted, expected))
            break;
        begun = which == SY_INIT ? 0 : step;
        predicted += segment->predicted;
        expected += segment->expected;
        commands[n++] = segment->commands;
        r->position++;
        if (d->session->observer.turn && r->position == d->turn_ends[turn_of(d, r->position - 1)])
            break;
    }
    if (r->position == all)
        commands[n++] = d->end;
    if (bound > 0 && predicted > r->predicted)
        r->predicted = predicted;
    if (!sy_submit(d, commands, n, &value, error))
        return where_lost(r, error);
    uint64_t at = (value - r->first - 1) % (2 * IN_FLIGHT);
    r->ends[at] = r->position;
    r->given[at] = sy_seconds();
    return true;
}

bool sy_submit_run(sy_session *s, sy_session_progress *progress, void *context, sy_error *error)
{
    sy_device_session *d = s->state;
    run r = {.d = d, .progress = progress, .context = context, .first = d->reached};
    uint64_t all = d->turn_ends[s->n_turns - 1];
    double start = sy_seconds();
    bool slices = s->params.slice_seconds > 0;
    uint64_t most = slices ? SLICES_IN_FLIGHT : IN_FLIGHT;
    if (d->device->lost.code != SY_CODE_OK)
        return sy_fail(error, SY_CODE_DEVICE_LOST, "the device was lost earlier (%s): begin with a new context",
                       d->device->lost.message);
    bool ok = !s->input_bytes || sy_vk_buffer_flush(d->device, &d->staging, 0, s->input_bytes, error);
    while (ok && r.position < all) {
        bool first = r.position == 0;
        ok = submit_next(&r, all, error);
        if (first)
            s->stats.first_dispatch_seconds = sy_seconds() - start;
        ok = ok && sy_observe_turn(d, r.position, error);
        if (ok && (progress || slices) && d->reached - r.first >= most)
            ok = watch(&r, d->reached - (most - 1), error);
    }
    if (ok && (progress || slices))
        ok = watch(&r, d->reached, error);
    /* The one wait; also after a cancellation, for what is in flight reads memory that the next run writes. */
    if (d->reached > r.first && s->lost.code == SY_CODE_OK && !sy_submit_wait(d, d->reached, ok ? error : NULL))
        ok = where_lost(&r, ok ? error : NULL);
    s->stats.longest_predicted_seconds = r.predicted;
    s->stats.longest_seconds = r.longest;
    return ok && sy_timings_read_all(d, error) &&
           (!s->result_bytes || sy_vk_buffer_invalidate(d->device, &d->readback, 0, s->result_bytes, error));
}
