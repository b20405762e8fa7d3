#!/usr/bin/env python3
"""Write the fixtures of APTP on Stable Diffusion's U-Net at a reduced size: sd_aptp, the network pruned by one of its codes;
aptp_router, which code a prompt takes.

    python3 tools/reference/sd_prune.py        (torch; writes tests/zoo/fixtures)
"""
import torch
import torch.nn.functional as F

import fixture
import sd
import sd_layers
import sd_shapes

HEADS = sd.HEADS


class Code:
    """An architecture code of APTP, its gates in the order in which layers run. Here nothing is cut: what is pruned is
    multiplied by zero where it would go on, which is the same."""

    def __init__(self, gates):
        self.gates, self.at = gates, 0

    def take(self, count):
        self.at += count
        return (self.gates[self.at - count:self.at] > 0).double()

    def look(self, ahead):
        return bool(self.gates[self.at + ahead] > 0)


class Pruned(sd_layers.UNet):
    def __init__(self, table, groups, heads, gates):
        super().__init__(table, groups, heads)
        self.code = Code(gates)

    def masked_resnet(self, w, x, temb):
        h = sd_layers.conv(w, "conv1", F.silu(sd_layers.group_norm(w, "norm1", x, self.groups, 1e-5)))
        h = h + sd_layers.linear(w, "time_emb_proj", F.silu(temb))[:, :, None, None]
        h = F.silu(sd_layers.group_norm(w, "norm2", h, self.groups, 1e-5))
        mask = self.code.take(self.groups).repeat_interleave(h.shape[1] // self.groups)
        h = sd_layers.conv(w, "conv2", h * mask[:, None, None])
        self.code.take(1)
        return (sd_layers.conv(w, "conv_shortcut", x) if w.has("conv_shortcut.weight") else x) + h

    def heads_masked(self, y):
        return y * self.code.take(self.heads).repeat_interleave(y.shape[-1] // self.heads)

    def transformer(self, w, x, context):
        n, c, height, width = x.shape
        h = sd_layers.group_norm(w, "norm", x, self.groups, 1e-6).flatten(2).transpose(1, 2)
        h, b = sd_layers.linear(w, "proj_in", h), w.at("transformer_blocks.0")
        y = sd_layers.self_attention(b.at("attn1"), sd_layers.layer_norm(b, "norm1", h), self.heads)
        h = h + sd_layers.linear(b.at("attn1"), "to_out.0", self.heads_masked(y))
        y = self.attend(b.at("attn2"), sd_layers.layer_norm(b, "norm2", h), context, self.heads, "")
        h = h + sd_layers.linear(b.at("attn2"), "to_out.0", self.heads_masked(y))
        value, gate = sd_layers.linear(b.at("ff"), "net.0.proj", sd_layers.layer_norm(b, "norm3", h)).chunk(2, -1)
        inner = value * F.gelu(gate)
        inner = inner * self.code.take(self.groups).repeat_interleave(inner.shape[-1] // self.groups)
        h = sd_layers.linear(w, "proj_out", h + sd_layers.linear(b.at("ff"), "net.2", inner))
        self.code.take(1)
        return h.transpose(1, 2).reshape(n, c, height, width) + x

    def part(self, block, j, x, skip, temb, context):
        if self.code.look(self.groups):
            x = self.masked_resnet(block.at(f"resnets.{j}"), x if skip is None else torch.cat([x, skip], 1), temb)
        else:
            self.code.take(self.groups + 1)
        if block.has(f"attentions.{j}.proj_in.weight"):
            if self.code.look(2 * self.heads + self.groups):
                x = self.transformer(block.at(f"attentions.{j}"), x, context)
            else:
                self.code.take(2 * self.heads + self.groups + 1)
        return x

    def __call__(self, x, t, context):
        w, x, context = self.w, x.double(), context.double()
        temb = sd_layers.time_features(t, w("conv_in.weight").shape[0])
        temb = sd_layers.linear(w, "time_embedding.linear_1", temb)
        temb = sd_layers.linear(w, "time_embedding.linear_2", F.silu(temb))
        x = sd_layers.conv(w, "conv_in", x)
        skips = [x]
        for i in range(2):
            x = self.part(w.at(f"down_blocks.{i}"), 0, x, None, temb, context)
            skips.append(x)
            if i == 0:
                x = sd_layers.conv(w.at("down_blocks.0"), "downsamplers.0.conv", x, 2)
                skips.append(x)
        for j in range(2):
            x = self.part(w.at("mid_block"), j, x, None, temb, context)
        for i in range(2):
            for j in range(2):
                x = self.part(w.at(f"up_blocks.{i}"), j, x, skips.pop(), temb, context)
            if i == 0:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
                x = sd_layers.conv(w.at("up_blocks.0"), "upsamplers.0.conv", x)
        assert self.code.at == len(self.code.gates) and not skips
        x = F.silu(sd_layers.group_norm(w, "conv_norm_out", x, self.groups, 1e-5))
        return sd_layers.conv(w, "conv_out", x)


def write_aptp():
    """Groups 4, heads 2. Gates: 8 resnets of 4 + 1; the transformers of down 0, the middle and up 1, 2 + 2 + 4 + 1."""
    groups, codes = 4, 3
    shapes = sd_shapes.unet(widths=(8, 8), attends=(True, False), layers=1, context=10)
    weights, inputs = sd.half(fixture.draw_all(shapes, 41)), sd.unet_inputs()
    resnet, transformer = [1, 0, 1, 1] + [1], [1, 0] + [1, 1] + [0, 1, 1, 0] + [1]
    gone, gone_transformer = [1, 1, 0, 1] + [0], [1, 1] + [0, 1] + [1, 1, 1, 1] + [0]
    layout = [resnet, transformer, resnet, resnet, gone_transformer, gone, resnet, gone, resnet, transformer, resnet,
              gone_transformer]
    kept = torch.tensor(sum(layout, []), dtype=torch.float64)
    table = fixture.draw((codes, len(kept)), 42)
    table[1] = (table[1].abs() + 0.1).float().double() * (2 * kept - 1)
    network = Pruned(weights, groups, HEADS, table[1])
    output = network(inputs["x"], inputs["time"], inputs["context"])
    fixture.save("sd_aptp", weights | {"aptp.codes": table}, inputs, {"output": output}, taps={"aptp.kept": kept},
                 metadata=sd.UNET_METADATA | {"norm_groups": groups, "aptp": 1})
    write_router(table)


def write_router(table):
    def make(seed):
        shapes = {"aptp.predictor.0.weight": (16, 12), "aptp.predictor.0.bias": (16,),
                  "aptp.predictor.2.weight": (table.shape[1], 16), "aptp.predictor.2.bias": (table.shape[1],)}
        weights, prompt = fixture.draw_all(shapes, seed), fixture.draw((6, 12), seed + 1)
        w = sd_layers.Weights(weights, "aptp.")
        e = sd_layers.linear(w, "predictor.2", F.gelu(sd_layers.linear(w, "predictor.0", prompt)))
        cosine = F.normalize(e, dim=-1) @ F.normalize(table, dim=-1).T
        best = cosine.topk(2).values
        distance = (best[:, 0] - best[:, 1]).min().item()
        return distance if cosine.argmax(-1).unique().numel() > 1 else 0, (weights, prompt, e, cosine)
    weights, prompt, e, cosine = fixture.clear_seed(make, 0.01)
    best = cosine.argmax(-1, keepdim=True)
    route = torch.full_like(cosine, float("nan")).scatter(1, best, cosine.gather(1, best))
    fixture.save("aptp_router", weights | {"aptp.codes": table}, {"prompt": prompt},
                 {"embedding": e, "code": best[:, 0].double()}, routes={"aptp.route": route},
                 taps={"aptp.cosine": cosine}, metadata={"architecture": "aptp-router"})


if __name__ == "__main__":
    write_aptp()
