/* The self-test on the driver at hand: everything is right, with the kernels made for software drivers and with those
 * made for hardware; together the cases reach every variant of the manifest; results are kept, and kept results are
 * used. */
#include "graph/emit/manifest.h"
#include "src/device/self_test.h"
#include "tests/check.h"

#include <dirent.h>
#include <unistd.h>

static void print_message(void *user, sy_severity severity, const char *text)
{
    (void)user;
    fprintf(stderr, "validation (%d): %s\n", (int)severity, text);
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

static void note_kernels(char *seen, size_t room, const sy_self_test_report *report)
{
    for (uint32_t i = 0; i < report->n_cases; i++)
        snprintf(seen + strlen(seen), room - strlen(seen), " %s", report->cases[i].kernels);
}

static void run(sy_vk_device *d, const sy_self_test_params *params, sy_self_test_report *report)
{
    sy_error error = {0};
    CHECK_SAY(sy_self_test(d, params, report, &error), "%s", error.message);
    CHECK(report->n_cases > 0 && report->n_failed == 0);
    for (uint32_t i = 0; i < report->n_cases; i++)
        CHECK_SAY(report->cases[i].passed && report->cases[i].error < 1e-5, "%s (%s): %.3g %s", report->cases[i].name,
                  report->cases[i].kernels, report->cases[i].error, report->cases[i].message);
}

/* A stored failure is looked at again, and found to have changed; stored successes of other kernels do not count. */
static void spoil(const char *folder)
{
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[600], text[20000];
        if (strncmp(entry->d_name, "self-test-", 10))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = fopen(path, "r+b");
        REQUIRE(file != NULL);
        size_t size = fread(text, 1, sizeof text - 1, file);
        text[size] = '\0';
        char *first = strstr(text, "true");
        REQUIRE(first != NULL);
        memcpy(first, "null", 4); /* not a result */
        char *second = strstr(first, "true");
        REQUIRE(second != NULL);
        memcpy(second, "0   ", 4);
        rewind(file);
        REQUIRE(fwrite(text, 1, size, file) == size && fclose(file) == 0);
    }
    if (dir)
        closedir(dir);
}

static uint32_t reused(const sy_self_test_report *report)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < report->n_cases; i++)
        n += report->cases[i].reused;
    return n;
}

static void remove_folder(const char *path)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    CHECK(system(command) == 0);
}

static void test_kept(sy_vk_device *d, const char *cache)
{
    static sy_self_test_report report;
    sy_self_test_params params = {.cache_directory = cache};
    run(d, &params, &report);
    CHECK(reused(&report) == report.n_cases);
    spoil(cache);
    run(d, &params, &report);
    CHECK(reused(&report) == report.n_cases - 2);
    run(d, &params, &report);
    CHECK(reused(&report) == report.n_cases);
}

static void test_device(sy_vk_instance *instance, uint32_t index, char *seen, size_t room)
{
    static sy_self_test_report report;
    char cache[] = "/tmp/switchyard-self-test-XXXXXX";
    sy_error error = {0};
    REQUIRE(mkdtemp(cache) != NULL);
    sy_limits *limits = &instance->physicals[index].plan.limits;
    const sy_limits own = *limits;
    for (int other = 0; other < 3; other++) {
        /* The plan says which kernels are chosen; all sorts must be right on any driver. */
        limits->cpu = other == 2 || own.cpu != (other != 0);
        limits->subgroup_operations = other == 2 ? 0 : own.subgroup_operations;
        sy_vk_device *d = sy_vk_device_create(instance, index, &error);
        REQUIRE(d != NULL);
        sy_self_test_params params = {.cache_directory = cache};
        run(d, &params, &report);
        note_kernels(seen, room, &report);
        if (other == 1)
            test_kept(d, cache);
        sy_vk_device_destroy(&d);
        *limits = own;
    }
    remove_folder(cache);
}

int main(void)
{
    static char seen[16000];
    sy_error error = {0};
    sy_vk_instance_params params = {.validation = true, .message = print_message};
    sy_vk_instance *instance = sy_vk_instance_create(&params, &error);
    if (!instance)
        return check_skip(error.message);
    uint32_t tested = 0, n = 0, subgroups = 0; /* sizes seen, powers of two */
    bool matrices = false;
    for (uint32_t i = 0; i < instance->n_physicals; i++)
        if (instance->physicals[i].plan.usable) {
            subgroups |= instance->physicals[i].plan.limits.subgroup_size;
            matrices |= instance->physicals[i].plan.matrices;
            test_device(instance, i, seen, sizeof seen);
            tested++;
        }
    CHECK_SAY(instance->messages == 0, "%u validation messages", instance->messages);
    sy_vk_instance_destroy(&instance);
    if (!tested)
        return check_skip("no usable Vulkan device");
    const sy_variant *variants = sy_variants(&n, &error);
    REQUIRE(variants != NULL);
    /* The further variants of route building are for lists of a million entries: too long for a self-test. */
    for (uint32_t i = 0; i < n; i++)
        if (strncmp(variants[i].name, "route.long", 10) && (matrices || !variants[i].matrix[0]) &&
            (!variants[i].subgroup || (subgroups & variants[i].subgroup))) /* SwiftShader has subgroups of 4 */
            CHECK_SAY(has_word(seen, variants[i].name), "no case reaches %s", variants[i].name);
    return check_done();
}
