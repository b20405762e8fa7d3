#!/usr/bin/env python3
"""Write the committed fixtures of tests/zoo: reduced networks with random weights and what they must give.

What: one safetensors file a network: its weights under the authors' names, inputs, the output of networks.py in f64
(kept as two f32 tensors, value and remainder) and the route of every mixture; and one file of sampling trajectories.
Why: the C tests need no Python. Seeds are chosen so that no routing decision is close: the scores between which a
router decides are at least MARGIN apart, far more than f16 storage moves them, so that routes can be compared as sets.

    python3 tools/reference/fixtures.py tests/zoo/fixtures        (torch 2.13.0, numpy)

Tensors beside the weights, all f32: reference.x, reference.time, reference.label (class ids, or word ids with -1),
reference.label_weights (words), reference.output + reference.output_rest, reference.output_exact_weights (f16 files:
the output with weights before rounding), reference.route.N (tokens x experts, NaN where a token does not go).
"""
import json
import math
import os
import struct
import sys

import numpy as np
import torch

import samplers
from networks import Network, shapes

MARGIN = {"dit-moe": 0.02, "promoe": 0.004, "promoe-ec": 0.001}

SIDE, PATCH, WIDTH, HEADS, ROWS = 8, 2, 24, 2, 11
DIT_MOE = dict(hidden=0, experts=5, expert_hidden=40, shared_hidden=28)
PROMOE = dict(hidden=56, experts=4, expert_hidden=32, shared_hidden=44)
COMMON = dict(width=WIDTH, channels=4, channels_out=8, patch=PATCH, rows=ROWS, grid=SIDE // PATCH)
NETWORKS = {
    "dit": dict(architecture="dit", depth=2, hidden=72, **COMMON),
    "sit_no_positions": dict(architecture="dit", depth=1, hidden=72, pos_embed=False, **COMMON),
    "dit_moe": dict(architecture="dit-moe", depth=2, **DIT_MOE, **COMMON),
    "dit_moe_fused": dict(architecture="dit-moe", depth=2, fused=True, qk_norm=True, head_width=WIDTH // HEADS,
                          **DIT_MOE, **COMMON),
    "promoe": dict(architecture="promoe", depth=4, **PROMOE, **COMMON),
    "promoe_norms": dict(architecture="promoe", depth=2, qk_norm=True, head_width=WIDTH // HEADS, **PROMOE, **COMMON),
    "promoe_ec": dict(architecture="promoe-ec", depth=4, **PROMOE, **COMMON),
    "promoe_words": dict(architecture="promoe", depth=2, **PROMOE, **COMMON | dict(channels=3, channels_out=3)),
}
HALF = {"dit_moe_fused", "promoe_words"}  # weights stored in f16
WORDS = "a cat with tears of joy and two red hearts".split()


def random_weights(layout, seed):
    """Every tensor random and of a size that matters, those the authors initialise with zeros among them."""
    draw = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in layout.items():
        fan_in = math.prod(shape[1:])
        scale = 0.3 if len(shape) == 1 else {"y_embedder.embedding_table.weight": 0.5}.get(name, fan_in ** -0.5)
        if name.endswith("gate.weight"):
            scale *= 3
        w = torch.randn(shape, generator=draw, dtype=torch.float64) * scale
        if name.endswith("norm.weight"):
            w += 1
        if name == "pos_embed":
            from networks import position_table
            w = position_table(round(shape[1] ** 0.5), shape[2])
        out[name] = w.float()
    return out


def inputs_of(name, config):
    draw = torch.Generator().manual_seed(7)
    x = torch.randn(3, config["channels"], SIDE, SIDE, generator=draw)
    time = {"dit": [999, 500, 3], "dit_moe": [999, 500, 3], "sit_no_positions": [0.03, 0.5, 1.0],
            "dit_moe_fused": [1.0, 0.62, 0.02]}.get(name, [1000, 996, 4.5])
    label = [3, ROWS - 1, 7]
    if name == "promoe_words":
        label = [[1], [ROWS - 1], [1, 2, 5, 5]] if len(WORDS) == ROWS - 1 else None
    return x, torch.tensor(time, dtype=torch.float32), label


def network_of(name, config, weights):
    eps = 1e-5 if config["architecture"].startswith("promoe") else 1e-6
    return Network({k: v.double() for k, v in weights.items()}, config["architecture"], PATCH, HEADS,
                   top_k=2 if config["architecture"] == "dit-moe" else 1, qk_eps=eps)


def run(name, config, weights):
    x, time, label = inputs_of(name, config)
    net = network_of(name, config, weights)
    return net, net(x.double(), time.double(), label)


def settle(name, config):
    """The first seed whose routing decisions are all clear."""
    layout = shapes(**config)
    for seed in range(1, 4000):
        weights = random_weights(layout, seed)
        rounded = {k: v.half() for k, v in weights.items()} if name in HALF else weights
        net, output = run(name, config, rounded)
        if net.margin >= MARGIN.get(config["architecture"], 0):
            return seed, weights, rounded, net, output
    raise SystemExit(f"fixtures.py: no seed gives {name} clear routes")


def split(x):
    """A f64 tensor as two f32 ones: value and what is left."""
    value = x.float()
    return value, (x - value.double()).float()


def save(path, tensors, metadata):
    """A safetensors file; written here so that the same values always give the same bytes."""
    names, at = {torch.float32: "F32", torch.float16: "F16"}, 0
    header = {"__metadata__": metadata}
    for key, value in tensors.items():
        size = value.numel() * value.itemsize
        header[key] = {"dtype": names[value.dtype], "shape": list(value.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            file.write(value.contiguous().numpy().tobytes())


def write_network(folder, name, config):
    seed, weights, rounded, net, output = settle(name, config)
    x, time, label = inputs_of(name, config)
    told = {"architecture": config["architecture"], "num_heads": HEADS}
    if "sit" in name:
        told |= {"image_size": SIDE, "objective": "flow-reversed"}
    tensors = dict(rounded)
    if name == "promoe_words":
        told |= {"vocabulary": json.dumps(WORDS), "words_per_prompt": 6, "space": "pixel"}
        ids = torch.tensor([y + [-1] * (6 - len(y)) for y in label])
        tensors["reference.label_weights"] = (ids >= 0).float() / (ids >= 0).sum(1, keepdim=True)
        label = ids
    tensors |= {"reference.x": x, "reference.time": time, "reference.label": torch.as_tensor(label).float()}
    tensors["reference.output"], tensors["reference.output_rest"] = split(output)
    if name in HALF:
        tensors["reference.output_exact_weights"] = run(name, config, weights)[1].float()
    for i, gates in net.routes.items():
        tensors[f"reference.route.{i}"] = gates.float()
    path = os.path.join(folder, name + ".safetensors")
    save(path, tensors, {f"switchyard.{k}": str(v) for k, v in told.items()})
    size = output.square().mean().sqrt()
    print(f"{path}: seed {seed}, {os.path.getsize(path)} bytes, margin {net.margin:.2g}, |output| {size:.3g}")
    return weights


def trajectories():
    """Each sampler with outputs of the network that are given numbers, one set an evaluation: the update is linear in
    them, so any numbers do. `states` has the state after every evaluation."""
    rng = np.random.default_rng(11)
    shape, out = (2, 4, 3, 3), {}

    def record(name, sampler, n_calls, channels=4, uses_noise=False, scale=1.0, guided_channels=4):
        x = rng.standard_normal(shape)
        both = rng.standard_normal((2, n_calls, shape[0], channels, *shape[2:])) * 0.8
        z = rng.standard_normal((n_calls, *shape))
        net = lambda _, t, k: samplers.guided(both[0, k], both[1, k], scale, guided_channels)
        states, times = sampler(net, *([lambda k: z[k]] if uses_noise else []), x)
        values = {"x": x, "conditional": both[0], "unconditional": both[1], "states": np.stack(states),
                  "times": np.array(times), "guidance": np.array([scale, guided_channels])}
        if uses_noise:
            values["noise"] = z
        for key, v in values.items():
            out[f"{name}.{key}"], rest = split(torch.from_numpy(np.asarray(v, dtype=np.float64)))
            out[f"{name}.{key}_rest"] = rest

    s = samplers
    record("euler", lambda net, x: s.flow(net, x, 5, 1000.0), 5, scale=1.5)
    record("euler_reversed", lambda net, x: s.flow(net, x, 5, 1.0, reversed_time=True), 5, scale=4.0, guided_channels=3)
    record("heun", lambda net, x: s.flow(net, x, 4, 1.0, heun=True), 7, scale=7.0)
    record("heun_reversed", lambda net, x: s.flow(net, x, 4, 1.0, reversed_time=True, heun=True), 7)
    record("ddpm", lambda net, noise, x: s.ddpm(net, noise, x, s.rounded_steps(6)), 6, 8, True, 4.0, 3)
    record("ddim", lambda net, noise, x: s.ddim(net, noise, x, s.stride_steps(5)), 5, 8, True, 4.0, 3)
    record("ddim_noisy", lambda net, noise, x: s.ddim(net, noise, x, s.rounded_steps(7), 0.6), 7, 8, True, 1.5, 3)
    record("dpm2m", lambda net, x: s.dpm_solver_2m(net, x, s.solver_steps(6)), 6, 8, False, 4.0, 3)
    return out


def closed_loops(weights):
    """Whole sampling with a network of the fixtures and guidance: first noise in, picture out."""
    out = {}

    def record(name, file, sampler, scale, guided_channels, label):
        config = NETWORKS[file]
        draw = torch.Generator().manual_seed(19)
        x = torch.randn(2, config["channels"], SIDE, SIDE, generator=draw).double()
        net = network_of(file, config, weights[file])
        null = [ROWS - 1] * len(label)

        def call(x, t, _):
            x, t = torch.from_numpy(x), torch.full((len(x),), t, dtype=torch.float64)
            both = [net(x, t, y).numpy() for y in (label, null)]
            return samplers.guided(*both, scale, guided_channels)[:, :x.shape[1]]

        states, _ = sampler(call, x.numpy())
        out[f"{name}.x"] = x.float()
        out[f"{name}.label"] = torch.tensor(label).float()
        out[f"{name}.guidance"] = torch.tensor([scale, guided_channels])
        out[f"{name}.picture"], out[f"{name}.picture_rest"] = split(torch.from_numpy(states[-1]))
        print(f"{name}: least distance of a routing decision {net.margin:.2g}")
        return net.margin

    record("loop_dit", "dit", lambda net, x: samplers.ddim(net, None, x, samplers.stride_steps(5)), 4.0, 3, [3, 7])
    margin = record("loop_promoe", "promoe", lambda net, x: samplers.flow(net, x, 4, 1000.0), 1.5, 8, [3, 7])
    if margin < 1e-4:
        raise SystemExit("fixtures.py: a routing decision of loop_promoe is too close; take another seed")
    return out


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    torch.set_num_threads(1)
    weights = {name: write_network(folder, name, config) for name, config in NETWORKS.items()}
    path = os.path.join(folder, "sampling.safetensors")
    save(path, trajectories() | closed_loops(weights), {})
    print(f"{path}: {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
