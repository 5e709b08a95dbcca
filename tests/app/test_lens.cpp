// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/attention_lens.h"
#include "app/lens/head_grid.h"
#include "app/lens/heads_lens.h"
#include "app/lens/heads_picture.h"
#include "app/lens/matrix_view.h"
#include "app/lens/range_bar.h"
#include "app/lens/router_lens.h"
#include "app/lens/router_picture.h"
#include "app/lens/router_ribbon.h"
#include "app/window/theme.h"
#include "engine/generate/frame.h"
#include "tests/app/lens_synthetic.h"
#include "tests/app/support_window.h"

#include <QApplication>
#include <QComboBox>
#include <QElapsedTimer>
#include <QLabel>
#include <QSignalSpy>
#include <QTest>

#include <ctime>

using namespace ergosphere;
using namespace ergosphere::testing;

namespace {

double thread_cpu_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

/// CPU time of the slowest outermost event handler.
class ProbedApplication : public QApplication {
  public:
    using QApplication::QApplication;
    bool notify(QObject* receiver, QEvent* event) override {
        if (depth_++ > 0) {
            const bool done = QApplication::notify(receiver, event);
            --depth_;
            return done;
        }
        const double before = thread_cpu_ms();
        const bool done = QApplication::notify(receiver, event);
        const double took = thread_cpu_ms() - before;
        if (took > worst_ms) {
            worst_ms = took;
            worst = QString::fromLatin1(receiver->metaObject()->className()) +
                    QStringLiteral(" event %1").arg(event->type());
        }
        --depth_;
        return done;
    }
    double worst_ms = 0;
    QString worst;

  private:
    int depth_ = 0;
};

struct Stage {
    Synthetic model;
    LensData data;
    Selection selection;

    explicit Stage(int tokens, int site = 0) : Stage(make_synthetic(4, 8), tokens, site) {}

    Stage(Synthetic made, int tokens, int site = 0) : model(std::move(made)) {
        data.setSynthetic(model.info, model.observables, model.parameters);
        data.setMeasuredOn("a machine", 2, "f32");
        QVector<int> heads;
        for (const ergo::AttentionSite& each : model.info.attentions) {
            heads.append(each.heads);
        }
        selection.setHeads(heads);
        selection.setSite(site);
        data.setTokens(some_tokens(tokens));
        selection.setLength(tokens);
        if (tokens > 0) {
            data.add(make_frame(model, site, 0, tokens));
        }
    }
};

int count_pixels(const QImage& image, const QRect& area, QRgb color) {
    int found = 0;
    for (int y = std::max(0, area.top()); y <= std::min(area.bottom(), image.height() - 1); ++y) {
        for (int x = std::max(0, area.left()); x <= std::min(area.right(), image.width() - 1); ++x) {
            found += image.pixel(x, y) == color;
        }
    }
    return found;
}

} // namespace

class TestLens : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        applyTheme(*static_cast<QApplication*>(QCoreApplication::instance()), ThemeChoice::light);
    }

    void selection_keeps_within_its_limits() {
        Selection selection;
        QSignalSpy changes(&selection, &Selection::changed);
        selection.setToken(3);
        QCOMPARE(selection.token(), -1); // nothing to select yet
        QCOMPARE(changes.count(), 0);
        selection.setHeads({8, 4});
        selection.setLength(5);
        selection.setToken(99);
        QCOMPARE(selection.token(), 4);
        selection.setHead(7);
        selection.setSite(1);
        QCOMPARE(selection.head(), -1); // the second site has four heads
        selection.setSite(99);
        QCOMPARE(selection.site(), 1);
        selection.setLength(2);
        QCOMPARE(selection.token(), -1);
        changes.clear();
        selection.setSite(1);
        QCOMPARE(changes.count(), 0);
    }

    void data_takes_a_prompts_step_in_portions() {
        Stage whole(0), cut(0);
        const int attention = cut.data.observable("layers.0.metric_attention.attention");
        constexpr std::int64_t position = 3840;
        ergo::Frame step = make_frame(whole.model, 0, position, 256); // 8 heads: 34 MB
        auto portions = ergo::in_portions(ergo::Frame(step), cut.model.observables, std::size_t{1} << 20);
        QVERIFY(portions.size() > 8);
        double start = thread_cpu_ms();
        whole.data.add(std::move(step));
        const double at_once = thread_cpu_ms() - start;
        double longest = 0;
        for (ergo::Frame& portion : portions) {
            start = thread_cpu_ms();
            cut.data.add(std::move(portion));
            longest = std::max(longest, thread_cpu_ms() - start);
        }
        qInfo("at once %.1f ms, the longest portion %.1f ms", at_once, longest);
        QVERIFY2(longest < handler_ms, qPrintable(QString::number(longest)));
        for (const int row : {0, 100, 255}) {
            const auto a = whole.data.pairRow(attention, 5, position + row);
            const auto b = cut.data.pairRow(attention, 5, position + row);
            QCOMPARE(b.size(), std::size_t(position + row + 1));
            QVERIFY(std::equal(a.begin(), a.end(), b.begin(), b.end()));
        }
        QCOMPARE(cut.data.pairRows(attention, 7), position + 256);
    }

    void data_gathers_rows_by_position() {
        Stage stage(0);
        const int attention = stage.data.observable("layers.0.metric_attention.attention");
        const int shares = stage.data.observable("layers.0.router.shares");
        stage.data.add(make_frame(stage.model, 0, 0, 5));
        stage.data.add(make_frame(stage.model, 0, 7, 1)); // 5 and 6 were dropped on the way
        QCOMPARE(stage.data.pairRows(attention, 3), 8);
        QCOMPARE(stage.data.pairRow(attention, 3, 7).size(), std::size_t{8});
        QVERIFY(stage.data.pairRow(attention, 3, 5).empty());
        QCOMPARE(stage.data.pairOrigin(attention, 3, 6), RowOrigin::absent);
        QCOMPARE(stage.data.strip(shares, 7).size(), std::size_t{4});
        QVERIFY(stage.data.strip(shares, 6).empty());
        QVERIFY(stage.data.strip(shares, 8).empty());

        ergo::Frame again = make_frame(stage.model, 0, 4, 3);
        again.recomputed = true;
        const float own = stage.data.pairRow(attention, 0, 4)[1];
        stage.data.add(std::move(again));
        QCOMPARE(stage.data.pairOrigin(attention, 0, 4), RowOrigin::run); // the run's own numbers stay
        QCOMPARE(stage.data.pairRow(attention, 0, 4)[1], own);
        QCOMPARE(stage.data.pairOrigin(attention, 0, 5), RowOrigin::recomputed);
        QCOMPARE(stage.data.pairRows(attention, 0), 8);

        const quint64 version = stage.data.version(attention), stamp = stage.data.pairStamp(attention, 0, 3);
        stage.data.add(make_frame(stage.model, 0, 3, 1)); // the conversation goes on from there
        QCOMPARE(stage.data.pairRows(attention, 0), 4);
        QCOMPARE(stage.data.stripRows(shares), 4);
        QVERIFY(stage.data.version(attention) > version);
        QVERIFY(stage.data.pairStamp(attention, 0, 3) != stamp);

        stage.data.add(make_frame(stage.model, 0, 4, 1, 0)); // of an earlier log
        QCOMPARE(stage.data.pairRows(attention, 0), 4);
        stage.data.truncate(2);
        QCOMPARE(stage.data.pairRows(attention, 0), 2);
    }

    void malformed_captures_are_ignored() {
        Stage stage(0);
        ergo::Frame frame = make_frame(stage.model, 0, 0, 2);
        for (ergo::Capture& capture : frame.captures) {
            capture.values.pop_back();
        }
        ergo::Capture unknown;
        unknown.observable = 10000;
        frame.captures.push_back(unknown);
        stage.data.add(std::move(frame));
        QCOMPARE(stage.data.pairRows(stage.data.observable("layers.0.metric_attention.attention"), 0), 0);
        QCOMPARE(stage.data.stripRows(stage.data.observable("layers.0.router.shares")), 0);
    }

    void changes_come_at_most_thirty_times_a_second() {
        Stage stage(10);
        QTest::qWait(60);
        QSignalSpy changes(&stage.data, &LensData::changed);
        QElapsedTimer timer;
        timer.start();
        for (int token = 10; timer.elapsed() < 400; ++token) {
            stage.data.add(make_frame(stage.model, 0, token, 1));
            QTest::qWait(2);
        }
        QVERIFY(changes.count() >= 4);
        QVERIFY(changes.count() <= static_cast<int>(timer.elapsed() / 30.0) + 1);
    }

    void the_lenses_subscribe_to_what_they_show() {
        Stage stage(0, 3);
        const QVector<ergo::Observe> wanted = subscriptions(stage.selection, stage.model.info);
        QCOMPARE(wanted.size(), 1 + 5 + 8); // one attention, the routers, the balls
        QCOMPARE(wanted[0].observable, std::string("layers.1.metric_mqa.attention"));
        for (const ergo::Observe& each : wanted) {
            QVERIFY2(stage.data.observable(each.observable) >= 0, each.observable.c_str());
        }
    }

    void empty_lenses_say_what_would_be_here() {
        LensData data;
        Selection selection;
        AttentionLens attention(&data, &selection);
        RouterLens router(&data, &selection);
        HeadsLens balls(&data, &selection);
        for (Lens* lens :
             {static_cast<Lens*>(&attention), static_cast<Lens*>(&router), static_cast<Lens*>(&balls)}) {
            lens->resize(400, 500);
            lens->show();
            QVERIFY(QTest::qWaitForWindowExposed(lens));
            QVERIFY(!lens->figure());
            bool said = false;
            for (const QLabel* label : lens->findChildren<QLabel*>()) {
                said |= label->isVisible() && label->text().contains("Open a model");
            }
            QVERIFY(said);
        }
    }

    void click_on_a_thumbnail_selects_its_head() {
        Stage stage(40);
        AttentionLens lens(&stage.data, &stage.selection);
        lens.resize(500, 700);
        lens.show();
        QVERIFY(QTest::qWaitForWindowExposed(&lens));
        QTest::qWait(80);
        auto* grid = lens.findChild<HeadGrid*>();
        QCOMPARE(grid->heads(), 8);
        QTest::mouseClick(grid, Qt::LeftButton, Qt::NoModifier, grid->thumbnail(5).center());
        QCOMPARE(stage.selection.head(), 5);
        QTest::qWait(80);
        QVERIFY(lens.titleText().contains("head 5"));
        QTest::mouseDClick(grid, Qt::LeftButton, Qt::NoModifier, grid->thumbnail(2).center());
        QCOMPARE(stage.selection.head(), 2);
        QVERIFY(!grid->isVisible());
        lens.setSolo(false);
        QVERIFY(grid->isVisible());
        grid->setFocus();
        QTest::keyClick(grid, Qt::Key_Right);
        QCOMPARE(stage.selection.head(), 3);
    }

    void a_token_selected_elsewhere_moves_the_marks() {
        Stage stage(20);
        AttentionLens lens(&stage.data, &stage.selection);
        lens.resize(500, 700);
        lens.show();
        QVERIFY(QTest::qWaitForWindowExposed(&lens));
        QTest::qWait(80);
        auto* view = lens.findChild<MatrixView*>();
        const QRgb accent = colorsOf(view->palette()).accent.rgb();
        const auto marked = [&](qint64 token) {
            const QImage image = view->grab().toImage().convertToFormat(QImage::Format_RGB32);
            return count_pixels(image, view->cellRect(token, 0).toAlignedRect().adjusted(-2, -2, 2, 2),
                                accent);
        };
        QCOMPARE(marked(12), 0);
        stage.selection.setToken(12);
        QTest::qWait(80);
        QVERIFY(marked(12) > 20);
        QCOMPARE(marked(5), 0);
        QVERIFY2(lens.summaryText().startsWith(visible_token(stage.data.tokens()[12])),
                 qPrintable(lens.summaryText()));
        stage.selection.setToken(5);
        QTest::qWait(80);
        QVERIFY(marked(5) > 20);
        QCOMPARE(marked(12), 0);
    }

    void the_heatmap_shows_the_numbers() {
        Stage stage(16);
        stage.selection.setHead(3);
        AttentionLens lens(&stage.data, &stage.selection);
        lens.resize(500, 700);
        lens.show();
        QVERIFY(QTest::qWaitForWindowExposed(&lens));
        QTest::qWait(80);
        auto* view = lens.findChild<MatrixView*>();
        const QImage image = view->grab().toImage().convertToFormat(QImage::Format_RGB32);
        const FigureSpec spec = lens.figureSpec();
        const Colormap& map = Colormap::named(spec.colormap);
        const int attention = stage.data.observable("layers.0.metric_attention.attention");
        for (int query = 0; query < 16; ++query) {
            for (int key = 0; key <= query; ++key) {
                const float value = stage.data.pairRow(attention, 3, query)[static_cast<std::size_t>(key)];
                QCOMPARE(image.pixel(view->cellRect(query, key).center().toPoint()),
                         map.color(value, *spec.black, *spec.white));
            }
        }
        // What is exported is what is shown.
        const auto figure = std::get<AttentionFigure>(*lens.figure());
        QCOMPARE(figure.values.at(9, 4), stage.data.pairRow(attention, 3, 9)[4]);
        QVERIFY(std::isnan(figure.values.at(4, 9)));
        QCOMPARE(figure.place, QStringLiteral("layer 0 · MetricMH · head 3"));
        QVERIFY(view->describe(2, 1).contains("·cat"));
        QVERIFY(view->describe(2, 1).contains("of 3"));
    }

    void zoom_keeps_what_is_under_the_cursor() {
        Stage stage(60);
        AttentionLens lens(&stage.data, &stage.selection);
        lens.resize(500, 700);
        lens.show();
        QVERIFY(QTest::qWaitForWindowExposed(&lens));
        QTest::qWait(80);
        auto* view = lens.findChild<MatrixView*>();
        const QPointF at = view->cellRect(40, 20).center();
        const double before = view->cellRect(40, 20).width();
        view->zoom(4, at);
        QVERIFY(std::abs(view->cellRect(40, 20).width() - 4 * before) < 1e-6);
        QVERIFY(QLineF(view->cellRect(40, 20).center(), at).length() < 1e-6);
        QVERIFY(!view->isFitted());
        view->setFocus();
        QTest::keyClick(view, Qt::Key_F);
        QVERIFY(view->isFitted());
        QTest::mouseClick(view, Qt::LeftButton, Qt::NoModifier, view->cellRect(33, 7).center().toPoint());
        QCOMPARE(stage.selection.token(), 33);
        QTest::mouseClick(view, Qt::LeftButton, Qt::ShiftModifier, view->cellRect(50, 7).center().toPoint());
        QCOMPARE(stage.selection.second(), 50);
        QTest::keyClick(view, Qt::Key_Right);
        QCOMPARE(stage.selection.token(), 34);
        QTest::keyClick(view, Qt::Key_Period);
        QCOMPARE(stage.selection.head(), 0);
        QTest::keyClick(view, Qt::Key_BracketRight);
        QCOMPARE(stage.selection.site(), 2); // the same kind of attention, a layer further
        QTest::keyClick(view, Qt::Key_Escape);
        QCOMPARE(stage.selection.token(), -1);
    }

    void the_range_can_be_set_and_fitted() {
        Stage stage(40);
        AttentionLens lens(&stage.data, &stage.selection);
        lens.resize(500, 700);
        lens.show();
        QVERIFY(QTest::qWaitForWindowExposed(&lens));
        QTest::qWait(80);
        auto* bar = lens.findChild<RangeBar*>();
        const double fitted = *lens.figureSpec().white;
        QCOMPARE(bar->note(), QString("weight · auto")); // what the numbers are stands beside them
        QTest::mouseClick(bar, Qt::LeftButton, Qt::NoModifier, QPoint(bar->width() * 3 / 4, 12));
        const double dragged = *lens.figureSpec().white;
        QVERIFY(dragged > fitted);
        QCOMPARE(bar->note(), QString("weight · R fits"));
        QTest::keyClick(lens.findChild<MatrixView*>(), Qt::Key_R);
        QCOMPARE(*lens.figureSpec().white, fitted);
        lens.setScale(WeightScale::log_ratio);
        QCOMPARE(bar->note(), QString("log2 × uniform · auto"));
        QVERIFY2(bar->accessibleDescription().startsWith("log2 × uniform from "),
                 qPrintable(bar->accessibleDescription()));
    }

    void router_lens_shows_and_selects() {
        Stage stage(30);
        RouterLens lens(&stage.data, &stage.selection);
        lens.resize(600, 600);
        lens.show();
        QVERIFY(QTest::qWaitForWindowExposed(&lens));
        QTest::qWait(80);
        auto* picture = lens.findChild<RouterPicture*>();
        const QImage image = picture->grab().toImage().convertToFormat(QImage::Format_RGB32);
        const int shares = stage.data.observable("layers.2.router.shares");
        for (const qint64 token : {0, 11, 29}) {
            const QRectF column = picture->column(2, token);
            const std::span<const float> values = stage.data.strip(shares, token);
            double reached = 0;
            for (int path = 0; path < 4; ++path) {
                const double share = static_cast<double>(values[static_cast<std::size_t>(path)]);
                if (share * column.height() > 4) {
                    const double y = column.bottom() - (reached + share / 2) * column.height();
                    QCOMPARE(image.pixel(QPoint(static_cast<int>(column.center().x()), static_cast<int>(y))),
                             pathColor(path).rgb());
                }
                reached += share;
            }
        }
        QTest::mouseClick(picture, Qt::LeftButton, Qt::NoModifier, picture->column(1, 17).center().toPoint());
        QCOMPARE(stage.selection.token(), 17);
        QCOMPARE(meanShares(stage.data, 17).size(), 4);
        const auto figure = std::get<RouterFigure>(*lens.figure());
        QCOMPARE(figure.layers.size(), std::size_t{5});
        QCOMPARE(figure.layers[2].shares[4 * 11], stage.data.strip(shares, 11)[0]);
        QVERIFY(lens.measuredText().contains("live from the run"));
    }

    void heads_lens_shows_and_selects() {
        Stage stage(30);
        HeadsLens lens(&stage.data, &stage.selection);
        lens.resize(600, 600);
        lens.show();
        QVERIFY(QTest::qWaitForWindowExposed(&lens));
        QTest::qWait(80);
        auto* picture = lens.findChild<HeadsPicture*>();
        QTest::mouseClick(picture, Qt::LeftButton, Qt::NoModifier, picture->cell(3, 6).center().toPoint());
        QCOMPARE(stage.selection.site(), 3);
        QCOMPARE(stage.selection.head(), 6);
        stage.selection.setToken(9);
        const auto figure = std::get<HeadsFigure>(*lens.figure());
        const int kept = stage.data.observable("layers.1.metric_mqa.kept_share");
        QCOMPARE(figure.kept.at(3, 6), stage.data.strip(kept, 9)[6]);
        QCOMPARE(figure.values.at(3, 6),
                 stage.data.parameter(stage.data.observable("layers.1.metric_mqa.radius"))[0]);
        QVERIFY(picture->describe(3, 6).startsWith("layer 1 · MetricMQA · head 6"));
    }

    void heads_lens_shows_masses() {
        Stage stage(testing::make_gravity(3, 4), 12);
        HeadsLens lens(&stage.data, &stage.selection);
        lens.resize(600, 500);
        lens.show();
        QVERIFY(QTest::qWaitForWindowExposed(&lens));
        QCOMPARE(lens.quantities(),
                 (QVector<HeadQuantity>{HeadQuantity::mass, HeadQuantity::drift, HeadQuantity::horizon}));
        QCOMPARE(lens.quantity(), HeadQuantity::mass);
        const float mass = stage.data.parameter(stage.data.observable("layers.2.mass"))[1];
        QCOMPARE(std::get<HeadsFigure>(*lens.figure()).values.at(2, 1), mass);
        QTest::qWait(80);
        auto* picture = lens.findChild<HeadsPicture*>();
        QVERIFY2(picture->describe(2, 1).startsWith("layer 2 · head 1: mass"),
                 qPrintable(picture->describe(2, 1)));
        QTest::mouseClick(picture, Qt::LeftButton, Qt::NoModifier, picture->cell(2, 1).center().toPoint());
        QCOMPARE(stage.selection.site(), 2);
        QCOMPARE(stage.selection.head(), 1);
        lens.setQuantity(HeadQuantity::drift);
        const auto drift = std::get<HeadsFigure>(*lens.figure());
        QVERIFY(std::abs(drift.values.at(2, 1) - (mass - 0.974077F)) < 1e-5F);
        lens.setQuantity(HeadQuantity::horizon);
        QTest::qWait(80);
        const auto horizon = std::get<HeadsFigure>(*lens.figure());
        const double steep = std::pow(10.0, static_cast<double>(horizon.values.at(2, 1)));
        QVERIFY(std::abs(std::log(steep) - static_cast<double>(mass) * static_cast<double>(mass) / 0.1) <
                1e-4);
        QVERIFY2(picture->describe(2, 1).contains("far keys"), qPrintable(picture->describe(2, 1)));
        QVERIFY(lens.titleText().contains("ε = 0.1"));
    }

    void attention_relative_to_uniform() {
        Stage stage(testing::make_gravity(2, 3), 20);
        AttentionLens lens(&stage.data, &stage.selection);
        QCOMPARE(lens.scale(), WeightScale::ratio); // a model with masses starts with it
        lens.resize(500, 700);
        lens.show();
        QVERIFY(QTest::qWaitForWindowExposed(&lens));
        stage.selection.setHead(1);
        QTest::qWait(80);
        const int attention = stage.data.observable("layers.0.attention");
        const auto weight = [&](int head) { return stage.data.pairRow(attention, head, 9)[4]; };
        auto figure = std::get<AttentionFigure>(*lens.figure());
        QVERIFY(std::abs(figure.values.at(9, 4) - 10 * weight(1)) < 1e-5F);
        QCOMPARE(figure.unit, QStringLiteral("× uniform"));
        auto* view = lens.findChild<MatrixView*>();
        QVERIFY2(view->describe(9, 4).contains("uniform"), qPrintable(view->describe(9, 4)));
        const QImage image = view->grab().toImage().convertToFormat(QImage::Format_RGB32);
        const FigureSpec spec = lens.figureSpec();
        QCOMPARE(image.pixel(view->cellRect(9, 4).center().toPoint()),
                 Colormap::named(spec.colormap).color(figure.values.at(9, 4), *spec.black, *spec.white));
        lens.setScale(WeightScale::log_ratio);
        figure = std::get<AttentionFigure>(*lens.figure());
        QVERIFY(std::abs(figure.values.at(9, 4) - std::log2(10 * weight(1))) < 1e-4F);
        stage.selection.setHead(-1); // the mean of ratios
        figure = std::get<AttentionFigure>(*lens.figure());
        QVERIFY(std::abs(figure.values.at(9, 4) - std::log2(10 * (weight(0) + weight(1) + weight(2)) / 3)) <
                1e-4F);
        lens.setScale(WeightScale::weight);
        QVERIFY(std::abs(std::get<AttentionFigure>(*lens.figure()).values.at(9, 4) -
                         (weight(0) + weight(1) + weight(2)) / 3) < 1e-6F);
        QVERIFY2(lens.summaryText().contains("looks most at"), qPrintable(lens.summaryText()));
    }

    void every_control_has_a_name() {
        Stage stage(10);
        AttentionLens attention(&stage.data, &stage.selection);
        RouterLens router(&stage.data, &stage.selection);
        HeadsLens balls(&stage.data, &stage.selection);
        for (Lens* lens :
             {static_cast<Lens*>(&attention), static_cast<Lens*>(&router), static_cast<Lens*>(&balls)}) {
            for (const QWidget* widget : lens->findChildren<QWidget*>()) {
                const bool inner =
                    qobject_cast<const QComboBox*>(widget->parentWidget()) || widget->inherits("QScrollBar");
                if (widget->focusPolicy() & Qt::TabFocus && !inner &&
                    !widget->window()->windowFlags().testFlag(Qt::Popup)) {
                    QVERIFY2(!widget->accessibleName().isEmpty(), widget->metaObject()->className());
                }
            }
        }
    }

    void writing_512_tokens_never_holds_the_window() {
        Stage stage(312);
        AttentionLens attention(&stage.data, &stage.selection);
        RouterLens router(&stage.data, &stage.selection);
        HeadsLens balls(&stage.data, &stage.selection);
        for (Lens* lens :
             {static_cast<Lens*>(&attention), static_cast<Lens*>(&router), static_cast<Lens*>(&balls)}) {
            lens->resize(700, 900);
            lens->show();
            QVERIFY(QTest::qWaitForWindowExposed(lens));
        }
        QTest::qWait(300);
        auto* probe = static_cast<ProbedApplication*>(QCoreApplication::instance());
        const QStringList tokens = some_tokens(512);
        std::vector<ergo::Frame> frames;
        for (int token = 312; token < 512; ++token) {
            frames.push_back(make_frame(stage.model, 0, token, 1));
        }
        probe->worst_ms = 0;
        double adding = 0;
        for (int i = 0; i < 200; ++i) {
            const double before = thread_cpu_ms();
            stage.data.appendToken(tokens[312 + i]);
            stage.selection.setLength(stage.data.length());
            stage.data.add(std::move(frames[static_cast<std::size_t>(i)]));
            adding = std::max(adding, thread_cpu_ms() - before);
            if (i == 60) {
                stage.selection.setHead(4);
            }
            if (i == 120) {
                stage.selection.setToken(400);
            }
            QTest::qWait(8);
        }
        QTest::qWait(100);
        qInfo("slowest handler %.1f ms (%s), slowest add %.2f ms", probe->worst_ms, qPrintable(probe->worst),
              adding);
        QVERIFY2(probe->worst_ms < 16, qPrintable(probe->worst));
        QVERIFY(adding < 4);
        QCOMPARE(stage.data.pairRows(stage.data.observable("layers.0.metric_attention.attention"), 7), 512);
    }
};

int main(int argc, char** argv) {
    ProbedApplication application(argc, argv);
    TestLens test;
    return QTest::qExec(&test, argc, argv);
}
#include "test_lens.moc"
