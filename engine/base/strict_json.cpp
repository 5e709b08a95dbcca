// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/strict_json.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <set>

namespace ergo {

namespace {

constexpr std::size_t max_depth = 64;
constexpr std::size_t side_members = 20'000; // ordered objects look a name up by going through all of them

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
    Checker(std::size_t max_members, JsonEvents* also, std::vector<std::string>* repeated = nullptr)
        : max_members_(max_members), also_(also), repeated_(repeated) {}

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
        if (const Members::Name* twice = members.twice(); twice && repeated_) {
            repeated_->emplace_back(members.view(*twice));
        } else if (twice) {
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
    std::vector<std::string>* repeated_; // null: a member that occurs twice is a problem
    std::vector<Members> levels_;        // of each open object, [0, depth_)
};

/// Adds up what the values of a text would take as a tree, and stops where that is more than `budget`.
class TreeMeter final : public JsonEvents {
  public:
    explicit TreeMeter(std::uint64_t budget) : left_(budget) {}
    bool exceeded = false;

    bool null() override { return take(value); }
    bool boolean(bool) override { return take(value); }
    bool number_integer(std::int64_t) override { return take(value); }
    bool number_unsigned(std::uint64_t) override { return take(value); }
    bool number_float(double, const std::string&) override { return take(value); }
    bool string(std::string& text) override { return take(value + string_head + text.size()); }
    bool key(std::string& name) override { return take(member + name.size()); }
    bool start_object(std::size_t) override { return take(value + container); }
    bool start_array(std::size_t) override { return take(value + container); }
    bool end_object() override { return true; }
    bool end_array() override { return true; }

  private:
    // bytes, with what the allocator adds; a list that grows is for a moment there twice
    static constexpr std::uint64_t value = 40, string_head = 48, member = 80, container = 64;

    bool take(std::uint64_t bytes) {
        exceeded = bytes > left_;
        left_ -= exceeded ? 0 : bytes;
        return !exceeded;
    }

    std::uint64_t left_;
};

std::string_view without_byte_order_mark(std::string_view text) {
    text.remove_prefix(text.starts_with("\xEF\xBB\xBF") ? 3 : 0);
    return text;
}

/// As check_side_json.
void check_tree(std::string_view text, const std::string& file_name, std::size_t max_members,
                std::uint64_t budget, std::vector<std::string>* repeated) {
    text = without_byte_order_mark(text);
    std::vector<std::string> twice;
    TreeMeter meter(budget);
    Checker checker(max_members, &meter, &twice);
    nlohmann::json::sax_parse(text.begin(), text.end(), &checker);
    JsonProblem& problem = checker.problem;
    problem.too_large = meter.exceeded;
    if (problem.too_large || problem.too_many_members) {
        throw Error(ErrorKind::resources,
                    problem.too_large
                        ? "the values of its " + std::to_string(text.size()) +
                              " bytes would take more than " + std::to_string(budget) +
                              " bytes of memory, the limit for a file of this size."
                        : "an object has more than " + std::to_string(max_members) + " members.",
                    {.code = "F-TOO-LARGE", .file = file_name, .advice = "Check that it is the right file."});
    }
    if (problem || !is_valid_utf8(text)) {
        throw Error(ErrorKind::format,
                    "this is not valid JSON: " + (problem ? problem.what : "the text is not UTF-8") + " (" +
                        line_and_column(text, problem.offset) + ").",
                    {.code = "F-JSON", .file = file_name, .advice = "Correct the file."});
    }
    if (repeated) {
        const std::set<std::string> once(twice.begin(), twice.end());
        repeated->insert(repeated->end(), once.begin(), once.end());
    }
}

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
    text = without_byte_order_mark(text);
    TreeMeter meter(memory_for(text.size()));
    const JsonProblem problem = check_strict_json(text, 1'000'000, &meter);
    if (problem || meter.exceeded || !is_valid_utf8(text)) {
        const std::string what = problem.too_many_members ? "an object has too many members"
                                 : meter.exceeded
                                     ? "its values would take more memory than a file of its size may"
                                 : problem ? problem.what
                                           : "the text is not UTF-8";
        throw Error(ErrorKind::format,
                    "this is not valid JSON: " + what + " (" + line_and_column(text, problem.offset) + ").",
                    {.code = "F-JSON", .file = file_name, .advice = "Correct the file."});
    }
    return nlohmann::json::parse(text.begin(), text.end());
}

void check_side_json(std::string_view text, const std::string& file_name,
                     std::vector<std::string>* repeated) {
    check_tree(text, file_name, side_members, memory_for(text.size()), repeated);
}

void check_large_json(std::string_view text, const std::string& file_name, std::uint64_t budget) {
    check_tree(text, file_name, std::numeric_limits<std::size_t>::max(), budget, nullptr);
}

bool is_sound_json(std::string_view text) {
    try {
        check_side_json(text, {});
        return true;
    } catch (const Error&) {
        return false;
    }
}

} // namespace ergo
