#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ergosphere beside other engines on one machine, in turns, so that a drift of its speed meets all alike.

    tests/bench/side_by_side.py build/release/ergo MODEL --peer NAME=LLAMA_BENCH:MODEL.gguf [--peer …]
                                [--dtype f16] [--cache bf16] [--rounds 3] [--threads 2] [--under COMMAND]

Each peer is a `llama-bench`, of llama.cpp or of a fork that kept its options, with a model of the same shape and
bytes a weight; `PEER_OPTIONS` after a second colon are added to its own, as in ik=…:m.gguf:-rtr 1. The same GGUF will do
for all when ergo opens it too. Peers keep keys and values in 16-bit floats unless told otherwise, ergo in f32 without --cache:

    ergo synth --config SHAPE.json --as gguf --dtype q8_0 --out DIR

Prints the medians of tokens/s of a prompt of 512 (--prompt) and of generating 128 (--generate) tokens after 128, what ergo is to each peer,
the same of every turn, and what it takes of the machine: of the measured bandwidth while generating, of the float32 peak in the products of a
prompt. --under puts a command before each measurement, such as one that keeps a machine quiet meanwhile.
"""
import argparse
import json
import shlex
import statistics
import subprocess
import sys


class Ergo:
    name = "ergo"

    def __init__(self, options):
        self.command = [options.ergo, "bench", options.model, "-t", str(options.threads), "--backend", "cpu",
                        "--repetitions", "2", "--json"]
        self.command += ["--dtype", options.dtype] if options.dtype else []
        self.command += ["--cache", options.cache] if options.cache else []
        self.prompt_tokens, self.generated = options.prompt, options.generate

    def prompt(self, run):
        found = run(self.command + ["-p", str(self.prompt_tokens), "-n", "0"])
        return found["prompt_tokens_per_second"], found["product_share"]

    def generation(self, run):
        found = run(self.command + ["-p", "128", "-n", str(self.generated)])
        return found["generate_tokens_per_second"], found["bandwidth_share"]


class LlamaBench:
    def __init__(self, text, options):
        self.name, _, rest = text.partition("=")
        program, _, rest = rest.partition(":")
        model, _, own = rest.partition(":")
        if not model:
            raise SystemExit(f"--peer {text}: it should be NAME=LLAMA_BENCH:MODEL.gguf")
        self.command = [program, "-m", model, "-t", str(options.threads), "-r", "2", "-o", "json"]
        self.command += [] if "-fa" in shlex.split(own) else ["-fa", "1"]
        self.command += shlex.split(own)
        usage = subprocess.run([program, "--help"], capture_output=True, text=True)
        # tokens after a prompt: llama.cpp has a depth, forks from before it have pairs
        after = "-d" if "--n-depth" in usage.stdout + usage.stderr else "-gp"
        n = str(options.generate)
        self.after = ["-n", n, "-d", "128"] if after == "-d" else ["-n", "0", "-gp", "128," + n]
        self.prompt_tokens = options.prompt

    def prompt(self, run):
        return run(self.command + ["-p", str(self.prompt_tokens), "-n", "0"])[0]["avg_ts"], None

    def generation(self, run):
        return run(self.command + ["-p", "0"] + self.after)[-1]["avg_ts"], None


def measure(command, under):
    done = subprocess.run(shlex.split(under) + command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}: status {done.returncode}\n{done.stderr[-800:]}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ergo")
    parser.add_argument("model")
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--dtype", default="")
    parser.add_argument("--cache", help="what ergo keeps keys and values in")
    parser.add_argument("--under", default="")
    options = parser.parse_args()
    engines = [Ergo(options)] + [LlamaBench(text, options) for text in options.peer]
    tasks = {f"prompt {options.prompt}": "prompt", f"generate {options.generate} after 128": "generation"}
    found = {(task, engine.name): [] for task in tasks for engine in engines}
    for _ in range(options.rounds):
        for task, method in tasks.items():
            for engine in engines:
                found[task, engine.name].append(getattr(engine, method)(lambda c: measure(c, options.under)))
    print(f"{'tokens/s, ' + (options.dtype or options.model):40}" + "".join(f"{e.name:>12}" for e in engines)
          + "".join(f"{'/ ' + e.name:>12}" for e in engines[1:]) + f"{'of machine':>12}")
    for task in tasks:
        rates = [statistics.median(rate for rate, _ in found[task, e.name]) for e in engines]
        share = statistics.median(share for _, share in found[task, "ergo"])
        print(f"{task:40}" + "".join(f"{rate:12.1f}" for rate in rates)
              + "".join(f"{rates[0] / rate:12.2f}" for rate in rates[1:]) + f"{100 * share:10.0f} %")
        for turn in zip(*(found[task, e.name] for e in engines)):  # a disturbed turn shows
            print(f"{'  in one turn':40}" + "".join(f"{rate:12.1f}" for rate, _ in turn)
                  + "".join(f"{turn[0][0] / rate:12.2f}" for rate, _ in turn[1:]))


if __name__ == "__main__":
    main()
