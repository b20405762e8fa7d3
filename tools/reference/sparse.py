"""Reference of the networks with sparse attention in graph/zoo: BiFormer (arXiv 2303.08810), with torch's own modules in
f64, written from the paper; names as in the authors' code. Gathers the keys of the chosen regions one region at a time.

    python tools/reference/sparse.py        writes the fixture biformer
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

import fixture


class RoutedAttention(nn.Module):
    def __init__(self, width, head_width, windows, topk, lepe=5):
        super().__init__()
        self.heads, self.windows, self.topk, self.width = width // head_width, windows, topk, width
        self.qkv = nn.Module()
        self.qkv.qkv = nn.Linear(width, 3 * width)
        self.lepe = nn.Conv2d(width, width, lepe, padding=lepe // 2, groups=width)
        self.wo = nn.Linear(width, width)

    def forward(self, x):
        n, height, width, c = x.shape
        s = self.windows
        x = F.pad(x, (0, 0, 0, -width % s, 0, -height % s))
        h, w = x.shape[1] // s, x.shape[2] // s
        q, k, v = self.qkv.qkv(x).split(c, -1)
        out, self.routes, self.affinity, self.margin = torch.zeros_like(q), [], [], math.inf
        for b in range(n):
            cells = [(slice(i * h, i * h + h), slice(j * w, j * w + w)) for i in range(s) for j in range(s)]
            means = [torch.stack([m[b][cell].reshape(-1, c).mean(0) for cell in cells]) for m in (q, k)]
            scores = means[0] @ means[1].T / math.sqrt(c)
            self.affinity.append(scores)
            route = torch.full_like(scores, math.nan)
            for i, cell in enumerate(cells):
                order = scores[i].argsort(descending=True)
                if self.topk < len(cells):
                    self.margin = min(self.margin, float(scores[i, order[self.topk - 1]] - scores[i, order[self.topk]]))
                chosen = order[:self.topk].tolist()
                route[i, chosen] = scores[i, chosen]
                keys, values = (torch.cat([m[b][cells[j]].reshape(-1, c) for j in chosen]) for m in (k, v))
                query = q[b][cell].reshape(-1, self.heads, c // self.heads).transpose(0, 1)
                keys, values = (m.reshape(-1, self.heads, c // self.heads).transpose(0, 1) for m in (keys, values))
                y = torch.softmax(query @ keys.transpose(1, 2) / math.sqrt(c), -1) @ values
                out[b][cell] = y.transpose(0, 1).reshape(h, w, c)
            self.routes.append(route)
        out = out + self.lepe(v.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.wo(out)[:, :height, :width]


class FullAttention(nn.Module):
    def __init__(self, width, heads, lepe=5):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.lepe = nn.Conv2d(width, width, lepe, padding=lepe // 2, groups=width)

    def forward(self, x):
        n, h, w, c = x.shape
        q, k, v = (m.reshape(n, h * w, self.heads, -1).transpose(1, 2) for m in self.qkv(x).split(c, -1))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h, w, c)
        image = self.qkv(x)[..., 2 * c:].permute(0, 3, 1, 2)
        return self.proj(y + self.lepe(image).permute(0, 2, 3, 1))


class Block(nn.Module):
    def __init__(self, width, attn, ratio=2):
        super().__init__()
        self.pos_embed = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = attn
        self.mlp = nn.Sequential(nn.Linear(width, ratio * width), nn.Identity(), nn.GELU(),
                                 nn.Linear(ratio * width, width))

    def forward(self, x):
        x = (x + self.pos_embed(x)).permute(0, 2, 3, 1)
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x.permute(0, 3, 1, 2)


class BiFormer(nn.Module):
    def __init__(self, widths, depths, topks, windows, head_width, full_heads, classes):
        super().__init__()
        half = widths[0] // 2
        self.downsample_layers = nn.ModuleList([nn.Sequential(
            nn.Conv2d(3, half, 3, 2, 1), nn.BatchNorm2d(half), nn.GELU(), nn.Conv2d(half, widths[0], 3, 2, 1),
            nn.BatchNorm2d(widths[0]))])
        for a, b in zip(widths, widths[1:]):
            self.downsample_layers.append(nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b)))
        self.stages = nn.ModuleList()
        for width, depth, topk in zip(widths, depths, topks):
            make = (lambda: RoutedAttention(width, head_width, windows, topk)) if topk > 0 else \
                   (lambda: FullAttention(width, full_heads))
            self.stages.append(nn.Sequential(*(Block(width, make()) for _ in range(depth))))
        self.norm, self.head = nn.BatchNorm2d(widths[-1]), nn.Linear(widths[-1], classes)

    def forward(self, x):
        for down, stage in zip(self.downsample_layers, self.stages):
            x = stage(down(x))
        return self.head(self.norm(x).flatten(2).mean(-1))


def fill(model, seed):
    """Weights that f32 holds exactly; variances are positive."""
    model.double().eval()
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            value.copy_(fixture.draw(value.shape, f"{seed} {name}", 0.2).abs() + 0.5)
        elif value.ndim == 1:
            norm = name.endswith("weight")
            value.copy_((fixture.draw(value.shape, f"{seed} {name}", 0.3) + norm).float().double())
        else:
            value.copy_(fixture.draw(value.shape, f"{seed} {name}", 1.4 * math.prod(value.shape[1:]) ** -0.5))
        value.copy_(value.float().double())
    return {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}


def biformer():
    topks = (2, -2)

    def make(seed):
        model = BiFormer((16, 24), (2, 1), topks, 2, 8, 3, 5)
        weights = fill(model, seed)
        x = fixture.draw((2, 3, 28, 28), f"{seed} x")
        y = model(x)
        blocks = [b.attn for b in model.stages[0]]
        return min(a.margin for a in blocks), (model, weights, x, y)

    with torch.no_grad():
        model, weights, x, y = fixture.clear_seed(make, 0.01)
    routes = {f"stages.0.{i}.attn.route": torch.cat(b.attn.routes) for i, b in enumerate(model.stages[0])}
    taps = {f"stages.0.{i}.attn.affinity": torch.cat(b.attn.affinity) for i, b in enumerate(model.stages[0])}
    fixture.save("biformer", weights, {"x": x}, {"logits": y}, routes=routes, taps=taps,
                 metadata={"architecture": "biformer", "image_size": 28, "n_win": 2, "head_width": 8, "full_heads": 3,
                           "topk.0": topks[0], "topk.1": topks[1]})


if __name__ == "__main__":
    biformer()
