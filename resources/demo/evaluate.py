# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the released demo:moa on its held-out sets and prints what the card quotes.

  evaluate.py [--model moa]             accuracy, path shares, pruned fractions
  evaluate.py --ask "Solve 3x + 2 = 17" one reply

Decoding is greedy.  An equation or a sum counts as right when the last integer of the reply is the
result; a question when the reply is the expected sentence.
"""
import argparse

import torch

import checkpoint
import data
import vocabulary
from moa_torch import PATHS


@torch.no_grad()
def reply(model, t, prompts, limit=72):
    """Greedy replies to token lists.  Rows are padded on the right, which a causal model cannot see."""
    lengths = torch.tensor([len(p) for p in prompts])
    tokens = torch.full((len(prompts), int(lengths.max()) + limit), vocabulary.PAD)
    for row, p in enumerate(prompts):
        tokens[row, :len(p)] = torch.tensor(p)
    start, live = lengths.clone(), torch.arange(len(prompts))
    for _ in range(limit):
        T = int(lengths[live].max())
        wanted = torch.zeros(len(live), T, dtype=torch.bool)
        wanted[torch.arange(len(live)), lengths[live] - 1] = True
        logits, _ = model(tokens[live, :T], lengths[live], wanted.reshape(-1))
        chosen = logits.argmax(-1)
        tokens[live, lengths[live]] = chosen
        lengths[live] += 1
        live = live[chosen != vocabulary.EOS]
        if not len(live):
            break
    return [t.decode(tokens[i, start[i]:lengths[i]].tolist(), skip_special_tokens=True) for i in range(len(prompts))], \
        [tokens[i, :lengths[i]].tolist() for i in range(len(prompts))]


class Statistics:
    """Mean path shares and pruned causal pairs over whole conversations."""
    def __init__(self):
        self.tokens, self.shares, self.branches, self.pruned = 0, 0, 0, None

    @torch.no_grad()
    def add(self, model, rows):
        for at in range(0, len(rows), 125):
            part = rows[at:at + 125]
            lengths = torch.tensor([len(r) for r in part])
            tokens = torch.full((len(part), int(lengths.max())), vocabulary.PAD)
            for i, r in enumerate(part):
                tokens[i, :len(r)] = torch.tensor(r)
            _, aux = model(tokens, lengths, measure=True)
            count = int(lengths.sum())
            self.tokens += count
            self.shares = self.shares + count * torch.stack(aux.shares)
            self.branches = self.branches + count * torch.stack(aux.branches)
            pruned = [p.double() for p in aux.pruned]
            self.pruned = pruned if self.pruned is None else [a + b for a, b in zip(self.pruned, pruned)]

    def print(self, model):
        names = ["layer %d" % i for i in range(len(model.model.layers))] + ["LM head"]
        shares = self.shares / self.tokens
        print("path shares, %d tokens   %s" % (self.tokens, "  ".join("%16s" % p for p in PATHS)))
        for name, row in list(zip(names, shares)) + [("mean", shares.mean(0))]:
            print("  %-22s %s" % (name, "  ".join("%15.1f%%" % (100 * x) for x in row)))
        print("HyperFFN branches         " + "  ".join("%.1f%%" % (100 * x) for x in (self.branches / self.tokens)[0]))
        print("pruned causal pairs, % (a MetricMQA ball belongs to all query heads of its layer)")
        within = total = 0
        for i, p in enumerate(self.pruned):
            fraction = 100 * p[0] / p[1]
            mqa = i % 2
            weight = model.model.layers[0].metric_mqa.heads if mqa else 1
            weight = model.lm_head.metric_mqa.heads if mqa and i // 2 == len(names) - 1 else weight
            within += weight * int(((fraction > 10) & (fraction < 90)).sum())
            total += weight * len(fraction)
            print("  %-8s %-17s %s" % (names[i // 2], PATHS[3 if mqa else 1], "  ".join("%4.1f" % x for x in fraction)))
        print("heads that prune between 10 and 90 %%: %d of %d" % (within, total))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", default="moa")
    ap.add_argument("--ask")
    ap.add_argument("--system")
    ap.add_argument("--wrong", action="store_true", help="print the failures")
    a = ap.parse_args()
    t, model = vocabulary.load_tokenizer(a.model), checkpoint.load_model(a.model)
    prompt = lambda text: vocabulary.encode_prompt(t, a.system, [(text, None)])
    if a.ask:
        print(reply(model, t, [prompt(a.ask)])[0][0])
        return
    statistics = Statistics()
    stored = sum(p.numel() for p in model.parameters())
    print("%d trained parameters" % stored)
    for name, items in (("equations", data.test_equations()), ("sums and differences", data.test_sums()),
                        ("questions", data.test_questions())):
        texts, rows = reply(model, t, [prompt(user) for user, _, _ in items])
        value = (lambda x: x) if name == "questions" else data.last_integer
        wrong = [(user, text, wanted) for (user, _, wanted), text in zip(items, texts) if value(text) != wanted]
        right = len(items) - len(wrong)
        print("%-22s %d of %d right, %.1f %%" % (name, right, len(items), 100 * right / len(items)), flush=True)
        if name != "questions":
            statistics.add(model, rows)
        if a.wrong:
            for w in wrong:
                print("   %r -> %r, wanted %r" % w)
    statistics.print(model)


if __name__ == "__main__":
    main()
