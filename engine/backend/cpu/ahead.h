// SPDX-License-Identifier: GPL-3.0-or-later
// Weights fetched before they are wanted. A prompt's products multiply all rows with a panel, some outputs'
// weights of some inputs, before they take the next; without help, the memory rests meanwhile and the
// processor waits for it then.
// A value on the stack of the thread that multiplies.
#pragma once

#include "engine/backend/cpu/packed_floats.h"

#include <hwy/base.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace ergo::cpu {

/// Pieces of memory of the same size, at the same distance from each other.
struct Pieces {
    const void* first = nullptr;
    std::int64_t count = 0, stride = 0, bytes = 0;
};

/// Steps of a tile, inputs or pairs of them, from one request for the next weights to another.
inline constexpr std::int64_t ahead_step = 4;

/// Part of the pieces, asked for a few lines at a time.
class AheadShare {
  public:
    /// Lines [begin, end) of the pieces, of which each has `piece_lines`.
    HWY_INLINE AheadShare(const Pieces& pieces, std::int64_t piece_lines, std::int64_t begin,
                          std::int64_t end)
        : left_(end - begin), piece_lines_(piece_lines), gap_(pieces.stride - piece_lines * line) {
        if (left_ > 0) { // there are pieces, and they have lines
            const std::int64_t piece = pieces.count > 1 ? begin / piece_lines : 0;
            const std::int64_t in_piece = begin - piece * piece_lines;
            at_ = static_cast<const std::byte*>(pieces.first) + piece * pieces.stride + in_piece * line;
            left_in_piece_ = piece_lines - in_piece;
        }
    }

    /// How many lines each of `steps` steps asks for.
    HWY_INLINE std::int64_t each_of(std::int64_t steps) const {
        return steps > 0 ? (left_ + steps - 1) / steps : 0;
    }
    HWY_INLINE void fetch(std::int64_t lines) {
        for (lines = std::min(lines, left_); lines > 0; --lines, --left_, --left_in_piece_, at_ += line) {
            if (left_in_piece_ == 0) {
                at_ += gap_;
                left_in_piece_ = piece_lines_;
            }
            __builtin_prefetch(at_, 0, 2);
        }
    }

    static constexpr std::int64_t line = 64; // bytes

  private:
    const std::byte* at_ = nullptr;
    std::int64_t left_ = 0, left_in_piece_ = 0, piece_lines_ = 0, gap_ = 0;
};

/// Asks for `pieces` in `shares` equal shares, into the second cache: what is multiplied just now stays in
/// the first. Memory that cannot be read is not touched. A share is asked for while a tile is multiplied:
/// more requests at once than the first cache can await would hold up the tile's own reads.
///
/// A kernel makes its share itself: one copied through memory would be read back, several fields at a time,
/// before the fields' own stores and the sums of the tile before have left, and wait for all of those.
class Ahead {
  public:
    Ahead() = default; ///< nothing
    Ahead(const Pieces& pieces, std::int64_t shares)
        : pieces_(pieces), piece_lines_((pieces.bytes + AheadShare::line - 1) / AheadShare::line),
          lines_(piece_lines_ * pieces.count), share_lines_((lines_ + shares - 1) / shares) {}

    HWY_INLINE AheadShare share(std::int64_t share) const {
        return {pieces_, piece_lines_, std::min(lines_, share_lines_ * share),
                std::min(lines_, share_lines_ * (share + 1))};
    }

  private:
    Pieces pieces_;
    std::int64_t piece_lines_ = 0, lines_ = 0, share_lines_ = 0;
};

/// Rows laid out in tiles, where they are more than a second cache holds: while the panels of a block of
/// inputs are multiplied, the rows of the next block are asked for, a few lines before each tile.
class RowsAhead {
  public:
    /// `next`: of the first tile, null for none; every tile has `tile` floats, `block` of them in that block.
    RowsAhead(const float* next, std::int64_t tiles, std::int64_t tile, std::int64_t block,
              std::int64_t panels)
        : share_(Ahead(next && tiles * tile > most_floats ? Pieces{next, tiles, tile * size, block * size}
                                                          : Pieces{},
                       1)
                     .share(0)),
          lines_(share_.each_of(panels * tiles)) {}

    HWY_INLINE void fetch() { share_.fetch(lines_); }

  private:
    static constexpr std::int64_t size = sizeof(float), most_floats = (1 << 20) / size;
    AheadShare share_;
    std::int64_t lines_; ///< a tile
};

/// Asks for where a row's sums of 32 outputs go, into the first cache. Those of a block of inputs join what
/// the blocks before gave, which has gone to the second meanwhile, and rows are too far apart for the machine
/// to see one coming after the other.
HWY_INLINE void fetch_sums(const float* out) {
    __builtin_prefetch(out, 1, 3);
    __builtin_prefetch(out + AheadShare::line / sizeof(float), 1, 3);
}

/// A corner or a size of a panel.
struct PanelExtent {
    std::int64_t outputs = 0, inputs = 0;
};

/// Where the weights of the panel after the one at `corner` lie: outputs [begin, end) go by before the
/// inputs do, and then the outputs that follow.
inline Pieces panel_after(const LinearArgs& a, PanelExtent corner, PanelExtent size, std::int64_t begin,
                          std::int64_t end) {
    corner.outputs += size.outputs;
    if (corner.outputs >= end) {
        corner = {begin, corner.inputs + size.inputs};
    }
    if (corner.inputs >= a.inputs) {
        corner = {end, 0};
    }
    if (corner.outputs >= a.outputs) {
        return {};
    }
    const std::int64_t inputs = std::min(size.inputs, a.inputs - corner.inputs);
    const auto element = static_cast<std::int64_t>(dtype_size(a.type));
    const auto* weight = static_cast<const std::byte*>(a.weight);
    // A group lies in one piece; the panels of part of one share it, and the first asks.
    const std::int64_t whole_group = corner.outputs % interleave != 0 ? 0 : 1;
    if (a.packed) {
        return {weight + corner.outputs / interleave * packed_group_bytes(a.type, a.inputs) +
                    packed_offset(a.type, corner.inputs),
                whole_group, 0, packed_block_bytes(a.type, inputs)};
    }
    if (a.interleaved && corner.outputs < a.outputs / interleave * interleave) {
        return {weight + (corner.outputs * a.inputs + corner.inputs * interleave) * element, whole_group, 0,
                inputs * interleave * element};
    }
    return {weight + (corner.outputs * a.inputs + corner.inputs) * element,
            std::min(size.outputs, a.outputs - corner.outputs), a.inputs * element, inputs * element};
}

} // namespace ergo::cpu
