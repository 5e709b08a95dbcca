// SPDX-License-Identifier: GPL-3.0-or-later
// Templates from tokens to a tree. Pure; for this folder alone.
#pragma once

#include "engine/template/lexer.h"
#include "engine/template/syntax_tree.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace ergo::jinja {

/// The whole template. Throws TemplateProblem: CT-SYNTAX with its line, CT-LIMIT when nested too deep.
syntax::Body parse_template(std::vector<TemplateToken> tokens);

/// Reads tokens one after another; what both halves of the parser share.
class TemplateTokens {
  public:
    explicit TemplateTokens(std::vector<TemplateToken> tokens) : tokens_(std::move(tokens)) {}

    const TemplateToken& peek(std::size_t ahead = 0) const {
        return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
    }
    const TemplateToken& take() {
        const TemplateToken& token = peek();
        at_ = std::min(at_ + 1, tokens_.size() - 1);
        return token;
    }
    bool is_sign(std::string_view sign) const {
        return peek().kind == TemplateToken::Kind::sign && peek().text == sign;
    }
    bool is_name(std::string_view name, std::size_t ahead = 0) const {
        return peek(ahead).kind == TemplateToken::Kind::name && peek(ahead).text == name;
    }
    bool skip_sign(std::string_view sign) { return is_sign(sign) && (take(), true); }
    bool skip_name(std::string_view name) { return is_name(name) && (take(), true); }
    void expect_sign(std::string_view sign);
    std::string expect_name(std::string_view what);
    void expect(TemplateToken::Kind kind, std::string_view what);

    std::size_t position() const { return at_; }
    /// Whether a token from `since` up to here is the name `name`.
    bool mentioned(std::string_view name, std::size_t since) const;

    /// What the next token is, for messages.
    std::string seen() const;
    [[noreturn]] void fail(const std::string& message) const;
    [[noreturn]] void fail_at(int line, const std::string& message) const;

  private:
    std::vector<TemplateToken> tokens_;
    std::size_t at_ = 0;
};

/// Expressions, by descending precedence.
class ExpressionParser {
  public:
    explicit ExpressionParser(TemplateTokens& tokens) : in_(tokens) {}

    /// `with_condition` false: "a if b" ends before the "if".
    syntax::ExpressionPtr expression(bool with_condition = true);
    /// One expression, or several with commas between, which make a tuple.
    syntax::ExpressionPtr tuple(bool with_condition = true);
    std::vector<syntax::Argument> arguments();
    /// "|a|b(1)" after nothing: each filter's input is null. The first name may follow without its bar.
    std::vector<syntax::ExpressionPtr> filters(bool bar_before_first);
    /// What a call block calls: a primary expression with what follows it.
    syntax::ExpressionPtr postfixed();

  private:
    /// Trees deeper than this are refused: evaluating and freeing them recurses.
    static constexpr int most_depth = 200;

    template <class Node> syntax::ExpressionPtr make(Node node, int line, std::initializer_list<int> depths);
    syntax::ExpressionPtr condition();
    syntax::ExpressionPtr either();
    syntax::ExpressionPtr both();
    syntax::ExpressionPtr negation();
    syntax::ExpressionPtr comparison();
    syntax::ExpressionPtr sum();
    syntax::ExpressionPtr concatenation();
    syntax::ExpressionPtr product();
    syntax::ExpressionPtr power();
    syntax::ExpressionPtr unary(bool with_filters);
    syntax::ExpressionPtr primary();
    syntax::ExpressionPtr list_display();
    syntax::ExpressionPtr map_display();
    syntax::ExpressionPtr postfix(syntax::ExpressionPtr object);
    syntax::ExpressionPtr subscript(syntax::ExpressionPtr object);
    syntax::ExpressionPtr filters_and_tests(syntax::ExpressionPtr input);
    syntax::ExpressionPtr filter(syntax::ExpressionPtr input);
    syntax::ExpressionPtr test(syntax::ExpressionPtr input);
    bool tuple_ends() const;
    static int depth(const syntax::ExpressionPtr& e) { return e ? e->depth : 0; }
    static int depth(const std::vector<syntax::Argument>& arguments);

    TemplateTokens& in_;
    int nested_ = 0; // calls of expression() in progress
};

} // namespace ergo::jinja
