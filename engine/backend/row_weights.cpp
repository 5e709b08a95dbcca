// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/row_weights.h"

#include "engine/backend/cpu/kernels.h"

#include <algorithm>
#include <array>
#include <limits>

namespace ergo {

void row_weights(std::span<const float> logits, float maximum, float sum, std::span<float> out) {
    constexpr auto block = static_cast<std::size_t>(cpu::state_block); // what the kernel takes at a time
    if (!(sum > 0)) {
        std::ranges::fill(out, 0.0f);
        return;
    }
    const std::size_t whole = logits.size() / block * block;
    std::ranges::copy(logits, out.begin());
    cpu::exponentials(maximum, static_cast<std::int64_t>(whole), out.data(), nullptr);
    std::array<float, block> last;
    last.fill(-std::numeric_limits<float>::infinity());
    std::ranges::copy(logits.subspan(whole), last.begin());
    cpu::exponentials(maximum, cpu::state_block, last.data(), nullptr);
    std::copy_n(last.begin(), logits.size() - whole, out.begin() + static_cast<std::ptrdiff_t>(whole));
    for (float& weight : out) {
        weight /= sum;
    }
}

} // namespace ergo
