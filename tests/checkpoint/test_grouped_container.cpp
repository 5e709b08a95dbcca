// SPDX-License-Identifier: GPL-3.0-or-later
// Quantised weights in a safetensors file: what is read back, and what is refused.
#include "engine/checkpoint/grouped_container.h"
#include "engine/checkpoint/weight_file.h"
#include "tests/checkpoint/support_files.h"

#include <QTest>

using namespace ergo;

namespace {

struct Part {
    std::string name, type, shape;
    std::size_t bytes;
};

/// A file of these tensors, whose bytes are all 0x3c.
std::string file_of(const std::vector<Part>& parts, const std::string& version = "1") {
    std::string header = R"({"__metadata__":{"ergosphere.weights":"q8")";
    header += version.empty() ? "}" : R"(,"ergosphere.weights.version":")" + version + "\"}";
    std::size_t at = 0;
    for (const Part& p : parts) {
        header += "," + quoted(p.name) + R"(:{"dtype":")" + p.type + R"(","shape":)" + p.shape +
                  R"(,"data_offsets":[)" + std::to_string(at) + "," + std::to_string(at + p.bytes) + "]}";
        at += p.bytes;
    }
    header += "}";
    header.append((8 - header.size() % 8) % 8, ' ');
    return safetensors_bytes(header, std::string(at, '\x3c'));
}

WeightFile parse(const std::string& bytes) {
    const auto owned = std::make_shared<std::string>(bytes);
    return weights_of(read_safetensors(std::as_bytes(std::span(owned->data(), owned->size())), owned, "x"));
}

const std::vector<Part> whole{{"a", "I8", "[3,40]", 120},        {"a.scale", "F16", "[3,2]", 12},
                              {"b", "U8", "[2,33]", 66},         {"b.scale", "F16", "[2,3]", 12},
                              {"b.minimum", "F16", "[2,3]", 12}, {"norm", "F32", "[5]", 20},
                              {"norm.scale", "F32", "[5]", 20}};

} // namespace

class TestGroupedContainer : public QObject {
    Q_OBJECT
  private slots:
    void parts_are_put_together() {
        const WeightFile file = parse(file_of(whole));
        QCOMPARE(file.entries.size(), 4u);
        const WeightEntry &a = file.entries[0], &b = file.entries[1];
        QCOMPARE(a.name, std::string("a"));
        QVERIFY(a.tensor->dtype() == DType::q8 && a.shape == (Shape{3, 40}));
        QCOMPARE(a.bytes, 132u);
        QVERIFY(b.tensor->dtype() == DType::q4 && b.shape == (Shape{2, 66}));
        QCOMPARE(b.bytes, 90u);
        QVERIFY(b.tensor->to_floats()[65] != 0);
        QCOMPARE(file.entries[2].name, std::string("norm"));
        QCOMPARE(file.entries[3].name, std::string("norm.scale")); // a tensor like any other
    }

    void refused_data() {
        QTest::addColumn<QString>("code");
        QTest::addColumn<QByteArray>("bytes");
        const auto with = [](std::size_t index, Part part) {
            auto parts = whole;
            parts[index] = std::move(part);
            return QByteArray::fromStdString(file_of(parts));
        };
        QTest::newRow("newer version") << "GQ-VERSION" << QByteArray::fromStdString(file_of(whole, "2"));
        QTest::newRow("no version") << "GQ-VERSION" << QByteArray::fromStdString(file_of(whole, ""));
        QTest::newRow("scales of other groups") << "GQ-TENSOR" << with(1, {"a.scale", "F16", "[3,3]", 18});
        QTest::newRow("scales of other outputs") << "GQ-TENSOR" << with(1, {"a.scale", "F16", "[2,2]", 8});
        QTest::newRow("scales of another rank") << "GQ-TENSOR" << with(1, {"a.scale", "F16", "[6]", 12});
        QTest::newRow("scales of another type") << "GQ-TENSOR" << with(1, {"a.scale", "BF16", "[3,2]", 12});
        QTest::newRow("no minimums") << "GQ-TENSOR" << with(4, {"c", "F16", "[2,3]", 12});
        QTest::newRow("minimums too short") << "GQ-TENSOR" << with(4, {"b.minimum", "F16", "[2,2]", 8});
    }

    void refused() {
        QFETCH(QString, code);
        QFETCH(QByteArray, bytes);
        QCOMPARE(code_of([&] { parse(bytes.toStdString()); }), code);
        QVERIFY(!text_of([&] { parse(bytes.toStdString()); }).contains('\n'));
    }

    // A tensor without scales, or without elements, is no matrix of whole numbers.
    void what_is_none_stays_what_it_is() {
        const WeightFile file = parse(file_of({{"e", "U8", "[0,9223372036854775807]", 0},
                                               {"e.scale", "F16", "[0,7]", 0},
                                               {"i", "I8", "[2,2]", 4},
                                               {"v", "I8", "[4]", 4},
                                               {"v.scale", "F16", "[1]", 2}}));
        QCOMPARE(file.entries.size(), 5u);
        QVERIFY(!is_grouped(file.entries[0].tensor->dtype()));
    }

    void every_truncation_is_one_sentence() {
        const std::string bytes = file_of(whole);
        for (std::size_t n = 0; n < bytes.size(); ++n) {
            const QString text = text_of([&] { parse(bytes.substr(0, n)); });
            QVERIFY2(!text.isEmpty() && !text.contains('\n'), QByteArray::number(qulonglong(n)));
        }
    }

    // Whatever a byte of the header becomes, it is read or refused, and what is read can be used.
    void flipped_bits() {
        const std::string bytes = file_of(whole);
        const std::size_t header = bytes.find('}', bytes.size() - 300);
        for (std::size_t i = 0; i < std::min(header, bytes.size()); ++i) {
            for (int bit = 0; bit < 8; ++bit) {
                std::string flipped = bytes;
                flipped[i] = static_cast<char>(flipped[i] ^ 1 << bit);
                text_of([&] {
                    for (const WeightEntry& entry : parse(flipped).entries) {
                        if (entry.tensor && is_weight_type(entry.tensor->dtype()) &&
                            entry.tensor->size() < 1000) {
                            QCOMPARE(std::int64_t(entry.tensor->to_floats().size()), entry.tensor->size());
                        }
                    }
                });
            }
        }
    }
};

QTEST_APPLESS_MAIN(TestGroupedContainer)
#include "test_grouped_container.moc"
