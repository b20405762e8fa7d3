/* tools/convert/checkpoint.py: convert_checkpoint.py pickles the fixtures' weights in every container the authors use
 * and converts them; here the results are loaded as models and compared with the fixtures. Needs python3 with torch
 * (another interpreter by the environment variable SY_PYTHON); skipped without. */
#include "tests/check.h"
#include "tests/zoo/help_fixture.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/switchyard-convert-XXXXXX";

static int run_python(void)
{
    char command[1024];
    const char *python = getenv("SY_PYTHON");
    snprintf(command, sizeof command, "'%s' '%s/tests/zoo/convert_checkpoint.py' '%s' '%s'",
             python ? python : "python3", SY_SOURCE_DIR, SY_SOURCE_DIR, folder);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Largest relative difference of a converted tensor from the fixture's. */
static double distance(const sy_stored_tensor *got, const sy_stored_tensor *wanted)
{
    double *a = calloc(got->count, sizeof *a), *b = calloc(got->count, sizeof *b), most = 0;
    REQUIRE(a && b && sy_stored_read(got, a, got->count, NULL) && sy_stored_read(wanted, b, got->count, NULL));
    for (uint64_t i = 0; i < got->count; i++)
        most = fmax(most, fabs(a[i] - b[i]) / fmax(fabs(b[i]), 1e-3));
    free(a);
    free(b);
    return most;
}

static void check_converted(const char *name, const char *source, const char *architecture, sy_dtype dtype,
                            double tolerance)
{
    char path[256];
    sy_error error = {0};
    sy_network_config config;
    fixture f = fixture_open(source);
    snprintf(path, sizeof path, "%s/%s.safetensors", folder, name);
    sy_safetensors *file = sy_safetensors_open(path, 0, &error);
    CHECK_SAY(file, "%s", error.message);
    REQUIRE(file);
    CHECK_SAY(sy_zoo_config_from_file(file, &config, &error), "%s: %s", name, error.message);
    CHECK_TEXT(config.architecture, architecture);
    CHECK(config.dtype == dtype && config.heads == 2);
    uint32_t compared = 0;
    for (uint32_t i = 0; i < sy_safetensors_count(f.file); i++) {
        const sy_stored_tensor *wanted = sy_safetensors_at(f.file, i);
        if (!strncmp(wanted->name, "reference.", 10))
            continue;
        const sy_stored_tensor *got = sy_safetensors_need(file, wanted->name, &error);
        CHECK_SAY(got && got->count == wanted->count && got->rank == wanted->rank, "%s: %s", name, error.message);
        if (got && got->count == wanted->count)
            CHECK_SAY(distance(got, wanted) <= tolerance, "%s: %s differs", name, wanted->name);
        compared++;
    }
    CHECK(compared == sy_safetensors_count(file));
    sy_safetensors_close(&file);
    fixture_close(&f);
}

int main(void)
{
    char command[128];
    REQUIRE(mkdtemp(folder));
    int status = run_python();
    if (status == 0) {
        check_converted("dit", "dit", "dit", SY_F32, 0);
        check_converted("dit_training", "dit", "dit", SY_F32, 0);
        check_converted("dit_last", "dit", "dit", SY_F32, 0);
        check_converted("dit_old", "dit", "dit", SY_F32, 0);
        check_converted("dit_moe", "dit_moe", "dit-moe", SY_F32, 0);
        check_converted("promoe", "promoe", "promoe", SY_F32, 0);
        check_converted("promoe_ec", "promoe", "promoe-ec", SY_F32, 0);
        check_converted("dit_moe_f16", "dit_moe", "dit-moe", SY_F16, 1.0 / 2048);
        check_converted("dit_moe_bf16", "dit_moe", "dit-moe", SY_BF16, 1.0 / 256);
    }
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK(system(command) == 0);
    if (status == 77)
        return check_skip("python3 has no torch");
    CHECK_SAY(status == 0, "convert_checkpoint.py ended with %d", status);
    return check_done();
}
