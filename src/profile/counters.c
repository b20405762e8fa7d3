#include "src/profile/counters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_PASSES = 64 }; /* whole runs */

uint32_t sy_counters_index(const sy_vk_device *device)
{
    uint32_t i = 0;
    while (device->instance->physicals[i].handle != device->physical)
        i++;
    return i;
}

static bool is(const char *name, const char *at, size_t size)
{
    return strlen(name) == size && !strncasecmp(name, at, size);
}

/* Marks what one name means; false: nothing. */
static bool mark(const sy_counters *c, const char *at, size_t size, bool *wanted)
{
    bool found = false;
    for (uint32_t i = 0; i < c->n; i++)
        if (is("all", at, size) || is(c->list[i].name, at, size) || is(c->list[i].category, at, size))
            wanted[i] = found = true;
    return found;
}

bool sy_counters_choose(const sy_counters *c, const char *names, sy_arena *arena, uint32_t **chosen, uint32_t *n, sy_error *error)
{
    bool *wanted = sy_arena_array(arena, (size_t)c->n + 1, sizeof *wanted);
    *chosen = sy_arena_array(arena, (size_t)c->n + 1, sizeof **chosen);
    *n = 0;
    if (!wanted || !*chosen)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for counters");
    for (const char *at = names;; at++) {
        at += strspn(at, " ");
        size_t length = strcspn(at, ","), size = length;
        while (size && at[size - 1] == ' ')
            size--;
        if (!size || !mark(c, at, size, wanted))
            return sy_fail(error, SY_CODE_NOT_FOUND, "this device has no counter or category \"%.*s\"; --counters list lists them",
                           (int)(size < 200 ? size : 200), at);
        at += length;
        if (!*at)
            break;
    }
    for (uint32_t i = 0; i < c->n; i++)
        if (wanted[i])
            (*chosen)[(*n)++] = i;
    return true;
}

/* By unit: how it is written, and whether amounts of parts are to be added up. */
static const struct {
    const char *text;
    bool adds;
} units[] = {[VK_PERFORMANCE_COUNTER_UNIT_GENERIC_KHR] = {"", true},
             [VK_PERFORMANCE_COUNTER_UNIT_PERCENTAGE_KHR] = {"%", false},
             [VK_PERFORMANCE_COUNTER_UNIT_NANOSECONDS_KHR] = {"ns", true},
             [VK_PERFORMANCE_COUNTER_UNIT_BYTES_KHR] = {"B", true},
             [VK_PERFORMANCE_COUNTER_UNIT_BYTES_PER_SECOND_KHR] = {"B/s", false},
             [VK_PERFORMANCE_COUNTER_UNIT_KELVIN_KHR] = {"K", false},
             [VK_PERFORMANCE_COUNTER_UNIT_WATTS_KHR] = {"W", false},
             [VK_PERFORMANCE_COUNTER_UNIT_VOLTS_KHR] = {"V", false},
             [VK_PERFORMANCE_COUNTER_UNIT_AMPS_KHR] = {"A", false},
             [VK_PERFORMANCE_COUNTER_UNIT_HERTZ_KHR] = {"Hz", false},
             [VK_PERFORMANCE_COUNTER_UNIT_CYCLES_KHR] = {"cycles", true}};

static bool known(VkPerformanceCounterUnitKHR unit)
{
    return (uint32_t)unit < sizeof units / sizeof *units;
}

const char *sy_counter_unit(VkPerformanceCounterUnitKHR unit)
{
    return known(unit) ? units[unit].text : "";
}

bool sy_counter_value(VkPerformanceCounterStorageKHR storage, const VkPerformanceCounterResultKHR *r, double *value)
{
    switch (storage) {
    case VK_PERFORMANCE_COUNTER_STORAGE_INT32_KHR:
        *value = r->int32;
        return true;
    case VK_PERFORMANCE_COUNTER_STORAGE_INT64_KHR:
        *value = (double)r->int64;
        return true;
    case VK_PERFORMANCE_COUNTER_STORAGE_UINT32_KHR:
        *value = r->uint32;
        return true;
    case VK_PERFORMANCE_COUNTER_STORAGE_UINT64_KHR:
        *value = (double)r->uint64;
        return true;
    case VK_PERFORMANCE_COUNTER_STORAGE_FLOAT32_KHR:
        *value = r->float32;
        return true;
    case VK_PERFORMANCE_COUNTER_STORAGE_FLOAT64_KHR:
        *value = r->float64;
        return true;
    default:
        return false;
    }
}

uint32_t sy_counters_facts(const sy_counters *c, const uint32_t *chosen, uint32_t n, const sy_count_row *const *rows, uint32_t n_rows,
                           sy_arena *arena, sy_profile_fact *out)
{
    uint32_t added = 0;
    for (uint32_t i = 0; n_rows && i < n; i++) {
        const sy_counter *x = &c->list[chosen[i]];
        double sum = 0, value;
        uint32_t k = 0;
        while (k < n_rows && sy_counter_value(x->storage, &rows[k]->results[i], &value) && isfinite(value)) {
            sum += value;
            k++;
        }
        if (k < n_rows) /* what cannot be read, or is no number, is left out */
            continue;
        value = known(x->unit) && !units[x->unit].adds ? sum / n_rows : sum;
        bool whole = value == rint(value) && fabs(value) < 9e15;
        sy_profile_fact fact = {.name = sy_arena_string(arena, x->name),
                                .unit = sy_counter_unit(x->unit),
                                .text = sy_arena_printf(arena, whole ? "%.0f" : "%.6g", value),
                                .value = value};
        if (fact.name && fact.text)
            out[added++] = fact;
    }
    return added;
}

void sy_counters_print(const sy_counters *c, sy_text *out)
{
    static const char *const scopes[] = {"a command buffer", "a render pass", "a command"};
    sy_text_printf(out, "%u counters\n", c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        const sy_counter *x = &c->list[i];
        const char *unit = sy_counter_unit(x->unit);
        sy_text_printf(out, "%s%s%s%s  [%s] of %s%s%s%s%s\n", x->name, *unit ? " (" : "", unit, *unit ? ")" : "", x->category,
                       (uint32_t)x->scope < 3 ? scopes[x->scope] : "something newer", x->slows ? ", slows what it counts" : "",
                       x->together ? ", counts what others do as well" : "", *x->description ? ": " : "", x->description);
    }
}

/* Rows of a dispatch are one after another: they were recorded so. */
static bool fill(const sy_counters *c, const uint32_t *chosen, uint32_t n, const sy_counts *counts, sy_profile_report *r, sy_error *error)
{
    const sy_count_row **rows = sy_arena_array(&r->arena, (size_t)counts->n + 1, sizeof *rows);
    if (!rows)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for counters");
    for (uint32_t i = 0; i < counts->n; i++)
        rows[i] = &counts->rows[i];
    for (uint32_t i = 0, end; i < counts->n; i = end) {
        sy_profile_dispatch *d = &r->dispatches[r->programs[rows[i]->program].first + rows[i]->dispatch];
        for (end = i + 1; end < counts->n && rows[end]->program == rows[i]->program && rows[end]->dispatch == rows[i]->dispatch;)
            end++;
        if (!(d->counters = sy_arena_array(&r->arena, n, sizeof *d->counters)))
            return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for counters");
        d->n_counters = sy_counters_facts(c, chosen, n, rows + i, end - i, &r->arena, d->counters);
    }
    return true;
}

bool sy_counters_measure(sy_session *session, const sy_vk_device *device, const char *names, sy_profile_report *r, sy_error *error)
{
    sy_counters counters;
    sy_counts counts;
    uint32_t *chosen, n, passes;
    if (!sy_counters_list(device->instance, sy_counters_index(device), &r->arena, &counters, error) ||
        !sy_counters_choose(&counters, names, &r->arena, &chosen, &n, error))
        return false;
    passes = sy_counters_passes(device, chosen, n);
    if (!passes)
        return sy_fail(error, SY_CODE_UNAVAILABLE, "the driver does not say how these counters are to be read");
    if (passes > MOST_PASSES)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "these %u counters take %u runs, and at most %d are sensible: ask for fewer", n, passes, MOST_PASSES);
    return sy_session_count(session, chosen, n, passes, &r->arena, &counts, error) && fill(&counters, chosen, n, &counts, r, error);
}
