#!/usr/bin/env python3
"""MoDE, arXiv 2412.12953: the policy network without its preconditioning, as the published code computes it.

    python3 tools/reference/mode_policy.py     writes mode_policy (a noise level each sample) and mode_policy_fused (a step
                                               of a schedule for all)
"""
import math

import torch

import fixture

WIDTH, HEADS, HIDDEN, ROUTER, EXPERTS, TOP_K, DEPTH = 16, 2, 20, 12, 4, 2, 2
GOALS, STATES, ACTIONS, GOAL_WIDTH, STATE_WIDTH, ACTION_WIDTH = 1, 2, 5, 9, 7, 3
SIGMAS = [80.0, 20.0, 5.0, 1.0, 0.25, 0.0625]


def layout():
    out = {"sigma_emb.weight": (WIDTH, 1), "sigma_emb.bias": (WIDTH,), "sigma_linear.weight": (WIDTH, WIDTH),
           "tok_emb.weight": (WIDTH, STATE_WIDTH), "goal_emb.weight": (WIDTH, GOAL_WIDTH),
           "action_emb.weight": (WIDTH, ACTION_WIDTH), "pos_emb": (1, GOALS + ACTIONS, WIDTH),
           "ln.g": (WIDTH,), "out.weight": (ACTION_WIDTH, WIDTH), "out.bias": (ACTION_WIDTH,)}
    for i in range(DEPTH):
        b = f"blocks.{i}."
        out |= {b + "ln_1.g": (WIDTH,), b + "ln_2.g": (WIDTH,), b + "attn.c_proj.weight": (WIDTH, WIDTH),
                b + "attn.q_norm.g": (WIDTH // HEADS,), b + "attn.k_norm.g": (WIDTH // HEADS,)}
        for p in ("query", "key", "value"):
            out |= {f"{b}attn.{p}.weight": (WIDTH, WIDTH), f"{b}attn.{p}.bias": (WIDTH,)}
        for name, hidden, width, bias in [("router.router", ROUTER, EXPERTS, True)] + [
                (f"experts.expert_{e}", HIDDEN, WIDTH, False) for e in range(EXPERTS)]:
            out |= {f"{b}{name}.mlp.0.project.weight": (2 * hidden, WIDTH), f"{b}{name}.mlp.0.project.bias": (2 * hidden,),
                    f"{b}{name}.mlp.2.weight": (width, hidden)}
            if bias:
                out[f"{b}{name}.mlp.2.bias"] = (width,)
    return out


class Policy:
    def __init__(self, w):
        self.w, self.margin, self.gates, self.chosen, self.scores = w, math.inf, {}, {}, {}

    def linear(self, name, x):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def norm(self, name, x):
        size = x.norm(dim=-1, keepdim=True) / math.sqrt(x.shape[-1])
        return x / size.clamp_min(1e-6) * self.w[name + ".g"]

    def mlp(self, name, x):
        value, gate = self.linear(name + ".mlp.0.project", x).chunk(2, -1)
        return self.linear(name + ".mlp.2", value * gate * torch.sigmoid(gate))

    def attend(self, name, x):
        q, k, v = (self.linear(f"{name}.{p}", x).reshape(*x.shape[:-1], HEADS, -1) for p in ("query", "key", "value"))
        q, k = self.norm(name + ".q_norm", q), self.norm(name + ".k_norm", k)
        score = torch.einsum("thd,shd->hts", q, k) / math.sqrt(WIDTH // HEADS)
        return self.linear(name + ".c_proj", torch.einsum("hts,shd->thd", torch.softmax(score, -1), v).flatten(-2))

    def route(self, i, c):
        """The two likeliest experts of a noise token, with gates that sum to one."""
        p = torch.softmax(self.mlp(f"blocks.{i}.router.router", c), -1)
        order = sorted(range(EXPERTS), key=lambda e: -p[e])
        self.margin = min([self.margin] + [float(p[a] - p[b]) for a, b in zip(order[:TOP_K], order[1:])])
        total = sum(p[e] for e in order[:TOP_K])
        return {e: p[e] / total for e in order[:TOP_K]}, p

    def token(self, sigma):
        return self.linear("sigma_linear", self.linear("sigma_emb", (sigma.log() / 4).reshape(1)))

    def sample(self, goal, state, actions, sigma):
        w, c = self.w, self.token(sigma)
        at = w["pos_emb"][0]
        x = torch.cat([c[None], self.linear("goal_emb", goal) + at[:GOALS], self.linear("tok_emb", state) + at[GOALS],
                       self.linear("action_emb", actions) + at[GOALS:GOALS + ACTIONS]])
        for i in range(DEPTH):
            b = f"blocks.{i}."
            x = x + self.attend(b + "attn", self.norm(b + "ln_1", x) + c)
            u = self.norm(b + "ln_2", x)
            chosen, _ = self.route(i, c)
            self.gates.setdefault(i, []).append(chosen)
            x = u + sum(g * self.mlp(f"{b}experts.expert_{e}", u) for e, g in chosen.items())
        return self.linear("out", self.norm("ln", x)[-ACTIONS:])


def write(name, sigmas, step=None):
    n = len(sigmas)
    goal, state = fixture.draw((n, GOALS, GOAL_WIDTH), 1), fixture.draw((n, STATES, STATE_WIDTH), 2)
    actions = fixture.draw((n, ACTIONS, ACTION_WIDTH), 3)

    def attempt(seed):
        w = fixture.draw_all(layout(), seed)
        w["sigma_emb.weight"] *= 2  # noise levels that differ enough to take different experts
        for k in w:
            if k.endswith(".g"):
                w[k] = (w[k] + 1).float().double()
        net = Policy(w)
        y = torch.stack([net.sample(goal[s], state[s], actions[s], torch.tensor(sigmas[s]).double()) for s in range(n)])
        table = {i: [net.route(i, net.token(torch.tensor(s).double())) for s in SIGMAS] for i in range(DEPTH)}
        kinds = min(len({tuple(sorted(chosen)) for chosen, _ in rows}) for rows in table.values())
        return net.margin if kinds > 1 else 0, (net, y, table)

    net, y, table = fixture.clear_seed(attempt, 3e-3)
    told = {"architecture": "mode-policy", "num_heads": HEADS, "goal_tokens": GOALS, "state_tokens": STATES,
            "action_tokens": ACTIONS, "top_k": TOP_K}
    inputs = {"goal": goal, "state": state, "actions": actions}
    routes, taps = {}, {}
    if step is None:
        inputs["sigma"] = torch.tensor(sigmas)
        for i, samples in net.gates.items():
            gates = torch.full((n, 1 + GOALS + STATES + ACTIONS, EXPERTS), math.nan, dtype=torch.float64)
            for s, chosen in enumerate(samples):
                for e, g in chosen.items():
                    gates[s, :, e] = g
            routes[f"blocks.{i}.route"] = gates.reshape(-1, EXPERTS)
    else:
        inputs["step"] = torch.tensor([step])
        told["sigmas"] = ",".join(str(s) for s in SIGMAS)
        for i, rows in table.items():
            taps[f"blocks.{i}.scores"] = torch.stack([p for _, p in rows])
            taps[f"blocks.{i}.experts"] = torch.tensor([list(chosen) for chosen, _ in rows]).double()
            taps[f"blocks.{i}.gates"] = torch.tensor([list(chosen.values()) for chosen, _ in rows])
    fixture.save(name, net.w, inputs, {"denoised": y}, routes, told, taps)


if __name__ == "__main__":
    torch.set_num_threads(1)
    write("mode_policy", [80.0, 1.0, 0.0625])
    write("mode_policy_fused", [SIGMAS[3]] * 2, step=3)
