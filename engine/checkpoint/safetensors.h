// SPDX-License-Identifier: GPL-3.0-or-later
// safetensors files: validation before any allocation, tensors as views. Values and free functions, any
// thread. Source: the safetensors format description; the rules and codes are listed in docs of
// `read_safetensors`.
#pragma once

#include "engine/checkpoint/mapped_file.h"
#include "engine/tensor/tensor.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ergo {

/// One tensor of a file's header.
struct TensorEntry {
    std::string name;
    std::string_view stored_type; ///< as written: "F32", "BF16", "F8_E4M3" … (static storage)
    std::optional<DType> dtype;   ///< empty for types that can only be inspected (F8, F6, F4, C64)
    Shape shape;
    std::uint64_t begin = 0, end = 0; ///< bytes, relative to the data buffer
};

struct SafetensorsFile {
    std::string file_name;
    std::vector<TensorEntry> entries; ///< in file order, by offset
    std::map<std::string, std::string> metadata;
    std::span<const std::byte> data; ///< the data buffer
    std::shared_ptr<const void> owner;

    /// For many calls of find, which looks at one entry after the other without it.
    void index_names();
    /// nullptr when there is none of that name.
    const TensorEntry* find(std::string_view name) const;
    /// A view. Throws Error(mismatch, M-MISSING) or Error(unsupported, M-DTYPE).
    Tensor tensor(std::string_view name) const;
    Tensor tensor(const TensorEntry& entry) const;

    /// Hashes of the names with indices of `entries`, sorted; empty before index_names.
    std::vector<std::pair<std::size_t, std::uint32_t>> by_hash;
};

/// Reads and checks the header only. In this order: files that are something else (F-LFS-POINTER, F-WEBPAGE,
/// F-UNSUPPORTED …), then ST-SHORT, ST-HEADER-SIZE (at most 100,000,000 bytes), ST-HEADER-TEXT, ST-JSON,
/// ST-METADATA, ST-ENTRY, ST-SIZE, ST-OFFSETS, F-TRUNCATED or F-TRAILING; F-TOO-LARGE beyond 1,000,000
/// tensors.
SafetensorsFile read_safetensors(std::shared_ptr<const MappedFile> file);
/// The same over bytes that `owner` keeps alive (nullptr for static storage).
SafetensorsFile read_safetensors(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                                 std::string file_name);

/// Writes the tensors in the order given, header padded with spaces to a multiple of 8, through a temporary.
/// Throws Error(io) on a write error, Error(usage) on duplicate, reserved or non-UTF-8 names.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// A tensor whose numbers are made while they are written, so that the file may be larger than memory.
struct MadeTensor {
    std::string name;
    Shape shape;
};
/// Fills `out` with the elements of `tensors[tensor]` from `first` on.
using MakeNumbers = std::function<void(std::size_t tensor, std::int64_t first, std::span<float> out)>;
/// The same file from made numbers, rounded to `type` (f32, bf16 or f16), about a million at a time.
void write_safetensors(const std::filesystem::path& path, const std::vector<MadeTensor>& tensors, DType type,
                       const MakeNumbers& make, const std::map<std::string, std::string>& metadata = {});

} // namespace ergo
