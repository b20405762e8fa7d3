/* Rules of --steer on the command line. Which routes, targets and places there are, the library knows. */
#include "src/cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part of a rule behind its route's name. */
static bool read_rule(const char *text, sy_steer *rule)
{
    int used = 0, place = 0;
    unsigned picture;
    if (sscanf(text, "off=%d%n", &rule->target, &used) == 1)
        rule->kind = SY_STEER_OFF;
    else if (sscanf(text, "to=%d%n", &rule->target, &used) == 1)
        rule->kind = SY_STEER_TO;
    else
        return false;
    text += used;
    if (*text == '@') {
        if (sscanf(text, "@%u,%u,%u,%u%n", &rule->x, &rule->y, &rule->width, &rule->height, &place) != 4 ||
            !rule->width || !rule->height)
            return false;
        text += place;
    }
    if (*text == '#') {
        used = 0;
        if (sscanf(text, "#%u%n", &picture, &used) != 1 || picture >= 1024)
            return false;
        rule->picture = picture + 1;
        text += used;
    }
    return !*text && rule->target >= 0;
}

bool sy_cli_take_steer(const char *command, sy_cli_steers *list, const char *text)
{
    sy_steer rule = {0};
    if (list->n == SY_CLI_STEERS)
        return sy_cli_usage(command, "at most %d rules can be given", SY_CLI_STEERS), false;
    char *copy = strdup(text), *colon = copy ? strrchr(copy, ':') : NULL;
    if (!copy)
        return sy_cli_usage(command, "no memory for a rule"), false;
    if (colon) {
        *colon = 0;
        rule.route = copy;
    }
    if (!read_rule(colon ? colon + 1 : copy, &rule) || (colon && !*copy)) {
        free(copy);
        return sy_cli_usage(command,
                            "--steer is \"%s\"; a rule is off=N or to=N, before it a route's name and a colon, behind it "
                            "@X,Y,W,H and #I: \"blocks.3.route:to=5@4,4,8,8\"",
                            text),
               false;
    }
    list->copies[list->n] = copy;
    list->texts[list->n] = text;
    list->rules[list->n++] = rule;
    return true;
}

void sy_cli_free_steers(sy_cli_steers *list)
{
    for (uint32_t i = 0; i < list->n; i++)
        free(list->copies[i]);
    list->n = 0;
}
