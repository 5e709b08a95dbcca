// SPDX-License-Identifier: GPL-3.0-or-later
// A whole matrix packed at once, for tests and benchmarks.
#pragma once

#include "engine/backend/cpu/memory.h"
#include "engine/backend/cpu/packed_floats.h"

#include <algorithm>

namespace ergo::test {

/// A packed matrix with what it needs to be read.
struct Packed {
    /// rows: [outputs, inputs] of bf16 or f32, however aligned.
    Packed(DType type, const std::byte* rows, std::int64_t outputs, std::int64_t inputs)
        : memory(static_cast<std::size_t>(cpu::packed_bytes(type, outputs, inputs)) / sizeof(float)) {
        const std::int64_t row = inputs * static_cast<std::int64_t>(dtype_size(type));
        for (std::int64_t o = 0; o < outputs; o += cpu::interleave) {
            cpu::pack_group(type, rows + o * row, std::min(cpu::interleave, outputs - o), inputs,
                            data() + o / cpu::interleave * cpu::packed_group_bytes(type, inputs), exceptions);
        }
    }
    std::byte* data() { return reinterpret_cast<std::byte*>(memory.data()); }
    /// A product's weights from now on; this has to outlive it.
    void give(cpu::LinearArgs& args) {
        args.weight = data();
        args.packed = true;
        args.exceptions = exceptions.data();
    }

    cpu::AlignedFloats memory;
    std::vector<std::uint32_t> exceptions;
};

} // namespace ergo::test
