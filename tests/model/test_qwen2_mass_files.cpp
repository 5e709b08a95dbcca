// SPDX-License-Identifier: GPL-3.0-or-later
// gravity_mass_log.pt beside the weights: files made by PyTorch itself in every layout, the file our own
// generator writes, a damaged one, and which source wins.
#include "engine/base/error.h"
#include "engine/checkpoint/torch_file.h"
#include "engine/checkpoint/torch_writer.h"
#include "engine/model/qwen2/mass_source.h"
#include "support_qwen2.h"

#include <QTemporaryDir>
#include <QTest>

using namespace qwen2_test;

namespace {

constexpr std::size_t gravity_case = 6; // several layers, masses among the weights

std::string bytes_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

class TestQwen2MassFiles : public QObject {
    Q_OBJECT

  private slots:
    void layouts_data();
    void layouts();
    void our_own_writer();
    void the_file_wins();
    void damaged();
    void masses_are_no_model();
};

void TestQwen2MassFiles::layouts_data() {
    QTest::addColumn<QString>("name");
    for (const auto& entry : fs::directory_iterator(fs::path(ERGO_TEST_DATA) / "qwen2" / "masses")) {
        QTest::newRow(entry.path().stem().c_str()) << QString::fromStdString(entry.path().string());
    }
}

/// All hold layer l, head h as l + h / 8, for 3 layers of 4 heads.
void TestQwen2MassFiles::layouts() {
    QFETCH(QString, name);
    const std::string bytes = bytes_of(name.toStdString());
    const auto file =
        ergo::read_torch_file(std::as_bytes(std::span(bytes.data(), bytes.size())), nullptr, "m.pt");
    const auto raw = ergo::qwen2::read_masses(ergo::qwen2::arrays_in(file.root), {3, 4, 2}, "m.pt");
    QCOMPARE(raw.size(), std::size_t{12});
    for (std::size_t i = 0; i < raw.size(); ++i) {
        QCOMPARE(raw[i], static_cast<float>(i / 4) + static_cast<float>(i % 4) / 8);
    }
}

void TestQwen2MassFiles::our_own_writer() {
    const QTemporaryDir root;
    const fs::path path = fs::path(root.path().toStdString()) / "made.pt";
    std::vector<std::pair<std::string, ergo::Tensor>> tensors;
    for (int i = 0; i < 300; ++i) { // more records than one byte counts
        tensors.emplace_back("t." + std::to_string(i),
                             ergo::Tensor::from_floats({2, 3}, {float(i), 1, 2, 3, 4, 5}));
    }
    tensors.emplace_back("wide", ergo::Tensor::from_floats({700}, std::vector<float>(700, 0.5f)));
    ergo::write_torch_file(path, tensors);
    const auto file = ergo::read_torch_file(ergo::map_file(path));
    QVERIFY(file.warnings.empty());
    const auto arrays = ergo::qwen2::arrays_in(file.root);
    QCOMPARE(arrays.size(), tensors.size());
    for (std::size_t i = 0; i < arrays.size(); ++i) {
        QCOMPARE(arrays[i].path, tensors[i].first);
        QCOMPARE(arrays[i].tensor.shape(), tensors[i].second.shape());
        QCOMPARE(arrays[i].tensor.to_floats(), tensors[i].second.to_floats());
    }
    const std::vector<std::uint16_t> halves{0x3c00, 0xc000};
    const auto bytes = std::as_bytes(std::span(halves));
    const ergo::Tensor half(ergo::DType::f16, {2}, bytes, nullptr),
        brain(ergo::DType::bf16, {2}, bytes, nullptr);
    ergo::write_torch_file(path, {{"half", half}, {"brain", brain}});
    const auto short_ones = ergo::qwen2::arrays_in(ergo::read_torch_file(ergo::map_file(path)).root);
    QCOMPARE(short_ones.at(0).tensor.to_floats(), half.to_floats());
    QCOMPARE(short_ones.at(1).tensor.to_floats(), brain.to_floats());
    QVERIFY(short_ones[1].tensor.dtype() == ergo::DType::bf16);
    const ergo::Tensor whole(ergo::DType::i8, {4}, bytes, nullptr);
    QVERIFY_EXCEPTION_THROWN(ergo::write_torch_file(path, {{"whole", whole}}), ergo::Error);
}

void TestQwen2MassFiles::the_file_wins() {
    const QTemporaryDir root;
    const fs::path folder = root.path().toStdString(), other = folder / "other";
    const fs::path model = folder / "model";
    write_case(cases()[gravity_case], model, "weights");
    write_case(cases()[gravity_case], other, "file");
    const auto masses = [](const ergo::Model& opened) { return opened.tables()->params[0].values; };
    const auto among = open(model);
    fs::copy(other / "gravity_mass_log.pt", model / "gravity_mass_log.pt");
    const auto both = open(model);
    QVERIFY(both->info().problems.empty()); // the same numbers twice
    QVERIFY(both->info().why.find("gravity_mass_log.pt") != std::string::npos);
    QCOMPARE(masses(*both), masses(*among));
    Json changed = cases()[gravity_case];
    changed["seed"] = 5;
    write_case(changed, folder / "third", "file");
    fs::copy(folder / "third" / "gravity_mass_log.pt", model / "gravity_mass_log.pt",
             fs::copy_options::overwrite_existing);
    const auto disagree = open(model);
    QCOMPARE(disagree->info().problems.size(), std::size_t{1});
    QVERIFY(disagree->info().problems[0].find("the file's are used") != std::string::npos);
    QCOMPARE(masses(*disagree), masses(*open(folder / "third")));
}

void TestQwen2MassFiles::damaged() {
    const QTemporaryDir root;
    const fs::path folder = fs::path(root.path().toStdString()) / "model";
    write_case(cases()[gravity_case], folder, "file");
    const std::string good = bytes_of(folder / "gravity_mass_log.pt");
    for (std::size_t size = 1; size < good.size(); size += 1 + size / 7) {
        write_text(folder / "gravity_mass_log.pt", good.substr(0, size));
        QVERIFY_EXCEPTION_THROWN(open(folder), ergo::Error);
    }
    // another model's masses
    ergo::write_torch_file(folder / "gravity_mass_log.pt", {{"0", ergo::Tensor::from_floats({2}, {1, 2})}});
    try {
        open(folder);
        QFAIL("accepted");
    } catch (const ergo::Error& error) {
        QCOMPARE(error.where().code, std::string("G-MASS"));
        QCOMPARE(error.where().file, std::string("gravity_mass_log.pt"));
    }
    ergo::OpenOptions dot; // the person insists
    dot.knobs["attention"] = "dot";
    QCOMPARE(open(folder, dot)->info().problems.size(), std::size_t{1});
}

void TestQwen2MassFiles::masses_are_no_model() {
    const fs::path demo =
        fs::path(ERGO_SOURCE_DIR) / "resources" / "demo" / "gravity" / "gravity_mass_log.pt";
    try {
        ergo::open_model(ergo::Checkpoint::open(demo), {});
        QFAIL("it was opened");
    } catch (const ergo::Error& error) {
        QCOMPARE(error.where().code, std::string("G-MASS"));
        QVERIFY2(error.message().find("masses of 6 layers and no weights") != std::string::npos,
                 error.what());
    }
}

QTEST_GUILESS_MAIN(TestQwen2MassFiles)
#include "test_qwen2_mass_files.moc"
