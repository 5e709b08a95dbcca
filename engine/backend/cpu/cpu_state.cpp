// SPDX-License-Identifier: GPL-3.0-or-later
// A position of a state written and read, whatever its layout and type.
#include "engine/backend/cpu/state_memory.h"
#include "engine/base/half.h"

#include <algorithm>
#include <cstring>

namespace ergo::cpu {

namespace {

constexpr std::int64_t float_bytes = sizeof(float);

/// Where a head's position lies: its channels `step` elements apart from `first` on, its scales `scale_step`
/// floats apart.
struct Place {
    std::byte* first;
    std::int64_t step;
    float* scales;
    std::int64_t scale_step;
};

Place place_of(const CpuState& state, std::int64_t head, std::int64_t t) {
    if (state.layout == StateLayout::rows) {
        std::byte* row = state.channel(head * state.dim()) + t * state.stride;
        return {row, 1, reinterpret_cast<float*>(row + state.dim()), 1};
    }
    std::byte* block = state.channel(head * state.dim()) + t / state_block * state.stride;
    const std::int64_t at = t % state_block, size = state.type == DType::q8 ? 1 : 2;
    return {block + at * size, state_block, reinterpret_cast<float*>(block + state_block * state.dim()) + at,
            state_block};
}

std::uint16_t& half_at(const Place& place, std::int64_t c) {
    return reinterpret_cast<std::uint16_t*>(place.first)[c * place.step];
}
std::int8_t& whole_at(const Place& place, std::int64_t c) {
    return reinterpret_cast<std::int8_t*>(place.first)[c * place.step];
}

void write_rounded(const CpuState& state, std::int64_t t, const float* row) {
    const std::int64_t dim = state.dim();
    for (std::int64_t head = 0; head < state.heads; ++head) {
        const Place place = place_of(state, head, t);
        for (std::int64_t c = 0; c < dim; c += state_group) {
            const std::span<const float, state_group> group(row + head * dim + c, state_group);
            if (state.type == DType::bf16) {
                for (std::int64_t i = 0; i < state_group; ++i) {
                    half_at(place, c + i) = f32_to_bf16(group[static_cast<std::size_t>(i)]);
                }
                continue;
            }
            std::int8_t whole[state_group];
            place.scales[c / state_group * place.scale_step] = round_group(group, whole);
            for (std::int64_t i = 0; i < state_group; ++i) {
                whole_at(place, c + i) = whole[i];
            }
        }
    }
}

void read_rounded(const CpuState& state, std::int64_t t, float* row) {
    const std::int64_t dim = state.dim();
    for (std::int64_t head = 0; head < state.heads; ++head) {
        const Place place = place_of(state, head, t);
        for (std::int64_t c = 0; c < dim; ++c) {
            row[head * dim + c] = state.type == DType::bf16
                                      ? bf16_to_f32(half_at(place, c))
                                      : place.scales[c / state_group * place.scale_step] *
                                            static_cast<float>(whole_at(place, c));
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
