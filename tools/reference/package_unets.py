"""Fixtures of U-Nets and of what is done to them, with public packages in f64: EDM's networks (physicsnemo), the original
U-Net (unet), FreeU (diffusers), PLADIS (entmax), SCEdit (scepter). Used by packages.py.

Each function gives {name: (theirs, ours)} of a fixture.
"""
import importlib.machinery
import logging
import sys
import types

import torch

import package_models as m
import sd
from diffusers.models.attention_processor import Attention, AttnProcessor
from diffusers.utils.torch_utils import apply_freeu
from entmax import entmax15

logging.disable(logging.WARNING)  # scepter greets
from scepter.modules.model.tuner.sce.scetuning import CSCTuners  # noqa: E402
from scepter.modules.model.tuner.sce.scetuning_component import SCEAdapter  # noqa: E402
from scepter.modules.utils.config import Config  # noqa: E402
from unet import UNet2D  # noqa: E402


class Unused(types.ModuleType):
    """Stands for timm, which other networks of physicsnemo want, and which wants torchvision: both may be missing."""
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return torch.nn.Identity


class WithoutTimm:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "timm":
            return importlib.machinery.ModuleSpec(name, WithoutTimm, is_package=True)

    @staticmethod
    def create_module(spec):
        return Unused(spec.name)

    @staticmethod
    def exec_module(module):
        pass


sys.meta_path.insert(0, WithoutTimm)
from physicsnemo.diffusion import preconditioners  # noqa: E402
from physicsnemo.models.diffusion_unets import dhariwal_unet, song_unet  # noqa: E402

PRECONDITIONERS = {"edm": preconditioners.EDMPreconditioner, "ve": preconditioners.VEPreconditioner,
                   "vp": preconditioners.VPPreconditioner, "iddpm": preconditioners.IDDPMPreconditioner}


def ends(t, output):
    return {"output": (output, t["output.output"])}


def on_skips(resnets, edit):
    """edit(i, backbone, skip) in front of every block that takes the two joined, the deepest first. The skip's channels
    are what the backbone's leave."""
    for i, (block, width) in enumerate(resnets):
        def change(module, args, i=i, width=width):
            h, skip = edit(i, args[0][:, :width].clone(), args[0][:, width:])
            return torch.cat([h, skip], 1), *args[1:]
        block.register_forward_pre_hook(change)


# ---- EDM ----

def edm(name, song, size, mult, attention=(), classes=0, out=3, head_channels=64, prefix="", tuning=None, precond="edm",
        **more):
    """The package's preconditioning around the package's network gives D; what EDM's own F would have to be is worked
    back from it by the package's coefficients, as our graphs do."""
    t, _ = m.read(name)
    block = dhariwal_unet.UNetBlock

    class Narrow(block):
        """DhariwalUNet has no argument for the width of its heads."""
        def __init__(self, **how):
            super().__init__(**how | {"channels_per_head": head_channels})

    dhariwal_unet.UNetBlock = Narrow
    net = (song_unet.SongUNet if song else dhariwal_unet.DhariwalUNet)(
        size, 3, out, label_dim=classes, model_channels=8, channel_mult=list(mult), num_blocks=1,
        attn_resolutions=list(attention), dropout=0.0, **more)
    dhariwal_unet.UNetBlock = block
    table = {k.removeprefix(prefix): v for k, v in m.weights_of(t).items()}
    for old, new in (("norm2", "attn.norm"), ("qkv", "attn.qkv"), ("proj", "attn.proj")):
        table = {k.replace(f".{old}.", f".{new}."): v for k, v in table.items()}
    m.fill(net, table).train()  # nothing is dropped; outside training its group norm divides the variance by n - 1
    if tuning:
        blocks = [b for k, b in net.dec.items() if "aux" not in k]
        joined = [(b, before.out_channels) for before, b in zip(blocks, blocks[1:]) if b.in_channels > before.out_channels]
        last, each = len(mult) - 1, len(joined) // len(mult)
        on_skips(joined, lambda i, h, skip: (h, skip * (tuning[0] + (tuning[1] - tuning[0]) * (i // each) / last)))
    label = torch.nn.functional.one_hot(t["input.label"].long(), classes).double() if classes else None
    s = (4 * t["input.time"]).exp()[:, None, None, None]
    x = t["input.x"] * (s ** 2 + 0.25).sqrt()
    c_in, c_noise, c_out, c_skip = PRECONDITIONERS[precond](net).compute_coefficients(s)
    d = c_skip * x + c_out * net(c_in * x, c_noise.flatten().to(x.dtype), label)[:, :3]
    _, _, c_out, c_skip = PRECONDITIONERS["edm"](net).compute_coefficients(s)
    return ends(t, (d - c_skip * x) / c_out)


def unet():
    """The package's up-convolution keeps the width, the paper's halves it: the other half is given zeros for weights,
    as is what the next convolution would take of it."""
    t, _ = m.read("unet")
    w = m.weights_of(t)
    width, channels = w["down.0.conv1.weight"].shape[:2]
    levels = sum(k.endswith("up.weight") for k in w)
    net, out = UNet2D(channels, len(w["out.bias"]), num_encoding_blocks=levels + 1, out_channels_first_layer=width), {}

    def convolution(theirs, ours, value=None):
        for kind in ("conv_layer", "block.0"):
            out[f"{theirs}.{kind}.weight"] = w[ours + ".weight"] if value is None else value
            out[f"{theirs}.{kind}.bias"] = w[ours + ".bias"]

    for i in range(levels + 1):
        for k in ("conv1", "conv2"):
            place = f"encoder.encoding_blocks.{i}" if i < levels else "bottom_block"
            convolution(f"{place}.{k}", f"down.{i}.{k}" if i < levels else f"bottom.{k}")
    for i in range(levels):
        ours, theirs = f"up.{levels - 1 - i}", f"decoder.decoding_blocks.{i}"
        up, joined = w[ours + ".up.weight"], w[ours + ".conv1.weight"]
        out[theirs + ".upsample.weight"] = torch.cat([up, torch.zeros_like(up)], 1)
        out[theirs + ".upsample.bias"] = torch.cat([w[ours + ".up.bias"], torch.zeros(up.shape[1])])
        convolution(theirs + ".conv1", ours + ".conv1", torch.cat([joined, torch.zeros_like(joined[:, :up.shape[1]])], 1))
        convolution(theirs + ".conv2", ours + ".conv2")
    convolution("classifier", "out")
    p = m.fill(net, out)(t["input.x"]).softmax(1)
    return {"probabilities": (p, t["output.probabilities"]), "segmentation": (p.argmax(1).double(), t["tap.segmentation"])}


# ---- What is done to U-Nets ----

def up_blocks(net):
    """The residual blocks that take a skip, the deepest first, and the width of what comes from below."""
    below, out = net.mid_block.resnets[-1].out_channels, []
    for level in net.up_blocks:
        for block in level.resnets:
            out.append((block, below))
            below = block.out_channels
    return out


def freeu_levels():
    """FreeU's first version. The second, whose factor follows the structure of the backbone, is in no package."""
    t, told = m.read("freeu_levels")
    b1, b2, s1, s2, _ = map(float, told["freeu"].split(","))
    net = m.adm(m.weights_of(t), True, None, 3, 4)
    each = len(net.up_blocks[0].resnets)
    on_skips(up_blocks(net), lambda i, h, skip: apply_freeu(i // each, h, skip, b1=b1, b2=b2, s1=s1, s2=s2))
    return ends(t, net(t["input.x"], t["input.time"]).sample)


def with_pladis(net, scale, which):
    """scale entmax + (1 - scale) softmax in the place of softmax."""
    for name, module in net.named_modules():
        if isinstance(module, Attention) and which(name):
            module.set_processor(AttnProcessor())
            usual = module.get_attention_scores
            module.seen = {}

            def scores(q, k, mask=None, module=module, usual=usual):
                dense = usual(q, k, mask)
                sparse = entmax15(q @ k.transpose(1, 2) * module.scale, dim=-1)
                mixed = scale * sparse + (1 - scale) * dense
                module.seen = {"dense": dense, "sparse": sparse, "mixed": mixed}
                return mixed
            module.get_attention_scores = scores
    return net


def adm_pladis():
    t, told = m.read("adm_pladis")
    net = with_pladis(m.adm(m.weights_of(t), True, None, 3, 8), float(told["pladis"].split(",")[0]), lambda name: True)
    return ends(t, net(t["input.x"], t["input.time"]).sample)


def sd_pladis():
    t, told = m.read("sd_pladis")
    net = with_pladis(m.sd_unet(m.weights_of(t), sd.HEADS, sd.GROUPS), float(told["pladis"].split(",")[0]),
                      lambda name: name.endswith("attn2"))
    out = ends(t, net(t["input.x"], t["input.time"], t["input.context"]).sample)
    tap = "mid_block.attentions.0.transformer_blocks.0.attn2"
    seen = net.get_submodule(tap).seen
    out |= {k: (v, t[f"tap.{tap}.attention.{k}"]) for k, v in seen.items()}
    words = (seen["sparse"] > 0).double().sum(-1)
    ours = t[f"tap.{tap}.attention.words"]
    return out | {"words": (words.reshape(len(ours), -1, ours.shape[1]).mean(1), ours)}


def controls_of(sizes, widths, halved):
    """The package's control: tuners for skips of these widths. Its encoder of hints has widths in fixed ratios, ours the
    fixture's."""
    tuner = {"NAME": "SCTuner", "TUNER_NAME": "SCEAdapter", "DOWN_RATIO": 0.5}
    module = CSCTuners(Config(load=False, cfg_dict={
        "INPUT_BLOCK_CHANS": widths, "INPUT_DOWN_FLAG": halved, "PRE_HINT_OUT_CHANNELS": sizes[-1],
        "DOWN_RATIO": 0.5, "PRE_HINT_DIM_RATIO": 0.125, "SC_TUNER_CFG": tuner}))
    for i, (inside, out) in enumerate(zip([3] + sizes, sizes)):
        before = module.pre_hint_blocks[2 * i]
        module.pre_hint_blocks[2 * i] = torch.nn.Conv2d(inside, out, before.kernel_size, before.stride, before.padding)
    return module


def scedit(name):
    """The package's tuners on the skips of diffusers' U-Net."""
    t, told = m.read(name)
    w, (tuner, control) = m.weights_of(t), map(float, told["scedit"].split(","))
    own = {k for k in w if k.startswith(("lsc_identity.", "control."))}
    net = m.sd_unet({k: v for k, v in w.items() if k not in own}, sd.HEADS, sd.GROUPS)
    blocks, tuners, controls = up_blocks(net), [], []
    skips = [block.in_channels - below for block, below in blocks]
    for i, width in enumerate(skips if any(k.startswith("lsc") for k in own) else []):
        at = f"lsc_identity.{i}.tuner_op."
        part = {k.removeprefix(at): w[k] for k in own if k.startswith(at)}
        tuners.append(m.fill(SCEAdapter(width, len(part["ln1.bias"])), part))
    hints = []
    while any(k.startswith(f"control.{len(controls)}.") for k in own):
        at = f"control.{len(controls)}."
        part = {k.removeprefix(at).replace("lsc_identity", "lsc_tuner_blocks"): w[k] for k in own if k.startswith(at)}
        sizes = [len(part[k]) for k in sorted(part, key=lambda k: k.split(".")[1].zfill(3))
                 if k.startswith("pre_hint") and k.endswith("bias")]
        module = controls_of(sizes, skips[::-1], [False, False, True, False])
        controls.append(m.fill(module, part))
        hint, seen = module.pre_hint_blocks(t["input.hint"]), []
        for block in module.dense_hint_blocks:
            hint = block(hint)
            seen.append(hint)
        hints.append(seen[::-1])

    def edit(i, h, skip):
        change = tuner * tuners[i](skip, use_shortcut=False) if tuners else 0
        for module, seen in zip(controls, hints):
            change = change + control * module.lsc_tuner_blocks[i](skip + seen[i], x_shortcut=seen[i])
        return h, skip + change

    on_skips(blocks, edit)
    return ends(t, net(t["input.x"], t["input.time"], t["input.context"]).sample)
