// SPDX-License-Identifier: GPL-3.0-or-later
// What is known of a model before it is loaded, and what the command line asks of the window.
#include "app/library/header_reader.h"
#include "app/library/library_panel.h"
#include "app/library/model_card.h"
#include "app/library/recent_models.h"
#include "app/window/start_options.h"
#include "engine/base/error.h"

#include <QDir>
#include <QFile>
#include <QListWidget>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSettings>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace ergosphere;

class TestLibrary : public QObject {
    Q_OBJECT

  private slots:
    void headersOfTheDemo() {
        const ModelHeaders headers = readHeaders("demo:moa", false);
        QVERIFY2(headers.opens, qPrintable(headers.problem));
        QCOMPARE(headers.info.family, std::string("moa"));
        QCOMPARE(headers.chat_format, QString("DiscoverLM"));
        QVERIFY(headers.tokenizer.contains("BPE"));
        QVERIFY(headers.info.parameters > 100000);
        std::int64_t sum = 0;
        for (const auto& [name, count] : headers.info.components) {
            sum += count;
        }
        QCOMPARE(sum, headers.info.parameters);
        QVERIFY(headers.memory.size() >= 2);
    }

    void headersOfWhatIsNoModel() {
        QTemporaryDir folder;
        for (const QString& source : {folder.path(), folder.filePath("missing"), QString("demo:none")}) {
            const ModelHeaders headers = readHeaders(source, false);
            QVERIFY(!headers.opens);
            QVERIFY2(!headers.problem.isEmpty(), qPrintable(source));
        }
        QFile broken(folder.filePath("model.safetensors"));
        QVERIFY(broken.open(QIODevice::WriteOnly));
        broken.write(QByteArray(64, '\xff'));
        broken.close();
        QVERIFY(!readHeaders(folder.path(), false).opens);
    }

    void cardShowsTheReport() {
        // A copy of the demo without its configuration's first number cannot fit its weights.
        QTemporaryDir folder;
        const QDir demo(ERGO_SOURCE_DIR "/resources/demo/moa");
        for (const QString& name : demo.entryList(QDir::Files)) {
            QVERIFY(QFile::copy(demo.filePath(name), folder.filePath(name)));
        }
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

    void cardOffersToLoad() {
        ModelCard card("demo:moa", nullptr);
        card.setAttribute(Qt::WA_DeleteOnClose, false);
        QSignalSpy ready(&card, &ModelCard::ready), load(&card, &ModelCard::loadRequested);
        card.show();
        QVERIFY(ready.wait(20000));
        QTest::keyClick(&card, Qt::Key_Return); // Load is the default
        QCOMPARE(load.size(), 1);
        QCOMPARE(load.first().first().toString(), QString("demo:moa"));
        QVERIFY(card.reportText().contains("Parameters"));
    }

    void recentModels() {
        QTemporaryDir folder;
        QSettings settings(folder.filePath("s.ini"), QSettings::IniFormat);
        RecentModels recent(settings);
        recent.add("demo:moa");
        QVERIFY(recent.sources().isEmpty());
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
                               "--ask", "hi", "--lens", "2", "/models/x"});
        QCOMPARE(int(*all.theme), int(ThemeChoice::dark));
        QCOMPARE(*all.size, QSize(1280, 800));
        QCOMPARE(all.ask, QString("hi"));
        QCOMPARE(all.model, QString("/models/x"));
        QCOMPARE(all.lens, 2);
        for (const QStringList& wrong : {QStringList{"--theme", "pink"},
                                         {"--size", "12"},
                                         {"--nonsense"},
                                         {"--lens", "x"},
                                         {"--ask"},
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
