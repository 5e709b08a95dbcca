// SPDX-License-Identifier: GPL-3.0-or-later
// For everybody: every control has a name and the keyboard reaches it, and the German window is German. The
// engine and the demo model are the real ones.
#include "app/chat/sampling_panel.h"
#include "app/library/model_card.h"
#include "app/window/engine_text.h"
#include "app/window/theme.h"
#include "app/window/top_bar.h"
#include "engine/generate/opened_model.h"
#include "tests/app/support_window.h"

#include <QAbstractButton>
#include <QAbstractItemView>
#include <QAccessible>
#include <QAction>
#include <QButtonGroup>
#include <QCheckBox>
#include <QComboBox>
#include <QDialog>
#include <QDockWidget>
#include <QGroupBox>
#include <QLabel>
#include <QLibraryInfo>
#include <QLineEdit>
#include <QMenu>
#include <QPlainTextEdit>
#include <QProcess>
#include <QRegularExpression>
#include <QSignalSpy>
#include <QStandardPaths>
#include <QTabBar>
#include <QTabWidget>
#include <QTranslator>

#include <set>

using namespace ergosphere;

namespace {

QString describe(const QWidget* widget) {
    QStringList path;
    for (const QWidget* up = widget; up; up = up->parentWidget()) {
        path.prepend(QString("%1 \"%2\"").arg(up->metaObject()->className(), up->objectName()));
    }
    return path.join(" / ");
}

QString nameOf(QWidget* widget) {
    QAccessibleInterface* spoken = QAccessible::queryAccessibleInterface(widget);
    return spoken ? spoken->text(QAccessible::Name) : QString();
}

/// Visible, enabled widgets below `top` that take the focus from the keyboard.
QList<QWidget*> controls(QWidget* top) {
    QList<QWidget*> found;
    for (QWidget* widget : top->findChildren<QWidget*>()) {
        const bool own_window = widget->window() != top->window();
        if (widget->isVisible() && widget->isEnabled() && !own_window &&
            (widget->focusPolicy() & Qt::TabFocus) == Qt::TabFocus && !widget->focusProxy()) {
            found << widget;
        }
    }
    return found;
}

/// Every widget that Tab comes to, from the one that has the focus until it comes round.
QSet<QWidget*> reachedByTab(QWidget* window) {
    QSet<QWidget*> reached;
    if (const QWidget* at = QApplication::focusWidget(); !at || at->window() != window->window()) {
        controls(window).first()->setFocus(Qt::TabFocusReason); // a dialog in which nothing was chosen yet
        (void)QTest::qWaitFor([&] {
            const QWidget* now = QApplication::focusWidget();
            return now && now->window() == window->window();
        });
    }
    QWidget* const first = QApplication::focusWidget();
    for (int step = 0; step < 400; ++step) {
        QWidget* at = QApplication::focusWidget();
        if (!at || at->window() != window->window()) {
            break;
        }
        reached << at;
        // A text field may keep Tab for itself; Ctrl+Tab then leaves it.
        QTest::keyClick(at, Qt::Key_Tab);
        if (QApplication::focusWidget() == at) {
            QTest::keyClick(at, Qt::Key_Tab, Qt::ControlModifier);
        }
        QWidget* next = QApplication::focusWidget();
        if (!next || next == at || next == first) {
            break;
        }
    }
    return reached;
}

QStringList unnamed(QWidget* top) {
    QStringList bad;
    for (QWidget* widget : controls(top)) {
        if (nameOf(widget).trimmed().isEmpty()) {
            bad << describe(widget);
        }
    }
    return bad;
}

QStringList unreached(QWidget* top) {
    const QSet<QWidget*> reached = reachedByTab(top);
    QStringList bad;
    for (QWidget* widget : controls(top)) {
        bool found = reached.contains(widget);
        for (QWidget* inner : widget->findChildren<QWidget*>()) { // a spin box's field
            found |= reached.contains(inner);
        }
        // One of a group of exclusive buttons is reached by Tab, the others by the arrow keys.
        const auto* button = qobject_cast<QAbstractButton*>(widget);
        found |= button && button->group() && button->group()->exclusive() && !button->isChecked();
        if (!found) {
            bad << describe(widget);
        }
    }
    return bad;
}

/// Everything a person can read or hear in a widget, by the place it stands at.
void collectTexts(QWidget* top, QMap<QString, QString>& texts) {
    int index = 0;
    for (QWidget* widget : top->findChildren<QWidget*>()) {
        const QString place =
            QString("%1 %2 #%3").arg(widget->metaObject()->className(), widget->objectName()).arg(index++);
        const auto put = [&](const char* what, const QString& text) {
            if (!text.isEmpty()) {
                texts.insert(place + " " + what, text);
            }
        };
        put("tip", widget->toolTip());
        put("name", widget->accessibleName());
        put("description", widget->accessibleDescription());
        if (const auto* label = qobject_cast<QLabel*>(widget)) {
            put("text", label->text());
        } else if (const auto* button = qobject_cast<QAbstractButton*>(widget)) {
            put("text", button->text());
        } else if (const auto* line = qobject_cast<QLineEdit*>(widget)) {
            put("placeholder", line->placeholderText());
        } else if (const auto* box = qobject_cast<QComboBox*>(widget)) {
            for (int i = 0; i < box->count(); ++i) {
                put(qPrintable(QString("item %1").arg(i)), box->itemText(i));
            }
        } else if (const auto* edit = qobject_cast<QPlainTextEdit*>(widget)) {
            put("placeholder", edit->placeholderText());
        } else if (const auto* tabs = qobject_cast<QTabBar*>(widget)) {
            for (int i = 0; i < tabs->count(); ++i) {
                put(qPrintable(QString("tab %1").arg(i)), tabs->tabText(i));
            }
        } else if (const auto* dock = qobject_cast<QDockWidget*>(widget)) {
            put("title", dock->windowTitle());
        } else if (const auto* menu = qobject_cast<QMenu*>(widget)) {
            for (const QAction* action : menu->actions()) {
                put(qPrintable(QString("action %1").arg(menu->actions().indexOf(action))), action->text());
            }
        }
        if (const auto* view = qobject_cast<QAbstractItemView*>(widget); view && view->model()) {
            for (int row = 0; row < qMin(20, view->model()->rowCount()); ++row) {
                const QModelIndex at = view->model()->index(row, 0);
                put(qPrintable(QString("row %1").arg(row)), at.data(Qt::AccessibleTextRole).toString());
                put(qPrintable(QString("line %1").arg(row)), at.data(Qt::UserRole + 1).toString());
            }
        }
    }
}

/// The texts of the whole window with each lens shown, and of its dialogs.
QMap<QString, QString> textsOfWindow(WindowUnderTest& t) {
    QMap<QString, QString> texts;
    for (int lens = 1; lens <= int(t.window().lenses().size()); ++lens) {
        t.window().showLens(lens);
        QTest::qWait(150);
        QMap<QString, QString> now;
        collectTexts(&t.window(), now);
        for (auto it = now.begin(); it != now.end(); ++it) {
            texts.insert(QString("lens %1: %2").arg(lens).arg(it.key()), it.value());
        }
        Lens* shown = t.window().currentLens();
        texts.insert(QString("lens %1 title").arg(lens), shown->titleText());
        texts.insert(QString("lens %1 summary").arg(lens), shown->summaryText());
        texts.insert(QString("lens %1 measured").arg(lens), shown->measuredText());
    }
    const auto dialog = [&](const QString& name) {
        if (auto* shown = qobject_cast<QDialog*>(t.dialog(name))) {
            QTest::qWait(100);
            texts.insert(name + " title", shown->windowTitle());
            QMap<QString, QString> now;
            collectTexts(shown, now);
            for (auto it = now.begin(); it != now.end(); ++it) {
                texts.insert(name + ": " + it.key(), it.value());
            }
            shown->reject();
            QTest::qWait(20);
        }
    };
    t.window().showLens(1);
    QTest::qWait(100);
    t.press(Qt::Key_E, Qt::ControlModifier);
    dialog("figure_dialog");
    t.press(Qt::Key_E, Qt::ControlModifier | Qt::ShiftModifier);
    dialog("screenshot_dialog");
    t.press(Qt::Key_Comma, Qt::ControlModifier);
    dialog("settings_dialog");
    t.press(Qt::Key_F1);
    dialog("shortcut_sheet");
    ModelCard* card = t.window().showCard("demo:moa");
    QSignalSpy complete(card, &ModelCard::complete);
    complete.wait(20000);
    dialog("model_card");
    return texts;
}

/// The German translation of this tree while it is installed.
class German {
  public:
    German() = default;
    German(German&&) = delete;
    ~German() {
        QApplication::removeTranslator(&window_);
        QApplication::removeTranslator(&qt_);
        QLocale::setDefault(before_);
    }
    /// False where there is no lrelease.
    bool prepare() const {
        const QString lrelease = "/usr/lib/qt6/bin/lrelease";
        return QFile::exists(lrelease) &&
               QProcess::execute(lrelease, {"-silent", ERGO_SOURCE_DIR "/translations/ergosphere_de.ts",
                                            "-qm", file()}) == 0;
    }
    bool install() {
        QLocale::setDefault(QLocale(QLocale::German, QLocale::Germany));
        return qt_.load("qtbase_de", QLibraryInfo::path(QLibraryInfo::TranslationsPath)) &&
               QApplication::installTranslator(&qt_) && window_.load(file()) &&
               QApplication::installTranslator(&window_);
    }

  private:
    QString file() const { return folder_.filePath("ergosphere_de.qm"); }

    QTemporaryDir folder_;
    QTranslator qt_, window_;
    QLocale before_;
};

/// Every way in which cooperative matrices can be used or not, in words; the last one with numbers.
QStringList matrixTexts() {
    using State = ergo::MatrixUse::State;
    QStringList all;
    for (int state = static_cast<int>(State::none) + 1; state <= static_cast<int>(State::used); ++state) {
        ergo::MatrixUse use;
        use.state = static_cast<State>(state);
        use.kinds = 12;
        use.type = "bf16";
        use.difference = 0.25;
        use.allowed = 1e-3;
        use.error = "VK_ERROR_UNKNOWN";
        use.gains = {{"bf16 by name", 2.25, use.state == State::used}, {"f32", 0.5, false}};
        all << matricesText(use);
    }
    return all;
}

} // namespace

class TestAccess : public QObject {
    Q_OBJECT

  private slots:
    void everyControlHasANameAndTabReachesIt() {
        WindowUnderTest t;
        QVERIFY(t.open("demo:moa"));
        t.type("Solve 3x + 2 = 17");
        QVERIFY(t.waitIdle() && t.waitFrames());
        t.window().chat()->sampling()->show();
        for (int lens = 1; lens <= int(t.window().lenses().size()); ++lens) {
            t.window().showLens(lens);
            QTest::qWait(150);
            QVERIFY2(unnamed(&t.window()).isEmpty(), qPrintable(unnamed(&t.window()).join('\n')));
            t.composer().focusField();
            const QStringList bad = unreached(&t.window());
            QVERIFY2(bad.isEmpty(), qPrintable(bad.join('\n')));
        }
        for (const auto& [name, key, modifiers] :
             std::initializer_list<std::tuple<QString, Qt::Key, Qt::KeyboardModifiers>>{
                 {"figure_dialog", Qt::Key_E, Qt::ControlModifier},
                 {"screenshot_dialog", Qt::Key_E, Qt::ControlModifier | Qt::ShiftModifier},
                 {"settings_dialog", Qt::Key_Comma, Qt::ControlModifier},
                 {"shortcut_sheet", Qt::Key_F1, Qt::NoModifier}}) {
            t.window().showLens(1);
            QTest::qWait(100);
            t.press(key, modifiers);
            auto* dialog = qobject_cast<QDialog*>(t.dialog(name));
            QVERIFY2(dialog, qPrintable(name));
            QVERIFY(QTest::qWaitForWindowActive(dialog));
            QVERIFY2(unnamed(dialog).isEmpty(), qPrintable(unnamed(dialog).join('\n')));
            const QStringList bad = unreached(dialog);
            QVERIFY2(bad.isEmpty(), qPrintable(bad.join('\n')));
            dialog->reject();
            QTest::qWait(20);
        }
        ModelCard* card = t.window().showCard("demo:moa");
        QSignalSpy complete(card, &ModelCard::complete);
        QVERIFY(complete.wait(20000));
        QVERIFY(QTest::qWaitForWindowActive(card));
        auto* tabs = card->findChild<QTabWidget*>("card_tabs");
        for (int tab = 0; tab < tabs->count(); ++tab) {
            tabs->setCurrentIndex(tab);
            QTest::qWait(50);
            QVERIFY2(unnamed(card).isEmpty(), qPrintable(unnamed(card).join('\n')));
            tabs->tabBar()->setFocus();
            const QStringList bad = unreached(card);
            QVERIFY2(bad.isEmpty(), qPrintable(bad.join('\n')));
        }
        card->reject();
    }

    void nothingIsLeftToTranslate() {
        const QString lupdate = "/usr/lib/qt6/bin/lupdate";
        if (!QFile::exists(lupdate)) {
            QSKIP("lupdate is not installed");
        }
        QTemporaryDir folder;
        const QString copy = folder.filePath("ergosphere_de.ts");
        QVERIFY(QFile::copy(ERGO_SOURCE_DIR "/translations/ergosphere_de.ts", copy));
        QProcess process;
        process.setWorkingDirectory(ERGO_SOURCE_DIR);
        process.start(lupdate,
                      {"-silent", "-I", ".", "-locations", "none", "-no-obsolete", "app", "-ts", copy});
        QVERIFY(process.waitForFinished(60000));
        QFile file(copy);
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QString ts = QString::fromUtf8(file.readAll());
        static const QRegularExpression open(
            "<source>([^<]*)</source>\\s*(?:<[^t][^>]*>[^<]*</[^>]*>\\s*)*<translation type=\"unfinished\"");
        QStringList missing;
        for (auto it = open.globalMatch(ts); it.hasNext();) {
            missing << it.next().captured(1);
        }
        QVERIFY2(!ts.contains("type=\"unfinished\""), qPrintable(missing.join("\n")));
    }

    void theGermanWindowIsGerman() {
        German language;
        if (!language.prepare()) {
            QSKIP("lrelease is not installed");
        }
        QMap<QString, QString> english, german;
        {
            WindowUnderTest t;
            QVERIFY(t.open("demo:moa"));
            t.type("Solve 3x + 2 = 17");
            QVERIFY(t.waitIdle() && t.waitFrames());
            english = textsOfWindow(t);
        }
        QVERIFY(language.install());
        {
            WindowUnderTest t;
            QVERIFY(t.open("demo:moa"));
            t.type("Solve 3x + 2 = 17");
            QVERIFY(t.waitIdle() && t.waitFrames());
            german = textsOfWindow(t);
        }
        for (const std::string& demo : ergo::demo_models()) { // every clause of a verdict is known
            const QString why = verdictText(ergo::open_model(ergo::open_checkpoint(demo), {})->info().why);
            QVERIFY2(why.startsWith("Sicher: ") || why.startsWith("Wahrscheinlich: "), qPrintable(why));
            for (const char* word : {" are ", " of ", " the ", " holds ", " from "}) {
                QVERIFY2(!why.contains(word), qPrintable(why));
            }
        }
        QVERIFY(german.size() > 100);
        static const QRegularExpression point("\\d\\.\\d"), comma("so breit verteilt wie \\d+,\\d von");
        const QStringList sentences = german.values().filter(QStringLiteral(" sieht am meisten auf "));
        QVERIFY(!sentences.filter(comma).isEmpty());
        QVERIFY2(sentences.filter(point).isEmpty(), qPrintable(sentences.join('\n')));
        // Names, units, and words that are the same in both languages or come out of the model.
        static const QRegularExpression same(
            "^(\\W|\\d|_|Ergosphere|MetricMH|MetricMQA|LocalConv|ChannelMix|HyperFFN|SwiGLU|Convolution|"
            "LowRank|LM head|"
            "demo|moa|bf16|f32|f16|q8|q4|CPU|Vulkan|PDF|SVG|PNG|CSV|NPZ|Tokens?|tokens?|cividis|viridis|"
            "magma|"
            "diverging|Chats?|"
            "Name|Router|template|tokenizer_config|Alpha|Tokenizer|Backend|M|B|[0-9a-f]{64}|Attention|bpc|"
            "Text|System|Format|Enter|"
            "Home|Ctrl|Shift|Alt|Esc|Del|Seed|Min|"
            "Top|K|P|"
            "p|k|R|F|x|s|"
            "ms|kB|MB|GB|in|"
            "mm|pt|dpi|min|Solve|GPL|SHA|DiscoverLM|llvmpipe|LLVM|bits|gpl|or|later|README|md|AMD|Intel|EPYC|"
            "AVX|SSE|model|safetensors|thread|threads|"
            "json|Qt|ID|Export|Position|Library|Start|Stopp?|PgDown|Tab|Parameter|Wheel|to)*$");
        QStringList left;
        for (auto it = german.begin(); it != german.end(); ++it) {
            // What can be changed has the names that `ergo --set` has.
            if (it.key().contains("QComboBox change_name")) {
                continue;
            }
            if (english.value(it.key()) == it.value() && !same.match(it.value()).hasMatch()) {
                left << it.key() + " = " + it.value().left(100);
            }
        }
        left.removeDuplicates();
        QVERIFY2(left.isEmpty(), qPrintable(QString::number(left.size()) + " texts are the same:\n" +
                                            left.mid(0, 200).join('\n')));
    }

    /// Why cooperative matrices are used or not: every reason, and the one that the page shows.
    void theDiagnosticsPageIsGerman() {
        German language;
        if (!language.prepare()) {
            QSKIP("lrelease is not installed");
        }
        const QStringList english = matrixTexts();
        QVERIFY(language.install());
        const QStringList german = matrixTexts();
        for (qsizetype i = 0; i < german.size(); ++i) {
            QVERIFY2(german[i] != english[i] && !german[i].contains('%'), qPrintable(german[i]));
            for (const char* word : {" the ", " not ", " with ", " of ", "used", "tried"}) {
                QVERIFY2(!german[i].contains(word), qPrintable(german[i]));
            }
        }
        QVERIFY2(german.last().contains("f32 (0,50-mal so schnell)") &&
                     german.last().contains("ausdrücklich verlangtem bf16 (2,25-mal so schnell)"),
                 qPrintable(german.last()));
        QString vulkan;
        const std::vector<ergo::DeviceInfo> devices = ergo::all_devices(); // the CPU first
        std::set<std::string> features{"subgroups of 32",      "subgroup size control",
                                       "integer dot products", "cooperative matrices",
                                       "a queue for copies",   "integer dot products (slow)"};
        for (std::size_t i = 1; i < devices.size(); ++i) {
            features.insert(devices[i].features.begin(), devices[i].features.end());
        }
        for (const std::string& feature : features) {
            const QString said = featureText(feature);
            const bool version = feature.starts_with("Vulkan ");
            QVERIFY2((said.toStdString() == feature) == version && !said.contains('%'), qPrintable(said));
        }
        for (std::size_t i = 1; i < devices.size() && vulkan.isEmpty(); ++i) {
            vulkan = devices[i].software ? QString("vulkan:%1").arg(i - 1) : QString();
        }
        if (vulkan.isEmpty()) {
            QSKIP("there is no software Vulkan device");
        }
        WindowUnderTest t;
        QVERIFY(t.open("demo:moa"));
        QSignalSpy moved(&t.controller(), &ConversationController::backendChanged);
        t.controller().useBackend(vulkan, {});
        QVERIFY(moved.wait(30000));
        t.window().findChild<QAction*>("diagnostics")->trigger();
        QWidget* page = t.dialog("developer_dialog");
        QVERIFY(page);
        QCOMPARE(page->findChild<QCheckBox*>("no_cooperative_matrix")->toolTip(),
                 QString("Nicht verwendet: das Gerät hat keine kooperativen Matrizen."));
        page->close();
    }
};

int main(int argc, char** argv) {
    QStandardPaths::setTestModeEnabled(true);
    Application application(argc, argv);
    applyTheme(application, ThemeChoice::light);
    TestAccess test;
    return QTest::qExec(&test, argc, argv);
}

#include "test_access.moc"
