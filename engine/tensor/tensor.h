// SPDX-License-Identifier: GPL-3.0-or-later
// Tensors: a dtype, a shape and row-major contiguous bytes that are either owned or borrowed from a mapping.
// A Tensor is immutable after creation and cheap to copy; all copies share the storage. Any thread.
#pragma once

#include "engine/tensor/dtype.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ergo {

using Shape = std::vector<std::int64_t>;

/// Product of the dimensions (1 for a scalar). Throws Error(format) on overflow or a negative dimension.
std::int64_t element_count(const Shape& shape);
/// "[4, 128]"
std::string to_string(const Shape& shape);

class Tensor {
  public:
    Tensor() = default;

    /// Borrows `bytes` and keeps `owner` (a mapping, a vector …) alive as long as any copy lives.
    /// Throws Error(format) when bytes.size() is not what the elements need, or the last dimension is no
    /// whole number of blocks.
    Tensor(DType type, Shape shape, std::span<const std::byte> bytes, std::shared_ptr<const void> owner);

    /// A matrix [outputs, inputs] of whole numbers in groups (q8 or q4, engine/tensor/grouped.h): views as
    /// above, `minimums` empty for q8. Throws Error(format) when the sizes disagree.
    static Tensor grouped(DType type, Shape shape, std::span<const std::byte> numbers,
                          std::span<const std::byte> scales, std::span<const std::byte> minimums,
                          std::shared_ptr<const void> owner);

    /// Owned float32 tensor.
    static Tensor from_floats(Shape shape, std::vector<float> values);

    /// `count` float32 tensors of one shape that `make` works out together, when the first of them is first
    /// read and only once; until then they take no memory. Any thread may be the first.
    static std::vector<Tensor> made_later(const Shape& shape, std::size_t count,
                                          std::function<std::vector<std::vector<float>>()> make);

    DType dtype() const { return type_; }
    const Shape& shape() const { return shape_; }
    std::int64_t size() const { return count_; }
    /// Works the numbers out if that has not been done yet (made_later). Of a grouped tensor the whole numbers
    /// alone.
    std::span<const std::byte> bytes() const { return later_ ? later_bytes() : bytes_; }
    std::span<const std::byte> scales() const { return scales_; } ///< of a grouped tensor: f16, any alignment
    std::span<const std::byte> minimums() const { return minimums_; } ///< of q4: f16, any alignment
    /// bytes().size() (of a grouped tensor with its scales and minimums), without working anything out.
    std::uint64_t byte_size() const {
        return is_grouped(type_) ? bytes_.size() + scales_.size() + minimums_.size()
                                 : dtype_bytes(type_, count_);
    }
    bool empty() const { return byte_size() == 0; }
    /// The same for tensors that share their numbers.
    const void* identity() const;
    /// True for numbers made by this program (from_floats, made_later), false for a view of a file or of the
    /// program itself.
    bool is_made() const { return made_; }

    /// The elements as float32, converted from any type a weight may have (any alignment).
    /// Throws Error(unsupported) for other types.
    std::vector<float> to_floats() const;
    /// The same for elements [first, first + out.size()), both multiples of block_elements.
    void to_floats(std::int64_t first, std::span<float> out) const;

    /// Direct view; the tensor must be f32 and 4-byte aligned (see `is_f32_view`).
    std::span<const float> f32() const;
    bool is_f32_view() const;

  private:
    struct Later;
    std::span<const std::byte> later_bytes() const;

    DType type_ = DType::f32;
    Shape shape_;
    std::int64_t count_ = 0;
    std::span<const std::byte> bytes_, scales_, minimums_;
    std::shared_ptr<const void> owner_;
    bool made_ = false;
    std::shared_ptr<const Later> later_; // null: bytes_ are there
    std::size_t which_ = 0;              // of the tensors that are made together
};

} // namespace ergo
