// SPDX-License-Identifier: GPL-3.0-or-later
// JSON as values of a template.
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/template/template.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace ergo::jinja {

namespace {

// Builds values from the parser's events: members keep their order.
class Builder : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit Builder(TextSource source) : source_(source) {}

    TemplateValue result;
    std::size_t problem_at = 0;
    std::string problem;

    bool null() override { return add({}); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(std::int64_t{value}); }
    bool number_unsigned(number_unsigned_t value) override {
        return value > static_cast<number_unsigned_t>(INT64_MAX) ? add(static_cast<double>(value))
                                                                 : add(static_cast<std::int64_t>(value));
    }
    bool number_float(number_float_t value, const string_t&) override { return add(value); }
    bool string(string_t& value) override { return add(TemplateValue::text(value, source_)); }
    bool binary(binary_t&) override { return false; }
    bool key(string_t& name) override {
        open_.back().key = TemplateValue::text(name, source_);
        return true;
    }
    bool start_object(std::size_t) override { return open(true); }
    bool start_array(std::size_t) override { return open(false); }
    bool end_object() override {
        const auto map = open_.back().map;
        open_.pop_back();
        return add(TemplateValue(std::shared_ptr<const TemplateMap>(map)));
    }
    bool end_array() override {
        TemplateList items = std::move(open_.back().items);
        open_.pop_back();
        return add(TemplateValue::list(std::move(items)));
    }
    bool parse_error(std::size_t at, const std::string&, const nlohmann::json::exception& error) override {
        problem_at = at;
        const std::string what = error.what();
        const auto colon = what.find("- ");
        problem = printable(colon == std::string::npos ? what : what.substr(colon + 2), 120);
        return false;
    }

  private:
    struct Open {
        std::shared_ptr<TemplateMap> map; // null: a list
        TemplateList items;
        TemplateValue key;
    };

    bool open(bool is_map) {
        if (open_.size() >= 64) {
            problem = "it is nested more than 64 deep";
            return false;
        }
        open_.push_back({is_map ? std::make_shared<TemplateMap>() : nullptr, {}, {}});
        return true;
    }

    bool add(TemplateValue value) {
        if (open_.empty()) {
            result = std::move(value);
        } else if (open_.back().map) {
            open_.back().map->set(open_.back().key, std::move(value));
        } else {
            open_.back().items.push_back(std::move(value));
        }
        return true;
    }

    TextSource source_;
    std::vector<Open> open_;
};

} // namespace

TemplateValue value_from_json(std::string_view text, const std::string& file_name, TextSource source) {
    constexpr std::size_t limit = std::size_t{64} << 20;
    if (text.size() > limit) {
        throw Error(ErrorKind::resources,
                    "the file has " + std::to_string(text.size()) + " bytes; the limit is " +
                        std::to_string(limit) + ".",
                    {.code = "F-TOO-LARGE", .file = file_name});
    }
    Builder builder(source);
    bool read = false;
    try {
        read = nlohmann::json::sax_parse(text, &builder);
    } catch (const TemplateProblem& problem) {
        builder.problem = problem.message;
    }
    if (!read) {
        const std::string_view before = text.substr(0, std::min(text.size(), builder.problem_at));
        throw Error(ErrorKind::format,
                    "no valid JSON at line " +
                        std::to_string(std::count(before.begin(), before.end(), '\n') + 1) + ": " +
                        builder.problem + ".",
                    {.code = "F-JSON", .file = file_name});
    }
    return builder.result;
}

} // namespace ergo::jinja
