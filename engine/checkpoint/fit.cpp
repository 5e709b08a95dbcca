// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/fit.h"

#include "engine/base/error.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

namespace ergo {

namespace {

constexpr std::size_t suggestions = 3;        // nearest names shown for one tensor
constexpr std::size_t explained = 20;         // tensors that get suggestions
constexpr std::size_t candidates_seen = 5000; // names compared for each
constexpr std::size_t compared_length = 160;  // characters of a name that are compared
constexpr std::size_t most_work = 8'000'000;  // pairs of characters a report compares: a fraction of a second

/// The part of two names in which they may differ; what they begin and end with alike costs no edit.
std::pair<std::string_view, std::string_view> different_part(std::string_view a, std::string_view b) {
    a = a.substr(0, compared_length);
    b = b.substr(0, compared_length);
    const auto begin =
        static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
    a.remove_prefix(begin);
    b.remove_prefix(begin);
    const auto end = static_cast<std::size_t>(
        std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend()).first - a.rbegin());
    a.remove_suffix(end);
    b.remove_suffix(end);
    return {a, b};
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row.back();
}

struct Named {
    std::string_view name;
    const Shape* shape;
};

/// Same shape first, then similar names; a name that shares less than half is no help.
/// `work` is what is left to spend.
std::vector<std::string> nearest(const Named& wanted, const std::vector<Named>& candidates,
                                 std::size_t& work) {
    struct Scored {
        bool other_shape;
        std::size_t distance;
        std::string_view name;
    };
    std::vector<Scored> scored;
    for (std::size_t i = 0; i < candidates.size() && i < candidates_seen; ++i) {
        const Named& c = candidates[i];
        const auto [here, there] = different_part(wanted.name, c.name);
        const std::size_t pairs = here.size() * there.size() + compared_length;
        if (pairs > work) {
            break;
        }
        work -= pairs;
        const std::size_t distance = edit_distance(here, there);
        if (*c.shape == *wanted.shape || 2 * distance < wanted.name.size()) {
            scored.push_back({*c.shape != *wanted.shape, distance, c.name});
        }
    }
    std::sort(scored.begin(), scored.end(), [](const Scored& a, const Scored& b) {
        return std::tie(a.other_shape, a.distance, a.name) < std::tie(b.other_shape, b.distance, b.name);
    });
    std::vector<std::string> names;
    for (std::size_t i = 0; i < scored.size() && i < suggestions; ++i) {
        names.emplace_back(scored[i].name);
    }
    return names;
}

void explain(FitReport& report) {
    std::vector<Named> absent, unclaimed;
    for (const auto& item : report.missing) {
        absent.push_back({item.wanted.name, &item.wanted.shape});
    }
    for (const auto& item : report.unexpected) {
        unclaimed.push_back({item.name, &item.shape});
    }
    std::size_t work = most_work;
    for (std::size_t i = 0; i < absent.size() && i < explained; ++i) {
        report.missing[i].nearest = nearest(absent[i], unclaimed, work);
    }
    for (std::size_t i = 0; i < unclaimed.size() && i < explained; ++i) {
        report.unexpected[i].nearest = nearest(unclaimed[i], absent, work);
    }
}

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "" : ", ") + printable(name);
    }
    return text;
}

/// "heading (n):" and the first lines of a list.
template <class List, class Line>
void append(std::string& text, const char* heading, const List& list, std::size_t limit, Line line) {
    if (list.empty()) {
        return;
    }
    text += std::string("\n") + heading + " (" + std::to_string(list.size()) + "):";
    for (std::size_t i = 0; i < list.size() && i < limit; ++i) {
        text += "\n  " + line(list[i]);
    }
    if (list.size() > limit) {
        text += "\n  and " + std::to_string(list.size() - limit) + " more";
    }
}

} // namespace

bool FitReport::fits(bool allow_unused) const {
    return missing.empty() && misshaped.empty() && unusable_dtype.empty() &&
           (allow_unused || unexpected.empty());
}

std::string FitReport::text(std::size_t limit) const {
    std::string text = "The file fits the schema.";
    if (!fits()) {
        std::string counts;
        const auto count = [&](std::size_t number, const char* what) {
            if (number > 0) {
                counts += (counts.empty() ? "" : ", ") + std::to_string(number) +
                          (number == 1 ? " tensor " : " tensors ") + what;
            }
        };
        count(missing.size(), "missing");
        count(misshaped.size(), "of another shape");
        count(unusable_dtype.size(), "of a type that cannot run");
        count(unexpected.size(), "unexpected");
        const std::string& first = !missing.empty()          ? missing[0].wanted.name
                                   : !misshaped.empty()      ? misshaped[0].wanted.name
                                   : !unusable_dtype.empty() ? unusable_dtype[0].name
                                                             : unexpected[0].name;
        text = "The file does not fit the schema: " + counts + " (first " + printable(first) + "). " +
               (fits(true) ? "What no role claims may mean another computation; --allow-unused insists."
                           : "Take weights and config.json from one and the same model.");
    }
    text += "\nElements in the file: " + std::to_string(file_elements) +
            ", claimed by the schema: " + std::to_string(claimed_elements);
    const std::int64_t more = file_elements - claimed_elements;
    text +=
        more == 0 ? "." : " (difference " + std::string(more > 0 ? "+" : "") + std::to_string(more) + ").";
    append(text, "Missing", missing, limit, [](const Missing& item) {
        const std::string hint = item.nearest.empty() ? "" : "; in the file: " + joined(item.nearest);
        return printable(item.wanted.name) + " " + to_string(item.wanted.shape) + hint;
    });
    append(text, "Wrong shape", misshaped, limit, [](const Misshaped& item) {
        return printable(item.wanted.name) + ": expected " + to_string(item.wanted.shape) + ", found " +
               to_string(item.found).substr(0, 200);
    });
    append(text, "Unusable type", unusable_dtype, limit,
           [](const UnusableType& item) { return printable(item.name) + ": " + item.stored_type; });
    append(text, "Unexpected", unexpected, limit, [](const Unexpected& item) {
        const std::string hint = item.nearest.empty() ? "" : "; perhaps: " + joined(item.nearest);
        return printable(item.name) + " " + to_string(item.shape).substr(0, 200) + hint;
    });
    return text;
}

FitReport fit(const std::vector<SchemaTensor>& claimed, const Checkpoint& checkpoint, bool nearest) {
    FitReport report;
    report.file_elements = checkpoint.parameter_count();
    std::set<std::string_view> names;
    for (const SchemaTensor& wanted : claimed) {
        names.insert(wanted.name);
        report.claimed_elements += element_count(wanted.shape);
        const auto tensor = checkpoint.tensors().find(wanted.name);
        const auto opaque = checkpoint.unreadable().find(wanted.name);
        if (tensor != checkpoint.tensors().end()) {
            if (tensor->second.shape() != wanted.shape) {
                report.misshaped.push_back({wanted, tensor->second.shape()});
            } else if (!is_weight_type(tensor->second.dtype())) {
                report.unusable_dtype.push_back(
                    {wanted.name, std::string(dtype_name(tensor->second.dtype()))});
            }
        } else if (opaque != checkpoint.unreadable().end()) {
            report.unusable_dtype.push_back({wanted.name, opaque->second.stored_type});
        } else {
            report.missing.push_back({wanted, {}});
        }
    }
    for (const std::string& name : checkpoint.order()) {
        if (!names.contains(name)) {
            const auto tensor = checkpoint.tensors().find(name);
            report.unexpected.push_back({name,
                                         tensor != checkpoint.tensors().end()
                                             ? tensor->second.shape()
                                             : checkpoint.unreadable().at(name).shape,
                                         {}});
        }
    }
    if (nearest) {
        explain(report);
    }
    return report;
}

RoleMap::RoleMap(const std::vector<SchemaTensor>& claimed, const Checkpoint& checkpoint, bool allow_unused) {
    const FitReport report = fit(claimed, checkpoint);
    if (!report.fits(allow_unused)) {
        const bool missing = !report.missing.empty(), shape = !report.misshaped.empty();
        const char* code = missing                          ? "M-MISSING"
                           : shape                          ? "M-SHAPE"
                           : !report.unusable_dtype.empty() ? "M-DTYPE"
                                                            : "M-EXTRA";
        throw Error(ErrorKind::mismatch, report.text(), {.code = code, .file = checkpoint.display_name()});
    }
    for (const SchemaTensor& wanted : claimed) {
        tensors_.emplace(wanted.role, Item{checkpoint.tensor(wanted.name), wanted.name});
    }
}

const Tensor& RoleMap::at(const std::string& role) const {
    const auto found = tensors_.find(role);
    if (found == tensors_.end()) {
        throw Error(ErrorKind::mismatch, "no tensor plays the role '" + printable(role) + "'.",
                    {.code = "M-MISSING"});
    }
    return found->second.tensor;
}

std::optional<Tensor> RoleMap::find(const std::string& role) const {
    const auto found = tensors_.find(role);
    return found == tensors_.end() ? std::nullopt : std::optional(found->second.tensor);
}

const std::string& RoleMap::name(const std::string& role) const {
    at(role);
    return tensors_.find(role)->second.name;
}

} // namespace ergo
