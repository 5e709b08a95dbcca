// SPDX-License-Identifier: GPL-3.0-or-later
// Runs a parsed template once. One rendering, one thread; for this folder alone.
#pragma once

#include "engine/template/runtime.h"
#include "engine/template/syntax_tree.h"

#include <deque>

namespace ergo::jinja {

/// The variable `loop` of one pass through a loop.
struct TemplateLoop {
    const syntax::For* loop = nullptr;
    const TemplateList* items = nullptr;
    struct TemplateScope* scope = nullptr; ///< around the loop
    std::int64_t index = 0, depth = 0;
    std::optional<TemplateList> changed; ///< arguments of the last loop.changed(…)
};

struct TemplateScope {
    std::unordered_map<std::string, TemplateValue> names;
    TemplateScope* outer = nullptr;
};

class Evaluator : public TemplateRuntime {
  public:
    Evaluator(const TemplateMap& context, std::time_t when);

    /// Throws TemplateProblem with its line.
    SourcedText run(const syntax::Body& body);

    TemplateValue call(const TemplateValue& function, TemplateCall& arguments) override;
    TemplateSpace* make_space() override { return &spaces_.emplace_back(); }

  private:
    enum class Flow { on, next, leave }; ///< after a statement: go on, or `continue`, or `break`
    /// Evaluations within evaluations: the program's own stack is what runs out.
    static constexpr int most_depth = 400;

    class Deeper {
      public:
        explicit Deeper(Evaluator& evaluator);
        ~Deeper() { --evaluator_.depth_; }
        Deeper(const Deeper&) = delete;
        Deeper& operator=(const Deeper&) = delete;

      private:
        Evaluator& evaluator_;
    };

    // Statements (evaluator.cpp): what they write goes to out_.
    Flow run_body(const syntax::Body& body);
    Flow run(const syntax::Text& node);
    Flow run(const syntax::Print& node);
    Flow run(const syntax::If& node);
    Flow run(const syntax::For& node);
    Flow run(const syntax::Set& node);
    Flow run(const syntax::SetBlock& node);
    Flow run(const std::shared_ptr<const syntax::Macro>& node);
    Flow run(const syntax::CallBlock& node);
    Flow run(const syntax::FilterBlock& node);
    Flow run(const syntax::With& node);
    Flow run(const syntax::Jump& node);
    Flow run_loop(const syntax::For& node, const TemplateValue& iterable, std::int64_t depth);
    void write(const SourcedText& text);
    /// What a body writes, in a scope of its own around which `scope` lies.
    SourcedText capture(const syntax::Body& body, TemplateScope* scope);
    TemplateValue filtered(SourcedText text, const std::vector<syntax::ExpressionPtr>& filters);
    TemplateValue macro_value(std::shared_ptr<const syntax::Macro> macro);
    TemplateValue call_macro(const syntax::Macro& macro, TemplateScope* defined_in, TemplateCall& call);
    void assign(const syntax::Target& target, const TemplateValue& value);
    TemplateScope* new_scope(TemplateScope* outer) { return &scopes_.emplace_back(TemplateScope{{}, outer}); }
    TemplateValue look_up(const std::string& name) const;

    // Expressions (evaluate_expression.cpp).
    TemplateValue evaluate(const syntax::Expression& expression);
    TemplateValue evaluate_or_none(const syntax::ExpressionPtr& e) {
        return e ? evaluate(*e) : TemplateValue();
    }
    TemplateValue value_of(const syntax::Literal& node) { return node.value; }
    TemplateValue value_of(const syntax::Name& node) { return look_up(node.name); }
    TemplateValue value_of(const syntax::Sequence& node);
    TemplateValue value_of(const syntax::Mapping& node);
    TemplateValue value_of(const syntax::Unary& node);
    TemplateValue value_of(const syntax::Binary& node);
    TemplateValue value_of(const syntax::Logical& node);
    TemplateValue value_of(const syntax::Compare& node);
    TemplateValue value_of(const syntax::Concatenate& node);
    TemplateValue value_of(const syntax::Conditional& node);
    TemplateValue value_of(const syntax::Attribute& node);
    TemplateValue value_of(const syntax::Subscript& node);
    TemplateValue value_of(const syntax::Slice& node);
    TemplateValue value_of(const syntax::Call& node);
    TemplateValue value_of(const syntax::Filter& node);
    TemplateValue value_of(const syntax::Test& node);
    bool holds(syntax::Comparison op, const TemplateValue& a, const TemplateValue& b);
    TemplateValue apply(const syntax::Filter& node, TemplateValue input);
    TemplateValue call_with(const syntax::Call& node, const TemplateValue* caller);
    void add_arguments(const std::vector<syntax::Argument>& arguments, TemplateCall& call);
    TemplateValue loop_attribute(TemplateLoop& loop, const std::string& name);

    std::deque<TemplateScope> scopes_; // kept to the end: macros may still refer to them
    std::deque<TemplateSpace> spaces_;
    TemplateScope* scope_ = nullptr;
    SourcedText out_;
    int depth_ = 0, line_ = 1;
};

} // namespace ergo::jinja
