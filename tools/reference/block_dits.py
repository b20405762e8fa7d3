"""Diffusion transformers whose attention has a fixed block pattern, with dense masks over all tokens, in f64: Sparse-vDiT
(arXiv 2506.03065) and Inf-DiT (arXiv 2405.04312), from the papers.

    python tools/reference/block_dits.py        writes sparse_vdit, inf_dit
"""
import math

import torch

import fixture
from networks import gelu, layer_norm, silu, time_features


def linear(w, name, x):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def patchify(w, name, x):
    """[N, C, H, W] -> [N, rows, columns, D]: a convolution whose stride is its kernel."""
    kernel = w[name + ".weight"]
    y = torch.nn.functional.conv2d(x, kernel, w[name + ".bias"], stride=kernel.shape[-1])
    return y.permute(0, 2, 3, 1)


def unpatchify(tokens, p):
    """[N, rows, columns, p p C], channel fastest -> [N, C, H, W]."""
    n, rows, columns, size = tokens.shape
    x = tokens.reshape(n, rows, columns, p, p, size // (p * p))
    return x.permute(0, 5, 1, 3, 2, 4).reshape(n, -1, rows * p, columns * p)


def masked(q, k, v, seen):
    """[T, d]; rows that see nothing give 0."""
    score = (q @ k.T / math.sqrt(q.shape[1])).masked_fill(~seen, -math.inf)
    return torch.softmax(score, -1).nan_to_num(0.0) @ v


def dit_block(w, b, x, c, attention, between=lambda x: x):
    m = linear(w, b + "adaLN_modulation.1", c)[:, None].chunk(6, -1)
    x = between(x + m[2] * attention(layer_norm(x) * (1 + m[1]) + m[0]))
    return x + m[5] * linear(w, b + "mlp.fc2", gelu(linear(w, b + "mlp.fc1", layer_norm(x) * (1 + m[4]) + m[3])))


def final(w, x, c):
    shift, scale = linear(w, "final_layer.adaLN_modulation.1", c)[:, None].chunk(2, -1)
    return linear(w, "final_layer.linear", layer_norm(x) * (1 + scale) + shift)


def time_embedding(w, t):
    return linear(w, "t_embedder.mlp.2", silu(linear(w, "t_embedder.mlp.0", time_features(t))))


def attend(w, name, u, heads, seen, turn=lambda x: x):
    """seen[h]: [T, T] of each head."""
    out = []
    for joint in linear(w, name + ".qkv", u):
        q, k, v = (m.reshape(len(joint), heads, -1).transpose(0, 1) for m in joint.chunk(3, -1))
        out.append(torch.cat([masked(turn(q[h]), turn(k[h]), v[h], seen[h]) for h in range(heads)], -1))
    return linear(w, name + ".proj", torch.stack(out))


def layer_shapes(name, out, into):
    return {name + ".weight": (out, into), name + ".bias": (out,)}


def block_shapes(b, width, hidden):
    return (layer_shapes(b + "adaLN_modulation.1", 6 * width, width) | layer_shapes(b + "attn.qkv", 3 * width, width) |
            layer_shapes(b + "attn.proj", width, width) | layer_shapes(b + "mlp.fc1", hidden, width) |
            layer_shapes(b + "mlp.fc2", width, hidden))


def shell_shapes(width, hidden, depth, out):
    shapes = layer_shapes("t_embedder.mlp.0", width, 256) | layer_shapes("t_embedder.mlp.2", width, width)
    for i in range(depth):
        shapes |= block_shapes(f"blocks.{i}.", width, hidden)
    return shapes | layer_shapes("final_layer.adaLN_modulation.1", 2 * width, width) | layer_shapes(
        "final_layer.linear", out, width)


# Sparse-vDiT

def pattern(word, i, j, per_frame):
    kind, _, rest = word.partition(":")
    if kind == "stripe":
        return j in [int(c) for c in rest.split(",")]
    return {"dense": True, "skip": False, "diagonal": abs(i - j) <= int(rest or 0),
            "multi-diagonal": abs(i - j) % per_frame <= int(rest or 0)}[kind]


def sparse_vdit():
    frames, side, p, channels, width, hidden, heads, block = 3, 8, 2, 2, 24, 24, 6, 4
    words = ["dense diagonal:1 multi-diagonal:0 stripe:0,5 skip diagonal:1",
             "multi-diagonal:1 skip stripe:2 dense skip diagonal:0"]
    cells = (side // p) ** 2
    tokens, per_frame = frames * cells, cells // block
    shapes = shell_shapes(width, hidden, len(words), p * p * channels) | {"pos_embed": (1, tokens, width)}
    shapes |= {"x_embedder.proj.weight": (width, channels, p, p), "x_embedder.proj.bias": (width,)}
    w = fixture.draw_all(shapes, 5)
    x, t = fixture.draw((2, channels, frames, side, side), 6), torch.tensor([871.0, 12.0], dtype=torch.float64)
    c = silu(time_embedding(w, t))
    images = x.permute(0, 2, 1, 3, 4).reshape(2 * frames, channels, side, side)
    z = patchify(w, "x_embedder.proj", images).reshape(2, tokens, width) + w["pos_embed"]
    blocks, routes, taps = tokens // block, {}, {}
    for i, line in enumerate(words):
        kept = [torch.tensor([[pattern(word, a, b, per_frame) for b in range(blocks)] for a in range(blocks)])
                for word in line.split()]
        seen = [k.repeat_interleave(block, 0).repeat_interleave(block, 1) for k in kept]
        z = dit_block(w, f"blocks.{i}.", z, c, lambda u: attend(w, f"blocks.{i}.attn", u, heads, seen))
        kinds = ["dense", "diagonal", "multi-diagonal", "stripe", "skip"]
        taps[f"blocks.{i}.attn.modes"] = torch.tensor([float(kinds.index(v.split(":")[0])) for v in line.split()])
        for h, word in enumerate(line.split()):
            if word not in ("dense", "skip") and word not in line.split()[:h]:
                one = torch.where(kept[h], 1.0, math.nan)
                routes[f"blocks.{i}.attn.route.{h}"] = torch.cat([one, one])
    y = final(w, z, c).reshape(2 * frames, side // p, side // p, -1)
    y = unpatchify(y, p).reshape(2, frames, channels, side, side).transpose(1, 2)
    fixture.save("sparse_vdit", w, {"x": x, "time": t}, {"output": y}, routes,
                 {"architecture": "sparse-vdit", "num_heads": heads, "frames": frames, "image_size": side,
                  "block": block} | {f"heads.{i}": line for i, line in enumerate(words)}, taps)


# Inf-DiT

def inf_dit():
    side, scale, p, q, size, width, hidden, heads, depth, embedding = 24, 2, 2, 2, 8, 16, 24, 2, 2, 6
    cells, small, grid = side // p, side // scale, side // size
    shapes = shell_shapes(width, hidden, depth, p * p * 3) | layer_shapes("image_embedder", width, embedding)
    shapes |= {"x_embedder.proj.weight": (width, 6, p, p), "x_embedder.proj.bias": (width,),
               "lr_embedder.proj.weight": (width, 3, q, q), "lr_embedder.proj.bias": (width,)}
    cross = "blocks.0.cross."
    shapes |= layer_shapes(cross + "q", width, width) | layer_shapes(cross + "kv", 2 * width, width)
    shapes |= layer_shapes(cross + "proj", width, width)
    shapes |= {"blocks.0.cross_norm.weight": (width,), "blocks.0.cross_norm.bias": (width,)}
    w = fixture.draw_all(shapes, 3)
    x, low = fixture.draw((2, 3, side, side), 4), fixture.draw((2, 3, small, small), 5)
    t, image = torch.tensor([640.0, 33.0], dtype=torch.float64), fixture.draw((2, embedding), 6)
    c = silu(time_embedding(w, t) + linear(w, "image_embedder", image))
    large = low.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    z = patchify(w, "x_embedder.proj", torch.cat([x, large], 1)).reshape(2, cells * cells, width)
    lr = patchify(w, "lr_embedder.proj", low)
    at = torch.arange(cells * cells)
    row, column = at // cells, at % cells  # raster order throughout
    own = (row * p // size, column * p // size)
    ones = torch.arange(lr.shape[1] * lr.shape[2])
    theirs = (ones // lr.shape[2] * q * scale // size, ones % lr.shape[2] * q * scale // size)
    down, right = (a[None] - a[:, None] for a in own)
    seen = (down <= 0) & (down >= -1) & (right <= 0) & (right >= -1)
    around = ((theirs[0][None] - own[0][:, None]).abs() <= 1) & ((theirs[1][None] - own[1][:, None]).abs() <= 1)
    d, half = width // heads, width // heads // 2

    def turn(v):
        out = v.clone()
        for start, place in ((0, row), (half, column)):
            for i in range(half // 2):
                angle = place.double() * 10000 ** (-i / (half // 2))
                a, b = v[:, start + i], v[:, start + half // 2 + i]
                out[:, start + i] = a * torch.cos(angle) - b * torch.sin(angle)
                out[:, start + half // 2 + i] = a * torch.sin(angle) + b * torch.cos(angle)
        return out

    def look_around(v):
        u = layer_norm(v) * w["blocks.0.cross_norm.weight"] + w["blocks.0.cross_norm.bias"]
        queries, out = linear(w, cross + "q", u), []
        for n in range(2):
            keys, values = linear(w, cross + "kv", lr[n].reshape(-1, width)).chunk(2, -1)
            out.append(torch.cat([masked(queries[n][:, h * d:h * d + d], keys[:, h * d:h * d + d],
                                         values[:, h * d:h * d + d], around) for h in range(heads)], -1))
        return v + linear(w, cross + "proj", torch.stack(out))

    for i in range(depth):
        z = dit_block(w, f"blocks.{i}.", z, c,
                      lambda u: attend(w, f"blocks.{i}.attn", u, heads, [seen] * heads, turn),
                      look_around if i == 0 else lambda v: v)
    y = unpatchify(final(w, z, c).reshape(2, cells, cells, -1), p)
    number = [(r, k) for r in range(grid) for k in range(grid)]

    def route(rule):
        dense = torch.tensor([[1.0 if rule(b[0] - a[0], b[1] - a[1]) else math.nan for b in number] for a in number])
        return torch.cat([dense, dense])

    behind = route(lambda u, v: -1 <= u <= 0 and -1 <= v <= 0)
    fixture.save("inf_dit", w, {"x": x, "small": low, "time": t, "image": image}, {"output": y},
                 {"route": behind, cross + "route": route(lambda u, v: abs(u) <= 1 and abs(v) <= 1)},
                 {"architecture": "inf-dit", "num_heads": heads, "image_size": side, "scale": scale,
                  "block_size": size}, {"readers": (~behind.isnan()).sum(0).double()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    sparse_vdit()
    inf_dit()
