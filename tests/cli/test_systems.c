/* switchyard systems as a program: it prints the table of systems, all of it or what is asked for, as text and as JSON.
 */
#include "graph/zoo/systems.h"
#include "src/sample/sampler.h"
#include "tests/check.h"

#include <cjson/cJSON.h>
#include <sys/wait.h>

/* Runs the program; its standard output and error, and its exit status. Free the text. */
static char *run(const char *arguments, int *status)
{
    char command[1500];
    size_t room = 1 << 20;
    snprintf(command, sizeof command, "'%s/switchyard' systems %s 2>&1", SY_BINARY_DIR, arguments);
    char *text = calloc(1, room);
    FILE *pipe = popen(command, "r");
    REQUIRE(text && pipe);
    text[fread(text, 1, room - 1, pipe)] = '\0';
    int ended = pclose(pipe);
    *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
    return text;
}

static void says(const char *arguments, int wanted, const char *part)
{
    int status;
    char *text = run(arguments, &status);
    CHECK_SAY(status == wanted, "systems %s: exit status %d, not %d", arguments, status, wanted);
    CHECK_SAY(strstr(text, part), "systems %s says nothing of \"%s\": %.300s", arguments, part, text);
    free(text);
}

/* The rows of the JSON are those of the table that pass the filter, with what the table says of them. */
static void test_json(const sy_systems *systems, const char *arguments, int tier, int runs, const char *key)
{
    int status;
    char *text = run(arguments, &status);
    cJSON *json = cJSON_Parse(text);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(json, "systems");
    REQUIRE(status == 0 && cJSON_IsArray(rows));
    const cJSON *row = rows->child;
    for (uint32_t i = 0; i < systems->count; i++) {
        const sy_system *s = &systems->rows[i];
        if ((tier >= 0 && s->tier != tier) || (runs >= 0 && s->runs != runs) || (key && strcmp(key, s->key)))
            continue;
        REQUIRE(row);
        CHECK_TEXT(cJSON_GetStringValue(cJSON_GetObjectItem(row, "key")), s->key);
        CHECK_TEXT(cJSON_GetStringValue(cJSON_GetObjectItem(row, "title")), s->title);
        CHECK_TEXT(cJSON_GetStringValue(cJSON_GetObjectItem(row, "kind")), s->kind);
        CHECK_TEXT(cJSON_GetStringValue(cJSON_GetObjectItem(row, "show")), s->show);
        CHECK_TEXT(cJSON_GetStringValue(cJSON_GetObjectItem(row, "state")), s->runs ? "runs" : "planned");
        CHECK(cJSON_GetNumberValue(cJSON_GetObjectItem(row, "tier")) == s->tier);
        const cJSON *builder = cJSON_GetObjectItem(row, "builder"), *check = cJSON_GetObjectItem(row, "check");
        CHECK(cJSON_IsArray(builder) && cJSON_IsArray(check));
        CHECK(!s->runs || (cJSON_GetArraySize(builder) > 0 && cJSON_GetArraySize(check) > 0));
        row = row->next;
    }
    CHECK_SAY(!row, "systems %s: rows too many", arguments);
    cJSON_Delete(json);
    free(text);
}

/* What a builder "sampler:NAME" names is a sampler of the library. */
static void test_samplers(const sy_systems *systems)
{
    char name[64];
    for (uint32_t i = 0; i < systems->count; i++)
        for (const char *at = systems->rows[i].builder; sy_systems_next(&at, name);) {
            if (strncmp(name, "sampler:", 8))
                continue;
            int k = 0;
            while (k < SY_SAMPLING_COUNT && strcmp(sy_sampler_names[k], name + 8))
                k++;
            CHECK_SAY(k < SY_SAMPLING_COUNT, "%s: there is no %s", systems->rows[i].key, name);
        }
}

int main(void)
{
    sy_error error = {0};
    sy_systems *systems = sy_systems_create(&error);
    REQUIRE(systems);
    says("--help", 0, "--tier N");
    says("--help", 0, "--state runs|planned");
    says("--help", 0, "--json");
    says("--help", 0, "Exit status");
    says("", 0, "323 systems");
    says("--tier 1", 0, "34 systems");
    says("--tier 1 --state runs", 0, "by dit-moe; proved by dit_moe");
    says("promoe", 0, "Routing Matters in MoE");
    says("promoe", 0, "builder  promoe,promoe-ec");
    says("promo", 1, "did you mean promoe?");
    says("promo --json", 1, "no system \"promo\"");
    says("--tier 4", 2, "from 0 to 3");
    says("--tier", 2, "needs a number");
    says("--state done", 2, "\"runs\" or \"planned\"");
    says("promoe dit-moe", 2, "a second key");
    says("--jason", 2, "not an option");
    test_json(systems, "--json", -1, -1, NULL);
    test_json(systems, "--json --tier 1", 1, -1, NULL);
    test_json(systems, "--tier 2 --state planned --json", 2, 0, NULL);
    test_json(systems, "promoe --json", -1, -1, "promoe");
    test_samplers(systems);
    sy_systems_destroy(&systems);
    return check_done();
}
