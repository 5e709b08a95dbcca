// SPDX-License-Identifier: GPL-3.0-or-later
// Names of tensors read as patterns: which number in them counts the layers, and how alike two names are.
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ergo {

/// "h.3.attn.wq" with layers counted by the 3: "h.{l}.attn.wq", layer 3.
struct LayerName {
    std::string pattern;
    std::optional<std::int64_t> layer;
};

/// For each name, in order: a number counts layers when putting any other of 0 … layers - 1 in its place
/// gives another of the names.
std::vector<LayerName> find_layers(const std::vector<std::string>& names, std::int64_t layers);

/// Words of a name ("metric_attention.q_proj" -> metric, attention, q, proj), common abbreviations spelt out.
std::vector<std::string> name_words(const std::string& name);
/// 0 … 1: how many words two names share.
double likeness(const std::string& a, const std::string& b);

/// "a.b.c" up `levels` of its parts: "a.b" for 1.
std::string parent_of(const std::string& name, int levels);

} // namespace ergo
