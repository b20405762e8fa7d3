#!/usr/bin/env python3
"""Measure generated pictures: are they named right, how near are they to originals, who did the work?

What: takes a folder of PNGs with a JSON list of its prompts (made by `switchyard generate` or sample.py), or
one .npy of pictures (N,S,S,3 uint8). Prints the top-1 and top-5 naming rate of classifier.py's judge against
that of augmented originals, the distance to the nearest original (and how often that is the prompted one),
and the load of the experts from raw routes or a load.json.
Why: the figures in the model's card, from the product itself.

    python3 tools/train/measure.py artwork.npz judge.pt --pictures out --prompts prompts.json
"""
import argparse
import glob
import json
import os
import re
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file

from classifier import augment, judge, load_artwork


def read_pictures(path):
    """(N,3,S,S) in -1..1 from a .npy or from the PNGs of a folder in the order of their numbers."""
    if path.endswith(".npy"):
        made = np.load(path)
    else:
        files = sorted(glob.glob(os.path.join(path, "*.png")),
                       key=lambda f: [int(n) for n in re.findall(r"\d+", os.path.basename(f))])
        if not files:
            sys.exit(f"measure.py: no PNG in {path}")
        made = np.stack([np.asarray(Image.open(f).convert("RGB")) for f in files])
    return torch.from_numpy(made).permute(0, 3, 1, 2).float() / 127.5 - 1


def ranks(model, x, answer):
    """Rank (0 = best) of the right name for every picture."""
    with torch.no_grad():
        score = torch.cat([model(x[k:k + 128]) for k in range(0, len(x), 128)])
    return (score > score.gather(1, answer[:, None])).sum(1)


def line(name, rank):
    return f"{name:22s} top-1 {(rank < 1).float().mean():.3f}   top-5 {(rank < 5).float().mean():.3f}"


def print_load(path, extra):
    """Share of every target of a route: load.json (list per layer) or routes.safetensors of `generate --routes`. The
    last `extra` targets cannot be chosen (ProMoE's unconditional expert) and do not count."""
    if path.endswith(".json"):
        counts = {f"route {k}": np.array(n) for k, n in enumerate(json.load(open(path)))}
    else:
        routes = {k[:-8]: v for k, v in load_file(path).items() if k.endswith(".targets")}
        counts = {k: np.bincount(v) for k, v in routes.items()}
    for name, n in counts.items():
        n = n[:len(n) - extra]
        routed = n / max(1, n.sum())
        dead, entropy = int((routed == 0).sum()), -(routed * np.log(routed.clip(1e-12))).sum() / np.log(len(n))
        print(f"{name}: " + " ".join(f"{q:.3f}" for q in routed) + f"   dead {dead}, evenness {entropy:.3f}")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("artwork")
    args.add_argument("judge")
    args.add_argument("--pictures", required=True, help="folder of PNGs or one .npy")
    args.add_argument("--prompts", help="JSON list, one a picture (default: prompts.json in the folder)")
    args.add_argument("--routes", help="load.json, or routes.safetensors of `switchyard generate --routes`")
    args.add_argument("--extra", type=int, default=0, help="last targets that do not count (ProMoE: 1)")
    args.add_argument("--json", help="also write the figures there")
    a = args.parse_args()
    torch.set_num_threads(1)
    originals, names = load_artwork(a.artwork)
    kept = torch.load(a.judge)
    if kept["names"] != names:
        sys.exit("measure.py: the judge was trained on another set of names; run classifier.py again")
    model = judge(len(names))
    model.load_state_dict(kept["weights"])
    model.eval()
    made = read_pictures(a.pictures)
    prompts = json.load(open(a.prompts or os.path.join(a.pictures, "prompts.json")))
    if len(prompts) != len(made) or set(prompts) - set(names):
        sys.exit(f"measure.py: {len(made)} pictures, {len(prompts)} prompts, "
                 f"not trained on: {sorted(set(prompts) - set(names))[:5]}")
    answer = torch.tensor([names.index(p) for p in prompts])
    moved = augment(originals[answer], torch.Generator().manual_seed(1))
    made_rank, moved_rank = ranks(model, made, answer), ranks(model, moved, answer)
    print(f"{len(made)} pictures")
    print(line("generated", made_rank))
    print(line("augmented originals", moved_rank))
    ratio = float((made_rank < 5).float().mean() / (moved_rank < 5).float().mean())
    print(f"ratio of top-5 {ratio:.3f}")
    distance = torch.cdist(made.flatten(1), originals.flatten(1)) / originals[0].numel() ** 0.5
    nearest, which = distance.min(1)
    among = torch.cdist(originals.flatten(1), originals.flatten(1)) / originals[0].numel() ** 0.5
    among = among.fill_diagonal_(torch.inf).min(1)[0]
    own = distance.gather(1, answer[:, None])[:, 0]
    same = float((which == answer).float().mean())
    print(f"RMS distance (pixels -1..1) to the nearest original: median {nearest.median():.4f}, "
          f"worst {nearest.max():.4f}; to the prompted one: median {own.median():.4f}, worst {own.max():.4f}")
    print(f"nearest original is the prompted one: {same:.3f}; originals among themselves: "
          f"median {among.median():.4f}, least {among.min():.4f}")
    worst = own.argsort(descending=True)[:8].tolist()
    print("farthest from their original: " + ", ".join(f"{prompts[k]} {own[k]:.3f}" for k in worst))
    if a.routes:
        print_load(a.routes, a.extra)
    if a.json:
        json.dump(dict(pictures=len(made), top1=float((made_rank < 1).float().mean()),
                       top5=float((made_rank < 5).float().mean()),
                       originals_top5=float((moved_rank < 5).float().mean()), ratio=ratio, same=same,
                       nearest_median=float(nearest.median()), nearest_worst=float(nearest.max())),
                  open(a.json, "w"), indent=1)


if __name__ == "__main__":
    main()
