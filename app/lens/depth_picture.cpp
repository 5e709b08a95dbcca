// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/depth_picture.h"

#include "app/figure/palette.h"
#include "app/window/theme.h"

#include <QKeyEvent>
#include <QLocale>
#include <QMouseEvent>
#include <QPainter>

#include <algorithm>
#include <cmath>

namespace ergosphere {

namespace {

constexpr double header = 18, smallest_row = 18, largest_row = 44, largest_column = 40;
constexpr double strip_gap = 30, strip_height = 56;

} // namespace

DepthPicture::DepthPicture(const LensData* lens_data, Selection* selection, QWidget* parent)
    : QWidget(parent), data_(lens_data), selection_(selection) {
    setMouseTracking(true);
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    setAccessibleName(tr("Depth weights: blocks of layers by their readers"));
    setToolTip(tr("Click a column for its tokens below; the topmost cell of a column is the sum still open"));
    setToolTipDuration(5000);
    connect(selection_, &Selection::changed, this, [this] { update(); });
}

void DepthPicture::setFigure(DepthFigure figure, const Coloring& coloring) {
    figure_ = std::move(figure);
    coloring_ = coloring;
    if (reader_ < 0 || reader_ >= sites()) {
        reader_ = sites() - 1; // the output head
    }
    setMinimumHeight(minimumSizeHint().height());
    renewStrip();
    update();
}

void DepthPicture::setReader(int site) {
    if (site < 0 || site >= sites() || site == reader_) {
        return;
    }
    reader_ = site;
    renewStrip();
    update();
}

QSize DepthPicture::minimumSizeHint() const {
    return {200, static_cast<int>(header + std::max(1, figure_.weights.rows) * smallest_row + strip_gap +
                                  strip_height + 4)};
}

int DepthPicture::gutter() const {
    const QFontMetrics metrics(smallFont());
    int widest = 40;
    for (const QString& block : figure_.blocks) {
        widest = std::max(widest, metrics.horizontalAdvance(block));
    }
    return std::min(widest, 140) + 10;
}

QRectF DepthPicture::cell(int block, int site) const {
    const int rows = std::max(1, figure_.weights.rows);
    const double left = gutter();
    const double height = std::clamp((this->height() - header - strip_gap - strip_height - 4) / rows,
                                     smallest_row, largest_row);
    const double width = std::min(largest_column, (this->width() - left - 2) / std::max(1, sites()));
    return {left + site * width, header + (rows - 1 - block) * height, width, height}; // depth grows upwards
}

QRectF DepthPicture::strip() const {
    const double left = gutter();
    return {left, cell(0, 0).bottom() + strip_gap, std::max(8.0, this->width() - left - 2), strip_height};
}

std::pair<int, int> DepthPicture::cellAt(QPointF at) const {
    const int rows = figure_.weights.rows;
    const QRectF bottom = cell(0, 0);
    if (rows == 0 || at.x() < bottom.left() || at.y() < header || at.y() >= bottom.bottom()) {
        return {-1, -1};
    }
    const int site = static_cast<int>((at.x() - bottom.left()) / bottom.width());
    const int block = rows - 1 - static_cast<int>((at.y() - header) / bottom.height());
    return site < sites() && block >= 0 ? std::pair{block, site} : std::pair{-1, -1};
}

qint64 DepthPicture::tokens() const {
    const ergo::ModelInfo* info = data_->info();
    return info && reader_ >= 0 && reader_ < static_cast<int>(info->depths.size())
               ? data_->stripRows(data_->observable(info->depths[static_cast<std::size_t>(reader_)].weights))
               : 0;
}

qint64 DepthPicture::tokenAt(QPointF at) const {
    const QRectF area = strip();
    if (!area.contains(at) || tokens() == 0) {
        return -1;
    }
    return static_cast<qint64>((at.x() - area.left()) / area.width() * static_cast<double>(tokens()));
}

bool DepthPicture::isOpen(int block, int site) const {
    return block + 1 == figure_.weights.rows || std::isnan(figure_.weights.at(block + 1, site));
}

QColor DepthPicture::blockColor(int block) const {
    const int rows = std::max(1, figure_.weights.rows);
    return QColor::fromRgb(Colormap::named(QStringLiteral("viridis")).color(block + 0.5, 0, rows));
}

QString DepthPicture::describe(int block, int site) const {
    if (block < 0 || site < 0 || block >= figure_.weights.rows || site >= sites() ||
        std::isnan(figure_.weights.at(block, site))) {
        return {};
    }
    const QString percent = QLocale().toString(100 * figure_.weights.at(block, site), 'f', 1);
    return (isOpen(block, site) ? tr("%1 reads %2 (still open): %3 %") : tr("%1 reads %2: %3 %"))
        .arg(figure_.sites.value(site), figure_.blocks.value(block), percent);
}

QString DepthPicture::describeToken(qint64 token) const {
    const ergo::ModelInfo* info = data_->info();
    if (!info || reader_ < 0 || reader_ >= static_cast<int>(info->depths.size()) || token < 0) {
        return {};
    }
    const std::string& name = info->depths[static_cast<std::size_t>(reader_)].weights;
    const std::span<const float> weights = data_->strip(data_->observable(name), token);
    QStringList parts;
    for (std::size_t block = 0; block < weights.size(); ++block) {
        parts.append(QStringLiteral("%1 %2 %")
                         .arg(figure_.blocks.value(static_cast<qsizetype>(block)))
                         .arg(qRound(100 * weights[block])));
    }
    return QStringLiteral("%1 · %2 (%3): %4")
        .arg(figure_.sites.value(reader_), visible_token(data_->tokens().value(token)),
             QString::number(token),
             parts.isEmpty() ? tr("not captured yet") : parts.join(QStringLiteral(", ")));
}

void DepthPicture::renewStrip() {
    const auto columns = static_cast<int>(tokens());
    stacked_ = {};
    const ergo::ModelInfo* info = data_->info();
    if (columns == 0 || !info) {
        return;
    }
    const int observable = data_->observable(info->depths[static_cast<std::size_t>(reader_)].weights);
    const int height = std::max(1, static_cast<int>(strip_height * devicePixelRatioF()));
    stacked_ = QImage(columns, height, QImage::Format_ARGB32_Premultiplied);
    stacked_.fill(Qt::transparent);
    std::vector<QRgb> colors;
    for (int block = 0; block < figure_.weights.rows; ++block) {
        colors.push_back(blockColor(block).rgb());
    }
    for (int token = 0; token < columns; ++token) {
        const std::span<const float> weights = data_->strip(observable, token);
        double reached = 0;
        int y = height; // from the bottom up, the embedding first
        for (std::size_t block = 0; block < std::min(weights.size(), colors.size()); ++block) {
            reached += static_cast<double>(weights[block]);
            const int top = std::clamp(static_cast<int>(std::lround((1 - reached) * height)), 0, height);
            for (; y > top; --y) {
                reinterpret_cast<QRgb*>(stacked_.scanLine(y - 1))[token] = colors[block];
            }
        }
    }
}

void DepthPicture::paintMap(QPainter& painter) const {
    const ThemeColors& colors = colorsOf(palette());
    const QFont mono = monoFont(11);
    const QFontMetricsF metrics(mono);
    painter.setFont(mono);
    for (int site = 0; site < sites(); ++site) {
        for (int block = 0; block < figure_.weights.rows; ++block) {
            const float weight = figure_.weights.at(block, site);
            if (std::isnan(weight)) {
                continue;
            }
            const QRectF place = cell(block, site).adjusted(0.5, 0.5, -0.5, -0.5);
            const QColor fill =
                QColor::fromRgb(coloring_.map->color(weight, coloring_.black, coloring_.white));
            painter.fillRect(place, fill);
            const QString number = QString::number(qRound(100 * weight));
            if (metrics.horizontalAdvance(number) < place.width() - 3 && metrics.height() < place.height()) {
                painter.setPen(qGray(fill.rgb()) > 128 ? QColor(0x1B, 0x1F, 0x24) : QColor(Qt::white));
                painter.drawText(place, Qt::AlignCenter, number);
            }
        }
    }
    painter.setBrush(Qt::NoBrush);
    if (reader_ >= 0) {
        const QRectF column(cell(figure_.weights.rows - 1, reader_).topLeft(),
                            cell(0, reader_).bottomRight());
        painter.setPen(QPen(colors.accent, 2));
        painter.drawRect(column.adjusted(0, -1, 0, 1));
    }
    if (hovered_.first >= 0 && !std::isnan(figure_.weights.at(hovered_.first, hovered_.second))) {
        painter.setPen(QPen(colors.text, 1));
        painter.drawRect(cell(hovered_.first, hovered_.second).adjusted(0, 0, -0.5, -0.5));
    }
}

void DepthPicture::paintLabels(QPainter& painter) const {
    const ThemeColors& colors = colorsOf(palette());
    const QFontMetricsF metrics(smallFont());
    painter.setFont(smallFont());
    for (int block = 0; block < figure_.weights.rows; ++block) {
        const QRectF place = cell(block, 0);
        const QRectF label(0, place.top(), place.left() - 8, place.height());
        painter.setPen(block == hovered_.first ? colors.text : colors.muted);
        painter.drawText(label, Qt::AlignVCenter | Qt::AlignRight,
                         metrics.elidedText(figure_.blocks.value(block), Qt::ElideMiddle, label.width()));
    }
    painter.setFont(monoFont(11));
    const QFontMetricsF mono(monoFont(11));
    const ergo::ModelInfo* info = data_->info();
    const std::string stage = info && selection_->site() >= 0
                                  ? info->attentions[static_cast<std::size_t>(selection_->site())].stage
                                  : std::string();
    double free_from = 0; // labels never touch
    for (int first = 0; first < sites();) {
        int end = first + 1;
        while (end < sites() && figure_.layers[end] == figure_.layers[first]) {
            ++end;
        }
        const int layer = figure_.layers[first];
        const QString text = layer < 0 ? tr("out") : QString::number(layer);
        const double middle = (cell(0, first).left() + cell(0, end - 1).right()) / 2;
        const double width = mono.horizontalAdvance(text) + 4;
        if (middle - width / 2 >= free_from) {
            const bool chosen = stage == "layers." + std::to_string(layer);
            painter.setPen(chosen ? colors.accent : colors.muted);
            painter.drawText(QRectF(middle - width, 0, 2 * width, header - 4), Qt::AlignCenter, text);
            free_from = middle + width / 2;
        }
        first = end;
    }
}

void DepthPicture::markToken(QPainter& painter, qint64 token, const QPen& pen) const {
    if (token < 0 || token >= tokens()) {
        return;
    }
    const QRectF area = strip();
    const double step = area.width() / static_cast<double>(tokens());
    const double grow = std::max(0.0, (3 - step) / 2);
    painter.setPen(pen);
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(QRectF(area.left() + static_cast<double>(token) * step, area.top(), step, area.height())
                         .adjusted(-grow, -1.5, grow, 1.5));
}

void DepthPicture::paintStrip(QPainter& painter) const {
    const ThemeColors& colors = colorsOf(palette());
    const QRectF area = strip();
    painter.setFont(smallFont());
    painter.setPen(colors.muted);
    painter.drawText(QRectF(area.left(), area.top() - 20, area.width(), 18), Qt::AlignLeft | Qt::AlignVCenter,
                     tr("%1, token by token").arg(figure_.sites.value(reader_)));
    painter.fillRect(area, colors.surface);
    painter.setRenderHint(QPainter::SmoothPixmapTransform, stacked_.width() > area.width());
    painter.drawImage(area, stacked_);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(colors.line, 1));
    painter.drawRect(area.adjusted(-0.5, -0.5, 0.5, 0.5));
    markToken(painter, selection_->second(), QPen(colors.caution, 1.5, Qt::DashLine));
    markToken(painter, selection_->token(), QPen(colors.accent, 2));
    if (selection_->hovered() != selection_->token()) {
        markToken(painter, selection_->hovered(), QPen(colors.hover.darker(colors.dark ? 80 : 110), 1));
    }
}

void DepthPicture::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    if (sites() == 0) {
        return;
    }
    paintMap(painter);
    paintLabels(painter);
    paintStrip(painter);
    if (hasFocus()) {
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(colorsOf(palette()).accent, 1));
        painter.drawRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5));
    }
}

void DepthPicture::resizeEvent(QResizeEvent* event) {
    QWidget::resizeEvent(event);
    renewStrip();
}

void DepthPicture::mouseMoveEvent(QMouseEvent* event) {
    hovered_ = cellAt(event->position());
    const qint64 token = tokenAt(event->position());
    if (token >= 0 || strip().contains(event->position())) {
        selection_->setHovered(token);
    } else {
        selection_->setHovered(-1); // the map shows the locked token, or the average
    }
    const QString text = token >= 0 ? describeToken(token) : describe(hovered_.first, hovered_.second);
    setCursor(hovered_.second >= 0 || token >= 0 ? Qt::PointingHandCursor : Qt::ArrowCursor);
    setAccessibleDescription(text);
    emit readout(text);
    update();
}

void DepthPicture::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) {
        return;
    }
    const qint64 token = tokenAt(event->position());
    if (token >= 0) {
        if (event->modifiers() & Qt::ShiftModifier) {
            selection_->setSecond(token);
        } else {
            selection_->setToken(token);
        }
        return;
    }
    const int site = cellAt(event->position()).second;
    const ergo::ModelInfo* info = data_->info();
    if (site < 0 || !info) {
        return;
    }
    setReader(site);
    const std::string& stage = info->depths[static_cast<std::size_t>(site)].stage;
    for (std::size_t i = 0; i < info->attentions.size(); ++i) { // the attention lens follows
        if (info->attentions[i].stage == stage) {
            selection_->setSite(static_cast<int>(i));
            break;
        }
    }
}

void DepthPicture::leaveEvent(QEvent* event) {
    QWidget::leaveEvent(event);
    hovered_ = {-1, -1};
    selection_->setHovered(-1);
    emit readout(QString());
    update();
}

void DepthPicture::keyPressEvent(QKeyEvent* event) {
    const bool walk = event->modifiers() & Qt::ControlModifier;
    if (walk && (event->key() == Qt::Key_Left || event->key() == Qt::Key_Right)) {
        setReader(reader_ + (event->key() == Qt::Key_Left ? -1 : 1));
        emit readout(describeToken(selection_->token()));
        return;
    }
    emit lensKey(event);
}

bool DepthPicture::event(QEvent* event) {
    if (event->type() == QEvent::PaletteChange) {
        update();
    }
    return QWidget::event(event);
}

} // namespace ergosphere
