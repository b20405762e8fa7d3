#!/usr/bin/env python3
"""Write the fixtures of Stable Diffusion 1.x at a reduced size: sd_unet, sd_vae, clip_text; and of what acts on its
attention to the text: sd_pladis, sd_nag.

    python3 tools/reference/sd.py        (torch; writes tests/zoo/fixtures)
"""
import math

import torch

import fixture
import sd_layers
import sd_shapes

GROUPS, HEADS, SIDE, TOKENS = 2, 2, 6, 5
UNET = sd_shapes.unet(widths=(8, 8), attends=(True, False), layers=1, context=10)
VAE = sd_shapes.decoder(widths=(8, 12), layers=1)
SMALL = sd_shapes.unet(widths=(8,), attends=(True,), layers=1, context=10)
TEXT = sd_shapes.text(vocabulary=40, width=16, layers=2, hidden=32, positions=9)


def count(shapes):
    return len(shapes), sum(math.prod(s) for s in shapes.values())


def unet_inputs(n=2):
    return {"x": fixture.draw((n, 4, SIDE, SIDE), "sd x"),
            "time": torch.tensor([981.0, 41.0, 500.0], dtype=torch.float64)[:n],
            "context": fixture.draw((n, TOKENS, 10), "sd context")}


def half(weights):
    """As published files store them; the reference computes with the rounded ones."""
    return {name: value.half() for name, value in weights.items()}


UNET_METADATA = {"architecture": "sd-unet", "num_heads": HEADS, "norm_groups": GROUPS, "image_size": SIDE,
                 "context_tokens": TOKENS}


def entmax15(x):
    """Exactly, by sorting: max(x / 2 - t, 0) squared, t the largest for which it sums to 1 (arXiv 1905.05702, alg. 2)."""
    z = x / 2
    ordered = z.sort(-1, descending=True).values
    k = torch.arange(1, z.shape[-1] + 1, dtype=torch.float64)
    mean, square = ordered.cumsum(-1) / k, ordered.square().cumsum(-1) / k
    t = mean - ((1 - k * (square - mean.square())) / k).clamp(min=0).sqrt()
    support = (t <= ordered).sum(-1, keepdim=True)
    return (z - t.gather(-1, support - 1)).clamp(min=0).square()


class Pladis(sd_layers.Attend):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def weights(self, q, k, name):
        dense = sd_layers.softmax_weights(q, k)
        sparse = entmax15(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]))
        assert (sparse.sum(-1) - 1).abs().max() < 1e-12
        mixed = self.scale * sparse + (1 - self.scale) * dense
        if name.startswith("mid_block"):
            self.taps |= {f"{name}attention.{k}": v for k, v in
                          (("dense", dense), ("sparse", sparse), ("mixed", mixed))}
            self.taps[f"{name}attention.words"] = (sparse > 0).double().sum(-1).mean(1)
        return mixed


class Nag(sd_layers.Attend):
    """The first samples, as many as there are negative contexts, are pushed away from these."""

    def __init__(self, negative, scale, tau, alpha):
        super().__init__()
        self.negative, self.settings = negative.double(), (scale, tau, alpha)

    def __call__(self, w, x, context, heads, name):
        scale, tau, alpha = self.settings
        m, q = self.negative.shape[0], sd_layers.heads_of(sd_layers.linear(w, "to_q", x), heads)
        plus = self.one(w, q, context, heads, name)
        minus = self.one(w, q[:m], self.negative, heads, name)
        kept = plus[:m]
        z = kept * scale - minus * (scale - 1)
        r = (z.abs().sum(-1, keepdim=True) + 1e-7) / (kept.abs().sum(-1, keepdim=True) + 1e-7)
        if name.startswith("mid_block"):
            self.taps[f"{name}nag.difference"] = (kept - minus).norm(dim=-1) / kept.norm(dim=-1)
            self.taps[f"{name}nag.clipped"] = (r[..., 0] > tau).double()
        z = z * r.clamp(max=tau) / r
        return torch.cat([alpha * z + (1 - alpha) * kept, plus[m:]])


def attention_settings():
    weights, inputs = half(fixture.draw_all(SMALL, 14)), unet_inputs()
    for name in weights:
        if "attn2.to_q" in name:
            weights[name] = weights[name] * 4  # scores apart enough for some words to get no weight
    pladis = Pladis(2)
    output = sd_layers.UNet(weights, GROUPS, HEADS, pladis)(inputs["x"], inputs["time"], inputs["context"])
    fixture.save("sd_pladis", weights, inputs, {"output": output}, taps=pladis.taps,
                 metadata=UNET_METADATA | {"pladis": "2,1.5"})
    negative = fixture.draw(inputs["context"].shape, "sd negative")
    nag = Nag(negative, 3, 3.5, 0.5)
    output = sd_layers.UNet(weights, GROUPS, HEADS, nag)(inputs["x"], inputs["time"], inputs["context"])
    clipped = [v.mean().item() for k, v in nag.taps.items() if k.endswith("clipped")]
    assert 0.05 < clipped[0] < 0.95, clipped
    fixture.save("sd_nag", weights, inputs | {"negative_context": negative}, {"output": output}, taps=nag.taps,
                 metadata=UNET_METADATA | {"nag": "3,3.5,0.5"})


def main():
    assert count(sd_shapes.unet()) == (686, 859_520_964), count(sd_shapes.unet())
    assert count(sd_shapes.decoder()) == (140, 49_490_199), count(sd_shapes.decoder())
    assert count(sd_shapes.text()) == (196, 123_060_480), count(sd_shapes.text())

    weights, inputs = half(fixture.draw_all(UNET, 11)), unet_inputs()
    output = sd_layers.UNet(weights, GROUPS, HEADS)(inputs["x"], inputs["time"], inputs["context"])
    fixture.save("sd_unet", weights, inputs, {"output": output}, metadata=UNET_METADATA)

    weights, latent = fixture.draw_all(VAE, 12), fixture.draw((2, 4, 3, 3), "sd latent")
    metadata = {"architecture": "sd-vae-decoder", "image_size": 3, "vae.norm_groups": GROUPS}
    fixture.save("sd_vae", weights, {"latent": latent}, {"picture": sd_layers.decode(weights, latent, GROUPS)},
                 metadata=metadata)

    weights = fixture.draw_all(TEXT, 13)
    tokens = torch.tensor([[38, 3, 17, 5, 39, 39, 39, 39, 39], [38, 39, 39, 39, 39, 39, 39, 39, 39]])
    fixture.save("clip_text", weights, {"tokens": tokens}, {"hidden": sd_layers.encode_text(weights, tokens, HEADS)},
                 metadata={"architecture": "clip-text", "text.heads": HEADS})
    attention_settings()


if __name__ == "__main__":
    main()
