// SPDX-License-Identifier: GPL-3.0-or-later
// Filters on lists and dictionaries.
#include "engine/base/error.h"
#include "engine/template/python_string.h"
#include "engine/template/runtime.h"

#include <algorithm>

namespace ergo::jinja {

namespace {

TemplateList input_items(TemplateCall& call) {
    return iterate(call.runtime, call.input());
}

TemplateValue list_filter(TemplateCall& call) {
    call.expect({"value"}, 1);
    return TemplateValue::list(input_items(call));
}

TemplateValue first(TemplateCall& call) {
    call.expect({"seq"}, 1);
    const TemplateList items = input_items(call);
    return items.empty() ? TemplateValue::undefined("there is no first item, the sequence is empty")
                         : items.front();
}

TemplateValue last(TemplateCall& call) {
    call.expect({"seq"}, 1);
    const TemplateList items = input_items(call);
    return items.empty() ? TemplateValue::undefined("there is no last item, the sequence is empty")
                         : items.back();
}

TemplateValue items_filter(TemplateCall& call) {
    call.expect({"value"}, 1);
    if (call.input().is_undefined()) {
        return TemplateValue::list({});
    }
    if (!call.input().is_map()) {
        call.fail("needs a dictionary, not '" + type_name(call.input()) + "'");
    }
    TemplateCall inner{call.runtime, "items", {}, {}};
    return call.runtime.call(method(call.input(), "items"), inner);
}

TemplateValue join_filter(TemplateCall& call) {
    call.expect({"value", "d", "attribute"}, 1);
    const TemplateValue* separator = call.find(1, "d");
    const TemplateValue* path = call.find(2, "attribute");
    std::vector<SourcedText> parts;
    std::size_t size = 0;
    const SourcedText between = separator ? to_text(*separator) : SourcedText();
    for (const TemplateValue& item : input_items(call)) {
        parts.push_back(to_text(path && !path->is_none() ? path_of(call.runtime, item, *path) : item));
        size += parts.back().size() + between.size();
    }
    call.runtime.budget.length(size);
    return join(between, parts);
}

TemplateValue reverse(TemplateCall& call) {
    call.expect({"value"}, 1);
    TemplateList items = input_items(call);
    std::reverse(items.begin(), items.end());
    if (!call.input().is_text()) {
        return TemplateValue::list(std::move(items));
    }
    SourcedText out;
    for (const TemplateValue& item : items) {
        out.append(item.text());
    }
    return out;
}

// A key to sort by: strings without regard to case unless asked.
TemplateValue sort_key(TemplateCall& call, const TemplateValue& item, const TemplateValue* path,
                       bool case_sensitive) {
    TemplateValue key = path && !path->is_none() ? path_of(call.runtime, item, *path) : item;
    return key.is_text() && !case_sensitive ? TemplateValue(change_case(key.text(), LetterCase::lower)) : key;
}

TemplateValue sorted(TemplateCall& call, const TemplateList& items, const TemplateValue* path, bool reversed,
                     bool case_sensitive) {
    std::vector<std::pair<TemplateValue, TemplateValue>> keyed;
    for (const TemplateValue& item : items) {
        keyed.emplace_back(sort_key(call, item, path, case_sensitive), item);
        call.runtime.budget.work(keyed.back().first.weight() * 64);
    }
    std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
        return reversed ? less(b.first, a.first) : less(a.first, b.first);
    });
    TemplateList out;
    for (auto& [key, item] : keyed) {
        out.push_back(std::move(item));
    }
    return TemplateValue::list(std::move(out));
}

TemplateValue sort_filter(TemplateCall& call) {
    call.expect({"value", "reverse", "case_sensitive", "attribute"}, 1);
    return sorted(call, input_items(call), call.find(3, "attribute"), call.flag_or(1, "reverse", false),
                  call.flag_or(2, "case_sensitive", false));
}

TemplateValue dictsort(TemplateCall& call) {
    call.expect({"value", "case_sensitive", "by", "reverse"}, 1);
    const SourcedText* by = call.text_or_null(2, "by");
    const TemplateValue path(std::int64_t{by && by->bytes() == "value" ? 1 : 0});
    TemplateCall items{call.runtime, "items", {call.input()}, {}};
    return sorted(call, items_filter(items).items(), &path, call.flag_or(3, "reverse", false),
                  call.flag_or(1, "case_sensitive", false));
}

TemplateValue unique(TemplateCall& call) {
    call.expect({"value", "case_sensitive", "attribute"}, 1);
    TemplateMap seen;
    TemplateList out;
    for (const TemplateValue& item : input_items(call)) {
        const TemplateValue key =
            sort_key(call, item, call.find(2, "attribute"), call.flag_or(1, "case_sensitive", false));
        if (!seen.find(key)) {
            seen.set(key, true);
            out.push_back(item);
        }
    }
    return TemplateValue::list(std::move(out));
}

template <bool largest> TemplateValue extreme(TemplateCall& call) {
    call.expect({"value", "case_sensitive", "attribute"}, 1);
    const TemplateList items = sorted(call, input_items(call), call.find(2, "attribute"), false,
                                      call.flag_or(1, "case_sensitive", false))
                                   .items();
    if (items.empty()) {
        return TemplateValue::undefined("the sequence is empty");
    }
    return largest ? items.back() : items.front();
}

TemplateValue sum(TemplateCall& call) {
    call.expect({"iterable", "attribute", "start"}, 1);
    const TemplateValue* path = call.find(1, "attribute");
    const TemplateValue* start = call.find(2, "start");
    TemplateValue total = start ? *start : TemplateValue(std::int64_t{0});
    for (const TemplateValue& item : input_items(call)) {
        total =
            add(call.runtime, total, path && !path->is_none() ? path_of(call.runtime, item, *path) : item);
    }
    return total;
}

// map("upper", …) applies a filter; map(attribute="a.b", default=x) takes a part.
TemplateValue map_filter(TemplateCall& call) {
    TemplateList out;
    const TemplateValue* path = nullptr;
    const TemplateValue* fallback = nullptr;
    for (const auto& [name, value] : call.named) {
        path = name == "attribute" ? &value : path;
        fallback = name == "default" ? &value : fallback;
    }
    if (path) {
        if (call.positional.size() > 1) {
            call.fail("takes either a filter or an attribute");
        }
        for (const TemplateValue& item : input_items(call)) {
            out.push_back(path_of(call.runtime, item, *path, fallback));
        }
        return TemplateValue::list(std::move(out));
    }
    const SourcedText* name = call.text_or_null(1, "filter");
    if (!name) {
        call.fail("needs the name of a filter, or an attribute");
    }
    for (const TemplateValue& item : input_items(call)) {
        call.runtime.budget.step();
        TemplateCall inner{call.runtime, name->bytes(), {item}, call.named};
        inner.positional.insert(inner.positional.end(), call.positional.begin() + 2, call.positional.end());
        out.push_back(apply_filter(inner));
    }
    return TemplateValue::list(std::move(out));
}

// select(test, …), reject, and the same by an attribute: items for which the test holds, or does not.
template <bool by_attribute, bool wanted> TemplateValue choose(TemplateCall& call) {
    constexpr std::size_t test_at = by_attribute ? 2 : 1;
    if (call.positional.size() < test_at) {
        call.fail("needs the name of an attribute");
    }
    const bool has_test = call.positional.size() > test_at;
    if (has_test && !call.positional[test_at].is_text()) {
        call.fail("needs the name of a test, not '" + type_name(call.positional[test_at]) + "'");
    }
    TemplateList out;
    for (const TemplateValue& item : input_items(call)) {
        call.runtime.budget.step();
        const TemplateValue value = by_attribute ? path_of(call.runtime, item, call.positional[1]) : item;
        bool holds = false;
        if (has_test) {
            TemplateCall inner{call.runtime, call.positional[test_at].bytes(), {value}, call.named};
            inner.positional.insert(inner.positional.end(),
                                    call.positional.begin() + static_cast<std::ptrdiff_t>(test_at) + 1,
                                    call.positional.end());
            holds = apply_test(inner);
        } else {
            holds = is_true(value);
        }
        if (holds == wanted) {
            out.push_back(item);
        }
    }
    return TemplateValue::list(std::move(out));
}

TemplateValue batch(TemplateCall& call) {
    call.expect({"value", "linecount", "fill_with"}, 2);
    const auto size = static_cast<std::size_t>(std::max<std::int64_t>(1, call.whole_or(1, "linecount", 1)));
    const TemplateValue* fill = call.find(2, "fill_with");
    TemplateList out, row;
    for (const TemplateValue& item : input_items(call)) {
        row.push_back(item);
        if (row.size() == size) {
            out.push_back(TemplateValue::list(std::exchange(row, {})));
        }
    }
    if (!row.empty()) {
        if (fill && !fill->is_none()) {
            call.runtime.budget.work(16 * std::min<std::size_t>(size, TemplateBudget::most_work));
            row.resize(std::min<std::size_t>(size, 100'000), *fill);
        }
        out.push_back(TemplateValue::list(std::move(row)));
    }
    return TemplateValue::list(std::move(out));
}

TemplateValue groupby(TemplateCall& call) {
    call.expect({"value", "attribute", "default", "case_sensitive"}, 2);
    const TemplateValue path = *call.find(1, "attribute");
    const TemplateList items =
        sorted(call, input_items(call), &path, false, call.flag_or(3, "case_sensitive", false)).items();
    TemplateList groups;
    for (std::size_t begin = 0; begin < items.size();) {
        const TemplateValue key = path_of(call.runtime, items[begin], path);
        TemplateList members;
        std::size_t end = begin;
        while (end < items.size() && equal(path_of(call.runtime, items[end], path), key)) {
            members.push_back(items[end++]);
        }
        groups.push_back(TemplateValue::list({key, TemplateValue::list(std::move(members))}, true));
        begin = end;
    }
    return TemplateValue::list(std::move(groups));
}

constexpr std::pair<std::string_view, TemplateFilter> table[] = {
    {"list", list_filter},
    {"first", first},
    {"last", last},
    {"items", items_filter},
    {"join", join_filter},
    {"reverse", reverse},
    {"sort", sort_filter},
    {"dictsort", dictsort},
    {"unique", unique},
    {"min", extreme<false>},
    {"max", extreme<true>},
    {"sum", sum},
    {"map", map_filter},
    {"select", choose<false, true>},
    {"reject", choose<false, false>},
    {"selectattr", choose<true, true>},
    {"rejectattr", choose<true, false>},
    {"batch", batch},
    {"groupby", groupby},
};

} // namespace

TemplateFilter find_list_filter(std::string_view name) {
    for (const auto& [known, filter] : table) {
        if (known == name) {
            return filter;
        }
    }
    return nullptr;
}

} // namespace ergo::jinja
