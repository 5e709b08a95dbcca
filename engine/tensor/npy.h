// SPDX-License-Identifier: GPL-3.0-or-later
// NumPy files: .npy (format version 1 to 3) and .npz (a zip of them). Free functions, any thread.
// Source: numpy/lib/format.py and the zip application note.
#pragma once

#include "engine/tensor/tensor.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ergo {

/// A dense row-major little-endian array.
struct NpyArray {
    std::string
        descr; ///< "<f4", "<f8", "<i4", "<i8", "|u1"; reading also gives "<f2", "<i2", "<u4", "|i1", "|b1" …
    Shape shape;
    std::vector<std::byte> data;

    /// Throw Error(usage) when the number of values is not the product of the shape.
    static NpyArray from(Shape shape, std::span<const float> values);
    static NpyArray from(Shape shape, std::span<const double> values);
    static NpyArray from(Shape shape, std::span<const std::int32_t> values);
    static NpyArray from(Shape shape, std::span<const std::int64_t> values);
    static NpyArray from(Shape shape, std::span<const std::uint8_t> values);

    /// Elements as double. Throws Error(unsupported) for a type that is not a real number.
    std::vector<double> to_doubles() const;
};

/// Writes `path` through a temporary beside it. Throws Error(io) on a write error, Error(usage) on a bad
/// array.
void write_npy(const std::filesystem::path& path, const NpyArray& array);

/// Stored (uncompressed) zip with members "NAME.npy"; zip64 records where sizes need them. Names must differ.
void write_npz(const std::filesystem::path& path,
               const std::vector<std::pair<std::string, NpyArray>>& arrays);

/// Little-endian or byte arrays, C or Fortran order (returned in C order). Throws Error(format) with code
/// NPY-HEADER, NPY-SIZE, F-TRUNCATED or F-TRAILING, Error(unsupported) with NPY-DTYPE (objects, text,
/// structures).
NpyArray read_npy(const std::filesystem::path& path);

/// Members by name without ".npy". Stored and deflated members; CRC checked. Throws Error(format) with code
/// NPZ-ZIP, NPZ-CRC, NPZ-COMPRESSED and those of read_npy. Nothing is allocated beyond what the members
/// declare, at most `max_bytes` in all (F-TOO-LARGE).
std::map<std::string, NpyArray> read_npz(const std::filesystem::path& path,
                                         std::uint64_t max_bytes = std::uint64_t{16} << 30);

} // namespace ergo
