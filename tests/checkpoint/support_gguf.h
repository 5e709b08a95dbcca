// SPDX-License-Identifier: GPL-3.0-or-later
// Hand-made GGUF bytes, right or wrong in any one place.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

class GgufBytes {
  public:
    static constexpr std::uint32_t u8 = 0, u32 = 4, f32 = 6, boolean = 7, text_type = 8, list = 9, u64 = 10;

    template <class T> GgufBytes& number(T value) {
        char raw[sizeof value];
        std::memcpy(raw, &value, sizeof value);
        bytes.append(raw, sizeof value);
        return *this;
    }
    GgufBytes& text(std::string_view value) {
        number<std::uint64_t>(value.size());
        bytes += value;
        return *this;
    }
    GgufBytes& header(std::uint64_t tensors, std::uint64_t metadata, std::uint32_t version = 3) {
        bytes += "GGUF";
        return number(version).number(tensors).number(metadata);
    }
    template <class T> GgufBytes& metadata(std::string_view key, std::uint32_t type, T value) {
        return text(key).number(type).number(value);
    }
    GgufBytes& metadata(std::string_view key, std::string_view value) {
        return text(key).number(text_type).text(value);
    }
    GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions, std::uint32_t type,
                      std::uint64_t offset) {
        text(name).number(static_cast<std::uint32_t>(dimensions.size()));
        for (const std::uint64_t n : dimensions) {
            number(n);
        }
        return number(type).number(offset);
    }
    GgufBytes& data(std::size_t count, std::size_t alignment = 32) {
        bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
        bytes.append(count, '\x2a');
        return *this;
    }

    std::string bytes;
};
