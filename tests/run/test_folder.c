/* A folder in the layout of diffusers through the public interface, from prompts to pixels, against PyTorch
 * (tests/run/sd_folder, made by tools/reference/sd_folder.py), on every device; and folders that are wrong. */
#include "graph/import/safetensors.h"
#include "src/switchyard.h"
#include "tests/check.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER SY_SOURCE_DIR "/tests/run/sd_folder"

static sy_context *context;
static const char *const prompts[] = {"a photograph of an astronaut", "the cat's face, digital painting"};
static const char *const negative = "lazy dog";

static double distance(const float *got, const sy_stored_tensor *wanted)
{
    double off = 0, norm = 0;
    double *values = calloc(wanted->count, sizeof *values);
    sy_error error = {0};
    REQUIRE(values && sy_stored_read(wanted, values, wanted->count, &error));
    for (uint64_t i = 0; i < wanted->count; i++) {
        off += ((double)got[i] - values[i]) * ((double)got[i] - values[i]);
        norm += values[i] * values[i];
    }
    free(values);
    return sqrt(off / norm);
}

static void check_run(const char *device, sy_model *model, const sy_safetensors *expected, const char *name,
                      double guidance, const sy_named_setting *setting)
{
    static const char *const taps[] = {"preview"};
    sy_pipeline_params params = {.device = device,
                                 .count = 2,
                                 .steps = 4,
                                 .guidance = guidance,
                                 .taps = taps,
                                 .n_taps = 1,
                                 .settings = setting,
                                 .n_settings = setting != NULL};
    sy_generate_params generate = {
        .prompts = prompts, .n_prompts = 2, .negatives = &negative, .n_negatives = 1, .seed = 5};
    sy_pipeline *p = NULL;
    sy_result *r = NULL;
    CHECK_SAY(sy_pipeline_create(model, &params, &p) == SY_OK, "%s: %s", name, sy_context_message(context));
    REQUIRE(p);
    CHECK_SAY(sy_generate(p, &generate, &r) == SY_OK, "%s: %s", name, sy_context_message(context));
    REQUIRE(r);
    CHECK(r->count == 2 && r->width == 12 && r->height == 12 && r->channels == 3 && r->pictures);
    CHECK(r->n_taps == 1 && r->taps[0].evaluations == 4 && r->n_evaluations == 4);
    double off = distance(r->data, sy_safetensors_find(expected, name));
    CHECK_SAY(off < 1e-4, "%s: relative error %g", name, off);
    printf("%s: %s: %.2g\n", sy_pipeline_get_info(p)->device, name, off);
    sy_result_destroy(&r);
    sy_pipeline_destroy(&p);
}

static void test_device(const char *device, sy_model *model, const sy_safetensors *expected, bool all)
{
    check_run(device, model, expected, "picture", 3, NULL);
    if (!all)
        return;
    check_run(device, model, expected, "plain", 1, NULL);
    check_run(device, model, expected, "pladis", 3, &(sy_named_setting){"pladis", "2,1.5"});
    check_run(device, model, expected, "nag_guided", 3, &(sy_named_setting){"nag", "3,2.5,0.5"});
    check_run(device, model, expected, "nag", 1, &(sy_named_setting){"nag", "3,2.5,0.5"});
}

static void test_arguments(sy_model *model)
{
    sy_pipeline *p = NULL;
    sy_result *r = NULL;
    const sy_model_info *info = sy_model_get_info(model);
    CHECK(info->text && !info->latent && info->width == 12 && info->channels == 3 && info->default_guidance == 7.5);
    REQUIRE(sy_pipeline_create(model, &(sy_pipeline_params){.device = "reference", .steps = 1}, &p) == SY_OK);
    CHECK(sy_generate(p, NULL, &r) == SY_ERROR_INVALID_ARGUMENT);
    CHECK(strstr(sy_context_message(context), "prompted by text"));
    sy_generate_params generate = {.prompts = prompts, .n_prompts = 1, .negatives = prompts, .n_negatives = 2};
    CHECK(sy_generate(p, &generate, &r) == SY_ERROR_INVALID_ARGUMENT && !r);
    sy_pipeline_destroy(&p);
}

/* A copy of the folder with one file of other content, or without it where `content` is NULL. */
static void check_wrong(const char *file, const char *content, const char *message)
{
    char folder[] = "/tmp/switchyard-folder-XXXXXX", command[1024];
    REQUIRE(mkdtemp(folder));
    snprintf(command, sizeof command, "cp -r %s/. %s && rm %s/%s", FOLDER, folder, folder, file);
    REQUIRE(system(command) == 0);
    if (content) {
        snprintf(command, sizeof command, "%s/%s", folder, file);
        FILE *out = fopen(command, "w");
        REQUIRE(out && fputs(content, out) >= 0 && fclose(out) == 0);
    }
    sy_model *model = NULL;
    CHECK(sy_model_open(context, folder, &model) != SY_OK);
    CHECK_SAY(strstr(sy_context_message(context), message), "%s: %s", file, sy_context_message(context));
    sy_model_destroy(&model);
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK(system(command) == 0);
}

static void test_wrong(void)
{
    check_wrong("model_index.json", NULL, "layout of diffusers");
    check_wrong("unet/config.json", "[]", "unet/config.json is not a JSON object");
    check_wrong("unet/config.json", "{\"addition_embed_type\":\"text_time\"}", "\"addition_embed_type\" is text_time");
    check_wrong("unet/config.json", "{\"attention_head_dim\":2,\"norm_num_groups\":3,\"sample_size\":6}", "group");
    check_wrong("unet/config.json", "{\"attention_head_dim\":3,\"norm_num_groups\":2,\"sample_size\":6}", "3 heads");
    check_wrong("unet/diffusion_pytorch_model.safetensors.index.json", NULL, "no unet/diffusion_pytorch_model");
    check_wrong("unet/diffusion_pytorch_model.safetensors.index.json", "{\"weight_map\":{\"a\":\"../b\"}}",
                "no file's name");
    check_wrong("unet/diffusion_pytorch_model.safetensors.index.json",
                "{\"weight_map\":{\"a\":\"diffusion_pytorch_model-00001-of-00002.safetensors\"}}", "no tensor");
    check_wrong("vae/diffusion_pytorch_model.safetensors", NULL, "vae/diffusion_pytorch_model");
    check_wrong("text_encoder/config.json", "{\"max_position_embeddings\":9}", "12 tokens");
    check_wrong("text_encoder/config.json",
                "{\"max_position_embeddings\":12,\"num_attention_heads\":2,\"hidden_act\":\"relu\"}", "\"relu\"");
    check_wrong("tokenizer/merges.txt", "a\n", "line 1");
    check_wrong("scheduler/scheduler_config.json", "{\"prediction_type\":\"v_prediction\"}", "v_prediction");
}

int main(void)
{
    sy_error error = {0};
    sy_model *model = NULL;
    const sy_device_info *devices = NULL;
    size_t count = 0;
    const char *validation = getenv("SWITCHYARD_VALIDATION");
    REQUIRE(sy_context_create(&(sy_context_params){.validation = validation && *validation == '1'}, &context) == SY_OK);
    CHECK_SAY(sy_model_open(context, FOLDER, &model) == SY_OK, "%s", sy_context_message(context));
    REQUIRE(model);
    sy_safetensors *expected = sy_safetensors_open(FOLDER "/expected.safetensors", 0, &error);
    REQUIRE(expected);
    test_device("reference", model, expected, true);
    test_arguments(model);
    test_wrong();
    CHECK(sy_context_devices(context, &devices, &count) == SY_OK);
    for (size_t i = 0; i < count; i++)
        if (devices[i].usable && strcmp(devices[i].kind, "reference"))
            test_device(devices[i].name, model, expected, false);
    CHECK(sy_context_validation_messages(context) == 0);
    sy_safetensors_close(&expected);
    sy_model_destroy(&model);
    sy_context_destroy(&context);
    return check_done();
}
