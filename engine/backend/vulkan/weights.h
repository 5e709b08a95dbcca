// SPDX-License-Identifier: GPL-3.0-or-later
// A model's weights in device memory, in the type of the checkpoint; float64 becomes float32, matrices in
// whole numbers get the layout of grouped_layout.h, other block-quantised types (which no kernel reads)
// become f16, or bf16 where a value is beyond f16's range. Kernels that do not widen get a float32 copy, made
// on first use. Any thread.
#pragma once

#include "engine/backend/vulkan/memory.h"
#include "engine/backend/vulkan/transfer.h"
#include "engine/base/thread_pool.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace ergo::vulkan {

/// How a matrix lies in memory. The numbers are STORED in shaders/weight.glsl.
enum class Stored : std::uint32_t { f32 = 0, bf16 = 1, f16 = 2, q8 = 3, q4 = 4 };

/// Throws Error(unsupported) for a type that cannot be run.
Stored stored_as(const WeightInfo& weight);
/// Bytes of a weight on the device. Throws Error(unsupported) for one that kernels cannot address.
std::uint64_t stored_bytes(const WeightInfo& weight);

class Weights {
  public:
    /// Uploads all weights. Throws Error(resources) when they do not fit, Error(unsupported) for a type.
    Weights(const Device& device, std::shared_ptr<const Tables> tables, const Progress& progress,
            const CancelToken& cancel);

    const Tables& tables() const { return *tables_; }

    struct Matrix {
        VkDeviceAddress address = 0;
        Stored stored = Stored::f32;
        std::uint64_t bytes = 0;
    };
    Matrix matrix(WeightId id) const;
    /// The weight as float32.
    VkDeviceAddress floats(WeightId id);
    std::uint64_t bytes() const { return bytes_; }
    std::uint64_t allocated() const { return arena_.allocated(); }

  private:
    struct Entry {
        Slice slice;
        Stored stored = Stored::f32;
    };
    using Between = std::function<void(std::uint64_t bytes)>; // called after every piece
    void upload(const WeightInfo& weight, Entry& entry, ThreadPool& pool, const Between& between);
    void upload_grouped(const WeightInfo& weight, const Slice& slice, ThreadPool& pool,
                        const Between& between);
    std::shared_ptr<const Tables> tables_;
    std::mutex mutex_; // of the copies
    Arena arena_;
    Transfer transfer_;
    std::vector<Entry> entries_;
    std::map<std::int32_t, Slice> copies_;
    std::uint64_t bytes_ = 0;
};

} // namespace ergo::vulkan
