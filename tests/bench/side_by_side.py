#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ergosphere beside llama.cpp on one machine, in turns, so that a drift of its speed meets both alike.

    tests/bench/side_by_side.py build/release/ergo MODEL /path/to/llama-bench MODEL.gguf [--rounds 3] [--threads 2]
                                [--dtype f16]

MODEL and MODEL.gguf should have the same shape and bytes a weight (`ergo synth` and a random GGUF will do). Prints
the medians of: tokens/s of a prompt of 512, and of generating 128 tokens after 128.
"""
import argparse
import json
import statistics
import subprocess


def output(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def ergo(options, prompt, generate):
    command = [options.ergo, "bench", options.model, "-p", str(prompt), "-n", str(generate), "-t",
               str(options.threads), "--repetitions", "2", "--json"]
    return json.loads(output(command + (["--dtype", options.dtype] if options.dtype else [])))


def llama(options, arguments):
    command = [options.llama_bench, "-m", options.gguf, "-t", str(options.threads), "-fa", "1", "-r", "2", "-o", "json"]
    return json.loads(output(command + arguments))[0]["avg_ts"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("ergo", "model", "llama_bench", "gguf"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="")
    options = parser.parse_args()
    found = {"prompt 512": ([], []), "generate 128 after 128": ([], [])}
    for _ in range(options.rounds):
        ours, theirs = found["prompt 512"]
        ours.append(ergo(options, 512, 0)["prompt_tokens_per_second"])
        theirs.append(llama(options, ["-p", "512", "-n", "0"]))
        ours, theirs = found["generate 128 after 128"]
        ours.append(ergo(options, 128, 128)["generate_tokens_per_second"])
        theirs.append(llama(options, ["-p", "0", "-n", "128", "-d", "128"]))
    print(f"{'tokens/s':24} {'ergo':>10} {'llama.cpp':>10} {'ratio':>7}")
    for name, (ours, theirs) in found.items():
        a, b = statistics.median(ours), statistics.median(theirs)
        print(f"{name:24} {a:10.1f} {b:10.1f} {a / b:7.2f}")


if __name__ == "__main__":
    main()
