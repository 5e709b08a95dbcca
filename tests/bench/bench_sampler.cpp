// SPDX-License-Identifier: GPL-3.0-or-later
// What choosing a token costs: from the sums that a backend leaves, from logits alone, and by passes over the
// whole vocabulary. "peaked" is how models write, "flat" what random weights do.
#include "tests/generate/support_sampling.h"

#include <benchmark/benchmark.h>

#include <string>

using namespace ergo;

namespace {

struct Mode {
    const char* name;
    SamplingParams params;
};
const Mode modes[] = {{"greedy", {}},
                      {"temperature", {.temperature = 0.8}},
                      {"top-p", {.temperature = 0.8, .top_p = 0.95}},
                      {"top-k", {.temperature = 0.8, .top_k = 40}},
                      {"penalty", {.temperature = 0.8, .top_p = 0.95, .repeat_penalty = 1.1}}};

enum class How : std::uint8_t { sums, logits, passes };

void choose(benchmark::State& state, SamplingParams params, std::size_t vocabulary, double spread, How how) {
    const std::vector<float> logits = test::random_logits(vocabulary, spread, 1);
    const std::vector<std::int32_t> history(64, 7);
    Sampler sampler(params);
    const std::vector<LogitPart> parts = sum_parts(logits, sampler.temperature());
    std::mt19937_64 random(0);
    for ([[maybe_unused]] auto _ : state) {
        if (how == How::passes) {
            benchmark::DoNotOptimize(test::plain_choice(logits, params, history, random));
        } else if (how == How::logits) {
            benchmark::DoNotOptimize(sampler.choose({.logits = logits}, history));
        } else {
            benchmark::DoNotOptimize(sampler.choose({logits, parts, sampler.temperature()}, history));
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    for (const Mode& mode : modes) {
        for (const std::size_t vocabulary : {50257U, 151936U}) {
            for (const auto& [shape, spread] : {std::pair("peaked", 12.0), {"flat", 1.0}}) {
                for (const auto& [name, how] :
                     {std::pair("sums", How::sums), {"logits", How::logits}, {"passes", How::passes}}) {
                    const std::string title =
                        std::string(mode.name) + "/" + std::to_string(vocabulary) + "/" + shape + "/" + name;
                    benchmark::RegisterBenchmark(title.c_str(), choose, mode.params, vocabulary, spread, how)
                        ->Unit(benchmark::kMicrosecond);
                }
            }
        }
    }
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
}
