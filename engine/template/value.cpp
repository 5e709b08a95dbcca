// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/template/value.h"

#include <algorithm>
#include <cmath>

namespace ergo::jinja {

namespace {

using Kind = TemplateValue::Kind;

// Equal keys, and only they, have the same text; 1, 1.0 and True are one key in Python.
std::string canonical_key(const TemplateValue& key) {
    switch (key.kind()) {
    case Kind::none:
        return "n";
    case Kind::boolean:
    case Kind::integer:
        return "i" + std::to_string(key.whole());
    case Kind::real: {
        const double value = key.real();
        if (value == std::floor(value) && std::abs(value) < 9e18) {
            return "i" + std::to_string(static_cast<std::int64_t>(value));
        }
        return "f" + float_repr(value);
    }
    case Kind::text:
        return "s" + key.bytes();
    case Kind::list:
        if (key.is_tuple()) {
            std::string out = "t";
            for (const TemplateValue& item : key.items()) {
                const std::string part = canonical_key(item);
                out += std::to_string(part.size()) + ":" + part;
            }
            return out;
        }
        break;
    default:
        break;
    }
    throw TemplateProblem{"CT-RUNTIME",
                          "a value of type '" + type_name(key) + "' cannot be a dictionary's key"};
}

int check_depth(int depth) {
    if (depth > TemplateValue::most_depth) {
        throw TemplateProblem{"CT-LIMIT", "lists or dictionaries are nested more than " +
                                              std::to_string(TemplateValue::most_depth) + " deep"};
    }
    return depth;
}

std::size_t check_weight(std::size_t weight) {
    if (weight > TemplateValue::most_weight) {
        throw TemplateProblem{"CT-LIMIT", "a list or a dictionary grows beyond " +
                                              std::to_string(TemplateValue::most_weight) + " parts"};
    }
    return weight;
}

} // namespace

// ---- dictionaries

const TemplateValue* TemplateMap::find(const TemplateValue& key) const {
    const auto found = index_.find(canonical_key(key));
    return found == index_.end() ? nullptr : &entries_[found->second].second;
}

const TemplateValue* TemplateMap::find(std::string_view key) const {
    const auto found = index_.find("s" + std::string(key));
    return found == index_.end() ? nullptr : &entries_[found->second].second;
}

void TemplateMap::set(const TemplateValue& key, TemplateValue value) {
    depth_ = check_depth(std::max(depth_, value.depth() + 1));
    weight_ = check_weight(weight_ + key.weight() + value.weight());
    const auto [place, fresh] = index_.emplace(canonical_key(key), entries_.size());
    if (fresh) {
        entries_.emplace_back(key, std::move(value));
    } else {
        entries_[place->second].second = std::move(value);
    }
}

// ---- values

TemplateValue::TemplateValue(SourcedText value)
    : data_(std::make_shared<const SourcedText>(std::move(value))) {}

TemplateValue::TemplateValue(std::shared_ptr<const TemplateMap> value) : data_(std::move(value)) {}

TemplateValue TemplateValue::text(std::string bytes, TextSource source) {
    return TemplateValue(SourcedText(std::move(bytes), source));
}

TemplateValue TemplateValue::list(TemplateList items, bool tuple) {
    int depth = 1;
    std::size_t weight = 1;
    for (const TemplateValue& item : items) {
        depth = std::max(depth, item.depth() + 1);
        weight += item.weight();
    }
    TemplateValue value;
    value.data_ = ListRef{std::make_shared<const TemplateList>(std::move(items)), tuple, check_depth(depth),
                          check_weight(weight)};
    return value;
}

TemplateValue TemplateValue::function(std::string name, TemplateFunction function) {
    TemplateValue value;
    value.data_ = std::make_shared<const std::pair<std::string, TemplateFunction>>(std::move(name),
                                                                                   std::move(function));
    return value;
}

TemplateValue TemplateValue::undefined(std::string what) {
    TemplateValue value;
    value.data_ = Missing{std::make_shared<const std::string>(std::move(what))};
    return value;
}

std::int64_t TemplateValue::whole() const {
    return kind() == Kind::boolean ? std::int64_t{std::get<bool>(data_)} : std::get<std::int64_t>(data_);
}

double TemplateValue::real() const {
    return kind() == Kind::real ? std::get<double>(data_) : static_cast<double>(whole());
}

bool TemplateValue::same_as(const TemplateValue& other) const {
    if (kind() != other.kind()) {
        return false;
    }
    switch (kind()) {
    case Kind::list:
        return std::get<ListRef>(data_).items == std::get<ListRef>(other.data_).items;
    case Kind::map:
        return std::get<std::shared_ptr<const TemplateMap>>(data_) ==
               std::get<std::shared_ptr<const TemplateMap>>(other.data_);
    case Kind::space:
        return space() == other.space();
    case Kind::loop:
        return loop() == other.loop();
    case Kind::function:
        return std::get<FunctionRef>(data_) == std::get<FunctionRef>(other.data_);
    default:
        return equal(*this, other);
    }
}

int TemplateValue::depth() const {
    return is_list() ? std::get<ListRef>(data_).depth : is_map() ? map().depth() : 0;
}

std::size_t TemplateValue::weight() const {
    return is_list()   ? std::get<ListRef>(data_).weight
           : is_map()  ? map().weight()
           : is_text() ? 1 + text().size() / 16
                       : 1;
}

// ---- comparisons

bool is_true(const TemplateValue& value) {
    switch (value.kind()) {
    case Kind::undefined:
    case Kind::none:
        return false;
    case Kind::boolean:
    case Kind::integer:
        return value.whole() != 0;
    case Kind::real:
        return value.real() != 0;
    case Kind::text:
        return !value.text().empty();
    case Kind::list:
        return !value.items().empty();
    case Kind::map:
        return !value.map().entries().empty();
    default:
        return true;
    }
}

bool equal(const TemplateValue& a, const TemplateValue& b) {
    if (a.is_number() && b.is_number()) {
        return a.is_whole() && b.is_whole() ? a.whole() == b.whole() : a.real() == b.real();
    }
    if (a.kind() != b.kind()) {
        return false;
    }
    switch (a.kind()) {
    case Kind::undefined:
    case Kind::none:
        return true;
    case Kind::text:
        return a.bytes() == b.bytes();
    case Kind::list:
        return a.is_tuple() == b.is_tuple() && a.items().size() == b.items().size() &&
               std::equal(a.items().begin(), a.items().end(), b.items().begin(), equal);
    case Kind::map: {
        const auto& entries = a.map().entries();
        return entries.size() == b.map().entries().size() &&
               std::all_of(entries.begin(), entries.end(), [&](const TemplateMap::Entry& entry) {
                   const TemplateValue* other = b.map().find(entry.first);
                   return other && equal(entry.second, *other);
               });
    }
    default:
        return a.same_as(b);
    }
}

bool less(const TemplateValue& a, const TemplateValue& b) {
    if (a.is_number() && b.is_number()) {
        return a.is_whole() && b.is_whole() ? a.whole() < b.whole() : a.real() < b.real();
    }
    if (a.is_text() && b.is_text()) {
        return a.bytes() < b.bytes(); // in UTF-8 the order of bytes is that of code points
    }
    if (a.is_list() && b.is_list() && a.is_tuple() == b.is_tuple()) {
        return std::lexicographical_compare(a.items().begin(), a.items().end(), b.items().begin(),
                                            b.items().end(), less);
    }
    for (const TemplateValue* side : {&a, &b}) {
        if (side->is_undefined()) {
            throw TemplateProblem{"CT-RUNTIME", side->why_undefined()};
        }
    }
    throw TemplateProblem{"CT-RUNTIME", "values of the types '" + type_name(a) + "' and '" + type_name(b) +
                                            "' cannot be put in order"};
}

} // namespace ergo::jinja
