// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/expression.h"

#include "engine/base/error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

namespace ergo {

enum class Op {
    constant,
    variable,
    choose,
    fallback,
    either,
    both,
    equal,
    unequal,
    less,
    less_equal,
    greater,
    greater_equal,
    add,
    subtract,
    multiply,
    divide,
    negate,
    invert,
    round,
    minimum,
    maximum,
};

struct Expression::Node {
    Op op;
    Value constant;
    std::string name;
    std::vector<std::shared_ptr<const Node>> arguments;
};

namespace {

using Node = Expression::Node;
using NodePtr = std::shared_ptr<const Node>;

constexpr int max_depth = 64;
constexpr std::size_t max_text = 1000;

struct BinaryOperator {
    std::string_view symbol;
    Op op;
    int level; // binds tighter when higher
};

// Longer symbols first where one begins another.
constexpr std::array<BinaryOperator, 13> binary_operators{{
    {"??", Op::fallback, 7},
    {"||", Op::either, 1},
    {"&&", Op::both, 2},
    {"==", Op::equal, 3},
    {"!=", Op::unequal, 3},
    {"<=", Op::less_equal, 4},
    {">=", Op::greater_equal, 4},
    {"<", Op::less, 4},
    {">", Op::greater, 4},
    {"+", Op::add, 5},
    {"-", Op::subtract, 5},
    {"*", Op::multiply, 6},
    {"/", Op::divide, 6},
}};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    NodePtr parse() {
        NodePtr root = conditional();
        if (peek() != '\0') {
            fail("an operator is missing");
        }
        return root;
    }

  private:
    struct Deeper { // recursion is bounded by the depth of the text's nesting
        explicit Deeper(Parser& p) : parser(p) {
            if (++p.depth_ > max_depth) {
                p.fail("it is nested too deep");
            }
        }
        ~Deeper() { --parser.depth_; }
        Deeper(const Deeper&) = delete;
        Deeper& operator=(const Deeper&) = delete;
        Parser& parser;
    };

    static NodePtr node(Op op, std::vector<NodePtr> arguments) {
        return std::make_shared<const Node>(Node{op, {}, {}, std::move(arguments)});
    }

    NodePtr conditional() {
        const Deeper guard(*this);
        NodePtr condition = binary(1);
        if (peek() == '?' && text_.substr(at_, 2) != "??") {
            ++at_;
            NodePtr yes = conditional();
            expect(':');
            NodePtr no = conditional();
            return node(Op::choose, {condition, yes, no});
        }
        return condition;
    }

    NodePtr binary(int level) {
        NodePtr left = unary();
        while (const auto found = next_operator()) {
            if (found->level < level) {
                break;
            }
            at_ += found->symbol.size();
            left = node(found->op, {left, binary(found->level + 1)});
        }
        return left;
    }

    std::optional<BinaryOperator> next_operator() {
        peek();
        for (const BinaryOperator& candidate : binary_operators) {
            if (text_.substr(at_).starts_with(candidate.symbol)) {
                return candidate;
            }
        }
        return std::nullopt;
    }

    NodePtr unary() {
        const Deeper guard(*this);
        const char c = peek();
        if (c == '-' || c == '!') {
            ++at_;
            return node(c == '-' ? Op::negate : Op::invert, {unary()});
        }
        return primary(c);
    }

    NodePtr primary(char c) {
        if (c == '(') {
            ++at_;
            NodePtr inside = conditional();
            expect(')');
            return inside;
        }
        if (c == '\'') {
            const std::size_t end = text_.find('\'', at_ + 1);
            if (end == std::string_view::npos) {
                fail("a quote is not closed");
            }
            std::string value(text_.substr(at_ + 1, end - at_ - 1));
            at_ = end + 1;
            return literal(std::move(value));
        }
        if (is_digit(c)) {
            return number();
        }
        if (is_letter(c)) {
            return name();
        }
        fail("a value is missing");
    }

    static NodePtr literal(Value value) {
        return std::make_shared<const Node>(Node{Op::constant, std::move(value), {}, {}});
    }

    NodePtr number() {
        const std::size_t start = at_;
        while (at_ < text_.size() && (is_digit(text_[at_]) || text_[at_] == '.')) {
            ++at_;
        }
        const std::string digits(text_.substr(start, at_ - start));
        const auto points = std::count(digits.begin(), digits.end(), '.');
        if (points > 1 || digits.back() == '.' || digits.size() > 18) {
            fail("a number is malformed");
        }
        if (points == 0) {
            return literal(static_cast<std::int64_t>(std::stoll(digits)));
        }
        // by hand: std::stod would follow the locale's decimal point
        double value = 0, scale = 1;
        bool fraction = false;
        for (const char c : digits) {
            if (c == '.') {
                fraction = true;
            } else {
                value = value * 10 + (c - '0');
                scale *= fraction ? 10 : 1;
            }
        }
        return literal(value / scale);
    }

    NodePtr name() {
        const std::size_t start = at_;
        while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) {
            ++at_;
        }
        std::string word(text_.substr(start, at_ - start));
        if (word == "true" || word == "false") {
            return literal(word == "true");
        }
        if (peek() != '(') {
            return std::make_shared<const Node>(Node{Op::variable, {}, std::move(word), {}});
        }
        const Op op = word == "round" ? Op::round : word == "min" ? Op::minimum : Op::maximum;
        if (op == Op::maximum && word != "max") {
            fail("there is no function '" + word + "'");
        }
        ++at_;
        std::vector<NodePtr> arguments{conditional()};
        if (op != Op::round) {
            expect(',');
            arguments.push_back(conditional());
        }
        expect(')');
        return node(op, std::move(arguments));
    }

    void expect(char wanted) {
        if (peek() != wanted) {
            fail(std::string("a '") + wanted + "' is missing");
        }
        ++at_;
    }

    char peek() {
        while (at_ < text_.size() && text_[at_] == ' ') {
            ++at_;
        }
        return at_ < text_.size() ? text_[at_] : '\0';
    }

    [[noreturn]] void fail(const std::string& what) const {
        throw Error(ErrorKind::format,
                    "the expression \"" + printable(text_) + "\" is malformed at column " +
                        std::to_string(at_ + 1) + ": " + what + ".",
                    {.code = "SCHEMA-EXPRESSION"});
    }

    std::string_view text_;
    std::size_t at_ = 0;
    int depth_ = 0;
};

/// Internal to evaluation; turned into an Error that names the whole expression.
struct Mistake {
    std::string what;
};

using Result = std::optional<Value>; // empty: a variable without a value

class Evaluator {
  public:
    explicit Evaluator(const Expression::Lookup& lookup) : lookup_(lookup) {}

    Result evaluate(const Node& n) const {
        switch (n.op) {
        case Op::constant:
            return n.constant;
        case Op::variable: {
            const Value* value = lookup_ ? lookup_(n.name) : nullptr;
            return value ? Result(*value) : std::nullopt;
        }
        case Op::choose:
            return evaluate(*n.arguments[truth(*n.arguments[0]) ? 1 : 2]);
        case Op::fallback: {
            Result left = evaluate(*n.arguments[0]);
            return left ? left : evaluate(*n.arguments[1]);
        }
        case Op::either:
            return truth(*n.arguments[0]) || truth(*n.arguments[1]);
        case Op::both:
            return truth(*n.arguments[0]) && truth(*n.arguments[1]);
        case Op::invert:
            return !truth(*n.arguments[0]);
        case Op::negate:
            return arithmetic(Op::subtract, std::int64_t{0}, value(*n.arguments[0]));
        case Op::round:
            return rounded(number(value(*n.arguments[0])));
        case Op::equal:
            return same(value(*n.arguments[0]), value(*n.arguments[1]));
        case Op::unequal:
            return !same(value(*n.arguments[0]), value(*n.arguments[1]));
        case Op::less:
        case Op::less_equal:
        case Op::greater:
        case Op::greater_equal:
            return ordered(n.op, number(value(*n.arguments[0])), number(value(*n.arguments[1])));
        default:
            return arithmetic(n.op, value(*n.arguments[0]), value(*n.arguments[1]));
        }
    }

  private:
    Value value(const Node& n) const {
        Result result = evaluate(n);
        if (!result) {
            throw Mistake{n.op == Op::variable ? "'" + n.name + "' has no value" : "a part has no value"};
        }
        return *std::move(result);
    }

    bool truth(const Node& n) const {
        const Value v = value(n);
        if (const bool* b = std::get_if<bool>(&v)) {
            return *b;
        }
        throw Mistake{to_string(v) + " is not true or false"};
    }

    static double number(const Value& v) {
        if (const auto* i = std::get_if<std::int64_t>(&v)) {
            return static_cast<double>(*i);
        }
        if (const auto* d = std::get_if<double>(&v)) {
            return *d;
        }
        throw Mistake{to_string(v) + " is not a number"};
    }

    static bool is_number(const Value& v) { return v.index() <= 1; }

    static bool same(const Value& a, const Value& b) {
        if (is_number(a) && is_number(b)) {
            return number(a) == number(b);
        }
        if (a.index() != b.index()) {
            throw Mistake{to_string(a) + " cannot be compared with " + to_string(b)};
        }
        return a == b;
    }

    static bool ordered(Op op, double a, double b) {
        return op == Op::less ? a < b : op == Op::less_equal ? a <= b : op == Op::greater ? a > b : a >= b;
    }

    static Value rounded(double x) {
        if (!(std::abs(x) < 9.0e18)) {
            throw Mistake{"a number is too large to round"};
        }
        const double down = std::floor(x), rest = x - down;
        const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(down, 2.0) != 0.0); // halves to even
        return static_cast<std::int64_t>(up ? down + 1 : down);
    }

    static Value arithmetic(Op op, const Value& a, const Value& b) {
        const auto* i = std::get_if<std::int64_t>(&a);
        const auto* j = std::get_if<std::int64_t>(&b);
        if (i && j) {
            return integers(op, *i, *j);
        }
        const double x = number(a), y = number(b);
        switch (op) {
        case Op::add:
            return x + y;
        case Op::subtract:
            return x - y;
        case Op::multiply:
            return x * y;
        case Op::minimum:
            return std::min(x, y);
        case Op::maximum:
            return std::max(x, y);
        default:
            if (y == 0) {
                throw Mistake{"something is divided by zero"};
            }
            return x / y;
        }
    }

    static Value integers(Op op, std::int64_t a, std::int64_t b) {
        std::int64_t result = 0;
        bool overflow = false;
        switch (op) {
        case Op::add:
            overflow = __builtin_add_overflow(a, b, &result);
            break;
        case Op::subtract:
            overflow = __builtin_sub_overflow(a, b, &result);
            break;
        case Op::multiply:
            overflow = __builtin_mul_overflow(a, b, &result);
            break;
        case Op::minimum:
            return std::min(a, b);
        case Op::maximum:
            return std::max(a, b);
        default:
            if (b == 0) {
                throw Mistake{"something is divided by zero"};
            }
            if (b == -1) { // the lowest integer has no opposite
                overflow = __builtin_sub_overflow(std::int64_t{0}, a, &result);
            } else if (a % b == 0) {
                result = a / b;
            } else {
                return static_cast<double>(a) / static_cast<double>(b);
            }
        }
        if (overflow) {
            throw Mistake{"a number leaves 64 bits"};
        }
        return result;
    }

    const Expression::Lookup& lookup_;
};

} // namespace

std::string to_string(const Value& value) {
    struct Show {
        std::string operator()(std::int64_t v) const { return std::to_string(v); }
        std::string operator()(bool v) const { return v ? "true" : "false"; }
        std::string operator()(const std::string& v) const {
            return std::string("'").append(printable(v, 60)).append("'");
        }
        std::string operator()(double v) const {
            std::array<char, 40> text{}; // the shortest that reads as the same number
            return {text.data(), std::to_chars(text.data(), text.data() + text.size(), v).ptr};
        }
    };
    return std::visit(Show{}, value);
}

Expression::Expression()
    : root_(std::make_shared<const Node>(Node{Op::constant, true, {}, {}})), text_("true") {}

Expression Expression::parse(std::string_view text) {
    if (text.size() > max_text) {
        throw Error(ErrorKind::format,
                    "an expression of " + std::to_string(text.size()) + " characters is too long.",
                    {.code = "SCHEMA-EXPRESSION"});
    }
    Expression expression;
    expression.text_ = text;
    expression.root_ = Parser(text).parse();
    return expression;
}

Value Expression::evaluate(const Lookup& lookup) const {
    std::string mistake;
    try {
        if (Result result = Evaluator(lookup).evaluate(*root_)) {
            return *std::move(result);
        }
        mistake = "it has no value";
    } catch (const Mistake& m) {
        mistake = m.what;
    }
    throw Error(ErrorKind::usage, "\"" + printable(text_) + "\" cannot be worked out: " + mistake + ".",
                {.code = "SCHEMA-EXPRESSION"});
}

bool Expression::evaluate_bool(const Lookup& lookup) const {
    const Value value = evaluate(lookup);
    if (const bool* b = std::get_if<bool>(&value)) {
        return *b;
    }
    throw Error(ErrorKind::usage,
                "\"" + printable(text_) + "\" gives " + to_string(value) + ", not true or false.",
                {.code = "SCHEMA-EXPRESSION"});
}

std::int64_t Expression::evaluate_size(const Lookup& lookup) const {
    const Value value = evaluate(lookup);
    if (const auto* i = std::get_if<std::int64_t>(&value); i && *i >= 0) {
        return *i;
    }
    if (const auto* d = std::get_if<double>(&value); d && *d >= 0 && *d < 9.0e15 && *d == std::floor(*d)) {
        return static_cast<std::int64_t>(*d);
    }
    throw Error(ErrorKind::usage, "\"" + printable(text_) + "\" gives " + to_string(value) + ", not a size.",
                {.code = "SCHEMA-EXPRESSION"});
}

} // namespace ergo
