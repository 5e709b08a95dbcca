// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/template/parser.h"

#include "engine/base/error.h"

#include <algorithm>

namespace ergo::jinja {

using namespace syntax;
using Kind = TemplateToken::Kind;

namespace {

class StatementParser {
  public:
    explicit StatementParser(std::vector<TemplateToken> tokens) : in_(std::move(tokens)), expressions_(in_) {}

    Body run() {
        Body body = until({});
        if (in_.peek().kind != Kind::end) { // at a tag that closes nothing
            in_.fail("'{% " + printable(in_.peek(1).text, 40) + " %}' closes nothing");
        }
        return body;
    }

  private:
    using Names = std::initializer_list<std::string_view>;
    static constexpr int most_nested = 50; // blocks within blocks

    // Statements up to "{%" with one of `names`, which is left for the caller (its "{%" is taken).
    Body until(Names names) {
        if (++nested_ > most_nested) {
            throw TemplateProblem{"CT-LIMIT",
                                  "blocks are nested more than " + std::to_string(most_nested) + " deep",
                                  in_.peek().line};
        }
        Body body;
        while (true) {
            const TemplateToken& token = in_.peek();
            if (token.kind == Kind::text) {
                body.push_back({Text{token.text}, token.line});
                in_.take();
            } else if (token.kind == Kind::print_begin) {
                const int line = in_.take().line;
                body.push_back({Print{expressions_.tuple()}, line});
                in_.expect(Kind::print_end, "}}");
            } else if (token.kind == Kind::block_begin) {
                if (ends_here(names)) {
                    in_.take();
                    break;
                }
                if (in_.peek(1).kind == Kind::name && closes_something(in_.peek(1).text)) {
                    misplaced(names);
                }
                in_.take();
                block(body);
            } else {
                if (names.size() > 0) {
                    in_.fail("the template ends before '{% " + std::string(*(names.end() - 1)) + " %}'");
                }
                break;
            }
        }
        --nested_;
        return body;
    }

    bool ends_here(Names names) const {
        return in_.peek(1).kind == Kind::name &&
               std::find(names.begin(), names.end(), in_.peek(1).text) != names.end();
    }

    static bool closes_something(const std::string& name) {
        return name.starts_with("end") || name == "else" || name == "elif";
    }

    [[noreturn]] void misplaced(Names names) const {
        const std::string tag = "'{% " + printable(in_.peek(1).text, 40) + " %}'";
        in_.fail(names.size() == 0
                     ? tag + " closes nothing"
                     : tag + " stands where '{% " + std::string(*(names.end() - 1)) + " %}' is expected");
    }

    // Takes "endx %}" after until() has stopped there.
    void close() {
        in_.take();
        in_.expect(Kind::block_end, "%}");
    }

    void block(Body& body) {
        const int line = in_.peek().line;
        const std::string name = in_.expect_name("the name of a tag");
        const auto add = [&](auto node) { body.push_back({std::move(node), line}); };
        if (name == "if") {
            add(if_block());
        } else if (name == "for") {
            add(for_block());
        } else if (name == "set") {
            set(body, line);
        } else if (name == "macro") {
            add(macro());
        } else if (name == "call") {
            add(call_block());
        } else if (name == "filter") {
            FilterBlock filter{expressions_.filters(false), {}};
            in_.expect(Kind::block_end, "%}");
            filter.body = until({"endfilter"});
            close();
            add(std::move(filter));
        } else if (name == "with") {
            add(with());
        } else if (name == "break" || name == "continue") {
            if (loops_ == 0) {
                in_.fail_at(line, "'" + name + "' stands outside of a loop");
            }
            add(Jump{name == "break"});
            in_.expect(Kind::block_end, "%}");
        } else if (name == "generation") { // marks the assistant's own text for training: it changes nothing
            in_.expect(Kind::block_end, "%}");
            Body inner = until({"endgeneration"});
            close();
            std::move(inner.begin(), inner.end(), std::back_inserter(body));
        } else {
            in_.fail_at(line, "the tag '{% " + printable(name, 40) + " %}' is not supported by this program");
        }
    }

    If if_block() {
        If made;
        while (true) {
            ExpressionPtr condition = expressions_.tuple();
            in_.expect(Kind::block_end, "%}");
            Body body = until({"elif", "else", "endif"});
            made.branches.emplace_back(std::move(condition), std::move(body));
            if (in_.skip_name("elif")) {
                continue;
            }
            if (in_.skip_name("else")) {
                in_.expect(Kind::block_end, "%}");
                made.otherwise = until({"endif"});
            }
            close();
            return made;
        }
    }

    std::string plain_name() {
        std::string name = in_.expect_name("a name");
        static constexpr std::string_view reserved[] = {"true", "false", "none", "True", "False", "None"};
        if (std::find(std::begin(reserved), std::end(reserved), name) != std::end(reserved)) {
            in_.fail("'" + name + "' cannot be given a value");
        }
        return name;
    }

    // "a", "a, b", "(a, b)", and for set "ns.a".
    Target target(bool with_attribute) {
        Target made;
        const bool bracket = in_.skip_sign("(");
        made.names.push_back(plain_name());
        if (with_attribute && !bracket && in_.skip_sign(".")) {
            made.space = std::move(made.names.back());
            made.names.clear();
            made.attribute = in_.expect_name("a name");
            return made;
        }
        while (in_.skip_sign(",")) {
            made.unpack = true;
            if (in_.peek().kind != Kind::name || in_.is_name("in")) {
                break;
            }
            made.names.push_back(plain_name());
        }
        if (bracket) {
            in_.expect_sign(")");
        }
        return made;
    }

    For for_block() {
        For made;
        made.target = target(false);
        if (!in_.skip_name("in")) {
            in_.fail("'in' is expected, but " + in_.seen() + " stands there");
        }
        made.iterable = expressions_.tuple(false);
        if (in_.skip_name("if")) {
            made.condition = expressions_.expression();
        }
        made.recursive = in_.skip_name("recursive");
        in_.expect(Kind::block_end, "%}");
        ++loops_;
        made.body = until({"else", "endfor"});
        --loops_;
        if (in_.skip_name("else")) {
            in_.expect(Kind::block_end, "%}");
            made.otherwise = until({"endfor"});
        }
        close();
        return made;
    }

    void set(Body& body, int line) {
        Target to = target(true);
        if (in_.skip_sign("=")) {
            body.push_back({Set{std::move(to), expressions_.tuple()}, line});
            in_.expect(Kind::block_end, "%}");
            return;
        }
        if (to.unpack) {
            in_.fail("'=' is expected, but " + in_.seen() + " stands there");
        }
        SetBlock made{std::move(to), expressions_.filters(true), {}};
        in_.expect(Kind::block_end, "%}");
        made.body = until({"endset"});
        close();
        body.push_back({std::move(made), line});
    }

    std::vector<Parameter> parameters() {
        std::vector<Parameter> list;
        in_.expect_sign("(");
        while (!in_.is_sign(")")) {
            Parameter parameter{plain_name(), nullptr};
            if (in_.skip_sign("=")) {
                parameter.otherwise = expressions_.expression();
            } else if (!list.empty() && list.back().otherwise) {
                in_.fail("a parameter without a default stands after one with a default");
            }
            list.push_back(std::move(parameter));
            if (!in_.skip_sign(",")) {
                break;
            }
        }
        in_.expect_sign(")");
        return list;
    }

    // A body of its own: a loop around its definition is not a loop within it.
    void macro_body(Macro& macro, std::string_view end) {
        const std::size_t begin = in_.position();
        const int loops = std::exchange(loops_, 0);
        macro.body = until({end});
        loops_ = loops;
        macro.uses_varargs = in_.mentioned("varargs", begin);
        macro.uses_kwargs = in_.mentioned("kwargs", begin);
        macro.uses_caller = in_.mentioned("caller", begin);
        close();
    }

    std::shared_ptr<const Macro> macro() {
        auto made = std::make_shared<Macro>();
        made->name = plain_name();
        made->parameters = parameters();
        in_.expect(Kind::block_end, "%}");
        macro_body(*made, "endmacro");
        return made;
    }

    CallBlock call_block() {
        auto caller = std::make_shared<Macro>();
        caller->name = "caller";
        if (in_.is_sign("(")) {
            caller->parameters = parameters();
        }
        CallBlock made;
        const int line = in_.peek().line;
        made.call = expressions_.postfixed();
        if (!std::holds_alternative<Call>(made.call->node)) {
            in_.fail_at(line, "'{% call %}' is not followed by a call");
        }
        in_.expect(Kind::block_end, "%}");
        macro_body(*caller, "endcall");
        made.caller = std::move(caller);
        return made;
    }

    With with() {
        With made;
        while (in_.peek().kind != Kind::block_end) {
            Target to = target(false);
            in_.expect_sign("=");
            made.values.emplace_back(std::move(to), expressions_.expression());
            if (!in_.skip_sign(",")) {
                break;
            }
        }
        in_.expect(Kind::block_end, "%}");
        made.body = until({"endwith"});
        close();
        return made;
    }

    TemplateTokens in_;
    ExpressionParser expressions_;
    int nested_ = 0, loops_ = 0;
};

} // namespace

Body parse_template(std::vector<TemplateToken> tokens) {
    return StatementParser(std::move(tokens)).run();
}

} // namespace ergo::jinja
