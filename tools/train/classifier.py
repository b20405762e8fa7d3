#!/usr/bin/env python3
"""Train a small judge: a CNN that names the emoji on a picture.

What: three convolution stages on the artwork, moved, turned, scaled, tinted, blurred and made noisy;
saved with its names. Trained on originals only, never on generated pictures.
Why: measure.py asks it whether generated pictures are still recognisable as what the prompt said.

    python3 tools/train/classifier.py artwork.npz --out judge.pt
"""
import argparse
import json

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def judge(classes):
    def stage(i, o):
        return [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*stage(3, 32), *stage(32, 64), *stage(64, 128), nn.Flatten(),
                         nn.Linear(128 * 16, 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, classes))


def augment(x, generator=None):
    """Small random moves, turns, sizes, tints, blur and noise. Never mirrored: some names mean a side."""
    n = len(x)

    def uniform(low, high, *shape):
        return torch.rand(n, *shape, generator=generator) * (high - low) + low

    turn, size = uniform(-0.12, 0.12), uniform(0.9, 1.12)
    matrix = torch.stack([torch.stack([turn.cos() * size, -turn.sin() * size, uniform(-0.12, 0.12)], 1),
                          torch.stack([turn.sin() * size, turn.cos() * size, uniform(-0.12, 0.12)], 1)], 1)
    grid = F.affine_grid(matrix, x.shape, align_corners=False)
    x = 1 - F.grid_sample(1 - x, grid, align_corners=False)
    x = x * uniform(0.9, 1.1, 3, 1, 1) + uniform(-0.1, 0.1, 3, 1, 1)
    blur = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = x + uniform(0, 0.6, 1, 1, 1) * (blur - x)
    return (x + torch.randn(x.shape, generator=generator) * uniform(0, 0.1, 1, 1, 1)).clamp(-1, 1)


def load_artwork(path):
    file = np.load(path)
    return torch.from_numpy(file["pictures"]).permute(0, 3, 1, 2).float() / 127.5 - 1, json.loads(str(file["names"]))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("artwork")
    args.add_argument("--out", default="judge.pt")
    args.add_argument("--steps", type=int, default=1500)
    args.add_argument("--batch", type=int, default=64)
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--seed", type=int, default=0)
    a = args.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    x, names = load_artwork(a.artwork)
    model = judge(len(names)).train()
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-4)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=a.steps)
    for step in range(1, a.steps + 1):
        chosen = torch.randint(len(x), (a.batch,))
        loss = F.cross_entropy(model(augment(x[chosen])), chosen, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()
        if step % 250 == 0:
            print(f"step {step} loss {loss:.3f}", flush=True)
    torch.save(dict(weights=model.state_dict(), names=names), a.out)


if __name__ == "__main__":
    main()
