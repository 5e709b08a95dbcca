// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tensor/dtype.h"

#include "engine/base/error.h"

#include <array>

namespace ergo {

namespace {

struct Traits {
    std::string_view name;
    std::int64_t elements; // of one block
    std::size_t bytes;     // of one block
};

// In the order of DType.
constexpr std::array traits{
    Traits{"f32", 1, 4},      Traits{"f64", 1, 8},    Traits{"f16", 1, 2},      Traits{"bf16", 1, 2},
    Traits{"i64", 1, 8},      Traits{"i32", 1, 4},    Traits{"i16", 1, 2},      Traits{"i8", 1, 1},
    Traits{"u64", 1, 8},      Traits{"u32", 1, 4},    Traits{"u16", 1, 2},      Traits{"u8", 1, 1},
    Traits{"bool", 1, 1},     Traits{"q8_0", 32, 34}, Traits{"q4_0", 32, 18},   Traits{"q4_1", 32, 20},
    Traits{"q5_0", 32, 22},   Traits{"q5_1", 32, 24}, Traits{"q4_k", 256, 144}, Traits{"q5_k", 256, 176},
    Traits{"q6_k", 256, 210}, Traits{"q8", 1, 0},     Traits{"q4", 1, 0},
};
static_assert(traits.size() == static_cast<std::size_t>(DType::q4) + 1);

const Traits& of(DType type) {
    return traits[static_cast<std::size_t>(type)];
}

} // namespace

std::size_t dtype_size(DType type) {
    if (is_quantised(type)) {
        throw Error(ErrorKind::usage,
                    "an element of type " + std::string(dtype_name(type)) + " has no size of its own.");
    }
    return of(type).bytes;
}

std::int64_t block_elements(DType type) {
    return of(type).elements;
}

std::size_t block_bytes(DType type) {
    if (is_grouped(type)) {
        throw Error(ErrorKind::usage,
                    "the bytes of " + std::string(dtype_name(type)) + " lie in several places.");
    }
    return of(type).bytes;
}

std::uint64_t dtype_bytes(DType type, std::int64_t count) {
    return static_cast<std::uint64_t>(count / of(type).elements) * block_bytes(type);
}

std::string_view dtype_name(DType type) {
    return of(type).name;
}

} // namespace ergo
