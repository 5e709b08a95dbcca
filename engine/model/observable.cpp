// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/observable.h"

#include "engine/base/error.h"

#include <algorithm>
#include <numeric>

namespace ergo {

namespace {

/// Levenshtein distance, for the nearest name in an error.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row.back();
}

[[noreturn]] void refuse_pattern(std::span<const Observable> all, const std::string& pattern) {
    const std::string asked = pattern.substr(0, 200);
    std::string nearest;
    std::size_t best = 0;
    for (const Observable& each : all) {
        const std::size_t distance = edit_distance(asked, each.name);
        if (nearest.empty() || distance < best) {
            best = distance;
            nearest = each.name;
        }
    }
    throw Error(ErrorKind::usage, "no observable matches \"" + printable(pattern) + "\"" +
                                      (nearest.empty() ? std::string() : "; the nearest name is " + nearest));
}

} // namespace

bool glob_match(std::string_view pattern, std::string_view name) {
    std::size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++; // first try the empty match, widen on failure
            resume = n;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
            ++p;
            ++n;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            n = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        ++p;
    }
    return p == pattern.size();
}

std::vector<std::int32_t> match_observables(std::span<const Observable> all,
                                            std::span<const std::string> patterns) {
    std::vector<bool> taken(all.size(), false);
    for (const std::string& pattern : patterns) {
        bool matched = false;
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (glob_match(pattern, all[i].name)) {
                taken[i] = matched = true;
            }
        }
        if (!matched) {
            refuse_pattern(all, pattern);
        }
    }
    std::vector<std::int32_t> out;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (taken[i]) {
            out.push_back(static_cast<std::int32_t>(i));
        }
    }
    return out;
}

std::int32_t find_observable(std::span<const Observable> all, std::string_view name) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Observable& o) { return o.name == name; });
    return found == all.end() ? -1 : static_cast<std::int32_t>(found - all.begin());
}

} // namespace ergo
