"""The one form of the fixtures that the tests of graph/zoo/systems.tsv read: a reduced network with random weights, what
goes in, and what an independent implementation gives, in one safetensors file.

    import fixture
    fixture.save("switch_transformer", weights, {"x": x}, {"logits": y}, routes={"blocks.1.route": gates},
                 taps={"blocks.1.kept": kept}, metadata={"architecture": "switch-transformer", "num_heads": 2})

writes tests/zoo/fixtures/switch_transformer.safetensors with

    the weights                under the authors' names; float32 or float16, as the reference used them
    input.NAME                 of every input the graph declares (denoisers: x, time, label …); integers as I32
    output.NAME (+ _rest)      f64 as two f32 tensors, value and remainder
    tap.NAME (+ _rest)         the same for taps that are tensors
    route.NAME                 taps that are routes: [rows, targets] weights, NaN where a row does not go to a target
    metadata                   keys get "switchyard." in front; "switchyard.reference_batch" is the samples a builder is asked for

tests/zoo/test_systems.c holds the reference evaluator against it (1e-9 in the relative L2 norm, or metadata
"reference_tolerance", 1e-6 at most), tests/run/test_systems.c every device (1e-5). Write the implementation from the
paper in f64 and plain PyTorch, never from the C code; draw weights with `draw`, whose numbers f32 holds exactly; choose
seeds with `clear_seed` so that no choice between routes is near. A file is small: at most 150 KB.
"""
import json
import math
import os
import struct
import zlib

import torch

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "zoo", "fixtures")
MOST_BYTES = 150_000
DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int32: "I32"}


def split(x):
    """A f64 tensor as two f32 ones: value and what is left."""
    value = x.float()
    return value, (x.double() - value.double()).float()


def draw(shape, seed, scale=1.0):
    """Normal numbers in f64 that f32 holds exactly. The seed is a number or any text, such as the tensor's name."""
    generator = torch.Generator().manual_seed(seed if isinstance(seed, int) else zlib.crc32(seed.encode()))
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * scale).float().double()


def draw_all(shapes, seed):
    """Weights of {name: shape}, every one of a size that matters: matrices by their fan-in, vectors 0.3, and 1 more for
    the weights of norms ("norm" or "ln" in the name)."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in shapes.items():
        scale = 0.3 if len(shape) == 1 else math.prod(shape[1:]) ** -0.5
        value = torch.randn(shape, generator=generator, dtype=torch.float64) * scale
        if len(shape) == 1 and name.endswith("weight") and ("norm" in name or "ln" in name):
            value += 1
        out[name] = value.float().double()
    return out


def clear_seed(make, margin, seeds=range(1, 2000)):
    """make(seed) -> (least distance of a routing decision, anything). The anything of the first seed that is clear."""
    best = 0.0
    for seed in seeds:
        distance, result = make(seed)
        if distance >= margin:
            return result
        best = max(best, distance)
    raise SystemExit(f"fixture.py: no seed gives clear routes: {best:.3g} is the best, {margin:g} was wanted")


def stored(name, value):
    """Weights and inputs, as the file holds them; what f32 cannot hold is the caller's mistake."""
    value = torch.as_tensor(value)
    if value.dtype in (torch.int64, torch.bool):
        value = value.to(torch.int32)
    if value.dtype == torch.float64:
        short = value.float()
        if not torch.equal(short.double(), value):
            raise SystemExit(f"fixture.py: {name} is not exact in f32: round it before the reference uses it")
        value = short
    if value.dtype not in DTYPES:
        raise SystemExit(f"fixture.py: {name} is {value.dtype}")
    return value.reshape(1) if value.ndim == 0 else value


def write(path, tensors, metadata):
    """A safetensors file; written here so that the same values always give the same bytes."""
    header, at = {"__metadata__": metadata}, 0
    for key, value in tensors.items():
        size = value.numel() * value.element_size()
        header[key] = {"dtype": DTYPES[value.dtype], "shape": list(value.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            file.write(value.contiguous().view(torch.uint8).numpy().tobytes())


def save(name, weights, inputs, outputs, routes=None, metadata=None, taps=None, batch=None, folder=FOLDER):
    tensors = {key: stored(key, value) for key, value in weights.items()}
    tensors |= {f"input.{key}": stored(key, value) for key, value in inputs.items()}
    for kind, values in (("output", outputs), ("tap", taps or {})):
        for key, value in values.items():
            value = torch.as_tensor(value)
            if not torch.isfinite(value.double()).all():
                raise SystemExit(f"fixture.py: {name}: {kind} {key} is not finite")
            tensors[f"{kind}.{key}"], tensors[f"{kind}.{key}_rest"] = split(value)
    for key, value in (routes or {}).items():
        if value.ndim != 2:
            raise SystemExit(f"fixture.py: {name}: route {key} is not a matrix of rows by targets")
        tensors[f"route.{key}"] = value.float()
    batch = batch or next(iter(inputs.values())).shape[0]
    told = {f"switchyard.{k}": str(v) for k, v in ((metadata or {}) | {"reference_batch": batch}).items()}
    path = os.path.normpath(os.path.join(folder, name + ".safetensors"))
    write(path, tensors, told)
    size = os.path.getsize(path)
    sizes = ", ".join(f"|{k}| {torch.as_tensor(v).double().square().mean().sqrt():.3g}" for k, v in outputs.items())
    print(f"{name}: {size} bytes, {len(routes or {})} routes, {sizes}")
    if size > MOST_BYTES:
        raise SystemExit(f"fixture.py: {path} has {size} bytes; {MOST_BYTES} are the most. Take a smaller network.")
