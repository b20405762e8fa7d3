"""ProMoE in PyTorch, prompted by words: the network that train.py trains and the C library runs.

What: a DiT (adaLN-Zero) whose odd blocks are mixtures of experts: 12 routed experts picked by the cosine to
learned prototypes, one expert for unconditional samples (the last), and one shared by all. Parameter names
are those of the published ProMoE. Ours differs in three points: it works on pixels (3 channels in and out,
no variance output), and its label is a bag of words, embedded as the mean of the words' rows.
Why: small, readable, and exactly the arithmetic the C side must reproduce.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F


def position_table(side, width):
    """Fixed 2-D sine table (1, side*side, width): first half the column, second half the row; sin first."""
    omega = 10000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    angle = torch.arange(side, dtype=torch.float64)[:, None] * omega
    line = torch.cat([angle.sin(), angle.cos()], 1)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.cat([line[columns.flatten()], line[rows.flatten()]], 1).float()[None]


class TimeEmbedder(nn.Module):
    """Sine features of the time (cos first), then two linear layers."""

    def __init__(self, width, features=256):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        half = features // 2
        self.register_buffer("freqs", torch.exp(-math.log(10000) * torch.arange(half) / half), persistent=False)

    def forward(self, t):
        angle = t[:, None] * self.freqs
        return self.mlp(torch.cat([angle.cos(), angle.sin()], 1))


class WordEmbedder(nn.Module):
    """Mean over the rows of the words. `bag` (N, V+1) holds the weights; all on the last row = no prompt."""

    def __init__(self, words, width):
        super().__init__()
        self.embedding_table = nn.Embedding(words + 1, width)

    def forward(self, bag):
        return bag @ self.embedding_table.weight


class PatchEmbedder(nn.Module):
    """Convolution whose kernel is its stride, written as one matmul."""

    def __init__(self, channels, patch, width):
        super().__init__()
        self.patch, self.proj = patch, nn.Conv2d(channels, width, patch, patch)

    def forward(self, x):
        n, c, h, w = x.shape
        p = self.patch
        x = x.reshape(n, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c * p * p)
        return F.linear(x, self.proj.weight.flatten(1), self.proj.bias)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        # Written out: on a CPU this trains twice as fast as the fused attention (short rows, bf16).
        weight = ((q @ k.transpose(-1, -2)).float() * (d // self.heads) ** -0.5).softmax(-1)
        return self.proj((weight.to(v.dtype) @ v).transpose(1, 2).reshape(n, t, d))


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x, null=None):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Expert(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.up_proj, self.down_proj = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.down_proj(F.gelu(self.up_proj(x), approximate="tanh"))


class Mixture(nn.Module):
    """Routed experts + the unconditional one (last) + the shared one. After a forward, `route` holds
    (expert, gate) of every token and `contrast` the routing contrastive loss (when training)."""

    def __init__(self, width, routed=12):
        super().__init__()
        self.routed = routed
        self.cluster_centers = nn.Parameter(torch.randn(routed, width))
        self.experts = nn.ModuleList(Expert(width, 2 * width) for _ in range(routed + 1))
        self.shared_expert = Expert(width, 2 * width)
        self.route = self.contrast = None

    def forward(self, u, null):
        flat = u.reshape(-1, u.shape[-1])
        none = null.repeat_interleave(u.shape[1])
        score = F.normalize(flat.float(), dim=-1) @ F.normalize(self.cluster_centers, dim=-1).T
        gate, chosen = score.max(1)
        chosen = torch.where(none, self.routed, chosen)
        gate = torch.where(none, 1.0, gate)
        y = self.dispatch(flat, chosen, gate)
        return (y + self.shared_expert(flat)).reshape(u.shape)

    @torch.compiler.disable
    def dispatch(self, flat, chosen, gate):
        """Sort the tokens by expert, run each expert on its own rows, put the rows back."""
        order = chosen.argsort()
        count = torch.bincount(chosen, minlength=self.routed + 1).tolist()
        parts = flat[order].split(count)
        out = torch.cat([e(p) for e, p in zip(self.experts, parts) if len(p)])
        self.route = (chosen, gate)
        if self.training:
            self.seen = flat.detach()
            self.contrast = self.routing_contrast(parts[:self.routed], flat, order)
        return torch.empty_like(out).index_copy(0, order, out * gate[order, None])

    def routing_contrast(self, parts, flat, order, temperature=0.07):
        """Each prototype must be nearest to the mean of its own tokens (cross-entropy of cosines)."""
        used = [j for j, p in enumerate(parts) if len(p)]
        if not used:
            return flat.new_zeros(())
        mean = torch.stack([parts[j].float().mean(0) for j in used])
        cosine = F.normalize(self.cluster_centers[used], dim=-1) @ F.normalize(mean, dim=-1).T
        return F.cross_entropy(cosine / temperature, torch.arange(len(used), device=cosine.device))


def modulate(x, shift, scale):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class Block(nn.Module):
    def __init__(self, width, heads, mixture):
        super().__init__()
        self.attn = Attention(width, heads)
        self.mlp = Mixture(width) if mixture else Mlp(width, 4 * width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x, c, null):
        m = self.adaLN_modulation(c)[:, None].chunk(6, -1)
        x = x + m[2] * self.attn(modulate(x, m[0], m[1]))
        return x + m[5] * self.mlp(modulate(x, m[3], m[4]), null)


class FinalLayer(nn.Module):
    def __init__(self, width, values):
        super().__init__()
        self.linear = nn.Linear(width, values)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x, c):
        shift, scale = self.adaLN_modulation(c)[:, None].chunk(2, -1)
        return self.linear(modulate(x, shift, scale))


class ProMoE(nn.Module):
    """forward(x, sigma, bag): x (N,3,S,S), sigma (N) in 0..1, bag (N,V+1) -> velocity (N,3,S,S)."""

    def __init__(self, words, size=32, patch=4, width=128, depth=8, heads=4, channels=3):
        super().__init__()
        self.config = dict(words=words, size=size, patch=patch, width=width, depth=depth, heads=heads)
        self.size, self.patch, self.channels = size, patch, channels
        self.pos_embed = nn.Parameter(position_table(size // patch, width), requires_grad=False)
        self.x_embedder = PatchEmbedder(channels, patch, width)
        self.t_embedder = TimeEmbedder(width)
        self.y_embedder = WordEmbedder(words, width)
        self.blocks = nn.ModuleList(Block(width, heads, mixture=i % 2 == 1) for i in range(depth))
        self.final_layer = FinalLayer(width, patch * patch * channels)
        self.reset()

    def reset(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.x_embedder.proj.weight.flatten(1))
        nn.init.normal_(self.y_embedder.embedding_table.weight, std=0.5)
        for layer in (self.t_embedder.mlp[0], self.t_embedder.mlp[2]):
            nn.init.normal_(layer.weight, std=0.02)
        for module in [*(b.adaLN_modulation[1] for b in self.blocks), self.final_layer.adaLN_modulation[1],
                       self.final_layer.linear]:
            nn.init.zeros_(module.weight)

    @staticmethod
    def numbers_of(weights, told):
        """The configuration of a file."""
        blocks = 1 + max(int(k.split(".")[1]) for k in weights if k.startswith("blocks."))
        return dict(patch=int(told["patch_size"]), width=weights["pos_embed"].shape[2], depth=blocks,
                    heads=int(told["num_heads"]))

    def told(self):
        """What the shapes in a file do not say, for its metadata."""
        return dict(architecture="promoe", patch_size=self.config["patch"], num_heads=self.config["heads"], top_k=1)

    def card(self):
        return f"ProMoE, {self.config['depth']} blocks of width {self.config['width']}, 12+1+1 experts"

    def routers(self):
        """(module whose `route` holds target ids after a forward, how many targets) of every layer that routes."""
        return [(m, m.routed + 1) for m in self.mixtures()]

    def mixtures(self):
        return [b.mlp for b in self.blocks if isinstance(b.mlp, Mixture)]

    def forward(self, x, sigma, bag):
        null = bag[:, -1] > 0
        h = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(1000 * sigma) + self.y_embedder(bag)
        for block in self.blocks:
            h = block(h, c, null)
        with torch.autocast("cpu", enabled=False):
            out = self.final_layer(h.float(), c.float())
        n, p, g = len(x), self.patch, self.size // self.patch
        out = out.reshape(n, g, g, p, p, self.channels).permute(0, 5, 1, 3, 2, 4)
        return out.reshape(n, self.channels, self.size, self.size)


def bag_of(words, vocabulary):
    """The (V+1) weights of a list of words; none of them known = the null row alone."""
    bag = torch.zeros(len(vocabulary) + 1)
    known = [vocabulary.index(w) for w in words if w in vocabulary]
    for k in known or [len(vocabulary)]:
        bag[k] += 1 / max(1, len(known))
    return bag


@torch.no_grad()
def sample(model, bags, steps=32, guidance=2.0, seed=0, noise=None):
    """Euler from sigma 1 to 0 with classifier-free guidance on all channels; returns (N,3,S,S)."""
    model.eval()
    if noise is None:
        noise = torch.randn(len(bags), model.channels, model.size, model.size,
                            generator=torch.Generator().manual_seed(seed))
    x, nulls = noise, torch.zeros_like(bags)
    nulls[:, -1] = 1
    for k in range(steps):
        now, then = 1 - k / steps, 1 - (k + 1) / steps
        sigma = torch.full((len(bags),), now)
        v = model(x, sigma, bags)
        if guidance > 1:
            free = model(x, sigma, nulls)
            v = free + guidance * (v - free)
        x = x + (then - now) * v
    return x
