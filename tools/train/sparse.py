"""A diffusion transformer with long skips whose attention runs through routes: the network of emoji-sparse.

What: DiT blocks (adaLN-Zero); the second half of them starts from Linear(LayerNorm([x ; output of the mirrored
block])), as Skip-DiT does; attention is BiFormer's: tokens lie in regions of `region` x `region`, the mean query of a
region scores the mean keys of all regions, and its tokens attend to the tokens of the `picked` best regions and to
nothing else. The picks are hard and shared by the heads. Names are those of DiT and Skip-DiT; attention scales by the
head's width (BiFormer: by the whole width) and has no depth-wise convolution beside it.
Why: a default model where sparsity lives in attention, not in experts. Attention is written here as a masked dense one:
for 64 tokens that is the quickest way to the same values on a CPU; the product reads only the routed blocks.
"""
import torch
from torch import nn
from torch.nn import functional as F

from promoe import FinalLayer, Mlp, PatchEmbedder, TimeEmbedder, WordEmbedder, modulate, position_table


class RoutedAttention(nn.Module):
    """After a forward, `route` (N, regions, picked) holds the key regions of every query region."""

    def __init__(self, width, heads, side, region, picked):
        super().__init__()
        self.heads, self.picked, self.regions = heads, picked, (side // region) ** 2
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        place = torch.arange(side) // region
        self.register_buffer("region_of", (place[:, None] * (side // region) + place).flatten(), persistent=False)
        self.register_buffer("means", F.one_hot(self.region_of, self.regions).T.float() / region ** 2,
                             persistent=False)
        self.route = None

    def forward(self, x):
        n, t, d = x.shape
        qkv = self.qkv(x)
        q, k, v = qkv.reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            mean = self.means @ qkv[..., :2 * d].float()
            self.route = (mean[..., :d] @ mean[..., d:].transpose(1, 2)).topk(self.picked, -1)[1]
            open_ = torch.zeros(n, self.regions, self.regions, device=x.device).scatter_(2, self.route, 1.0)
            open_ = open_[:, self.region_of][:, :, self.region_of][:, None]
        score = (q @ k.transpose(-1, -2)).float() * (d // self.heads) ** -0.5
        weight = score.masked_fill(open_ == 0, -torch.inf).softmax(-1)
        return self.proj((weight.to(v.dtype) @ v).transpose(1, 2).reshape(n, t, d))


class Block(nn.Module):
    def __init__(self, width, heads, side, region, picked):
        super().__init__()
        self.attn = RoutedAttention(width, heads, side, region, picked)
        self.mlp = Mlp(width, 4 * width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x, c):
        m = self.adaLN_modulation(c)[:, None].chunk(6, -1)
        x = x + m[2] * self.attn(modulate(x, m[0], m[1]))
        return x + m[5] * self.mlp(modulate(x, m[3], m[4]))


class Fusion(nn.Module):
    """Skip-DiT's name for the linear layer that takes [x ; skip] back to the width; nothing is added to it."""

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x):
        return self.linear(x)


class SparseDiT(nn.Module):
    """forward(x, sigma, bag): x (N,3,S,S), sigma (N) in 0..1, bag (N,V+1) -> velocity (N,3,S,S)."""

    def __init__(self, words, size=32, patch=4, width=128, depth=8, heads=4, region=2, picked=8, channels=3):
        super().__init__()
        self.config = dict(words=words, size=size, patch=patch, width=width, depth=depth, heads=heads, region=region,
                           picked=picked)
        self.size, self.patch, self.channels = size, patch, channels
        side = size // patch
        self.pos_embed = nn.Parameter(position_table(side, width), requires_grad=False)
        self.x_embedder = PatchEmbedder(channels, patch, width)
        self.t_embedder = TimeEmbedder(width)
        self.y_embedder = WordEmbedder(words, width)
        self.blocks = nn.ModuleList(Block(width, heads, side, region, picked) for _ in range(depth))
        self.skip_norms = nn.ModuleList(nn.LayerNorm(2 * width, eps=1e-6) for _ in range(depth // 2))
        self.skip_linears = nn.ModuleList(Fusion(width) for _ in range(depth // 2))
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

    def routers(self):
        """(module whose `route` holds target ids after a forward, how many targets) of every layer that routes."""
        return [(b.attn, b.attn.regions) for b in self.blocks]

    @staticmethod
    def numbers_of(weights, told):
        """The configuration of a file."""
        blocks = 1 + max(int(k.split(".")[1]) for k in weights if k.startswith("blocks."))
        return dict(patch=int(told["patch_size"]), width=weights["pos_embed"].shape[2], depth=blocks,
                    heads=int(told["num_heads"]), region=int(told["region_size"]), picked=int(told["regions_picked"]))

    def told(self):
        """What the shapes in a file do not say, for its metadata."""
        c = self.config
        return dict(architecture="sparse-skip-dit", patch_size=c["patch"], num_heads=c["heads"],
                    region_size=c["region"], regions_picked=c["picked"])

    def card(self):
        c = self.config
        return (f"Skip-DiT, {c['depth']} blocks of width {c['width']}, attention routed to {c['picked']} of "
                f"{self.blocks[0].attn.regions} regions")

    def forward(self, x, sigma, bag):
        h = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(1000 * sigma) + self.y_embedder(bag)
        kept = []
        for i, block in enumerate(self.blocks):
            if i >= len(self.blocks) // 2:
                k = i - len(self.blocks) // 2
                h = self.skip_linears[k](self.skip_norms[k](torch.cat([h, kept.pop()], -1)))
                h = block(h, c)
            else:
                h = block(h, c)
                kept.append(h)
        with torch.autocast(x.device.type, enabled=False):
            out = self.final_layer(h.float(), c.float())
        n, p, g = len(x), self.patch, self.size // self.patch
        out = out.reshape(n, g, g, p, p, self.channels).permute(0, 5, 1, 3, 2, 4)
        return out.reshape(n, self.channels, self.size, self.size)
