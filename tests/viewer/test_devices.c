/* The same run on another device, compared by a script: figures of the finished picture, three panes, and back. Where
 * there is one device alone, the run is made on it again. */
#include "src/switchyard.h"
#include "tests/check.h"
#include "viewer/file.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[300];

static char *read_file(const char *name, size_t *n)
{
    char path[400], error[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *data = file_read(path, n, error, sizeof error);
    CHECK_SAY(data, "%s", error);
    return data;
}

static bool same_files(const char *a, const char *b)
{
    size_t n[2] = {0};
    char *data[2] = {read_file(a, &n[0]), read_file(b, &n[1])};
    bool same = data[0] && data[1] && n[0] == n[1] && !memcmp(data[0], data[1], n[0]);
    free(data[0]);
    free(data[1]);
    return same;
}

static double number_of(const cJSON *o, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(o, name);
    CHECK_SAY(cJSON_IsNumber(item), "%s", name);
    return item ? item->valuedouble : NAN;
}

static void check_numbers(const char *other)
{
    size_t n;
    char *text = read_file("n.json", &n);
    cJSON *o = text ? cJSON_ParseWithLength(text, n) : NULL;
    REQUIRE(o);
    const double values = number_of(o, "values"), largest = number_of(o, "largest"), mean = number_of(o, "mean");
    CHECK(!strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(o, "other")), other));
    CHECK(values > 0 && fabs(values - 3 * number_of(o, "pixels")) < 0.5);
    CHECK_SAY(mean >= 0 && mean <= largest && largest < 0.05, "mean %g, largest %g", mean, largest);
    CHECK((number_of(o, "differing") > 0) == (largest > 0));
    CHECK(number_of(o, "pixels_differing") <= number_of(o, "differing") && number_of(o, "levels") <= 7);
    cJSON_Delete(o);
    free(text);
}

int main(void)
{
    char command[1200], path[400], script[1200], error[300], out[2000], other[256] = "";
    sy_context *context;
    const sy_device_info *devices;
    size_t n;
    REQUIRE(sy_context_create(NULL, &context) == SY_OK);
    REQUIRE(sy_context_devices(context, &devices, &n) == SY_OK);
    for (size_t i = 0; i < n; i++)
        if (devices[i].usable && strcmp(devices[i].kind, "reference") != 0)
            snprintf(other, sizeof other, "%s", devices[i].name); /* the last: not the one that is taken by itself */
    sy_context_destroy(&context);
    snprintf(path, sizeof path, "%s/switchyard", SY_BINARY_DIR);
    if (!*other || access(path, X_OK) != 0)
        return check_skip(*other ? "the program is not built" : "there is no device");

    snprintf(folder, sizeof folder, "%s/test-view-devices-%ld", SY_BINARY_DIR, (long)getpid());
    REQUIRE(mkdir(folder, 0755) == 0);
    snprintf(script, sizeof script,
             "prompt owl\nsteps 2\nsize 900x600\ntab devices\ngenerate\nwait\nsecond \"%s\"\nwait\nscreenshot alone.png\n"
             "numbers n.json\nagainst device\ncompare three\nscreenshot three.png\nagainst run\ncompare alone\n"
             "screenshot back.png\n",
             other);
    snprintf(path, sizeof path, "%s/a.script", folder);
    REQUIRE(file_write(path, script, strlen(script), error, sizeof error));
    snprintf(command, sizeof command, "cd '%s' && '%s/switchyard' view --headless --script a.script 2>&1", folder, SY_BINARY_DIR);
    FILE *pipe = popen(command, "r");
    REQUIRE(pipe);
    out[fread(out, 1, sizeof out - 1, pipe)] = 0;
    CHECK_SAY(pclose(pipe) == 0, "%s", out);
    check_numbers(other);
    CHECK(!same_files("alone.png", "three.png"));
    CHECK(same_files("alone.png", "back.png"));
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK(system(command) == 0);
    return check_done();
}
