"""The original U-Net, DiC and SiD2's Residual U-ViT in plain PyTorch f64: the independent answers for graph/zoo/unet.c,
dic.c and sid2.c.

What: each a function of weights and inputs, giving the outputs and the taps. Written from the papers (U-Net: arXiv
1505.04597; DiC: 2501.00603 and its published code's behaviour; SiD2: 2410.19324, in the reading sid2.c states).
Fixtures are written by unet_fixtures.py.
"""
import math

import torch
from torch.nn import functional as F

from unets import edit, energy


def conv(w, name, x, padding=None):
    k = w[name + ".weight"]
    return F.conv2d(x, k, w.get(name + ".bias"), padding=k.shape[2] // 2 if padding is None else padding)


def linear(w, name, x):
    return F.linear(x, w[name + ".weight"], w[name + ".bias"])


def norm(w, name, x, groups):
    return F.group_norm(x, groups, w[name + ".weight"], w[name + ".bias"], 1e-5)


def time_features(t, width):
    half = width // 2
    angle = t[:, None] * torch.exp(-math.log(10000) * torch.arange(half, dtype=t.dtype) / half)
    return torch.cat([angle.cos(), angle.sin()], 1)


def unet(w, x, levels):
    double = lambda name, x: F.relu(conv(w, name + ".conv2", F.relu(conv(w, name + ".conv1", x, 0)), 0))
    kept, taps = [], {}
    for i in range(levels):
        kept.append(double(f"down.{i}", x))
        x = F.max_pool2d(kept[-1], 2)
    x = double("bottom", x)
    for i in reversed(range(levels)):
        x = F.conv_transpose2d(x, w[f"up.{i}.up.weight"], w[f"up.{i}.up.bias"], stride=2)
        cut = (kept[i].shape[2] - x.shape[2]) // 2
        skip = kept[i][:, :, cut:cut + x.shape[2], cut:cut + x.shape[3]]
        taps[f"up.{i}.skip_energy"] = energy(x, skip)
        x = double(f"up.{i}", torch.cat([skip, x], 1))
    p = conv(w, "out", x).softmax(1)
    taps["segmentation"] = p.argmax(1).double()
    best = p.topk(2, dim=1).values
    return p, taps, (best[:, 0] - best[:, 1]).min().item()


def unet_shapes(channels, width, levels, classes):
    shapes = {}

    def layer(name, out, wide, k):
        shapes[name + ".weight"], shapes[name + ".bias"] = (out, wide, k, k), (out,)

    now = channels
    for i in range(levels + 1):
        name, out = f"down.{i}" if i < levels else "bottom", width << i
        layer(name + ".conv1", out, now, 3)
        layer(name + ".conv2", out, out, 3)
        now = out
    for i in reversed(range(levels)):
        out = width << i
        shapes[f"up.{i}.up.weight"], shapes[f"up.{i}.up.bias"] = (now, out, 2, 2), (out,)
        layer(f"up.{i}.conv1", out, 2 * out, 3)
        layer(f"up.{i}.conv2", out, out, 3)
        now = out
    layer("out", classes, now, 1)
    return shapes


def dic(w, x, t, label, depths, stride=3, tuning=None):
    """depths: blocks of enc0, enc1, mid, dec1, dec0."""
    taps, kept, c = {}, [], []
    gelu = lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    groups = lambda x: min(32, x.shape[1] // 4)
    for level in range(3):
        e = linear(w, f"t_embedder_ls.{level}.mlp.0", time_features(t, 256))
        e = linear(w, f"t_embedder_ls.{level}.mlp.2", F.silu(e))
        c.append(e + w[f"y_embedder_ls.{level}.embedding_table.weight"][torch.tensor(label)])

    def block(name, x, c):
        h = conv(w, name + ".conv.conv0", gelu(norm(w, name + ".conv.norm0", x, groups(x))))
        gate, scale, shift = linear(w, name + ".conv.affine.1", F.silu(c))[:, :, None, None].chunk(3, 1)
        taps[name + ".gate"] = gate.permute(0, 2, 3, 1)
        h = norm(w, name + ".conv.norm1", h, groups(h)) * (1 + scale) + shift
        h = conv(w, name + ".conv.conv1", gelu(h))
        return gate * h + (conv(w, name + ".conv.skip", x) if name + ".conv.skip.weight" in w else x)

    x = conv(w, "x_embedder.proj", x)
    for level in range(2):
        for k in range(depths[level]):
            x = block(f"enc_blocks.{level}.{k}", x, c[level])
            if (depths[level] - 1 - k) % stride == 0:
                kept.append(x)
        x = F.pixel_unshuffle(conv(w, f"downs.{level}.body.0", x), 2)
    for k in range(depths[2]):
        x = block(f"lat_blocks.0.{k}", x, c[2])
    for i in range(2):
        x = F.pixel_shuffle(conv(w, f"ups.{i}.body.0", x), 2)
        for k in range(depths[3 + i]):
            name = f"dec_blocks.{i}.{k}"
            if k % stride == 0:
                x, skip = edit(x, kept.pop(), i, 2, tuning)
                taps[name + ".skip_energy"] = energy(x, skip)
                x = torch.cat([x, skip], 1)
            x = block(name, x, c[1 - i])
    x = conv(w, "output", x).permute(0, 2, 3, 1)
    shift, scale = linear(w, "final_layer.adaLN_modulation.1", F.silu(c[0]))[:, None, None].chunk(2, 3)
    x = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
    return conv(w, "final_layer.out_proj", x.permute(0, 3, 1, 2)), taps


def dic_shapes(width, depths, channels, out, rows, stride=3, **_):
    shapes, mult = {}, (1, 2, 4, 2, 1)

    def layer(name, *shape, bias=True):
        shapes[name + ".weight"] = shape
        if bias:
            shapes[name + ".bias"] = shape[:1]

    layer("x_embedder.proj", width, channels, 3, 3)
    for level in range(3):
        wide = width << level
        layer(f"t_embedder_ls.{level}.mlp.0", wide, 256)
        layer(f"t_embedder_ls.{level}.mlp.2", wide, wide)
        layer(f"y_embedder_ls.{level}.embedding_table", rows, wide, bias=False)
    for stage, name in enumerate(["enc_blocks.0", "enc_blocks.1", "lat_blocks.0", "dec_blocks.0", "dec_blocks.1"]):
        wide = width * mult[stage]
        for k in range(depths[stage]):
            inside = 2 * wide if stage > 2 and k % stride == 0 else wide
            at = f"{name}.{k}.conv"
            layer(at + ".norm0", inside)
            layer(at + ".conv0", wide, inside, 3, 3)
            layer(at + ".affine.1", 3 * wide, wide)
            layer(at + ".norm1", wide)
            layer(at + ".conv1", wide, wide, 3, 3)
            if inside != wide:
                layer(at + ".skip", wide, inside, 1, 1)
    for i in range(2):
        layer(f"downs.{i}.body.0", width * mult[i + 1] // 4, width * mult[i], 3, 3, bias=False)
        layer(f"ups.{i}.body.0", 4 * width * mult[3 + i], width * mult[2 + i], 3, 3, bias=False)
    layer("output", width, width, 3, 3)
    layer("final_layer.adaLN_modulation.1", 2 * width, width)
    layer("final_layer.out_proj", out, width, 3, 3)
    return shapes


def sid2(w, x, t, label, levels, blocks, middle, heads, groups, patch):
    """The noise that the network's v says is in x at step t of the cosine schedule."""
    e = linear(w, "time_embed.2", F.silu(linear(w, "time_embed.0", time_features(t, w["time_embed.0.weight"].shape[1]))))
    e, taps, kept = F.silu(e + w["label_emb.weight"][torch.tensor(label)]), {}, []

    def residual(name, x):
        h = conv(w, name + ".conv1", F.silu(norm(w, name + ".norm1", x, groups)))
        scale, shift = linear(w, name + ".emb", e)[:, :, None, None].chunk(2, 1)
        return x + conv(w, name + ".conv2", F.silu(norm(w, name + ".norm2", h, groups) * (1 + scale) + shift))

    def transformer(name, x):
        n, tokens, width = x.shape
        m = linear(w, name + ".emb", e)[:, None].chunk(6, 2)
        u = F.layer_norm(x, (width,), eps=1e-6) * (1 + m[1]) + m[0]
        q, k, v = linear(w, name + ".qkv", u).reshape(n, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(2, 3) / math.sqrt(width // heads)).softmax(3) @ v
        x = x + m[2] * linear(w, name + ".proj", a.transpose(1, 2).reshape(n, tokens, width))
        u = linear(w, name + ".fc1", F.layer_norm(x, (width,), eps=1e-6) * (1 + m[4]) + m[3])
        u = 0.5 * u * (1 + torch.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u ** 3)))
        return x + m[5] * linear(w, name + ".fc2", u)

    noisy, x = x, conv(w, "patch_in", F.pixel_unshuffle(x, patch))
    for i in range(levels):
        for k in range(blocks):
            x = residual(f"down.{i}.blocks.{k}", x)
        kept.append(x)
        x = conv(w, f"down.{i}.down", F.avg_pool2d(x, 2))
    shape = x.shape
    x = x.flatten(2).transpose(1, 2) + w["middle.pos_embed"]
    for k in range(middle):
        x = transformer(f"middle.blocks.{k}", x)
    x = x.transpose(1, 2).reshape(shape)
    for i in reversed(range(levels)):
        x = F.interpolate(conv(w, f"up.{i}.up", x), scale_factor=2, mode="nearest")
        taps[f"up.{i}.skip_energy"] = energy(x, kept[i])
        x = kept[i] + x
        for k in range(blocks):
            x = residual(f"up.{i}.blocks.{k}", x)
    v = F.pixel_shuffle(conv(w, "out_conv", F.silu(norm(w, "out_norm", x, groups))), patch)
    bar = lambda s: math.cos((s + 0.008) / 1.008 * math.pi / 2) ** 2
    a = torch.tensor([bar((float(s) + 1) / 1000) / bar(0) for s in t], dtype=torch.float64)[:, None, None, None]
    return a.sqrt() * v + (1 - a).sqrt() * noisy, taps


def sid2_shapes(width, mult, blocks, middle, channels, rows, side, patch=2, **_):
    shapes, emb, levels = {}, 4 * width, len(mult) - 1

    def layer(name, *shape):
        shapes[name + ".weight"], shapes[name + ".bias"] = shape, shape[:1]

    def residual(name, wide):
        layer(name + ".norm1", wide)
        layer(name + ".conv1", wide, wide, 3, 3)
        layer(name + ".emb", 2 * wide, emb)
        layer(name + ".norm2", wide)
        layer(name + ".conv2", wide, wide, 3, 3)

    wide = [width * m for m in mult]
    layer("time_embed.0", emb, width)
    layer("time_embed.2", emb, emb)
    shapes["label_emb.weight"] = (rows, emb)
    layer("patch_in", wide[0], channels * patch ** 2, 3, 3)
    for i in range(levels):
        for k in range(blocks):
            residual(f"down.{i}.blocks.{k}", wide[i])
            residual(f"up.{i}.blocks.{k}", wide[i])
        layer(f"down.{i}.down", wide[i + 1], wide[i], 1, 1)
        layer(f"up.{i}.up", wide[i], wide[i + 1], 1, 1)
    shapes["middle.pos_embed"] = (1, (side // patch >> levels) ** 2, wide[-1])
    for k in range(middle):
        name = f"middle.blocks.{k}"
        layer(name + ".emb", 6 * wide[-1], emb)
        layer(name + ".qkv", 3 * wide[-1], wide[-1])
        layer(name + ".proj", wide[-1], wide[-1])
        layer(name + ".fc1", 4 * wide[-1], wide[-1])
        layer(name + ".fc2", wide[-1], 4 * wide[-1])
    layer("out_norm", wide[0])
    layer("out_conv", channels * patch ** 2, wide[0], 3, 3)
    return shapes
