/* switchyard run on a model file: the network of a fixture, its input as .npy, gives the fixture's output and route. */
#include "graph/import/npy.h"
#include "graph/import/safetensors.h"
#include "tests/check.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODEL SY_SOURCE_DIR "/tests/zoo/fixtures/megablocks.safetensors"

/* Runs the program; what it says, and its exit status. Free the text. */
static char *run(const char *arguments, int *status)
{
    char command[2000];
    size_t room = 1 << 18;
    snprintf(command, sizeof command, "'%s/switchyard' %s 2>&1", SY_BINARY_DIR, arguments);
    char *text = calloc(1, room);
    FILE *pipe = popen(command, "r");
    REQUIRE(text && pipe);
    text[fread(text, 1, room - 1, pipe)] = '\0';
    int ended = pclose(pipe);
    *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
    return text;
}

static void says(const char *arguments, int wanted, const char *part)
{
    int status;
    char *text = run(arguments, &status);
    CHECK_SAY(status == wanted && strstr(text, part), "%s: status %d: %.400s", arguments, status, text);
    free(text);
}

static double *stored(const sy_safetensors *file, const char *name, sy_type *type)
{
    sy_error error = {0};
    const sy_stored_tensor *tensor = sy_safetensors_find(file, name);
    REQUIRE(tensor && sy_stored_type(tensor, type, &error));
    double *values = calloc(tensor->count, sizeof *values);
    REQUIRE(values && sy_stored_read(tensor, values, tensor->count, &error));
    return values;
}

/* The .npy file holds the file's tensor to 1e-5, NaN where that has NaN. */
static void check_file(const sy_safetensors *file, const char *name, const char *path)
{
    sy_type type;
    sy_error error = {0};
    sy_npy npy = {0};
    double *wanted = stored(file, name, &type);
    uint64_t wrong = 0, count = sy_type_count(&type);
    REQUIRE(sy_npy_read(path, &npy, &error));
    CHECK(sy_type_count(&npy.type) == count);
    for (uint64_t i = 0; sy_type_count(&npy.type) == count && i < count; i++)
        wrong += isnan(wanted[i]) != isnan(npy.data[i]) || fabs(wanted[i] - npy.data[i]) > 1e-5;
    CHECK_SAY(wrong == 0, "%s: %llu of %llu differ", name, (unsigned long long)wrong, (unsigned long long)count);
    sy_npy_free(&npy);
    free(wanted);
}

int main(void)
{
    char folder[] = "/tmp/switchyard-run-XXXXXX";
    sy_error error = {0};
    sy_type type;
    sy_safetensors *file = sy_safetensors_open(MODEL, 0, &error);
    REQUIRE(file && mkdtemp(folder) && chdir(folder) == 0);
    double *x = stored(file, "input.x", &type);
    REQUIRE(sy_npy_write("x.npy", &type, x, &error));
    free(x);
    says("run '" MODEL "' --batch 2 --in x=x.npy --taps 'blocks.0.*' --list --device reference", 0,
         "tap blocks.0.route route[82->5");
    says("run '" MODEL "' --batch 2 --in x=x.npy --taps blocks.0.route --out y=y.npy --out blocks.0.route=r.npy "
         "--device reference",
         0, "");
    check_file(file, "output.y", "y.npy");
    check_file(file, "route.blocks.0.route", "r.npy");
    says("run '" MODEL "' --in x=x.npy --out y=y.npy --device reference", 1, "f32[1,41,16]; f32[2,41,16] was given");
    says("run '" MODEL "' --batch 2 --weights '" MODEL "' --in x=x.npy --device reference", 1, "one too many");
    says("run nothing.safetensors --in x=x.npy", 1, "nothing.safetensors");
    says("run '" MODEL "' --batch 0", 2, "--batch");
    says("compile '" MODEL "' --count 2 --print --no-kernels", 0, "route.top_k");
    says("generate '" MODEL "' --label 1 --out x.png", 1, "makes no pictures out of noise");
    says("run --help", 0, "--batch N");
    REQUIRE(!unlink("x.npy") && !unlink("y.npy") && !unlink("r.npy") && chdir("/") == 0 && !rmdir(folder));
    sy_safetensors_close(&file);
    return check_done();
}
