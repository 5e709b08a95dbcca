// SPDX-License-Identifier: GPL-3.0-or-later
// Speed of a model on this machine: prompt, generation, what of the machine's speed that is, and what looking
// costs. Runs on the caller's thread.
#pragma once

#include "engine/generate/opened_model.h"

#include <string>
#include <vector>

namespace ergo {

struct BenchRequest {
    std::int64_t prompt = 128;  ///< tokens read in one go, 0: skip
    std::int64_t generate = 64; ///< tokens written one by one, 0: skip
    std::int64_t depth = 0;     ///< tokens in the context before writing starts; 0: the prompt's
    std::int64_t repetitions = 3;
    int threads = 0; ///< for the bandwidth measurement; 0: one a core
    std::vector<std::string>
        observe; ///< globs of observables; "lenses": what the window's lenses subscribe to
};

/// One op of all layers together ("layers.*.mlp.up"), measured in a round of its own.
struct BenchOp {
    std::string name;
    std::string kernel;         ///< what computes it
    double seconds = 0;         ///< a prompt, or a generated token
    double share = 0;           ///< of all ops' time
    std::uint64_t bytes = 0;    ///< of weights, a prompt or a token
    std::uint64_t moved = 0;    ///< with cached positions and buffers, where the backend counts them
    double bandwidth_share = 0; ///< of the machine's bandwidth by `moved`; of interest while generating
    double float_share = 0;     ///< of the machine's float32 peak; products only
};

/// Medians over the repetitions.
struct BenchResult {
    double prompt_tokens_per_second = 0;
    double generate_tokens_per_second = 0;   ///< observed, when something is observed
    double unobserved_tokens_per_second = 0; ///< the same steps without observing, in turn with the observed
    double observed_share = 1;               ///< speed observed / unobserved: median over all tokens
    std::uint64_t bytes_per_token = 0;       ///< weight bytes read for one generated token, on average
    std::uint64_t captured_bytes_per_token = 0;
    double bandwidth = 0;                ///< bytes/s this machine reads with the same threads, or the device
    double bandwidth_share = 0;          ///< of it used while generating
    std::uint64_t peak_memory = 0;       ///< of the process, bytes
    std::uint64_t weight_bytes_read = 0; ///< in all
    std::uint64_t host_ops = 0;
    double dispatches_per_token = 0, submissions_per_token = 0; ///< 0 on the CPU
    double bytes_moved_per_token = 0; ///< weights, cached positions and buffers; 0 on the CPU
    double float_peak = 0;            ///< float32 operations/s of this machine with the same threads
    double int8_peak = 0;             ///< 8-bit integer operations/s; 0: not known
    double product_share = 0;         ///< of float_peak reached inside the prompt's products; 0: not known
    double prompt_float_share = 0;    ///< of float_peak over the whole prompt, counting products alone
    std::vector<BenchOp> prompt_ops, generate_ops; ///< slowest first
};

BenchResult run_bench(const std::shared_ptr<const OpenedModel>& opened, const BenchRequest& request,
                      const Progress& progress, const CancelToken& cancel);

} // namespace ergo
