// SPDX-License-Identifier: GPL-3.0-or-later
// Matrix products of the CPU backend in the shapes of its models, one thread, with the plain loop beside
// them. Items are operations: items_per_second is FLOP/s. Rows of 1 are decoding steps; their bytes are
// weights.
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/memory.h"
#include "engine/base/half.h"
#include "tests/backend/support_packed.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <span>
#include <vector>

using namespace ergo;

namespace {

struct Product {
    Product(DType type, std::int64_t rows, std::int64_t inputs, std::int64_t outputs)
        : in(static_cast<std::size_t>(rows * inputs), 0.5f), out(static_cast<std::size_t>(rows * outputs)),
          stored(static_cast<std::size_t>(inputs * outputs * static_cast<std::int64_t>(dtype_size(type)) / 2),
                 0x3c00), // a number in every type
          tiles(static_cast<std::size_t>(cpu::row_tiles(rows) * cpu::tile_floats(inputs) + 16)) {
        for (std::int64_t r = 0; r < rows; ++r) {
            ins.push_back(in.data() + r * inputs);
            outs.push_back(out.data() + r * outputs);
        }
        args.weight = stored.data();
        args.type = type;
        args.inputs = inputs;
        args.outputs = outputs;
        args.interleaved = true; // every element is the same: the order does not matter
        args.rows = rows;
        args.in = ins.data();
        args.out = outs.data();
    }

    float* aligned_tiles() {
        const auto address = reinterpret_cast<std::uintptr_t>(tiles.data());
        return tiles.data() + (64 - address % 64) % 64 / sizeof(float);
    }

    std::vector<float> in, out;
    std::vector<std::uint16_t> stored;
    std::vector<float> tiles;
    std::vector<const float*> ins;
    std::vector<float*> outs;
    cpu::LinearArgs args;
};

void count(benchmark::State& state, DType type) {
    const std::int64_t rows = state.range(0), inputs = state.range(1), outputs = state.range(2);
    state.SetItemsProcessed(state.iterations() * 2 * rows * inputs * outputs);
    state.SetBytesProcessed(state.iterations() * inputs * outputs *
                            static_cast<std::int64_t>(dtype_size(type)));
}

void multiply(Product& product) {
    if (product.args.rows == 1) {
        cpu::linear_row(product.args, 0, product.args.outputs);
    } else {
        for (std::int64_t tile = 0; tile < cpu::row_tiles(product.args.rows); ++tile) {
            cpu::pack_tile(product.args, tile, product.aligned_tiles());
        }
        cpu::linear_rows(product.args, product.aligned_tiles(), 0, product.args.outputs);
    }
    benchmark::ClobberMemory();
}

void vectors(benchmark::State& state, DType type) {
    Product product(type, state.range(0), state.range(1), state.range(2));
    for ([[maybe_unused]] auto _ : state) {
        multiply(product);
    }
    count(state, type);
}

// In fewer bits, with the exceptions of normal numbers; bytes are those of the type as stored.
void packed(benchmark::State& state, DType type) {
    const std::int64_t inputs = state.range(1), outputs = state.range(2);
    Product product(type, state.range(0), inputs, outputs);
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.02f);
    for (std::int64_t i = 0; i < inputs * outputs; ++i) {
        const float weight = normal(random);
        if (type == DType::f32) {
            std::memcpy(product.stored.data() + 2 * i, &weight, sizeof weight);
        } else {
            product.stored[static_cast<std::size_t>(i)] = f32_to_bf16(weight);
        }
    }
    test::Packed matrix(type, std::as_bytes(std::span(product.stored)).data(), outputs, inputs);
    matrix.give(product.args);
    for ([[maybe_unused]] auto _ : state) {
        multiply(product);
    }
    count(state, type);
}

// Inputs rounded to 16 bits as well, as a prompt multiplies them; here from weights as stored.
void pairs(benchmark::State& state, DType type, const cpu::PairKernels* (*way)()) {
    const cpu::PairKernels* kernels = way();
    if (!kernels) {
        state.SkipWithError("not on this processor, or no faster there");
        return;
    }
    const std::int64_t rows = state.range(0), outputs = state.range(2), portion = 512;
    Product product(type, rows, state.range(1), outputs);
    const std::int64_t count_of_tiles = (rows + kernels->rows - 1) / kernels->rows;
    cpu::AlignedFloats tiles(static_cast<std::size_t>(count_of_tiles * kernels->tile_floats(state.range(1))));
    for ([[maybe_unused]] auto _ : state) {
        for (std::int64_t tile = 0; tile < count_of_tiles; ++tile) {
            kernels->pack(product.args, tile, tiles.data());
        }
        for (std::int64_t o = 0; o < outputs; o += portion) {
            kernels->linear(product.args, tiles.data(), o, std::min(o + portion, outputs));
        }
        benchmark::ClobberMemory();
    }
    count(state, type);
}

// What the reference backend does.
void plain(benchmark::State& state, DType type) {
    Product product(type, state.range(0), state.range(1), state.range(2));
    std::vector<float> weights(static_cast<std::size_t>(state.range(1) * state.range(2)));
    cpu::widen(type, product.stored.data(), static_cast<std::int64_t>(weights.size()), weights.data());
    for ([[maybe_unused]] auto _ : state) {
        for (std::int64_t r = 0; r < state.range(0); ++r) {
            for (std::int64_t o = 0; o < state.range(2); ++o) {
                float sum = 0;
                for (std::int64_t i = 0; i < state.range(1); ++i) {
                    sum += product.ins[static_cast<std::size_t>(r)][i] *
                           weights[static_cast<std::size_t>(o * state.range(1) + i)];
                }
                product.outs[static_cast<std::size_t>(r)][o] = sum;
            }
        }
        benchmark::ClobberMemory();
    }
    count(state, type);
}

void shapes(benchmark::internal::Benchmark* each) {
    for (const std::int64_t rows : {1, 16, 64, 256}) {
        each->Args({rows, 512, 512})->Args({rows, 512, 1408})->Args({rows, 1408, 512});
    }
    each->Args({1, 2048, 11008})->Args({256, 2048, 2048});
}

BENCHMARK_CAPTURE(vectors, f32, DType::f32)->Apply(shapes);
BENCHMARK_CAPTURE(vectors, f16, DType::f16)->Apply(shapes);
BENCHMARK_CAPTURE(vectors, bf16, DType::bf16)->Apply(shapes);
BENCHMARK_CAPTURE(packed, f32, DType::f32)->Apply(shapes);
BENCHMARK_CAPTURE(packed, bf16, DType::bf16)->Apply(shapes);
void prompts(benchmark::internal::Benchmark* each) {
    each->Args({128, 768, 3072})->Args({128, 2048, 11008});
}
BENCHMARK_CAPTURE(pairs, bf16, DType::bf16, cpu::bf16_pairs)->Apply(prompts);
BENCHMARK_CAPTURE(pairs, words, DType::f16, cpu::word_pairs)->Apply(prompts);
BENCHMARK_CAPTURE(pairs, crossed, DType::f16, cpu::crossed_word_pairs)->Apply(prompts);
BENCHMARK_CAPTURE(plain, f32, DType::f32)->Args({1, 512, 512})->Args({64, 512, 512});

} // namespace

BENCHMARK_MAIN();
