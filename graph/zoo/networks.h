/* Inside the zoo: the functions behind the rows of sy_zoo_networks, and small helpers of their builders. */
#ifndef SY_ZOO_NETWORKS_H
#define SY_ZOO_NETWORKS_H

#include "graph/zoo/zoo.h"

enum { SY_ZOO_MAX_EXPERTS = 1024, SY_ZOO_MAX_DEPTH = 1024 };

struct sy_safetensors;

/* The shell of diffusion transformers: picture side, transformer, label, sampling and dtype, for the configure functions
 * of such networks. First this, then what is particular (which may set objective, guidance, steps), then _end. */
bool sy_zoo_configure_shell(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
bool sy_zoo_configure_end(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);

/* Parts of these, for networks of other shells. The label: a table of `rows` rows, the last of them the null row if
 * `null_row` and the metadata does not say otherwise; the vocabulary if there is one. The dtype is that of a tensor. */
bool sy_zoo_configure_label(const struct sy_safetensors *file, int32_t rows, bool null_row, sy_network_config *config,
                            sy_error *error);
bool sy_zoo_configure_space(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
bool sy_zoo_configure_dtype(const struct sy_safetensors *file, const char *name, sy_network_config *config,
                            sy_error *error);

/* Numbers of the setting `name`, "1.3,1.4,0.9,0.2": from the caller's settings, else from the file's metadata. Reads at
 * most `room` into values and sets *count; 0 where nothing is said. False (with a message) if they are no numbers. Settings are rows of graph/zoo/settings.def: add yours there. */
bool sy_zoo_numbers(const sy_network_config *config, const char *name, double *values, int32_t room, int32_t *count,
                    sy_error *error);

bool sy_dit_recognise(const struct sy_safetensors *file);
bool sy_dit_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_dit_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_shortcut_recognise(const struct sy_safetensors *file);
bool sy_shortcut_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_shortcut_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_dit_moe_recognise(const struct sy_safetensors *file);
bool sy_dit_moe_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_dit_moe_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_skip_dit_recognise(const struct sy_safetensors *file);
bool sy_skip_dit_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_skip_dit_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);
sy_value sy_sparse_skip_dit_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_u_vit_recognise(const struct sy_safetensors *file);
bool sy_u_vit_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_u_vit_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_promoe_recognise(const struct sy_safetensors *file);
bool sy_promoe_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_promoe_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);
sy_value sy_promoe_ec_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_dtr_recognise(const struct sy_safetensors *file);
sy_value sy_dtr_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_switch_dit_recognise(const struct sy_safetensors *file);
bool sy_switch_dit_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_switch_dit_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_tread_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_tread_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);
bool sy_sd_unet_recognise(const struct sy_safetensors *file);
bool sy_sd_unet_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_sd_unet_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_sd_vae_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_aptp_router_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_clip_text_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);

bool sy_v_moe_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_expert_choice_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_adm_recognise(const struct sy_safetensors *file);
bool sy_adm_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_adm_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_unet_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);

bool sy_dic_recognise(const struct sy_safetensors *file);
bool sy_dic_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_dic_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_sid2_recognise(const struct sy_safetensors *file);
bool sy_sid2_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_sid2_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_song_recognise(const struct sy_safetensors *file);
bool sy_song_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_song_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);
bool sy_dhariwal_recognise(const struct sy_safetensors *file);
bool sy_dhariwal_configure(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
sy_value sy_dhariwal_build(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs);

bool sy_biformer_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_mosa_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_routing_transformer_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_sparse_vdit_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_inf_dit_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_spargeattn_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);

bool sy_switch_transformer_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_deepseek_moe_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_mode_policy_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);
bool sy_megablocks_build(sy_graph *g, const struct sy_safetensors *file, int32_t batch, sy_error *error);

/* x as f32; no op where it is f32 already. */
sy_value sy_zoo_f32(sy_graph *g, sy_value x);
/* The parameter of that name as f32, for element-wise use. */
sy_value sy_zoo_param(sy_graph *g, const char *name, sy_type type);
/* Layer norm over the last axis with "<name>.weight" and "<name>.bias". */
sy_value sy_zoo_layer_norm(sy_graph *g, sy_value x, const char *name, double eps, sy_dtype dtype);
/* x[N, T, heads * d] as attention wants it, [N, heads, T, d], and back. */
sy_value sy_zoo_split_heads(sy_graph *g, sy_value x, int32_t heads);
sy_value sy_zoo_merge_heads(sy_graph *g, sy_value x);

/* Conditions: condition.c. Features of t f32[M] at the frequencies f f32[count]: cosines of t f, then sines (sine_first:
 * the other way round), f32[M, 2 count]. */
sy_value sy_zoo_time_features(sy_graph *g, sy_value t, sy_value f, bool sine_first);
/* base^(-i / divisor) for i < count: f32[count]. */
sy_value sy_zoo_frequencies(sy_graph *g, int32_t count, double base, double divisor);
/* f32[N, width]: the label's row of the table [label_rows, width]; prompted by words, their mean. _embedding: the table
 * is the parameter of that name. */
sy_value sy_zoo_label_rows(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs, sy_value table);
sy_value sy_zoo_label_embedding(sy_graph *g, const sy_network_config *config, const sy_zoo_inputs *inputs,
                                const char *table, int32_t width);

/* What the files say, for recognise and configure. Shapes: false and an error that names the tensor if it is not there
 * or has another rank. Sizes are at most 2^24 each. */
bool sy_zoo_has(const struct sy_safetensors *file, const char *format, ...);
bool sy_zoo_shape(const struct sy_safetensors *file, const char *name, uint32_t rank, int32_t *dims, sy_error *error);
/* The dtype of a weight; false (with a message) if it is not f32, f16 or bf16. */
bool sy_zoo_dtype(const struct sy_safetensors *file, const char *name, sy_dtype *dtype, sy_error *error);
/* Metadata "switchyard.<key>". Numbers: leaves *value alone if absent; false if it is no whole number in range. */
const char *sy_zoo_metadata(const struct sy_safetensors *file, const char *key);
bool sy_zoo_metadata_int(const struct sy_safetensors *file, const char *key, int32_t least, int32_t most,
                         int32_t *value, sy_error *error);
bool sy_zoo_metadata_double(const struct sy_safetensors *file, const char *key, double least, double most,
                            double *value, sy_error *error);

#endif
