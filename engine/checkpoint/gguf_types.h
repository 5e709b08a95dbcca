// SPDX-License-Identifier: GPL-3.0-or-later
// The tensor types of the GGUF format. Internal to this floor. A constant table, any thread.
#pragma once

#include "engine/tensor/dtype.h"

#include <optional>
#include <string_view>

namespace ergo {

struct GgufType {
    std::uint32_t id;
    std::string_view name;
    std::int64_t elements;      ///< of one block
    std::uint64_t bytes;        ///< of one block
    std::optional<DType> dtype; ///< empty: known by name and size only
};

/// nullptr for a number that is not, or no longer, a type.
const GgufType* find_gguf_type(std::uint32_t id);
/// True for the numbers of types that were given up.
bool is_removed_gguf_type(std::uint32_t id);
/// The number a type is written as; nullopt when the format has none.
std::optional<std::uint32_t> gguf_type_of(DType type);

} // namespace ergo
