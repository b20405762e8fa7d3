/* See options.h. */
#include "viewer/options.h"
#include "viewer/script.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DONE = 0, WRONG = 2 };

static const char help[] =
    "usage: switchyard view [MODEL] [OPTIONS]\n"
    "\n"
    "Opens a window and shows, while pictures come out of the noise, where every token goes: which expert made which patch,\n"
    "what attends to what, what was left out, at every layer and step. MODEL is a file or folder as for generate; another\n"
    "one can be dropped on the window. Press ? in the window for all keys.\n"
    "\n"
    "What to make at first (all of it can be changed in the window)\n"
    "  --prompt TEXT      words the model knows; \" | \" between those of several pictures; a number for models prompted by\n"
    "                     class (default: the first that the model was trained on)\n"
    "  --negative TEXT    for models prompted by text: what guidance goes away from\n"
    "  --seed N           seed of the first picture, the next has N + 1 and so on (default 0)\n"
    "  --count N          pictures side by side, 1 to 16 (default 1)\n"
    "  --steps N          sampling steps (default: the model's)\n"
    "  --sampler NAME     as for generate\n"
    "  --guidance X       classifier-free guidance scale; 1 is none (default: the model's)\n"
    "  --set NAME=VALUE   a setting, given any number of times: `switchyard settings` lists them\n"
    "\n"
    "Where\n"
    "  --device NAME      part of a device's name, or its number in `switchyard devices` (default: the best device)\n"
    "  --size WxH         of the window or the image (default 1280x800, or as it was left)\n"
    "  --scale X          of text and widgets (default: the display's; 1 without a window)\n"
    "\n"
    "Without a window\n"
    "  --headless         draw into an image; needs no display. Without --script: make a picture, take the screenshot, end\n"
    "  --script FILE      do what the lines of FILE say, in the window or without; --help-script lists the commands\n"
    "  --screenshot FILE  at the end, write what is seen as a PNG\n"
    "  --timings          at the end, print what frames took: how many a second, from input to screen\n"
    "  --help-script      the commands of scripts, and end\n"
    "  --help             this text\n"
    "\n"
    "The layout is kept in $XDG_CONFIG_HOME/switchyard/viewer.json (~/.config). Environment: SWITCHYARD_MODEL, the default\n"
    "model; XDG_CACHE_HOME, where compiled kernels are kept; SWITCHYARD_VALIDATION=1, the validation layer.\n"
    "Exit status: 0 done, 1 failed, 2 wrong arguments.\n";

static bool wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("switchyard view: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\nSee switchyard view --help\n", stderr);
    va_end(arguments);
    return false;
}

static bool take_number(const char *option, const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value < least || value > most)
        return wrong("%s is \"%s\"; it takes a whole number from %u to %u", option, text, least, most);
    *out = (uint32_t)value;
    return true;
}

static bool take_real(const char *option, const char *text, double least, double most, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least && value <= most))
        return wrong("%s is \"%s\"; it takes a number from %g to %g", option, text, least, most);
    *out = value;
    return true;
}

static bool take_text(const char *option, const char *text, char *out, size_t size)
{
    if (strlen(text) >= size)
        return wrong("%s is longer than %zu bytes", option, size - 1);
    snprintf(out, size, "%s", text);
    return true;
}

bool options_set(engine_request *r, const char *name, const char *value, char *error, size_t size)
{
    sy_setting_info info;
    bool known = false;
    uint32_t at = 0;
    for (uint32_t i = 0; !known && sy_setting_at(i, &info); i++)
        known = !strcmp(info.name, name);
    while (at < r->n_settings && strcmp(r->settings[at].name, name))
        at++;
    if (!known || strlen(value) >= ENGINE_VALUE || at == ENGINE_SETTINGS) {
        snprintf(error, size,
                 !known                   ? "there is no setting \"%s\"; `switchyard settings` lists them"
                 : at == ENGINE_SETTINGS  ? "too many settings to take \"%s\""
                                          : "the value of %s is too long",
                 name);
        return false;
    }
    if (!*value && at < r->n_settings)
        r->settings[at] = r->settings[--r->n_settings];
    if (!*value)
        return true;
    snprintf(r->settings[at].name, ENGINE_NAME, "%s", name);
    snprintf(r->settings[at].value, ENGINE_VALUE, "%s", value);
    r->n_settings += at == r->n_settings;
    return true;
}

static bool take_setting(engine_request *r, const char *text)
{
    const char *equals = strchr(text, '=');
    char name[ENGINE_NAME], error[256];
    if (!equals || equals == text || equals - text >= ENGINE_NAME)
        return wrong("a setting is NAME=VALUE, not \"%s\"; `switchyard settings` lists them", text);
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    return options_set(r, name, equals + 1, error, sizeof error) || wrong("%s", error);
}

bool options_sampler(const char *text, sy_sampler *sampler)
{
    for (int i = 0; i < SY_SAMPLER_COUNT; i++)
        if (!strcasecmp(text, sy_sampler_text((sy_sampler)i))) {
            *sampler = (sy_sampler)i;
            return true;
        }
    return false;
}

static bool take_sampler(const char *text, sy_sampler *sampler)
{
    char list[400] = "";
    if (options_sampler(text, sampler))
        return true;
    for (int i = 0; i < SY_SAMPLER_COUNT; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", sy_sampler_text((sy_sampler)i));
    return wrong("--sampler is \"%s\"; it takes %s", text, list);
}

bool options_size(const char *text, uint32_t *width, uint32_t *height)
{
    unsigned w, h;
    char rest;
    if (sscanf(text, "%5ux%5u%c", &w, &h, &rest) != 2 || w < 320 || h < 240 || w > 16384 || h > 16384)
        return false;
    *width = w;
    *height = h;
    return true;
}

enum {
    PROMPT = 256,
    NEGATIVE,
    SEED,
    COUNT,
    STEPS,
    SAMPLER,
    GUIDANCE,
    SET,
    DEVICE,
    SIZE,
    SCALE,
    HEADLESS,
    SCRIPT,
    SCREENSHOT,
    TIMINGS,
    HELP_SCRIPT,
    HELP
};

static bool take(options *o, int option, const char *value)
{
    engine_request *r = &o->request;
    double real;
    switch (option) {
    case PROMPT:
        return take_text("--prompt", value, r->prompt, sizeof r->prompt);
    case NEGATIVE:
        return take_text("--negative", value, r->negative, sizeof r->negative);
    case SEED:
        return take_number("--seed", value, 0, UINT32_MAX, &r->seed);
    case COUNT:
        return take_number("--count", value, 1, ENGINE_PICTURES, &r->count);
    case STEPS:
        return take_number("--steps", value, 1, 10000, &r->steps);
    case SAMPLER:
        return take_sampler(value, &r->sampler);
    case GUIDANCE:
        return take_real("--guidance", value, 0.01, 1000, &r->guidance);
    case SET:
        return take_setting(r, value);
    case DEVICE:
        o->device = value;
        return true;
    case SIZE:
        return options_size(value, &o->width, &o->height) ||
               wrong("--size is \"%s\"; it takes width and height in pixels, from 320x240 to 16384x16384", value);
    case SCALE:
        if (!take_real("--scale", value, 0.5, 4, &real))
            return false;
        o->scale = (float)real;
        return true;
    case HEADLESS:
        return o->headless = true;
    case SCRIPT:
        o->script = value;
        return true;
    case SCREENSHOT:
        o->screenshot = value;
        return true;
    default:
        return o->timings_of_frames = true;
    }
}

bool options_parse(options *o, int argc, char **argv, const char *default_model, int *status)
{
    static const struct option known[] = {{"prompt", 1, 0, PROMPT},
                                          {"negative", 1, 0, NEGATIVE},
                                          {"seed", 1, 0, SEED},
                                          {"count", 1, 0, COUNT},
                                          {"steps", 1, 0, STEPS},
                                          {"sampler", 1, 0, SAMPLER},
                                          {"guidance", 1, 0, GUIDANCE},
                                          {"set", 1, 0, SET},
                                          {"device", 1, 0, DEVICE},
                                          {"size", 1, 0, SIZE},
                                          {"scale", 1, 0, SCALE},
                                          {"headless", 0, 0, HEADLESS},
                                          {"script", 1, 0, SCRIPT},
                                          {"screenshot", 1, 0, SCREENSHOT},
                                          {"timings", 0, 0, TIMINGS},
                                          {"help-script", 0, 0, HELP_SCRIPT},
                                          {"help", 0, 0, HELP},
                                          {0, 0, 0, 0}};
    int option;
    *o = (options){.request = {.taps = true}};
    *status = WRONG;
    optind = 0;
    while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
        if (option == ':' || option == '?')
            return wrong(option == ':' ? "%s takes a value" : "there is no option %s", argv[optind - 1]);
        if (option == HELP || option == HELP_SCRIPT) {
            if (option == HELP)
                fputs(help, stdout);
            else
                script_help(stdout);
            *status = DONE;
            return false;
        }
        if (!take(o, option, optarg))
            return false;
    }
    const char *model = optind < argc ? argv[optind++] : default_model;
    if (optind < argc)
        return wrong("\"%s\" is one argument too many", argv[optind]);
    if (o->headless && !o->script && !o->screenshot)
        return wrong("--headless shows nothing by itself: give it --script FILE or --screenshot FILE");
    return !model || take_text("MODEL", model, o->request.model, sizeof o->request.model);
}
