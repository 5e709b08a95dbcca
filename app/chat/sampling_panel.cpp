// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/sampling_panel.h"

#include "app/window/engine_text.h"
#include "app/window/theme.h"

#include <QComboBox>
#include <QDoubleSpinBox>
#include <QGridLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QRegularExpressionValidator>
#include <QSpinBox>

namespace ergosphere {

namespace {

QDoubleSpinBox* number(double low, double high, double step, int decimals, const QString& name) {
    auto* box = new QDoubleSpinBox;
    box->setRange(low, high);
    box->setSingleStep(step);
    box->setDecimals(decimals);
    box->setAccessibleName(name);
    box->setKeyboardTracking(false);
    return box;
}

} // namespace

SamplingPanel::SamplingPanel(QWidget* parent) : QWidget(parent) {
    makeFields();
    layOut();
    connect(preset_, &QComboBox::activated, this, &SamplingPanel::applyPreset);
    for (QDoubleSpinBox* box : {temperature_, top_p_, min_p_, repeat_penalty_}) {
        connect(box, &QDoubleSpinBox::valueChanged, this, &SamplingPanel::edited);
    }
    connect(top_k_, &QSpinBox::valueChanged, this, &SamplingPanel::edited);
    connect(max_tokens_, &QSpinBox::valueChanged, this, &SamplingPanel::changed);
    connect(seed_, &QLineEdit::editingFinished, this, &SamplingPanel::changed);
    connect(system_, &QLineEdit::editingFinished, this, &SamplingPanel::changed);
    setModel({}, {});
}

void SamplingPanel::makeFields() {
    preset_ = new QComboBox;
    preset_->setObjectName("preset");
    preset_->setAccessibleName(tr("Preset"));
    preset_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    preset_->setMinimumContentsLength(10); // long names must not push the lenses aside
    reason_ = new QLabel;
    reason_->setWordWrap(true);
    reason_->setForegroundRole(QPalette::PlaceholderText);
    temperature_ = number(0, 100, 0.1, 2, tr("Temperature"));
    temperature_->setObjectName("temperature");
    temperature_->setToolTip(tr("0 always takes the most likely token"));
    top_p_ = number(0.01, 1, 0.05, 2, tr("Top-p"));
    top_p_->setToolTip(tr("Keeps the most likely tokens up to this probability; 1 is off"));
    min_p_ = number(0, 0.99, 0.01, 2, tr("Min-p"));
    min_p_->setToolTip(tr("Drops tokens less likely than this times the most likely one; 0 is off"));
    repeat_penalty_ = number(0.1, 10, 0.05, 2, tr("Repeat penalty"));
    repeat_penalty_->setToolTip(tr("Above 1 makes recent tokens less likely; 1 is off"));
    top_k_ = new QSpinBox;
    top_k_->setRange(0, 1000000);
    top_k_->setSpecialValueText(tr("off"));
    top_k_->setAccessibleName(tr("Top-k"));
    max_tokens_ = new QSpinBox;
    max_tokens_->setObjectName("max_tokens");
    max_tokens_->setRange(1, 1000000);
    max_tokens_->setValue(512);
    max_tokens_->setAccessibleName(tr("Most tokens of a reply"));
    seed_ = new QLineEdit("0");
    seed_->setValidator(new QRegularExpressionValidator(QRegularExpression("[0-9]{1,19}"), seed_));
    seed_->setAccessibleName(tr("Seed"));
    seed_->setToolTip(tr("The same seed gives the same reply"));
    system_ = new QLineEdit;
    system_->setObjectName("system_prompt");
    system_->setAccessibleName(tr("System prompt"));
    system_->setPlaceholderText(tr("none"));
    for (QWidget* w : std::initializer_list<QWidget*>{temperature_, top_p_, min_p_, repeat_penalty_, top_k_,
                                                      max_tokens_, seed_}) {
        w->setFont(monoFont());
        w->setMinimumWidth(76);
    }
}

void SamplingPanel::layOut() {
    auto* grid = new QGridLayout(this);
    grid->setContentsMargins(12, 8, 12, 8);
    grid->setHorizontalSpacing(8);
    grid->setVerticalSpacing(6);
    const auto put = [&](int row, int column, const QString& text, QWidget* field) {
        auto* label = new QLabel(text);
        label->setForegroundRole(QPalette::PlaceholderText);
        label->setBuddy(field);
        grid->addWidget(label, row, column * 2);
        grid->addWidget(field, row, column * 2 + 1);
    };
    put(0, 0, tr("Preset"), preset_);
    grid->addWidget(reason_, 0, 2, 1, 4);
    put(1, 0, tr("Temperature"), temperature_);
    put(1, 1, tr("Top-p"), top_p_);
    put(1, 2, tr("Top-k"), top_k_);
    put(2, 0, tr("Repeat penalty"), repeat_penalty_);
    put(2, 1, tr("Min-p"), min_p_);
    put(2, 2, tr("Seed"), seed_);
    put(3, 0, tr("Max tokens"), max_tokens_);
    auto* system_label = new QLabel(tr("System"));
    system_label->setForegroundRole(QPalette::PlaceholderText);
    grid->addWidget(system_label, 3, 2);
    grid->addWidget(system_, 3, 3, 1, 3);
    for (const int column : {1, 3, 5}) {
        grid->setColumnStretch(column, 1);
    }
}

void SamplingPanel::setModel(const std::string& family, const ergo::GenerationDefaults& defaults) {
    presets_ = ergo::sampling_presets(family, defaults);
    preset_->clear();
    for (const ergo::SamplingPreset& preset : presets_) {
        preset_->addItem(engineText(preset.name));
    }
    preset_->addItem(tr("Custom"));
    if (!presets_.empty()) {
        applyPreset(0);
    }
}

void SamplingPanel::applyPreset(int index) {
    preset_->setCurrentIndex(index);
    if (std::size_t(index) >= presets_.size()) {
        reason_->setText(tr("Your own values."));
        return;
    }
    const ergo::SamplingPreset& preset = presets_[std::size_t(index)];
    ergo::SamplingParams params = preset.params;
    params.seed = seed_->text().toULongLong(); // a preset says how to choose, not which dice
    setParams(params);
    preset_->setCurrentIndex(index);
    reason_->setText(engineText(preset.reason));
    emit changed();
}

ergo::SamplingParams SamplingPanel::params() const {
    ergo::SamplingParams p;
    p.temperature = temperature_->value();
    p.top_k = top_k_->value();
    p.top_p = top_p_->value();
    p.min_p = min_p_->value();
    p.repeat_penalty = repeat_penalty_->value();
    p.seed = seed_->text().toULongLong();
    return p;
}

void SamplingPanel::setParams(const ergo::SamplingParams& p) {
    applying_ = true;
    temperature_->setValue(p.temperature);
    top_k_->setValue(p.top_k);
    top_p_->setValue(p.top_p);
    min_p_->setValue(p.min_p);
    repeat_penalty_->setValue(p.repeat_penalty);
    seed_->setText(QString::number(p.seed));
    applying_ = false;
}

void SamplingPanel::edited() {
    if (!applying_) {
        preset_->setCurrentIndex(int(presets_.size()));
        reason_->setText(tr("Your own values."));
        emit changed();
    }
}

qint64 SamplingPanel::maxTokens() const {
    return max_tokens_->value();
}
QString SamplingPanel::systemPrompt() const {
    return system_->text().trimmed();
}
void SamplingPanel::setSystemPrompt(const QString& text) {
    system_->setText(text);
}

void SamplingPanel::setSystemPromptAvailable(bool available) {
    system_->setEnabled(available);
    system_->setPlaceholderText(available ? tr("none") : tr("this model has no chat format"));
}

QString SamplingPanel::summary() const {
    const ergo::SamplingParams p = params();
    if (p.temperature == 0) {
        return tr("Greedy");
    }
    const QLocale locale;
    QStringList parts{tr("Temperature %1").arg(locale.toString(p.temperature, 'g', 3))};
    if (p.top_p < 1) {
        parts << tr("top-p %1").arg(locale.toString(p.top_p, 'g', 3));
    }
    if (p.top_k > 0) {
        parts << tr("top-k %1").arg(p.top_k);
    }
    if (p.min_p > 0) {
        parts << tr("min-p %1").arg(locale.toString(p.min_p, 'g', 3));
    }
    return parts.join(QString(" %1 ").arg(QChar(0xB7)));
}

} // namespace ergosphere
