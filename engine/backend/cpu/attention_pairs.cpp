// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/attention_pairs.h"

#include "engine/backend/cpu/cpu_sizes.h"
#include "engine/backend/cpu/loops.h"

#include <algorithm>

namespace ergo::cpu {

AttentionPairs::AttentionPairs(const Attention& op, const Resolver& resolver)
    : session_(resolver.session), keys_(*resolver.session.state(op.keys)),
      values_(*resolver.session.state(op.values)), heads_(op.heads), key_heads_(op.key_heads), dim_(op.dim),
      value_heads_(op.value_heads), value_dim_(op.value_dim) {
    resolver.need_pairs(op);
}

// Blocks of a head follow one another, so that mostly the thread that lays out a head also reads it.
void AttentionPairs::lay_out(const StepContext& context, std::int64_t begin) const {
    const std::int64_t first = begin / state_block, end = context.keys;
    const std::int64_t blocks = (end + state_block - 1) / state_block - first;
    const auto one = [&](std::int64_t head, std::int64_t block) {
        if (head < key_heads_) {
            const std::byte* from = keys_.channel(head * dim_) + block * keys_.stride;
            pair_keys(keys_.type, from, dim_, keys(head) + block * pair_key_floats(state_block, dim_));
        }
        if (head < value_heads_) {
            const PairValues args{values_.type, values_.channel(head * value_dim_), values_.stride,
                                  value_dim_};
            pair_values(args, block * state_block, std::min((block + 1) * state_block, end), values(head));
        }
    };
    session_.pool->parallel_for(std::max(key_heads_, value_heads_) * blocks,
                                grain_for(state_block * (dim_ + value_dim_)),
                                [&](std::int64_t from, std::int64_t to, int) {
                                    context.cancel.check();
                                    for (std::int64_t i = from; i < to; ++i) {
                                        one(i / blocks, first + i % blocks);
                                    }
                                });
}

PairTile AttentionPairs::tile(const WorkerScratch& scratch, std::int64_t head) const {
    const std::int64_t row = pair_row_floats(session_.capacity);
    PairTile tile;
    tile.queries = 0;
    tile.dim = dim_;
    tile.channels = value_dim_;
    tile.keys = keys(head * key_heads_ / heads_);
    tile.values = values(head * value_heads_ / heads_);
    for (int q = 0; q < pair_queries; ++q) {
        tile.scores[q] = scratch.pairs.floats() + q * row;
    }
    tile.packed = scratch.pairs.floats() + pair_queries * row;
    return tile;
}

} // namespace ergo::cpu
