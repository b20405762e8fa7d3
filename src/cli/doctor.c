/* switchyard doctor: whether this machine can run Switchyard, and if not, what to do next. Three parts: what is
 * installed, what would be made of each device, and whether its kernels compute what they should. */
#include "src/cli/commands.h"
#include "src/device/device.h"
#include "src/device/environment.h"
#include "src/device/self_test.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: switchyard doctor [--json] [--device N] [--no-test | --again]\n"
    "\n"
    "Says whether this machine can run Switchyard, and if not, what is missing and what to do about it: the Vulkan "
    "loader,\n"
    "drivers and their libraries, the kernel's devices and who may open them; for each device how it would be used or "
    "why\n"
    "it is refused, and which oddities of its driver are known; and a self-test: small graphs, one a family of "
    "kernels, run\n"
    "on the device and compared with the reference evaluator.\n"
    "\n"
    "  --json      the same as JSON\n"
    "  --device N  only test this device (see switchyard devices)\n"
    "  --no-test   leave the self-test out\n"
    "  --again     run all self-tests. Else what passed before with the same driver and kernels is not run again\n"
    "  --help      this text\n"
    "\n"
    "Environment: as for switchyard devices; results of self-tests are kept in $XDG_CACHE_HOME/switchyard.\n"
    "Exit status: 0 if all is well, 1 if something is wrong, 2 for wrong arguments.\n";

typedef struct doctor {
    bool json, test, again;
    int only; /* -1: all devices */
    cJSON *root;
    uint32_t problems, usable;
} doctor;

/* Where the library keeps its cache by default (sy_context_create). "" where there is no place. */
static void cache_directory(char *out, size_t room)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = 0;
    if (base && *base == '/')
        n = snprintf(out, room, "%s/switchyard", base);
    else if (home && *home == '/')
        n = snprintf(out, room, "%s/.cache/switchyard", home);
    if (n <= 0 || (size_t)n >= room)
        out[0] = '\0';
}

static void say(const doctor *d, const char *mark, const char *text, const char *remedy)
{
    if (d->json)
        return;
    printf("%-5s %s\n", mark, text);
    if (remedy)
        printf("      -> %s\n", remedy);
}

static void check_machine(doctor *d)
{
    static const char *const mark[] = {"ok", "note", "WRONG"}, *const level[] = {"good", "note", "problem"};
    sy_environment environment;
    sy_environment_check(NULL, &environment);
    cJSON *list = cJSON_AddArrayToObject(d->root, "machine");
    for (uint32_t i = 0; i < environment.n_findings; i++) {
        const sy_finding *f = &environment.findings[i];
        cJSON *item = cJSON_CreateObject();
        say(d, mark[f->level], f->what, f->remedy);
        d->problems += f->level == SY_FINDING_PROBLEM;
        cJSON_AddStringToObject(item, "level", level[f->level]);
        cJSON_AddStringToObject(item, "what", f->what);
        if (f->remedy)
            cJSON_AddStringToObject(item, "remedy", f->remedy);
        cJSON_AddItemToArray(list, item);
    }
    sy_environment_free(&environment);
}

typedef struct test_output {
    const doctor *doctor;
    cJSON *list;
} test_output;

static void test_done(void *context, const sy_self_test_case *test)
{
    const test_output *out = context;
    char text[700], remedy[340];
    cJSON *item = cJSON_CreateObject();
    snprintf(text, sizeof text, "self-test: %s (%s): %s%s%s", test->name, test->kernels,
             test->passed ? "right" : "WRONG RESULTS OR NO RESULT", test->reused ? ", as found before" : "",
             test->changed ? ", which is a change since last time" : "");
    snprintf(remedy, sizeof remedy, "%.300s Try another driver version.", test->message);
    say(out->doctor, test->passed ? "ok" : "WRONG", text, test->passed ? NULL : remedy);
    if (!out->doctor->json)
        fflush(stdout);
    cJSON_AddStringToObject(item, "name", test->name);
    cJSON_AddStringToObject(item, "kernels", test->kernels);
    cJSON_AddStringToObject(item, "hash", test->hash);
    cJSON_AddBoolToObject(item, "passed", test->passed);
    cJSON_AddBoolToObject(item, "reused", test->reused);
    cJSON_AddBoolToObject(item, "changed", test->changed);
    cJSON_AddNumberToObject(item, "error", test->error);
    if (!test->passed)
        cJSON_AddStringToObject(item, "message", test->message);
    cJSON_AddItemToArray(out->list, item);
}

static void test_device(doctor *d, sy_vk_instance *instance, uint32_t index, cJSON *json)
{
    char cache[1000];
    sy_error error = {0};
    sy_self_test_report *report = calloc(1, sizeof *report);
    sy_vk_device *device = report ? sy_vk_device_create(instance, index, &error) : NULL;
    test_output out = {d, cJSON_AddArrayToObject(json, "selfTest")};
    cache_directory(cache, sizeof cache);
    sy_self_test_params params = {
        .cache_directory = cache[0] ? cache : NULL, .again = d->again, .done = test_done, .context = &out};
    if (!device || !sy_self_test(device, &params, report, &error)) {
        say(d, "WRONG", error.code ? error.message : "Out of memory.", NULL);
        cJSON_AddStringToObject(json, "error", error.code ? error.message : "Out of memory.");
        d->problems++;
    }
    d->problems += report ? report->n_failed : 0;
    sy_vk_device_destroy(&device);
    free(report);
}

static void check_device(doctor *d, sy_vk_instance *instance, uint32_t index, cJSON *list)
{
    const sy_vk_physical *physical = &instance->physicals[index];
    const sy_device_plan *plan = &physical->plan;
    cJSON *json = cJSON_CreateObject();
    char text[900];
    cJSON_AddItemToArray(list, json);
    cJSON_AddNumberToObject(json, "index", index);
    cJSON_AddStringToObject(json, "name", physical->snapshot.name);
    cJSON_AddItemToObject(json, "verdict", sy_plan_to_json(plan));
    snprintf(text, sizeof text, "Device %u, %s, %s", index, physical->snapshot.name,
             plan->usable ? "can be used." : plan->refusal);
    say(d, plan->usable ? "ok" : "note", text, NULL);
    for (uint32_t i = 0; i < plan->n_notes; i++)
        say(d, "note", plan->notes[i], NULL);
    for (int i = 0; sy_quirks[i].name; i++) {
        if (!(plan->quirks >> i & 1))
            continue;
        snprintf(text, sizeof text, "%s: %s %s", sy_quirks[i].name, sy_quirks[i].what, sy_quirks[i].remedy);
        say(d, "note", text, NULL);
    }
    if (!plan->usable)
        return;
    d->usable++;
    if (d->test)
        test_device(d, instance, index, json);
}

static void check_devices(doctor *d)
{
    sy_error error = {0};
    sy_vk_instance *instance = sy_vk_instance_create(&(sy_vk_instance_params){.message = sy_cli_validation}, &error);
    cJSON *list = cJSON_AddArrayToObject(d->root, "devices");
    if (!instance) {
        say(d, "WRONG", error.message, NULL);
        cJSON_AddStringToObject(d->root, "error", error.message);
        d->problems++;
        return;
    }
    for (uint32_t i = 0; i < instance->n_physicals; i++)
        if (d->only < 0 || (uint32_t)d->only == i)
            check_device(d, instance, i, list);
    if (d->only >= 0 && (uint32_t)d->only >= instance->n_physicals) {
        char text[120];
        snprintf(text, sizeof text, "There is no device %d; this machine has %u.", d->only, instance->n_physicals);
        say(d, "WRONG", text, NULL);
        d->problems++;
    } else if (!d->usable) {
        say(d, "WRONG", "No device can be used.",
            "Install or update a driver (above). A software driver works everywhere: apt install mesa-vulkan-drivers. "
            "Without "
            "Vulkan, --device reference runs anything, slowly.");
        d->problems++;
    }
    if (instance->messages) {
        say(d, "WRONG", "The validation layer found mistakes.",
            "Please report them with the output of switchyard devices --json.");
        d->problems++;
    }
    sy_vk_instance_destroy(&instance);
}

/* 0: go on; else what to exit with, plus one. */
static int read_arguments(doctor *d, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *end;
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            fputs(help, stdout);
            return 1;
        }
        if (!strcmp(argv[i], "--json")) {
            d->json = true;
        } else if (!strcmp(argv[i], "--no-test")) {
            d->test = false;
        } else if (!strcmp(argv[i], "--again")) {
            d->again = true;
        } else if (!strcmp(argv[i], "--device") && i + 1 < argc) {
            long n = strtol(argv[++i], &end, 10);
            if (*end || end == argv[i] || n < 0 || n > 255) {
                fprintf(
                    stderr,
                    "switchyard doctor: --device takes the number of a device, not \"%s\". See switchyard devices.\n",
                    argv[i]);
                return 3;
            }
            d->only = (int)n;
        } else {
            fprintf(stderr, "switchyard doctor: \"%s\" %s. See switchyard doctor --help.\n", argv[i],
                    strcmp(argv[i], "--device") ? "is not an option of it" : "needs the number of a device after it");
            return 3;
        }
    }
    return 0;
}

int sy_command_doctor(int argc, char **argv)
{
    doctor d = {.test = true, .only = -1};
    int stop = read_arguments(&d, argc, argv);
    if (stop)
        return stop - 1;
    d.root = cJSON_CreateObject();
    if (!d.root) {
        fputs("switchyard doctor: out of memory\n", stderr);
        return 1;
    }
    check_machine(&d);
    check_devices(&d);
    if (d.json) {
        cJSON_AddNumberToObject(d.root, "problems", d.problems);
        char *text = cJSON_Print(d.root);
        puts(text ? text : "{}");
        cJSON_free(text);
    } else if (d.problems) {
        printf("\n%u thing%s wrong.\n", d.problems, d.problems == 1 ? " is" : "s are");
    } else {
        puts("\nAll is well.");
    }
    cJSON_Delete(d.root);
    return d.problems ? 1 : 0;
}
