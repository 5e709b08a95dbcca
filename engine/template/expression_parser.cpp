// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/error.h"
#include "engine/template/parser.h"

#include <algorithm>

namespace ergo::jinja {

using namespace syntax;
using Kind = TemplateToken::Kind;

// ---- tokens

std::string TemplateTokens::seen() const {
    switch (peek().kind) {
    case Kind::end:
    case Kind::text:
        return "the end of the marker";
    case Kind::print_begin:
        return "'{{'";
    case Kind::print_end:
        return "'}}'";
    case Kind::block_begin:
        return "'{%'";
    case Kind::block_end:
        return "'%}'";
    case Kind::string:
        return "the string '" + printable(peek().text, 40) + "'";
    default:
        return "'" + printable(peek().text, 40) + "'";
    }
}

void TemplateTokens::fail_at(int line, const std::string& message) const {
    throw TemplateProblem{"CT-SYNTAX", message, line};
}

void TemplateTokens::fail(const std::string& message) const {
    fail_at(peek().line, message);
}

void TemplateTokens::expect_sign(std::string_view sign) {
    if (!skip_sign(sign)) {
        fail("'" + std::string(sign) + "' is expected, but " + seen() + " stands there");
    }
}

std::string TemplateTokens::expect_name(std::string_view what) {
    if (peek().kind != Kind::name) {
        fail(std::string(what) + " is expected, but " + seen() + " stands there");
    }
    return take().text;
}

void TemplateTokens::expect(Kind kind, std::string_view what) {
    if (peek().kind != kind) {
        fail("'" + std::string(what) + "' is expected, but " + seen() + " stands there");
    }
    take();
}

bool TemplateTokens::mentioned(std::string_view name, std::size_t since) const {
    return std::any_of(tokens_.begin() + static_cast<std::ptrdiff_t>(since),
                       tokens_.begin() + static_cast<std::ptrdiff_t>(at_), [&](const TemplateToken& token) {
                           return token.kind == Kind::name && token.text == name;
                       });
}

// ---- building

template <class Node>
ExpressionPtr ExpressionParser::make(Node node, int line, std::initializer_list<int> depths) {
    auto made = std::make_unique<Expression>(Expression{std::move(node), line, 1 + std::max(depths)});
    if (made->depth > most_depth) {
        throw TemplateProblem{
            "CT-LIMIT", "an expression is nested more than " + std::to_string(most_depth) + " deep", line};
    }
    return made;
}

int ExpressionParser::depth(const std::vector<Argument>& arguments) {
    int deepest = 0;
    for (const Argument& argument : arguments) {
        deepest = std::max(deepest, argument.value->depth);
    }
    return deepest;
}

// ---- precedence, loosest first

ExpressionPtr ExpressionParser::expression(bool with_condition) {
    constexpr int most_nested = 60; // each takes a dozen calls of this parser
    if (++nested_ > most_nested) {
        throw TemplateProblem{"CT-LIMIT",
                              "brackets are nested more than " + std::to_string(most_nested) + " deep",
                              in_.peek().line};
    }
    ExpressionPtr made = with_condition ? condition() : either();
    --nested_;
    return made;
}

bool ExpressionParser::tuple_ends() const {
    const Kind kind = in_.peek().kind;
    return kind == Kind::print_end || kind == Kind::block_end || kind == Kind::end || in_.is_sign(")");
}

ExpressionPtr ExpressionParser::tuple(bool with_condition) {
    const int line = in_.peek().line;
    Sequence items{{}, true};
    int deepest = 0;
    bool is_tuple = false;
    while (!tuple_ends() && !(is_tuple && (in_.is_name("in") || in_.is_name("recursive")))) {
        items.items.push_back(expression(with_condition));
        deepest = std::max(deepest, items.items.back()->depth);
        if (!in_.skip_sign(",")) {
            break;
        }
        is_tuple = true;
    }
    if (!is_tuple) {
        if (items.items.empty()) {
            in_.fail("an expression is expected, but " + in_.seen() + " stands there");
        }
        return std::move(items.items.front());
    }
    return make(std::move(items), line, {deepest});
}

ExpressionPtr ExpressionParser::condition() {
    ExpressionPtr yes = either();
    while (in_.is_name("if")) {
        const int line = in_.take().line;
        ExpressionPtr test = either();
        ExpressionPtr no = in_.skip_name("else") ? expression() : nullptr;
        const int depths[] = {depth(yes), depth(test), depth(no)};
        yes = make(Conditional{std::move(test), std::move(yes), std::move(no)}, line,
                   {depths[0], depths[1], depths[2]});
    }
    return yes;
}

ExpressionPtr ExpressionParser::either() {
    ExpressionPtr left = both();
    while (in_.is_name("or")) {
        const int line = in_.take().line;
        ExpressionPtr right = both();
        const int l = depth(left), r = depth(right);
        left = make(Logical{false, std::move(left), std::move(right)}, line, {l, r});
    }
    return left;
}

ExpressionPtr ExpressionParser::both() {
    ExpressionPtr left = negation();
    while (in_.is_name("and")) {
        const int line = in_.take().line;
        ExpressionPtr right = negation();
        const int l = depth(left), r = depth(right);
        left = make(Logical{true, std::move(left), std::move(right)}, line, {l, r});
    }
    return left;
}

ExpressionPtr ExpressionParser::negation() {
    std::vector<int> lines;
    while (in_.is_name("not")) {
        lines.push_back(in_.take().line);
    }
    ExpressionPtr made = comparison();
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        const int below = depth(made);
        made = make(Unary{Unary::Operator::negate, std::move(made)}, *line, {below});
    }
    return made;
}

ExpressionPtr ExpressionParser::comparison() {
    static constexpr std::pair<std::string_view, Comparison> signs[] = {
        {"==", Comparison::equal},      {"!=", Comparison::unequal}, {"<", Comparison::less},
        {"<=", Comparison::less_equal}, {">", Comparison::greater},  {">=", Comparison::greater_equal},
    };
    const int line = in_.peek().line;
    Compare compare{sum(), {}};
    int deepest = depth(compare.first);
    while (true) {
        const auto* sign = std::find_if(std::begin(signs), std::end(signs),
                                        [&](const auto& s) { return in_.is_sign(s.first); });
        Comparison op{};
        if (sign != std::end(signs)) {
            op = sign->second;
            in_.take();
        } else if (in_.skip_name("in")) {
            op = Comparison::in;
        } else if (in_.is_name("not") && in_.is_name("in", 1)) {
            in_.take(), in_.take();
            op = Comparison::not_in;
        } else {
            break;
        }
        compare.rest.emplace_back(op, sum());
        deepest = std::max(deepest, depth(compare.rest.back().second));
    }
    return compare.rest.empty() ? std::move(compare.first) : make(std::move(compare), line, {deepest});
}

ExpressionPtr ExpressionParser::sum() {
    ExpressionPtr left = concatenation();
    while (in_.is_sign("+") || in_.is_sign("-")) {
        const int line = in_.peek().line;
        const BinaryOperator op = in_.take().text == "+" ? BinaryOperator::add : BinaryOperator::subtract;
        ExpressionPtr right = concatenation();
        const int l = depth(left), r = depth(right);
        left = make(Binary{op, std::move(left), std::move(right)}, line, {l, r});
    }
    return left;
}

ExpressionPtr ExpressionParser::concatenation() {
    const int line = in_.peek().line;
    Concatenate parts;
    parts.parts.push_back(product());
    int deepest = depth(parts.parts.back());
    while (in_.skip_sign("~")) {
        parts.parts.push_back(product());
        deepest = std::max(deepest, depth(parts.parts.back()));
    }
    return parts.parts.size() == 1 ? std::move(parts.parts.front()) : make(std::move(parts), line, {deepest});
}

ExpressionPtr ExpressionParser::product() {
    static constexpr std::pair<std::string_view, BinaryOperator> signs[] = {
        {"*", BinaryOperator::multiply},
        {"/", BinaryOperator::divide},
        {"//", BinaryOperator::floor_divide},
        {"%", BinaryOperator::remainder},
    };
    ExpressionPtr left = power();
    while (true) {
        const auto* sign = std::find_if(std::begin(signs), std::end(signs),
                                        [&](const auto& s) { return in_.is_sign(s.first); });
        if (sign == std::end(signs)) {
            return left;
        }
        const int line = in_.take().line;
        ExpressionPtr right = power();
        const int l = depth(left), r = depth(right);
        left = make(Binary{sign->second, std::move(left), std::move(right)}, line, {l, r});
    }
}

ExpressionPtr ExpressionParser::power() {
    ExpressionPtr left = unary(true);
    while (in_.is_sign("**")) {
        const int line = in_.take().line;
        ExpressionPtr right = unary(true);
        const int l = depth(left), r = depth(right);
        left = make(Binary{BinaryOperator::power, std::move(left), std::move(right)}, line, {l, r});
    }
    return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
    std::vector<std::pair<Unary::Operator, int>> signs;
    while (in_.is_sign("-") || in_.is_sign("+")) {
        const int line = in_.peek().line;
        signs.emplace_back(in_.take().text == "-" ? Unary::Operator::minus : Unary::Operator::plus, line);
    }
    ExpressionPtr made = postfix(primary());
    for (auto sign = signs.rbegin(); sign != signs.rend(); ++sign) {
        const int below = depth(made);
        made = make(Unary{sign->first, std::move(made)}, sign->second, {below});
    }
    return with_filters ? filters_and_tests(std::move(made)) : std::move(made);
}

// ---- primaries

ExpressionPtr ExpressionParser::primary() {
    const TemplateToken token = in_.peek();
    const auto literal = [&](TemplateValue value) {
        return make(Literal{std::move(value)}, token.line, {0});
    };
    switch (token.kind) {
    case Kind::integer:
        in_.take();
        return literal(token.integer);
    case Kind::real:
        in_.take();
        return literal(token.real);
    case Kind::string: {
        std::string text;
        while (in_.peek().kind == Kind::string) { // neighbours are one string
            text += in_.take().text;
        }
        return literal(TemplateValue::text(std::move(text)));
    }
    case Kind::name:
        in_.take();
        if (token.text == "true" || token.text == "True" || token.text == "false" || token.text == "False") {
            return literal(TemplateValue(std::tolower(static_cast<unsigned char>(token.text[0])) == 't'));
        }
        if (token.text == "none" || token.text == "None") {
            return literal({});
        }
        return make(Name{token.text}, token.line, {0});
    default:
        break;
    }
    if (in_.skip_sign("(")) {
        ExpressionPtr made = in_.is_sign(")") ? make(Sequence{{}, true}, token.line, {0}) : tuple();
        in_.expect_sign(")");
        return made;
    }
    if (in_.is_sign("[")) {
        return list_display();
    }
    if (in_.is_sign("{")) {
        return map_display();
    }
    in_.fail("an expression is expected, but " + in_.seen() + " stands there");
}

ExpressionPtr ExpressionParser::list_display() {
    const int line = in_.take().line;
    Sequence list;
    int deepest = 0;
    while (!in_.is_sign("]")) {
        list.items.push_back(expression());
        deepest = std::max(deepest, depth(list.items.back()));
        if (!in_.skip_sign(",")) {
            break;
        }
    }
    in_.expect_sign("]");
    return make(std::move(list), line, {deepest});
}

ExpressionPtr ExpressionParser::map_display() {
    const int line = in_.take().line;
    Mapping map;
    int deepest = 0;
    while (!in_.is_sign("}")) {
        ExpressionPtr key = expression();
        in_.expect_sign(":");
        ExpressionPtr value = expression();
        deepest = std::max({deepest, depth(key), depth(value)});
        map.entries.emplace_back(std::move(key), std::move(value));
        if (!in_.skip_sign(",")) {
            break;
        }
    }
    in_.expect_sign("}");
    return make(std::move(map), line, {deepest});
}

// ---- what follows a primary

ExpressionPtr ExpressionParser::postfixed() {
    return postfix(primary());
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr object) {
    while (true) {
        const int line = in_.peek().line;
        const int below = depth(object);
        if (in_.skip_sign(".")) {
            if (in_.peek().kind == Kind::integer) {
                ExpressionPtr index = make(Literal{in_.take().integer}, line, {0});
                object = make(Subscript{std::move(object), std::move(index)}, line, {below});
            } else {
                object = make(Attribute{std::move(object), in_.expect_name("a name")}, line, {below});
            }
        } else if (in_.is_sign("[")) {
            object = subscript(std::move(object));
        } else if (in_.is_sign("(")) {
            auto given = arguments();
            const int inside = depth(given);
            object = make(Call{std::move(object), std::move(given)}, line, {below, inside});
        } else {
            return object;
        }
    }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr object) {
    const int line = in_.peek().line;
    in_.expect_sign("[");
    const auto part = [&]() -> ExpressionPtr {
        return in_.is_sign(":") || in_.is_sign("]") ? nullptr : expression();
    };
    ExpressionPtr start = part();
    const int below = depth(object);
    if (!in_.is_sign(":")) {
        if (!start) {
            in_.fail("an index is expected between '[' and ']'");
        }
        if (in_.is_sign(",")) {
            in_.fail("an index with a comma is not supported by this program");
        }
        in_.expect_sign("]");
        const int inside = depth(start);
        return make(Subscript{std::move(object), std::move(start)}, line, {below, inside});
    }
    in_.take();
    ExpressionPtr stop = part();
    ExpressionPtr step = in_.skip_sign(":") ? part() : nullptr;
    in_.expect_sign("]");
    const int depths[] = {depth(start), depth(stop), depth(step)};
    return make(Slice{std::move(object), std::move(start), std::move(stop), std::move(step)}, line,
                {below, depths[0], depths[1], depths[2]});
}

std::vector<Argument> ExpressionParser::arguments() {
    std::vector<Argument> given;
    in_.expect_sign("(");
    while (!in_.is_sign(")")) {
        Argument argument;
        if (in_.skip_sign("**")) {
            argument.spread = Argument::Spread::map;
        } else if (in_.skip_sign("*")) {
            argument.spread = Argument::Spread::list;
        } else if (in_.peek().kind == Kind::name && in_.peek(1).kind == Kind::sign &&
                   in_.peek(1).text == "=") {
            argument.keyword = in_.take().text;
            in_.take();
        } else if (!given.empty() &&
                   (!given.back().keyword.empty() || given.back().spread == Argument::Spread::map)) {
            in_.fail("a positional argument stands after a named one");
        }
        argument.value = expression();
        given.push_back(std::move(argument));
        if (!in_.skip_sign(",")) {
            break;
        }
    }
    in_.expect_sign(")");
    return given;
}

std::vector<ExpressionPtr> ExpressionParser::filters(bool bar_before_first) {
    std::vector<ExpressionPtr> chain;
    while (in_.skip_sign("|") || (!bar_before_first && chain.empty())) {
        chain.push_back(filter(nullptr));
    }
    return chain;
}

ExpressionPtr ExpressionParser::filter(ExpressionPtr input) {
    const int line = in_.peek().line;
    std::string name = in_.expect_name("the name of a filter");
    while (in_.skip_sign(".")) {
        name += "." + in_.expect_name("the name of a filter");
    }
    auto given = in_.is_sign("(") ? arguments() : std::vector<Argument>();
    const int below = depth(input), inside = depth(given);
    return make(Filter{std::move(input), std::move(name), std::move(given)}, line, {below, inside});
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr input) {
    while (true) {
        if (in_.skip_sign("|")) {
            input = filter(std::move(input));
        } else if (in_.skip_name("is")) {
            input = test(std::move(input));
        } else if (in_.is_sign("(")) {
            const int line = in_.peek().line;
            auto given = arguments();
            const int below = depth(input), inside = depth(given);
            input = make(Call{std::move(input), std::move(given)}, line, {below, inside});
        } else {
            return input;
        }
    }
}

ExpressionPtr ExpressionParser::test(ExpressionPtr input) {
    Test made;
    const int line = in_.peek().line;
    made.negated = in_.skip_name("not");
    made.name = in_.expect_name("the name of a test");
    const Kind next = in_.peek().kind;
    const bool value_follows = next == Kind::string || next == Kind::integer || next == Kind::real ||
                               next == Kind::name || in_.is_sign("[") || in_.is_sign("{");
    const bool word_ends_it = in_.is_name("else") || in_.is_name("or") || in_.is_name("and") ||
                              in_.is_name("if") || in_.is_name("in") || in_.is_name("not");
    if (in_.is_sign("(")) {
        made.arguments = arguments();
    } else if (value_follows && !word_ends_it) {
        if (in_.is_name("is")) {
            in_.fail("tests cannot be chained with 'is'");
        }
        made.arguments.push_back({"", Argument::Spread::none, postfixed()});
    }
    const int below = depth(input), inside = depth(made.arguments);
    made.input = std::move(input);
    return make(std::move(made), line, {below, inside});
}

} // namespace ergo::jinja
