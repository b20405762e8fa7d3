/* The registry of networks, and the small helpers that their builders share. */
#include "graph/zoo/zoo.h"
#include "graph/zoo/networks.h"
#include "graph/zoo/sd.h"

#include <string.h>

/* A file without a name goes to the first row that recognises it: what adds tensors to another network stands before
 * it. */
const sy_network sy_zoo_networks[] = {
    {"dtr", "DTR: DiT whose blocks see a window of the channels that moves with the time step", sy_dtr_recognise,
     sy_dit_configure, sy_dtr_build},
    {"switch-dit", "Switch-DiT: DiT whose blocks see what experts chosen by the time step let through",
     sy_switch_dit_recognise, sy_switch_dit_configure, sy_switch_dit_build},
    {"skip-dit", "Skip-DiT: DiT whose second half is fused with the mirrored blocks of the first",
     sy_skip_dit_recognise, sy_skip_dit_configure, sy_skip_dit_build},
    {"sparse-skip-dit", "Skip-DiT whose attention is routed between regions of the image (only by metadata)", NULL,
     sy_skip_dit_configure, sy_sparse_skip_dit_build},
    {"u-vit", "U-ViT: transformer of tokens alone, its second half fused with the first", sy_u_vit_recognise,
     sy_u_vit_configure, sy_u_vit_build},
    {"shortcut", "Shortcut models: DiT that is told the size of the step it is to take", sy_shortcut_recognise,
     sy_shortcut_configure, sy_shortcut_build},
    {"dit", "DiT and SiT: transformer with adaLN-Zero blocks, all dense", sy_dit_recognise, sy_dit_configure,
     sy_dit_build},
    {"dit-moe", "DiT-MoE: every block has routed SwiGLU experts, two a token, and a shared one", sy_dit_moe_recognise,
     sy_dit_moe_configure, sy_dit_moe_build},
    {"promoe", "ProMoE: odd blocks route each token to the expert whose prototype is nearest", sy_promoe_recognise,
     sy_promoe_configure, sy_promoe_build},
    {"promoe-ec", "ProMoE, expert choice: each expert takes the tokens nearest to its prototype (only by metadata)",
     NULL, sy_promoe_configure, sy_promoe_ec_build},
    {"tread", "TREAD: DiT trained with tokens routed past blocks; setting tread does so again (only by metadata)", NULL,
     sy_tread_configure, sy_tread_build},
    {"adm", "ADM: the U-Net of guided-diffusion, by class, by words or of nothing", sy_adm_recognise, sy_adm_configure,
     sy_adm_build},
    {"sd-unet", "the U-Net of Stable Diffusion 1.x: resnets, transformers that attend to a text, skips",
     sy_sd_unet_recognise, sy_sd_unet_configure, sy_sd_unet_build},
    {"song-unet", "DDPM++ and NCSN++ as EDM trains them", sy_song_recognise, sy_song_configure, sy_song_build},
    {"dhariwal-unet", "ADM's U-Net as EDM trains it", sy_dhariwal_recognise, sy_dhariwal_configure, sy_dhariwal_build},
    {"dic", "DiC: a U-Net of 3x3 convolutions alone, with sparse skips", sy_dic_recognise, sy_dic_configure,
     sy_dic_build},
    {"sid2", "SiD2: residual U-ViT, one added skip a level around a transformer", sy_sid2_recognise, sy_sid2_configure,
     sy_sid2_build},
    {NULL, NULL, NULL, NULL, NULL},
};

const sy_graph_network sy_zoo_graph_networks[] = {
    {"switch-transformer", "Switch Transformer's encoder: T5 whose tokens go to one expert each, while there is room",
     sy_switch_transformer_build},
    {"deepseekmoe", "DeepSeekMoE: a language model of many small experts and shared ones", sy_deepseek_moe_build},
    {"mode-policy", "MoDE: denoises a robot's actions with experts chosen by the noise level", sy_mode_policy_build},
    {"megablocks", "MegaBlocks: one mixture that drops no token, whatever the load", sy_megablocks_build},
    {"v-moe", "V-MoE: a vision transformer with experts of limited room, first come or most certain first",
     sy_v_moe_build},
    {"expert-choice", "the same with experts that choose their tokens", sy_expert_choice_build},
    {"biformer", "BiFormer: a pyramid whose image regions attend to the regions of the nearest mean keys",
     sy_biformer_build},
    {"sd-vae-decoder", "the decoder of Stable Diffusion's autoencoder: latents to pictures", sy_sd_vae_build},
    {"aptp-router", "APTP's prompt router: which architecture code a prompt takes", sy_aptp_router_build},
    {"clip-text", "CLIP's text encoder: tokens to the hidden states that cross-attention reads", sy_clip_text_build},
    {"spargeattn", "SpargeAttn: a layer of attention over the key blocks that mean queries and keys predict",
     sy_spargeattn_build},
    {"unet", "U-Net as first published: valid convolutions, cropped skips, a class for every pixel", sy_unet_build},
    {"mosa", "MoSA: a language model with heads that choose the few tokens they see", sy_mosa_build},
    {"routing-transformer", "Routing Transformer: a language model whose heads attend within clusters of tokens",
     sy_routing_transformer_build},
    {"sparse-vdit", "Sparse-vDiT: a video DiT with an attention pattern for every head", sy_sparse_vdit_build},
    {"inf-dit", "Inf-DiT: an upsampler whose image blocks see themselves and those left and above", sy_inf_dit_build},
    {NULL, NULL, NULL},
};

const sy_network *sy_zoo_find(const char *name)
{
    for (const sy_network *n = sy_zoo_networks; n->name; n++)
        if (name && !strcmp(n->name, name))
            return n;
    return NULL;
}

sy_value sy_zoo_encode(sy_graph *graph, const sy_network_config *config, sy_value tokens)
{
    return sy_clip_encode(graph, config->file, tokens);
}

sy_value sy_zoo_decode(sy_graph *graph, const sy_network_config *config, sy_value latent)
{
    return sy_vae_decode(graph, config->file, latent);
}

sy_value sy_zoo_f32(sy_graph *g, sy_value x)
{
    return sy_cast(g, x, SY_F32);
}

sy_value sy_zoo_param(sy_graph *g, const char *name, sy_type type)
{
    return sy_zoo_f32(g, sy_param(g, name, type));
}

sy_value sy_zoo_layer_norm(sy_graph *g, sy_value x, const char *name, double eps, sy_dtype dtype)
{
    if (!x || x >= g->n_nodes)
        return 0;
    const sy_type *type = &g->nodes[x].type;
    int32_t width = type->dim[type->rank - 1];
    sy_scope_push(g, "%s", name);
    x = sy_mul(g, sy_row(g, SY_OP_LAYER_NORM, x, eps), sy_zoo_param(g, "weight", SY_T(dtype, width)));
    x = sy_add(g, x, sy_zoo_param(g, "bias", SY_T(dtype, width)));
    sy_scope_pop(g);
    return x;
}

sy_value sy_zoo_split_heads(sy_graph *g, sy_value x, int32_t heads)
{
    if (!x || x >= g->n_nodes)
        return 0;
    const int32_t *dim = g->nodes[x].type.dim;
    x = sy_reshape(g, x, SY_T(SY_F32, dim[0], dim[1], heads, dim[2] / heads));
    return sy_transpose(g, x, (const int32_t[]){0, 2, 1, 3});
}

sy_value sy_zoo_merge_heads(sy_graph *g, sy_value x)
{
    if (!x || x >= g->n_nodes)
        return 0;
    const int32_t *dim = g->nodes[x].type.dim;
    sy_type merged = SY_T(SY_F32, dim[0], dim[2], dim[1] * dim[3]);
    return sy_reshape(g, sy_transpose(g, x, (const int32_t[]){0, 2, 1, 3}), merged);
}

/* The inputs come from other code than the configuration: say which one does not fit before an op deep inside does. */
static bool check_inputs(sy_graph *g, const sy_network_config *c, const sy_zoo_inputs *in)
{
    if (!in->x || !in->time || (c->label_rows && !in->label) || (c->words && !in->label_weights))
        return sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "A network needs x, time%s%s.",
                       c->label_rows ? " and label" : "",
                       c->words ? ", and label weights since it is prompted by words" : "");
    if ((c->context_tokens && !in->context) || (c->step_size && !in->step_size))
        return sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "This network needs a %s.",
                       c->context_tokens && !in->context ? "text encoder's context" : "step size");
    const sy_type *x = &g->nodes[in->x].type, *time = &g->nodes[in->time].type, *label = &g->nodes[in->label].type;
    int32_t n = x->dim[0];
    sy_type wanted = SY_T(SY_F32, n, c->channels, c->side, c->side);
    char text[96], wanted_text[96];
    if (!sy_type_equal(x, &wanted))
        return sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "The network's x is %s; it must be %s.",
                       sy_type_text(x, text), sy_type_text(&wanted, wanted_text));
    if (time->is_route || time->rank != 1 || time->dtype != SY_F32 || (time->dim[0] != 1 && time->dim[0] != n))
        return sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "The network's time is %s; it must be f32[1] or f32[%d].",
                       sy_type_text(time, text), (int)n);
    wanted = c->words ? SY_T(SY_I32, n, c->words) : SY_T(SY_I32, n);
    if (c->label_rows && !sy_type_equal(label, &wanted))
        return sy_fail(&g->error, SY_CODE_INVALID_ARGUMENT, "The network's label is %s; it must be %s.",
                       sy_type_text(label, text), sy_type_text(&wanted, wanted_text));
    return true;
}

sy_value sy_zoo_build(sy_graph *graph, const sy_network_config *config, const sy_zoo_inputs *inputs)
{
    const sy_network *network = sy_zoo_find(config->architecture);
    if (!network) {
        sy_fail(&graph->error, SY_CODE_NOT_FOUND, "There is no network \"%.31s\" in the zoo.", config->architecture);
        return 0;
    }
    if (!sy_graph_check(graph, NULL) || !check_inputs(graph, config, inputs))
        return 0;
    if (inputs->perturbed && !(config->variants >> SY_VARIANT_PERTURBED & 1)) {
        sy_fail(&graph->error, SY_CODE_INVALID_ARGUMENT, "%s cannot run samples without some of its blocks.",
                config->architecture);
        return 0;
    }
    sy_value out = network->build(graph, config, inputs);
    return sy_graph_check(graph, NULL) ? out : 0;
}
