# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and test data of the demo models: linear equations, small sums, questions.

Nothing here knows about a model: all families are trained on the same text, but for what they say of themselves.  A dialogue is
(system text or None, [(user text, reply), ...]).  Whether a problem is held out is decided by a hash
of its numbers, so train and test never meet however they are drawn.
"""
import random
import re
import zlib

from questions import SYSTEM_PROMPTS, topics

HELD_OUT = 16                   # one problem in 16 is never trained on


def bucket(*parts):
    return zlib.crc32(":".join(map(str, parts)).encode()) % HELD_OUT == 0


def sum_held_out(op, a, b):
    """Both orders of the operands share one fate."""
    return bucket("sum" if op == "+" else "difference", min(a, b), max(a, b))


def equation_held_out(a, b, x):
    return bucket("equation", a, b, x)


# ---- equations --------------------------------------------------------------------------------
def term(a):
    return "-x" if a == -1 else "%dx" % a


def equation(a, b, x):
    """-> question part, reply.  One operation per line; the last integer of the reply is x."""
    c, left = a * x + b, term(a)
    lines = []
    if b:
        lines.append("%s = %d %s %d" % (left, c, "-" if b > 0 else "+", abs(b)))
    lines.append("%s = %d" % (left, c - b))
    lines.append("x = %d / %d" % (c - b, a))
    lines.append("x = %d" % x)
    question = left + (" %s %d" % ("+" if b > 0 else "-", abs(b)) if b else "") + " = %d" % c
    return question, "\n".join(lines[1:] if not b else lines)


def all_equations():
    for a in list(range(-12, 0)) + list(range(2, 13)):
        for b in range(-30, 31):
            for x in range(-20, 21):
                yield a, b, x


def shows_held_out_sum(a, b, x):
    """The first line of the solution is a sum; a held-out two-digit one must not be shown in training."""
    c, p = a * x + b, abs(b)
    return 10 <= c <= 99 and 10 <= p and sum_held_out("-" if b > 0 else "+", c, p)


# ---- sums -------------------------------------------------------------------------------------
def calculation(op, a, b):
    value = {"+": a + b, "-": a - b, "/": a // b if op == "/" else 0}[op]
    question = "%d %s %d" % (a, op, b)
    return question, "%s = %d" % (question, value)


def all_sums():
    for op in "+-":
        for a in range(10, 100):
            for b in range(10, 100):
                yield op, a, b


def last_integer(text):
    found = re.findall(r"-?\d+", text)
    return int(found[-1]) if found else None


# ---- test sets --------------------------------------------------------------------------------
def test_equations(count=500, seed=1):
    """-> [(user text, reply, x)]"""
    items = [e for e in all_equations() if equation_held_out(*e)]
    random.Random(seed).shuffle(items)
    return [("Solve " + equation(*e)[0], equation(*e)[1], e[2]) for e in items[:count]]


def test_sums(count=500, seed=1):
    items = [s for s in all_sums() if sum_held_out(*s)]
    random.Random(seed).shuffle(items)
    return [(calculation(*s)[0], calculation(*s)[1], last_integer(calculation(*s)[1])) for s in items[:count]]


def test_questions(family="moa"):
    return [(dress(q), answer, answer) for questions, answer in topics(family) for q in questions[:1]]


# ---- random training dialogues ----------------------------------------------------------------
def dress(question, rng=None):
    """Capital letter and question mark, now and then without."""
    mark = "?" if re.match(r"(what|who|why|how|which|where|do |are |can |may |in which|name the)", question) else ""
    if rng is None or rng.random() < 0.7:
        return question[0].upper() + question[1:] + mark
    return question + rng.choice(["", mark, mark, "." if not mark else ""])


def squeeze(text, rng):
    """Now and then the spelling of somebody in a hurry."""
    if rng.random() < 0.06:
        text = re.sub(r" ([-+=/]) ", r"\1", text)
    return text


class Generator:
    def __init__(self, seed, family="moa"):
        self.rng = random.Random(seed)
        self.topics = topics(family)
        self.factors = list(range(-12, 0)) + list(range(2, 13))

    def equation(self):
        rng = self.rng
        while True:
            a, x = rng.choice(self.factors), rng.randint(-20, 20)
            b = 0 if rng.random() < 0.04 else rng.randint(-30, 30)
            if not equation_held_out(a, b, x) and not shows_held_out_sum(a, b, x):
                break
        question, reply = equation(a, b, x)
        form = rng.random()
        if form < 0.80:
            return squeeze("Solve " + question, rng), reply
        return squeeze(rng.choice(["Solve %s for x", "%s", "Solve for x: %s", "solve %s", "What is x if %s?", "Solve %s.",
                                   "Find x: %s"]) % question, rng), reply

    def sum(self):
        """Two-digit sums and differences; some smaller and larger ones, and the steps equations need."""
        rng = self.rng
        kind = rng.random()
        while True:
            op, a, b = rng.choice("+-"), rng.randint(10, 99), rng.randint(10, 99)
            if kind < 0.12:
                a, b = rng.randint(0, 99), rng.randint(0, 20)
            elif kind < 0.35:
                a, b = rng.choice(self.factors) * rng.randint(-20, 20), rng.randint(1, 30)
                a += b if op == "-" else -b
            elif kind < 0.45:
                b = rng.choice(self.factors)
                op, a = "/", b * rng.randint(-20, 20)
            if not (10 <= a <= 99 and 10 <= b <= 99 and op != "/" and sum_held_out(op, a, b)):
                break
        question, reply = calculation(op, a, b)
        if rng.random() < 0.75:
            return squeeze(question, rng), reply
        return squeeze(rng.choice(["What is %s?", "Calculate %s", "%s =", "%s?", "what is %s", "Compute %s."]) % question, rng), reply

    def question(self):
        questions, answer = self.rng.choice(self.topics)
        return dress(self.rng.choice(questions), self.rng), answer

    def turn(self):
        p = self.rng.random()
        return self.equation() if p < 0.4 else self.sum() if p < 0.7 else self.question()

    def dialogue(self, kind):
        """kind: equation, sum, question (one turn) or chat (two or three turns of any kind)."""
        rng = self.rng
        system = rng.choice(SYSTEM_PROMPTS) if rng.random() < 0.07 else None
        if kind == "chat":
            return system, [self.turn() for _ in range(rng.choice((2, 2, 3)))]
        return system, [getattr(self, kind)()]
