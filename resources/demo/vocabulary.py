# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo tokenizer: a small byte-level BPE trained on the demo data, and the chat layout.

Layout: <|system|>S<|user|>U<|assistant|><|think|><|reasoning|>reply, no newlines and no end markers;
the model ends its reply with <|eos|>, which is not repeated in front of the next <|user|>.
"""
import json
import os

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from data import Generator
from questions import SYSTEM_PROMPTS, TOPICS

SPECIAL = ["<|bos|>", "<|eos|>", "<|pad|>", "<|unk|>", "<|system|>", "<|user|>", "<|assistant|>", "<|think|>", "<|reasoning|>"]
BOS, EOS, PAD, UNK, SYSTEM, USER, ASSISTANT, THINK, REASONING = range(len(SPECIAL))
TEMPLATE = ("{% for m in messages %}{% if m.role == 'system' %}<|system|>{{ m.content }}"
            "{% elif m.role == 'user' %}<|user|>{{ m.content }}"
            "{% else %}<|assistant|><|think|><|reasoning|>{{ m.content }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|><|think|><|reasoning|>{% endif %}")


def corpus(seed, rounds=4000):
    """Text the merges are learnt from.  Questions are repeated so that their words become tokens."""
    g = Generator(seed)
    for _ in range(rounds):
        for kind in ("equation", "sum", "question"):
            for text in g.dialogue(kind)[1][0]:
                yield text
    for _ in range(20):
        for questions, answer in TOPICS:
            yield from questions
            yield answer
        yield from SYSTEM_PROMPTS


def train_tokenizer(size=768, seed=7):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus(seed), trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    return t


def save_tokenizer(t, folder, length):
    """tokenizer.json, tokenizer_config.json, special_tokens_map.json and generation_config.json."""
    os.makedirs(folder, exist_ok=True)
    t.save(os.path.join(folder, "tokenizer.json"))
    names = {"bos_token": SPECIAL[BOS], "eos_token": SPECIAL[EOS], "pad_token": SPECIAL[PAD], "unk_token": SPECIAL[UNK]}
    files = {
        "special_tokens_map.json": dict(names, additional_special_tokens=SPECIAL[SYSTEM:]),
        "tokenizer_config.json": dict(
            names, additional_special_tokens=SPECIAL[SYSTEM:], add_bos_token=False, add_eos_token=False,
            added_tokens_decoder={str(i): dict(content=s, special=True, lstrip=False, rstrip=False, normalized=False, single_word=False)
                                  for i, s in enumerate(SPECIAL)},
            chat_template=TEMPLATE, clean_up_tokenization_spaces=False, model_max_length=length,
            tokenizer_class="PreTrainedTokenizerFast"),
        "generation_config.json": dict(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD, do_sample=False, max_new_tokens=96),
    }
    for name, content in files.items():
        with open(os.path.join(folder, name), "w") as f:
            json.dump(content, f, indent=2)
            f.write("\n")


def load_tokenizer(folder):
    return Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))


def encode_prompt(t, system, turns):
    """Tokens of a conversation up to the reply of its last turn.  turns: [(user, reply), ..., (user, ...)]"""
    return encode_dialogue(t, (system, list(turns[:-1]) + [(turns[-1][0], None)]))[0]


def encode_dialogue(t, dialogue):
    """-> tokens, targets.  targets[i] is what should follow tokens[i], or -1 outside of replies."""
    system, turns = dialogue
    ids = lambda text: t.encode(text, add_special_tokens=False).ids
    tokens, targets = [], []

    def put(part, wanted=None):
        tokens.extend(part)
        targets.extend(wanted or [-1] * len(part))
    if system is not None:
        put([SYSTEM] + ids(system))
    for user, reply in turns:
        put([USER] + ids(user) + [ASSISTANT, THINK])
        if reply is None:
            put([REASONING])
        else:
            body = ids(reply)
            put([REASONING] + body, body + [EOS])
    return tokens, targets
