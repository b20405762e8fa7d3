#!/usr/bin/env python3
"""Transformers with long skips: Skip-DiT with Skip-Cache, the same with attention routed between regions, U-ViT.

    python3 tools/reference/long_skips.py        writes skip_dit, sparse_skip_dit, u_vit, u_vit_text

Skip-DiT: arXiv 2411.17616 and what the authors' class-to-image code does; the shell is that of networks.py. The routed
attention is that of tools/train/sparse.py, written here one region and one head at a time. U-ViT: arXiv 2209.12152.
"""
import math

import torch

import fixture
from networks import Network, layer_norm, position_table, shapes, time_features

SIDE, PATCH, WIDTH, HEADS, ROWS, DEPTH, HIDDEN = 8, 2, 16, 2, 5, 4, 32


def energy(skip, x):
    return skip.flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)


class SkipDit(Network):
    """Block i of the second half starts from the fusion of x and what block L - 1 - i gave. `cached` (None: a whole
    evaluation) stands in for everything up to the fusion of block L - branch; `cache` is what it will be next time."""
    cached, branch = None, 1

    def fused(self, k, x, skip):
        both = layer_norm(torch.cat([x, skip], -1))
        both = both * self.w[f"skip_norms.{k}.weight"] + self.w[f"skip_norms.{k}.bias"]
        return self.linear(f"skip_linears.{k}.linear", both)

    def run_blocks(self, z, c, null, t):
        half, self.energies, outputs = self.depth // 2, {}, {}
        for i in range(self.depth):
            if i == self.depth - self.branch:
                z = self.cache = z if self.cached is None else self.cached
            elif self.cached is not None and self.branch <= i < self.depth - self.branch:
                continue
            if i >= half:
                skip = outputs[self.depth - 1 - i]
                self.energies[i] = energy(skip, z)
                z = self.fused(i - half, z, skip)
            z = outputs[i] = self.block(i, z, c, null)
        return z


class SparseSkipDit(SkipDit):
    region, picked = 2, 2

    def attend(self, name, u):
        grid = math.isqrt(u.shape[1])
        joint, width = self.linear(name + ".qkv", u), u.shape[-1]
        d, across = width // self.heads, grid // self.region
        members = [[(y * self.region + a) * grid + x * self.region + b for a in range(self.region)
                    for b in range(self.region)] for y in range(across) for x in range(across)]
        out = torch.empty_like(u)
        gates = torch.full((len(u), len(members), len(members)), math.nan, dtype=u.dtype)
        for n in range(len(u)):
            q, k, v = joint[n].split(width, -1)
            means = [(q[m].mean(0), k[m].mean(0)) for m in members]
            for r, own in enumerate(members):
                scores = torch.stack([means[r][0] @ key for _, key in means])
                chosen = self.choose(scores, self.picked)
                gates[n, r, chosen] = scores[chosen]
                seen = [token for j in chosen for token in members[j]]
                for h in range(self.heads):
                    part = slice(h * d, h * d + d)
                    weight = torch.softmax(q[own][:, part] @ k[seen][:, part].T / math.sqrt(d), -1)
                    out[n, own, part] = weight @ v[seen][:, part]
        self.routes[int(name.split(".")[1])] = gates.flatten(0, 1)
        return self.linear(name + ".proj", out)


class UVit:
    """One sample at a time; w: the weights."""

    def __init__(self, w, patch, heads, latent):
        self.w, self.patch, self.heads, self.latent = w, patch, heads, latent

    def linear(self, name, x):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def norm(self, name, x):
        return layer_norm(x, 1e-5) * self.w[name + ".weight"] + self.w[name + ".bias"]

    def block(self, name, x, skip=None):
        if skip is not None:
            self.energies[name].append(skip.norm() / x.norm())
            x = self.linear(name + ".skip_linear", torch.cat([x, skip], -1))
        width, out = x.shape[-1], []
        joint, d = self.linear(name + ".attn.qkv", self.norm(name + ".norm1", x)), x.shape[-1] // self.heads
        for h in range(self.heads):
            q, k, v = (joint[:, j * width + h * d:j * width + h * d + d] for j in range(3))
            out.append(torch.softmax(q @ k.T * d ** -0.5, -1) @ v)
        x = x + self.linear(name + ".attn.proj", torch.cat(out, -1))
        u = self.linear(name + ".mlp.fc1", self.norm(name + ".norm2", x))
        return x + self.linear(name + ".mlp.fc2", 0.5 * u * (1 + torch.erf(u / math.sqrt(2))))

    def sample(self, x, t, label, context):
        """x (C,S,S); label an id or None; context (tokens, width) or None."""
        w, p, side, channels = self.w, self.patch, x.shape[1], x.shape[0]
        width = w["pos_embed"].shape[2]
        patches = [torch.einsum("cab,dcab->d", x[:, r:r + p, c:c + p], w["patch_embed.proj.weight"])
                   + w["patch_embed.proj.bias"] for r in range(0, side, p) for c in range(0, side, p)]
        time = time_features(t[None] + (1 if self.latent else 0), width)[0]
        if "time_embed.0.weight" in w:
            h = self.linear("time_embed.0", time)
            time = self.linear("time_embed.2", h / (1 + torch.exp(-h)))
        tokens = [time]
        if context is not None:
            tokens += list(self.linear("context_embed", context))
        if label is not None:
            tokens = [w["label_emb.weight"][label]] + tokens
        z = torch.stack(tokens + patches) + w["pos_embed"][0]
        half, pushed = len({k.split(".")[1] for k in w if k.startswith("in_blocks.")}), []
        for i in range(half):
            pushed.append(z := self.block(f"in_blocks.{i}", z))
        z = self.block("mid_block", z)
        for i in range(half):
            z = self.block(f"out_blocks.{i}", z, pushed.pop())
        z = self.linear("decoder_pred", self.norm("norm", z))[len(tokens):]
        y = torch.empty_like(x)
        for i, token in enumerate(z):
            r, c = divmod(i, side // p)
            y[:, r * p:r * p + p, c * p:c * p + p] = token.reshape(p, p, channels).permute(2, 0, 1)
        if "final_layer.weight" in w:
            y = torch.nn.functional.conv2d(y[None], w["final_layer.weight"], w["final_layer.bias"], padding=1)[0]
        return y

    def __call__(self, x, t, label=None, context=None):
        half = len({k.split(".")[1] for k in self.w if k.startswith("out_blocks.")})
        self.energies = {f"out_blocks.{i}": [] for i in range(half)}
        return torch.stack([self.sample(x[n], t[n], None if label is None else label[n],
                                        None if context is None else context[n]) for n in range(len(x))])


def write_u_vit(name, channels, times, metadata, latent, context=0, time_layers=False, last=True):
    width, hidden, half, before = 16, 48, 2 if not context else 1, 1 + (context or 1)
    layout = {"pos_embed": (1, before + 16, width), "patch_embed.proj.weight": (width, channels, 2, 2),
              "patch_embed.proj.bias": (width,), "norm.weight": (width,), "norm.bias": (width,),
              "decoder_pred.weight": (4 * channels, width), "decoder_pred.bias": (4 * channels,)}
    layout |= {"context_embed.weight": (width, 12), "context_embed.bias": (width,)} if context else \
        {"label_emb.weight": (ROWS, width)}
    if time_layers:
        layout |= {"time_embed.0.weight": (4 * width, width), "time_embed.0.bias": (4 * width,),
                   "time_embed.2.weight": (width, 4 * width), "time_embed.2.bias": (width,)}
    if last:
        layout |= {"final_layer.weight": (channels, channels, 3, 3), "final_layer.bias": (channels,)}
    for block in [f"in_blocks.{i}" for i in range(half)] + ["mid_block"] + [f"out_blocks.{i}" for i in range(half)]:
        layout |= {f"{block}.{k}": v for k, v in {
            "norm1.weight": (width,), "norm1.bias": (width,), "attn.qkv.weight": (3 * width, width),
            "attn.proj.weight": (width, width), "attn.proj.bias": (width,), "norm2.weight": (width,),
            "norm2.bias": (width,), "mlp.fc1.weight": (hidden, width), "mlp.fc1.bias": (hidden,),
            "mlp.fc2.weight": (width, hidden), "mlp.fc2.bias": (width,)}.items()}
        if block.startswith("out"):
            layout |= {f"{block}.skip_linear.weight": (width, 2 * width), f"{block}.skip_linear.bias": (width,)}
    weights = fixture.draw_all(layout, 11)
    weights["pos_embed"] = fixture.draw(layout["pos_embed"], 12, 0.5)
    inputs = {"x": fixture.draw((2, channels, SIDE, SIDE), 7), "time": torch.tensor(times).double()}
    inputs |= {"label": torch.tensor([1, ROWS - 1])}
    if context:
        inputs |= {"context": fixture.draw((2, context, 12), 9)}
    net = UVit(weights, 2, HEADS, latent)
    output = net(inputs["x"], inputs["time"], None if context else inputs["label"].tolist(), inputs.get("context"))
    taps = {f"{k}.skip_energy": torch.stack(e) for k, e in net.energies.items()}
    fixture.save(name, weights, inputs, {"output": output}, {}, {"architecture": "u-vit", "num_heads": HEADS} | metadata,
                 taps)


def write_skip_dit(name, network, architecture, channels, times, metadata, margin):
    layout = shapes(architecture="dit", depth=DEPTH, width=WIDTH, hidden=HIDDEN, channels=channels,
                    channels_out=8 if channels == 4 else channels, patch=PATCH, rows=ROWS, grid=SIDE // PATCH)
    for k in range(DEPTH // 2):
        layout |= {f"skip_norms.{k}.weight": (2 * WIDTH,), f"skip_norms.{k}.bias": (2 * WIDTH,),
                   f"skip_linears.{k}.linear.weight": (WIDTH, 2 * WIDTH), f"skip_linears.{k}.linear.bias": (WIDTH,)}
    inputs = {"x": fixture.draw((2, channels, SIDE, SIDE), 7), "time": torch.tensor(times).double(),
              "label": torch.tensor([1, ROWS - 1])}
    later_x, later_time = fixture.draw((2, channels, SIDE, SIDE), 8), torch.tensor(times).double() * 0.75

    def attempt(seed):
        weights = fixture.draw_all(layout, seed)
        weights["pos_embed"] = position_table(SIDE // PATCH, WIDTH).float().double()
        weights["y_embedder.embedding_table.weight"] = fixture.draw((ROWS, WIDTH), seed + 1, 0.5)
        net = network(weights, "dit", PATCH, HEADS)
        output = net(inputs["x"], inputs["time"], inputs["label"].tolist())
        then = network(weights, "dit", PATCH, HEADS)
        then.cached = net.cache
        cached = then(later_x, later_time, inputs["label"].tolist())
        return min(net.margin, then.margin), (weights, net, output, then, cached)

    weights, net, output, then, cached = fixture.clear_seed(attempt, margin)
    value, rest = fixture.split(cached)
    extra = {"cached.x": later_x, "cached.time": later_time, "cached.output": value, "cached.output_rest": rest}
    taps = {f"blocks.{i}.skip_energy": e for i, e in net.energies.items()} | {"cache.x": net.by_region(net.cache)}
    taps |= {f"blocks.{i}.executed": torch.ones(1) for i in range(DEPTH)}
    routes = {f"blocks.{i}.route": gates for i, gates in net.routes.items()}
    fixture.save(name, weights | extra, inputs, {"output": output}, routes,
                 {"architecture": architecture, "num_heads": HEADS, "skip-cache.interval": 2, "skip-cache.branch": 1}
                 | metadata, taps)


def by_region(self, x):
    """The product keeps the tokens of the routed network in the order of the regions."""
    if not isinstance(self, SparseSkipDit):
        return x
    grid, r = math.isqrt(x.shape[1]), self.region
    order = [(y * r + a) * grid + c * r + b for y in range(grid // r) for c in range(grid // r)
             for a in range(r) for b in range(r)]
    return x[:, order]


SkipDit.by_region = by_region


def main():
    torch.set_num_threads(1)
    write_skip_dit("skip_dit", SkipDit, "skip-dit", 4, [997.0, 40.0], {}, 0.0)
    write_skip_dit("sparse_skip_dit", SparseSkipDit, "sparse-skip-dit", 3, [1000.0, 250.0],
                   {"objective": "flow", "time_scale": 1000, "space": "pixel", "region_size": 2, "regions_picked": 2},
                   0.01)
    write_u_vit("u_vit", 4, [999.0, 40.0], {}, True)
    write_u_vit("u_vit_text", 3, [500.0, 3.0], {"context_tokens": 5, "space": "pixel"}, False, context=5,
                time_layers=True, last=False)


if __name__ == "__main__":
    main()
