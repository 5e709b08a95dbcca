// SPDX-License-Identifier: GPL-3.0-or-later
// What a person changes while a conversation goes on: room in the context, a token of a reply, the model
// itself. Real events on a real window; replies are compared with what `ergo run` writes.
#include "app/chat/changes_panel.h"
#include "app/chat/chat_store.h"
#include "app/chat/drop_banner.h"
#include "app/chat/sampling_panel.h"
#include "app/window/theme.h"
#include "tests/app/support_window.h"

#include <QAccessible>
#include <QComboBox>
#include <QContextMenuEvent>
#include <QFileDialog>
#include <QLineEdit>
#include <QListWidget>
#include <QMenu>
#include <QProcess>
#include <QPushButton>
#include <QSettings>
#include <QSpinBox>
#include <QStandardPaths>
#include <QToolButton>

using namespace ergosphere;
using State = ConversationController::State;

namespace {

/// What `ergo run demo:moa --chat` writes.
QString written(const QString& prompt, const QStringList& more) {
    QProcess process;
    process.start(ERGO_BINARY_DIR "/ergo",
                  QStringList{"run", "demo:moa", "--backend", "cpu", "--chat", "-p", prompt, "-n", "512"} +
                      more);
    process.waitForFinished(60000);
    QString text = QString::fromUtf8(process.readAllStandardOutput());
    text.chop(1); // its last newline
    return text;
}

} // namespace

class TestChanges : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        t = std::make_unique<WindowUnderTest>();
        QVERIFY(t->open("demo:moa"));
    }
    void init() {
        t->controller().abandon();
        QVERIFY(t->waitIdle());
        t->controller().setChanges({});
        QVERIFY(t->waitIdle());
        sampling().setParams({});
        maxTokens(512);
        t->controller().newChat();
        t->composer().setText({});
        WindowUnderTest::application().probe().reset();
    }
    void cleanup() {
        const GuiProbe& probe = WindowUnderTest::application().probe();
        QVERIFY2(probe.worstCpuMs() < handler_ms, qPrintable(probe.report()));
    }
    void cleanupTestCase() { t.reset(); }

    void aFullContextOffersWhatToDrop() {
        const qint64 size = t->controller().contextSize();
        const QString first(int(size) / 3, '1'), second(int(size) / 3, '2'), third(int(size) / 3, '3');
        maxTokens(8);
        t->type(first);
        QVERIFY(t->waitIdle());
        t->type(second);
        QVERIFY(t->waitIdle());
        const qint64 used = t->controller().contextUsed();
        t->type(third);
        DropBanner* banner = t->window().chat()->drop();
        QTRY_VERIFY(banner->isVisible());
        QCOMPARE(t->controller().state(), State::idle);
        QCOMPARE(t->controller().conversation().messages.size(), 4);
        QCOMPARE(banner->offered().messages, (QVector<int>{0, 1}));
        QVERIFY(banner->offered().before > size && banner->offered().after < size);
        const QString freed = QLocale().toString(banner->offered().before - banner->offered().after);
        QVERIFY2(banner->text().contains(freed) && banner->text().contains("You: 111"),
                 qPrintable(banner->text()));
        QAccessibleInterface* spoken = QAccessible::queryAccessibleInterface(banner);
        QVERIFY(spoken && spoken->text(QAccessible::Name).contains(freed));
        QVERIFY(spoken->text(QAccessible::Description).contains("You: 111"));

        // Declined: nothing changes, nothing typed is lost.
        auto* accept = banner->findChild<QPushButton*>("leave_out");
        QTRY_VERIFY(accept->hasFocus());
        QTest::keyClick(accept, Qt::Key_Escape);
        QVERIFY(!banner->isVisible());
        QCOMPARE(t->composer().text(), third);
        QCOMPARE(t->controller().contextUsed(), used);
        QTRY_VERIFY(t->composer().field()->hasFocus());

        // Accepted, by the keyboard alone: the model is given the rest, the conversation stays whole.
        QTest::keyClick(t->composer().field(), Qt::Key_Return);
        QTRY_VERIFY(banner->isVisible());
        QTest::keyClick(accept, Qt::Key_Return);
        QVERIFY(!banner->isVisible());
        QTRY_VERIFY(t->controller().busy());
        QVERIFY(t->waitIdle());
        QVERIFY(t->composer().text().isEmpty());
        const Conversation& conversation = t->controller().conversation();
        QCOMPARE(conversation.messages.size(), 6);
        QVERIFY(conversation.messages[0].left_out && conversation.messages[1].left_out);
        QVERIFY(!conversation.messages[2].left_out);
        QCOMPARE(conversation.messages[0].text, first);
        const QString log = t->window().lensData()->tokens().join(QString());
        QVERIFY(!log.contains("11111") && log.contains(second) && log.contains(third));
        QVERIFY(t->controller().contextUsed() <= size);
        QVERIFY(conversation.messages.last().stats.tokens > 0);
        const auto& turns = t->transcript().document().turns();
        QCOMPARE(turns.size(), 6);
        QVERIFY(turns[0].left_out && turns[1].left_out && !turns[2].left_out);
        QVERIFY(turns[0].note.isEmpty() && turns[1].note.contains("no longer"));
        QCOMPARE(t->transcript().document().text(0), first);
        QCOMPARE(turns[2].tokens.first().position, qint64(0));
        QVERIFY(t->transcript().plainText().startsWith("You, left out: 111"));
        t->window().selection()->setToken(3);
        QVERIFY(t->transcript().tokenRect(3).isValid());

        // The store has all of it, and what was left out stays so.
        QTRY_VERIFY(t->controller().conversation().id > 0);
        const qint64 id = t->controller().conversation().id, length = t->controller().contextUsed();
        std::optional<Conversation> stored;
        QTRY_VERIFY((stored = ChatStore(t->path("chats.sqlite")).load(id)) && stored->messages.size() == 6);
        QCOMPARE(stored->messages, conversation.messages);
        t->controller().newChat();
        t->controller().resume(*stored);
        QTRY_COMPARE(t->controller().contextUsed(), length);
        QVERIFY(t->transcript().document().turns()[1].left_out);
    }

    void aReplyThatWasCutIsOfferedRoom() {
        const qint64 size = t->controller().contextSize();
        maxTokens(8);
        t->type(QString(int(size) / 2, '4'));
        QVERIFY(t->waitIdle());
        maxTokens(512);
        t->type(QString(int(size - t->controller().contextUsed()) - 8, '5'));
        QVERIFY(t->waitIdle());
        const Message cut = t->controller().conversation().messages.last();
        QCOMPARE(cut.stats.stop, QString("context_full"));
        t->press(Qt::Key_R, Qt::ControlModifier);
        DropBanner* banner = t->window().chat()->drop();
        QTRY_VERIFY(banner->isVisible());
        QCOMPARE(t->controller().conversation().messages.last(), cut); // still there
        QTest::keyClick(banner->findChild<QPushButton*>("leave_out"), Qt::Key_Return);
        QTRY_VERIFY(t->controller().busy());
        QVERIFY(t->waitIdle());
        QCOMPARE(t->controller().conversation().messages.size(), 4);
        QVERIFY(t->controller().conversation().messages[1].left_out);
        QVERIFY(t->controller().conversation().messages.last().stats.tokens > cut.stats.tokens);
    }

    void anotherTokenInstead() {
        const QString question = "Solve 3x + 2 = 17";
        t->type(question);
        QVERIFY(t->waitIdle() && t->waitFrames());
        QTRY_VERIFY(t->controller().conversation().id > 0);
        const qint64 stored = t->controller().conversation().id;
        const Message before = t->controller().conversation().messages.last();
        const auto tokens = t->transcript().document().turns()[1].tokens;
        int place = 0; // in the reply
        qsizetype index = -1;
        for (qsizetype i = 0; i < tokens.size(); ++i) {
            if (!tokens[i].marker && place++ == 6) {
                index = i;
                --place;
                break;
            }
        }
        QVERIFY(index > 0);
        const qint64 position = tokens[index].position;
        QTest::qWait(50);
        QTest::mouseClick(t->transcript().viewport(), Qt::LeftButton, {},
                          t->transcript().tokenRect(position).center());
        QCOMPARE(t->window().selection()->token(), position);
        t->transcript().setFocus();
        QTest::keyClick(&t->transcript(), Qt::Key_Return);
        auto* menu = t->transcript().findChild<QMenu*>("alternatives");
        QTRY_VERIFY(menu && menu->isVisible());
        QList<QAction*> entries = menu->actions();
        entries.removeIf([](const QAction* a) { return a->isSeparator(); });
        QCOMPARE(std::size_t(entries.size()), tokens[index].alternatives.size());
        QVERIFY(entries.first()->isChecked() &&
                entries.first()->text().contains('%')); // greedy: the likeliest
        for (const QAction* entry : entries) {          // what can be taken is never said to be impossible
            QVERIFY2(!entry->text().contains(" 0.000 %"), qPrintable(entry->text()));
        }
        const std::int32_t wanted = tokens[index].alternatives[1].id;
        QTest::keyClick(menu, Qt::Key_Down);
        QTest::keyClick(menu, Qt::Key_Return);
        QVERIFY(t->controller().busy());
        QVERIFY(t->waitIdle() && t->waitFrames());

        const auto& now = t->transcript().document().turns()[1].tokens;
        for (qsizetype i = 0; i < index; ++i) {
            QCOMPARE(now[i].id, tokens[i].id);
            QCOMPARE(now[i].text, tokens[i].text);
        }
        QCOMPARE(now[index].id, wanted);
        QVERIFY(now[index].taken && !now[index - 1].taken);
        QCOMPARE(now[index].position, position);
        QVERIFY(std::abs(now[index].probability - tokens[index].alternatives[1].probability) < 1e-6F);
        const Message reply = t->controller().conversation().messages.last();
        QCOMPARE(reply.stats.prompt_reused, position); // what stays is not read again
        QVERIFY(reply.ids != before.ids);
        QCOMPARE(reply.text, written(question, {"--take", QString("%1=%2").arg(place).arg(wanted)}));

        // A branch is a conversation of its own; the one it came from stays as it was.
        QTRY_VERIFY(t->controller().conversation().id > 0);
        QVERIFY(t->controller().conversation().id != stored);
        QVERIFY(t->controller().conversation().title.contains("branch"));
        QCOMPARE(ChatStore(t->path("chats.sqlite")).load(stored)->messages.last(), before);

        // The same from the menu of the right mouse button; a question has no alternatives.
        const QPoint at = t->transcript().tokenRect(position).center();
        QContextMenuEvent event(QContextMenuEvent::Mouse, at, t->transcript().viewport()->mapToGlobal(at));
        QApplication::sendEvent(t->transcript().viewport(), &event);
        QMenu* more = nullptr;
        QTRY_VERIFY((more = t->transcript().findChild<QMenu*>("transcript_menu")) && more->isVisible());
        QVERIFY(more->actions().first()->menu());
        QCOMPARE(std::size_t(more->actions().first()->menu()->actions().size()),
                 now[index].alternatives.size());
        QTest::keyClick(more, Qt::Key_Escape);
        t->window().selection()->setToken(t->transcript().document().turns()[0].tokens[2].position);
        QTest::keyClick(&t->transcript(), Qt::Key_Return);
        QTest::qWait(50);
        QVERIFY(!t->transcript().findChild<QMenu*>("alternatives"));
    }

    void aTokenTakenWhileItWrites() {
        QVERIFY(t->open(t->slowModel()));
        maxTokens(100000);
        t->type("hello");
        QTRY_VERIFY_WITH_TIMEOUT(t->controller().contextUsed() > 120, 60000);
        QCOMPARE(t->controller().state(), State::writing);
        const qint64 position = t->transcript().document().turns()[1].tokens[20].position;
        const auto token = *t->transcript().document().tokenAt(position);
        emit t->transcript().takeRequested(position, token.alternatives.back().id);
        QTRY_VERIFY_WITH_TIMEOUT(t->controller().contextUsed() > position + 10, 60000);
        QCOMPARE(t->transcript().document().tokenAt(position)->id, token.alternatives.back().id);
        QTest::keyClick(t->composer().field(), Qt::Key_Escape);
        QVERIFY(t->waitIdle(5000));
        const Message& reply = t->controller().conversation().messages.last();
        QCOMPARE(qint64(reply.ids.size()),
                 t->controller().contextUsed() -
                     t->transcript().document().turns()[1].tokens.first().position -
                     qint64(std::count_if(t->transcript().document().turns()[1].tokens.begin(),
                                          t->transcript().document().turns()[1].tokens.end(),
                                          [](const TranscriptToken& each) { return each.marker; })));
        QVERIFY(t->open("demo:moa"));
    }

    void interventionsChangeTheModel() {
        const QString question = "Solve 3x + 2 = 17", change = "layers.*.router.temperature*=100";
        const QString plain = written(question, {}), altered = written(question, {"--set", change});
        QVERIFY(plain != altered);
        t->type(question);
        QVERIFY(t->waitIdle());
        QCOMPARE(t->controller().conversation().messages.last().text, plain);
        const ChangesPanel& panel = *t->window().chat()->changes();
        QVERIFY(!panel.isVisible());
        t->press(Qt::Key_I, Qt::ControlModifier);
        QTRY_VERIFY(panel.isVisible());
        add("layers.*.router.temperature", "is multiplied by", "100");
        QVERIFY2(panel.problem().isEmpty(), qPrintable(panel.problem()));
        QCOMPARE(t->controller().changes(), QStringList{change});
        QCOMPARE(panel.findChild<QListWidget*>("changes")->item(0)->text(), change);
        auto* chip = t->window().findChild<QToolButton*>("altered_chip");
        QVERIFY(chip->isVisible() && chip->toolTip().contains(change));

        // What is there is read again by the altered model, and every view says so.
        t->window().showLens(2);
        QVERIFY(t->waitFrames());
        QTRY_VERIFY(t->window().currentLens()->measuredText().contains(change));
        QVERIFY(t->window().currentLens()->measuredText().contains("recomputed"));
        QVERIFY(t->window().currentLens()->figureSpec().title.contains("altered: " + change));
        QVERIFY(t->window().currentLens()->figureSpec().provenance.contains("altered: " + change));
        const int temperature = t->window().lensData()->observable("layers.0.router.temperature");
        const float now = t->window().lensData()->parameter(temperature)[0];
        t->controller().newChat();
        t->type(question);
        QVERIFY(t->waitIdle());
        QCOMPARE(t->controller().conversation().messages.last().text, altered);
        QCOMPARE(t->controller().conversation().messages.last().stats.changes, change);
        QVERIFY(t->transcript().document().turns()[1].stats.contains("altered"));

        // What makes no sense is said where it was asked for, and changes nothing.
        add("layers.*.router.nonsense", "is set to", "1");
        QVERIFY(panel.problem().contains("nonsense"));
        QCOMPARE(t->controller().changes(), QStringList{change});

        // The way back is whole.
        QTest::mouseClick(panel.findChild<QPushButton*>("change_reset"), Qt::LeftButton);
        QCOMPARE(t->controller().changes(), QStringList{});
        QVERIFY(!chip->isVisible());
        QVERIFY(std::abs(t->window().lensData()->parameter(temperature)[0] * 100 - now) < 1e-4F * now);
        QVERIFY(t->waitIdle());
        t->type("47 + 38");
        QVERIFY(t->waitIdle());
        t->controller().newChat();
        t->type(question);
        QVERIFY(t->waitIdle());
        QCOMPARE(t->controller().conversation().messages.last().text, plain);
    }

    void knobsOpenTheModelAnew() {
        const QString question = "Solve 3x + 2 = 17", knob = "knob.score_scale=one";
        t->type(question);
        QVERIFY(t->waitIdle());
        const Conversation before = t->controller().conversation();
        const auto* opened = t->controller().opened().get();
        add("knob.score_scale", "is set to", "perhaps"); // said where it was asked for
        QTRY_VERIFY(t->window().chat()->changes()->problem().contains("inv_sqrt_d"));
        QVERIFY(t->waitIdle() && t->controller().opened().get() == opened);
        add("knob.score_scale", "is set to", "one");
        QTRY_VERIFY_WITH_TIMEOUT(t->controller().opened().get() != opened && t->waitIdle(), 30000);
        QCOMPARE(t->controller().changes(), QStringList{knob});
        QCOMPARE(t->controller().opened()->model->info().settings.at("knob.score_scale"), std::string("one"));
        QCOMPARE(t->controller().conversation().messages, before.messages);
        QTRY_COMPARE(t->transcript().document().turns().size(), 2);
        t->controller().newChat();
        t->type(question);
        QVERIFY(t->waitIdle());
        QCOMPARE(t->controller().conversation().messages.last().text, written(question, {"--set", knob}));
        QTest::mouseClick(t->window().chat()->changes()->findChild<QPushButton*>("change_reset"),
                          Qt::LeftButton);
        QTRY_VERIFY_WITH_TIMEOUT(t->controller().changes().isEmpty() && t->waitIdle(), 30000);
    }

    void recipesKeepThem() {
        t->controller().setChanges({"layers.0.router.keep[1]=0", "layers.*.router.topk=1"});
        sampling().findChild<QDoubleSpinBox*>("temperature")->setValue(0.5);
        QVERIFY(t->waitIdle());
        const QString path = t->path("recipe.json");
        auto& panel = *t->window().chat()->changes();
        chooseFile(panel.findChild<QPushButton*>("recipe_save"), path);
        QTRY_VERIFY(QFile::exists(path));
        t->controller().setChanges({});
        sampling().setParams({});
        chooseFile(panel.findChild<QPushButton*>("recipe_open"), path);
        QTRY_COMPARE(t->controller().changes(),
                     (QStringList{"layers.0.router.keep[1]=0", "layers.*.router.topk=1"}));
        QCOMPARE(sampling().params().temperature, 0.5);
        QVERIFY(t->waitIdle());
        auto* list = panel.findChild<QListWidget*>("changes");
        list->setFocus();
        list->setCurrentRow(0);
        QTest::keyClick(list, Qt::Key_Delete);
        QCOMPARE(t->controller().changes(), QStringList{"layers.*.router.topk=1"});
    }

    void theSizeIsRemembered() {
        t->press(Qt::Key_Comma, Qt::ControlModifier);
        QWidget* dialog = t->dialog("settings_dialog");
        QVERIFY(dialog);
        auto* scale = dialog->findChild<QComboBox*>("scale");
        QCOMPARE(scale->currentData().toInt(), 100);
        scale->setCurrentIndex(scale->findData(150));
        dialog->close();
        QSettings file(t->path("window.ini"), QSettings::IniFormat);
        QTRY_VERIFY((file.sync(), file.value("look/scale").toInt() == 150));
    }

  private:
    SamplingPanel& sampling() { return *t->window().chat()->sampling(); }
    void maxTokens(int most) { sampling().findChild<QSpinBox*>("max_tokens")->setValue(most); }

    /// Adds a change by the keyboard.
    void add(const QString& name, const QString& how, const QString& value) {
        ChangesPanel& panel = *t->window().chat()->changes();
        t->composer().showChanges(true);
        auto* field = panel.findChild<QComboBox*>("change_name");
        field->setFocus();
        field->lineEdit()->selectAll();
        QTest::keyClicks(field->lineEdit(), name);
        panel.findChild<QComboBox*>("change_how")->setCurrentText(how);
        auto* number = panel.findChild<QLineEdit*>("change_value");
        number->setFocus();
        number->selectAll();
        QTest::keyClicks(number, value);
        QTest::keyClick(number, Qt::Key_Return);
    }

    void chooseFile(QPushButton* button, const QString& path) {
        QTest::mouseClick(button, Qt::LeftButton);
        QFileDialog* dialog = nullptr;
        QTRY_VERIFY((dialog = t->window().findChild<QFileDialog*>("recipe_dialog")) && dialog->isVisible());
        dialog->selectFile(path);
        QTest::keyClick(dialog->findChild<QLineEdit*>(), Qt::Key_Return);
        QTRY_VERIFY(!t->window().findChild<QFileDialog*>("recipe_dialog"));
        WindowUnderTest::application().probe().reset(); // of Qt's file dialog, not of ours
    }

    std::unique_ptr<WindowUnderTest> t;
};

int main(int argc, char** argv) {
    QStandardPaths::setTestModeEnabled(true);
    Application application(argc, argv);
    applyTheme(application, ThemeChoice::light);
    TestChanges test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_changes.moc"
