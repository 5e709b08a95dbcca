// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/cpu_sizes.h"

#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/kernels_quant.h"
#include "engine/backend/cpu/packed_floats.h"
#include "engine/backend/cpu/tile_rows.h"
#include "engine/tensor/grouped.h"
#include "engine/tensor/super_blocks.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace ergo::cpu {

namespace {

constexpr std::uint64_t line = 64; // bytes

std::uint64_t rounded(std::uint64_t bytes) {
    return (bytes + line - 1) / line * line;
}

using Source = std::tuple<const void*, std::uint64_t, DType, DType>;

Source source_of(const WeightInfo& weight) {
    const Tensor& tensor = weight.tensor;
    return {tensor.identity(), tensor.byte_size(), tensor.dtype(), run_type(weight)};
}

bool must_copy(const WeightInfo& weight) {
    const DType type = run_type(weight);
    if (is_in_strips(type)) {
        return true; // laid out anew
    }
    if (type != weight.tensor.dtype() || weight.tensor.is_made()) {
        return type != weight.tensor.dtype(); // what is made here lies where it should
    }
    return reinterpret_cast<std::uintptr_t>(weight.tensor.bytes().data()) % dtype_size(type) != 0;
}

std::int64_t columns_of(const WeightInfo& weight) {
    const Shape& shape = weight.tensor.shape();
    return shape.empty() ? 1 : shape.back();
}

std::uint64_t bytes_as_run(const WeightInfo& weight) {
    const std::int64_t columns = columns_of(weight);
    return run_bytes(run_type(weight), columns > 0 ? weight.tensor.size() / columns : 0, columns);
}

std::uint64_t bytes_packed(const WeightInfo& weight) {
    const Shape& shape = weight.tensor.shape();
    return static_cast<std::uint64_t>(packed_bytes(run_type(weight), shape[0], shape[1]));
}
/// A matrix that products read, as far as one can tell from its shape: a convolution's filters are narrower,
/// and tables that the model worked out itself are read row by row. A wrong guess costs time, never a result.
bool is_product_matrix(const WeightInfo& weight) {
    const Shape& shape = weight.tensor.shape();
    return shape.size() == 2 && shape[0] >= interleave && shape[1] >= 16 && !weight.tensor.is_made() &&
           !weight.whole_numbers();
}

/// Whether an interleaved copy may be packed and is smaller for it, which one of few outputs is not. What
/// becomes bf16 only because f16 has no room for it is not known yet.
bool may_be_packed(const WeightInfo& weight) {
    return is_packed_type(run_type(weight)) && can_be_packed(columns_of(weight)) &&
           bytes_packed(weight) < bytes_as_run(weight);
}

std::uint64_t blocks_of(std::int64_t capacity) {
    return static_cast<std::uint64_t>((capacity + state_block - 1) / state_block);
}

std::uint64_t extents_bytes(const Tables& tables, const WeightLayout& layout) {
    std::int64_t floats = 0;
    for (std::size_t i = 0; i < layout.places.size(); ++i) {
        const WeightLayout::Place& place = layout.places[i];
        floats += place.original == i ? extent_floats(tables.weights[i], place) : 0;
    }
    return static_cast<std::uint64_t>(floats) * sizeof(float);
}

/// float32 copies of 16-bit vectors, which kernels other than products read.
std::uint64_t widened_bytes(const Tables& tables) {
    std::uint64_t bytes = 0;
    for (const WeightInfo& weight : tables.weights) {
        if (weight.tensor.shape().size() < 2 && run_type(weight) != DType::f32) {
            bytes += static_cast<std::uint64_t>(weight.tensor.size()) * sizeof(float);
        }
    }
    return bytes;
}

} // namespace

StateLayout layout_of(const StateInfo& state) {
    const StateHeads& heads = state.heads;
    const std::int64_t dim = state.width / heads.count;
    if (heads.own && heads.count % side == 0 && heads.dim <= side) {
        return StateLayout::side_by_side;
    }
    return heads.values && dim % 16 == 0 ? StateLayout::rows : StateLayout::blocks;
}

DType run_type(const WeightInfo& weight) {
    if (const auto form = weight.whole_numbers()) {
        return weight.type() == DType::q4_0 ? DType::q4_0 : *form; // a tenth less to read than q4
    }
    return float_type(weight.type());
}

DType held_as(DType stored) {
    return grouped_form(stored) || is_super_block(stored) ? stored : float_type(stored);
}

std::uint64_t run_bytes(DType type, std::int64_t rows, std::int64_t columns) {
    return is_in_strips(type) ? static_cast<std::uint64_t>(strips_of(rows) * strip_bytes(type, columns))
                              : static_cast<std::uint64_t>(rows * columns) * dtype_size(type);
}

namespace {

/// Weights that share memory find each other; rows lie side by side only where all have one shape.
void find_originals(const Tables& tables, std::vector<WeightLayout::Place>& places) {
    std::map<Source, std::size_t> first; // tied weights are one tensor under two names
    for (std::size_t i = 0; i < tables.weights.size(); ++i) {
        const WeightInfo& weight = tables.weights[i];
        WeightLayout::Place& place = places.emplace_back();
        place.original = first.emplace(source_of(weight), i).first->second;
        place.bytes = bytes_as_run(weight);
        place.interleaved = is_product_matrix(weight);
        WeightLayout::Place& original = places[place.original];
        original.interleaved =
            original.interleaved && columns_of(weight) == columns_of(tables.weights[place.original]);
    }
}

} // namespace

WeightLayout lay_out(const Tables& tables, std::uint64_t copy_limit) {
    WeightLayout layout;
    find_originals(tables, layout.places);
    for (std::size_t i = 0; i < layout.places.size(); ++i) {
        layout.places[i].packed = layout.places[i].interleaved && may_be_packed(tables.weights[i]);
    }
    const auto bytes_copied = [&](std::size_t i) {
        return layout.places[i].packed ? bytes_packed(tables.weights[i]) : layout.places[i].bytes;
    };
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < layout.places.size(); ++i) {
        all += layout.places[i].original == i ? rounded(bytes_copied(i)) : 0;
    }
    for (std::size_t i = 0; i < layout.places.size(); ++i) {
        WeightLayout::Place& place = layout.places[i];
        if (place.original != i) {
            continue;
        }
        place.copied = all <= copy_limit || must_copy(tables.weights[i]);
        place.interleaved = place.interleaved && place.copied;
        place.packed = place.packed && place.copied;
        place.bytes = bytes_copied(i);
        layout.used += place.bytes;
        if (place.copied) {
            place.offset = layout.copies;
            layout.copies += rounded(place.bytes);
        } else if (!tables.weights[i].tensor.is_made()) {
            layout.in_place += place.bytes;
        }
    }
    return layout;
}

std::int64_t extent_floats(const WeightInfo& weight, const WeightLayout::Place& place) {
    const DType type = run_type(weight);
    const bool rounded = (weight.run_as == DType::f16 || weight.run_as == DType::bf16) &&
                         (type == DType::f16 || type == DType::bf16);
    if (!rounded || !place.interleaved || crossed_word_pairs() == nullptr) {
        return 0;
    }
    const Shape& shape = weight.tensor.shape();
    return word_extent_floats(shape[0], shape[1]);
}

std::uint64_t made_bytes(const Tables& tables, const WeightLayout& layout) {
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < tables.weights.size(); ++i) {
        if (tables.weights[i].tensor.is_made() && layout.places[i].original == i) {
            bytes += tables.weights[i].tensor.byte_size();
        }
    }
    return bytes;
}

std::uint64_t state_bytes(const StateInfo& state, std::int64_t capacity) {
    const std::uint64_t blocks = blocks_of(capacity), heads = static_cast<std::uint64_t>(state.heads.count);
    const auto stride = static_cast<std::uint64_t>(stride_of(state));
    switch (layout_of(state)) {
    case StateLayout::rows:
        return rounded(blocks * state_block * heads * stride);
    case StateLayout::side_by_side:
        return rounded(blocks * state_block * heads / side * stride);
    case StateLayout::blocks:
        break;
    }
    return rounded(blocks * heads * stride);
}

std::uint64_t row_bytes(const Tables& tables, std::int64_t capacity) {
    std::uint64_t rows = most_queries;
    for (const StateInfo& state : tables.states) {
        rows = layout_of(state) == StateLayout::side_by_side ? side_queries * side : rows;
    }
    return rows * blocks_of(capacity) * state_block * sizeof(float);
}

namespace {

/// So many lines that 16 rows, two lines of each, fall into 32 of 64 sets.
std::int64_t apart(std::int64_t width) {
    constexpr std::int64_t line_floats = 64 / sizeof(float), least = 512; // narrower rows grow too much
    std::int64_t lines = (width + line_floats - 1) / line_floats;
    while (lines % 4 != 2) {
        ++lines;
    }
    return width < least ? width : lines * line_floats;
}

} // namespace

std::vector<std::int64_t> row_strides(const Plan& plan) {
    std::vector<std::int64_t> strides;
    for (const BufferInfo& buffer : plan.buffers) {
        const bool inside = plan.logits && plan.max_rows > 1 && buffer.extent == BufferInfo::Extent::rows;
        strides.push_back(inside ? apart(buffer.width) : buffer.width);
    }
    const auto read = [&](BufferId id) {
        if (id) {
            const auto at = static_cast<std::size_t>(id.index);
            strides[at] = plan.buffers[at].width;
        }
    };
    read(plan.logits);
    read(plan.logit_parts);
    for (const TapBinding& tap : plan.taps) {
        read(tap.buffer);
    }
    return strides;
}

std::int64_t buffer_floats(const BufferInfo& buffer, std::int64_t stride, std::int64_t rows,
                           std::int64_t keys) {
    switch (buffer.extent) {
    case BufferInfo::Extent::last_row:
        return buffer.width;
    case BufferInfo::Extent::rows:
        return stride * rows;
    case BufferInfo::Extent::rows_keys:
        break;
    }
    return buffer.width * rows * keys;
}

std::uint64_t rounded_rows_bytes(const Tables& tables, const Plan& plan) {
    std::uint64_t bytes = 0;
    for (const Op& op : plan.ops) {
        const auto* linear = std::get_if<Linear>(&op.body);
        const WeightInfo* weight =
            linear ? &tables.weights.at(static_cast<std::size_t>(linear->weight.index)) : nullptr;
        if (weight && weight->whole_numbers()) {
            bytes = std::max(bytes, QuantRows::bytes_for(plan.max_rows, weight->tensor.shape()[1]));
        }
    }
    return bytes;
}

std::int64_t tiles_floats(std::int64_t rows, std::int64_t inputs) {
    if (rows <= 1) {
        return 0;
    }
    std::int64_t floats = row_tiles(rows) * tile_floats(inputs);
    for (const PairKernels* pairs : {bf16_pairs(), word_pairs()}) {
        if (pairs) {
            floats = std::max(floats, tiles_of(rows, pairs->rows) * pairs->tile_floats(inputs));
        }
    }
    return floats;
}

bool runs_in_pairs(const Tables& tables, const Attention& op) {
    const auto asked = [](const WeightInfo& weight) {
        return weight.run_as == DType::bf16 || weight.run_as == DType::f16 || weight.whole_numbers();
    };
    const auto layout = [&](StateId id) {
        return layout_of(tables.states.at(static_cast<std::size_t>(id.index)));
    };
    return op.rounding == Rounding::bits8 && op.score == Attention::Score::dot && !op.diagonal &&
           op.ball.mode == Ball::Mode::off && layout(op.keys) == StateLayout::blocks &&
           layout(op.values) == StateLayout::rows && std::ranges::any_of(tables.weights, asked) &&
           word_pairs() != nullptr;
}

std::uint64_t pairs_bytes(const Attention& op, std::int64_t capacity) {
    const auto positions = static_cast<std::int64_t>(blocks_of(capacity)) * state_block;
    return static_cast<std::uint64_t>(op.key_heads * pair_key_floats(positions, op.dim) +
                                      op.value_heads * pair_value_floats(positions, op.value_dim)) *
           sizeof(float);
}

std::int64_t pair_row_floats(std::int64_t capacity) {
    constexpr std::int64_t apart = 16; // a cache line, which keeps rows out of the same cache sets
    return static_cast<std::int64_t>(blocks_of(capacity)) * state_block + apart;
}

std::uint64_t pair_tile_bytes(const Attention& op, std::int64_t capacity) {
    return static_cast<std::uint64_t>(pair_queries * pair_row_floats(capacity) + pair_packed_floats(op.dim)) *
           sizeof(float);
}

namespace {

/// What attention in pairs takes of a session and of each worker, the largest of a plan's.
std::pair<std::uint64_t, std::uint64_t> largest_pairs(const Tables& tables, const Plan& plan,
                                                      std::int64_t capacity) {
    std::uint64_t session = 0, worker = 0;
    for (const Op& op : plan.ops) {
        const auto* attention = std::get_if<Attention>(&op.body);
        if (attention && plan.max_rows >= least_pair_rows && runs_in_pairs(tables, *attention)) {
            session = std::max(session, pairs_bytes(*attention, capacity));
            worker = std::max(worker, pair_tile_bytes(*attention, capacity));
        }
    }
    return {session, worker};
}

/// Of the widest product of a plan that runs on all rows.
std::uint64_t tiles_bytes(const Tables& tables, const Plan& plan) {
    std::int64_t floats = 0;
    for (const Op& op : plan.ops) {
        const auto* linear = std::get_if<Linear>(&op.body);
        if (linear && !tables.weights[static_cast<std::size_t>(linear->weight.index)].whole_numbers() &&
            plan.buffers[static_cast<std::size_t>(linear->out.index)].extent == BufferInfo::Extent::rows) {
            const Shape& shape =
                tables.weights[static_cast<std::size_t>(linear->weight.index)].tensor.shape();
            floats = std::max(floats, tiles_floats(plan.max_rows, shape.back()));
        }
    }
    return static_cast<std::uint64_t>(floats) * sizeof(float);
}

} // namespace

MemoryNeed need(const Tables& tables, std::uint64_t copy_limit, int threads, std::int64_t capacity,
                std::span<const Plan* const> plans) {
    MemoryNeed need;
    const WeightLayout layout = lay_out(tables, copy_limit);
    need.weights =
        layout.copies + made_bytes(tables, layout) + widened_bytes(tables) + extents_bytes(tables, layout);
    need.in_place = layout.in_place;
    for (const StateInfo& state : tables.states) {
        need.cache += state_bytes(state, capacity);
    }
    need.scratch = 2 * static_cast<std::uint64_t>(threads) * row_bytes(tables, capacity);
    std::uint64_t rounded_rows = 0, tiles = 0, pairs = 0, pair_tile = 0;
    for (const Plan* plan : plans) {
        rounded_rows = std::max(rounded_rows, rounded_rows_bytes(tables, *plan));
        tiles = std::max(tiles, tiles_bytes(tables, *plan));
        const auto [session, worker] = largest_pairs(tables, *plan, capacity);
        pairs = std::max(pairs, session);
        pair_tile = std::max(pair_tile, worker);
        const std::vector<std::int64_t> strides = row_strides(*plan);
        for (std::size_t i = 0; i < strides.size(); ++i) {
            need.scratch += static_cast<std::uint64_t>(
                                buffer_floats(plan->buffers[i], strides[i], plan->max_rows, capacity)) *
                            sizeof(float);
        }
    }
    need.scratch += rounded_rows;
    need.scratch += tiles;
    need.scratch += pairs + static_cast<std::uint64_t>(threads) * pair_tile;
    return need;
}

} // namespace ergo::cpu
