# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tokenizer.json and cases.jsonl here: Qwen2's tokenizer with its first 1500 merges only, and ids by Hugging Face
tokenizers 0.23 (pip install tokenizers).

    python make.py FOLDER-OF-QWEN2 TEXTS.jsonl      # objects with "text"; those of other tokenizers' cases will do
"""
import json
import sys

from tokenizers import Tokenizer

MERGES = 1500
ADDED = 22


def main(source, texts):
    whole = json.load(open(f"{source}/tokenizer.json", encoding="utf-8"))
    merges = whole["model"]["merges"][:MERGES]
    pairs = [m.split(" ") if isinstance(m, str) else m for m in merges]
    size = 256 + MERGES
    by_id = sorted(whole["model"]["vocab"].items(), key=lambda item: item[1])[:size]
    assert {"".join(p) for p in pairs} <= {text for text, _ in by_id}
    whole["model"]["vocab"] = dict(by_id)
    whole["model"]["merges"] = [" ".join(p) for p in pairs]
    for n, token in enumerate(whole["added_tokens"]):
        token["id"] = size + n
    assert len(whole["added_tokens"]) == ADDED
    text = json.dumps(whole, ensure_ascii=True, separators=(",", ":"))
    open("tokenizer.json", "w").write(text + "\n")
    tokenizer = Tokenizer.from_str(text)
    seen = []
    with open("cases.jsonl", "w") as out:
        for line in open(texts, encoding="utf-8"):
            case = json.loads(line)
            if "text" in case and "ids" in case and case["text"] not in seen and len(case["text"]) < 2000:
                seen.append(case["text"])
                ids = tokenizer.encode(case["text"], add_special_tokens=False).ids
                out.write(json.dumps({"text": case["text"], "ids": ids}, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
