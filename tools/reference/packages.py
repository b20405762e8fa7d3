#!/usr/bin/env python3
"""Hold fixtures of tests/zoo against public packages from PyPI, in f64: outputs and taps to 1e-6 (relative L2), routes as
sets. Fails above, and if the comparisons are not those that packages.tsv tells of; it also says what is in no package.

    cd tools/reference
    pip install -r requirements-packages.txt && pip install --no-deps -r requirements-packages-bare.txt
    python3 packages.py [FIXTURE …]

tests/zoo/test_packages.c looks at packages.tsv, so that neither it nor this can drift from graph/zoo/systems.tsv.
"""
import importlib.metadata
import os
import sys

import torch

import package_models as m
import package_routed as routed
import package_samplers as samplers
import package_unets as unets
import sd

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "packages.tsv")


def denoiser(name, make, prefix="input.", extra=lambda t: None, output="output.output"):
    t, _ = m.read(name)
    y = make(m.weights_of(t))(t[prefix + "x"], t[prefix + "time"], extra(t)).sample
    return {"output": (y, t[output])}


def adm(name, classes, out, head, variant):
    return denoiser(name, lambda w: m.adm(w, variant, classes, out, head),
                    extra=lambda t: t["input.label"].long() if classes else None)


def dit(name, depth):
    return denoiser(name, lambda w: m.dit(w, 2, depth), "reference.", lambda t: t["reference.label"].long(),
                    "reference.output")


def sd_vae():
    t, _ = m.read("sd_vae")
    return {"picture": (m.Decoder(m.weights_of(t), sd.GROUPS).picture(t["input.latent"]), t["output.picture"])}


def clip_text():
    t, _ = m.read("clip_text")
    hidden = m.clip_text(m.weights_of(t), sd.HEADS)(t["input.tokens"].long()).last_hidden_state
    return {"hidden": (hidden, t["output.hidden"])}


CHECKS = {
    "diffusers:adm": lambda: adm("adm", 5, 6, 8, True),
    "diffusers:adm_plain": lambda: adm("adm_plain", None, 3, 16, False),
    "diffusers:dit": lambda: dit("dit", 2),
    "diffusers:sit_no_positions": lambda: dit("sit_no_positions", 1),
    "diffusers:sd_unet": lambda: denoiser("sd_unet", lambda w: m.sd_unet(w, sd.HEADS, sd.GROUPS),
                                          extra=lambda t: t["input.context"]),
    "diffusers:sd_vae": sd_vae,
    "transformers:clip_text": clip_text,
    "transformers:switch_transformer": routed.switch_transformer,
    "transformers:deepseekmoe": routed.deepseekmoe,
    "routing-transformer:routing_transformer": routed.routing_transformer,
    "diffusers:tread": lambda: routed.tread("tread"),
    "simpletuner:tread_routed": lambda: routed.tread("tread_routed"),
    "nvidia-physicsnemo:song_unet": lambda: unets.edm("song_unet", True, 8, (1, 2), (8,), 5, prefix="model.",
                                                      tuning=(0.6, 0.95)),
    "nvidia-physicsnemo:song_unet_vp": lambda: unets.edm("song_unet_vp", True, 4, (1,), precond="vp"),
    "nvidia-physicsnemo:ncsnpp": lambda: unets.edm(
        "ncsnpp", True, 8, (1, 1, 1), precond="ve", embedding_type="fourier", encoder_type="residual",
        channel_mult_noise=2, resample_filter=[1, 3, 3, 1]),
    "nvidia-physicsnemo:dhariwal_unet": lambda: unets.edm("dhariwal_unet", False, 8, (1, 2), (4,), 5, head_channels=8),
    "nvidia-physicsnemo:dhariwal_unet_iddpm": lambda: unets.edm("dhariwal_unet_iddpm", False, 4, (1,), out=6,
                                                                head_channels=4, precond="iddpm"),
    "unet:unet": unets.unet,
    "diffusers:freeu_levels": unets.freeu_levels,
    "entmax:adm_pladis": unets.adm_pladis,
    "entmax:sd_pladis": unets.sd_pladis,
    "scepter:sd_scedit": lambda: unets.scedit("sd_scedit"),
    "scepter:sd_scedit_control": lambda: unets.scedit("sd_scedit_control"),
    "diffusers:sampling.euler": lambda: samplers.flow("euler", 1),
    "diffusers:sampling.euler_reversed": lambda: samplers.flow("euler_reversed", -1),
    "diffusers:sampling.heun": lambda: samplers.flow_heun("heun", 1),
    "diffusers:sampling.heun_reversed": lambda: samplers.flow_heun("heun_reversed", -1),
    "diffusers:sampling.ddpm": samplers.ddpm,
    "diffusers:sampling.ddim": samplers.ddim,
    "diffusers:sampling.ddim_noisy": samplers.ddim_noisy,
    "diffusers:sampling.dpm2m": samplers.dpm2m,
    "diffusers:around.edm": samplers.edm,
    "diffusers:around.interval_steps": samplers.interval_steps,
    "diffusers:around.stg_residual": lambda: samplers.stg("stg_residual", [1], False, 4.0, 0.8, 0.0),
    "diffusers:around.stg_attention": lambda: samplers.stg("stg_attention", [0, 1], True, 1.0, 2.0, 0.7),
    "torchdiffeq:around.midpoint": samplers.midpoint,
    "torchdiffeq:around.rk4": samplers.rk4,
    "scipy:around.dopri5": samplers.dopri5,
}


def difference(theirs, ours):
    """Relative L2; of routes infinite if a row goes elsewhere."""
    theirs = theirs.double().reshape(ours.shape)
    if not torch.equal(torch.isnan(theirs), torch.isnan(ours)):
        return float("inf")
    theirs, ours = theirs.nan_to_num(), ours.nan_to_num()
    return ((theirs - ours).norm() / ours.norm()).item()


def told():
    """{system: [comparison]} and {system: note} of packages.tsv."""
    with open(TABLE) as file:
        rows = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")][1:]
    return {r[0]: [] if r[1] == "-" else r[1].split(",") for r in rows}, {r[0]: r[2] for r in rows}


def main():
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    systems, notes = told()
    named = {c for found in systems.values() for c in found}
    if named != set(CHECKS):
        raise SystemExit(f"packages.py: packages.tsv and the comparisons here part at {sorted(named ^ set(CHECKS))}")
    worst, wanted = 0.0, set(sys.argv[1:])
    for key, found in systems.items():
        for name in found:
            package, fixture = name.split(":")
            if wanted and fixture not in wanted:
                continue
            errors = {end: difference(*both) for end, both in CHECKS[name]().items()}
            worst = max([worst, *errors.values()], key=lambda e: (e != e, e))
            most = max(errors, key=errors.get)
            print(f"{key} | {package} {importlib.metadata.version(package)} | {fixture} | {len(errors)} ends, most "
                  f"{errors[most]:.2g} ({most})", flush=True)
        if not found and not wanted:
            print(f"{key} | - | {notes[key]}")
    return not worst <= 1e-6


if __name__ == "__main__":
    sys.exit(main())
