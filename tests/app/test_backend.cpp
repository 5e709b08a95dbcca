// SPDX-License-Identifier: GPL-3.0-or-later
// Backends in the window: the chip says what runs the model and why, a switch takes effect while a reply is
// written, a device that fails is told in a banner, the diagnostics page times every operation.
#include "app/library/library_panel.h"
#include "app/library/model_card.h"
#include "app/window/backend_popup.h"
#include "app/window/developer_dialog.h"
#include "app/window/message_bar.h"
#include "app/window/theme.h"
#include "app/window/top_bar.h"
#include "tests/app/support_window.h"

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QRadioButton>
#include <QSignalSpy>
#include <QStandardPaths>
#include <QTableWidget>
#include <QToolButton>

using namespace ergosphere;

namespace {

QString softwareBackend() {
    const std::vector<ergo::DeviceInfo> devices = ergo::all_devices(); // the CPU first
    for (std::size_t i = 1; i < devices.size(); ++i) {
        if (devices[i].software) {
            return QString("vulkan:%1").arg(i - 1);
        }
    }
    return {};
}

} // namespace

class BackendTest : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        t_ = std::make_unique<WindowUnderTest>();
        QVERIFY(t_->open("demo:moa"));
        t_->type("Solve 3x + 2 = 17");
        QVERIFY(t_->waitIdle());
        reply_ = t_->transcript().document().text(1);
        QVERIFY(!reply_.isEmpty());
    }

    void chipSaysWhatAndWhy() {
        auto* chip = t_->window().findChild<QToolButton*>("backend_chip");
        const bool cpu = t_->controller().opened()->choice.backend == "cpu";
        QVERIFY(chip->text().startsWith(cpu ? "CPU" : "Vulkan"));
        const QString reason = choiceText(t_->controller().opened()->choice);
        QVERIFY(chip->toolTip().endsWith(reason));
        QTest::mouseClick(chip, Qt::LeftButton);
        QWidget* popup = t_->dialog("backend_popup");
        QVERIFY(popup);
        QTRY_VERIFY(popup->findChild<QRadioButton*>("backend_auto"));
        const auto& opened = t_->controller().opened();
        const QString asked = QString::fromStdString(opened->options.backend);
        for (const QRadioButton* button : popup->findChildren<QRadioButton*>()) {
            QCOMPARE(button->isChecked(), button->objectName() == "backend_" + asked);
        }
        QVERIFY(popup->findChild<QRadioButton*>("backend_cpu"));
        bool why = false;
        for (const QLabel* label : popup->findChildren<QLabel*>()) {
            why = why || label->text() == reason;
        }
        QVERIFY(why);
        popup->close();
    }

    void aLongReasonIsNotCut() {
        auto opened = std::make_shared<ergo::OpenedModel>(*t_->controller().opened());
        opened->choice.reason =
            "No GPU is taken: A card (with a driver of 2026) has no room: 9.1 GB are needed "
            "for 4096 tokens, 4.0 GB can be had; llvmpipe is a software device, taken only "
            "by name.";
        auto* popup = new BackendPopup(opened, &t_->window());
        popup->showBelow(t_->window().findChild<QToolButton*>("backend_chip"));
        QTRY_VERIFY(popup->findChild<QRadioButton*>("backend_auto"));
        QCoreApplication::processEvents();
        for (const QLabel* label : popup->findChildren<QLabel*>()) {
            QVERIFY2(!label->wordWrap() || label->height() >= label->heightForWidth(label->width()),
                     qPrintable(label->text() + " is cut"));
        }
        popup->close();
    }

    void theTypesAreChosenOnTheCard() {
        const qint64 read = t_->controller().contextUsed();
        const QString source = QString::fromStdString(t_->controller().opened()->source);
        const auto card = [this] {
            emit t_->window().findChild<TopBar*>()->cardRequested();
            auto* shown = qobject_cast<ModelCard*>(t_->dialog("model_card"));
            return QTest::qWaitFor([&] { return shown && shown->findChild<QComboBox*>("run_weights"); },
                                   20000)
                       ? shown
                       : nullptr;
        };
        const auto load = [&](const QString& weights, const QString& cache) {
            ModelCard* shown = card();
            shown->findChild<QComboBox*>("run_weights")->setCurrentText(weights);
            shown->findChild<QComboBox*>("run_cache")->setCurrentText(cache);
            QTest::mouseClick(shown->findChild<QPushButton*>("load"), Qt::LeftButton);
        };
        load("q8", "bf16");
        const auto dtype = [this] { return t_->controller().opened()->memory.dtype; };
        QTRY_COMPARE_WITH_TIMEOUT(dtype(), std::string("q8"), 30000);
        QCOMPARE(t_->controller().opened()->memory.cache, std::string("bf16"));
        QVERIFY2(t_->window().lensData()->measuredOn().endsWith(
                     "f32, weights rounded to q8, keys and values rounded to bf16"),
                 qPrintable(t_->window().lensData()->measuredOn()));
        QVERIFY(t_->waitIdle());
        QCOMPARE(t_->controller().openModels().size(), std::size_t(1)); // in the other's place
        QTRY_COMPARE(t_->controller().contextUsed(), read); // and it goes on with the conversation
        QCOMPARE(t_->transcript().document().text(1), reply_);
        // Remembered for the next time, here and on the card.
        t_->controller().closeModel(source);
        QTRY_VERIFY(!t_->controller().opened());
        emit t_->window().library()->modelChosen(source);
        QTRY_VERIFY_WITH_TIMEOUT(t_->controller().opened(), 30000);
        QCOMPARE(dtype(), std::string("q8"));
        ModelCard* again = card();
        QVERIFY(again);
        QCOMPARE(again->findChild<QComboBox*>("run_weights")->currentText(), QString("q8"));
        QCOMPARE(again->findChild<QComboBox*>("run_cache")->currentText(), QString("bf16"));
        again->reject();
        QTRY_VERIFY(!t_->window().findChild<ModelCard*>());
        load("as stored", "f32");
        QTRY_COMPARE_WITH_TIMEOUT(dtype(), std::string("bf16, f32"), 30000);
        QVERIFY(t_->waitIdle());
    }

    void theCpuGoesOnWhereADeviceFails() {
        const QString vulkan = softwareBackend();
        if (vulkan.isEmpty()) {
            QSKIP("there is no software Vulkan device");
        }
        t_->controller().newChat();
        QSignalSpy moved(&t_->controller(), &ConversationController::backendChanged);
        ergo::Diagnostics diagnostics;
        diagnostics.fault = ergo::DeviceFault{ergo::DeviceFault::Kind::lost, 3};
        t_->controller().useBackend(vulkan, diagnostics);
        QVERIFY(moved.wait(30000));
        QCOMPARE(moved.takeFirst().at(1).toBool(), false);
        auto* chip = t_->window().findChild<QToolButton*>("backend_chip");
        QVERIFY(chip->text().startsWith("Vulkan"));
        t_->type("Solve 3x + 2 = 17");
        QVERIFY(t_->waitIdle());
        QCOMPARE(t_->transcript().document().text(1), reply_);
        QCOMPARE(moved.size(), 1);
        QCOMPARE(moved.takeFirst().at(1).toBool(), true);
        QVERIFY(chip->text().startsWith("CPU"));
        MessageBar* banner = t_->window().chat()->messages();
        QVERIFY(banner->isVisible() && banner->isError());
        QVERIFY2(banner->text().contains("DEVICE_LOST"), qPrintable(banner->text()));
    }

    void oneReadsAndAnotherWrites() {
        const QString vulkan = softwareBackend();
        if (vulkan.isEmpty()) {
            QSKIP("there is no software Vulkan device");
        }
        t_->controller().newChat();
        QSignalSpy moved(&t_->controller(), &ConversationController::backendChanged);
        t_->controller().useBackend(vulkan + "+cpu", {});
        QVERIFY(moved.wait(30000));
        auto* chip = t_->window().findChild<QToolButton*>("backend_chip");
        QVERIFY2(chip->text().startsWith("Vulkan + CPU"), qPrintable(chip->text()));
        QVERIFY(chip->toolTip().contains(" writes\n"));
        t_->type("Solve 3x + 2 = 17");
        QVERIFY(t_->waitIdle());
        QCOMPARE(t_->transcript().document().text(1), reply_);
        QTest::mouseClick(chip, Qt::LeftButton);
        QWidget* popup = t_->dialog("backend_popup");
        QVERIFY(popup);
        QTRY_VERIFY(popup->findChild<QRadioButton*>("backend_hybrid"));
        popup->close();
    }

    void diagnosticsTimeEveryOperation() {
        const QString vulkan = softwareBackend();
        if (vulkan.isEmpty()) {
            QSKIP("there is no software Vulkan device");
        }
        t_->controller().newChat();
        QSignalSpy moved(&t_->controller(), &ConversationController::backendChanged);
        t_->controller().useBackend(vulkan, {});
        QVERIFY(moved.wait(30000));
        t_->window().findChild<QAction*>("diagnostics")->trigger();
        auto* page = qobject_cast<DeveloperDialog*>(t_->dialog("developer_dialog"));
        QVERIFY(page);
        auto* serialise = page->findChild<QCheckBox*>("serialise");
        QVERIFY(serialise->isEnabled() && !serialise->isChecked());
        auto* matrices = page->findChild<QCheckBox*>("no_cooperative_matrix"); // the software device has none
        QVERIFY(matrices->isChecked() && !matrices->isEnabled() && !matrices->toolTip().isEmpty());
        QVERIFY(page->findChild<QCheckBox*>("no_extensions")->isEnabled());
        moved.clear();
        serialise->click();
        QVERIFY(moved.wait(30000));
        QVERIFY(t_->controller().opened()->options.diagnostics.serialise && serialise->isChecked());
        t_->type("47 + 38");
        QVERIFY(t_->waitIdle());
        auto* table = page->findChild<QTableWidget*>("op_times");
        QTRY_VERIFY(table->rowCount() > 20);
        QVERIFY(QLocale().toDouble(table->item(0, 2)->text()) > 0); // 1,234.5 on a busy machine
        page->close();
        t_->controller().useBackend("cpu", {});
        QVERIFY(moved.wait(30000));
    }

    void cleanupTestCase() { t_.reset(); }

  private:
    std::unique_ptr<WindowUnderTest> t_;
    QString reply_;
};

int main(int argc, char** argv) {
    QStandardPaths::setTestModeEnabled(true);
    Application application(argc, argv);
    applyTheme(application, ThemeChoice::light);
    BackendTest test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_backend.moc"
