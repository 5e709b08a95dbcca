// SPDX-License-Identifier: GPL-3.0-or-later
// What filters, tests, methods and functions of a template work with: their arguments, the budget, and calls
// back into the evaluator. One rendering, one thread; for this folder alone.
#pragma once

#include "engine/template/budget.h"

#include <ctime>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ergo::jinja {

class TemplateRuntime;

/// A mutable bag of names: namespace(…).
struct TemplateSpace {
    std::unordered_map<std::string, TemplateValue> names;
};

/// One call of a filter (its input is the first argument), a test, a method or a function.
struct TemplateCall {
    TemplateRuntime& runtime;
    std::string name; ///< for messages
    std::vector<TemplateValue> positional;
    std::vector<std::pair<std::string, TemplateValue>> named;

    /// Throws unless all arguments fit these parameters. A filter's input counts.
    void expect(std::initializer_list<std::string_view> parameters, std::size_t required) const;
    /// The argument at `index`, by position or by name; nullptr when it was not given.
    const TemplateValue* find(std::size_t index, std::string_view keyword) const;
    const TemplateValue& input() const { return positional.at(0); }
    /// Arguments of a type; `fallback` when not given (None counts as not given for texts and numbers).
    std::int64_t whole_or(std::size_t index, std::string_view keyword, std::int64_t fallback) const;
    bool flag_or(std::size_t index, std::string_view keyword, bool fallback) const;
    const SourcedText* text_or_null(std::size_t index, std::string_view keyword) const;

    [[noreturn]] void fail(const std::string& message) const;
};

class TemplateRuntime {
  public:
    virtual ~TemplateRuntime() = default;
    TemplateRuntime() = default;
    TemplateRuntime(const TemplateRuntime&) = delete;
    TemplateRuntime& operator=(const TemplateRuntime&) = delete;

    /// Calls a function value. Throws TemplateProblem for a value that is none.
    virtual TemplateValue call(const TemplateValue& function, TemplateCall& arguments) = 0;
    virtual TemplateSpace* make_space() = 0;

    TemplateBudget budget;
    std::time_t now = 0; ///< seconds since 1970 of strftime_now
};

[[noreturn]] void template_failure(const std::string& message);

// ---- operations on values, as Python has them (operations.cpp)

TemplateValue add(TemplateRuntime& runtime, const TemplateValue& a, const TemplateValue& b);
TemplateValue subtract(const TemplateValue& a, const TemplateValue& b);
TemplateValue multiply(TemplateRuntime& runtime, const TemplateValue& a, const TemplateValue& b);
TemplateValue divide(const TemplateValue& a, const TemplateValue& b);
TemplateValue floor_divide(const TemplateValue& a, const TemplateValue& b);
TemplateValue remainder(TemplateRuntime& runtime, const TemplateValue& a, const TemplateValue& b);
TemplateValue power(const TemplateValue& a, const TemplateValue& b);
TemplateValue minus(const TemplateValue& a);

/// item in container
bool contains(TemplateRuntime& runtime, const TemplateValue& container, const TemplateValue& item);
/// What a loop goes through: items, characters, keys; nothing for undefined.
TemplateList iterate(TemplateRuntime& runtime, const TemplateValue& value);
std::int64_t length(const TemplateValue& value);
TemplateValue text_value(TemplateRuntime& runtime, SourcedText text);
/// Python's % on a string (format.cpp).
SourcedText format_percent(TemplateRuntime& runtime, const SourcedText& format,
                           const TemplateValue& arguments);

// ---- parts of values (access.cpp)

/// value.name: a method or an attribute first, then the item.
TemplateValue attribute(TemplateRuntime& runtime, const TemplateValue& value, const std::string& name);
/// value[index]: the item first, then an attribute.
TemplateValue subscript(TemplateRuntime& runtime, const TemplateValue& value, const TemplateValue& index);
TemplateValue slice(TemplateRuntime& runtime, const TemplateValue& value, const TemplateValue& start,
                    const TemplateValue& stop, const TemplateValue& step);
/// "a.b.0", as filters take attributes. `fallback`, if given, stands for every part that is undefined.
TemplateValue path_of(TemplateRuntime& runtime, TemplateValue value, const TemplateValue& path,
                      const TemplateValue* fallback = nullptr);

// ---- tables

/// The method `name` of a string, list or dictionary, bound to it; undefined if there is none (methods.cpp).
TemplateValue method(const TemplateValue& self, const std::string& name);

using TemplateFilter = TemplateValue (*)(TemplateCall&);
TemplateFilter find_filter(std::string_view name); ///< nullptr: none (filters.cpp, list_filters.cpp)
TemplateFilter find_list_filter(std::string_view name);
using TemplateTest = bool (*)(TemplateCall&);
TemplateTest find_test(std::string_view name); ///< nullptr: none (tests.cpp)
/// Applies them; throw TemplateProblem for an unknown name.
TemplateValue apply_filter(TemplateCall& call);
bool apply_test(TemplateCall& call);

/// raise_exception, strftime_now, range, namespace, dict, joiner, cycler (functions.cpp).
std::vector<std::pair<std::string, TemplateValue>> template_functions();

/// json.dumps with ensure_ascii false by default (python_json.cpp).
struct JsonLayout {
    std::optional<std::string> indent; ///< of one level; nullopt: one line
    std::string item_separator = ", ", key_separator = ": ";
    bool ascii = false, sort_keys = false;
};
SourcedText to_json(TemplateRuntime& runtime, const TemplateValue& value, const JsonLayout& layout);

} // namespace ergo::jinja
