#!/usr/bin/env python3
"""Write a tiny Stable Diffusion with random weights as a folder in the layout of diffusers, and the pictures it makes:
tests/run/sd_folder/{model_index.json,unet,vae,text_encoder,tokenizer,scheduler} and expected.safetensors.

    python3 tools/reference/sd_folder.py        (torch, tokenizers)

The U-Net is f16 in two files with an index, the text encoder f16, the autoencoder f32 under
older names. expected.safetensors has "picture"
[2,3,12,12], two prompts with the seeds 5 and 6, a negative text, guidance 3, four steps of DDIM; "plain", the same without
guidance; "pladis", "nag" and "nag_guided" with that setting.
"""
import json
import os
import shutil

import torch

import clip_tokens
import dit_variants
import fixture
import sd
import sd_layers
import sd_shapes

FOLDER = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "run",
                                       "sd_folder"))
PROMPTS, NEGATIVE = ["a photograph of an astronaut", "the cat's face, digital painting"], "lazy dog"
SEEDS, SIDE, TOKENS, CONTEXT, GUIDANCE, STEPS = [5, 6], 6, 12, 12, 3.0, 4
GROUPS, HEADS = 2, 2


def write_json(name, value):
    path = os.path.join(FOLDER, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def write_weights(name, weights):
    path = os.path.join(FOLDER, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fixture.write(path, {k: fixture.stored(k, v) for k, v in weights.items()}, {"format": "pt"})


def write_folder(unet, vae, text, vocabulary):
    shutil.rmtree(FOLDER, ignore_errors=True)
    write_json("model_index.json", {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers",
               "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "safety_checker": [None, None]})
    write_json("unet/config.json", {"act_fn": "silu", "attention_head_dim": HEADS, "center_input_sample": False,
               "cross_attention_dim": CONTEXT, "flip_sin_to_cos": True, "freq_shift": 0, "norm_eps": 1e-05,
               "norm_num_groups": GROUPS, "sample_size": SIDE})
    write_json("vae/config.json", {"act_fn": "silu", "norm_num_groups": GROUPS, "scaling_factor": 0.18215})
    write_json("text_encoder/config.json", {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-05,
               "max_position_embeddings": TOKENS, "num_attention_heads": HEADS})
    write_json("scheduler/scheduler_config.json", {"_class_name": "PNDMScheduler", "beta_end": 0.012,
               "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000,
               "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None,
               "clip_sample": False})
    names = list(unet)
    half = len(names) // 2
    files = [f"diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for file, part in zip(files, (names[:half], names[half:])):
        write_weights(f"unet/{file}", {n: unet[n] for n in part})
    write_json("unet/diffusion_pytorch_model.safetensors.index.json",
               {"metadata": {}, "weight_map": {n: files[i >= half] for i, n in enumerate(names)}})
    for name in list(vae):  # as files of before diffusers 0.17 name them
        for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            if f"attentions.0.{new}." in name:
                vae[name.replace(new, old)] = vae.pop(name)
    write_weights("vae/diffusion_pytorch_model.safetensors", vae)
    write_weights("text_encoder/model.safetensors", text)
    write_json("tokenizer/vocab.json", vocabulary)
    write_json("tokenizer/special_tokens_map.json", {"pad_token": "<|endoftext|>"})
    shutil.copy(os.path.join(clip_tokens.FOLDER, "merges.txt"), os.path.join(FOLDER, "tokenizer", "merges.txt"))


def alpha_bar():
    root = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64)
    return (1 - root.square()).cumprod(0)


def sample(unet, x, positive, negative, guidance, attend):
    """DDIM, eta 0. Diffusers' leading spacing with an offset of 1; the final product is that of the first step."""
    bar = alpha_bar()
    times = [i * (1000 // STEPS) + 1 for i in reversed(range(STEPS))]
    for k, t in enumerate(times):
        network = sd_layers.UNet(unet, GROUPS, HEADS, attend() if attend else None)
        fed = torch.cat([x, x]) if guidance != 1 else x
        context = torch.cat([positive, negative]) if guidance != 1 else positive
        e = network(fed, torch.full((len(fed),), float(t), dtype=torch.float64), context)
        if guidance != 1:
            conditional, other = e.chunk(2)
            e = other + guidance * (conditional - other)
        following = bar[times[k + 1]] if k + 1 < STEPS else bar[0]
        clean = (x - (1 - bar[t]).sqrt() * e) / bar[t].sqrt()
        x = following.sqrt() * clean + (1 - following).sqrt() * e
    return x


def main():
    vocabulary, merges = clip_tokens.make()
    tokenizer = clip_tokens.tokenizer(vocabulary, merges)
    unet = sd.half(fixture.draw_all(sd_shapes.unet((8,), (True,), 1, CONTEXT), 21))
    vae = fixture.draw_all(sd_shapes.decoder((8, 12), 1), 22)
    text = sd.half(fixture.draw_all(sd_shapes.text(len(vocabulary), CONTEXT, 2, 24, TOKENS), 23))
    write_folder(unet, dict(vae), text, vocabulary)

    ids = [clip_tokens.encode(tokenizer, vocabulary, p, TOKENS)[0] for p in [*PROMPTS, NEGATIVE, NEGATIVE]]
    hidden = sd_layers.encode_text(text, torch.tensor(ids), HEADS)
    positive, negative = hidden[:2], hidden[2:]
    x = torch.stack([torch.tensor(dit_variants.normals(s, 0, 4 * SIDE * SIDE), dtype=torch.float64)
                     .reshape(4, SIDE, SIDE) for s in SEEDS])
    wanted = {
        "picture": (GUIDANCE, None),
        "plain": (1, None),
        "pladis": (GUIDANCE, lambda: sd.Pladis(2)),
        "nag_guided": (GUIDANCE, lambda: sd.Nag(negative, 3, 2.5, 0.5)),
        "nag": (1, lambda: sd.Nag(negative, 3, 2.5, 0.5)),
    }
    out = {}
    for name, (guidance, attend) in wanted.items():
        latent = sample(unet, x, positive, negative, guidance, attend)
        out[name] = sd_layers.decode(vae, latent, GROUPS).float()
        print(name, latent.std().item(), out[name].std().item())
    fixture.write(os.path.join(FOLDER, "expected.safetensors"), out, {})


if __name__ == "__main__":
    main()
