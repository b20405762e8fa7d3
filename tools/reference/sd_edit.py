#!/usr/bin/env python3
"""Write the fixtures of what changes Stable Diffusion's U-Net at a reduced size: sd_scedit, sd_scedit_control
(SCEdit), sd_asdm (A-SDM).

    python3 tools/reference/sd_edit.py        (torch; writes tests/zoo/fixtures)
"""
import torch
import torch.nn.functional as F

import fixture
import sd
import sd_layers

SHAPES = sd.UNET
SKIPS = [8, 8, 8, 8]  # conv_in, down 0, its downsampler, down 1
STRIDES = [1, 1, 2, 1]
HINT = [3, 2, 2, 4, 4, 4, 6, 8]
GROUPS, HEADS, SIDE = sd.GROUPS, sd.HEADS, sd.SIDE


def mlp_shapes(prefix):
    out = {}
    for i, width in enumerate(reversed(SKIPS)):
        hidden, name = width // 2, f"{prefix}lsc_identity.{i}.tuner_op"
        out |= {f"{name}.ln1.weight": (hidden, width), f"{name}.ln1.bias": (hidden,),
                f"{name}.ln2.weight": (width, hidden), f"{name}.ln2.bias": (width,)}
    return out


def control_shapes(prefix):
    out = mlp_shapes(prefix)
    for i, (a, b) in enumerate(zip(HINT, HINT[1:])):
        out |= {f"{prefix}pre_hint_blocks.{2 * i}.weight": (b, a, 3, 3), f"{prefix}pre_hint_blocks.{2 * i}.bias": (b,)}
    size = HINT[-1]
    for i, width in enumerate(SKIPS):
        name = f"{prefix}dense_hint_blocks.{i}.1"
        out |= {f"{name}.weight": (width, size, 3, 3), f"{name}.bias": (width,)}
        size = width
    return out


def mlp(weights, prefix, i, x):
    w = sd_layers.Weights(weights, f"{prefix}lsc_identity.{i}.tuner_op.")
    x = x.movedim(1, -1)
    return sd_layers.linear(w, "ln2", F.gelu(sd_layers.linear(w, "ln1", x))).movedim(-1, 1)


def hints(weights, prefix, picture):
    """Of every skip, the deepest first."""
    w, x, out = sd_layers.Weights(weights, prefix), picture.double(), []
    for i in range(len(HINT) - 1):
        x = sd_layers.conv(w, f"pre_hint_blocks.{2 * i}", F.silu(x) if i else x, 2 if i in (2, 4, 6) else 1)
    for i, stride in enumerate(STRIDES):
        x = sd_layers.conv(w, f"dense_hint_blocks.{i}.1", F.silu(x), stride)
        out.append(x)
    return out[::-1]


def scedit(weights, tuner, control, controls, picture, taps):
    all_hints = [hints(weights, f"control.{k}.", picture) for k in range(controls)]

    def edit(i, h, skip):
        change = tuner * mlp(weights, "", i, skip) if tuner else torch.zeros_like(skip)
        for k in range(controls):
            f = all_hints[k][i]
            change = change + control * (f + mlp(weights, f"control.{k}.", i, skip + f))
        taps[f"scedit.{i}.edit"] = change.flatten(1).norm(dim=1) / skip.flatten(1).norm(dim=1)
        return h, skip + change
    return edit


def write_scedit(name, tuner, control, controls, setting):
    shapes = dict(SHAPES) | (mlp_shapes("") if tuner else {})
    for k in range(controls):
        shapes |= control_shapes(f"control.{k}.")
    weights, inputs, taps = sd.half(fixture.draw_all(shapes, 31)), sd.unet_inputs(), {}
    picture = fixture.draw((2, 3, 8 * SIDE, 8 * SIDE), "sd hint").half().double() if controls else None
    edit = scedit(weights, tuner, control, controls, picture, taps)
    output = sd_layers.UNet(weights, GROUPS, HEADS, edit=edit)(inputs["x"], inputs["time"], inputs["context"])
    if controls:
        inputs["hint"] = picture.half()
    fixture.save(name, weights, inputs, {"output": output}, taps=taps, metadata=sd.UNET_METADATA | setting)


class Accelerated(sd_layers.UNet):
    """A-SDM: conditional convolutions where the file has several kernels, attention by regions and the pooled whole."""

    def __init__(self, table, groups, heads, region, pool):
        super().__init__(table, groups, heads)
        self.region, self.pool, self.taps, self.routes = region, pool, {}, {}

    def conditional(self, w, name, x):
        a = w.at(name)
        if a("weight").ndim == 4:
            return sd_layers.conv(w, name, x)
        mix = torch.sigmoid(sd_layers.linear(a, "routing", x.mean((2, 3))))
        self.taps[f"{a.prefix}kernel_weights"] = mix
        kernels = torch.einsum("ne,eoikl->noikl", mix, a("weight"))
        return torch.stack([F.conv2d(x[i:i + 1], kernels[i], mix[i] @ a("bias"), padding=1)[0] for i in range(len(x))])

    def own_attention(self, w, u, height, width):
        """Every query by itself: its region's pixels and the pooled ones."""
        r, p, heads = self.region, self.pool, self.heads
        n, tokens, c = u.shape
        image = u.transpose(1, 2).reshape(n, c, height, width)
        small = F.avg_pool2d(image, p).flatten(2).transpose(1, 2)
        q, k, v = (sd_layers.heads_of(sd_layers.linear(w, name, u), heads) for name in ("to_q", "to_k", "to_v"))
        pk, pv = (sd_layers.heads_of(sd_layers.linear(w, name, small), heads) for name in ("to_k", "to_v"))
        out = torch.zeros_like(q)
        regions, columns = tokens // (r * r), width // r
        for t in range(tokens):
            y, x = t // width // r, t % width // r
            near = [i for i in range(tokens) if i // width // r == y and i % width // r == x]
            keys, values = torch.cat([k[:, :, near], pk], 2), torch.cat([v[:, :, near], pv], 2)
            s = (q[:, :, t:t + 1] @ keys.transpose(-1, -2)) * q.shape[-1] ** -0.5
            out[:, :, t:t + 1] = s.softmax(-1) @ values
        blocks = regions + -(-small.shape[1] // (r * r))
        route = torch.full((n * regions, blocks), float("nan"))
        route[:, regions:] = 1
        route[range(n * regions), [i % regions for i in range(n * regions)]] = 1
        self.routes[f"{w.prefix}route"] = route
        return out.transpose(1, 2).flatten(2)

    def layer(self, block, j, x, temb, context):
        w = block.at(f"resnets.{j}")
        h = self.conditional(w, "conv1", F.silu(sd_layers.group_norm(w, "norm1", x, self.groups, 1e-5)))
        h = h + sd_layers.linear(w, "time_emb_proj", F.silu(temb))[:, :, None, None]
        h = self.conditional(w, "conv2", F.silu(sd_layers.group_norm(w, "norm2", h, self.groups, 1e-5)))
        x = (sd_layers.conv(w, "conv_shortcut", x) if w.has("conv_shortcut.weight") else x) + h
        if block.has(f"attentions.{j}.proj_in.weight"):
            x = self.transformer(block.at(f"attentions.{j}"), x, context)
        return x

    def transformer(self, w, x, context):
        height, width = x.shape[2:]
        usual = sd_layers.self_attention
        divides = height % self.region == 0 and height % self.pool == 0 and height > self.region
        if divides:
            sd_layers.self_attention = lambda a, u, heads: self.own_attention(a, u, height, width)
        try:
            return super().transformer(w, x, context)
        finally:
            sd_layers.self_attention = usual


def write_asdm():
    shapes, experts = dict(sd.UNET), 3
    for name in [f"{b}.resnets.0.{c}" for b in ("down_blocks.0", "up_blocks.1") for c in ("conv1", "conv2")]:
        out, size = shapes[f"{name}.weight"][:2]
        shapes |= {f"{name}.weight": (experts, out, size, 3, 3), f"{name}.bias": (experts, out),
                   f"{name}.routing.weight": (experts, size), f"{name}.routing.bias": (experts,)}
    weights = fixture.draw_all(shapes, 51)
    for name, value in weights.items():
        if value.ndim == 5:
            weights[name] = value * experts ** 0.5
    weights, inputs = sd.half(weights), sd.unet_inputs()
    network = Accelerated(weights, GROUPS, HEADS, 3, 2)
    output = network(inputs["x"], inputs["time"], inputs["context"])
    assert len(network.taps) == 4 and network.routes
    fixture.save("sd_asdm", weights, inputs, {"output": output}, taps=network.taps, routes=network.routes,
                 metadata=sd.UNET_METADATA | {"gri": "3,2"})


def main():
    write_asdm()
    write_scedit("sd_scedit", 0.7, 0, 0, {"scedit": "0.7,1"})
    write_scedit("sd_scedit_control", 1, 0.5, 2, {"scedit": "1,0.5"})


if __name__ == "__main__":
    main()
