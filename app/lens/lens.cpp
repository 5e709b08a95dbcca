// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/lens.h"

#include "app/window/theme.h"

#include <QEvent>
#include <QKeyEvent>
#include <QLabel>
#include <QPainter>
#include <QStackedLayout>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

constexpr int frame_ms = 33;

QLabel* make_label(QWidget* parent, const QFont& font, const QString& accessible_name) {
    auto* made = new QLabel(parent);
    made->setFont(font);
    made->setAccessibleName(accessible_name);
    made->setTextFormat(Qt::PlainText); // token texts come from models and must stay text
    made->setWordWrap(true);
    made->setTextInteractionFlags(Qt::TextSelectableByMouse);
    return made;
}

} // namespace

std::optional<FigureSnapshot> FigureSource::figureSnapshot() const {
    std::optional<FigureData> now = figure();
    if (!now) {
        return std::nullopt;
    }
    const bool has_colormap = !std::holds_alternative<RouterFigure>(*now);
    return FigureSnapshot{has_colormap, [held = std::move(*now)] { return held; }};
}

Lens::Lens(LensData* lens_data, Selection* selection, QWidget* parent)
    : QWidget(parent), data_(lens_data), selection_(selection) {
    setFocusPolicy(Qt::StrongFocus);
    pages_ = new QStackedLayout(this);
    empty_ = make_label(this, interfaceFont(), tr("What would be here"));
    empty_->setAlignment(Qt::AlignCenter);
    empty_->setMargin(32);
    filled_ = new QWidget(this);
    pages_->addWidget(empty_);
    pages_->addWidget(filled_);
    column_ = new QVBoxLayout(filled_);
    column_->setContentsMargins(12, 12, 12, 8);
    column_->setSpacing(8);
    title_ = make_label(filled_, titleFont(), tr("What is shown"));
    summary_ = make_label(filled_, interfaceFont(), tr("In words"));
    measured_ = make_label(filled_, smallFont(), tr("Measured on"));
    measured_->setToolTip(tr("What computed these numbers, and whether they are the run's own"));
    mute();
    timer_.setSingleShot(true);
    connect(&timer_, &QTimer::timeout, this, &Lens::refreshNow);
    connect(data_, &LensData::changed, this, &Lens::request);
    connect(data_, &LensData::modelChanged, this, &Lens::request);
    connect(selection_, &Selection::changed, this, &Lens::request);
}

void Lens::setBody(QWidget* controls, QWidget* picture, QWidget* below) {
    column_->addWidget(title_);
    if (controls) {
        column_->addWidget(controls);
    }
    column_->addWidget(picture, 1);
    if (below) {
        column_->addWidget(below);
    }
    column_->addWidget(summary_);
    column_->addWidget(measured_);
}

void Lens::setTexts(const QString& title, const QString& summary, bool recomputed) {
    title_->setText(title);
    constexpr QChar no_break(0xA0); // a number and its sign stay on one line
    summary_->setText(QString(summary).replace(QStringLiteral(" %"), no_break + QStringLiteral("%")));
    recomputed_ = recomputed;
    const QString origin = recomputed ? tr("recomputed") : tr("live from the run");
    QStringList parts{origin};
    if (!data_->measuredOn().isEmpty()) {
        parts.prepend(data_->measuredOn());
    }
    if (!data_->changes().isEmpty()) {
        parts << tr("altered model: %1").arg(shortened(data_->changes()));
    }
    measured_->setText(parts.join(QStringLiteral(" · ")));
    setAccessibleName(title);
    setAccessibleDescription(summary);
}

QString Lens::titleText() const {
    return title_->text();
}
QString Lens::summaryText() const {
    return summary_->text();
}
QString Lens::measuredText() const {
    return measured_->text();
}

FigureSpec Lens::figureSpec() const {
    FigureSpec spec;
    spec.title = figureTitle();
    if (!data_->changes().isEmpty()) { // on paper too nobody may take it for the model itself
        spec.title += QStringLiteral(" · altered: ") + shortened(data_->changes());
    }
    spec.provenance = provenance();
    return spec;
}

QString Lens::provenance() const {
    const ergo::ModelInfo* info = data_->info();
    const QString model = info ? QString::fromStdString(info->name) + QStringLiteral(", ") : QString();
    const QString measured =
        data_->measuredOn().isEmpty() ? QString() : data_->measuredOn() + QStringLiteral(" · ");
    return model + figureTitle() + QStringLiteral(", ") + measured +
           (recomputed_ ? QStringLiteral("recomputed") : QStringLiteral("live from the run")) +
           (data_->changes().isEmpty()
                ? QString()
                : QStringLiteral(" · altered: ") + data_->changes().join(QStringLiteral(", ")));
}

QString Lens::figureTitle() const {
    return title_->text();
}

void Lens::request() {
    stale_ = true;
    if (isVisible() && !timer_.isActive()) {
        timer_.start(frame_ms);
    }
}

void Lens::refreshNow() {
    stale_ = false;
    if (!hasPicture()) {
        empty_->setText(emptyText());
        pages_->setCurrentWidget(empty_);
        return;
    }
    pages_->setCurrentWidget(filled_);
    refresh();
}

void Lens::showEvent(QShowEvent* event) {
    QWidget::showEvent(event);
    if (stale_) {
        refreshNow();
    }
}

void Lens::changeEvent(QEvent* event) {
    QWidget::changeEvent(event);
    if (event->type() == QEvent::PaletteChange && measured_) {
        mute();
        request();
    }
}

void Lens::mute() {
    for (QLabel* label : {measured_, empty_}) {
        QPalette colors = palette();
        colors.setColor(QPalette::WindowText, colorsOf(palette()).muted);
        label->setPalette(colors);
    }
}

void Lens::stepSite(int layers) {
    const ergo::ModelInfo* info = data_->info();
    if (!info || info->attentions.empty() || selection_->site() < 0) {
        return;
    }
    // The same kind of attention in the next layer that has it; where none has, the next attention of all.
    const int count = static_cast<int>(info->attentions.size());
    const std::string kind = info->attentions[static_cast<std::size_t>(selection_->site())].site;
    for (int at = selection_->site() + layers; at >= 0 && at < count; at += layers) {
        if (info->attentions[static_cast<std::size_t>(at)].site == kind) {
            selection_->setSite(at);
            return;
        }
    }
}

void Lens::stepHead(int heads) {
    selection_->setHead(selection_->head() + heads);
}

void Lens::keyPressEvent(QKeyEvent* event) {
    const qint64 token = selection_->token();
    const qint64 last = selection_->length() - 1;
    switch (event->key()) {
    case Qt::Key_Left:
    case Qt::Key_Up:
        selection_->setToken(token < 0 ? last : std::max(qint64{0}, token - 1));
        break;
    case Qt::Key_Right:
    case Qt::Key_Down:
        selection_->setToken(token < 0 ? last : std::min(last, token + 1));
        break;
    case Qt::Key_Home:
        selection_->setToken(std::min(qint64{0}, last));
        break;
    case Qt::Key_End:
        selection_->setToken(last);
        break;
    case Qt::Key_BracketLeft:
        stepSite(-1);
        break;
    case Qt::Key_BracketRight:
        stepSite(1);
        break;
    case Qt::Key_Comma:
        stepHead(-1);
        break;
    case Qt::Key_Period:
        stepHead(1);
        break;
    case Qt::Key_Escape:
        selection_->clear();
        break;
    default:
        QWidget::keyPressEvent(event);
    }
}

} // namespace ergosphere
