// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tensor/tensor.h"

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/tensor/blocks.h"
#include "engine/tensor/grouped.h"

#include <cstring>
#include <limits>
#include <mutex>

namespace ergo {

namespace {

template <class Stored, class Convert>
void convert(const std::byte* from, std::span<float> out, Convert to_float) {
    for (std::size_t i = 0; i < out.size(); ++i) {
        Stored value; // files promise no alignment
        std::memcpy(&value, from + i * sizeof value, sizeof value);
        out[i] = to_float(value);
    }
}

} // namespace

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
    if (is_grouped(type_)) {
        throw Error(ErrorKind::usage, "a tensor of type " + std::string(dtype_name(type_)) +
                                          " is made of numbers and scales, not of bytes.");
    }
    const std::int64_t together = block_elements(type_), row = shape_.empty() ? 1 : shape_.back();
    if (row % together || bytes_.size() % block_bytes(type_) ||
        bytes_.size() / block_bytes(type_) != static_cast<std::size_t>(count_ / together)) {
        throw Error(ErrorKind::format, "shape " + to_string(shape_) + " of " +
                                           std::string(dtype_name(type_)) + " does not match " +
                                           std::to_string(bytes_.size()) + " bytes");
    }
}

Tensor Tensor::grouped(DType type, Shape shape, std::span<const std::byte> numbers,
                       std::span<const std::byte> scales, std::span<const std::byte> minimums,
                       std::shared_ptr<const void> owner) {
    Tensor tensor;
    tensor.type_ = type;
    tensor.shape_ = std::move(shape);
    tensor.count_ = element_count(tensor.shape_);
    tensor.bytes_ = numbers;
    tensor.scales_ = scales;
    tensor.minimums_ = minimums;
    tensor.owner_ = std::move(owner);
    check_grouped(tensor);
    return tensor;
}

Tensor Tensor::from_floats(Shape shape, std::vector<float> values) {
    auto owned = std::make_shared<std::vector<float>>(std::move(values));
    const auto bytes = std::as_bytes(std::span<const float>(*owned));
    Tensor tensor(DType::f32, std::move(shape), bytes, std::move(owned));
    tensor.made_ = true;
    return tensor;
}

struct Tensor::Later {
    std::function<std::vector<std::vector<float>>()> make;
    mutable std::once_flag once;
    mutable std::vector<std::vector<float>> values;
    std::vector<char> places; // [tensor], whose addresses tell them apart before there are numbers
};

std::vector<Tensor> Tensor::made_later(const Shape& shape, std::size_t count,
                                       std::function<std::vector<std::vector<float>>()> make) {
    const auto later = std::make_shared<Later>();
    later->make = std::move(make);
    later->places.resize(count);
    std::vector<Tensor> tensors(count);
    for (std::size_t i = 0; i < count; ++i) {
        tensors[i].shape_ = shape;
        tensors[i].count_ = element_count(shape);
        tensors[i].made_ = true;
        tensors[i].later_ = later;
        tensors[i].which_ = i;
    }
    return tensors;
}

std::span<const std::byte> Tensor::later_bytes() const {
    std::call_once(later_->once, [this] { later_->values = later_->make(); });
    const auto& values = later_->values.at(which_);
    if (values.size() != static_cast<std::size_t>(count_)) {
        throw Error(ErrorKind::usage, std::to_string(values.size()) + " numbers were made for the shape " +
                                          to_string(shape_) + ".");
    }
    return std::as_bytes(std::span<const float>(values));
}

const void* Tensor::identity() const {
    return later_ ? static_cast<const void*>(&later_->places[which_]) : bytes_.data();
}

std::vector<float> Tensor::to_floats() const {
    std::vector<float> out(static_cast<std::size_t>(count_));
    to_floats(0, out);
    return out;
}

void Tensor::to_floats(std::int64_t first, std::span<float> out) const {
    const auto count = static_cast<std::int64_t>(out.size());
    const std::int64_t together = block_elements(type_);
    if (first < 0 || first > count_ - count || first % together || count % together) {
        throw Error(ErrorKind::usage, "elements " + std::to_string(first) + " to " +
                                          std::to_string(first + count) + " cannot be read of " +
                                          std::to_string(count_) + " in blocks of " +
                                          std::to_string(together) + ".");
    }
    if (is_grouped(type_)) {
        return grouped_to_floats(*this, first, out);
    }
    const std::span<const std::byte> from =
        bytes().subspan(dtype_bytes(type_, first), dtype_bytes(type_, count));
    switch (type_) {
    case DType::f32:
        return convert<float>(from.data(), out, [](float v) { return v; });
    case DType::f64:
        return convert<double>(from.data(), out, [](double v) { return static_cast<float>(v); });
    case DType::f16:
        return convert<std::uint16_t>(from.data(), out, f16_to_f32);
    case DType::bf16:
        return convert<std::uint16_t>(from.data(), out, bf16_to_f32);
    default:
        if (is_quantised(type_)) {
            return decode_blocks(type_, from, out);
        }
        throw Error(ErrorKind::unsupported,
                    "a tensor of type " + std::string(dtype_name(type_)) + " cannot be used as a weight");
    }
}

bool Tensor::is_f32_view() const {
    return type_ == DType::f32 &&
           (later_ || reinterpret_cast<std::uintptr_t>(bytes_.data()) % alignof(float) == 0);
}

std::span<const float> Tensor::f32() const {
    if (!is_f32_view()) {
        throw Error(ErrorKind::unsupported, "the tensor is not an aligned float32 view");
    }
    return {reinterpret_cast<const float*>(bytes().data()), static_cast<std::size_t>(count_)};
}

} // namespace ergo
