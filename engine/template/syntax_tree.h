// SPDX-License-Identifier: GPL-3.0-or-later
// A parsed template. Immutable once parsed, any thread. For this folder alone.
#pragma once

#include "engine/template/value.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ergo::jinja::syntax {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

/// An argument of a call: `value`, `keyword=value`, `*value` or `**value`.
struct Argument {
    enum class Spread : std::uint8_t { none, list, map };
    std::string keyword; ///< "" when positional
    Spread spread = Spread::none;
    ExpressionPtr value;
};

struct Literal {
    TemplateValue value;
};
struct Name {
    std::string name;
};
struct Sequence { ///< [a, b] or (a, b)
    std::vector<ExpressionPtr> items;
    bool tuple = false;
};
struct Mapping {
    std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct Unary {
    enum class Operator : std::uint8_t { negate, minus, plus };
    Operator op;
    ExpressionPtr operand;
};
enum class BinaryOperator : std::uint8_t { add, subtract, multiply, divide, floor_divide, remainder, power };
struct Binary {
    BinaryOperator op;
    ExpressionPtr left, right;
};
struct Logical { ///< and, or: the value that decides
    bool is_and = true;
    ExpressionPtr left, right;
};
enum class Comparison : std::uint8_t { equal, unequal, less, less_equal, greater, greater_equal, in, not_in };
struct Compare { ///< a < b <= c
    ExpressionPtr first;
    std::vector<std::pair<Comparison, ExpressionPtr>> rest;
};
struct Concatenate { ///< a ~ b ~ c
    std::vector<ExpressionPtr> parts;
};
struct Conditional {                  ///< yes if condition else no
    ExpressionPtr condition, yes, no; ///< no: null when left out
};
struct Attribute {
    ExpressionPtr object;
    std::string name;
};
struct Subscript {
    ExpressionPtr object, index;
};
struct Slice {
    ExpressionPtr object, start, stop, step; ///< null when left out
};
struct Call {
    ExpressionPtr callee;
    std::vector<Argument> arguments;
};
struct Filter { ///< input | name(arguments); input null in a filter block
    ExpressionPtr input;
    std::string name;
    std::vector<Argument> arguments;
};
struct Test { ///< input is [not] name(arguments)
    ExpressionPtr input;
    std::string name;
    std::vector<Argument> arguments;
    bool negated = false;
};

struct Expression {
    std::variant<Literal, Name, Sequence, Mapping, Unary, Binary, Logical, Compare, Concatenate, Conditional,
                 Attribute, Subscript, Slice, Call, Filter, Test>
        node;
    int line = 1;
    int depth = 1; ///< of the tree below, bounded by the parser: evaluation recurses
};

struct Statement;
using Body = std::vector<Statement>;

/// Where a value goes: names (several unpack a list) or an attribute of a namespace.
struct Target {
    std::vector<std::string> names;
    bool unpack = false;
    std::string space, attribute; ///< both set for `ns.x`
};

struct Parameter {
    std::string name;
    ExpressionPtr otherwise; ///< null: none
};

struct Text {
    std::string text;
};
struct Print {
    ExpressionPtr value;
};
struct If {
    std::vector<std::pair<ExpressionPtr, Body>> branches;
    Body otherwise;
};
struct For {
    Target target;
    ExpressionPtr iterable, condition; ///< condition: null when left out
    Body body, otherwise;
    bool recursive = false;
};
struct Set {
    Target target;
    ExpressionPtr value;
};
struct SetBlock {
    Target target;
    std::vector<ExpressionPtr> filters; ///< applied in order
    Body body;
};
struct Macro {
    std::string name;
    std::vector<Parameter> parameters;
    Body body;
    bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
};
struct CallBlock { ///< {% call(x) m() %} … {% endcall %}
    std::shared_ptr<const Macro> caller;
    ExpressionPtr call;
};
struct FilterBlock {
    std::vector<ExpressionPtr> filters;
    Body body;
};
struct With {
    std::vector<std::pair<Target, ExpressionPtr>> values;
    Body body;
};
struct Jump { ///< break or continue
    bool leaves = true;
};

struct Statement {
    std::variant<Text, Print, If, For, Set, SetBlock, std::shared_ptr<const Macro>, CallBlock, FilterBlock,
                 With, Jump>
        node;
    int line = 1;
};

} // namespace ergo::jinja::syntax
