# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the training forms that every family uses."""
import math

import torch
from torch import nn


class HalfMatmul(torch.autograd.Function):
    """x W^T with bf16 operands and float32 accumulation; everything around it stays float32.  On a CPU
    with bf16 dot products this is four times as fast, where full autocast is slower than none."""
    @staticmethod
    def forward(ctx, x, weight):
        x, weight = x.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(x, weight)
        return (x @ weight.T).float()

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad = grad.bfloat16()
        return (grad @ weight).float(), (grad.T @ x).float()


class Linear(nn.Linear):
    half = False                              # class-wide switch, used while training

    def __init__(self, inputs, outputs, bias=True, gain=1.0):
        super().__init__(inputs, outputs, bias)
        nn.init.normal_(self.weight, std=gain / math.sqrt(inputs))
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, x):
        if not (Linear.half and self.training and self.out_features > 64):
            return super().forward(x)
        y = HalfMatmul.apply(x, self.weight)
        return y if self.bias is None else y + self.bias


def pick(mask):
    """Indices of the true entries first, rounded up to a multiple of 128 with others; and their count.
    Rounding keeps the number of distinct matrix shapes small, for each new one costs the matrix library
    a kernel generation."""
    count = int(mask.sum())
    return mask.sort(descending=True, stable=True).indices[:-(-count // 128) * 128], count


def logits(x, embedding, training):
    """x [rows, D] on the tied embedding [V, D]"""
    return HalfMatmul.apply(x, embedding) if Linear.half and training else x @ embedding.T
