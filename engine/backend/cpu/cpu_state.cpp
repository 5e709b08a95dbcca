// SPDX-License-Identifier: GPL-3.0-or-later
// A position of a state written and read, whatever its layout and type.
#include "engine/backend/cpu/state_memory.h"
#include "engine/base/half.h"

#include <algorithm>
#include <cstring>

namespace ergo::cpu {

namespace {

constexpr std::int64_t float_bytes = sizeof(float);

/// Where a group of channels of a position lies, `step` elements apart, and its scale.
struct Place {
    std::byte* first;
    std::int64_t step;
    float* scale;
};

Place place_of(const CpuState& state, std::int64_t head, std::int64_t t, std::int64_t group) {
    std::byte* const first = state.channel(head * state.dim());
    const std::int64_t size = state.type == DType::q8 ? 1 : 2;
    if (state.layout == StateLayout::rows) {
        std::byte* const row = first + t * state.stride;
        return {row + group * state_group * size, 1, reinterpret_cast<float*>(row + state.dim()) + group};
    }
    const std::int64_t at = t % state_block; // in a block, whose groups each begin with their scales if any
    const std::int64_t scales = state.type == DType::q8 ? state_block * float_bytes : 0;
    std::byte* const begin =
        first + t / state_block * state.stride + group * state_block * stored_bytes(state.type, state_group);
    return {begin + scales + at * size, state_block, reinterpret_cast<float*>(begin) + at};
}

std::uint16_t& half_at(const Place& place, std::int64_t c) {
    return reinterpret_cast<std::uint16_t*>(place.first)[c * place.step];
}
std::int8_t& whole_at(const Place& place, std::int64_t c) {
    return reinterpret_cast<std::int8_t*>(place.first)[c * place.step];
}

void write_rounded(const CpuState& state, std::int64_t t, const float* row) {
    for (std::int64_t i = 0; i < state.width; i += state_group) {
        const Place place = place_of(state, i / state.dim(), t, i % state.dim() / state_group);
        const std::span<const float, state_group> group(row + i, state_group);
        if (state.type == DType::bf16) {
            for (std::int64_t c = 0; c < state_group; ++c) {
                half_at(place, c) = f32_to_bf16(group[static_cast<std::size_t>(c)]);
            }
            continue;
        }
        std::int8_t whole[state_group];
        *place.scale = round_group(group, whole);
        for (std::int64_t c = 0; c < state_group; ++c) {
            whole_at(place, c) = whole[c];
        }
    }
}

void read_rounded(const CpuState& state, std::int64_t t, float* row) {
    for (std::int64_t i = 0; i < state.width; i += state_group) {
        const Place place = place_of(state, i / state.dim(), t, i % state.dim() / state_group);
        for (std::int64_t c = 0; c < state_group; ++c) {
            row[i + c] = state.type == DType::bf16 ? bf16_to_f32(half_at(place, c))
                                                   : *place.scale * static_cast<float>(whole_at(place, c));
        }
    }
}

/// A position of heads side by side is one run of floats: written in its order, [channels][side] a group.
void write_side(const CpuState& state, std::int64_t t, const float* row) {
    const std::int64_t dim = state.dim();
    for (std::int64_t first = 0; first < state.width; first += side * dim) {
        float* to = state.at(t, first);
        for (std::int64_t c = 0; c < dim; ++c) {
            for (std::int64_t h = 0; h < side; ++h) {
                to[c * side + h] = row[first + h * dim + c];
            }
        }
    }
}

/// Floats from channel to channel of a head.
std::int64_t channel_step(const CpuState& state) {
    return state.layout == StateLayout::rows ? 1 : state.layout == StateLayout::blocks ? state_block : side;
}

} // namespace

void CpuState::write(std::int64_t t, const float* row) const {
    if (type != DType::f32) {
        return write_rounded(*this, t, row);
    }
    if (layout == StateLayout::side_by_side) {
        return write_side(*this, t, row);
    }
    const std::int64_t channels = dim(), step = channel_step(*this);
    for (std::int64_t c = 0; c < width; c += channels) { // a head at a time
        float* to = at(t, c);
        for (std::int64_t i = 0; i < channels; ++i) {
            to[i * step] = row[c + i];
        }
    }
}

void CpuState::read(std::int64_t t, float* row) const {
    if (type != DType::f32) {
        return read_rounded(*this, t, row);
    }
    const std::int64_t channels = dim(), step = channel_step(*this);
    for (std::int64_t c = 0; c < width; c += channels) {
        const float* from = at(t, c);
        for (std::int64_t i = 0; i < channels; ++i) {
            row[c + i] = from[i * step];
        }
    }
}

} // namespace ergo::cpu
