// SPDX-License-Identifier: GPL-3.0-or-later
// A GGUF file from end to end: the logits of its twin in safetensors, the ids of its twin's tokenizer.json.
#include "engine/base/error.h"
#include "engine/checkpoint/torch_writer.h"
#include "engine/generate/memory_plan.h"
#include "engine/generate/metadata_tokenizer.h"
#include "engine/generate/opened_model.h"
#include "engine/generate/session.h"
#include "tests/generate/support_devices.h"
#include "tests/generate/support_gguf_model.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>

using namespace ergo;
using namespace gguf_test;

namespace {

std::shared_ptr<const OpenedModel> open(const std::filesystem::path& source, const std::string& dtype = "",
                                        const std::string& backend = "cpu",
                                        const std::string& attention = "auto") {
    OpenModelOptions options;
    options.backend = backend;
    options.threads = 1;
    options.model.dtype = dtype;
    options.model.knobs = {{"attention", attention}};
    return open_all(source.string(), options, {}, {});
}

std::vector<float> logits(const std::shared_ptr<const OpenedModel>& opened) {
    Session session(opened);
    const std::vector<std::int32_t> ids{785, 435, 1524, 282, 299, 89, 68, 384, 277, 398};
    session.set_tokens(ids, {}, {});
    session.decode(429, {});
    return {session.logits().begin(), session.logits().end()};
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
    double difference = a.size() == b.size() ? 0 : INFINITY, largest = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        difference = std::max(difference, std::abs(double(a[i]) - double(b[i])));
        largest = std::max(largest, std::abs(double(b[i])));
    }
    return largest > 0 ? difference / largest : INFINITY;
}

bool has_problem(const OpenedModel& opened, const std::string& part) {
    const auto& problems = opened.model->info().problems;
    return std::any_of(problems.begin(), problems.end(),
                       [&](const std::string& each) { return each.find(part) != std::string::npos; });
}

template <class Action> QString code_of(Action action) {
    try {
        action();
    } catch (const Error& e) {
        return QString::fromStdString(e.where().code);
    }
    return "none";
}

DType all_f16(const Named&) {
    return DType::f16;
}
DType all_bf16(const Named&) {
    return DType::bf16;
}
DType all_q8_0(const Named&) {
    return DType::q8_0;
}
DType all_q4_0(const Named&) {
    return DType::q4_0;
}
/// As "Q4_K_M" files mix them.
DType mixed(const Named& named) {
    if (named.gguf.find("ffn_down") != std::string::npos || named.gguf.starts_with("token_embd")) {
        return DType::q6_k;
    }
    return named.gguf.find("attn_v") != std::string::npos ? DType::q5_k : DType::q4_k;
}

} // namespace

class TestGgufModel : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    std::filesystem::path at(const std::string& name) const {
        return std::filesystem::path(folder_.path().toStdString()) / name;
    }

  private slots:
    void logits_are_the_twins_data() {
        QTest::addColumn<int>("which");
        QTest::addColumn<bool>("tied");
        QTest::newRow("f16") << 0 << true;
        QTest::newRow("bf16") << 1 << false;
        QTest::newRow("q8_0") << 2 << true;
        QTest::newRow("q4_0") << 3 << false;
        QTest::newRow("q4_k, q5_k, q6_k") << 4 << true;
    }

    void logits_are_the_twins() {
        QFETCH(int, which);
        QFETCH(bool, tied);
        constexpr TypeOf types[] = {all_f16, all_bf16, all_q8_0, all_q4_0, mixed};
        const std::string name = "m" + std::to_string(which);
        write_twins(at(name), at(name + "-twin"), types[which], tied);
        const auto twin = open(at(name + "-twin"));
        const std::vector<float> expected = logits(twin);
        const auto exact = open(at(name), "f32"); // the same float32 numbers through the same kernels
        QCOMPARE(exact->model->info().parameters, twin->model->info().parameters);
        QCOMPARE(exact->model->info().family, twin->model->info().family);
        QVERIFY(relative_difference(logits(exact), expected) < 1e-6);
        // As stored: floats exactly, whole numbers with inputs of 8 bits.
        constexpr double allowed[] = {1e-5, 1e-5, 3e-2, 3e-2, 3e-2};
        const std::vector<float> as_stored = logits(open(at(name)));
        const double difference = relative_difference(as_stored, expected);
        QVERIFY2(difference < allowed[which], qPrintable(QString::number(difference)));
        // The rounding of inputs is all there is to it: the reference, which rounds the same, agrees.
        const double rest = relative_difference(as_stored, logits(open(at(name), "", "reference")));
        QVERIFY2(rest < 1e-5, qPrintable(QString::number(rest)));
    }

    // A matrix takes what its blocks do, and a little for strips of 16 outputs, not 16 bits a number.
    void blocks_are_held_as_they_are() {
        write_twins(at("k"), at("k-twin"), mixed, false);
        const auto opened = open(at("k"));
        std::uint64_t stored = 0;
        for (const WeightInfo& weight : opened->model->tables()->weights) {
            stored += weight.tensor.byte_size();
        }
        const std::uint64_t held = opened->loaded->weight_bytes();
        QVERIFY2(held < stored * 104 / 100, qPrintable(QString("%1 of %2").arg(held).arg(stored)));

        const MemoryPlanner planner(opened->model);
        MemoryHost host = cpu_memory_host(1);
        const MemoryPlan plan = planner.plan(host, 64);
        const std::uint64_t made = plan.item("weights") - held; // rotation tables, widened vectors
        QVERIFY2(made < held / 20, qPrintable(QString::number(made)));
        QCOMPARE(opened->loaded->taken().weights, plan.item("weights"));
        QCOMPARE(plan.dtype, opened->model->info().dtype);
        QVERIFY(QString::fromStdString(plan.dtype).contains("q4_k"));
    }

    // What the plan says that a model is held in is what the loaded model then takes, on every backend.
    void the_plan_says_what_is_held_data() {
        QTest::addColumn<QString>("backend");
        QTest::addColumn<QString>("types");
        QTest::newRow("cpu") << "cpu"
                             << "";
        if (const std::string vulkan = test::software_backend(); !vulkan.empty()) {
            QTest::newRow("vulkan") << QString::fromStdString(vulkan) << "f16, f32"; // no kernels for these
        }
    }
    void the_plan_says_what_is_held() {
        QFETCH(QString, backend);
        QFETCH(QString, types);
        write_twins(at("k"), at("k-twin"), mixed, false);
        OpenModelOptions options;
        options.backend = backend.toStdString();
        const auto opened = open_all((at("k") / "model.gguf").string(), options, {}, {});
        const std::string& stored = opened->model->info().dtype;
        QVERIFY2(stored.find("q4_k") != std::string::npos, stored.c_str());
        QCOMPARE(opened->memory.dtype, types.isEmpty() ? stored : types.toStdString());
        QCOMPARE(MemoryPlanner(opened->model).plan(memory_host(*opened->backend), 64).dtype,
                 opened->memory.dtype);
        std::uint64_t held = 0; // of matrices in blocks: as announced
        for (const WeightInfo& weight : opened->model->tables()->weights) {
            const DType as = opened->backend->held_as(weight.tensor.dtype());
            QVERIFY(opened->memory.dtype.find(dtype_name(as)) != std::string::npos);
            held += dtype_bytes(as, weight.tensor.size());
        }
        const std::uint64_t reported = opened->loaded->weight_bytes();
        QVERIFY2(reported >= held && reported < held * 104 / 100, // strips of 16 outputs
                 qPrintable(QString("%1 of %2").arg(reported).arg(held)));
    }

    void tokenizer_and_template_come_along() {
        write_twins(at("t"), at("t-twin"), all_q8_0);
        const auto gguf = open(at("t") / "model.gguf"), twin = open(at("t-twin"));
        QVERIFY(gguf->tokenizer && twin->tokenizer);
        for (const char* text :
             {"The river froze early that year.", "<|im_start|>user\nHi!<|im_end|>\n", "12345"}) {
            QCOMPARE(gguf->tokenizer->encode(text), twin->tokenizer->encode(text));
        }
        QCOMPARE(gguf->tokenizer->eos(), std::optional(1758));
        QVERIFY(gguf->tokenizer->chat_template().starts_with("{% for m in messages %}"));
        QVERIFY(gguf->chat && gguf->chat->can_chat());
        QCOMPARE(gguf->model->info().vocabulary, std::int64_t{1780});
        QCOMPARE(gguf->model->info().context, std::int64_t{64});
    }

    void parts_are_one_model() {
        const Sizes sizes;
        const auto names = tensors_of(sizes, true);
        std::vector<std::pair<std::string, Tensor>> halves[2];
        for (std::size_t i = 0; i < names.size(); ++i) {
            halves[i < names.size() / 2 ? 0 : 1].emplace_back(names[i].gguf,
                                                              make_tensor(names[i], DType::q8_0));
        }
        std::filesystem::create_directories(at("parts"));
        const auto write = [&](std::uint32_t number) {
            auto metadata =
                number == 0 ? metadata_of(sizes) : std::vector<std::pair<std::string, GgufValue>>();
            metadata.emplace_back("split.no", number);
            metadata.emplace_back("split.count", std::uint32_t{2});
            metadata.emplace_back("split.tensors.count", static_cast<std::int32_t>(names.size()));
            write_gguf(at("parts") / ("tiny-0000" + std::to_string(number + 1) + "-of-00002.gguf"), metadata,
                       halves[number]);
        };
        write(0);
        QCOMPARE(code_of([&] { open(at("parts")); }), QString("GG-SPLIT"));
        QCOMPARE(code_of([&] { open(at("parts") / "tiny-00001-of-00002.gguf"); }), QString("GG-SPLIT"));
        write(1);
        write_twins(at("whole"), at("whole-twin"), all_q8_0);
        const std::vector<float> expected = logits(open(at("whole")));
        QCOMPARE(logits(open(at("parts"))), expected);
        QCOMPARE(logits(open(at("parts") / "tiny-00002-of-00002.gguf")),
                 expected); // any part finds the others
    }

    void its_tokenizer_can_be_written_down() {
        write_twins(at("w"), at("w-twin"), all_q4_0);
        const auto opened = open(at("w") / "model.gguf");
        const auto table = token_table_of(opened->checkpoint->typed_metadata());
        QVERIFY(table.has_value());
        TokenTable started = *table;
        started.add_bos = true;
        started.bos = 1756;
        for (const TokenTable& each : {*table, started}) {
            const auto expected = Tokenizer::from_table(each, "model.gguf");
            const TokenizerFiles files = files_of(each, "model.gguf");
            const auto written =
                Tokenizer::from_json(files.tokenizer_json, files.config_json, "tokenizer.json");
            for (const char* text :
                 {"Hello, w\u00f6rld 12!", "<|im_start|>user\nHi<|im_end|>", "\u65e5\u672c e\u0301  x", ""}) {
                for (const bool special : {false, true}) {
                    QCOMPARE(written->encode(text, {.add_special_tokens = special}),
                             expected->encode(text, {.add_special_tokens = special}));
                }
            }
            QCOMPARE(written->eos(), expected->eos());
            QCOMPARE(written->chat_template(), expected->chat_template());
            const std::vector<std::int32_t> ids{785, 1758, 435, 0, 1779};
            QCOMPARE(written->decode(ids), expected->decode(ids));
        }
    }

    void masses_beside_it_make_it_gravity() {
        write_twins(at("gravity-tiny"), at("gravity-twin"), all_q8_0);
        const std::filesystem::path file = at("gravity-tiny") / "model.gguf";
        QCOMPARE(code_of([&] { open(file, "f32"); }), QString("G-MASS-NAME")); // no masses yet
        const auto plain = open(file, "f32", "cpu", "dot");
        QVERIFY(has_problem(*plain, "the name says gravity"));
        std::vector<std::pair<std::string, Tensor>> masses;
        const Sizes sizes;
        for (std::int64_t l = 0; l < sizes.layers; ++l) {
            std::vector<float> raw(static_cast<std::size_t>(sizes.heads));
            fill_uniform(raw, 11, "mass" + std::to_string(l), 0.5, 2.0);
            masses.emplace_back("model.layers." + std::to_string(l) + ".self_attn.gravity_mass_log",
                                Tensor::from_floats({sizes.heads}, raw));
        }
        for (const char* folder : {"gravity-tiny", "gravity-twin"}) {
            write_torch_file(at(folder) / "gravity_mass_log.pt", masses);
        }
        const auto gguf = open(at("gravity-tiny") / "model.gguf", "f32"), twin = open(at("gravity-twin"));
        QVERIFY(!has_problem(*gguf, "the name says gravity"));
        const std::vector<float> pulled = logits(gguf);
        QVERIFY(relative_difference(pulled, logits(twin)) < 1e-6);
        QVERIFY(relative_difference(pulled, logits(plain)) > 1e-2); // another law, other numbers
        QVERIFY(relative_difference(logits(open(at("gravity-tiny"))), pulled) < 3e-2); // inputs of 8 bits
    }
};

QTEST_GUILESS_MAIN(TestGgufModel)
#include "test_gguf_model.moc"
