# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two plain decoders of this folder share: norms, rotation, grouped queries, SwiGLU, the frame."""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from layers_torch import Linear, logits, pick


@dataclass
class Aux:
    """What a forward pass leaves for the training loop: nothing but who is not padding, and what was measured."""
    valid: torch.Tensor                       # [B*T] bool
    measure: bool = False
    measured: object = None


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class SwiGLU(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.gate_proj = Linear(dim, hidden, False)
        self.up_proj = Linear(dim, hidden, False)
        self.down_proj = Linear(hidden, dim, False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


def rotary(positions, width, theta):
    """cos, sin [T, width], half-split pairing."""
    frequency = theta ** (-2.0 * torch.arange(width // 2, dtype=torch.float64) / width)
    angle = positions[:, None].double() * frequency
    angle = torch.cat([angle, angle], -1)
    return angle.cos().float(), angle.sin().float()


def rotate(x, rope):
    h = x.shape[-1] // 2
    return x * rope[0] + torch.cat([-x[..., h:], x[..., :h]], -1) * rope[1]


def split(x, B, T, width):
    """[B*T, heads * width] -> [B, heads, T, width]"""
    return x.view(B, T, -1, width).transpose(1, 2)


def join(y):
    """[B, heads, T, width] -> [B*T, heads * width]"""
    B, heads, T, width = y.shape
    return y.transpose(1, 2).reshape(B * T, heads * width)


class Decoder(nn.Module):
    """tokens -> logits on a tied embedding; a family says what happens in between (`stack`)."""
    def forward(self, tokens, lengths, wanted=None, start=0, measure=False):
        """tokens [B, T] right-padded -> logits of the wanted rows ([B*T] bool; default all), Aux."""
        B, T = tokens.shape
        aux = Aux((torch.arange(T) < lengths[:, None]).reshape(-1), measure)
        embedding = self.embedding()
        rope = rotary(torch.arange(start, start + T), self.head_width, self.config["rope_theta"])
        x = self.stack(F.embedding(tokens, embedding).view(B * T, -1), B, T, rope, aux)
        if wanted is None:
            return logits(x, embedding, self.training), aux
        rows, count = pick(wanted)
        return logits(x[rows], embedding, self.training)[:count], aux


def causal(T):
    return torch.ones(T, T, dtype=torch.bool).tril()


def uniform_init(embedding):
    nn.init.normal_(embedding, std=1 / math.sqrt(embedding.shape[1]))
