# SPDX-License-Identifier: GPL-3.0-or-later
"""Training form of the Kotodama family in PyTorch: QK-norm, grouped queries and block attention residuals.

Parameter names are the tensor names of the checkpoint.  Nothing is added to a residual stream: each
sub-block reads a softmax mixture of the finished blocks and the open sum, and adds its output to that sum.
"""
import torch
import torch.nn.functional as F
from torch import nn

from decoder_torch import Decoder, RMSNorm, SwiGLU, join, rotate, split, uniform_init
from layers_torch import Linear

EPS = 1e-5


def config(**changes):
    c = dict(
        model_type="kotodama", vocab_size=768, hidden_size=192, num_layers=8, num_attention_heads=6, num_kv_heads=2,
        head_dim=32, intermediate_size=448, max_position_embeddings=512, rope_theta=10000.0, qk_norm=True,
        tie_word_embeddings=True, attn_res=True, attn_res_boundaries=[0, 2, 4, 6], dtype="bfloat16",
        bos_token_id=0, eos_token_id=1, pad_token_id=2)
    c.update(changes)
    return c


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        dim, self.width = c["hidden_size"], c["head_dim"]
        self.group = c["num_attention_heads"] // c["num_kv_heads"]
        self.q_proj = Linear(dim, c["num_attention_heads"] * self.width, False)
        self.k_proj = Linear(dim, c["num_kv_heads"] * self.width, False)
        self.v_proj = Linear(dim, c["num_kv_heads"] * self.width, False)
        self.o_proj = Linear(c["num_attention_heads"] * self.width, dim, False)
        self.q_norm, self.k_norm = RMSNorm(self.width, EPS), RMSNorm(self.width, EPS)

    def forward(self, u, B, T, rope):
        q = rotate(self.q_norm(split(self.q_proj(u), B, T, self.width)), rope)
        k = rotate(self.k_norm(split(self.k_proj(u), B, T, self.width)), rope)
        v = split(self.v_proj(u), B, T, self.width)
        k, v = (x.repeat_interleave(self.group, 1) for x in (k, v))
        return self.o_proj(join(F.scaled_dot_product_attention(q, k, v, is_causal=True)))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        dim = c["hidden_size"]
        self.attn_res_query = nn.Parameter(torch.zeros(dim))
        self.mlp_res_query = nn.Parameter(torch.zeros(dim))
        self.attn_norm, self.attn = RMSNorm(dim, EPS), Attention(c)
        self.ffn_norm, self.ffn = RMSNorm(dim, EPS), SwiGLU(dim, c["intermediate_size"])
        self.attn_res_norm, self.mlp_res_norm = RMSNorm(dim, EPS), RMSNorm(dim, EPS)


def route(sources, query, norm, aux):
    """Softmax mixture of `sources`, each [rows, D]; one weight a source and row."""
    s = torch.stack(sources, 1)                                                    # [rows, sources, D]
    weights = torch.softmax(norm(s) @ query, 1)
    if aux.measure:
        mean = weights[aux.valid].sum(0)
        aux.measured.append(F.pad(mean, (0, aux.sources - len(mean))))
    return (weights[..., None] * s).sum(1)


class KotodamaModel(Decoder):
    def __init__(self, c):
        super().__init__()
        self.config, self.head_width, dim = c, c["head_dim"], c["hidden_size"]
        self.final_res_query = nn.Parameter(torch.zeros(dim))
        self.embed_tokens = nn.Embedding(c["vocab_size"], dim)
        uniform_init(self.embed_tokens.weight)
        self.layers = nn.ModuleList([Layer(c) for _ in range(c["num_layers"])])
        self.norm, self.final_res_norm = RMSNorm(dim, EPS), RMSNorm(dim, EPS)

    def embedding(self):
        return self.embed_tokens.weight

    def stack(self, x, B, T, rope, aux):
        blocks, open_sum = [], x
        aux.sources, aux.measured = len(self.config["attn_res_boundaries"]) + 1, []
        for i, layer in enumerate(self.layers):
            h = route(blocks + [open_sum], layer.attn_res_query, layer.attn_res_norm, aux)
            y = layer.attn(layer.attn_norm(h), B, T, rope)
            if i in self.config["attn_res_boundaries"]:                # the router above still saw the finished block
                blocks, open_sum = blocks + [open_sum], y
            else:
                open_sum = open_sum + y
            h = route(blocks + [open_sum], layer.mlp_res_query, layer.mlp_res_norm, aux)
            open_sum = open_sum + layer.ffn(layer.ffn_norm(h))
        return self.norm(route(blocks + [open_sum], self.final_res_query, self.final_res_norm, aux))
