/* Shortcut models, "One Step Diffusion via Shortcut Models" (arXiv 2410.12557): DiT that is told, beside the time, how
 * large a step is to be taken, and gives the mean velocity over it, so that 1, 2, 4 … 128 equal steps all sample:
 *
 *     x(t + d) = x(t) + d s(x(t), t, d)     t from 0, noise, to 1, data
 *
 * The step size has an embedder of its own, added to those of time and label, and is fed as the base-two logarithm of
 * the number of steps: 0 for one step, 7 for 128. As in the authors' code, q, k and v are three layers and scores are
 * divided by the head width, not its root. Their files are Flax checkpoints; here the parameters have DiT's names, with
 * dt_embedder.mlp.0, .2 and blocks.N.attn.q, .k, .v, as a converter is to write them (matrices transposed). Guidance
 * was distilled in training, so the default is none. */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/networks.h"

sy_value sy_shortcut_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    return sy_dit_network(g, config, inputs, sy_dit_dense);
}

bool sy_shortcut_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "dt_embedder.mlp.0.weight");
}

bool sy_shortcut_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error)
{
    int32_t fc1[2];
    if (!sy_zoo_configure_shell(file, config, error) || !sy_zoo_shape(file, "blocks.0.mlp.fc1.weight", 2, fc1, error))
        return false;
    if (config->attention_names != SY_ATTENTION_APART)
        return sy_fail(error, SY_CODE_INVALID_FILE,
                       "A shortcut model has blocks.0.attn.q.weight, .k and .v; this file has not.");
    config->mlp_hidden = fc1[0];
    config->step_size = true;
    config->variants |= 1u << SY_VARIANT_PERTURBED;
    config->objective = SY_OBJECTIVE_FLOW_REVERSED;
    config->time_scale = 1;
    config->guided_channels = config->channels_out;
    config->guidance = 1;
    config->steps = 4;
    return sy_zoo_configure_end(file, config, error);
}
