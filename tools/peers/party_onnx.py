#!/usr/bin/env python3
"""The ONNX Runtime party: its CPU provider, f32, as many threads as OMP_NUM_THREADS says.

Ops are graphs of one ONNX node, or of a few where ONNX has none (experts). The default models are exported from the networks of
party_torch.py; ProMoE's experts depend on the tokens in a way the exporter cannot follow.
"""
import io
import os

import numpy as np

import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from party import Gone, repeated, serve

OPSET = 23


def noise(seed, *shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def experts_of(rows, experts, top, products, width):
    """Nodes of a mixture: `scores` -> the best, then for each expert its rows, the nodes products(e) from rows{e} to made{e}, and
    what it makes added to its rows weighted (`y`), as exporters write such layers."""
    nodes = [helper.make_node("TopK", ["scores", "top"], ["weights", "chosen"]),
             helper.make_node("ConstantOfShape", ["shape"], ["y_0"],
                              value=helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]))]
    constants = {"top": np.array([top]), "shape": np.array([rows, width]), "one": np.array([1])}
    for e in range(experts):
        constants[f"e{e}"] = np.array(e)
        nodes += [helper.make_node("Equal", ["chosen", f"e{e}"], [f"is{e}"]),
                  helper.make_node("NonZero", [f"is{e}"], [f"at{e}"]),
                  helper.make_node("Transpose", [f"at{e}"], [f"pairs{e}"], perm=[1, 0]),
                  helper.make_node("GatherND", ["weights", f"pairs{e}"], [f"weight{e}"]),
                  helper.make_node("Unsqueeze", [f"weight{e}", "one"], [f"column{e}"]),
                  helper.make_node("Split", [f"at{e}"], [f"row{e}", f"_{e}"], axis=0, num_outputs=2),
                  helper.make_node("Transpose", [f"row{e}"], [f"rows_at{e}"], perm=[1, 0]),
                  helper.make_node("GatherND", ["x", f"rows_at{e}"], [f"rows{e}"]),
                  *products(e),
                  helper.make_node("Mul", [f"made{e}", f"column{e}"], [f"weighted{e}"]),
                  helper.make_node("ScatterND", [f"y_{e}", f"rows_at{e}", f"weighted{e}"],
                                   ["y" if e == experts - 1 else f"y_{e + 1}"], reduction="add")]
    return nodes, constants


def moe(experts, top, rows, width, hidden):
    def products(e):
        return [helper.make_node("MatMul", [f"rows{e}", f"up{e}"], [f"hidden{e}"]),
                helper.make_node("Gelu", [f"hidden{e}"], [f"gelu{e}"], approximate="tanh"),
                helper.make_node("MatMul", [f"gelu{e}", f"down{e}"], [f"made{e}"])]
    nodes, constants = experts_of(rows, experts, top, products, width)
    for e in range(experts):
        constants[f"up{e}"], constants[f"down{e}"] = noise(2 + e, width, hidden) / 16, noise(100 + e, hidden, width) / 16
    return nodes, {"scores": noise(0, rows, experts), "x": noise(1, rows, width)}, constants


def layer(op, inputs, constants, **attributes):
    names = [*inputs, *constants]
    return [helper.make_node(op, names, ["y"], **attributes)], inputs, constants


def matmul(m, n, k):
    return layer("MatMul", {"a": noise(0, m, k), "b": noise(1, k, n)}, {})


def conv(height, width, channels, out):
    return layer("Conv", {"x": noise(0, 1, channels, height, width)}, {"w": noise(1, out, channels, 3, 3) / 16}, pads=[1, 1, 1, 1])


def attention(heads, tokens, channels):
    q, k, v = (noise(i, 1, tokens, heads * channels) for i in range(3))
    node = helper.make_node("MultiHeadAttention", ["q", "k", "v"], ["y"], domain="com.microsoft", num_heads=heads)
    return [node], {"q": q, "k": k, "v": v}, {}


def softmax(rows, length):
    return layer("Softmax", {"x": noise(0, rows, length)}, {})


def group_norm(height, width, channels, groups):
    return layer("GroupNormalization", {"x": noise(0, 1, channels, height, width)},
                 {"scale": noise(1, channels) / 16, "shift": noise(2, channels) / 16}, num_groups=groups, epsilon=1e-5)


def layer_norm(rows, channels):
    return layer("LayerNormalization", {"x": noise(0, rows, channels)},
                 {"scale": noise(1, channels) / 16, "shift": noise(2, channels) / 16}, epsilon=1e-5)


KINDS = {call.__name__: call for call in (matmul, conv, attention, moe, softmax, group_norm, layer_norm)}


def model_of(kind, numbers):
    """(serialised ONNX model, inputs)."""
    nodes, inputs, constants = KINDS[kind](*numbers)
    graph = helper.make_graph(
        nodes, kind, [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)])
    model.ir_version = 10
    return model.SerializeToString(), inputs


def exported(path):
    """A default model, by PyTorch's exporter."""
    import torch
    from party_torch import model_of as network_of
    network, values = network_of(path)
    if hasattr(network, "mixtures"):
        raise Gone("its experts' rows depend on the tokens, which PyTorch's exporter cannot follow")
    file = io.BytesIO()
    names = ["x", "sigma", "bag"]
    with torch.no_grad():
        torch.onnx.export(network, values, file, input_names=names, output_names=["y"], opset_version=18, dynamo=False)
    return file.getvalue(), {name: value.numpy() for name, value in zip(names, values)}


def make(kind, repeats, numbers):
    if kind == "model":
        model, inputs = exported(" ".join(numbers))
    elif kind in KINDS:
        model, inputs = model_of(kind, numbers)
    else:
        raise Gone("ONNX has no such op")
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, value in inputs.items():
        binding.bind_cpu_input(name, value)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    mean = None if kind == "model" else float(np.abs(binding.copy_outputs_to_cpu()[0]).mean())
    return repeated(lambda: session.run_with_iobinding(binding), repeats), mean


if __name__ == "__main__":
    serve(f"ONNX Runtime {ort.__version__}, {os.environ.get('OMP_NUM_THREADS', os.cpu_count())} threads", make)
