"""ADM U-Nets in plain PyTorch f64: the independent answer that graph/zoo/adm.c is held against.

What: the U-Net of "Diffusion Models Beat GANs" (Dhariwal, Nichol 2021) as a function of its weights under
guided-diffusion's names. Its structure is given by the arguments (channel multipliers, blocks a level, levels with
attention …) and never looked up in the weights, the way graph/zoo/adm.c does. Skip connections can be edited:
Skip-Tuning (arXiv 2402.15170), FreeU (arXiv 2309.11497) with torch.fft.
Fixtures are written by unet_fixtures.py.
"""
import math

import torch
from torch.nn import functional as F


def edit(h, skip, level, levels, tuning=None, freeu=None, widest=(0, 0), taps=None, name=""):
    """The two halves of a concatenation. freeu: b1, b2, s1, s2, version; widest: the two largest backbone widths."""
    if freeu:
        stage = level if freeu[4] == 1 else widest.index(h.shape[1]) if h.shape[1] in widest else 2
        if stage < 2:
            b, s, half = freeu[stage], freeu[2 + stage], h.shape[1] // 2
            factor = torch.full_like(h[:, :1], b)
            if freeu[4] == 2:
                mean = h.mean(1, keepdim=True)
                low, high = mean.amin((2, 3), keepdim=True), mean.amax((2, 3), keepdim=True)
                factor = (b - 1) * (mean - low) / (high - low) + 1
            h = torch.cat([h[:, :half] * factor, h[:, half:]], 1)
            spectrum = torch.fft.fftshift(torch.fft.fftn(skip, dim=(2, 3)), dim=(2, 3))
            y, x = skip.shape[2] // 2, skip.shape[3] // 2
            mask = torch.ones_like(skip)
            mask[:, :, y - 1:y + 1, x - 1:x + 1] = s
            before = skip
            skip = torch.fft.ifftn(torch.fft.ifftshift(spectrum * mask, dim=(2, 3)), dim=(2, 3)).real
            if taps is not None:
                for when, x in (("before", before), ("after", skip)):
                    taps[f"{name}.skip_spectrum.{when}"] = torch.fft.fft2(x).abs().square().mean(1).sqrt()
    if tuning:
        skip = skip * (tuning[0] + (tuning[1] - tuning[0]) * level / (levels - 1))
    return h, skip


def energy(h, skip):
    return skip.flatten(1).norm(dim=1) / h.flatten(1).norm(dim=1)


def entmax15(score):
    """max(score / 2 - t, 0) squared with sum 1; t lies in the half below the largest and is halved in on."""
    z = score / 2 - score.amax(-1, keepdim=True) / 2
    low, high = torch.full_like(z[..., :1], -1), torch.zeros_like(z[..., :1])
    for _ in range(80):
        t = (low + high) / 2
        above = (z - t).clamp(min=0).square().sum(-1, keepdim=True) >= 1
        low, high = torch.where(above, t, low), torch.where(above, high, t)
    return (z - low).clamp(min=0).square()


class ADM:
    """Weights w; config: mult, blocks, attention (levels), heads or head_channels, order, groups, patch, and the two
    variants of older models, scale_shift (else added) and updown (resampling residual blocks, else convolutions)."""

    def __init__(self, w, width, mult, blocks, attention, heads=0, head_channels=0, order="legacy", groups=32, patch=1,
                 scale_shift=True, updown=True, tuning=None, freeu=None, pladis=None):
        self.w, self.width, self.mult, self.blocks, self.attention = w, width, mult, blocks, attention
        self.heads, self.head_channels, self.order, self.groups, self.patch = heads, head_channels, order, groups, patch
        self.scale_shift, self.updown, self.tuning, self.freeu = scale_shift, updown, tuning, freeu
        self.pladis = pladis
        self.taps = {}

    def conv(self, name, x, **how):
        w = self.w[name + ".weight"]
        return F.conv2d(x, w, self.w[name + ".bias"], padding=w.shape[2] // 2, **how)

    def norm(self, name, x):
        return F.group_norm(x, self.groups, self.w[name + ".weight"], self.w[name + ".bias"], 1e-5)

    def linear(self, name, x):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def res(self, name, x, emb, change=lambda x: x):
        h = self.conv(name + ".in_layers.2", change(F.silu(self.norm(name + ".in_layers.0", x))))
        e = self.linear(name + ".emb_layers.1", F.silu(emb))[:, :, None, None]
        if self.scale_shift:
            scale, shift = e.chunk(2, 1)
            h = self.norm(name + ".out_layers.0", h) * (1 + scale) + shift
        else:
            h = self.norm(name + ".out_layers.0", h + e)
        x = change(x)
        if name + ".skip_connection.weight" in self.w:
            x = self.conv(name + ".skip_connection", x)
        return x + self.conv(name + ".out_layers.3", F.silu(h))

    def attend(self, name, x):
        n, c, height, width = x.shape
        heads = self.heads or c // self.head_channels
        qkv = F.conv1d(self.norm(name + ".norm", x).flatten(2), self.w[name + ".qkv.weight"],
                       self.w[name + ".qkv.bias"])
        outs, d = [], c // heads
        for i in range(heads):
            if self.order == "legacy":
                q, k, v = (qkv[:, (3 * i + j) * d:(3 * i + j + 1) * d] for j in range(3))
            else:
                q, k, v = (qkv[:, j * c + i * d:j * c + (i + 1) * d] for j in range(3))
            score = (q * d ** -0.25).transpose(1, 2) @ (k * d ** -0.25)
            weight = score.softmax(-1)
            if self.pladis:  # lambda entmax_1.5 + (1 - lambda) softmax; the threshold by bisection
                weight = self.pladis * entmax15(score) + (1 - self.pladis) * weight
            outs.append(v @ weight.transpose(1, 2))
        y = F.conv1d(torch.cat(outs, 1), self.w[name + ".proj_out.weight"], self.w[name + ".proj_out.bias"])
        return x + y.view(n, c, height, width)

    def embedding(self, t, label):
        half = self.width // 2
        angle = t[:, None] * torch.exp(-math.log(10000) * torch.arange(half, dtype=t.dtype) / half)
        e = self.linear("time_embed.0", torch.cat([angle.cos(), angle.sin()], 1))
        e = self.linear("time_embed.2", F.silu(e))
        if label is None:
            return e
        return e + torch.stack([self.w["label_emb.weight"][torch.as_tensor(ids)].reshape(-1, e.shape[1]).mean(0)
                                for ids in label])

    def down(self, name, h, emb):
        if self.updown:
            return self.res(name, h, emb, lambda x: F.avg_pool2d(x, 2))
        return self.conv(name + ".op", h, stride=2)

    def up(self, name, h, emb):
        double = lambda x: F.interpolate(x, scale_factor=2, mode="nearest")
        return self.res(name, h, emb, double) if self.updown else self.conv(name + ".conv", double(h))

    def __call__(self, x, t, label=None):
        emb, levels, i = self.embedding(t, label), len(self.mult), 0
        h = self.conv("input_blocks.0.0", F.pixel_unshuffle(x, self.patch))
        kept = [h]
        for level in range(levels):
            for k in range(self.blocks + (level + 1 < levels)):
                i += 1
                if k == self.blocks:
                    h = self.down(f"input_blocks.{i}.0", h, emb)
                else:
                    h = self.res(f"input_blocks.{i}.0", h, emb)
                    h = self.attend(f"input_blocks.{i}.1", h) if level in self.attention else h
                kept.append(h)
        h = self.res("middle_block.0", h, emb)
        h = self.res("middle_block.2", self.attend("middle_block.1", h), emb)
        widest, i = sorted({m * self.width for m in self.mult}, reverse=True) + [0], 0
        for level in reversed(range(levels)):
            for k in range(self.blocks + 1):
                h, skip = edit(h, kept.pop(), levels - 1 - level, levels, self.tuning, self.freeu, tuple(widest[:2]),
                               self.taps, f"output_blocks.{i}")
                self.taps[f"output_blocks.{i}.skip_energy"] = energy(h, skip)
                h = self.res(f"output_blocks.{i}.0", torch.cat([h, skip], 1), emb)
                with_attention = level in self.attention
                h = self.attend(f"output_blocks.{i}.1", h) if with_attention else h
                if level and k == self.blocks:
                    h = self.up(f"output_blocks.{i}.{1 + with_attention}", h, emb)
                i += 1
        return F.pixel_shuffle(self.conv("out.2", F.silu(self.norm("out.0", h))), self.patch)


def adm_shapes(width, mult, blocks, attention, channels, out, classes=0, patch=1, scale_shift=True, updown=True, **_):
    """{name: shape} of the tensors, from the published code's constructor."""
    shapes, emb = {}, 4 * width

    def layer(name, *shape):
        shapes[name + ".weight"], shapes[name + ".bias"] = shape, shape[:1]

    def res(name, wide, out):
        layer(name + ".in_layers.0", wide)
        layer(name + ".in_layers.2", out, wide, 3, 3)
        layer(name + ".emb_layers.1", 2 * out if scale_shift else out, emb)
        layer(name + ".out_layers.0", out)
        layer(name + ".out_layers.3", out, out, 3, 3)
        if wide != out:
            layer(name + ".skip_connection", out, wide, 1, 1)

    def attend(name, wide):
        layer(name + ".norm", wide)
        layer(name + ".qkv", 3 * wide, wide, 1)
        layer(name + ".proj_out", wide, wide, 1)

    layer("time_embed.0", emb, width)
    layer("time_embed.2", emb, emb)
    if classes:
        shapes["label_emb.weight"] = (classes, emb)
    now = int(width * mult[0])
    layer("input_blocks.0.0", now, channels * patch ** 2, 3, 3)
    pushed = [now]
    for level, times in enumerate(mult):
        for k in range(blocks + (level + 1 < len(mult))):
            name = f"input_blocks.{len(pushed)}"
            if k < blocks:
                res(name + ".0", now, int(width * times))
                now = int(width * times)
                if level in attention:
                    attend(name + ".1", now)
            elif updown:
                res(name + ".0", now, now)
            else:
                layer(name + ".0.op", now, now, 3, 3)
            pushed.append(now)
    res("middle_block.0", now, now)
    attend("middle_block.1", now)
    res("middle_block.2", now, now)
    i = 0
    for level, times in reversed(list(enumerate(mult))):
        for k in range(blocks + 1):
            res(f"output_blocks.{i}.0", now + pushed.pop(), int(width * times))
            now, last = int(width * times), 1
            if level in attention:
                attend(f"output_blocks.{i}.1", now)
                last = 2
            if level and k == blocks and updown:
                res(f"output_blocks.{i}.{last}", now, now)
            elif level and k == blocks:
                layer(f"output_blocks.{i}.{last}.conv", now, now, 3, 3)
            i += 1
    layer("out.0", now)
    layer("out.2", out * patch ** 2, now, 3, 3)
    return shapes
