// SPDX-License-Identifier: GPL-3.0-or-later
// Parts dropped on the window and on a model card: what is said before the drop, what the card then offers,
// and what stays with the model. Real drop events. With ERGO_PICTURES=FOLDER the window is painted there in
// both themes.
#include "app/library/drop_overlay.h"
#include "app/library/library_panel.h"
#include "app/library/model_card.h"
#include "app/window/theme.h"
#include "app/window/top_bar.h"
#include "engine/checkpoint/torch_writer.h"
#include "tests/app/support_window.h"
#include "tests/generate/support_gguf_model.h"

#include <QDragEnterEvent>
#include <QFile>
#include <QMimeData>
#include <QPushButton>
#include <QStandardPaths>
#include <QUrl>

using namespace ergosphere;
using namespace gguf_test;

namespace {

namespace fs = std::filesystem;

DType all_f32(const Named&) {
    return DType::f32;
}

} // namespace

class TestAttach : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        t = std::make_unique<WindowUnderTest>();
        // A model of Qwen2's shape without a tokenizer, and parts elsewhere.
        model = t->path("quasar");
        parts = t->path("parts");
        const fs::path parts_folder = parts.toStdString();
        fs::create_directories(parts_folder);
        write_twins(t->path("gguf").toStdString(), model.toStdString(), all_f32);
        fs::rename(fs::path(model.toStdString()) / "tokenizer.json", parts_folder / "tokenizer.json");
        const Sizes sizes;
        for (const auto& [name, heads] :
             {std::pair("gravity_mass_log.pt", sizes.heads), {"mass_of_few.pt", sizes.heads - 1}}) {
            std::vector<std::pair<std::string, Tensor>> masses;
            for (std::int64_t l = 0; l < sizes.layers; ++l) {
                masses.emplace_back(
                    "layers." + std::to_string(l) + ".gravity_mass_log",
                    Tensor::from_floats({heads}, std::vector<float>(std::size_t(heads), 1.0F)));
            }
            ergo::write_torch_file(parts_folder / name, masses);
        }
    }
    void cleanupTestCase() { t.reset(); }

    void withoutAModelADropOpens() {
        QCOMPARE(dragged(&t->window(), parts + "/tokenizer.json"), QString("Drop to open"));
    }

    void aTokenizerIsOfferedToTheOpenModel() {
        QVERIFY(t->open(model));
        QCOMPARE(t->composer().state(), Composer::State::unavailable); // no tokenizer
        QCOMPARE(dragged(&t->window(), model), QString("Drop to open"));
        QCOMPARE(dragged(&t->window(), parts + "/tokenizer.json"), QString("Use this tokenizer with quasar"));
        picture("drag");
        GuiProbe& probe = WindowUnderTest::application().probe();
        probe.reset();
        drop(&t->window(), parts + "/tokenizer.json");
        ModelCard* card = waitForCard();
        QVERIFY(card);
        QVERIFY2(card->reportText().contains("tokenizer tokenizer.json from " + parts),
                 qPrintable(card->reportText()));
        picture("card");
        QVERIFY(!t->controller().opened()->tokenizer); // nothing yet
        QTest::mouseClick(card->findChild<QPushButton*>("load"), Qt::LeftButton);
        QTRY_VERIFY_WITH_TIMEOUT(t->controller().opened()->tokenizer, 30000);
        QVERIFY(t->waitIdle());
        QCOMPARE(t->controller().openModels().size(), std::size_t(1)); // in the other's place
        QTRY_COMPARE(t->composer().state(), Composer::State::ready);
        QVERIFY2(probe.worstCpuMs() < handler_ms, qPrintable(probe.report()));
    }

    void massesJoinOnTheCard() {
        ModelCard* card = cardOfTheOpen();
        QVERIFY(card);
        QVERIFY(card->reportText().contains("tokenizer tokenizer.json from"));
        QVERIFY(card->reportText().contains("no mass file was found beside it"));
        QCOMPARE(dragged(card, parts + "/gravity_mass_log.pt"), QString("Use these masses with quasar"));
        picture("card-drag", card);
        drop(card, parts + "/gravity_mass_log.pt");
        card = waitForCard();
        QVERIFY(card);
        QVERIFY2(card->reportText().contains("gravity masses gravity_mass_log.pt from " + parts) &&
                     card->reportText().contains("tokenizer tokenizer.json from"),
                 qPrintable(card->reportText()));
        QTest::mouseClick(card->findChild<QPushButton*>("load"), Qt::LeftButton);
        QTRY_COMPARE_WITH_TIMEOUT(t->controller().opened()->model->info().family, std::string("gravity"),
                                  30000);
        QVERIFY(t->controller().opened()->tokenizer);
        QVERIFY(t->waitIdle());
    }

    void whatDoesNotFitIsSaidInOneSentence() {
        drop(&t->window(), parts + "/mass_of_few.pt");
        ModelCard* card = waitForCard("report");
        QVERIFY(card);
        QVERIFY(!card->findChild<QPushButton*>("load") && !card->findChild<QPushButton*>("load_anyway"));
        QVERIFY2(card->reportText().contains("G-MASS: mass_of_few.pt: ") &&
                     card->reportText().contains("4 query heads"),
                 qPrintable(card->reportText()));
        picture("misfit");
        card->reject();
        QTest::qWait(50);
        QCOMPARE(t->controller().opened()->model->info().family, std::string("gravity")); // as it was
    }

    void whatIsAttachedStaysWithTheModel() {
        t->controller().closeModel(model);
        QTRY_VERIFY(!t->controller().opened());
        emit t->window().library()->modelChosen(model);
        QTRY_VERIFY_WITH_TIMEOUT(t->controller().opened(), 30000);
        QCOMPARE(t->controller().opened()->model->info().family, std::string("gravity"));
        QVERIFY(t->waitIdle());
        // And can be taken away again.
        ModelCard* card = cardOfTheOpen();
        QVERIFY(card);
        QTest::mouseClick(card->findChild<QPushButton*>("without_parts"), Qt::LeftButton);
        card = waitForCard();
        QVERIFY(card);
        QVERIFY(!card->findChild<QPushButton*>("without_parts"));
        QTest::mouseClick(card->findChild<QPushButton*>("load"), Qt::LeftButton);
        QTRY_COMPARE_WITH_TIMEOUT(t->controller().opened()->model->info().family, std::string("qwen2"),
                                  30000);
        QVERIFY(!t->controller().opened()->tokenizer);
        QVERIFY(t->waitIdle());
    }

    void aPartThatIsGoneIsSaidAndForgotten() {
        QVERIFY(QFile::copy(parts + "/tokenizer.json", t->path("vocab-gone.json")));
        const QString gone = t->path("tokenizer.json");
        QVERIFY(QFile::rename(t->path("vocab-gone.json"), gone));
        drop(&t->window(), gone);
        ModelCard* card = waitForCard();
        QVERIFY(card);
        QTest::mouseClick(card->findChild<QPushButton*>("load"), Qt::LeftButton);
        QTRY_VERIFY_WITH_TIMEOUT(t->controller().opened()->tokenizer, 30000);
        QVERIFY(t->waitIdle());
        t->controller().closeModel(model);
        QVERIFY(QFile::remove(gone));
        emit t->window().library()->modelChosen(model);
        card = qobject_cast<ModelCard*>(t->dialog("model_card"));
        QVERIFY(card);
        QVERIFY2(card->reportText().contains("no such file to attach"), qPrintable(card->reportText()));
        card->reject();
        QTest::qWait(50);
        QVERIFY(t->open(model));
        QVERIFY(!t->controller().opened()->tokenizer);
    }

  private:
    /// Drags a file or folder over a widget: what the overlay says would happen; "" when it is not taken. It
    /// is taken away again.
    QString dragged(QWidget* over, const QString& path) {
        QMimeData mime;
        mime.setUrls({QUrl::fromLocalFile(path)});
        QDragEnterEvent enter(over->rect().center(), Qt::CopyAction, &mime, Qt::LeftButton, {});
        QApplication::sendEvent(over, &enter);
        auto* overlay = over->findChild<DropOverlay*>("drop_overlay", Qt::FindDirectChildrenOnly);
        const QString said = enter.isAccepted() && overlay->isVisible() ? overlay->action() : QString();
        return said;
    }

    void drop(QWidget* on, const QString& path) {
        QVERIFY(!dragged(on, path).isEmpty());
        QMimeData mime;
        mime.setUrls({QUrl::fromLocalFile(path)});
        QDropEvent dropped(on->rect().center(), Qt::CopyAction, &mime, Qt::LeftButton, {});
        QApplication::sendEvent(on, &dropped);
        QVERIFY(dropped.isAccepted());
    }

    /// A card that has the button or box of this name.
    ModelCard* waitForCard(const char* name = "load") {
        ModelCard* found = nullptr;
        (void)QTest::qWaitFor(
            [&] {
                for (auto* card : t->window().findChildren<ModelCard*>()) {
                    if (card->isVisible() && card->findChild<QWidget*>(name)) {
                        found = card;
                    }
                }
                return found != nullptr;
            },
            20000);
        QTest::qWait(300); // its other pages
        return found;
    }

    ModelCard* cardOfTheOpen() {
        emit t->window().topBar()->cardRequested();
        return waitForCard();
    }

    void picture(const QString& name, QWidget* of = nullptr) {
        const QString folder = qEnvironmentVariable("ERGO_PICTURES");
        if (folder.isEmpty()) {
            return;
        }
        for (const auto& [theme, word] :
             {std::pair(ThemeChoice::light, "light"), {ThemeChoice::dark, "dark"}}) {
            applyTheme(WindowUnderTest::application(), theme);
            QTest::qWait(200);
            QVERIFY(t->window().grab().save(folder + "/" + name + "-" + word + ".png"));
            for (auto* card : t->window().findChildren<ModelCard*>()) {
                if (card->isVisible() || card == of) {
                    QVERIFY(card->grab().save(folder + "/" + name + "-dialog-" + word + ".png"));
                }
            }
        }
        applyTheme(WindowUnderTest::application(), ThemeChoice::light);
    }

    std::unique_ptr<WindowUnderTest> t;
    QString model, parts;
};

int main(int argc, char** argv) {
    QStandardPaths::setTestModeEnabled(true);
    Application application(argc, argv);
    applyTheme(application, ThemeChoice::light);
    TestAttach test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_attach.moc"
