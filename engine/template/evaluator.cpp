// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/template/evaluator.h"

#include "engine/base/error.h"

namespace ergo::jinja {

using namespace syntax;

Evaluator::Deeper::Deeper(Evaluator& evaluator) : evaluator_(evaluator) {
    if (++evaluator.depth_ > most_depth) {
        --evaluator.depth_;
        throw TemplateProblem{"CT-LIMIT", "the template calls itself more than " +
                                              std::to_string(most_depth) + " evaluations deep"};
    }
}

Evaluator::Evaluator(const TemplateMap& context, std::time_t when) {
    now = when;
    scope_ = new_scope(nullptr);
    for (auto& [name, function] : template_functions()) {
        scope_->names.emplace(name, std::move(function));
    }
    scope_ = new_scope(scope_);
    for (const auto& [name, value] : context.entries()) {
        scope_->names.emplace(name.bytes(), value);
    }
    scope_ = new_scope(scope_);
}

SourcedText Evaluator::run(const Body& body) {
    try {
        run_body(body);
    } catch (TemplateProblem& problem) {
        problem.line = problem.line == 0 ? line_ : problem.line;
        throw;
    }
    return std::move(out_);
}

Evaluator::Flow Evaluator::run_body(const Body& body) {
    const Deeper deeper(*this);
    for (const Statement& statement : body) {
        line_ = statement.line;
        budget.step();
        const Flow flow = std::visit([this](const auto& node) { return run(node); }, statement.node);
        if (flow != Flow::on) {
            return flow;
        }
    }
    return Flow::on;
}

void Evaluator::write(const SourcedText& text) {
    budget.work(text.size());
    if (out_.size() + text.size() > TemplateBudget::most_output) {
        budget.length(out_.size() + text.size());
    }
    out_.append(text);
}

Evaluator::Flow Evaluator::run(const Text& node) {
    write(SourcedText(node.text));
    return Flow::on;
}

Evaluator::Flow Evaluator::run(const Print& node) {
    const TemplateValue value = evaluate(*node.value);
    write(value.is_text() ? value.text() : to_text(value));
    return Flow::on;
}

Evaluator::Flow Evaluator::run(const If& node) {
    for (const auto& [condition, body] : node.branches) {
        if (is_true(evaluate(*condition))) {
            return run_body(body);
        }
    }
    return run_body(node.otherwise);
}

Evaluator::Flow Evaluator::run(const For& node) {
    return run_loop(node, evaluate(*node.iterable), 0);
}

Evaluator::Flow Evaluator::run_loop(const For& node, const TemplateValue& iterable, std::int64_t depth) {
    TemplateScope* const around = scope_;
    TemplateList items = iterate(*this, iterable);
    if (node.condition) {
        TemplateList kept;
        for (const TemplateValue& item : items) {
            scope_ = new_scope(around);
            assign(node.target, item);
            if (is_true(evaluate(*node.condition))) {
                kept.push_back(item);
            }
        }
        items = std::move(kept);
    }
    TemplateLoop loop{&node, &items, around, 0, depth, {}};
    Flow flow = Flow::on;
    for (const TemplateValue& item : items) {
        budget.step();
        scope_ = new_scope(around);
        scope_->names["loop"] = &loop;
        assign(node.target, item);
        if (run_body(node.body) == Flow::leave) {
            break;
        }
        ++loop.index;
    }
    scope_ = around;
    if (items.empty()) {
        scope_ = new_scope(around);
        flow = run_body(node.otherwise);
        scope_ = around;
    }
    return flow;
}

Evaluator::Flow Evaluator::run(const Set& node) {
    assign(node.target, evaluate(*node.value));
    return Flow::on;
}

Evaluator::Flow Evaluator::run(const SetBlock& node) {
    assign(node.target, filtered(capture(node.body, scope_), node.filters));
    return Flow::on;
}

Evaluator::Flow Evaluator::run(const FilterBlock& node) {
    write(to_text(filtered(capture(node.body, scope_), node.filters)));
    return Flow::on;
}

Evaluator::Flow Evaluator::run(const With& node) {
    TemplateScope* const around = scope_;
    TemplateScope* const inner = new_scope(around);
    for (const auto& [target, value] : node.values) { // none sees the others
        const TemplateValue made = evaluate(*value);
        scope_ = inner;
        assign(target, made);
        scope_ = around;
    }
    scope_ = inner;
    const Flow flow = run_body(node.body);
    scope_ = around;
    return flow;
}

Evaluator::Flow Evaluator::run(const Jump& node) {
    return node.leaves ? Flow::leave : Flow::next;
}

SourcedText Evaluator::capture(const Body& body, TemplateScope* scope) {
    SourcedText outside = std::exchange(out_, {});
    TemplateScope* const around = std::exchange(scope_, new_scope(scope));
    run_body(body); // a jump out of a captured body ends the body alone
    scope_ = around;
    return std::exchange(out_, std::move(outside));
}

TemplateValue Evaluator::filtered(SourcedText text, const std::vector<ExpressionPtr>& filters) {
    TemplateValue value(std::move(text));
    for (const ExpressionPtr& filter : filters) {
        value = apply(std::get<Filter>(filter->node), std::move(value));
    }
    return value;
}

void Evaluator::assign(const Target& target, const TemplateValue& value) {
    if (!target.space.empty()) {
        const TemplateValue space = look_up(target.space);
        if (space.kind() != TemplateValue::Kind::space) {
            template_failure("'" + target.space + "." + target.attribute + "' cannot be set: '" +
                             target.space + "' is not a namespace");
        }
        space.space()->names[target.attribute] = value;
        return;
    }
    if (!target.unpack) {
        scope_->names[target.names.front()] = value;
        return;
    }
    if (value.is_undefined()) {
        template_failure(value.why_undefined());
    }
    const TemplateList items = iterate(*this, value);
    if (items.size() != target.names.size()) {
        template_failure(std::to_string(target.names.size()) + " names are to be set from " +
                         std::to_string(items.size()) + " values");
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
        scope_->names[target.names[i]] = items[i];
    }
}

TemplateValue Evaluator::look_up(const std::string& name) const {
    for (const TemplateScope* scope = scope_; scope; scope = scope->outer) {
        if (const auto found = scope->names.find(name); found != scope->names.end()) {
            return found->second;
        }
    }
    return TemplateValue::undefined("'" + printable(name, 60) + "' is undefined");
}

// ---- macros

TemplateValue Evaluator::macro_value(std::shared_ptr<const Macro> macro) {
    const std::string name = macro->name;
    return TemplateValue::function(
        name, [this, macro = std::move(macro), defined_in = scope_](TemplateCall& arguments) {
            return call_macro(*macro, defined_in, arguments);
        });
}

Evaluator::Flow Evaluator::run(const std::shared_ptr<const Macro>& node) {
    scope_->names[node->name] = macro_value(node);
    return Flow::on;
}

Evaluator::Flow Evaluator::run(const CallBlock& node) {
    const TemplateValue caller = macro_value(node.caller);
    write(to_text(call_with(std::get<Call>(node.call->node), &caller)));
    return Flow::on;
}

TemplateValue Evaluator::call_macro(const Macro& macro, TemplateScope* defined_in, TemplateCall& arguments) {
    TemplateScope* const inner = new_scope(defined_in);
    const auto& parameters = macro.parameters;
    const auto& given = arguments.positional;
    if (given.size() > parameters.size() && !macro.uses_varargs) {
        template_failure("the macro '" + macro.name + "' takes at most " + std::to_string(parameters.size()) +
                         " arguments, but is given " + std::to_string(given.size()));
    }
    auto rest = std::make_shared<TemplateMap>();
    for (const auto& [name, value] : arguments.named) {
        const auto known = std::find_if(parameters.begin(), parameters.end(),
                                        [&, &wanted = name](const Parameter& p) { return p.name == wanted; });
        if (known != parameters.end()) {
            inner->names[name] = value;
        } else if (name == "caller" && macro.uses_caller) {
            inner->names[name] = value;
        } else if (macro.uses_kwargs) {
            rest->set(TemplateValue::text(name), value);
        } else {
            template_failure("the macro '" + macro.name + "' has no argument named '" + printable(name, 40) +
                             "'");
        }
    }
    TemplateScope* const around = std::exchange(scope_, inner);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const Parameter& parameter = parameters[i];
        if (i < given.size()) {
            inner->names[parameter.name] = given[i];
        } else if (!inner->names.contains(parameter.name)) {
            inner->names[parameter.name] =
                parameter.otherwise
                    ? evaluate(*parameter.otherwise)
                    : TemplateValue::undefined("the argument '" + parameter.name + "' was not given");
        }
    }
    if (macro.uses_varargs) {
        const auto extra = static_cast<std::ptrdiff_t>(std::min(given.size(), parameters.size()));
        inner->names["varargs"] = TemplateValue::list({given.begin() + extra, given.end()}, true);
    }
    if (macro.uses_kwargs) {
        inner->names["kwargs"] = TemplateValue(std::shared_ptr<const TemplateMap>(std::move(rest)));
    }
    SourcedText text = capture(macro.body, inner);
    scope_ = around;
    return text;
}

} // namespace ergo::jinja
