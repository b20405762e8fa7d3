#!/usr/bin/env python3
"""Write the fixtures of what changes Stable Diffusion's U-Net at a reduced size: sd_scedit, sd_scedit_control.

    python3 tools/reference/sd_edit.py        (torch; writes tests/zoo/fixtures)
"""
import torch
import torch.nn.functional as F

import fixture
import sd
import sd_layers
import sd_shapes

SHAPES = sd_shapes.unet(widths=(8, 8), attends=(False, False), layers=1, context=10)
SKIPS = [8, 8, 8, 8]  # conv_in, down 0, its downsampler, down 1
STRIDES = [1, 1, 2, 1]
HINT = [3, 2, 2, 4, 4, 4, 6, 8]
GROUPS, HEADS, SIDE = sd.GROUPS, sd.HEADS, sd.SIDE


def mlp_shapes(prefix):
    out = {}
    for i, width in enumerate(reversed(SKIPS)):
        hidden, name = width // 2, f"{prefix}lsc_identity.{i}.tuner_op"
        out |= {f"{name}.ln1.weight": (hidden, width), f"{name}.ln1.bias": (hidden,),
                f"{name}.ln2.weight": (width, hidden), f"{name}.ln2.bias": (width,)}
    return out


def control_shapes(prefix):
    out = mlp_shapes(prefix)
    for i, (a, b) in enumerate(zip(HINT, HINT[1:])):
        out |= {f"{prefix}pre_hint_blocks.{2 * i}.weight": (b, a, 3, 3), f"{prefix}pre_hint_blocks.{2 * i}.bias": (b,)}
    size = HINT[-1]
    for i, width in enumerate(SKIPS):
        name = f"{prefix}dense_hint_blocks.{i}.1"
        out |= {f"{name}.weight": (width, size, 3, 3), f"{name}.bias": (width,)}
        size = width
    return out


def mlp(weights, prefix, i, x):
    w = sd_layers.Weights(weights, f"{prefix}lsc_identity.{i}.tuner_op.")
    x = x.movedim(1, -1)
    return sd_layers.linear(w, "ln2", F.gelu(sd_layers.linear(w, "ln1", x))).movedim(-1, 1)


def hints(weights, prefix, picture):
    """Of every skip, the deepest first."""
    w, x, out = sd_layers.Weights(weights, prefix), picture.double(), []
    for i in range(len(HINT) - 1):
        x = sd_layers.conv(w, f"pre_hint_blocks.{2 * i}", F.silu(x) if i else x, 2 if i in (2, 4, 6) else 1)
    for i, stride in enumerate(STRIDES):
        x = sd_layers.conv(w, f"dense_hint_blocks.{i}.1", F.silu(x), stride)
        out.append(x)
    return out[::-1]


def scedit(weights, tuner, control, controls, picture, taps):
    all_hints = [hints(weights, f"control.{k}.", picture) for k in range(controls)]

    def edit(i, h, skip):
        change = tuner * mlp(weights, "", i, skip) if tuner else torch.zeros_like(skip)
        for k in range(controls):
            f = all_hints[k][i]
            change = change + control * (f + mlp(weights, f"control.{k}.", i, skip + f))
        taps[f"scedit.{i}.edit"] = change.flatten(1).norm(dim=1) / skip.flatten(1).norm(dim=1)
        return h, skip + change
    return edit


def write_scedit(name, tuner, control, controls, setting):
    shapes = dict(SHAPES) | (mlp_shapes("") if tuner else {})
    for k in range(controls):
        shapes |= control_shapes(f"control.{k}.")
    weights, inputs, taps = sd.half(fixture.draw_all(shapes, 31)), sd.unet_inputs(), {}
    picture = fixture.draw((2, 3, 8 * SIDE, 8 * SIDE), "sd hint").half().double() if controls else None
    edit = scedit(weights, tuner, control, controls, picture, taps)
    output = sd_layers.UNet(weights, GROUPS, HEADS, edit=edit)(inputs["x"], inputs["time"], inputs["context"])
    if controls:
        inputs["hint"] = picture.half()
    fixture.save(name, weights, inputs, {"output": output}, taps=taps, metadata=sd.UNET_METADATA | setting)


def main():
    write_scedit("sd_scedit", 0.7, 0, 0, {"scedit": "0.7,1"})
    write_scedit("sd_scedit_control", 1, 0.5, 2, {"scedit": "1,0.5"})


if __name__ == "__main__":
    main()
