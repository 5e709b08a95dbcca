// SPDX-License-Identifier: GPL-3.0-or-later
// The depth lens in the real window, on a small Kotodama model that writes: its tab comes and goes with the
// model, the map follows the token, its figures hold the numbers that are shown.
#include "app/figure/csv.h"
#include "app/figure/depth_figure.h"
#include "app/figure/draw.h"
#include "app/figure/figure_file.h"
#include "app/lens/depth_lens.h"
#include "app/lens/depth_picture.h"
#include "app/window/theme.h"
#include "engine/base/error.h"
#include "engine/lab/synth.h"
#include "tests/app/support_window.h"

#include <QAction>
#include <QDockWidget>
#include <QFile>
#include <QLabel>
#include <QStandardPaths>
#include <QTabBar>

using namespace ergosphere;

namespace {

/// A random model with the demo's tokenizer: 6 layers, blocks begin at 0, 2 and 5.
QString small_model(const QString& folder) {
    ergo::SynthRequest request;
    request.config =
        R"({"model_type": "kotodama", "hidden_size": 48, "num_layers": 6, "num_attention_heads": 3,
        "num_kv_heads": 1, "head_dim": 16, "intermediate_size": 64, "vocab_size": 768,
        "max_position_embeddings": 256, "attn_res_boundaries": [0, 2, 5]})";
    ergo::synth(request, folder.toStdString());
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
        QFile::copy(QString(ERGO_SOURCE_DIR "/resources/demo/moa/") + name, folder + "/" + name);
    }
    return folder;
}

ergo::NpyArray weights(std::int64_t tokens, std::vector<float> row) {
    std::vector<float> all;
    for (std::int64_t t = 0; t < tokens; ++t) {
        all.insert(all.end(), row.begin(), row.end());
    }
    return ergo::NpyArray::from({tokens, static_cast<std::int64_t>(row.size())}, std::span<const float>(all));
}

} // namespace

class TestDepth : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        t = std::make_unique<WindowUnderTest>();
        model_ = small_model(t->path("kotodama"));
    }
    void cleanupTestCase() { t.reset(); }

    void figure_from_a_trace() {
        TraceArrays arrays{{"layers.0.attn_res.depth", weights(3, {1})},
                           {"layers.0.mlp_res.depth", weights(3, {0.25f, 0.75f})},
                           {"layers.1.attn_res.depth", weights(3, {0.5f, 0.5f})},
                           {"layers.1.mlp_res.depth", weights(3, {0.2f, 0.8f})},
                           {"layers.2.attn_res.depth", weights(3, {0.1f, 0.9f})},
                           {"layers.2.mlp_res.depth", weights(3, {0.1f, 0.2f, 0.7f})},
                           {"layers.10.attn_res.depth", weights(3, {0.3f, 0.3f, 0.4f})},
                           {"final.res.depth", weights(3, {0.125f, 0.125f, 0.75f})}};
        TraceQuery query;
        query.view = "depth";
        const auto figure = std::get<DepthFigure>(figure_from_trace(arrays, query));
        QCOMPARE(figure.blocks, (QStringList{"embedding", "layers 0–1", "layers 2–10"}));
        QCOMPARE(figure.sites.first(), QString("layer 0 · attention"));
        QCOMPARE(figure.sites.last(), QString("output"));
        QCOMPARE(figure.layers, (QVector<int>{0, 0, 1, 1, 2, 2, 10, -1})); // by number, the head last
        QCOMPARE(figure.weights.at(2, 5), 0.7f);
        QVERIFY(std::isnan(figure.weights.at(1, 0)));
        QCOMPARE(figure.place, QString("average over 3 tokens"));
        const QByteArray csv = to_csv(figure);
        QVERIFY(csv.contains("layer 2 · MLP,2,layers 2–10,0.7\r\n"));
        QVERIFY(csv.contains("output,,embedding,0.125\r\n"));
        QVERIFY(Drawing({}, figure).points().height() > 20);
        write_figure_file(t->path("depth.npz"), {}, figure); // kept as numbers it is the same figure again
        const auto kept = std::get<DepthFigure>(read_figure_file(t->path("depth.npz")).data);
        QCOMPARE(to_csv(kept), csv);
        QCOMPARE(kept.layers, figure.layers);
        auto broken = figure;
        broken.sites.removeLast();
        write_figure_file(t->path("broken.npz"), {}, broken);
        QVERIFY_EXCEPTION_THROWN(read_figure_file(t->path("broken.npz")), ergo::Error);
        query.token = 3;
        QVERIFY_EXCEPTION_THROWN(figure_from_trace(arrays, query), ergo::Error);
        query.token = -1;
        arrays["layers.1.mlp_res.depth"] = weights(2, {0.2f, 0.8f});
        QVERIFY_EXCEPTION_THROWN(figure_from_trace(arrays, query), ergo::Error);
        QVERIFY_EXCEPTION_THROWN(figure_from_trace({}, query), ergo::Error);
    }

    void tab_comes_with_the_model() {
        QVERIFY(t->open("demo:moa"));
        QVERIFY(!dock()->isVisible() && !dock()->toggleViewAction()->isVisible());
        t->window().showLens(4); // asked for by its key it says why it is empty
        QTest::qWait(100);
        QCOMPARE(t->window().currentLens(), &lens());
        QVERIFY(!lens().figure());
        QVERIFY(shows("no attention over depth"));
        t->window().showLens(1);

        QVERIFY(t->open(model_));
        QVERIFY(dock()->toggleViewAction()->isVisible());
        QVERIFY(!dock()->isHidden());
        t->window().showLens(4);
        QTest::qWait(100);
        QVERIFY(shows("Write a message"));
    }

    void follows_while_it_writes() {
        QVERIFY(t->open(model_));
        t->window().showLens(4);
        t->type("Tell me");
        QVERIFY(t->waitIdle());
        const LensData& data = *t->window().lensData();
        const auto& depths = data.info()->depths;
        QCOMPARE(depths.size(), std::size_t{13});
        const int output = data.observable(depths.back().weights);
        QVERIFY(QTest::qWaitFor([&] { return data.stripRows(output) == data.length(); }, 30000));
        for (qint64 token = 0; token < data.length(); ++token) { // every token of prompt and reply, live
            const auto row = data.strip(output, token);
            QCOMPARE(row.size(), std::size_t{4});
            QVERIFY(std::abs(row[0] + row[1] + row[2] + row[3] - 1) < 1e-4f);
            QCOMPARE(data.stripOrigin(output, token), RowOrigin::run);
        }
        QTest::qWait(150);
        const auto average = std::get<DepthFigure>(*lens().figure());
        QCOMPARE(average.weights.rows, 4);
        QCOMPARE(average.weights.columns, 13);
        QCOMPARE(average.blocks, (QStringList{"embedding", "layers 0–1", "layers 2–4", "layer 5"}));
        double mean = 0;
        for (qint64 token = 0; token < data.length(); ++token) {
            mean += static_cast<double>(data.strip(output, token)[0]) / static_cast<double>(data.length());
        }
        QVERIFY(std::abs(average.weights.at(0, 12) - mean) < 1e-5);
        QVERIFY(std::isnan(average.weights.at(1, 0)) && !std::isnan(average.weights.at(0, 0)));
        QVERIFY(lens().summaryText().contains("%"));

        t->window().selection()->setToken(1);
        QTest::qWait(150);
        const auto one = std::get<DepthFigure>(*lens().figure());
        QVERIFY(lens().titleText() != "");
        QCOMPARE(one.weights.at(2, 12), data.strip(output, 1)[2]);
        QVERIFY(one.place.startsWith("token 1"));
    }

    void columns_and_tokens_can_be_clicked() {
        QVERIFY(t->open(model_));
        t->window().showLens(4);
        t->type("Tell me");
        QVERIFY(t->waitIdle());
        QVERIFY(QTest::qWaitFor([&] { return lens().figure().has_value(); }, 30000));
        QTest::qWait(200);
        auto* picture = lens().findChild<DepthPicture*>();
        QVERIFY(picture);
        QCOMPARE(picture->reader(), 12);
        const QPoint column = picture->cell(0, 6).center().toPoint(); // in front of layer 3's attention
        QTest::mouseMove(picture, column);
        QTest::mouseClick(picture, Qt::LeftButton, {}, column);
        QCOMPARE(picture->reader(), 6);
        QCOMPARE(t->window().selection()->site(), 3); // the attention lens follows
        QVERIFY(picture->describe(0, 6).startsWith("layer 3 · attention reads embedding"));
        QVERIFY(picture->describe(2, 6).contains("still open"));
        QVERIFY(picture->describe(3, 6).isEmpty());
        const QRectF strip = picture->strip();
        QTest::mouseClick(picture, Qt::LeftButton, {}, (strip.topLeft() + QPointF(1, 20)).toPoint());
        QCOMPARE(t->window().selection()->token(), 0);
        QVERIFY(picture->describeToken(0).contains("layers 2–4"));
        QTest::keyClick(picture, Qt::Key_Right); // arrows step through tokens as in every lens
        QCOMPARE(t->window().selection()->token(), 1);
        QTest::keyClick(picture, Qt::Key_Right, Qt::ControlModifier);
        QCOMPARE(picture->reader(), 7);
    }

  private:
    DepthLens& lens() { return *qobject_cast<DepthLens*>(t->window().lenses().at(3)); }
    QDockWidget* dock() { return t->window().findChild<QDockWidget*>("lens_depth"); }
    bool shows(const char* part) {
        const auto labels = lens().findChildren<QLabel*>();
        return std::any_of(labels.begin(), labels.end(), [&](const QLabel* label) {
            return label->isVisible() && label->text().contains(QLatin1String(part));
        });
    }

    std::unique_ptr<WindowUnderTest> t;
    QString model_;
};

int main(int argc, char** argv) {
    QStandardPaths::setTestModeEnabled(true);
    Application application(argc, argv);
    applyTheme(application, ThemeChoice::light);
    TestDepth test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_depth.moc"
