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

} // namespace ergo::cpu
