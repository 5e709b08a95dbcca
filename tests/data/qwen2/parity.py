#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Some of cases.json and vectors.npz as the parity sets that `ergo verify` runs (resources/verify/)."""
import json
import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
CHOSEN = {"gravity": [1, 2, 4, 5, 6, 10, 12, 17], "qwen2": [3, 7, 11, 15]}


def write(family, indices, cases, vectors):
    out = []
    for i in indices:
        each, name = cases[i], "case%02d." % i
        logits, tokens = vectors[name + "logits"], vectors[name + "tokens"]
        stored = vectors[name + "rows"] if name + "rows" in vectors else np.arange(len(tokens))
        picked = sorted({0, len(stored) // 2, len(stored) - 1})
        knobs = ", ".join("%s %s" % kv for kv in each["knobs"].items())
        heads, keys = each["config"]["num_attention_heads"], each["config"]["num_key_value_heads"]
        out.append({"label": "%d tokens, heads %d/%d%s" % (len(tokens), heads, keys, ", " + knobs if knobs else ""),
                    "config": each["config"], "preset": "qwen2", "seed": each["seed"], "knobs": {"masses": each["masses"]},
                    "set": each["knobs"], "tokens": [int(t) for t in tokens], "rows": [int(stored[p]) for p in picked],
                    "logits": [[float("%.8g" % x) for x in logits[p]] for p in picked]})
    head = {"format": "ergosphere-parity", "version": 1, "family": family, "tolerance": 2e-4,
            "source": "Gravity-2 specification §6 and §7, NumPy, float64"}
    text = json.dumps(head, ensure_ascii=False)[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(x) for x in out) + "\n]}\n"
    with open(os.path.join(HERE, "..", "..", "..", "resources", "verify", family + ".json"), "w") as f:
        f.write(text)


def main():
    with open(os.path.join(HERE, "cases.json")) as f:
        cases = json.load(f)
    vectors = np.load(os.path.join(HERE, "vectors.npz"))
    for family, indices in CHOSEN.items():
        write(family, indices, cases, vectors)


if __name__ == "__main__":
    main()
