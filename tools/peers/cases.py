"""The work that is compared: shapes, what it costs, how far ahead Switchyard wants to be first.

A kind's numbers are in the order in which all parties read them (tests/bench/bench_peers.c). `flops` count a convolution directly,
whatever algorithm a party has; `bytes` are read once and written once. Goals: times a party's time is ours, at least; "best" is
the faster of the parties on the Vulkan driver; "roof" our share of the driver's own multiply-add rate or triad rate.
"""
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    name: str
    kind: str
    numbers: tuple
    repeats: int  # of a sample, for fast parties; a slow one makes fewer
    roof: str = "fma"
    goals: dict = field(default_factory=dict)

    @property
    def flops(self):
        n = self.numbers
        return {"matmul": lambda: 2 * n[0] * n[1] * n[2],
                "conv": lambda: 2 * 9 * n[0] * n[1] * n[2] * n[3],
                "attention": lambda: 4 * n[0] * n[1] * n[1] * n[2],
                "grouped": lambda: 2 * n[1] * n[2] * n[3] * n[4],
                "moe": lambda: 4 * n[1] * n[2] * n[3] * n[4]}.get(self.kind, lambda: 0)()

    @property
    def bytes(self):
        n = self.numbers
        count = {"softmax": lambda: n[0] * n[1], "layer_norm": lambda: n[0] * n[1],
                 "group_norm": lambda: n[0] * n[1] * n[2]}.get(self.kind, lambda: 0)()
        return 8 * count


CONV = {"ncnn": 2, "ggml": 15}
ROWS = {"best": 5}
MOE = {"ggml": 10}
CASES = (
    Case("matmul 1024^3", "matmul", (1024, 1024, 1024), 3, "fma", {"ggml": 4, "ncnn": 5, "roof": 0.25}),
    Case("conv 3x3, 64 to 64 at 64x64", "conv", (64, 64, 64, 64), 5, "fma", CONV),
    Case("conv 3x3, 256 to 256 at 32x32", "conv", (32, 32, 256, 256), 3, "fma", CONV),
    Case("conv 3x3, 256 to 256 at 16x16", "conv", (16, 16, 256, 256), 5, "fma", CONV),
    Case("attention, 1024 tokens, 8 heads of 64", "attention", (8, 1024, 64), 3, "fma", {"ggml": 10, "ncnn": 4}),
    Case("attention, 4096 tokens, 2 heads of 64", "attention", (2, 4096, 64), 1, "fma", {"ggml": 10, "ncnn": 4}),
    Case("expert matmul, 512 of 512, 128 rows, top 2 of 8", "grouped", (8, 2, 512, 128, 512), 8, "fma", MOE),
    Case("expert matmul, 512 of 512, 128 rows, top 4 of 32", "grouped", (32, 4, 512, 128, 512), 8, "fma", MOE),
    Case("expert layer, 384 to 1536, 512 rows, top 2 of 8", "moe", (8, 2, 512, 384, 1536), 3, "fma", MOE),
    Case("softmax, 8192 rows of 1024", "softmax", (8192, 1024), 3, "triad", ROWS),
    Case("group norm, 64x64x320, 32 groups", "group_norm", (64, 64, 320, 32), 5, "triad", ROWS),
    Case("layer norm, 4096 rows of 768", "layer_norm", (4096, 768), 5, "triad", ROWS),
)


def models(folder):
    """The default models, a step (guided: two samples). Other engines on Vulkan do not run these networks."""
    return tuple(Case(f"{name}, a step", "model", (f"{folder}/{name}.safetensors",), 8, "none")
                 for name in ("emoji-promoe", "emoji-unet", "emoji-sparse"))
