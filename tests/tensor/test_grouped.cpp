// SPDX-License-Identifier: GPL-3.0-or-later
// Whole numbers in groups: how near they come, what is exact, what is refused.
#include "engine/base/half.h"
#include "engine/tensor/grouped.h"
#include "engine/tensor/halves.h"
#include "tests/tensor/support_refused.h"

#include <QTest>

#include <cmath>
#include <cstring>

using namespace ergo;

namespace {

std::vector<float> bell(std::size_t count) { // sums of twelve uniform numbers
    std::uint64_t state = 7;
    std::vector<float> values(count);
    for (float& v : values) {
        v = 0;
        for (int i = 0; i < 12; ++i) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            v += static_cast<float>(state >> 40) / 16777216.0f - 0.5f;
        }
    }
    return values;
}

double relative_error(DType form, const std::vector<float>& values) {
    GroupedRow row;
    round_to_groups(form, values, row);
    std::vector<float> back(values.size());
    grouped_row_values(row, back);
    double error = 0, all = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        error += std::pow(double(back[i]) - values[i], 2);
        all += std::pow(double(values[i]), 2);
    }
    return std::sqrt(error / all);
}

} // namespace

class TestGrouped : public QObject {
    Q_OBJECT
  private slots:
    void near_enough() {
        const auto values = bell(32 * 1000 + 5);
        QVERIFY(relative_error(DType::q8, values) < 0.006);
        const double q4 = relative_error(DType::q4, values);
        QVERIFY2(q4 < 0.08, QByteArray::number(q4)); // the full range without a search: 0.087
    }

    void shifted_and_small_numbers() {
        auto values = bell(320);
        for (float& v : values) {
            v = 3 + v * 0.001f;
        }
        QVERIFY(relative_error(DType::q4, values) < 3e-4); // the minimum is a 16-bit float of 3
        for (float& v : values) {
            v = (v - 3) * 1e-3f; // about 1e-6: the scale of q8 is among the smallest 16-bit floats
        }
        QVERIFY(relative_error(DType::q8, values) < 0.2);
        QCOMPARE(relative_error(DType::q8, std::vector<float>(40, 1.0f)) < 1e-3, true);
        GroupedRow row;
        round_to_groups(DType::q4, std::vector<float>(33, 0.0f), row);
        std::vector<float> back(33, 1.0f);
        grouped_row_values(row, back);
        QCOMPARE(back, std::vector<float>(33, 0.0f));
    }

    void no_number_is_clipped() {
        for (const float largest : {1e-4f, 0.0123f, 1.0f, 777.7f}) {
            std::vector<float> values(32, 0.0f);
            values[3] = -largest;
            GroupedRow row;
            round_to_groups(DType::q8, values, row);
            std::vector<float> back(32);
            grouped_row_values(row, back);
            QVERIFY(std::abs(back[3] + largest) <= 0.5f * f16_to_f32(row.scales[0]));
        }
    }

    void what_is_not_finite_stays_so() {
        std::vector<float> values(64, 1.0f);
        values[2] = std::numeric_limits<float>::infinity();
        for (const DType form : {DType::q8, DType::q4}) {
            GroupedRow row;
            round_to_groups(form, values, row);
            std::vector<float> back(64);
            grouped_row_values(row, back);
            QVERIFY(std::isnan(back[2]) && std::isnan(back[31]));
            QVERIFY(std::abs(back[32] - 1) < 1e-3f);
            QVERIFY(refused([&] { round_to_groups(form, std::vector<float>(32, 1e9f), row); },
                            ErrorKind::unsupported));
        }
    }

    void tensors() {
        const auto bytes = std::make_shared<std::vector<std::byte>>(1000, std::byte{0x3c});
        const std::span<const std::byte> all(*bytes);
        const auto q8 = Tensor::grouped(DType::q8, {3, 40}, all.first(120), all.first(12), {}, bytes);
        QCOMPARE(q8.size(), 120);
        QCOMPARE(q8.byte_size(), 132u);
        QVERIFY(q8.dtype() == DType::q8 && is_quantised(q8.dtype()) && is_weight_type(q8.dtype()));
        const float scale = f16_to_f32(0x3c3c);
        QCOMPARE(q8.to_floats(), std::vector<float>(120, scale * 0x3c));
        std::vector<float> piece(50);
        q8.to_floats(37, piece); // across rows, at any element
        QCOMPARE(piece, std::vector<float>(50, scale * 0x3c));
        const auto q4 =
            Tensor::grouped(DType::q4, {3, 40}, all.first(60), all.first(12), all.first(12), bytes);
        QCOMPARE(q4.to_floats()[0], scale * 0xc + scale);
        QCOMPARE(q4.to_floats()[1], scale * 0x3 + scale);

        const auto wrong = [&](DType type, Shape shape, std::size_t n, std::size_t s, std::size_t m) {
            return refused(
                [&] { Tensor::grouped(type, shape, all.first(n), all.first(s), all.first(m), bytes); },
                ErrorKind::format);
        };
        QVERIFY(wrong(DType::q8, {3, 40}, 119, 12, 0));
        QVERIFY(wrong(DType::q8, {3, 40}, 120, 10, 0));
        QVERIFY(wrong(DType::q8, {3, 40}, 120, 12, 12));
        QVERIFY(wrong(DType::q8, {120}, 120, 8, 0));
        QVERIFY(wrong(DType::q4, {3, 40}, 60, 12, 0));
        QVERIFY(wrong(DType::q4, {4, 15}, 30, 8, 8));
        QVERIFY(wrong(DType::f32, {3, 40}, 480, 0, 0));
        QVERIFY(refused([&] { Tensor(DType::q8, {3, 40}, all.first(120), bytes); }, ErrorKind::usage));
        QVERIFY(refused([] { block_bytes(DType::q4); }, ErrorKind::usage));
    }

    // What a backend without such kernels gets: the same numbers, rounded once more.
    void as_halves() {
        const auto values = bell(70 * 50);
        const Tensor matrix = Tensor::from_floats({50, 70}, values);
        for (const DType form : {DType::q8, DType::q4}) {
            std::vector<std::uint16_t> halves(values.size());
            const DType type = give_as_halves(matrix, form, [&](std::int64_t first, auto part) {
                std::copy(part.begin(), part.end(), halves.begin() + first);
            });
            QCOMPARE(type, DType::f16);
            const auto wanted = grouped_values(matrix, form);
            for (std::size_t i = 0; i < wanted.size(); ++i) {
                QCOMPARE(halves[i], f32_to_f16(wanted[i]));
            }
        }
    }
};

QTEST_APPLESS_MAIN(TestGrouped)
#include "test_grouped.moc"
