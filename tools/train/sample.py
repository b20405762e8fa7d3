#!/usr/bin/env python3
"""Make pictures with PyTorch: a contact sheet to look at, or a folder of PNGs to measure.

What: loads the safetensors of export.py (or a checkpoint of train.py), samples prompts by Euler with
guidance, writes one sheet and, on demand, single PNGs with prompts.json and the load of the experts.
Why: a loss says little; look at the pictures. The product's own pictures come from `switchyard generate`.

    python3 tools/train/sample.py models/emoji-promoe.safetensors --sheet sheet.png
"""
import argparse
import json
import os

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open

from artwork import sheet, words_of
from networks import ARCHITECTURES, network_of
from promoe import bag_of, sample


def load(path):
    """(model, vocabulary, prompts) from a safetensors file or a checkpoint."""
    if path.endswith(".safetensors"):
        with safe_open(path, "pt") as file:
            told = {k.removeprefix("switchyard."): v for k, v in file.metadata().items()}
            weights = {k: file.get_tensor(k).float() for k in file.keys()}
        vocabulary, names = (json.loads(told[k]) for k in ("vocabulary", "prompts"))
        network = ARCHITECTURES[told["architecture"]]
        model = network(len(vocabulary), size=int(told["image_size"]), **network.numbers_of(weights, told))
    else:
        kept = torch.load(path, weights_only=False)
        weights, vocabulary, names = kept["average"], kept["vocabulary"], kept["names"]
        model = network_of(kept)
    model.load_state_dict(weights)
    return model.eval(), vocabulary, names


def to_bytes(x):
    return (x * 127.5 + 128).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("model")
    args.add_argument("--prompts", help="JSON list, or prompts divided by ';' (default: those trained on)")
    args.add_argument("--count", type=int, help="take so many of the prompts, evenly spread")
    args.add_argument("--list", help="only write the prompts chosen to this JSON file")
    args.add_argument("--steps", type=int, default=20)
    args.add_argument("--guidance", type=float, default=2.0)
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--sheet", help="PNG with all pictures")
    args.add_argument("--folder", help="folder for single PNGs, prompts.json and load.json")
    a = args.parse_args()
    torch.set_num_threads(a.threads)
    model, vocabulary, prompts = load(a.model)
    if a.prompts:
        prompts = json.load(open(a.prompts)) if os.path.exists(a.prompts) else \
            [p.strip() for p in a.prompts.split(";")]
    if a.count:
        prompts = [prompts[k] for k in np.linspace(0, len(prompts) - 1, a.count).round().astype(int)]
    if a.list:
        json.dump(prompts, open(a.list, "w"))
        return
    noise = torch.randn(len(prompts), 3, model.size, model.size, generator=torch.Generator().manual_seed(a.seed))
    loads = [torch.zeros(targets, dtype=torch.long) for _, targets in model.routers()]

    def count(k):
        def hook(module, *_):
            chosen = module.route[0] if isinstance(module.route, tuple) else module.route
            loads[k].add_(chosen.flatten().bincount(minlength=len(loads[k])))
        return hook

    for k, (module, _) in enumerate(model.routers()):
        module.register_forward_hook(count(k))
    made = []
    for k in range(0, len(prompts), 32):
        bags = torch.stack([bag_of(words_of(p), vocabulary) for p in prompts[k:k + 32]])
        made.append(to_bytes(sample(model, bags, a.steps, a.guidance, noise=noise[k:k + 32])))
    made = np.concatenate(made)
    if a.sheet:
        sheet(made).save(a.sheet)
    if a.folder:
        os.makedirs(a.folder, exist_ok=True)
        for k, picture in enumerate(made):
            Image.fromarray(picture).save(os.path.join(a.folder, f"{k:04d}.png"))
        json.dump(prompts, open(os.path.join(a.folder, "prompts.json"), "w"))
        json.dump([n.tolist() for n in loads], open(os.path.join(a.folder, "load.json"), "w"))
    for k, n in enumerate(loads):
        print(f"route {k}: " + " ".join(f"{q:.3f}" for q in (n / n.sum()).tolist()))


if __name__ == "__main__":
    main()
