// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/grouped_layout.h"

#include <cstring>

namespace ergo::vulkan {

void pack_rows(const Tensor& matrix, DType form, std::int64_t first, std::int64_t count,
               std::span<std::byte> numbers, std::span<std::byte> scales) {
    const auto groups = static_cast<std::size_t>(groups_of(matrix.shape().at(1)));
    std::byte* number = numbers.data();
    std::byte* scale = scales.data();
    GroupedRow row;
    for (std::int64_t r = first; r < first + count; ++r) {
        read_grouped_row(matrix, form, r, row);
        for (std::size_t g = 0; g < groups; ++g) {
            const std::int8_t* q = row.numbers.data() + g * group_inputs;
            std::memcpy(scale, &row.scales[g], 2);
            scale += 2;
            if (form == DType::q8) {
                std::memcpy(number, q, group_inputs);
                number += group_inputs;
                continue;
            }
            std::memcpy(scale, &row.minimums[g], 2);
            scale += 2;
            for (std::int64_t i = 0; i < group_inputs / 2; ++i) {
                *number++ = static_cast<std::byte>(q[i] | q[i + group_inputs / 2] << 4);
            }
        }
    }
}

} // namespace ergo::vulkan
