// SPDX-License-Identifier: GPL-3.0-or-later
// Gravity masses from every layout an author may have saved, and the refusals of those that do not fit.
#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/model/qwen2/masses.h"

#include <QTest>

#include <cmath>

using namespace ergo;
using qwen2::MassArray;

namespace {

constexpr qwen2::MassShape shape{3, 4, 2};

std::vector<float> row(std::int64_t layer) {
    std::vector<float> out;
    for (int h = 0; h < 4; ++h) {
        out.push_back(static_cast<float>(layer) + 0.125f * static_cast<float>(h));
    }
    return out;
}

const std::vector<float> all = [] {
    std::vector<float> out;
    for (std::int64_t l = 0; l < 3; ++l) {
        const auto values = row(l);
        out.insert(out.end(), values.begin(), values.end());
    }
    return out;
}();

std::vector<MassArray> layers(const std::string& before, const std::string& after, const Shape& each = {4}) {
    std::vector<MassArray> out;
    for (const std::int64_t l : {2, 0, 1}) { // any order
        out.push_back({before + std::to_string(l) + after, Tensor::from_floats(each, row(l))});
    }
    return out;
}

std::string refusal(const std::vector<MassArray>& arrays) {
    try {
        qwen2::read_masses(arrays, shape, "gravity_mass_log.pt");
    } catch (const Error& error) {
        return error.where().code == "G-MASS" ? error.what() : "another code";
    }
    return "accepted";
}

} // namespace

class TestQwen2Masses : public QObject {
    Q_OBJECT

  private slots:
    void accepted_data();
    void accepted();
    void types();
    void refused_data();
    void refused();
    void softplus();
    void names();
};

Q_DECLARE_METATYPE(std::vector<MassArray>)

void TestQwen2Masses::accepted_data() {
    QTest::addColumn<std::vector<MassArray>>("arrays");
    const std::string name = ".self_attn.gravity_mass_log";
    QTest::newRow("state dict") << layers("model.layers.", name);
    QTest::newRow("adapter's prefix") << layers("base_model.model.model.layers.", name);
    QTest::newRow("wrapper's prefixes") << layers("module._orig_mod.model.layers.", name);
    QTest::newRow("other middle path") << layers("blocks.", ".attn.gravity_mass_log");
    QTest::newRow("layer numbers or a list") << layers("", "");
    QTest::newRow("one level down") << layers("masses.", "");
    QTest::newRow("state dict one level down") << layers("state_dict.model.layers.", name);
    QTest::newRow("unit dimensions") << layers("model.layers.", name, {1, 4, 1, 1});
    QTest::newRow("trailing unit dimension") << layers("", "", {4, 1});
    QTest::newRow("one tensor") << std::vector<MassArray>{{"", Tensor::from_floats({3, 4}, all)}};
    QTest::newRow("one tensor below a key")
        << std::vector<MassArray>{{"gravity_mass_log", Tensor::from_floats({3, 4}, all)}};
    QTest::newRow("one tensor with unit dimensions")
        << std::vector<MassArray>{{"", Tensor::from_floats({3, 4, 1, 1}, all)}};
    auto among = layers("model.layers.", name);
    among.push_back(
        {"model.layers.0.self_attn.q_proj.bias", Tensor::from_floats({8}, std::vector<float>(8))});
    QTest::newRow("among other tensors") << among;
}

void TestQwen2Masses::accepted() {
    QFETCH(std::vector<MassArray>, arrays);
    QCOMPARE(qwen2::read_masses(arrays, shape, "gravity_mass_log.pt"), all);
}

void TestQwen2Masses::types() {
    std::vector<double> doubles(all.begin(), all.end());
    std::vector<std::uint16_t> brains, halves;
    for (const float value : all) { // all are exact in 16 bits
        brains.push_back(f32_to_bf16(value));
        halves.push_back(f32_to_f16(value));
    }
    const auto read = [](DType type, std::span<const std::byte> bytes) {
        return qwen2::read_masses({{"", Tensor(type, {3, 4}, bytes, nullptr)}}, shape, "file");
    };
    QCOMPARE(read(DType::f64, std::as_bytes(std::span(doubles))), all);
    QCOMPARE(read(DType::bf16, std::as_bytes(std::span(brains))), all);
    QCOMPARE(read(DType::f16, std::as_bytes(std::span(halves))), all);
    std::vector<std::int32_t> integers(12);
    QVERIFY_EXCEPTION_THROWN(read(DType::i32, std::as_bytes(std::span(integers))), Error);
}

void TestQwen2Masses::refused_data() {
    QTest::addColumn<std::vector<MassArray>>("arrays");
    QTest::addColumn<QString>("says");
    const auto change = [](std::size_t at, MassArray array) {
        auto arrays = layers("layers.", ".gravity_mass_log");
        arrays[at] = std::move(array);
        return arrays;
    };
    auto fewer = layers("layers.", ".gravity_mass_log");
    fewer.pop_back();
    QTest::newRow("a layer missing") << fewer << "layer 1 has no masses (2 of 3";
    auto twice = layers("layers.", ".gravity_mass_log");
    twice.push_back({"module.layers.1.gravity_mass_log", Tensor::from_floats({4}, row(1))});
    QTest::newRow("a layer twice") << twice << "layer 1 has masses twice";
    QTest::newRow("one a key-value head")
        << change(0, {"layers.2.gravity_mass_log", Tensor::from_floats({2}, {1, 2})})
        << "one a key-value head";
    QTest::newRow("one a layer") << change(0, {"layers.2.gravity_mass_log", Tensor::from_floats({1}, {1})})
                                 << "one for the whole layer";
    QTest::newRow("wrong length") << change(1, {"layers.0.gravity_mass_log",
                                                Tensor::from_floats({5}, std::vector<float>(5))})
                                  << "layer 0 has masses of shape [5] for 4 query heads";
    QTest::newRow("not finite") << change(2, {"layers.1.gravity_mass_log",
                                              Tensor::from_floats({4}, {1, 2, NAN, 4})})
                                << "layer 1, head 2 is not a finite number";
    QTest::newRow("beyond the model")
        << change(2, {"layers.3.gravity_mass_log", Tensor::from_floats({4}, row(1))})
        << "layer 3, but the model has 3 layers";
    QTest::newRow("no layer") << change(2, {"layers.gravity_mass_log", Tensor::from_floats({4}, row(1))})
                              << "does not say which layer";
    QTest::newRow("two numbers") << change(2,
                                           {"layers.1.2.gravity_mass_log", Tensor::from_floats({4}, row(1))})
                                 << "more than one number";
    QTest::newRow("another model") << std::vector<MassArray>{{"", Tensor::from_floats({4, 3}, all)}}
                                   << "[4, 3], but the model has 3 layers of 4 query heads";
    auto both = layers("", "");
    both.push_back({"all", Tensor::from_floats({3, 4}, all)});
    QTest::newRow("two readings") << both << "two ways";
    QTest::newRow("nothing") << std::vector<MassArray>{} << "holds no tensors";
}

void TestQwen2Masses::refused() {
    QFETCH(std::vector<MassArray>, arrays);
    QFETCH(QString, says);
    const QString text = QString::fromStdString(refusal(arrays));
    QVERIFY2(text.contains(says) && text.contains("gravity_mass_log.pt"), qPrintable(text));
}

void TestQwen2Masses::softplus() {
    QCOMPARE(qwen2::mass_of(0.5f), 0.974076984f);
    QCOMPARE(qwen2::mass_of(1000), 1000.0f);
    QVERIFY(qwen2::mass_of(-1000) == 0 && qwen2::mass_of(-20) > 0);
}

void TestQwen2Masses::names() {
    QVERIFY(qwen2::is_mass_name("gravity_mass_log") && qwen2::is_mass_name("a.0.gravity_mass_log"));
    QVERIFY(!qwen2::is_mass_name("a.0.no_gravity_mass_log") && !qwen2::is_mass_name("gravity_mass_log.bias"));
}

QTEST_GUILESS_MAIN(TestQwen2Masses)
#include "test_qwen2_masses.moc"
