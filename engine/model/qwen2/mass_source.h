// SPDX-License-Identifier: GPL-3.0-or-later
// Where a checkpoint keeps its gravity masses: a file beside the weights, or tensors among them. Values, any
// thread. Source: Gravity-2 specification §4 and §5.
#pragma once

#include "engine/checkpoint/torch_value.h"
#include "engine/model/qwen2/masses.h"

#include <string>
#include <vector>

namespace ergo::qwen2 {

struct MassSource {
    std::string origin; ///< the file's name, or the first tensor's; "" when there are no masses
    std::vector<MassArray> file, kept; ///< of the file; among the weights
    bool has_file = false;             ///< also when nothing in it is an array
    std::vector<float> raw;            ///< [layers, heads] after read(), else empty

    bool found() const { return !origin.empty(); }
    /// Fills `raw`. The file wins; a disagreement with the weights is added to `problems`. Throws as
    /// read_masses.
    void read(const MassShape& shape, std::vector<std::string>& problems);
};

/// The arrays below `root` with the keys on the way; a list of numbers is a vector.
std::vector<MassArray> arrays_in(const TorchValue& root);

/// Looks beside and among the weights. Throws Error(format) for a mass file that is damaged.
MassSource find_masses(const Checkpoint& checkpoint);

} // namespace ergo::qwen2
