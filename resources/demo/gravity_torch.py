# SPDX-License-Identifier: GPL-3.0-or-later
"""Training form of a Qwen2-shaped model with gravity attention, in PyTorch.

The score of a query and a key is M^2 / (|q - k|^2 + 0.1), M = softplus(gravity_mass_log) one mass a head.
Parameter names are the tensor names of the checkpoint; the masses are released in a file of their own.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

from decoder_torch import Decoder, RMSNorm, SwiGLU, causal, join, rotate, split, uniform_init
from layers_torch import Linear

SOFTENING = 0.1                 # eps beside the squared distance


def config(**changes):
    c = dict(
        architectures=["Qwen2ForCausalLM"], model_type="qwen2", vocab_size=768, hidden_size=192, num_hidden_layers=6,
        num_attention_heads=6, num_key_value_heads=2, intermediate_size=512, hidden_act="silu", rms_norm_eps=1e-6,
        rope_theta=10000.0, max_position_embeddings=512, tie_word_embeddings=True, torch_dtype="bfloat16",
        use_sliding_window=False, bos_token_id=0, eos_token_id=1, pad_token_id=2)
    c.update(changes)
    return c


class GravityAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        dim, heads, kv = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
        self.width, self.group = dim // heads, heads // kv
        near = 1 / math.sqrt(self.width)                               # |q|^2 and |k|^2 start near 1: distances of the order of eps can be learnt
        self.q_proj = Linear(dim, dim, True, near)
        self.k_proj = Linear(dim, kv * self.width, True, near)
        self.v_proj = Linear(dim, kv * self.width, True)
        self.o_proj = Linear(dim, dim, False)
        self.gravity_mass_log = nn.Parameter(torch.linspace(1.0, 2.0, heads))      # raw; M from 1.31 to 2.13

    def forward(self, u, B, T, rope, aux):
        q = rotate(split(self.q_proj(u), B, T, self.width), rope)
        k = rotate(split(self.k_proj(u), B, T, self.width), rope).repeat_interleave(self.group, 1)
        v = split(self.v_proj(u), B, T, self.width).repeat_interleave(self.group, 1)
        squared = q.square().sum(-1, keepdim=True) + k.square().sum(-1)[:, :, None] - 2 * (q @ k.transpose(-1, -2))
        mass = F.softplus(self.gravity_mass_log).view(-1, 1, 1)
        score = mass.square() / (squared.clamp(min=0) + SOFTENING)
        weights = torch.softmax(score.masked_fill(~causal(T), -math.inf), -1)
        if aux.measure:                                                # largest weight of a row, times the keys it has: 1 is uniform
            peak = (weights.amax(-1) * torch.arange(1, T + 1)).transpose(1, 2).reshape(B * T, -1)
            aux.measured.append(peak[aux.valid].sum(0))
        return self.o_proj(join(weights @ v))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        dim, eps = c["hidden_size"], c["rms_norm_eps"]
        self.input_layernorm, self.self_attn = RMSNorm(dim, eps), GravityAttention(c)
        self.post_attention_layernorm, self.mlp = RMSNorm(dim, eps), SwiGLU(dim, c["intermediate_size"])


class Stack(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        uniform_init(self.embed_tokens.weight)
        self.layers = nn.ModuleList([Layer(c) for _ in range(c["num_hidden_layers"])])
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])


class GravityModel(Decoder):
    def __init__(self, c):
        super().__init__()
        self.config, self.head_width = c, c["hidden_size"] // c["num_attention_heads"]
        self.model = Stack(c)

    def embedding(self):
        return self.model.embed_tokens.weight

    def stack(self, x, B, T, rope, aux):
        aux.measured = []
        for layer in self.model.layers:
            x = x + layer.self_attn(layer.input_layernorm(x), B, T, rope, aux)
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        return self.model.norm(x)
