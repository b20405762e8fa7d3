"""Muon: momentum whose direction is made orthogonal, for the inner matrices of a network.

What: per matrix (a convolution's kernel flattened to [out, in x k x k]) the Nesterov momentum is replaced by the
nearest orthogonal matrix, found by five steps of a Newton-Schulz iteration with the published quintic (Jordan et al.
2024, "Muon"). Vectors, embeddings, inputs and outputs stay with AdamW (`divided` chooses).
Why: it needs a good deal fewer pictures than AdamW for the same loss, and pictures are what a CPU is short of.
"""
import torch


def orthogonal(g, steps=5):
    """Nearest orthogonal matrix (singular values about 1), in bf16."""
    wide = g.shape[0] > g.shape[1]
    x = (g.T if wide else g).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.T if wide else x).float()


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:  # an expert that got no token
                    continue
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                buffer = state["momentum_buffer"].lerp_(p.grad, 1 - group["momentum"])
                g = p.grad.lerp(buffer, group["momentum"])
                flat = g.reshape(len(g), -1)
                size = max(1, flat.shape[0] / flat.shape[1]) ** 0.5
                p.add_(orthogonal(flat).reshape(g.shape), alpha=-group["lr"] * size)


def divided(model):
    """(inner matrices, everything else): first and last layers, tables, time and label stay with AdamW."""
    edge = ("x_embedder", "t_embedder", "y_embedder", "final_layer", "pos_embed", "time_embed", "label_emb",
            "input_blocks.0.", "out.", "cluster_centers", "adaLN_modulation", "emb_layers")
    matrices, others = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            (matrices if p.ndim >= 2 and not name.startswith(edge) and not any(e in name for e in edge[-2:])
             else others).append(p)
    return matrices, others
