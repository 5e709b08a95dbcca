// SPDX-License-Identifier: GPL-3.0-or-later
// Matrices of random whole numbers, as files hold them.
#pragma once

#include "engine/base/half.h"
#include "engine/tensor/blocks.h"
#include "engine/tensor/grouped.h"
#include "engine/tensor/super_blocks.h"
#include "tests/backend/support_plans.h"

#include <QTest>

#include <cstring>
#include <memory>
#include <vector>

namespace ergo::test {

inline std::shared_ptr<const std::vector<std::byte>> kept(std::vector<std::byte> bytes) {
    return std::make_shared<const std::vector<std::byte>>(std::move(bytes));
}

inline void put_half(float value, std::byte* to) {
    const std::uint16_t bits = f32_to_f16(value);
    std::memcpy(to, &bits, 2);
}

/// A matrix in blocks of GGUF: any bytes are numbers, the scales are chosen.
inline Tensor blocks_of(DType type, std::int64_t outputs, std::int64_t inputs, Case& random) {
    std::vector<std::byte> bytes(dtype_bytes(type, outputs * inputs));
    for (std::byte& b : bytes) {
        b = static_cast<std::byte>(static_cast<int>((random.uniform() + 1) * 128) & 255);
    }
    const float scale = is_super_block(type) ? 1e-3f : 0.01f;
    for (std::size_t at = 0; at < bytes.size(); at += block_bytes(type)) {
        put_half(random.uniform() * scale, bytes.data() + at + (type == DType::q6_k ? 208 : 0));
        if (type == DType::q4_1 || type == DType::q4_k || type == DType::q5_k) {
            put_half(random.uniform() * scale * 10, bytes.data() + at + 2);
        }
    }
    const auto owner = kept(std::move(bytes));
    return Tensor(type, {outputs, inputs}, *owner, owner);
}

/// A matrix stored in groups, at odd addresses.
inline Tensor grouped_of(DType form, std::int64_t outputs, std::int64_t inputs, Case& random) {
    const auto groups = static_cast<std::size_t>(outputs * groups_of(inputs)) * 2;
    const auto numbers = static_cast<std::size_t>(outputs * inputs) / (form == DType::q4 ? 2 : 1);
    std::vector<std::byte> bytes(1 + numbers + 2 * groups);
    for (std::byte& b : bytes) {
        b = static_cast<std::byte>(static_cast<int>((random.uniform() + 1) * 128) & 255);
    }
    for (std::size_t at = 1 + numbers; at < bytes.size(); at += 2) {
        put_half(random.uniform() * 0.1f, bytes.data() + at);
    }
    const auto owner = kept(std::move(bytes));
    const auto all = std::span<const std::byte>(*owner).subspan(1);
    return Tensor::grouped(form, {outputs, inputs}, all.first(numbers), all.subspan(numbers, groups),
                           form == DType::q4 ? all.last(groups) : std::span<const std::byte>{}, owner);
}

/// A row for products of awkward sizes in both forms.
inline void add_grouped_products() {
    QTest::addColumn<int>("form");
    QTest::addColumn<int>("outputs");
    QTest::addColumn<int>("inputs");
    for (const DType form : {DType::q8, DType::q4}) {
        for (const auto& [outputs, inputs] :
             {std::pair{1, 1}, {3, 32}, {16, 31}, {17, 33}, {33, 100}, {65, 257}, {200, 130}}) {
            QTest::addRow("%s %dx%d", dtype_name(form).data(), outputs, inputs)
                << static_cast<int>(form) << outputs << inputs;
        }
    }
}

/// A row for every type whose whole numbers pass as they are.
inline void add_stored_types() {
    QTest::addColumn<int>("type");
    for (const DType type : {DType::q8, DType::q4, DType::q8_0, DType::q4_0, DType::q4_1, DType::q5_0}) {
        QTest::addRow("%s", dtype_name(type).data()) << static_cast<int>(type);
    }
}

} // namespace ergo::test
