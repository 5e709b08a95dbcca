// SPDX-License-Identifier: GPL-3.0-or-later
// Zeroed memory that costs nothing until it is touched. Owned by one object, moved but not copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

namespace ergo::cpu {

class LazyMemory {
  public:
    LazyMemory() = default;
    /// `bytes` of address space, zero when first read, aligned to a page. Throws Error(resources) naming
    /// `what`.
    LazyMemory(std::uint64_t bytes, const char* what);
    LazyMemory(LazyMemory&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    LazyMemory& operator=(LazyMemory&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~LazyMemory();

    float* floats() const { return static_cast<float*>(data_); }
    std::byte* data() const { return static_cast<std::byte*>(data_); }
    std::uint64_t bytes() const { return bytes_; }

    /// Asks for large pages, which make long reads faster. Harmless where there are none.
    void prefer_large_pages() const;
    /// Whole pages among `bytes` bytes from `offset` on cost nothing again and are zero when next read.
    void give_back(std::uint64_t offset, std::uint64_t bytes) const;

  private:
    void* data_ = nullptr;
    std::uint64_t bytes_ = 0;
};

/// Vectors of floats whose data starts on a cache line.
template <class T> struct CacheLineAllocator {
    using value_type = T;
    CacheLineAllocator() = default;
    template <class U> CacheLineAllocator(const CacheLineAllocator<U>&) {}
    T* allocate(std::size_t count) {
        return static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{64}));
    }
    void deallocate(T* data, std::size_t) { ::operator delete (data, std::align_val_t{64}); }
    bool operator==(const CacheLineAllocator&) const { return true; }
};
using AlignedFloats = std::vector<float, CacheLineAllocator<float>>;

} // namespace ergo::cpu
