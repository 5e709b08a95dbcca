// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/checkpoint/safetensors.h"

#include <nlohmann/json.hpp>

#include <array>
#include <set>

namespace ergo {

namespace {

constexpr std::array<std::string_view, 13> written_names{"F32", "F64", "F16", "BF16", "I64", "I32", "I16",
                                                         "I8",  "U64", "U32", "U16",  "U8",  "BOOL"};

std::string quoted(const std::string& text) {
    if (!is_valid_utf8(text)) {
        throw Error(ErrorKind::usage,
                    "the text '" + printable(text) + "' is not UTF-8 and cannot be a name in a file.");
    }
    return nlohmann::json(text).dump();
}

std::string header_json(const std::vector<std::pair<std::string, Tensor>>& tensors,
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
    for (const auto& [name, tensor] : tensors) {
        if (!names.insert(name).second) {
            throw Error(ErrorKind::usage,
                        "the tensor name '" + printable(name) + "' is reserved or used twice.");
        }
        json += quoted(name) + R"(:{"dtype":")";
        json += written_names[static_cast<std::size_t>(tensor.dtype())];
        json += R"(","shape":[)";
        for (std::size_t k = 0; k < tensor.shape().size(); ++k) {
            json += k ? "," : "";
            json += std::to_string(tensor.shape()[k]);
        }
        json += R"(],"data_offsets":[)" + std::to_string(at) + ",";
        at += tensor.bytes().size();
        json += std::to_string(at) + "]},";
    }
    if (json.back() == ',') {
        json.pop_back();
    }
    json += '}';
    json.append((8 - json.size() % 8) % 8, ' ');
    return json;
}

} // namespace

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
    const std::string json = header_json(tensors, metadata);
    std::string length;
    for (int i = 0; i < 8; ++i) {
        length += static_cast<char>(json.size() >> (8 * i) & 0xff);
    }
    AtomicFile file(path);
    file.write(length);
    file.write(json);
    for (const auto& [name, tensor] : tensors) {
        file.write(tensor.bytes());
    }
    file.commit();
}

} // namespace ergo
