// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/matrices.h"

#include "engine/backend/vulkan/context.h"
#include "engine/backend/vulkan/weights.h"
#include "engine/base/error.h"

#include <algorithm>

namespace ergo::vulkan {

namespace {

// As in shaders/matmul_fragments.glsl.
constexpr std::uint32_t group_rows = 64, group_outputs = 64, threads = 128;

std::uint32_t parts_of_inputs(Splitting splitting) {
    return splitting == Splitting::one ? 1 : 2;
}
std::uint32_t parts_of_weights(Splitting splitting) {
    return splitting == Splitting::three ? 2 : 1;
}

} // namespace

std::uint32_t MatrixTiling::depth(Splitting splitting, bool gate) const {
    const std::uint32_t tiles = gate ? 2 : 1;
    for (const std::uint32_t depth : {32u, 16u}) {
        const std::uint32_t line = (depth / 2 + 4) * 4; // bytes
        const std::uint32_t parts = parts_of_inputs(splitting) + tiles * parts_of_weights(splitting);
        const std::uint32_t sums = threads / subgroup * shape.rows * shape.columns * 4;
        const std::uint32_t scales = (1 + tiles) * group_rows * 8 + 4;
        if (depth % shape.depth == 0 && parts * group_rows * line + sums + scales <= shared_bytes) {
            return depth;
        }
    }
    return 0;
}

std::optional<MatrixTiling> tiling_of(const MatrixShape& shape, std::uint32_t subgroup,
                                      std::uint32_t shared_bytes) {
    const auto divides = [](std::uint32_t part, std::uint32_t whole) {
        return part > 0 && whole % part == 0;
    };
    if (!divides(shape.rows, group_rows) || !divides(shape.columns, group_outputs) ||
        !divides(shape.depth, 32) || shape.depth < 8 || // rows of a fragment begin at multiples of 16 bytes
        !divides(subgroup, threads) || !divides(subgroup, shape.rows * shape.columns)) {
        return {};
    }
    const std::uint32_t rows = group_rows / shape.rows, columns = group_outputs / shape.columns;
    const std::uint32_t subgroups = threads / subgroup;
    if (!divides(subgroups, rows * columns)) {
        return {};
    }
    const std::uint32_t each = rows * columns / subgroups;
    MatrixTiling best{shape, subgroup, 0, 0, shared_bytes};
    for (std::uint32_t down = 1; down <= each; ++down) { // nearly square: least is loaded for most products
        const std::uint32_t across = each / down;
        if (divides(down, each) && divides(down, rows) && divides(across, columns) &&
            (best.down == 0 || down + across < best.down + best.across)) {
            best.down = down;
            best.across = across;
        }
    }
    if (best.down == 0 || best.depth(Splitting::three, true) == 0) {
        return {};
    }
    return best;
}

std::optional<MatrixTiling> best_tiling(const std::vector<MatrixShape>& shapes, std::uint32_t subgroup,
                                        std::uint32_t shared_bytes) {
    std::optional<MatrixTiling> best;
    const auto size = [](const MatrixShape& shape) { return shape.rows * shape.columns * shape.depth; };
    for (const MatrixShape& shape : shapes) {
        const auto tiling = tiling_of(shape, subgroup, shared_bytes);
        if (tiling && (!best || size(shape) > size(best->shape))) {
            best = tiling;
        }
    }
    return best;
}

std::vector<std::uint32_t> MatrixKernel::constants(Splitting splitting, bool gate) const {
    return {tiling.shape.rows,
            tiling.shape.columns,
            tiling.shape.depth,
            tiling.subgroup,
            tiling.down,
            tiling.across,
            tiling.depth(splitting, gate),
            parts_of_inputs(splitting),
            parts_of_weights(splitting),
            wrong};
}

std::optional<Splitting> splitting_of(const Tables& tables, const std::vector<const Linear*>& linears) {
    bool by_name = true, halves = true;
    for (const Linear* linear : linears) {
        const WeightInfo& weight = tables.weights.at(static_cast<std::size_t>(linear->weight.index));
        const Stored stored = stored_as(weight);
        if (linear->rounding != Rounding::bits8 || stored == Stored::q8 || stored == Stored::q4) {
            return {};
        }
        halves = halves && stored != Stored::f32;
        by_name = by_name && weight.run_as == DType::bf16;
    }
    return !halves ? Splitting::three : by_name ? Splitting::one : Splitting::two;
}

bool could_use_matrices(const Tables& tables, const Plan& plan) {
    return plan.max_rows > 1 && std::any_of(plan.ops.begin(), plan.ops.end(), [&](const Op& op) {
               const auto* linear = std::get_if<Linear>(&op.body);
               return linear &&
                      plan.buffers.at(static_cast<std::size_t>(linear->out.index)).extent ==
                          BufferInfo::Extent::rows &&
                      splitting_of(tables, {linear});
           });
}

Matrices::Matrices(const Device& device) {
    const DeviceTraits& traits = device.traits();
    const VulkanOptions& options = device.options();
    use_ = traits.info.matrices;
    has_ = traits.info.has_matrices;
    MatrixKernel kernel;
    std::optional<MatrixTiling> tiling;
    if (options.no_cooperative_matrix && (has_ || options.emulated_matrices)) {
        has_ = true;
        use_ = {.state = MatrixUse::State::switched_off};
        return;
    }
    if (const auto& wanted = options.emulated_matrices) {
        kernel.shader = "matmul_emulated";
        kernel.wrong = wanted->wrong;
        tiling = tiling_of({wanted->rows, wanted->columns, wanted->depth}, wanted->invocations,
                           traits.limits.maxComputeSharedMemorySize);
        if (!tiling || wanted->rows * wanted->columns / wanted->invocations > 8) {
            throw Error(ErrorKind::usage, "such matrices are not emulated");
        }
        has_ = true;
    } else if (has_) {
        tiling =
            best_tiling(traits.matrix_shapes, traits.subgroup_size, traits.limits.maxComputeSharedMemorySize);
    }
    if (tiling) {
        kernel.tiling = *tiling;
        candidate_ = kernel;
        use_ = {.state = MatrixUse::State::untried};
    }
}

const MatrixKernel* Matrices::kernel(Context& context) {
    const std::lock_guard lock(mutex_); // whoever comes second waits for the trial
    if (candidate_ && !tried_) {
        const MatrixTrial trial = try_matrices(context, *candidate_);
        tried_ = true;
        candidate_->used = trial.used;
        use_ = trial.use;
        has_ = std::find(trial.used.begin(), trial.used.end(), true) != trial.used.end();
    }
    return candidate_ && has_ ? &*candidate_ : nullptr;
}

void Matrices::tell(DeviceInfo& info) const {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) { // the window asks, and a trial takes a while
        info.matrices = {.state = MatrixUse::State::being_tried};
        info.has_matrices = false;
        return;
    }
    info.matrices = use_;
    info.has_matrices = has_;
}

} // namespace ergo::vulkan
