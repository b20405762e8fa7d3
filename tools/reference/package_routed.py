"""Fixtures of routed networks in the modules of public packages, in f64: Switch Transformer, DeepSeekMoE, the Routing
Transformer. Used by packages.py.

Each function gives {name: (theirs, ours)} for what a fixture says of outputs, taps and routes; routes are matrices with
NaN where a row does not go.
"""
import importlib.metadata
import importlib.util
import math
import sys

import torch
from torch import nn

import package_models as m
import routing_transformer.routing_transformer as clusters
import transformers
from transformers.models.deepseek_v2 import modeling_deepseek_v2 as deepseek
from transformers.models.llama import modeling_llama as llama
from transformers.models.switch_transformers import modeling_switch_transformers as switch


def route(rows, targets, row, target, weight):
    out = torch.full((rows, targets), math.nan)
    out[row, target] = weight
    return out


def switch_transformer():
    t, told = m.read("switch_transformer")
    w = m.weights_of(t)
    first = "encoder.block.0.layer.0.SelfAttention."
    buckets, heads = w[first + "relative_attention_bias.weight"].shape
    inner, width = w[first + "q.weight"].shape
    config = transformers.SwitchTransformersConfig(
        vocab_size=len(w["shared.weight"]), d_model=width, d_kv=inner // heads, num_heads=heads, num_layers=2,
        d_ff=len(w["encoder.block.0.layer.1.mlp.wi.weight"]), num_sparse_encoder_layers=1, num_decoder_layers=1,
        num_experts=len(w["encoder.block.1.layer.1.mlp.router.classifier.weight"]),
        expert_capacity=int(told["expert_capacity"]), relative_attention_num_buckets=buckets,
        relative_attention_max_distance=int(told["max_distance"]), attn_implementation="eager")
    net = m.fill(transformers.SwitchTransformersEncoderModel(config),
                 w | {"encoder.embed_tokens.weight": w["shared.weight"]})
    said = []
    router = next(x for x in net.modules() if isinstance(x, switch.SwitchTransformersTop1Router))
    router.dtype = torch.float64  # which the configuration does not take
    router.register_forward_hook(lambda module, args, out: said.append(out))
    hidden = net(t["input.ids"].long()).last_hidden_state
    places, gate, _ = (x.flatten(0, 1) for x in said[0])
    row, expert = places.nonzero(as_tuple=True)
    return {"hidden": (hidden, t["output.hidden"]),
            "route": (route(*places.shape, row, expert, gate[row, 0]), t["route.blocks.1.route"]),
            "dropped": (1 - places.sum(1).double(), t["tap.blocks.1.dropped"])}


def deepseekmoe():
    """Layers of Llama, whose mixture is DeepSeek-V2's: the first DeepSeekMoE was published as code of its own, with
    Llama's attention; V2-Lite has its mixture but another attention."""
    t, told = m.read("deepseekmoe")
    w, heads, top_k = m.weights_of(t), int(told["num_heads"]), int(told["top_k"])
    vocabulary, width = w["model.embed_tokens.weight"].shape
    gate = "model.layers.1.mlp."
    net = llama.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, num_attention_heads=heads, num_hidden_layers=2, rms_norm_eps=1e-6,
        intermediate_size=len(w["model.layers.0.mlp.gate_proj.weight"]), attn_implementation="eager"))
    experts, hidden = len(w[gate + "gate.weight"]), len(w[gate + "experts.0.gate_proj.weight"])
    config = transformers.DeepseekV2Config(hidden_size=width, num_attention_heads=heads, num_key_value_heads=heads,
                                           moe_intermediate_size=hidden, num_experts_per_tok=top_k,
                                           n_routed_experts=experts, num_experts=experts, n_shared_experts=1,
                                           routed_scaling_factor=1.0, topk_method="greedy", norm_topk_prob=False)
    mixture = net.model.layers[1].mlp = deepseek.DeepseekV2Moe(config)
    shared = len(w[gate + "shared_experts.up_proj.weight"])
    mixture.shared_experts = deepseek.DeepseekV2MLP(config, intermediate_size=shared)
    w = dict(w)

    def stacked(part):
        return torch.stack([w.pop(f"{gate}experts.{e}.{part}_proj.weight") for e in range(experts)])

    w[gate + "experts.gate_up_proj"] = torch.cat([stacked("gate"), stacked("up")], 1)
    w[gate + "experts.down_proj"] = stacked("down")
    m.fill(net, w)
    said, energy = [], []
    mixture.gate.register_forward_hook(lambda module, args, out: said.append(out))
    mixture.shared_experts.register_forward_hook(lambda module, args, out: energy.append(out.flatten(0, 1)))
    mixture.experts.register_forward_hook(lambda module, args, out: energy.append(out))
    logits = net(t["input.ids"].long(), use_cache=False).logits
    _, weight, chosen = said[0]
    rows = torch.arange(len(chosen))[:, None]
    routed, shared = (x.square().sum(-1, keepdim=True) for x in energy)
    return {"logits": (logits, t["output.logits"]),
            "route": (route(len(chosen), experts, rows, chosen, weight), t["route.blocks.1.route"]),
            "load": (torch.bincount(chosen.flatten(), minlength=experts).double(), t["tap.blocks.1.load"]),
            "shared_energy": (shared / (shared + routed), t["tap.blocks.1.shared_energy"])}


class Unturned(nn.Module):
    """In the place of the package's rotary positions: sines and cosines of no angle."""
    def forward(self, x):
        n, half = x.shape[1], self.width // 2
        return torch.cat([torch.zeros(1, n, half), torch.ones(1, n, half)], 2)


class Positioned(nn.Embedding):
    """Ours are learned and absolute."""
    def forward(self, ids):
        return super().forward(ids) + self.positions


def routing_transformer():
    """The package's language model, but for what ours says of itself: positions learned and absolute, and the last
    projection of attention with a bias."""
    t, told = m.read("routing_transformer")
    w, heads = dict(m.weights_of(t)), int(told["num_heads"])
    local_window, window = int(told["local_window"]), int(told["window"])
    length, width = w["pos_emb.weight"].shape
    routed, count, memory, d = w["layers.0.attn.global_attn.mem_key"].shape
    near = (heads - routed) * d
    net = clusters.RoutingTransformerLM(
        len(w["token_emb.weight"]), width, depth=2, max_seq_len=length, heads=heads, dim_head=d, window_size=window,
        local_attn_window_size=local_window, causal=True, n_local_attn_heads=heads - routed, rel_pos_emb=False,
        num_mem_kv=memory, shared_qk=False, _register_kmeans_update=False)
    embedding = net.token_emb = Positioned(len(w["token_emb.weight"]), width)
    embedding.positions = w.pop("pos_emb.weight")
    net.sinu_pos_emb = Unturned()
    net.sinu_pos_emb.width = d
    out = {}
    for i, (attention, feed) in enumerate(net.routing_transformer.layers.layers):
        a, ours, theirs = attention.fn, f"layers.{i}.", f"routing_transformer.layers.layers.{i}."
        a.to_out = nn.Linear(width, width)
        a.local_attn.autopad = True
        a.local_attn.rel_pos = None  # rel_pos_emb does not reach what it was written for: local_attention has changed
        hidden = len(w[ours + "ff.w1.bias"])
        feed.fn.fn.w1, feed.fn.fn.w2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        parts = [w.pop(f"{ours}attn.to_{p}.weight") for p in "qkv"]
        out[theirs + "0.fn.local_to_qkv.weight"] = torch.cat([p[:near] for p in parts])
        out[theirs + "0.fn.local_to_qkv.bias"] = torch.zeros(3 * near)
        out |= {f"{theirs}0.fn.to_{p}.weight": part[near:] for p, part in zip("qkv", parts)}
        out[theirs + "0.fn.global_attn.kmeans.initted"] = torch.tensor(True)
        places = {"norm1": "0.norm", "norm2": "1.norm", "attn": "0.fn", "ff": "1.fn.fn"}
        for name in [n for n in w if n.startswith(ours)]:
            part, rest = name[len(ours):].split(".", 1)
            out[f"{theirs}{places[part]}.{rest}"] = w.pop(name)
    m.fill(net, out | {k.replace("head.", "out."): v for k, v in w.items()})
    taken, usual = [], clusters.distribution

    def distribution(dists, size):
        chosen = usual(dists, size)
        b, h, tokens, targets = dists.shape
        row = torch.arange(b * h)[:, None] * tokens + chosen.reshape(b * h, -1)
        target = torch.arange(targets).repeat_interleave(size).expand_as(row)
        scores = dists.reshape(b * h * tokens, targets)
        taken.append(route(len(scores), targets, row, target, scores[row, target]))
        return chosen

    clusters.distribution = distribution
    logits, _ = net(t["input.tokens"].long())
    clusters.distribution = usual
    ends = {"logits": (logits, t["output.logits"])}
    for i in range(2):
        for k, part in enumerate(("queries", "keys")):
            name = f"layers.{i}.attn.global_attn.{part}"
            ends[name] = taken[2 * i + k], t["route." + name]
        name = f"layers.{i}.attn.global_attn.clusters_per_token"
        ends[name] = (~torch.isnan(taken[2 * i])).sum(1, keepdim=True).double(), t["tap." + name]
    return ends


def tread(name):
    """diffusers' DiT; where tokens are withheld, by simpletuner's router, told which (the paper draws them)."""
    t, told = m.read(name)
    net = m.dit(m.weights_of(t), int(told["num_heads"]), 2)
    if "tread" in told:
        # its package imports all of a trainer; the router is a file by itself
        path = next(f for f in importlib.metadata.files("simpletuner") if str(f).endswith("training/tread.py"))
        spec = importlib.util.spec_from_file_location("simpletuner_tread", path.locate())
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        router, block = module.TREADRouter(), net.transformer_blocks[int(told["tread"].split(",")[1])]
        kept = ~torch.isnan(t["route.blocks.1.route"]).reshape(len(t["input.x"]), -1)
        usual = block.forward

        def forward(x, **how):
            drawn = torch.rand
            torch.rand = lambda *a, **k: (~kept).double()  # the router keeps the lowest
            info = router.get_mask(x, float(told["tread"].split(",")[0]))
            torch.rand = drawn
            return router.end_route(usual(router.start_route(x, info), **how), info, x)
        block.forward = forward
    out = net(t["input.x"], t["input.time"], t["input.label"].long()).sample
    return {"output": (out, t["output.output"])}
