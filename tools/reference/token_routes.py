"""Language models whose heads choose tokens, one head and one cluster at a time, in f64: MoSA (arXiv 2505.00315) and the
Routing Transformer (arXiv 2003.05997), from the papers and what the public code does.

    python tools/reference/token_routes.py        writes mosa, mosa_first, routing_transformer
"""
import math

import torch
import torch.nn.functional as F

import fixture

VOCABULARY, WIDTH, HIDDEN = 20, 16, 24


def norm(w, name, x):
    return F.layer_norm(x, (x.shape[-1],), w[name + ".weight"], w[name + ".bias"], 1e-5)


def mlp(w, first, second, x):
    h = F.gelu(x @ w[first + ".weight"].T + w[first + ".bias"])
    return h @ w[second + ".weight"].T + w[second + ".bias"]


def rope(x, positions, turning):
    """Rows of x turned by their positions: channels (i, i + turning / 2) of the first `turning`."""
    half = turning // 2
    out = x.clone()
    for row, position in enumerate(positions):
        for i in range(half):
            angle = position * 10000 ** (-i / half)
            a, b = x[row, i], x[row, i + half]
            out[row, i] = a * math.cos(angle) - b * math.sin(angle)
            out[row, i + half] = a * math.sin(angle) + b * math.cos(angle)
    return out


def attend(q, k, v, seen):
    score = (q @ k.T / math.sqrt(q.shape[1])).masked_fill(~seen, -torch.finfo(torch.float64).max)
    return torch.softmax(score, -1) @ v


class Picker:
    margin = math.inf

    def best(self, scores, k):
        order = scores.argsort(descending=True)
        if k < len(scores):
            self.margin = min(self.margin, float(scores[order[k - 1]] - scores[order[k]]))
        return order[:k].tolist()  # in the order of the scores; positions need not ascend


class Mosa(Picker):
    """include_first: token 0 and the best of the others, one fewer."""
    def __init__(self, w, heads, sparsity, dense_heads, include_first):
        self.w, self.heads, self.sparsity, self.dense_heads = w, heads, sparsity, dense_heads
        self.include_first, self.routes, self.unasked = include_first, {}, 0

    def sparse(self, name, u):
        """One sequence u[T, D]."""
        w, y = self.w, torch.zeros_like(u)
        r = torch.sigmoid(u @ w[name + ".r.0.weight"].T)
        route = torch.full_like(r, math.nan)
        for h in range(self.heads):
            k = min(max(len(u) // self.sparsity, 2), len(u))
            if self.include_first:
                self.unasked += 0 not in r[:, h].argsort(descending=True)[:k]
                picks = [0] + [1 + t for t in self.best(r[1:, h], k - 1)]
            else:
                picks = self.best(r[:, h], k)
            q, k, v = (u[picks] @ w[name + ".QKV.W"][h]).chunk(3, -1)
            d, at = q.shape[1], torch.tensor(picks)
            q, k = rope(q, picks, d // 2), rope(k, picks, d // 2)
            out = attend(q, k, v, at[:, None] >= at[None]) * r[picks, h, None]
            y.index_add_(0, at, out @ w[name + ".O.W"][h])
            route[picks, h] = r[picks, h]
        return y, route

    def dense(self, name, u):
        q, k, v = (u @ self.w[name + ".qkv.weight"].T).chunk(3, -1)
        d, out = WIDTH // self.dense_heads, []
        for h in range(self.dense_heads):
            part = slice(h * d, h * d + d)
            every = list(range(len(u)))
            at = torch.arange(len(u))
            out.append(attend(rope(q[:, part], every, d // 2), rope(k[:, part], every, d // 2), v[:, part],
                              at[:, None] >= at[None]))
        return torch.cat(out, -1) @ self.w[name + ".proj.weight"].T

    def __call__(self, tokens, depth):
        w, x = self.w, self.w["token_emb.weight"][tokens]
        for i in range(depth):
            b = f"blocks.{i}."
            u = norm(w, b + "norm1", x)
            parts = [self.sparse(b + "mosa", s) for s in u]
            self.routes[b + "mosa.route"] = torch.cat([p[1] for p in parts])
            x = x + torch.stack([p[0] for p in parts]) + torch.stack([self.dense(b + "dense", s) for s in u])
            x = x + mlp(w, b + "mlp.fc1", b + "mlp.fc2", norm(w, b + "norm2", x))
        return norm(w, "norm", x) @ w["head.weight"].T


class RoutingTransformer(Picker):
    def __init__(self, w, heads, window, local_window):
        self.w, self.heads, self.window, self.local_window = w, heads, window, local_window
        self.routes, self.counts = {}, {}

    def attention(self, name, u):
        """One sequence. Returns the output and what each routed head's clusters took: queries, keys, counts."""
        w, length = self.w, len(u)
        q, k, v = (u @ w[f"{name}.to_{p}.weight"].T for p in "qkv")
        means, g = w[name + ".global_attn.kmeans.means"], name + ".global_attn."
        routed, clusters, d = means.shape
        out, taken = [], ([], [], [])
        for h in range(self.heads):
            part = slice(h * d, h * d + d)
            qh, kh, vh = q[:, part], k[:, part], v[:, part]
            if h < self.heads - routed:
                i = torch.arange(length)
                own, other = i[:, None] // self.local_window, i[None] // self.local_window
                out.append(attend(qh, kh, vh, (i[None] <= i[:, None]) & (own - other <= 1)))
                continue
            e = h - (self.heads - routed)
            near_q, near_k = F.normalize(qh, dim=-1) @ means[e].T, F.normalize(kh, dim=-1) @ means[e].T
            total, count = torch.zeros(length, d, dtype=u.dtype), torch.zeros(length, 1, dtype=u.dtype)
            maps = [torch.full((length, clusters), math.nan, dtype=u.dtype) for _ in range(2)]
            for c in range(clusters):
                iq, ik = self.best(near_q[:, c], self.window), self.best(near_k[:, c], self.window)
                maps[0][iq, c], maps[1][ik, c] = near_q[iq, c], near_k[ik, c]
                memory = len(w[g + "mem_key"][e, c])
                keys, values = torch.cat([w[g + "mem_key"][e, c], kh[ik]]), torch.cat([w[g + "mem_value"][e, c], vh[ik]])
                seen = torch.tensor([[True] * memory + [a >= b for b in ik] for a in iq])
                total[iq] += attend(qh[iq], keys, values, seen)
                count[iq] += 1
            out.append(total / (count + 1e-5))
            for kept, value in zip(taken, (*maps, count)):
                kept.append(value)
        y = torch.cat(out, -1) @ w[name + ".to_out.weight"].T + w[name + ".to_out.bias"]
        return (y, *(torch.cat(t) for t in taken))

    def __call__(self, tokens, depth):
        w = self.w
        x = w["token_emb.weight"][tokens] + w["pos_emb.weight"]
        for i in range(depth):
            n = f"layers.{i}."
            y, queries, keys, counts = zip(*(self.attention(n + "attn", s) for s in norm(w, n + "norm1", x)))
            g = n + "attn.global_attn."
            self.routes |= {g + "queries": torch.cat(queries), g + "keys": torch.cat(keys)}
            self.counts[g + "clusters_per_token"] = torch.cat(counts)
            x = x + torch.stack(y)
            x = x + mlp(w, n + "ff.w1", n + "ff.w2", norm(w, n + "norm2", x))
        return norm(w, "norm", x) @ w["head.weight"].T + w["head.bias"]


def affine(name, out, into=None, bias=True):
    return {f"{name}.weight": (out, into) if into else (out,)} | ({f"{name}.bias": (out,)} if bias else {})


def tokens_of(seed, length):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCABULARY, (2, length), generator=generator)


def mosa(name, include_first):
    length, depth, heads, dense_heads, d, sparsity = 24, 2, 5, 2, 8, 4
    layout = {"token_emb.weight": (VOCABULARY, WIDTH)} | affine("norm", WIDTH) | {"head.weight": (VOCABULARY, WIDTH)}
    for i in range(depth):
        b = f"blocks.{i}."
        layout |= affine(b + "norm1", WIDTH) | affine(b + "norm2", WIDTH)
        layout |= {b + "mosa.r.0.weight": (heads, WIDTH), b + "mosa.QKV.W": (heads, WIDTH, 3 * d),
                   b + "mosa.O.W": (heads, d, WIDTH), b + "dense.qkv.weight": (3 * WIDTH, WIDTH),
                   b + "dense.proj.weight": (WIDTH, WIDTH)}
        layout |= affine(b + "mlp.fc1", HIDDEN, WIDTH) | affine(b + "mlp.fc2", WIDTH, HIDDEN)

    def make(seed):
        w = fixture.draw_all(layout, seed)
        w["token_emb.weight"] = fixture.draw((VOCABULARY, WIDTH), f"{seed} tokens")
        net, tokens = Mosa(w, heads, sparsity, dense_heads, include_first), tokens_of(seed, length)
        y = net(tokens, depth)
        return net.margin if bool(net.unasked) == include_first else 0, (w, tokens, y, net.routes)

    w, tokens, y, routes = fixture.clear_seed(make, 5e-4)
    fixture.save(name, w, {"tokens": tokens}, {"logits": y}, routes,
                 {"architecture": "mosa", "sequence_length": length, "sparsity": sparsity, "dense_heads": dense_heads}
                 | ({"include_first": 1} if include_first else {}))


def routing_transformer():
    length, depth, heads, routed, clusters, d, window, near = 30, 2, 4, 2, 5, 4, 6, 8
    layout = {"token_emb.weight": (VOCABULARY, WIDTH), "pos_emb.weight": (length, WIDTH)}
    layout |= affine("norm", WIDTH) | affine("head", VOCABULARY, WIDTH)
    for i in range(depth):
        n = f"layers.{i}."
        layout |= affine(n + "norm1", WIDTH) | affine(n + "norm2", WIDTH) | affine(n + "attn.to_out", WIDTH, WIDTH)
        for p in "qkv":
            layout |= affine(f"{n}attn.to_{p}", WIDTH, WIDTH, False)
        layout |= {n + "attn.global_attn." + k: (routed, clusters, *more, d)
                   for k, more in (("kmeans.means", ()), ("mem_key", (1,)), ("mem_value", (1,)))}
        layout |= affine(n + "ff.w1", HIDDEN, WIDTH) | affine(n + "ff.w2", WIDTH, HIDDEN)

    def make(seed):
        w = fixture.draw_all(layout, seed)
        for name in w:
            if name.endswith("means"):
                w[name] = F.normalize(w[name], dim=-1).float().double()
            elif name.endswith("emb.weight") or "mem_" in name:
                w[name] = fixture.draw(w[name].shape, f"{seed} {name}")
        net, tokens = RoutingTransformer(w, heads, window, near), tokens_of(seed, length)
        y = net(tokens, depth)
        empty = sum(int((c == 0).sum()) for c in net.counts.values())
        return net.margin if empty else 0.0, (w, tokens, y, net)

    w, tokens, y, net = fixture.clear_seed(make, 5e-4)
    fixture.save("routing_transformer", w, {"tokens": tokens}, {"logits": y}, net.routes,
                 {"architecture": "routing-transformer", "num_heads": heads, "window": window, "local_window": near},
                 net.counts)


if __name__ == "__main__":
    torch.set_num_threads(1)
    mosa("mosa", False)
    mosa("mosa_first", True)
    routing_transformer()
