// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/typed_metadata.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>

namespace ergo {

namespace {

template <class T> T stored(const std::byte* p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
}

template <class T> void append(std::span<const std::byte> bytes, std::vector<std::int64_t>& out) {
    for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
        out.push_back(static_cast<std::int64_t>(stored<T>(bytes.data() + at)));
    }
}

} // namespace

std::vector<std::string_view> MetadataList::texts() const {
    std::vector<std::string_view> out;
    out.reserve(static_cast<std::size_t>(count));
    for (std::size_t at = 0; out.size() < count;) { // lengths were checked when the file was read
        const auto length = static_cast<std::size_t>(stored<std::uint64_t>(bytes.data() + at));
        out.emplace_back(reinterpret_cast<const char*>(bytes.data()) + at + 8, length);
        at += 8 + length;
    }
    return out;
}

std::vector<std::int64_t> MetadataList::integers() const {
    std::vector<std::int64_t> out;
    out.reserve(static_cast<std::size_t>(count));
    switch (type) {
    case Type::u8:
    case Type::boolean:
        append<std::uint8_t>(bytes, out);
        break;
    case Type::i8:
        append<std::int8_t>(bytes, out);
        break;
    case Type::u16:
        append<std::uint16_t>(bytes, out);
        break;
    case Type::i16:
        append<std::int16_t>(bytes, out);
        break;
    case Type::u32:
        append<std::uint32_t>(bytes, out);
        break;
    case Type::i32:
        append<std::int32_t>(bytes, out);
        break;
    case Type::i64:
        append<std::int64_t>(bytes, out);
        break;
    case Type::u64:
        for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
            constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
            out.push_back(
                static_cast<std::int64_t>(std::min(stored<std::uint64_t>(bytes.data() + at), most)));
        }
        break;
    default:
        throw Error(ErrorKind::usage, "the list holds no integers.");
    }
    return out;
}

bool TypedMetadata::add(std::string_view key, const MetadataValue& value) {
    return values_.emplace(key, value).second;
}

const MetadataValue* TypedMetadata::find(std::string_view key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
}

void TypedMetadata::wrong(std::string_view key, const char* wanted) const {
    throw Error(
        ErrorKind::format,
        "the metadata '" + printable(key) + "' holds " + printable(to_string(*find(key)), 60) + ", not " +
            wanted + ".",
        {.code = "F-CONFIG-VALUE", .file = file_name_, .advice = "Get the file again or export it again."});
}

std::optional<std::int64_t> TypedMetadata::integer(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) {
        return std::nullopt;
    }
    if (const auto* signed_one = std::get_if<std::int64_t>(value)) {
        return *signed_one;
    }
    const auto* unsigned_one = std::get_if<std::uint64_t>(value);
    if (!unsigned_one || *unsigned_one > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
        wrong(key, "an integer of 63 bits");
    }
    return static_cast<std::int64_t>(*unsigned_one);
}

std::optional<double> TypedMetadata::number(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (!value) {
        return std::nullopt;
    }
    const auto* real = std::get_if<double>(value);
    return real ? *real : static_cast<double>(integer(key).value());
}

std::optional<bool> TypedMetadata::boolean(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (value && !std::holds_alternative<bool>(*value)) {
        wrong(key, "a truth value");
    }
    return value ? std::optional(std::get<bool>(*value)) : std::nullopt;
}

std::optional<std::string_view> TypedMetadata::text(std::string_view key) const {
    const MetadataValue* value = find(key);
    if (value && !std::holds_alternative<std::string_view>(*value)) {
        wrong(key, "a text");
    }
    return value ? std::optional(std::get<std::string_view>(*value)) : std::nullopt;
}

std::optional<std::vector<std::string_view>> TypedMetadata::texts(std::string_view key) const {
    const MetadataValue* value = find(key);
    const auto* list = value ? std::get_if<MetadataList>(value) : nullptr;
    if (value && (!list || !list->is_text())) {
        wrong(key, "a list of texts");
    }
    return list ? std::optional(list->texts()) : std::nullopt;
}

std::optional<std::vector<std::int64_t>> TypedMetadata::integers(std::string_view key) const {
    const MetadataValue* value = find(key);
    const auto* list = value ? std::get_if<MetadataList>(value) : nullptr;
    if (value && (!list || !list->is_integer())) {
        wrong(key, "a list of integers");
    }
    return list ? std::optional(list->integers()) : std::nullopt;
}

std::string to_string(const MetadataValue& value) {
    struct Shown {
        std::string operator()(bool v) const { return v ? "true" : "false"; }
        std::string operator()(std::uint64_t v) const { return std::to_string(v); }
        std::string operator()(std::int64_t v) const { return std::to_string(v); }
        std::string operator()(double v) const {
            char text[32];
            std::snprintf(text, sizeof text, "%.9g", v);
            return text;
        }
        std::string operator()(std::string_view v) const { return std::string(v); }
        std::string operator()(const MetadataList& v) const {
            return "a list of " + std::to_string(v.count) + (v.is_text() ? " texts" : " numbers");
        }
    };
    return std::visit(Shown{}, value);
}

} // namespace ergo
