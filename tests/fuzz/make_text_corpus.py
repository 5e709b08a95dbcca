# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds of the fuzzers for tokenizer.json, chat templates and schemas, from the tests' own data."""
import json
import pathlib

HERE = pathlib.Path(__file__).parent
TESTS = HERE.parent


def write(target, name, text):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def tokenizers():
    wanted = ("WordPiece", "Unigram False", "Llama-like", "BPE with suffix", "CTC True", "Strip at both ends",
              "normalizer Precompiled", "normalizer Bert True None True", "pre-tokenizer Metaspace first True", "pre-tokenizer Sequence")
    for line in (TESTS / "data/tokenizers/components/cases.jsonl").read_text(encoding="utf-8").strip("\n").split("\n"):
        case = json.loads(line)
        if case["name"] not in wanted:
            continue
        file = case["tokenizer"]
        vocab = file["model"]["vocab"]
        if isinstance(vocab, dict) and len(vocab) > 120:  # small seeds change more when they are changed
            kept = set(list(vocab)[:20]) | {t for t in vocab if not t.startswith("<0x")} if file["model"].get("byte_fallback") else set(list(vocab)[:40])
            file["model"]["vocab"] = {t: i for t, i in vocab.items() if t in kept}
        write("tokenizer", case["name"].lower().replace(" ", "_") + ".json", json.dumps(file, ensure_ascii=False, separators=(",", ":")))
    write("tokenizer", "vocab.txt", "[PAD]\n[UNK]\n\nhello\n##lo\nhel\nhello\n[CLS]\n[SEP]\n")
    write("tokenizer", "config.json", '{"bos_token":{"content":"<s>"},"eos_token":null,"chat_template":[{"name":"default","template":"{{ x }}"}],'
                                      '"added_tokens_decoder":{"3":{"content":"<s>","special":true}},"add_prefix_space":true}')
    write("tokenizer", "split.json", '{"version":"1.0","added_tokens":[{"id":2,"content":"<s>","lstrip":true,"rstrip":true,"single_word":true,"normalized":true,"special":true}],'
                                     '"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(?i:\'s)|\\\\p{L}+|\\\\s+(?!\\\\S)"},"behavior":"MergedWithNext","invert":true},'
                                     '"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":3},"merges":[["a","b"]],"unk_token":"a","fuse_unk":true}}')


def templates():
    for name in ("chatml", "discoverlm", "gemma1", "llama3", "thinking", "documents"):
        write("template", name + ".jinja", (TESTS / f"data/templates/{name}.jinja").read_text(encoding="utf-8"))
    lines = (TESTS / "data/templates/cases.jsonl").read_text(encoding="utf-8").strip("\n").split("\n")
    texts = [case["template"] for case in map(json.loads, lines[1:]) if "template" in case]
    write("template", "blocks.jinja", "\n".join(t for t in texts if "{%" in t and "raw" not in t and "%}{%" in t and "{% end" in t)[:6000])
    write("template", "expressions.jinja", "{% set a=7 %}{% set s='x y' %}{% set list=[3,1,2] %}{% set map={'x':1} %}" + "".join(t for t in texts if t.startswith("{{"))[:6000])
    write("template", "messages.json", '[{"role":"user","content":"a\\u00e9"},{"role":"tool","content":null,"x":[1,-2.5e3,true,{}]}]')


def schemas():
    built_in = TESTS.parent / "resources/schemas"
    for path in sorted(built_in.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        if len(text) < 6000:
            write("schema", path.name, text)
    head = {"format": "ergosphere-schema", "version": 1, "name": "x", "family": "moa"}
    write("schema", "loop.json", json.dumps(head | {"tensors": [{"for": {"l": "num_layers"}, "tensors": [{"name": "h.{l}.w", "role": "layers.{l}.w", "shape": ["dim / attn_heads", 4]}]}]}))
    write("schema", "groups.json", json.dumps(head | {"defaults": [{"a": "dim ?? 3"}], "derived": [{"b": "round(a * 1.5) > 4 ? min(a, 2) : -1"}], "choices": {"k": ["x", "y"]}, "knobs": {"k": "x", "flag": True},
                                                      "groups": {"g": [{"name": ".w", "role": ".w", "shape": ["n", "b"], "when": "flag && k == 'x'"}]}, "tensors": [{"group": "g", "name": "p", "role": "r", "let": {"n": "2 * a"}}]}))
    write("schema", "extends.json", json.dumps(head | {"extends": "moa-2026", "knobs": {"mqa_kv": "split"}}))
    write("schema", "circle.json", json.dumps(head | {"groups": {"g": [{"group": "g"}]}, "tensors": [{"group": "g"}]}))
    write("schema", "large.json", json.dumps(head | {"tensors": [{"for": {"l": "9999999999"}, "tensors": [{"name": "{l}", "role": "{l}", "shape": [1]}]}]}))


if __name__ == "__main__":
    tokenizers()
    templates()
    schemas()
