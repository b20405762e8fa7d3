"""SpargeAttn (arXiv 2502.18137) once more, one query block of one head at a time, in f64: a layer of attention, the same
causal and with 8-bit queries and keys, and a DiT that runs through it.

    python tools/reference/sparge.py        writes spargeattn, spargeattn_causal, spargeattn_dit
"""
import math
from dataclasses import dataclass

import torch

import fixture
from dit_variants import HEADS, LAYOUT, PATCH, ROWS, SIDE, WIDTH
from networks import Network, position_table, shapes


@dataclass
class Sparge:
    rows: int
    keys: int
    theta: float
    tau: float = 0.0
    share: float = 0.0
    skip: float = 0.0
    causal: bool = False
    sink: bool = False
    smooth: bool = True
    quantise: bool = False

    def similar(self, block, whole):
        """Mean cosine of all pairs above theta. A shorter last block is not: the authors' kernel divides 0 by 0 there."""
        if len(block) < whole:
            return False
        unit = block / block.norm(dim=-1, keepdim=True)
        sigma = float((unit @ unit.T).mean())
        self.margin = min(self.margin, abs(sigma - self.theta))
        return sigma > self.theta

    def int8(self, block):
        scale = block.abs().max() / 127 + 1e-7
        y = block / scale
        self.rounding = min(self.rounding, float((y.abs() % 1 - 0.5).abs().min()))
        return torch.sign(y) * torch.floor(y.abs() + 0.5) * scale

    def select(self, p, seen):
        order = p.argsort(descending=True).tolist()
        gaps = [float(p[a] - p[b]) for a, b in zip(order, order[1:]) if p[a] > 0]
        self.margin = min(self.margin, 10 * min(gaps, default=1.0))
        if not self.tau:
            return order[:max(1, int(self.share * len(p)))]
        total, taken = 0.0, []
        for j in order:
            total += float(p[j])
            if abs(total - 1) > 1e-9:
                self.margin = min(self.margin, abs(total - self.tau))
            if total <= self.tau:
                taken.append(j)
        return taken or order[:1]

    def attend(self, q, k, v):
        """One head: q[T,d], k[S,d], v[S,e] -> [T,e], and the weights of the route [query blocks, key blocks]."""
        if self.smooth:
            k = k - k.mean(0)
        scale = q.shape[1] ** -0.5
        queries, keys, values = q.split(self.rows), k.split(self.keys), v.split(self.keys)
        good_q, good_k = [self.similar(b, self.rows) for b in queries], [self.similar(b, self.keys) for b in keys]
        route = torch.full((len(queries), len(keys)), math.nan, dtype=q.dtype)
        out = []
        for i, block in enumerate(queries):
            seen = [not self.causal or j * self.keys <= i * self.rows + self.rows - 1 for j in range(len(keys))]
            score = torch.stack([block.mean(0) @ b.mean(0) * scale if good_k[j] and seen[j] else
                                 torch.tensor(-1e30, dtype=q.dtype) for j, b in enumerate(keys)])
            p = torch.softmax(score, 0)
            taken = set(self.select(p, seen)) if any(g and s for g, s in zip(good_k, seen)) else set()
            taken |= {j for j in range(len(keys)) if not good_k[j] or not good_q[i] or (self.sink and j == 0)}
            taken = sorted(j for j in taken if seen[j])
            route[i, taken] = p[taken]
            out.append(self.online(block, i, taken, keys, values, scale))
        return torch.cat(out), route

    def online(self, block, i, taken, keys, values, scale):
        """Softmax over the taken blocks from left to right, with the second stage."""
        if self.quantise:
            block = self.int8(block)
        largest = torch.full((len(block), 1), -math.inf, dtype=block.dtype)
        total, y = torch.zeros_like(largest), torch.zeros(len(block), values[0].shape[1], dtype=block.dtype)
        for j in taken:
            s = block @ (self.int8(keys[j]) if self.quantise else keys[j]).T * scale
            if self.causal:
                row = torch.arange(len(block))[:, None] + i * self.rows
                s = s.masked_fill(torch.arange(len(keys[j]))[None] + j * self.keys > row, -math.inf)
            own = s.max(1, keepdim=True).values
            if self.skip and bool(torch.isfinite(largest).all()):
                above = float((own - largest).max()) * math.log2(math.e) + self.skip
                self.margin = min(self.margin, abs(above))
                if above <= 0:
                    self.skipped += 1
                    continue
            new = torch.maximum(largest, own)
            e = torch.exp(s - new).nan_to_num(0.0)
            shrink = torch.exp(largest - new).nan_to_num(0.0)
            total, y, largest = total * shrink + e.sum(1, keepdim=True), y * shrink + e @ values[j], new
        return y / total

    def heads(self, q, k, v):
        """[H,T,d] each -> [H,T,e], route rows head by head."""
        parts = [self.attend(*part) for part in zip(q, k, v)]
        return torch.stack([p[0] for p in parts]), torch.cat([p[1] for p in parts])

    def reset(self):
        self.margin, self.rounding, self.skipped = math.inf, math.inf, 0


def hilbert(height, width):
    """Cells of the grid along the curve of the enclosing square, built from the recursive definition: a square's curve is
    four of half the side, the first and the last of them turned over."""
    side = 1
    while side < max(height, width, 2):
        side *= 2

    def curve(n):
        if n == 1:
            return [(0, 0)]
        h, half = n // 2, curve(n // 2)
        turned = [(b, a) for a, b in half]
        return (turned + [(a, b + h) for a, b in half] + [(a + h, b + h) for a, b in half] +
                [(n - 1 - a, h - 1 - b) for a, b in turned])

    def lies(cells):
        return [r * width + c for r, c in cells if r < height and c < width]

    return lies(curve(side))


def layer(name, sparge, tokens, width, heads, grid=None, least=0):
    def make(seed):
        sparge.reset()
        w = fixture.draw_all({"qkv.weight": (3 * width, width), "qkv.bias": (3 * width,), "proj.weight": (width, width),
                              "proj.bias": (width,)}, seed)
        order = hilbert(*grid) if grid else list(range(tokens))
        coarse = fixture.draw((2, tokens // 8 + 1, width), f"{seed} coarse", 1.5).repeat_interleave(8, 1)[:, :tokens]
        x = torch.empty_like(coarse)
        rough = torch.linspace(0.2, 1.5, tokens, dtype=torch.float64)[:, None]
        x[:, order] = (coarse + rough * fixture.draw(coarse.shape, f"{seed} x")).float().double()
        y, routes = torch.empty_like(x), []
        for n in range(len(x)):
            joint = x[n, order] @ w["qkv.weight"].T + w["qkv.bias"]
            q, k, v = (m.reshape(tokens, heads, -1).transpose(0, 1) for m in joint.chunk(3, -1))
            out, route = sparge.heads(q, k, v)
            y[n, order] = out.transpose(0, 1).reshape(tokens, width) @ w["proj.weight"].T + w["proj.bias"]
            routes.append(route)
        routes = torch.cat(routes)
        clear = min(sparge.margin, 10 * sparge.rounding) if sparge.skipped >= least else 0.0
        return clear, (w, x, y, routes, sparge.skipped)

    w, x, y, routes, skipped = fixture.clear_seed(make, 0.002, range(1, 6000))
    density = float((~routes.isnan()).double().mean())
    print(f"{name}: {density:.3f} of the blocks taken, {skipped} of them left out by the second stage")
    told = {"architecture": "spargeattn", "num_heads": heads, "block_rows": sparge.rows, "block_keys": sparge.keys,
            "similarity": sparge.theta, "mass": sparge.tau, "share": sparge.share, "skip": sparge.skip}
    told |= {k: int(v) for k, v in (("causal", sparge.causal), ("sink", sparge.sink), ("smooth_keys", sparge.smooth),
                                    ("quantise", sparge.quantise))}
    told |= {"grid_height": grid[0], "grid_width": grid[1]} if grid else {"tokens": tokens}
    fixture.save(name, w, {"x": x}, {"y": y}, {"route": routes}, told, {"density": torch.tensor([density], dtype=torch.float64)})


class SpargeDit(Network):
    sparge = Sparge(4, 3, 0.35, tau=0.7, skip=2.0)

    def attend(self, name, u):
        d = u.shape[-1] // self.heads
        routes, out = [], torch.empty_like(u)
        for n, joint in enumerate(self.linear(name + ".qkv", u)):
            q, k, v = (m.reshape(len(joint), self.heads, d).transpose(0, 1) for m in joint.chunk(3, -1))
            y, route = self.sparge.heads(q, k, v)
            out[n] = y.transpose(0, 1).reshape(len(joint), -1)
            routes.append(route)
        self.routes[name] = torch.cat(routes)
        self.margin = min(self.margin, self.sparge.margin)
        return self.linear(name + ".proj", out)


def dit():
    layout = shapes(**LAYOUT)

    def make(seed):
        weights = fixture.draw_all(layout, seed)
        weights["pos_embed"] = position_table(SIDE // PATCH, WIDTH).float().double()
        weights["y_embedder.embedding_table.weight"] = fixture.draw((ROWS, WIDTH), seed + 1, 0.5)
        SpargeDit.sparge.reset()
        net = SpargeDit(weights, "dit", PATCH, HEADS)
        x, t, label = fixture.draw((2, 4, SIDE, SIDE), 7), torch.tensor([999.0, 40.0]).double(), torch.tensor([1, 4])
        y = net(x, t, label.tolist())
        return net.margin, (weights, {"x": x, "time": t, "label": label}, y, net.routes)

    weights, inputs, y, routes = fixture.clear_seed(make, 0.002)
    s = SpargeDit.sparge
    taps = {f"{k}.density": (~r.isnan()).double().mean()[None] for k, r in routes.items()}
    fixture.save("spargeattn_dit", weights, inputs, {"output": y}, {f"{k}.route": r for k, r in routes.items()},
                 {"architecture": "dit", "num_heads": HEADS,
                  "spargeattn": f"{s.theta},{s.tau},{s.skip},{s.rows},{s.keys}"}, taps)


if __name__ == "__main__":
    torch.set_num_threads(1)
    layer("spargeattn", Sparge(8, 6, 0.5, tau=0.8, sink=True), 60, 16, 2, grid=(6, 10))
    layer("spargeattn_causal", Sparge(7, 8, 0.3, share=0.5, skip=1.5, causal=True, quantise=True), 40, 16, 2, least=1)
    dit()
