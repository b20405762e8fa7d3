"""The networks of graph/zoo once more, in plain PyTorch: the independent answer that tests hold the C library against.

What: DiT, DiT-MoE, ProMoE and its expert-choice variant as functions of a dict of weights under the authors' names,
in whatever precision the weights have (the fixtures use f64). Written from the papers and the published code's
behaviour, one sample and one expert at a time where that is the plainest way to say it; nothing here is fast.
Why not share code with tools/train: that is our own model; a mistake in it must not be able to confirm itself here.

Every forward returns (output, routes): routes[i] is the (tokens, experts) matrix of gates of block i with NaN
where a token does not go, and `margin` the least distance between a chosen and a rejected score.
"""
import math

import torch


def layer_norm(x, eps=1e-6):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def silu(x):
    return x / (1 + torch.exp(-x))


def time_features(t, count=256):
    """(N) -> (N, count): cosines of t at falling frequencies, then the sines."""
    half = count // 2
    f = torch.tensor([math.exp(-math.log(10000) * i / half) for i in range(half)], dtype=t.dtype)
    angle = t[:, None] * f
    return torch.cat([torch.cos(angle), torch.sin(angle)], 1)


def position(column, row, width):
    """One token's position vector: the column in the first half, the row in the second; sines before cosines."""
    quarter = width // 4
    omega = [10000 ** (-i / quarter) for i in range(quarter)]
    return torch.tensor([f(u * w) for u in (column, row) for f in (math.sin, math.cos) for w in omega],
                        dtype=torch.float64)


def position_table(grid, width):
    return torch.stack([position(n % grid, n // grid, width) for n in range(grid * grid)])[None]


class Network:
    """w: the weights. Config: patch, heads, architecture, top_k; everything else is in the shapes."""

    def __init__(self, w, architecture, patch, heads, top_k=1, qk_eps=1e-6):
        self.w, self.architecture, self.patch, self.heads = w, architecture, patch, heads
        self.top_k, self.qk_eps = top_k, qk_eps
        self.depth = 1 + max(int(k.split(".")[1]) for k in w if k.startswith("blocks."))
        self.null = len(w["y_embedder.embedding_table.weight"]) - 1
        self.routes, self.margin = {}, math.inf

    def linear(self, name, x):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    # The shell: adaLN-Zero, arXiv 2212.09748

    def patches(self, x):
        """A convolution with stride = kernel, patch by patch, row-major."""
        kernel, p = self.w["x_embedder.proj.weight"], self.patch
        tokens = [torch.einsum("ncab,dcab->nd", x[:, :, r:r + p, c:c + p], kernel)
                  for r in range(0, x.shape[2], p) for c in range(0, x.shape[3], p)]
        return torch.stack(tokens, 1) + self.w["x_embedder.proj.bias"]

    def picture(self, tokens, side):
        p, n = self.patch, len(tokens)
        channels = tokens.shape[-1] // (p * p)
        x = torch.empty(n, channels, side, side, dtype=tokens.dtype)
        for i in range(tokens.shape[1]):
            r, c = divmod(i, side // p)
            for a in range(p):
                for b in range(p):
                    k = (a * p + b) * channels
                    x[:, :, r * p + a, c * p + b] = tokens[:, i, k:k + channels]
        return x

    def attend(self, name, u):
        """Joint q, k, v projection; one head of one sample at a time."""
        fused = name + ".Wqkv.weight" in self.w
        joint = self.linear(name + (".Wqkv" if fused else ".qkv"), u)
        width = u.shape[-1]
        d = width // self.heads
        out = torch.empty_like(u)
        for n in range(len(u)):
            for h in range(self.heads):
                q, k, v = (joint[n, :, j * width + h * d:j * width + (h + 1) * d] for j in range(3))
                if name + ".q_norm.weight" in self.w:
                    q = layer_norm(q, self.qk_eps) * self.w[name + ".q_norm.weight"] + self.w[name + ".q_norm.bias"]
                    k = layer_norm(k, self.qk_eps) * self.w[name + ".k_norm.weight"] + self.w[name + ".k_norm.bias"]
                weight = torch.softmax(q @ k.T / math.sqrt(d), -1)
                out[n, :, h * d:(h + 1) * d] = weight @ v
        return self.linear(name + (".out_proj" if fused else ".proj"), out)

    def __call__(self, x, t, label):
        """x (N,C,S,S), t (N) as the network is fed it, label: N class ids, or N lists of word ids."""
        table = self.w["y_embedder.embedding_table.weight"]
        words = [list(y) if isinstance(y, (list, tuple)) else [int(y)] for y in label]
        null = [y[0] == self.null for y in words]
        embedded = torch.stack([table[y].mean(0) for y in words])
        h = silu(self.linear("t_embedder.mlp.0", time_features(t)))
        c = silu(self.linear("t_embedder.mlp.2", h) + embedded)
        z = self.patches(x)
        table = self.w.get("pos_embed")
        z = z + (table if table is not None else position_table(x.shape[2] // self.patch, z.shape[-1]))
        z = self.run_blocks(z, c, null, t)
        shift, scale = self.linear("final_layer.adaLN_modulation.1", c)[:, None].chunk(2, -1)
        z = self.linear("final_layer.linear", layer_norm(z) * (1 + scale) + shift)
        return self.picture(z, x.shape[2])

    def run_blocks(self, z, c, null, t):
        for i in range(self.depth):
            z = self.block(i, z, c, null)
        return z

    def block(self, i, z, c, null):
        m = self.linear(f"blocks.{i}.adaLN_modulation.1", c)[:, None].chunk(6, -1)
        z = z + m[2] * self.attend(f"blocks.{i}.attn", layer_norm(z) * (1 + m[1]) + m[0])
        return z + m[5] * self.feed_forward(i, layer_norm(z) * (1 + m[4]) + m[3], null)

    # Feed-forwards

    def feed_forward(self, i, u, null):
        if f"blocks.{i}.mlp.fc1.weight" in self.w:
            return self.linear(f"blocks.{i}.mlp.fc2", gelu(self.linear(f"blocks.{i}.mlp.fc1", u)))
        n, tokens, width = u.shape
        flat = u.reshape(n * tokens, width)
        if self.architecture == "dit-moe":
            gates = self.likeliest(f"blocks.{i}.moe.gate", flat)
            expert, shared = f"blocks.{i}.moe.experts.{{}}", f"blocks.{i}.moe.shared_experts"
        else:
            gates = self.prototypes(f"blocks.{i}.mlp.cluster_centers", u, null)
            expert, shared = f"blocks.{i}.mlp.experts.{{}}", f"blocks.{i}.mlp.shared_expert"
        self.routes[i] = gates
        y = torch.zeros_like(flat)
        for e in range(gates.shape[1]):
            for token in range(len(flat)):
                if not torch.isnan(gates[token, e]):
                    y[token] += gates[token, e] * self.expert(expert.format(e), flat[token])
        return (y + self.expert(shared, flat)).reshape(u.shape)

    def expert(self, name, u):
        if name + ".gate_proj.weight" in self.w:  # SwiGLU
            gate = silu(self.linear(name + ".gate_proj", u))
            return self.linear(name + ".down_proj", gate * self.linear(name + ".up_proj", u))
        return self.linear(name + ".down_proj", gelu(self.linear(name + ".up_proj", u)))

    def choose(self, scores, k):
        """Indices of the k largest of a vector; remembers how clear the decision was."""
        ranked = sorted(range(len(scores)), key=lambda j: -scores[j])
        if k < len(scores):
            self.margin = min(self.margin, float(scores[ranked[k - 1]] - scores[ranked[k]]))
        return ranked[:k]

    def likeliest(self, name, flat):
        """DiT-MoE: probabilities over all experts, the top_k largest kept as they are."""
        logits = self.linear(name, flat)
        p = torch.softmax(logits, -1)
        gates = torch.full_like(p, math.nan)
        for token in range(len(flat)):
            for e in self.choose(logits[token], self.top_k):
                gates[token, e] = p[token, e]
        return gates

    def prototypes(self, name, u, null):
        """ProMoE: cosines to the prototypes; the last expert for unconditional samples."""
        centre = self.w[name]
        n, tokens, _ = u.shape
        routed = len(centre)
        cosine = (u / u.norm(dim=-1, keepdim=True).clamp_min(1e-12)) @ (centre / centre.norm(dim=-1, keepdim=True)).T
        gates = torch.full((n, tokens, routed + 1), math.nan, dtype=u.dtype)
        for s in range(n):
            if null[s]:
                gates[s, :, routed] = 1
            elif self.architecture == "promoe":
                for token in range(tokens):
                    for e in self.choose(cosine[s, token], self.top_k):
                        gates[s, token, e] = cosine[s, token, e]
            else:  # each expert takes its own best tokens
                k = max(1, min(tokens, int(tokens / routed * self.top_k)))
                for e in range(routed):
                    for token in self.choose(cosine[s, :, e], k):
                        gates[s, token, e] = cosine[s, token, e]
        return gates.reshape(n * tokens, routed + 1)


def shapes(architecture, depth, width, hidden, channels, channels_out, patch, rows, grid, experts=0, expert_hidden=0,
           shared_hidden=0, fused=False, qk_norm=False, head_width=0, pos_embed=True):
    """Names and shapes of the published files at any size."""
    d = width
    out = {"pos_embed": (1, grid * grid, d)} if pos_embed else {}
    out |= {"x_embedder.proj.weight": (d, channels, patch, patch), "x_embedder.proj.bias": (d,),
            "t_embedder.mlp.0.weight": (d, 256), "t_embedder.mlp.0.bias": (d,),
            "t_embedder.mlp.2.weight": (d, d), "t_embedder.mlp.2.bias": (d,),
            "y_embedder.embedding_table.weight": (rows, d),
            "final_layer.adaLN_modulation.1.weight": (2 * d, d), "final_layer.adaLN_modulation.1.bias": (2 * d,),
            "final_layer.linear.weight": (patch * patch * channels_out, d),
            "final_layer.linear.bias": (patch * patch * channels_out,)}
    for i in range(depth):
        b = f"blocks.{i}."
        qkv, proj = ("Wqkv", "out_proj") if fused else ("qkv", "proj")
        out |= {b + "adaLN_modulation.1.weight": (6 * d, d), b + "adaLN_modulation.1.bias": (6 * d,),
                b + f"attn.{qkv}.weight": (3 * d, d), b + f"attn.{qkv}.bias": (3 * d,),
                b + f"attn.{proj}.weight": (d, d), b + f"attn.{proj}.bias": (d,)}
        if qk_norm:
            out |= {b + f"attn.{n}_norm.{p}": (head_width,) for n in "qk" for p in ("weight", "bias")}
        if architecture == "dit-moe":
            out[b + "moe.gate.weight"] = (experts, d)
            routed = [(f"experts.{e}", expert_hidden) for e in range(experts)]
            for name, h in routed + [("shared_experts", shared_hidden)]:
                out |= {b + f"moe.{name}.gate_proj.weight": (h, d), b + f"moe.{name}.up_proj.weight": (h, d),
                        b + f"moe.{name}.down_proj.weight": (d, h)}
        elif architecture.startswith("promoe") and i % 2 == 1:
            out[b + "mlp.cluster_centers"] = (experts, d)
            routed = [(f"experts.{e}", expert_hidden) for e in range(experts + 1)]
            for name, h in routed + [("shared_expert", shared_hidden)]:
                out |= {b + f"mlp.{name}.up_proj.weight": (h, d), b + f"mlp.{name}.up_proj.bias": (h,),
                        b + f"mlp.{name}.down_proj.weight": (d, h), b + f"mlp.{name}.down_proj.bias": (d,)}
        else:
            out |= {b + "mlp.fc1.weight": (hidden, d), b + "mlp.fc1.bias": (hidden,),
                    b + "mlp.fc2.weight": (d, hidden), b + "mlp.fc2.bias": (d,)}
    return out
