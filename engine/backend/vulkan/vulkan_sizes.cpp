// SPDX-License-Identifier: GPL-3.0-or-later
// Device memory worked out before there is a device: the same arithmetic as the arenas that then allocate it.
#include "engine/backend/vulkan/arena_sizes.h"
#include "engine/backend/vulkan/attention_parts.h"
#include "engine/backend/vulkan/encoder.h"
#include "engine/backend/vulkan/op_access.h"
#include "engine/backend/vulkan/program.h"
#include "engine/backend/vulkan/vulkan_backend.h"
#include "engine/backend/vulkan/weights.h"
#include "engine/tensor/grouped.h"

#include <set>

namespace ergo {

namespace {

using vulkan::ArenaSizes;

constexpr std::uint64_t single = sizeof(float);

std::uint64_t count_of(std::int64_t n) {
    return static_cast<std::uint64_t>(n);
}

/// Buffers of one plan, and what its attentions need to hand rows out.
std::uint64_t program_bytes(const Plan& plan, std::int64_t capacity) {
    ArenaSizes device(ArenaSizes::device_block);
    for (const BufferInfo& buffer : plan.buffers) {
        device.add(count_of(vulkan::buffer_floats(buffer, plan.max_rows, capacity)) * single);
    }
    for (const Op& op : plan.ops) {
        const auto* attention = std::get_if<Attention>(&op.body);
        if (attention && vulkan::is_captured(attention->rows)) {
            device.add(vulkan::capture_state_bytes(plan.max_rows, attention->heads));
        }
        if (attention && vulkan::attention_parts(*attention, plan.max_rows, capacity) > 1) {
            device.add(vulkan::attention_part_bytes(*attention, plan.max_rows, capacity));
        }
    }
    const std::uint64_t taps = vulkan::tap_copy_bytes(plan, capacity);
    // one block for the step and the ops' arguments, one for the counters
    return device.total() + taps + 2 * ArenaSizes::host_block;
}

} // namespace

DType vulkan_held_as(DType stored) {
    return grouped_form(stored) ? stored : float_type(stored);
}

MemoryNeed vulkan_need(const Tables& tables, std::int64_t capacity, std::span<const Plan* const> plans) {
    MemoryNeed need;
    ArenaSizes weights(ArenaSizes::device_block), states(ArenaSizes::device_block),
        params(ArenaSizes::host_block);
    for (const WeightInfo& weight : tables.weights) {
        weights.add(vulkan::stored_bytes(weight));
    }
    std::set<std::int32_t> copied; // to float32, once for all plans
    for (const Plan* plan : plans) {
        for (const Op& op : plan->ops) {
            for (const WeightId id : vulkan::float_weights(op)) {
                const WeightInfo& weight = tables.weights.at(static_cast<std::size_t>(id.index));
                if (vulkan::stored_as(weight) != vulkan::Stored::f32 && copied.insert(id.index).second) {
                    weights.add(count_of(weight.tensor.size()) * single);
                }
            }
        }
    }
    for (const StateInfo& state : tables.states) {
        states.add(count_of(state.width * capacity) * single);
    }
    std::uint64_t values = 0;
    for (const ParamInfo& param : tables.params) {
        values += param.values.size();
    }
    params.add(values * single);
    need.weights = weights.total();
    need.cache = states.total();
    need.scratch = params.total();
    for (const Plan* plan : plans) {
        need.scratch += program_bytes(*plan, capacity);
    }
    return need;
}

} // namespace ergo
