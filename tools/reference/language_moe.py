#!/usr/bin/env python3
"""Switch Transformer's encoder, DeepSeekMoE and MegaBlocks' layer, from the papers (arXiv 2101.03961, 2401.06066,
2211.15841) and what the published code does; one token and one expert at a time.

    python3 tools/reference/language_moe.py    writes switch_transformer, deepseekmoe, megablocks, megablocks_one_sided
"""
import math

import torch

import fixture


def rms_norm(x, weight, eps=1e-6):
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight


def silu(x):
    return x / (1 + torch.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


class Routed:
    """Remembers routes, taps and how near the nearest decision was."""

    def __init__(self, w):
        self.w, self.routes, self.taps, self.margin = w, {}, {}, math.inf

    def choose(self, scores, k):
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        if k < len(scores):
            self.margin = min(self.margin, float(scores[order[k - 1]] - scores[order[k]]))
        return order[:k]

    def linear(self, name, x):
        return x @ self.w[name + ".weight"].T


# ---- Switch Transformer ----

class Switch(Routed):
    def __init__(self, w, heads, capacity, max_distance):
        super().__init__(w)
        self.heads, self.capacity, self.max_distance = heads, capacity, max_distance

    def bucket(self, key, query):
        """T5's: half of the buckets for keys after the query; near distances one each, far ones by their logarithm."""
        count = len(self.w["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]) // 2
        first, distance, near = (count if key > query else 0), abs(key - query), count // 2
        if distance < near:
            return first + distance
        return first + min(count - 1, near + int(math.log(distance / near) / math.log(self.max_distance / near) * (count - near)))

    def attend(self, name, x, bias):
        q, k, v = (self.linear(f"{name}.{p}", x).reshape(*x.shape[:2], self.heads, -1).transpose(1, 2) for p in "qkv")
        y = torch.softmax(q @ k.transpose(-1, -2) + bias, -1) @ v
        return self.linear(name + ".o", y.transpose(1, 2).reshape(*x.shape[:2], -1))

    def mixture(self, i, x):
        name = f"encoder.block.{i}.layer.1.mlp"
        p = torch.softmax(self.linear(name + ".router.classifier", x), -1)
        gates, y = torch.full_like(p, math.nan), torch.zeros_like(x)
        dropped = torch.zeros(x.shape[:2], dtype=x.dtype)
        for n in range(len(x)):
            taken = [0] * p.shape[-1]
            for t in range(x.shape[1]):
                e = self.choose(p[n, t], 1)[0]
                taken[e] += 1
                if taken[e] > self.capacity:
                    dropped[n, t] = 1
                    continue
                gates[n, t, e] = p[n, t, e]
                h = torch.relu(self.linear(f"{name}.experts.expert_{e}.wi", x[n, t]))
                y[n, t] = p[n, t, e] * self.linear(f"{name}.experts.expert_{e}.wo", h)
        self.routes[f"blocks.{i}.route"] = gates.reshape(-1, p.shape[-1])
        self.taps[f"blocks.{i}.dropped"] = dropped.reshape(-1)
        return y

    def __call__(self, ids):
        w, length = self.w, ids.shape[1]
        table = w["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        bias = torch.stack([torch.stack([table[self.bucket(k, q)] for k in range(length)]) for q in range(length)])
        bias = bias.permute(2, 0, 1)
        x, i = w["shared.weight"][ids], 0
        while f"encoder.block.{i}.layer.0.layer_norm.weight" in w:
            b = f"encoder.block.{i}.layer."
            x = x + self.attend(b + "0.SelfAttention", rms_norm(x, w[b + "0.layer_norm.weight"]), bias)
            u = rms_norm(x, w[b + "1.layer_norm.weight"])
            if b + "1.mlp.router.classifier.weight" in w:
                x = x + self.mixture(i, u)
            else:
                x = x + self.linear(b + "1.mlp.wo", torch.relu(self.linear(b + "1.mlp.wi", u)))
            i += 1
        return rms_norm(x, w["encoder.final_layer_norm.weight"])


def write_switch(depth=2, width=16, heads=2, inner=12, hidden=20, experts=4, length=24, vocabulary=30, capacity=5):
    shapes = {"shared.weight": (vocabulary, width), "encoder.final_layer_norm.weight": (width,),
              "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (8, heads)}
    for i in range(depth):
        b = f"encoder.block.{i}.layer."
        shapes |= {f"{b}0.SelfAttention.{p}.weight": (inner, width) for p in "qkv"}
        shapes |= {b + "0.SelfAttention.o.weight": (width, inner), b + "0.layer_norm.weight": (width,),
                   b + "1.layer_norm.weight": (width,)}
        if i % 2:
            shapes[b + "1.mlp.router.classifier.weight"] = (experts, width)
        for name in [f"experts.expert_{e}." for e in range(experts)] if i % 2 else [""]:
            shapes |= {f"{b}1.mlp.{name}wi.weight": (hidden, width), f"{b}1.mlp.{name}wo.weight": (width, hidden)}
    ids = torch.randint(0, vocabulary, (2, length), generator=torch.Generator().manual_seed(3))

    def attempt(seed):
        w = fixture.draw_all(shapes, seed)
        w["shared.weight"] = fixture.draw((vocabulary, width), seed + 1)
        net = Switch(w, heads, capacity, 20)
        y = net(ids)
        return net.margin if net.taps["blocks.1.dropped"].sum() > 3 else 0, (net, y)

    net, y = fixture.clear_seed(attempt, 2e-3)
    print(f"switch_transformer: {int(net.taps['blocks.1.dropped'].sum())} of {ids.numel()} tokens dropped")
    fixture.save("switch_transformer", net.w, {"ids": ids}, {"hidden": y}, net.routes,
                 {"architecture": "switch-transformer", "sequence_length": length, "expert_capacity": capacity,
                  "max_distance": 20}, net.taps)


# ---- DeepSeekMoE ----

class DeepSeek(Routed):
    def __init__(self, w, heads, top_k):
        super().__init__(w)
        self.heads, self.top_k = heads, top_k

    def swiglu(self, name, u):
        return self.linear(name + ".down_proj", silu(self.linear(name + ".gate_proj", u)) * self.linear(name + ".up_proj", u))

    def attend(self, name, x):
        """One query at a time; rotary positions as complex numbers made of channels i and i + d/2."""
        n, length, _ = x.shape
        q, k, v = (self.linear(f"{name}.{p}_proj", x).reshape(n, length, self.heads, -1) for p in "qkv")
        d = q.shape[-1]
        frequency = torch.tensor([10000 ** (-2 * i / d) for i in range(d // 2)], dtype=x.dtype)
        turn = torch.polar(torch.ones(length, d // 2, dtype=x.dtype), torch.arange(length)[:, None] * frequency)[:, None]

        def rotate(z):
            z = torch.complex(z[..., :d // 2].contiguous(), z[..., d // 2:].contiguous()) * turn
            return torch.cat([z.real, z.imag], -1)

        q, k, y = rotate(q), rotate(k), torch.zeros_like(v)
        for t in range(length):
            score = torch.einsum("nhd,nshd->nsh", q[:, t], k[:, :t + 1]) / math.sqrt(d)
            y[:, t] = torch.einsum("nsh,nshd->nhd", torch.softmax(score, 1), v[:, :t + 1])
        return self.linear(name + ".o_proj", y.reshape(n, length, -1))

    def mixture(self, i, u):
        name = f"model.layers.{i}.mlp"
        flat = u.reshape(-1, u.shape[-1])
        p = torch.softmax(self.linear(name + ".gate", flat), -1)
        gates, routed = torch.full_like(p, math.nan), torch.zeros_like(flat)
        for t in range(len(flat)):
            for e in self.choose(p[t], self.top_k):
                gates[t, e] = p[t, e]
                routed[t] += p[t, e] * self.swiglu(f"{name}.experts.{e}", flat[t])
        shared = self.swiglu(name + ".shared_experts", flat)
        energy = [x.square().sum(-1, keepdim=True) for x in (shared, routed)]
        self.routes[f"blocks.{i}.route"] = gates
        self.taps |= {f"blocks.{i}.load": (~torch.isnan(gates)).sum(0).double(),
                      f"blocks.{i}.shared_energy": energy[0] / (energy[0] + energy[1])}
        return (routed + shared).reshape(u.shape)

    def __call__(self, ids):
        w, i = self.w, 0
        x = w["model.embed_tokens.weight"][ids]
        while f"model.layers.{i}.input_layernorm.weight" in w:
            b = f"model.layers.{i}."
            x = x + self.attend(b + "self_attn", rms_norm(x, w[b + "input_layernorm.weight"]))
            u = rms_norm(x, w[b + "post_attention_layernorm.weight"])
            x = x + (self.mixture(i, u) if b + "mlp.gate.weight" in w else self.swiglu(b + "mlp", u))
            i += 1
        return rms_norm(x, w["model.norm.weight"]) @ w["lm_head.weight"].T


def write_deepseek(depth=2, width=16, heads=2, hidden=12, dense=24, shared=20, experts=6, top_k=3, length=10, vocabulary=24):
    shapes = {"model.embed_tokens.weight": (vocabulary, width), "model.norm.weight": (width,),
              "lm_head.weight": (vocabulary, width)}
    for i in range(depth):
        b = f"model.layers.{i}."
        shapes |= {f"{b}self_attn.{p}_proj.weight": (width, width) for p in "qkvo"}
        shapes |= {b + "input_layernorm.weight": (width,), b + "post_attention_layernorm.weight": (width,)}
        layers = {"": dense}
        if i:
            shapes[b + "mlp.gate.weight"] = (experts, width)
            layers = {f"experts.{e}.": hidden for e in range(experts)} | {"shared_experts.": shared}
        for name, h in layers.items():
            shapes |= {f"{b}mlp.{name}gate_proj.weight": (h, width), f"{b}mlp.{name}up_proj.weight": (h, width),
                       f"{b}mlp.{name}down_proj.weight": (width, h)}
    ids = torch.randint(0, vocabulary, (2, length), generator=torch.Generator().manual_seed(5))

    def attempt(seed):
        w = fixture.draw_all(shapes, seed)
        w["model.embed_tokens.weight"] = fixture.draw((vocabulary, width), seed + 1)
        net = DeepSeek(w, heads, top_k)
        y = net(ids)
        return net.margin, (net, y)

    net, y = fixture.clear_seed(attempt, 5e-4)
    fixture.save("deepseekmoe", net.w, {"ids": ids}, {"logits": y}, net.routes,
                 {"architecture": "deepseekmoe", "num_heads": heads, "top_k": top_k, "sequence_length": length}, net.taps)


# ---- MegaBlocks ----

class Dropless(Routed):
    def __init__(self, w, top_k, block):
        super().__init__(w)
        self.top_k, self.block = top_k, block

    def __call__(self, x):
        flat, experts = x.reshape(-1, x.shape[-1]), len(self.w["router.layer.weight"])
        w1, w2 = (self.w["experts.mlp." + n].reshape(experts, -1, x.shape[-1]) for n in ("w1", "w2"))
        p = torch.softmax(self.linear("router.layer", flat), -1)
        gates, y = torch.full_like(p, math.nan), self.w["experts.bias"].repeat(len(flat), 1)
        for t in range(len(flat)):
            for e in self.choose(p[t], self.top_k):
                gates[t, e] = p[t, e]
                y[t] += p[t, e] * (gelu(flat[t] @ w1[e].T) @ w2[e])
        load = (~torch.isnan(gates)).sum(0).tolist()
        blocks = [math.ceil(n / self.block) for n in load]
        topology = torch.zeros(len(flat) * self.top_k // self.block + experts, experts)
        row = 0
        for e, n in enumerate(blocks):
            topology[row:row + n, e] = 1
            row += n
        self.routes["blocks.0.route"] = gates
        self.taps = {"blocks.0.load": torch.tensor(load).double(), "blocks.0.topology": topology.double(),
                     "blocks.0.padded": torch.tensor(blocks).double() * self.block,
                     "blocks.0.waste": torch.tensor([1 - sum(load) / (sum(blocks) * self.block)], dtype=torch.float64)}
        return y.reshape(x.shape)


def write_megablocks(name, one_sided, top_k, width=16, hidden=24, experts=5, length=41, block=8):
    shapes = {"router.layer.weight": (experts, width), "experts.mlp.w1": (experts * hidden, width),
              "experts.mlp.w2": (experts * hidden, width), "experts.bias": (width,)}
    x = fixture.draw((2, length, width), 11)
    x[..., 0] = 2  # a channel that the router can use to prefer one expert always

    def attempt(seed):
        w = fixture.draw_all(shapes, seed)
        w["router.layer.weight"][:, 0] = 0
        w["router.layer.weight"][2, 0] = 8 if one_sided else 0
        net = Dropless(w, top_k, block)
        y = net(x)
        return net.margin, (net, y)

    net, y = fixture.clear_seed(attempt, 1e-3)
    print(f"{name}: load {[int(n) for n in net.taps['blocks.0.load']]}")
    fixture.save(name, net.w, {"x": x}, {"y": y}, net.routes,
                 {"architecture": "megablocks", "top_k": top_k, "sequence_length": length, "block_rows": block}, net.taps)


if __name__ == "__main__":
    torch.set_num_threads(1)
    write_switch()
    write_deepseek()
    write_megablocks("megablocks", False, 2)
    write_megablocks("megablocks_one_sided", True, 1)
