#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes container/: a small model as the family is published, a PyTorch zip of bfloat16 tensors under the trainer's
wrapper, plain (.pt) and compressed (.pt.zst), with its expected logits.

    container.py PATH/TO/kotodama_reference.py

Needs NumPy and the zstd command; the tests do not need this script.
"""
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "container")
spec = importlib.util.spec_from_file_location("kotodama_reference", sys.argv[1])
R = importlib.util.module_from_spec(spec)
sys.modules["kotodama_reference"] = R
spec.loader.exec_module(R)

c = R.Config(hidden=20, layers=3, q_heads=3, kv_heads=1, head_dim=6, ffn=22, vocab=31, max_pos=64, boundaries=(0, 2))
weights = R.hashed_weights(c)
rounded = {k: R.bf16_to_f32(R.f32_to_bf16(v)) for k, v in weights.items()}
tokens = R.hashed_tokens("container.tokens", 17, c.vocab)
# Names as wrappers leave them; the wrapper's small fields stand beside the tensors.
prefixed = {"_orig_mod.module." + k: v for k, v in weights.items()}
os.makedirs(HERE, exist_ok=True)
plain = os.path.join(HERE, "bare.pt")
R.write_checkpoint(plain, weights)
R.write_checkpoint(os.path.join(HERE, "trainer.pt"), prefixed, wrapper={"step": 81251, "tokens_consumed": 170395})
subprocess.run(["zstd", "-q", "-f", "-19", plain, "-o", plain + ".zst"], check=True)
np.save(os.path.join(HERE, "logits.npy"), R.Kotodama(c, rounded, np.float64).logits(tokens).astype(np.float32))
with open(os.path.join(HERE, "config.json"), "w") as f:
    json.dump({"attn_res_boundaries": list(c.boundaries), "max_position_embeddings": c.max_pos}, f)
with open(os.path.join(HERE, "tokens.json"), "w") as f:
    json.dump(tokens, f)
