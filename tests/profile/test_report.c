/* Reports written and read back: nothing is lost, sums agree, the trace is one, the page has nothing from outside, and what is
 * no report is refused. */
#include "tests/check.h"
#include "tests/profile/help_report.h"

#include <cjson/cJSON.h>
#include <math.h>

static sy_profile_report *read_back(const sy_text *json)
{
    sy_error error = {0};
    sy_profile_report *r = sy_report_from_json(json->data, json->size, &error);
    CHECK_SAY(r != NULL, "%s", error.message);
    REQUIRE(r);
    return r;
}

static void test_round_trip(void)
{
    sy_profile_report *r = help_report();
    sy_text made = {0}, first = {0}, second = {0}, table[2] = {{0}};
    sy_report_json(r, &made);
    sy_profile_report *back = read_back(&made); /* numbers are written with 15 digits: from here on nothing changes */
    sy_report_json(back, &first);
    sy_profile_report *again = read_back(&first);
    sy_report_json(again, &second);
    CHECK(first.size > 1000 && first.size == second.size && !memcmp(first.data, second.data, first.size));
    sy_report_destroy(&again);
    sy_text_free(&made);
    sy_report_table(r, 0, &table[0]);
    sy_report_table(back, 0, &table[1]);
    CHECK_TEXT(table[1].data, table[0].data);
    CHECK(back->n_dispatches == 5 && back->measured[0] && back->measured[1] && back->dispatches[1].route == 0 && back->dispatches[0].route == SY_NO_ROUTE);
    for (uint32_t p = 0; p < back->n_programs; p++) /* sums are those of the parts, and no longer than the whole */
        for (int m = 0; m < SY_MODES; m++) {
            double sum = 0;
            for (uint32_t i = 0; i < back->programs[p].n; i++)
                sum += back->dispatches[back->programs[p].first + i].time[m].median;
            CHECK(fabs(sum - back->programs[p].sum[m]) < 1e-12 && sum <= back->programs[p].total[m].median);
        }
    sy_text_free(&first), sy_text_free(&second), sy_text_free(&table[0]), sy_text_free(&table[1]);
    sy_report_destroy(&r), sy_report_destroy(&back);
}

static void test_table(void)
{
    sy_profile_report *r = help_report();
    sy_text all = {0}, two = {0};
    sy_report_table(r, 0, &all);
    sy_report_table(r, 2, &two);
    const char *first = strstr(all.data, "400 us"), *second = strstr(all.data, "250 us");
    CHECK(first && second && first < second); /* most time first */
    CHECK(strstr(all.data, "profiling costs +2.0 %") && strstr(all.data, "profiling costs +1.0 %"));
    CHECK(strstr(two.data, "2 of 5") && two.size < all.size);
    CHECK(strstr(all.data, "imbalance") && strstr(all.data, "88.9")); /* 64 rows in 9 tiles of 8 */
    r->timestamp_bits = 0;
    sy_text none = {0};
    sy_report_table(r, 0, &none);
    CHECK(!strstr(none.data, "dispatches, serial"));
    sy_text_free(&all), sy_text_free(&two), sy_text_free(&none);
    sy_report_destroy(&r);
}

static double number(const cJSON *o, const char *name)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(o, name);
    CHECK(cJSON_IsNumber(x));
    return cJSON_IsNumber(x) ? x->valuedouble : NAN;
}

/* Slices of a track ascend and do not overlap; their lengths add up to the programs' sums. */
static void check_trace(const sy_profile_report *r, const char *text, bool calibrated)
{
    cJSON *o = cJSON_Parse(text);
    const cJSON *events = cJSON_GetObjectItemCaseSensitive(o, "traceEvents"), *e;
    double ends[8][8] = {{0}}, sums[8][8] = {{0}};
    uint32_t slices = 0, titles = 0;
    REQUIRE(cJSON_IsArray(events));
    cJSON_ArrayForEach (e, events) {
        const cJSON *phase = cJSON_GetObjectItemCaseSensitive(e, "ph"), *name = cJSON_GetObjectItemCaseSensitive(e, "name");
        REQUIRE(cJSON_IsString(phase) && cJSON_IsString(name));
        int process = (int)number(e, "pid"), track = (int)number(e, "tid");
        REQUIRE(process > 0 && process < 8 && track >= 0 && track < 8);
        if (!strcmp(phase->valuestring, "M")) {
            titles++;
            CHECK(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(e, "args"), "name")));
            continue;
        }
        CHECK_TEXT(phase->valuestring, "X");
        double begin = number(e, "ts"), length = number(e, "dur");
        CHECK(begin >= 0 && length >= 0 && begin >= ends[process][track]);
        ends[process][track] = begin + length - 1e-3; /* a picosecond of rounding */
        sums[process][track] += 1e-6 * length;
        slices++;
    }
    CHECK(slices == 2 * r->n_dispatches + (calibrated ? 2 : 0) && titles >= 3 * r->n_programs);
    for (uint32_t p = 0; p < r->n_programs; p++)
        for (int m = 0; m < SY_MODES; m++)
            CHECK(fabs(sums[p + 1][m + 1] - r->programs[p].sum[m]) < 1e-9);
    cJSON_Delete(o);
}

static void test_trace(void)
{
    sy_profile_report *r = help_report();
    sy_text lined = {0}, alone = {0};
    sy_report_trace(r, &lined);
    check_trace(r, lined.data, true);
    r->calibrated = false; /* then the clocks do not meet */
    sy_report_trace(r, &alone);
    check_trace(r, alone.data, false);
    CHECK(!strstr(alone.data, "\"host\""));
    sy_text_free(&lined), sy_text_free(&alone);
    sy_report_destroy(&r);
}

static uint32_t count(const char *text, const char *what)
{
    uint32_t n = 0;
    for (const char *p = strstr(text, what); p; p = strstr(p + 1, what))
        n++;
    return n;
}

static void test_html(void)
{
    sy_profile_report *r = help_report();
    sy_text page = {0};
    sy_report_html(r, &page);
    REQUIRE(page.data && !page.failed);
    CHECK(!strstr(page.data, "http") && !strstr(page.data, "src=") && !strstr(page.data, "url(") && !strstr(page.data, "<script"));
    CHECK(strstr(page.data, "&lt;script&gt;alert(&quot;1&quot;)"));
    CHECK(!strstr(page.data, "nan") && !strstr(page.data, "inf'") && strstr(page.data, "prefers-color-scheme:dark"));
    static const char *const tags[][2] = {{"<section", "</section>"}, {"<svg", "</svg>"}, {"<table", "</table>"}, {"<title", "</title>"}, {"<text", "</text>"}};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        CHECK_SAY(count(page.data, tags[i][0]) == count(page.data, tags[i][1]), "%s: %u, %u", tags[i][0], count(page.data, tags[i][0]),
                  count(page.data, tags[i][1]));
    CHECK(count(page.data, "<circle") == r->n_dispatches);
    sy_text_free(&page);
    sy_profile_report *empty = sy_report_create(); /* a device without timestamps, a graph without dispatches */
    empty->target = "x", empty->device = "y", empty->driver = "z", empty->what = "graph", empty->device_kind = "cpu";
    sy_report_html(empty, &page);
    CHECK(page.data && strstr(page.data, "</html>") && !strstr(page.data, "<circle"));
    sy_text_free(&page);
    sy_report_destroy(&empty);
    sy_report_destroy(&r);
}

static void refuse(const char *text, const char *why)
{
    sy_error error = {0};
    sy_profile_report *r = sy_report_from_json(text, strlen(text), &error);
    CHECK_SAY(!r && error.code == SY_CODE_INVALID_FILE && strstr(error.message, why), "%s", error.message);
    sy_report_destroy(&r);
}

static void test_refused(void)
{
    refuse("", "no JSON");
    refuse("[]", "version");
    refuse("{\"switchyard_profile\":2}", "version");
    refuse("{\"switchyard_profile\":1}", "roofs");
    refuse("{\"switchyard_profile\":1,\"roofs\":[],\"dispatches\":[{\"program\":0}]}", "not there");
    refuse("{\"switchyard_profile\":1,\"roofs\":[],\"programs\":[{\"first\":0,\"dispatches\":4000000000}]}", "not there");
    refuse("{\"switchyard_profile\":1,\"roofs\":[],\"routes\":[{\"first_dispatch\":-1}]}", "not there");
    refuse("{\"switchyard_profile\":1,\"roofs\":[],\"buffers\":[{\"program\":1e99,\"first\":7,\"last\":3}]}", "not there");
    sy_profile_report *r = help_report();
    sy_text json = {0};
    sy_report_json(r, &json);
    for (size_t n = 0; n < json.size; n += 61) { /* cut, and with a byte that is another: refused or read, never a crash */
        sy_error error = {0};
        sy_profile_report *cut = sy_report_from_json(json.data, n, &error);
        CHECK(!cut);
        sy_report_destroy(&cut);
        char kept = json.data[n];
        json.data[n] = "0[{-\",9}"[n / 61 % 8];
        cut = sy_report_from_json(json.data, json.size, &error);
        if (cut) {
            sy_text page = {0};
            sy_report_table(cut, 0, &page), sy_report_html(cut, &page), sy_report_trace(cut, &page);
            CHECK(page.size > 0);
            sy_text_free(&page);
        }
        sy_report_destroy(&cut);
        json.data[n] = kept;
    }
    sy_text_free(&json);
    sy_report_destroy(&r);
}

int main(void)
{
    test_round_trip();
    test_table();
    test_trace();
    test_html();
    test_refused();
    return check_done();
}
