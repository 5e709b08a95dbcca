// SPDX-License-Identifier: GPL-3.0-or-later
// The sizes of everything the CPU backend allocates, worked out before anything is: the plan that is
// announced and the allocation use the same functions. Pure functions of sizes, any thread.
#pragma once

#include "engine/backend/memory_need.h"
#include "engine/backend/plan.h"

#include <span>
#include <vector>

namespace ergo::cpu {

/// The type that a weight is run in: what was asked for, where a kernel knows it. q8, q4, q4_0, q4_k, q5_k
/// and q6_k stand for matrices in whole numbers (WeightInfo::whole_numbers), which are laid out anew
/// (quant_layout.h); f64 becomes f32, and any other block-quantised weight f16 (or, of the same size, bf16
/// where a value is beyond f16's range).
DType run_type(const WeightInfo& weight);
/// As Backend::held_as.
DType held_as(DType stored);
/// Bytes of a weight of `rows` outputs and `columns` inputs as it is run in `type`.
std::uint64_t run_bytes(DType type, std::int64_t rows, std::int64_t columns);

/// Where each weight goes.
struct WeightLayout {
    struct Place {
        std::size_t original = 0; ///< weights that are one tensor in one type share the first one's memory
        bool copied = false;      ///< else it is read where it lies
        bool interleaved = false; ///< a copy whose rows lie side by side (kernels.h), packed or not
        bool packed = false;      ///< in fewer bits, but for exceptions (packed_floats.h)
        std::uint64_t offset = 0; ///< of a copy, in the memory for copies
        std::uint64_t bytes = 0;
    };
    std::vector<Place> places;  ///< one a weight
    std::uint64_t copies = 0;   ///< bytes of the memory for copies
    std::uint64_t in_place = 0; ///< bytes of weights read where they lie in a file
    std::uint64_t used = 0;     ///< bytes of all weights as they are run, shared ones once
};
/// Weights of `copy_limit` bytes or fewer in all are copied; beyond that only those that must be.
WeightLayout lay_out(const Tables& tables, std::uint64_t copy_limit);

/// Floats of what a matrix is rounded by where a prompt's products are (PairKernels::extents); 0 where it is
/// not. A model may keep all its products exact though 16 bits were asked for, which only plans say: then
/// these are a hundredth of its memory in vain.
std::int64_t extent_floats(const WeightInfo& weight, const WeightLayout::Place& place);

/// Bytes of weights that the model itself worked out and keeps, whether they are copied or not.
std::uint64_t made_bytes(const Tables& tables, const WeightLayout& layout);

/// One state for `capacity` positions.
std::uint64_t state_bytes(const StateInfo& state, std::int64_t capacity);
/// Logits or scores of one worker, for one tile of queries and `capacity` positions; of `side` heads where a
/// state has them side by side.
std::uint64_t row_bytes(const Tables& tables, std::int64_t capacity);
/// Floats from row to row of a plan's buffers; of those that are not of rows, their width. Tiles of a dozen
/// rows are read and written at one column after another: where rows lie a multiple of a few kilobytes apart,
/// as most widths have it, all of these meet in a few sets of the first cache, which hold 8. Wide rows that
/// nobody reads from outside are moved apart.
std::vector<std::int64_t> row_strides(const Plan& plan);
/// Floats of a plan's buffer with rows `stride` apart when a step of `rows` rows sees `keys` keys.
std::int64_t buffer_floats(const BufferInfo& buffer, std::int64_t stride, std::int64_t rows,
                           std::int64_t keys);

/// Room for the rounded rows of the widest product of a plan whose weight is in whole numbers; 0 without one.
std::uint64_t rounded_rows_bytes(const Tables& tables, const Plan& plan);

/// Floats of a product's rows laid out for its kernel; a single row is read as it is.
std::int64_t tiles_floats(std::int64_t rows, std::int64_t inputs);

/// Whether prompts of an attention run in pairs of 16 bits: 16 bits were asked for, or weights are whole
/// numbers, whose products round their inputs to 8; only sums hang on it, scores are dot products over states
/// that the kernels know, and the processor is faster that way.
bool runs_in_pairs(const Tables& tables, const Attention& op);
inline constexpr std::int64_t least_pair_rows = 16; ///< fewer do not earn laying out keys and values
/// Keys and values of such an attention, laid out.
std::uint64_t pairs_bytes(const Attention& op, std::int64_t capacity);
/// What a worker has of it: floats from row to row of a tile's scores, and bytes in all.
std::int64_t pair_row_floats(std::int64_t capacity);
std::uint64_t pair_tile_bytes(const Attention& op, std::int64_t capacity);

/// All of it together, for one executor on `threads` threads with these plans prepared. Without the
/// exceptions of packed weights, of usual ones a thousandth of their bytes; one that turns out to have too
/// many to be packed takes a third more.
MemoryNeed need(const Tables& tables, std::uint64_t copy_limit, int threads, std::int64_t capacity,
                std::span<const Plan* const> plans);

} // namespace ergo::cpu
