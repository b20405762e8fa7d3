/* The table of settings and what is refused: unknown names with the nearest, values out of range or of the wrong form,
 * settings twice or for other networks; and that what a model file says is heard where the caller says nothing. */
#include "graph/zoo/networks.h"
#include "graph/zoo/settings.h"
#include "tests/check.h"

#include <string.h>

static sy_network_config config_with(const sy_setting *settings, uint32_t n)
{
    sy_network_config c = {.architecture = "dit", .objective = SY_OBJECTIVE_DDPM, .settings = settings, .n_settings = n};
    return c;
}

static void expect(const char *name, const char *value, const char *says)
{
    sy_setting s = {name, value};
    sy_network_config c = config_with(&s, 1);
    sy_error error = {0};
    bool ok = sy_settings_check(&c, &error);
    CHECK_SAY(says ? !ok && strstr(error.message, says) : ok, "%s=%s: %s", name, value, error.message);
}

/* Every row can be said, and is said once; words are words, numbers have a range. */
static void test_table(void)
{
    for (const sy_setting_row *row = sy_setting_table; row->name; row++) {
        CHECK_SAY(sy_setting_find(row->name) == row, "%s is there twice", row->name);
        CHECK_SAY(*row->doc && *row->value, "%s says nothing", row->name);
        CHECK_SAY(row->count ? row->least < row->most && !strchr(row->value, '|') : strchr(row->value, '|') != NULL,
                  "%s has no range or no words", row->name);
    }
    CHECK(!sy_setting_find("nothing") && !sy_setting_find(NULL));
}

static void test_check(void)
{
    expect("guidance.steps", "2,10", NULL);
    expect("guidance.steps", "2,10,12", "it takes FIRST,LAST");
    expect("guidance.steps", "2,x", "it takes FIRST,LAST");
    expect("guidance.steps", "2,", "it takes FIRST,LAST");
    expect("guidance.steps", "-1,2", "from 0 to 10000");
    expect("guidance.rescale", "1.5", "a number from 0 to 1");
    expect("guidance.rescale", "nan", "a number from 0 to 1");
    expect("guidanc.steps", "1,2", "did you mean guidance.steps?");
    expect("no such thing at all", "1", "there is no setting");
    expect("ras.metric", "norm", NULL);
    expect("ras.metric", "nor", "it takes std|norm");
    expect("ras.metric", "", "it takes std|norm");
    expect("flow.rtol", "0.1", "does nothing for this model, which is dit: it is for flow,flow-reversed");
    const sy_setting twice[] = {{"stg.scale", "1"}, {"stg.scale", "2"}};
    sy_network_config c = config_with(twice, 2);
    sy_error error = {0};
    CHECK(!sy_settings_check(&c, &error) && strstr(error.message, "given twice"));
}

static void test_read(void)
{
    const sy_setting said[] = {{"stg.layers", "3,5"}, {"stg.mode", "attention"}, {"ras.ratio", "0.25"}};
    sy_network_config c = config_with(said, 3);
    sy_error error = {0};
    double numbers[4], ratio, high;
    int32_t n, mode, metric;
    CHECK(sy_zoo_numbers(&c, "stg.layers", numbers, 4, &n, &error) && n == 2 && numbers[0] == 3 && numbers[1] == 5);
    CHECK(!sy_zoo_numbers(&c, "stg.layers", numbers, 1, &n, &error)); /* more than there is room for */
    CHECK(sy_setting_choice(&c, "stg.mode", &mode, &error) && mode == 1);
    CHECK(sy_setting_choice(&c, "ras.metric", &metric, &error) && metric == 0);
    CHECK(sy_setting_number(&c, "ras.ratio", 1, &ratio, &error) && ratio == 0.25);
    CHECK(sy_setting_number(&c, "ras.high", 0.5, &high, &error) && high == 0.5);
    CHECK(sy_setting_text(&c, "ras.high") == NULL);
}

int main(void)
{
    test_table();
    test_check();
    test_read();
    return check_done();
}
