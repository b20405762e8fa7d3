/* A value written over the state that another value of the same kernel reads: what is read is what was there before.
 * Contractions, attention and element-wise kernels, on every device, against the reference. */
#include "src/switchyard.h"
#include "tests/check.h"

#include <math.h>
#include <unistd.h>

#define HEAD "graph \"carry\" {\n  %s = state \"kept\" : f32[6,8]\n  %x = input \"x\" : f32[6,8]\n"
#define TAIL "  %d = sub(%y, %s)\n  carry \"kept\" %y\n  output \"change\" %d\n}\n"

static const char *const graphs[] = {
    HEAD "  %w = input \"w\" : f32[8,8]\n  %m = matmul(%x, %w)\n  %i = step_index\n  %f = cast(%i) : f32[1]\n"
         "  %y = mul(%m, %f)\n" TAIL,
    HEAD "  %i = step_index\n  %f = cast(%i) : f32[1]\n  %m = mul(%x, %f)\n  %y = sin(%m)\n" TAIL,
    "graph \"carry\" {\n  %s = state \"kept\" : f32[1,1,6,8]\n  %x = input \"x\" : f32[6,8]\n  %i = step_index\n"
    "  %f = cast(%i) : f32[1]\n  %z = mul(%x, %f)\n  %q = reshape(%z) : f32[1,1,6,8]\n"
    "  %y = attention(%q, %q, %q) scale=0.3\n" TAIL,
};

static float numbers[64];

/* What the last of three steps changed. */
static bool run(sy_context *context, const char *path, const char *device, float out[48])
{
    const sy_array inputs[] = {{"x", SY_ARRAY_F32, 2, {6, 8}, numbers, 48 * sizeof(float)},
                               {"w", SY_ARRAY_F32, 2, {8, 8}, numbers, sizeof numbers}};
    sy_graph_params params = {.device = device, .steps = 3};
    sy_graph_result *r = NULL;
    bool two = strstr(path, "carry-0") != NULL;
    sy_status status = sy_graph_run(context, path, inputs, two ? 2 : 1, &params, &r);
    CHECK_SAY(status == SY_OK, "%s: %s", device, sy_context_message(context));
    if (status == SY_OK)
        memcpy(out, r->outputs[0].data, 48 * sizeof *out);
    sy_graph_result_destroy(&r);
    return status == SY_OK;
}

int main(void)
{
    sy_context *context = NULL;
    const sy_device_info *devices;
    size_t n;
    REQUIRE(sy_context_create(NULL, &context) == SY_OK && sy_context_devices(context, &devices, &n) == SY_OK);
    for (int i = 0; i < 64; i++)
        numbers[i] = sinf((float)i * 1.7f);
    for (size_t g = 0; g < sizeof graphs / sizeof *graphs; g++) {
        char path[64];
        float wanted[48] = {0}, got[48] = {0}, size = 0;
        snprintf(path, sizeof path, "/tmp/sy-carry-%zu-%d.sy", g, (int)getpid());
        FILE *file = fopen(path, "w");
        REQUIRE(file && fputs(graphs[g], file) >= 0 && fclose(file) == 0);
        REQUIRE(run(context, path, "reference", wanted));
        for (int i = 0; i < 48; i++)
            size += fabsf(wanted[i]);
        CHECK(size > 1);
        for (size_t d = 0; d + 1 < n; d++)
            if (devices[d].usable && run(context, path, devices[d].name, got))
                for (int i = 0; i < 48; i++)
                    CHECK_SAY(fabsf(got[i] - wanted[i]) < 1e-5f, "graph %zu on %s: %g, not %g", g, devices[d].name,
                              (double)got[i], (double)wanted[i]);
        unlink(path);
    }
    CHECK(sy_context_validation_messages(context) == 0);
    sy_context_destroy(&context);
    return check_done();
}
