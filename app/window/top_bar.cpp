// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/top_bar.h"

#include "app/library/model_card.h"
#include "app/window/backend_popup.h"
#include "app/window/engine_text.h"
#include "app/window/progress_row.h"
#include "app/window/theme.h"

#include <QFrame>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPainter>
#include <QPushButton>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

QToolButton* chip(const QString& name, QWidget* parent) {
    auto* button = new QToolButton(parent);
    button->setObjectName(name);
    button->setToolButtonStyle(Qt::ToolButtonTextOnly);
    button->setAutoRaise(true);
    button->setFocusPolicy(Qt::StrongFocus);
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
    altered_ = chip("altered_chip", this);
    altered_->setText(tr("altered"));
    QPalette caution = palette();
    caution.setColor(QPalette::ButtonText, colorsOf(palette()).caution);
    altered_->setPalette(caution);
    altered_->hide();
    speed_ = new QLabel(this);
    speed_->setObjectName("speed");
    speed_->setFont(monoFont(11));
    speed_->setForegroundRole(QPalette::PlaceholderText);
    speed_->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    meter_ = new ContextMeter(this);

    progress_ = new ProgressRow(this);

    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(12, 6, 16, 6);
    row->setSpacing(8);
    row->addWidget(model_);
    row->addWidget(altered_);
    row->addWidget(backend_);
    row->addStretch();
    row->addWidget(progress_);
    row->addSpacing(8);
    row->addWidget(speed_);
    row->addSpacing(8);
    row->addWidget(meter_);

    connect(model_, &QToolButton::clicked, this, [this] { opened_ ? showPopup() : emit openRequested(); });
    connect(backend_, &QToolButton::clicked, this, [this] { emit backendRequested(backend_); });
    connect(altered_, &QToolButton::clicked, this, &TopBar::changesRequested);
    connect(progress_, &ProgressRow::cancelRequested, this, &TopBar::cancelRequested);
    setModel(nullptr);
}

void TopBar::setModel(std::shared_ptr<const ergo::OpenedModel> opened) {
    opened_ = std::move(opened);
    if (!opened_) {
        model_->setText(tr("Open a model"));
        model_->setToolTip(tr("Open a model folder or file (Ctrl+O)"));
        model_->setAccessibleName(model_->text());
        backend_->hide();
        meter_->setUse(0, 0);
        return;
    }
    const ergo::ModelInfo& info = opened_->model->info();
    model_->setText(QString("%1 %2").arg(QString::fromStdString(info.name), QChar(0x25BE)));
    model_->setToolTip(verdictText(info.why));
    model_->setAccessibleName(tr("Model: %1").arg(QString::fromStdString(info.name)));
    const ergo::DeviceInfo device = opened_->backend->info();
    const auto shown = [](const ergo::OpenedModel& model) {
        const std::string backend = model.backend->info().backend;
        return backend == "cpu"      ? tr("CPU")
               : backend == "vulkan" ? QStringLiteral("Vulkan")
                                     : QString::fromStdString(backend);
    };
    const QString name =
        opened_->writer ? shown(*opened_) + " + " + shown(*opened_->writer) : shown(*opened_);
    backend_->setText(QString("%1 %2").arg(name, QChar(0x25BE)));
    backend_->setAccessibleName(tr("Backend: %1").arg(name));
    QString tip = QString::fromStdString(device.name);
    if (opened_->writer) {
        tip = tr("%1 reads prompts, %2 writes")
                  .arg(tip, QString::fromStdString(opened_->writer->backend->info().name));
    }
    if (!device.driver.empty()) {
        tip += "\n" + QString::fromStdString(device.driver);
    }
    backend_->setToolTip(tip + "\n" + choiceText(opened_->choice));
    backend_->show();
}

void TopBar::setChanges(const QStringList& changes) {
    altered_->setVisible(!changes.isEmpty());
    altered_->setToolTip(tr("The model is not as its file has it:\n%1").arg(changes.join('\n')));
    altered_->setAccessibleName(tr("Altered model: %1").arg(changes.join(", ")));
}

void TopBar::setOpenModels(std::vector<std::shared_ptr<const ergo::OpenedModel>> open) {
    open_ = std::move(open);
}

// One line for every other open model: its name shows it, Close lets go of it.
void TopBar::addOtherModels(QFrame* popup) {
    auto* column = static_cast<QVBoxLayout*>(popup->layout());
    for (const auto& other : open_) {
        if (other == opened_) {
            continue;
        }
        const QString source = QString::fromStdString(other->source),
                      name = QString::fromStdString(other->model->info().name);
        auto* show = new QPushButton(tr("Show %1").arg(name));
        show->setObjectName("show_model");
        show->setToolTip(source);
        auto* close = new QPushButton(tr("Close"));
        close->setAccessibleName(tr("Close %1").arg(name));
        auto* row = new QHBoxLayout;
        row->addWidget(show, 1);
        row->addWidget(close);
        column->addLayout(row);
        connect(show, &QPushButton::clicked, popup, [this, popup, source] {
            popup->close();
            emit modelChosen(source);
        });
        connect(close, &QPushButton::clicked, popup, [this, popup, source] {
            popup->close();
            emit modelClosed(source);
        });
    }
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
    auto* why = new QLabel(verdictText(info.why));
    why->setWordWrap(true);
    why->setForegroundRole(QPalette::PlaceholderText);
    column->addWidget(why);
    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(16);
    grid->setVerticalSpacing(4);
    const std::uint64_t memory = opened_->memory.total();
    QList<QPair<QString, QString>> facts{
        {tr("Family"), familyText(info.family, info.variant)},
        {tr("Parameters"), countText(info.parameters)},
        {tr("Layers · heads · width"),
         QString("%1 · %2 · %3").arg(info.layers).arg(info.heads).arg(info.width)},
        {tr("Weights"),
         text(opened_->memory.dtype == info.dtype
                  ? info.dtype
                  : tr("%1, run as %2").arg(text(info.dtype), text(opened_->memory.dtype)).toStdString())},
        {tr("Keys and values"), text(opened_->memory.cache)},
        {tr("Chat format"), opened_->chat ? text(opened_->chat->name()) : tr("none")},
        {tr("Memory"), byteText(memory)},
        {tr("Device"), text(ergo::device_text(*opened_))},
        {tr("Source"), text(opened_->source)}};
    for (const std::string& note : opened_->notes) {
        facts.append({tr("Note"), text(note)});
    }
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
    auto* close = new QPushButton(tr("Close"));
    close->setObjectName("close_shown");
    close->setAccessibleName(tr("Close %1").arg(text(info.name)));
    buttons->addWidget(close);
    buttons->addStretch();
    buttons->addWidget(card);
    buttons->addWidget(open);
    column->addSpacing(6);
    column->addLayout(buttons);
    if (open_.size() > 1) {
        column->addSpacing(6);
        auto* also = new QLabel(tr("Also open"));
        also->setForegroundRole(QPalette::PlaceholderText);
        column->addWidget(also);
        addOtherModels(popup);
    }
    connect(close, &QPushButton::clicked, popup, [this, popup] {
        popup->close();
        emit modelClosed(QString::fromStdString(opened_->source));
    });
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
    card->setFocus(Qt::PopupFocusReason);
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
    progress_->setProgress(what, done, total);
}

void TopBar::endProgress() {
    progress_->finish();
}

void TopBar::paintEvent(QPaintEvent*) {
    QPainter p(this);
    p.fillRect(rect(), palette().color(QPalette::Window));
    p.fillRect(QRect(0, height() - 1, width(), 1), palette().color(QPalette::Mid));
}

} // namespace ergosphere
