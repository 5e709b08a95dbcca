// SPDX-License-Identifier: GPL-3.0-or-later
// The conversation's parts by themselves: the store, the layout of tokens, prompts, the composer.
#include "app/chat/chat_archive.h"
#include "app/chat/chat_store.h"
#include "app/chat/composer.h"
#include "app/chat/sampling_panel.h"
#include "app/chat/turn_layout.h"
#include "engine/base/error.h"

#include <QPaintEvent>
#include <QSignalSpy>
#include <QSqlDatabase>
#include <QSqlQuery>
#include <QTemporaryDir>
#include <QTest>

using namespace ergosphere;

namespace {

TranscriptTurn turnOf(const QStringList& texts, qint64 first = 0) {
    TranscriptTurn turn;
    for (const QString& text : texts) {
        TranscriptToken token;
        token.id = std::int32_t(turn.tokens.size());
        token.position = first++;
        token.text = text;
        token.piece = visiblePiece(text.toStdString());
        turn.tokens.append(token);
    }
    return turn;
}

TurnLayout::Style styleOf(qreal width, bool pieces) {
    TurnLayout::Style style;
    style.width = width;
    style.pieces = pieces;
    return style;
}

Conversation conversation() {
    Conversation c;
    c.title = QString::fromUtf8("Größe 学 \"'; DROP TABLE conversations");
    c.model_source = "demo:moa";
    c.model_name = "moa";
    c.system = "Be exact.";
    ReplyStats stats;
    stats.tokens = 3;
    stats.seconds = 0.125;
    stats.first_token_seconds = 0.5;
    stats.prompt_tokens = 9;
    stats.stop = "stop_token";
    stats.temperature = 0.7;
    stats.seed = std::numeric_limits<quint64>::max();
    c.messages = {{ergo::Role::user, "line one\nline two", {}, {}},
                  {ergo::Role::assistant, "x = 5", {7, -1, 1 << 30}, stats}};
    return c;
}

} // namespace

class TestChat : public QObject {
    Q_OBJECT

  private slots:
    void storeKeepsEverything() {
        QTemporaryDir folder;
        const QString file = folder.filePath("deep/chats.sqlite");
        Conversation c = conversation();
        {
            ChatStore store(file);
            QVERIFY(store.list().isEmpty());
            c.id = store.save(c);
            QVERIFY(c.id > 0);
            c.messages.push_back({ergo::Role::user, "", {}, {}});
            QCOMPARE(store.save(c), c.id);
        }
        ChatStore store(file);
        QCOMPARE(store.list().size(), 1);
        const std::optional<Conversation> read = store.load(c.id);
        QVERIFY(read.has_value());
        QCOMPARE(read->title, c.title);
        QCOMPARE(read->system, c.system);
        QCOMPARE(read->model_source, c.model_source);
        QCOMPARE(read->messages, c.messages);
        QVERIFY(!store.load(c.id + 1).has_value());
        store.remove(c.id);
        QVERIFY(store.list().isEmpty() && !store.load(c.id));
        store.restore(c.id);
        QCOMPARE(store.list().size(), 1);
        store.remove(c.id);
        store.purge();
        store.restore(c.id);
        QVERIFY(store.list().isEmpty());
    }

    void newerStoreIsRefused() {
        QTemporaryDir folder;
        const QString file = folder.filePath("chats.sqlite");
        qint64 id = 0;
        {
            ChatStore store(file);
            id = store.save(conversation());
        }
        const auto set_version = [&](int version) {
            {
                QSqlDatabase database = QSqlDatabase::addDatabase("QSQLITE", "test");
                database.setDatabaseName(file);
                QVERIFY(database.open());
                QSqlQuery query(database);
                QVERIFY(query.exec(QString("PRAGMA user_version = %1").arg(version)));
            }
            QSqlDatabase::removeDatabase("test");
        };
        set_version(ChatStore::version + 1);
        try {
            ChatStore store(file);
            QFAIL("a newer store was opened");
        } catch (const ergo::Error& error) {
            QCOMPARE(error.kind(), ergo::ErrorKind::unsupported);
            QVERIFY(error.message().find("newer") != std::string::npos);
        }
        set_version(ChatStore::version);
        QVERIFY(ChatStore(file).load(id).has_value()); // left untouched
    }

    void storeSaysWhatIsWrong() {
        QTemporaryDir folder;
        QFile garbage(folder.filePath("chats.sqlite"));
        QVERIFY(garbage.open(QIODevice::WriteOnly));
        garbage.write(QByteArray(4096, 'x'));
        garbage.close();
        QVERIFY_EXCEPTION_THROWN(ChatStore(garbage.fileName()), ergo::Error);
        QVERIFY_EXCEPTION_THROWN(ChatStore("/proc/nowhere/chats.sqlite"), ergo::Error);
    }

    void archiveWritesBeforeItEnds() {
        QTemporaryDir folder;
        const QString file = folder.filePath("chats.sqlite");
        {
            ChatArchive archive(file);
            QSignalSpy saved(&archive, &ChatArchive::saved);
            archive.start();
            archive.save(conversation(), 1);
            archive.save(conversation(), 1); // the same conversation, before its id is known
            archive.save(conversation(), 2);
            QTRY_COMPARE(saved.size(), 3);
            QCOMPARE(saved[0][1].toLongLong(), saved[1][1].toLongLong());
            archive.save(conversation(), 3);
        }
        QCOMPARE(ChatStore(file).list().size(), 3);
    }

    void pieces_data() {
        QTest::addColumn<QByteArray>("bytes");
        QTest::addColumn<QString>("piece");
        QTest::newRow("space") << QByteArray(" cat") << QString::fromUtf8("·cat");
        QTest::newRow("newline") << QByteArray("\n") << QString::fromUtf8("↵");
        QTest::newRow("tab") << QByteArray("\t") << QString::fromUtf8("⇥");
        QTest::newRow("byte") << QByteArray("\xE2\x82") << QString::fromUtf8("‹E2›‹82›");
        QTest::newRow("control") << QByteArray("\x01") << QString::fromUtf8("‹01›");
        QTest::newRow("emoji") << QByteArray("\xF0\x9F\x98\x80") << QString::fromUtf8("😀");
    }
    void pieces() {
        QFETCH(QByteArray, bytes);
        QTEST(visiblePiece(bytes.toStdString()), "piece");
    }

    void layoutGivesEveryTokenAPlace_data() {
        QTest::addColumn<bool>("by_pieces");
        QTest::newRow("text") << false;
        QTest::newRow("tokens") << true;
    }
    void layoutGivesEveryTokenAPlace() {
        QFETCH(bool, by_pieces);
        const TranscriptTurn turn =
            turnOf({"The", " quick", " brown", " fox", "\n", " jumps", ".\n\n", "over", " the",
                    QString(120, 'a'), " lazy", QString::fromUtf8(" 学习"), "", " dog", "\n"});
        const auto style = styleOf(180, by_pieces);
        TurnLayout layout;
        layout.layout(turn, style);
        qreal top = 0;
        for (const auto& fragment : layout.fragments()) {
            QVERIFY(fragment.rect.top() >= top);
            top = fragment.rect.top();
            QVERIFY2(fragment.rect.left() >= 0 && fragment.rect.right() <= style.width + 12,
                     qPrintable(QString("%1: %2").arg(fragment.token).arg(fragment.rect.right())));
            QVERIFY(fragment.rect.bottom() <= layout.height());
        }
        for (int token = 0; token < turn.tokens.size(); ++token) {
            const QRectF rect = layout.boundsOf(token);
            QVERIFY2(rect.width() > 0 && rect.height() > 0, qPrintable(QString::number(token)));
        }
        QCOMPARE(layout.tokenAt(layout.boundsOf(3).center()), 3);
        QVERIFY(layout.boundsOf(5).top() > layout.boundsOf(4).top()); // after a newline
        QCOMPARE(layout.tokenAt({-5, -5}), -1);
    }

    void growingTextIsLaidOutLikeAWhole_data() { layoutGivesEveryTokenAPlace_data(); }
    void growingTextIsLaidOutLikeAWhole() {
        QFETCH(bool, by_pieces);
        const QStringList texts{"a", " b", "\n", "\n", "c", ".\nd", " e", "", "\n\n", " f"};
        const auto style = styleOf(90, by_pieces);
        TurnLayout growing;
        growing.layout(turnOf({}), style);
        for (int n = 1; n <= texts.size(); ++n) {
            const TranscriptTurn turn = turnOf(texts.mid(0, n));
            growing.extend(turn, n - 1);
            TurnLayout whole;
            whole.layout(turn, style);
            QCOMPARE(growing.height(), whole.height());
            QCOMPARE(growing.fragments().size(), whole.fragments().size());
            for (std::size_t i = 0; i < whole.fragments().size(); ++i) {
                QCOMPARE(growing.fragments()[i].token, whole.fragments()[i].token);
                QCOMPARE(growing.fragments()[i].rect, whole.fragments()[i].rect);
            }
        }
    }

    void longRepliesStayCheap() {
        QStringList texts;
        for (int i = 0; i < 4000; ++i) {
            texts << (i % 12 == 11 ? "\n" : " token");
        }
        TranscriptTurn turn = turnOf(texts);
        TurnLayout layout;
        layout.layout(turn, styleOf(700, false));
        QElapsedTimer clock;
        clock.start();
        for (int i = 0; i < 200; ++i) {
            TranscriptToken token = turn.tokens.last();
            token.text = " more";
            ++token.position;
            turn.tokens.append(token);
            layout.extend(turn, int(turn.tokens.size()) - 1);
        }
        QVERIFY2(clock.elapsed() < 200 * 8, qPrintable(QString("%1 ms").arg(clock.elapsed())));
    }

    void composerSends() {
        Composer composer;
        composer.resize(500, 90);
        composer.show();
        QVERIFY(QTest::qWaitForWindowExposed(&composer));
        QSignalSpy sent(&composer, &Composer::sendRequested), stopped(&composer, &Composer::stopRequested);
        QTest::keyClicks(composer.field(), "too early");
        QTest::keyClick(composer.field(), Qt::Key_Return);
        QCOMPARE(sent.size(), 0);
        QCOMPARE(composer.text(), QString("too early"));
        composer.setState(Composer::State::ready);
        composer.setText({});
        QTest::keyClick(composer.field(), Qt::Key_Return);
        QCOMPARE(sent.size(), 0); // nothing to send
        const int one_line = composer.field()->height();
        QTest::keyClicks(composer.field(), "one");
        QTest::keyClick(composer.field(), Qt::Key_Return, Qt::ShiftModifier);
        QTest::keyClicks(composer.field(), "two");
        QVERIFY(composer.field()->height() > one_line);
        QTest::keyClick(composer.field(), Qt::Key_Enter);
        QCOMPARE(sent.takeFirst().first().toString(), QString("one\ntwo"));
        QVERIFY(composer.text().isEmpty());
        composer.setState(Composer::State::writing);
        QTest::keyClick(composer.field(), Qt::Key_Escape);
        QCOMPARE(stopped.size(), 1);
    }

    void composerRepaintsItsHint() {
        struct Paints : QObject {
            bool whole = false;
            QRect area;
            bool eventFilter(QObject*, QEvent* event) override {
                if (event->type() == QEvent::Paint) {
                    whole = whole || static_cast<QPaintEvent*>(event)->rect() == area;
                }
                return false;
            }
        } paints;
        Composer composer;
        composer.resize(500, 90);
        composer.show();
        QVERIFY(QTest::qWaitForWindowExposed(&composer));
        composer.setState(Composer::State::writing);
        QTest::qWait(50); // what was due is painted
        paints.area = composer.field()->viewport()->rect();
        composer.field()->viewport()->installEventFilter(&paints);
        composer.setState(Composer::State::ready);
        QTRY_VERIFY(paints.whole); // a blinking cursor repaints less than the whole
    }

    void samplingIsWhatIsShown() {
        SamplingPanel panel;
        panel.setModel("moa", {});
        QCOMPARE(panel.params().temperature, 0.0);
        QCOMPARE(panel.summary(), QString("Greedy"));
        ergo::SamplingParams params;
        params.temperature = 0.75;
        params.top_p = 0.9;
        params.top_k = 40;
        params.min_p = 0.05;
        params.repeat_penalty = 1.1;
        params.seed = 1234567890123456789ULL;
        panel.setParams(params);
        const ergo::SamplingParams got = panel.params();
        QCOMPARE(got.temperature, params.temperature);
        QCOMPARE(got.top_p, params.top_p);
        QCOMPARE(got.top_k, params.top_k);
        QCOMPARE(got.min_p, params.min_p);
        QCOMPARE(got.repeat_penalty, params.repeat_penalty);
        QCOMPARE(got.seed, params.seed);
        QVERIFY(panel.summary().contains("top-k 40"));
    }

    void statsAreReadable() {
        ReplyStats stats;
        stats.tokens = 17;
        stats.seconds = 0.5;
        stats.first_token_seconds = 0.0384;
        stats.stop = "stop_token";
        QCOMPARE(statsLine(stats),
                 QString::fromUtf8("34.0 tokens/s · first token 38 ms · 17 tokens · ended by itself"));
    }
};

QTEST_MAIN(TestChat)
#include "test_chat.moc"
