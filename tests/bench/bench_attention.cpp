// SPDX-License-Identifier: GPL-3.0-or-later
// One attention layer over a whole prompt on all cores, projections left out: every score in the shapes of
// the models. The reference backend beside it.
#include "engine/backend/backend.h"
#include "engine/backend/reference/reference_backend.h"

#include <benchmark/benchmark.h>

#include <cmath>

using namespace ergo;

namespace {

std::vector<float> numbers(std::int64_t count, float scale, float offset = 0) {
    std::vector<float> values(static_cast<std::size_t>(count));
    std::uint32_t x = 2463534242u;
    for (float& value : values) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        value = offset + scale * (static_cast<float>(x >> 8) / static_cast<float>(1 << 23) - 1);
    }
    return values;
}

/// Queries, keys and values of random tokens, then the attention.
struct Layer {
    Layer(Backend& backend, Attention::Score score, bool diagonal, std::int64_t heads, std::int64_t dim,
          std::int64_t length) {
        auto tables = std::make_shared<Tables>();
        auto plan = std::make_shared<Plan>();
        plan->max_rows = length;
        const std::int64_t width = heads * dim;
        const auto input = [&] {
            const BufferId out = plan->add_buffer("x", width);
            const WeightId table = tables->add_weight(
                "table", Tensor::from_floats({vocabulary, width}, numbers(vocabulary * width, 1)));
            plan->add({"embed", {}, Embed{table, out}});
            return out;
        };
        AppendKeyValue append;
        append.key = input();
        append.value = input();
        append.heads = append.heads_in = append.value_heads = static_cast<std::int32_t>(heads);
        append.dim = append.value_dim = static_cast<std::int32_t>(dim);
        append.keys = tables->add_state("keys", width);
        append.values = tables->add_state("values", width);
        Attention attention;
        attention.query = input();
        attention.keys = append.keys;
        attention.values = append.values;
        attention.heads = attention.key_heads = attention.value_heads = static_cast<std::int32_t>(heads);
        attention.dim = attention.value_dim = static_cast<std::int32_t>(dim);
        attention.score = score;
        attention.scale = 1 / std::sqrt(static_cast<float>(dim));
        if (diagonal) {
            attention.diagonal = tables->add_param("diagonal", {heads, dim}, numbers(width, 0.4f, 1));
        }
        if (score == Attention::Score::gravity) {
            attention.gravity.mass = tables->add_param("mass", {heads}, numbers(heads, 0.2f, 1));
        }
        attention.out = plan->add_buffer("out", width);
        plan->add({"append", {}, append});
        plan->add({"attention", {}, attention});
        plan->logits = attention.out;
        model = backend.load(tables, {}, {});
        executor = model->create_executor(length);
        program = executor->prepare(plan);
        for (std::int64_t t = 0; t < length; ++t) {
            step.ids.push_back(static_cast<std::int32_t>(t * 7 % vocabulary));
        }
    }

    static constexpr std::int64_t vocabulary = 64;
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<Executor> executor;
    std::unique_ptr<Program> program;
    StepState step;
};

void run(benchmark::State& state, const std::shared_ptr<Backend>& backend, Attention::Score score,
         bool diagonal) {
    Layer layer(*backend, score, diagonal, state.range(0), state.range(1), state.range(2));
    for ([[maybe_unused]] auto _ : state) {
        layer.executor->run(*layer.program, layer.step, {});
    }
}

void vectors(benchmark::State& state, Attention::Score score, bool diagonal) {
    run(state, make_cpu_backend(), score, diagonal);
}
void plain(benchmark::State& state, Attention::Score score, bool diagonal) {
    run(state, make_reference_backend(), score, diagonal);
}

void shapes(benchmark::internal::Benchmark* each) {
    for (const std::int64_t length : {256, 512, 1024}) {
        each->Args({64, 8, length})->Args({4, 128, length});
    }
    each->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK_CAPTURE(vectors, mahalanobis, Attention::Score::negative_squared_distance, true)->Apply(shapes);
BENCHMARK_CAPTURE(vectors, dot, Attention::Score::dot, false)->Apply(shapes);
BENCHMARK_CAPTURE(vectors, cosine, Attention::Score::cosine, false)->Apply(shapes);
BENCHMARK_CAPTURE(vectors, gravity, Attention::Score::gravity, false)->Apply(shapes);
BENCHMARK_CAPTURE(plain, mahalanobis, Attention::Score::negative_squared_distance, true)
    ->Args({64, 8, 256})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

} // namespace

BENCHMARK_MAIN();
