// SPDX-License-Identifier: GPL-3.0-or-later
// The states of a session: what is remembered of every position, as kernels.h says how each layout lies.
// Owned by a session, used by its executor's thread; ops keep pointers to a CpuState, and read it anew in
// every step.
#pragma once

#include "engine/backend/cpu/cpu_sizes.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/memory.h"

#include <span>
#include <vector>

namespace ergo::cpu {

/// A state (kernels.h says how each layout lies).
struct CpuState {
    std::byte* data = nullptr; ///< in the memory of all; moves as a text grows
    std::int64_t width = 0;
    StateLayout layout = StateLayout::blocks;
    DType type = DType::f32;
    std::int64_t heads = 1, positions = 0; ///< that there is room for: a multiple of state_block
    std::int64_t stride = 0;               ///< bytes: stride_of

    std::int64_t dim() const { return width / heads; }
    /// Position 0 of channel c, the first of a head where the state is rounded.
    std::byte* channel(std::int64_t c) const {
        const std::int64_t head = c / dim(), in_head = c % dim() * std::int64_t{sizeof(float)};
        switch (layout) {
        case StateLayout::rows:
            return data + head * positions * stride + in_head;
        case StateLayout::side_by_side:
            return data + head / side * positions * stride + in_head * side +
                   head % side * std::int64_t{sizeof(float)};
        case StateLayout::blocks:
            break;
        }
        return data + head * (positions / state_block) * stride + in_head * state_block;
    }
    /// Where position t of a state in floats begins.
    float* at(std::int64_t t, std::int64_t c) const {
        std::byte* from = channel(c);
        from += layout == StateLayout::blocks
                    ? t / state_block * stride + t % state_block * std::int64_t{sizeof(float)}
                    : t * stride;
        return reinterpret_cast<float*>(from);
    }
    /// Floats from position to position: within a block, or of all.
    std::int64_t step() const {
        return layout == StateLayout::blocks ? 1 : stride / std::int64_t{sizeof(float)};
    }
    void write(std::int64_t t, const float* row) const; // [width]
    void read(std::int64_t t, float* row) const;
};

/// All states of a session in one memory, in large pages: a token reads all of it. There is room for the
/// capacity, but heads lie only as far apart as the text is long, or a few tokens would have a large page for
/// every head. When a text outgrows that, they move apart where they lie.
class StateMemory {
  public:
    StateMemory() = default;
    /// Reserves, but does not touch, memory for `capacity` positions. Throws Error(resources).
    StateMemory(std::span<const StateInfo> states, std::int64_t capacity);

    /// Makes room for `positions`, at most the capacity; of those that there were the first `filled` stay,
    /// and where room had to be made the blocks behind them are 0.
    void hold(std::int64_t positions, std::int64_t filled);

    CpuState& at(StateId id) { return states_.at(static_cast<std::size_t>(id.index)); }
    const CpuState& at(StateId id) const { return states_.at(static_cast<std::size_t>(id.index)); }
    std::span<const CpuState> all() const { return states_; }
    std::uint64_t bytes() const { return memory_.bytes(); }

  private:
    void lay_out(std::int64_t positions);

    LazyMemory memory_;
    std::vector<CpuState> states_;
    std::byte* end_ = nullptr;             ///< of the last state, as they lie now
    std::int64_t held_ = 0, capacity_ = 0; ///< positions, whole blocks
};

} // namespace ergo::cpu
