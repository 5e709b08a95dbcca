#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a token of an MoA metric model costs in eager PyTorch without a cache: the whole text is computed again
for every token, every path of every mixture for every position, as a plain module would.

    tests/bench/eager_moa.py CHECKPOINT [--tokens 512] [--steps 5] [--ergo build/release/ergo]

CHECKPOINT is a folder with config.json and model.safetensors under the published names (`ergo synth --like
discoverlm-70m --out CHECKPOINT`, or moa-100m). The products, distances, balls, softmaxes and convolutions are those of the model, in their
shapes and with its weights; small factors (layer scales, feature gates, learned rotations) are left out, so logits are
not the model's and the time is rather too short. With --ergo, generation after the same number of tokens is
measured too and the ratio printed."""
import argparse
import json
import pathlib
import subprocess
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


class Part:
    """The tensors under one prefix."""

    def __init__(self, tensors, prefix):
        self.tensors, self.prefix = tensors, prefix

    def __getitem__(self, name):
        return self.tensors[f"{self.prefix}.{name}"]

    def has(self, name):
        return any(key.startswith(f"{self.prefix}.{name}.") for key in self.tensors)

    def is_tensor(self, name):
        return f"{self.prefix}.{name}" in self.tensors

    def sub(self, name):
        return Part(self.tensors, f"{self.prefix}.{name}")

    def linear(self, name, x):
        return F.linear(x, self[f"{name}.weight"], self.tensors.get(f"{self.prefix}.{name}.bias"))

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self[f"{name}.weight"], self.tensors.get(f"{self.prefix}.{name}.bias"))


def gated(part, x):
    return part.linear("down_proj", F.silu(part.linear("gate_proj", x)) * part.linear("up_proj", x))


def attention(part, x, shared):
    tokens, (heads, dim) = x.shape[0], part["origin"].shape
    q = part.linear("q_proj", x).view(tokens, heads, dim).transpose(0, 1)
    if shared:
        k = part.linear("kv_proj", x)[None]
        v = k
    else:
        k, v = (part.linear(n, x).view(tokens, heads, dim).transpose(0, 1) for n in ("k_proj", "v_proj"))
    root = part["metric_diag"].clamp(min=0).sqrt().view(-1, 1, dim) if part.is_tensor("metric_diag") else 1
    a, b = q * root, k * root
    square = (a * a).sum(-1, keepdim=True) + (b * b).sum(-1)[:, None] - 2 * a @ b.transpose(1, 2)
    logits = -part["alpha"].view(-1, 1, 1) * square.clamp(min=0) / dim**0.5
    near = (k - part["origin"].view(-1, 1, dim)).norm(dim=-1) <= part["radius"].view(-1, 1)
    future = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    kept = near[:, None] | ~near.any(-1)[:, None, None]
    weights = logits.masked_fill(~kept | future, float("-inf")).softmax(-1).nan_to_num()
    out = (weights @ v).transpose(0, 1).reshape(tokens, heads * dim)
    return gated(part.sub("updown"), out)


def channel_mix(part, x):
    mixed = part.linear("down_proj", F.silu(part.linear("up_proj", x)))
    return mixed * torch.sigmoid(part.linear("gate_proj", x)) if part.has("gate_proj") else mixed


def depthwise(part, x):
    weight = part["depthwise.weight"]
    padded = F.pad(x.t()[None], (weight.shape[-1] - 1, 0))
    return F.conv1d(padded, weight[:, None], part["depthwise.bias"], groups=weight.shape[0])[0].t()


def two_layers(part, x):
    return part.linear("fc2", F.silu(part.linear("fc1", x)))


def mixture(part, x, top_k):
    h = part.norm("norm", x)
    scores = two_layers(part.sub("router"), h)
    top = scores.topk(top_k, -1)
    share = torch.zeros_like(scores).scatter(-1, top.indices, top.values.softmax(-1))
    gate = part["router_gate"] if part.is_tensor("router_gate") else two_layers(part.sub("router_gate"), h)
    share = share * (1 + torch.tanh(gate))
    paths = [
        part.linear("local_conv.pointwise", F.silu(depthwise(part.sub("local_conv"), h))),
        attention(part.sub("metric_attention"), h, False),
        attention(part.sub("metric_mqa"), h, True),
        channel_mix(part.sub("channel_mix"), h),
    ]
    return x + sum(share[:, i, None] * path for i, path in enumerate(paths))


def hyper(part, x):
    h = part.norm("norm", x)
    share = part.linear("router.proj", h).softmax(-1)
    wide, gate = part.linear("conv.pointwise_in", h).chunk(2, -1)
    low = part.sub("low_rank")
    branches = [
        gated(part.sub("swiglu"), h),
        part.linear("conv.pointwise", F.silu(depthwise(part.sub("conv"), wide * torch.sigmoid(gate)))),
        low.linear("b_proj", low.linear("a_proj", h)) * torch.sigmoid(low.linear("gate_proj", h)),
    ]
    return x + sum(share[:, i, None] * branch for i, branch in enumerate(branches))


def logits(tensors, config, ids):
    model, head = Part(tensors, "model"), Part(tensors, "lm_head")
    layers, top_k = config["num_layers"], config.get("router_topk", 2)
    x = F.embedding(ids, model["embed_tokens.weight"])
    for layer in range(layers):
        x = mixture(model.sub(f"layers.{layer}"), x, top_k)
        own = model.sub(f"layers.{layer}")
        x = hyper(own.sub("hyper_ffn") if own.has("hyper_ffn") else model.sub("hyper_ffn"), x)
    x = model.norm("norm", x)
    if not head.has("router"):  # MoA-100M's head is its table alone
        return F.linear(x[-1], model["embed_tokens.weight"])
    x = mixture(head, x, top_k)
    x = x + gated(head.sub("swiglu"), head.norm("ffn_norm", x))
    return F.linear(head.norm("out_norm", x)[-1], model["embed_tokens.weight"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ergo", help="path of ergo: measure it beside")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = json.loads((args.checkpoint / "config.json").read_text())
    tensors = {name: t.float() for name, t in load_file(args.checkpoint / "model.safetensors").items()}
    ids = torch.arange(args.tokens) * 7 % config["vocab_size"]
    with torch.inference_mode():
        logits(tensors, config, ids)
        seconds = []
        for _ in range(args.steps):
            start = time.perf_counter()
            if not torch.isfinite(logits(tensors, config, ids)).all():
                raise SystemExit("logits are not finite")
            seconds.append(time.perf_counter() - start)
    eager = 1 / min(seconds)
    print(f"eager, no cache, {args.tokens} tokens: {eager:.2f} tokens/s (quickest of {args.steps})")
    if args.ergo:
        command = [args.ergo, "bench", str(args.checkpoint), "-p", str(args.tokens), "-n", "64", "--backend", "cpu",
                   "--threads", str(args.threads), "--json"]
        result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        speed = result["generate_tokens_per_second"]
        print(f"ergo: {speed:.1f} tokens/s = {speed / eager:.0f} times, {100 * result['bandwidth_share']:.0f} % of "
              f"{result['bandwidth_bytes_per_second'] / 1e9:.1f} GB/s")


if __name__ == "__main__":
    main()
