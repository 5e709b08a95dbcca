// SPDX-License-Identifier: GPL-3.0-or-later
// Methods of strings, lists and dictionaries that templates may call. Those that would change a list or a
// dictionary are refused, as the sandbox of the reference does.
#include "engine/base/utf8.h"
#include "engine/template/python_string.h"
#include "engine/template/runtime.h"

#include <utf8proc.h>

#include <algorithm>

namespace ergo::jinja {

namespace {

using Method = TemplateValue (*)(const TemplateValue& self, TemplateCall& call);
struct Named {
    std::string_view name;
    Method method;
};

TemplateValue list_of(TemplateRuntime& runtime, std::vector<SourcedText> parts) {
    TemplateList items;
    items.reserve(parts.size());
    for (SourcedText& part : parts) {
        items.push_back(text_value(runtime, std::move(part)));
    }
    return TemplateValue::list(std::move(items));
}

// ---- strings

std::optional<std::string_view> separator(TemplateCall& call) {
    const SourcedText* given = call.text_or_null(0, "sep");
    if (given && given->empty()) {
        call.fail("is given an empty separator");
    }
    return given ? std::optional<std::string_view>(given->bytes()) : std::nullopt;
}

template <auto cut> TemplateValue split_with(const TemplateValue& self, TemplateCall& call) {
    call.expect({"sep", "maxsplit"}, 0);
    call.runtime.budget.work(64 * self.text().size());
    return list_of(call.runtime, cut(self.text(), separator(call), call.whole_or(1, "maxsplit", -1)));
}

template <bool left, bool right> TemplateValue strip_sides(const TemplateValue& self, TemplateCall& call) {
    call.expect({"chars"}, 0);
    const SourcedText* characters = call.text_or_null(0, "chars");
    return text_value(call.runtime,
                      strip(self.text(),
                            characters ? std::optional<std::string_view>(characters->bytes()) : std::nullopt,
                            left, right));
}

// startswith, endswith: a string, or a tuple of which one suffices.
template <bool at_end> TemplateValue has_affix(const TemplateValue& self, TemplateCall& call) {
    call.expect({"affix"}, 1);
    const auto fits = [&](const TemplateValue& affix) {
        if (!affix.is_text()) {
            call.fail("needs a string or a tuple of strings, not '" + type_name(affix) + "'");
        }
        return at_end ? self.bytes().ends_with(affix.bytes()) : self.bytes().starts_with(affix.bytes());
    };
    const TemplateValue& affix = call.positional.at(0);
    return affix.is_tuple() ? std::any_of(affix.items().begin(), affix.items().end(), fits) : fits(affix);
}

template <bool at_end> TemplateValue remove_affix(const TemplateValue& self, TemplateCall& call) {
    call.expect({"affix"}, 1);
    const SourcedText* affix = call.text_or_null(0, "affix");
    if (!affix) {
        call.fail("needs a string");
    }
    const std::size_t size = self.text().size(), cut = affix->size();
    if (at_end ? !self.bytes().ends_with(affix->bytes()) : !self.bytes().starts_with(affix->bytes())) {
        return self;
    }
    return at_end ? self.text().slice(0, size - cut) : self.text().slice(cut, size);
}

TemplateValue replace_method(const TemplateValue& self, TemplateCall& call) {
    call.expect({"old", "new", "count"}, 2);
    const SourcedText *old = call.text_or_null(0, "old"), *fresh = call.text_or_null(1, "new");
    if (!old || !fresh) {
        call.fail("needs two strings");
    }
    const SourcedText& text = self.text();
    if (replaced_size(text, old->bytes(), *fresh) >
        TemplateBudget::most_output) { // count what is really there
        std::size_t places = 0;
        for (std::size_t at = 0;
             !old->empty() && (at = text.bytes().find(old->bytes(), at)) != std::string::npos;
             at += old->size()) {
            ++places;
        }
        call.runtime.budget.length(text.size() + (old->empty() ? text.size() + 1 : places) * fresh->size());
    }
    return text_value(call.runtime, replace(text, old->bytes(), *fresh, call.whole_or(2, "count", -1)));
}

template <LetterCase how> TemplateValue cased(const TemplateValue& self, TemplateCall& call) {
    call.expect({}, 0);
    call.runtime.budget.work(8 * self.text().size());
    return text_value(call.runtime, change_case(self.text(), how));
}

TemplateValue join_method(const TemplateValue& self, TemplateCall& call) {
    call.expect({"iterable"}, 1);
    std::vector<SourcedText> parts;
    std::size_t size = 0;
    for (const TemplateValue& item : iterate(call.runtime, call.positional.at(0))) {
        if (!item.is_text()) {
            call.fail("joins strings only, not '" + type_name(item) + "'");
        }
        parts.push_back(item.text());
        size += item.text().size() + self.text().size();
    }
    call.runtime.budget.length(size);
    return join(self.text(), parts);
}

// find, rfind: the character's position or -1.
template <bool from_end> std::int64_t find_in(const TemplateValue& self, TemplateCall& call) {
    call.expect({"sub"}, 1);
    call.runtime.budget.work(self.text().size());
    const SourcedText* wanted = call.text_or_null(0, "sub");
    if (!wanted) {
        call.fail("needs a string");
    }
    const std::size_t at =
        from_end ? self.bytes().rfind(wanted->bytes()) : self.bytes().find(wanted->bytes());
    return at == std::string::npos
               ? -1
               : static_cast<std::int64_t>(count_characters(std::string_view(self.bytes()).substr(0, at)));
}

template <bool from_end, bool must> TemplateValue find_method(const TemplateValue& self, TemplateCall& call) {
    const std::int64_t at = find_in<from_end>(self, call);
    if (must && at < 0) {
        call.fail("does not find the substring");
    }
    return at;
}

TemplateValue count_method(const TemplateValue& self, TemplateCall& call) {
    call.expect({"sub"}, 1);
    const SourcedText* wanted = call.text_or_null(0, "sub");
    if (!wanted) {
        call.fail("needs a string");
    }
    call.runtime.budget.work(self.text().size());
    if (wanted->empty()) {
        return length(self) + 1;
    }
    std::int64_t count = 0;
    for (std::size_t at = 0; (at = self.bytes().find(wanted->bytes(), at)) != std::string::npos;
         at += wanted->size()) {
        ++count;
    }
    return count;
}

template <bool from_end> TemplateValue partition(const TemplateValue& self, TemplateCall& call) {
    call.expect({"sep"}, 1);
    const auto cut = separator(call);
    if (!cut) {
        call.fail("needs a string");
    }
    const SourcedText& text = self.text();
    const std::size_t at = from_end ? text.bytes().rfind(*cut) : text.bytes().find(*cut);
    TemplateList parts;
    if (at == std::string::npos) {
        parts = {self, SourcedText(), SourcedText()};
        if (from_end) {
            std::swap(parts[0], parts[2]);
        }
    } else {
        parts = {text.slice(0, at), text.slice(at, at + cut->size()),
                 text.slice(at + cut->size(), text.size())};
    }
    return TemplateValue::list(std::move(parts), true);
}

TemplateValue lines_method(const TemplateValue& self, TemplateCall& call) {
    call.expect({"keepends"}, 0);
    call.runtime.budget.work(64 * self.text().size());
    return list_of(call.runtime, split_lines(self.text(), call.flag_or(0, "keepends", false)));
}

enum class Sort { digit, alpha, alnum, space, upper, lower };

template <Sort sort> TemplateValue all_are(const TemplateValue& self, TemplateCall& call) {
    call.expect({}, 0);
    call.runtime.budget.work(self.text().size());
    bool some = false;
    for (std::size_t at = 0; at < self.text().size();) {
        const Utf8Char c = decode_utf8(self.bytes(), at);
        const auto code = static_cast<utf8proc_int32_t>(c.code_point);
        const std::string_view category = utf8proc_category_string(code);
        const bool digit = category[0] == 'N', letter = category[0] == 'L';
        if constexpr (sort == Sort::upper || sort == Sort::lower) {
            const bool up = category == "Lu" || category == "Lt", low = category == "Ll";
            if (sort == Sort::upper ? low : up) {
                return false;
            }
            some = some || (sort == Sort::upper ? up : low);
        } else {
            const bool fits = sort == Sort::digit   ? category == "Nd"
                              : sort == Sort::alpha ? letter
                              : sort == Sort::alnum ? letter || digit
                                                    : is_python_space(c.code_point);
            if (!fits) {
                return false;
            }
            some = true;
        }
        at += c.length;
    }
    return some;
}

// ljust, rjust, center, zfill: filled up to a number of characters.
enum class Side { left, right, both, zeros };

template <Side side> TemplateValue pad(const TemplateValue& self, TemplateCall& call) {
    call.expect({"width", "fillchar"}, 1);
    const std::int64_t missing = call.whole_or(0, "width", 0) - length(self);
    if (missing <= 0) {
        return self;
    }
    const SourcedText* fill = call.text_or_null(1, "fillchar");
    const std::string filler = side == Side::zeros ? "0" : fill ? fill->bytes() : " ";
    call.runtime.budget.length(self.text().size() + static_cast<std::size_t>(missing) * filler.size());
    // Python puts the odd one of center() to the left only if the width is odd
    const std::int64_t before = side == Side::left   ? 0
                                : side == Side::both ? missing / 2 + (missing & (missing + length(self)) & 1)
                                                     : missing;
    SourcedText out;
    const bool sign = side == Side::zeros && !self.text().empty() &&
                      (self.bytes().front() == '-' || self.bytes().front() == '+');
    out.append(self.text(), 0, sign ? 1 : 0);
    for (std::int64_t i = 0; i < before; ++i) {
        out.append(filler, template_source);
    }
    out.append(self.text(), sign ? 1 : 0, self.text().size());
    for (std::int64_t i = before; i < missing; ++i) {
        out.append(filler, template_source);
    }
    return out;
}

constexpr Named text_methods[] = {
    {"split", split_with<split>},
    {"rsplit", split_with<rsplit>},
    {"splitlines", lines_method},
    {"strip", strip_sides<true, true>},
    {"lstrip", strip_sides<true, false>},
    {"rstrip", strip_sides<false, true>},
    {"startswith", has_affix<false>},
    {"endswith", has_affix<true>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"replace", replace_method},
    {"upper", cased<LetterCase::upper>},
    {"lower", cased<LetterCase::lower>},
    {"casefold", cased<LetterCase::lower>},
    {"title", cased<LetterCase::title>},
    {"capitalize", cased<LetterCase::capital>},
    {"swapcase", cased<LetterCase::swap>},
    {"join", join_method},
    {"find", find_method<false, false>},
    {"rfind", find_method<true, false>},
    {"index", find_method<false, true>},
    {"rindex", find_method<true, true>},
    {"count", count_method},
    {"partition", partition<false>},
    {"rpartition", partition<true>},
    {"isdigit", all_are<Sort::digit>},
    {"isdecimal", all_are<Sort::digit>},
    {"isnumeric", all_are<Sort::digit>},
    {"isalpha", all_are<Sort::alpha>},
    {"isalnum", all_are<Sort::alnum>},
    {"isspace", all_are<Sort::space>},
    {"isupper", all_are<Sort::upper>},
    {"islower", all_are<Sort::lower>},
    {"ljust", pad<Side::left>},
    {"rjust", pad<Side::right>},
    {"center", pad<Side::both>},
    {"zfill", pad<Side::zeros>},
};

// ---- lists and dictionaries

TemplateValue refuse_change(const TemplateValue& self, TemplateCall& call) {
    call.fail("would change a " + type_name(self) + ", which a chat template may not do");
}

TemplateValue index_of(const TemplateValue& self, TemplateCall& call) {
    call.expect({"value"}, 1);
    call.runtime.budget.work(self.weight());
    for (std::size_t i = 0; i < self.items().size(); ++i) {
        if (equal(self.items()[i], call.positional.at(0))) {
            return static_cast<std::int64_t>(i);
        }
    }
    call.fail("does not find the value in the list");
}

TemplateValue count_of(const TemplateValue& self, TemplateCall& call) {
    call.expect({"value"}, 1);
    call.runtime.budget.work(self.weight());
    return std::int64_t{
        std::count_if(self.items().begin(), self.items().end(),
                      [&](const TemplateValue& item) { return equal(item, call.positional.at(0)); })};
}

TemplateValue copy_of(const TemplateValue& self, TemplateCall& call) {
    call.expect({}, 0);
    return self;
}

constexpr Named list_methods[] = {
    {"index", index_of},        {"count", count_of},       {"copy", copy_of},
    {"append", refuse_change},  {"extend", refuse_change}, {"insert", refuse_change},
    {"pop", refuse_change},     {"remove", refuse_change}, {"sort", refuse_change},
    {"reverse", refuse_change}, {"clear", refuse_change},
};

TemplateValue get_method(const TemplateValue& self, TemplateCall& call) {
    call.expect({"key", "default"}, 1);
    if (const TemplateValue* found = self.map().find(call.positional.at(0))) {
        return *found;
    }
    const TemplateValue* fallback = call.find(1, "default");
    return fallback ? *fallback : TemplateValue();
}

enum class Part { keys, values, both };

template <Part part> TemplateValue entries_of(const TemplateValue& self, TemplateCall& call) {
    call.expect({}, 0);
    call.runtime.budget.work(64 * self.map().entries().size());
    TemplateList out;
    for (const auto& [key, value] : self.map().entries()) {
        out.push_back(part == Part::keys     ? key
                      : part == Part::values ? value
                                             : TemplateValue::list({key, value}, true));
    }
    return TemplateValue::list(std::move(out));
}

constexpr Named map_methods[] = {
    {"get", get_method},
    {"keys", entries_of<Part::keys>},
    {"values", entries_of<Part::values>},
    {"items", entries_of<Part::both>},
    {"copy", copy_of},
    {"update", refuse_change},
    {"pop", refuse_change},
    {"popitem", refuse_change},
    {"clear", refuse_change},
    {"setdefault", refuse_change},
};

} // namespace

TemplateValue method(const TemplateValue& self, const std::string& name) {
    const std::span<const Named> table = self.is_text()   ? std::span<const Named>(text_methods)
                                         : self.is_list() ? std::span<const Named>(list_methods)
                                                          : std::span<const Named>(map_methods);
    for (const Named& known : table) {
        if (known.name == name) {
            return TemplateValue::function(
                name, [self, run = known.method](TemplateCall& call) { return run(self, call); });
        }
    }
    return TemplateValue::undefined("");
}

} // namespace ergo::jinja
