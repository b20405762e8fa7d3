#!/usr/bin/env python3
"""DiTs that do something around their blocks: DTR, Switch-DiT, TREAD; from the papers and what the authors' code does.

    python3 tools/reference/dit_variants.py        writes dtr, switch_dit, tread, tread_routed

The shell is that of networks.py; what is around the blocks is written here, one sample and one token at a time.
"""
import math

import torch

import fixture
from networks import Network, position_table, shapes, silu, time_features

SIDE, PATCH, WIDTH, HEADS, ROWS, DEPTH = 8, 2, 24, 2, 5, 2
LAYOUT = dict(architecture="dit", depth=DEPTH, width=WIDTH, hidden=32, channels=4, channels_out=8, patch=PATCH,
              rows=ROWS, grid=SIDE // PATCH)


class Dtr(Network):
    """arXiv 2310.07138: a block sees `wide` channels from `start` on; the others are zero to it and pass unchanged."""

    def run_blocks(self, z, c, null, t):
        wide = int(WIDTH * 0.8)
        masks = torch.zeros(len(t), WIDTH, dtype=z.dtype)
        for n, step in enumerate(t.tolist()):
            start = round((step / 999) ** 4 * (WIDTH - wide))
            masks[n, start:start + wide] = 1
        self.masks = masks
        m = masks[:, None]
        for i in range(self.depth):
            z = self.block(i, m * z, c, null) + (1 - m) * z
        return z


class SwitchDit(Network):
    """arXiv 2403.09176: two of three linear experts, chosen by the time's embedding, make the mask of the block's input."""

    def run_blocks(self, z, c, null, t):
        embedding = self.linear("t_embedder.mlp.2", silu(self.linear("t_embedder.mlp.0", time_features(t))))
        n, tokens, _ = z.shape
        for i in range(self.depth):
            logits = self.linear(f"routers.{i}.f_gate.1", silu(embedding))
            p = torch.softmax(logits, -1)
            w, b = self.w[f"routers.{i}.experts.w"], self.w[f"routers.{i}.experts.b"]
            m = torch.ones_like(z)
            gates = torch.full((n, tokens, len(w)), math.nan, dtype=z.dtype)
            for s in range(n):
                for e in self.choose(logits[s], 2):
                    m[s] += p[s, e] * (z[s] @ w[e] + b[e])
                    gates[s, :, e] = p[s, e]
            self.routes[i] = gates.reshape(n * tokens, -1)
            z = self.block(i, m * z, c, null) + (1 - m) * z
        return z


def philox(counter, key):
    """Philox4x32-10, Salmon et al. 2011."""
    c, k, word = list(counter), list(key), 0xFFFFFFFF
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & word, (a >> 32) ^ c[3] ^ k[1], a & word]
        k = [(k[0] + 0x9E3779B9) & word, (k[1] + 0xBB67AE85) & word]
    return c


def normals(seed, stream, count):
    """Box-Muller on uniform numbers of 23 bits, as ops.def says of random_normal; step 0."""
    out = []
    for i in range(0, count, 4):
        u = [((w >> 9) + 0.5) * 2.0 ** -23 for w in philox((i // 4, 0, 0, 0), (seed, stream))]
        for a, b in ((u[0], u[1]), (u[2], u[3])):
            out += [math.sqrt(-2 * math.log(a)) * f(2 * math.pi * b) for f in (math.cos, math.sin)]
    return out[:count]


class Tread(Network):
    """arXiv 2501.04765: from block `start` to block `end` some tokens stay behind; route None: a plain DiT."""
    route = None

    def run_blocks(self, z, c, null, t):
        if not self.route:
            return super().run_blocks(z, c, null, t)
        ratio, start, end = self.route
        n, tokens, _ = z.shape
        kept = []
        for s in range(n):
            score = torch.tensor(normals(s, 0x7EAD, tokens), dtype=torch.float64)
            kept.append(sorted(self.choose(score, tokens - int(tokens * ratio))))
        gates = torch.full((n * tokens, 1), math.nan, dtype=z.dtype)
        for s, chosen in enumerate(kept):
            for token in chosen:
                gates[s * tokens + token] = normals(s, 0x7EAD, tokens)[token]
        for i in range(self.depth):
            if start <= i <= end:
                self.routes[i] = gates
                part = torch.stack([z[s, kept[s]] for s in range(n)])
                part = self.block(i, part, c, null)
                z = z.clone()
                for s in range(n):
                    z[s, kept[s]] = part[s]
            else:
                z = self.block(i, z, c, null)
        return z


def write(name, network, extra, times, metadata, margin=0.0, taps=lambda net: {}):
    layout = shapes(**LAYOUT) | extra

    def attempt(seed):
        weights = fixture.draw_all(layout, seed)
        weights["pos_embed"] = position_table(SIDE // PATCH, WIDTH).float().double()
        weights["y_embedder.embedding_table.weight"] = fixture.draw((ROWS, WIDTH), seed + 1, 0.5)
        net = network(weights, "dit", PATCH, HEADS)
        x = fixture.draw((len(times), 4, SIDE, SIDE), 7)
        t = torch.tensor(times).double()
        label = torch.arange(len(times)) * 2 % ROWS
        output = net(x, t, label.tolist())
        return net.margin, (weights, net, {"x": x, "time": t, "label": label}, output)

    weights, net, inputs, output = fixture.clear_seed(attempt, margin)
    routes = {f"blocks.{i}.route": gates for i, gates in net.routes.items()}
    fixture.save(name, weights, inputs, {"output": output}, routes, {"num_heads": HEADS} | metadata, taps(net))


def main():
    torch.set_num_threads(1)
    write("dtr", Dtr, {}, [999.0, 750.0, 3.0], {"architecture": "dtr"},
          taps=lambda net: {f"blocks.{i}.channels": net.masks[:, None] for i in range(DEPTH)})
    experts = {}
    for i in range(DEPTH):
        experts |= {f"routers.{i}.f_gate.1.weight": (3, WIDTH), f"routers.{i}.f_gate.1.bias": (3,),
                    f"routers.{i}.experts.w": (3, WIDTH, WIDTH), f"routers.{i}.experts.b": (3, WIDTH)}
    write("switch_dit", SwitchDit, experts, [999.0, 500.0, 3.0], {"architecture": "switch-dit"}, 0.02)
    write("tread", Tread, {}, [0.99609375, 0.03125], {"architecture": "tread"})
    Tread.route = (0.5, 1, 1)
    write("tread_routed", Tread, {}, [0.99609375, 0.03125], {"architecture": "tread", "tread": "0.5,1,1"}, 0.001)


if __name__ == "__main__":
    main()
