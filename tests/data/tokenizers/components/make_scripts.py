# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table in engine/tokenizer/unicode_scripts.cpp: which script each character has for the UnicodeScripts
pre-tokenizer of the `tokenizers` library (0.23), found by asking it about every pair."""
import pathlib

from tokenizers import pre_tokenizers

TARGET = pathlib.Path(__file__).parents[4] / "engine/tokenizer/unicode_scripts.cpp"
LAST = 0x110000
splitter = pre_tokenizers.UnicodeScripts()
representatives = []  # [script - 1]


def script(c, likely):
    """0 when the character alone is no piece, else the number of the script it joins."""
    if 0xD800 <= c < 0xE000 or not splitter.pre_tokenize_str(chr(c)):
        return 0
    for number in [likely, *range(1, len(representatives) + 1)]:
        if number and len(splitter.pre_tokenize_str(chr(c) + representatives[number - 1])) == 1:
            return number
    representatives.append(chr(c))
    return len(representatives)


def main():
    ranges, begin, current, likely = [], 0, 0, 0
    for c in range(LAST + 1):
        number = script(c, likely) if c < LAST else -1
        if number != current:
            if current:
                ranges.append(f" {{0x{begin:X}, 0x{c - 1:X}, {current}}},")
            begin, current = c, number
        likely = number or likely
    lines = ["   "]
    for text in ranges:
        if len(lines[-1]) + len(text) > 110:
            lines.append("   ")
        lines[-1] += text
    old = TARGET.read_text(encoding="utf-8")
    head, rest = old.split("constexpr Script scripts[] = {\n")
    tail = rest[rest.index("\n};") :]
    TARGET.write_text(head + "constexpr Script scripts[] = {\n" + "\n".join(lines) + tail, encoding="utf-8")


main()
