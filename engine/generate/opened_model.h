// SPDX-License-Identifier: GPL-3.0-or-later
// Everything that is open when a model is open: checkpoint, model, tokenizer, chat format, backend, weights
// on it. Immutable after open; shared by sessions and windows.
#pragma once

#include "engine/backend/backend.h"
#include "engine/backend/diagnostics.h"
#include "engine/base/error.h"
#include "engine/generate/backend_choice.h"
#include "engine/generate/chat_format.h"
#include "engine/generate/generation_defaults.h"
#include "engine/generate/memory_plan.h"
#include "engine/model/model.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace ergo {

struct OpenModelOptions {
    std::string backend = "auto"; ///< auto, cpu, vulkan, vulkan:N, hybrid, vulkan:N+cpu, cpu+vulkan:N
    int threads = 0;              ///< 0: one a core
    bool pin = false;             ///< the CPU's threads stay on a processor of their own while they compute
    std::int64_t context = 0;     ///< 0: the model's own, or the longest there is memory for
    bool watched = false;         ///< lenses will look: their memory counts
    /// A tokenizer, a chat template, gravity masses from another place (attachment.h).
    std::vector<Attachment> attachments{};
    /// What open_checkpoint gave for the same source, so that a compressed file is decompressed once; null:
    /// opened now.
    std::shared_ptr<const Checkpoint> checkpoint{};
    OpenOptions model;
    Diagnostics diagnostics;
    /// Receives what the validation layer says, from any thread that uses the backend.
    std::function<void(const std::string& message)> on_validation;
};

struct OpenedModel {
    std::string source; ///< what was asked for: a path or "demo:moa"
    std::shared_ptr<const Checkpoint> checkpoint;
    std::shared_ptr<const Model> model;
    std::shared_ptr<const Tokenizer> tokenizer; ///< null: the checkpoint has none
    std::optional<ChatFormat> chat;             ///< set when there is a tokenizer
    GenerationDefaults defaults;                ///< what generation_config.json advises
    std::string card;                           ///< the model's README, if it has one
    OpenModelOptions options;                   ///< as it was opened
    BackendChoice choice;                       ///< the backend's name, and why this one
    std::shared_ptr<Backend> backend;
    std::shared_ptr<LoadedModel> loaded;
    /// The same model on the backend that writes, where another one reads prompts (engine/generate/hybrid.h);
    /// null: one does both.
    std::shared_ptr<const OpenedModel> writer{};
    std::int64_t context = 0;       ///< positions a session gets
    MemoryPlan memory;              ///< what it takes
    std::vector<std::string> notes; ///< sentences about what was decided while opening
};

/// Names of the embedded demo models, "demo:moa" first.
std::vector<std::string> demo_models();

/// "demo:NAME", a folder, a weights file or an index file; headers only, but compressed files are
/// decompressed first, which takes time. Throws Error.
std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& source, const Progress& progress = {},
                                                  const CancelToken& cancel = {});

/// Tokenizer that is attached, in the weight file or beside it; or null.
std::shared_ptr<const Tokenizer> open_tokenizer(const Checkpoint& checkpoint);
/// Is there anything that `open_tokenizer` would read? Looks at names only.
bool has_tokenizer(const Checkpoint& checkpoint);

/// The same for a model, whose embedding must have a row for every token of the vocabulary. Added tokens
/// beyond them are only told of, in `notes`: no text has to hold one. Throws Error(mismatch, TK-SIZE).
std::shared_ptr<const Tokenizer> open_tokenizer(const Checkpoint& checkpoint, const ModelInfo& info,
                                                std::vector<std::string>& notes);

/// Opens everything. Throws Error. `progress` is called from this thread.
std::shared_ptr<const OpenedModel> open_all(const std::string& source, const OpenModelOptions& options,
                                            const Progress& progress, const CancelToken& cancel);

/// Where a model shall run.
struct BackendWish {
    std::string backend; ///< as OpenModelOptions::backend
    Diagnostics diagnostics{};
};

/// The same model with the same context on another backend: its weights are loaded there, nothing else is
/// done again. `why` becomes the reason of the choice; empty: that of choosing, or of having been named.
std::shared_ptr<const OpenedModel> open_elsewhere(const OpenedModel& opened, const BackendWish& wish,
                                                  const std::string& why, const Progress& progress,
                                                  const CancelToken& cancel);

/// "auto" (whatever GPU there is, as no model is asked about), "cpu", "vulkan" (any device, GPUs first),
/// "vulkan:N". Of `options` the threads and what concerns devices count. Throws Error(usage or device).
std::shared_ptr<Backend> make_backend(const std::string& name, const OpenModelOptions& options);
std::shared_ptr<Backend> make_backend(const std::string& name, int threads);

/// What "auto" means for a model with `context` positions, which a smaller one may replace unless it is
/// fixed; as far as it is known before anything is loaded and measured.
BackendChoice choose_auto(const MemoryPlanner& planner, const Tables& tables, std::int64_t context,
                          const OpenModelOptions& options, bool fixed_context);

/// Whether an error of a backend is its device's or driver's, so that another backend may do better.
bool is_device_failure(const Error& error);

/// What runs the model: "llvmpipe", or of a pair "llvmpipe reads, AMD EPYC writes".
std::string device_text(const OpenedModel& opened);

/// What opening has rounded weights, keys and values to; empty: they are as the checkpoint and f32 have them.
struct Roundings {
    std::string weights, cache; ///< "q8"
};
Roundings roundings_of(const OpenedModel& opened);
/// "f32", or "f32, weights rounded to q8, keys and values rounded to bf16".
std::string precision_text(const OpenedModel& opened);

/// Every device found, the CPU first.
std::vector<DeviceInfo> all_devices();

} // namespace ergo
