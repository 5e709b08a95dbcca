// SPDX-License-Identifier: GPL-3.0-or-later
// What people do that nobody planned for: junk dropped, windows closed at the wrong moment, no room on the
// disk. The window goes on and says what happened.
#include "app/library/library_panel.h"
#include "app/library/model_card.h"
#include "app/window/dialogs.h"
#include "app/window/message_bar.h"
#include "app/window/theme.h"
#include "tests/app/support_window.h"

#include <QDragEnterEvent>
#include <QListWidget>
#include <QMimeData>
#include <QProcess>
#include <QPushButton>
#include <QRandomGenerator>
#include <QStandardPaths>

#include <sys/resource.h>

#include <csignal>

using namespace ergosphere;
using State = ConversationController::State;

class TestBreak : public QObject {
    Q_OBJECT

  private slots:
    void junkIsRefusedInWords_data() {
        QTest::addColumn<QString>("kind");
        for (const char* kind : {"empty file", "text", "noise", "huge header", "folder of folders", "loop",
                                 "device", "gone", "strange name"}) {
            QTest::newRow(kind) << kind;
        }
    }
    void junkIsRefusedInWords() {
        QFETCH(QString, kind);
        WindowUnderTest t;
        QString path = t.path("junk.safetensors");
        const auto write = [&](const QByteArray& bytes) {
            QFile file(path);
            QVERIFY(file.open(QIODevice::WriteOnly));
            file.write(bytes);
        };
        if (kind == "empty file") {
            write({});
        } else if (kind == "text") {
            path = t.path("letter.txt");
            write("Dear model,\n");
        } else if (kind == "noise") {
            QByteArray noise(100000, Qt::Uninitialized);
            QRandomGenerator(7).fillRange(reinterpret_cast<quint32*>(noise.data()), noise.size() / 4);
            write(noise);
        } else if (kind == "huge header") {
            write(QByteArray("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
        } else if (kind == "folder of folders") {
            path = t.path("outer");
            QDir().mkpath(path + "/a/b/c/d");
        } else if (kind == "loop") {
            path = t.path("loop");
            QVERIFY(QFile::link(path, path));
        } else if (kind == "device") {
            path = "/dev/zero";
        } else if (kind == "gone") {
            path = t.path("never");
        } else {
            path = t.path(QString::fromUtf8("a\nb\u202e\t<b>%1 ☃.safetensors"));
            write("no header");
        }
        QVERIFY(drop(t, {QUrl::fromLocalFile(path)}));
        auto* card = qobject_cast<ModelCard*>(t.dialog("model_card"));
        QVERIFY(card);
        QTRY_VERIFY_WITH_TIMEOUT(!card->reportText().isEmpty(), 5000);
        QVERIFY2(card->reportText().size() > 20, qPrintable(card->reportText()));
        QVERIFY(!card->findChild<QPushButton*>("load"));
        card->reject();
        QVERIFY(t.window().isVisible());
    }

    void whatIsNoFileIsNotTaken() {
        WindowUnderTest t;
        QVERIFY(!drop(t, {QUrl("https://example.org/model")}));
        QVERIFY(!drop(t, {QUrl::fromLocalFile("/tmp"), QUrl::fromLocalFile("/usr")}));
        QVERIFY(!drop(t, {}));
    }

    void droppedWhileItWritesAndClosedWhileItLoads() {
        WindowUnderTest t;
        const QString slow = t.slowModel();
        QVERIFY(t.open(slow));
        t.type("hello");
        QTRY_VERIFY_WITH_TIMEOUT(t.controller().state() == State::writing, 60000);
        QVERIFY(drop(t, {QUrl::fromLocalFile(ERGO_SOURCE_DIR "/resources/demo/moa")}));
        auto* card = qobject_cast<ModelCard*>(t.dialog("model_card"));
        QVERIFY(card);
        QTRY_VERIFY_WITH_TIMEOUT(card->findChild<QPushButton*>("load"), 20000);
        QCOMPARE(t.controller().state(), State::writing); // looking at a card stops nothing
        card->reject();
        QTest::qWait(20);
        t.window().openModel("demo:moa"); // the reply ends here and is kept
        QCOMPARE(t.controller().state(), State::opening);
        t.window().close(); // while it loads
    }

    void twoModelsStayOpenEachWithItsConversation() {
        WindowUnderTest t;
        const QString folder = t.slowModel();
        QVERIFY(t.open("demo:moa"));
        t.type("Solve 3x + 2 = 17");
        QVERIFY(t.waitIdle() && t.waitFrames());
        const QString answer = t.transcript().document().text(1);
        QVERIFY(t.open(folder));
        QCOMPARE(t.controller().openModels().size(), std::size_t(2));
        QVERIFY(t.controller().isOpen("demo:moa"));
        QCOMPARE(t.transcript().document().turns().size(), 0);
        t.type("hello");
        QTRY_VERIFY_WITH_TIMEOUT(t.controller().contextUsed() > 20, 60000);
        // Back to the first, by the keyboard, while the second still writes.
        t.press(Qt::Key_PageDown, Qt::ControlModifier);
        QTRY_COMPARE(QString::fromStdString(t.controller().opened()->source), QString("demo:moa"));
        QTRY_COMPARE(t.transcript().document().turns().size(), 2);
        QCOMPARE(t.transcript().document().text(1), answer);
        QVERIFY(t.waitFrames());
        t.type("47 + 38");
        QVERIFY(t.waitIdle());
        QVERIFY(t.controller().conversation().messages.last().stats.prompt_reused >
                20); // nothing was read again
        t.press(Qt::Key_PageDown, Qt::ControlModifier);
        QTRY_COMPARE(QString::fromStdString(t.controller().opened()->source), folder);
        QTRY_COMPARE(t.transcript().document().turns().size(), 2);
        QCOMPARE(t.transcript().document().text(0), QString("hello"));
        // Closing one shows the other; closing the last leaves an empty window that can open again.
        t.press(Qt::Key_W, Qt::ControlModifier);
        QTRY_COMPARE(QString::fromStdString(t.controller().opened()->source), QString("demo:moa"));
        QTRY_COMPARE(t.transcript().document().turns().size(), 4);
        t.press(Qt::Key_W, Qt::ControlModifier);
        QVERIFY(!t.controller().opened());
        QCOMPARE(t.controller().state(), State::no_model);
        QCOMPARE(t.composer().state(), Composer::State::unavailable);
        t.press(Qt::Key_E, Qt::ControlModifier); // nothing to export, and it says so
        QTRY_VERIFY(t.window().chat()->messages()->isVisible());
        QVERIFY(t.open("demo:moa"));
        t.type("Solve 2x = 8");
        QVERIFY(t.waitIdle());
    }

    void veryLongMessageIsRefusedAndKept() {
        WindowUnderTest t;
        QVERIFY(t.open("demo:moa"));
        const QString text = QString("word ").repeated(200000); // a million characters
        t.composer().setText(text);
        QTest::keyClick(t.composer().field(), Qt::Key_Return);
        QTRY_VERIFY_WITH_TIMEOUT(t.controller().state() == State::idle, 60000);
        MessageBar* bar = t.window().chat()->messages();
        QTRY_VERIFY(bar->isVisible());
        QVERIFY2(bar->isError() && bar->text().contains("context is full"), qPrintable(bar->text()));
        QCOMPARE(t.composer().text(), text);
    }

    void tinyAndHugeWindows() {
        WindowUnderTest t;
        QVERIFY(t.open("demo:moa"));
        t.type("Solve 3x + 2 = 17");
        QVERIFY(t.waitIdle() && t.waitFrames());
        for (const QSize size : {QSize(60, 40), QSize(400, 300), QSize(3000, 200), QSize(300, 2000)}) {
            t.window().resize(size);
            for (int lens = 1; lens <= int(t.window().lenses().size()); ++lens) {
                t.window().showLens(lens);
                QTest::qWait(60);
                QVERIFY(!t.window().grab().isNull());
            }
        }
    }

    void withoutAPlaceForConversations() {
        QTemporaryDir folder;
        Preferences preferences(folder.filePath("window.ini"));
        preferences.setBackend("cpu");
        MainWindow::Options options;
        options.chat_file = "/proc/nowhere/chats.sqlite";
        MainWindow window(&preferences, options);
        window.show();
        MessageBar* bar = window.chat()->messages();
        QTRY_VERIFY(bar->isVisible());
        QVERIFY2(bar->isError(), qPrintable(bar->text()));
        window.openModel("demo:moa");
        QTRY_VERIFY_WITH_TIMEOUT(window.controller()->state() == State::idle && window.controller()->opened(),
                                 60000);
        window.chat()->composer()->setText("Solve 2x = 8");
        QTest::keyClick(window.chat()->composer()->field(), Qt::Key_Return);
        QTRY_VERIFY_WITH_TIMEOUT(window.chat()->transcript()->document().turns().size() == 2 &&
                                     window.controller()->state() == State::idle,
                                 60000); // talking works all the same
    }

    void aFullDiskIsSaidAndLosesNothingOnTheScreen() {
        WindowUnderTest t;
        QVERIFY(t.open("demo:moa"));
        t.type("Solve 2x = 8");
        QVERIFY(t.waitIdle());
        QTRY_VERIFY(t.window().library()->chats()->count() == 1);
        // From here no file may grow beyond 4 kB: what a full disk does to a writer.
        std::signal(SIGXFSZ, SIG_IGN);
        rlimit before{};
        QCOMPARE(getrlimit(RLIMIT_FSIZE, &before), 0);
        rlimit small = before;
        small.rlim_cur = 4096;
        QCOMPARE(setrlimit(RLIMIT_FSIZE, &small), 0);
        t.type("Solve 5x = 10");
        const bool idle = t.waitIdle();
        MessageBar* bar = t.window().chat()->messages();
        const bool said = QTest::qWaitFor([&] { return bar->isVisible() && bar->isError(); }, 5000);
        setrlimit(RLIMIT_FSIZE, &before);
        QVERIFY(idle);
        QVERIFY(said);
        QCOMPARE(t.transcript().document().turns().size(), 4);
        t.type("Solve 3x = 9"); // with room again it is all kept
        QVERIFY(t.waitIdle());
        QTest::qWait(300);
        QCOMPARE(t.window().library()->chats()->count(), 1);
        QVERIFY(t.controller().conversation().messages.size() == 6);
    }

  private:
    /// Drags `urls` over the window and lets go; false when the window does not take them.
    bool drop(WindowUnderTest& t, const QList<QUrl>& urls) {
        QMimeData mime;
        mime.setUrls(urls);
        const QPoint at = t.window().rect().center();
        QDragEnterEvent enter(at, Qt::CopyAction, &mime, Qt::LeftButton, {});
        QApplication::sendEvent(&t.window(), &enter);
        if (!enter.isAccepted()) {
            return false;
        }
        QDropEvent dropped(at, Qt::CopyAction, &mime, Qt::LeftButton, {});
        QApplication::sendEvent(&t.window(), &dropped);
        return true;
    }
};

int main(int argc, char** argv) {
    QStandardPaths::setTestModeEnabled(true);
    Application application(argc, argv);
    applyTheme(application, ThemeChoice::light);
    TestBreak test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_break.moc"
