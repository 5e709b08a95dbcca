// SPDX-License-Identifier: GPL-3.0-or-later
// Does a checkpoint fit a schema? The report, and the map from roles to tensors once it does.
// Values, immutable after creation, any thread.
#pragma once

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/schema.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ergo {

struct FitReport {
    struct Missing {
        SchemaTensor wanted;
        std::vector<std::string>
            nearest; ///< unclaimed tensors of the file: same shape first, then similar names
    };
    struct Misshaped {
        SchemaTensor wanted;
        Shape found;
    };
    struct Unexpected {
        std::string name;
        Shape shape;
        std::vector<std::string> nearest; ///< missing names: same shape first, then similar names
    };
    struct UnusableType {
        std::string name, stored_type;
    };
    std::vector<Missing> missing;
    std::vector<Unexpected> unexpected;
    std::vector<Misshaped> misshaped;
    std::vector<UnusableType> unusable_dtype;
    std::int64_t file_elements = 0;    ///< all stored tensors
    std::int64_t claimed_elements = 0; ///< all tensors of the schema

    /// An unclaimed tensor means a different forward pass, so it counts unless `allow_unused`.
    bool fits(bool allow_unused = false) const;
    /// Several lines: one verdict, totals, then the first `limit` of each list.
    std::string text(std::size_t limit = 10) const;
};

/// `nearest`: look for similar names too, which takes a while where much is missing.
FitReport fit(const std::vector<SchemaTensor>& claimed, const Checkpoint& checkpoint, bool nearest = true);

class RoleMap {
  public:
    RoleMap() = default;
    /// Throws Error(mismatch) with M-MISSING, M-SHAPE, M-DTYPE or M-EXTRA (the first that applies) and the
    /// report as its text when the checkpoint does not fit. Keeps the weight files mapped through its
    /// tensors.
    RoleMap(const std::vector<SchemaTensor>& claimed, const Checkpoint& checkpoint,
            bool allow_unused = false);

    /// Throws Error(mismatch, M-MISSING) naming the role.
    const Tensor& at(const std::string& role) const;
    std::optional<Tensor> find(const std::string& role) const;
    bool has(const std::string& role) const { return tensors_.contains(role); }
    /// Name in the checkpoint of a role; throws like `at`.
    const std::string& name(const std::string& role) const;
    std::size_t size() const { return tensors_.size(); }

  private:
    struct Item {
        Tensor tensor;
        std::string name;
    };
    std::map<std::string, Item> tensors_;
};

} // namespace ergo
