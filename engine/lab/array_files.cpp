// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/array_files.h"

#include "engine/base/error.h"
#include "engine/checkpoint/safetensors.h"

#include <algorithm>
#include <array>

namespace ergo {

namespace {

DType dtype_of(const std::string& descr) {
    constexpr std::array<std::pair<const char*, DType>, 5> known{{{"<f4", DType::f32},
                                                                  {"<f8", DType::f64},
                                                                  {"<i4", DType::i32},
                                                                  {"<i8", DType::i64},
                                                                  {"|u1", DType::u8}}};
    const auto it = std::find_if(known.begin(), known.end(), [&](const auto& k) { return descr == k.first; });
    if (it == known.end()) {
        throw Error(ErrorKind::unsupported,
                    "An array of type " + descr + " cannot be written as safetensors.");
    }
    return it->second;
}

} // namespace

void write_arrays(const std::filesystem::path& path,
                  const std::vector<std::pair<std::string, NpyArray>>& arrays) {
    if (path.extension() == ".npz") {
        write_npz(path, arrays);
        return;
    }
    if (path.extension() != ".safetensors") {
        throw Error(ErrorKind::usage,
                    "'" + printable(path.filename().string()) + "' must end in .npz or .safetensors.");
    }
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const auto& [name, array] : arrays) {
        tensors.emplace_back(name, Tensor(dtype_of(array.descr), array.shape, array.data, nullptr));
    }
    write_safetensors(path, tensors, {});
}

} // namespace ergo
