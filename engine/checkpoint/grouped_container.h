// SPDX-License-Identifier: GPL-3.0-or-later
// Matrices of whole numbers in a safetensors file: engine/checkpoint/README.md describes it byte by byte.
// Free functions, any thread.
#pragma once

#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/weight_file.h"

#include <map>
#include <string>

namespace ergo {

/// Version of the layout that is written and the newest that is read.
inline constexpr int grouped_version = 1;
/// Members of `__metadata__`.
inline constexpr const char* grouped_key = "ergosphere.weights"; // "q8" or "q4"
inline constexpr const char* grouped_version_key = "ergosphere.weights.version";
/// What rounding cost, measured when it was written: mean divergence (nats) and largest difference of logits
/// from the original over this many tokens of a fixed text. Numbers as text; absent when not measured.
inline constexpr const char* quantised_divergence_key = "ergosphere.weights.mean_kl";
inline constexpr const char* quantised_difference_key = "ergosphere.weights.largest_logit_difference";
inline constexpr const char* quantised_tokens_key = "ergosphere.weights.measured_tokens";
/// What belongs to the matrix NAME lies in NAME + these.
inline constexpr const char* grouped_scale = ".scale";
inline constexpr const char* grouped_minimum = ".minimum";

/// True when the file says that it holds such matrices.
bool is_grouped_container(const SafetensorsFile& file);

/// Its tensors, scales and minimums put together with their numbers. Throws Error(unsupported, GQ-VERSION)
/// for a newer version, Error(format, GQ-TENSOR) when numbers, scales and minimums do not belong together.
std::vector<WeightEntry> grouped_entries(const SafetensorsFile& file);

} // namespace ergo
