"""Checkpoints in every container the authors use, made from the fixtures and converted by tools/convert/checkpoint.py.
Run by test_convert.c, which then loads the results: convert_checkpoint.py SOURCE_DIR OUT_DIR. Exit 77: no torch."""
import argparse
import json
import os
import runpy
import struct
import sys

try:
    import torch
except ImportError:
    print("skipped: no torch")
    sys.exit(77)

source, out = sys.argv[1:3]
converter = os.path.join(source, "tools", "convert", "checkpoint.py")


def fixture(name):
    with open(os.path.join(source, "tests", "zoo", "fixtures", name + ".safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__")
    types = {"F32": torch.float32, "F16": torch.float16}
    return {k: torch.frombuffer(bytearray(data[slice(*v["data_offsets"])]), dtype=types[v["dtype"]]).reshape(v["shape"])
            for k, v in header.items() if not k.startswith("reference.")}


def convert(checkpoint, name, *options):
    """What the command would end with: None, or its message. In this process: importing torch takes seconds."""
    pickle = os.path.join(out, name + ".pt")
    if checkpoint is not None:
        torch.save(checkpoint, pickle)
    sys.argv = [converter, pickle, os.path.join(out, name + ".safetensors"), *options]
    try:
        runpy.run_path(converter, run_name="__main__")
    except SystemExit as end:
        return end.code
    return None


def works(checkpoint, name, *options):
    message = convert(checkpoint, name, *options)
    assert message is None, message
    assert os.path.exists(os.path.join(out, name + ".safetensors"))


def fails(checkpoint, name, says, *options):
    message = convert(checkpoint, name, *options)
    assert isinstance(message, str) and says in message, (name, message)
    assert not [f for f in os.listdir(out) if f.startswith(name + ".safetensors")]


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.path.join(out, "evil"),)


heads = ("--set", "num_heads=2")
dit, moe, promoe = fixture("dit"), fixture("dit_moe"), fixture("promoe")
other = {k: v + 1 for k, v in dit.items()}
works(dit, "dit", *heads)
works({"model": {"module." + k: v for k, v in other.items()}, "ema": dit, "opt": {"step": 3},
       "args": argparse.Namespace(depth=2)}, "dit_training", *heads)
works({"model": {"module." + k: v for k, v in dit.items()}, "ema": other}, "dit_last", "--which", "model", *heads)
works({"ema": {"_orig_mod.module." + k: v for k, v in moe.items()}, "delta": 0.9}, "dit_moe", *heads)
works({"model_state_dict": {k: v + 1 for k, v in promoe.items()}, "step": 500000,
       "ema_model_state_dict": promoe | {"counter": torch.tensor(3)}}, "promoe", *heads)
works(promoe, "promoe_ec", "--set", "architecture=promoe-ec", *heads)
works(moe, "dit_moe_f16", "--dtype", "f16", *heads)
works(moe, "dit_moe_bf16", "--dtype", "bf16", *heads)
torch.save(dit, os.path.join(out, "dit_old.pt"), _use_new_zipfile_serialization=False)
works(None, "dit_old", *heads)

fails([1, 2], "list", "not a dictionary")
fails({"epoch": 3}, "empty", "no weights found")
fails(dit, "no_ema", "no weights found", "--which", "ema")
fails({"conv.weight": torch.ones(2)}, "unknown", "none of the networks")
fails(dit, "bad_set", "KEY=VALUE", "--set", "num_heads")
fails(dit | {"module.pos_embed": dit["pos_embed"]}, "twice", "two tensors")
fails(dit | {"pos_embed": dit["pos_embed"] * 1e9}, "overflow", "not finite", "--dtype", "f16")
fails({"ema": dit, "hook": Evil()}, "evil", "refused")
assert not os.path.exists(os.path.join(out, "evil"))
with open(os.path.join(out, "text.pt"), "w") as file:
    file.write("no checkpoint at all")
fails(None, "text", "no PyTorch checkpoint")
fails(None, "missing", "cannot read")
