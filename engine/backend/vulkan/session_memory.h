// SPDX-License-Identifier: GPL-3.0-or-later
// One executor's state and parameters in device memory. Used by the executor's thread.
#pragma once

#include "engine/backend/vulkan/memory.h"
#include "engine/backend/vulkan/transfer.h"

#include <span>
#include <vector>

namespace ergo::vulkan {

class SessionMemory {
  public:
    /// Allocates `capacity` positions of every state. Throws Error(resources) when they do not fit.
    SessionMemory(const Device& device, const Tables& tables, std::int64_t capacity);

    std::int64_t capacity() const { return capacity_; }
    const Slice& state(StateId id) const;
    VkDeviceAddress params() const { return params_.address; }
    /// First float of a parameter in the parameter array.
    std::uint32_t offset(ParamId id) const;

    std::span<const float> param(ParamId id) const;
    void set_param(ParamId id, std::span<const float> values);
    std::vector<float> read_state(StateId id, std::int64_t length);
    void write_state(StateId id, std::span<const float> rows);
    Transfer& transfer() { return transfer_; }
    MemoryNeed taken() const {
        MemoryNeed taken;
        taken.cache = states_arena_.allocated();
        taken.scratch = params_arena_.allocated();
        return taken;
    }

  private:
    void write_params(std::uint32_t first, std::span<const float> values);

    const Tables& tables_;
    std::int64_t capacity_;
    Arena states_arena_;
    Arena params_arena_;
    Transfer transfer_;
    std::vector<Slice> states_;
    Slice params_;
    std::vector<std::uint32_t> offsets_; // [params + 1]
    std::vector<float> host_params_;
};

} // namespace ergo::vulkan
