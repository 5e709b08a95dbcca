// SPDX-License-Identifier: GPL-3.0-or-later
// Weights made usable by the CPU kernels. Shared read-only by executors on any thread, except that float32
// copies of small 16-bit weights are made on first demand, under a lock.
//
// The kernels read f32, bf16, f16 and whole numbers in strips (quant_layout.h). Everything else is converted
// once, at load: see run_type in cpu_sizes.h.
#pragma once

#include "engine/backend/backend.h"
#include "engine/backend/cpu/cpu_sizes.h"
#include "engine/backend/cpu/memory.h"
#include "engine/base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <span>

namespace ergo::cpu {

/// A weight as the kernels read it: f32, bf16 or f16, aligned to its element, or whole numbers in
/// strips (is_in_strips) or packed floats, aligned to 64.
struct CpuWeight {
    const std::byte* data = nullptr;
    DType type = DType::f32;
    std::int64_t rows = 1, columns = 0; ///< columns: the last axis
    /// Somebody asked for 16 bits, not only the file: inputs of a product may be rounded to as many.
    bool inputs_rounded = false;
    bool interleaved = false;                  ///< rows lie side by side, as products like them (kernels.h)
    bool packed = false;                       ///< side by side and in fewer bytes (packed_floats.h)
    const std::uint32_t* exceptions = nullptr; ///< of a packed matrix
    const float* extents = nullptr;            ///< what a prompt rounds it by (PairKernels), if known
    std::uint64_t bytes() const;
    std::uint64_t row_bytes() const {
        return bytes() / static_cast<std::uint64_t>(std::max<std::int64_t>(rows, 1));
    }
    /// Row `row` in float32.
    void read_row(std::int64_t row, float* out) const;
};

struct LinearArgs;
/// A matrix of floats as products read it, without rows.
LinearArgs args_of(const CpuWeight& weight);

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
    struct Piece;
    std::vector<Piece> pieces() const;
    void copy_piece(Piece& piece, const CancelToken& cancel);
    void pack_piece(Piece& piece, const CancelToken& cancel);
    bool has_too_many_exceptions(std::size_t index) const;
    void collect_exceptions(std::span<const Piece> pieces, const CancelToken& cancel);
    void keep_unpacked(std::size_t index, const CancelToken& cancel);
    std::byte* place_of(std::size_t index) const;
    void interleave_matrices(const CancelToken& cancel, ThreadPool& pool);
    void find_extents(const CancelToken& cancel, ThreadPool& pool);
    void copy_weights(const Progress& progress, const CancelToken& cancel, ThreadPool& pool);

    std::shared_ptr<const Tables> tables_;
    WeightLayout layout_;
    std::vector<CpuWeight> weights_;
    LazyMemory copies_;
    struct Packing {
        std::vector<std::uint32_t> exceptions;
        std::atomic<std::size_t> count{0}; ///< of exceptions met, whoever packs
    };
    std::map<std::size_t, Packing> packing_;     // of weights that are packed, or were to be
    std::map<std::size_t, LazyMemory> unpacked_; // copies that have too many exceptions to be packed
    std::map<std::size_t, AlignedFloats> extents_;
    mutable std::mutex mutex_;
    mutable std::map<std::int32_t, std::vector<float>> widened_;
};

} // namespace ergo::cpu
