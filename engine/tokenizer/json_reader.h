// SPDX-License-Identifier: GPL-3.0-or-later
// Reading of JSON files that nobody vouches for: size, depth and every type are checked, and an error names
// the place. For the .cpp files of this folder alone.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

using Json = nlohmann::json;

/// Engine rules (file-formats specification, "JSON side files").
inline constexpr std::size_t json_limit = std::size_t{64} << 20;            // bytes
inline constexpr std::size_t tokenizer_json_limit = std::size_t{256} << 20; // bytes
inline constexpr int json_depth_limit = 64;

/// Parses `text`. Throws Error: `resources` F-TOO-LARGE beyond `limit` bytes, `format` F-JSON otherwise.
Json parse_json(std::string_view text, std::size_t limit, const std::string& file);

/// One value, where it is ("model.merges") and in which file. A view: the document outlives it.
class JsonView {
  public:
    JsonView(const Json& value, std::string path, const std::string& file)
        : value_(&value), path_(std::move(path)), file_(&file) {}

    const Json& raw() const { return *value_; }
    const std::string& path() const { return path_; }
    const std::string& file() const { return *file_; }

    /// Member `key`, or nullopt if it is absent or null. The value must be an object.
    std::optional<JsonView> find(const std::string& key) const;
    /// The same, but absent or null is an error.
    JsonView at(const std::string& key) const;
    /// Elements; the value must be an array.
    std::vector<JsonView> elements() const;

    const std::string& text() const;
    bool boolean() const;
    std::int64_t integer(std::int64_t low, std::int64_t high) const;

    bool boolean_or(const std::string& key, bool fallback) const;
    std::string text_or(const std::string& key, const std::string& fallback) const;

    void expect_object() const;
    void expect_array() const;

    /// Throws Error(format) saying `path` and `problem`.
    [[noreturn]] void fail(const std::string& problem, const std::string& code = "F-JSON") const;
    /// Throws Error(unsupported, TK-TYPE): a component `type` that this program cannot run.
    [[noreturn]] void unsupported(const std::string& problem) const;

  private:
    const Json* value_;
    std::string path_;
    const std::string* file_;
};

} // namespace ergo
