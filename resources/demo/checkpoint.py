# SPDX-License-Identifier: GPL-3.0-or-later
"""Released form of a moa model: config.json and model.safetensors, and back.

  checkpoint.py build/last.pt moa       releases a training checkpoint
"""
import json
import os
import sys

import torch
from safetensors.torch import load_file, save_file

from moa_torch import MoaModel

SINGLE = ("alpha", "metric_diag", "origin", "radius")       # kept in float32 beside the rope tensors: few and delicate


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


@torch.no_grad()
def tensors(model):
    """All tensors as stored: matrices in bf16, geometry in float32, rotary tables from the coefficients."""
    out = {}
    for name, value in model.state_dict().items():
        single = name.rsplit(".", 1)[-1] in SINGLE or ".rope_" in name
        out[name] = value.float().contiguous() if single else value.bfloat16().contiguous()
    positions = torch.arange(model.config["max_seq_len_cached"])
    mixtures = [("model.layers.%d." % i, m) for i, m in enumerate(model.model.layers)] + [("lm_head.", model.lm_head)]
    for prefix, m in mixtures:
        for site in ("rope_global", "rope_mqa"):
            for table, value in zip(("cos", "sin", "gain"), getattr(m, site)(positions, torch.float32)):
                out["%s%s.%s_cached" % (prefix, site, table)] = value.contiguous()
    return out


def save_model(model, folder):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "model.safetensors")
    save_file(tensors(model), path, metadata={"format": "pt"})
    os.chmod(path, 0o644)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(model.config, f, indent=2)
        f.write("\n")


def load_model(folder):
    """The released model in float32; its tables are recomputed, so they are only checked for presence."""
    with open(os.path.join(folder, "config.json")) as f:
        model = MoaModel(json.load(f))
    stored = {k: v.float() for k, v in load_file(os.path.join(folder, "model.safetensors")).items()}
    tables = {k for k in stored if k.endswith("_cached")}
    model.load_state_dict({k: v for k, v in stored.items() if k not in tables})
    return model.eval()


def main():
    model = MoaModel(config())
    model.load_state_dict(torch.load(sys.argv[1])["model"])
    save_model(model, sys.argv[2])


if __name__ == "__main__":
    main()
