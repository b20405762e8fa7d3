/* Verdicts on a pair of profiles recorded on a busy machine (one graph, llvmpipe, two cores), as they are and with a regression
 * put into one of them. */
#include "graph/base/file.h"
#include "tests/check.h"
#include "tests/profile/help_report.h"

static sy_profile_report *recorded(const char *name)
{
    char path[1024];
    size_t size;
    sy_error error = {0};
    snprintf(path, sizeof path, "%s/tests/profile/recorded/%s.json", SY_SOURCE_DIR, name);
    char *text = sy_file_load(path, 1 << 24, &size, &error);
    sy_profile_report *r = text ? sy_report_from_json(text, size, &error) : NULL;
    CHECK_SAY(r != NULL, "%s", error.message);
    REQUIRE(r);
    free(text);
    return r;
}

static void scale(sy_profile_report *r, sy_samples *s, double factor, double more)
{
    double *of = sy_arena_array(&r->arena, s->n + 1, sizeof *of);
    REQUIRE(of);
    for (uint32_t i = 0; i < s->n; i++)
        of[i] = s->of[i] * factor + more;
    REQUIRE(sy_samples_describe(of, s->n, s));
}

/* One dispatch slower, and with it the total. */
static void plant(sy_profile_report *r, const char *name, double factor)
{
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        sy_profile_dispatch *d = &r->dispatches[i];
        if (strcmp(d->name, name))
            continue;
        for (int m = 0; m < SY_MODES; m++) {
            double more = d->time[m].median * (factor - 1);
            scale(r, &d->time[m], factor, 0);
            scale(r, &r->programs[d->program].total[m], 1, more);
            r->programs[d->program].sum[m] += more;
        }
        return;
    }
    CHECK_SAY(false, "there is no dispatch %s", name);
}

static uint32_t verdict(const sy_profile_report *a, const sy_profile_report *b, double bound, const char *said)
{
    sy_text out = {0};
    sy_error error = {0};
    uint32_t regressions = 99;
    CHECK_SAY(sy_report_compare(a, b, bound, &out, &regressions, &error), "%s", error.message);
    CHECK_SAY(out.data && strstr(out.data, said), "\"%s\" is not in\n%s", said, out.data ? out.data : "");
    sy_text_free(&out);
    return regressions;
}

static void test_recorded(void)
{
    sy_profile_report *a = recorded("before"), *b = recorded("after");
    CHECK(a->n_dispatches == 6 && a->dispatches[0].time[0].n == 18);
    CHECK(verdict(a, b, 0.05, "0 regressions") == 0);
    CHECK(verdict(b, a, 0.05, "0 regressions") == 0); /* either way round */
    CHECK(verdict(a, a, 0, "6 of them the same") == 0);
    plant(b, ": matmul", 1.5);
    CHECK(verdict(a, b, 0.05, "REGRESSED") >= 1);
    CHECK(verdict(a, b, 0.05, "  : matmul\n") >= 1);
    CHECK(verdict(a, b, 0.6, "slower") == 0); /* within a wider bound: said all the same */
    CHECK(verdict(b, a, 0.05, "faster") == 0);
    sy_report_destroy(&a), sy_report_destroy(&b);
}

/* Without noise every verdict can be told beforehand. */
static void test_made(void)
{
    sy_profile_report *a = help_report(), *b = help_report();
    CHECK(verdict(a, b, 0.05, "5 of them the same") == 0);
    help_slow(b, 4, 1.30); /* the second of two of one name: 210 to 273 us, its total by 15 % in both modes */
    CHECK(verdict(a, b, 0.05, "REGRESSED   210.000 ->   273.000 us   +30.0 %") == 3);
    CHECK(verdict(a, b, 0.20, "+30.0 %") == 1); /* the dispatch alone */
    CHECK(verdict(a, b, 0.31, "slower") == 0);
    sy_report_destroy(&b);
    b = help_report();
    help_slow(b, 2, 1.5); /* 2.5 us of 655: nobody's build ends of it */
    CHECK(verdict(a, b, 0.05, "slower") == 0);
    sy_report_destroy(&b);
    b = help_report();
    help_slow(b, 0, 1.015); /* within the spreads */
    CHECK(verdict(a, b, 0, "5 of them the same") == 0);
    b->dispatches[3].name = "blocks.0.attn: flash";
    CHECK(verdict(a, b, 0.05, "gone") == 0 && verdict(a, b, 0.05, "new") == 0);
    sy_report_destroy(&a), sy_report_destroy(&b);
}

static void refuse(const sy_profile_report *a, const sy_profile_report *b, const char *why)
{
    sy_text out = {0};
    sy_error error = {0};
    uint32_t regressions;
    CHECK(!sy_report_compare(a, b, 0.05, &out, &regressions, &error));
    CHECK_SAY(error.code == SY_CODE_INVALID_ARGUMENT && strstr(error.message, why), "%s", error.message);
    sy_text_free(&out);
}

static void test_refused(void)
{
    static const sy_profile_setting other[] = {{"count", "1"}, {"steps", "9"}};
    sy_profile_report *a = help_report(), *b = help_report();
    b->device = "Another Device";
    refuse(a, b, "Another Device");
    b->device = a->device, b->target = "elsewhere/other.safetensors";
    refuse(a, b, "other.safetensors");
    b->target = "elsewhere/some.safetensors";
    CHECK(verdict(a, b, 0.05, "same") == 0); /* the same model in another place */
    b->settings = other;
    refuse(a, b, "steps");
    b->settings = a->settings;
    a->measured[0] = b->measured[1] = false;
    refuse(a, b, "mode");
    sy_report_destroy(&a), sy_report_destroy(&b);
}

int main(void)
{
    test_recorded();
    test_made();
    test_refused();
    return check_done();
}
