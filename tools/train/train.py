#!/usr/bin/env python3
"""Train a default model on the artwork: rectified flow, words as prompts, one CPU core is enough.

What: AdamW (or Muon for the matrices) on v = noise - data, plus the routing contrastive loss where the network is
a mixture of experts, an average of the weights (EMA), and checkpoints that resume where they stopped (weights, average, optimiser, random states, time used).
Why: the learning rate follows a budget of minutes (--minutes) or of steps (--steps), so that a run on any
machine ends decayed; export.py can turn every checkpoint into a usable file on the way.

    python3 tools/train/train.py artwork.npz --network promoe --out run --minutes 115
"""
import argparse
import json
import math
import os
import time

import numpy as np
import torch

from artwork import words_of
from muon import Muon, divided
from networks import NETWORKS


class Data:
    """Random batches: pictures (sometimes moved by a pixel) and bags of words (sometimes incomplete)."""

    def __init__(self, path, shift=0.2, thin=0.25, drop=0.1):
        file = np.load(path)
        self.names, self.vocabulary = json.loads(str(file["names"])), json.loads(str(file["vocabulary"]))
        pictures = torch.from_numpy(file["pictures"]).permute(0, 3, 1, 2).float() / 127.5 - 1
        self.side = pictures.shape[-1]
        self.padded = torch.nn.functional.pad(pictures, (1, 1, 1, 1), value=1.0)
        self.words = [[self.vocabulary.index(w) for w in words_of(n)] for n in self.names]
        self.shift, self.thin, self.drop = shift, thin, drop
        self.order = torch.empty(0, dtype=torch.long)

    def bag(self, words):
        bag = torch.zeros(len(self.vocabulary) + 1)
        if torch.rand(()) < self.drop:
            bag[-1] = 1
            return bag
        if torch.rand(()) < self.thin:
            kept = [w for w in words if torch.rand(()) < 0.6]
            words = kept or [words[int(torch.randint(len(words), ()))]]
        for w in words:
            bag[w] += 1 / len(words)
        return bag

    def batch(self, size):
        while len(self.order) < size:
            self.order = torch.cat([self.order, torch.randperm(len(self.names))])
        chosen, self.order = self.order[:size], self.order[size:]
        moved = torch.randint(0, 3, (size, 2))
        moved[torch.rand(size) >= self.shift] = 1
        x = torch.stack([self.padded[k, :, dy:dy + self.side, dx:dx + self.side]
                         for k, (dy, dx) in zip(chosen.tolist(), moved.tolist())])
        return x, torch.stack([self.bag(self.words[k]) for k in chosen.tolist()])


def sigmas(size):
    """Logit-normal times, a fifth of them uniform so that both ends are learnt."""
    normal, uniform = torch.sigmoid(torch.randn(size)), torch.rand(size)
    return torch.where(torch.rand(size) < 0.2, uniform, normal)


def rate(progress, step, peak, warm=200, hold=0.4):
    """Warm up, hold, then a cosine down to a hundredth."""
    fall = max(0.0, min(1.0, (progress - hold) / (1 - hold)))
    return peak * min(1.0, (step + 1) / warm) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * fall)))


@torch.no_grad()
def reseat(mixtures, optimiser, loads, least=0.1):
    """Give each starved expert the direction of a random token, so that no expert stays dead."""
    moved = 0
    for mixture, load in zip(mixtures, loads):
        share = load[:mixture.routed] / max(1, load[:mixture.routed].sum())
        for j in (share < least / mixture.routed).nonzero().flatten().tolist():
            token = mixture.seen[int(torch.randint(len(mixture.seen), ()))].float()
            centre = mixture.cluster_centers
            centre[j] = token / token.norm() * centre[j].norm()
            for key in ("exp_avg", "exp_avg_sq"):
                optimiser.state[centre][key][j] = 0
            moved += 1
    return moved


def save(path, **state):
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("artwork", help="the .npz of artwork.py")
    args.add_argument("--network", choices=sorted(NETWORKS), default="promoe")
    args.add_argument("--out", default="run", help="folder of checkpoint and log (%(default)s); resumed if there")
    args.add_argument("--minutes", type=float, default=115, help="budget of the schedule (%(default)s)")
    args.add_argument("--steps", type=int, help="let the schedule follow steps in place of minutes")
    args.add_argument("--batch", type=int, default=64)
    args.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate (%(default)s)")
    args.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER",
                      help="numbers of the network in place of its own: width=128 depth=8 heads=4")
    args.add_argument("--muon", type=float, default=0,
                      help="learning rate of Muon for the inner matrices (default: AdamW for everything)")
    args.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="(%(default)s)")
    args.add_argument("--contrast", type=float, default=1.0, help="weight of the routing contrastive loss")
    args.add_argument("--decay", type=float, default=0.9992, help="decay of the weight average (%(default)s)")
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--plain", action="store_true", help="f32, not compiled")
    args.add_argument("--keep", type=float, default=4, help="minutes between checkpoints (%(default)s)")
    a = args.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    os.makedirs(a.out, exist_ok=True)
    data = Data(a.artwork)
    numbers = {k: int(v) for k, v in (pair.split("=") for pair in a.set)}
    model = NETWORKS[a.network](len(data.vocabulary), size=data.side, **numbers)
    model.to(a.device, memory_format=torch.channels_last)
    mixtures = model.mixtures() if hasattr(model, "mixtures") else []
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    learnt = [p for p in model.parameters() if p.requires_grad]
    matrices, others = divided(model) if a.muon else ([], learnt)
    optimiser = torch.optim.AdamW(others, a.rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    optimisers, peaks = [optimiser], [a.rate]
    if matrices:
        optimisers, peaks = [optimiser, Muon(matrices, a.muon)], [a.rate, a.muon]
    step, used, images, file = 0, 0.0, 0, os.path.join(a.out, "checkpoint.pt")
    loads, sums, since = [0] * len(mixtures), torch.zeros(3), 0
    if os.path.exists(file):
        kept = torch.load(file, map_location=a.device, weights_only=False)
        model.load_state_dict(kept["model"])
        average = kept["average"]
        for each, state in zip(optimisers, kept["optimisers"]):
            each.load_state_dict(state)
        torch.set_rng_state(kept["random"].cpu())
        data.order, step, used, images = kept["order"], kept["step"], kept["used"], kept["images"]
        if "loads" in kept:
            loads, sums, since = kept["loads"], kept["sums"], kept["since"]
        print(f"resumed at step {step}, {used / 60:.1f} minutes used", flush=True)
    log = open(os.path.join(a.out, "log.jsonl"), "a", buffering=1)
    run = model if a.plain else torch.compile(model, dynamic=False)
    model.train()
    kept_at, before, period = used, time.monotonic(), 100

    def keep():
        save(file, model=model.state_dict(), average=average, optimisers=[each.state_dict() for each in optimisers],
             random=torch.get_rng_state(), order=data.order, step=step, used=used, images=images,
             loads=loads, sums=sums, since=since,
             network=a.network, config=model.config, names=data.names, vocabulary=data.vocabulary, seed=a.seed)

    while (progress := step / a.steps if a.steps else used / 60 / a.minutes) < 1:
        for each, peak in zip(optimisers, peaks):
            for group in each.param_groups:
                group["lr"] = rate(progress, step, peak)
        x, bag = data.batch(a.batch)
        noise, sigma = torch.randn_like(x), sigmas(len(x))
        x, bag, noise, sigma = (t.to(a.device) for t in (x, bag, noise, sigma))
        s = sigma[:, None, None, None]
        with torch.autocast(a.device, torch.bfloat16, enabled=not a.plain):
            v = run((1 - s) * x + s * noise, sigma, bag)
        flow = (v - (noise - x)).square().mean()
        contrast = sum((m.contrast for m in mixtures), flow.new_zeros(())) / max(1, len(mixtures))
        (flow + a.contrast * contrast).backward()
        norm = torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        for each in optimisers:
            each.step()
            each.zero_grad()
        step, images, since = step + 1, images + len(x), since + 1
        d = min(a.decay, (1 + step) / (10 + step))
        state = [(average[k], v) for k, v in model.state_dict().items()]
        torch._foreach_lerp_([e for e, _ in state], [w for _, w in state], 1 - d)
        sums += torch.stack([flow.detach(), contrast.detach(), norm]).cpu()
        loads = [n + m.route[0].bincount(minlength=m.routed + 1) for n, m in zip(loads, mixtures)]
        used, before = used + time.monotonic() - before, time.monotonic()
        if step % period == 0:
            moved = reseat(mixtures, optimiser, loads) if progress < 0.5 else 0
            mean, share = (sums / since).tolist(), [(n[:-1] / n[:-1].sum()).tolist() for n in loads]
            row = dict(step=step, images=images, minutes=used / 60, flow=mean[0], contrast=mean[1], norm=mean[2],
                       rate=optimiser.param_groups[0]["lr"], load=share, reseated=moved)
            log.write(json.dumps(row) + "\n")
            left = used / progress - used if progress else 0
            print(f"step {step} images {images} flow {mean[0]:.4f} contrast {mean[1]:.3f} norm {mean[2]:.2f} "
                  f"{images / used:.0f} img/s rate {row['rate']:.2e} load "
                  + " ".join(f"{min(q):.3f}-{max(q):.3f}" for q in share)
                  + f" reseated {moved}, {left / 60:.0f} min left", flush=True)
            loads, sums, since = [0] * len(loads), torch.zeros(3), 0
        if used - kept_at > 60 * a.keep:
            kept_at = used
            keep()
    keep()
    print(f"done: {step} steps, {images} images, {used / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
