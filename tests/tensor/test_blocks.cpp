// SPDX-License-Identifier: GPL-3.0-or-later
// Block-quantised types against values worked out elsewhere (tests/data/gguf/make_blocks.py).
#include "engine/base/half.h"
#include "engine/tensor/blocks.h"
#include "engine/tensor/halves.h"
#include "engine/tensor/npy.h"
#include "engine/tensor/super_blocks.h"
#include "engine/tensor/tensor.h"
#include "tests/tensor/support_refused.h"

#include <QTest>

#include <cmath>
#include <cstring>

using namespace ergo;

namespace {

const std::vector<DType> quantised{DType::q8_0, DType::q4_0, DType::q4_1, DType::q5_0,
                                   DType::q5_1, DType::q4_k, DType::q5_k, DType::q6_k};

std::vector<float> floats_of(const NpyArray& array) {
    std::vector<float> values(array.data.size() / sizeof(float));
    std::memcpy(values.data(), array.data.data(), array.data.size());
    return values;
}

Tensor tensor_of(DType type, Shape shape, std::vector<std::byte> bytes, std::size_t skip = 0) {
    auto owned = std::make_shared<std::vector<std::byte>>(std::move(bytes));
    return Tensor(type, std::move(shape), std::span(*owned).subspan(skip), owned);
}

} // namespace

class TestBlocks : public QObject {
    Q_OBJECT

    const std::map<std::string, NpyArray> data_ = read_npz(std::string(ERGO_TEST_DATA) + "/gguf/blocks.npz");

    Tensor stored(DType type) const {
        const std::string name(dtype_name(type));
        const auto count = data_.at(name + ".values").shape;
        return tensor_of(type, count, data_.at(name + ".blocks").data);
    }

  private slots:
    void decodes_as_computed_elsewhere_data() {
        QTest::addColumn<int>("type");
        for (const DType type : quantised) {
            QTest::addRow("%s", std::string(dtype_name(type)).c_str()) << static_cast<int>(type);
        }
    }

    void decodes_as_computed_elsewhere() {
        QFETCH(int, type);
        const auto kind = static_cast<DType>(type);
        const std::vector<float> expected = floats_of(data_.at(std::string(dtype_name(kind)) + ".values"));
        QVERIFY(expected.size() >= static_cast<std::size_t>(8 * block_elements(kind)));
        const Tensor tensor = stored(kind);
        QCOMPARE(tensor.size(), static_cast<std::int64_t>(expected.size()));
        QCOMPARE(tensor.to_floats(), expected);

        auto moved = data_.at(std::string(dtype_name(kind)) + ".blocks").data; // no alignment is needed
        moved.insert(moved.begin(), std::byte{1});
        QCOMPARE(tensor_of(kind, tensor.shape(), moved, 1).to_floats(), expected);

        const std::int64_t together = block_elements(kind); // a piece from the middle
        std::vector<float> piece(static_cast<std::size_t>(2 * together));
        tensor.to_floats(3 * together, piece);
        QVERIFY(std::equal(piece.begin(), piece.end(), expected.begin() + 3 * together));
        QVERIFY(refused([&] { tensor.to_floats(together / 2, piece); }, ErrorKind::usage));
        QVERIFY(refused([&] { tensor.to_floats(tensor.size() - together, piece); }, ErrorKind::usage));
    }

    void sizes_are_those_of_blocks() {
        QCOMPARE(dtype_bytes(DType::q6_k, 512), std::uint64_t{420});
        QCOMPARE(dtype_bytes(DType::bf16, 3), std::uint64_t{6});
        QCOMPARE(dtype_name(DType::q4_k), std::string_view("q4_k"));
        QVERIFY(is_quantised(DType::q8_0) && is_weight_type(DType::q8_0) && !is_float(DType::q8_0));
        QVERIFY(!is_quantised(DType::boolean) && !is_weight_type(DType::i8));
        QVERIFY(refused([] { dtype_size(DType::q4_0); }, ErrorKind::usage));
        const auto bytes = [](std::size_t n) { return std::vector<std::byte>(n); };
        QCOMPARE(tensor_of(DType::q4_0, {2, 32}, bytes(36)).size(), std::int64_t{64});
        QVERIFY(refused([&] { tensor_of(DType::q4_0, {2, 32}, bytes(35)); }, ErrorKind::format));
        QVERIFY(refused([&] { tensor_of(DType::q4_0, {2, 32}, bytes(54)); }, ErrorKind::format));
        // blocks never reach over the end of a row
        QVERIFY(refused([&] { tensor_of(DType::q4_0, {4, 16}, bytes(36)); }, ErrorKind::format));
        QVERIFY(refused([&] { tensor_of(DType::q4_0, {}, bytes(18)); }, ErrorKind::format));
    }

    void encodes_to_the_nearest() {
        std::vector<float> values(96);
        for (std::size_t i = 0; i < values.size(); ++i) {
            values[i] = i < 32 ? 0.0f : std::sin(static_cast<float>(i * i)) * (i < 64 ? 1e-3f : 20.0f);
        }
        for (const auto& [type, steps] : {std::pair(DType::q8_0, 127.0f), std::pair(DType::q4_0, 8.0f)}) {
            std::vector<std::byte> blocks(dtype_bytes(type, 96));
            encode_blocks(type, values, blocks);
            std::vector<float> back(values.size());
            decode_blocks(type, blocks, back);
            for (std::size_t i = 0; i < values.size(); ++i) {
                float largest = 0; // of its block
                for (std::size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) {
                    largest = std::max(largest, std::abs(values[j]));
                }
                // half a step, a whole one at the end that has no number of its own; and the scale's rounding
                const float allowed = largest / steps * (type == DType::q4_0 ? 1.0f : 0.5f) + largest * 1e-3f;
                QVERIFY2(std::abs(back[i] - values[i]) <= allowed, qPrintable(QString::number(i)));
            }
        }
        std::vector<std::byte> blocks(192);
        std::vector<float> many(256);
        QVERIFY(refused([&] { encode_blocks(DType::q5_1, many, blocks); }, ErrorKind::unsupported));
        QVERIFY(refused([&] { decode_blocks(DType::q4_k, blocks, values); }, ErrorKind::usage));
    }

    void encodes_blocks_of_256_data() {
        QTest::addColumn<int>("type");
        QTest::addColumn<double>("error"); // mean, of the numbers' own
        QTest::newRow("q4_k") << static_cast<int>(DType::q4_k) << 0.085;
        QTest::newRow("q5_k") << static_cast<int>(DType::q5_k) << 0.045;
        QTest::newRow("q6_k") << static_cast<int>(DType::q6_k) << 0.025;
    }

    void encodes_blocks_of_256() {
        QFETCH(int, type);
        QFETCH(double, error);
        const auto kind = static_cast<DType>(type);
        std::vector<float> values(1024), back(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) { // zeros, small ones, large ones away from 0
            values[i] = i < 256   ? 0.0f
                        : i < 512 ? std::sin(static_cast<float>(i * i)) * 1e-3f
                        : i < 768 ? std::sin(static_cast<float>(i * i)) * 20.0f + 5.0f
                                  : -std::abs(std::sin(static_cast<float>(i * i))) * 3.0f;
        }
        std::vector<std::byte> blocks(dtype_bytes(kind, 1024)), again(blocks.size());
        encode_blocks(kind, values, blocks);
        decode_blocks(kind, blocks, back);
        for (std::size_t block = 0; block < 4; ++block) {
            double wrong = 0, all = 0;
            for (std::size_t i = block * 256; i < (block + 1) * 256; ++i) {
                wrong += double(back[i] - values[i]) * double(back[i] - values[i]);
                all += double(values[i]) * double(values[i]);
            }
            QVERIFY2(std::sqrt(wrong) <= error * std::sqrt(all),
                     qPrintable(QString::number(std::sqrt(wrong / all))));
        }
        // beyond what a scale can be: nothing that is no number
        encode_blocks(kind, std::vector<float>(1024, -3e38f), again);
        decode_blocks(kind, again, back);
        QVERIFY(std::all_of(back.begin(), back.end(), [](float x) { return std::isfinite(x); }));
    }

    // Blocks as files have them, taken apart and put together: the same bytes.
    void blocks_of_256_put_together_again() {
        for (const DType kind : {DType::q4_k, DType::q5_k, DType::q6_k}) {
            const Tensor tensor = stored(kind);
            const std::size_t size = block_bytes(kind);
            std::vector<std::byte> again(size);
            for (std::size_t at = 0; at < tensor.bytes().size(); at += size) {
                SuperBlock block;
                take_apart(kind, tensor.bytes().data() + at, block);
                put_together(kind, block, again.data());
                QVERIFY(std::equal(again.begin(), again.end(), tensor.bytes().begin() + std::ptrdiff_t(at)));
            }
        }
    }

    void becomes_halves() {
        const Tensor tensor = stored(DType::q8_0); // its scales reach 65504: beyond f16
        std::vector<std::uint16_t> got(static_cast<std::size_t>(tensor.size()));
        const auto keep = [&](std::int64_t first, std::span<const std::uint16_t> halves) {
            std::copy(halves.begin(), halves.end(), got.begin() + first);
        };
        QCOMPARE(give_as_halves(tensor, {}, keep), DType::bf16);
        const std::vector<float> values = tensor.to_floats();
        for (std::size_t i = 0; i < values.size(); ++i) {
            QCOMPARE(got[i], f32_to_bf16(values[i]));
        }
        std::vector<float> many(600'000); // several pieces
        for (std::size_t i = 0; i < many.size(); ++i) {
            many[i] = static_cast<float>(i) * 0.1f;
        }
        got.assign(many.size(), 0);
        const auto count = static_cast<std::int64_t>(many.size());
        QCOMPARE(give_as_halves(Tensor::from_floats({count}, many), {}, keep), DType::f16);
        for (std::size_t i = 0; i < many.size(); i += 997) {
            QCOMPARE(got[i], f32_to_f16(many[i]));
        }
        many.back() = 70000; // found in the last piece: all pieces come again
        QCOMPARE(give_as_halves(Tensor::from_floats({count}, many), {}, keep), DType::bf16);
        QCOMPARE(got[1], f32_to_bf16(0.1f));
        QCOMPARE(got.back(), f32_to_bf16(70000));
        QCOMPARE(give_as_halves(Tensor::from_floats({2}, {1, 70000}), DType::f16, keep), DType::f16);
        QCOMPARE(got[1], f32_to_f16(INFINITY)); // as asked for
    }
};

QTEST_GUILESS_MAIN(TestBlocks)
#include "test_blocks.moc"
