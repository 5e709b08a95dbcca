// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/tensor_stats.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace ergo {

namespace {

constexpr std::int64_t piece = std::int64_t{1} << 16; // elements between two looks at the cancel flag

template <class T> void widen(std::span<const std::byte> bytes, std::vector<double>& out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
        T value;
        std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
        out[i] = static_cast<double>(value);
    }
}

/// `count` elements from `first`, as double.
void read_piece(const Tensor& tensor, std::int64_t first, std::int64_t count, std::vector<double>& out) {
    out.resize(static_cast<std::size_t>(count));
    if (is_weight_type(tensor.dtype()) &&
        tensor.dtype() != DType::f64) { // quantised ones come in whole blocks
        std::vector<float> values(out.size());
        tensor.to_floats(first, values);
        std::copy(values.begin(), values.end(), out.begin());
        return;
    }
    const std::size_t size = dtype_size(tensor.dtype());
    const auto bytes = tensor.bytes().subspan(static_cast<std::size_t>(first) * size,
                                              static_cast<std::size_t>(count) * size);
    switch (tensor.dtype()) {
    case DType::f64:
        return widen<double>(bytes, out);
    case DType::i64:
        return widen<std::int64_t>(bytes, out);
    case DType::i32:
        return widen<std::int32_t>(bytes, out);
    case DType::i16:
        return widen<std::int16_t>(bytes, out);
    case DType::i8:
        return widen<std::int8_t>(bytes, out);
    case DType::u64:
        return widen<std::uint64_t>(bytes, out);
    case DType::u32:
        return widen<std::uint32_t>(bytes, out);
    case DType::u16:
        return widen<std::uint16_t>(bytes, out);
    case DType::u8:
    case DType::boolean:
        return widen<std::uint8_t>(bytes, out);
    default:
        break; // every type is one of these
    }
}

/// Both passes read the tensor the same way.
template <class Use>
void for_each_piece(const Tensor& tensor, const CancelToken& cancel, const Progress& progress, double pass,
                    Use use) {
    std::vector<double> values;
    for (std::int64_t at = 0; at < tensor.size(); at += piece) {
        cancel.check();
        read_piece(tensor, at, std::min(piece, tensor.size() - at), values);
        use(values);
        if (progress) {
            progress(pass * static_cast<double>(tensor.size()) + static_cast<double>(at),
                     2 * static_cast<double>(tensor.size()), "measuring");
        }
    }
}

} // namespace

TensorStats measure_tensor(const Tensor& tensor, const CancelToken& cancel, const Progress& progress) {
    TensorStats stats;
    stats.count = tensor.size();
    double low = std::numeric_limits<double>::infinity(), high = -low, squares = 0;
    std::int64_t finite = 0;
    for_each_piece(tensor, cancel, progress, 0, [&](const std::vector<double>& values) {
        // Welford's update over pieces: neither large offsets nor many elements cost digits.
        double sum = 0, own_squares = 0;
        std::int64_t own = 0;
        for (const double value : values) {
            if (!std::isfinite(value)) {
                ++stats.not_finite;
                continue;
            }
            low = std::min(low, value);
            high = std::max(high, value);
            stats.zeros += value == 0 ? 1 : 0;
            sum += value;
            ++own;
        }
        if (own == 0) {
            return;
        }
        const double own_mean = sum / static_cast<double>(own);
        for (const double value : values) {
            own_squares += std::isfinite(value) ? (value - own_mean) * (value - own_mean) : 0;
        }
        const double apart = own_mean - stats.mean, all = static_cast<double>(finite + own);
        squares += own_squares + apart * apart * static_cast<double>(finite) * static_cast<double>(own) / all;
        stats.mean += apart * static_cast<double>(own) / all;
        finite += own;
    });
    if (finite == 0) {
        return stats;
    }
    stats.min = low;
    stats.max = high;
    stats.deviation = std::sqrt(squares / static_cast<double>(finite));
    const double scale = high > low ? TensorStats::bins / (high - low) : 0;
    for_each_piece(tensor, cancel, progress, 1, [&](const std::vector<double>& values) {
        for (const double value : values) {
            if (std::isfinite(value)) {
                const int bin = std::min(TensorStats::bins - 1, static_cast<int>((value - low) * scale));
                ++stats.histogram[static_cast<std::size_t>(bin)];
            }
        }
    });
    return stats;
}

} // namespace ergo
