# SPDX-License-Identifier: GPL-3.0-or-later
"""Training form of the moa_metric family, preset moa-2026, in PyTorch.

Parameter names are the tensor names of the checkpoint.  The arithmetic is that of the inference
engine, arranged for training on whole batches:

* all rows of a batch are one [B*T, D] matrix, and a path is evaluated only on the rows whose router
  kept it, which changes nothing because the other rows multiply it by zero;
* the metric score is -sum_c m_c (Q_c - K_c)^2.  Its |Q|^2 part is constant along a softmax row and
  drops out, so the logits are an inner product of [2Q, -1] and [K, |K|^2] and the fused attention
  kernel can be used;
* the ball test depends on the key alone, so a pruned key gets a large negative bias.  If a whole row
  is pruned every key has the same bias, softmax ignores it, and the row attends to all its keys:
  exactly the declared `unpruned` fallback.
"""
import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from layers_torch import Linear, logits, pick

PATHS = ("local_conv", "metric_attention", "channel_mix", "metric_mqa")
PRUNED = -300.0                 # exp(-300 + any logit gap in use) is 0 in float32
BALL_TAU = 0.2                  # width of the surrogate that carries gradients to radius and origin


def config(**changes):
    c = dict(
        architectures=["MoAMetricLM"], model_type="moa_metric", dtype="bfloat16",
        vocab_size=768, dim=128, num_layers=4, attn_heads=8, mqa_q_heads=4, lm_attn_heads=8, lm_mqa_q_heads=4,
        mixer_hidden=192, lm_mixer_hidden=192, ffn_hidden=256, lm_ffn_hidden=256, ff_mult=1.5, conv_kernel=5, conv_mult=1,
        lr_rank=16, r_basis=16, router_hidden=32, lm_router_hidden=32, router_topk=2, router_temperature=1.0,
        lm_router_temperature=1.0, n_branches=3, metric="maha_diag", alpha_init=1.0, maha_init=1.0, radius_init=2.0,
        origin_init_scale=0.3, learn_alpha=True, learn_radius=True, use_balls=True, energy_amplification=3.1415,
        enable_v_energy=True, discrepancy_modulation=True, theta_base=1000.0, max_position_embeddings=256,
        max_seq_len_cached=256, tie_word_embeddings=True, enable_feature_gates=True, enable_router_gates=True,
        layer_scale_init_value=0.5, bos_token_id=0, eos_token_id=1, pad_token_id=2)
    c.update(changes)
    return c


@dataclass
class Aux:
    """Losses and statistics collected along one forward pass."""
    valid: torch.Tensor                       # [B*T] bool: not padding
    lengths: torch.Tensor                     # [B]
    balance: list = field(default_factory=list)
    ball: list = field(default_factory=list)
    shares: list = field(default_factory=list)      # per mixture: mean share of each path
    branches: list = field(default_factory=list)    # mean share of each HyperFFN branch
    pruned: list = field(default_factory=list)      # per attention: pruned fraction per ball, after fallback
    measure: bool = False                     # also fill `pruned`


class Depthwise(nn.Module):
    """Causal depthwise filter; the last tap is the current token."""
    def __init__(self, width, kernel):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, kernel) / math.sqrt(kernel))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, h):                     # [B, T, W]
        k = self.weight.shape[1]
        h = F.pad(h.transpose(1, 2), (k - 1, 0))
        return F.conv1d(h, self.weight[:, None], self.bias, groups=len(self.weight)).transpose(1, 2)


class SwiGLU(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.gate_proj = Linear(dim, hidden)
        self.up_proj = Linear(dim, hidden)
        self.down_proj = Linear(hidden, dim)

    def forward(self, n):
        return self.down_proj(F.silu(self.gate_proj(n)) * self.up_proj(n))


class Net(nn.Module):
    """Two-layer router or gate network."""
    def __init__(self, dim, hidden, outputs):
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.fc2 = Linear(hidden, outputs, gain=0.5)

    def forward(self, n):
        return self.fc2(F.silu(self.fc1(n)))


class BlackHoleRope(nn.Module):
    """Rotation with a learned phase and a value gain, both Fourier series in the position."""
    def __init__(self, c, width):
        super().__init__()
        half, terms = width // 2, math.sqrt(c["r_basis"] / 2)
        self.period, self.amplification = c["max_seq_len_cached"], c["energy_amplification"]
        self.register_buffer("inv_freq", (c["theta_base"] ** (-2.0 * torch.arange(half, dtype=torch.float64) / width)).float())
        self.phase_bias = nn.Parameter(0.3 * torch.randn(half))
        self.phase_coef = nn.Parameter(0.25 / terms * torch.randn(c["r_basis"], half))
        self.energy_coef = nn.Parameter(0.2 / (self.amplification * terms) * torch.randn(c["r_basis"], half))
        self.disc_coef = nn.Parameter(0.5 / terms * torch.randn(c["r_basis"], half))

    def forward(self, positions, dtype=None):
        """cos, sin, gain [T, width]; angles in float64, as the engine forms them."""
        j = torch.arange(1, len(self.phase_coef) // 2 + 1)
        a = 2 * math.pi * ((positions[:, None] * j) % self.period).double() / self.period
        basis = torch.stack([a.cos(), a.sin()], -1).reshape(len(positions), -1)
        series = lambda coef: basis @ coef.double()
        angle = positions[:, None] * self.inv_freq.double() + self.phase_bias.double() + series(self.phase_coef)
        energy = self.amplification * series(self.energy_coef) * (1 + torch.tanh(series(self.disc_coef)))
        gain = (1 + energy).clamp(0.5, 2.0)
        return tuple(torch.cat([x, x], -1).to(dtype or self.phase_bias.dtype) for x in (angle.cos(), angle.sin(), gain))


def rotate(x, cos, sin):
    h = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., h:], x[..., :h]], -1) * sin


class Attention(nn.Module):
    """Metric attention with balls; shared=True is MetricMQA: one tied key/value head, one ball."""
    def __init__(self, c, heads, shared, targets):
        super().__init__()
        dim, self.heads = c["dim"], heads
        d = self.width = dim // heads
        balls = 1 if shared else heads
        self.q_proj = Linear(dim, dim, False, 0.5)
        if shared:
            self.kv_proj = Linear(dim, d, False, 0.7)
        else:
            self.k_proj = Linear(dim, dim, False, 0.5)
            self.v_proj = Linear(dim, dim, False)
        self.alpha = nn.Parameter(torch.full((heads,), float(c["alpha_init"])))
        self.metric_diag = nn.Parameter(c["maha_init"] * torch.exp(0.2 * torch.randn(*((d,) if shared else (balls, d)))))
        self.origin = nn.Parameter(0.3 * torch.randn(*((d,) if shared else (balls, d))))
        self.radius = nn.Parameter(torch.full((balls,), float(c["radius_init"])))
        self.updown = SwiGLU(dim, int(round(c["ff_mult"] * dim)))
        self.targets = torch.tensor(targets)          # wanted pruned fraction of each ball
        self.shared, self.calibrate = shared, False

    def forward(self, n, B, T, rope, aux):
        """Concatenated heads [B*T, D], before UpDown."""
        split = lambda x: x.view(B, T, -1, self.width).transpose(1, 2)
        cos, sin, gain = rope
        q = rotate(split(self.q_proj(n)), cos, sin)
        if self.shared:
            k = v = split(self.kv_proj(n))
        else:
            k, v = split(self.k_proj(n)), split(self.v_proj(n))
        k, v = rotate(k, cos, sin), v * gain
        origin = self.origin.view(-1, 1, self.width)
        distance = (k - origin).square().sum(-1).sqrt()                       # [B, balls, T]
        bias = self.ball_bias(distance, B, T, aux)
        root = self.metric_diag.clamp(min=0).sqrt().view(-1, 1, self.width)
        q, k = q * root, k * root
        scale = (self.alpha / math.sqrt(self.width)).view(-1, 1, 1)
        one = torch.ones_like(q[..., :1])
        q = torch.cat([q * (2 * scale), -scale * one, one], -1)
        k = torch.cat([k, k.square().sum(-1, keepdim=True), bias[..., None]], -1)
        v = F.pad(v, (0, 2))                                                  # the kernel wants equal widths
        shape = (B, self.heads, T, self.width + 2)
        y = F.scaled_dot_product_attention(q, k.expand(shape), v.expand(shape), is_causal=True, scale=1.0)
        return y[..., :self.width].transpose(1, 2).reshape(B * T, -1)

    def ball_bias(self, distance, B, T, aux):
        """0 inside, PRUNED outside.  Gradients see log sigmoid((radius - distance) / tau) instead, and a
        quantile loss draws the radius (only the radius) towards its wanted pruned fraction."""
        weight = (aux.lengths[:, None] - torch.arange(T)).clamp(min=0).to(distance.dtype)[:, None]   # queries that see key j
        if self.calibrate:
            self.set_radius(distance.detach(), weight)
        radius = self.radius[:, None]
        soft = F.logsigmoid((radius - distance) / BALL_TAU)
        outside = distance > radius
        if self.training:
            over, t = distance.detach() - radius, self.targets[:, None]
            pinball = torch.maximum((1 - t) * over, -t * over)      # least at the quantile that prunes the share t
            aux.ball.append((pinball * weight).sum((0, 2)).mean() / weight.sum())
        if aux.measure:
            aux.pruned.append(pruned_fraction(outside, aux.lengths))
        return torch.where(outside, PRUNED, 0.0).to(distance.dtype) + (soft - soft.detach())

    @torch.no_grad()
    def set_radius(self, distance, weight):
        """Radii at the quantile of the key distances that prunes the wanted fraction."""
        for h in range(distance.shape[1]):
            d, order = distance[:, h].reshape(-1).sort()
            mass = weight[:, 0].reshape(-1)[order].cumsum(0)
            at = torch.searchsorted(mass, (1 - self.targets[h]) * mass[-1]).clamp(max=len(d) - 1)
            self.radius[h] = d[at]
        self.calibrate = False


def pruned_fraction(outside, lengths):
    """Share of causal pairs the balls remove, per ball; rows that fall back remove nothing."""
    T = outside.shape[-1]
    count = outside.long().cumsum(-1)                                         # pruned keys seen by query i
    seen = torch.arange(1, T + 1)
    count = torch.where(count == seen, 0, count)
    inside = (torch.arange(T) < lengths[:, None])[:, None]
    return torch.stack([(count * inside).sum((0, 2)), (seen * inside).sum((0, 2)).expand(outside.shape[1])])


def top_shares(r, k, temperature):
    """Softmax over the k largest entries of a row, zero elsewhere.  The sort is stable, so of equal
    logits the lower index stays."""
    order = torch.sort(r, dim=-1, descending=True, stable=True).indices
    keep = torch.zeros_like(r, dtype=torch.bool).scatter_(1, order[:, :k], True)
    return torch.softmax((r / temperature).masked_fill(~keep, -math.inf), -1), keep


def balance_loss(r, w, keep, temperature, valid):
    """n * sum_p (mean kept_p / k) * (mean probability_p), least when all paths are used alike, and the
    divergence of the mean probabilities from even ones, which also revives a path that is hardly used."""
    total = valid.sum()
    v = valid[:, None].to(r.dtype)
    used = (keep * v).sum(0) / (keep.sum(1).max() * total)
    p = (torch.softmax(r / temperature, -1) * v).sum(0) / total
    n = r.shape[1]
    return n * (used * p).sum() - 1 - (n * p).log().mean(), (w.detach() * v).sum(0) / total


class ChannelMix(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.gate_proj = Linear(dim, dim)
        self.up_proj = Linear(dim, hidden)
        self.down_proj = Linear(hidden, dim)

    def forward(self, n):
        return torch.sigmoid(self.gate_proj(n)) * self.down_proj(F.silu(self.up_proj(n)))


class LocalConv(nn.Module):
    def __init__(self, dim, kernel):
        super().__init__()
        self.depthwise = Depthwise(dim, kernel)
        self.pointwise = Linear(dim, dim)


class Mixture(nn.Module):
    """The four-path mixture of a block or of the LM head."""
    def __init__(self, c, part, targets):
        super().__init__()
        dim, key = c["dim"], lambda name: c[part + name]
        self.topk, self.temperature = c["router_topk"], key("router_temperature")
        heads, mqa = key("attn_heads"), key("mqa_q_heads")
        self.norm = nn.LayerNorm(dim)
        self.local_conv = LocalConv(dim, c["conv_kernel"])
        self.metric_attention = Attention(c, heads, False, targets[:heads])
        self.rope_global = BlackHoleRope(c, dim // heads)
        self.channel_mix = ChannelMix(dim, key("mixer_hidden"))
        self.metric_mqa = Attention(c, mqa, True, targets[heads:heads + 1])
        self.rope_mqa = BlackHoleRope(c, dim // mqa)
        self.router = Net(dim, key("router_hidden"), 4)
        self.router_gate = Net(dim, key("router_hidden"), 4)
        self.feature_gate = nn.Parameter(0.2 * torch.randn(4, dim))
        self.layer_scale = nn.Parameter(torch.full((4, dim), float(c["layer_scale_init_value"])))

    def forward(self, x, B, T, positions, aux, wanted=None):
        """x [B*T, D] -> mixture output; rows outside `wanted` (default: all but padding) are zero."""
        n = self.norm(x)
        r = self.router(n) + torch.tanh(self.router_gate(n))
        w, keep = top_shares(r, self.topk, self.temperature)
        loss, share = balance_loss(r, w, keep, self.temperature, aux.valid)
        aux.balance.append(loss)
        aux.shares.append(share)
        keep = keep & (aux.valid if wanted is None else wanted)[:, None]
        conv = self.local_conv.depthwise(n.view(B, T, -1)).reshape(B * T, -1)
        paths = (
            (conv, lambda h: self.local_conv.pointwise(F.silu(h))),
            (self.metric_attention(n, B, T, self.rope_global(positions), aux), self.metric_attention.updown),
            (n, self.channel_mix),
            (self.metric_mqa(n, B, T, self.rope_mqa(positions), aux), self.metric_mqa.updown))
        gate = 2 * torch.sigmoid(self.feature_gate) * self.layer_scale
        return scatter_paths(paths, keep, w, gate, x)


def scatter_paths(paths, keep, w, gate, like):
    """sum_p w_p gate_p path_p, each path on the rows that kept it."""
    out, w = torch.zeros_like(like), w * keep
    for p, (source, finish) in enumerate(paths):
        rows, _ = pick(keep[:, p])
        out = out.index_add(0, rows, finish(source[rows]) * gate[p] * w[rows, p, None])
    return out


class HyperConv(nn.Module):
    def __init__(self, dim, width, kernel):
        super().__init__()
        self.pointwise_in = Linear(dim, 2 * width)
        self.depthwise = Depthwise(width, kernel)
        self.pointwise = Linear(width, dim)


class LowRank(nn.Module):
    def __init__(self, dim, rank):
        super().__init__()
        self.gate_proj = Linear(dim, dim)
        self.a_proj = Linear(dim, rank)
        self.b_proj = Linear(rank, dim)

    def forward(self, n):
        return torch.sigmoid(self.gate_proj(n)) * self.b_proj(self.a_proj(n))


class HyperRouter(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = Linear(dim, 3, gain=0.5)

    def forward(self, n):
        return self.proj(n)


class HyperFFN(nn.Module):
    def __init__(self, c):
        super().__init__()
        dim = c["dim"]
        self.norm = nn.LayerNorm(dim)
        self.swiglu = SwiGLU(dim, c["ffn_hidden"])
        self.conv = HyperConv(dim, int(round(c["conv_mult"] * dim)), c["conv_kernel"])
        self.low_rank = LowRank(dim, c["lr_rank"])
        self.router = HyperRouter(dim)
        self.layer_scale = nn.Parameter(torch.full((3, dim), float(c["layer_scale_init_value"])))

    def forward(self, x, B, T, aux):
        n = self.norm(x)
        r = self.router(n)
        w, keep = top_shares(r, 2, 1.0)
        loss, share = balance_loss(r, w, keep, 1.0, aux.valid)
        aux.balance.append(loss)
        aux.branches.append(share)
        conv = self.conv.depthwise(F.glu(self.conv.pointwise_in(n), -1).view(B, T, -1)).reshape(B * T, -1)
        paths = ((n, self.swiglu), (conv, lambda h: self.conv.pointwise(F.silu(h))), (n, self.low_rank))
        return scatter_paths(paths, keep & aux.valid[:, None], w, self.layer_scale, x)


class Head(Mixture):
    """LM head: a mixture, a SwiGLU stage and the projection onto the tied embedding."""
    def __init__(self, c, targets):
        super().__init__(c, "lm_", targets)
        dim = c["dim"]
        self.ffn_norm = nn.LayerNorm(dim)
        self.swiglu = SwiGLU(dim, c["lm_ffn_hidden"] + c["lm_mixer_hidden"])
        self.ffn_layer_scale = nn.Parameter(torch.full((dim,), float(c["layer_scale_init_value"])))
        self.out_norm = nn.LayerNorm(dim)

    def finish(self, u, embedding):
        u = u + self.ffn_layer_scale * self.swiglu(self.ffn_norm(u))
        u = self.out_norm(u)
        return logits(u, embedding, self.training)


class Stack(nn.Module):
    def __init__(self, c, targets):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["dim"])
        nn.init.normal_(self.embed_tokens.weight, std=0.1)
        self.layers = nn.ModuleList([Mixture(c, "", t) for t in targets[:-1]])
        self.hyper_ffn = HyperFFN(c)
        self.norm = nn.LayerNorm(c["dim"])


def ball_targets(mixtures, heads):
    """Wanted pruned fractions: spread from 0.15 to 0.60 over the heads of a layer, in another order in
    each layer, and 0.20 to 0.45 for the MQA ball."""
    spread = [0.15 + 0.45 * h / max(1, heads - 1) for h in range(heads)]
    return [[spread[(h * 3 + 2 * m) % heads] for h in range(heads)] + [0.20 + 0.25 * m / max(1, mixtures - 1)]
            for m in range(mixtures)]


class MoaModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        targets = ball_targets(config["num_layers"] + 1, config["attn_heads"])
        self.model = Stack(config, targets)
        self.lm_head = Head(config, targets[-1])

    def attentions(self):
        for m in list(self.model.layers) + [self.lm_head]:
            yield m.metric_attention
            yield m.metric_mqa

    def forward(self, tokens, lengths, wanted=None, start=0, measure=False):
        """tokens [B, T] right-padded -> logits of the wanted rows ([B*T] bool; default all), Aux."""
        B, T = tokens.shape
        valid = (torch.arange(T) < lengths[:, None]).reshape(-1)
        aux = Aux(valid, lengths, measure=measure)
        positions = torch.arange(start, start + T)
        x = self.model.embed_tokens(tokens).view(B * T, -1)
        for layer in self.model.layers:
            x = x + layer(x, B, T, positions, aux)
        x = x + self.model.hyper_ffn(x, B, T, aux)
        z = self.model.norm(x)
        u = z + self.lm_head(z, B, T, positions, aux, wanted)
        if wanted is None:
            return self.lm_head.finish(u, self.model.embed_tokens.weight), aux
        rows, count = pick(wanted)
        return self.lm_head.finish(u[rows], self.model.embed_tokens.weight)[:count], aux
