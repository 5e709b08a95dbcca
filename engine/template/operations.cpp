// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/template/python_string.h"
#include "engine/template/runtime.h"

#include <algorithm>
#include <cmath>

namespace ergo::jinja {

using Kind = TemplateValue::Kind;

void template_failure(const std::string& message) {
    throw TemplateProblem{"CT-RUNTIME", message};
}

namespace {

void need_defined(const TemplateValue& value) {
    if (value.is_undefined()) {
        template_failure(value.why_undefined());
    }
}

[[noreturn]] void no_operation(const char* sign, const TemplateValue& a, const TemplateValue& b) {
    need_defined(a);
    need_defined(b);
    template_failure("'" + std::string(sign) + "' does not work between '" + type_name(a) + "' and '" +
                     type_name(b) + "'");
}

[[noreturn]] void too_large() {
    template_failure("a whole number leaves the range of 64 bits");
}

bool both_whole(const TemplateValue& a, const TemplateValue& b) {
    return a.is_whole() && b.is_whole();
}

bool both_numbers(const TemplateValue& a, const TemplateValue& b) {
    return a.is_number() && b.is_number();
}

void not_zero(const TemplateValue& b) {
    if (b.real() == 0) {
        template_failure("division by zero");
    }
}

} // namespace

TemplateValue text_value(TemplateRuntime& runtime, SourcedText text) {
    runtime.budget.length(text.size());
    return TemplateValue(std::move(text));
}

TemplateValue add(TemplateRuntime& runtime, const TemplateValue& a, const TemplateValue& b) {
    if (a.is_text() && b.is_text()) {
        runtime.budget.length(a.text().size() + b.text().size());
        SourcedText sum = a.text();
        sum.append(b.text());
        return TemplateValue(std::move(sum));
    }
    if (a.is_list() && b.is_list() && a.is_tuple() == b.is_tuple()) {
        runtime.budget.work(16 * (a.items().size() + b.items().size()));
        TemplateList items = a.items();
        items.insert(items.end(), b.items().begin(), b.items().end());
        return TemplateValue::list(std::move(items), a.is_tuple());
    }
    if (!both_numbers(a, b)) {
        no_operation("+", a, b);
    }
    if (!both_whole(a, b)) {
        return a.real() + b.real();
    }
    std::int64_t sum = 0;
    if (__builtin_add_overflow(a.whole(), b.whole(), &sum)) {
        too_large();
    }
    return sum;
}

TemplateValue subtract(const TemplateValue& a, const TemplateValue& b) {
    if (!both_numbers(a, b)) {
        no_operation("-", a, b);
    }
    if (!both_whole(a, b)) {
        return a.real() - b.real();
    }
    std::int64_t difference = 0;
    if (__builtin_sub_overflow(a.whole(), b.whole(), &difference)) {
        too_large();
    }
    return difference;
}

TemplateValue multiply(TemplateRuntime& runtime, const TemplateValue& a, const TemplateValue& b) {
    if (a.is_whole() && (b.is_text() || b.is_list())) {
        return multiply(runtime, b, a);
    }
    if ((a.is_text() || a.is_list()) && b.is_whole()) {
        const auto times = static_cast<std::size_t>(std::max<std::int64_t>(0, b.whole()));
        const std::size_t size = a.is_text() ? a.text().size() : a.items().size();
        if (size == 0 || times == 0) {
            return a.is_text() ? TemplateValue(SourcedText()) : TemplateValue::list({}, a.is_tuple());
        }
        if (size > TemplateBudget::most_output / times) {
            runtime.budget.length(TemplateBudget::most_output + 1);
        }
        runtime.budget.work(16 * size * times);
        if (a.is_text()) {
            SourcedText out;
            for (std::size_t i = 0; i < times; ++i) {
                out.append(a.text());
            }
            return out;
        }
        TemplateList items;
        for (std::size_t i = 0; i < times; ++i) {
            items.insert(items.end(), a.items().begin(), a.items().end());
        }
        return TemplateValue::list(std::move(items), a.is_tuple());
    }
    if (!both_numbers(a, b)) {
        no_operation("*", a, b);
    }
    if (!both_whole(a, b)) {
        return a.real() * b.real();
    }
    std::int64_t product = 0;
    if (__builtin_mul_overflow(a.whole(), b.whole(), &product)) {
        too_large();
    }
    return product;
}

TemplateValue divide(const TemplateValue& a, const TemplateValue& b) {
    if (!both_numbers(a, b)) {
        no_operation("/", a, b);
    }
    not_zero(b);
    return a.real() / b.real();
}

TemplateValue floor_divide(const TemplateValue& a, const TemplateValue& b) {
    if (!both_numbers(a, b)) {
        no_operation("//", a, b);
    }
    not_zero(b);
    if (!both_whole(a, b)) {
        return std::floor(a.real() / b.real());
    }
    const std::int64_t x = a.whole(), y = b.whole();
    if (y == -1) {
        return minus(a);
    }
    return x / y - ((x % y != 0) && ((x < 0) != (y < 0)) ? 1 : 0);
}

TemplateValue remainder(TemplateRuntime& runtime, const TemplateValue& a, const TemplateValue& b) {
    if (a.is_text()) {
        return text_value(runtime, format_percent(runtime, a.text(), b));
    }
    if (!both_numbers(a, b)) {
        no_operation("%", a, b);
    }
    not_zero(b);
    if (!both_whole(a, b)) {
        const double rest = std::fmod(a.real(), b.real());
        return rest != 0 && (rest < 0) != (b.real() < 0) ? rest + b.real() : rest;
    }
    const std::int64_t y = b.whole();
    const std::int64_t rest = y == -1 ? 0 : a.whole() % y;
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

TemplateValue power(const TemplateValue& a, const TemplateValue& b) {
    if (!both_numbers(a, b)) {
        no_operation("**", a, b);
    }
    if (!both_whole(a, b) || b.whole() < 0) {
        return std::pow(a.real(), b.real());
    }
    std::int64_t result = 1, base = a.whole(), rest = b.whole();
    while (rest > 0) {
        if ((rest & 1) && __builtin_mul_overflow(result, base, &result)) {
            too_large();
        }
        rest >>= 1;
        if (rest > 0 && __builtin_mul_overflow(base, base, &base)) {
            too_large();
        }
    }
    return result;
}

TemplateValue minus(const TemplateValue& a) {
    if (a.is_whole()) {
        return subtract(std::int64_t{0}, a);
    }
    if (a.kind() != Kind::real) {
        need_defined(a);
        template_failure("'-' does not work on '" + type_name(a) + "'");
    }
    return -a.real();
}

bool contains(TemplateRuntime& runtime, const TemplateValue& container, const TemplateValue& item) {
    runtime.budget.work(container.weight());
    switch (container.kind()) {
    case Kind::undefined:
        return false;
    case Kind::text:
        if (!item.is_text()) {
            need_defined(item);
            template_failure("'in' a string needs a string, not '" + type_name(item) + "'");
        }
        runtime.budget.work(container.text().size());
        return container.bytes().find(item.bytes()) != std::string::npos;
    case Kind::list:
        return std::any_of(container.items().begin(), container.items().end(),
                           [&](const TemplateValue& other) { return equal(other, item); });
    case Kind::map:
        return container.map().find(item) != nullptr;
    default:
        template_failure("'in' does not work on '" + type_name(container) + "'");
    }
}

TemplateList iterate(TemplateRuntime& runtime, const TemplateValue& value) {
    TemplateList items;
    switch (value.kind()) {
    case Kind::undefined:
        break;
    case Kind::text:
        runtime.budget.work(32 * value.text().size());
        for (std::size_t at = 0; at < value.text().size();) {
            const std::size_t length = decode_utf8(value.bytes(), at).length;
            items.emplace_back(value.text().slice(at, at + length));
            at += length;
        }
        break;
    case Kind::list:
        runtime.budget.work(16 * value.items().size());
        return value.items();
    case Kind::map:
        runtime.budget.work(16 * value.map().entries().size());
        for (const auto& [key, item] : value.map().entries()) {
            items.push_back(key);
        }
        break;
    default:
        template_failure("a value of type '" + type_name(value) + "' cannot be gone through");
    }
    return items;
}

std::int64_t length(const TemplateValue& value) {
    switch (value.kind()) {
    case Kind::undefined:
        return 0;
    case Kind::text:
        return static_cast<std::int64_t>(count_characters(value.bytes()));
    case Kind::list:
        return static_cast<std::int64_t>(value.items().size());
    case Kind::map:
        return static_cast<std::int64_t>(value.map().entries().size());
    default:
        template_failure("a value of type '" + type_name(value) + "' has no length");
    }
}

} // namespace ergo::jinja
