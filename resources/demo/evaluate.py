# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures a released demo model on the held-out sets and prints what its card quotes.

  evaluate.py [--model moa]             accuracy, then what the family has to show: path shares and pruned
                                        fractions, depth weights, or masses
  evaluate.py --ask "Solve 3x + 2 = 17" one reply

Decoding is greedy.  An equation or a sum counts as right when the last integer of the reply is the
result; a question when the reply is the expected sentence.
"""
import argparse

import torch

import checkpoint
import data
import families
import vocabulary


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
    """The family's own measurements, over whole conversations."""
    def __init__(self, family):
        self.family, self.tokens, self.sums = family, 0, None

    @torch.no_grad()
    def add(self, model, rows):
        for at in range(0, len(rows), 125):
            part = rows[at:at + 125]
            lengths = torch.tensor([len(r) for r in part])
            tokens = torch.full((len(part), int(lengths.max())), vocabulary.PAD)
            for i, r in enumerate(part):
                tokens[i, :len(r)] = torch.tensor(r)
            _, aux = model(tokens, lengths, measure=True)
            self.tokens += int(lengths.sum())
            sums = [x.double() for x in self.family.measurements(aux)]
            self.sums = sums if self.sums is None else [a + b for a, b in zip(self.sums, sums)]

    def print(self, model):
        for line in self.family.report(model, self.tokens, self.sums):
            print(line)


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
    statistics = Statistics(families.family_of(model.config))
    stored = sum(p.numel() for p in model.parameters())
    print("%d trained parameters" % stored)
    for name, items in (("equations", data.test_equations()), ("sums and differences", data.test_sums()),
                        ("questions", data.test_questions(families.name_of(model.config)))):
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
