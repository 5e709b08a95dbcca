// SPDX-License-Identifier: GPL-3.0-or-later
// Functions every template has.
#include "engine/base/error.h"
#include "engine/template/runtime.h"

#include <clocale>

namespace ergo::jinja {

namespace {

TemplateValue raise_exception(TemplateCall& call) {
    call.expect({"message"}, 1);
    template_failure(
        printable(to_text(call.positional.empty() ? call.named[0].second : call.input()).bytes(), 400));
}

TemplateValue strftime_now(TemplateCall& call) {
    call.expect({"format"}, 1);
    const SourcedText* format = call.text_or_null(0, "format");
    if (!format || format->size() > 1000) {
        call.fail("needs a format of at most 1000 bytes");
    }
    std::tm local{};
    localtime_r(&call.runtime.now, &local);
    static const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr); // English names, as Python's default
    std::string out(8192, '\0');
    out.resize(format->empty() ? 0
                               : strftime_l(out.data(), out.size(), format->bytes().c_str(), &local, plain));
    return TemplateValue::text(std::move(out));
}

TemplateValue range(TemplateCall& call) {
    call.expect({"start", "stop", "step"}, 1);
    std::int64_t start = call.whole_or(0, "start", 0), stop = call.whole_or(1, "stop", 0);
    const std::int64_t step = call.whole_or(2, "step", 1);
    if (call.positional.size() == 1) {
        stop = start;
        start = 0;
    }
    if (step == 0) {
        call.fail("is given a step of zero");
    }
    constexpr std::size_t most = 100'000; // the sandbox of the reference has this limit
    TemplateList items;
    for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
        if (items.size() >= most) {
            throw TemplateProblem{"CT-LIMIT", "'range' makes more than " + std::to_string(most) + " numbers"};
        }
        items.emplace_back(i);
        if (__builtin_add_overflow(i, step, &i)) {
            break;
        }
    }
    call.runtime.budget.work(16 * items.size());
    return TemplateValue::list(std::move(items));
}

// namespace() and dict(): a dictionary's entries, then the named arguments.
template <class Put> void gather(TemplateCall& call, const Put& put) {
    if (call.positional.size() > 1 || (call.positional.size() == 1 && !call.input().is_map())) {
        call.fail("takes one dictionary and named arguments");
    }
    if (!call.positional.empty()) {
        for (const auto& [key, value] : call.input().map().entries()) {
            put(key, value);
        }
    }
    for (const auto& [name, value] : call.named) {
        put(TemplateValue::text(name), value);
    }
}

TemplateValue make_namespace(TemplateCall& call) {
    TemplateSpace* space = call.runtime.make_space();
    gather(call, [&](const TemplateValue& key, const TemplateValue& value) {
        space->names[to_text(key).bytes()] = value;
    });
    return space;
}

TemplateValue make_dict(TemplateCall& call) {
    auto map = std::make_shared<TemplateMap>();
    gather(call, [&](const TemplateValue& key, const TemplateValue& value) { map->set(key, value); });
    return TemplateValue(std::shared_ptr<const TemplateMap>(std::move(map)));
}

// joiner(", "): nothing at the first call, the separator afterwards.
TemplateValue joiner(TemplateCall& call) {
    call.expect({"sep"}, 0);
    const TemplateValue* given = call.find(0, "sep");
    TemplateSpace* state = call.runtime.make_space();
    return TemplateValue::function(
        "joiner", [state, separator = given ? *given : TemplateValue::text(", ")](TemplateCall&) {
            const bool used = state->names.contains("used");
            state->names["used"] = true;
            return used ? separator : TemplateValue(SourcedText());
        });
}

} // namespace

std::vector<std::pair<std::string, TemplateValue>> template_functions() {
    static constexpr std::pair<const char*, TemplateValue (*)(TemplateCall&)> known[] = {
        {"raise_exception", raise_exception},
        {"strftime_now", strftime_now},
        {"range", range},
        {"namespace", make_namespace},
        {"dict", make_dict},
        {"joiner", joiner},
    };
    std::vector<std::pair<std::string, TemplateValue>> functions;
    for (const auto& [name, function] : known) {
        functions.emplace_back(name, TemplateValue::function(name, function));
    }
    return functions;
}

} // namespace ergo::jinja
