// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tensor/tensor.h"

#include "engine/base/error.h"
#include "engine/base/half.h"

#include <array>
#include <cstring>
#include <limits>

namespace ergo {

namespace {

template <class Stored, class Convert>
std::vector<float> convert(std::span<const std::byte> bytes, std::int64_t count, Convert to_float) {
    std::vector<float> out(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < out.size(); ++i) {
        Stored value; // files promise no alignment
        std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
        out[i] = to_float(value);
    }
    return out;
}

} // namespace

std::size_t dtype_size(DType type) {
    constexpr std::array<std::size_t, 13> sizes{4, 8, 2, 2, 8, 4, 2, 1, 8, 4, 2, 1, 1};
    return sizes[static_cast<std::size_t>(type)];
}

std::string_view dtype_name(DType type) {
    constexpr std::array<std::string_view, 13> names{"f32", "f64", "f16", "bf16", "i64", "i32", "i16",
                                                     "i8",  "u64", "u32", "u16",  "u8",  "bool"};
    return names[static_cast<std::size_t>(type)];
}

std::int64_t element_count(const Shape& shape) {
    std::int64_t count = 1;
    for (const std::int64_t n : shape) {
        if (n < 0 || (n > 0 && count > std::numeric_limits<std::int64_t>::max() / n)) {
            throw Error(ErrorKind::format, "shape " + to_string(shape) + " is negative or too large");
        }
        count *= n;
    }
    return count;
}

std::string to_string(const Shape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        text += (i ? ", " : "") + std::to_string(shape[i]);
    }
    return text + "]";
}

Tensor::Tensor(DType type, Shape shape, std::span<const std::byte> bytes, std::shared_ptr<const void> owner)
    : type_(type), shape_(std::move(shape)), count_(element_count(shape_)), bytes_(bytes),
      owner_(std::move(owner)) {
    if (bytes_.size() / dtype_size(type_) != static_cast<std::size_t>(count_) ||
        bytes_.size() % dtype_size(type_)) {
        throw Error(ErrorKind::format, "shape " + to_string(shape_) + " of " +
                                           std::string(dtype_name(type_)) + " does not match " +
                                           std::to_string(bytes_.size()) + " bytes");
    }
}

Tensor Tensor::from_floats(Shape shape, std::vector<float> values) {
    auto owned = std::make_shared<std::vector<float>>(std::move(values));
    const auto bytes = std::as_bytes(std::span<const float>(*owned));
    return Tensor(DType::f32, std::move(shape), bytes, std::move(owned));
}

std::vector<float> Tensor::to_floats() const {
    switch (type_) {
    case DType::f32:
        return convert<float>(bytes_, count_, [](float v) { return v; });
    case DType::f64:
        return convert<double>(bytes_, count_, [](double v) { return static_cast<float>(v); });
    case DType::f16:
        return convert<std::uint16_t>(bytes_, count_, f16_to_f32);
    case DType::bf16:
        return convert<std::uint16_t>(bytes_, count_, bf16_to_f32);
    default:
        throw Error(ErrorKind::unsupported,
                    "a tensor of type " + std::string(dtype_name(type_)) + " cannot be used as a weight");
    }
}

bool Tensor::is_f32_view() const {
    return type_ == DType::f32 && reinterpret_cast<std::uintptr_t>(bytes_.data()) % alignof(float) == 0;
}

std::span<const float> Tensor::f32() const {
    if (!is_f32_view()) {
        throw Error(ErrorKind::unsupported, "the tensor is not an aligned float32 view");
    }
    return {reinterpret_cast<const float*>(bytes_.data()), static_cast<std::size_t>(count_)};
}

} // namespace ergo
