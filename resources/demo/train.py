# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains one of the demo models on the CPU.

  torchrun --nproc-per-node 2 train.py moa --seed 1 --out moa --work build

One single-threaded process per core: on these sizes that is nearly twice as quick as one process with
two threads.  Everything is drawn from --seed; the number of processes is part of the recipe.  A process
holds about 1.3 GB.  What is special about a family is in families.py; this loop is the same for all.
"""
import argparse
import os
import random
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F

import checkpoint
import data
import families
import optimizer
import vocabulary
from layers_torch import Linear


class Feed:
    """Batches of one kind.  A pool of dialogues is sorted by length before it is cut, to save padding."""
    def __init__(self, tokenizer, family, kind, size, seed):
        self.t, self.kind, self.size = tokenizer, kind, size
        self.generator, self.rng, self.ready = data.Generator(seed, family), random.Random(seed), []

    def next(self):
        if not self.ready:
            pool = [vocabulary.encode_dialogue(self.t, self.generator.dialogue(self.kind)) for _ in range(8 * self.size)]
            pool.sort(key=lambda x: len(x[0]))
            self.ready = [pool[i:i + self.size] for i in range(0, len(pool), self.size)]
            self.rng.shuffle(self.ready)
        return collate(self.ready.pop())


def collate(items):
    """[(tokens, targets)] -> tokens [B, T], targets [B, T] with -1 where nothing is asked, lengths [B]"""
    T = -(-max(len(x[0]) for x in items) // 8) * 8                     # few distinct shapes, see moa_torch.pick
    tokens = torch.full((len(items), T), vocabulary.PAD)
    targets = torch.full((len(items), T), -1)
    for row, (x, y) in enumerate(items):
        tokens[row, :len(x)], targets[row, :len(y)] = torch.tensor(x), torch.tensor(y)
    return tokens, targets, torch.tensor([len(x[0]) for x in items])


def loss_of(model, family, batch, weight, a, start=0):
    tokens, targets, lengths = batch
    wanted = targets.reshape(-1) >= 0
    logits, aux = model(tokens, lengths, wanted, start)
    ce = F.cross_entropy(logits, targets.reshape(-1)[wanted])
    return weight * family.loss(ce, aux, a), ce.detach()


@torch.no_grad()
def evaluate(model, family, sets, rank, world):
    """Share of test items whose whole reply is the likeliest one at each step (then greedy decoding gives
    exactly that reply, so this never flatters), and the family's own measurements, in words."""
    model.eval()
    scores, sums = [], None
    for items in sets:
        right = 0
        mine = items[rank::world]
        for at in range(0, len(mine), 125):
            tokens, targets, lengths = collate(mine[at:at + 125])
            logits, aux = model(tokens, lengths, measure=True)
            wrong = (logits.argmax(-1).view(targets.shape) != targets) & (targets >= 0)
            right += int((~wrong.any(1)).sum())
            s = [aux.valid.sum().float()] + [x.float() for x in family.measurements(aux)]
            sums = s if sums is None else [x + y for x, y in zip(sums, s)]
        scores.append(right)
    model.train()
    out = torch.cat([torch.tensor(scores).float()] + [x.reshape(-1) for x in sums])
    dist.all_reduce(out)
    totals, at = [], len(sets)
    for x in sums:
        totals.append(out[at:at + x.numel()].view(x.shape))
        at += x.numel()
    return [100 * float(x) / len(s) for x, s in zip(out, sets)], family.describe(totals[0], totals[1:])


def average_gradients(params, world):
    flat = torch.cat([p.grad.reshape(-1) for p in params])
    dist.all_reduce(flat)
    flat /= world
    flat *= (1 / (flat.norm() + 1e-6)).clamp(max=1)
    at = 0
    for p in params:
        p.grad.copy_(flat[at:at + p.numel()].view_as(p))
        at += p.numel()


def rate(step, a):
    """Warm-up, plateau, linear decay to nothing."""
    return min(1, (step + 1) / a.warmup, max(0, (a.steps - step) / (a.steps * a.decay)))


def log_line(out, step, began, ce, result):
    scores, described = result
    text = "step %d  %.1f min  loss %s  right %s  %s" % (
        step, (time.time() - began) / 60, " ".join("%s %.4f" % x for x in ce.items()), " ".join("%.1f" % x for x in scores), described)
    print(text, flush=True)
    with open(out, "a") as f:
        f.write(text + "\n")


def arguments():
    ap = argparse.ArgumentParser()
    ap.add_argument("family", choices=sorted(families.FAMILIES))
    ap.add_argument("--out", help="folder of the released model (default: the family's name)")
    ap.add_argument("--work", default="build")
    ap.add_argument("--steps", type=int, default=3000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--lr", type=float, default=6e-3, help="matrices (Muon)")
    ap.add_argument("--lr-vector", type=float, default=3e-3, help="everything else (AdamW)")
    ap.add_argument("--weight-decay", type=float, default=0.02)
    ap.add_argument("--warmup", type=int, default=100)
    ap.add_argument("--decay", type=float, default=0.6, help="share of the run with a falling rate")
    ap.add_argument("--balance", type=float, default=0.1, help="moa: weight of the balance of the paths")
    ap.add_argument("--ball", type=float, default=5.0, help="moa: weight of the wanted pruned fractions")
    ap.add_argument("--follow", type=int, default=20, help="moa: steps between calibrations of the radii, until the rate falls")
    ap.add_argument("--equations", type=int, default=24, help="per process and step")
    ap.add_argument("--sums", type=int, default=28)
    ap.add_argument("--every", type=int, default=200, help="steps between evaluations and checkpoints")
    ap.add_argument("--resume", help="checkpoint to go on from")
    ap.add_argument("--fresh-rates", action="store_true", help="with --resume: take weights only")
    ap.add_argument("--minutes", type=float, default=170, help="stop after this time whatever the schedule says")
    ap.add_argument("--full-precision", action="store_true", help="float32 matrix products")
    a = ap.parse_args()
    a.out = a.out or a.family
    return a


def prepare(a, family, rank, first):
    """Tokenizer, model, optimizers, feeds and test sets; the same on all processes."""
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    if rank == 0 and not os.path.exists(os.path.join(a.out, "tokenizer.json")):
        vocabulary.save_tokenizer(vocabulary.train_tokenizer(), a.out, family.config()["max_position_embeddings"])
    dist.barrier()
    t = vocabulary.load_tokenizer(a.out)
    model = family.model(family.config(vocab_size=t.get_vocab_size()))
    tokens, _, lengths = Feed(t, a.family, "equation", 64, a.seed).next()
    family.begin(model, tokens, lengths)
    feeds = {kind: Feed(t, a.family, kind, size, 1000 * a.seed + 10 * i + rank + 100 * first) for i, (kind, size) in enumerate(
        (("equation", a.equations), ("sum", a.sums), ("question", 24), ("chat", 10)))}
    turn = lambda item: vocabulary.encode_dialogue(t, (None, [item[:2]]))
    sets = [[turn(x) for x in s] for s in (data.test_equations(), data.test_sums(), data.test_questions(a.family))]
    return model, optimizer.build(model, a.lr, a.lr_vector, a.weight_decay), feeds, sets


def main():
    a = arguments()
    family = families.FAMILIES[a.family]
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    os.makedirs(a.work, exist_ok=True)
    saved = torch.load(a.resume) if a.resume else None
    first = saved["step"] if saved and not a.fresh_rates else 0
    model, optimizers, feeds, sets = prepare(a, family, rank, first)
    params = list(model.parameters())
    if saved:
        model.load_state_dict(saved["model"])
        if not a.fresh_rates:
            for o, s in zip(optimizers, saved["optimizers"]):
                o.load_state_dict(s)
                for g in o.param_groups:
                    g.setdefault("peak", g["lr"])
    Linear.half = not a.full_precision
    rng, began, ce = random.Random(a.seed), time.time(), {}
    always, sometimes = (("equation", 1.0), ("sum", 0.6)), {1: (("question", 0.5),), 3: (("chat", 0.5),)}
    for step in range(first, a.steps + 1):
        late = torch.tensor([step == a.steps or (time.time() - began) / 60 > a.minutes], dtype=torch.int32)
        dist.all_reduce(late, dist.ReduceOp.MAX)
        if step % a.every == 0 or late:
            result = evaluate(model, family, sets, rank, world)
            if rank == 0:
                log_line(os.path.join(a.work, "train.log"), step, began, ce, result)
                state = dict(model=model.state_dict(), step=step, optimizers=[o.state_dict() for o in optimizers])
                torch.save(state, os.path.join(a.work, "last.tmp"))
                os.replace(os.path.join(a.work, "last.tmp"), os.path.join(a.work, "last.pt"))
        if late:
            break
        for o in optimizers:
            o.zero_grad(set_to_none=False)
            for g in o.param_groups:
                g["lr"] = g["peak"] * rate(step, a)
        family.before_step(model, step, a)
        for kind, weight in always + sometimes.get(step % 4, ()):
            start = rng.randint(1, 160) if rng.random() < 0.2 else 0       # later positions, as in a long chat
            loss, value = loss_of(model, family, feeds[kind].next(), weight, a, start)
            loss.backward()
            ce[kind] = value if kind not in ce else 0.95 * ce[kind] + 0.05 * value
        average_gradients(params, world)
        family.before_update(model, step, a, world)
        for o in optimizers:
            o.step()
        family.after_update(model)
    if rank == 0:
        checkpoint.save_model(model, a.out)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
