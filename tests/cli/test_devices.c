/* switchyard devices and doctor as programs: what they print can be read, and the exit status says what is so. */
#include "src/device/snapshot.h"
#include "tests/check.h"

#include <cjson/cJSON.h>
#include <sys/wait.h>

/* Runs the program; its standard output, and its exit status. Free the text. */
static char *run(const char *arguments, int *status)
{
    char command[1500];
    size_t room = 1 << 20, size = 0;
    snprintf(command, sizeof command, "'%s/switchyard' %s", SY_BINARY_DIR, arguments);
    char *text = calloc(1, room);
    FILE *pipe = popen(command, "r");
    REQUIRE(text && pipe);
    size = fread(text, 1, room - 1, pipe);
    text[size] = '\0';
    int ended = pclose(pipe);
    *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
    return text;
}

static void test_help(void)
{
    static const struct {
        const char *arguments, *words[8];
    } rows[] = {
        {"devices --help", {"--json", "--from FILE", "Exit status", "VK_DRIVER_FILES", NULL}},
        {"doctor --help", {"--json", "--device N", "--no-test", "--again", "Exit status", NULL}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status;
        char *text = run(rows[i].arguments, &status);
        CHECK(status == 0);
        for (int j = 0; rows[i].words[j]; j++)
            CHECK_SAY(strstr(text, rows[i].words[j]), "%s says nothing of %s", rows[i].arguments, rows[i].words[j]);
        free(text);
    }
}

static void test_wrong(void)
{
    static const char *const wrong[] = {"devices --jason",   "devices --from",     "doctor --device",
                                        "doctor --device x", "doctor --device -1", "doctor everything"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char arguments[200];
        int status;
        snprintf(arguments, sizeof arguments, "%s 2>&1", wrong[i]);
        char *text = run(arguments, &status);
        CHECK_SAY(status == 2 && strstr(text, "--"), "%s: %d: %s", wrong[i], status, text);
        free(text);
    }
}

static void test_from(void)
{
    char arguments[800];
    int status;
    snprintf(arguments, sizeof arguments, "devices --from '%s/tests/device/snapshots/nvidia-rtx3090-linux.json'",
             SY_SOURCE_DIR);
    char *text = run(arguments, &status);
    CHECK(status == 0 && strstr(text, "NVIDIA GeForce RTX 3090") && strstr(text, "matrix") && strstr(text, "usable"));
    free(text);
    snprintf(arguments, sizeof arguments, "devices --from '%s/tests/device/snapshots/qualcomm-adreno620.json'",
             SY_SOURCE_DIR);
    text = run(arguments, &status);
    CHECK(status == 1 && strstr(text, "refused") && strstr(text, "Vulkan 1.1.128; Switchyard needs 1.2"));
    free(text);
    snprintf(arguments, sizeof arguments, "devices --from '%s/LICENSE' 2>&1", SY_SOURCE_DIR);
    text = run(arguments, &status);
    CHECK(status == 1 && strstr(text, "LICENSE: It is not JSON."));
    free(text);
}

/* What --json writes is what --from reads, and the same again. */
static void test_json(void)
{
    int status, again;
    char *text = run("devices --json", &status), path[] = "/tmp/switchyard-devices-XXXXXX", arguments[100];
    cJSON *json = cJSON_Parse(text);
    const cJSON *devices = cJSON_GetObjectItemCaseSensitive(json, "devices"), *device;
    CHECK(cJSON_IsArray(devices));
    bool usable = false;
    cJSON_ArrayForEach (device, devices) {
        static sy_device_snapshot snapshot;
        sy_error error = {0};
        CHECK_SAY(sy_snapshot_from_json(device, &snapshot, &error), "%s", error.message);
        CHECK(snapshot.name[0] && snapshot.api_version && snapshot.n_families && snapshot.n_types && snapshot.n_heaps);
        usable |= cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(device, "verdict"), "usable"));
    }
    CHECK((status == 0) == usable);
    int file = mkstemp(path);
    REQUIRE(file >= 0);
    FILE *stream = fdopen(file, "wb");
    REQUIRE(stream && fputs(text, stream) >= 0 && fclose(stream) == 0);
    snprintf(arguments, sizeof arguments, "devices --json --from %s", path);
    char *second = run(arguments, &again);
    CHECK(again == status && !strcmp(text, second));
    free(second);
    remove(path);
    cJSON_Delete(json);
    free(text);
}

static void test_no_driver(void)
{
    int status;
    REQUIRE(!setenv("VK_ICD_FILENAMES", "/nowhere/none.json", 1) &&
            !setenv("VK_DRIVER_FILES", "/nowhere/none.json", 1));
    char *text = run("devices", &status);
    CHECK(status == 1 && strstr(text, "doctor"));
    free(text);
    text = run("doctor --json", &status);
    cJSON *json = cJSON_Parse(text);
    CHECK(status == 1 && cJSON_GetNumberValue(cJSON_GetObjectItem(json, "problems")) >= 2);
    CHECK(strstr(text, "/nowhere/none.json, which does not exist") && strstr(text, "remedy"));
    cJSON_Delete(json);
    free(text);
}

/* With a device: doctor finds nothing wrong, or says what; `--no-test` leaves the kernels alone. */
static void test_doctor(void)
{
    int status;
    char *text = run("doctor --no-test", &status);
    CHECK((status == 0) == (strstr(text, "All is well.") != NULL));
    CHECK(!strstr(text, "self-test"));
    free(text);
    text = run("doctor --no-test --device 200", &status);
    CHECK(status == 1 && strstr(text, "There is no device 200"));
    free(text);
}

int main(void)
{
    test_help();
    test_wrong();
    test_from();
    test_json();
    test_doctor();
    test_no_driver();
    return check_done();
}
