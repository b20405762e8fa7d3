#!/usr/bin/env python3
"""The ncnn party: its layers on Vulkan, f32 storage and arithmetic.

The wheel takes inputs from the host and gives outputs back to it, so a layer alone cannot be timed. A net with one
layer and a net with REPEATS more of it are timed one after the other: the difference is REPEATS layers and nothing else.
"""
import os
import tempfile

import ncnn
import numpy as np

from party import Gone, clock, serve

F32 = b"\0\0\0\0"  # in front of weights that could be stored in other types


def noise(seed, *shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def layer_of(kind, n):
    """(type, parameters, weights as in the file, inputs; the first goes through the chain of layers)."""
    if kind == "matmul":
        m, columns, k = n
        if columns != k:
            raise Gone("only square matmuls can follow one another")
        return "Gemm", f"5=1 6=1 8={columns} 9={k} 10=-1", F32 + noise(1, k, columns).tobytes(), [noise(0, m, k)]
    if kind == "conv":
        height, width, channels, out = n
        weights = noise(1, out, channels, 3, 3) / 16
        return "Convolution", f"0={out} 1=3 4=1 6={weights.size}", F32 + weights.tobytes(), [noise(0, channels, height, width)]
    if kind == "attention":
        heads, tokens, channels = n
        return "SDPA", "", b"", [noise(i, heads, tokens, channels) for i in range(3)]
    if kind == "softmax":
        rows, length = n
        return "Softmax", "0=1 1=1", b"", [noise(0, rows, length)]
    if kind == "group_norm":
        height, width, channels, groups = n
        weights = noise(1, 2, channels) / 16
        return "GroupNorm", f"0={groups} 1={channels} 2=1e-5 3=1", weights.tobytes(), [noise(0, channels, height, width)]
    if kind == "layer_norm":
        rows, channels = n
        weights = noise(1, 2, channels) / 16
        return "LayerNorm", f"0={channels} 1=1e-5 2=1", weights.tobytes(), [noise(0, rows, channels)]
    raise Gone("ncnn has no such layer")


def net_of(kind, n, layers, folder):
    """A chain of so many layers, with the same weights each."""
    type_, parameters, weights, inputs = layer_of(kind, n)
    lines, blobs = [], 0
    for i, _ in enumerate(inputs):
        lines.append(f"Input in{i} 0 1 in{i}")
        blobs += 1
    others = []
    for i in range(1, len(inputs)):  # a blob that several layers read needs a copy of its name for each
        names = [f"in{i}_{k}" for k in range(layers)]
        lines.append(f"Split split{i} 1 {layers} in{i} " + " ".join(names))
        blobs += layers
        others.append(names)
    last = "in0"
    for k in range(layers):
        reads = " ".join([last, *(names[k] for names in others)])
        last = f"out{k}"
        lines.append(f"{type_} layer{k} {1 + len(others)} 1 {reads} {last} {parameters}")
        blobs += 1
    net = ncnn.Net()
    for name in dir(net.opt):
        if name.startswith(("use_fp16", "use_bf16", "use_int8")):
            setattr(net.opt, name, False)
    net.opt.use_vulkan_compute = True
    text = os.path.join(folder, "net.param")
    with open(text, "w") as file:
        file.write("\n".join(["7767517", f"{len(lines)} {blobs}", *lines]) + "\n")
    binary = os.path.join(folder, "net.bin")
    with open(binary, "wb") as file:
        file.write(weights * layers)
    if net.load_param(text) or net.load_model(binary):
        raise Gone(f"ncnn does not take the layer {type_}")
    return net, inputs, last


def run(net, inputs, last):
    with net.create_extractor() as extractor:
        for i, data in enumerate(inputs):
            extractor.input(f"in{i}", ncnn.Mat(data))
        status, out = extractor.extract(last)
    if status:
        raise Gone("ncnn failed to run it")
    return np.array(out)


def make(kind, repeats, n):
    with tempfile.TemporaryDirectory() as folder:
        one, many = net_of(kind, n, 1, folder), net_of(kind, n, 1 + repeats, folder)
    mean = float(np.abs(run(*one)).mean())
    run(*many)

    def seconds():
        at = [clock()]
        for net in (one, many):
            run(*net)
            at.append(clock())
        return (at[2] - at[1] - (at[1] - at[0])) / repeats
    return seconds, mean


if __name__ == "__main__":
    device = ncnn.get_gpu_info(0).device_name() if ncnn.get_gpu_count() else None
    if not device:
        raise SystemExit("ncnn sees no Vulkan device")
    serve(f"ncnn {ncnn.__version__}, {device}", make)
