// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/convert.h"

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/checkpoint/safetensors_stream.h"
#include "engine/generate/metadata_tokenizer.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace ergo {

namespace {

namespace fs = std::filesystem;

// Small files that belong to a model, whatever its family.
constexpr const char* side_files[] = {
    "config.json",
    "semantics.json",
    "generation_config.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "gravity_mass_log.pt",
    "README.md",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
};

DType parse_dtype(const std::string& name) {
    for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
        if (name == dtype_name(type)) {
            return type;
        }
    }
    if (name == "q8" || name == "q4") {
        throw Error(ErrorKind::unsupported, "Checkpoints cannot be quantised to " + name + " yet.",
                    {.advice = "Convert to f32, bf16 or f16."});
    }
    throw Error(ErrorKind::usage, "There is no element type '" + printable(name) + "' to convert to.",
                {.advice = "Choose f32, bf16 or f16."});
}

// A folder beside the target, gone again unless it was kept.
class PartialFolder {
  public:
    explicit PartialFolder(fs::path target) : target_(std::move(target)) {
        path_ = target_.parent_path() /
                ("." + target_.filename().string() + ".partial-" + std::to_string(getpid()));
        std::error_code failed;
        fs::create_directories(target_.parent_path(), failed);
        if (!failed) {
            fs::create_directory(path_, failed);
        }
        check(failed, "cannot be made");
    }
    ~PartialFolder() {
        std::error_code ignored;
        if (!kept_) {
            fs::remove_all(path_, ignored);
        }
    }
    PartialFolder(const PartialFolder&) = delete;
    PartialFolder& operator=(const PartialFolder&) = delete;

    const fs::path& path() const { return path_; }

    void keep() {
        std::error_code failed;
        fs::rename(path_, target_, failed); // takes the place of an empty folder
        check(failed, "cannot be put in place");
        kept_ = true;
    }

  private:
    void check(const std::error_code& failed, const std::string& what) const {
        if (failed) {
            throw Error(ErrorKind::io, "the folder " + what + ": " + failed.message() + ".",
                        {.code = "F-IO", .file = printable(target_.filename().string())});
        }
    }

    fs::path target_, path_;
    bool kept_ = false;
};

// `out` as an absolute path without links; refuses one that holds something or lies within the source.
fs::path checked_target(const fs::path& out, const Checkpoint& checkpoint) {
    std::error_code failed;
    fs::path target = fs::weakly_canonical(fs::absolute(out), failed);
    target = target.filename().empty() ? target.parent_path() : target; // "DIR/"
    if (failed || target.filename().empty()) {
        throw Error(ErrorKind::usage, "'" + printable(out.string()) + "' cannot be a folder to write to.");
    }
    if (!checkpoint.folder().empty()) {
        const fs::path source = fs::weakly_canonical(fs::absolute(checkpoint.folder()), failed);
        const auto [end, ignored] = std::mismatch(source.begin(), source.end(), target.begin(), target.end());
        if (end == source.end()) {
            throw Error(ErrorKind::usage, "The new folder lies within the model that is converted.",
                        {.advice = "Name a folder beside it."});
        }
    }
    if (fs::exists(target, failed) && !(fs::is_directory(target, failed) && fs::is_empty(target, failed))) {
        throw Error(ErrorKind::usage, "'" + printable(out.string()) + "' already holds something.",
                    {.advice = "Name a new folder; nothing is ever overwritten."});
    }
    return target;
}

bool is_matrix(const std::string& name, const Tensor& tensor) {
    return tensor.shape().size() == 2 && name.ends_with(".weight") && is_weight_type(tensor.dtype());
}

// Blocks of other formats (GGUF) have no place in a safetensors file.
DType type_beside_matrices(const Tensor& tensor) {
    return is_quantised(tensor.dtype()) ? DType::f32 : tensor.dtype();
}

std::vector<std::byte> encoded(const std::vector<float>& values, DType type) {
    std::vector<std::byte> out(values.size() * dtype_size(type));
    if (type == DType::f32) {
        std::memcpy(out.data(), values.data(), out.size());
        return out;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::uint16_t half = type == DType::bf16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
        std::memcpy(out.data() + 2 * i, &half, 2);
    }
    return out;
}

// config.json says the type the weights have; all else stays as it was.
std::string with_dtype(const std::string& text, DType type) {
    auto config = nlohmann::ordered_json::parse(text, nullptr, false);
    if (!config.is_object()) {
        return text;
    }
    const char* name = type == DType::f32 ? "float32" : type == DType::bf16 ? "bfloat16" : "float16";
    bool changed = false;
    for (const char* key : {"dtype", "torch_dtype"}) {
        if (config.contains(key)) {
            config[key] = name;
            changed = true;
        }
    }
    return changed ? config.dump(2) + "\n" : text;
}

class Conversion {
  public:
    Conversion(const Checkpoint& checkpoint, DType type, const Progress& progress, const CancelToken& cancel)
        : checkpoint_(checkpoint), type_(type), progress_(progress), cancel_(cancel) {}

    void write_weights(const fs::path& path) {
        std::vector<SafetensorsStream::Entry> entries;
        for (const std::string& name : checkpoint_.order()) {
            const Tensor& tensor = checkpoint_.tensor(name); // refuses one that can only be inspected
            entries.push_back(
                {name, is_matrix(name, tensor) ? type_ : type_beside_matrices(tensor), tensor.shape()});
        }
        SafetensorsStream stream(path, entries, {{"format", "pt"}});
        total_ = static_cast<double>(stream.data_bytes());
        for (const SafetensorsStream::Entry& entry : entries) {
            write_tensor(stream, checkpoint_.tensor(entry.name), entry);
        }
        checkpoint_.check_unchanged();
        stream.commit();
    }

    void write_side_files(const fs::path& folder) const {
        for (const char* name : side_files) {
            if (const auto text = checkpoint_.side_file(name)) {
                write_file(folder / name,
                           std::string_view(name) == "config.json" ? with_dtype(*text, type_) : *text);
            }
        }
        const TypedMetadata& metadata = checkpoint_.typed_metadata();
        if (const auto table = token_table_of(metadata); table && !checkpoint_.side_file("tokenizer.json")) {
            const TokenizerFiles files = files_of(*table, metadata.file_name());
            write_file(folder / "tokenizer.json", files.tokenizer_json);
            write_file(folder / "tokenizer_config.json", files.config_json);
        }
        std::error_code ignored;
        const fs::path templates = checkpoint_.folder() / "additional_chat_templates";
        if (!checkpoint_.folder().empty() && fs::is_directory(templates, ignored)) {
            std::error_code failed;
            fs::copy(templates, folder / templates.filename(), failed);
            if (failed) {
                throw Error(ErrorKind::io, "the folder cannot be copied: " + failed.message() + ".",
                            {.code = "F-IO", .file = "additional_chat_templates"});
            }
        }
    }

  private:
    static void write_file(const fs::path& path, const std::string& text) {
        AtomicFile file(path);
        file.write(text);
        file.commit();
    }

    void advance(std::size_t bytes, const std::string& name) {
        cancel_.check();
        done_ += static_cast<double>(bytes);
        if (progress_) {
            progress_(done_, total_, name);
        }
    }

    // In pieces of whole rows, so that the largest tensor costs no more memory than a small one.
    void write_tensor(SafetensorsStream& stream, const Tensor& tensor,
                      const SafetensorsStream::Entry& entry) {
        constexpr std::size_t piece = std::size_t{4} << 20; // bytes, about
        const std::span<const std::byte> bytes = tensor.bytes();
        const bool same = entry.dtype == tensor.dtype();
        const bool in_rows = tensor.shape().size() >= 2;
        const std::size_t rows = same      ? bytes.size()
                                 : in_rows ? static_cast<std::size_t>(tensor.shape()[0])
                                           : std::size_t{1};
        const std::size_t row_bytes = rows == 0 ? 0 : bytes.size() / rows;
        const std::size_t step = std::max<std::size_t>(1, piece / std::max<std::size_t>(1, row_bytes));
        for (std::size_t row = 0; row < rows; row += step) {
            checkpoint_.check_unchanged();
            const std::size_t count = std::min(step, rows - row);
            const auto part = bytes.subspan(row * row_bytes, count * row_bytes);
            if (same) {
                stream.write(part);
                advance(part.size(), entry.name);
            } else {
                Shape shape = tensor.shape();
                if (in_rows) {
                    shape[0] = static_cast<std::int64_t>(count);
                }
                const Tensor slice(tensor.dtype(), shape, part, nullptr);
                const std::vector<std::byte> made = encoded(slice.to_floats(), entry.dtype);
                stream.write(made);
                advance(made.size(), entry.name);
            }
        }
    }

    const Checkpoint& checkpoint_;
    DType type_;
    const Progress& progress_;
    const CancelToken& cancel_;
    double done_ = 0, total_ = 0;
};

} // namespace

void convert(const Checkpoint& checkpoint, const fs::path& out, const std::string& dtype,
             const Progress& progress, const CancelToken& cancel) {
    const DType type = parse_dtype(dtype);
    checkpoint.check_runnable();
    PartialFolder folder(checked_target(out, checkpoint));
    Conversion conversion(checkpoint, type, progress, cancel);
    conversion.write_side_files(folder.path());
    conversion.write_weights(folder.path() / "model.safetensors");
    cancel.check();
    folder.keep();
}

} // namespace ergo
