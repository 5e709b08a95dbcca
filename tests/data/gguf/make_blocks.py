# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes blocks.npz: random blocks of the quantised types and their values.

The values are worked out element by element from the formulas of the format's description, with Python integers and
one float32 operation at a time; the program decodes whole groups instead. Needs NumPy.
"""
import sys

import numpy as np

F = np.float32
ELEMENTS = {"q8_0": 32, "q4_0": 32, "q4_1": 32, "q5_0": 32, "q5_1": 32, "q4_k": 256, "q5_k": 256, "q6_k": 256}
BYTES = {"q8_0": 34, "q4_0": 18, "q4_1": 20, "q5_0": 22, "q5_1": 24, "q4_k": 144, "q5_k": 176, "q6_k": 210}
HALVES = {"q8_0": [0], "q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q4_k": [0, 2], "q5_k": [0, 2],
          "q6_k": [208]}
SPECIAL = [0.0, -0.0, 6e-8, -3.1e-5, 1.0, 65504.0, -12.5]


def half(block, at):
    return F(np.frombuffer(bytes(block[at:at + 2]), dtype="<f2")[0])


def signed(byte):
    return byte - 256 if byte > 127 else byte


def element(kind, b, i):
    if kind == "q8_0":
        return half(b, 0) * F(signed(b[2 + i]))
    if kind in ("q4_0", "q4_1", "q5_0", "q5_1"):
        has_minimum, has_fifth = kind.endswith("1"), kind.startswith("q5")
        at = 4 if has_minimum else 2
        q = 0
        if has_fifth:
            q = (int.from_bytes(bytes(b[at:at + 4]), "little") >> i & 1) * 16
            at += 4
        byte = b[at + i % 16]
        q += byte % 16 if i < 16 else byte // 16
        if has_minimum:
            return F(half(b, 0) * F(q)) + half(b, 2)
        return half(b, 0) * F(q - (16 if has_fifth else 8))
    if kind in ("q4_k", "q5_k"):
        group, place = divmod(i, 32)
        packed = b[4:16]
        if group < 4:
            scale, minimum = packed[group] % 64, packed[group + 4] % 64
        else:
            scale = packed[group + 4] % 16 + packed[group - 4] // 64 * 16
            minimum = packed[group + 4] // 16 + packed[group] // 64 * 16
        byte = b[(48 if kind == "q5_k" else 16) + group // 2 * 32 + place]
        q = byte // 16 if group % 2 else byte % 16
        if kind == "q5_k":
            q += (b[16 + place] >> group & 1) * 16
        return F(F(half(b, 0) * F(scale)) * F(q)) - F(half(b, 2) * F(minimum))
    part, rest = divmod(i, 128)
    quarter, place = divmod(rest, 32)
    byte = b[64 * part + place + (32 if quarter in (1, 3) else 0)]
    q = (byte // 16 if quarter >= 2 else byte % 16) + (b[128 + 32 * part + place] >> 2 * quarter & 3) * 16 - 32
    scale = signed(b[192 + 8 * part + 2 * quarter + (1 if place >= 16 else 0)])
    return F(half(b, 208) * F(scale)) * F(q)


def main(path):
    rng = np.random.default_rng(20260101)
    arrays = {}
    for kind in ELEMENTS:
        blocks = rng.integers(0, 256, size=(len(SPECIAL) + 3, BYTES[kind]), dtype=np.uint8)
        for n, block in enumerate(blocks):
            for k, at in enumerate(HALVES[kind]):
                value = SPECIAL[(n + 2 * k) % len(SPECIAL)] if n < len(SPECIAL) else rng.normal() * 0.01
                block[at:at + 2] = np.frombuffer(np.float16(value).tobytes(), dtype=np.uint8)
        values = [[element(kind, [int(x) for x in block], i) for i in range(ELEMENTS[kind])] for block in blocks]
        arrays[kind + ".blocks"] = blocks
        arrays[kind + ".values"] = np.array(values, dtype=np.float32)
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "blocks.npz")
