// SPDX-License-Identifier: GPL-3.0-or-later
// What a loop of the thread pool costs when its body does nothing: the price of every op of a step.
#include "engine/base/thread_pool.h"

#include <benchmark/benchmark.h>

using namespace ergo;

namespace {

void empty_loop(benchmark::State& state) {
    ThreadPool pool(static_cast<int>(state.range(0)));
    for ([[maybe_unused]] auto _ : state) {
        pool.parallel_for(1024, 1,
                          [](std::int64_t begin, std::int64_t, int) { benchmark::DoNotOptimize(begin); });
    }
}

BENCHMARK(empty_loop)->DenseRange(1, ThreadPool::physical_cores())->UseRealTime();

} // namespace

BENCHMARK_MAIN();
