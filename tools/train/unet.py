"""A small ADM U-Net in PyTorch, prompted by words: the network of emoji-unet.

What: the U-Net of "Diffusion Models Beat GANs" (Dhariwal, Nichol 2021): residual blocks whose second norm is
scaled and shifted by time and label, resampling residual blocks between the levels, attention at the coarsest one,
and every input block's output concatenated to an output block. Parameter names are the published ones.
Ours differs in four points: pixels are folded 2 x 2 into channels at both ends (F.pixel_unshuffle), the norms have
`groups` groups, the output is a velocity without variance, and the label is a bag of words (mean of their rows).
Why: a convolutional default model beside the transformers, cheap enough for one CPU core.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F


class ResBlock(nn.Module):
    """GN, SiLU, (resample), conv; GN scaled and shifted by the embedding, SiLU, conv; added to the (1x1'd) input."""

    def __init__(self, wide, out, embedded, groups, resample=None):
        super().__init__()
        self.resample = resample
        self.in_layers = nn.Sequential(nn.GroupNorm(groups, wide), nn.SiLU(), nn.Conv2d(wide, out, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedded, 2 * out))
        self.out_layers = nn.Sequential(nn.GroupNorm(groups, out), nn.SiLU(), nn.Identity(),
                                        nn.Conv2d(out, out, 3, padding=1))
        self.skip_connection = nn.Conv2d(wide, out, 1) if wide != out else nn.Identity()

    def resized(self, x):
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.resample == "up" else x

    def forward(self, x, emb):
        h = self.in_layers[2](self.resized(F.silu(self.in_layers[0](x))))
        scale, shift = self.emb_layers(emb)[:, :, None, None].chunk(2, 1)
        h = self.out_layers[3](F.silu(self.out_layers[0](h) * (1 + scale) + shift))
        return self.skip_connection(self.resized(x)) + h


class AttentionBlock(nn.Module):
    """Attention over the pixels, channels of qkv in the order [q, k, v][head][channel]."""

    def __init__(self, channels, heads, groups):
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(groups, channels)
        self.qkv, self.proj_out = nn.Conv1d(channels, 3 * channels, 1), nn.Conv1d(channels, channels, 1)

    def forward(self, x, emb):
        n, c, h, w = x.shape
        y = self.norm(x).reshape(n, c, h * w).transpose(1, 2)
        y = F.linear(y, self.qkv.weight[:, :, 0], self.qkv.bias)
        q, k, v = y.reshape(n, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        weight = ((q @ k.transpose(-1, -2)).float() * (c // self.heads) ** -0.5).softmax(-1)
        y = (weight.to(v.dtype) @ v).transpose(1, 2).reshape(n, h * w, c)
        y = F.linear(y, self.proj_out.weight[:, :, 0], self.proj_out.bias)
        return x + y.transpose(1, 2).reshape(n, c, h, w)


class UNet(nn.Module):
    """forward(x, sigma, bag): x (N,3,S,S), sigma (N) in 0..1, bag (N,V+1) -> velocity (N,3,S,S)."""

    def __init__(self, words, size=32, patch=2, width=48, mult=(1, 2, 4), depth=1, attention=(2,), heads=4,
                 groups=16, channels=3):
        super().__init__()
        self.config = dict(words=words, size=size, patch=patch, width=width, mult=tuple(mult), depth=depth,
                           attention=tuple(attention), heads=heads, groups=groups)
        self.size, self.patch, self.channels, self.width = size, patch, channels, width
        emb, folded = 4 * width, channels * patch * patch
        self.time_embed = nn.Sequential(nn.Linear(width, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.label_emb = nn.Embedding(words + 1, emb)
        half = width // 2
        self.register_buffer("freqs", torch.exp(-math.log(10000) * torch.arange(half) / half), persistent=False)

        def block(wide, out, level, resample=None):
            parts = [ResBlock(wide, out, emb, groups, resample)]
            if not resample and level in attention:
                parts.append(AttentionBlock(out, heads, groups))
            return parts

        now, pushed = width * mult[0], [width * mult[0]]
        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(folded, now, 3, padding=1)])])
        for level, times in enumerate(mult):
            for _ in range(depth):
                self.input_blocks.append(nn.ModuleList(block(now, width * times, level)))
                now = width * times
                pushed.append(now)
            if level + 1 < len(mult):
                self.input_blocks.append(nn.ModuleList(block(now, now, level, "down")))
                pushed.append(now)
        self.middle_block = nn.ModuleList([ResBlock(now, now, emb, groups), AttentionBlock(now, heads, groups),
                                           ResBlock(now, now, emb, groups)])
        self.output_blocks = nn.ModuleList()
        for level, times in reversed(list(enumerate(mult))):
            for k in range(depth + 1):
                parts = block(now + pushed.pop(), width * times, level)
                now = width * times
                if level and k == depth:
                    parts += block(now, now, level, "up")
                self.output_blocks.append(nn.ModuleList(parts))
        self.out = nn.Sequential(nn.GroupNorm(groups, now), nn.SiLU(), nn.Conv2d(now, folded, 3, padding=1))
        self.reset()

    def reset(self):
        """Published starts: what is added to a residual path, and the output, begin at zero."""
        for module in self.modules():
            if isinstance(module, ResBlock):
                nn.init.zeros_(module.out_layers[3].weight)
                nn.init.zeros_(module.out_layers[3].bias)
            elif isinstance(module, AttentionBlock):
                nn.init.zeros_(module.proj_out.weight)
                nn.init.zeros_(module.proj_out.bias)
        nn.init.normal_(self.label_emb.weight, std=0.5)
        nn.init.zeros_(self.out[2].weight)
        nn.init.zeros_(self.out[2].bias)

    def routers(self):
        return []

    @staticmethod
    def numbers_of(weights, told):
        """The configuration of a file."""
        return dict(patch=int(told["patch_size"]), width=int(told["model_channels"]), depth=int(told["num_res_blocks"]),
                    mult=[int(k) for k in told["channel_mult"].split(",")],
                    attention=[int(k) for k in told["attention_levels"].split(",")], heads=int(told["num_heads"]),
                    groups=int(told["norm_groups"]))

    def told(self):
        """What the shapes in a file do not say, for its metadata."""
        c = self.config
        return dict(architecture="adm", patch_size=c["patch"], model_channels=c["width"], num_res_blocks=c["depth"],
                    channel_mult=",".join(map(str, c["mult"])), attention_levels=",".join(map(str, c["attention"])),
                    num_heads=c["heads"], attention_order="new", norm_groups=c["groups"], resblock_updown=1,
                    scale_shift_norm=1, learn_sigma=0)

    def card(self):
        c = self.config
        return f"ADM U-Net, {c['width']} channels x {c['mult']}, pixels folded {c['patch']}x{c['patch']}"

    def forward(self, x, sigma, bag):
        angle = 1000 * sigma[:, None] * self.freqs
        emb = self.time_embed(torch.cat([angle.cos(), angle.sin()], 1)) + bag @ self.label_emb.weight
        h = F.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)
        kept = [h := self.input_blocks[0][0](h)]
        for parts in self.input_blocks[1:]:
            for part in parts:
                h = part(h, emb)
            kept.append(h)
        for part in self.middle_block:
            h = part(h, emb)
        for parts in self.output_blocks:
            h = torch.cat([h, kept.pop()], 1)
            for part in parts:
                h = part(h, emb)
        return F.pixel_shuffle(self.out[2](F.silu(self.out[0](h))).float(), self.patch)
