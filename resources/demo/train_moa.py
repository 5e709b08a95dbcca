# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains demo:moa on the CPU.

  torchrun --nproc-per-node 2 train_moa.py --out moa --work build

One single-threaded process per core: on these sizes that is nearly twice as quick as one process with
two threads.  Everything is drawn from --seed; the number of processes is part of the recipe.  A process
holds about 1.3 GB.
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
import optimizer
import vocabulary
from moa_torch import Linear, MoaModel


class Feed:
    """Batches of one kind.  A pool of dialogues is sorted by length before it is cut, to save padding."""
    def __init__(self, tokenizer, kind, size, seed):
        self.t, self.kind, self.size = tokenizer, kind, size
        self.generator, self.rng, self.ready = data.Generator(seed), random.Random(seed), []

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


def loss_of(model, batch, weight, a, start=0):
    tokens, targets, lengths = batch
    wanted = targets.reshape(-1) >= 0
    logits, aux = model(tokens, lengths, wanted, start)
    ce = F.cross_entropy(logits, targets.reshape(-1)[wanted])
    return weight * (ce + a.balance * sum(aux.balance) + a.ball * sum(aux.ball)), ce.detach()


@torch.no_grad()
def evaluate(model, sets, rank, world):
    """Share of test items whose whole reply is the likeliest one at each step (then greedy decoding gives
    exactly that reply, so this never flatters), and the mean path shares and pruned fractions."""
    model.eval()
    scores, shares, pruned = [], None, None
    for items in sets:
        right = 0
        mine = items[rank::world]
        for at in range(0, len(mine), 125):
            tokens, targets, lengths = collate(mine[at:at + 125])
            logits, aux = model(tokens, lengths, measure=True)
            wrong = (logits.argmax(-1).view(targets.shape) != targets) & (targets >= 0)
            right += int((~wrong.any(1)).sum())
            count = aux.valid.sum()
            s = torch.stack(aux.shares) * count
            shares = s if shares is None else shares + s
            pruned = aux.pruned if pruned is None else [x + y for x, y in zip(pruned, aux.pruned)]
        scores.append(right)
    model.train()
    out = torch.cat([torch.tensor(scores), shares.reshape(-1)] + [p.reshape(-1).float() for p in pruned])
    dist.all_reduce(out)
    n = len(sets)
    shares = out[n:n + shares.numel()].view(-1, 4)
    rest, fractions = out[n + shares.numel():], []
    for p in pruned:
        part, rest = rest[:p.numel()].view(2, -1), rest[p.numel():]
        fractions.append(part[0] / part[1])
    return [100 * float(x) / len(s) for x, s in zip(out, sets)], shares / shares.sum(1, keepdim=True), fractions


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


@torch.no_grad()
def follow_keys(model, world):
    """While the rate is at its peak the keys move faster than any radius could be learnt.  Every few steps
    the radii are put back on the quantile of the distances (of the next batch); all processes then agree.
    Call with world = 0 to ask for it, afterwards with the number of processes."""
    for x in model.attentions():
        if not world:
            x.calibrate = True
        else:
            dist.all_reduce(x.radius)
            x.radius /= world


@torch.no_grad()
def keep_metric(model):
    """Sharpness and metric stay positive."""
    for x in model.attentions():
        x.alpha.clamp_(min=0.05)
        x.metric_diag.clamp_(min=0.01)


def log_line(out, step, began, ce, result):
    scores, shares, pruned = result
    heads = torch.cat(pruned)
    used = ((heads > 0.1) & (heads < 0.9)).float().mean()
    text = "step %d  %.1f min  loss %s  right %s  share %s  least %.2f most %.2f  pruned mean %.2f in range %.2f" % (
        step, (time.time() - began) / 60, " ".join("%s %.4f" % x for x in ce.items()), " ".join("%.1f" % x for x in scores),
        " ".join("%.2f" % x for x in shares.mean(0)), shares.min(), shares.max(), heads.mean(), used)
    print(text, flush=True)
    with open(out, "a") as f:
        f.write(text + "\n")


def arguments():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", default="moa")
    ap.add_argument("--work", default="build")
    ap.add_argument("--steps", type=int, default=3000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--lr", type=float, default=6e-3, help="matrices (Muon)")
    ap.add_argument("--lr-vector", type=float, default=3e-3, help="everything else (AdamW)")
    ap.add_argument("--weight-decay", type=float, default=0.02)
    ap.add_argument("--warmup", type=int, default=100)
    ap.add_argument("--decay", type=float, default=0.6, help="share of the run with a falling rate")
    ap.add_argument("--balance", type=float, default=0.1)
    ap.add_argument("--ball", type=float, default=5.0)
    ap.add_argument("--follow", type=int, default=20, help="steps between calibrations of the radii, until the rate falls")
    ap.add_argument("--equations", type=int, default=24, help="per process and step")
    ap.add_argument("--sums", type=int, default=28)
    ap.add_argument("--every", type=int, default=200, help="steps between evaluations and checkpoints")
    ap.add_argument("--resume", help="checkpoint to go on from")
    ap.add_argument("--fresh-rates", action="store_true", help="with --resume: take weights only")
    ap.add_argument("--minutes", type=float, default=170, help="stop after this time whatever the schedule says")
    ap.add_argument("--full-precision", action="store_true", help="float32 matrix products")
    return ap.parse_args()


def prepare(a, rank, first):
    """Tokenizer, model with calibrated balls, optimizers, feeds and test sets; the same on all processes."""
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    if rank == 0 and not os.path.exists(os.path.join(a.out, "tokenizer.json")):
        vocabulary.save_tokenizer(vocabulary.train_tokenizer(), a.out, checkpoint.config()["max_position_embeddings"])
    dist.barrier()
    t = vocabulary.load_tokenizer(a.out)
    model = MoaModel(checkpoint.config(vocab_size=t.get_vocab_size()))
    for x in model.attentions():
        x.calibrate = True
    tokens, _, lengths = Feed(t, "equation", 64, a.seed).next()
    with torch.no_grad():
        model(tokens, lengths)
    feeds = {kind: Feed(t, kind, size, 1000 * a.seed + 10 * i + rank + 100 * first) for i, (kind, size) in enumerate(
        (("equation", a.equations), ("sum", a.sums), ("question", 24), ("chat", 10)))}
    turn = lambda item: vocabulary.encode_dialogue(t, (None, [item[:2]]))
    sets = [[turn(x) for x in s] for s in (data.test_equations(), data.test_sums(), data.test_questions())]
    return model, optimizer.build(model, a.lr, a.lr_vector, a.weight_decay), feeds, sets


def main():
    a = arguments()
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    os.makedirs(a.work, exist_ok=True)
    saved = torch.load(a.resume) if a.resume else None
    first = saved["step"] if saved and not a.fresh_rates else 0
    model, optimizers, feeds, sets = prepare(a, rank, first)
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
            result = evaluate(model, sets, rank, world)
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
        follow = step % a.follow == 0 and step < a.steps * (1 - a.decay)
        if follow:
            follow_keys(model, 0)
        for kind, weight in always + sometimes.get(step % 4, ()):
            start = rng.randint(1, 160) if rng.random() < 0.2 else 0       # later positions, as in a long chat
            loss, value = loss_of(model, feeds[kind].next(), weight, a, start)
            loss.backward()
            ce[kind] = value if kind not in ce else 0.95 * ce[kind] + 0.05 * value
        average_gradients(params, world)
        if follow:
            follow_keys(model, world)
        for o in optimizers:
            o.step()
        keep_metric(model)
    if rank == 0:
        checkpoint.save_model(model, a.out)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
