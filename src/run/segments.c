/* How a program is cut into submissions that no driver's watchdog ends. A segment is a run of dispatches whose
 * predicted time keeps the bound, or, where a single dispatch would not, a box of its workgroups: workgroups know
 * nothing of each other beyond a kernel's own shared memory, so a dispatch may be given to the device box by box.
 *
 * An indirect dispatch that is cut is given box by box over its static bound; its kernel ends at once in workgroups
 * past what the device counted (sy_dispatch.indirect says that it must). Programs with a condition
 * read all their sizes from device memory, which cannot say where a box begins: their kernels are told by push words if
 * they were compiled so (sy_compile_params.conditional); else such programs are cut between dispatches only. */
#include "src/run/device_session.h"

#include <math.h>

/* A device that is slow for one that runs Vulkan 1.2 at all: predictions are to be too long rather than too short. */
static const double slow_flops = 50e9, slow_bytes = 4e9, slow_dispatch = 20e-6;

/* Seconds on a slow device, without the cost of giving it to the device at all. */
static double predict(const sy_dispatch *dispatch)
{
    double compute = dispatch->flops / slow_flops, memory = dispatch->bytes / slow_bytes;
    return compute > memory ? compute : memory;
}

double sy_segments_bound(const sy_device_session *d)
{
    enum { PIECES = 4 }; /* a slice is made of so many, where predictions are true */
    double bound = d->device->plan->submission_seconds, fine = d->session->params.slice_seconds / PIECES;
    return fine > 0 && (bound <= 0 || fine < bound) ? fine : bound;
}

/* How many slices along each axis: along the longest first, each no thinner than a workgroup. */
static uint32_t slices(const sy_dispatch *dispatch, double bound, uint32_t n[3])
{
    double room = bound > 2 * slow_dispatch ? bound - slow_dispatch : bound / 2,
           wanted = ceil(predict(dispatch) / room);
    uint32_t total = 1;
    bool used[3] = {false};
    n[0] = n[1] = n[2] = 1;
    for (int turn = 0; turn < 3 && wanted > 1; turn++) {
        int axis = -1;
        for (int i = 0; i < 3; i++)
            if (!used[i] && (axis < 0 || dispatch->groups[i] > dispatch->groups[axis]))
                axis = i;
        used[axis] = true;
        n[axis] = wanted < dispatch->groups[axis] ? (uint32_t)wanted : dispatch->groups[axis];
        wanted = ceil(wanted / n[axis]);
        total *= n[axis];
    }
    return total;
}

static void add_parts(const sy_dispatch *dispatch, uint32_t index, const uint32_t n[3], sy_segment *out)
{
    uint32_t total = n[0] * n[1] * n[2];
    for (uint32_t p = 0; p < total; p++) {
        uint32_t at[3] = {p % n[0], p / n[0] % n[1], p / n[0] / n[1]};
        out[p] = (sy_segment){.first = index,
                              .n = 1,
                              .part = total > 1,
                              .begins = p == 0,
                              .ends = p + 1 == total,
                              .predicted = slow_dispatch + predict(dispatch) / total};
        for (int i = 0; i < 3; i++) {
            out[p].base[i] = (uint32_t)((uint64_t)dispatch->groups[i] * at[i] / n[i]);
            out[p].count[i] = (uint32_t)((uint64_t)dispatch->groups[i] * (at[i] + 1) / n[i]) - out[p].base[i];
        }
    }
}

bool sy_segments_plan(const sy_program *program, double bound, bool whole, sy_arena *arena, sy_segment **segments,
                      uint32_t *count, sy_error *error)
{
    uint32_t room = 1, n[3];
    for (uint32_t i = 0; i < program->n_dispatches; i++)
        room += bound > 0 && !whole ? slices(&program->dispatches[i], bound, n) : 1;
    sy_segment *out = sy_arena_array(arena, room, sizeof *out);
    if (!out)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for command buffers");
    *count = 0;
    for (uint32_t i = 0; i < program->n_dispatches; i++) {
        const sy_dispatch *dispatch = &program->dispatches[i];
        double more = slow_dispatch + predict(dispatch);
        sy_segment *last = *count ? &out[*count - 1] : NULL;
        uint32_t parts = bound > 0 && !whole ? slices(dispatch, bound, n) : 1;
        if (parts > 1) {
            add_parts(dispatch, i, n, out + *count);
            *count += parts;
        } else if (last && !last->part && (bound <= 0 || last->predicted + more <= bound)) {
            last->predicted += more;
            last->n++;
        } else {
            out[(*count)++] = (sy_segment){.first = i, .n = 1, .begins = true, .ends = true, .predicted = more};
        }
    }
    if (!*count) /* a step that computes nothing is a step all the same */
        out[(*count)++] = (sy_segment){.begins = true, .ends = true};
    for (uint32_t i = 0; i < *count; i++)
        out[i].expected = 4 * out[i].predicted; /* until it is measured: the first time a driver may compile it */
    *segments = out;
    return true;
}
