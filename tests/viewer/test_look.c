/* What the user looks at: saved and loaded the same, files with anything in them do no harm; completion of prompts; several
 * prompts in one text. */
#include "tests/check.h"
#include "viewer/complete.h"
#include "viewer/engine.h"
#include "viewer/look.h"

#include <unistd.h>

static void check_round_trip(void)
{
    look first, second;
    look_reset(&first);
    CHECK(first.step == LOOK_LATEST && first.zoom > 0.99f && first.expert == -1);
    first.step = 7;
    first.overlay = LOOK_ENTROPY;
    first.opacity = 0.25f;
    first.unconditional = first.smooth = true;
    first.left = 333;
    strcpy(first.layer, "blocks.3");
    cJSON *json = look_to_json(&first, false);
    REQUIRE(json);
    look_reset(&second);
    look_from_json(&second, json, false);
    CHECK(!memcmp(&first, &second, sizeof first));
    look_reset(&second);
    look_from_json(&second, json, true); /* the layout alone */
    CHECK(second.step == LOOK_LATEST && second.left > 332 && second.left < 334);
    cJSON_Delete(json);
}

static void check_bad_files(void)
{
    static const char *const texts[] = {
        "{}", "[]", "{\"step\":\"x\",\"zoom\":null,\"layer\":5}", "{\"zoom\":-1,\"opacity\":1e300,\"split\":7}",
        "{\"overlay\":99,\"comparison\":-3,\"picture\":-1,\"patch_width\":0}", "{\"left\":1e30,\"bottom\":-5,\"speed\":0}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        look l;
        cJSON *json = cJSON_Parse(texts[i]);
        REQUIRE(json);
        look_reset(&l);
        look_from_json(&l, json, false);
        CHECK_SAY(l.zoom >= 0.1f && l.opacity >= 0 && l.opacity <= 1 && l.split >= 0 && l.split <= 1 && l.overlay >= 0 &&
                      l.overlay < LOOK_OVERLAY_COUNT && l.comparison >= 0 && l.comparison < LOOK_COMPARISON_COUNT &&
                      l.picture >= 0 && l.patch_width >= 1 && l.left >= 200 && l.bottom >= 60 && l.speed > 0,
                  "%s", texts[i]);
        cJSON_Delete(json);
    }
}

static void check_remembered(void)
{
    look first, second;
    char folder[300];
    snprintf(folder, sizeof folder, "%s/test-config-%ld", SY_BINARY_DIR, (long)getpid());
    setenv("XDG_CONFIG_HOME", folder, 1);
    look_reset(&first);
    first.right = 444;
    first.step = 3;
    look_remember(&first);
    look_reset(&second);
    look_recall(&second);
    CHECK(second.right > 443 && second.right < 445 && second.step == LOOK_LATEST);
    strcat(folder, "/switchyard/viewer.json");
    CHECK(unlink(folder) == 0);
    *strrchr(folder, '/') = 0;
    CHECK(rmdir(folder) == 0);
    *strrchr(folder, '/') = 0;
    CHECK(rmdir(folder) == 0);
}

static void check_prompts(void)
{
    char out[64];
    CHECK(engine_prompt_at("cat face", 0, NULL, 0) == 1);
    CHECK(engine_prompt_at("cat face | owl|  hot dog ", 1, out, sizeof out) == 3);
    CHECK_TEXT(out, "owl");
    engine_prompt_at("cat face | owl|  hot dog ", 2, out, sizeof out);
    CHECK_TEXT(out, "hot dog");
    engine_prompt_at("cat face | owl", 9, out, sizeof out);
    CHECK_TEXT(out, "owl");
    CHECK(engine_prompt_at("", 0, out, sizeof out) == 1);
    CHECK_TEXT(out, "");
}

static void check_completion(void)
{
    static const char *const words[] = {"cat", "face", "fox"}, *const prompts[] = {"cat face", "owl"};
    const sy_model_info m = {.words = words, .n_words = 3, .prompts = prompts, .n_prompts = 2};
    char whole[64];
    int from;
    CHECK(complete_with(&m, "c", 1, 0, whole, sizeof whole));
    CHECK_TEXT(whole, "cat face");
    CHECK(complete_with(&m, "C", 1, 1, whole, sizeof whole));
    CHECK_TEXT(whole, "cat");
    CHECK(complete_with(&m, "owl | cat f", 11, 0, whole, sizeof whole));
    CHECK_TEXT(whole, "owl | cat face");
    CHECK(complete_with(&m, "hot fo", 6, 0, whole, sizeof whole));
    CHECK_TEXT(whole, "hot fox");
    CHECK(!complete_at(&m, "zebra", 5, 0, &from));
    CHECK(!complete_with(&m, "c", 1, 0, whole, 4));
    CHECK_TEXT(complete_at(&m, "", 0, 1, &from), "owl");
}

int main(void)
{
    check_round_trip();
    check_bad_files();
    check_remembered();
    check_prompts();
    check_completion();
    return check_done();
}
