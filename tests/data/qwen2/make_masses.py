#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes masses/*.pt with PyTorch: layer l, head h is l + h / 8, for 3 layers of 4 heads, in every accepted layout."""
import collections
import os

import torch

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "masses")
rows = [torch.tensor([layer + head / 8 for head in range(4)]) for layer in range(3)]
name = "model.layers.{}.self_attn.gravity_mass_log"
layouts = {
    "state_dict": {name.format(i): row for i, row in enumerate(rows)},
    "ordered_parameters": collections.OrderedDict(
        ("base_model.model." + name.format(i), torch.nn.Parameter(row)) for i, row in enumerate(rows)),
    "module_prefix": {"module._orig_mod." + name.format(i): row.to(torch.bfloat16) for i, row in enumerate(rows)},
    "integer_keys": dict(enumerate(rows)),
    "digit_keys": {str(i): row.to(torch.float64) for i, row in enumerate(rows)},
    "list": rows,
    "tuple_of_columns": tuple(row.reshape(1, 4, 1, 1) for row in rows),
    "one_tensor": torch.stack(rows),
    "one_tensor_transposed_view": torch.stack(rows, 1).t(),
    "under_state_dict": {"state_dict": {name.format(i): row.to(torch.float16) for i, row in enumerate(rows)}},
    "under_masses": {"masses": rows},
    "under_gravity_mass_log": {"gravity_mass_log": torch.stack(rows)},
    "numbers": [row.tolist() for row in rows],
}
os.makedirs(here, exist_ok=True)
for layout, value in layouts.items():
    torch.save(value, os.path.join(here, layout + ".pt"))
