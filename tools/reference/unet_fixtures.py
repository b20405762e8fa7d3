#!/usr/bin/env python3
"""Write the fixtures of U-Nets: reduced networks with random weights and what unets.py and its neighbours give.

    python3 tools/reference/unet_fixtures.py [NAME …]      (torch 2.13.0)
"""
import json
import sys

import torch

import conv_unets
import edm_unets
import fixture
import unets

ADM = dict(width=8, mult=(1, 2), blocks=1, attention=(1,), groups=4, channels=3)
WORDS = "a cat with tears of joy and two red hearts".split()
TUNING, FREEU = (0.6, 0.95), (1.3, 1.4, 0.9, 0.2)
ADMS = {
    "adm": dict(ADM, out=6, classes=5, head_channels=8),
    "adm_words": dict(ADM, out=3, classes=len(WORDS) + 1, heads=2, order="new", patch=2),
    "adm_plain": dict(ADM, out=3, heads=1, scale_shift=False, updown=False),
    "skip_tuning": dict(ADM, mult=(1, 1, 1), attention=(), out=3, heads=2, tuning=TUNING),
    "adm_pladis": dict(ADM, out=3, heads=2, pladis=2),
    "freeu": dict(ADM, out=3, heads=2, freeu=FREEU + (2,)),
    "freeu_levels": dict(ADM, mult=(1, 1), attention=(), out=3, heads=2, freeu=FREEU + (1,)),
}
EDM = dict(width=8, blocks=1, channels=3, out=3)
EDMS = {
    "song_unet": dict(EDM, song=True, size=8, mult=(1, 2), attention=(8,), classes=5, prefix="model.", tuning=TUNING),
    "ncsnpp": dict(EDM, song=True, size=8, mult=(1, 1, 1), attention=(), taps=(1, 3, 3, 1), fourier=True,
                   residual=True, precond="ve"),
    "dhariwal_unet": dict(EDM, song=False, size=8, mult=(1, 2), attention=(4,), classes=5, head_channels=8),
    "song_unet_vp": dict(EDM, song=True, size=4, mult=(1,), attention=(), precond="vp"),
    "dhariwal_unet_iddpm": dict(EDM, song=False, size=4, mult=(1,), attention=(), out=6, head_channels=4,
                                precond="iddpm"),
}


def exact(values):
    """f64 of numbers that f32 holds."""
    return torch.tensor(values, dtype=torch.float32).double()


def half(weights):
    """The weights in f16, as the file keeps them, and the f64 that the reference computes with."""
    stored = {k: v.half() for k, v in weights.items()}
    return stored, {k: v.double() for k, v in stored.items()}


def words(prompts, room):
    ids = torch.tensor([p + [-1] * (room - len(p)) for p in prompts])
    weights = (ids >= 0).float() / (ids >= 0).sum(1, keepdim=True)
    return ids, weights.double()


def adm(name):
    config, side = ADMS[name], 8
    stored, w = half(fixture.draw_all(unets.adm_shapes(**config), 3))
    told = {"architecture": "adm", "image_size": side, "norm_groups": config["groups"]}
    told |= {"attention_order": config["order"]} if "order" in config else {}
    told |= {"patch_size": config["patch"], "image_size": 2 * side} if "patch" in config else {}
    told |= {"num_heads": config["heads"]} if "heads" in config else {"num_head_channels": config["head_channels"]}
    told |= {"skip_tuning": ",".join(map(str, config["tuning"]))} if "tuning" in config else {}
    told |= {"freeu": ",".join(map(str, config["freeu"]))} if "freeu" in config else {}
    told |= {"pladis": f"{config['pladis']},1.5"} if "pladis" in config else {}
    net = unets.ADM(w, **{k: v for k, v in config.items() if k not in ("channels", "out", "classes")})
    x = fixture.draw((2, 3, told["image_size"], told["image_size"]), "x")
    inputs, label = {"x": x, "time": exact([731, 3])}, None
    if name == "adm_words":
        label = [[1, 2, 5, 5], [len(WORDS)]]
        ids, weights = words(label, 6)
        inputs |= {"time": exact([1000, 62.5]), "label": ids, "label_weights": weights}
        told |= {"vocabulary": json.dumps(WORDS), "words_per_prompt": 6, "objective": "flow"}
    else:
        label = [[4], [0]] if "classes" in config else None
        inputs["label"] = torch.tensor([4, 0])
    y = net(x, inputs["time"], label)
    fixture.save(name, stored, inputs, {"output": y}, taps=net.taps, metadata=told)


def edm(name):
    config = EDMS[name]
    precond = config.get("precond", "edm")
    weights = fixture.draw_all(edm_unets.edm_shapes(**config), 5)
    for key in weights:
        if key.endswith("resample_filter"):
            weights[key] = edm_unets.outer(config.get("taps", (1, 1)))
    stored, w = half(weights)
    told = {"architecture": "song-unet" if config["song"] else "dhariwal-unet", "precond": precond}
    told |= {} if config["song"] else {"num_head_channels": config["head_channels"]}
    told |= {"skip_tuning": ",".join(map(str, config["tuning"]))} if "tuning" in config else {}
    net = edm_unets.EDM(w, **{k: v for k, v in config.items() if k not in ("channels", "out", "classes", "precond")})
    inputs = {"x": fixture.draw((2, 3, config["size"], config["size"]), "x"), "time": exact([0.3, -0.4])}
    inputs["label"] = torch.tensor([4, 0])
    y = edm_unets.training_output(net, precond, inputs["x"], inputs["time"], [4, 0] if "classes" in config else None)
    fixture.save(name, stored, inputs, {"output": y}, taps=net.taps, metadata=told)


def unet(name):
    x = fixture.draw((2, 1, 44, 44), "x")

    def make(seed):
        w = fixture.draw_all(conv_unets.unet_shapes(1, 4, 2, 3), seed)
        p, taps, margin = conv_unets.unet(w, x, 2)
        return margin, (w, p, taps)

    w, p, taps = fixture.clear_seed(make, 1e-3)
    fixture.save(name, w, {"x": x}, {"probabilities": p}, taps=taps, metadata={"architecture": name, "image_size": 44})


def dic(name):
    config = dict(width=4, depths=(4, 1, 1, 1, 4), channels=4, out=8, rows=6)
    stored, w = half(fixture.draw_all(conv_unets.dic_shapes(**config), 11))
    inputs = {"x": fixture.draw((2, 4, 8, 8), "x"), "time": exact([731, 3]), "label": torch.tensor([5, 2])}
    y, taps = conv_unets.dic(w, inputs["x"], inputs["time"], [5, 2], config["depths"], tuning=TUNING)
    told = {"architecture": name, "image_size": 8, "skip_tuning": ",".join(map(str, TUNING))}
    fixture.save(name, stored, inputs, {"output": y}, taps=taps, metadata=told)


def sid2(name):
    config = dict(width=8, mult=(1, 2, 2), blocks=1, middle=1, channels=3, rows=6, side=16)
    stored, w = half(fixture.draw_all(conv_unets.sid2_shapes(**config), 13))
    inputs = {"x": fixture.draw((2, 3, 16, 16), "x"), "time": exact([731, 3]), "label": torch.tensor([5, 2])}
    y, taps = conv_unets.sid2(w, inputs["x"], inputs["time"], [5, 2], 2, 1, 1, 2, 4, 2)
    fixture.save(name, stored, inputs, {"output": y}, taps=taps,
                 metadata={"architecture": name, "num_heads": 2, "norm_groups": 4})


OTHERS = {"unet": unet, "dic": dic, "sid2": sid2}


def main():
    for name in sys.argv[1:] or [*ADMS, *EDMS, *OTHERS]:
        (adm if name in ADMS else edm if name in EDMS else OTHERS[name])(name)


if __name__ == "__main__":
    main()
