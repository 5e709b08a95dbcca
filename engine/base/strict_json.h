// SPDX-License-Identifier: GPL-3.0-or-later
// JSON of files that nobody vouches for: headers as events, without a tree, so that memory stays bounded by
// the text; side files as trees that are measured before they are built. Pure functions, any thread.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

/// What stops a text from being strict JSON; false when nothing does.
struct JsonProblem {
    std::string what; ///< without a final full stop
    std::uint64_t offset = 0;
    bool too_many_members = false, too_large = false;
    explicit operator bool() const { return too_many_members || too_large || !what.empty(); }
};

/// What the reading of a file of this many bytes may take in memory: 1.25 times as much and 64 MiB.
constexpr std::uint64_t memory_for(std::uint64_t file_bytes) {
    return file_bytes + file_bytes / 4 + (std::uint64_t{64} << 20);
}

/// One JSON value and nothing after it but white space, nested at most 64 deep, no object with two members of
/// the same (unescaped) name or with more than `max_members`. `also` is given the events in the same pass: of
/// the part before a problem, which may be found later, so nobody may believe them before this has returned.
JsonProblem check_strict_json(std::string_view text, std::size_t max_members,
                              class JsonEvents* also = nullptr);

/// Events of a text that has passed `check_strict_json`. Binary values do not occur in JSON.
class JsonEvents : public nlohmann::json_sax<nlohmann::json> {
  public:
    bool binary(nlohmann::json::binary_t&) override { return false; }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
        return false;
    }
};
void replay_json(std::string_view text, JsonEvents& events);

/// A whole small document (schemas, configurations). A byte order mark is skipped. Throws Error(format,
/// F-JSON) with line and column; duplicate members are an error.
nlohmann::json parse_document(std::string_view text, const std::string& file_name);

/// Comes back when `text` is JSON that may be read as a tree: UTF-8, perhaps after a byte order mark, nested
/// at most 64 deep, at most 20,000 members in one object, and as a tree not larger than `budget`. Throws
/// Error(format, F-JSON) with line and column, or Error(resources, F-TOO-LARGE). Of members with the same
/// name the last one counts; `repeated` receives such names, each once.
void check_side_json(std::string_view text, const std::string& file_name,
                     std::vector<std::string>* repeated = nullptr);
/// The same for a file with as many members as it likes.
void check_large_json(std::string_view text, const std::string& file_name, std::uint64_t budget);
/// Does check_side_json come back?
bool is_sound_json(std::string_view text);

/// "line 3, column 7"
std::string line_and_column(std::string_view text, std::uint64_t offset);

} // namespace ergo
