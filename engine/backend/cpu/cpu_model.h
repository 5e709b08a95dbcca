// SPDX-License-Identifier: GPL-3.0-or-later
// Weights made usable by the CPU kernels. Shared read-only by executors on any thread, except that float32
// copies of small 16-bit weights are made on first demand, under a lock.
//
// The kernels read f32, bf16 and f16. Weights stored in another type are converted once, at load: f64 to f32,
// and the block-quantised ones to f16 (bf16 where a value is beyond f16's range), 2 bytes an element. A
// kernel that reads blocks as they are needs a case in `run_type`, nothing else here.
#pragma once

#include "engine/backend/backend.h"
#include "engine/backend/cpu/cpu_sizes.h"
#include "engine/backend/cpu/memory.h"
#include "engine/base/thread_pool.h"

#include <map>
#include <mutex>

namespace ergo::cpu {

/// A weight as the kernels read it: f32, bf16 or f16, aligned to its element.
struct CpuWeight {
    const std::byte* data = nullptr;
    DType type = DType::f32;
    std::int64_t rows = 1, columns = 0; ///< columns: the last axis
    std::uint64_t bytes() const { return static_cast<std::uint64_t>(rows * columns) * dtype_size(type); }
};

class CpuModel {
  public:
    /// Weights of `copy_limit` bytes or fewer in all are copied to large pages, from which they are read up
    /// to half as fast again. Beyond that they stay where they are (a mapped file), converted and misaligned
    /// ones excepted. `pool` (null: this thread alone) shares the copying. Throws Error(cancelled, resources,
    /// unsupported).
    CpuModel(std::shared_ptr<const Tables> tables, std::uint64_t copy_limit, const Progress& progress,
             const CancelToken& cancel, ThreadPool* pool = nullptr);

    const Tables& tables() const { return *tables_; }
    const CpuWeight& weight(WeightId id) const { return weights_.at(static_cast<std::size_t>(id.index)); }

    /// The weight as float32 [rows * columns]; null for no weight. Valid for the life of the model.
    const float* floats(WeightId id) const;

    std::uint64_t weight_bytes() const { return layout_.used; }
    MemoryNeed taken() const;

  private:
    CpuWeight describe(const WeightInfo& info) const;
    void copy_weights(const Progress& progress, const CancelToken& cancel, ThreadPool& pool);

    std::shared_ptr<const Tables> tables_;
    WeightLayout layout_;
    std::vector<CpuWeight> weights_;
    LazyMemory copies_;
    mutable std::mutex mutex_;
    mutable std::map<std::int32_t, std::vector<float>> widened_;
};

} // namespace ergo::cpu
