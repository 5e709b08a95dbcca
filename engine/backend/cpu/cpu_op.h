// SPDX-License-Identifier: GPL-3.0-or-later
// A plan's op made ready to run: handles resolved to pointers. Owned by a CpuProgram, run by its executor's
// thread.
#pragma once

#include "engine/backend/cpu/cpu_model.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/state_memory.h"

#include <memory>
#include <span>
#include <vector>

namespace ergo::cpu {

/// A parameter with the root of its positive part.
struct CpuParam {
    std::vector<float> values;
    std::vector<float> root; ///< sqrt(max(value, 0)): what a metric's diagonal multiplies by
};

/// Scratch of one worker of the pool.
struct WorkerScratch {
    LazyMemory logits, scores; ///< [most_queries, row_floats], or [side_queries, row_floats, side]
    AlignedFloats row;         ///< as wide as any op asked for
    LazyMemory pairs;          ///< a tile of an attention in pairs of 16 bits, where one asked for it
};

/// One session's memory.
struct CpuSession {
    const CpuModel* model = nullptr;
    ThreadPool* pool = nullptr;
    std::int64_t capacity = 0;
    std::vector<CpuParam> params;
    StateMemory states;
    std::vector<WorkerScratch> scratch; ///< one a thread
    AlignedFloats rounded_rows;         ///< of the product at hand, where its weight is in whole numbers
    AlignedFloats tiles;                ///< rows of the product at hand, laid out for its kernel
    LazyMemory pairs; ///< keys and values of the attention at hand in pairs, where one asked for it
    Counters counters;
    std::uint64_t operations = 0; ///< of products so far
    bool timed = false;           ///< programs prepared from now on time their ops
    bool vnni = false;            ///< kernels of products with whole numbers may use it

    /// The capacity rounded up to blocks.
    std::int64_t row_floats() const { return (capacity + state_block - 1) / state_block * state_block; }
    const CpuParam* param(ParamId id) const {
        return id ? &params.at(static_cast<std::size_t>(id.index)) : nullptr;
    }
    const CpuState* state(StateId id) const { return id ? &states.at(id) : nullptr; }
};

struct CpuBuffer {
    BufferInfo::Extent extent = BufferInfo::Extent::rows;
    std::int64_t width = 0;
    std::int64_t stride = 0; ///< floats from row to row; 0 for last_row
    AlignedFloats data;
    AlignedFloats together; ///< rows as they were read, where they lie apart
    float* row(std::int64_t r) { return data.data() + r * stride; }
};

/// What an op sees of the step being run.
struct StepContext {
    CpuSession& session;
    const StepState& step;
    const CancelToken& cancel;          ///< long ops look at it too: they may take longer than a person waits
    std::int64_t keys = 0;              ///< position + rows
    std::span<const std::int32_t> rows; ///< rows to compute, ascending, at least one
    std::int64_t position(std::int64_t r) const { return step.position + r; }
    void count_weight(std::uint64_t bytes) { session.counters.weight_bytes_read += bytes; }
    void count_product(std::int64_t multiply_adds) {
        session.operations += 2 * static_cast<std::uint64_t>(multiply_adds);
    }
};

class CpuOp {
  public:
    virtual ~CpuOp() = default;
    virtual void run(StepContext& context) = 0;
};

/// Resolves the handles of one plan.
struct Resolver {
    CpuSession& session;
    std::vector<CpuBuffer>& buffers; ///< never moves once the ops are made
    std::int64_t max_rows = 1;

    CpuBuffer* buffer(BufferId id) const {
        return id ? &buffers.at(static_cast<std::size_t>(id.index)) : nullptr;
    }
    const CpuWeight* weight(WeightId id) const { return id ? &session.model->weight(id) : nullptr; }
    const float* floats(WeightId id) const { return session.model->floats(id); }
    /// Every worker's `row` scratch has room for `count` floats.
    void need_row(std::int64_t count) const;
    /// The session's `rounded_rows` has room for max_rows rows of `inputs`.
    void need_rounded_rows(std::int64_t inputs) const;
    /// The session's `tiles` have room for max_rows rows of `inputs`.
    void need_tiles(std::int64_t inputs) const;
    /// The session's and every worker's `pairs` have room for this attention.
    void need_pairs(const Attention& op) const;
};

std::unique_ptr<CpuOp> make_op(const Embed& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const Norm& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const Linear& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const Gate& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const Append& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const Convolution& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const Rotate& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const AppendKeyValue& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const Attention& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const KeptShare& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const Route& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const Mix& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const DepthRoute& op, const Resolver& resolver);
std::unique_ptr<CpuOp> make_op(const SumLogits& op, const Resolver& resolver);

} // namespace ergo::cpu
