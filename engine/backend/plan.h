// SPDX-License-Identifier: GPL-3.0-or-later
// A plan: what a model family asks a backend to do for one step, as a list of ops over buffer handles. Built
// by a model, run by any backend, never looks at a value. Plain data: built on one thread, then shared
// read-only.
//
// Rows are the tokens of a step (1 when decoding, a chunk of a prompt otherwise). Everything that changes
// from step to step (position, row count, ids) lives in StepState, so a plan is replayed unchanged.
#pragma once

#include "engine/backend/op.h"
#include "engine/tensor/tensor.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ergo {

/// A constant: a tensor of the checkpoint or one derived from it at load.
struct WeightInfo {
    std::string name;
    Tensor tensor;
    /// f32, bf16, f16 or (matrices only) q8, q4: a backend rounds the tensor to it while loading. Empty: as
    /// stored.
    std::optional<DType> run_as{};
    DType type() const { return run_as.value_or(tensor.dtype()); }
    /// q8 or q4 for a matrix whose numbers are, or are rounded to, whole numbers in groups of 32 inputs
    /// (engine/tensor/grouped.h): stored so, wanted so, or in blocks of GGUF that are the same numbers. A
    /// backend that has kernels for them rounds the other factor too, once a row, as `reference/grouped.h`
    /// says; one that has none runs `values()`.
    std::optional<DType> grouped() const;
    /// The same, or q4_k, q5_k or q6_k for a matrix in such blocks (engine/tensor/super_blocks.h): what a
    /// backend may keep in whole numbers if it has kernels for it.
    std::optional<DType> whole_numbers() const;
    /// The elements as they are run, in float32.
    std::vector<float> values() const;
};

/// The floats that numbers of a type become where no kernel takes them as they are: f32 for f64, f16 (or, of
/// the same size, bf16 where a value is beyond f16's range) for what is quantised, else the type itself.
DType float_type(DType stored);

/// A small float32 array that ops read and interventions may change between steps (alpha, radius, temperature
/// …).
struct ParamInfo {
    std::string name; ///< observable-style name, e.g. "layers.0.metric_attention.alpha"
    Shape shape;
    std::vector<float> values; ///< as the checkpoint has them
};

/// How attention reads a state, for backends that lay it out accordingly; the numbers do not depend on it.
struct StateHeads {
    std::int32_t count = 1; ///< heads in a row, read one by one; 1 also where nothing is known of them
    std::int32_t dim = 0; ///< channels of a key (of distances: of the key they belong to); 0: not attention's
    bool values = false;  ///< weighted sums are formed of it
    bool own = false;     ///< keys, values and distances all have as many heads as the queries
};

/// Per-session memory indexed by absolute position, append-only: row p belongs to token p. Rewinding
/// truncates.
struct StateInfo {
    std::string name;
    std::int64_t width = 0; ///< float32 elements a position
    StateHeads heads{};
    /// What a row is rounded to where it is remembered: f32 as it is, bf16 or q8
    /// (engine/backend/rounded_state.h). Of whole heads of keys and values alone.
    DType stored = DType::f32;
};

/// What a backend must hold for a model, shared by all of the model's plans.
struct Tables {
    std::vector<WeightInfo> weights;
    std::vector<ParamInfo> params;
    std::vector<StateInfo> states;

    WeightId add_weight(std::string name, Tensor tensor);
    ParamId add_param(std::string name, Shape shape, std::vector<float> values);
    StateId add_state(std::string name, std::int64_t width, StateHeads heads = {});
};

/// Scratch of one step, float32.
struct BufferInfo {
    enum class Extent : std::uint8_t {
        rows,      ///< [rows, width]
        last_row,  ///< [1, width]: only the step's last row
        rows_keys, ///< [rows, width, keys] with keys = position + rows: row captures of attention
    };
    std::string name;
    std::int64_t width = 0;
    Extent extent = Extent::rows;
};

/// One observable that this plan writes to a buffer. `id` is the caller's number for it.
struct TapBinding {
    std::int32_t id = 0;
    BufferId buffer;
};

struct Plan {
    std::int64_t max_rows = 1; ///< a step may have 1..max_rows rows
    std::vector<BufferInfo> buffers;
    std::vector<Op> ops;          ///< in order of execution
    BufferId logits;              ///< [rows or 1, vocabulary]; none for a plan that ends earlier (tests)
    BufferId logit_parts;         ///< of the logits (SumLogits); none where nobody samples
    std::vector<TapBinding> taps; ///< with logits, all that is read after a run. Without logits: anything is

    BufferId add_buffer(std::string name, std::int64_t width,
                        BufferInfo::Extent extent = BufferInfo::Extent::rows);
    void add(Op op) { ops.push_back(std::move(op)); }
    /// Ends the plan with what a sampler wants of the logits of the last row.
    void add_logit_parts();
};

/// What changes from step to step. ids.size() rows at absolute positions position, position + 1, …
struct StepState {
    std::int64_t position = 0;
    std::vector<std::int32_t> ids;
    /// False: nobody reads the logits of this step, and a backend may leave them out.
    bool logits = true;
    /// What SumLogits adds up at; 0: at 1 alone; below 0: it does not.
    float temperature = -1;
    std::int64_t rows() const { return static_cast<std::int64_t>(ids.size()); }
};

/// The buffer whose extent decides which rows an op computes; none for Append and AppendKeyValue (all rows).
BufferId main_output(const Op& op);

/// Checks that every handle of `plan` is in range and every op's widths agree with its weights; throws
/// Error(usage) naming the op. Backends may then trust the plan.
void validate(const Plan& plan, const Tables& tables);

/// Checks a step against a validated plan: 1..max_rows rows, positions within `capacity` and within every
/// rotation table, ids within every embedding. Throws Error(usage) with the numbers.
void validate_step(const Plan& plan, const Tables& tables, const StepState& step, std::int64_t capacity);

} // namespace ergo
