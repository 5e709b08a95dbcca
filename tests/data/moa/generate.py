#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes knobs.json/.npz, random.json/.npz, evaluation.json and resources/verify/moa.json from the NumPy reference
definition.

    generate.py PATH/TO/moa_reference.py

Needs NumPy; the tests do not need this script. Weights are not stored: they are functions of seed 7 and the
tensor's name (MoA specification §6.11). Everything is computed in float64.
"""
import dataclasses
import importlib.util
import json
import os
import random
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 7
spec = importlib.util.spec_from_file_location("moa_reference", sys.argv[1])
R = importlib.util.module_from_spec(spec)
sys.modules["moa_reference"] = R
spec.loader.exec_module(R)


def tokens_of(name, n, vocab):
    return ((R.hash_uniform(SEED, name, n) + 1) / 2 * vocab).astype(int)


def scaled(weights, changes):
    """The weights with parameters multiplied: [("radius", 0.3)] scales every stored radius."""
    for leaf, factor in changes:
        weights = {k: (v * np.float32(factor) if k.endswith("." + leaf) else v) for k, v in weights.items()}
    return weights


def run(c, s, weights, n, label):
    """Logits and tokens of the first sequence whose discrete decisions are far from their thresholds."""
    for attempt in range(200):
        tokens = tokens_of("%s/%d" % (label, attempt), n, c.vocab_size)
        trace = {}
        logits = R.Model(c, s, weights).forward(tokens, trace)
        nearest = min(R.margins(c, s, trace).values())
        if nearest > 1e-4:
            return tokens, logits
    raise SystemExit(label + ": every sequence tried comes too near a threshold")


def rows_of(n):
    return sorted({0, 1, n // 3, n // 2, max(n - 2, 0), n - 1} & set(range(n)))


def published(c):
    return {k: v for k, v in c.published().items() if v is not None}


# ---------------------------------------------------------------------------------- every value of every knob
def small(**kw):
    return R.tiny("DiscoverLM-70M", **{**dict(
        vocab_size=37, dim=30, num_layers=1, attn_heads=3, mqa_q_heads=5, lm_attn_heads=15, lm_mqa_q_heads=3,
        mixer_hidden=14, lm_mixer_hidden=9, ffn_hidden=22, lm_ffn_hidden=17, ff_mult=1.5, conv_kernel=3, lr_rank=4,
        r_basis=4, router_hidden=7, lm_router_hidden=5, max_seq_len_cached=32, max_position_embeddings=32), **kw})


# What a knob needs around it to have an effect: config keys, other knobs, scaled parameters, table jitter.
AROUND = {
    "cosine_scale": dict(config={"metric": "cosine"}),
    "ball_softness": dict(knobs={"ball_mode": "soft"}),
    "ball_fallback": dict(scale=[("radius", 0.3)]),
    "use_window": dict(config={"window_size": 4}),
    "rope_source": dict(jitter=0.02),
    "rope_params": dict(knobs={"rope_source": "plain"}),
    "hyperffn": dict(config={"num_layers": 2}),
}
NUMBERS = {"ball_softness": [3.0], "hyper_topk": [1, 3], "hyper_temperature": [2.0], "basis_period": [20],
           "energy_min": [0.8], "energy_max": [1.2], "norm_eps": [1e-2], "updown_mult": [0.7]}


def alternatives(field, value):
    if isinstance(value, bool):
        return [not value]
    if field in R.Semantics.CHOICES:
        return [x for x in R.Semantics.CHOICES[field].split() if x != value]
    if field.startswith("act_"):
        return [x for x in R.Semantics.ACTS.split() if x != value]
    return NUMBERS[field]


def layout_of(c, s):
    return [(name, tuple(shape)) for name, shape, _ in R.tensors(c, s)]


def knob_cases():
    cases, arrays = [], {}

    def add(label, knob, value, around):
        c = small(**around.get("config", {}))
        before = R.semantics("moa-2026", **around.get("knobs", {}))
        after = dataclasses.replace(before, **{knob: value}) if knob != "metric" else before
        if knob == "metric":
            c = small(metric=value)
        try:
            after.validate(c)
            before.validate(c)
        except ValueError:
            return
        stored = before if layout_of(c, before) == layout_of(c, after) else after
        weights = R.init(c, stored, SEED, table_jitter=around.get("jitter", 0.0))
        acting = scaled(weights, around.get("scale", []))
        n = 11
        tokens, logits = run(c, after, acting, n, "knob/" + label)
        if stored is before and knob != "metric":
            effect = np.abs(R.Model(c, before, acting).forward(tokens) - logits).max()
            if effect < 1e-4 and knob != "distance_form":
                raise SystemExit("%s has an effect of %g only" % (label, effect))
        rows = rows_of(n)
        name = "%03d" % len(cases)
        arrays[name] = logits[rows].astype(np.float32)
        cases.append({"label": label, "knob": knob, "value": value, "config": published(c), "preset": "moa-2026",
                      "stored": {k: v for k, v in dataclasses.asdict(stored).items()
                                 if v != getattr(R.semantics("moa-2026"), k)},
                      "scale": around.get("scale", []), "jitter": around.get("jitter", 0.0),
                      "tokens": [int(t) for t in tokens], "rows": rows})

    for f in dataclasses.fields(R.Semantics):
        around = AROUND.get(f.name, {})
        value = around.get("knobs", {}).get(f.name, getattr(R.semantics("moa-2026"), f.name))
        for alternative in alternatives(f.name, value):
            add("%s=%s" % (f.name, alternative), f.name, alternative, around)
    for metric in ("l2", "cosine"):
        add("metric=" + metric, "metric", metric, {})
    return cases, arrays


# ---------------------------------------------------------------------------------------- random configurations
LENGTHS = [1, 200, 1, 2, 5, 64, 65, 200, 33, 17, 7, 128, 3, 63, 1, 90, 40, 200, 12, 26, 66, 9, 130, 200]


def random_case(i, n):
    """Awkward sizes and a random value of every knob; configurations that mean nothing are drawn again."""
    r = random.Random(1000 + i)
    full = r.random() < 0.5  # the context is exactly full
    positions = n if full else n + r.choice([1, 3, 50])
    preset = r.choice(["moa-2026", "moa-2026", "moa-2025", "moa-2025-rope"])
    no_rotation = r.random() < 0.2
    dim = r.choice([24, 30, 36, 42, 60])
    fits = [h for h in range(1, dim + 1) if dim % h == 0 and dim // h % 2 == 0]
    c = R.tiny("DiscoverLM-70M" if preset == "moa-2026" else "MoA-100M", vocab_size=r.choice([23, 29, 41, 53]), dim=dim,
               num_layers=r.choice([1, 2, 3]), attn_heads=r.choice(fits), mqa_q_heads=r.choice(fits),
               lm_attn_heads=r.choice(fits), lm_mqa_q_heads=r.choice(fits), mixer_hidden=r.randint(3, 40),
               lm_mixer_hidden=r.randint(3, 30), ffn_hidden=r.randint(5, 50), lm_ffn_hidden=r.randint(5, 50),
               ff_mult=r.choice([1, 1.5, 2]), conv_kernel=r.randint(1, 6), conv_mult=r.choice([1, 2]), lr_rank=r.randint(1, 9),
               r_basis=r.choice([2, 4, 6]), router_hidden=r.randint(3, 12), lm_router_hidden=r.randint(3, 12),
               router_topk=r.choice([1, 2, 3, 4]), router_temperature=r.choice([0.7, 1.0, 2.0]),
               lm_router_temperature=r.choice([0.9, 1.5]), metric=r.choice(["l2", "cosine", "maha_diag", "maha_diag"]),
               use_balls=r.random() < 0.8, energy_amplification=r.choice([3.1415, 9.87]),
               tie_word_embeddings=r.random() < 0.7, enable_feature_gates=r.random() < 0.8,
               enable_router_gates=r.random() < 0.8, window_size=r.choice([None, None, 3, 40]),
               max_position_embeddings=positions, max_seq_len_cached=max(positions, 8))
    knobs = {}
    for f in dataclasses.fields(R.Semantics):
        value = getattr(R.semantics(preset), f.name)
        if f.name in ("norm_eps", "rope_source", "rope_params"):
            continue
        if r.random() < 0.35:
            knobs[f.name] = r.choice(alternatives(f.name, value))
    if no_rotation:
        knobs.update(rope_source="none", rope_params="none")
    elif preset != "moa-2025":
        knobs["rope_source"] = r.choice(["synth", "synth", "tables", "plain"])
    s = R.semantics(preset, **knobs)
    if s.rope_source == "tables":
        s = dataclasses.replace(s, rope_params="full")
    s.validate(c)
    return preset, c, s, full


def random_cases():
    cases, arrays = [], {}
    for i, n in enumerate(LENGTHS):
        for attempt in range(100):
            try:
                preset, c, s, full = random_case(100 * i + attempt, n)
                weights = R.init(c, s, SEED, table_jitter=0.01)
                tokens, logits = run(c, s, weights, n, "random/%d" % i)
            except (ValueError, SystemExit):
                continue
            break
        else:
            raise SystemExit("no configuration found for case %d" % i)
        rows = rows_of(n)
        name = "%03d" % i
        arrays[name] = logits[rows].astype(np.float32)
        label = "%d tokens, %s, %s%s" % (n, preset, c.metric, ", context full" if full else "")
        base = R.semantics(preset)
        cases.append({"label": label, "preset": preset, "config": published(c),
                      "stored": {k: v for k, v in dataclasses.asdict(s).items() if v != getattr(base, k)},
                      "jitter": 0.01, "tokens": [int(t) for t in tokens], "rows": rows})
    return cases, arrays


# --------------------------------------------------------------------------------------------------- evaluation
def windows(n, window, stride):
    predicted, begin = 0, 0
    while True:
        end = min(begin + window, n)
        if max(predicted, begin + 1) < end:
            yield begin, max(predicted, begin + 1), end
        if end == n:
            return
        predicted, begin = end, begin + stride


def evaluation():
    out = []
    for index in (0, 4, 7):
        label, c, s = R.check_cases()[index]
        model = R.Model(c, s, R.init(c, s, SEED))
        for window, stride in ((60, 60), (16, 16), (16, 8), (24, 5), (2, 1), (64, 32)):
            for attempt in range(200):
                tokens = tokens_of("evaluation/%d/%d" % (index, attempt), 60, c.vocab_size)
                nll, count, nearest = 0.0, 0, np.inf
                for begin, first, end in windows(60, window, stride):
                    trace = {}
                    logits = model.forward(tokens[begin:end], trace)
                    nearest = min(nearest, *R.margins(c, s, trace).values())
                    for at in range(first, end):
                        row = logits[at - 1 - begin]
                        nll += np.log(np.exp(row - row.max()).sum()) + row.max() - row[tokens[at]]
                        count += 1
                if nearest > 2e-5:
                    break
            else:
                raise SystemExit("evaluation %d %d %d: too near a threshold" % (index, window, stride))
            out.append({"case": index, "tokens": [int(t) for t in tokens], "window": window, "stride": stride,
                        "predicted": count, "nll": nll})
    return out


# ------------------------------------------------------------------------------- what `ergo verify` brings along
def parity():
    cases = []
    for index in (0, 1, 3, 4, 5, 6, 7, 8, 9, 11):
        label, c, s = R.check_cases()[index]
        preset = "moa-2025-rope" if index == 6 else "moa-2026" if label.startswith("2026") else "moa-2025"
        base = R.semantics(preset)
        tokens, logits = run(c, s, R.init(c, s, SEED, table_jitter=0.02), 26, "parity/%d" % index)
        rows = [0, 13, 25]
        cases.append({"label": label, "preset": preset, "config": published(c), "seed": SEED, "table_jitter": 0.02,
                      "knobs": {k: v for k, v in dataclasses.asdict(s).items() if v != getattr(base, k)},
                      "tokens": [int(t) for t in tokens], "rows": rows,
                      "logits": [[float("%.8g" % x) for x in logits[row]] for row in rows]})
    head = {"format": "ergosphere-parity", "version": 1, "family": "moa", "tolerance": 2e-4,
            "source": "MoA specification §6, NumPy, float64"}
    text = json.dumps(head, ensure_ascii=False)[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(x) for x in cases) + "\n]}\n"
    folder = os.path.join(HERE, "..", "..", "..", "resources", "verify")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "moa.json"), "w") as f:
        f.write(text)


def write(name, cases, arrays):
    with open(os.path.join(HERE, name + ".json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    if arrays:
        np.savez_compressed(os.path.join(HERE, name + ".npz"), **arrays)


def main():
    write("knobs", *knob_cases())
    write("random", *random_cases())
    write("evaluation", evaluation(), None)
    parity()


if __name__ == "__main__":
    main()
