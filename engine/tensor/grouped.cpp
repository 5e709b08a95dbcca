// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tensor/grouped.h"

#include "engine/base/error.h"
#include "engine/base/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace ergo {

namespace {

std::size_t index(std::int64_t i) {
    return static_cast<std::size_t>(i);
}

std::uint16_t half_at(const std::byte* p) {
    std::uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return bits;
}

/// To the nearest whole number, ties to even, for magnitudes below 2^22.
float nearest(float x) {
    constexpr float shift = 12582912.0f; // 1.5 * 2^23
    return (x + shift) - shift;
}

[[noreturn]] void too_large(float value) {
    throw Error(ErrorKind::unsupported,
                "a weight of " + std::to_string(value) + " is too large for a 16-bit scale.",
                {.advice = "Use bf16 or f32 for this model."});
}

/// The 16-bit float that is `value` or the next one away from zero.
std::uint16_t half_not_below(float value) {
    std::uint16_t bits = f32_to_f16(value);
    if (f16_to_f32(bits) < value) {
        ++bits;
    }
    return bits;
}

bool all_finite(std::span<const float> x) {
    float sum = 0;
    for (const float v : x) {
        sum += v * 0; // NaN as soon as one is not finite
    }
    return sum == 0;
}

constexpr std::uint16_t half_nan = 0x7e00, half_infinity = 0x7c00;

void round_q8(const float* x, std::int8_t* q, std::uint16_t& scale) {
    float largest = 0;
    for (std::int64_t i = 0; i < group_inputs; ++i) {
        largest = std::max(largest, std::abs(x[i]));
    }
    scale = half_not_below(largest / 127);
    if (scale >= half_infinity) {
        too_large(largest);
    }
    const float step = f16_to_f32(scale), inverse = step > 0 ? 1 / step : 0;
    for (std::int64_t i = 0; i < group_inputs; ++i) {
        q[i] = static_cast<std::int8_t>(nearest(std::clamp(x[i] * inverse, -127.0f, 127.0f)));
    }
}

/// One choice of scale and minimum for a group of q4, and how well it does.
struct Fit {
    float scale = 0, minimum = 0;
    float error = std::numeric_limits<float>::max(); // sum of squares
};

void nearest_nibbles(const float* x, float scale, float minimum, float* q) {
    const float inverse = scale > 0 ? 1 / scale : 0;
    for (std::int64_t i = 0; i < group_inputs; ++i) {
        q[i] = nearest(std::clamp((x[i] - minimum) * inverse, 0.0f, 15.0f));
    }
}

/// Scale and minimum of least squared error for given whole numbers.
Fit solve(const float* x, const float* q) {
    float sum_q = 0, sum_qq = 0, sum_x = 0, sum_qx = 0;
    for (std::int64_t i = 0; i < group_inputs; ++i) {
        sum_q += q[i];
        sum_qq += q[i] * q[i];
        sum_x += x[i];
        sum_qx += q[i] * x[i];
    }
    constexpr float n = group_inputs;
    const float determinant = n * sum_qq - sum_q * sum_q;
    Fit fit;
    if (determinant > 0) {
        fit.scale = (n * sum_qx - sum_q * sum_x) / determinant;
        fit.minimum = (sum_x - fit.scale * sum_q) / n;
    } else {
        fit.minimum = sum_x / n;
    }
    return fit;
}

float squared_error(const float* x, const float* q, float scale, float minimum) {
    float error = 0;
    for (std::int64_t i = 0; i < group_inputs; ++i) {
        const float e = scale * q[i] + minimum - x[i];
        error += e * e;
    }
    return error;
}

void round_q4(const float* x, std::int8_t* q, std::uint16_t& scale, std::uint16_t& minimum) {
    const auto [low, high] = std::minmax_element(x, x + group_inputs);
    const float least = *low, range = *high - *low;
    if (std::max(std::abs(*low), std::abs(*high)) > 65504) {
        too_large(std::max(std::abs(*low), std::abs(*high)));
    }
    float rounded[group_inputs];
    Fit best;
    // The full range, then ranges a little wider and narrower: a few clipped ends may serve the rest better.
    for (int trial = 0; trial < 12; ++trial) {
        const float steps = 15 + 0.25f * static_cast<float>(trial - 4);
        const float clip = range * (1 - 15 / steps) / 2;
        nearest_nibbles(x, range / steps, least + std::max(clip, 0.0f), rounded);
        Fit fit = solve(x, rounded);
        fit.scale = f16_to_f32(f32_to_f16(fit.scale));
        fit.minimum = f16_to_f32(f32_to_f16(fit.minimum));
        nearest_nibbles(x, fit.scale, fit.minimum, rounded);
        fit.error = squared_error(x, rounded, fit.scale, fit.minimum);
        if (fit.error < best.error) {
            best = fit;
        }
    }
    scale = f32_to_f16(best.scale);
    minimum = f32_to_f16(best.minimum);
    nearest_nibbles(x, best.scale, best.minimum, rounded);
    std::copy(rounded, rounded + group_inputs, q);
}

int low(std::byte b) {
    return static_cast<int>(b) & 15;
}
int high(std::byte b) {
    return static_cast<int>(b) >> 4;
}

/// A block of GGUF as a group of the same numbers (layouts: engine/tensor/blocks.cpp).
void copy_block(DType type, const std::byte* b, std::int8_t* q, std::uint16_t& scale,
                std::uint16_t& minimum) {
    scale = half_at(b);
    minimum = 0;
    if (type == DType::q8_0) {
        std::memcpy(q, b + 2, group_inputs);
        return;
    }
    const std::byte* nibbles = b + block_bytes(type) - 16; // they end every one of these blocks
    std::uint32_t fifth = 0;
    if (type == DType::q5_0) {
        std::memcpy(&fifth, b + 2, sizeof fifth);
    }
    for (int i = 0; i < 16; ++i) {
        q[i] = static_cast<std::int8_t>(low(nibbles[i]));
        q[i + 16] = static_cast<std::int8_t>(high(nibbles[i]));
    }
    if (type == DType::q5_0) {
        for (int i = 0; i < 32; ++i) {
            q[i] = static_cast<std::int8_t>(q[i] + (static_cast<int>(fifth >> i & 1u) << 4) - 16);
        }
    } else if (type == DType::q4_1) {
        minimum = half_at(b + 2);
    } else { // q4_0: d (q - 8)
        minimum = f32_to_f16(-8 * f16_to_f32(scale));
        if ((minimum & 0x7fffu) == half_infinity && (scale & 0x7fffu) < half_infinity) {
            too_large(8 * f16_to_f32(scale));
        }
    }
}

void copy_blocks(const Tensor& matrix, std::int64_t row, GroupedRow& out) {
    const std::size_t size = block_bytes(matrix.dtype());
    const std::size_t groups = index(groups_of(matrix.shape()[1]));
    const std::byte* blocks = matrix.bytes().data() + index(row) * groups * size;
    for (std::size_t g = 0; g < groups; ++g) {
        copy_block(matrix.dtype(), blocks + g * size, out.numbers.data() + g * group_inputs, out.scales[g],
                   out.minimums[g]);
    }
}

void copy_grouped(const Tensor& matrix, std::int64_t row, GroupedRow& out) {
    const std::int64_t inputs = matrix.shape()[1], groups = groups_of(inputs);
    const std::byte* scales = matrix.scales().data() + row * groups * 2;
    std::memcpy(out.scales.data(), scales, index(groups) * 2);
    if (matrix.dtype() == DType::q8) {
        std::memcpy(out.numbers.data(), matrix.bytes().data() + row * inputs, index(inputs));
        std::fill(out.minimums.begin(), out.minimums.end(), std::uint16_t{0});
        return;
    }
    std::memcpy(out.minimums.data(), matrix.minimums().data() + row * groups * 2, index(groups) * 2);
    const std::byte* nibbles = matrix.bytes().data() + row * inputs / 2;
    for (std::int64_t i = 0; i < inputs / 2; ++i) {
        out.numbers[index(2 * i)] = static_cast<std::int8_t>(low(nibbles[i]));
        out.numbers[index(2 * i + 1)] = static_cast<std::int8_t>(high(nibbles[i]));
    }
}

} // namespace

void GroupedRow::resize(std::int64_t inputs) {
    const std::size_t groups = index(groups_of(inputs));
    numbers.assign(groups * group_inputs, 0);
    scales.assign(groups, 0);
    minimums.assign(groups, 0);
}

std::optional<DType> grouped_form(DType type) {
    switch (type) {
    case DType::q8:
    case DType::q8_0:
    case DType::q5_0:
        return DType::q8;
    case DType::q4:
    case DType::q4_0:
    case DType::q4_1:
        return DType::q4;
    default:
        return std::nullopt;
    }
}

void round_to_groups(DType form, std::span<const float> values, GroupedRow& out) {
    out.resize(static_cast<std::int64_t>(values.size()));
    float group[group_inputs];
    for (std::size_t g = 0; g < out.scales.size(); ++g) {
        const std::size_t from = g * group_inputs;
        const std::size_t count = std::min<std::size_t>(group_inputs, values.size() - from);
        std::fill(std::copy_n(values.data() + from, count, group), group + group_inputs,
                  form == DType::q4 ? values[from] : 0.0f); // what widens no range
        std::int8_t* q = out.numbers.data() + from;
        if (!all_finite(group)) {
            out.scales[g] = out.minimums[g] = half_nan; // as much use as the numbers it stands for
        } else if (form == DType::q8) {
            round_q8(group, q, out.scales[g]);
        } else {
            round_q4(group, q, out.scales[g], out.minimums[g]);
        }
        std::fill(q + count, q + group_inputs, std::int8_t{0});
    }
}

void read_grouped_row(const Tensor& matrix, DType form, std::int64_t row, GroupedRow& out) {
    const std::int64_t inputs = matrix.shape().at(1);
    if (grouped_form(matrix.dtype()) == form) {
        out.resize(inputs);
        return is_grouped(matrix.dtype()) ? copy_grouped(matrix, row, out) : copy_blocks(matrix, row, out);
    }
    std::vector<float> values(index(inputs));
    matrix.to_floats(row * inputs, values);
    round_to_groups(form, values, out);
}

void grouped_row_values(const GroupedRow& row, std::span<float> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::size_t g = i / group_inputs;
        out[i] = f16_to_f32(row.scales[g]) * static_cast<float>(row.numbers[i]) + f16_to_f32(row.minimums[g]);
    }
}

std::vector<float> grouped_values(const Tensor& matrix, DType form) {
    const std::int64_t inputs = matrix.shape().at(1);
    std::vector<float> out(index(matrix.size()));
    GroupedRow row;
    for (std::int64_t r = 0; r < matrix.shape()[0]; ++r) {
        read_grouped_row(matrix, form, r, row);
        grouped_row_values(row, std::span(out).subspan(index(r * inputs), index(inputs)));
    }
    return out;
}

void check_grouped(const Tensor& tensor) {
    const Shape& shape = tensor.shape();
    const DType type = tensor.dtype();
    const bool matrix = shape.size() == 2 && is_grouped(type) && (type == DType::q8 || shape[1] % 2 == 0);
    const std::uint64_t numbers = index(tensor.size()) / (type == DType::q4 ? 2 : 1);
    const std::uint64_t halves = matrix ? index(shape[0]) * index(groups_of(shape[1])) * 2 : 0;
    if (!matrix || tensor.bytes().size() != numbers || tensor.scales().size() != halves ||
        tensor.minimums().size() != (type == DType::q4 ? halves : 0)) {
        throw Error(ErrorKind::format, "shape " + to_string(shape) + " of " + std::string(dtype_name(type)) +
                                           " does not match " + std::to_string(tensor.bytes().size()) +
                                           " bytes of numbers, " + std::to_string(tensor.scales().size()) +
                                           " of scales and " + std::to_string(tensor.minimums().size()) +
                                           " of minimums");
    }
}

void grouped_to_floats(const Tensor& tensor, std::int64_t first, std::span<float> out) {
    if (out.empty()) {
        return;
    }
    const std::int64_t inputs = tensor.shape()[1], last = first + static_cast<std::int64_t>(out.size());
    GroupedRow row;
    row.resize(inputs);
    std::vector<float> values(index(inputs));
    for (std::int64_t r = first / inputs; r * inputs < last; ++r) {
        copy_grouped(tensor, r, row);
        grouped_row_values(row, values);
        const std::int64_t begin = std::max(first, r * inputs), end = std::min(last, (r + 1) * inputs);
        std::copy(values.begin() + (begin - r * inputs), values.begin() + (end - r * inputs),
                  out.begin() + (begin - first));
    }
}

} // namespace ergo
