/* What panels say against the raw routes of `switchyard generate` for the same seed: the experts of a patch, of a region, and
 * the load; and that rules about routing are kept. */
#include "tests/check.h"
#include "viewer/file.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVALUATION = 2, GRID = 8, TOKENS = GRID * GRID, TARGETS = 13 };

static char folder[300];

static bool run(const char *arguments)
{
    char command[1400], out[2000];
    snprintf(command, sizeof command, "cd '%s' && env -u DISPLAY -u WAYLAND_DISPLAY '%s/switchyard' %s 2>&1", folder,
             SY_BINARY_DIR, arguments);
    FILE *pipe = popen(command, "r");
    REQUIRE(pipe);
    out[fread(out, 1, sizeof out - 1, pipe)] = 0;
    int status = pclose(pipe);
    CHECK_SAY(status == 0 && !strstr(out, "alidation"), "%s: %s", arguments, out);
    return status == 0;
}

/* The caller's. */
static char *read_text(const char *name, size_t *n)
{
    char path[400], error[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *text = file_read(path, n, error, sizeof error);
    REQUIRE(text);
    return text;
}

static cJSON *read_json(const char *name)
{
    size_t n;
    char *text = read_text(name, &n);
    cJSON *object = cJSON_ParseWithLength(text, n);
    REQUIRE(object);
    free(text);
    return object;
}

/* Pairs of a route at EVALUATION, from the file's sections. */
typedef struct route {
    int32_t n;
    const int32_t *rows, *targets;
    const float *weights;
} route;

static const void *section(const cJSON *header, const char *data, const char *layer, const char *what)
{
    char name[120];
    snprintf(name, sizeof name, "%s.route.%s", layer, what);
    const cJSON *offsets = cJSON_GetObjectItem(cJSON_GetObjectItem(header, name), "data_offsets");
    CHECK_SAY(offsets, "there is no %s", name);
    REQUIRE(offsets);
    return data + (size_t)cJSON_GetArrayItem(offsets, 0)->valuedouble;
}

static route route_of(const cJSON *header, const char *data, const char *layer)
{
    const int32_t *counts = section(header, data, layer, "counts");
    int32_t before = 0;
    for (int i = 0; i < EVALUATION; i++)
        before += counts[i];
    return (route){counts[EVALUATION], (const int32_t *)section(header, data, layer, "rows") + before,
                   (const int32_t *)section(header, data, layer, "targets") + before,
                   (const float *)section(header, data, layer, "weights") + before};
}

/* Every layer and half of a panel's answer for the cells x0, y0 … x1, y1. */
static void check_patch(const char *name, const cJSON *header, const char *data, int x0, int y0, int x1, int y1)
{
    cJSON *said = read_json(name);
    const cJSON *one;
    int layers = 0;
    CHECK(cJSON_GetObjectItem(said, "patches")->valueint == (x1 - x0 + 1) * (y1 - y0 + 1));
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(said, "layers"))
    {
        const char *layer = cJSON_GetObjectItem(one, "layer")->valuestring;
        const int half = cJSON_GetObjectItem(one, "half")->valueint;
        const route r = route_of(header, data, layer);
        double weight[TARGETS] = {0}, times[TARGETS] = {0}, last = INFINITY;
        int wanted = 0, n = 0;
        for (int32_t i = 0; i < r.n; i++) {
            const int token = r.rows[i] - half * TOKENS, x = token % GRID, y = token / GRID;
            if (token < 0 || token >= TOKENS || x < x0 || x > x1 || y < y0 || y > y1)
                continue;
            wanted += times[r.targets[i]] == 0;
            weight[r.targets[i]] += (double)r.weights[i];
            times[r.targets[i]]++;
        }
        const cJSON *share;
        cJSON_ArrayForEach(share, cJSON_GetObjectItem(one, "targets"))
        {
            const int target = cJSON_GetObjectItem(share, "target")->valueint;
            const double w = cJSON_GetObjectItem(share, "weight")->valuedouble;
            REQUIRE(target >= 0 && target < TARGETS);
            CHECK_SAY(fabs(w - weight[target]) < 1e-4 && cJSON_GetObjectItem(share, "times")->valuedouble == times[target],
                      "%s half %d expert %d: %g, the route says %g", layer, half, target, w, weight[target]);
            CHECK(w <= last); /* ranked */
            last = w;
            n++;
        }
        CHECK_SAY(n == wanted && n > 0, "%s half %d: %d experts, the route has %d", layer, half, n, wanted);
        layers++;
    }
    CHECK(layers == 8); /* four mixtures, both halves */
    cJSON_Delete(said);
}

static void check_load(const char *name, const cJSON *header, const char *data)
{
    cJSON *said = read_json(name);
    const cJSON *one;
    int layers = 0;
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(said, "load"))
    {
        const route r = route_of(header, data, cJSON_GetObjectItem(one, "layer")->valuestring);
        const cJSON *tokens = cJSON_GetObjectItem(one, "tokens");
        int wanted[TARGETS] = {0};
        for (int32_t i = 0; i < r.n; i++)
            if (r.rows[i] < TOKENS)
                wanted[r.targets[i]]++;
        REQUIRE(cJSON_GetArraySize(tokens) == TARGETS);
        for (int t = 0; t < TARGETS; t++)
            CHECK(cJSON_GetArrayItem(tokens, t)->valueint == wanted[t]);
        layers++;
    }
    CHECK(layers == 4);
    cJSON_Delete(said);
}

/* With the rules of the script: expert 7 nowhere, the region all to expert 2 at blocks.3. */
static void check_steered(const char *name)
{
    cJSON *said = read_json(name);
    const cJSON *one, *share;
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(said, "layers"))
    {
        /* This network's unconditional tokens have an expert of their own, which no router chooses. */
        const bool sent = !strcmp(cJSON_GetObjectItem(one, "layer")->valuestring, "blocks.3") &&
                          !cJSON_GetObjectItem(one, "half")->valueint;
        cJSON_ArrayForEach(share, cJSON_GetObjectItem(one, "targets"))
        {
            const int target = cJSON_GetObjectItem(share, "target")->valueint;
            CHECK(target != 7);
            CHECK_SAY(!sent || target == 2, "expert %d in the region sent to 2", target);
        }
    }
    cJSON_Delete(said);
}

static void check_runs(void)
{
    static const char script[] = "prompt \"cat face\"\nseed 3\nsteps 4\ngenerate\nwait\nstep 2\n"
                                 "tab patch\npick 3 5\nnumbers one.json\npick 2 1 4 3\nnumbers region.json\n"
                                 "tab statistics\nnumbers load.json\ntab profile\n"
                                 "steer * off 7\nsteer blocks.3.route to 2 2 1 4 3\ngenerate\nwait\n"
                                 "tab patch\nnumbers steered.json\n";
    char path[400], error[300];
    size_t n;
    uint64_t length;
    snprintf(path, sizeof path, "%s/a.script", folder);
    REQUIRE(file_write(path, script, strlen(script), error, sizeof error));
    REQUIRE(run("view --headless --script a.script") &&
            run("generate --prompt 'cat face' --seed 3 --steps 4 --out x.png --routes routes"));
    char *bytes = read_text("routes/routes.safetensors", &n);
    REQUIRE(n > sizeof length);
    memcpy(&length, bytes, sizeof length);
    REQUIRE(length < n - sizeof length);
    cJSON *header = cJSON_ParseWithLength(bytes + sizeof length, length);
    const char *data = bytes + sizeof length + length;
    REQUIRE(header);
    check_patch("one.json", header, data, 3, 5, 3, 5);
    check_patch("region.json", header, data, 2, 1, 5, 3);
    check_load("load.json", header, data);
    check_steered("steered.json");
    cJSON_Delete(header);
    free(bytes);
}

int main(void)
{
    char program[400], command[400];
    snprintf(program, sizeof program, "%s/switchyard", SY_BINARY_DIR);
    if (access(program, X_OK) != 0)
        return check_skip("the program is not built");
    snprintf(folder, sizeof folder, "%s/test-panels-%ld", SY_BINARY_DIR, (long)getpid());
    REQUIRE(mkdir(folder, 0755) == 0);
    check_runs();
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK(system(command) == 0);
    return check_done();
}
