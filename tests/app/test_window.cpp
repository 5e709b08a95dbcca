// SPDX-License-Identifier: GPL-3.0-or-later
// The window as a person uses it: typing, stopping, clicking tokens, dropping folders, exporting; the engine
// and the demo model are the real ones.
#include "app/chat/sampling_panel.h"
#include "app/figure/figure_process.h"
#include "app/library/library_panel.h"
#include "app/library/model_card.h"
#include "app/window/dialogs.h"
#include "app/window/message_bar.h"
#include "app/window/theme.h"
#include "app/window/top_bar.h"
#include "tests/app/support_window.h"

#include <QAccessible>
#include <QClipboard>
#include <QComboBox>
#include <QDockWidget>
#include <QDragEnterEvent>
#include <QListWidget>
#include <QMimeData>
#include <QPlainTextEdit>
#include <QPointer>
#include <QProcess>
#include <QPushButton>
#include <QRadioButton>
#include <QSignalSpy>
#include <QSpinBox>
#include <QStandardPaths>
#include <QTabBar>
#include <QTabWidget>

using namespace ergosphere;
using State = ConversationController::State;

class TestWindow : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        t = std::make_unique<WindowUnderTest>();
        QVERIFY(t->open("demo:moa"));
        QCOMPARE(t->composer().state(), Composer::State::ready);
    }
    void init() {
        t->controller().abandon(); // what a failed test left behind
        if (QString::fromStdString(t->controller().opened()->source) != "demo:moa") {
            QVERIFY(t->open("demo:moa"));
        }
        t->window().chat()->sampling()->setParams({});
        t->controller().newChat();
        t->composer().setText({});
    }
    void cleanupTestCase() { t.reset(); }

    void asksAndShows() {
        QTest::qWait(400); // the first pictures are painted
        WindowUnderTest::application().probe().reset();
        t->type("Solve 3x + 2 = 17");
        QVERIFY(t->composer().text().isEmpty());
        QCOMPARE(t->controller().state(), State::preparing);
        QVERIFY(t->waitIdle());
        QVERIFY(t->waitFrames());
        QTest::qWait(200);
        const GuiProbe& probe = WindowUnderTest::application().probe();
        qInfo().noquote() << probe.report();
        QVERIFY(probe.handlers() > 100);
        QVERIFY2(probe.worstCpuMs() < handler_ms, qPrintable(probe.report()));

        const auto& turns = t->transcript().document().turns();
        QCOMPARE(turns.size(), 2);
        QCOMPARE(t->transcript().document().text(0), QString("Solve 3x + 2 = 17"));
        QCOMPARE(turns[1].role, ergo::Role::assistant);
        QVERIFY(!turns[1].writing);
        QVERIFY2(turns[1].stats.contains("tokens/s"), qPrintable(turns[1].stats));
        QVERIFY2(t->transcript().document().text(1).contains("3x"),
                 qPrintable(t->transcript().document().text(1)));
        // The markers of the format are tokens too, and positions have no gap.
        qint64 position = 0;
        for (const TranscriptTurn& turn : turns) {
            QVERIFY(turn.tokens.first().marker);
            for (const TranscriptToken& token : turn.tokens) {
                QCOMPARE(token.position, position++);
            }
        }
        QCOMPARE(turns[1].tokens[1].piece, QString("<|think|>"));
        QVERIFY(turns[1].tokens.last().probability > 0);
        QVERIFY(!turns[1].tokens.last().alternatives.empty());
        QCOMPARE(t->window().lensData()->length(), position);
        QCOMPARE(t->controller().contextUsed(), position);
        QVERIFY(t->window().topBar()->meter()->text().startsWith(QString::number(position)));

        // What the attention lens reads: every row of the site, each a distribution over the tokens before.
        const LensData& data = *t->window().lensData();
        const int attention = data.observable(data.info()->attentions.front().name("attention"));
        QVERIFY(attention >= 0);
        for (qint64 query = 0; query < position; ++query) {
            const auto row = data.pairRow(attention, 0, query);
            QCOMPARE(qint64(row.size()), query + 1);
            double sum = 0;
            for (const float weight : row) {
                sum += weight;
            }
            QVERIFY(std::abs(sum - 1) < 1e-3 || sum == 0);
        }
    }

    void clickSelectsInEveryView() {
        t->type("What is a head?");
        QVERIFY(t->waitIdle() && t->waitFrames());
        const qint64 position = t->transcript().document().turns()[1].tokens[5].position;
        QTest::qWait(100);
        QStringList before;
        for (int i = 1; i <= 3; ++i) {
            t->window().showLens(i);
            QTest::qWait(150);
            before << t->window().currentLens()->titleText() + t->window().currentLens()->summaryText();
        }
        const QPoint at = t->transcript().tokenRect(position).center();
        QVERIFY(t->transcript().viewport()->rect().contains(at));
        QTest::mouseMove(t->transcript().viewport(), at);
        QTest::mouseClick(t->transcript().viewport(), Qt::LeftButton, {}, at);
        QCOMPARE(t->window().selection()->token(), position);
        QVERIFY(t->transcript().tokenSummary(position).contains(QString::number(position + 1)));
        for (int i = 1; i <= 2; ++i) { // the balls are of the model, not of a token
            t->window().showLens(i);
            QTest::qWait(150);
            QCOMPARE(t->window().currentLens(), t->window().lenses()[std::size_t(i - 1)]);
            const QString now =
                t->window().currentLens()->titleText() + t->window().currentLens()->summaryText();
            QVERIFY2(now != before[i - 1], qPrintable(now));
        }
        // The same in words, for screen readers.
        QAccessibleInterface* spoken = QAccessible::queryAccessibleInterface(&t->transcript());
        QVERIFY(spoken && spoken->role() == QAccessible::Document);
        QCOMPARE(spoken->text(QAccessible::Description), t->transcript().tokenSummary(position));
        QVERIFY(spoken->text(QAccessible::Value).startsWith("You: What is a head?"));
        QTest::keyClick(&t->transcript(), Qt::Key_Right);
        QCOMPARE(t->window().selection()->token(), position + 1);
        const QPoint second = t->transcript().tokenRect(position).center();
        QTest::mouseClick(t->transcript().viewport(), Qt::LeftButton, Qt::ShiftModifier, second);
        QCOMPARE(t->window().selection()->second(), position);
        QTest::keyClick(&t->transcript(), Qt::Key_Escape);
        QCOMPARE(t->window().selection()->token(), qint64(-1));
    }

    void tokenViewShowsEveryToken() {
        t->type("47 + 38");
        QVERIFY(t->waitIdle());
        QTest::keyClick(&t->window(), Qt::Key_T, Qt::ControlModifier);
        QTRY_VERIFY(t->transcript().showsPieces());
        QTest::qWait(50);
        for (qint64 p = 0; p < t->controller().contextUsed(); ++p) {
            QVERIFY2(!t->transcript().tokenRect(p).isEmpty(), qPrintable(QString::number(p)));
        }
        QTest::keyClick(&t->window(), Qt::Key_T, Qt::ControlModifier);
        QTRY_VERIFY(!t->transcript().showsPieces());
    }

    void longRepliesStayLiveAndStop() {
        const QString slow = t->slowModel();
        QVERIFY(t->open(slow));
        t->window().chat()->sampling()->setParams({});
        t->window().chat()->sampling()->findChild<QSpinBox*>("max_tokens")->setValue(100000);
        t->window().showLens(1);
        QTest::qWait(300);
        WindowUnderTest::application().probe().reset();
        t->type("hello");
        auto* stop = t->window().findChild<QPushButton*>("stop");
        QTRY_VERIFY(stop->isVisible());
        QTRY_VERIFY_WITH_TIMEOUT(t->controller().contextUsed() > 700, 60000);
        QCOMPARE(t->controller().state(), State::writing);
        QVERIFY(t->window().topBar()->speedText().contains("tokens/s"));
        const GuiProbe& probe = WindowUnderTest::application().probe();
        qInfo().noquote() << probe.report();
        QVERIFY2(probe.worstCpuMs() < handler_ms, qPrintable(probe.report()));
        QElapsedTimer clock;
        clock.start();
        QTest::mouseClick(stop, Qt::LeftButton);
        QVERIFY(t->waitIdle(5000));
        qInfo() << "stopped after" << clock.elapsed() << "ms";
        const Message& reply = t->controller().conversation().messages.last();
        QCOMPARE(reply.stats.stop, QString("cancelled"));
        QVERIFY(reply.stats.tokens > 600 && t->controller().contextUsed() < t->controller().contextSize());
        QCOMPARE(qint64(reply.ids.size()), reply.stats.tokens);
        QVERIFY(!stop->isVisible());
        QCOMPARE(t->composer().state(), Composer::State::ready);

        // What is asked right after a stop is not taken for what was stopped.
        for (int i = 0; i < 3; ++i) {
            t->type("more");
            QTRY_VERIFY_WITH_TIMEOUT(t->controller().state() == State::writing, 20000);
            QTest::mouseClick(stop, Qt::LeftButton);
            QVERIFY(t->waitIdle(5000));
            QVERIFY(t->composer().text().isEmpty());
        }

        // Stop before the first token gives the words back; Esc in the composer does the same as the button.
        t->controller().newChat();
        t->type("again");
        QCOMPARE(t->controller().state(), State::preparing);
        QTest::keyClick(t->composer().field(), Qt::Key_Escape);
        QVERIFY(t->waitIdle(5000));
        QCOMPARE(t->composer().text(), QString("again"));
        t->window().chat()->sampling()->findChild<QSpinBox*>("max_tokens")->setValue(512);
        QVERIFY(t->open("demo:moa"));
    }

    void regenerates() {
        t->type("Solve 2x = 8");
        QVERIFY(t->waitIdle());
        QCOMPARE(t->transcript().document().turns().size(), 2);
        const QString first = t->transcript().document().text(1);
        QTest::keyClick(&t->window(), Qt::Key_R, Qt::ControlModifier);
        QVERIFY(t->controller().busy());
        QVERIFY(t->waitIdle());
        QCOMPARE(t->transcript().document().turns().size(), 2);
        QCOMPARE(t->transcript().document().text(1), first); // greedy: the same again
        QCOMPARE(t->controller().conversation().messages.last().stats.seed, quint64(1));
    }

    void secondTurnReusesTheFirst() {
        t->type("hello");
        QVERIFY(t->waitIdle());
        const qint64 before = t->controller().contextUsed();
        t->type("Solve 5x = 10");
        QVERIFY(t->waitIdle());
        QCOMPARE(t->transcript().document().turns().size(), 4);
        QCOMPARE(t->controller().conversation().messages.last().stats.prompt_reused, before);
        QVERIFY(t->waitFrames());
    }

    void newChatForgets() {
        t->type("hello");
        QVERIFY(t->waitIdle());
        QTest::keyClick(&t->window(), Qt::Key_N, Qt::ControlModifier);
        QCOMPARE(t->transcript().document().turns().size(), 0);
        QCOMPARE(t->controller().contextUsed(), qint64(0));
        QCOMPARE(t->window().lensData()->length(), qint64(0));
    }

    void fullContextIsSaid() {
        const qint64 size = t->controller().contextSize();
        t->composer().setText(QString(int(size) - 5, '7')); // one token a digit, one is left for the reply
        QTest::keyClick(t->composer().field(), Qt::Key_Return);
        QVERIFY(t->waitIdle());
        const TranscriptTurn& reply = t->transcript().document().turns().last();
        QVERIFY2(reply.note.contains("context is full"), qPrintable(reply.note + reply.stats));
        QCOMPARE(t->controller().contextUsed(), size);
        QVERIFY(t->window().topBar()->meter()->text().startsWith(QLocale().toString(size)));
        // Where nothing can be left out the message goes back; nothing typed is lost.
        t->controller().newChat();
        const QString much(int(size) + 5, '7');
        t->composer().setText(much);
        QTest::keyClick(t->composer().field(), Qt::Key_Return);
        QVERIFY(t->waitIdle());
        MessageBar* bar = t->window().chat()->messages();
        QTRY_VERIFY(bar->isVisible());
        QVERIFY(bar->isError() && bar->text().contains("context is full"));
        QCOMPARE(t->composer().text(), much);
    }

    void digitsChooseLensesOutsideTextFields() {
        t->composer().focusField();
        QTest::keyClick(t->composer().field(), Qt::Key_2);
        QCOMPARE(t->composer().text(), QString("2"));
        t->composer().setText({});
        t->transcript().setFocus();
        for (int i : {2, 3, 1}) {
            QTest::keyClick(&t->transcript(), Qt::Key(Qt::Key_0 + i));
            QTRY_COMPARE(t->window().currentLens(), t->window().lenses()[std::size_t(i - 1)]);
        }
    }

    void exportsWhatTheLensShows() {
        t->type("Solve 4x = 8");
        QVERIFY(t->waitIdle() && t->waitFrames());
        t->window().showLens(1);
        QTest::qWait(200);
        GuiProbe& probe = WindowUnderTest::application().probe();
        probe.reset();
        for (const QString format : {"pdf", "svg", "png", "csv", "npz"}) {
            const QByteArray bytes = exportAs(format);
            QVERIFY(bytes.size() > 200);
            if (format == "pdf") {
                QVERIFY(bytes.startsWith("%PDF"));
            } else if (format == "svg") {
                QVERIFY(bytes.contains("<svg"));
            } else if (format == "png") {
                QVERIFY(bytes.startsWith("\x89PNG"));
            }
            QTest::qWait(50);
        }
        // Drawn from the numbers by the command line: the same bytes.
        for (const QString format : {"pdf", "svg", "png", "csv"}) {
            const QString again = t->path("again." + format);
            QCOMPARE(
                QProcess::execute(ERGO_BINARY_DIR "/ergo", {"figure", t->path("figure.npz"), "-o", again}),
                0);
            QVERIFY2(contents(again) == contents(t->path("figure." + format)), qPrintable(format));
        }
        auto* dialog = figureDialog();
        dialog->setPath("/nowhere/at/all.pdf");
        QTest::mouseClick(dialog->findChild<QPushButton*>("export"), Qt::LeftButton);
        QTRY_VERIFY(dialog->findChild<MessageBar*>()->isVisible());
        QVERIFY(dialog->findChild<MessageBar*>()->isError());
        dialog->reject();

        dialog = figureDialog();
        auto* formats = dialog->findChild<QComboBox*>("format");
        formats->setCurrentIndex(formats->findData("png"));
        QTest::mouseClick(dialog->findChild<QPushButton*>("copy"), Qt::LeftButton);
        QTRY_VERIFY_WITH_TIMEOUT(QApplication::clipboard()->mimeData()->hasFormat("image/png"), 30000);
        QVERIFY(QApplication::clipboard()->mimeData()->data("image/png") == contents(t->path("figure.png")));
        qInfo().noquote() << probe.report();
        QVERIFY2(probe.worstCpuMs() < handler_ms, qPrintable(probe.report()));
    }

    void exportingCanBeCancelled() {
        t->type("Solve 4x = 8");
        QVERIFY(t->waitIdle() && t->waitFrames());
        t->window().showLens(1);
        QTest::qWait(200);
        auto* dialog = figureDialog();
        auto* formats = dialog->findChild<QComboBox*>("format");
        formats->setCurrentIndex(formats->findData("png"));
        dialog->findChild<QSpinBox*>("dpi")->setValue(2400);
        dialog->setPath(t->path("never.png"));
        QTest::mouseClick(dialog->findChild<QPushButton*>("export"), Qt::LeftButton);
        auto* row = dialog->findChild<QWidget*>("progress_row");
        QVERIFY(row->isVisible());
        QVERIFY(!dialog->findChild<QPushButton*>("export")->isEnabled());
        QTest::mouseClick(row->findChild<QToolButton*>("cancel_progress"), Qt::LeftButton);
        QTRY_VERIFY(dialog->findChild<QPushButton*>("export")->isEnabled());
        QVERIFY(!row->isVisible() && dialog->isVisible());
        QTest::mouseClick(dialog->findChild<QPushButton*>("export"), Qt::LeftButton);
        dialog->reject(); // closing cancels too
        QTest::qWait(100);
        QVERIFY(!QFile::exists(t->path("never.png")));
    }

    void takesScreenshots() {
        t->window()
            .chat()
            ->messages()
            ->dismiss(); // what an earlier export said is not part of the picture below
        QTest::qWait(100);
        GuiProbe& probe = WindowUnderTest::application().probe();
        probe.reset();
        t->press(Qt::Key_E, Qt::ControlModifier | Qt::ShiftModifier);
        auto* dialog = qobject_cast<ScreenshotDialog*>(t->dialog("screenshot_dialog"));
        QVERIFY(dialog);
        dialog->findChild<QSpinBox*>("factor")->setValue(4);
        dialog->setPath(t->path("window.png"));
        QTest::mouseClick(dialog->findChild<QPushButton*>("take"), Qt::LeftButton);
        QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(t->path("window.png")), 30000);
        QTest::qWait(50);
        t->press(Qt::Key_E, Qt::ControlModifier | Qt::ShiftModifier);
        dialog = qobject_cast<ScreenshotDialog*>(t->dialog("screenshot_dialog"));
        QVERIFY(dialog);
        dialog->findChild<QSpinBox*>("factor")->setValue(1);
        dialog->findChild<QRadioButton*>("of_lens")->setChecked(true);
        dialog->findChild<QRadioButton*>("to_clipboard")->setChecked(true);
        QApplication::clipboard()->clear();
        QTest::mouseClick(dialog->findChild<QPushButton*>("take"), Qt::LeftButton);
        QTRY_VERIFY_WITH_TIMEOUT(QApplication::clipboard()->mimeData()->hasFormat("image/png"), 30000);
        qInfo().noquote() << probe.report();
        QVERIFY2(probe.worstCpuMs() < handler_ms, qPrintable(probe.report()));
        const QImage lens = QImage::fromData(QApplication::clipboard()->mimeData()->data("image/png"));
        QCOMPARE(lens.size(), t->window().currentLens()->size());

        // The strips make the very picture that one stroke makes.
        const QImage strips(t->path("window.png"));
        QCOMPARE(strips.size(), t->window().size() * 4);
        QImage whole(strips.size(), QImage::Format_RGB32);
        whole.setDevicePixelRatio(4);
        whole.fill(t->window().palette().color(QPalette::Window));
        t->window().chat()->messages()->dismiss();
        QTest::qWait(100);
        t->window().render(&whole);
        qint64 different = 0;
        for (int y = 0; y < whole.height() / 2; ++y) { // above the composer and its cursor
            for (int x = 0; x < whole.width(); ++x) {
                different += whole.pixel(x, y) != strips.pixel(x, y) ? 1 : 0;
            }
        }
        QVERIFY2(different < 200, qPrintable(QString::number(different)));
    }

    void dropsOfBadFoldersAreExplained() {
        const QString folder = t->path("empty");
        QDir().mkpath(folder);
        drop(folder);
        auto* card = qobject_cast<ModelCard*>(t->dialog("model_card"));
        QVERIFY(card);
        QTRY_VERIFY(card->findChild<QPlainTextEdit*>("report"));
        QVERIFY2(card->reportText().contains("empty") || card->reportText().contains("weights"),
                 qPrintable(card->reportText()));
        QVERIFY(!card->findChild<QPushButton*>("load"));
        card->reject();
        QCOMPARE(t->composer().state(), Composer::State::ready); // the old model is still there
    }

    void dropsOfModelsOpen() {
        const QString folder = ERGO_SOURCE_DIR "/resources/demo/moa";
        GuiProbe& probe = WindowUnderTest::application().probe();
        probe.reset();
        drop(folder);
        auto* card = qobject_cast<ModelCard*>(t->dialog("model_card"));
        QVERIFY(card);
        QTRY_VERIFY_WITH_TIMEOUT(card->findChild<QPushButton*>("load"), 20000);
        QTRY_VERIFY2(card->reportText().contains("DiscoverLM"), // its tokenizer is read behind the card
                     qPrintable(card->reportText()));
        auto* tabs = card->findChild<QTabWidget*>("card_tabs");
        for (int tab = 0; tab < tabs->count(); ++tab) {
            QTest::mouseClick(tabs->tabBar(), Qt::LeftButton, {}, tabs->tabBar()->tabRect(tab).center());
            QTest::qWait(30);
            QCOMPARE(tabs->currentIndex(), tab);
        }
        QTest::mouseClick(card->findChild<QPushButton*>("load"), Qt::LeftButton);
        QTRY_COMPARE_WITH_TIMEOUT(QString::fromStdString(t->controller().opened()->source), folder, 30000);
        QVERIFY(t->waitIdle());
        QTest::qWait(200);
        qInfo().noquote() << probe.report();
        QVERIFY2(probe.worstCpuMs() < handler_ms, qPrintable(probe.report()));
        // A model that cannot be loaded leaves this one in place.
        t->window().openModel(t->path("no-such-model"));
        auto* failure = qobject_cast<ModelCard*>(t->dialog("model_card"));
        QVERIFY(failure);
        QVERIFY(failure->reportText().contains("no-such-model"));
        failure->reject();
        QCOMPARE(QString::fromStdString(t->controller().opened()->source), folder);
        QVERIFY(t->open("demo:moa"));
    }

    void chatsAreKeptAndReopened() {
        QListWidget* chats = t->window().library()->chats();
        t->type("Solve 7x = 21");
        QVERIFY(t->waitIdle());
        const Conversation said = t->controller().conversation();
        QTRY_VERIFY(chats->count() > 0 && chats->item(0)->text() == "Solve 7x = 21");
        const int count = chats->count();
        t->controller().newChat();
        QTest::mouseClick(chats->viewport(), Qt::LeftButton, {},
                          chats->visualItemRect(chats->item(0)).center());
        QTRY_COMPARE(t->transcript().document().turns().size(), 2);
        QCOMPARE(t->controller().conversation().messages, said.messages);
        // The lenses fill by themselves, and say that the numbers are recomputed.
        QVERIFY(t->waitFrames());
        const LensData& data = *t->window().lensData();
        const int attention = data.observable(data.info()->attentions.front().name("attention"));
        QTRY_COMPARE(data.pairRows(attention, 0), data.length());
        QCOMPARE(data.pairOrigin(attention, 0, 0), RowOrigin::recomputed);
        t->window().showLens(1);
        QTRY_VERIFY(t->window().currentLens()->measuredText().contains("recomputed"));
        const qint64 read = t->controller().contextUsed();
        t->type("thanks"); // goes on where it was
        QVERIFY(t->waitIdle());
        QCOMPARE(t->controller().conversation().messages.size(), 4);
        QCOMPARE(t->controller().conversation().messages.last().stats.prompt_reused, read);
        QTRY_COMPARE(chats->count(), count);

        chats->setCurrentRow(0);
        QTest::keyClick(chats, Qt::Key_Delete);
        QTRY_COMPARE(chats->count(), count - 1);
        QCOMPARE(t->transcript().document().turns().size(), 0);
        MessageBar* bar = t->window().chat()->messages();
        QVERIFY(bar->isVisible());
        for (QToolButton* button : bar->findChildren<QToolButton*>()) {
            if (button->text() == "Undo") {
                QTest::mouseClick(button, Qt::LeftButton);
                break;
            }
        }
        QTRY_COMPARE(chats->count(), count);
    }

    void layoutIsKept() {
        QTemporaryDir folder;
        Preferences preferences(folder.filePath("window.ini"));
        const auto dock = [](MainWindow& window, const char* name) {
            return window.findChild<QDockWidget*>(name);
        };
        {
            MainWindow first(&preferences, {});
            first.show();
            QVERIFY(QTest::qWaitForWindowExposed(&first));
            QVERIFY(dock(first, "library")->isVisible());
            dock(first, "library")->hide();
            first.addDockWidget(Qt::BottomDockWidgetArea, dock(first, "lens_router"));
            first.close();
        }
        MainWindow second(&preferences, {});
        second.show();
        QVERIFY(QTest::qWaitForWindowExposed(&second));
        QVERIFY(!dock(second, "library")->isVisible());
        QCOMPARE(second.dockWidgetArea(dock(second, "lens_router")), Qt::BottomDockWidgetArea);
    }

    void themesHaveTheirColours() {
        applyTheme(WindowUnderTest::application(), ThemeChoice::dark);
        QTRY_COMPARE(t->window().palette().color(QPalette::Window), QColor("#15181C"));
        QCOMPARE(t->window().palette().color(QPalette::Highlight), QColor("#6EA0FF"));
        applyTheme(WindowUnderTest::application(), ThemeChoice::light);
        QTRY_COMPARE(t->window().palette().color(QPalette::Base), QColor("#FFFFFF"));
        QCOMPARE(t->window().palette().color(QPalette::Highlight), QColor("#2F6FEB"));
    }

  private:
    static QByteArray contents(const QString& path) {
        QFile file(path);
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    }

    FigureDialog* figureDialog() {
        t->press(Qt::Key_E, Qt::ControlModifier);
        return qobject_cast<FigureDialog*>(t->dialog("figure_dialog"));
    }

    /// What the export dialog writes for `format`.
    QByteArray exportAs(const QString& format) {
        QPointer<FigureDialog> dialog = figureDialog();
        if (!dialog || !dialog->path().contains("attention")) {
            return {};
        }
        auto* formats = dialog->findChild<QComboBox*>("format");
        formats->setCurrentIndex(formats->findData(format));
        const QString file = t->path("figure." + format);
        dialog->setPath(file);
        QTest::mouseClick(dialog->findChild<QPushButton*>("export"), Qt::LeftButton);
        (void)QTest::qWaitFor([&] { return !dialog; }, 30000); // it closes when the file is there
        return contents(file);
    }

    void drop(const QString& path) {
        QMimeData mime;
        mime.setUrls({QUrl::fromLocalFile(path)});
        const QPoint at = t->window().rect().center();
        QDragEnterEvent enter(at, Qt::CopyAction, &mime, Qt::LeftButton, {});
        QApplication::sendEvent(&t->window(), &enter);
        QVERIFY(enter.isAccepted());
        QVERIFY(t->window().findChild<QWidget*>("drop_overlay")->isVisible());
        QDropEvent dropped(at, Qt::CopyAction, &mime, Qt::LeftButton, {});
        QApplication::sendEvent(&t->window(), &dropped);
        QVERIFY(!t->window().findChild<QWidget*>("drop_overlay")->isVisible());
    }

    std::unique_ptr<WindowUnderTest> t;
};

int main(int argc, char** argv) {
    if (const std::optional<int> code = figureProcess(argc, argv)) {
        return *code;
    }
    QStandardPaths::setTestModeEnabled(true);
    Application application(argc, argv);
    applyTheme(application, ThemeChoice::light);
    TestWindow test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_window.moc"
