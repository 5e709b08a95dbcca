// SPDX-License-Identifier: GPL-3.0-or-later
// A schema drafted for the demo model under other names opens it, with the same logits.
#include "engine/base/error.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/generate/opened_model.h"
#include "engine/lab/assignment.h"
#include "engine/lab/name_pattern.h"
#include "engine/lab/suggest.h"
#include "engine/lab/synth.h"
#include "engine/lab/trace.h"
#include "engine/lab/value_fingerprint.h"

#include <QRegularExpression>
#include <QTemporaryDir>
#include <QtTest>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <numeric>

using ergo::Error;

namespace fs = std::filesystem;

namespace {

using Renames = std::vector<std::pair<QString, QString>>; // patterns, in order

// As another team might have called things.
const Renames other_team = {
    {"^model\\.embed_tokens\\.", "wte."},
    {"^model\\.norm\\.", "ln_f."},
    {"^model\\.layers\\.(\\d+)\\.", "transformer.h.\\1."},
    {"^model\\.hyper_ffn\\.", "post."},
    {"^lm_head\\.", "head."},
    {"metric_attention\\.", "attn."},
    {"metric_mqa\\.", "shared_attn."},
    {"([qkv])_proj", "w\\1"},
    {"kv_proj", "wkv"},
    {"updown\\.(gate|up|down)_proj", "out_\\1"},
    {"local_conv\\.depthwise", "conv.dw"},
    {"local_conv\\.pointwise", "conv.pw"},
    {"channel_mix\\.", "mixer."},
    {"\\.fc1\\.", ".lin_in."},
    {"\\.fc2\\.", ".lin_out."},
    {"metric_diag", "maha"},
    {"layer_scale", "gamma"},
};

std::string renamed(const std::string& name, const Renames& renames) {
    QString out = QString::fromStdString(name);
    for (const auto& [pattern, text] : renames) {
        out.replace(QRegularExpression(pattern), text);
    }
    return out.toStdString();
}

void write(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

ergo::NpyArray logits(const std::string& source, const std::string& schemas) {
    ergo::OpenModelOptions options;
    options.backend = "cpu";
    options.threads = 1;
    options.model.schemas = schemas;
    const auto opened = ergo::open_all(source, options, {}, {});
    return ergo::run_logits(*opened->model, *opened->backend, {70, 71, 72, 5, 300, 9}, false, {}, {});
}

} // namespace

class TestSuggest : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;

    // The demo's tensors under other names, in another order, with its config.
    fs::path strangeDemo(const Renames& renames) const {
        const auto demo = ergo::open_checkpoint("demo:moa");
        std::vector<std::pair<std::string, ergo::Tensor>> tensors;
        for (const std::string& name : demo->order()) {
            tensors.emplace_back(renamed(name, renames), demo->tensor(name));
        }
        std::sort(tensors.begin(), tensors.end(),
                  [](const auto& a, const auto& b) { return a.first < b.first; });
        const fs::path out = fs::path(folder_.path().toStdString()) / "strange";
        fs::remove_all(out);
        fs::create_directories(out);
        ergo::write_safetensors(out / "model.safetensors", tensors);
        write(out / "config.json", demo->config_json());
        return out;
    }

  private slots:
    void renamedDemoOpensWithTheDraft() {
        const fs::path strange = strangeDemo(other_team);
        QVERIFY_EXCEPTION_THROWN(logits(strange.string(), ""), Error);
        const ergo::SchemaDraft draft = ergo::suggest_schema(*ergo::open_checkpoint(strange.string()));
        for (const std::string& note : draft.notes) {
            qInfo("%s", note.c_str());
        }
        QVERIFY(draft.matched > 50);
        const fs::path schemas = fs::path(folder_.path().toStdString()) / "schemas";
        fs::create_directories(schemas);
        write(schemas / "draft.json", draft.json);
        const auto a = logits(strange.string(), schemas.string()), b = logits("demo:moa", "");
        QCOMPARE(a.data.size(), b.data.size());
        QVERIFY(std::memcmp(a.data.data(), b.data.data(), a.data.size()) == 0);
        // the same without --schemas, from the user's folder
        fs::create_directories(fs::path(folder_.path().toStdString()) / "config/ergosphere");
        fs::rename(schemas, fs::path(folder_.path().toStdString()) / "config/ergosphere/schemas");
        qputenv("XDG_CONFIG_HOME", (folder_.path() + "/config").toUtf8());
        QVERIFY(std::memcmp(logits(strange.string(), "").data.data(), b.data.data(), b.data.size()) == 0);
        qunsetenv("XDG_CONFIG_HOME");
        QVERIFY_EXCEPTION_THROWN(logits(strange.string(), "/nowhere"), Error);
    }

    // Another variant of the family: its knobs are found from the shapes.
    void variantsAreFound() {
        ergo::SynthRequest request;
        request.config = ergo::open_checkpoint("demo:moa")->config_json();
        request.knobs = {
            {"mqa_kv", "split"}, {"channel_mix", "swiglu"}, {"out_proj", "true"}, {"conv_kind", "pw_dw_pw"}};
        const ergo::Synthetic made = ergo::synthesise(request);
        const fs::path out = fs::path(folder_.path().toStdString()) / "variant";
        fs::create_directories(out);
        ergo::write_safetensors(out / "model.safetensors", made.tensors);
        write(out / "config.json", made.config);
        const ergo::SchemaDraft draft = ergo::suggest_schema(*ergo::open_checkpoint(out.string()));
        for (const char* knob : {"\"mqa_kv\": \"split\"", "\"channel_mix\": \"swiglu\"", "\"out_proj\": true",
                                 "\"conv_kind\": \"pw_dw_pw\""}) {
            QVERIFY2(draft.json.find(knob) != std::string::npos, knob);
        }
        QVERIFY(std::none_of(draft.notes.begin(), draft.notes.end(), [](const std::string& note) {
            return note.starts_with("left over") || note.starts_with("not found");
        }));
    }

    void anotherFamilyIsRefused() {
        const fs::path out = fs::path(folder_.path().toStdString()) / "other";
        fs::create_directories(out);
        ergo::write_safetensors(out / "model.safetensors",
                                {{"a.weight", ergo::Tensor::from_floats({3, 7}, std::vector<float>(21))}});
        QVERIFY_EXCEPTION_THROWN(ergo::suggest_schema(*ergo::open_checkpoint(out.string())), Error);
        write(out / "config.json", ergo::open_checkpoint("demo:moa")->config_json());
        QVERIFY_EXCEPTION_THROWN(ergo::suggest_schema(*ergo::open_checkpoint(out.string())), Error);
    }

    void layersInNames() {
        const auto found = ergo::find_layers(
            {"h.0.fc1.w", "h.1.fc1.w", "h.0.fc2.w", "h.1.fc2.w", "e", "block0_x", "block1_x"}, 2);
        QCOMPARE(found[2].pattern, std::string("h.{l}.fc2.w"));
        QCOMPARE(found[1].layer.value_or(-1), 1);
        QCOMPARE(found[5].pattern, std::string("block{l}_x"));
        QVERIFY(!found[4].layer);
        QVERIFY(ergo::likeness("x.attn.wq", "y.attention.q_proj") >
                ergo::likeness("x.attn.wq", "y.attention.k_proj"));
        QCOMPARE(ergo::parent_of("a.b.c", 2), std::string("a"));
    }

    void assignment() {
        QVERIFY((ergo::best_assignment({{7, 5, 1}, {6, 1, 1}, {1, 1, 1}}) == std::vector<int>{1, 0, 2}));
        QVERIFY((ergo::best_assignment({{1, 9}}) == std::vector<int>{1}));
        QVERIFY((ergo::best_assignment({{1}, {9}}) == std::vector<int>{-1, 0}));
        QVERIFY(ergo::best_assignment({}).empty());
        // against all permutations
        const std::vector<std::vector<double>> gain = {
            {3, -1, 4, 1}, {5, 9, 2, 6}, {5, 3, 5, 8}, {9, 7, 9, 3}};
        std::vector<int> order = {0, 1, 2, 3};
        double best = -1e9;
        const auto total = [&](const std::vector<int>& columns) {
            double sum = 0;
            for (std::size_t i = 0; i < columns.size(); ++i) {
                sum += gain[i][static_cast<std::size_t>(columns[i])];
            }
            return sum;
        };
        do {
            best = std::max(best, total(order));
        } while (std::next_permutation(order.begin(), order.end()));
        QCOMPARE(total(ergo::best_assignment(gain)), best);
    }

    void mapsFromValues() {
        QCOMPARE(ergo::guess_map(0.41, 1.5).map, std::string("exp"));
        QVERIFY(ergo::guess_map(0.41, 1.5).sure);
        QVERIFY(!ergo::guess_map(0.41, 1.5, 0.2).sure); // trained: the values lie apart
        QCOMPARE(ergo::guess_map(1.45, 1.5).map, std::string("raw"));
        QVERIFY(!ergo::guess_map(1.0, 1.0).sure); // raw and square alike
        QVERIFY(!ergo::guess_map(3.5, 3.5).sure); // softplus is nearly the identity there
    }
};

QTEST_GUILESS_MAIN(TestSuggest)
#include "test_suggest.moc"
