// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/state_memory.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ergo::cpu {

namespace {

constexpr std::int64_t held_at_first = 512; // positions

std::int64_t whole_blocks(std::int64_t positions) {
    return (positions + state_block - 1) / state_block * state_block;
}

/// Heads, or groups of them that lie side by side: each is one stream.
std::int64_t streams_of(const CpuState& state) {
    return state.layout == StateLayout::side_by_side ? state.heads / side : state.heads;
}
std::int64_t stream_bytes(const CpuState& state, std::int64_t positions) {
    return (state.layout == StateLayout::blocks ? positions / state_block : positions) * state.stride;
}

} // namespace

StateMemory::StateMemory(std::span<const StateInfo> states, std::int64_t capacity)
    : capacity_(whole_blocks(capacity)) {
    std::uint64_t bytes = 0;
    for (const StateInfo& info : states) {
        bytes += state_bytes(info, capacity);
        states_.push_back(
            {nullptr, info.width, layout_of(info), info.stored, info.heads.count, 0, stride_of(info)});
    }
    memory_ = LazyMemory(bytes, "the session's state");
    memory_.prefer_large_pages();
    lay_out(std::min(held_at_first, capacity_));
}

void StateMemory::lay_out(std::int64_t positions) {
    constexpr std::int64_t line = 64; // bytes
    held_ = positions;
    std::byte* data = memory_.data();
    for (CpuState& state : states_) {
        state.data = data;
        state.positions = positions;
        data += (streams_of(state) * stream_bytes(state, positions) + line - 1) / line * line;
    }
    end_ = data;
}

void StateMemory::hold(std::int64_t positions, std::int64_t filled) {
    if (positions <= held_) {
        return;
    }
    const std::vector<CpuState> before = states_;
    std::byte* const touched = end_; // what follows was never written
    const std::int64_t whole = whole_blocks(std::min(filled, held_));
    lay_out(std::min(std::max(whole_blocks(positions), 2 * held_), capacity_));
    for (std::size_t s = states_.size(); s-- > 0;) { // the last first: what moves goes where nothing is left
        const std::int64_t from = stream_bytes(before[s], before[s].positions),
                           to = stream_bytes(states_[s], states_[s].positions),
                           kept = stream_bytes(states_[s], whole);
        for (std::int64_t i = streams_of(states_[s]); i-- > 0;) {
            std::byte* const stream = states_[s].data + i * to;
            std::memmove(stream, before[s].data + i * from, static_cast<std::size_t>(kept));
            if (stream + kept < touched) { // others' numbers, of another type perhaps
                std::fill(stream + kept, std::min(stream + to, touched), std::byte{});
            }
        }
    }
}

} // namespace ergo::cpu
