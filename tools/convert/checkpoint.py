#!/usr/bin/env python3
"""Turn an author's pickled checkpoint of DiT, SiT, DiT-MoE or ProMoE into a safetensors file for Switchyard.

    python3 tools/convert/checkpoint.py DiT-XL-2-256x256.pt dit-xl-2-256.safetensors --dtype f16
    python3 tools/convert/checkpoint.py SiT-XL-2-256x256.pt sit.safetensors --set objective=flow-reversed

What: takes the averaged (EMA) weights where the file has them, strips the prefixes that wrappers leave in names, and
writes them under the authors' names, with the metadata that Switchyard reads (keys in graph/zoo/zoo.h).
Why it is safe: the pickle is read by torch's restricted unpickler (weights_only), which runs no code of the file.
Needs: torch. Works tensor by tensor, so a file may be larger than memory.
"""
import argparse
import json
import math
import os
import struct
import sys

import torch

# Where the weights lie in a checkpoint: averaged ones, and those of the last step.
AVERAGED = ("ema_model_state_dict", "ema")
LAST = ("model_state_dict", "model", "state_dict")
PREFIXES = ("module.", "_orig_mod.")
DTYPES = {"f32": (torch.float32, "F32"), "f16": (torch.float16, "F16"), "bf16": (torch.bfloat16, "BF16")}
# A tensor that only this network has. Expert choice and SiT cannot be told from names: --set says so.
MARKS = (("promoe", "blocks.1.mlp.cluster_centers"), ("dit-moe", "blocks.0.moe.gate.weight"),
         ("dit", "blocks.0.mlp.fc1.weight"))


class Failure(Exception):
    pass


def load(path):
    torch.serialization.add_safe_globals([argparse.Namespace])  # training scripts keep their arguments; plain data
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror or error}")
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise Failure(f"{path} is no PyTorch checkpoint: {str(error).splitlines()[0]}")
        return load_old(path)
    except Exception as error:  # the unpickler's errors have no common class
        raise Failure(f"{path} is no PyTorch checkpoint, or one that wants to run code, which is refused: "
                      f"{str(error).splitlines()[0] if str(error) else type(error).__name__}")


def load_old(path):
    """Files from before PyTorch 1.6 cannot be mapped into memory."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise Failure(f"{path} is no PyTorch checkpoint, or one that wants to run code, which is refused: "
                      f"{str(error).splitlines()[0] if str(error) else type(error).__name__}")


def is_weights(x):
    return isinstance(x, dict) and any(isinstance(v, torch.Tensor) for v in x.values())


def choose(checkpoint, which):
    """(name of the part, its tensors). A flat file is its own part."""
    if not isinstance(checkpoint, dict):
        raise Failure(f"the checkpoint holds a {type(checkpoint).__name__}, not a dictionary of tensors")
    wanted = {"ema": AVERAGED, "model": LAST, "auto": AVERAGED + LAST}[which]
    for key in wanted:
        if is_weights(checkpoint.get(key)):
            return key, checkpoint[key]
    if is_weights(checkpoint) and which != "ema":
        return "the whole file", checkpoint
    keys = ", ".join(map(str, list(checkpoint)[:8]))
    raise Failure(f"no weights found ({' or '.join(wanted)}); the file has: {keys}")


def strip(name):
    while name.startswith(PREFIXES):
        name = name[next(len(p) for p in PREFIXES if name.startswith(p)):]
    return name


def named(weights):
    """Floating-point tensors by their authors' names; the rest (counters) is left out."""
    out = {}
    for key, value in weights.items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            continue
        name = strip(key)
        if name in out:
            raise Failure(f"two tensors are called {name} once prefixes are stripped")
        out[name] = value
    return out


def architecture_of(tensors):
    for name, mark in MARKS:
        if mark in tensors:
            return name
    raise Failure("the tensors are those of none of the networks that Switchyard has (looked for "
                  f"{', '.join(mark for _, mark in MARKS)}); the first ones here are {', '.join(list(tensors)[:4])}")


def metadata_of(tensors, settings):
    told = {"architecture": architecture_of(tensors)}
    for item in settings:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise Failure(f"--set {item}: must be KEY=VALUE, such as objective=flow-reversed")
        told[key] = value
    return {f"switchyard.{key}": value for key, value in told.items()}


def write(path, tensors, metadata, dtype):
    """Header, then one tensor after the other; the file takes its name when it is complete."""
    torch_dtype, name = DTYPES[dtype]
    header, at = {"__metadata__": metadata}, 0
    for key, value in tensors.items():
        size = value.numel() * torch_dtype.itemsize
        header[key] = {"dtype": name, "shape": list(value.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    part = path + ".part"
    try:
        with open(part, "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for key, value in tensors.items():
                stored = value.detach().to(torch_dtype).contiguous()
                if not torch.isfinite(stored).all():
                    raise Failure(f"{key} has values that are not finite in {dtype}; use --dtype f32 or bf16")
                out.write(stored.reshape(-1).view(torch.uint8).numpy().tobytes())
        os.replace(part, path)
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror or error}")
    finally:
        if os.path.exists(part):
            os.remove(part)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("checkpoint", help="the authors' .pt or .pth file")
    args.add_argument("out", help="the .safetensors file to write")
    args.add_argument("--dtype", choices=DTYPES, default="f32", help="how weights are stored (%(default)s)")
    args.add_argument("--which", choices=("auto", "ema", "model"), default="auto",
                      help="averaged weights or those of the last step; auto: averaged if there are any")
    args.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                      help="metadata switchyard.KEY, such as architecture=promoe-ec or objective=flow-reversed (SiT)")
    a = args.parse_args()
    try:
        part, weights = choose(load(a.checkpoint), a.which)
        tensors = named(weights)
        metadata = metadata_of(tensors, a.set)
        write(a.out, tensors, metadata, a.dtype)
    except Failure as failure:
        sys.exit(f"checkpoint.py: {failure}")
    values = sum(math.prod(t.shape) for t in tensors.values())
    network = metadata["switchyard.architecture"]
    print(f"{a.out}: {network} from {part}: {len(tensors)} tensors, {values:,} values, {a.dtype}")


if __name__ == "__main__":
    main()
