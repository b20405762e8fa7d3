#!/usr/bin/env python3
"""Write a checkpoint's averaged weights as a safetensors file (f16) with everything the C side must know.

What: tensors under the authors' names; metadata (all strings) with what shapes do not say, space, objective,
vocabulary, prompts, licence and a one-line card. Works on any checkpoint, also while the training goes on.
Why: the file must be usable alone: words to rows without a second file, and its licence inside.

    python3 tools/train/export.py run/checkpoint.pt models/emoji-promoe.safetensors
"""
import argparse
import json
import os

import torch
from safetensors.torch import save_file

from networks import network_of

LICENCE = ("SIL Open Font License 1.1: trained on the bitmaps of Noto Color Emoji "
           "(Copyright 2013-2017 Google Inc. and contributors; package fonts-noto-color-emoji)")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("checkpoint")
    args.add_argument("out")
    args.add_argument("--type", choices=("f16", "f32"), default="f16")
    args.add_argument("--default-steps", type=int, default=20)
    args.add_argument("--default-guidance", type=float, default=2.0)
    a = args.parse_args()
    kept = torch.load(a.checkpoint, map_location="cpu", weights_only=False)
    config, type_ = kept["config"], {"f16": torch.float16, "f32": torch.float32}[a.type]
    tensors = {k: v.to(type_).contiguous() for k, v in kept["average"].items()}
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise SystemExit(f"export.py: {name} does not fit {a.type}; use --type f32")
    network = network_of(kept)
    card = (f"{network.card()}; {len(kept['names'])} emoji of Noto Color Emoji at {config['size']}x{config['size']}; "
            f"{kept['step']} steps, {kept['images']} images, {kept['used'] / 60:.0f} minutes of one CPU core, "
            f"seed {kept['seed']}")
    told = {
        **network.told(), "image_size": config["size"], "channels": 3, "space": "pixel", "time_scale": 1000,
        "objective": "flow", "vocabulary": json.dumps(kept["vocabulary"]),
        "prompts": json.dumps(kept["names"]), "steps": a.default_steps,
        "guidance": a.default_guidance, "licence": LICENCE, "card": card,
    }
    save_file(tensors, a.out, {f"switchyard.{k}": str(v) for k, v in told.items()})
    os.chmod(a.out, 0o644)
    print(f"{a.out}: {len(tensors)} tensors, {sum(t.numel() for t in tensors.values())} values; {card}")


if __name__ == "__main__":
    main()
