// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/convert.h"

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/checkpoint/grouped_container.h"
#include "engine/checkpoint/safetensors_stream.h"
#include "engine/generate/metadata_tokenizer.h"
#include "engine/model/weight_types.h"
#include "engine/tensor/grouped.h"
#include "engine/tokenizer/tokenizer_folder.h"

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
    for (const DType type : {DType::f32, DType::bf16, DType::f16, DType::q8, DType::q4}) {
        if (name == dtype_name(type)) {
            return type;
        }
    }
    throw Error(ErrorKind::usage, "There is no element type '" + printable(name) + "' to convert to.",
                {.advice = "Choose f32, bf16, f16, q8 or q4."});
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

/// The type a tensor is written in.
DType written_type(const std::string& name, const Tensor& tensor, DType wanted) {
    const bool matrix =
        tensor.shape().size() == 2 && name.ends_with(".weight") && is_weight_type(tensor.dtype());
    const auto type = is_grouped(wanted) ? grouped_type(wanted, name, tensor.shape()) : std::optional(wanted);
    if (matrix && type) {
        return *type;
    }
    // Blocks of other formats (GGUF) have no place in a safetensors file.
    return is_quantised(tensor.dtype()) && !is_grouped(tensor.dtype()) ? DType::f32 : tensor.dtype();
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
    if (is_grouped(
            type)) { // says nothing of whole numbers: readers of it ask for the float type to compute in
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

    void write_weights(const fs::path& path, std::map<std::string, std::string> metadata) {
        std::vector<SafetensorsStream::Entry> entries;
        bool whole_numbers = false;
        for (const std::string& name : checkpoint_.order()) {
            const Tensor& tensor = checkpoint_.tensor(name); // refuses one that can only be inspected
            const DType type = written_type(name, tensor, type_);
            whole_numbers = whole_numbers || is_grouped(type);
            is_grouped(type) ? add_grouped(entries, name, tensor.shape(), type)
                             : entries.push_back({name, type, tensor.shape()});
        }
        metadata["format"] = "pt";
        if (whole_numbers) {
            metadata[grouped_key] = dtype_name(type_);
            metadata[grouped_version_key] = std::to_string(grouped_version);
        }
        SafetensorsStream stream(path, entries, metadata);
        total_ = static_cast<double>(stream.data_bytes());
        for (const std::string& name : checkpoint_.order()) {
            const Tensor& tensor = checkpoint_.tensor(name);
            const DType type = written_type(name, tensor, type_);
            if (is_grouped(type)) {
                write_grouped(stream, tensor, type, name);
            } else {
                write_tensor(stream, tensor, {name, type, tensor.shape()});
            }
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
        std::error_code failed;
        for (const fs::path& file : checkpoint_.side_folder(named_templates, ".jinja")) {
            fs::create_directory(folder / named_templates, failed);
            if (!failed) {
                fs::copy_file(file, folder / named_templates / file.filename(), failed);
            }
            if (failed) {
                throw Error(ErrorKind::io, "the file cannot be copied: " + failed.message() + ".",
                            {.code = "F-IO", .file = printable(file.filename().string())});
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

    static void add_grouped(std::vector<SafetensorsStream::Entry>& entries, const std::string& name,
                            const Shape& shape, DType form) {
        const Shape halves{shape[0], groups_of(shape[1])};
        if (form == DType::q8) {
            entries.push_back({name, DType::i8, shape});
        } else {
            entries.push_back({name, DType::u8, {shape[0], shape[1] / 2}});
        }
        entries.push_back({name + grouped_scale, DType::f16, halves});
        if (form == DType::q4) {
            entries.push_back({name + grouped_minimum, DType::f16, halves});
        }
    }

    // Numbers row by row; scales and minimums, an eighth of them at most, wait until all numbers are written.
    void write_grouped(SafetensorsStream& stream, const Tensor& tensor, DType form, const std::string& name) {
        const std::int64_t inputs = tensor.shape()[1];
        std::vector<std::uint16_t> scales, minimums;
        std::vector<std::byte> numbers;
        GroupedRow row;
        for (std::int64_t r = 0; r < tensor.shape()[0]; ++r) {
            read_grouped_row(tensor, form, r, row);
            scales.insert(scales.end(), row.scales.begin(), row.scales.end());
            minimums.insert(minimums.end(), row.minimums.begin(), row.minimums.end());
            for (std::int64_t i = 0; i < inputs; i += form == DType::q8 ? 1 : 2) {
                const auto at = static_cast<std::size_t>(i);
                const int q = row.numbers[at];
                numbers.push_back(
                    static_cast<std::byte>(form == DType::q8 ? q : q | row.numbers[at + 1] << 4));
            }
            if (numbers.size() >= piece_ || r + 1 == tensor.shape()[0]) {
                checkpoint_.check_unchanged();
                stream.write(numbers);
                advance(numbers.size(), name);
                numbers.clear();
            }
        }
        for (const auto* halves : {&scales, &minimums}) {
            if (halves == &scales || form == DType::q4) {
                const auto bytes = std::as_bytes(std::span(*halves));
                stream.write(bytes);
                advance(bytes.size(), name);
            }
        }
    }

    // In pieces of whole rows, so that the largest tensor costs no more memory than a small one.
    void write_tensor(SafetensorsStream& stream, const Tensor& tensor,
                      const SafetensorsStream::Entry& entry) {
        const std::span<const std::byte> bytes = tensor.bytes();
        const bool same = entry.dtype == tensor.dtype();
        const std::size_t columns =
            tensor.shape().empty() ? 1 : static_cast<std::size_t>(tensor.shape().back());
        const std::size_t rows =
            same ? bytes.size() : static_cast<std::size_t>(tensor.size()) / std::max<std::size_t>(1, columns);
        const std::size_t row_bytes = same ? 1 : columns * dtype_size(entry.dtype);
        const std::size_t step = std::max<std::size_t>(1, piece_ / std::max<std::size_t>(1, row_bytes));
        for (std::size_t row = 0; row < rows; row += step) {
            checkpoint_.check_unchanged();
            const std::size_t count = std::min(step, rows - row);
            if (same) {
                const auto part = bytes.subspan(row, count);
                stream.write(part);
                advance(part.size(), entry.name);
            } else {
                std::vector<float> values(count * columns);
                tensor.to_floats(static_cast<std::int64_t>(row * columns), values);
                const std::vector<std::byte> made = encoded(values, entry.dtype);
                stream.write(made);
                advance(made.size(), entry.name);
            }
        }
    }

    static constexpr std::size_t piece_ = std::size_t{4} << 20; // bytes, about
    const Checkpoint& checkpoint_;
    DType type_;
    const Progress& progress_;
    const CancelToken& cancel_;
    double done_ = 0, total_ = 0;
};

} // namespace

void convert(const Checkpoint& checkpoint, const fs::path& out, const std::string& dtype,
             const Progress& progress, const CancelToken& cancel,
             const std::map<std::string, std::string>& metadata) {
    const DType type = parse_dtype(dtype);
    checkpoint.check_runnable();
    PartialFolder folder(checked_target(out, checkpoint));
    Conversion conversion(checkpoint, type, progress, cancel);
    conversion.write_side_files(folder.path());
    conversion.write_weights(folder.path() / "model.safetensors", metadata);
    cancel.check();
    folder.keep();
}

} // namespace ergo
