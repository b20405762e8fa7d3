"""Modules of public packages with the weights of our fixtures, in f64. Used by packages.py.

The packages keep some numbers in f32 whatever the weights are: features of the time, tables of noise levels, RMS norms,
routers. `Doubled` imports the modules concerned with every mention of f32 read as f64; nothing else of them changes.
"""
import importlib.machinery
import json
import os
import struct
import sys

import numpy as np
import torch

import fixture

WIDENED = ("diffusers.models.embeddings", "diffusers.schedulers.scheduling_", "diffusers.utils.torch_utils",
           "transformers.models.switch_transformers.modeling", "transformers.models.llama.modeling",
           "transformers.models.deepseek_v2.modeling", "transformers.models.clip.modeling", "physicsnemo.nn.module",
           "physicsnemo.models.diffusion_unets", "physicsnemo.diffusion.preconditioners")


class Doubled(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        text = self.get_source(fullname)
        for old, new in (("torch.float32", "torch.float64"), ("np.float32", "np.float64"), (".float()", ".double()"),
                         ("dtype=torch.float)", "dtype=torch.float64)")):
            text = text.replace(old, new)
        return compile(text, self.path, "exec")


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if not name.startswith(WIDENED):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = Doubled(name, spec.origin)
        return spec


sys.meta_path.insert(0, Finder)
torch.set_default_dtype(torch.float64)

import diffusers  # noqa: E402  (after the finder is in place)
import transformers  # noqa: E402

TYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32}


def read(name):
    """{tensor: f64} and {setting: text} of a fixture, or of any safetensors file given by its path."""
    path = name if os.sep in name else os.path.join(fixture.FOLDER, name + ".safetensors")
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    told, out = header.pop("__metadata__", {}), {}
    for key, entry in header.items():
        begin, end = entry["data_offsets"]
        value = np.frombuffer(data[begin:end], dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])
        out[key] = torch.from_numpy(value.copy()).double()
    for key in [k for k in out if k.endswith("_rest")]:
        out[key.removesuffix("_rest")] += out.pop(key)
    return out, {k.removeprefix("switchyard."): v for k, v in told.items()}


def weights_of(tensors):
    return {k: v for k, v in tensors.items() if k.split(".")[0] not in ("input", "output", "tap", "route", "reference")}


def fill(module, weights):
    """Every tensor of the module from the weights, and none left over."""
    module = module.double().eval()
    module.load_state_dict({k: v.reshape(module.state_dict()[k].shape) for k, v in weights.items()})
    return module


def sd_unet(weights, heads, groups):
    levels = 1 + max(int(k.split(".")[1]) for k in weights if k.startswith("down_blocks."))
    attends = [f"down_blocks.{i}.attentions.0.norm.weight" in weights for i in range(levels)]
    return fill(diffusers.UNet2DConditionModel(
        block_out_channels=[len(weights[f"down_blocks.{i}.resnets.0.conv1.bias"]) for i in range(levels)],
        down_block_types=["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends],
        up_block_types=["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)],
        layers_per_block=1, norm_num_groups=groups, attention_head_dim=heads,
        cross_attention_dim=weights["mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"].shape[1]), weights)


class Decoder(diffusers.AutoencoderKL):
    """Has an encoder too, for which there are no weights."""
    def __init__(self, weights, groups):
        super().__init__(block_out_channels=[8, 12], norm_num_groups=groups, layers_per_block=0, latent_channels=4,
                         down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2)
        self.encoder = self.quant_conv = None
        fill(self, weights)

    def picture(self, latent):
        return self.decode(latent / self.config.scaling_factor).sample


def clip_text(weights, heads):
    width, hidden = weights["text_model.final_layer_norm.weight"].shape[0], "text_model.encoder.layers.0.mlp.fc1.bias"
    vocabulary, positions = (len(weights[f"text_model.embeddings.{k}_embedding.weight"]) for k in ("token", "position"))
    model = transformers.CLIPTextModel(transformers.CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=2, num_attention_heads=heads,
        intermediate_size=len(weights[hidden]), max_position_embeddings=positions, hidden_act="quick_gelu",
        attn_implementation="eager"))
    if not any(k.startswith("text_model.") for k in model.state_dict()):
        weights = {k.removeprefix("text_model."): v for k, v in weights.items()}
    return fill(model, weights)


def dit(weights, heads, depth):
    """Fixture's names to those of diffusers, where every block has the embedding of time and label to itself."""
    width = len(weights["x_embedder.proj.bias"])
    net = diffusers.DiTTransformer2DModel(
        num_attention_heads=heads, attention_head_dim=width // heads, in_channels=4, out_channels=8, num_layers=depth,
        sample_size=8, patch_size=2, num_embeds_ada_norm=len(weights["y_embedder.embedding_table.weight"]) - 1,
        norm_eps=1e-6)
    out = {"pos_embed.proj." + k: weights["x_embedder.proj." + k] for k in ("weight", "bias")}
    out["pos_embed.pos_embed"] = weights.get("pos_embed", net.pos_embed.pos_embed)  # its own where the file has none
    for k in ("weight", "bias"):
        out["proj_out_1." + k] = weights["final_layer.adaLN_modulation.1." + k]
        out["proj_out_2." + k] = weights["final_layer.linear." + k]
    for i, block in enumerate(net.transformer_blocks):
        ours, theirs = f"blocks.{i}.", f"transformer_blocks.{i}."
        block.ff = diffusers.models.attention.FeedForward(width, inner_dim=len(weights[ours + "mlp.fc1.bias"]),
                                                          activation_fn="gelu-approximate")
        out[theirs + "norm1.emb.class_embedder.embedding_table.weight"] = weights["y_embedder.embedding_table.weight"]
        for k in ("weight", "bias"):
            for n in (1, 2):
                out[f"{theirs}norm1.emb.timestep_embedder.linear_{n}.{k}"] = weights[f"t_embedder.mlp.{2 * n - 2}.{k}"]
            out[f"{theirs}norm1.linear.{k}"] = weights[f"{ours}adaLN_modulation.1.{k}"]
            for name, part in zip("qkv", weights[f"{ours}attn.qkv.{k}"].chunk(3)):
                out[f"{theirs}attn1.to_{name}.{k}"] = part
            out[f"{theirs}attn1.to_out.0.{k}"] = weights[f"{ours}attn.proj.{k}"]
            out[f"{theirs}ff.net.0.proj.{k}"] = weights[f"{ours}mlp.fc1.{k}"]
            out[f"{theirs}ff.net.2.{k}"] = weights[f"{ours}mlp.fc2.{k}"]
        # diffusers divides by half - 1 here, the authors' code by half: a known difference of the package
        block.norm1.emb.time_proj.downscale_freq_shift = 0
    if "pos_embed.pos_embed" not in net.state_dict():
        net.pos_embed.pos_embed = out.pop("pos_embed.pos_embed").double()
    return fill(net, out)


def adm(weights, variant, classes, out, head_width):
    """One block a level, two levels, attention on the second or nowhere but in the middle; guided-diffusion's names to
    those of diffusers."""
    kind, attends = "resnet" if variant else "conv", "input_blocks.3.1.qkv.weight" in weights
    widths = [len(weights[f"input_blocks.{i}.0.out_layers.3.bias"]) for i in (1, 3)]
    net = diffusers.UNet2DModel(
        sample_size=8, in_channels=3, out_channels=out, block_out_channels=widths, layers_per_block=1,
        down_block_types=["ResnetDownsampleBlock2D" if variant else "DownBlock2D",
                          "AttnDownBlock2D" if attends else "ResnetDownsampleBlock2D"],
        up_block_types=["AttnUpBlock2D" if attends else "ResnetUpsampleBlock2D",
                        "ResnetUpsampleBlock2D" if variant else "UpBlock2D"], norm_num_groups=4,
        attention_head_dim=head_width, attn_norm_num_groups=4, downsample_type=kind, upsample_type=kind,
        num_class_embeds=classes,
        resnet_time_scale_shift="scale_shift" if variant else "default")
    parts = {"in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
             "out_layers.3": "conv2", "skip_connection": "conv_shortcut", "norm": "group_norm", "proj_out": "to_out.0",
             "op": "conv"}
    places = {"input_blocks.1.0": "down_blocks.0.resnets.0", "input_blocks.2.0": "down_blocks.0.downsamplers.0",
              "input_blocks.3.0": "down_blocks.1.resnets.0", "input_blocks.3.1": "down_blocks.1.attentions.0",
              "middle_block.0": "mid_block.resnets.0", "middle_block.1": "mid_block.attentions.0",
              "middle_block.2": "mid_block.resnets.1", "output_blocks.0.0": "up_blocks.0.resnets.0",
              "output_blocks.0.1": "up_blocks.0.attentions.0", "output_blocks.1.0": "up_blocks.0.resnets.1",
              "output_blocks.1.1": f"up_blocks.0.{'attentions.1' if attends else 'upsamplers.0'}",
              "output_blocks.1.2": "up_blocks.0.upsamplers.0",
              "output_blocks.2.0": "up_blocks.1.resnets.0", "output_blocks.3.0": "up_blocks.1.resnets.1",
              "time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
              "label_emb": "class_embedding", "input_blocks.0.0": "conv_in", "out.0": "conv_norm_out",
              "out.2": "conv_out"}
    table = {}
    for name, value in weights.items():
        place = next(p for p in places if name.startswith(p + "."))
        rest, end = name[len(place) + 1:].rsplit(".", 1) if "." in name[len(place) + 1:] else ("", name.split(".")[-1])
        theirs = places[place]
        if rest == "qkv":
            heads = len(value) // 3 // head_width  # legacy order: q, k, v of the first head, then of the next
            for key, part in zip("qkv", value.reshape(heads, 3, head_width, *value.shape[1:]).unbind(1)):
                table[f"{theirs}.to_{key}.{end}"] = part.reshape(heads * head_width, *value.shape[1:]).squeeze(-1)
            continue
        rest = parts.get(rest, rest)
        table[".".join(p for p in (theirs, rest, end) if p)] = value
    return fill(net, table)
