// SPDX-License-Identifier: GPL-3.0-or-later
// Internals shared by npy.cpp and npz.cpp: the header of one array. Pure functions, any thread.
#pragma once

#include "engine/tensor/npy.h"

namespace ergo {

struct NpyHeader {
    std::string descr;
    bool fortran_order = false;
    Shape shape;
    std::uint64_t data_offset = 0, data_bytes = 0;
};

/// Magic, version and dictionary, padded so that the data starts at a multiple of 64. Throws Error(usage).
std::string npy_header(const NpyArray& array);

/// `bytes`: the start of the file, all of it or at least the header.
NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& file);

/// Throws F-TRUNCATED or F-TRAILING unless header and data make up exactly `total` bytes.
void check_npy_size(const NpyHeader& header, std::uint64_t total, const std::string& file);

/// The array, in C order.
NpyArray npy_array(const NpyHeader& header, std::vector<std::byte> data);

} // namespace ergo
