// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/session_memory.h"

#include "engine/base/error.h"

#include <cstring>
#include <limits>

namespace ergo::vulkan {

namespace {

void check_size(const Device& device, const Tables& tables, std::int64_t capacity) {
    if (capacity < 1) {
        throw Error(ErrorKind::usage,
                    "a session of " + std::to_string(capacity) + " positions was asked for");
    }
    std::uint64_t total = 0;
    for (const StateInfo& state : tables.states) {
        const auto elements = static_cast<std::uint64_t>(state.width) * static_cast<std::uint64_t>(capacity);
        if (elements > std::numeric_limits<std::uint32_t>::max()) { // kernels index a state with 32 bits
            throw Error(ErrorKind::resources,
                        std::to_string(capacity) + " positions of " + state.name + " are " +
                            std::to_string(elements) + " numbers, more than the Vulkan backend can address",
                        {.code = "V-CONTEXT", .advice = "shorten the context or use the CPU"});
        }
        total += elements * sizeof(float);
    }
    const DeviceInfo& info = device.traits().info;
    if (total > info.memory_bytes) {
        throw Error(ErrorKind::resources,
                    std::to_string(capacity) + " positions need " + std::to_string(total >> 20) + " MiB, " +
                        info.name + " has " + std::to_string(info.memory_bytes >> 20) + " MiB",
                    {.code = "V-CONTEXT", .advice = "shorten the context or use the CPU"});
    }
}

} // namespace

SessionMemory::SessionMemory(const Device& device, const Tables& tables, std::int64_t capacity)
    : tables_(tables), capacity_(capacity), states_arena_(device, Placement::device),
      params_arena_(device, Placement::step), transfer_(device) {
    check_size(device, tables, capacity);
    for (const StateInfo& state : tables.states) {
        states_.push_back(states_arena_.allocate(
            static_cast<std::uint64_t>(state.width * capacity) * sizeof(float), state.name));
    }
    for (const ParamInfo& param : tables.params) {
        offsets_.push_back(static_cast<std::uint32_t>(host_params_.size()));
        host_params_.insert(host_params_.end(), param.values.begin(), param.values.end());
    }
    offsets_.push_back(static_cast<std::uint32_t>(host_params_.size()));
    params_ = params_arena_.allocate(host_params_.size() * sizeof(float), "parameters");
    write_params(0, host_params_);
}

const Slice& SessionMemory::state(StateId id) const {
    return states_.at(static_cast<std::size_t>(id.index));
}

std::uint32_t SessionMemory::offset(ParamId id) const {
    return offsets_.at(static_cast<std::size_t>(id.index));
}

std::span<const float> SessionMemory::param(ParamId id) const {
    if (!id || static_cast<std::size_t>(id.index) >= tables_.params.size()) {
        throw Error(ErrorKind::usage, "there is no parameter " + std::to_string(id.index));
    }
    const std::uint32_t begin = offset(id);
    return std::span(host_params_).subspan(begin, offsets_[static_cast<std::size_t>(id.index) + 1] - begin);
}

void SessionMemory::set_param(ParamId id, std::span<const float> values) {
    const auto held = param(id);
    if (values.size() != held.size()) {
        throw Error(ErrorKind::usage, tables_.params[static_cast<std::size_t>(id.index)].name + " has " +
                                          std::to_string(held.size()) + " values, " +
                                          std::to_string(values.size()) + " were given");
    }
    std::copy(values.begin(), values.end(), host_params_.begin() + offset(id));
    write_params(offset(id), values);
}

void SessionMemory::write_params(std::uint32_t first, std::span<const float> values) {
    if (!values.empty()) {
        std::memcpy(params_.mapped + first * sizeof(float), values.data(), values.size_bytes());
    }
}

std::vector<float> SessionMemory::read_state(StateId id, std::int64_t length) {
    if (!id || static_cast<std::size_t>(id.index) >= states_.size() || length < 0 || length > capacity_) {
        throw Error(ErrorKind::usage, "there are no " + std::to_string(length) + " positions of state " +
                                          std::to_string(id.index) + " (capacity " +
                                          std::to_string(capacity_) + ")");
    }
    const std::int64_t width = tables_.states[static_cast<std::size_t>(id.index)].width;
    std::vector<float> rows(static_cast<std::size_t>(length * width));
    transfer_.download(state(id), 0, std::as_writable_bytes(std::span(rows)));
    return rows;
}

void SessionMemory::write_state(StateId id, std::span<const float> rows) {
    transfer_.upload(state(id), 0, std::as_bytes(rows));
}

} // namespace ergo::vulkan
