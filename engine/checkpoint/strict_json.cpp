// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/strict_json.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"

#include <algorithm>
#include <functional>

namespace ergo {

namespace {

constexpr std::size_t max_depth = 64;

/// The member names of one object, for finding two alike: their texts one after the other, and sorted by
/// hash.
struct Members {
    struct Name {
        std::size_t hash = 0, begin = 0, size = 0;
    };
    std::string text;
    std::vector<Name> names;

    std::string_view view(const Name& name) const {
        return std::string_view(text).substr(name.begin, name.size);
    }

    void add(std::string_view name) {
        names.push_back({std::hash<std::string_view>()(name), text.size(), name.size()});
        text += name;
    }

    /// nullptr when no name occurs twice.
    const Name* twice() {
        std::sort(names.begin(), names.end(), [this](const Name& a, const Name& b) {
            return a.hash != b.hash ? a.hash < b.hash : view(a) < view(b);
        });
        const auto found =
            std::adjacent_find(names.begin(), names.end(), [this](const Name& a, const Name& b) {
                return a.hash == b.hash && view(a) == view(b);
            });
        return found == names.end() ? nullptr : &*found;
    }
};

class Checker final : public JsonEvents {
  public:
    Checker(std::size_t max_members, JsonEvents* also) : max_members_(max_members), also_(also) {}

    JsonProblem problem;

    bool null() override { return !also_ || also_->null(); }
    bool boolean(bool value) override { return !also_ || also_->boolean(value); }
    bool number_integer(std::int64_t value) override { return !also_ || also_->number_integer(value); }
    bool number_unsigned(std::uint64_t value) override { return !also_ || also_->number_unsigned(value); }
    bool number_float(double value, const std::string& text) override {
        return !also_ || also_->number_float(value, text);
    }
    bool string(std::string& text) override { return !also_ || also_->string(text); }

    bool start_object(std::size_t size) override { return open() && (!also_ || also_->start_object(size)); }
    bool start_array(std::size_t size) override { return open() && (!also_ || also_->start_array(size)); }
    bool end_array() override {
        --depth_;
        return !also_ || also_->end_array();
    }

    bool key(std::string& name) override {
        Members& members = levels_[depth_ - 1];
        if (members.names.size() >= max_members_) {
            problem.too_many_members = true;
            return false;
        }
        members.add(name);
        return !also_ || also_->key(name);
    }

    bool end_object() override {
        Members& members = levels_[depth_ - 1];
        if (const Members::Name* twice = members.twice()) {
            problem.what = "the member '" + printable(members.view(*twice)) + "' occurs twice in one object";
            return false;
        }
        --depth_;
        return !also_ || also_->end_object();
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
        problem.what = "there is a mistake";
        problem.offset = position > 0 ? position - 1 : 0;
        return false;
    }

  private:
    bool open() {
        if (depth_ >= max_depth) {
            problem.what = "it is nested more than " + std::to_string(max_depth) + " deep";
            return false;
        }
        if (depth_ == levels_.size()) {
            levels_.emplace_back();
        }
        levels_[depth_].text.clear(); // their memory serves the next one of the same depth
        levels_[depth_].names.clear();
        ++depth_;
        return true;
    }

    std::size_t max_members_, depth_ = 0;
    JsonEvents* also_;
    std::vector<Members> levels_; // of each open object, [0, depth_)
};

} // namespace

JsonProblem check_strict_json(std::string_view text, std::size_t max_members, JsonEvents* also) {
    Checker checker(max_members, also);
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
