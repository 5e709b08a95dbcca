// SPDX-License-Identifier: GPL-3.0-or-later
// Observables: what a model lets a caller see, by name "{stage}.[{site}.]{quantity}". The same names serve
// taps, traces, interventions and figures. Plain data, immutable.
#pragma once

#include "engine/tensor/tensor.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

/// How the numbers come about, which decides how a reader gets them.
enum class ObservableSource : std::uint8_t {
    buffer,     ///< a row-wise quantity of the forward pass: [n, …]
    pair_row,   ///< rows of a pair map: [heads, n, n]
    param,      ///< read from the parameters: [heads], [heads, dim]
    positional, ///< a function of the position: Model::positional
    state,      ///< derived from the remembered keys when the pass is over
};

struct Observable {
    std::string name;     ///< "layers.0.metric_attention.attention"
    std::string stage;    ///< "layers.0"
    std::string site;     ///< "metric_attention", may be empty
    std::string quantity; ///< "attention"
    ObservableSource source = ObservableSource::buffer;
    /// Shape with -1 for the number of tokens: {heads, -1, -1}, {-1, 4}, {heads}.
    Shape shape;
    std::string unit;       ///< "weight", "distance", "share", "nats", "" (dimensionless)
    bool integral = false;  ///< written as uint8 (kept masks)
    bool by_default = true; ///< part of a trace that names nothing; false for quantities made for lenses only
};

/// Shell-style match: * and ? (never special for '.'), case-sensitive.
bool glob_match(std::string_view pattern, std::string_view name);

/// Indices of the observables that match one of `patterns`, in order. Throws Error(usage) for a pattern that
/// matches nothing, naming the nearest name.
std::vector<std::int32_t> match_observables(std::span<const Observable> all,
                                            std::span<const std::string> patterns);

/// The index of `name`, or -1.
std::int32_t find_observable(std::span<const Observable> all, std::string_view name);

} // namespace ergo
