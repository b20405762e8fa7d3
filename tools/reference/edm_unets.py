"""EDM's two networks and its preconditioning in plain PyTorch f64: the independent answer for graph/zoo/edm.c.

What: SongUNet (DDPM++, NCSN++) and DhariwalUNet of "Elucidating the Design Space of Diffusion-Based Generative Models"
(Karras et al. 2022) as one function of weights under NVlabs' names and of a configuration; D(x; sigma) of every
preconditioning, from which `training_output` works back what EDM's own F would have to be.
Fixtures are written by unet_fixtures.py.
"""
import math

import torch
from torch.nn import functional as F

from unets import edit, energy


def outer(taps):
    f = torch.tensor(taps, dtype=torch.float64)
    return (f[:, None] * f / f.sum() ** 2)[None, None]


def resample(x, taps, way):
    """Down or up by two with the separable filter, as strided and as transposed depth-wise convolution."""
    f, pad = outer(taps).repeat(x.shape[1], 1, 1, 1), (len(taps) - 1) // 2
    if way == "down":
        return F.conv2d(x, f, groups=x.shape[1], stride=2, padding=pad)
    return F.conv_transpose2d(x, 4 * f, groups=x.shape[1], stride=2, padding=pad) if way == "up" else x


class EDM:
    """song: SongUNet, else DhariwalUNet. taps: the resampling filter; fourier, residual: NCSN++."""

    def __init__(self, w, song, size, width, mult, blocks, attention, taps=(1, 1), fourier=False, residual=False,
                 head_channels=64, prefix="", tuning=None):
        self.w, self.song, self.size, self.width, self.mult, self.blocks = w, song, size, width, mult, blocks
        self.attention, self.filter, self.fourier, self.residual = attention, taps, fourier, residual
        self.head_channels, self.prefix, self.tuning, self.taps = head_channels, prefix, tuning, {}

    def p(self, name):
        return self.w[self.prefix + name]

    def has(self, name):
        return self.prefix + name in self.w

    def linear(self, name, x):
        return F.linear(x, self.p(name + ".weight"), self.p(name + ".bias"))

    def norm(self, name, x):
        return F.group_norm(x, min(32, x.shape[1] // 4), self.p(name + ".weight"), self.p(name + ".bias"),
                            1e-6 if self.song else 1e-5)

    def conv(self, name, x, way=None):
        x = resample(x, self.filter, way)
        w = self.p(name + ".weight")
        return F.conv2d(x, w, self.p(name + ".bias"), padding=w.shape[2] // 2)

    def block(self, name, x, emb, way=None, attention=False):
        total = math.sqrt(0.5) if self.song else 1.0
        h = self.conv(name + ".conv0", F.silu(self.norm(name + ".norm0", x)), way)
        params = self.linear(name + ".affine", emb)[:, :, None, None]
        if self.song:
            h = F.silu(self.norm(name + ".norm1", h + params))
        else:
            scale, shift = params.chunk(2, 1)
            h = F.silu(self.norm(name + ".norm1", h) * (scale + 1) + shift)
        h = self.conv(name + ".conv1", h)
        if way and self.song or h.shape[1] != x.shape[1]:
            x = self.conv(name + ".skip", x, way)
        else:
            x = resample(x, self.filter, way)
        x = (h + x) * total
        if not attention:
            return x
        n, c = x.shape[:2]
        heads = 1 if self.song else c // self.head_channels
        qkv = self.conv(name + ".qkv", self.norm(name + ".norm2", x)).reshape(n * heads, c // heads, 3, -1)
        q, k, v = qkv.unbind(2)
        weight = torch.einsum("ncq,nck->nqk", q, k / math.sqrt(k.shape[1])).softmax(2)
        a = torch.einsum("nqk,nck->ncq", weight, v)
        return (self.conv(name + ".proj", a.reshape(x.shape)) + x) * total

    def embedding(self, noise, label):
        if self.fourier:
            angle = noise[:, None] * 2 * math.pi * self.p("map_noise.freqs")
        else:
            half = self.width // 2
            angle = noise[:, None] * (1 / 10000) ** (torch.arange(half, dtype=noise.dtype) / (half - self.song))
        e = torch.cat([angle.sin(), angle.cos()] if self.song else [angle.cos(), angle.sin()], 1)
        if label is not None:
            classes = self.p("map_label.weight").shape[1]
            one_hot = F.one_hot(torch.tensor(label), classes).double()
        if self.song and label is not None:
            e = e + self.linear("map_label", one_hot * math.sqrt(classes))
        e = self.linear("map_layer1", F.silu(self.linear("map_layer0", e)))
        if not self.song and label is not None:
            e = e + one_hot @ self.p("map_label.weight").T
        return F.silu(e)

    def __call__(self, x, noise, label=None):
        emb, levels, kept, aux = self.embedding(noise, label), len(self.mult), [], x
        for level in range(levels):
            r = self.size >> level
            at = f"enc.{r}x{r}_"
            x = self.block(at + "down", x, emb, "down") if level else self.conv(at + "conv", x)
            if level and self.residual:
                pad = (len(self.filter) - 1) // 2
                aux = F.conv2d(aux, self.p(at + "aux_residual.weight"), self.p(at + "aux_residual.bias"), padding=1 + pad)
                aux = F.conv2d(aux, outer(self.filter).repeat(aux.shape[1], 1, 1, 1), groups=aux.shape[1], stride=2)
                aux = x = (x + aux) / math.sqrt(2)
            kept.append(x)
            for k in range(self.blocks):
                x = self.block(at + f"block{k}", x, emb, attention=r in self.attention)
                kept.append(x)
        for level in reversed(range(levels)):
            r = self.size >> level
            at = f"dec.{r}x{r}_"
            if level == levels - 1:
                x = self.block(at + "in1", self.block(at + "in0", x, emb, attention=True), emb)
            else:
                x = self.block(at + "up", x, emb, "up")
            for k in range(self.blocks + 1):
                x, skip = edit(x, kept.pop(), levels - 1 - level, levels, self.tuning)
                self.taps[f"{self.prefix}{at}block{k}.skip_energy"] = energy(x, skip)
                here = r in self.attention and (k == self.blocks or not self.song)
                x = self.block(at + f"block{k}", torch.cat([x, skip], 1), emb, attention=here)
        last = f"dec.{self.size}x{self.size}_aux" if self.song else "out"
        return self.conv(last + "_conv", F.silu(self.norm(last + "_norm", x)))


def rounded(sigma):
    """iDDPM's 1001 noise levels; the index of the one nearest to each sigma."""
    bar = lambda j: math.sin(0.5 * math.pi * j / 1000 / 1.008) ** 2
    u = [0.0] * 1001
    for j in range(1000, 0, -1):
        u[j - 1] = math.sqrt((u[j] ** 2 + 1) / max(bar(j - 1) / bar(j), 0.001) - 1)
    return (torch.tensor(u, dtype=torch.float64)[None] - sigma[:, None]).abs().argmin(1).double()


def denoise(net, precond, x, sigma, label):
    s = sigma[:, None, None, None]
    if precond == "edm":
        y = net(x / (s ** 2 + 0.25).sqrt(), sigma.log() / 4, label)
        return 0.25 / (s ** 2 + 0.25) * x + s * 0.5 / (s ** 2 + 0.25).sqrt() * y
    if precond == "ve":
        return x + s * net(x, (0.5 * sigma).log(), label)
    if precond == "vp":
        t = ((0.1 ** 2 + 2 * 19.9 * (1 + sigma ** 2).log()).sqrt() - 0.1) / 19.9
        return x - s * net(x / (s ** 2 + 1).sqrt(), 999 * t, label)
    return x - s * net(x / (s ** 2 + 1).sqrt(), 999 - rounded(sigma), label)[:, :x.shape[1]]


def training_output(net, precond, fed, time, label):
    """F of D(x) = c_skip x + c_out F at x = fed sqrt(sigma^2 + 1/4), sigma = exp(4 time)."""
    sigma = (4 * time).exp()
    s = sigma[:, None, None, None]
    x = fed * (s ** 2 + 0.25).sqrt()
    d = denoise(net, precond, x, sigma, label)
    return (d - 0.25 / (s ** 2 + 0.25) * x) / (s * 0.5 / (s ** 2 + 0.25).sqrt())


def edm_shapes(song, size, width, mult, blocks, attention, channels, out, classes=0, taps=(1, 1), fourier=False,
               residual=False, prefix="", **_):
    """{name: shape} of the parameters, from the published code's constructors, and of the buffers that count."""
    shapes, emb, noise = {}, 4 * width, 2 * width if fourier else width

    def layer(name, *shape, bias=True):
        shapes[prefix + name + ".weight"] = shape
        if bias:
            shapes[prefix + name + ".bias"] = shape[:1]

    def block(name, wide, out, way=False, attention=False):
        layer(name + ".norm0", wide)
        layer(name + ".conv0", out, wide, 3, 3)
        layer(name + ".affine", out if song else 2 * out, emb)
        layer(name + ".norm1", out)
        layer(name + ".conv1", out, out, 3, 3)
        if way:
            shapes[prefix + name + ".conv0.resample_filter"] = (1, 1, len(taps), len(taps))
            shapes[prefix + name + ".skip.resample_filter"] = (1, 1, len(taps), len(taps))
        if wide != out or way and song:
            layer(name + ".skip", out, wide, 1, 1)
        if attention:
            layer(name + ".norm2", out)
            layer(name + ".qkv", 3 * out, out, 1, 1)
            layer(name + ".proj", out, out, 1, 1)

    layer("map_layer0", emb, noise)
    layer("map_layer1", emb, emb)
    if fourier:
        shapes[prefix + "map_noise.freqs"] = (noise // 2,)
    if classes:
        layer("map_label", noise if song else emb, classes, bias=song)
    now, kept, aux = width if song else width * mult[0], [], channels
    for level, times in enumerate(mult):
        r = size >> level
        if level:
            block(f"enc.{r}x{r}_down", now, now, True)
        else:
            layer(f"enc.{r}x{r}_conv", now, channels, 3, 3)
        if level and residual:
            layer(f"enc.{r}x{r}_aux_residual", now, aux, 3, 3)
            shapes[f"{prefix}enc.{r}x{r}_aux_residual.resample_filter"] = (1, 1, len(taps), len(taps))
            aux = now
        kept.append(now)
        for k in range(blocks):
            block(f"enc.{r}x{r}_block{k}", now, width * times, attention=r in attention)
            now = width * times
            kept.append(now)
    for level, times in reversed(list(enumerate(mult))):
        r = size >> level
        if level == len(mult) - 1:
            block(f"dec.{r}x{r}_in0", now, now, attention=True)
            block(f"dec.{r}x{r}_in1", now, now)
        else:
            block(f"dec.{r}x{r}_up", now, now, True)
        for k in range(blocks + 1):
            block(f"dec.{r}x{r}_block{k}", now + kept.pop(), width * times,
                  attention=r in attention and (k == blocks or not song))
            now = width * times
    last = f"dec.{size}x{size}_aux" if song else "out"
    layer(last + "_norm", now)
    layer(last + "_conv", out, now, 3, 3)
    return shapes
