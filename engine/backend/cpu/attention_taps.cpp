// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/attention_taps.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ergo::cpu {

namespace {

constexpr std::int64_t most = 8; // RowRequest::top_weights

void write(CpuBuffer* buffer, std::int32_t r, std::int64_t h, float value) {
    if (buffer) {
        buffer->row(r)[h] = value;
    }
}

using Line = std::array<float, static_cast<std::size_t>(side)>; // numbers that are looked at together

/// The largest weights of a row so far, by falling weight; the places of those that are missing hold key -1.
class Largest {
  public:
    Largest() = default;
    Largest(float* keys, float* values) : keys_(keys), values_(values) {
        std::fill_n(keys, most, -1.0f);
        std::fill_n(values, most, 0.0f);
    }
    /// A weight must be above it to be listed.
    float bar() const { return count_ < most ? -1 : values_[most - 1]; }
    void offer(float logit, float weight, std::int64_t key) {
        if (logit == -INFINITY || !(weight > bar())) {
            return;
        }
        std::int64_t place = count_ < most ? count_++ : most - 1;
        for (; place > 0 && weight > values_[place - 1]; --place) {
            values_[place] = values_[place - 1];
            keys_[place] = keys_[place - 1];
        }
        values_[place] = weight;
        keys_[place] = static_cast<float>(key);
    }

  private:
    float *keys_ = nullptr, *values_ = nullptr;
    std::int64_t count_ = 0;
};

/// Whether a key of a line may be listed. Nearly all lines have none, so this is what a reader pays for:
/// without a branch, for the compiler to make vectors of it.
bool any_above(const float* logits, const float* weights, const Line& factors, const Line& bars) {
    int above = 0;
    for (std::size_t i = 0; i < factors.size(); ++i) {
        above |=
            static_cast<int>(logits[i] > -INFINITY) & static_cast<int>(weights[i] * factors[i] > bars[i]);
    }
    return above != 0;
}

} // namespace

AttentionTaps::AttentionTaps(const Attention& op, const Resolver& resolver)
    : logits_(resolver.buffer(op.rows.logits)), scores_(resolver.buffer(op.rows.scores)),
      maximum_(resolver.buffer(op.rows.maximum)), sum_(resolver.buffer(op.rows.sum)),
      kept_(resolver.buffer(op.rows.kept)), entropy_(resolver.buffer(op.rows.entropy)),
      top_keys_(resolver.buffer(op.rows.top_keys)), top_weights_(resolver.buffer(op.rows.top_weights)),
      slots_(static_cast<std::size_t>(op.heads)) {
    for (std::size_t i = 0; i < op.rows.heads.size(); ++i) {
        slots_[static_cast<std::size_t>(op.rows.heads[i])].push_back(static_cast<std::int64_t>(i));
    }
    for (std::size_t h = 0; op.rows.heads.empty() && h < slots_.size(); ++h) {
        slots_[h].push_back(static_cast<std::int64_t>(h));
    }
}

void AttentionTaps::capture(std::int32_t r, std::int64_t h, std::int64_t keys, std::int64_t begin,
                            std::int64_t end, const float* scores, const float* logits,
                            std::int64_t step) const {
    for (const std::int64_t slot : slots_[static_cast<std::size_t>(h)]) {
        if (logits_) {
            float* to = logits_->row(r) + slot * keys;
            std::fill(to, to + begin, -INFINITY);
            for (std::int64_t j = begin; j < end; ++j) {
                to[j] = logits[j * step];
            }
            std::fill(to + end, to + keys, -INFINITY);
        }
        if (scores_) {
            float* to = scores_->row(r) + slot * keys;
            for (std::int64_t j = 0; j < keys; ++j) {
                to[j] = scores[j * step];
            }
        }
    }
}

void AttentionTaps::scalars(std::int32_t r, std::int64_t h, const Row& row) const {
    write(maximum_, r, h, row.maximum);
    write(sum_, r, h, row.sum);
    write(kept_, r, h, row.kept);
    write(entropy_, r, h, row.sum == 0 ? 0 : std::log(row.sum) - row.weighted / row.sum);
}

void AttentionTaps::largest(std::int32_t r, std::int64_t h, const float* logits, const float* weights,
                            float factor, std::int64_t base, std::int64_t begin, std::int64_t end) const {
    Largest best(top_keys_->row(r) + h * most, top_weights_->row(r) + h * most);
    Line factors, bars;
    factors.fill(factor);
    std::int64_t j = begin;
    for (; j + side <= end; j += side) {
        bars.fill(best.bar());
        if (any_above(logits + (j - base), weights + (j - base), factors, bars)) {
            for (std::int64_t i = j; i < j + side; ++i) {
                best.offer(logits[i - base], weights[i - base] * factor, i);
            }
        }
    }
    for (; j < end; ++j) {
        best.offer(logits[j - base], weights[j - base] * factor, j);
    }
}

void AttentionTaps::largest_side(std::int32_t r, std::int64_t group, const float* logits,
                                 const float* weights, const float* factors, std::int64_t base,
                                 std::int64_t begin, std::int64_t end) const {
    std::array<Largest, std::tuple_size_v<Line>> best;
    Line factor, bars;
    for (std::size_t i = 0; i < factor.size(); ++i) {
        const std::int64_t at = (group * side + static_cast<std::int64_t>(i)) * most;
        best[i] = Largest(top_keys_->row(r) + at, top_weights_->row(r) + at);
        factor[i] = factors[i];
        bars[i] = best[i].bar();
    }
    for (std::int64_t j = begin; j < end; ++j) {
        const float *logit = logits + (j - base) * side, *weight = weights + (j - base) * side;
        if (any_above(logit, weight, factor, bars)) {
            for (std::size_t i = 0; i < factor.size(); ++i) {
                best[i].offer(logit[i], weight[i] * factor[i], j);
                bars[i] = best[i].bar();
            }
        }
    }
}

} // namespace ergo::cpu
