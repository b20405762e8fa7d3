/* Model files under libFuzzer: any header gives a configuration from which the network can be built and verified, or
 * the graph of a network that is no denoiser, or an error that says something; metadata gives a vocabulary or an error.
 */
#include "graph/import/safetensors.h"
#include "graph/zoo/zoo.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void build(const sy_network_config *c)
{
    sy_error error = {0};
    sy_graph *g = sy_graph_create("fuzz");
    if (!g)
        return;
    sy_zoo_inputs in = {.x = sy_input(g, "x", SY_T(SY_F32, 2, c->channels, c->side, c->side)),
                        .time = sy_input(g, "time", SY_T(SY_F32, 2))};
    in.label = sy_input(g, "label", c->words ? SY_T(SY_I32, 2, c->words) : SY_T(SY_I32, 2));
    if (c->words)
        in.label_weights = sy_input(g, "label_weights", SY_T(SY_F32, 2, c->words));
    sy_value out = sy_zoo_build(g, c, &in);
    sy_output(g, "out", out);
    if (!out || !sy_graph_check(g, &error) || !sy_graph_verify(g, SY_STAGE_SOURCE, &error))
        abort();
    sy_graph_destroy(&g);
}

static void whole(const sy_safetensors *file)
{
    sy_error error = {0};
    sy_graph *g = sy_zoo_file_graph(file, 2, &error);
    if (g ? !sy_graph_verify(g, SY_STAGE_SOURCE, &error) : !error.message[0])
        abort();
    sy_graph_destroy(&g);
}

static void prompt(const sy_safetensors *file)
{
    sy_error error = {0};
    int32_t ids[8];
    float weights[8];
    char unknown[64];
    sy_vocabulary *v = sy_vocabulary_from_file(file, &error);
    if (v) {
        sy_vocabulary_prompt(v, sy_safetensors_metadata(file, "switchyard.vocabulary"), ids, weights, 8, unknown);
        sy_vocabulary_prompt(v, sy_safetensors_metadata(file, "switchyard.prompt"), ids, weights, 8, NULL);
    }
    sy_vocabulary_destroy(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sy_error error = {0};
    sy_network_config config;
    sy_safetensors *file = sy_safetensors_from_memory(data, size, SY_SAFETENSORS_HEADER_ONLY, &error);
    if (!file)
        return 0;
    prompt(file);
    if (sy_zoo_graph_network_of(file))
        whole(file);
    else if (sy_zoo_config_from_file(file, &config, &error))
        build(&config);
    else if (!error.message[0])
        abort();
    sy_safetensors_close(&file);
    return 0;
}
