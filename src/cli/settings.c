/* Settings on the command line: --set NAME=VALUE, and the list of what there is. Whether a value is possible, and
 * whether it does anything for a model, the library decides when the pipeline is made. */
#include "src/cli/commands.h"

#include "graph/base/nearest.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "usage: switchyard settings [--json] [NAME]\n"
                           "\n"
                           "Lists what `generate --set NAME=VALUE` and `compare --with NAME=VALUE` take: methods "
                           "around and inside networks. A model\n"
                           "file gives defaults as metadata \"switchyard.NAME\".\n"
                           "\n"
                           "  NAME     only this one\n"
                           "  --json   machine-readable\n"
                           "  --help   this text\n"
                           "\n"
                           "Exit status: 0 done, 2 wrong arguments.\n";

bool sy_cli_take_setting(const char *command, sy_cli_settings *list, const char *text)
{
    const char *equals = strchr(text, '=');
    sy_setting_info info;
    sy_nearest nearest = {0};
    char *copy = equals && equals != text ? strdup(text) : NULL;
    if (!equals || equals == text)
        return sy_cli_usage(command, "a setting is NAME=VALUE, not \"%s\"; `switchyard settings` lists them", text),
               false;
    if (!copy || list->n == SY_CLI_SETTINGS) {
        free(copy);
        return sy_cli_usage(command, copy ? "at most %d settings can be given" : "no memory for a setting",
                            SY_CLI_SETTINGS),
               false;
    }
    copy[equals - text] = 0;
    nearest.wanted = copy;
    for (uint32_t i = 0; sy_setting_at(i, &info); i++) {
        if (!strcmp(info.name, copy)) {
            list->copies[list->n] = copy;
            list->settings[list->n++] = (sy_named_setting){copy, copy + (equals - text) + 1};
            return true;
        }
        sy_nearest_offer(&nearest, info.name);
    }
    sy_cli_usage(command, "there is no setting \"%s\"%s%s%s; `switchyard settings` lists them", copy,
                 nearest.best ? "; did you mean " : "", nearest.best ? nearest.best : "", nearest.best ? "?" : "");
    free(copy);
    return false;
}

void sy_cli_free_settings(sy_cli_settings *list)
{
    for (uint32_t i = 0; i < list->n; i++)
        free(list->copies[i]);
    list->n = 0;
}

static void print_one(const sy_setting_info *info)
{
    int column = 0;
    printf("%s=%s%s%s%s\n", info->name, info->value, *info->where ? "   (" : "", info->where, *info->where ? ")" : "");
    for (const char *word = info->meaning; *word;) { /* lines of at most a hundred columns */
        int n = (int)strcspn(word, " ");
        if (column && column + n > 96) {
            putchar('\n');
            column = 0;
        }
        column += printf("%s%.*s", column ? " " : "    ", n, word);
        word += n;
        word += strspn(word, " ");
    }
    putchar('\n');
}

static bool add_json(cJSON *array, const sy_setting_info *info)
{
    cJSON *object = cJSON_CreateObject();
    return cJSON_AddStringToObject(object, "name", info->name) &&
           cJSON_AddStringToObject(object, "value", info->value) &&
           cJSON_AddStringToObject(object, "where", info->where) &&
           cJSON_AddStringToObject(object, "meaning", info->meaning) &&
           (!info->count || (cJSON_AddNumberToObject(object, "least", info->least) &&
                             cJSON_AddNumberToObject(object, "most", info->most) &&
                             cJSON_AddNumberToObject(object, "numbers", info->count))) &&
           cJSON_AddItemToArray(array, object);
}

int sy_command_settings(int argc, char **argv)
{
    const char *only = NULL;
    bool json = false, found = false;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return fputs(help, stdout) < 0;
        if (!strcmp(argv[i], "--json"))
            json = true;
        else if (argv[i][0] == '-' || only)
            return sy_cli_usage(
                "settings", argv[i][0] == '-' ? "there is no option %s" : "\"%s\" is one argument too many", argv[i]);
        else
            only = argv[i];
    }
    sy_setting_info info;
    cJSON *array = json ? cJSON_CreateArray() : NULL;
    sy_nearest nearest = {.wanted = only ? only : ""};
    for (uint32_t i = 0; sy_setting_at(i, &info); i++) {
        sy_nearest_offer(&nearest, info.name);
        if (only && strcmp(only, info.name))
            continue;
        found = true;
        if (!json)
            print_one(&info);
        else if (!add_json(array, &info))
            return cJSON_Delete(array), sy_cli_fail("settings", "no memory");
    }
    if (!found) {
        cJSON_Delete(array);
        return sy_cli_usage("settings", "there is no setting \"%s\"%s%s%s", only, nearest.best ? "; did you mean " : "",
                            nearest.best ? nearest.best : "", nearest.best ? "?" : "");
    }
    char *text = json ? cJSON_Print(array) : NULL;
    if (text)
        puts(text);
    free(text);
    cJSON_Delete(array);
    return SY_EXIT_DONE;
}
