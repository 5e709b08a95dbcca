// SPDX-License-Identifier: GPL-3.0-or-later
// Small expressions of schema files: shapes and conditions over a model's configuration.
// Immutable after parsing, any thread.
//
//   c ? a : b    a ?? b    || && !    == != < <= > >=    + - * / (unary -)    round(x) min(a,b) max(a,b)    (
//   ) 12   1.5   'text'   true   false   name
//
// `a ?? b` is b when the variable a has no value. `/` gives an integer when it divides exactly. round()
// rounds halves to even. Integers are 64 bits; overflow, division by zero and mixed-up types are errors.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace ergo {

using Value = std::variant<std::int64_t, double, bool, std::string>;
using Variables = std::map<std::string, Value>;

/// "12", "1.5", "true", "'dw_pw'"
std::string to_string(const Value& value);

class Expression {
  public:
    /// nullptr means that the variable has no value.
    using Lookup = std::function<const Value*(const std::string& name)>;

    /// The constant true.
    Expression();
    /// Throws Error(format, SCHEMA-EXPRESSION) with the column of the mistake.
    static Expression parse(std::string_view text);

    /// These throw Error(usage, SCHEMA-EXPRESSION) naming the expression and what is wrong with it.
    Value evaluate(const Lookup& lookup) const;
    bool evaluate_bool(const Lookup& lookup) const;
    /// A non-negative integer (an integral double is accepted).
    std::int64_t evaluate_size(const Lookup& lookup) const;
    const std::string& text() const { return text_; }

    struct Node;

  private:
    std::shared_ptr<const Node> root_;
    std::string text_;
};

} // namespace ergo
