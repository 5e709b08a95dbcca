// SPDX-License-Identifier: GPL-3.0-or-later
// Typed values of a weight file's own metadata (GGUF has them), as views of the mapped file: whoever keeps
// them keeps the file. Checked when the file is read. Values, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ergo {

/// A list of texts, or of numbers or truth values of one type.
struct MetadataList {
    /// The numbers of the file format.
    enum class Type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, list, u64, i64, f64 };
    Type type = Type::u8;
    std::uint64_t count = 0;
    std::span<const std::byte> bytes; ///< the elements as stored, unaligned

    bool is_text() const { return type == Type::text; }
    bool is_integer() const { return !is_text() && type != Type::f32 && type != Type::f64; }
    /// Elements; `type` must be text.
    std::vector<std::string_view> texts() const;
    /// Elements; `type` must be an integer's or boolean. Values beyond 2^63 - 1 become that.
    std::vector<std::int64_t> integers() const;
};

using MetadataValue = std::variant<bool, std::uint64_t, std::int64_t, double, std::string_view, MetadataList>;

class TypedMetadata {
  public:
    TypedMetadata() = default;
    explicit TypedMetadata(std::string file_name) : file_name_(std::move(file_name)) {}

    /// False when `key` is there already.
    bool add(std::string_view key, const MetadataValue& value);
    /// nullptr when there is none.
    const MetadataValue* find(std::string_view key) const;
    bool empty() const { return values_.empty(); }
    const std::map<std::string, MetadataValue, std::less<>>& values() const { return values_; }
    const std::string& file_name() const { return file_name_; }

    // Nullopt when there is no such key. Throw Error(format, F-CONFIG-VALUE) when it holds something else.
    std::optional<std::int64_t> integer(std::string_view key) const; ///< of any integer type
    std::optional<double> number(std::string_view key) const;        ///< of any number type
    std::optional<bool> boolean(std::string_view key) const;
    std::optional<std::string_view> text(std::string_view key) const;
    std::optional<std::vector<std::string_view>> texts(std::string_view key) const;
    std::optional<std::vector<std::int64_t>> integers(std::string_view key) const;

  private:
    [[noreturn]] void wrong(std::string_view key, const char* wanted) const;

    std::string file_name_;
    std::map<std::string, MetadataValue, std::less<>> values_;
};

/// A value as one line for people: numbers and texts as they are, "list of 151936 texts".
std::string to_string(const MetadataValue& value);

} // namespace ergo
