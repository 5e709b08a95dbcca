// SPDX-License-Identifier: GPL-3.0-or-later
// A checkpoint of very many tensors in the model card: nothing that a person does there holds the window up.
#include "app/library/model_card.h"
#include "app/library/tensor_panel.h"
#include "app/window/application.h"
#include "app/window/theme.h"
#include "tests/app/support_window.h"

#include <QFile>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QStandardPaths>
#include <QTabWidget>
#include <QTemporaryDir>
#include <QTest>
#include <QTreeView>
#include <QtEndian>

using namespace ergosphere;

class TestTensors : public QObject {
    Q_OBJECT

  private slots:
    void manyTensorsHoldNothingUp() {
        // 100,000 tensors of one number each, all in one group; no model, but its tensors can be looked at.
        constexpr int count = 100000;
        QTemporaryDir folder;
        QByteArray header = "{";
        for (int i = 0; i < count; ++i) {
            header += QString("%1\"experts.%2.w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%3,%4]}")
                          .arg(i ? "," : "")
                          .arg(i)
                          .arg(4 * i)
                          .arg(4 * i + 4)
                          .toUtf8();
        }
        header += "}";
        header = header.leftJustified((header.size() + 7) / 8 * 8, ' ');
        QFile file(folder.filePath("many.safetensors"));
        QVERIFY(file.open(QIODevice::WriteOnly));
        const qint64 size = qToLittleEndian(qint64(header.size()));
        file.write(reinterpret_cast<const char*>(&size), 8);
        file.write(header);
        QVERIFY(file.resize(8 + header.size() + 4 * count));
        file.close();

        auto& probe = static_cast<Application*>(qApp)->probe();
        auto card = std::make_unique<ModelCard>(file.fileName(), nullptr);
        card->setAttribute(Qt::WA_DeleteOnClose, false);
        QSignalSpy ready(card.get(), &ModelCard::ready);
        card->show();
        probe.reset();
        QVERIFY(ready.wait(60000));
        card->findChild<QTabWidget*>("card_tabs")->setCurrentWidget(card->tensors());
        QTest::qWait(100);
        TensorModel& model = *card->tensors()->model();
        QCOMPARE(model.shownTensors(), count);
        QCOMPARE(model.rowCount(), 1);
        QTreeView* view = card->tensors()->view();
        const QModelIndex experts = model.index(0, 0); // opened, as it is alone
        QVERIFY(view->isExpanded(experts));
        QCOMPARE(model.rowCount(experts), 100);
        QCOMPARE(model.index(1, 0, experts).data().toString(), QString("1000 %1 1999").arg(QChar(0x2026)));
        view->expand(model.index(1, 0, experts));
        QTest::qWait(50);
        QVERIFY(!card->findChild<QPushButton*>("measure_all")->isEnabled());
        auto* filter = card->findChild<QLineEdit*>("tensor_filter");
        filter->setFocus();
        QTest::keyClicks(filter, "99.w"); // faster than it filters
        QTRY_COMPARE_WITH_TIMEOUT(model.shownTensors(), 1000, 20000);
        QVERIFY(card->findChild<QPushButton*>("measure_all")->isEnabled());
        filter->setText("experts.31415.w");
        QTRY_COMPARE_WITH_TIMEOUT(model.shownTensors(), 1, 20000);
        const int tensor = model.tensorsBelow({}).front();
        QTRY_VERIFY(view->visualRect(model.indexOf(tensor)).isValid()); // opened down to it
        QTest::mouseClick(view->viewport(), Qt::LeftButton, {},
                          view->visualRect(model.indexOf(tensor)).center());
        QTRY_VERIFY_WITH_TIMEOUT(model.stats(tensor), 20000);
        filter->setText({});
        QCOMPARE(model.shownTensors(), count);
        QTest::qWait(50);
        card.reset();
        QTest::qWait(50);
        qInfo().noquote() << probe.report();
        QVERIFY2(probe.worstCpuMs() < handler_ms, qPrintable(probe.report()));
    }
};

int main(int argc, char** argv) {
    QStandardPaths::setTestModeEnabled(true);
    Application application(argc, argv);
    applyTheme(application, ThemeChoice::light);
    TestTensors test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_tensors.moc"
