# SPDX-License-Identifier: GPL-3.0-or-later
"""Released form of a demo model: config.json, model.safetensors and what stands beside them, and back.

  checkpoint.py build/last.pt moa       releases a training checkpoint of the family whose name the folder has
"""
import json
import os
import sys

import torch
from safetensors.torch import load_file, save_file

import families


def save_model(model, folder):
    os.makedirs(folder, exist_ok=True)
    family = families.family_of(model.config)
    path = os.path.join(folder, "model.safetensors")
    save_file(family.stored(model), path, metadata={"format": "pt"})
    os.chmod(path, 0o644)
    for name, content in family.side_files(model).items():
        torch.save(content, os.path.join(folder, name))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(model.config, f, indent=2)
        f.write("\n")


def load_model(folder):
    """The released model in float32; rotary tables are recomputed, so they are only checked for presence."""
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    family = families.family_of(config)
    model = family.model(config)
    stored = {k: v.float() for k, v in load_file(os.path.join(folder, "model.safetensors")).items() if not k.endswith("_cached")}
    for name in family.side_files(model):
        stored.update(torch.load(os.path.join(folder, name), weights_only=True))
    model.load_state_dict(stored)
    return model.eval()


def main():
    family = families.FAMILIES[os.path.basename(os.path.normpath(sys.argv[2]))]
    model = family.model(family.config())
    model.load_state_dict(torch.load(sys.argv[1])["model"])
    save_model(model, sys.argv[2])


if __name__ == "__main__":
    main()
