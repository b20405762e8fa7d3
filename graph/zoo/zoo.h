/* The zoo: networks by name, each a short builder that reads like its paper, and the configuration of a model file.
 *
 *     sy_network_config config;
 *     sy_zoo_config_from_file(file, &config, &error);
 *     sy_value out = sy_zoo_build(graph, &config, &(sy_zoo_inputs){.x = x, .time = t, .label = label});
 *
 * Nothing outside this folder knows a particular network: whatever a sampler, a command line or a viewer has to know
 * of one stands in sy_network_config. Adding a network adds a builder, a row of sy_zoo_networks and a test. */
#ifndef SY_ZOO_H
#define SY_ZOO_H

#include "graph/ir/build.h"

struct sy_safetensors; /* graph/import */

/* What the network was trained to predict, and with it which samplers can use it. */
typedef enum sy_objective {
    SY_OBJECTIVE_DDPM, /* noise at integer steps 0…999 of the linear schedule; with learn_sigma also the variance */
    SY_OBJECTIVE_FLOW, /* x_s = (1-s) data + s noise, s from 1 to 0; predicts noise - data (DiT-MoE, ProMoE) */
    SY_OBJECTIVE_FLOW_REVERSED, /* x_t = t data + (1-t) noise, t from 0 to 1; predicts data - noise (SiT) */
    SY_OBJECTIVE_EDM /* x = data + sigma noise, sigma from 80 to 0; fed x / sqrt(sigma^2 + 1/4) and ln(sigma) / 4,
                        predicts F of D(x) = c_skip x + c_out F (EDM with sigma_data 1/2) */
} sy_objective;

/* The noise schedule of noise predictors: from 1e-4 to 0.02; linear in the square root (latent models); IDDPM's cosine. */
typedef enum sy_betas { SY_BETAS_LINEAR, SY_BETAS_SCALED_LINEAR, SY_BETAS_COSINE } sy_betas;

typedef enum sy_attention_names {
    SY_ATTENTION_TIMM, /* attn.qkv, attn.proj */
    SY_ATTENTION_WQKV, /* attn.Wqkv, attn.out_proj, attn.q_norm, attn.k_norm (DiT-MoE XL and G) */
    SY_ATTENTION_APART /* attn.q, attn.k, attn.v, attn.proj, and scores divided by the head width (shortcut models) */
} sy_attention_names;

enum { SY_ZOO_NAME_SIZE = 32, SY_ZOO_WORDS_PER_PROMPT = 16 };

/* A setting that whoever runs a network gives by name: "freeu" = "1.3,1.4,0.9,0.2". A model file gives the same as
 * metadata "switchyard.<name>"; what the caller says goes first. The table of them: graph/zoo/settings.def. */
typedef struct sy_setting {
    const char *name, *value;
} sy_setting;

typedef struct sy_network_config {
    char architecture[SY_ZOO_NAME_SIZE]; /* name of a row of sy_zoo_networks */
    const struct sy_safetensors *file;   /* shapes and metadata of what is particular to a network; borrowed */
    const sy_setting *settings;          /* borrowed */
    uint32_t n_settings;
    bool steered; /* routes chosen by scores take inputs that steer them (sy_graph.steered) */

    /* picture side */
    int32_t side;         /* input is [N, channels, side, side]; pixels or latent cells */
    int32_t channels;     /* of the input */
    int32_t channels_out; /* of the output: `channels`, or twice that with learn_sigma */
    bool learn_sigma;     /* channels_out = 2 * channels: the second half is the variance (DDPM) or unused (flow) */
    bool latent;          /* the picture is a latent code of an image autoencoder, 8 times smaller than the image */

    /* transformer */
    int32_t patch, width, depth, heads;
    int32_t mlp_hidden; /* dense feed-forward; 0: no dense block */
    sy_attention_names attention_names;
    bool qk_norm; /* layer norm of q and k over the head dimension, with weights */
    double qk_norm_eps;
    bool has_pos_embed; /* in the file; else computed */

    /* mixture of experts; all 0 in dense networks */
    int32_t experts;       /* that the router chooses from */
    int32_t extra_experts; /* that it cannot choose: 1 for the unconditional expert of ProMoE */
    int32_t top_k;         /* experts a token; expert choice: mean experts a token */
    int32_t expert_hidden, shared_hidden;
    bool interleave; /* only odd blocks are mixtures */

    /* label */
    int32_t label_rows; /* rows of the label embedding, the null row among them; 0: the network takes no label */
    int32_t null_row;   /* the label of unconditional samples; -1: trained without, no guidance possible */
    int32_t words;      /* 0: the label is a class id. Else the label is a list of at most so many word ids. */
    int32_t context_tokens, context_width; /* of sy_zoo_inputs.context; 0: no cross-attention */
    bool step_size;                        /* the network is told the step size (shortcut models) */
    int32_t text_tokens;  /* the file has the encoder of the context too: sy_zoo_encode reads so many tokens; else 0 */
    int32_t picture_side; /* the file has a decoder from latents: sy_zoo_decode gives pictures of this side; else 0 */

    /* sampling */
    sy_objective objective;
    sy_betas betas;    /* of SY_OBJECTIVE_DDPM */
    bool leading_steps, last_is_first; /* likewise, of DDIM: diffusers' leading spacing with an offset of 1; after the last
                                          step stands the first training step, not the clean image */
    bool clip;         /* every estimate of the clean image is cut to -1 … 1 before it is used (ADM) */
    double time_scale;       /* flow: the network is fed time_scale * s. DDPM: 1, fed the integer step */
    int32_t guided_channels; /* guidance acts on the first so many output channels (3 in DiT, a quirk kept by the
                                authors) */
    double guidance;         /* scale the authors (or the file) give as default */
    int32_t steps;           /* likewise */
    uint32_t variants;       /* bits 1 << sy_variant: programs the builder makes besides the whole network */

    sy_dtype dtype; /* of all weights in the file: f32, f16 or bf16 */
} sy_network_config;

/* What the caller gives the network. N is x's first dimension. */
typedef struct sy_zoo_inputs {
    sy_value x;     /* f32[N, channels, side, side] */
    sy_value time;  /* f32[1] (the same for all) or f32[N], as the network is fed it: scaled by config.time_scale */
    sy_value label; /* class ids i32[N]; prompted by words: word ids i32[N, words], -1 where there is no word.
                       Unconditional sample: null_row (words: null_row first, weight 1, then -1). Networks without
                       label rows: 0 */
    sy_value label_weights; /* prompted by words: f32[N, words], 1 / count of the sample's words; else 0 */
    sy_value context;       /* networks with cross-attention: f32[N, tokens, width] of a text encoder; else 0 */
    sy_value negative_context; /* where the setting nag is on: f32[M, tokens, width], of the negative texts of the first M
                                  samples; else 0 */
    sy_value hint;          /* networks with control tuners (SCEdit): f32[N, 3, 8 side, 8 side], what to follow; else 0 */
    sy_value step_size;     /* shortcut models: f32[1] or f32[N], the step size d; else 0 */
    int32_t variant;        /* which of the network's programs: 0 the whole network, else one of sy_variant */
    sy_value active;        /* ACTIVE: the route of the tokens that run, [N * tokens -> 1], as many of each sample */
    sy_value previous;      /* ACTIVE: the network's output before, where tokens that do not run keep theirs */
    int32_t perturbed;      /* so many first samples run a second time with the setting stg.layers skipped; the result
                               has these behind the N others. Only networks with SY_VARIANT_PERTURBED; else 0 */
} sy_zoo_inputs;

/* Programs of one network that share memory (states, by name) and stand for different steps of a run. */
typedef enum sy_variant {
    SY_VARIANT_FULL,   /* everything; a network with SY_VARIANT_CACHED fills its caches (carried states "cache.*") where
                          the setting skip-cache.interval is above 1 */
    SY_VARIANT_CACHED, /* what need not run again is read from the caches */
    SY_VARIANT_ACTIVE, /* only the active tokens run (region-adaptive sampling) */
    SY_VARIANT_REFRESH, /* everything, filling the caches that ACTIVE reads */
    SY_VARIANT_PERTURBED, /* no program of its own: a bit of sy_network_config.variants, see sy_zoo_inputs.perturbed */
    SY_VARIANT_COUNT
} sy_variant;

/* A network of the zoo. */
typedef struct sy_network {
    const char *name, *doc;
    /* True if the tensor names of the file are this network's. Metadata that names the architecture goes first. */
    bool (*recognise)(const struct sy_safetensors *file);
    /* Fills all of the configuration but architecture, file and settings. */
    bool (*configure)(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);
    sy_value (*build)(sy_graph *graph, const sy_network_config *config, const sy_zoo_inputs *inputs);
} sy_network;
extern const sy_network sy_zoo_networks[];       /* ends with a row whose name is NULL */
const sy_network *sy_zoo_find(const char *name); /* NULL if there is none */

/* A network that is no denoiser (a classifier, a language model, a decoder): it declares its own inputs, outputs and
 * taps on the graph, for `batch` samples, and reads its configuration from the file's shapes and metadata. */
typedef struct sy_graph_network {
    const char *name, *doc;
    bool (*build)(sy_graph *graph, const struct sy_safetensors *file, int32_t batch, sy_error *error);
} sy_graph_network;
extern const sy_graph_network sy_zoo_graph_networks[]; /* ends with a row whose name is NULL */
/* The row that the file's metadata names; NULL: the file is a denoiser's, or nobody's. */
const sy_graph_network *sy_zoo_graph_network_of(const struct sy_safetensors *file);

/* The whole graph of any model file for `batch` samples: of the denoisers with inputs "x", "time", "label",
 * "label_weights", "context", "step_size" (those the network has) and the output "output"; else as the network says.
 * Every parameter is checked against the file. NULL on error. */
sy_graph *sy_zoo_file_graph(const struct sy_safetensors *file, int32_t batch, sy_error *error);

/* The configuration of a model file, from names and shapes of its tensors and, where these cannot say, from its
 * metadata (all optional; values are strings):
 *
 *   switchyard.architecture      name of a row of sy_zoo_networks (needed for promoe-ec: its tensors are promoe's)
 *   switchyard.image_size        side of the input (needed where pos_embed is absent)
 *   switchyard.num_heads         (needed where the width is none of the published ones and q/k norms are absent)
 *   switchyard.top_k             experts a token
 *   switchyard.num_classes       rows of the label embedding but the null row; absent: the last row is the null row
 *   switchyard.space             "latent" or "pixel"; absent: latent if there are 4 channels
 *   switchyard.objective         "ddpm", "flow", "flow-reversed" or "edm"
 *   switchyard.betas             "linear", "scaled-linear" or "cosine"
 *   switchyard.spacing           "own" (the sampler's) or "leading": sy_network_config.leading_steps
 *   switchyard.last_is_first     1 or 0
 *   switchyard.clip              1: estimates of the clean image are cut to -1 … 1 while sampling; 0: not
 *   switchyard.time_scale        number
 *   switchyard.guided_channels, switchyard.guidance, switchyard.steps
 *   switchyard.vocabulary        JSON array of the words of the label embedding's rows, without the null row
 *   switchyard.words_per_prompt  absent: 16
 *
 * The file is untrusted: every number is bounded, every tensor the builder will ask for is checked to be there with
 * the right shape and dtype (sy_zoo_check_file). */
bool sy_zoo_config_from_file(const struct sy_safetensors *file, sy_network_config *config, sy_error *error);

/* The network's output f32[N, channels_out, side, side]; 0 on error (the graph's error says what).
 * Taps, per block: "blocks.N.x" (the residual stream after it) and in mixtures "blocks.N.route", "blocks.N.scores". */
sy_value sy_zoo_build(sy_graph *graph, const sy_network_config *config, const sy_zoo_inputs *inputs);

/* Around networks of latent pictures that a text prompts, where the file has what it takes: tokens i32[N,text_tokens] to
 * the context f32[N,context_tokens,context_width], and latents f32[N,channels,side,side] to pictures
 * f32[N,3,picture_side,picture_side] around -1 … 1. Both take their weights as the file stores them. */
sy_value sy_zoo_encode(sy_graph *graph, const sy_network_config *config, sy_value tokens);
sy_value sy_zoo_decode(sy_graph *graph, const sy_network_config *config, sy_value latent);

/* True if every parameter of the graph is in the file with the same shape and dtype. */
bool sy_zoo_check_file(const sy_graph *graph, const struct sy_safetensors *file, sy_error *error);

/* Prompts. The vocabulary of a file prompted by words, NULL on error; NULL with code OK if it has none. */
typedef struct sy_vocabulary sy_vocabulary;
sy_vocabulary *sy_vocabulary_from_file(const struct sy_safetensors *file, sy_error *error);
void sy_vocabulary_destroy(sy_vocabulary **vocabulary);
int32_t sy_vocabulary_count(const sy_vocabulary *vocabulary);
const char *sy_vocabulary_word(const sy_vocabulary *vocabulary, int32_t id);
/* Ids and weights (1 / count) of the words of a prompt that are known, in order, repeated ones repeated; the rest of
 * the `room` entries is -1 with weight 0. Words are runs of letters and digits, compared in lower case. Unknown words
 * are skipped, the first of them is copied to `unknown` (may be NULL; "" if all are known). Returns how many words are
 * known; with none (and for a NULL prompt) the entries are those of an unconditional sample. */
int32_t sy_vocabulary_prompt(const sy_vocabulary *vocabulary, const char *prompt, int32_t *ids, float *weights,
                             int32_t room, char unknown[64]);

#endif
