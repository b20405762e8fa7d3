#!/usr/bin/env python3
"""The PyTorch party: eager, f32, on the CPU, as many threads as OMP_NUM_THREADS says.

Convolutions run with channels first and channels last; the faster is timed. The default models are the networks of tools/train
with the weights of the files, a conditional and an unconditional sample at a time, as guidance asks.
"""
import os
import sys

import torch
from torch.nn import functional as F

from party import Gone, repeated, serve


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def conv(height, width, channels, out):
    x, w = noise(0, 1, channels, height, width), noise(1, out, channels, 3, 3) / 16
    calls = []
    for layout in (torch.contiguous_format, torch.channels_last):
        a, b = x.contiguous(memory_format=layout), w.contiguous(memory_format=layout)
        calls.append(lambda a=a, b=b: F.conv2d(a, b, padding=1))
    for call in calls:
        call()
    return min(calls, key=lambda call: min(repeated(call, 3)() for _ in range(3)))


def attention(heads, tokens, channels):
    q, k, v = (noise(i, 1, heads, tokens, channels) for i in range(3))
    return lambda: F.scaled_dot_product_attention(q, k, v)


def grouped(experts, top, m, rows, k):
    scores, x, w = noise(0, rows, experts), noise(1, rows, k), noise(2, experts, k, m) / 16

    def call():
        chosen = scores.topk(top, sorted=False).indices.flatten()
        order = chosen.argsort()
        parts = x[order // top].split(torch.bincount(chosen, minlength=experts).tolist())
        return torch.cat([part @ weight for part, weight in zip(parts, w)])
    return call


def moe(experts, top, rows, width, hidden):
    scores, x = noise(0, rows, experts), noise(1, rows, width)
    up, down = noise(2, experts, width, hidden) / 16, noise(3, experts, hidden, width) / 16

    def call():
        weights, chosen = scores.topk(top, sorted=False)
        order = chosen.flatten().argsort()
        from_row = order // top
        parts = x[from_row].split(torch.bincount(chosen.flatten(), minlength=experts).tolist())
        made = torch.cat([F.gelu(part @ u, approximate="tanh") @ d for part, u, d in zip(parts, up, down)])
        return torch.zeros_like(x).index_add_(0, from_row, made * weights.flatten()[order, None])
    return call


def softmax(rows, length):
    x = noise(0, rows, length)
    return lambda: x.softmax(-1)


def group_norm(height, width, channels, groups):
    x, scale, shift = noise(0, 1, channels, height, width), noise(1, channels) / 16, noise(2, channels) / 16
    return lambda: F.group_norm(x, groups, scale, shift)


def layer_norm(rows, channels):
    x, scale, shift = noise(0, rows, channels), noise(1, channels) / 16, noise(2, channels) / 16
    return lambda: F.layer_norm(x, (channels,), scale, shift)


def matmul(m, n, k):
    a, b = noise(0, m, k), noise(1, k, n)
    return lambda: a @ b


def model_of(path):
    """(network, example inputs) of one of our files: noise at half time, two words and none."""
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "train"))
    from sample import load
    network, vocabulary, _ = load(path)
    bag = torch.zeros(2, len(vocabulary) + 1)
    bag[0, :2], bag[1, -1] = 0.5, 1
    return network, (noise(0, 2, 3, network.size, network.size), torch.full((2,), 0.5), bag)


KINDS = {call.__name__: call for call in (matmul, conv, attention, grouped, moe, softmax, group_norm, layer_norm)}


def make(kind, repeats, numbers):
    if kind == "model":
        network, inputs = model_of(" ".join(numbers))
        network(*inputs)
        return repeated(lambda: network(*inputs), repeats), None
    if kind not in KINDS:
        raise Gone("not written here")
    call = KINDS[kind](*numbers)
    return repeated(call, repeats), float(call().abs().mean())


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    with torch.inference_mode():
        serve(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads", make)
