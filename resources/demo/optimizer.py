# SPDX-License-Identifier: GPL-3.0-or-later
"""Muon for matrices, AdamW for everything else."""
import math

import torch


def orthogonalise(g, steps=5):
    """Newton-Schulz iteration towards the nearest (semi-)orthogonal matrix; g [n, rows <= columns]."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = (g / (g.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(steps):
        s = x @ x.mT
        x = a * x + (b * s + c * (s @ s)) @ x
    return x.float()


class Muon(torch.optim.Optimizer):
    """Momentum followed by orthogonalisation.  Matrices of one shape (up to transposition) are stacked,
    because a batched product is much quicker than a hundred small ones."""
    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(list(params), dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(tuple(sorted(p.shape)), []).append(p)
            for (rows, columns), params in shapes.items():
                updates = torch.stack([self.momentum(p, group["momentum"]) for p in params])
                updates = orthogonalise(updates) * (0.2 * math.sqrt(columns))      # root mean square about 0.2
                for p, u in zip(params, updates):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.sub_((u if p.shape == u.shape else u.T) * group["lr"])

    def momentum(self, p, beta):
        state = self.state[p]
        if "buffer" not in state:
            state["buffer"] = torch.zeros_like(p)
        state["buffer"].lerp_(p.grad, 1 - beta)
        u = p.grad.lerp(state["buffer"], beta)                                      # Nesterov
        return u if p.shape[0] <= p.shape[1] else u.T


def build(model, lr_matrix, lr_vector, weight_decay):
    """Two optimizers whose groups remember their peak learning rate as `peak`."""
    matrices, vectors, geometry, radii = [], [], [], []
    for name, p in model.named_parameters():
        if p.ndim == 2 and name.endswith("proj.weight") or name.endswith(("pointwise.weight", "pointwise_in.weight", "fc1.weight")):
            matrices.append(p)
        elif name.endswith(".radius"):
            radii.append(p)                   # they must keep up with the keys
        elif any(x in name for x in ("rope_", ".origin", ".alpha", ".metric_diag", "gravity_mass_log")):
            geometry.append(p)                # few numbers with a large effect: smaller steps
        else:
            vectors.append(p)
    muon = Muon(matrices, lr_matrix, weight_decay=weight_decay)
    adam = torch.optim.AdamW(
        [dict(params=vectors, lr=lr_vector), dict(params=geometry, lr=lr_vector / 3), dict(params=radii, lr=2 * lr_vector)],
        betas=(0.9, 0.98), weight_decay=0.0)
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return muon, adam
