// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/changes_panel.h"

#include "app/window/theme.h"
#include "engine/model/observable.h"

#include <QAbstractItemView>
#include <QComboBox>
#include <QCompleter>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QLocale>
#include <QPushButton>
#include <QRegularExpression>

#include <algorithm>

namespace ergosphere {

namespace {

constexpr int list_lines = 4;

/// "layers.3.router.temperature" stands for all layers.
QString everywhere(const QString& name) {
    static const QRegularExpression number("\\.\\d+(?=\\.)");
    return QString(name).replace(number, ".*");
}

/// Parameters of all layers at once, knobs, then every parameter by itself.
QStringList namesOf(const ergo::OpenedModel& opened) {
    QStringList patterns, single, knobs;
    for (const ergo::ParamInfo& param : opened.model->tables()->params) {
        const QString name = QString::fromStdString(param.name), pattern = everywhere(name);
        if (!patterns.contains(pattern)) {
            patterns << pattern;
        }
        if (pattern != name) {
            single << name;
        }
    }
    for (const auto& [key, value] : opened.model->info().settings) {
        if (key.starts_with("knob.")) {
            knobs << QString::fromStdString(key);
        }
    }
    return patterns + knobs + single;
}

} // namespace

ChangesPanel::ChangesPanel(QWidget* parent) : QWidget(parent) {
    setObjectName("changes_panel");
    name_ = new QComboBox(this);
    name_->setObjectName("change_name");
    name_->setEditable(true);
    name_->setInsertPolicy(QComboBox::NoInsert);
    name_->setAccessibleName(tr("What is changed"));
    name_->setToolTip(tr("A parameter (* stands for any layer, [3] behind it for one head) or a knob, as "
                         "ergo --set has it"));
    name_->setFont(monoFont());
    name_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    name_->setMinimumContentsLength(16);
    name_->completer()->setFilterMode(Qt::MatchContains);
    name_->completer()->setCompletionMode(QCompleter::PopupCompletion);
    how_ = new QComboBox(this);
    how_->setObjectName("change_how");
    how_->addItem(tr("is set to"), "=");
    how_->addItem(tr("is multiplied by"), "*=");
    how_->setAccessibleName(tr("How it is changed"));
    value_ = new QLineEdit(this);
    value_->setObjectName("change_value");
    value_->setAccessibleName(tr("New value"));
    value_->setFont(monoFont());
    add_ = new QPushButton(tr("Add"), this);
    add_->setObjectName("change_add");
    now_ = new QLabel(this);
    now_->setForegroundRole(QPalette::PlaceholderText);
    now_->setWordWrap(true);
    now_->setTextFormat(Qt::PlainText);
    problem_ = new QLabel(this);
    problem_->setObjectName("change_problem");
    problem_->setWordWrap(true);
    problem_->setTextFormat(Qt::PlainText);
    problem_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    list_ = new QListWidget(this);
    list_->setObjectName("changes");
    list_->setAccessibleName(tr("Changes of the model"));
    list_->setFont(monoFont());
    list_->installEventFilter(this);
    remove_ = new QPushButton(tr("Remove"), this);
    remove_->setObjectName("change_remove");
    remove_->setToolTip(tr("Takes the selected change back (Del)"));
    reset_ = new QPushButton(tr("Reset"), this);
    reset_->setObjectName("change_reset");
    reset_->setToolTip(tr("The model is again as its file has it"));
    open_ = new QPushButton(tr("Open recipe…"), this);
    open_->setObjectName("recipe_open");
    save_ = new QPushButton(tr("Save recipe…"), this);
    save_->setObjectName("recipe_save");

    auto* line = new QHBoxLayout; // names are long: they have a row of their own
    line->addWidget(how_);
    line->addWidget(value_, 1);
    line->addWidget(add_);
    auto* buttons = new QHBoxLayout;
    buttons->addWidget(remove_);
    buttons->addWidget(reset_);
    buttons->addStretch();
    buttons->addWidget(open_);
    buttons->addWidget(save_);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(12, 8, 12, 8);
    column->setSpacing(6);
    column->addWidget(name_);
    column->addLayout(line);
    column->addWidget(now_);
    column->addWidget(list_);
    column->addWidget(problem_);
    column->addLayout(buttons);

    setFocusProxy(name_);
    connect(name_, &QComboBox::currentTextChanged, this, &ChangesPanel::showValues);
    connect(value_, &QLineEdit::textChanged, this, &ChangesPanel::updateButtons);
    connect(value_, &QLineEdit::returnPressed, this, &ChangesPanel::add);
    connect(add_, &QPushButton::clicked, this, &ChangesPanel::add);
    connect(remove_, &QPushButton::clicked, this, &ChangesPanel::remove);
    connect(list_, &QListWidget::currentRowChanged, this, &ChangesPanel::updateButtons);
    connect(reset_, &QPushButton::clicked, this, [this] { emit requested({}); });
    connect(open_, &QPushButton::clicked, this, &ChangesPanel::openRecipeRequested);
    connect(save_, &QPushButton::clicked, this, &ChangesPanel::saveRecipeRequested);
    setModel(nullptr);
}

void ChangesPanel::setModel(std::shared_ptr<const ergo::OpenedModel> opened) {
    opened_ = std::move(opened);
    name_->clear();
    if (opened_) {
        name_->addItems(namesOf(*opened_));
        name_->lineEdit()->home(false); // a name is read from its beginning
    }
    setEnabled(opened_ != nullptr);
    setProblem({});
    showValues();
}

void ChangesPanel::setChanges(const QStringList& changes) {
    changes_ = changes;
    list_->clear();
    list_->addItems(changes_);
    const int lines = std::clamp(int(changes_.size()), 1, list_lines);
    list_->setFixedHeight(lines * (QFontMetrics(list_->font()).height() + 8) + 2 * list_->frameWidth());
    list_->setVisible(!changes_.isEmpty());
    showValues();
}

void ChangesPanel::setProblem(const QString& text) {
    QPalette colors = palette();
    colors.setColor(QPalette::WindowText, colorsOf(palette()).danger);
    problem_->setPalette(colors);
    problem_->setText(text);
    problem_->setVisible(!text.isEmpty());
}

QString ChangesPanel::problem() const {
    return problem_->text();
}

void ChangesPanel::add() {
    const QString name = name_->currentText().trimmed();
    QString value = value_->text().trimmed();
    if (!name.startsWith("knob.")) {
        value.replace(',', '.'); // as many write it
    }
    if (!name.isEmpty() && !value.isEmpty()) {
        setProblem({});
        emit requested(changes_ + QStringList{name + how_->currentData().toString() + value});
    }
}

void ChangesPanel::remove() {
    if (const int row = list_->currentRow(); row >= 0 && row < changes_.size()) {
        QStringList rest = changes_;
        rest.removeAt(row);
        setProblem({});
        emit requested(rest);
    }
}

// What the named parameters are in the file, so that a new value can be chosen.
void ChangesPanel::showValues() {
    const std::string name = name_->currentText().trimmed().section('[', 0, 0).toStdString();
    const QLocale locale;
    QString text = changes_.isEmpty() ? tr("Nothing is changed: the model is as its file has it.")
                                      : tr("The model is altered.");
    if (opened_) {
        float least = 0, most = 0;
        qsizetype count = 0;
        for (const ergo::ParamInfo& param : opened_->model->tables()->params) {
            if (param.values.empty() || !ergo::glob_match(name, param.name)) {
                continue;
            }
            const auto [low, high] = std::minmax_element(param.values.begin(), param.values.end());
            least = count == 0 ? *low : std::min(least, *low);
            most = count == 0 ? *high : std::max(most, *high);
            count += qsizetype(param.values.size());
        }
        const auto number = [&](float value) { return locale.toString(double(value), 'g', 4); };
        const auto& settings = opened_->model->info().settings;
        if (const auto knob = settings.find(name); knob != settings.end()) {
            text += ' ' + tr("The knob is %1 now; another value opens the model anew.")
                              .arg(QString::fromStdString(knob->second));
        } else if (count > 0) {
            text +=
                ' ' +
                (least == most
                     ? tr("In the file: %1 values, all %2.").arg(count).arg(number(least))
                     : tr("In the file: %1 values, %2 to %3.").arg(count).arg(number(least), number(most)));
        }
    }
    now_->setText(text);
    updateButtons();
}

void ChangesPanel::updateButtons() {
    add_->setEnabled(opened_ && !value_->text().trimmed().isEmpty());
    remove_->setEnabled(list_->currentRow() >= 0);
    reset_->setEnabled(!changes_.isEmpty());
    save_->setEnabled(!changes_.isEmpty());
}

bool ChangesPanel::eventFilter(QObject* watched, QEvent* event) {
    if (watched == list_ && event->type() == QEvent::KeyPress &&
        static_cast<QKeyEvent*>(event)->key() == Qt::Key_Delete) {
        remove();
        return true;
    }
    return QWidget::eventFilter(watched, event);
}

} // namespace ergosphere
