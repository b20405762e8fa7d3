#!/usr/bin/env python3
"""Shortcut models (arXiv 2410.12557) in plain PyTorch f64.

    python3 tools/reference/shortcut.py        writes shortcut (around.py samples with it)

DiT with a second embedder, fed the base-two logarithm of the number of steps; q, k, v apart; scores over the head width.
"""
import math

import torch

import fixture
from networks import Network, position_table, shapes, silu, time_features

SIDE, PATCH, WIDTH, HEADS, ROWS, DEPTH = 8, 2, 16, 2, 5, 2


class Shortcut(Network):
    log_steps = None  # f64 (N)

    def linear(self, name, x):
        y = super().linear(name, x)
        if name == "t_embedder.mlp.2":  # the two embeddings are added before anything else is done with them
            y = y + super().linear("dt_embedder.mlp.2",
                                   silu(super().linear("dt_embedder.mlp.0", time_features(self.log_steps))))
        return y

    def attend(self, name, u):
        d, out = u.shape[-1] // self.heads, torch.empty_like(u)
        q, k, v = (self.linear(f"{name}.{part}", u) for part in "qkv")
        for n in range(len(u)):
            for h in range(self.heads):
                part = slice(h * d, h * d + d)
                out[n, :, part] = torch.softmax(q[n, :, part] @ k[n, :, part].T / d, -1) @ v[n, :, part]
        return self.linear(name + ".proj", out)


def main():
    torch.set_num_threads(1)
    layout = shapes("dit", DEPTH, WIDTH, 32, 4, 4, PATCH, ROWS, SIDE // PATCH)
    layout |= {k.replace("t_embedder", "dt_embedder"): v for k, v in layout.items() if k.startswith("t_embedder")}
    for i in range(DEPTH):
        for kind, shape in (("weight", (WIDTH, WIDTH)), ("bias", (WIDTH,))):
            del layout[f"blocks.{i}.attn.qkv.{kind}"]
            layout |= {f"blocks.{i}.attn.{part}.{kind}": shape for part in "qkv"}
    weights = fixture.draw_all(layout, 5)
    weights["pos_embed"] = position_table(SIDE // PATCH, WIDTH).float().double()
    weights["y_embedder.embedding_table.weight"] = fixture.draw((ROWS, WIDTH), 6, 0.5)
    net = Shortcut(weights, "dit", PATCH, HEADS)
    x, t = fixture.draw((3, 4, SIDE, SIDE), 7), torch.tensor([0.0, 0.5, 0.9921875]).double()
    net.log_steps, label = torch.tensor([0.0, 3.0, 7.0]).double(), torch.tensor([1, 4, 2])
    fixture.save("shortcut", weights, {"x": x, "time": t, "label": label, "step_size": net.log_steps},
                 {"output": net(x, t, label.tolist())}, {}, {"num_heads": HEADS})


if __name__ == "__main__":
    main()
