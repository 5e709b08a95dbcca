#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes cases.json, cases.npz and resources/verify/kotodama.json from the NumPy reference definition of Kotodama
specification §2, in float64.

    generate.py PATH/TO/kotodama_reference.py

Needs NumPy; the tests do not need this script. Weights are not stored: they are functions of the tensor's name
(specification appendix B), and the tests make them again.
"""
import importlib.util
import json
import os
import random
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
VERIFY = os.path.join(HERE, "..", "..", "..", "resources", "verify", "kotodama.json")
spec = importlib.util.spec_from_file_location("kotodama_reference", sys.argv[1])
R = importlib.util.module_from_spec(spec)
sys.modules["kotodama_reference"] = R
spec.loader.exec_module(R)


class Recorder(R.Kotodama):
    """Keeps what every sub-block adds, from which the running sum at each layer's end follows."""

    def _attention(self, i, x, cache, trace):
        y = super()._attention(i, x, cache, trace)
        self.attention_out[i] = y
        return y

    def _ffn(self, i, x):
        y = super()._ffn(i, x)
        self.ffn_out[i] = y
        return y

    def run(self, tokens):
        self.attention_out, self.ffn_out, trace = {}, {}, R.Trace()
        logits = self.logits(tokens, trace=trace)
        total = self.w["embed_tokens.weight"][np.asarray(tokens)]
        ends = []
        for i in range(self.cfg.layers):
            if i in self.boundary:
                total = np.zeros_like(total)
            total = total + self.attention_out[i] + self.ffn_out[i]
            ends.append(total)
        return logits, trace, ends


def config(**kw):
    return R.Config(**{**dict(hidden=40, layers=4, q_heads=4, kv_heads=2, head_dim=8, ffn=56, vocab=61, max_pos=64,
                              boundaries=(0, 2)), **kw})


def published(c):
    return {"model_type": "kotodama", "hidden_size": c.hidden, "num_layers": c.layers,
            "num_attention_heads": c.q_heads, "num_kv_heads": c.kv_heads, "head_dim": c.head_dim,
            "intermediate_size": c.ffn, "vocab_size": c.vocab, "max_position_embeddings": c.max_pos,
            "rope_theta": c.rope_theta, "norm_eps": c.eps, "qk_norm": True, "tie_word_embeddings": True,
            "attn_res": True, "attn_res_boundaries": list(c.boundaries)}


def chosen():
    """(label, configuration, tokens): named corners, then random ones."""
    yield "golden", R.TINY, 24
    yield "one token", config(), 1
    yield "200 tokens, context exactly full", config(max_pos=200, layers=3, boundaries=(0, 1)), 200
    yield "one kv head, odd heads", config(q_heads=7, kv_heads=1, head_dim=6), 19
    yield "as many kv heads", config(q_heads=5, kv_heads=5, head_dim=10, hidden=33), 23
    yield "three a group, 9 heads", config(q_heads=9, kv_heads=3, head_dim=4, ffn=31), 17
    yield "heads of 2", config(q_heads=3, kv_heads=1, head_dim=2, hidden=17, vocab=37), 21
    yield "published heads", config(q_heads=4, kv_heads=2, head_dim=128, hidden=96, layers=3, boundaries=(0, 2),
                                    max_pos=200), 200
    yield "no boundary", config(boundaries=()), 18
    yield "boundary at every layer", config(layers=6, boundaries=(0, 1, 2, 3, 4, 5)), 16
    yield "embedding inside the first sum", config(layers=5, boundaries=(2, 4)), 20
    yield "one layer", config(layers=1, boundaries=(0,)), 22
    yield "28 layers, published boundaries", config(layers=28, hidden=48, q_heads=4, kv_heads=2, head_dim=12, ffn=64,
                                                    boundaries=R.KOTODAMA_108M.boundaries), 26
    yield "theta 10000, eps 1e-3", config(rope_theta=10000.0, eps=1e-3), 40
    draw = random.Random(20260527)
    for i in range(12):
        layers = draw.randint(1, 8)
        kv = draw.choice([1, 1, 2, 3])
        n = draw.choice([1, 2, 13, 33, 47, 64, 65, 100])
        yield "random %d" % i, config(
            hidden=draw.randint(8, 70), layers=layers, q_heads=kv * draw.choice([1, 2, 3, 5]), kv_heads=kv,
            head_dim=2 * draw.randint(1, 12), ffn=draw.randint(5, 90), vocab=draw.randint(11, 97),
            max_pos=n + draw.choice([0, 0, 1, 30]),
            boundaries=tuple(sorted(draw.sample(range(layers), draw.randint(0, layers))))), n


def rows_of(n):
    return sorted({0, 1, n // 3, n // 2, max(n - 2, 0), n - 1} & set(range(n)))


def parity(label, case, logits):
    """One case of the set that `ergo verify` runs: two rows, shortened to what float32 tells apart."""
    n = len(case["tokens"])
    rows = sorted({n // 2, n - 1})
    return {"label": label, "config": case["config"], "preset": "kotodama", "seed": 0, "knobs": {},
            "tokens": case["tokens"], "rows": rows,
            "logits": [[float("%.8g" % v) for v in logits[r]] for r in rows]}


def main():
    cases, arrays, verify = [], {}, []
    for i, (label, c, n) in enumerate(chosen()):
        tokens = R.hashed_tokens("golden.tokens" if i == 0 else "case%02d.tokens" % i, n, c.vocab)
        weights = R.hashed_weights(c)
        logits, trace, ends = Recorder(c, weights, np.float64).run(tokens)
        rows = list(range(n)) if i == 0 else rows_of(n)
        name = "case%02d." % i
        put = lambda key, value: arrays.__setitem__(name + key, np.asarray(value, np.float32))
        put("logits", logits[rows])
        put("weight_sums", [float(np.sum(w, dtype=np.float64)) for w in weights.values()])
        # One row a site: weights [rows, sources], sites of the same number of sources are told apart by order.
        for s, alpha in enumerate(trace.alphas):
            put("depth%02d" % s, alpha.T[rows])
        for l in sorted({0, c.layers // 2, c.layers - 1}):
            put("attention%02d" % l, trace.attention[l][:, rows, :])
            put("hidden%02d" % l, ends[l][rows])
        put("norms", np.stack([np.linalg.norm(e[rows], axis=1) for e in ends]))
        cases.append({"label": label, "config": published(c), "tokens": tokens, "rows": rows})
        if i in (0, 2, 3, 7, 10, 12):
            verify.append(parity(label, cases[-1], logits))
    with open(os.path.join(HERE, "cases.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    with open(VERIFY, "w") as f:
        json.dump({"format": "ergosphere-parity", "version": 1, "family": "kotodama", "tolerance": 2e-4,
                   "source": "Kotodama specification §2, NumPy, float64", "cases": verify}, f, separators=(",", ":"), ensure_ascii=False)
        f.write("\n")
    np.savez_compressed(os.path.join(HERE, "cases.npz"), **arrays)
    print(len(cases), "cases")


main()
