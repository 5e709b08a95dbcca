#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the seeds in corpus/ (standard library and the zstd program): small valid files of every kind and a few that
break one rule, out of tests/data/checkpoint.

    python3 make_corpus.py
"""
import json
import struct
import subprocess
import zipfile
from pathlib import Path

here = Path(__file__).parent
data = here.parent / "data" / "checkpoint"


def write(target, name, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def safetensors(header, body=b""):
    text = header if isinstance(header, str) else json.dumps(header)
    return struct.pack("<Q", len(text)) + text.encode() + body


for name in ("single.pt", "nested.pt", "big_endian.pt", "parameters.pt", "views.pt", "protocol4.pt"):
    content = (data / name).read_bytes()
    write("torch", name, content)
    write("zip", name, content)
for name in ("dtypes.pt", "views.pt", "wrapper.pt", "parameters.pt", "module.bin", "protocol4.pt", "whole_module.pt"):
    with zipfile.ZipFile(data / name) as archive:
        member = next(n for n in archive.namelist() if n.endswith("data.pkl"))
        write("pickle", name + ".pkl", archive.read(member))
write("pickle", "system.pkl", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
write("pickle", "stack_global.pkl", b"\x80\x04\x8c\x02os\x8c\x06system\x93)R.")
write("pickle", "cycle.pkl", b"\x80\x02]q\x00h\x00a.")
write("pickle", "numbers.pkl", b"\x80\x02}(K\x01M\x02\x00J\x03\x00\x00\x00G@\x04\x00\x00\x00\x00\x00\x00\x8a\x01\x05Nu.")

for level, name in ((3, "module.bin"), (19, "single.pt")):
    packed = subprocess.run(["zstd", "-q", f"-{level}", "-c", data / name], check=True, capture_output=True).stdout
    write("zstd", name + ".zst", packed)
piped = subprocess.run(["zstd", "-q", "-c"], input=b"no size, no name", check=True, capture_output=True).stdout
write("zstd", "piped.zst", piped)
write("zstd", "two_frames.zst", piped + b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + piped)
write("zstd", "raw.zst", b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello")
write("zstd", "repeat.zst", b"\x28\xb5\x2f\xfd\x60\x2c\x00\x63\x09\x00z")

entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
write("safetensors", "one", safetensors({"a": entry}, bytes(8)))
write("safetensors", "several", safetensors(
    {"__metadata__": {"format": "pt"}, "a": entry, "b": {"dtype": "BF16", "shape": [], "data_offsets": [8, 10]},
     "c": {"dtype": "F8_E4M3", "shape": [3, 1], "data_offsets": [10, 13]},
     "d": {"dtype": "U8", "shape": [0, 7], "data_offsets": [13, 13]}}, bytes(13)))
write("safetensors", "gap", safetensors({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}, bytes(2)))
write("safetensors", "duplicate", safetensors('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
                                              '"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'))
write("safetensors", "overflow", safetensors(
    {"a": {"dtype": "F64", "shape": [1 << 32, 1 << 32], "data_offsets": [0, 8]}}, bytes(8)))

write("shard_index", "torch.json", (data / "pytorch_model.bin.index.json").read_bytes())
write("shard_index", "minimal.json", json.dumps({"weight_map": {"a": "m-00001-of-00001.safetensors"}}))
write("shard_index", "path.json", json.dumps({"weight_map": {"a": "../m.safetensors"}}))
write("shard_index", "odd.json", '\ufeff{"metadata":{"total_size":18446744073709551615,"x":[[]]},"weight_map":{"a":1}}')

config = json.loads((here.parent.parent / "resources" / "demo" / "moa" / "config.json").read_text())
write("config", "moa.json", json.dumps(config, indent=1))
write("config", "empty.json", "{}")
write("config", "deep.json", "[" * 100 + "]" * 100)
for key in list(config)[:6]:
    write("config", f"without_{key}.json", json.dumps({k: v for k, v in config.items() if k != key}))
write("config", "wrong_types.json", json.dumps({k: [v] for k, v in config.items()}))
write("config", "large.json", json.dumps({k: 1 << 62 if isinstance(v, int) else v for k, v in config.items()}))
