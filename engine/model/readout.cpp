// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/readout.h"

#include "engine/backend/row_weights.h"
#include "engine/base/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ergo {

namespace {

using Finish = ModelPlan::Finish;

std::size_t size_of(std::int64_t n) {
    return static_cast<std::size_t>(n);
}

/// Heads the caller asked for, all of them when the list is empty.
std::vector<std::int32_t> heads_or_all(const std::vector<std::int32_t>& heads, std::int64_t count) {
    if (!heads.empty()) {
        return heads;
    }
    std::vector<std::int32_t> all(size_of(count));
    for (std::size_t h = 0; h < all.size(); ++h) {
        all[h] = static_cast<std::int32_t>(h);
    }
    return all;
}

float finished(Finish finish, float in) {
    switch (finish) {
    case Finish::kept:
        return in > -std::numeric_limits<float>::infinity() ? 1.0f : 0.0f;
    case Finish::distance:
        return std::sqrt(std::max(-in, 0.0f));
    case Finish::angle:
        return std::acos(std::clamp(in, -1.0f, 1.0f));
    default:
        return in;
    }
}

/// One row of a pair map: [keys].
void finish_pairs(Finish finish, std::span<const float> in, float maximum, float sum, std::span<float> out) {
    if (finish == Finish::softmax) {
        row_weights(in, maximum, sum, out);
        return;
    }
    std::ranges::transform(in, out.begin(), [&](float each) { return finished(finish, each); });
}

Reading read_pairs(Executor& executor, Program& program, const ModelPlan::Output& output,
                   std::int64_t all_heads, std::int64_t rows, std::int64_t keys) {
    const auto wanted = heads_or_all(output.wanted.heads, all_heads);
    const auto held = heads_or_all(output.buffer_heads, all_heads);
    const auto in = executor.read(program, output.primary);
    std::span<const float> maximum, sum;
    if (output.finish == Finish::softmax) {
        maximum = executor.read(program, output.maximum);
        sum = executor.read(program, output.sum);
    }
    Reading out{{static_cast<std::int64_t>(wanted.size()), rows, keys}, {}};
    out.values.resize(size_of(element_count(out.shape)));
    for (std::size_t h = 0; h < wanted.size(); ++h) {
        const auto found = std::find(held.begin(), held.end(), wanted[h]);
        if (found == held.end()) {
            throw Error(ErrorKind::usage,
                        "head " + std::to_string(wanted[h]) + " is not in this plan's buffer");
        }
        const auto slot = static_cast<std::size_t>(found - held.begin());
        for (std::size_t r = 0; r < size_of(rows); ++r) {
            const std::size_t statistic = r * size_of(all_heads) + static_cast<std::size_t>(wanted[h]);
            finish_pairs(
                output.finish, in.subspan((r * held.size() + slot) * size_of(keys), size_of(keys)),
                maximum.empty() ? 0 : maximum[statistic], sum.empty() ? 0 : sum[statistic],
                std::span(out.values).subspan((h * size_of(rows) + r) * size_of(keys), size_of(keys)));
        }
    }
    return out;
}

float two_sigmoid(float x) {
    const float e = std::exp(-std::abs(x));
    return x >= 0 ? 2 / (1 + e) : 2 * e / (1 + e);
}

/// What listed weights leave of 1: out[i] = 1 - sum of its share of `listed`; nothing where nothing is
/// listed.
void leave_rest(std::span<const float> listed, std::span<float> out) {
    const std::size_t each = out.empty() ? 0 : listed.size() / out.size();
    for (std::size_t i = 0; i < out.size(); ++i) {
        double sum = 0;
        for (const float weight : listed.subspan(i * each, each)) {
            sum += static_cast<double>(weight);
        }
        out[i] = sum > 0 ? static_cast<float>(std::max(1 - sum, 0.0)) : 0;
    }
}

/// NaN in all rows whose share of `path` is 0. `shares` and `values` are of `rows` rows.
void blank_rows(std::span<const float> shares, std::int32_t path, std::size_t rows, std::span<float> values) {
    const std::size_t paths = shares.size() / rows, width = values.size() / rows;
    for (std::size_t r = 0; r < rows; ++r) {
        if (shares[r * paths + static_cast<std::size_t>(path)] == 0) {
            std::ranges::fill(values.subspan(r * width, width), std::numeric_limits<float>::quiet_NaN());
        }
    }
}

} // namespace

Reading read_output(Executor& executor, Program& program, const ModelPlan::Output& output,
                    const Observable& observable, std::int64_t rows, std::int64_t keys) {
    if (observable.source == ObservableSource::pair_row) {
        return read_pairs(executor, program, output, observable.shape.at(0), rows, keys);
    }
    const auto in = executor.read(program, output.primary);
    Reading out;
    for (const std::int64_t n : observable.shape) {
        out.shape.push_back(n < 0 ? rows : n);
    }
    out.values.resize(size_of(element_count(out.shape)));
    const std::size_t width = size_of(output.width), count = size_of(rows);
    if (output.finish == Finish::norm) {
        for (std::size_t r = 0; r < count; ++r) {
            double sum = 0;
            for (const float x : in.subspan(r * width, width)) {
                sum += static_cast<double>(x) * static_cast<double>(x);
            }
            out.values[r] = static_cast<float>(std::sqrt(sum));
        }
        return out;
    }
    if (output.finish == Finish::rest) {
        leave_rest(in.first(count * width), out.values);
    } else {
        for (std::size_t i = 0; i < out.values.size(); ++i) {
            const std::size_t from = output.heads_first ? i % count * width + i / count : i;
            out.values[i] = output.finish == Finish::two_sigmoid ? two_sigmoid(in[from]) : in[from];
        }
    }
    if (output.taken) {
        blank_rows(executor.read(program, output.taken.shares), output.taken.path, count, out.values);
    }
    return out;
}

} // namespace ergo
