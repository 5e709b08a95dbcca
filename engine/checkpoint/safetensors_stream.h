// SPDX-License-Identifier: GPL-3.0-or-later
// Writing a safetensors file piece by piece: the header first, then the bytes of its tensors in order, so
// that no more than one piece is ever in memory. The file appears whole or not at all. One owner, one thread.
#pragma once

#include "engine/base/atomic_file.h"
#include "engine/tensor/tensor.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace ergo {

class SafetensorsStream {
  public:
    struct Entry {
        std::string name;
        DType dtype = DType::f32;
        Shape shape;
    };

    /// Writes the header. Throws Error(usage) for a name that is not UTF-8, reserved or used twice,
    /// Error(io).
    SafetensorsStream(const std::filesystem::path& path, const std::vector<Entry>& entries,
                      const std::map<std::string, std::string>& metadata = {});
    /// The next bytes of the tensors' data. Throws Error(io).
    void write(std::span<const std::byte> bytes);
    /// Throws Error(usage) unless all bytes the header speaks of are there, Error(io).
    void commit();
    std::uint64_t data_bytes() const { return data_bytes_; }

  private:
    AtomicFile file_;
    std::uint64_t data_bytes_ = 0, written_ = 0;
};

} // namespace ergo
