// SPDX-License-Identifier: GPL-3.0-or-later
// JSON of file headers, read as events: no tree is built, so memory stays bounded by the text. Internal to
// this floor. Pure functions, any thread.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace ergo {

/// What stops a text from being strict JSON; false when nothing does.
struct JsonProblem {
    std::string what; ///< without a final full stop
    std::uint64_t offset = 0;
    bool too_many_members = false;
    explicit operator bool() const { return too_many_members || !what.empty(); }
};

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

/// "line 3, column 7"
std::string line_and_column(std::string_view text, std::uint64_t offset);

} // namespace ergo
