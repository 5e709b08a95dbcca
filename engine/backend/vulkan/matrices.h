// SPDX-License-Identifier: GPL-3.0-or-later
// Cooperative matrices for the products of prompts: how shaders/matmul_tiles.glsl is laid out for what a
// device offers, and whether it is used, which a device has to earn: the kernel's numbers must be those of
// the plain one and it must be faster, both tried on the device itself when the first prompt that it is for
// is prepared. Any thread.
#pragma once

#include "engine/backend/plan.h"
#include "engine/backend/vulkan/device.h"

#include <array>
#include <mutex>
#include <optional>
#include <vector>

namespace ergo::vulkan {

struct Context;

/// Into how many products of 16-bit floats a product is split: inputs rounded to 11 bits, for weights that
/// were asked for in bf16 where 8 bits of inputs are enough; inputs in two parts, for weights of 16 bits;
/// both in two.
enum class Splitting : std::uint8_t { one, two, three };
inline constexpr std::size_t splittings = 3;

/// How the kernel shares out its work: the constants of shaders/matmul_fragments.glsl.
struct MatrixTiling {
    MatrixShape shape;
    std::uint32_t subgroup = 0;         ///< invocations that hold a fragment
    std::uint32_t down = 0, across = 0; ///< fragments of sums of a subgroup
    std::uint32_t shared_bytes = 0;     ///< of a workgroup, that there are

    /// Inputs in shared memory at a time; 0: there is no room.
    std::uint32_t depth(Splitting splitting, bool gate) const;
};
/// Nothing where `shape` does not fit the kernel's workgroups.
std::optional<MatrixTiling> tiling_of(const MatrixShape& shape, std::uint32_t subgroup,
                                      std::uint32_t shared_bytes);
/// The largest of `shapes` that fits.
std::optional<MatrixTiling> best_tiling(const std::vector<MatrixShape>& shapes, std::uint32_t subgroup,
                                        std::uint32_t shared_bytes);

struct MatrixKernel {
    const char* shader = "matmul_coop";
    MatrixTiling tiling;
    bool wrong = false; ///< on purpose (EmulatedMatrices)
    std::array<bool, splittings> used{};

    /// Behind those of shaders/linear.glsl.
    std::vector<std::uint32_t> constants(Splitting splitting, bool gate) const;
};

/// How a product by `linears`, which share their input, is split; nothing: their weights are in whole numbers
/// or their plan wants more than 8 bits of inputs (a router's paths, gravity's queries and keys), and it is
/// computed otherwise.
std::optional<Splitting> splitting_of(const Tables& tables, const std::vector<const Linear*>& linears);
/// Whether a step of `plan` has such a product for several rows.
bool could_use_matrices(const Tables& tables, const Plan& plan);

class Matrices {
  public:
    explicit Matrices(const Device& device);

    /// The kernel, tried when it is asked for first; null: it is not used.
    const MatrixKernel* kernel(Context& context);
    /// Sets `matrices` and `has_matrices`.
    void tell(DeviceInfo& info) const;

  private:
    mutable std::mutex mutex_;
    std::optional<MatrixKernel> candidate_;
    bool tried_ = false, has_ = false;
    MatrixUse use_;
};

/// Whether `kernel` computes what the plain kernel does, and for which splittings it is faster.
struct MatrixTrial {
    std::array<bool, splittings> used{};
    MatrixUse use;
};
MatrixTrial try_matrices(Context& context, MatrixKernel kernel);

} // namespace ergo::vulkan
