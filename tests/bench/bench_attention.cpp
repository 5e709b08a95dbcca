// SPDX-License-Identifier: GPL-3.0-or-later
// Attention on all cores, projections left out: one layer over a whole prompt, every score in the shapes of
// the models, the reference backend beside it; and one token after a long text, in more layers than the
// caches hold.
#include "engine/backend/backend.h"
#include "engine/backend/reference/reference_backend.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
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

struct Shape {
    std::int64_t heads, key_heads, dim;
    Attention::Score score;
    bool diagonal;
};

/// Queries, keys and values of random tokens, then the attention; in `layers` layers.
struct Layers {
    Layers(Backend& backend, const Shape& shape, std::int64_t length, std::int64_t layers) {
        for (std::int64_t layer = 0; layer < layers; ++layer) {
            add(shape);
        }
        plan->max_rows = length;
        model = backend.load(tables, {}, {});
        executor = model->create_executor(length);
        program = executor->prepare(plan);
        for (std::int64_t t = 0; t < length; ++t) {
            step.ids.push_back(static_cast<std::int32_t>(t * 7 % vocabulary));
        }
    }

    BufferId input(std::int64_t width) {
        const BufferId out = plan->add_buffer("x", width);
        const WeightId table = tables->add_weight(
            "table", Tensor::from_floats({vocabulary, width}, numbers(vocabulary * width, 1)));
        plan->add({"embed", {}, Embed{table, out}});
        return out;
    }

    void add(const Shape& shape) {
        const std::int64_t width = shape.heads * shape.dim, key_width = shape.key_heads * shape.dim;
        const bool own = shape.key_heads == shape.heads;
        AppendKeyValue append;
        append.key = input(key_width);
        append.value = input(key_width);
        append.heads = append.heads_in = append.value_heads = static_cast<std::int32_t>(shape.key_heads);
        append.dim = append.value_dim = static_cast<std::int32_t>(shape.dim);
        append.keys = tables->add_state("keys", key_width, {append.heads, append.dim, false, own});
        append.values = tables->add_state("values", key_width, {append.heads, append.dim, true, own});
        Attention attention;
        attention.query = input(width);
        attention.keys = append.keys;
        attention.values = append.values;
        attention.heads = static_cast<std::int32_t>(shape.heads);
        attention.key_heads = attention.value_heads = append.heads;
        attention.dim = attention.value_dim = append.dim;
        attention.score = shape.score;
        attention.scale = 1 / std::sqrt(static_cast<float>(shape.dim));
        if (shape.diagonal) {
            attention.diagonal =
                tables->add_param("diagonal", {shape.heads, shape.dim}, numbers(width, 0.4f, 1));
        }
        if (shape.score == Attention::Score::gravity) {
            attention.gravity.mass = tables->add_param("mass", {shape.heads}, numbers(shape.heads, 0.2f, 1));
        }
        attention.out = plan->add_buffer("out", width);
        plan->add({"append", {}, append});
        plan->add({"attention", {}, attention});
        plan->logits = attention.out;
    }

    static constexpr std::int64_t vocabulary = 64;
    std::shared_ptr<Tables> tables = std::make_shared<Tables>();
    std::shared_ptr<Plan> plan = std::make_shared<Plan>();
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<Executor> executor;
    std::unique_ptr<Program> program;
    StepState step;
};

/// Runs `step` for as long as the benchmark wants, and says what the quickest run took: others may use the
/// machine.
void repeat(benchmark::State& state, Layers& layers, const StepState& step) {
    using Clock = std::chrono::steady_clock;
    double least = HUGE_VAL;
    for ([[maybe_unused]] auto _ : state) {
        const auto start = Clock::now();
        layers.executor->run(*layers.program, step, {});
        least = std::min(least, std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    state.counters["least_ms"] = least;
}

/// The quickest step's appending and attention alone, ms: what a layer of a model adds to its products.
void time_ops(benchmark::State& state, Layers& layers) {
    layers.executor->time_ops(true);
    const auto program = layers.executor->prepare(layers.plan);
    double append = HUGE_VAL, attention = HUGE_VAL, before_append = 0, before_attention = 0;
    for (int turn = 0; turn < 20; ++turn) {
        layers.executor->run(*program, layers.step, {});
        double now_append = 0, now_attention = 0;
        for (const OpTime& op : program->op_times()) {
            now_append += op.name == "append" ? op.seconds * 1e3 : 0;
            now_attention += op.name == "attention" ? op.seconds * 1e3 : 0;
        }
        append = std::min(append, now_append - before_append);
        attention = std::min(attention, now_attention - before_attention);
        before_append = now_append, before_attention = now_attention;
    }
    state.counters["append_ms"] = append;
    state.counters["attention_ms"] = attention;
}

void run(benchmark::State& state, const std::shared_ptr<Backend>& backend, Attention::Score score,
         bool diagonal) {
    const Shape shape{state.range(0), state.range(0), state.range(1), score, diagonal};
    Layers layers(*backend, shape, state.range(2), 1);
    repeat(state, layers, layers.step);
    time_ops(state, layers);
}

void token(benchmark::State& state, Attention::Score score, bool diagonal) {
    const Shape shape{state.range(0), state.range(1), state.range(2), score, diagonal};
    const std::int64_t length = state.range(3), layers = state.range(4);
    Layers all(*make_cpu_backend(), shape, length, layers);
    for (StepState chunk; chunk.position < length; chunk.position += chunk.rows()) {
        const auto from = all.step.ids.begin() + chunk.position;
        chunk.ids.assign(from, from + std::min<std::int64_t>(256, length - chunk.position));
        all.executor->run(*all.program, chunk, {});
    }
    repeat(state, all, {length - 1, {1}});
    const std::int64_t read = layers * length * 2 * shape.key_heads * shape.dim * 4;
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * read);
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
void tokens(benchmark::internal::Benchmark* each) {
    each->Args({4, 2, 128, 4096, 28})->Args({16, 2, 128, 512, 36});
    each->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK_CAPTURE(token, dot, Attention::Score::dot, false)->Apply(tokens);
BENCHMARK_CAPTURE(token, gravity, Attention::Score::gravity, false)->Apply(tokens);
BENCHMARK_CAPTURE(token, mahalanobis, Attention::Score::negative_squared_distance, true)
    ->Args({64, 64, 8, 512, 4})
    ->Args({64, 64, 8, 2048, 4})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(plain, mahalanobis, Attention::Score::negative_squared_distance, true)
    ->Args({64, 8, 256})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

} // namespace

BENCHMARK_MAIN();
