// SPDX-License-Identifier: GPL-3.0-or-later
// GGUF files (version 2 and 3): metadata as typed values, tensors as views, everything checked before
// anything is allocated in proportion to what the file claims. Values and free functions, any thread. Source:
// ggml-org/ggml, docs/gguf.md.
#pragma once

#include "engine/checkpoint/mapped_file.h"
#include "engine/checkpoint/typed_metadata.h"
#include "engine/tensor/tensor.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ergo {

/// One tensor of a file's header.
struct GgufEntry {
    std::string name;
    std::string_view stored_type;     ///< "Q4_K", "F16", "IQ3_S" … (static storage)
    std::optional<DType> dtype;       ///< empty for types that can only be named
    Shape shape;                      ///< slowest dimension first, the reverse of the file's order
    std::uint64_t begin = 0, end = 0; ///< bytes, relative to the tensor data
};

struct GgufFile {
    std::string file_name;
    std::uint32_t version = 0;
    std::uint64_t alignment = 32;
    TypedMetadata metadata;
    std::vector<GgufEntry> entries; ///< in file order
    std::vector<std::string> warnings;
    std::span<const std::byte> data; ///< the tensor data
    std::shared_ptr<const void> owner;

    /// nullptr when there is none of that name.
    const GgufEntry* find(std::string_view name) const;
    /// A view. Throws Error(unsupported, GG-TYPE) for a type that can only be named.
    Tensor tensor(const GgufEntry& entry) const;
};

/// Reads and checks the header only. Error codes: GG-MAGIC, GG-ENDIAN, GG-VERSION, GG-COUNT, GG-LENGTH,
/// GG-KEY, GG-VALUE, GG-ALIGN, GG-TENSOR, GG-TYPE, GG-OFFSET, F-TRUNCATED.
GgufFile read_gguf(std::shared_ptr<const MappedFile> file);
/// The same over bytes that `owner` keeps alive (nullptr for static storage).
GgufFile read_gguf(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                   std::string file_name);

/// Parts of one model in order ("-00001-of-00003" first): checks that each says which part it is and that
/// together they hold the tensors they announce. One file that is no part passes. Throws Error(format,
/// GG-SPLIT).
void check_gguf_parts(const std::vector<GgufFile>& parts);

using GgufValue = std::variant<bool, std::uint32_t, std::int32_t, std::uint64_t, float, std::string,
                               std::vector<std::string>, std::vector<std::int32_t>, std::vector<float>>;
/// Writes version 3 with the tensors in the order given, through a temporary. Throws Error(io) on a write
/// error, Error(usage) for a name of 64 bytes or more, more than 4 dimensions or a type the format lacks.
void write_gguf(const std::filesystem::path& path,
                const std::vector<std::pair<std::string, GgufValue>>& metadata,
                const std::vector<std::pair<std::string, Tensor>>& tensors);

struct GgufPlace {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
};
/// The same with `make(i)` asked for one tensor after the other, so that only one is in memory. Throws
/// Error(usage) too when it is not of the type and shape announced.
void write_gguf(const std::filesystem::path& path,
                const std::vector<std::pair<std::string, GgufValue>>& metadata,
                const std::vector<GgufPlace>& tensors, const std::function<Tensor(std::size_t)>& make);

} // namespace ergo
