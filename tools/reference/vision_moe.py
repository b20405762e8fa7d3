#!/usr/bin/env python3
"""V-MoE and Expert Choice: a vision transformer with mixtures of limited room, from arXiv 2106.05974, 2202.09368 and the
behaviour of the authors' code; one token at a time where places are given away.

    python3 tools/reference/vision_moe.py        writes v_moe, v_moe_priority, expert_choice
"""
import math

import torch

import fixture

SIDE, PATCH, CHANNELS, WIDTH, HEADS, HIDDEN, EXPERTS, DEPTH, CLASSES = 8, 2, 3, 16, 2, 24, 4, 2, 5
D = WIDTH // HEADS


def layout(class_token):
    tokens = (SIDE // PATCH) ** 2 + class_token
    out = {"embedding/kernel": (PATCH, PATCH, CHANNELS, WIDTH), "embedding/bias": (WIDTH,),
           "Encoder/posembed_input/pos_embedding": (1, tokens, WIDTH),
           "Encoder/encoder_norm/scale": (WIDTH,), "Encoder/encoder_norm/bias": (WIDTH,),
           "head/kernel": (WIDTH, CLASSES), "head/bias": (CLASSES,)}
    if class_token:
        out["cls"] = (1, 1, WIDTH)
    for i in range(DEPTH):
        b = f"Encoder/encoderblock_{i}/"
        for n in range(2):
            out |= {f"{b}LayerNorm_{n}/scale": (WIDTH,), f"{b}LayerNorm_{n}/bias": (WIDTH,)}
        for part in ("query", "key", "value"):
            out |= {f"{b}SelfAttention/{part}/kernel": (WIDTH, HEADS, D), f"{b}SelfAttention/{part}/bias": (HEADS, D)}
        out |= {f"{b}SelfAttention/out/kernel": (HEADS, D, WIDTH), f"{b}SelfAttention/out/bias": (WIDTH,)}
        e, where = ((EXPERTS,), "Moe/Mlp") if i % 2 else ((), "Mlp")
        out |= {f"{b}{where}/Dense_0/kernel": (*e, WIDTH, HIDDEN), f"{b}{where}/Dense_0/bias": (*e, HIDDEN),
                f"{b}{where}/Dense_1/kernel": (*e, HIDDEN, WIDTH), f"{b}{where}/Dense_1/bias": (*e, WIDTH)}
        if i % 2:
            out[b + "Moe/Router/dense/kernel"] = (WIDTH, EXPERTS)
    return out


def weights_of(class_token, seed):
    """Kernels are [in, out]: their size goes by what comes in."""
    out = {}
    for name, shape in layout(class_token).items():
        fan_in = {"kernel": math.prod(shape) // shape[-1]}.get(name.split("/")[-1], 10)
        if "query" in name or "key" in name or "value" in name:
            fan_in = WIDTH if name.endswith("kernel") else 10
        elif "Moe/Mlp" in name and name.endswith("kernel"):
            fan_in = shape[1]
        out[name] = fixture.draw(shape, f"{seed} {name}", fan_in ** -0.5 * (3 if "Router" in name else 1))
        if name.endswith("scale"):
            out[name] += 1
            out[name] = out[name].float().double()
    return out


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


class VisionMoe:
    def __init__(self, w, kind, top_k, factor, group, priority):
        self.w, self.kind, self.top_k, self.factor, self.group, self.priority = w, kind, top_k, factor, group, priority
        self.routes, self.margin, self.dropped = {}, math.inf, 0

    def norm(self, name, x):
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - mean) / (variance + 1e-6).sqrt() * self.w[name + "/scale"] + self.w[name + "/bias"]

    def attend(self, block, x):
        q, k, v = (torch.einsum("ntc,chd->nhtd", x, self.w[f"{block}SelfAttention/{p}/kernel"])
                   + self.w[f"{block}SelfAttention/{p}/bias"][:, None] for p in ("query", "key", "value"))
        y = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(D), -1) @ v
        out = torch.einsum("nhtd,hdc->ntc", y, self.w[block + "SelfAttention/out/kernel"])
        return out + self.w[block + "SelfAttention/out/bias"]

    def choose(self, scores, k):
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        if k < len(scores):
            self.margin = min(self.margin, float(scores[order[k - 1]] - scores[order[k]]))
        return order[:k]

    def room(self):
        k = 1 if self.kind == "expert-choice" else self.top_k
        return 4 * math.ceil(math.ceil(self.group * k * self.factor / EXPERTS) / 4)

    def assign(self, p):
        """p of one group [tokens, experts] -> gates, NaN where a token does not go."""
        gates, room = torch.full_like(p, math.nan), self.room()
        if self.kind == "expert-choice":
            for e in range(EXPERTS):
                for token in self.choose(p[:, e].tolist(), min(room, len(p))):
                    gates[token, e] = p[token, e]
            return gates
        wishes = [self.choose(row.tolist(), self.top_k) for row in p]
        for row, wish in zip(p.tolist(), wishes):
            for a, b in zip(wish, wish[1:]):
                self.margin = min(self.margin, row[a] - row[b])
        order = list(range(len(p)))
        if self.priority:
            largest = p.max(-1).values.tolist()
            order.sort(key=lambda t: -largest[t])
            self.margin = min([self.margin] + [10 * (largest[a] - largest[b]) for a, b in zip(order, order[1:])])
        taken = [0] * EXPERTS
        for rank in range(self.top_k):
            for token in order:
                e = wishes[token][rank]
                taken[e] += 1
                if taken[e] <= room:
                    gates[token, e] = p[token, e]
                else:
                    self.dropped += 1
        return gates

    def mixture(self, i, x):
        b = f"Encoder/encoderblock_{i}/Moe/"
        flat = x.reshape(-1, WIDTH)
        p = torch.softmax(flat @ self.w[b + "Router/dense/kernel"], -1)
        gates = torch.cat([self.assign(part) for part in p.split(self.group)])
        y = torch.zeros_like(flat)
        for e in range(EXPERTS):
            for t in range(len(flat)):
                if not torch.isnan(gates[t, e]):
                    h = gelu(flat[t] @ self.w[b + "Mlp/Dense_0/kernel"][e] + self.w[b + "Mlp/Dense_0/bias"][e])
                    y[t] += gates[t, e] * (h @ self.w[b + "Mlp/Dense_1/kernel"][e] + self.w[b + "Mlp/Dense_1/bias"][e])
        self.routes[i] = gates
        return y.reshape(x.shape)

    def __call__(self, x):
        w, n = self.w, len(x)
        patches = x.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # N, C, rows, columns, p, p
        z = torch.einsum("ncrsab,abcd->nrsd", patches, w["embedding/kernel"]).reshape(n, -1, WIDTH) + w["embedding/bias"]
        if "cls" in w:
            z = torch.cat([w["cls"].expand(n, 1, WIDTH), z], 1)
        z = z + w["Encoder/posembed_input/pos_embedding"]
        for i in range(DEPTH):
            b = f"Encoder/encoderblock_{i}/"
            z = z + self.attend(b, self.norm(b + "LayerNorm_0", z))
            u = self.norm(b + "LayerNorm_1", z)
            if i % 2:
                z = z + self.mixture(i, u)
            else:
                u = gelu(u @ w[b + "Mlp/Dense_0/kernel"] + w[b + "Mlp/Dense_0/bias"])
                z = z + u @ w[b + "Mlp/Dense_1/kernel"] + w[b + "Mlp/Dense_1/bias"]
        z = self.norm("Encoder/encoder_norm", z)
        z = z[:, 0] if "cls" in w else z.mean(1)
        return z @ w["head/kernel"] + w["head/bias"]


def write(name, kind, batch, class_token, factor, top_k=2, group=None, priority=0):
    tokens = (SIDE // PATCH) ** 2 + class_token
    x = fixture.draw((batch, CHANNELS, SIDE, SIDE), name)

    def attempt(seed):
        net = VisionMoe(weights_of(class_token, seed), kind, top_k, factor, group or tokens, priority)
        y = net(x)
        return net.margin if net.dropped or kind == "expert-choice" else 0, (net, y)

    net, y = fixture.clear_seed(attempt, 1e-3)
    told = {"architecture": kind, "top_k": top_k, "capacity_factor": factor, "batch_priority": priority}
    if group:
        told["group_size"] = group
    print(f"{name}: {net.dropped} choices dropped")
    fixture.save(name, net.w, {"x": x}, {"logits": y}, {f"blocks.{i}.route": r for i, r in net.routes.items()}, told,
                 {f"blocks.{i}.experts_per_token": (~torch.isnan(r)).sum(1).double() for i, r in net.routes.items()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    write("v_moe", "v-moe", 2, True, 0.5)
    write("v_moe_priority", "v-moe", 4, False, 0.4, group=32, priority=1)
    write("expert_choice", "expert-choice", 2, True, 1.3, top_k=1)
