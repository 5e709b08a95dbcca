// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/grouped_container.h"

#include "engine/base/error.h"
#include "engine/tensor/grouped.h"

#include <set>

namespace ergo {

namespace {

[[noreturn]] void mismatched(const SafetensorsFile& file, const TensorEntry& entry, const std::string& what) {
    throw Error(ErrorKind::format, what,
                {.code = "GQ-TENSOR",
                 .file = file.file_name,
                 .tensor = printable(entry.name),
                 .advice = "Convert the model again."});
}

void check_version(const SafetensorsFile& file) {
    const auto found = file.metadata.find(grouped_version_key);
    const std::string version = found == file.metadata.end() ? "" : found->second;
    if (version == std::to_string(grouped_version)) {
        return;
    }
    throw Error(ErrorKind::unsupported,
                version.empty() ? "the file holds quantised weights of a version it does not tell."
                                : "the quantised weights are of version " + printable(version, 20) +
                                      ", this program reads version " + std::to_string(grouped_version) + ".",
                {.code = "GQ-VERSION",
                 .file = file.file_name,
                 .advice = "Use a newer Ergosphere, or convert the model again."});
}

/// Scales or minimums of `numbers`: f16 [outputs, groups].
std::span<const std::byte> halves_of(const SafetensorsFile& file, const TensorEntry& numbers,
                                     const char* suffix, std::int64_t inputs) {
    const TensorEntry* entry = file.find(numbers.name + suffix);
    const Shape wanted{numbers.shape[0], groups_of(inputs)};
    if (!entry) {
        mismatched(file, numbers, "its '" + std::string(suffix + 1) + "' is missing.");
    }
    if (entry->dtype != DType::f16 || entry->shape != wanted) {
        mismatched(file, *entry,
                   "it is " + std::string(entry->stored_type) + " " + to_string(entry->shape) +
                       ", but numbers of shape " + to_string(numbers.shape) + " need F16 " +
                       to_string(wanted) + ".");
    }
    return file.data.subspan(entry->begin, entry->end - entry->begin);
}

/// q8 (I8), q4 (U8) or empty: a tensor whose scales lie beside it.
std::optional<DType> form_of(const SafetensorsFile& file, const TensorEntry& entry) {
    if (entry.shape.size() != 2 || entry.shape[0] < 1 || entry.shape[1] < 1 ||
        !file.find(entry.name + grouped_scale)) {
        return std::nullopt;
    }
    return entry.dtype == DType::i8   ? std::optional(DType::q8)
           : entry.dtype == DType::u8 ? std::optional(DType::q4)
                                      : std::nullopt;
}

WeightEntry grouped_entry(const SafetensorsFile& file, const TensorEntry& entry, DType form) {
    Shape shape = entry.shape;
    if (form == DType::q4) {
        shape[1] *= 2; // two numbers a byte; as many bytes are in the file
    }
    const auto scales = halves_of(file, entry, grouped_scale, shape[1]);
    const auto minimums =
        form == DType::q4 ? halves_of(file, entry, grouped_minimum, shape[1]) : std::span<const std::byte>{};
    const Tensor tensor = Tensor::grouped(
        form, shape, file.data.subspan(entry.begin, entry.end - entry.begin), scales, minimums, file.owner);
    return {entry.name, form == DType::q8 ? "Q8" : "Q4", shape, tensor.byte_size(), tensor};
}

} // namespace

bool is_grouped_container(const SafetensorsFile& file) {
    return file.metadata.contains(grouped_key) || file.metadata.contains(grouped_version_key);
}

std::vector<WeightEntry> grouped_entries(const SafetensorsFile& file) {
    check_version(file);
    std::set<std::string> parts; // of tensors that are put together
    for (const TensorEntry& entry : file.entries) {
        if (const auto form = form_of(file, entry)) {
            parts.insert(entry.name + grouped_scale);
            if (*form == DType::q4) {
                parts.insert(entry.name + grouped_minimum);
            }
        }
    }
    std::vector<WeightEntry> entries;
    for (const TensorEntry& entry : file.entries) {
        if (const auto form = form_of(file, entry)) {
            entries.push_back(grouped_entry(file, entry, *form));
        } else if (!parts.contains(entry.name)) {
            entries.push_back({entry.name, std::string(entry.stored_type), entry.shape,
                               entry.end - entry.begin,
                               entry.dtype ? std::optional(file.tensor(entry)) : std::nullopt});
        }
    }
    return entries;
}

} // namespace ergo
