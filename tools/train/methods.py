#!/usr/bin/env python3
"""What do methods around a network cost in quality and save in time? A Markdown table, from the product itself.

What: for a model and for each way of running it (settings as `switchyard compare --with` takes them) generates the same prompts with
the same seeds, judges the pictures with classifier.py's judge as measure.py does, and sets the naming rate beside time and operations.
Why: the figures of the README and the cards. Every way runs twice; the second run, with all kernels compiled, is timed.

    python3 tools/train/methods.py artwork.npz judge.pt models/emoji-unet.safetensors --prompts prompts.json --every 5 \\
        --with pladis=2 --with "guidance.steps=4,14"
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import torch

from classifier import judge, load_artwork
from measure import ranks, read_pictures


def generate(args, way, prompts, folder):
    """The result of `switchyard generate --json`, pictures in the folder."""
    command = [args.switchyard, "generate", args.model, "--quiet", "--json", "--out", os.path.join(folder, "x.png")]
    for part in way.split():
        name, value = part.split("=", 1)
        own = name in ("steps", "guidance", "sampler", "eta", "shift")
        command += ["--" + name, value] if own else ["--set", part]
    for prompt in prompts:
        command += ["--prompt", prompt]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"methods.py: {way or 'plain'}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("artwork")
    args.add_argument("judge")
    args.add_argument("model")
    args.add_argument("--prompts", required=True, help="JSON list of names of the artwork")
    args.add_argument("--every", type=int, default=1, help="take every Nth prompt")
    args.add_argument("--with", dest="ways", action="append", default=[], help="settings, spaces between; any number of times")
    args.add_argument("--switchyard", default="build/switchyard")
    a = args.parse_args()
    torch.set_num_threads(1)
    originals, names = load_artwork(a.artwork)
    kept = torch.load(a.judge)
    model = judge(len(names))
    model.load_state_dict(kept["weights"])
    model.eval()
    prompts = json.load(open(a.prompts))[::a.every]
    answer = torch.tensor([names.index(p) for p in prompts])
    print(f"{os.path.basename(a.model)}, {len(prompts)} prompts\n\n| with | top-5 | top-1 | distance | time | work |\n|---|---|---|---|---|---|")
    first = None
    for way in [""] + a.ways:
        with tempfile.TemporaryDirectory() as folder:
            generate(a, way, prompts, folder)
            result = generate(a, way, prompts, folder)
            made = read_pictures(folder)
        rank = ranks(model, made, answer)
        own = (made - originals[answer]).flatten(1).square().mean(1).sqrt()
        first = first or result
        print(f"| {way or 'nothing'} | {(rank < 5).float().mean():.3f} | {(rank < 1).float().mean():.3f} | {own.median():.3f} "
              f"| {result['seconds'] / first['seconds']:.2f} x | {result['flops'] / first['flops']:.2f} x |", flush=True)


if __name__ == "__main__":
    main()
