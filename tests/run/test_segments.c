/* Cutting programs into submissions: every workgroup of every dispatch once and in order, each segment within the bound
 * as far as single workgroups allow. */
#include "src/run/device_session.h"
#include "tests/check.h"

static sy_program program_of(sy_dispatch *dispatches, uint32_t n)
{
    return (sy_program){.dispatches = dispatches, .n_dispatches = n};
}

static void check_cover(const sy_program *program, double bound, const sy_segment *segments, uint32_t n)
{
    uint32_t next = 0;
    uint64_t covered = 0;
    for (uint32_t i = 0; i < n; i++) {
        const sy_segment *s = &segments[i];
        CHECK_SAY(s->predicted <= bound, "segment %u takes %g s", i, s->predicted);
        CHECK_SAY(s->first == next, "segment %u begins at dispatch %u, not %u", i, s->first, next);
        CHECK(s->begins == (covered == 0));
        if (!s->part) {
            CHECK(s->begins && s->ends);
            next += s->n;
            continue;
        }
        const sy_dispatch *dispatch = &program->dispatches[s->first];
        for (int axis = 0; axis < 3; axis++)
            CHECK(s->count[axis] >= 1 && s->base[axis] + s->count[axis] <= dispatch->groups[axis]);
        covered += (uint64_t)s->count[0] * s->count[1] * s->count[2];
        uint64_t all = (uint64_t)dispatch->groups[0] * dispatch->groups[1] * dispatch->groups[2];
        CHECK(s->ends == (covered == all)); /* boxes of a grid that do not meet: their sizes add up to it */
        if (s->ends) {
            covered = 0;
            next++;
        }
    }
    CHECK(next == program->n_dispatches);
}

static bool overlap(const sy_segment *a, const sy_segment *b)
{
    for (int axis = 0; axis < 3; axis++)
        if (a->base[axis] + a->count[axis] <= b->base[axis] || b->base[axis] + b->count[axis] <= a->base[axis])
            return false;
    return true;
}

int main(void)
{
    sy_dispatch dispatches[] = {
        {.groups = {10, 1, 1}, .flops = 1e6},
        {.groups = {7, 300, 1}, .flops = 400e9, .indirect = true}, /* 8 s of work on a slow device */
        {.groups = {3, 2, 65}, .bytes = 2e9},                      /* half a second */
        {.groups = {5, 4, 3}, .flops = 200e9},                     /* more parts than its longest axis has groups */
        {.groups = {1, 1, 1}, .flops = 1e9},
        {.groups = {64, 1, 1}, .flops = 4e9},
        {.groups = {64, 1, 1}, .flops = 4e9},
    };
    const uint32_t count = sizeof dispatches / sizeof *dispatches;
    sy_program program = program_of(dispatches, count);
    sy_arena arena = {0};
    sy_error error = {0};
    sy_segment *segments;
    uint32_t n;
    REQUIRE(sy_segments_plan(&program, 0.1, false, &arena, &segments, &n, &error));
    CHECK(n > 85 && n < 300);
    check_cover(&program, 0.1, segments, n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < i; j++)
            CHECK(!segments[i].part || segments[i].first != segments[j].first || !overlap(&segments[i], &segments[j]));
    REQUIRE(sy_segments_plan(&program, 0, false, &arena, &segments, &n, &error)); /* CPU drivers: no bound, one segment */
    CHECK(n == 1 && segments[0].first == 0 && segments[0].n == count);
    program = program_of(dispatches, 0);
    REQUIRE(sy_segments_plan(&program, 0.1, false, &arena, &segments, &n, &error));
    CHECK(n == 1 && segments[0].n == 0);
    sy_arena_free(&arena);
    return check_done();
}
