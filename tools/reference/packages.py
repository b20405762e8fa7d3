#!/usr/bin/env python3
"""Hold fixtures of tests/zoo against public packages from PyPI, in f64; fails above 1e-6 (relative L2).

    pip install -r tools/reference/requirements-packages.txt && python3 tools/reference/packages.py

Covers networks only. Samplers, FreeU, PLADIS, Switch Transformer, DeepSeekMoE and the Routing Transformer are not
compared here, although packages have some of them; torchdiffeq's "rk4" is the 3/8 rule and could not serve for ours.
"""
import sys

import torch

import package_models as m
import sd


def denoiser(net, t, prefix, extra):
    return net(t[prefix + "x"], t[prefix + "time"], extra).sample


def checks():
    for name, classes, out, head, variant in (("adm", 5, 6, 8, True), ("adm_plain", None, 3, 16, False)):
        t, _ = m.read(name)
        net = m.adm(m.weights_of(t), variant, classes, out, head)
        label = t["input.label"].long() if classes else None
        yield "diffusers", name, denoiser(net, t, "input.", label), t["output.output"]
    for name, depth in (("dit", 2), ("sit_no_positions", 1)):
        t, _ = m.read(name)
        net = m.dit(m.weights_of(t), 2, depth)
        yield "diffusers", name, denoiser(net, t, "reference.", t["reference.label"].long()), t["reference.output"]
    t, _ = m.read("sd_unet")
    net = m.sd_unet(m.weights_of(t), sd.HEADS, sd.GROUPS)
    yield "diffusers", "sd_unet", denoiser(net, t, "input.", t["input.context"]), t["output.output"]
    t, _ = m.read("sd_vae")
    yield "diffusers", "sd_vae", m.Decoder(m.weights_of(t), sd.GROUPS).picture(t["input.latent"]), t["output.picture"]
    t, _ = m.read("clip_text")
    net = m.clip_text(m.weights_of(t), sd.HEADS)
    yield "transformers", "clip_text", net(t["input.tokens"].long()).last_hidden_state, t["output.hidden"]


def main():
    torch.set_grad_enabled(False)
    worst = 0.0
    for package, name, theirs, ours in checks():
        error = ((theirs - ours).norm() / ours.norm()).item()
        worst = max(worst, error) if error == error else float("inf")
        print(f"{package} {sys.modules[package].__version__} | {name} | {error:.2g}")
    return worst > 1e-6


if __name__ == "__main__":
    sys.exit(main())
