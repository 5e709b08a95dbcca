// SPDX-License-Identifier: GPL-3.0-or-later
// Block-quantised numbers to float32 and (for most types) back. Pure functions, any thread.
// The layouts are ggml's (ggml-org/ggml, docs/gguf.md and its quantisation structures).
#pragma once

#include "engine/tensor/dtype.h"

#include <span>

namespace ergo {

/// Whole blocks of a quantised type: out.size() is a multiple of block_elements(type) and `blocks` holds
/// exactly their bytes, at any alignment. Each value is formed in float32, block scale times sub-scale first.
void decode_blocks(DType type, std::span<const std::byte> blocks, std::span<float> out);

/// Nearest values in q8_0 (scale: largest magnitude / 127) or q4_0 (scale: the value of largest magnitude /
/// -8), or in q4_k, q5_k, q6_k (round_to_super_block). Sizes as in decode_blocks; the values are finite.
/// Throws Error(unsupported) for another type.
void encode_blocks(DType type, std::span<const float> values, std::span<std::byte> out);

} // namespace ergo
