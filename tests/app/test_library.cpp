// SPDX-License-Identifier: GPL-3.0-or-later
// What is known of a model before it is loaded, and what the command line asks of the window.
#include "app/library/file_panel.h"
#include "app/library/header_reader.h"
#include "app/library/library_panel.h"
#include "app/library/memory_page.h"
#include "app/library/model_card.h"
#include "app/library/recent_models.h"
#include "app/library/tensor_panel.h"
#include "app/window/start_options.h"
#include "engine/base/error.h"
#include "engine/lab/compare.h"

#include <QComboBox>
#include <QCryptographicHash>
#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSettings>
#include <QSignalSpy>
#include <QSpinBox>
#include <QTabWidget>
#include <QTemporaryDir>
#include <QTest>
#include <QTreeView>
#include <QtEndian>

#include <numeric>

using namespace ergosphere;

class TestLibrary : public QObject {
    Q_OBJECT

    static void copyDemo(const QTemporaryDir& folder) {
        const QDir demo(ERGO_SOURCE_DIR "/resources/demo/moa");
        for (const QString& name : demo.entryList(QDir::Files)) {
            QVERIFY(QFile::copy(demo.filePath(name), folder.filePath(name)));
        }
    }

    /// A tensor of `values` float32 zeros at the end of a safetensors file.
    static void addTensor(const QString& path, const QString& name, qint64 values) {
        QFile file(path);
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QByteArray bytes = file.readAll();
        file.close();
        const auto length = qFromLittleEndian<qint64>(bytes.constData());
        QByteArray header = bytes.mid(8, length).trimmed();
        const qint64 data = bytes.size() - 8 - length;
        header.chop(1);
        header += QString(",\"%1\":{\"dtype\":\"F32\",\"shape\":[%2],\"data_offsets\":[%3,%4]}}")
                      .arg(name)
                      .arg(values)
                      .arg(data)
                      .arg(data + 4 * values)
                      .toUtf8();
        header = header.leftJustified((header.size() + 7) / 8 * 8, ' ');
        const qint64 size = qToLittleEndian(qint64(header.size()));
        QVERIFY(QFile::remove(path) && file.open(QIODevice::WriteOnly));
        file.write(reinterpret_cast<const char*>(&size), 8);
        file.write(header + bytes.mid(8 + length));
        QVERIFY(file.resize(8 + header.size() + data + 4 * values));
    }

    QTemporaryDir cache_;

  private slots:
    void initTestCase() { qputenv("XDG_CACHE_HOME", cache_.path().toUtf8()); }

    void headersOfTheDemo() {
        ModelHeaders headers = readHeaders("demo:moa");
        readMore(headers);
        QVERIFY2(headers.opens, qPrintable(headers.problem));
        QCOMPARE(headers.info.family, std::string("moa"));
        QVERIFY(headers.chat_format.startsWith("DiscoverLM"));
        QVERIFY(headers.tokenizer.contains("BPE"));
        QVERIFY(headers.info.parameters > 100000);
        std::int64_t sum = 0;
        for (const auto& [name, count] : headers.info.components) {
            sum += count;
        }
        QCOMPARE(sum, headers.info.parameters);
        QVERIFY(headers.planner && !headers.hosts.empty() && headers.hosts[0].backend == "cpu");
    }

    void headersOfWhatIsNoModel() {
        QTemporaryDir folder;
        for (const QString& source : {folder.path(), folder.filePath("missing"), QString("demo:none")}) {
            const ModelHeaders headers = readHeaders(source);
            QVERIFY(!headers.opens);
            QVERIFY2(!headers.problem.isEmpty(), qPrintable(source));
        }
        QFile broken(folder.filePath("model.safetensors"));
        QVERIFY(broken.open(QIODevice::WriteOnly));
        broken.write(QByteArray(64, '\xff'));
        broken.close();
        QVERIFY(!readHeaders(folder.path()).opens);
    }

    void cardShowsTheReport() {
        // A copy of the demo without its configuration's first number cannot fit its weights.
        QTemporaryDir folder;
        copyDemo(folder);
        QFile config(folder.filePath("config.json"));
        QVERIFY(config.open(QIODevice::ReadOnly));
        QByteArray text = config.readAll();
        config.close();
        const qsizetype at = text.indexOf("\"dim\"");
        const qsizetype hidden = at >= 0 ? at : text.indexOf("\"hidden_size\"");
        QVERIFY2(hidden >= 0, text.constData());
        const qsizetype colon = text.indexOf(':', hidden);
        text.replace(colon + 1, text.indexOf(',', colon) - colon - 1, " 96");
        QVERIFY(QFile::remove(config.fileName()) && config.open(QIODevice::WriteOnly));
        config.write(text);
        config.close();

        ModelCard card(folder.path(), nullptr);
        card.setAttribute(Qt::WA_DeleteOnClose, false);
        QSignalSpy ready(&card, &ModelCard::ready);
        card.show();
        QVERIFY(ready.wait(20000));
        auto* report = card.findChild<QPlainTextEdit*>("report");
        QVERIFY(report && report->isReadOnly());
        QVERIFY2(report->toPlainText().contains("96") || report->toPlainText().contains("shape"),
                 qPrintable(report->toPlainText()));
        QVERIFY(report->toPlainText().count('\n') >= 2); // the whole report, tensor by tensor
        QVERIFY(!card.findChild<QPushButton*>("load"));
        report->selectAll();
        QVERIFY(report->textCursor().hasSelection());
    }

    void memoryPageSaysWhereItDoesNotFit() {
        const ModelHeaders headers = readHeaders("demo:moa");
        MemoryPage page(headers);
        auto* advice = page.findChild<QLabel*>("memory_advice");
        QVERIFY(advice && advice->isHidden());
        std::vector<ergo::MemoryHost> hosts = headers.hosts;
        hosts.push_back(hosts.at(0));
        hosts[1].backend = "vulkan:0";
        hosts[1].device = "Small GPU";
        hosts[1].available = 1 << 20;
        page.setHosts(hosts);
        QVERIFY(!advice->isHidden());
        QCOMPARE(advice->text(), QString("Small GPU: too little."));
        QVERIFY(page.report().contains("Small GPU\n") && page.report().contains("main memory\n"));
        QVERIFY(page.report().contains("weights held as: bf16, f32\n"));
        hosts[1].available = 0; // nobody knows: nothing is said against it
        MemoryPage other(headers);
        other.setHosts(hosts);
        QVERIFY(other.findChild<QLabel*>("memory_advice")->isHidden());
        QCOMPARE(other.context(), 0);
        other.findChild<QSpinBox*>("context")->setValue(17);
        QCOMPARE(other.context(), 17);
    }

    void typesAreChosenWithWhatTheyNeed() {
        ModelHeaders headers = readHeaders("demo:moa");
        MemoryPage page(headers, {"q8", "none such"});
        QCOMPARE(page.types(), (RunTypes{"q8", QString()})); // as last time; what is not known is not chosen
        QVERIFY(page.report().contains("weights held as: q8\n"));
        auto* weights = page.findChild<QComboBox*>("run_weights");
        auto* cache = page.findChild<QComboBox*>("run_cache");
        weights->setCurrentText("f32");
        const auto needed = [&](const RunTypes& types) {
            return headers.planner->plan(headers.hosts[0], headers.context, types.weights.toStdString(),
                                         types.cache.toStdString());
        };
        const ergo::MemoryPlan plain = needed({"f32", "f32"});
        cache->setCurrentText("bf16");
        QCOMPARE(page.types(), (RunTypes{"f32", "bf16"}));
        const ergo::MemoryPlan rounded = needed(page.types());
        QVERIFY(rounded.item("cache") < plain.item("cache"));
        QVERIFY(page.report().contains("total: " + byteText(rounded.total()) + "\n"));
        QVERIFY(page.report().contains("keys and values held as: bf16\n"));
        std::vector<ergo::MemoryHost> hosts{headers.hosts[0], headers.hosts[0]};
        hosts[1].backend = "vulkan:0";
        hosts[1].device = "A card";
        page.setHosts(hosts);
        QCOMPARE(page.findChild<QLabel*>("memory_advice")->text(),
                 QString("A card: keys and values are kept in f32 there alone."));
        QVERIFY(!page.report().contains("A card\n"));
    }

    void whatTypesCostIsMeasured() {
        const ModelHeaders headers = readHeaders("demo:moa");
        MemoryPage page(headers);
        auto* panel = page.findChild<RunTypesPanel*>();
        auto* measure = page.findChild<QPushButton*>("measure_cost");
        auto* cost = page.findChild<QLabel*>("rounding_cost");
        QVERIFY(!measure->isEnabled() && cost->isHidden()); // as it is stored it costs nothing
        page.findChild<QComboBox*>("run_weights")->setCurrentText("q8");
        page.show();
        QSignalSpy measured(panel, &RunTypesPanel::measured);
        QTest::mouseClick(measure, Qt::LeftButton);
        QVERIFY(measured.wait(60000));
        ergo::OpenModelOptions rounded;
        rounded.model.dtype = "q8";
        const ergo::Comparison c = ergo::rounding_cost("demo:moa", rounded, {}, {});
        QVERIFY(c.mean_divergence > 0 && c.mean_divergence < 1e-3 && c.tokens > 200);
        QCOMPARE(cost->text(), roundingCostText(c.mean_divergence, c.largest_logit_difference, c.tokens));
        // Another choice is another cost, and a measurement that nobody waits for ends by itself.
        page.findChild<QComboBox*>("run_cache")->setCurrentText("q8");
        QVERIFY(cost->isHidden());
        QTest::mouseClick(measure, Qt::LeftButton);
        page.findChild<QComboBox*>("run_weights")->setCurrentText("q4");
        QVERIFY(cost->isHidden());
        QTest::mouseClick(measure, Qt::LeftButton);
    }

    void cardOffersToLoad() {
        ModelCard card("demo:moa", nullptr);
        card.setAttribute(Qt::WA_DeleteOnClose, false);
        QSignalSpy ready(&card, &ModelCard::ready), load(&card, &ModelCard::loadRequested);
        card.show();
        QVERIFY(ready.wait(20000));
        QVERIFY(card.findChild<QPushButton*>("why"));
        QTest::mouseClick(card.findChild<QPushButton*>("why"), Qt::LeftButton);
        auto* why = card.findChild<QPlainTextEdit*>("why_text");
        QVERIFY(why && why->isVisible() && why->toPlainText().contains(" = "));
        auto* context = card.findChild<QSpinBox*>("context");
        const int own = context->value();
        QVERIFY(own > 16);
        context->setValue(own / 2);
        card.findChild<QComboBox*>("run_weights")->setCurrentText("bf16");
        card.findChild<QPushButton*>("load")->setFocus();
        QTest::keyClick(&card, Qt::Key_Return); // Load is the default
        QCOMPARE(load.size(), 1);
        QCOMPARE(load.first().first().toString(), QString("demo:moa"));
        QCOMPARE(load.first()[1].value<LoadChoice>().context, qint64(own / 2));
        QCOMPARE(*load.first()[1].value<LoadChoice>().types, (RunTypes{"bf16", QString()}));
        QVERIFY(load.first()[1].value<LoadChoice>().checkpoint); // what the card has opened is loaded
        QVERIFY(card.reportText().contains("Parameters"));
    }

    void loadAnywayIsOfferedForUnusedTensors() {
        QTemporaryDir folder;
        copyDemo(folder);
        addTensor(folder.filePath("model.safetensors"), "left.over", 3);
        ModelCard card(folder.path(), nullptr);
        card.setAttribute(Qt::WA_DeleteOnClose, false);
        QSignalSpy ready(&card, &ModelCard::ready), load(&card, &ModelCard::loadRequested);
        card.show();
        QVERIFY(ready.wait(20000));
        QVERIFY2(card.reportText().contains("left.over"), qPrintable(card.reportText()));
        QVERIFY(!card.findChild<QPushButton*>("load"));
        auto* anyway = card.findChild<QPushButton*>("load_anyway");
        QVERIFY(anyway);
        QTest::mouseClick(anyway, Qt::LeftButton);
        QCOMPARE(load.size(), 1);
        QVERIFY(load.first()[1].value<LoadChoice>().insisting.allow_unused);
    }

    void tensorsAreFilteredAndMeasured() {
        ModelCard card("demo:moa", nullptr);
        card.setAttribute(Qt::WA_DeleteOnClose, false);
        QSignalSpy ready(&card, &ModelCard::ready);
        card.show();
        QVERIFY(ready.wait(20000));
        auto* tabs = card.findChild<QTabWidget*>("card_tabs");
        tabs->setCurrentWidget(card.tensors());
        TensorModel& model = *card.tensors()->model();
        const int all = model.shownTensors();
        QVERIFY(all > 20);
        QCOMPARE(std::size_t(all), model.outline().names.size());
        auto* filter = card.findChild<QLineEdit*>("tensor_filter");
        filter->setFocus();
        QTest::keyClicks(filter, "LAYERS.0");
        QVERIFY(model.shownTensors() > 0 && model.shownTensors() < all);
        for (const int tensor : model.tensorsBelow({})) {
            QVERIFY(model.outline().names[std::size_t(tensor)].find("ayers.0") != std::string::npos);
            QVERIFY(model.indexOf(tensor).isValid());
        }
        filter->setText("no tensor is called this");
        QCOMPARE(model.shownTensors(), 0);
        QCOMPARE(model.rowCount(), 0);
        filter->setText({});

        // A click on a tensor measures it; the numbers are those of its values.
        const int tensor = model.tensorsBelow({}).front();
        const QModelIndex at = model.indexOf(tensor);
        QSignalSpy measured(card.tensors(), &TensorPanel::measured);
        card.tensors()->view()->scrollTo(at);
        QTest::mouseClick(card.tensors()->view()->viewport(), Qt::LeftButton, {},
                          card.tensors()->view()->visualRect(at).center());
        QVERIFY(measured.size() > 0 || measured.wait(10000));
        const ergo::TensorStats* stats = model.stats(tensor);
        QVERIFY(stats);
        const auto values =
            model.outline().checkpoint->tensor(model.outline().names[std::size_t(tensor)]).to_floats();
        double sum = 0;
        for (const float value : values) {
            sum += double(value);
        }
        QCOMPARE(stats->count, std::int64_t(values.size()));
        QVERIFY(std::abs(stats->mean - sum / double(values.size())) < 1e-6);
        QCOMPARE(stats->min, double(*std::min_element(values.begin(), values.end())));
        QCOMPARE(std::accumulate(stats->histogram.begin(), stats->histogram.end(), std::int64_t{0}),
                 stats->count);
        auto* histogram = card.findChild<QWidget*>("histogram");
        QVERIFY(histogram->accessibleDescription().contains(numberText(stats->min)));

        filter->setText("norm");
        QTest::mouseClick(card.findChild<QPushButton*>("measure_all"), Qt::LeftButton);
        const std::vector<int> shown = model.tensorsBelow({});
        QTRY_VERIFY_WITH_TIMEOUT(
            std::all_of(shown.begin(), shown.end(), [&](int t) { return model.stats(t) != nullptr; }), 20000);
        filter->setText({});
        QTest::mouseClick(card.findChild<QPushButton*>("measure_all"), Qt::LeftButton);
        card.reject(); // closing ends the measuring
    }

    void digestsAreComputedAndRemembered() {
        QTemporaryDir folder;
        copyDemo(folder);
        const QString weights = folder.filePath("model.safetensors");
        ModelCard card(folder.path(), nullptr);
        card.setAttribute(Qt::WA_DeleteOnClose, false);
        QSignalSpy ready(&card, &ModelCard::ready);
        QVERIFY(ready.wait(20000));
        QTRY_COMPARE_WITH_TIMEOUT(card.files()->digests().size(), 1, 20000);
        QFile file(weights);
        QVERIFY(file.open(QIODevice::ReadOnly));
        QCryptographicHash hash(QCryptographicHash::Sha256);
        QVERIFY(hash.addData(&file));
        file.close();
        QCOMPARE(card.files()->digests().first(), QString(hash.result().toHex()));
        const ergo::DigestCache cache(ergo::DigestCache::default_file());
        QVERIFY(QFile::exists(cache_.filePath("ergosphere/sha256.json")));
        QCOMPARE(cache.find(weights.toStdString()).value_or(""), hash.result().toHex().toStdString());
        addTensor(weights, "one.more", 2); // another file now
        QVERIFY(!cache.find(weights.toStdString()));
    }

    void aCardForSixGigabytesComesAtOnce() {
        // Headers of 6 GB of weights; the data is a hole in the file, so it takes no room.
        QTemporaryDir folder;
        copyDemo(folder);
        const QString weights = folder.filePath("model.safetensors");
        addTensor(weights, "left.over", qint64(1600) << 20);
        QVERIFY(QFileInfo(weights).size() > (qint64(6) << 30));
        // ERGO_CARD_MODEL names a model to time instead (tests/true_size/run does).
        const QString given = qEnvironmentVariable("ERGO_CARD_MODEL");
        QElapsedTimer clock;
        clock.start();
        ModelCard card(given.isEmpty() ? folder.path() : given, nullptr);
        card.setAttribute(Qt::WA_DeleteOnClose, false);
        QSignalSpy ready(&card, &ModelCard::ready);
        card.show();
        QVERIFY(ready.wait(20000));
        const qint64 ms = clock.elapsed();
        qInfo() << "card after" << ms << "ms";
        QVERIFY(ms < 5000); // a busy machine; what it takes alone is printed
        QVERIFY(card.findChild<QPushButton*>(given.isEmpty() ? "load_anyway" : "load"));
        clock.restart();
        card.reject(); // 6 GB are being hashed: closing does not wait for them
        card.setAttribute(Qt::WA_DeleteOnClose, true);
        QVERIFY(clock.elapsed() < 1000);
    }

    void recentModels() {
        QTemporaryDir folder;
        QSettings settings(folder.filePath("s.ini"), QSettings::IniFormat);
        RecentModels recent(settings);
        recent.add("demo:moa");
        QVERIFY(recent.sources().isEmpty());
        recent.setTypes("demo:moa", {"bf16", {}});
        recent.setTypes("/m/3", {{}, "q8"});
        QCOMPARE(recent.types("demo:moa"), (RunTypes{"bf16", QString()}));
        QCOMPARE(recent.types("/m/3"), (RunTypes{QString(), "q8"}));
        recent.setTypes("demo:moa", {});
        QCOMPARE(recent.types("demo:moa"), RunTypes{});
        for (int i = 0; i < RecentModels::most + 3; ++i) {
            recent.add(QString("/m/%1").arg(i));
        }
        recent.add("/m/10");
        QCOMPARE(recent.sources().size(), RecentModels::most);
        QCOMPARE(recent.sources().first(), QString("/m/10"));
        QCOMPARE(recent.sources().count("/m/10"), 1);
        recent.remove("/m/10");
        QVERIFY(!recent.sources().contains("/m/10"));
        QCOMPARE(modelTitle("/models/DiscoverLM-70M/model.safetensors"), QString("DiscoverLM-70M"));
        QCOMPARE(modelTitle("demo:moa"), QString("MoA demo"));
        QCOMPARE(modelTitle("demo:kotodama"), QString("Kotodama demo"));
        QCOMPARE(modelTitle("demo:gravity"), QString("Gravity demo"));

        LibraryPanel panel(&recent);
        QCOMPARE(panel.models()->item(0)->data(Qt::UserRole).toString(), QString("demo:moa"));
        QSignalSpy chosen(&panel, &LibraryPanel::modelChosen);
        panel.show();
        QTest::mouseClick(panel.models()->viewport(), Qt::LeftButton, {},
                          panel.models()->visualItemRect(panel.models()->item(0)).center());
        QCOMPARE(chosen.size(), 1);
    }

    void startOptions() {
        const StartOptions none = parseStartOptions({"ergosphere"});
        QCOMPARE(none.model, QString("demo:moa"));
        const StartOptions all =
            parseStartOptions({"ergosphere", "--theme=dark", "--size", "1280x800", "--screenshot", "a.png",
                               "--ask", "hi", "--lens", "2", "--dtype", "q8", "--cache=bf16", "/models/x"});
        QCOMPARE(int(*all.theme), int(ThemeChoice::dark));
        QCOMPARE(*all.size, QSize(1280, 800));
        QCOMPARE(all.ask, QString("hi"));
        QCOMPARE(all.model, QString("/models/x"));
        QCOMPARE(all.lens, 2);
        QVERIFY(!none.types);
        QCOMPARE(*all.types, (RunTypes{"q8", "bf16"}));
        QCOMPARE(*parseStartOptions({"ergosphere", "--dtype", "checkpoint"}).types, RunTypes{});
        for (const QStringList& wrong : {QStringList{"--theme", "pink"},
                                         {"--size", "12"},
                                         {"--nonsense"},
                                         {"--lens", "x"},
                                         {"--ask"},
                                         {"--dtype", "q7"},
                                         {"--cache", "q4"},
                                         {"a", "b"}}) {
            QVERIFY_EXCEPTION_THROWN(parseStartOptions(QStringList{"ergosphere"} + wrong), ergo::Error);
        }
    }

    void noDisplayIsSaid() {
        const QByteArray display = qgetenv("DISPLAY"), wayland = qgetenv("WAYLAND_DISPLAY"),
                         platform = qgetenv("QT_QPA_PLATFORM");
        qunsetenv("DISPLAY");
        qunsetenv("WAYLAND_DISPLAY");
        qunsetenv("QT_QPA_PLATFORM");
        const QString reason = noDisplayReason({"ergosphere"});
        const QString offscreen = noDisplayReason({"ergosphere", "-platform", "offscreen"});
        qputenv("DISPLAY", display);
        if (!wayland.isEmpty()) {
            qputenv("WAYLAND_DISPLAY", wayland);
        }
        if (!platform.isEmpty()) {
            qputenv("QT_QPA_PLATFORM", platform);
        }
        QVERIFY(reason.contains("`ergo`"));
        QVERIFY(offscreen.isEmpty());
    }
};

QTEST_MAIN(TestLibrary)
#include "test_library.moc"
