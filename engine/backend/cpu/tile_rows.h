// SPDX-License-Identifier: GPL-3.0-or-later
// How the rows of a prompt share the tiles of a product. Pure functions, any thread.
#pragma once

#include <cstdint>

namespace ergo::cpu {

/// Rows [first, last) of a tile.
struct TileRows {
    std::int64_t first = 0, last = 0;
};

/// Tiles of at most `most` rows share all rows evenly, so that none is left with a single one.
inline std::int64_t tiles_of(std::int64_t rows, std::int64_t most) {
    return (rows + most - 1) / most;
}
inline TileRows rows_of_tile(std::int64_t rows, std::int64_t most, std::int64_t tile) {
    const std::int64_t tiles = tiles_of(rows, most);
    return {rows * tile / tiles, rows * (tile + 1) / tiles};
}

/// The same tiles one after the other, without a division for each. At least one row.
class TileWalk {
  public:
    TileWalk(std::int64_t rows, std::int64_t most)
        : tiles_(tiles_of(rows, most)), each_(rows / tiles_), rest_(rows % tiles_) {}

    TileRows next() {
        const std::int64_t first = last_;
        last_ += each_;
        over_ += rest_;
        if (over_ >= tiles_) {
            over_ -= tiles_;
            ++last_;
        }
        return {first, last_};
    }

  private:
    std::int64_t tiles_, each_, rest_, last_ = 0;
    std::int64_t over_ = 0; ///< of a row, in parts of which there are `tiles_`
};

} // namespace ergo::cpu
