/* DiT, "Scalable Diffusion Models with Transformers" (arXiv 2212.09748): the shell with a plain feed-forward in every
 * block. SiT (arXiv 2401.08740) is the same network trained as a flow; its files say so in their metadata. */
#include "graph/zoo/dit_shell.h"
#include "graph/zoo/networks.h"

sy_value sy_dit_dense(const sy_dit *dit, int32_t block, sy_value u)
{
    (void)block;
    return sy_dit_mlp(dit, u);
}

sy_value sy_dit_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    return sy_dit_network(g, config, inputs, sy_dit_dense);
}

bool sy_dit_recognise(const struct sy_safetensors *file)
{
    return sy_zoo_has(file, "blocks.0.mlp.fc1.weight") && !sy_zoo_has(file, "blocks.1.mlp.cluster_centers");
}

/* Sampling as in the authors' sample.py: 250 respaced steps, guidance 4 on the first three channels. */
bool sy_dit_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error)
{
    int32_t fc1[2];
    if (!sy_zoo_configure_shell(file, config, error) || !sy_zoo_shape(file, "blocks.0.mlp.fc1.weight", 2, fc1, error))
        return false;
    config->mlp_hidden = fc1[0];
    config->variants |= 1u << SY_VARIANT_PERTURBED;
    config->objective = SY_OBJECTIVE_DDPM;
    config->time_scale = 1;
    config->guided_channels = 3;
    config->guidance = 4;
    config->steps = 250;
    return sy_zoo_configure_end(file, config, error);
}
