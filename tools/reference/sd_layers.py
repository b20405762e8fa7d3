"""Stable Diffusion 1.x in plain PyTorch f64: U-Net, decoder, text encoder, as functions over {name: tensor} in the layout
of diffusers and transformers. Written from the specification; independent of graph/zoo."""
import math

import torch
import torch.nn.functional as F


class Weights:
    """Weights under a prefix: w("conv_in.weight"), w.at("down_blocks.0")."""

    def __init__(self, table, prefix=""):
        self.table, self.prefix = table, prefix

    def at(self, name):
        return Weights(self.table, f"{self.prefix}{name}.")

    def __call__(self, name):
        return self.table[self.prefix + name].double()

    def has(self, name):
        return self.prefix + name in self.table


def linear(w, name, x):
    weight = w(name + ".weight")
    return F.linear(x, weight.flatten(1), w(name + ".bias") if w.has(name + ".bias") else None)


def conv(w, name, x, stride=1):
    weight = w(name + ".weight")
    return F.conv2d(x, weight, w(name + ".bias"), stride=stride, padding=weight.shape[-1] // 2)


def group_norm(w, name, x, groups, eps):
    return F.group_norm(x, groups, w(name + ".weight"), w(name + ".bias"), eps)


def layer_norm(w, name, x):
    return F.layer_norm(x, x.shape[-1:], w(name + ".weight"), w(name + ".bias"), 1e-5)


def time_features(t, width):
    half = width // 2
    f = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float64) / half)
    angle = t.double()[:, None] * f
    return torch.cat([angle.cos(), angle.sin()], 1)


def resnet(w, x, temb, groups, eps):
    h = conv(w, "conv1", F.silu(group_norm(w, "norm1", x, groups, eps)))
    if temb is not None:
        h = h + linear(w, "time_emb_proj", F.silu(temb))[:, :, None, None]
    h = conv(w, "conv2", F.silu(group_norm(w, "norm2", h, groups, eps)))
    return (conv(w, "conv_shortcut", x) if w.has("conv_shortcut.weight") else x) + h


def heads_of(x, heads):
    n, t, c = x.shape
    return x.view(n, t, heads, c // heads).transpose(1, 2)


def softmax_weights(q, k):
    return torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1)


class Attend:
    """The attention to the text; options that act there replace `weights` or `mix`. Taps go to the dictionary."""

    def __init__(self):
        self.taps = {}

    def weights(self, q, k, name):
        return softmax_weights(q, k)

    def one(self, w, q, context, heads, name):
        k, v = heads_of(linear(w, "to_k", context), heads), heads_of(linear(w, "to_v", context), heads)
        y = self.weights(q, k, name) @ v
        return y.transpose(1, 2).flatten(2)

    def __call__(self, w, x, context, heads, name):
        return self.one(w, heads_of(linear(w, "to_q", x), heads), context, heads, name)


def self_attention(w, x, heads):
    q, k, v = (heads_of(linear(w, n, x), heads) for n in ("to_q", "to_k", "to_v"))
    return (softmax_weights(q, k) @ v).transpose(1, 2).flatten(2)


class UNet:
    """config: groups, heads. `edit(i, h, skip) -> (h, skip)`: what is done to both before concatenation."""

    def __init__(self, table, groups, heads, attend=None, edit=None):
        self.w, self.groups, self.heads = Weights(table), groups, heads
        self.attend = attend or Attend()
        self.edit = edit

    def transformer(self, w, x, context):
        n, c, height, width = x.shape
        h = group_norm(w, "norm", x, self.groups, 1e-6).flatten(2).transpose(1, 2)
        h = linear(w, "proj_in", h)
        b = w.at("transformer_blocks.0")
        h = h + linear(b.at("attn1"), "to_out.0", self_attention(b.at("attn1"), layer_norm(b, "norm1", h), self.heads))
        a = b.at("attn2")
        y = self.attend(a, layer_norm(b, "norm2", h), context, self.heads, a.prefix)
        h = h + linear(a, "to_out.0", y)
        value, gate = linear(b.at("ff"), "net.0.proj", layer_norm(b, "norm3", h)).chunk(2, -1)
        h = h + linear(b.at("ff"), "net.2", value * F.gelu(gate))
        h = linear(w, "proj_out", h)
        return h.transpose(1, 2).reshape(n, c, height, width) + x

    def layer(self, block, j, x, temb, context):
        x = resnet(block.at(f"resnets.{j}"), x, temb, self.groups, 1e-5)
        if block.has(f"attentions.{j}.proj_in.weight"):
            x = self.transformer(block.at(f"attentions.{j}"), x, context)
        return x

    def __call__(self, x, t, context):
        w, x, context = self.w, x.double(), context.double()
        temb = time_features(t, w("conv_in.weight").shape[0])
        temb = linear(w, "time_embedding.linear_2", F.silu(linear(w, "time_embedding.linear_1", temb)))
        x = conv(w, "conv_in", x)
        skips, i = [x], 0
        while w.has(f"down_blocks.{i}.resnets.0.conv1.weight"):
            block, j = w.at(f"down_blocks.{i}"), 0
            while block.has(f"resnets.{j}.conv1.weight"):
                x = self.layer(block, j, x, temb, context)
                skips.append(x)
                j += 1
            if block.has("downsamplers.0.conv.weight"):
                x = conv(block, "downsamplers.0.conv", x, 2)
                skips.append(x)
            i += 1
        mid = w.at("mid_block")
        x = resnet(mid.at("resnets.1"), self.layer(mid, 0, x, temb, context), temb, self.groups, 1e-5)
        used, levels = 0, i
        for i in range(levels):
            block, j = w.at(f"up_blocks.{i}"), 0
            while block.has(f"resnets.{j}.conv1.weight"):
                skip = skips.pop()
                if self.edit:
                    x, skip = self.edit(used, x, skip)
                x = self.layer(block, j, torch.cat([x, skip], 1), temb, context)
                used, j = used + 1, j + 1
            if block.has("upsamplers.0.conv.weight"):
                x = conv(block, "upsamplers.0.conv", F.interpolate(x, size=skips[-1].shape[2:], mode="nearest"))
        return conv(w, "conv_out", F.silu(group_norm(w, "conv_norm_out", x, self.groups, 1e-5)))


def decode(table, latent, groups, factor=0.18215):
    w = Weights(table)
    x = conv(w, "post_quant_conv", latent.double() / factor)
    d = w.at("decoder")
    x = conv(d, "conv_in", x)
    mid = d.at("mid_block")
    x = resnet(mid.at("resnets.0"), x, None, groups, 1e-6)
    a = mid.at("attentions.0")
    u = group_norm(a, "group_norm", x, groups, 1e-6).flatten(2).transpose(1, 2)
    y = linear(a, "to_out.0", self_attention(a, u, 1))
    x = resnet(mid.at("resnets.1"), x + y.transpose(1, 2).reshape(x.shape), None, groups, 1e-6)
    i = 0
    while d.has(f"up_blocks.{i}.resnets.0.conv1.weight"):
        block, j = d.at(f"up_blocks.{i}"), 0
        while block.has(f"resnets.{j}.conv1.weight"):
            x, j = resnet(block.at(f"resnets.{j}"), x, None, groups, 1e-6), j + 1
        if block.has("upsamplers.0.conv.weight"):
            x = conv(block, "upsamplers.0.conv", F.interpolate(x, scale_factor=2, mode="nearest"))
        i += 1
    return conv(d, "conv_out", F.silu(group_norm(d, "conv_norm_out", x, groups, 1e-6)))


def encode_text(table, tokens, heads):
    w = Weights(table, "text_model.")
    x = w("embeddings.token_embedding.weight")[tokens]
    x = x + w("embeddings.position_embedding.weight")[: tokens.shape[1]]
    hidden = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).triu(1)
    i = 0
    while w.has(f"encoder.layers.{i}.mlp.fc1.weight"):
        b = w.at(f"encoder.layers.{i}")
        u, a = layer_norm(b, "layer_norm1", x), b.at("self_attn")
        q, k, v = (heads_of(linear(a, n, u), heads) for n in ("q_proj", "k_proj", "v_proj"))
        scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(hidden, -math.inf)
        x = x + linear(a, "out_proj", (scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        u = linear(b.at("mlp"), "fc1", layer_norm(b, "layer_norm2", x))
        x = x + linear(b.at("mlp"), "fc2", u * torch.sigmoid(1.702 * u))
        i += 1
    return layer_norm(w, "final_layer_norm", x)
