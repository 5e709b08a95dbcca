// SPDX-License-Identifier: GPL-3.0-or-later
// Values of a template, with the meanings they have in Python: undefined, None, booleans, 64-bit integers,
// floats, strings, lists, tuples, dictionaries in insertion order, namespaces and functions. Lists and
// dictionaries are shared and never change; a value is cheap to copy. One thread at a time.
#pragma once

#include "engine/template/text.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace ergo::jinja {

class TemplateValue;
struct TemplateCall;
struct TemplateLoop;  // the variable `loop` (evaluator.h)
struct TemplateSpace; // namespace(…) (evaluator.h)

using TemplateList = std::vector<TemplateValue>;
using TemplateFunction = std::function<TemplateValue(TemplateCall&)>;

/// What stopped a template: thrown inside this folder, turned into an Error with its line at the top.
struct TemplateProblem {
    const char* code; ///< CT-SYNTAX, CT-RUNTIME or CT-LIMIT
    std::string message;
    int line = 0; ///< 0: not known where it was thrown
};

/// A dictionary: entries in insertion order, found by key.
class TemplateMap {
  public:
    using Entry = std::pair<TemplateValue, TemplateValue>;
    const std::vector<Entry>& entries() const { return entries_; }
    const TemplateValue* find(const TemplateValue& key) const;
    const TemplateValue* find(std::string_view key) const;
    /// Adds or replaces. Throws TemplateProblem for a key that cannot be one (a list).
    void set(const TemplateValue& key, TemplateValue value);
    int depth() const { return depth_; }
    std::size_t weight() const { return weight_; }

  private:
    std::vector<Entry> entries_;
    std::unordered_map<std::string, std::size_t> index_; // canonical key -> entry
    int depth_ = 1;
    std::size_t weight_ = 1; // as TemplateValue::weight
};

class TemplateValue {
  public:
    enum class Kind { undefined, none, boolean, integer, real, text, list, map, space, loop, function };
    /// Nesting of lists and dictionaries, and their weight: beyond them CT-LIMIT.
    static constexpr int most_depth = 100;
    static constexpr std::size_t most_weight = std::size_t{1} << 24;

    TemplateValue() : data_(nullptr) {}                      ///< None
    TemplateValue(bool value) : data_(value) {}              // NOLINT: converts on purpose
    TemplateValue(std::int64_t value) : data_(value) {}      // NOLINT
    TemplateValue(double value) : data_(value) {}            // NOLINT
    TemplateValue(SourcedText value);                        // NOLINT
    TemplateValue(std::shared_ptr<const TemplateMap> value); // NOLINT
    TemplateValue(TemplateSpace* value) : data_(value) {}    // NOLINT
    TemplateValue(TemplateLoop* value) : data_(value) {}     // NOLINT
    static TemplateValue text(std::string bytes, TextSource source = template_source);
    /// Throws TemplateProblem (CT-LIMIT) when nested too deep or too heavy.
    static TemplateValue list(TemplateList items, bool tuple = false);
    static TemplateValue function(std::string name, TemplateFunction function);
    /// `what`: the sentence an attempt to use it fails with, such as "'x' is undefined".
    static TemplateValue undefined(std::string what);

    Kind kind() const { return static_cast<Kind>(data_.index()); }
    bool is_undefined() const { return kind() == Kind::undefined; }
    bool is_none() const { return kind() == Kind::none; }
    bool is_text() const { return kind() == Kind::text; }
    bool is_list() const { return kind() == Kind::list; }
    bool is_map() const { return kind() == Kind::map; }
    /// Booleans are numbers, as in Python.
    bool is_whole() const { return kind() == Kind::integer || kind() == Kind::boolean; }
    bool is_number() const { return is_whole() || kind() == Kind::real; }

    // Each needs the kind it names.
    const std::string& why_undefined() const { return *std::get<Missing>(data_).what; }
    bool boolean() const { return std::get<bool>(data_); }
    std::int64_t whole() const; ///< of a boolean 0 or 1
    double real() const;        ///< of any number
    const SourcedText& text() const { return *std::get<std::shared_ptr<const SourcedText>>(data_); }
    const std::string& bytes() const { return text().bytes(); }
    const TemplateList& items() const { return *std::get<ListRef>(data_).items; }
    bool is_tuple() const { return is_list() && std::get<ListRef>(data_).tuple; }
    const TemplateMap& map() const { return *std::get<std::shared_ptr<const TemplateMap>>(data_); }
    TemplateSpace* space() const { return std::get<TemplateSpace*>(data_); }
    TemplateLoop* loop() const { return std::get<TemplateLoop*>(data_); }
    const std::string& function_name() const { return std::get<FunctionRef>(data_)->first; }
    TemplateValue call(TemplateCall& call) const { return std::get<FunctionRef>(data_)->second(call); }
    /// The same object, not an equal one.
    bool same_as(const TemplateValue& other) const;
    int depth() const;
    /// What going through it costs: its parts at every level, shared ones as often as they occur, and a
    /// sixteenth of the bytes of its strings.
    std::size_t weight() const;

  private:
    struct Missing {
        std::shared_ptr<const std::string> what;
    };
    struct ListRef {
        std::shared_ptr<const TemplateList> items;
        bool tuple = false;
        int depth = 1;
        std::size_t weight = 1;
    };
    using FunctionRef = std::shared_ptr<const std::pair<std::string, TemplateFunction>>;
    // in the order of Kind
    std::variant<Missing, std::nullptr_t, bool, std::int64_t, double, std::shared_ptr<const SourcedText>,
                 ListRef, std::shared_ptr<const TemplateMap>, TemplateSpace*, TemplateLoop*, FunctionRef>
        data_;
};

/// Python's bool(), str() and repr(). Strings keep the sources of their bytes.
bool is_true(const TemplateValue& value);
SourcedText to_text(const TemplateValue& value);
SourcedText to_repr(const TemplateValue& value);
/// repr() of a float: the shortest text that reads back as the same number.
std::string float_repr(double value);
/// Python's name of the type: "str", "dict" … ("dict object" in messages about attributes).
std::string type_name(const TemplateValue& value);

/// Python's == and <. `less` throws TemplateProblem for types that have no order.
bool equal(const TemplateValue& a, const TemplateValue& b);
bool less(const TemplateValue& a, const TemplateValue& b);

} // namespace ergo::jinja
