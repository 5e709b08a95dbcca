// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/top_bar.h"

#include "app/library/model_card.h"
#include "app/window/theme.h"

#include <QFrame>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPainter>
#include <QProgressBar>
#include <QPushButton>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

constexpr int patience_ms = 250; // before a bar is worth showing

QToolButton* chip(const QString& name, QWidget* parent) {
    auto* button = new QToolButton(parent);
    button->setObjectName(name);
    button->setToolButtonStyle(Qt::ToolButtonTextOnly);
    button->setAutoRaise(true);
    return button;
}

} // namespace

// ---- the meter
// ----------------------------------------------------------------------------------------------

ContextMeter::ContextMeter(QWidget* parent) : QWidget(parent) {
    setObjectName("context_meter");
    setFont(monoFont(11));
}

void ContextMeter::setUse(qint64 used, qint64 size) {
    if (used != used_ || size != size_) {
        used_ = used;
        size_ = size;
        setToolTip(
            size > 0
                ? tr("Context: %1. Nothing is dropped by itself; when it is full the reply ends.").arg(text())
                : tr("No model is open"));
        setAccessibleName(tr("Context"));
        setAccessibleDescription(text());
        update();
    }
}

QString ContextMeter::text() const {
    const QLocale locale;
    return size_ > 0 ? tr("%1 of %2 tokens").arg(locale.toString(used_), locale.toString(size_)) : QString();
}

QSize ContextMeter::sizeHint() const {
    const int width = fontMetrics().horizontalAdvance(tr("%1 of %2 tokens").arg("0,000,000", "0,000,000"));
    return {width, 30};
}

void ContextMeter::paintEvent(QPaintEvent*) {
    if (size_ <= 0) {
        return;
    }
    const ThemeColors& c = colorsOf(palette());
    const double share = std::clamp(double(used_) / double(size_), 0.0, 1.0);
    QPainter p(this);
    p.setRenderHint(QPainter::Antialiasing);
    p.setFont(font());
    p.setPen(share >= 1 ? c.danger : c.muted);
    p.drawText(QRect(0, 2, width(), 16), Qt::AlignRight | Qt::AlignVCenter, text());
    const QRectF track(0, height() - 9, width(), 4);
    p.setPen(Qt::NoPen);
    p.setBrush(c.line);
    p.drawRoundedRect(track, 2, 2);
    if (used_ > 0) {
        p.setBrush(share >= 1 ? c.danger : share > 0.85 ? c.caution : c.accent);
        p.drawRoundedRect(QRectF(track.left(), track.top(), std::max(4.0, track.width() * share), 4), 2, 2);
    }
}

// ---- the bar
// ------------------------------------------------------------------------------------------------

TopBar::TopBar(QWidget* parent) : QWidget(parent) {
    setObjectName("top_bar");
    model_ = chip("model_chip", this);
    QFont strong = interfaceFont();
    strong.setWeight(QFont::DemiBold);
    model_->setFont(strong);
    backend_ = chip("backend_chip", this);
    backend_->setForegroundRole(QPalette::PlaceholderText);
    backend_->setFocusPolicy(Qt::NoFocus);
    speed_ = new QLabel(this);
    speed_->setObjectName("speed");
    speed_->setFont(monoFont(11));
    speed_->setForegroundRole(QPalette::PlaceholderText);
    speed_->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    meter_ = new ContextMeter(this);

    progress_box_ = new QWidget(this);
    progress_text_ = new QLabel(progress_box_);
    progress_text_->setForegroundRole(QPalette::PlaceholderText);
    progress_ = new QProgressBar(progress_box_);
    progress_->setTextVisible(false);
    progress_->setFixedSize(120, 6);
    progress_->setRange(0, 1000);
    cancel_ = chip("cancel_progress", progress_box_);
    cancel_->setText(tr("Cancel"));
    auto* progress_row = new QHBoxLayout(progress_box_);
    progress_row->setContentsMargins(0, 0, 0, 0);
    progress_row->addWidget(progress_text_);
    progress_row->addWidget(progress_);
    progress_row->addWidget(cancel_);
    progress_box_->hide();

    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(12, 6, 16, 6);
    row->setSpacing(8);
    row->addWidget(model_);
    row->addWidget(backend_);
    row->addStretch();
    row->addWidget(progress_box_);
    row->addSpacing(8);
    row->addWidget(speed_);
    row->addSpacing(8);
    row->addWidget(meter_);

    connect(model_, &QToolButton::clicked, this, [this] { opened_ ? showPopup() : emit openRequested(); });
    connect(cancel_, &QToolButton::clicked, this, &TopBar::cancelRequested);
    progress_timer_.setSingleShot(true);
    progress_timer_.setInterval(patience_ms);
    connect(&progress_timer_, &QTimer::timeout, progress_box_, &QWidget::show);
    setModel(nullptr);
}

void TopBar::setModel(std::shared_ptr<const ergo::OpenedModel> opened) {
    opened_ = std::move(opened);
    if (!opened_) {
        model_->setText(tr("Open a model"));
        backend_->hide();
        meter_->setUse(0, 0);
        return;
    }
    const ergo::ModelInfo& info = opened_->model->info();
    model_->setText(QString("%1 %2").arg(QString::fromStdString(info.name), QChar(0x25BE)));
    model_->setToolTip(sentence(info.why));
    model_->setAccessibleName(tr("Model: %1").arg(QString::fromStdString(info.name)));
    const ergo::DeviceInfo device = opened_->backend->info();
    backend_->setText(device.backend == "cpu" ? tr("CPU") : QString::fromStdString(device.backend));
    QString tip = QString::fromStdString(device.name);
    if (!device.driver.empty()) {
        tip += "\n" + QString::fromStdString(device.driver);
    }
    backend_->setToolTip(tip);
    backend_->show();
}

void TopBar::showPopup() {
    auto* popup = new QFrame(this, Qt::Popup);
    popup->setObjectName("model_popup");
    popup->setAttribute(Qt::WA_DeleteOnClose);
    popup->setFrameShape(QFrame::StyledPanel);
    const ergo::ModelInfo& info = opened_->model->info();
    const auto text = [](const std::string& s) { return QString::fromStdString(s); };
    auto* column = new QVBoxLayout(popup);
    column->setContentsMargins(16, 12, 16, 12);
    auto* title = new QLabel(text(info.name));
    title->setFont(titleFont());
    column->addWidget(title);
    auto* why = new QLabel(sentence(info.why));
    why->setWordWrap(true);
    why->setForegroundRole(QPalette::PlaceholderText);
    column->addWidget(why);
    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(16);
    grid->setVerticalSpacing(4);
    std::uint64_t memory = 0;
    for (const ergo::MemoryItem& item : opened_->model->memory(opened_->context)) {
        memory += item.bytes;
    }
    const QList<QPair<QString, QString>> facts{
        {tr("Family"), text(info.family + " · " + info.variant)},
        {tr("Parameters"), countText(info.parameters)},
        {tr("Layers · heads · width"),
         QString("%1 · %2 · %3").arg(info.layers).arg(info.heads).arg(info.width)},
        {tr("Weights"), text(info.dtype)},
        {tr("Chat format"), opened_->chat ? text(opened_->chat->name()) : tr("none")},
        {tr("Memory"), byteText(memory)},
        {tr("Device"), text(opened_->backend->info().name)},
        {tr("Source"), text(opened_->source)}};
    for (int i = 0; i < facts.size(); ++i) {
        auto* name = new QLabel(facts[i].first);
        name->setForegroundRole(QPalette::PlaceholderText);
        auto* value = new QLabel(facts[i].second);
        value->setWordWrap(true);
        value->setMinimumWidth(220);
        value->setTextInteractionFlags(Qt::TextSelectableByMouse);
        grid->addWidget(name, i, 0, Qt::AlignTop);
        grid->addWidget(value, i, 1);
    }
    column->addSpacing(4);
    column->addLayout(grid);
    auto* buttons = new QHBoxLayout;
    auto* card = new QPushButton(tr("Model card"));
    auto* open = new QPushButton(tr("Open another…"));
    buttons->addStretch();
    buttons->addWidget(card);
    buttons->addWidget(open);
    column->addSpacing(6);
    column->addLayout(buttons);
    connect(card, &QPushButton::clicked, popup, [this, popup] {
        popup->close();
        emit cardRequested();
    });
    connect(open, &QPushButton::clicked, popup, [this, popup] {
        popup->close();
        emit openRequested();
    });
    popup->adjustSize();
    popup->move(model_->mapToGlobal(QPoint(0, model_->height() + 2)));
    popup->show();
}

void TopBar::setSpeed(double tokens_per_second, bool live) {
    speed_->setText(tokens_per_second > 0 ? tr("%1 tokens/s")
                                                .arg(QLocale().toString(tokens_per_second, 'f',
                                                                        tokens_per_second < 99.5 ? 1 : 0))
                                          : QString());
    speed_->setToolTip(live ? tr("Speed of the reply being written") : tr("Speed of the last reply"));
}

QString TopBar::speedText() const {
    return speed_->text();
}

void TopBar::setContext(qint64 used, qint64 size) {
    meter_->setUse(used, size);
}

void TopBar::setProgress(const QString& what, double done, double total) {
    progress_text_->setText(what);
    progress_->setValue(total > 0 ? int(1000 * std::clamp(done / total, 0.0, 1.0)) : 0);
    if (!progress_box_->isVisible() && !progress_timer_.isActive()) {
        progress_timer_.start();
    }
}

void TopBar::endProgress() {
    progress_timer_.stop();
    progress_box_->hide();
}

void TopBar::paintEvent(QPaintEvent*) {
    QPainter p(this);
    p.fillRect(rect(), palette().color(QPalette::Window));
    p.fillRect(QRect(0, height() - 1, width(), 1), palette().color(QPalette::Mid));
}

} // namespace ergosphere
