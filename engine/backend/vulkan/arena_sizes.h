// SPDX-License-Identifier: GPL-3.0-or-later
// Where an arena puts slices and how large its blocks are: arithmetic alone, so that memory can be announced
// before there is a device. One owner, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ergo::vulkan {

class ArenaSizes {
  public:
    /// `usual`: bytes of a block that several slices share.
    explicit ArenaSizes(std::uint64_t usual) : usual_(usual) {}

    struct Place {
        std::size_t block = 0;
        std::uint64_t offset = 0;
    };
    /// The next slice of at least `bytes`. A block of its own when it is larger than usual; the block that
    /// several share keeps its room for later ones.
    Place add(std::uint64_t bytes);

    /// Bytes of each block, in the order they were begun.
    const std::vector<std::uint64_t>& blocks() const { return blocks_; }
    /// Bytes of all blocks.
    std::uint64_t total() const { return total_; }

    static constexpr std::uint64_t device_block = std::uint64_t{32} << 20;
    static constexpr std::uint64_t host_block = std::uint64_t{256} << 10;

  private:
    static constexpr std::uint64_t alignment = 256;

    std::uint64_t usual_;
    std::vector<std::uint64_t> blocks_;
    std::uint64_t total_ = 0;
    std::size_t shared_ = 0; // the block that has room
    std::uint64_t room_ = 0; // bytes free at its end
};

} // namespace ergo::vulkan
