// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/dialogs.h"

#include "app/window/preferences.h"

#include <QAction>
#include <QButtonGroup>
#include <QCheckBox>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QKeySequence>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QRadioButton>
#include <QSpinBox>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

QFormLayout* makeForm() {
    auto* form = new QFormLayout;
    form->setHorizontalSpacing(16);
    form->setVerticalSpacing(10);
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    return form;
}

void prepare(QDialog* dialog, const QString& name, const QString& title) {
    dialog->setObjectName(name);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setWindowTitle(title);
}

} // namespace

// ---- screenshot
// ---------------------------------------------------------------------------------------------

ScreenshotDialog::ScreenshotDialog(const QString& lens_name, const QString& folder, QWidget* parent)
    : QDialog(parent) {
    prepare(this, "screenshot_dialog", tr("Screenshot"));
    what_ = new QButtonGroup(this);
    where_ = new QButtonGroup(this);
    const auto radio = [](QButtonGroup* group, const QString& text, int id, QHBoxLayout* row) {
        auto* button = new QRadioButton(text);
        group->addButton(button, id);
        row->setSpacing(12);
        row->addWidget(button);
        return button;
    };
    auto* what_row = new QHBoxLayout;
    radio(what_, tr("the window"), 0, what_row)->setChecked(true);
    QRadioButton* lens =
        radio(what_, lens_name.isEmpty() ? tr("the lens") : tr("the lens %1").arg(lens_name), 1, what_row);
    lens->setEnabled(!lens_name.isEmpty());
    lens->setObjectName("of_lens");
    what_row->addStretch();
    auto* where_row = new QHBoxLayout;
    radio(where_, tr("file"), 0, where_row)->setChecked(true);
    radio(where_, tr("clipboard"), 1, where_row)->setObjectName("to_clipboard");
    where_row->addStretch();
    factor_ = new QSpinBox;
    factor_->setObjectName("factor");
    factor_->setRange(1, 4);
    factor_->setValue(2);
    factor_->setPrefix(QString(QChar(0xD7)));
    path_ = new QLineEdit(QDir(folder).filePath("ergosphere.png"));
    path_->setObjectName("path");
    path_->setAccessibleName(tr("File"));
    path_->setMinimumWidth(320);
    auto* choose = new QPushButton(tr("Choose…"));
    choose->setAutoDefault(false);
    auto* path_row = new QHBoxLayout;
    path_row->setSpacing(8);
    path_row->addWidget(path_, 1);
    path_row->addWidget(choose);
    auto* form = makeForm();
    form->addRow(tr("Picture of"), what_row);
    form->addRow(tr("Size"), factor_);
    form->addRow(tr("To"), where_row);
    form->addRow(tr("File"), path_row);
    auto* buttons = new QDialogButtonBox;
    auto* go = buttons->addButton(tr("Take picture"), QDialogButtonBox::AcceptRole);
    go->setObjectName("take");
    go->setDefault(true);
    buttons->addButton(QDialogButtonBox::Cancel);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(24, 20, 24, 16);
    column->setSpacing(12);
    column->addLayout(form);
    column->addWidget(buttons);
    connect(where_, &QButtonGroup::idToggled, this, [this, choose] {
        path_->setEnabled(!toClipboard());
        choose->setEnabled(!toClipboard());
    });
    connect(choose, &QPushButton::clicked, this, &ScreenshotDialog::browse);
    connect(buttons, &QDialogButtonBox::accepted, this, [this] {
        hide(); // not in the picture
        emit requested();
        accept();
    });
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
}

bool ScreenshotDialog::ofLens() const {
    return what_->checkedId() == 1;
}
int ScreenshotDialog::factor() const {
    return factor_->value();
}
bool ScreenshotDialog::toClipboard() const {
    return where_->checkedId() == 1;
}
void ScreenshotDialog::setPath(const QString& path) {
    path_->setText(path);
}

QString ScreenshotDialog::path() const {
    const QString text = path_->text().trimmed();
    return text.endsWith(".png", Qt::CaseInsensitive) ? text : text + ".png";
}

void ScreenshotDialog::browse() {
    auto* dialog = new QFileDialog(this, tr("Screenshot"), QFileInfo(path()).absolutePath());
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setDefaultSuffix("png");
    dialog->selectFile(QFileInfo(path()).fileName());
    connect(dialog, &QFileDialog::fileSelected, this, &ScreenshotDialog::setPath);
    dialog->open();
}

// ---- settings
// -----------------------------------------------------------------------------------------------

SettingsDialog::SettingsDialog(Preferences* preferences, QWidget* parent)
    : QDialog(parent), preferences_(preferences) {
    prepare(this, "settings_dialog", tr("Settings"));
    auto* theme = new QComboBox;
    theme->setObjectName("theme");
    theme->addItem(tr("As the system"), themeName(ThemeChoice::system));
    theme->addItem(tr("Light"), themeName(ThemeChoice::light));
    theme->addItem(tr("Dark"), themeName(ThemeChoice::dark));
    theme->setCurrentIndex(theme->findData(themeName(preferences_->theme())));
    auto* motion = new QCheckBox(tr("Nothing moves by itself"));
    motion->setChecked(preferences_->reducedMotion());
    auto* scale = new QComboBox;
    scale->setObjectName("scale");
    for (const int percent : {100, 125, 150, 175, 200}) {
        scale->addItem(QStringLiteral("%1 %").arg(percent), percent);
    }
    scale->setCurrentIndex(std::max(0, scale->findData(preferences_->scale())));
    scale->setToolTip(tr("Texts, buttons and pictures; on top of what the desktop asks for"));
    auto* backend = new QComboBox;
    backend->addItem(tr("Choose by itself"), "auto");
    backend->addItem(tr("CPU"), "cpu");
    backend->addItem(tr("Vulkan"), "vulkan");
    if (backend->findData(preferences_->backend()) < 0) {
        backend->addItem(preferences_->backend(), preferences_->backend());
    }
    backend->setCurrentIndex(backend->findData(preferences_->backend()));
    auto* threads = new QSpinBox;
    threads->setRange(0, 1024);
    threads->setSpecialValueText(tr("one a core"));
    threads->setValue(preferences_->threads());
    auto* pin = new QCheckBox(tr("keep each on a processor of its own"));
    pin->setObjectName("pin_threads");
    pin->setChecked(preferences_->pin());
    auto* note =
        new QLabel(tr("The size holds from the next start, the engine's settings from the next model that "
                      "is opened."));
    note->setForegroundRole(QPalette::PlaceholderText);
    note->setWordWrap(true);
    auto* form = makeForm();
    form->addRow(tr("Theme"), theme);
    form->addRow(tr("Size"), scale);
    form->addRow(tr("Motion"), motion);
    form->addRow(tr("Backend"), backend);
    form->addRow(tr("CPU threads"), threads);
    form->addRow(QString(), pin);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    buttons->button(QDialogButtonBox::Close)->setDefault(true);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(24, 20, 24, 16);
    column->setSpacing(12);
    column->addLayout(form);
    column->addWidget(note);
    column->addWidget(buttons);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(theme, &QComboBox::currentIndexChanged, this, [this, theme] {
        const ThemeChoice choice = themeFromName(theme->currentData().toString());
        preferences_->setTheme(choice);
        emit themeChanged(choice);
    });
    connect(motion, &QCheckBox::toggled, this, [this](bool on) {
        preferences_->setReducedMotion(on);
        emit lookChanged();
    });
    connect(scale, &QComboBox::currentIndexChanged, this,
            [this, scale] { preferences_->setScale(scale->currentData().toInt()); });
    connect(backend, &QComboBox::currentIndexChanged, this,
            [this, backend] { preferences_->setBackend(backend->currentData().toString()); });
    connect(threads, &QSpinBox::valueChanged, this, [this](int count) { preferences_->setThreads(count); });
    connect(pin, &QCheckBox::toggled, this, [this](bool on) { preferences_->setPin(on); });
}

// ---- shortcuts
// ----------------------------------------------------------------------------------------------

ShortcutSheet::ShortcutSheet(const QList<QAction*>& actions, QWidget* parent) : QDialog(parent) {
    prepare(this, "shortcut_sheet", tr("Shortcuts and gestures"));
    QList<QPair<QString, QString>> rows;
    for (const QAction* action : actions) {
        if (!action->shortcut().isEmpty()) {
            rows.append({action->shortcut().toString(QKeySequence::NativeText),
                         action->text().remove('&').remove(QChar(0x2026))});
        }
    }
    const QList<QPair<QString, QString>> gestures{
        {tr("Enter"), tr("send the message")},
        {tr("Shift+Enter"), tr("new line in the message")},
        {tr("Esc"), tr("stop writing; else release the selected token")},
        {tr("Click on a token"), tr("select it in every view")},
        {tr("Shift+click"), tr("pin a second token")},
        {tr("Arrow keys"), tr("next token, next line")},
        {tr("Home, End"), tr("first, last token")},
        {tr("Enter on a token"), tr("take another token instead")},
        {tr("[ ]"), tr("previous, next layer")},
        {tr(", ."), tr("previous, next head")},
        {tr("Double-click on a head"), tr("show it alone")},
        {tr("Wheel, drag, F"), tr("zoom, pan, fit a heatmap")},
        {tr("R"), tr("fit the colour range")},
    };
    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(16);
    grid->setVerticalSpacing(6);
    grid->setColumnMinimumWidth(2, 24);
    const auto put = [grid](int row, int column, const QPair<QString, QString>& line) {
        auto* keys = new QLabel(line.first);
        keys->setFont(monoFont());
        auto* what = new QLabel(line.second);
        what->setForegroundRole(QPalette::PlaceholderText);
        grid->addWidget(keys, row, column);
        grid->addWidget(what, row, column + 1);
    };
    for (int i = 0; i < rows.size(); ++i) {
        put(i, 0, rows[i]);
    }
    for (int i = 0; i < gestures.size(); ++i) {
        put(i, 3, gestures[i]);
    }
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    buttons->button(QDialogButtonBox::Close)->setDefault(true);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(24, 20, 24, 16);
    column->setSpacing(16);
    column->addLayout(grid);
    column->addStretch();
    column->addWidget(buttons);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
}

} // namespace ergosphere
