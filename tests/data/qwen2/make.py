#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expected numbers of Qwen2-class models under dot-product and gravity attention.

    python3 make.py FOLDER_OF_THE_REFERENCE      writes cases.json and vectors.npz here

The reference is the NumPy definition of the Gravity-2 specification (module gravity_reference). Weights are
functions of a seed and the tensor's name, the same as engine/lab/synth_qwen2.cpp makes, so no file holds them.
"""
import json
import os
import sys

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniform(seed, name, count):
    """engine/checkpoint/deterministic.h: FNV-1a of the name, splitmix64 of the index; in [-1, 1)."""
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = ((key ^ byte) * 0x100000001B3) & (2**64 - 1)
    key ^= (seed * int(GOLDEN)) & (2**64 - 1)
    with np.errstate(over="ignore"):
        x = np.uint64(key) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(40)).astype(np.float64) / 8388608.0 - 1.0


def rule(name, shape, c, gravity):
    """(scale, offset) of a tensor's numbers, for u of unit variance."""
    point = 0.8 / np.sqrt(c.head_dim) if gravity and (".q_proj" in name or ".k_proj" in name) else 1.0
    if "norm" in name:
        return 0.2, 1.0
    if name.endswith("gravity_mass_log"):
        return 0.6, 0.5
    if name in ("model.embed_tokens.weight", "lm_head.weight"):
        return np.sqrt(2.0 / c.hidden_size), 0.0
    if name.endswith(".bias"):
        return 0.1 * point, 0.0
    return point / np.sqrt(float(shape[-1])), 0.0


def tensor(seed, name, shape, c, gravity):
    scale, offset = rule(name, shape, c, gravity)
    values = offset + scale * np.sqrt(3.0) * uniform(seed, name, int(np.prod(shape)))
    return values.astype(np.float32).reshape(shape)


def random_cases():
    """Awkward sizes: odd head counts, one key head, one token, 200 tokens, a context that is exactly full."""
    rng = np.random.default_rng(20)
    heads = [(1, 1), (3, 1), (5, 5), (7, 1), (8, 1), (6, 2), (9, 3), (16, 2), (2, 2), (11, 11)]
    lengths = [1, 200, 33, 64, 65, 2, 47, 130]
    out = []
    for i in range(26):
        gravity = i % 4 != 3
        h, kv = heads[i % len(heads)]
        dim = int(rng.choice([2, 4, 6, 10, 16, 34]))
        hidden = h * dim if i % 3 else int(rng.integers(5, 40))
        n = lengths[i % len(lengths)]
        config = {"model_type": "qwen2", "hidden_act": "silu", "vocab_size": int(rng.integers(17, 60)),
                  "hidden_size": hidden, "intermediate_size": int(rng.integers(3, 70)),
                  "num_hidden_layers": int(rng.integers(1, 4)), "num_attention_heads": h,
                  "num_key_value_heads": kv, "rms_norm_eps": float(rng.choice([1e-6, 1e-5])),
                  "tie_word_embeddings": bool(i % 2), "max_position_embeddings": n if i % 2 else n + 9}
        if h * dim != hidden or i % 5 == 0:
            config["head_dim"] = dim
        theta = float(rng.choice([1e4, 5e5, 1e6]))
        if i % 2:
            config["rope_theta"] = theta
        else:
            config["rope_parameters"] = {"rope_theta": theta, "rope_type": "default"}
        knobs = {}
        if gravity:
            knobs = [{}, {"scale_mode": "qk"}, {"scale_mode": "score"}, {"gravity_eps": 0.01},
                     {"clamp_distance": False}, {"mass_power": "plain"}, {}][i % 7]
        out.append({"config": config, "masses": ("file" if i % 2 else "weights") if gravity else "none",
                    "knobs": knobs, "seed": 100 + i, "tokens": n})
    return out


def run(ref, case):
    j = case["config"]
    gravity = case["masses"] != "none"
    knobs = case["knobs"]
    c = ref.Config(vocab_size=j["vocab_size"], hidden_size=j["hidden_size"],
                   intermediate_size=j["intermediate_size"], num_hidden_layers=j["num_hidden_layers"],
                   num_attention_heads=j["num_attention_heads"], num_key_value_heads=j["num_key_value_heads"],
                   head_dim=j.get("head_dim", j["hidden_size"] // j["num_attention_heads"]),
                   rope_theta=j["rope_theta"] if "rope_theta" in j else j["rope_parameters"]["rope_theta"],
                   rms_norm_eps=j["rms_norm_eps"], tie_word_embeddings=j["tie_word_embeddings"],
                   attention="gravity" if gravity else "standard", gravity_eps=knobs.get("gravity_eps", 0.1),
                   clamp_distance=knobs.get("clamp_distance", True), scale_mode=knobs.get("scale_mode", "none"))
    weights = {n: tensor(case["seed"], n, s, c, gravity) for n, s in ref.tensor_shapes(c).items()}
    raw = np.stack([tensor(case["seed"], f"model.layers.{l}.self_attn.gravity_mass_log",
                           (c.num_attention_heads,), c, gravity) for l in range(c.num_hidden_layers)])
    model = ref.Model(c, weights, raw)
    out = {}
    if gravity:
        out["mass"] = model.mass.copy()
        if knobs.get("mass_power") == "plain":
            model.mass = np.sqrt(model.mass)  # the reference squares it
    ids = ((uniform(case["seed"], "tokens", case["tokens"]) + 1) / 2 * c.vocab_size).astype(np.int64)
    trace, hidden = [], []
    plain_norm = ref.rms_norm
    ref.rms_norm = lambda x, w, eps: (hidden.append(x), plain_norm(x, w, eps))[1]
    out["logits"] = model.forward(ids, trace=trace)
    ref.rms_norm = plain_norm
    out["tokens"] = ids.astype(np.int32)
    # the input of every second norm but the first is a layer's result
    out["norm"] = np.stack([np.sqrt((x * x).sum(-1)) for x in hidden[2::2]])
    out["attention"] = np.stack([t["probs"][:, -1, :] for t in trace])  # the last query's rows [layers, heads, n]
    if gravity:
        group = c.num_attention_heads // c.num_key_value_heads
        out["distance"] = np.stack([
            np.sqrt(((t["q"][:, -1:, :] - np.repeat(t["k"], group, axis=0)) ** 2).sum(-1)) for t in trace])
    if case["tokens"] > 100:  # compact: every ninth position and the last
        keep = sorted(set(range(0, case["tokens"], 9)) | {case["tokens"] - 1})
        out["rows"] = np.array(keep, dtype=np.int32)
        out["logits"] = out["logits"][keep]
    return {k: v if v.dtype == np.int32 else v.astype(np.float32) for k, v in out.items()}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, sys.argv[1])
    import gravity_reference as ref
    cases, arrays = random_cases(), {}
    for i, case in enumerate(cases):
        for name, values in run(ref, case).items():
            arrays[f"case{i:02}.{name}"] = values
    with open(os.path.join(here, "cases.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    np.savez_compressed(os.path.join(here, "vectors.npz"), **arrays)


if __name__ == "__main__":
    main()
