/* Profiles of a small routed graph on every device, through the public interface and the command line: all that is promised is
 * there, sums agree, work follows the route, roofs are measured once, files are whole, and the command's exit status says
 * whether something regressed. */
#include "graph/base/file.h"
#include "src/profile/report.h"
#include "src/switchyard.h"
#include "tests/check.h"

#include <cjson/cJSON.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/switchyard-profile-XXXXXX", graph[400];
static sy_context *context;

/* The scores are noise; a route of one expert a row has as many slots as rows in use. */
static const char graph_text[] = "graph \"moe\" {\n"
                                 "  %u = input \"u\" : f32[64,32]\n"
                                 "  %s = input \"scores\" : f32[64,4]\n"
                                 "  %w = param \"w\" : f32[4,32,32]\n"
                                 "  %r = route.top_k(%s) k=1 renormalise=0\n"
                                 "  %h = grouped_matmul(%u, %w, %r) transpose_b=0 gather=1\n"
                                 "  %o = combine(%h, %r) weighted=1\n"
                                 "  output \"o\" %o\n"
                                 "}\n";

static char *path_of(const char *name, char out[400])
{
    snprintf(out, 400, "%s/%s", folder, name);
    return out;
}

static void check_report(const sy_profile_report *r)
{
    CHECK_TEXT(r->what, "graph");
    CHECK(r->n_programs == 1 && r->n_dispatches == r->programs[0].n && r->n_dispatches >= 2 && r->n_kernels >= 2);
    CHECK(r->host_plain.n == 2 && r->host_plain.median > 0);
    for (int m = 0; m < SY_MODES; m++) {
        double sum = 0;
        CHECK(r->measured[m] && r->host_timed[m].n == 2 && r->programs[0].total[m].n == 6); /* 2 repeats of 3 steps */
        for (uint32_t i = 0; i < r->n_dispatches; i++) {
            CHECK(r->dispatches[i].time[m].n == 6 && r->dispatches[i].time[m].least >= 0);
            sum += r->dispatches[i].time[m].median;
        }
        CHECK(sum > 0 && sum >= 0.999 * r->programs[0].sum[m] && sum <= 1.001 * r->programs[0].sum[m]);
        for (uint32_t k = 0; k < 6; k++) { /* of each step: the parts are no longer than the whole */
            double parts = 0;
            for (uint32_t i = 0; i < r->n_dispatches; i++)
                parts += r->dispatches[i].time[m].of[k];
            CHECK(parts <= r->programs[0].total[m].of[k] * 1.000001);
        }
    }
    bool grouped = false;
    for (uint32_t i = 0; i < r->n_dispatches; i++) {
        const sy_profile_dispatch *d = &r->dispatches[i];
        CHECK(*d->name && *d->kind && d->least_bytes > 0 && d->planned_bytes >= d->least_bytes && d->roof_seconds > 0 && d->share > 0);
        CHECK(d->above_roof == (d->share > 1) && *d->bound_by);
        if (strcmp(d->kind, "grouped matmul"))
            continue;
        grouped = true;
        REQUIRE(d->route < r->n_routes);
        const sy_profile_route *route = &r->routes[d->route];
        double load = 0;
        for (uint32_t e = 0; e < route->targets; e++)
            load += route->load[e];
        CHECK(route->targets == 4 && route->rows == 64 && route->used == 64 && load == 64 && route->imbalance >= 1 && route->imbalance <= 4);
        CHECK(route->tiles >= 1 && route->tiles * route->tile_rows >= 64 && d->flops > 0 && d->flops <= d->bound_flops);
    }
    CHECK(grouped);
    bool copy = false, f32 = false, empty = false;
    for (uint32_t i = 0; i < r->roofs.n; i++) {
        const sy_roof *x = &r->roofs.roof[i];
        CHECK(x->value > 0 || *x->note || x->kind == SY_ROOF_EMPTY || x->kind == SY_ROOF_INDIRECT); /* measured, or said why not */
        copy = copy || (x->kind == SY_ROOF_COPY && x->value > 1e6 && x->bytes);
        f32 = f32 || (x->kind == SY_ROOF_F32 && x->value > 1e6);
        empty = empty || x->kind == SY_ROOF_EMPTY;
    }
    CHECK(copy && f32 && empty);
}

static sy_profile *run(const char *device, sy_profile_modes modes)
{
    sy_pipeline_params pipeline = {.device = device, .steps = 3};
    sy_profile_params params = {.pipeline = &pipeline, .modes = modes, .repeats = 2, .seed = 1};
    sy_profile *p = NULL;
    CHECK_SAY(sy_profile_run(context, graph, &params, &p) == SY_OK, "%s", sy_context_message(context));
    REQUIRE(p);
    return p;
}

static void test_dump(const sy_profile *p)
{
    char directory[400], file[800];
    CHECK(sy_profile_dump(context, p, path_of("dump", directory)) == SY_OK);
    for (uint32_t i = 0; i < p->n_kernels; i++)
        for (int k = 0; k < 3; k++) {
            struct stat facts;
            snprintf(file, sizeof file, "%s/%03u-%s.%s", directory, i, p->kernels[i].name, (const char *[]){"comp", "spv", "spvasm"}[k]);
            CHECK_SAY(!stat(file, &facts) && facts.st_size > 100, "%s", file);
        }
}

static void test_device(const char *device)
{
    sy_profile *first = run(device, SY_PROFILE_BOTH), *again = run(device, SY_PROFILE_SERIAL_ONLY);
    char file[400], *text = NULL;
    size_t size;
    sy_error error = {0};
    if (!first->timestamp_bits) {
        CHECK(first->n_notes && strstr(first->notes[0], "timestamps"));
    } else {
        check_report(first);
        CHECK(again->roofs.cached && again->measured[SY_MODE_SERIAL] && !again->measured[SY_MODE_OVERLAP]);
        test_dump(first);
        CHECK(sy_profile_write(context, first, SY_PROFILE_JSON, path_of("a.json", file)) == SY_OK);
        text = sy_file_load(file, 1 << 24, &size, &error);
        sy_profile_report *back = text ? sy_report_from_json(text, size, &error) : NULL;
        CHECK_SAY(back != NULL, "%s", error.message);
        if (back)
            check_report(back);
        sy_report_destroy(&back);
        free(text);
        CHECK(sy_profile_text(context, first, SY_PROFILE_HTML, &text) == SY_OK && strstr(text, "</html>"));
        free(text);
        CHECK(sy_profile_text(context, first, SY_PROFILE_TRACE, &text) == SY_OK);
        cJSON *trace = cJSON_Parse(text);
        CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(trace, "traceEvents")) > (int)(2 * first->n_dispatches));
        cJSON_Delete(trace);
        free(text);
        CHECK(sy_profile_table(context, first, 1, &text) == SY_OK && strstr(text, "1 of "));
        free(text);
    }
    sy_profile_destroy(&first);
    sy_profile_destroy(&again);
    CHECK(!first);
}

/* Exit status of build/switchyard with these arguments. */
static int command(const char *format, const char *a, const char *b)
{
    char line[2000], arguments[1500];
    snprintf(arguments, sizeof arguments, format, a, b);
    snprintf(line, sizeof line, "%s/switchyard profile %s >%s/out 2>%s/err", SY_BINARY_DIR, arguments, folder, folder);
    int status = system(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_command(void)
{
    char before[400], after[400];
    snprintf(before, sizeof before, "%s/tests/profile/recorded/before.json", SY_SOURCE_DIR);
    snprintf(after, sizeof after, "%s/tests/profile/recorded/after.json", SY_SOURCE_DIR);
    CHECK(command("--compare %s %s", before, after) == 0);
    CHECK(command("--compare --bound 2%% %s %s", before, before) == 0);
    char *text, slow[400];
    size_t size;
    sy_error error = {0};
    text = sy_file_load(after, 1 << 24, &size, &error); /* every sample ten times as long */
    REQUIRE(text);
    for (char *p = strstr(text, "e-05"); p; p = strstr(p, "e-05"))
        p[3] = '4';
    FILE *file = fopen(path_of("slow.json", slow), "w");
    REQUIRE(file);
    fputs(text, file);
    fclose(file);
    free(text);
    CHECK(command("--compare %s %s", before, slow) == 1);
    CHECK(command("--compare %s %s --bound 5000%%", before, slow) == 0);
    CHECK(command("--compare %s", before, "") == 2);
    CHECK(command("--compare %s %s", before, graph) == 1); /* no profile */
    CHECK(command("--mode sideways %s", graph, "") == 2 && command("--repeat 0 %s", graph, "") == 2 && command("--nonsense", "", "") == 2);
    CHECK(command("%s/nothing.sy", folder, "") == 1 && command("--device reference %s", graph, "") == 1);
    CHECK(command("--help", "", "") == 0);
}

int main(void)
{
    const sy_device_info *devices;
    size_t n;
    REQUIRE(mkdtemp(folder));
    FILE *file = fopen(path_of("moe.sy", graph), "w");
    REQUIRE(file && fputs(graph_text, file) > 0);
    fclose(file);
    char cache[400];
    sy_context_params params = {.cache_directory = path_of("cache", cache)};
    CHECK(!mkdir(cache, 0777));
    REQUIRE(sy_context_create(&params, &context) == SY_OK);
    REQUIRE(sy_context_devices(context, &devices, &n) == SY_OK && n >= 1);
    test_command();
    for (size_t i = 0; i + 1 < n; i++)
        if (devices[i].usable) {
            printf("device: %s\n", devices[i].name);
            test_device(devices[i].name);
        }
    CHECK(sy_context_validation_messages(context) == 0);
    sy_context_destroy(&context);
    char line[400];
    snprintf(line, sizeof line, "rm -r %s", folder);
    CHECK(system(line) == 0);
    return check_done();
}
