#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the PyTorch files of this folder and expected.json with what they hold (PyTorch 2.x, NumPy, zstd).

    python3 make_torch_files.py

The files are small so that tests can cut them at every byte.
"""
import json
import subprocess
import sys
import unittest.mock
from collections import OrderedDict
from pathlib import Path

import torch

here = Path(__file__).parent
expected = {}


def described(tensor):
    entry = {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
    if tensor.is_floating_point() and tensor.element_size() > 1:
        entry["values"] = tensor.detach().to(torch.float64).flatten().tolist()
    elif not tensor.is_complex() and tensor.element_size() >= 1 and not tensor.is_floating_point():
        entry["integers"] = [str(int(v)) for v in tensor.flatten().tolist()]
    return entry


def save(name, value, tensors, **options):
    torch.save(value, here / name, **options)
    expected[name] = {key: described(tensor) for key, tensor in tensors.items()}


def dtypes():
    base = torch.tensor([-2.5, 0.0, 1.0, 3.75])
    tensors = {}
    for name in "float32 float64 float16 bfloat16 float8_e4m3fn float8_e5m2".split():
        tensors[name] = base.to(getattr(torch, name))
    for name in "int64 int32 int16 int8 uint8 uint16 uint32 uint64".split():
        tensors[name] = torch.tensor([0, 1, 100, 127]).to(getattr(torch, name))
    tensors["bool"] = torch.tensor([True, False, True, True])
    tensors["complex64"] = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64)
    save("dtypes.pt", tensors, tensors)


def views():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {
        "base": base,
        "again": base,
        "slice": base[1:3],
        "transposed": base.t(),
        "permuted": base.reshape(2, 2, 6).permute(2, 0, 1),
        "column": base[:, 2],
        "every_other": base[::2, 1::2],
        "expanded": base[0].expand(3, 6),
        "scalar": torch.tensor(7.5),
        "empty": torch.empty(0, 3),
        "unit_stride": base.as_strided((1, 6), (99, 1)),
        "halves_transposed": torch.arange(6, dtype=torch.float16).reshape(2, 3).t(),
        "bytes_transposed": torch.arange(6, dtype=torch.uint8).reshape(2, 3).t(),
        "doubles_transposed": torch.arange(6, dtype=torch.float64).reshape(2, 3).t(),
    }
    save("views.pt", tensors, tensors)


def module():
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    state = net.state_dict()
    assert isinstance(state, OrderedDict) and state._metadata
    save("module.bin", state, state)
    subprocess.run(["zstd", "-q", "-f", "-3", here / "module.bin", "-o", here / "module.bin.zst"], check=True)
    save("protocol4.pt", state, state, pickle_protocol=4)
    save("protocol5.pt", state, state, pickle_protocol=5)
    save("legacy.pt", state, {}, _use_new_zipfile_serialization=False)
    save("whole_module.pt", net, {})
    torch.jit.script(net).save(here / "script.pt")


def parameters():
    plain = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    marked = torch.nn.Parameter(torch.tensor([3.0]))
    marked.note = "kept with the parameter"
    tensors = {"plain": plain, "marked": marked}
    save("parameters.pt", tensors, tensors)


def wrapper():
    weight = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3)
    norm = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([norm])
    norm.grad = torch.ones(3)
    optimizer.step()
    model = OrderedDict([("_orig_mod.module.layers.0.w", weight), ("_orig_mod.norm.weight", norm.data)])
    value = {
        "step": 81252,
        "tokens_consumed": 21300000000,
        "model": model,
        "adamw_optimizer": optimizer.state_dict(),
        "scheduler": {"warmup_steps": 10, "decay_type": "linear"},
        "note": "written by a test",
        "done": True,
        "loss": 2.5,
        "nothing": None,
    }
    save("wrapper.pt", value, {"layers.0.w": weight, "norm.weight": norm.data})
    save("nested.pt", {"state_dict": {"model": {"module.w": weight}}, "epoch": 3}, {"w": weight})
    save("masses.pt", [torch.nn.Parameter(torch.full((4,), float(i))) for i in range(3)],
         {str(i): torch.full((4,), float(i)) for i in range(3)})
    save("single.pt", weight, {"tensor": weight})


def big_endian():
    tensors = {
        "f32": torch.tensor([[1.5, -2.0], [3.0, 4.25]]),
        "f16": torch.tensor([1.5, -2.0], dtype=torch.float16),
        "i64": torch.tensor([1, -2, 1 << 40]),
        "u8": torch.tensor([1, 2, 3], dtype=torch.uint8),
    }
    tensors["f32_t"] = tensors["f32"].t()
    swapped = {k: v.clone() for k, v in tensors.items() if k != "f32_t"}
    for tensor in swapped.values():
        tensor.untyped_storage().byteswap(tensor.dtype)
    swapped["f32_t"] = swapped["f32"].t()
    with unittest.mock.patch.object(sys, "byteorder", "big"):
        torch.save(swapped, here / "big_endian.pt")
    loaded = torch.load(here / "big_endian.pt", weights_only=True)
    assert all(torch.equal(loaded[k], v) for k, v in tensors.items())
    expected["big_endian.pt"] = {k: described(v) for k, v in tensors.items()}


def sharded():
    torch.save({"a": torch.ones(2), "module.b": torch.full((3,), 2.0)}, here / "pytorch_model-00001-of-00002.bin")
    torch.save({"c": torch.full((2, 2), 3.0)}, here / "pytorch_model-00002-of-00002.bin")
    index = {"metadata": {"total_size": 36}, "weight_map": {
        "a": "pytorch_model-00001-of-00002.bin", "module.b": "pytorch_model-00001-of-00002.bin",
        "c": "pytorch_model-00002-of-00002.bin"}}
    (here / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    for make in (dtypes, views, module, parameters, wrapper, big_endian, sharded):
        make()
    (here / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
