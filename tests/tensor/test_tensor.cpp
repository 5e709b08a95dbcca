// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tensor/tensor.h"
#include "tests/tensor/support_refused.h"

#include <QTest>

#include <cmath>
#include <cstring>
#include <limits>

using namespace ergo;

class TestTensor : public QObject {
    Q_OBJECT

  private slots:
    void counts_elements() {
        QCOMPARE(element_count({}), 1);
        QCOMPARE(element_count({3, 0, 5}), 0);
        QCOMPARE(element_count({4, 128}), 512);
        QCOMPARE(to_string(Shape{4, 128}), std::string("[4, 128]"));
        QVERIFY(refused([] { element_count({-1}); }, ErrorKind::format));
        QVERIFY(refused(
            [] {
                element_count({std::int64_t{1} << 40, std::int64_t{1} << 40});
            },
            ErrorKind::format));
    }

    void sizes_and_names_agree() {
        QCOMPARE(dtype_size(DType::bf16), 2u);
        QCOMPARE(dtype_size(DType::i64), 8u);
        QCOMPARE(dtype_size(DType::boolean), 1u);
        QCOMPARE(dtype_name(DType::f64), std::string_view("f64"));
        QCOMPARE(dtype_name(DType::boolean), std::string_view("bool"));
        QVERIFY(is_float(DType::f16) && !is_float(DType::i32));
    }

    void converts_at_any_alignment() {
        const auto bytes = std::make_shared<std::vector<std::byte>>(64);
        const auto view = [&](DType type, const auto& values, std::size_t at) {
            std::memcpy(bytes->data() + at, values.data(), sizeof(values));
            const auto n = static_cast<std::int64_t>(values.size());
            return Tensor(type, {n}, std::span(*bytes).subspan(at, sizeof(values)), bytes).to_floats();
        };
        QCOMPARE(view(DType::f32, std::array{1.5f, -2.0f}, 1), (std::vector<float>{1.5f, -2.0f}));
        QCOMPARE(view(DType::f64, std::array{0.1, 1e300}, 3),
                 (std::vector<float>{0.1f, std::numeric_limits<float>::infinity()}));
        using Bits = std::array<std::uint16_t, 3>;
        QCOMPARE(view(DType::f16, Bits{0x3c00, 0xc000, 0x0001}, 5),
                 (std::vector<float>{1.0f, -2.0f, 0x1p-24f}));
        QCOMPARE(view(DType::bf16, Bits{0x3f80, 0xc000, 0x4049}, 7),
                 (std::vector<float>{1.0f, -2.0f, 3.140625f}));
        QVERIFY(refused([&] { view(DType::i32, std::array{1}, 0); }, ErrorKind::unsupported));
        const Tensor odd(DType::f32, {1}, std::span(*bytes).subspan(1, 4), bytes);
        QVERIFY(!odd.is_f32_view());
        QVERIFY(refused([&] { odd.f32(); }, ErrorKind::unsupported));
    }

    void makes_numbers_when_they_are_read() {
        int made = 0;
        const auto tensors = Tensor::made_later({2, 1}, 2, [&made] {
            ++made;
            return std::vector<std::vector<float>>{{1, 2}, {3, 4}};
        });
        QCOMPARE(tensors.size(), 2u);
        const Tensor copy = tensors[1];
        QVERIFY(copy.is_made() && copy.is_f32_view() && !copy.empty());
        QCOMPARE(copy.byte_size(), std::uint64_t{8});
        QCOMPARE(copy.shape(), (Shape{2, 1}));
        QVERIFY(copy.identity() == tensors[1].identity() && copy.identity() != tensors[0].identity());
        QCOMPARE(made, 0);
        QCOMPARE(copy.f32()[1], 4.0f);
        QCOMPARE(tensors[0].to_floats(), (std::vector<float>{1, 2}));
        QCOMPARE(tensors[1].bytes().data(), copy.bytes().data());
        QCOMPARE(made, 1);
        const auto short_of_one = Tensor::made_later({3}, 1, [] {
            return std::vector<std::vector<float>>{{1, 2}};
        });
        QVERIFY(refused([&] { short_of_one[0].bytes(); }, ErrorKind::usage));
        const Tensor whole = Tensor::from_floats({1}, {5.0f});
        QVERIFY(whole.identity() == Tensor(whole).identity());
    }

    void keeps_its_storage() {
        Tensor copy;
        {
            const Tensor original = Tensor::from_floats({2, 1}, {3.0f, 4.0f});
            copy = original;
        }
        QCOMPARE(copy.f32()[1], 4.0f);
        QCOMPARE(copy.shape(), (Shape{2, 1}));
        QVERIFY(refused([] { Tensor::from_floats({3}, {1.0f}); }, ErrorKind::format));
        QVERIFY(refused([] { Tensor(DType::f32, {1}, std::span<const std::byte>{}, nullptr); },
                        ErrorKind::format));
        QCOMPARE(Tensor(DType::f32, {0}, std::span<const std::byte>{}, nullptr).size(), 0);
    }
};

QTEST_GUILESS_MAIN(TestTensor)
#include "test_tensor.moc"
