/* Counters without a device: names to indices, results by storage and unit, what people read. Recorded structures: as drivers fill
 * them; no driver here has the extension. */
#include "src/profile/counters.h"
#include "tests/check.h"
#include "tests/profile/help_report.h"

#include <math.h>

#define UNIT(x) VK_PERFORMANCE_COUNTER_UNIT_##x##_KHR
#define STORAGE(x) VK_PERFORMANCE_COUNTER_STORAGE_##x##_KHR

static const sy_counter recorded[] = {
    {"GPU active cycles", "GRBM", "cycles in which anything ran", UNIT(CYCLES), STORAGE(UINT64), VK_PERFORMANCE_COUNTER_SCOPE_COMMAND_KHR, false, true},
    {"L2 hit rate", "Cache", "", UNIT(PERCENTAGE), STORAGE(FLOAT32), VK_PERFORMANCE_COUNTER_SCOPE_COMMAND_KHR, false, false},
    {"Bytes read", "Cache", "of memory", UNIT(BYTES), STORAGE(UINT32), VK_PERFORMANCE_COUNTER_SCOPE_COMMAND_BUFFER_KHR, true, false},
    {"Time", "GRBM", "", UNIT(NANOSECONDS), STORAGE(INT64), VK_PERFORMANCE_COUNTER_SCOPE_COMMAND_KHR, false, false},
    {"Offset", "Other", "", UNIT(GENERIC), STORAGE(INT32), VK_PERFORMANCE_COUNTER_SCOPE_COMMAND_KHR, false, false},
    {"Clock", "Other", "", UNIT(HERTZ), STORAGE(FLOAT64), VK_PERFORMANCE_COUNTER_SCOPE_COMMAND_KHR, false, false},
    {"Of tomorrow", "Other", "", (VkPerformanceCounterUnitKHR)77, (VkPerformanceCounterStorageKHR)77, (VkPerformanceCounterScopeKHR)9, false, false}};
static const sy_counters counters = {recorded, sizeof recorded / sizeof *recorded};

static void choose(const char *names, uint32_t n, const uint32_t *want)
{
    sy_arena arena = {0};
    sy_error error = {0};
    uint32_t *got, n_got;
    CHECK_SAY(sy_counters_choose(&counters, names, &arena, &got, &n_got, &error), "%s: %s", names, error.message);
    CHECK_SAY(n_got == n && !memcmp(got, want, n * sizeof *got), "%s: %u", names, n_got);
    sy_arena_free(&arena);
}

static void refuse(const char *names, const char *said)
{
    sy_arena arena = {0};
    sy_error error = {0};
    uint32_t *got, n;
    CHECK(!sy_counters_choose(&counters, names, &arena, &got, &n, &error) && error.code == SY_CODE_NOT_FOUND);
    CHECK_SAY(strstr(error.message, said), "%s", error.message);
    sy_arena_free(&arena);
}

static void test_choose(void)
{
    choose("bytes READ", 1, (uint32_t[]){2});
    choose("cache, Time ,l2 hit rate", 3, (uint32_t[]){1, 2, 3}); /* rising, each once */
    choose("all", 7, (uint32_t[]){0, 1, 2, 3, 4, 5, 6});
    refuse("Cache,Bytes", "\"Bytes\"");
    refuse("", "\"\"");
    refuse("Cache,", "\"\"");
    refuse("Cache,,Time", "\"\"");
}

static void test_facts(void)
{
    VkPerformanceCounterResultKHR a[7] = {{.uint64 = UINT64_C(5000000000)}, {.float32 = 87.5f}, {.uint32 = 4000000000u}, {.int64 = -7},
                                          {.int32 = -3},                    {.float64 = 1.5e9}, {.uint64 = 1}},
                                  b[7] = {{.uint64 = 1}, {.float32 = 50}, {.uint32 = 1000}, {.int64 = 9}, {.int32 = 3}, {.float64 = 1e9}, {.uint64 = 1}};
    const uint32_t every[] = {0, 1, 2, 3, 4, 5, 6};
    const sy_count_row one = {0, 0, a}, two = {0, 0, b}, *rows[] = {&one, &two};
    sy_arena arena = {0};
    sy_profile_fact f[7];
    static const char *const alone[][2] = {{"5000000000", "cycles"}, {"87.5", "%"}, {"4000000000", "B"}, {"-7", "ns"}, {"-3", ""}, {"1500000000", "Hz"}};
    static const char *const both[] = {"5000000001", "68.75", "4000001000", "2", "0", "1250000000"}; /* amounts add up, rates do not */
    uint32_t n = sy_counters_facts(&counters, every, 7, rows, 1, &arena, f);
    CHECK(n == 6); /* what nobody knows how to read is left out */
    for (uint32_t i = 0; i < n; i++) {
        CHECK_TEXT(f[i].name, recorded[i].name);
        CHECK_TEXT(f[i].text, alone[i][0]);
        CHECK_TEXT(f[i].unit, alone[i][1]);
    }
    n = sy_counters_facts(&counters, every, 7, rows, 2, &arena, f);
    CHECK(n == 6 && f[1].value == 68.75);
    for (uint32_t i = 0; i < n; i++)
        CHECK_TEXT(f[i].text, both[i]);
    a[1].float32 = (float)NAN;
    n = sy_counters_facts(&counters, (uint32_t[]){1, 3}, 2, (const sy_count_row *const[]){&(sy_count_row){0, 0, (VkPerformanceCounterResultKHR[]){a[1], a[3]}}}, 1,
                          &arena, f);
    CHECK(n == 1 && f[0].value == -7); /* results are in the order chosen; no number, no fact */
    CHECK(sy_counters_facts(&counters, every, 7, rows, 0, &arena, f) == 0);
    CHECK_TEXT(sy_counter_unit(UNIT(BYTES_PER_SECOND)), "B/s");
    CHECK_TEXT(sy_counter_unit(UNIT(KELVIN)), "K");
    CHECK_TEXT(sy_counter_unit((VkPerformanceCounterUnitKHR)-1), "");
    sy_arena_free(&arena);
}

static void test_texts(void)
{
    sy_text list = {0};
    sy_counters_print(&counters, &list);
    CHECK(list.data && strstr(list.data, "7 counters\n"));
    CHECK(strstr(list.data, "GPU active cycles (cycles)  [GRBM] of a command, counts what others do as well: cycles in which anything ran\n"));
    CHECK(strstr(list.data, "Bytes read (B)  [Cache] of a command buffer, slows what it counts: of memory\n"));
    CHECK(strstr(list.data, "Of tomorrow  [Other] of something newer\n"));
    sy_text_free(&list);
}

static void test_report(void)
{
    static sy_profile_fact facts[] = {{"L2 hit <rate>", "%", "87.5", 87.5}, {"Waves", "", "12", 12}};
    sy_profile_report *r = help_report();
    sy_error error = {0};
    sy_text out = {0};
    sy_report_html(r, &out);
    CHECK(out.data && !strstr(out.data, "Counters"));
    sy_text_free(&out);
    r->dispatches[1].counters = facts, r->dispatches[1].n_counters = 2;
    sy_report_json(r, &out);
    sy_profile_report *again = sy_report_from_json(out.data, out.size, &error);
    CHECK_SAY(again != NULL, "%s", error.message);
    REQUIRE(again);
    sy_text_free(&out);
    sy_report_table(again, 0, &out);
    CHECK(strstr(out.data, "L2 hit <rate>: 87.5 %\n") && strstr(out.data, "Waves: 12\n"));
    sy_text_free(&out);
    sy_report_html(again, &out);
    CHECK(strstr(out.data, "<h2>Counters</h2>") && strstr(out.data, "L2 hit &lt;rate&gt; 87.5 %, Waves 12"));
    sy_text_free(&out);
    sy_report_destroy(&again);
    sy_report_destroy(&r);
}

int main(void)
{
    test_choose();
    test_facts();
    test_texts();
    test_report();
    return check_done();
}
