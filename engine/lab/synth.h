// SPDX-License-Identifier: GPL-3.0-or-later
// Random checkpoints of a published model's exact shape: to size a machine before downloading, and for tests
// whose weights need no file. The numbers depend on the seed and the tensor's name alone. Free functions, any
// thread. Source: MoA specification §6.11.
#pragma once

#include "engine/base/cancel.h"
#include "engine/lab/containers.h"
#include "engine/tensor/tensor.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ergo {

struct SynthRequest {
    std::string like;   ///< a published name such as "DiscoverLM-70M" or "kotodama-108m", whatever its
                        ///< case; empty: `config`
    std::string config; ///< text of a config.json, when `like` is empty
    std::string preset; ///< schema name; empty: the one of `like`, else the family's first
    std::map<std::string, std::string> knobs; ///< semantic knobs over the preset, name to JSON value
    std::uint64_t seed = 1;
    DType dtype = DType::f32; ///< f32, bf16 or f16
    double table_jitter = 0;  ///< disturbs stored rotary tables, to tell them from synthesised ones
};

/// A checkpoint in memory: what would stand in the folder's files.
struct Synthetic {
    std::string config;                                  ///< config.json
    std::string semantics;                               ///< semantics.json; "" where the family has none
    std::vector<std::pair<std::string, Tensor>> tensors; ///< in checkpoint order
};

/// Throws Error(usage) for an unknown name, preset or element type, and what the configuration's reading
/// throws.
Synthetic synthesise(const SynthRequest& request, const Progress& progress = {},
                     const CancelToken& cancel = {});

/// Writes config.json, semantics.json where there is one and model.safetensors into `folder`, made when it is
/// not there. Throws Error(usage) when the folder already holds a model.safetensors, Error(io) on a write
/// error.
void synth(const SynthRequest& request, const std::filesystem::path& folder, const Progress& progress = {},
           const CancelToken& cancel = {});

/// The same with the weights in another container or in several files; what stands beside them is what is
/// published beside such a file (nothing beside GGUF and beside Kotodama's .pt). `folder` is new or empty.
/// Throws too as write_container.
void synth(const SynthRequest& request, const ContainerRequest& stored, const std::filesystem::path& folder,
           const Progress& progress = {}, const CancelToken& cancel = {});

/// The element type that a model of that name was published in; f32 for a config.json of one's own.
DType synth_dtype(const SynthRequest& request);

/// What is odd about the shape of that name, or guessed; "" for nothing.
std::string synth_note(const std::string& like);

/// Names that SynthRequest::like may have.
std::vector<std::string> synth_names();

} // namespace ergo
