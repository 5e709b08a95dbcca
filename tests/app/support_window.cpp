// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/app/support_window.h"

#include "engine/lab/synth.h"

#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>

using namespace ergosphere;

QString WindowUnderTest::slowModel() {
    const QString demo = ERGO_SOURCE_DIR "/resources/demo/moa/", folder = path("slow");
    QFile file(demo + "config.json");
    if (!file.open(QIODevice::ReadOnly)) {
        return {};
    }
    QJsonObject config = QJsonDocument::fromJson(file.readAll()).object();
    config["dim"] = 256;
    config["num_layers"] = 6;
    config["max_position_embeddings"] = 4096;
    config["max_seq_len_cached"] = 4096;
    ergo::SynthRequest request;
    request.config = QJsonDocument(config).toJson().toStdString();
    ergo::synth(request, folder.toStdString());
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
        QFile::copy(demo + name, folder + "/" + name);
    }
    return folder;
}

WindowUnderTest::WindowUnderTest() {
    preferences_ = std::make_unique<Preferences>(folder_.filePath("window.ini"));
    preferences_->setBackend("cpu");
    MainWindow::Options options;
    options.chat_file = folder_.filePath("chats.sqlite");
    window_ = std::make_unique<MainWindow>(preferences_.get(), options);
    window_->resize(1440, 900);
    window_->show();
    window_->activateWindow();
    (void)QTest::qWaitForWindowExposed(window_.get());
}

bool WindowUnderTest::open(const QString& source) {
    window_->openModel(source);
    return QTest::qWaitFor(
        [&] {
            return controller().state() == ConversationController::State::idle && controller().opened() &&
                   QString::fromStdString(controller().opened()->source) == source;
        },
        60000);
}

void WindowUnderTest::type(const QString& text) {
    QVERIFY2(waitIdle(), "the composer takes no message");
    QTest::keyClicks(composer().field(), text);
    QTest::keyClick(composer().field(), Qt::Key_Return);
}

void WindowUnderTest::press(Qt::Key key, Qt::KeyboardModifiers modifiers) {
    window_->activateWindow();
    (void)QTest::qWaitForWindowActive(window_.get());
    QTest::keyClick(window_.get(), key, modifiers);
}

bool WindowUnderTest::waitIdle(int ms) {
    return QTest::qWaitFor([&] { return controller().state() == ConversationController::State::idle; }, ms);
}

bool WindowUnderTest::waitFrames(int ms) {
    LensData& data = *window_->lensData();
    return QTest::qWaitFor(
        [&] {
            const int shares = data.observable(data.info()->routers.front().shares);
            return data.length() > 0 && !data.strip(shares, data.length() - 1).empty();
        },
        ms);
}

QWidget* WindowUnderTest::dialog(const QString& name, int ms) {
    QWidget* found = nullptr;
    (void)QTest::qWaitFor(
        [&] {
            for (QWidget* widget : QApplication::topLevelWidgets()) {
                if (widget->objectName() == name && widget->isVisible()) {
                    found = widget;
                }
            }
            return found != nullptr;
        },
        ms);
    return found;
}
