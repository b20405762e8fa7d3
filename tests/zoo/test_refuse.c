/* Model files that are wrong are refused with a message that says what is wrong and what to do; each case here is a
 * good header with one thing changed. */
#include "graph/import/safetensors.h"
#include "graph/zoo/zoo.h"
#include "tests/check.h"
#include "tests/zoo/help_header.h"

/* `text` with the first `from` replaced by `to`; the length in front is set again. */
static void replace(sy_text *text, const char *from, const char *to)
{
    sy_text_add_bytes(text, "", 1);
    char *at = text->data + 8, *found = strstr(at, from);
    REQUIRE(found);
    sy_text out = {0};
    sy_text_add_bytes(&out, text->data, (size_t)(found - text->data));
    sy_text_add(&out, to);
    sy_text_add(&out, found + strlen(from));
    sy_text_free(text);
    uint64_t length = out.size - 8;
    for (int i = 0; i < 8; i++)
        out.data[i] = (char)(length >> (8 * i) & 255);
    *text = out;
}

/* The header `size` with metadata and up to one replacement is refused with a message that contains `says`. */
static void refuse(const char *size, const char *metadata, const char *from, const char *to, const char *says)
{
    const header_size *s = header_sizes;
    while (s->name && strcmp(s->name, size))
        s++;
    REQUIRE(s->name);
    uint64_t values, tensors;
    sy_text text = {0};
    sy_error error = {0};
    sy_network_config config;
    header_write(s, metadata, &text, &values, &tensors);
    if (from)
        replace(&text, from, to);
    sy_safetensors *file = sy_safetensors_from_memory(text.data, text.size, SY_SAFETENSORS_HEADER_ONLY, &error);
    CHECK_SAY(file, "%s", error.message);
    REQUIRE(file);
    CHECK_SAY(!sy_zoo_config_from_file(file, &config, &error), "taken, though: %s", says);
    CHECK_SAY(strstr(error.message, says), "says \"%s\", should say \"%s\"", error.message, says);
    CHECK(error.code == SY_CODE_INVALID_FILE || error.code == SY_CODE_NOT_FOUND);
    sy_safetensors_close(&file);
    sy_text_free(&text);
}

int main(void)
{
    const char *dit = "DiT-S/2 256", *moe = "DiT-MoE-S/2-8E2A", *promoe = "ProMoE-S";
    refuse(dit, NULL, "blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc9.weight", "no network in the zoo");
    refuse(dit, NULL, "\"pos_embed\"", "\"positions\"", "switchyard.image_size");
    refuse(dit, NULL, "blocks.7.attn.proj.bias", "blocks.7.attn.proj.bios", "blocks.7.attn.proj.bias");
    refuse(dit, NULL, "final_layer.linear.weight\":{\"dtype\":\"F32\",\"shape\":[32,384]",
           "final_layer.linear.weight\":{\"dtype\":\"F32\",\"shape\":[24,512]", "neither 4 nor 8 channels");
    refuse(dit, NULL, "blocks.2.mlp.fc2.weight\":{\"dtype\":\"F32\",\"shape\":[384,1536]",
           "blocks.2.mlp.fc2.weight\":{\"dtype\":\"F32\",\"shape\":[1536,384]", "should be f32[384,1536]");
    refuse(dit, NULL, "x_embedder.proj.weight\":{\"dtype\":\"F32\"", "x_embedder.proj.weight\":{\"dtype\":\"I32\"",
           "must be F32, F16 or BF16");
    refuse(dit, "\"switchyard.architecture\":\"dot\"", NULL, NULL, "\"dot\"");
    refuse(dit, "\"switchyard.num_heads\":\"7\"", NULL, NULL, "7 heads");
    refuse(dit, "\"switchyard.num_heads\":\"six\"", NULL, NULL, "switchyard.num_heads");
    refuse(dit, "\"switchyard.num_heads\":\"1.5\"", NULL, NULL, "whole number");
    refuse(dit, "\"switchyard.steps\":\"nan\"", NULL, NULL, "switchyard.steps");
    refuse(dit, "\"switchyard.image_size\":\"33\"", NULL, NULL, "33 x 33");
    refuse(dit, "\"switchyard.image_size\":\"64\"", NULL, NULL, "pos_embed");
    refuse(dit, "\"switchyard.objective\":\"ddqm\"", NULL, NULL, "switchyard.objective");
    refuse(dit, "\"switchyard.space\":\"outer\"", NULL, NULL, "switchyard.space");
    refuse(dit, "\"switchyard.num_classes\":\"999\"", NULL, NULL, "1001 rows");
    refuse(dit, "\"switchyard.vocabulary\":\"[\\\"cat\\\"]\"", NULL, NULL, "1001 rows");
    refuse(dit, "\"switchyard.vocabulary\":\"cat\"", NULL, NULL, "JSON array");
    refuse(moe, NULL, "\"shape\":[8,384]", "\"shape\":[384,8]", "cannot be 384 experts in each of 12 blocks");
    refuse(moe, "\"switchyard.top_k\":\"9\"", NULL, NULL, "9 of 8 experts");
    refuse(moe, NULL, "blocks.3.moe.experts.5.up_proj.weight", "blocks.3.moe.experts.5.up.weight",
           "blocks.3.moe.experts.5.up_proj.weight");
    refuse(promoe, "\"switchyard.num_classes\":\"1001\"", NULL, NULL, "null row");
    refuse(promoe, NULL, "blocks.1.mlp.experts.12.down_proj.bias", "blocks.1.mlp.experts.13.down_proj.bias",
           "experts.12.down_proj.bias");
    return check_done();
}
