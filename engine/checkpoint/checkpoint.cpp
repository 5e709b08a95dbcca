// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/checkpoint.h"

#include "engine/base/embedded.h"
#include "engine/base/error.h"
#include "engine/base/strict_json.h"
#include "engine/checkpoint/gguf_weights.h"
#include "engine/checkpoint/locate.h"
#include "engine/checkpoint/mapped_file.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/shard_index.h"
#include "engine/checkpoint/torch_file.h"
#include "engine/checkpoint/torch_weights.h"
#include "engine/checkpoint/weight_file.h"

#include <algorithm>

namespace ergo {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t side_file_limit = std::uint64_t{64} << 20;
constexpr std::uint64_t tokenizer_limit = std::uint64_t{256} << 20;

std::uint64_t limit_of(const std::string& side_file) {
    const bool settings =
        side_file == "config.json" || side_file == "semantics.json" || side_file == "generation_config.json";
    return side_file == "tokenizer.json" ? tokenizer_limit : settings ? most_settings_bytes : side_file_limit;
}

std::string first_of(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < names.size() && i < 10; ++i) {
        text += (i ? ", " : "") + printable(names[i]);
    }
    return names.size() > 10 ? text + " and " + std::to_string(names.size() - 10) + " more" : text;
}

std::string title_of(const fs::path& path) {
    return printable(path.filename().string());
}

void require_bare(const std::string& name) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos) {
        throw Error(ErrorKind::usage, "'" + printable(name) + "' is not a bare file name.");
    }
}

/// The folders above the weights' up to and with the one that was opened; none where a file was.
std::vector<fs::path> folders_between(fs::path folder, const fs::path& opened) {
    std::vector<fs::path> above;
    std::error_code failed;
    if (!fs::is_directory(opened, failed)) {
        return above;
    }
    constexpr std::size_t depth = 2; // as locate_weights searches
    while (above.size() < depth && folder.has_parent_path() && !fs::equivalent(folder, opened, failed)) {
        folder = folder.parent_path();
        above.push_back(folder);
    }
    return above;
}

/// Where links may lead: below the folder that was opened; for a file that was opened by its name, beside it
/// and, when it is a link itself, beside what it leads to.
std::vector<fs::path> roots_of(const fs::path& opened) {
    std::error_code failed;
    const fs::path whole = fs::canonical(opened, failed);
    if (fs::is_directory(whole, failed)) {
        return {whole};
    }
    const fs::path folder = opened.has_parent_path() ? opened.parent_path() : fs::path(".");
    return {fs::canonical(folder, failed), whole.parent_path()};
}

} // namespace

/// Fills a Checkpoint; the only one who can change it.
class CheckpointBuilder {
  public:
    CheckpointBuilder() : checkpoint_(new Checkpoint) {}

    std::shared_ptr<const Checkpoint> from_path(const fs::path& model, const Progress& progress,
                                                const CancelToken& cancel) {
        const WeightSet set = locate_weights(model);
        if (!set.index.empty()) {
            index_ = read_shard_index(set.index);
        }
        Checkpoint& c = *checkpoint_;
        c.folder_ = set.folder;
        c.roots_ = roots_of(model);
        c.above_ = folders_between(set.folder, model);
        c.source_ = model.string();
        c.display_name_ = set.display_name;
        if (!set.missing.empty()) {
            c.complete_ = false;
            c.warnings_.push_back("The model is incomplete: " + std::to_string(set.missing.size()) +
                                  " of its files are missing (" + first_of(set.missing) + ").");
        }
        if (set.files.size() > 1 && sniff(map_file(set.files[0])->bytes()) == FileKind::gguf) {
            add_gguf_parts(set.files);
        } else {
            for (const fs::path& file : index_ ? shards_of_index(set.folder) : set.files) {
                add(read_weight_file(map_file(file), progress, cancel));
            }
        }
        if (index_) {
            check_index(set.index);
        }
        return finish();
    }

    std::shared_ptr<const Checkpoint> from_embedded(std::string_view prefix) {
        Checkpoint& c = *checkpoint_;
        c.embedded_prefix_ = prefix;
        c.source_ = "embedded:" + c.embedded_prefix_;
        const fs::path path = fs::path(prefix).lexically_normal();
        c.display_name_ = title_of(path.has_filename() ? path : path.parent_path());
        for (const EmbeddedFile& file : embedded_below(prefix)) {
            if (file.path.ends_with(".safetensors")) {
                add(weights_of(read_safetensors(file.bytes, nullptr, title_of(fs::path(file.path)))));
            }
        }
        if (c.weight_files_.empty()) {
            throw Error(ErrorKind::usage, "this program contains no model '" + printable(prefix) + "'.");
        }
        return finish();
    }

    std::shared_ptr<const Checkpoint>
    from_tensors(std::string config, std::string semantics,
                 const std::vector<std::pair<std::string, Tensor>>& tensors) {
        Checkpoint& c = *checkpoint_;
        c.embedded_prefix_ = c.source_ = "generated:"; // no file stands beside it
        c.display_name_ = "generated";
        c.config_json_ = std::move(config);
        c.semantics_json_ = std::move(semantics);
        for (const auto& [name, tensor] : tensors) {
            c.order_.push_back(name);
            c.weight_bytes_ += tensor.byte_size();
            c.parameter_count_ += tensor.size();
            c.tensors_.emplace(name, tensor);
        }
        return checkpoint_;
    }

  private:
    /// Their names depend on the first one's metadata, so they are read together.
    void add_gguf_parts(const std::vector<fs::path>& files) {
        std::vector<std::shared_ptr<const MappedFile>> parts;
        for (const fs::path& file : files) {
            parts.push_back(map_file(file));
        }
        for (WeightFile& part : gguf_weights(parts)) {
            add(std::move(part));
        }
    }

    std::shared_ptr<const Checkpoint> finish() {
        Checkpoint& c = *checkpoint_;
        c.config_json_ = c.side_file("config.json").value_or("");
        c.semantics_json_ = c.side_file("semantics.json").value_or("");
        look_at("config.json", c.config_json_);
        look_at("semantics.json", c.semantics_json_);
        return checkpoint_;
    }

    /// Only warns: what needs no settings can be done without them, and what needs them reads them again.
    void look_at(const char* name, const std::string& text) {
        std::vector<std::string> repeated;
        try {
            if (!text.empty()) {
                check_side_json(text, name, &repeated);
            }
        } catch (const Error& error) {
            checkpoint_->warnings_.emplace_back(error.what());
        }
        if (!repeated.empty()) {
            checkpoint_->warnings_.push_back(std::string(name) + " has members more than once (" +
                                             first_of(repeated) + "); the last one of each counts.");
        }
    }

    std::vector<fs::path> shards_of_index(const fs::path& folder) const {
        std::vector<std::string> absent;
        std::vector<fs::path> files;
        for (const std::string& shard : index_->shards) {
            std::error_code ignored;
            files.push_back(folder / shard);
            if (!fs::is_regular_file(files.back(), ignored)) {
                absent.push_back(shard);
            }
        }
        if (!absent.empty()) {
            throw Error(
                ErrorKind::format,
                std::to_string(absent.size()) + " of " + std::to_string(files.size()) +
                    " weight files are missing: " + first_of(absent) + ".",
                {.code = "SI-SHARD-MISSING",
                 .file = index_->file_name,
                 .advice = "Put them beside the index; a single shard can be opened for inspection."});
        }
        for (const fs::path& file : files) {
            checkpoint_->require_inside(file);
        }
        return files;
    }

    void add(WeightFile file) {
        Checkpoint& c = *checkpoint_;
        c.weight_files_.push_back(file.file_name);
        c.metadata_.merge(file.metadata);
        c.contained_.merge(file.side_files);
        if (!file.typed_metadata.empty()) {
            c.typed_metadata_ = std::move(file.typed_metadata);
        }
        c.warnings_.insert(c.warnings_.end(), file.warnings.begin(), file.warnings.end());
        if (file.refusal && !c.refusal_) {
            c.refusal_ = std::make_shared<const Error>(*file.refusal);
        }
        c.mappings_.insert(c.mappings_.end(), file.mappings.begin(), file.mappings.end());
        c.order_.reserve(c.order_.size() + file.entries.size());
        auto hint = c.tensors_.end(); // many files are sorted by name
        for (WeightEntry& entry : file.entries) {
            const std::size_t known = c.tensors_.size() + c.unreadable_.size();
            c.order_.push_back(entry.name);
            c.weight_bytes_ += entry.bytes;
            if (!entry.second_name) {
                // a sum that leaves 63 bits needs sub-byte types and more data than any disk holds
                c.parameter_count_ += element_count(entry.shape);
            }
            if (entry.tensor && !c.unreadable_.contains(entry.name)) {
                hint = c.tensors_.emplace_hint(hint, std::move(entry.name), std::move(*entry.tensor));
                ++hint;
            } else if (!entry.tensor && !c.tensors_.contains(entry.name)) {
                c.unreadable_.emplace(
                    std::move(entry.name),
                    Checkpoint::Unreadable{std::move(entry.stored_type), std::move(entry.shape)});
            }
            if (c.tensors_.size() + c.unreadable_.size() == known) {
                twice(c.order_.back(), file.file_name);
            }
        }
        files_end_.push_back(c.order_.size());
    }

    [[noreturn]] void twice(const std::string& name, const std::string& file) const {
        const Checkpoint& c = *checkpoint_;
        const auto first =
            static_cast<std::size_t>(std::find(c.order_.begin(), c.order_.end(), name) - c.order_.begin());
        const auto owner = std::upper_bound(files_end_.begin(), files_end_.end(), first) - files_end_.begin();
        throw Error(ErrorKind::format,
                    "the tensor is stored in two files, " + c.weight_files_[static_cast<std::size_t>(owner)] +
                        " and " + file + ".",
                    {.code = "SI-DUPLICATE",
                     .tensor = printable(name),
                     .advice = "Keep only the files of one model in the folder."});
    }

    /// Which weight file each tensor came from.
    std::map<std::string_view, std::size_t> owners() const {
        std::map<std::string_view, std::size_t> out;
        for (std::size_t file = 0, at = 0; file < files_end_.size(); ++file) {
            for (; at < files_end_[file]; ++at) {
                out.emplace(checkpoint_->order_[at], file);
            }
        }
        return out;
    }

    void check_index(const fs::path& path) {
        Checkpoint& c = *checkpoint_;
        std::vector<std::string> misplaced;
        std::size_t claimed = 0;
        const auto owner = owners();
        for (const auto& [tensor, shard] : index_->map) {
            auto found = owner.find(tensor);
            if (found == owner.end()) { // PyTorch files lose their wrappers' prefixes when they are read
                found = owner.find(without_wrapper_prefixes(tensor));
            }
            if (found == owner.end() || c.weight_files_[found->second] != printable(index_->shards[shard])) {
                misplaced.push_back(tensor);
            } else {
                ++claimed;
            }
        }
        if (!misplaced.empty()) {
            throw Error(
                ErrorKind::format,
                std::to_string(misplaced.size()) +
                    " tensors are not in the file the index names: " + first_of(misplaced) + ".",
                {.code = "SI-TENSOR",
                 .file = title_of(path),
                 .advice = "Index and weight files belong to different versions; download them together."});
        }
        if (claimed < owner.size()) {
            c.warnings_.push_back(std::to_string(owner.size() - claimed) +
                                  " tensors in the weight files are not listed in the index.");
        }
        if (index_->total_size && *index_->total_size != c.weight_bytes_) {
            c.warnings_.push_back("SI-TOTAL: the index declares " + std::to_string(*index_->total_size) +
                                  " bytes, the weight files hold " + std::to_string(c.weight_bytes_) + ".");
        }
    }

    std::shared_ptr<Checkpoint> checkpoint_;
    std::optional<ShardIndex> index_;
    std::vector<std::size_t> files_end_; // of each weight file's tensors among Checkpoint::order_
};

std::shared_ptr<const Checkpoint> Checkpoint::open(const std::filesystem::path& model,
                                                   const Progress& progress, const CancelToken& cancel) {
    return CheckpointBuilder().from_path(model, progress, cancel);
}

std::shared_ptr<const Checkpoint> Checkpoint::open_embedded(std::string_view prefix) {
    return CheckpointBuilder().from_embedded(prefix);
}

std::shared_ptr<const Checkpoint>
Checkpoint::from_tensors(std::string config_json, std::string semantics_json,
                         const std::vector<std::pair<std::string, Tensor>>& tensors) {
    return CheckpointBuilder().from_tensors(std::move(config_json), std::move(semantics_json), tensors);
}

std::shared_ptr<const Checkpoint> Checkpoint::with(std::shared_ptr<const Checkpoint> checkpoint,
                                                   const std::vector<Attachment>& attachments) {
    if (attachments.empty() && checkpoint->attachments_.empty()) {
        return checkpoint;
    }
    std::shared_ptr<Checkpoint> changed(new Checkpoint(*checkpoint));
    changed->attachments_.clear();
    changed->elsewhere_.clear();
    // A chat template given by itself wins over the one that lies beside a tokenizer.
    for (const bool templates : {false, true}) {
        for (const Attachment& attachment : attachments) {
            if ((attachment.kind == AttachmentKind::chat_template) != templates) {
                continue;
            }
            if (changed->attached(attachment.kind)) {
                throw Error(ErrorKind::usage, "two files of one kind are attached.",
                            {.file = title_of(attachment.file), .advice = "Attach one of them."});
            }
            for (auto& [name, path] : side_files_of(attachment)) {
                changed->elsewhere_[name] = path;
            }
            changed->attachments_.push_back(attachment);
        }
    }
    return changed;
}

bool Checkpoint::attached(AttachmentKind kind) const {
    return std::any_of(attachments_.begin(), attachments_.end(),
                       [&](const Attachment& attachment) { return attachment.kind == kind; });
}

std::string Checkpoint::side_name(const std::string& name) const {
    const auto found = elsewhere_.find(name);
    return found != elsewhere_.end() && found->second ? title_of(*found->second) : printable(name);
}

const Tensor& Checkpoint::tensor(const std::string& name) const {
    if (const auto found = tensors_.find(name); found != tensors_.end()) {
        return found->second;
    }
    if (const auto found = unreadable_.find(name); found != unreadable_.end()) {
        throw Error(ErrorKind::unsupported,
                    "values of type " + found->second.stored_type + " cannot be used here.",
                    {.code = "M-DTYPE",
                     .tensor = printable(name),
                     .advice = "Export the model as F32, F16 or BF16."});
    }
    throw Error(ErrorKind::mismatch,
                "the model has no such tensor among its " + std::to_string(order_.size()) + ".",
                {.code = "M-MISSING", .tensor = printable(name)});
}

void Checkpoint::check_runnable() const {
    if (refusal_) {
        throw *refusal_;
    }
}

void Checkpoint::require_inside(const fs::path& file) const {
    const bool inside = std::any_of(roots_.begin(), roots_.end(),
                                    [&](const fs::path& root) { return is_inside(file, root); });
    std::error_code ignored;
    if (!inside && fs::is_symlink(file, ignored)) {
        throw Error(
            ErrorKind::io, "this is a link out of the folder of the model.",
            {.code = "F-IO",
             .file = title_of(file),
             .advice = "Put the file itself there, or open the folder that contains what it leads to."});
    }
}

bool Checkpoint::has_side_file(const std::string& name) const {
    require_bare(name);
    if (const auto other = elsewhere_.find(name); other != elsewhere_.end()) {
        return other->second.has_value();
    }
    std::error_code ignored;
    if (!embedded_prefix_.empty()) {
        return contained_.contains(name) || find_embedded(embedded_prefix_ + name) != nullptr;
    }
    return contained_.contains(name) || fs::exists(folder_ / name, ignored);
}

std::optional<std::string> Checkpoint::side_file(const std::string& name) const {
    require_bare(name);
    if (const auto other = elsewhere_.find(name); other != elsewhere_.end()) {
        return other->second ? std::optional(read_text_file(*other->second, limit_of(name))) : std::nullopt;
    }
    if (const auto inside = contained_.find(name); inside != contained_.end()) {
        return inside->second;
    }
    if (!embedded_prefix_.empty()) {
        const EmbeddedFile* file = find_embedded(embedded_prefix_ + name);
        return file ? std::optional<std::string>(file->text()) : std::nullopt;
    }
    const fs::path path = folder_ / name;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
        return std::nullopt;
    }
    require_inside(path);
    return read_text_file(path, limit_of(name));
}

std::vector<fs::path> Checkpoint::side_folder(const std::string& name, const char* extension) const {
    require_bare(name);
    std::vector<fs::path> files;
    std::error_code ignored;
    if (folder_.empty() || !fs::is_directory(folder_ / name, ignored)) {
        return files;
    }
    require_inside(folder_ / name);
    std::error_code failed;
    for (fs::directory_iterator it(folder_ / name, failed), end; !failed && it != end; it.increment(failed)) {
        if (it->path().extension() == extension && it->is_regular_file(ignored)) {
            require_inside(it->path());
            files.push_back(it->path());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::optional<TorchFile> Checkpoint::side_torch_file(const std::string& name) const {
    require_bare(name);
    if (const auto other = elsewhere_.find(name); other != elsewhere_.end()) {
        return other->second ? std::optional(read_torch_file(map_file(*other->second))) : std::nullopt;
    }
    if (!embedded_prefix_.empty()) {
        const EmbeddedFile* file = find_embedded(embedded_prefix_ + name);
        return file ? std::optional(read_torch_file(file->bytes, nullptr, printable(name))) : std::nullopt;
    }
    // Where a folder was opened whose weights lie below it, the file may lie with either.
    std::vector<fs::path> folders{folder_};
    folders.insert(folders.end(), above_.begin(), above_.end());
    for (const fs::path& folder : folders) {
        std::error_code ignored;
        if (fs::exists(folder / name, ignored)) {
            require_inside(folder / name);
            return read_torch_file(map_file(folder / name));
        }
    }
    return std::nullopt;
}

void Checkpoint::check_unchanged() const {
    for (const auto& mapping : mappings_) {
        mapping->check_unchanged();
    }
}

void Checkpoint::check_undamaged() const {
    for (const auto& mapping : mappings_) {
        mapping->check_undamaged();
    }
}

} // namespace ergo
