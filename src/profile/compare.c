/* Two profiles of the same thing: what changed beyond the noise.
 *
 * Noise: medians count as different when they lie farther apart than both spreads together, and farther than a tick of the
 * clock. A regression is slower beyond the noise by more than the bound, in its median and in its least sample as well: what
 * else the machine does only ever adds time and leaves some sample alone, a slower kernel has no fast one. A dispatch's
 * counts only if what it lost is a two hundredth of its program's time or more, for what nobody can feel should end
 * nobody's build. Totals are those from first
 * to last. Dispatches are paired by program and name, and those of one name in their order. */
#include "src/profile/report.h"

#include <math.h>
#include <string.h>

static const double felt = 1.0 / 200;

typedef enum verdict { SAME, FASTER, SLOWER, REGRESSED } verdict;

static verdict judge(const sy_samples *a, const sy_samples *b, double tick, double bound, double least_loss)
{
    double change = b->median - a->median, noise = a->spread + b->spread;
    noise = noise > tick ? noise : tick;
    if (fabs(change) <= noise)
        return SAME;
    if (change < 0)
        return FASTER;
    bool beyond = a->median > 0 && change > bound * a->median && b->least > a->least * (1 + bound);
    return beyond && change >= least_loss ? REGRESSED : SLOWER;
}

static void print_change(const char *what, const sy_samples *a, const sy_samples *b, verdict v, sy_text *out)
{
    sy_text_printf(out, "%s %9.3f -> %9.3f us  %+6.1f %%  (+- %.3f, %.3f)  %s\n", v == REGRESSED ? "REGRESSED" : v == SLOWER ? "slower   " : "faster   ",
                   1e6 * a->median, 1e6 * b->median, a->median > 0 ? 100 * (b->median / a->median - 1) : 0, 1e6 * a->spread, 1e6 * b->spread, what);
}

static bool same_text(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static const char *setting_of(const sy_profile_report *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_settings; i++)
        if (!strcmp(r->settings[i].name, name))
            return r->settings[i].value;
    return "";
}

/* Only what computes the same on the same can be compared. The path of the model may differ: its name may not. */
static bool comparable(const sy_profile_report *a, const sy_profile_report *b, sy_error *error)
{
    const char *x = strrchr(a->target, '/'), *y = strrchr(b->target, '/');
    x = x ? x + 1 : a->target, y = y ? y + 1 : b->target;
    if (!same_text(x, y))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "one profile is of %s, the other of %s", x, y);
    if (!same_text(a->device, b->device))
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "one profile is of the device %s, the other of %s", a->device, b->device);
    for (int turn = 0; turn < 2; turn++) {
        const sy_profile_report *p = turn ? b : a, *q = turn ? a : b;
        for (uint32_t i = 0; i < p->n_settings; i++)
            if (!same_text(p->settings[i].value, setting_of(q, p->settings[i].name)))
                return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "one profile has %s %s, the other \"%s\"", p->settings[i].name,
                               p->settings[i].value, setting_of(q, p->settings[i].name));
    }
    bool both = false;
    for (int m = 0; m < SY_MODES; m++)
        both = both || (a->measured[m] && b->measured[m]);
    return both || sy_fail(error, SY_CODE_INVALID_ARGUMENT, "the profiles have no mode of timing in common");
}

static const sy_profile_program *program_named(const sy_profile_report *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_programs; i++)
        if (same_text(r->programs[i].name, name))
            return &r->programs[i];
    return NULL;
}

/* The dispatch of b that `d` of a is: the same name in the same program, as many of that name before it. NULL: gone. */
static const sy_profile_dispatch *partner(const sy_profile_report *a, uint32_t index, const sy_profile_report *b)
{
    const sy_profile_dispatch *d = &a->dispatches[index];
    const sy_profile_program *from = &a->programs[d->program], *to = program_named(b, from->name);
    uint32_t before = 0;
    for (uint32_t i = from->first; i < index; i++)
        before += same_text(a->dispatches[i].name, d->name);
    for (uint32_t i = to ? to->first : 0; to && i < to->first + to->n; i++)
        if (same_text(b->dispatches[i].name, d->name) && before-- == 0)
            return &b->dispatches[i];
    return NULL;
}

static void compare_totals(const sy_profile_report *a, const sy_profile_report *b, double tick, double bound, sy_text *out, uint32_t *regressions)
{
    for (uint32_t p = 0; p < a->n_programs; p++) {
        const sy_profile_program *x = &a->programs[p], *y = program_named(b, x->name);
        for (int m = 0; y && m < SY_MODES; m++) {
            if (!x->total[m].n || !y->total[m].n)
                continue;
            verdict v = judge(&x->total[m], &y->total[m], tick, bound, 0);
            sy_text what = {0};
            sy_text_printf(&what, "total of \"%s\", %s", x->name, sy_profile_mode_text((sy_profile_mode)m));
            if (v == SAME)
                sy_text_printf(out, "same      %9.3f -> %9.3f us, within the noise  %s\n", 1e6 * x->total[m].median, 1e6 * y->total[m].median,
                               what.data ? what.data : "");
            else
                print_change(what.data ? what.data : "", &x->total[m], &y->total[m], v, out);
            sy_text_free(&what);
            *regressions += v == REGRESSED;
        }
    }
}

static void compare_dispatches(const sy_profile_report *a, const sy_profile_report *b, sy_profile_mode mode, double tick, double bound,
                               sy_text *out, uint32_t *regressions)
{
    uint32_t same = 0, gone = 0, paired = 0;
    for (uint32_t i = 0; i < a->n_dispatches; i++) {
        const sy_profile_dispatch *x = &a->dispatches[i], *y = partner(a, i, b);
        if (!y) {
            gone++;
            sy_text_printf(out, "gone      %9.3f us  %s\n", 1e6 * x->time[mode].median, x->name);
            continue;
        }
        paired++;
        verdict v = judge(&x->time[mode], &y->time[mode], tick, bound, felt * a->programs[x->program].sum[mode]);
        same += v == SAME;
        *regressions += v == REGRESSED;
        if (v != SAME)
            print_change(x->name, &x->time[mode], &y->time[mode], v, out);
        if (strcmp(a->kernels[x->kernel].name, b->kernels[y->kernel].name))
            sy_text_printf(out, "          kernel %s -> %s  %s\n", a->kernels[x->kernel].name, b->kernels[y->kernel].name, x->name);
    }
    for (uint32_t i = 0; i < b->n_dispatches; i++)
        if (!partner(b, i, a))
            sy_text_printf(out, "new       %9.3f us  %s\n", 1e6 * b->dispatches[i].time[mode].median, b->dispatches[i].name);
    sy_text_printf(out, "%s: %u dispatches paired, %u of them the same within the noise, %u gone, %u new\n", sy_profile_mode_text(mode), paired, same,
                   gone, b->n_dispatches - paired);
}

bool sy_report_compare(const sy_profile_report *a, const sy_profile_report *b, double bound, sy_text *out, uint32_t *regressions,
                       sy_error *error)
{
    *regressions = 0;
    if (!comparable(a, b, error))
        return false;
    double tick = 1e-9 * (a->timestamp_period > b->timestamp_period ? a->timestamp_period : b->timestamp_period);
    if (!same_text(a->driver, b->driver))
        sy_text_printf(out, "driver    %s -> %s\n", a->driver, b->driver);
    compare_totals(a, b, tick, bound, out, regressions);
    sy_profile_mode mode = a->measured[SY_MODE_SERIAL] && b->measured[SY_MODE_SERIAL] ? SY_MODE_SERIAL : SY_MODE_OVERLAP;
    if (a->measured[mode] && b->measured[mode])
        compare_dispatches(a, b, mode, tick, bound, out, regressions);
    sy_text_printf(out, "%u regressions beyond %.3g %%\n", *regressions, 100 * bound);
    return true;
}
