// SPDX-License-Identifier: GPL-3.0-or-later
// An opened model: its tensors as views of the mapped weight files, and the small files beside them.
// Immutable after `open`, shared by pointer, any thread. Opening reads headers only, whatever the size.
#pragma once

#include "engine/base/cancel.h"
#include "engine/checkpoint/attachment.h"
#include "engine/checkpoint/typed_metadata.h"
#include "engine/tensor/tensor.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

class Error;
struct TorchFile;

/// Bytes of config.json, semantics.json and generation_config.json that are read, each. The largest real ones
/// name the 21,843 classes of an image model twice (2 MB) or list every token of a vocabulary (10 MB with a
/// line of its own for each of three brackets). One text of this size, which a tree holds several times while
/// it is read, stays within what README.md says that a file may take.
inline constexpr std::uint64_t most_settings_bytes = std::uint64_t{16} << 20;

class Checkpoint {
  public:
    /// A stored tensor that no Tensor can hold (F8, F4, C64 …): shown, never run.
    struct Unreadable {
        std::string stored_type; ///< "F8_E4M3"
        Shape shape;
    };

    /// `model`: a folder (searched two levels deep), one weight file or one of its shards, an *.index.json,
    /// or the config.json beside them. Every container and its codes: README.md here; beyond those SI-MAP,
    /// SI-PATH, SI-SHARD-MISSING, SI-TENSOR, SI-DUPLICATE, F-JSON, F-IO, F-UNKNOWN, F-UNSUPPORTED,
    /// F-AMBIGUOUS. Only compressed files take time: for them progress is told and cancelling stops
    /// (Error(cancelled)).
    static std::shared_ptr<const Checkpoint>
    open(const std::filesystem::path& model, const Progress& progress = {}, const CancelToken& cancel = {});
    /// A model compiled into the program; `prefix` such as "demo/moa/". Throws Error(usage) when there is
    /// none.
    static std::shared_ptr<const Checkpoint> open_embedded(std::string_view prefix);

    /// The same weights with files from other places instead of those beside them. The checkpoint itself when
    /// there are none. Throws Error(io, F-IO) for a file that is not there, Error(usage) for two of one kind.
    static std::shared_ptr<const Checkpoint> with(std::shared_ptr<const Checkpoint> checkpoint,
                                                  const std::vector<Attachment>& attachments);

    /// A checkpoint that stands in no file: generated weights for self-checks.
    static std::shared_ptr<const Checkpoint>
    from_tensors(std::string config_json, std::string semantics_json,
                 const std::vector<std::pair<std::string, Tensor>>& tensors);

    const std::map<std::string, Tensor>& tensors() const { return tensors_; }
    const std::map<std::string, Unreadable>& unreadable() const { return unreadable_; }
    bool has(const std::string& name) const { return tensors_.contains(name); }
    /// Throws Error(mismatch, M-MISSING), or Error(unsupported, M-DTYPE) for an unreadable one.
    const Tensor& tensor(const std::string& name) const;
    /// Names of all stored tensors, unreadable ones included, in file order (shards in the order of their
    /// names).
    const std::vector<std::string>& order() const { return order_; }
    /// What the weight files say about themselves (`__metadata__`, numbers beside a state dict), merged.
    const std::map<std::string, std::string>& metadata() const { return metadata_; }

    /// The metadata of a container that has typed values (GGUF), empty for others. Views of the mapped file.
    const TypedMetadata& typed_metadata() const { return typed_metadata_; }

    /// Text of config.json or semantics.json; "" when there is none.
    const std::string& config_json() const { return config_json_; }
    const std::string& semantics_json() const { return semantics_json_; }
    /// Text of a small file beside the weights (tokenizer.json, tokenizer_config.json,
    /// generation_config.json, chat_template.jinja, vocab.json, merges.txt, special_tokens_map.json,
    /// added_tokens.json, README.md …; a bare name), read now; nullopt when there is none. Throws
    /// Error(resources, F-TOO-LARGE) beyond 64 MiB (tokenizer.json: 256 MiB; settings: most_settings_bytes).
    std::optional<std::string> side_file(const std::string& name) const;
    /// The files with `extension` (".jinja") in the folder `name` beside the weights, by name; none when
    /// there is no such folder. Throws Error(io, F-IO) when it or one of them is a link out of the model's
    /// folder.
    std::vector<std::filesystem::path> side_folder(const std::string& name, const char* extension) const;
    /// Would it be read? Looks at names only.
    bool has_side_file(const std::string& name) const;
    /// A PyTorch file beside the weights (gravity_mass_log.pt; a bare name), read now as data (torch_file.h);
    /// nullopt when there is none. Throws Error with the codes of read_torch_file.
    std::optional<TorchFile> side_torch_file(const std::string& name) const;

    /// What was given to `with`.
    const std::vector<Attachment>& attachments() const { return attachments_; }
    /// Is a file of this kind used from another place?
    bool attached(AttachmentKind kind) const;
    /// A small file's name as it lies on the disk, safe to show: an attached one may be called otherwise.
    std::string side_name(const std::string& name) const;

    /// Folder of the weights; empty for an embedded model.
    const std::filesystem::path& folder() const { return folder_; }
    /// What `open` was given, for "open recent"; "embedded:demo/moa/" for an embedded model.
    const std::string& source() const { return source_; }
    /// Name to show: the folder's, or the file's without its extension.
    const std::string& display_name() const { return display_name_; }
    /// Names of the weight files.
    const std::vector<std::string>& weight_files() const { return weight_files_; }
    /// Bytes of all stored tensors.
    std::uint64_t weight_bytes() const { return weight_bytes_; }
    /// Elements of all stored tensors (a tied copy that is not stored is not counted).
    std::int64_t parameter_count() const { return parameter_count_; }
    /// False when shards are missing and only what is there could be opened (see `warnings`).
    bool complete() const { return complete_; }
    /// Sentences about things that are odd but harmless.
    const std::vector<std::string>& warnings() const { return warnings_; }
    /// Throws what speaks against running a model that can be looked into: a GGUF file with an architecture
    /// (F-ARCH) or a tensor type (GG-TYPE) that is only known by name.
    void check_runnable() const;
    /// Throws Error(io, F-IO) when a weight file has been shortened, changed or damaged since it was opened;
    /// asks the file system.
    void check_unchanged() const;
    /// Throws Error(io, F-IO) when bytes of a weight file were missing while somebody read them
    /// (mapping_guard.h). Cheap enough for every step of a session.
    void check_undamaged() const;

  private:
    friend class CheckpointBuilder;
    Checkpoint() = default;
    /// Throws Error(io, F-IO) when `file` is a link out of the folder that was opened.
    void require_inside(const std::filesystem::path& file) const;

    std::map<std::string, Tensor> tensors_;
    std::map<std::string, Unreadable> unreadable_;
    std::vector<std::string> order_;
    std::map<std::string, std::string> metadata_,
        contained_; // contained_: small files inside the weight files
    std::string config_json_, semantics_json_, source_, display_name_, embedded_prefix_;
    std::filesystem::path folder_;
    std::vector<std::filesystem::path> roots_; // canonical: links lead nowhere else
    std::vector<std::filesystem::path> above_; // from the weights' folder up to the one that was opened
    std::vector<Attachment> attachments_;
    std::map<std::string, std::optional<std::filesystem::path>> elsewhere_; // side files of the attachments
    TypedMetadata typed_metadata_;
    std::vector<std::string> weight_files_, warnings_;
    std::vector<std::shared_ptr<const class MappedFile>> mappings_;
    std::uint64_t weight_bytes_ = 0;
    std::int64_t parameter_count_ = 0;
    bool complete_ = true;
    std::shared_ptr<const Error> refusal_;
};

} // namespace ergo
