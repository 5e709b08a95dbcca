// SPDX-License-Identifier: GPL-3.0-or-later
// How the keys of an attention are shared among workgroups: arithmetic alone, any thread.
#pragma once

#include "engine/backend/op.h"

#include <cstdint>

namespace ergo::vulkan {

/// Fewer keys are not worth a workgroup. Mirrors PART_KEYS in shaders/attention.glsl.
inline constexpr std::int64_t part_keys = 256;

/// Workgroups that share the keys of one row and head: several for single tokens with few heads and long
/// contexts.
std::uint32_t attention_parts(const Attention& op, std::int64_t max_rows, std::int64_t capacity);

/// Memory in which those leave their parts; 0 for one.
std::uint64_t attention_part_bytes(const Attention& op, std::int64_t max_rows, std::int64_t capacity);

} // namespace ergo::vulkan
