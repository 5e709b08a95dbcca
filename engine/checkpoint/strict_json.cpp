// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/strict_json.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"

#include <algorithm>

namespace ergo {

namespace {

constexpr std::size_t max_depth = 64;

class Checker final : public JsonEvents {
  public:
    explicit Checker(std::size_t max_members) : max_members_(max_members) {}

    JsonProblem problem;

    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(std::int64_t) override { return true; }
    bool number_unsigned(std::uint64_t) override { return true; }
    bool number_float(double, const std::string&) override { return true; }
    bool string(std::string&) override { return true; }

    bool start_object(std::size_t) override { return open(); }
    bool start_array(std::size_t) override { return open(); }
    bool end_array() override {
        levels_.pop_back();
        return true;
    }

    bool key(std::string& name) override {
        std::vector<std::string>& names = levels_.back();
        if (names.size() >= max_members_) {
            problem.too_many_members = true;
            return false;
        }
        names.push_back(std::move(name));
        return true;
    }

    bool end_object() override {
        std::vector<std::string>& names = levels_.back();
        std::sort(names.begin(), names.end());
        const auto twice = std::adjacent_find(names.begin(), names.end());
        if (twice != names.end()) {
            problem.what = "the member '" + printable(*twice) + "' occurs twice in one object";
            return false;
        }
        levels_.pop_back();
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
        problem.what = "there is a mistake";
        problem.offset = position > 0 ? position - 1 : 0;
        return false;
    }

  private:
    bool open() {
        if (levels_.size() >= max_depth) {
            problem.what = "it is nested more than " + std::to_string(max_depth) + " deep";
            return false;
        }
        levels_.emplace_back();
        return true;
    }

    std::size_t max_members_;
    std::vector<std::vector<std::string>> levels_; // member names of each open object
};

} // namespace

JsonProblem check_strict_json(std::string_view text, std::size_t max_members) {
    Checker checker(max_members);
    nlohmann::json::sax_parse(text.begin(), text.end(), &checker);
    return checker.problem;
}

void replay_json(std::string_view text, JsonEvents& events) {
    nlohmann::json::sax_parse(text.begin(), text.end(), &events);
}

std::string line_and_column(std::string_view text, std::uint64_t offset) {
    const std::string_view before =
        text.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(offset, text.size())));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t start = before.rfind('\n');
    const std::size_t column = start == std::string_view::npos ? before.size() + 1 : before.size() - start;
    return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

nlohmann::json parse_document(std::string_view text, const std::string& file_name) {
    if (text.starts_with("\xEF\xBB\xBF")) {
        text.remove_prefix(3);
    }
    const JsonProblem problem = check_strict_json(text, 1'000'000);
    if (problem || !is_valid_utf8(text)) {
        const std::string what = problem.too_many_members ? "an object has too many members"
                                 : problem                ? problem.what
                                                          : "the text is not UTF-8";
        throw Error(ErrorKind::format,
                    "this is not valid JSON: " + what + " (" + line_and_column(text, problem.offset) + ").",
                    {.code = "F-JSON", .file = file_name, .advice = "Correct the file."});
    }
    return nlohmann::json::parse(text.begin(), text.end());
}

} // namespace ergo
