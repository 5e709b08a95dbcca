// SPDX-License-Identifier: GPL-3.0-or-later
// The observables of a MoA model, by name, with what answers those that no buffer holds.
// Built once when a model is opened, then immutable. Source: MoA specification §6.8.
#pragma once

#include "engine/model/moa/layout.h"
#include "engine/model/observable.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace ergo::moa {

/// What stands behind an observable that is not read from a buffer.
struct Backing {
    ParamId param;             ///< source `param`
    std::int32_t mixture = -1; ///< index into Layout::mixtures()
    bool mqa = false;          ///< which attention of the mixture
};

struct Catalogue {
    std::vector<Observable> observables;
    std::vector<Backing> backing; ///< one an observable
    std::unordered_map<std::string, std::int32_t> by_name;
};

Catalogue make_catalogue(const Layout& layout);

/// The attention a backing names.
const AttentionPart& attention_of(const Layout& layout, const Backing& backing);

/// Heads that see different geometries: rows of ti_violation.
std::int64_t geometries(const AttentionPart& attention, const Tables& tables);

} // namespace ergo::moa
