#!/usr/bin/env python3
"""Methods around the network once more, in plain PyTorch f64, one picture at a time: guidance in an interval, solvers of
flows, EDM's Heun, AdaptiveDiffusion, region-adaptive sampling, skip and perturbed-attention guidance, Skip-Cache.

    python3 tools/reference/around.py        writes tests/zoo/fixtures/around.safetensors

Each run samples with a network of another fixture (its weights are read from there) from a given first noise; the file
holds the noise, the labels, the pictures and, where the method decides while it runs, what it decided. Written from the
papers and the authors' code (specs in the heads of src/sample), never from the C code. Decisions are clear: the seed of
the noise is the first for which none is near.
"""
import json
import math
import os
import struct

import numpy as np
import torch

import fixture
import samplers
from fixtures import HEADS, PATCH, ROWS, SIDE, save, split
from long_skips import SkipDit
from networks import Network, layer_norm, position_table, silu, time_features
from shortcut import Shortcut

CHANNELS, PICTURES = 4, 2


def weights_of(name):
    """The network's weights in a fixture, f64."""
    with open(os.path.join(fixture.FOLDER, name + ".safetensors"), "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    out = {}
    for key, entry in header.items():
        if key == "__metadata__" or key.split(".")[0] in ("reference", "input", "output", "tap", "route"):
            continue
        begin, end = entry["data_offsets"]
        value = np.frombuffer(data[begin:end], dtype=np.float32).reshape(entry["shape"])
        out[key] = torch.from_numpy(value.copy()).double()
    return out


class Skipping(Network):
    """What DiT does in these methods. One sample a call; `without` are blocks left out, wholly or but for the values;
    `active` (a list of tokens, any order) run against the keys and values in `cache`, and y keeps the other tokens'."""
    without, identity, active, cache, fill = (), False, None, None, False

    def attend(self, name, u):
        joint, width = self.linear(name + ".qkv", u)[0], u.shape[-1]
        q, k, v = joint.split(width, -1)
        if self.identity and int(name.split(".")[1]) in self.without:
            return self.linear(name + ".proj", v)[None]
        if self.active is not None:
            k_all, v_all = (m.clone() for m in self.cache[name])
            k_all[self.active], v_all[self.active] = k, v
            k, v = k_all, v_all
        if self.fill or self.active is not None:
            self.cache[name] = (k, v)
        d, out = width // self.heads, []
        for h in range(self.heads):
            part = slice(h * d, h * d + d)
            out.append(torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(d), -1) @ v[:, part])
        return self.linear(name + ".proj", torch.cat(out, -1))[None]

    def block(self, i, z, c, null):
        return z if i in self.without and not self.identity else super().block(i, z, c, null)

    def tokens_of(self, x):
        """A picture as tokens (p, p, channels): the other way round of `picture`."""
        p, grid = self.patch, x.shape[2] // self.patch
        return torch.stack([x[0, :, r * p:r * p + p, c * p:c * p + p].permute(1, 2, 0).reshape(-1)
                            for r in range(grid) for c in range(grid)])

    def some(self, x, t, label, previous):
        """The output: of the active tokens anew, of the others as in `previous`."""
        embedded = self.w["y_embedder.embedding_table.weight"][[label]]
        c = silu(self.linear("t_embedder.mlp.2", silu(self.linear("t_embedder.mlp.0", time_features(t)))) + embedded)
        z = self.patches(x)
        table = self.w.get("pos_embed")
        z = z + (table if table is not None else position_table(x.shape[2] // self.patch, z.shape[-1]))
        z = self.run_blocks(z[:, self.active], c, [label == self.null], t)
        shift, scale = self.linear("final_layer.adaLN_modulation.1", c)[:, None].chunk(2, -1)
        z = self.linear("final_layer.linear", layer_norm(z) * (1 + scale) + shift)
        out = self.tokens_of(previous)
        out[self.active] = z[0]
        return self.picture(out[None], x.shape[2])


def guided(c, u, scale, channels):
    out = c.clone()
    out[:, :channels] = u[:, :channels] + scale * (c[:, :channels] - u[:, :channels])
    return out


class Run:
    """A network, a label and guidance: velocity or noise of one picture."""

    def __init__(self, network, label, scale=1.0, channels=3):
        self.net, self.label, self.scale, self.channels = network, label, scale, channels

    def __call__(self, x, t, on=True):
        t = torch.tensor([t], dtype=torch.float64)
        c = self.net(x, t, [self.label])[:, :CHANNELS]
        if self.scale == 1 or not on:
            return c
        return guided(c, self.net(x, t, [ROWS - 1])[:, :CHANNELS], self.scale, self.channels)


# Flows. Time runs from 0, noise, to 1, data, and the network gives data - noise (SiT).


def euler(f, x, steps, on=lambda k, sigma: True):
    for k in range(steps):
        x = x + f(x, k / steps, on(k, 1 - k / steps)) / steps
    return x


def midpoint(f, x, steps, on=lambda t: True):
    h = 1 / steps
    for k in range(steps):
        guide = on(k * h)  # one decision for both evaluations of the step
        x = x + h * f(x + h / 2 * f(x, k * h, guide), k * h + h / 2, guide)
    return x


def rk4(f, x, steps):
    h = 1 / steps
    for k in range(steps):
        a = f(x, k * h)
        b = f(x + h / 2 * a, k * h + h / 2)
        c = f(x + h / 2 * b, k * h + h / 2)
        d = f(x + h * c, k * h + h)
        x = x + h / 6 * (a + 2 * b + 2 * c + d)
    return x


def dopri5(f, x, rtol, atol, h):
    """SciPy's RK45, which the main program checks against, with a given first step."""
    rows = [[], [1 / 5], [3 / 40, 9 / 40], [44 / 45, -56 / 15, 32 / 9],
            [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
            [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
            [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84]]
    c = [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1]
    low = [5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40]
    t, first, accepted, rejected, margin = 0.0, f(x, 0.0), [], False, math.inf
    while t < 1:
        h = min(h, 1 - t)
        k = [first]
        for row, at in zip(rows[1:], c[1:]):
            k.append(f(x + h * sum(a * b for a, b in zip(row, k)), t + at * h))
        high = x + h * sum(a * b for a, b in zip(rows[6], k))
        difference = h * sum((a - b) * s for a, b, s in zip(rows[6] + [0], low, k))
        norm = (difference / (atol + rtol * torch.maximum(x.abs(), high.abs()))).square().mean().sqrt().item()
        margin = min(margin, abs(norm - 1))
        accepted.append(norm <= 1)
        factor = 10 if norm == 0 else 0.9 * norm ** -0.2
        if norm <= 1:
            t = 1.0 if t + h > 1 - 1e-9 else t + h
            x, first = high, k[6]
            h *= min(1 if rejected else 10, max(0.2, factor))
        else:
            h *= max(0.2, min(1, factor))
        rejected = norm > 1
    return x, accepted, margin


def edm_heun(f, x, n):
    """Karras et al., algorithm 1 without churn; f is F, sigma_data 1/2."""
    sigma = [(80 ** (1 / 7) + i / (n - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(n)] + [0.0]

    def slope(x, s):
        all_ = s * s + 0.25
        clean = 0.25 / all_ * x + s * 0.5 / math.sqrt(all_) * f(x / math.sqrt(all_), math.log(s) / 4)
        return (x - clean) / s

    for s, then in zip(sigma, sigma[1:]):
        d = slope(x, s)
        euler_point = x + (then - s) * d
        x = euler_point if then == 0 else x + (then - s) * (d + slope(euler_point, then)) / 2
    return x


# Noise predictors: DDIM on the visited times.


def ddim_steps(n):
    bar = samplers.linear_alpha_bar()
    times = samplers.stride_steps(n)[::-1]
    for k, t in enumerate(times):
        yield k, float(t), bar[t], bar[times[k + 1]] if k + 1 < n else 1.0


def ddim(x, eps, a, then):
    return math.sqrt(then) * (x - math.sqrt(1 - a) * eps) / math.sqrt(a) + math.sqrt(1 - then) * eps


def dpm_fast(f, x, n):
    """DPM-Solver++ as U-ViT samples: times 1 … 1/1000 in n equal parts, updates of three calls, the last of fewer. f is
    the noise at a training step, which may lie between two."""
    log_alpha = 0.5 * np.log(samplers.linear_alpha_bar())
    times = np.linspace(1, 1e-3, n + 1)
    orders = [3] * (n // 3 - 1) + [2, 1] if n % 3 == 0 else [3] * (n // 3) + [n % 3]

    def at(t):
        log_a = np.interp(t, np.arange(1, 1001) / 1000, log_alpha)
        alpha, sigma = math.exp(log_a), math.sqrt(1 - math.exp(2 * log_a))
        return alpha, sigma, log_a - math.log(sigma)

    def clean(x, t):
        alpha, sigma, _ = at(t)
        return (x - sigma * f(x, 1000 * t - 1)) / alpha

    i = 0
    for order in orders:
        s, t = times[i], times[i + order]
        (_, sigma_s, lambda_s), (alpha_t, sigma_t, lambda_t) = at(s), at(t)
        h, m = lambda_t - lambda_s, clean(x, s)
        moved = sigma_t / sigma_s * x - alpha_t * math.expm1(-h) * m
        if order > 1:
            alpha_1, sigma_1, lambda_1 = at(times[i + 1])
            r1 = (lambda_1 - lambda_s) / h
            m1 = clean(sigma_1 / sigma_s * x - alpha_1 * math.expm1(-r1 * h) * m, times[i + 1])
        if order == 2:
            moved = moved - 0.5 / r1 * alpha_t * math.expm1(-h) * (m1 - m)
        if order == 3:
            alpha_2, sigma_2, lambda_2 = at(times[i + 2])
            r2 = (lambda_2 - lambda_s) / h
            x2 = sigma_2 / sigma_s * x - alpha_2 * math.expm1(-r2 * h) * m + \
                r2 / r1 * alpha_2 * (math.expm1(-r2 * h) / (r2 * h) + 1) * (m1 - m)
            moved = moved + 1 / r2 * alpha_t * (math.expm1(-h) / h + 1) * (clean(x2, times[i + 2]) - m)
        x, i = moved, i + order
    return x


def adaptive(f, x, n, delta, most):
    """Skips the network where the third difference of the latents is small; what was decided, and how clearly."""
    latents, ran, skips, eps, margin = [x], [], 0, None, math.inf
    run = True
    for k, t, a, then in ddim_steps(n):
        ran.append(run)
        if run:
            eps = f(x, t)
        x = ddim(x, eps, a, then)
        latents.append(x)
        run = True
        if k >= 2:
            d = [latents[-2 - i] - latents[-1 - i] for i in range(3)]
            left, right = ((d[2] + d[0]) / 2 - d[1]).norm().item(), delta * d[1].norm().item()
            margin = min(margin, abs(left / right - 1))
            run = left > right or skips == most
        skips = 0 if run else skips + 1
    return x, ran, margin


def skip_cache(make, x, n, interval, full_to):
    """Skip-Cache: `make(label)` gives a network with a cache of its own; both halves of guidance have one."""
    c_net, u_net, scale, channels, label = make
    count, over, ran = 0, False, []
    for k, t, a, then in ddim_steps(n):
        full = over or count % interval == 0
        ran.append(full)
        outs = []
        for net, y in ((c_net, label), (u_net, ROWS_SKIP - 1)):
            net.cached = None if full else net.cache
            outs.append(net(x, torch.tensor([t], dtype=torch.float64), [y])[:, :CHANNELS])
        x = ddim(x, guided(*outs, scale, channels), a, then)
        count += 1
        over = over or t <= full_to
    return x, ran


ROWS_SKIP = 5  # rows of the label in the fixture skip_dit


def ras(net, x, label, steps, start, resets, ratio, scale=1.0, norm=False, high=1.0, starvation=0.1, backward=False,
        channels=3):
    """Region-adaptive sampling of a flow by Euler's rule. The counter begins at minus the number of noise levels.
    `backward`: the network is fed 1000 (1 - t) and gives the negative velocity (ProMoE)."""
    p, grid = net.patch, x.shape[2] // net.patch
    tokens = grid * grid
    caches, outs, skipped, margin = ({}, {}), [None, None], torch.full((tokens,), -float(steps + 1)), math.inf
    skipped = skipped.double()
    labels = [label, ROWS - 1][:2 if scale != 1 else 1]
    active, history = None, []
    for k in range(steps):
        t = torch.tensor([1000 * (1 - k / steps) if backward else k / steps], dtype=torch.float64)
        partial = k >= start and k not in resets
        for h, y in enumerate(labels):
            net.cache, net.fill = caches[h], k == start - 1 or k in resets
            net.active = active if partial else None
            outs[h] = net.some(x, t, y, outs[h]) if partial else net(x, t, [y])
        net.active, net.fill = None, False
        v = outs[0][:, :CHANNELS]
        if scale != 1:
            v = guided(v, outs[1][:, :CHANNELS], scale, channels)
        v = -v if backward else v
        history.append(sorted(active) if partial else list(range(tokens)))
        metric = ((1 / steps) * v[0]).square().sum(0).sqrt() if norm else ((1 / steps) * v[0]).std(0)
        metric = metric.reshape(grid, p, grid, p).permute(0, 2, 1, 3).reshape(tokens, p * p).mean(1)
        metric = metric * torch.exp(starvation * skipped)
        x = x + v / steps
        if k + 1 < steps and k + 1 >= start and k + 1 not in resets:
            order = torch.argsort(metric)
            out = int((1 - ratio) * tokens)
            low, top = int(out * (1 - high)), int(out * high)
            top = out - low
            active = order[low:tokens - top].tolist()
            ranked = metric[order]
            for cut in (low, tokens - top):
                if 0 < cut < tokens:
                    margin = min(margin, (1 - ranked[cut - 1] / ranked[cut]).item())
            skipped[order[:low]] += 1
            skipped[order[tokens - top:]] += 1
    return x, history, margin


def stg(net, x, n, label, layers, identity, scale, push, rescale=0.0):
    for k, t, a, then in ddim_steps(n):
        time = torch.tensor([t], dtype=torch.float64)
        c, u = (net(x, time, [y])[:, :CHANNELS] for y in (label, ROWS - 1))
        net.without, net.identity = layers, identity
        q = net(x, time, [label])[:, :CHANNELS]
        net.without, net.identity = (), False
        eps = (guided(c, u, scale, 3) if scale != 1 else c) + push * (c - q)
        if rescale:
            eps = eps * (rescale * c.std(correction=0) / eps.std(correction=0) + 1 - rescale)
        x = ddim(x, eps, a, then)
    return x


def main():
    torch.set_num_threads(1)
    out, told = {}, {}

    def noise(seed):
        draw = torch.Generator().manual_seed(seed)
        return torch.randn(PICTURES, CHANNELS, SIDE, SIDE, generator=draw).double()

    def record(name, network, sampler, steps, guidance, settings, label, sample, need=0.0, scale=1.0, objective=None):
        """sample(network, x of one picture, label) -> picture, or (picture, decisions, margin)."""
        kind = {"skip_dit": SkipDit, "shortcut": Shortcut}.get(network, Skipping)
        net = kind(weights_of(network), "promoe" if network == "promoe" else "dit", PATCH, HEADS)
        for seed in range(1, 400):
            x = noise(seed) * scale
            x = x.float().double()
            results = [sample(net, x[n:n + 1], label[n]) for n in range(PICTURES)]
            results = [r if isinstance(r, tuple) else (r, [], math.inf) for r in results]
            margin = min(r[2] for r in results)
            if margin >= need:
                break
        out[name + ".x"] = x.float()
        out[name + ".label"] = torch.tensor(label).float()
        out[name + ".picture"], out[name + ".picture_rest"] = split(torch.cat([r[0] for r in results]))
        longest = max(len(r[1]) for r in results)
        if longest:
            flat = [[float(v) for v in r[1]] + [-1.0] * (longest - len(r[1])) for r in results]
            out[name + ".decided"] = torch.tensor(flat)
        told[name] = json.dumps(dict(network=network, sampler=sampler, steps=steps, guidance=guidance,
                                     settings=settings, objective=objective))
        print(f"{name}: seed {seed}, margin {margin:.2g}, decided {[sum(r[1]) for r in results]} of {longest}")

    two = [3, 7]
    within = lambda low, high: lambda k, sigma: low < sigma <= high
    record("interval_sigma", "sit_no_positions", "euler", 6, 3.0, {"guidance.sigma": "0.3,0.7"}, two,
           lambda net, x, y: euler(Run(net, y, 3.0), x, 6, within(0.3, 0.7)))

    record("interval_time", "sit_no_positions", "midpoint", 4, 3.0, {"guidance.time": "0.2,0.5"}, two,
           lambda net, x, y: midpoint(Run(net, y, 3.0), x, 4, lambda t: 0.2 < t <= 0.5))

    def ddim_interval(net, x, y):
        f = Run(net, y, 4.0)
        for k, t, a, then in ddim_steps(5):
            x = ddim(x, f(x, t, 1 <= k <= 3), a, then)
        return x

    record("interval_steps", "dit", "ddim", 5, 4.0, {"guidance.steps": "1,3"}, two, ddim_interval)
    record("midpoint", "sit_no_positions", "midpoint", 3, 1.0, {}, two, lambda net, x, y: midpoint(Run(net, y), x, 3))
    record("rk4", "sit_no_positions", "rk4", 2, 2.0, {}, two, lambda net, x, y: rk4(Run(net, y, 2.0), x, 2))

    def check_dopri5(net, x, y):
        from scipy.integrate import solve_ivp
        picture, accepted, margin = dopri5(Run(net, y), x, 1e-4, 1e-5, 0.5)
        f = Run(net, y)
        ours = picture.numpy().ravel()
        theirs = solve_ivp(lambda t, z: f(torch.from_numpy(z).reshape(x.shape), t).numpy().ravel(), (0, 1),
                           x.numpy().ravel(), method="RK45", rtol=1e-4, atol=1e-5, first_step=0.5)
        assert np.allclose(ours, theirs.y[:, -1], rtol=1e-9), "dopri5 is not SciPy's RK45"
        return picture, accepted, margin

    record("dopri5", "sit_no_positions", "dopri5", 30, 1.0,
           {"flow.rtol": "1e-4", "flow.atol": "1e-5", "flow.first": "0.5"}, two, check_dopri5, need=0.02)
    record("edm", "sit_no_positions", "heun", 4, 2.0, {}, two, lambda net, x, y: edm_heun(Run(net, y, 2.0), x, 4),
           scale=80.0, objective="edm")
    record("dpm_fast", "dit", "dpm++fast", 6, 1.0, {}, two, lambda net, x, y: dpm_fast(Run(net, y), x, 6))
    record("dpm_fast_guided", "dit", "dpm++fast", 5, 2.0, {}, two, lambda net, x, y: dpm_fast(Run(net, y, 2.0), x, 5))
    record("adaptive", "dit", "ddim", 12, 1.0, {"adaptive.threshold": "0.18", "adaptive.most": "2"}, two,
           lambda net, x, y: adaptive(Run(net, y), x, 12, 0.18, 2), need=0.01)

    def of_ras(**wishes):
        def sample(net, x, y):
            picture, history, margin = ras(net, x, y, **wishes)
            tokens = (SIDE // PATCH) ** 2
            return picture, [i in h for h in history for i in range(tokens)], margin
        return sample

    record("ras", "sit_no_positions", "euler", 8, 1.0,
           {"ras.ratio": "0.5", "ras.start": "2", "ras.resets": "5"}, two,
           of_ras(steps=8, start=2, resets=[5], ratio=0.5), need=1e-3)
    record("ras_turned", "sit_no_positions", "euler", 6, 2.0,
           {"ras.ratio": "0.4", "ras.start": "1", "ras.resets": "4", "ras.metric": "norm", "ras.high": "0.5",
            "ras.starvation": "-0.5"}, two,
           of_ras(steps=6, start=1, resets=[4], ratio=0.4, scale=2.0, norm=True, high=0.5, starvation=-0.5), need=1e-3)
    def of_promoe(net, x, y):
        net.margin = math.inf
        picture, decided, margin = of_ras(steps=4, start=1, resets=[], ratio=0.5, scale=1.5, backward=True,
                                          channels=4)(net, x, y)
        return picture, decided, min(margin, 10 * net.margin)

    record("ras_promoe", "promoe", "euler", 4, 1.5, {"ras.ratio": "0.5", "ras.start": "1", "ras.resets": "0"}, two,
           of_promoe, need=1e-3)
    record("stg_residual", "dit", "ddim", 4, 4.0, {"stg.layers": "1", "stg.scale": "0.8"}, two,
           lambda net, x, y: stg(net, x, 4, y, (1,), False, 4.0, 0.8))
    record("stg_attention", "dit", "ddim", 4, 1.0,
           {"stg.layers": "0,1", "stg.scale": "2", "stg.mode": "attention", "guidance.rescale": "0.7"}, two,
           lambda net, x, y: stg(net, x, 4, y, (0, 1), True, 1.0, 2.0, 0.7))

    def cached(net, x, y):
        halves = [SkipDit(net.w, "dit", PATCH, HEADS) for _ in range(2)]
        picture, ran = skip_cache((*halves, 3.0, 3, y), x, 8, 3, 300)
        return picture, ran, math.inf

    record("skip_cache", "skip_dit", "ddim", 8, 3.0,
           {"skip-cache.interval": "3", "skip-cache.branch": "1", "skip-cache.full-to": "300"}, [1, 3], cached)

    def shortcut(net, x, y):
        net.log_steps = torch.tensor([2.0], dtype=torch.float64)  # four steps
        return euler(Run(net, y), x, 4)

    record("shortcut", "shortcut", "euler", 4, 1.0, {}, [1, 3], shortcut)

    path = os.path.join(fixture.FOLDER, "around.safetensors")
    save(path, out, told)
    print(path, os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
