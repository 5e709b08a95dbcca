# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes cases.jsonl: small whole tokenizers, each with one component worth checking, and what the `tokenizers`
library (0.23) makes of a few texts and ids with them. The tests need only its output."""
import base64
import json
import pathlib
import struct

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
TEXTS = [
    "", " ", "Hello, world!", "  two  spaces\tand\ttabs ", "don't stop: it's 3.14 (or 22/7)", "Gr\u00fc\u00dfe, na\u00efve caf\u00e9 e\u0301 \u0130I",
    "\u65e5\u672c\u8a9e\u3068\u4e2d\u6587\u3001mixed", "a\u00a0b\u2009c\u3000d\u200be\ufeff", "\ufb01ne \u2460\u2461 \u00bd \uff21\uff22\uff23 \u1e9b\u0323", "line\nbreak\r\n\x01\x7f\x8f\ufffd end",
    "\U0001f44d\U0001f3fd emoji \u2192 \u2211", "_under_score--dash__ $5+5=10 ^~`|", "x\u0300\u0301\u0327y \u0915\u094d\u0937\u093f", "unaffable unknown \u0416", "<s>in[SEP]side</s> <s> ",
]


def charsmap(entries):
    """The blob of SentencePiece's precompiled map: a double array over bytes, then the replacements."""
    texts, starts = b"", {}
    for key, value in entries.items():
        starts[key.encode()] = len(texts)
        texts += value.encode() + b"\0"
    trie = {}
    for key in starts:
        node = trie
        for byte in key:
            node = node.setdefault(byte, {})
        node[None] = starts[key]
    units, taken = {0: 0}, {0}

    def place(node, at):
        labels = [0 if label is None else label for label in node]
        base = next(b for b in range(1, 1 << 20) if all((b ^ label) not in taken for label in labels))
        taken.update(base ^ label for label in labels)
        units[at] |= (at ^ base) << 10 | (256 if None in node else 0)
        for label, child in node.items():
            if label is None:
                units[base] = child | 1 << 31
            else:
                units[base ^ label] = label
        for label, child in node.items():
            if label is not None:
                place(child, base ^ label)

    place(trie, 0)
    array = b"".join(struct.pack("<I", units.get(i, 0)) for i in range((max(units) // 256 + 2) * 256))  # a search may look beside
    return base64.b64encode(struct.pack("<I", len(array)) + array + texts).decode()


BYTES = {f"<0x{b:02X}>": b for b in range(256)}


def whole(model, normalizer=None, pre=None, post=None, decoder=None, added=()):
    tokens = [{"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} | a for a in added]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer,
            "pre_tokenizer": pre, "post_processor": post, "decoder": decoder, "model": model}


def bytes_model():
    """Every text as its bytes: shows what a normalizer does."""
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": False, "byte_fallback": True, "ignore_merges": False, "vocab": BYTES, "merges": []}


def pieces_model(pre, normalizer=None):
    """Every piece a token of its own: shows what a pre-tokenizer does."""
    tok = Tokenizer.from_str(json.dumps(whole({"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}, normalizer, pre)))
    vocab = {"?": 0}
    for text in TEXTS:
        shown = tok.normalizer.normalize_str(text) if tok.normalizer else text
        for piece, _ in tok.pre_tokenizer.pre_tokenize_str(shown):
            vocab.setdefault(piece, len(vocab))
    return {"type": "WordLevel", "vocab": vocab, "unk_token": "?"}


def word_piece():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "##a", "##ffable", "hello", "world", "hell", "##o", ",", "!", "'", "don", "t", "stop", "it", "s",
             "3", "##14", ".", "14", "caf", "##e", "gru", "##\u00dfe", "grusse", "naive", "\u65e5", "\u672c", "\u8a9e", "##\u672c", "mixed", "a", "b", "c", "##b", "i", "##i", "x", "y", "two", "spaces", "and", "tabs", "line", "break", "end", "in", "##side", "side"]
    return {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 12,
            "vocab": {w: i for i, w in enumerate(words)}}


def unigram(byte_fallback=False, unk=0):
    pieces = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0], ["\u2581", -2.0], ["\u2581hello", -8.0], ["\u2581Hello", -7.5], ["hell", -6.0], ["Hel", -5.5], ["lo", -4.0], ["o", -3.0], ["l", -3.1], ["H", -4.0], ["e", -2.5],
              ["\u2581world", -7.0], ["wor", -6.0], ["ld", -4.5], ["\u2581w", -4.0], ["r", -3.2], ["d", -3.3], [",", -3.5], ["!", -4.2], ["\u2581two", -7.7], ["\u2581spaces", -9.0], ["s", -2.9], ["t", -2.8], ["\u2581\u2581", -3.0],
              ["un", -5.0], ["aff", -7.0], ["able", -6.0], ["a", -2.6], ["f", -4.4], ["b", -4.3], ["n", -3.0], ["k", -5.0], ["w", -4.6], ["i", -2.9], ["u", -3.6], ["\u65e5\u672c", -9.0], ["\u65e5", -10.0], ["\u672c", -10.1]]
    if byte_fallback:
        pieces += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
    return {"type": "Unigram", "unk_id": unk, "vocab": pieces, "byte_fallback": byte_fallback}


def llama_like(legacy):
    """BPE over characters with byte fallback, as SentencePiece exports are."""
    words = ["<unk>", "<s>", "</s>"] + list(BYTES) + ["\u2581", "H", "e", "l", "o", "w", "r", "d", "t", "s", "a", "n", "u", "\u65e5", "ll", "\u2581w", "He", "llo", "Hello", "\u2581Hello", "or", "ld", "\u2581wor", "\u2581world", "\u2581\u2581"]
    merges = ["l l", "\u2581 w", "H e", "ll o", "He llo", "\u2581 Hello", "o r", "l d", "\u2581w or", "\u2581wor ld", "\u2581 \u2581"]
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": {w: i for i, w in enumerate(words)}, "merges": merges}
    decoder = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    post = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
    added = [{"id": 0, "content": "<unk>"}, {"id": 1, "content": "<s>"}, {"id": 2, "content": "</s>"}]
    if legacy:
        normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
        return whole(model, normalizer, None, post, decoder, added)
    pre = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
    return whole(model, None, pre, post, decoder, added)


def tokenizers():
    regex = {"Regex": "[aeiou]+"}
    normalizers = {
        "NFD": {"type": "NFD"}, "NFC": {"type": "NFC"}, "NFKC": {"type": "NFKC"}, "NFKD": {"type": "NFKD"}, "Lowercase": {"type": "Lowercase"},
        "Strip": {"type": "Strip", "strip_left": True, "strip_right": True}, "Strip left": {"type": "Strip", "strip_left": True, "strip_right": False},
        "Strip right": {"type": "Strip", "strip_left": False, "strip_right": True}, "StripAccents": {"type": "StripAccents"}, "Nmt": {"type": "Nmt"},
        "Replace": {"type": "Replace", "pattern": {"String": " "}, "content": "__"}, "Replace by regex": {"type": "Replace", "pattern": regex, "content": "*"},
        "Prepend": {"type": "Prepend", "prepend": ">>"}, "ByteLevel": {"type": "ByteLevel"},
        "Precompiled": {"type": "Precompiled", "precompiled_charsmap": charsmap({"\ufb01": "fi", "\u2460": "1", "\u00a0": " ", "e\u0301": "\u00e9", "\u200b": "", "\uff21": "A", "\u1e9b": "s", "H": "h"})},
        "Sequence": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}]},
    }
    for clean in (True, False):
        for accents in (None, True, False):
            for lower in (True, False):
                normalizers[f"Bert {clean} {accents} {lower}"] = {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": clean, "strip_accents": accents, "lowercase": lower}
    for name, normalizer in normalizers.items():
        yield f"normalizer {name}", whole(bytes_model(), normalizer)
    pres = {
        "Whitespace": {"type": "Whitespace"}, "WhitespaceSplit": {"type": "WhitespaceSplit"}, "Bert": {"type": "BertPreTokenizer"},
        "CharDelimiterSplit": {"type": "CharDelimiterSplit", "delimiter": "-"}, "FixedLength": {"type": "FixedLength", "length": 4}, "UnicodeScripts": {"type": "UnicodeScripts"},
        "Digits": {"type": "Digits", "individual_digits": True},
        "Sequence": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}]},
        "ByteLevel after": {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
    }
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        pres[f"Punctuation {behavior}"] = {"type": "Punctuation", "behavior": behavior}
    for scheme in ("always", "first", "never"):
        for split in (True, False):
            pres[f"Metaspace {scheme} {split}"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}
    for name, pre in pres.items():
        yield f"pre-tokenizer {name}", whole(pieces_model(pre), None, pre)
    bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    special = [{"id": i, "content": t} for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])]
    yield "WordPiece", whole(word_piece(), bert, {"type": "BertPreTokenizer"}, {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
                             {"type": "WordPiece", "prefix": "##", "cleanup": True}, special)
    yield "WordPiece without cleanup", whole(word_piece(), bert, {"type": "Whitespace"}, None, {"type": "WordPiece", "prefix": "##", "cleanup": False}, special)
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    for fallback in (False, True):
        yield f"Unigram {fallback}", whole(unigram(fallback), {"type": "NFKC"}, metaspace, None, metaspace, [{"id": 1, "content": "<s>"}, {"id": 2, "content": "</s>"}])
    yield "Unigram of a whole text", whole(unigram(), None, None, None, None)
    yield "Llama-like, legacy", llama_like(True)
    yield "Llama-like", llama_like(False)
    letters = {c: i for i, c in enumerate(["a</w>", "b</w>", "a", "b", "ab", "ab</w>", "!</w>", "!", "[UNK]"])}
    clip = {"type": "BPE", "dropout": None, "unk_token": "[UNK]", "continuing_subword_prefix": "", "end_of_word_suffix": "</w>", "fuse_unk": False, "byte_fallback": False,
            "ignore_merges": False, "vocab": letters, "merges": ["a b", "a b</w>"]}
    yield "BPE with suffix", whole(clip, {"type": "Lowercase"}, {"type": "WhitespaceSplit"}, None, {"type": "BPEDecoder", "suffix": "</w>"})
    ctc = {"type": "WordLevel", "vocab": {t: i for i, t in enumerate(["<pad>", "|", "h", "e", "l", "o", "n't", "."])}, "unk_token": "<pad>"}
    for cleanup in (True, False):
        yield f"CTC {cleanup}", whole(ctc, None, {"type": "WhitespaceSplit"}, None, {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": cleanup})
    yield "Strip at both ends", whole(ctc, None, {"type": "WhitespaceSplit"}, None, {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": "h", "start": 2, "stop": 1}]})


def lists_of_ids(size):
    seed = 7
    for length in (0, 1, 2, 3, 5, 8, 13, 30):
        ids = []
        for _ in range(length):
            seed = (seed * 1103515245 + 12345) % (1 << 31)
            ids.append((seed >> 8) % (size + 2))
        yield ids


def main():
    with open(HERE / "cases.jsonl", "w", encoding="utf-8") as out:
        for name, file in tokenizers():
            tok = Tokenizer.from_str(json.dumps(file))
            cases = []
            for text in TEXTS:
                for special in ((False, True) if file["post_processor"] else (False,)):
                    cases.append({"text": text, "add_special_tokens": special, "ids": tok.encode(text, add_special_tokens=special).ids})
            if file["decoder"] is not None or name.startswith("Unigram"):
                texts_ids = [c["ids"] for c in cases if c["ids"]] + list(lists_of_ids(tok.get_vocab_size()))
                for ids in texts_ids:
                    known = [i for i in ids if tok.id_to_token(i) is not None]
                    if not known and "Strip" in name:
                        continue  # the library itself fails on an empty text
                    for skip in (False, True):
                        cases.append({"decode": ids, "skip_special_tokens": skip, "text": tok.decode(known, skip_special_tokens=skip)})
            print(json.dumps({"name": name, "tokenizer": file, "cases": cases}, ensure_ascii=False, separators=(",", ":")), file=out)


if __name__ == "__main__":
    main()
