// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/attention_taps.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ergo::cpu {

namespace {

void write(CpuBuffer* buffer, std::int32_t r, std::int64_t h, float value) {
    if (buffer) {
        buffer->row(r)[h] = value;
    }
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

void AttentionTaps::largest(std::int32_t r, std::int64_t h, const float* logits, std::int64_t begin,
                            std::int64_t end) const {
    largest_logits(logits, end - begin, begin, top_keys_->row(r) + h * most_largest);
}

void AttentionTaps::largest_side(std::int32_t r, std::int64_t group, const float* logits, std::int64_t begin,
                                 std::int64_t end) const {
    alignas(64) std::array<float, static_cast<std::size_t>(most_largest * side)> keys;
    side_largest_logits(logits, end - begin, begin, keys.data());
    float* to = top_keys_->row(r) + group * side * most_largest;
    for (std::int64_t i = 0; i < side * most_largest; ++i) {
        to[i] = keys[static_cast<std::size_t>(i % most_largest * side + i / most_largest)];
    }
}

void AttentionTaps::largest_weights(std::int32_t r, std::int64_t h, const float* weights, float factor,
                                    std::int64_t base, std::int64_t step) const {
    const float* keys = top_keys_->row(r) + h * most_largest;
    float* to = top_weights_->row(r) + h * most_largest;
    for (std::int64_t i = 0; i < most_largest; ++i) {
        to[i] = keys[i] < 0 ? 0 : weights[(static_cast<std::int64_t>(keys[i]) - base) * step] * factor;
    }
}

} // namespace ergo::cpu
