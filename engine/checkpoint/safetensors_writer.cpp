// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/base/utf8.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/safetensors_stream.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <set>

namespace ergo {

namespace {

constexpr std::int64_t made_at_once = 1 << 20; // elements

constexpr std::array<std::string_view, 13> written_names{"F32", "F64", "F16", "BF16", "I64", "I32", "I16",
                                                         "I8",  "U64", "U32", "U16",  "U8",  "BOOL"};

std::string quoted(const std::string& text) {
    if (!is_valid_utf8(text)) {
        throw Error(ErrorKind::usage,
                    "the text '" + printable(text) + "' is not UTF-8 and cannot be a name in a file.");
    }
    return nlohmann::json(text).dump();
}

struct Line {
    const std::string& name;
    DType type;
    const Shape& shape;
    std::uint64_t bytes;
};

std::string header_json(const std::vector<Line>& tensors,
                        const std::map<std::string, std::string>& metadata) {
    std::string json = "{";
    if (!metadata.empty()) {
        json += "\"__metadata__\":{";
        for (const auto& [key, value] : metadata) {
            json += quoted(key) + ":" + quoted(value) + ",";
        }
        json.back() = '}';
        json += ',';
    }
    std::set<std::string> names{"__metadata__"};
    std::uint64_t at = 0;
    for (const auto& [name, type, shape, bytes] : tensors) {
        if (!names.insert(name).second) {
            throw Error(ErrorKind::usage,
                        "the tensor name '" + printable(name) + "' is reserved or used twice.");
        }
        if (is_quantised(type)) {
            throw Error(ErrorKind::usage, "safetensors has no type " + std::string(dtype_name(type)) + ".",
                        {.tensor = printable(name), .advice = "Write it as f32, bf16 or f16."});
        }
        json += quoted(name) + R"(:{"dtype":")";
        json += written_names[static_cast<std::size_t>(type)];
        json += R"(","shape":[)";
        for (std::size_t k = 0; k < shape.size(); ++k) {
            json += k ? "," : "";
            json += std::to_string(shape[k]);
        }
        json += R"(],"data_offsets":[)" + std::to_string(at) + ",";
        at += bytes;
        json += std::to_string(at) + "]},";
    }
    if (json.back() == ',') {
        json.pop_back();
    }
    json += '}';
    json.append((8 - json.size() % 8) % 8, ' ');
    return json;
}

void write_header(AtomicFile& file, const std::string& json) {
    std::string length;
    for (int i = 0; i < 8; ++i) {
        length += static_cast<char>(json.size() >> (8 * i) & 0xff);
    }
    file.write(length);
    file.write(json);
}

void write_rounded(AtomicFile& file, DType type, std::span<const float> values,
                   std::vector<std::uint16_t>& halves) {
    if (type == DType::f32) {
        file.write(std::as_bytes(values));
        return;
    }
    halves.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        halves[i] = type == DType::bf16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
    }
    file.write(std::as_bytes(std::span<const std::uint16_t>(halves)));
}

} // namespace

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
    std::vector<Line> lines;
    for (const auto& [name, tensor] : tensors) {
        lines.push_back({name, tensor.dtype(), tensor.shape(), tensor.bytes().size()});
    }
    const std::string json = header_json(lines, metadata);
    AtomicFile file(path);
    write_header(file, json);
    for (const auto& [name, tensor] : tensors) {
        file.write(tensor.bytes());
    }
    file.commit();
}

void write_safetensors(const std::filesystem::path& path, const std::vector<MadeTensor>& tensors, DType type,
                       const MakeNumbers& make, const std::map<std::string, std::string>& metadata) {
    if (type != DType::f32 && type != DType::bf16 && type != DType::f16) {
        throw Error(ErrorKind::usage,
                    "numbers are made as f32, bf16 or f16, not " + std::string(dtype_name(type)) + ".");
    }
    std::vector<Line> lines;
    for (const MadeTensor& tensor : tensors) {
        const auto bytes = static_cast<std::uint64_t>(element_count(tensor.shape)) * dtype_size(type);
        lines.push_back({tensor.name, type, tensor.shape, bytes});
    }
    const std::string json = header_json(lines, metadata);
    AtomicFile file(path);
    write_header(file, json);
    std::vector<float> values;
    std::vector<std::uint16_t> halves;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const std::int64_t count = element_count(tensors[i].shape);
        for (std::int64_t first = 0; first < count; first += made_at_once) {
            values.resize(static_cast<std::size_t>(std::min(made_at_once, count - first)));
            make(i, first, values);
            write_rounded(file, type, values, halves);
        }
    }
    file.commit();
}

SafetensorsStream::SafetensorsStream(const std::filesystem::path& path, const std::vector<Entry>& entries,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path) {
    std::vector<Line> lines;
    for (const Entry& entry : entries) {
        const auto bytes =
            static_cast<std::uint64_t>(element_count(entry.shape)) * dtype_size(entry.dtype);
        lines.push_back({entry.name, entry.dtype, entry.shape, bytes});
        data_bytes_ += bytes;
    }
    write_header(file_, header_json(lines, metadata));
}

void SafetensorsStream::write(std::span<const std::byte> bytes) {
    file_.write(bytes);
    written_ += bytes.size();
}

void SafetensorsStream::commit() {
    if (written_ != data_bytes_) {
        throw Error(ErrorKind::usage, "the header speaks of " + std::to_string(data_bytes_) + " bytes, but " +
                                          std::to_string(written_) + " were written.");
    }
    file_.commit();
}

} // namespace ergo
