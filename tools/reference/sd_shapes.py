"""Names and shapes of Stable Diffusion's networks at any size, as diffusers and transformers lay them out. At the published
size: 686 tensors and 859,520,964 values (U-Net), 248 and 83,653,863 (autoencoder; decoder side 140), 196 and 123,060,480
(text encoder)."""


def _linear(name, out, size, bias=True):
    return {f"{name}.weight": (out, size)} | ({f"{name}.bias": (out,)} if bias else {})


def _conv(name, out, size, kernel):
    return {f"{name}.weight": (out, size, kernel, kernel), f"{name}.bias": (out,)}


def _norm(name, size):
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _resnet(name, size, out, time):
    s = _norm(f"{name}.norm1", size) | _conv(f"{name}.conv1", out, size, 3)
    if time:
        s |= _linear(f"{name}.time_emb_proj", out, time)
    s |= _norm(f"{name}.norm2", out) | _conv(f"{name}.conv2", out, out, 3)
    return s | (_conv(f"{name}.conv_shortcut", out, size, 1) if size != out else {})


def _transformer(name, c, context):
    s = _norm(f"{name}.norm", c) | _conv(f"{name}.proj_in", c, c, 1) | _conv(f"{name}.proj_out", c, c, 1)
    b = f"{name}.transformer_blocks.0"
    for i in (1, 2, 3):
        s |= _norm(f"{b}.norm{i}", c)
    for attention, size in (("attn1", c), ("attn2", context)):
        s |= _linear(f"{b}.{attention}.to_q", c, c, False)
        s |= _linear(f"{b}.{attention}.to_k", c, size, False) | _linear(f"{b}.{attention}.to_v", c, size, False)
        s |= _linear(f"{b}.{attention}.to_out.0", c, c)
    return s | _linear(f"{b}.ff.net.0.proj", 8 * c, c) | _linear(f"{b}.ff.net.2", c, 4 * c)


def unet(widths=(320, 640, 1280, 1280), attends=(True, True, True, False), layers=2, context=768, channels=4):
    time, n = 4 * widths[0], len(widths)
    s = _linear("time_embedding.linear_1", time, widths[0]) | _linear("time_embedding.linear_2", time, time)
    s |= _conv("conv_in", widths[0], channels, 3)
    skips, c = [widths[0]], widths[0]
    for i, width in enumerate(widths):
        for j in range(layers):
            s |= _resnet(f"down_blocks.{i}.resnets.{j}", c, width, time)
            if attends[i]:
                s |= _transformer(f"down_blocks.{i}.attentions.{j}", width, context)
            c = width
            skips.append(c)
        if i < n - 1:
            s |= _conv(f"down_blocks.{i}.downsamplers.0.conv", c, c, 3)
            skips.append(c)
    s |= _resnet("mid_block.resnets.0", c, c, time) | _transformer("mid_block.attentions.0", c, context)
    s |= _resnet("mid_block.resnets.1", c, c, time)
    for i, width in enumerate(reversed(widths)):
        for j in range(layers + 1):
            s |= _resnet(f"up_blocks.{i}.resnets.{j}", c + skips.pop(), width, time)
            if attends[n - 1 - i]:
                s |= _transformer(f"up_blocks.{i}.attentions.{j}", width, context)
            c = width
        if i < n - 1:
            s |= _conv(f"up_blocks.{i}.upsamplers.0.conv", c, c, 3)
    return s | _norm("conv_norm_out", c) | _conv("conv_out", channels, c, 3)


def decoder(widths=(128, 256, 512, 512), layers=3, channels=4):
    c, n = widths[-1], len(widths)
    s = _conv("post_quant_conv", channels, channels, 1) | _conv("decoder.conv_in", c, channels, 3)
    s |= _resnet("decoder.mid_block.resnets.0", c, c, 0) | _resnet("decoder.mid_block.resnets.1", c, c, 0)
    s |= _norm("decoder.mid_block.attentions.0.group_norm", c)
    for name in ("to_q", "to_k", "to_v", "to_out.0"):
        s |= _linear(f"decoder.mid_block.attentions.0.{name}", c, c)
    for i, width in enumerate(reversed(widths)):
        for j in range(layers):
            s |= _resnet(f"decoder.up_blocks.{i}.resnets.{j}", c, width, 0)
            c = width
        if i < n - 1:
            s |= _conv(f"decoder.up_blocks.{i}.upsamplers.0.conv", c, c, 3)
    return s | _norm("decoder.conv_norm_out", c) | _conv("decoder.conv_out", 3, c, 3)


def text(vocabulary=49408, width=768, layers=12, hidden=3072, positions=77):
    s = {"text_model.embeddings.token_embedding.weight": (vocabulary, width),
         "text_model.embeddings.position_embedding.weight": (positions, width)}
    for i in range(layers):
        b = f"text_model.encoder.layers.{i}"
        s |= _norm(f"{b}.layer_norm1", width) | _norm(f"{b}.layer_norm2", width)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            s |= _linear(f"{b}.self_attn.{name}", width, width)
        s |= _linear(f"{b}.mlp.fc1", hidden, width) | _linear(f"{b}.mlp.fc2", width, hidden)
    return s | _norm("text_model.final_layer_norm", width)
