// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/strided.h"

#include <algorithm>
#include <cstring>

namespace ergo {

namespace {

constexpr std::size_t max_rank = 8;

template <unsigned bytes>
void copy_run(std::byte* to, const std::byte* from, std::int64_t count, std::int64_t stride) {
    for (std::int64_t i = 0; i < count; ++i) {
        std::memcpy(to + i * bytes, from + i * stride * bytes, bytes);
    }
}

} // namespace

std::string StridedView::problem(std::uint64_t count) const {
    if (shape.size() > max_rank) {
        return "it has " + std::to_string(shape.size()) + " dimensions; at most " + std::to_string(max_rank) +
               " are read.";
    }
    if (shape.size() != strides.size()) {
        return "it has " + std::to_string(shape.size()) + " sizes and " + std::to_string(strides.size()) +
               " strides.";
    }
    const auto negative = [](std::int64_t n) { return n < 0; };
    if (offset < 0 || std::any_of(shape.begin(), shape.end(), negative) ||
        std::any_of(strides.begin(), strides.end(), negative)) {
        return "its sizes " + to_string(shape) + ", strides " + to_string(strides) + " or offset " +
               std::to_string(offset) + " are negative.";
    }
    std::int64_t all = 1, last = offset;
    bool overflow = false;
    for (const std::int64_t n : shape) {
        overflow = overflow || __builtin_mul_overflow(all, n, &all);
    }
    if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
        return "";
    }
    for (std::size_t i = 0; i < shape.size(); ++i) {
        std::int64_t span = 0;
        overflow = overflow || __builtin_mul_overflow(shape[i] - 1, strides[i], &span) ||
                   __builtin_add_overflow(last, span, &last);
    }
    if (overflow || static_cast<std::uint64_t>(last) >= count) {
        return "sizes " + to_string(shape) + " with strides " + to_string(strides) + " from element " +
               std::to_string(offset) + " reach " +
               (overflow ? "beyond 64 bits" : "element " + std::to_string(last)) + "; its storage has " +
               std::to_string(count) + ".";
    }
    return "";
}

bool StridedView::contiguous() const {
    if (elements() == 0) {
        return true;
    }
    std::int64_t expected = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
        if (shape[i] != 1 && strides[i] != expected) {
            return false;
        }
        expected *= shape[i];
    }
    return true;
}

std::uint64_t StridedView::elements() const {
    if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
        return 0;
    }
    return static_cast<std::uint64_t>(element_count(shape));
}

void gather(const StridedView& view, std::span<const std::byte> storage, unsigned element_bytes, bool swap,
            std::span<std::byte> out) {
    const std::size_t rank = view.shape.size();
    const std::int64_t run = rank ? view.shape[rank - 1] : 1;
    const std::int64_t run_stride = rank ? view.strides[rank - 1] : 1;
    const std::int64_t runs = out.empty() ? 0 : static_cast<std::int64_t>(view.elements()) / run;
    std::vector<std::int64_t> index(rank, 0);
    std::byte* to = out.data();
    std::int64_t at = view.offset;
    for (std::int64_t r = 0; r < runs; ++r) {
        const std::byte* from = storage.data() + at * element_bytes;
        switch (element_bytes) {
        case 1:
            copy_run<1>(to, from, run, run_stride);
            break;
        case 2:
            copy_run<2>(to, from, run, run_stride);
            break;
        case 4:
            copy_run<4>(to, from, run, run_stride);
            break;
        default:
            copy_run<8>(to, from, run, run_stride);
            break;
        }
        to += run * element_bytes;
        for (std::size_t d = rank ? rank - 1 : 0; d-- > 0;) {
            at += view.strides[d];
            if (++index[d] < view.shape[d]) {
                break;
            }
            at -= view.strides[d] * view.shape[d];
            index[d] = 0;
        }
    }
    for (std::size_t i = 0; swap && element_bytes > 1 && i < out.size(); i += element_bytes) {
        std::reverse(out.begin() + static_cast<std::ptrdiff_t>(i),
                     out.begin() + static_cast<std::ptrdiff_t>(i + element_bytes));
    }
}

} // namespace ergo
