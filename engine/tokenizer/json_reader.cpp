// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/json_reader.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"

#include <algorithm>

namespace ergo {

namespace {

// Depth of brackets, and what the tree will take, counted before anything is built. Vocabularies are many
// small values, which a tree makes larger than other files may become.
void check_depth_and_size(std::string_view text, const std::string& file) {
    constexpr std::uint64_t element = 40, container = 64, member = 80, text_head = 48; // bytes, about
    const std::uint64_t budget = 6 * text.size() + memory_for(0);
    std::uint64_t tree = 0;
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
            tree += text_head;
        } else if (c == ',' || c == ':') {
            tree += c == ',' ? element : member - text_head;
        } else if (c == '[' || c == '{') {
            tree += element + container;
            if (++depth > json_depth_limit) {
                throw Error(ErrorKind::format,
                            "the JSON is nested more than " + std::to_string(json_depth_limit) + " deep.",
                            {.code = "F-JSON", .file = file, .offset = i});
            }
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    if (tree > budget) {
        throw Error(ErrorKind::resources,
                    "the values of its " + std::to_string(text.size()) + " bytes would take about " +
                        std::to_string(tree) + " bytes of memory; the limit for a file of this size is " +
                        std::to_string(budget) + ".",
                    {.code = "F-TOO-LARGE", .file = file, .advice = "Check that it is the right file."});
    }
}

} // namespace

Json parse_json(std::string_view text, std::size_t limit, const std::string& file) {
    if (text.size() > limit) {
        throw Error(ErrorKind::resources,
                    "the file has " + std::to_string(text.size()) + " bytes; the limit is " +
                        std::to_string(limit) + ".",
                    {.code = "F-TOO-LARGE", .file = file});
    }
    check_depth_and_size(text, file);
    try {
        return Json::parse(text);
    } catch (const Json::parse_error& error) {
        const std::size_t at = std::min(text.size(), error.byte > 0 ? error.byte - 1 : 0);
        const std::string_view before = text.substr(0, at);
        const auto line = std::count(before.begin(), before.end(), '\n') + 1;
        const std::size_t line_start = before.rfind('\n') + 1; // npos + 1 is 0
        throw Error(ErrorKind::format,
                    "no valid JSON at line " + std::to_string(line) + ", column " +
                        std::to_string(at - line_start + 1) + ".",
                    {.code = "F-JSON", .file = file, .offset = at});
    } catch (const Json::exception& error) { // such as a number out of range
        throw Error(ErrorKind::format, "no valid JSON: " + printable(error.what()) + ".",
                    {.code = "F-JSON", .file = file});
    }
}

void JsonView::fail(const std::string& problem, const std::string& code) const {
    throw Error(ErrorKind::format, "'" + printable(path_) + "' " + problem + ".",
                {.code = code, .file = *file_});
}

void JsonView::unsupported(const std::string& problem) const {
    throw Error(ErrorKind::unsupported, "'" + printable(path_) + "' " + problem + ".",
                {.code = "TK-TYPE", .file = *file_});
}

void JsonView::expect_object() const {
    if (!value_->is_object()) {
        fail(std::string("must be an object, but is ") + value_->type_name());
    }
}

void JsonView::expect_array() const {
    if (!value_->is_array()) {
        fail(std::string("must be an array, but is ") + value_->type_name());
    }
}

std::optional<JsonView> JsonView::find(const std::string& key) const {
    expect_object();
    const auto found = value_->find(key);
    if (found == value_->end() || found->is_null()) {
        return std::nullopt;
    }
    return JsonView(*found, path_.empty() ? key : path_ + "." + key, *file_);
}

JsonView JsonView::at(const std::string& key) const {
    auto found = find(key);
    if (!found) {
        fail("has no '" + key + "'");
    }
    return *found;
}

std::vector<JsonView> JsonView::elements() const {
    expect_array();
    std::vector<JsonView> out;
    out.reserve(value_->size());
    for (std::size_t i = 0; i < value_->size(); ++i) {
        out.emplace_back((*value_)[i], path_ + "[" + std::to_string(i) + "]", *file_);
    }
    return out;
}

const std::string& JsonView::text() const {
    if (!value_->is_string()) {
        fail(std::string("must be a string, but is ") + value_->type_name());
    }
    return value_->get_ref<const std::string&>();
}

bool JsonView::boolean() const {
    if (!value_->is_boolean()) {
        fail(std::string("must be true or false, but is ") + value_->type_name());
    }
    return value_->get<bool>();
}

std::int64_t JsonView::integer(std::int64_t low, std::int64_t high) const {
    if (!value_->is_number_integer()) {
        fail(std::string("must be a whole number, but is ") +
             (value_->is_number() ? value_->dump() : value_->type_name()));
    }
    const bool huge = value_->is_number_unsigned() && value_->get<std::uint64_t>() > std::uint64_t{1} << 62;
    const std::int64_t number = huge ? 0 : value_->get<std::int64_t>();
    if (huge || number < low || number > high) {
        fail("is " + value_->dump() + ", outside " + std::to_string(low) + " to " + std::to_string(high));
    }
    return number;
}

bool JsonView::boolean_or(const std::string& key, bool fallback) const {
    const auto found = find(key);
    return found ? found->boolean() : fallback;
}

std::string JsonView::text_or(const std::string& key, const std::string& fallback) const {
    const auto found = find(key);
    return found ? found->text() : fallback;
}

} // namespace ergo
