// SPDX-License-Identifier: GPL-3.0-or-later
// Replays the fuzzers' corpora: every file that once was interesting, through every parser, in every test run
// (under the sanitizers too). A crash ends the program, a hang is a failure.
#include "tests/fuzz/support_targets.h"

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QTest>

class TestCorpus : public QObject {
    Q_OBJECT

  private slots:
    void replays_data() {
        QTest::addColumn<int>("target");
        int target = 0;
        for (const auto& t : ergo::fuzz::targets()) {
            QTest::newRow(t.name) << target++;
        }
    }

    void replays() {
        QFETCH(int, target);
        const auto& chosen = ergo::fuzz::targets()[std::size_t(target)];
        const QDir corpora(ERGO_SOURCE_DIR "/tests/fuzz/corpus");
        const QStringList folders = corpora.entryList(QDir::Dirs | QDir::NoDotAndDotDot);
        QVERIFY2(folders.contains(chosen.name), "every target has a corpus");
        for (const QString& folder : folders) { // other parsers' files are good noise
            const QDir files(corpora.filePath(folder));
            const QStringList names = files.entryList(QDir::Files);
            QVERIFY2(names.size() >= 4, qPrintable(folder));
            for (const QString& name : names) {
                QFile file(files.filePath(name));
                QVERIFY(file.open(QIODevice::ReadOnly));
                const QByteArray bytes = file.readAll();
                QElapsedTimer timer;
                timer.start();
                chosen.run(std::as_bytes(std::span(bytes.constData(), std::size_t(bytes.size()))));
                QVERIFY2(timer.elapsed() < 5000, qPrintable(folder + "/" + name));
            }
        }
    }
};

QTEST_GUILESS_MAIN(TestCorpus)
#include "test_corpus.moc"
