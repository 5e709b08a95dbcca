// SPDX-License-Identifier: GPL-3.0-or-later
// Tests: "x is defined" and its like.
#include "engine/base/error.h"
#include "engine/template/python_string.h"
#include "engine/template/runtime.h"

namespace ergo::jinja {

namespace {

using Kind = TemplateValue::Kind;

template <Kind kind> bool is_of(TemplateCall& call) {
    call.expect({"value"}, 1);
    return call.input().kind() == kind;
}

bool is_defined(TemplateCall& call) {
    call.expect({"value"}, 1);
    return !call.input().is_undefined();
}

bool is_number(TemplateCall& call) {
    call.expect({"value"}, 1);
    return call.input().is_number();
}

bool is_iterable(TemplateCall& call) {
    call.expect({"value"}, 1);
    const Kind kind = call.input().kind();
    return kind == Kind::undefined || kind == Kind::text || kind == Kind::list || kind == Kind::map;
}

bool is_callable(TemplateCall& call) {
    call.expect({"value"}, 1);
    return call.input().kind() == Kind::function;
}

template <bool wanted> bool is_truth(TemplateCall& call) {
    call.expect({"value"}, 1);
    return call.input().kind() == Kind::boolean && call.input().boolean() == wanted;
}

template <std::int64_t rest> bool is_parity(TemplateCall& call) {
    call.expect({"value"}, 1);
    const TemplateValue value = remainder(call.runtime, call.input(), std::int64_t{2});
    return equal(value, rest);
}

bool is_divisible(TemplateCall& call) {
    call.expect({"value", "num"}, 2);
    return equal(remainder(call.runtime, call.input(), *call.find(1, "num")), std::int64_t{0});
}

bool is_same(TemplateCall& call) {
    call.expect({"value", "other"}, 2);
    return call.input().same_as(*call.find(1, "other"));
}

bool is_in(TemplateCall& call) {
    call.expect({"value", "seq"}, 2);
    return contains(call.runtime, *call.find(1, "seq"), call.input());
}

template <LetterCase how> bool is_cased(TemplateCall& call) {
    call.expect({"value"}, 1);
    const SourcedText text = to_text(call.input());
    return change_case(text, how).bytes() == text.bytes() &&
           change_case(text, LetterCase::swap).bytes() != text.bytes();
}

enum class Relation { equal, unequal, less, less_equal, greater, greater_equal };

template <Relation relation> bool compares(TemplateCall& call) {
    call.expect({"value", "other"}, 2);
    const TemplateValue &a = call.input(), &b = *call.find(1, "other");
    call.runtime.budget.work(a.weight() + b.weight());
    switch (relation) {
    case Relation::equal:
        return equal(a, b);
    case Relation::unequal:
        return !equal(a, b);
    case Relation::less:
        return less(a, b);
    case Relation::less_equal:
        return less(a, b) || equal(a, b);
    case Relation::greater:
        return less(b, a);
    case Relation::greater_equal:
        return less(b, a) || equal(a, b);
    }
    return false;
}

bool is_filter(TemplateCall& call) {
    call.expect({"value"}, 1);
    return call.input().is_text() && find_filter(call.input().bytes());
}

bool is_test(TemplateCall& call) {
    call.expect({"value"}, 1);
    return call.input().is_text() && find_test(call.input().bytes());
}

constexpr std::pair<std::string_view, TemplateTest> table[] = {
    {"defined", is_defined},
    {"undefined", is_of<Kind::undefined>},
    {"none", is_of<Kind::none>},
    {"string", is_of<Kind::text>},
    {"mapping", is_of<Kind::map>},
    {"boolean", is_of<Kind::boolean>},
    {"integer", is_of<Kind::integer>},
    {"float", is_of<Kind::real>},
    {"number", is_number},
    {"iterable", is_iterable},
    {"sequence", is_iterable},
    {"callable", is_callable},
    {"true", is_truth<true>},
    {"false", is_truth<false>},
    {"odd", is_parity<1>},
    {"even", is_parity<0>},
    {"divisibleby", is_divisible},
    {"sameas", is_same},
    {"in", is_in},
    {"upper", is_cased<LetterCase::upper>},
    {"lower", is_cased<LetterCase::lower>},
    {"eq", compares<Relation::equal>},
    {"equalto", compares<Relation::equal>},
    {"==", compares<Relation::equal>},
    {"ne", compares<Relation::unequal>},
    {"!=", compares<Relation::unequal>},
    {"lt", compares<Relation::less>},
    {"lessthan", compares<Relation::less>},
    {"<", compares<Relation::less>},
    {"le", compares<Relation::less_equal>},
    {"<=", compares<Relation::less_equal>},
    {"gt", compares<Relation::greater>},
    {"greaterthan", compares<Relation::greater>},
    {">", compares<Relation::greater>},
    {"ge", compares<Relation::greater_equal>},
    {">=", compares<Relation::greater_equal>},
    {"filter", is_filter},
    {"test", is_test},
};

} // namespace

TemplateTest find_test(std::string_view name) {
    for (const auto& [known, test] : table) {
        if (known == name) {
            return test;
        }
    }
    return nullptr;
}

bool apply_test(TemplateCall& call) {
    const TemplateTest test = find_test(call.name);
    if (!test) {
        template_failure("the test '" + printable(call.name, 40) + "' is not known to this program");
    }
    return test(call);
}

} // namespace ergo::jinja
