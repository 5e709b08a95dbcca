// SPDX-License-Identifier: GPL-3.0-or-later
// The evaluator's expressions.
#include "engine/base/error.h"
#include "engine/template/evaluator.h"

namespace ergo::jinja {

using namespace syntax;
using Kind = TemplateValue::Kind;

TemplateValue Evaluator::evaluate(const Expression& expression) {
    const Deeper deeper(*this);
    budget.step();
    line_ = expression.line;
    return std::visit([this](const auto& node) { return value_of(node); }, expression.node);
}

TemplateValue Evaluator::value_of(const Sequence& node) {
    TemplateList items;
    items.reserve(node.items.size());
    for (const ExpressionPtr& item : node.items) {
        items.push_back(evaluate(*item));
    }
    return TemplateValue::list(std::move(items), node.tuple);
}

TemplateValue Evaluator::value_of(const Mapping& node) {
    auto map = std::make_shared<TemplateMap>();
    for (const auto& [key, value] : node.entries) {
        const TemplateValue name = evaluate(*key);
        map->set(name, evaluate(*value));
    }
    return TemplateValue(std::shared_ptr<const TemplateMap>(std::move(map)));
}

TemplateValue Evaluator::value_of(const Unary& node) {
    const TemplateValue value = evaluate(*node.operand);
    if (node.op == Unary::Operator::negate) {
        return !is_true(value);
    }
    const TemplateValue negative = minus(value);
    return node.op == Unary::Operator::minus ? negative
           : value.kind() == Kind::boolean   ? value.whole()
                                             : value;
}

TemplateValue Evaluator::value_of(const Binary& node) {
    const TemplateValue left = evaluate(*node.left), right = evaluate(*node.right);
    switch (node.op) {
    case BinaryOperator::add:
        return add(*this, left, right);
    case BinaryOperator::subtract:
        return subtract(left, right);
    case BinaryOperator::multiply:
        return multiply(*this, left, right);
    case BinaryOperator::divide:
        return divide(left, right);
    case BinaryOperator::floor_divide:
        return floor_divide(left, right);
    case BinaryOperator::remainder:
        return remainder(*this, left, right);
    case BinaryOperator::power:
        break;
    }
    return power(left, right);
}

TemplateValue Evaluator::value_of(const Logical& node) {
    TemplateValue left = evaluate(*node.left);
    return is_true(left) == node.is_and ? evaluate(*node.right) : left;
}

bool Evaluator::holds(Comparison op, const TemplateValue& a, const TemplateValue& b) {
    budget.work(a.weight() + b.weight());
    switch (op) {
    case Comparison::equal:
        return equal(a, b);
    case Comparison::unequal:
        return !equal(a, b);
    case Comparison::less:
        return less(a, b);
    case Comparison::less_equal:
        return less(a, b) || equal(a, b);
    case Comparison::greater:
        return less(b, a);
    case Comparison::greater_equal:
        return less(b, a) || equal(a, b);
    case Comparison::in:
        return contains(*this, b, a);
    case Comparison::not_in:
        break;
    }
    return !contains(*this, b, a);
}

TemplateValue Evaluator::value_of(const Compare& node) {
    TemplateValue left = evaluate(*node.first);
    for (const auto& [op, expression] : node.rest) {
        TemplateValue right = evaluate(*expression);
        if (!holds(op, left, right)) {
            return false;
        }
        left = std::move(right);
    }
    return true;
}

TemplateValue Evaluator::value_of(const Concatenate& node) {
    SourcedText out;
    for (const ExpressionPtr& part : node.parts) {
        const TemplateValue value = evaluate(*part);
        out.append(value.is_text() ? value.text() : to_text(value));
        budget.length(out.size());
    }
    return out;
}

TemplateValue Evaluator::value_of(const Conditional& node) {
    if (is_true(evaluate(*node.condition))) {
        return evaluate(*node.yes);
    }
    return node.no ? evaluate(*node.no)
                   : TemplateValue::undefined("an 'if' expression was false and has no 'else'");
}

TemplateValue Evaluator::value_of(const Attribute& node) {
    const TemplateValue object = evaluate(*node.object);
    return object.kind() == Kind::loop ? loop_attribute(*object.loop(), node.name)
                                       : attribute(*this, object, node.name);
}

TemplateValue Evaluator::value_of(const Subscript& node) {
    const TemplateValue object = evaluate(*node.object);
    const TemplateValue index = evaluate(*node.index);
    if (object.kind() == Kind::loop && index.is_text()) {
        return loop_attribute(*object.loop(), index.bytes());
    }
    return subscript(*this, object, index);
}

TemplateValue Evaluator::value_of(const Slice& node) {
    const TemplateValue object = evaluate(*node.object);
    const TemplateValue start = evaluate_or_none(node.start), stop = evaluate_or_none(node.stop);
    return slice(*this, object, start, stop, evaluate_or_none(node.step));
}

// ---- calls, filters, tests

void Evaluator::add_arguments(const std::vector<Argument>& arguments, TemplateCall& call) {
    for (const Argument& argument : arguments) {
        TemplateValue value = evaluate(*argument.value);
        if (argument.spread == Argument::Spread::list) {
            for (TemplateValue& item : iterate(*this, value)) {
                call.positional.push_back(item);
            }
        } else if (argument.spread == Argument::Spread::map) {
            if (!value.is_map()) {
                template_failure("'**' needs a dictionary, not '" + type_name(value) + "'");
            }
            for (const auto& [key, item] : value.map().entries()) {
                call.named.emplace_back(to_text(key).bytes(), item);
            }
        } else if (!argument.keyword.empty()) {
            call.named.emplace_back(argument.keyword, std::move(value));
        } else {
            call.positional.push_back(std::move(value));
        }
    }
}

TemplateValue Evaluator::call(const TemplateValue& function, TemplateCall& arguments) {
    const Deeper deeper(*this);
    if (function.kind() == Kind::function) {
        return function.call(arguments);
    }
    if (function.kind() == Kind::loop) { // loop(children) in a recursive loop
        TemplateLoop& loop = *function.loop();
        if (!loop.loop->recursive || arguments.positional.size() != 1) {
            template_failure("'loop' can be called, with one list, in a loop marked 'recursive' only");
        }
        SourcedText outside = std::exchange(out_, {});
        TemplateScope* const around = std::exchange(scope_, loop.scope);
        run_loop(*loop.loop, arguments.positional[0], loop.depth + 1);
        scope_ = around;
        return std::exchange(out_, std::move(outside));
    }
    template_failure(function.is_undefined()
                         ? function.why_undefined()
                         : "a value of type '" + type_name(function) + "' cannot be called");
}

TemplateValue Evaluator::value_of(const Call& node) {
    return call_with(node, nullptr);
}

TemplateValue Evaluator::call_with(const Call& node, const TemplateValue* caller) {
    const TemplateValue function = evaluate(*node.callee);
    TemplateCall arguments{*this, function.kind() == Kind::function ? function.function_name() : "", {}, {}};
    add_arguments(node.arguments, arguments);
    if (caller) {
        arguments.named.emplace_back("caller", *caller);
    }
    return call(function, arguments);
}

TemplateValue Evaluator::apply(const Filter& node, TemplateValue input) {
    TemplateCall arguments{*this, node.name, {std::move(input)}, {}};
    add_arguments(node.arguments, arguments);
    return apply_filter(arguments);
}

TemplateValue Evaluator::value_of(const Filter& node) {
    return apply(node, evaluate(*node.input));
}

TemplateValue Evaluator::value_of(const Test& node) {
    TemplateCall arguments{*this, node.name, {evaluate(*node.input)}, {}};
    add_arguments(node.arguments, arguments);
    return apply_test(arguments) != node.negated;
}

// ---- loop

TemplateValue Evaluator::loop_attribute(TemplateLoop& loop, const std::string& name) {
    const auto size = static_cast<std::int64_t>(loop.items->size());
    const auto neighbour = [&](std::int64_t step) {
        const std::int64_t at = loop.index + step;
        return at >= 0 && at < size ? (*loop.items)[static_cast<std::size_t>(at)]
                                    : TemplateValue::undefined("there is no such item in the loop");
    };
    if (name == "index" || name == "index0") {
        return loop.index + (name == "index" ? 1 : 0);
    }
    if (name == "revindex" || name == "revindex0") {
        return size - loop.index - (name == "revindex" ? 0 : 1);
    }
    if (name == "first" || name == "last") {
        return name == "first" ? loop.index == 0 : loop.index + 1 == size;
    }
    if (name == "length") {
        return size;
    }
    if (name == "depth" || name == "depth0") {
        return loop.depth + (name == "depth" ? 1 : 0);
    }
    if (name == "previtem" || name == "nextitem") {
        return neighbour(name == "previtem" ? -1 : 1);
    }
    if (name == "cycle") {
        return TemplateValue::function("cycle", [&loop](TemplateCall& given) {
            if (given.positional.empty()) {
                given.fail("needs something to go through");
            }
            return given.positional[static_cast<std::size_t>(loop.index) % given.positional.size()];
        });
    }
    if (name == "changed") {
        return TemplateValue::function("changed", [&loop](TemplateCall& given) {
            const bool same =
                loop.changed && loop.changed->size() == given.positional.size() &&
                std::equal(loop.changed->begin(), loop.changed->end(), given.positional.begin(), equal);
            loop.changed = given.positional;
            return TemplateValue(!same);
        });
    }
    return TemplateValue::undefined("'loop' has no attribute '" + printable(name, 60) + "'");
}

} // namespace ergo::jinja
