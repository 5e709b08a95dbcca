// SPDX-License-Identifier: GPL-3.0-or-later
// Products with weights in whole numbers in the shapes of the models, one thread, with the plain definition
// beside them. Items are operations: items_per_second is OP/s. Rows of 1 are decoding steps; their bytes are
// weights as packed.
#include "engine/backend/cpu/kernels_quant.h"
#include "engine/backend/reference/grouped.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <vector>

using namespace ergo;

namespace {

struct Free {
    void operator()(std::byte* p) const { std::free(p); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory lines(std::uint64_t bytes) {
    return Memory(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
}

struct Product {
    Product(DType form, Rounding input_rounding, std::int64_t rows, std::int64_t inputs, std::int64_t outputs)
        : rounding(input_rounding), in(static_cast<std::size_t>(rows * inputs), 0.5f),
          out(static_cast<std::size_t>(rows * outputs)),
          bytes(cpu::strips_of(outputs) * cpu::strip_bytes(form, inputs)),
          weight(lines(static_cast<std::uint64_t>(bytes))),
          rounded(lines(cpu::QuantRows::bytes_for(rows, inputs))) {
        std::fill_n(weight.get(), bytes, std::byte{0x34}); // a number in every place, scales included
        for (std::int64_t r = 0; r < rows; ++r) {
            ins.push_back(in.data() + r * inputs);
            outs.push_back(out.data() + r * outputs);
        }
        args.weight = weight.get();
        args.form = form;
        args.inputs = inputs;
        args.outputs = outputs;
        args.rows = rows;
        args.vnni = cpu::has_vnni();
        cpu::GroupSums sums;
        sums.add(args.form);
        args.in =
            cpu::QuantRows::at(rounded.get(), rows, inputs, args.vnni && rounding == Rounding::bits8, sums);
        args.out = outs.data();
    }

    void run() const {
        cpu::round_rows(ins.data(), args.inputs, rounding, 0, args.rows, args.in);
        cpu::linear_quant(args, 0, args.outputs);
    }

    Rounding rounding;
    std::vector<float> in, out;
    std::int64_t bytes;
    Memory weight, rounded;
    std::vector<const float*> ins;
    std::vector<float*> outs;
    cpu::QuantLinearArgs args;
};

void vectors(benchmark::State& state, DType form, Rounding rounding) {
    const Product product(form, rounding, state.range(0), state.range(1), state.range(2));
    for ([[maybe_unused]] auto _ : state) {
        product.run();
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations() * 2 * state.range(0) * state.range(1) * state.range(2));
    state.SetBytesProcessed(state.iterations() * product.bytes);
}

// What the reference backend does.
void plain(benchmark::State& state, DType form, Rounding rounding) {
    const std::int64_t rows = state.range(0), inputs = state.range(1), outputs = state.range(2);
    const std::vector<float> in(static_cast<std::size_t>(inputs), 0.5f);
    std::vector<float> out(static_cast<std::size_t>(outputs));
    GroupedRow row;
    round_to_groups(form, in, row);
    const std::vector<GroupedRow> weight(static_cast<std::size_t>(outputs), row);
    for ([[maybe_unused]] auto _ : state) {
        for (std::int64_t r = 0; r < rows; ++r) {
            reference::linear_grouped(form, Activation::identity, reference::round_input(in, rounding),
                                      weight, {}, out);
        }
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations() * 2 * rows * inputs * outputs);
}

void shapes(benchmark::internal::Benchmark* each) {
    for (const std::int64_t rows : {1, 16, 128}) {
        each->Args({rows, 512, 512})->Args({rows, 512, 1408})->Args({rows, 1408, 512});
    }
    each->Args({1, 512, 131072})->Args({128, 2048, 2048});
}

// Of blocks of 256.
void super_shapes(benchmark::internal::Benchmark* each) {
    for (const std::int64_t rows : {1, 16, 128}) {
        each->Args({rows, 768, 3072})->Args({rows, 3072, 768});
    }
    each->Args({1, 768, 131072})->Args({128, 2048, 2048});
}

BENCHMARK_CAPTURE(vectors, q8_inputs_of_8_bits, DType::q8, Rounding::bits8)->Apply(shapes);
BENCHMARK_CAPTURE(vectors, q8_inputs_of_16_bits, DType::q8, Rounding::bits16)->Apply(shapes);
BENCHMARK_CAPTURE(vectors, q4_inputs_of_8_bits, DType::q4, Rounding::bits8)->Apply(shapes);
BENCHMARK_CAPTURE(vectors, q4_inputs_of_16_bits, DType::q4, Rounding::bits16)->Apply(shapes);
BENCHMARK_CAPTURE(vectors, q4_k_inputs_of_8_bits, DType::q4_k, Rounding::bits8)->Apply(super_shapes);
BENCHMARK_CAPTURE(vectors, q5_k_inputs_of_8_bits, DType::q5_k, Rounding::bits8)->Apply(super_shapes);
BENCHMARK_CAPTURE(vectors, q6_k_inputs_of_8_bits, DType::q6_k, Rounding::bits8)->Apply(super_shapes);
BENCHMARK_CAPTURE(plain, q8, DType::q8, Rounding::bits8)->Args({1, 512, 512});

} // namespace

BENCHMARK_MAIN();
