// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/router_picture.h"

#include "app/figure/figure.h"
#include "app/figure/palette.h"
#include "app/window/engine_text.h"
#include "app/window/theme.h"

#include <QMouseEvent>
#include <QPainter>

#include <algorithm>
#include <cmath>

namespace ergosphere {

namespace {

constexpr double gap = 6, token_line = 20, smallest_strip = 20, largest_strip = 72, largest_column = 32;

} // namespace

RouterPicture::RouterPicture(const LensData* lens_data, Selection* selection, QWidget* parent)
    : QWidget(parent), data_(lens_data), selection_(selection) {
    setMouseTracking(true);
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    setAccessibleName(tr("Router shares over tokens"));
    setToolTip(tr("Click locks a token, Shift+click pins a second one, arrows step"));
    setToolTipDuration(4000);
    connect(selection_, &Selection::changed, this, [this] { update(); });
    connect(selection_, &Selection::pathChanged, this, &RouterPicture::refresh);
}

qint64 RouterPicture::tokens() const {
    qint64 most = 0;
    if (const ergo::ModelInfo* info = data_->info()) {
        for (const ergo::RouterSite& router : info->routers) {
            most = std::max(most, data_->stripRows(data_->observable(router.shares)));
        }
    }
    return most;
}

int RouterPicture::gutter() const {
    const QFontMetrics metrics(smallFont());
    int widest = 40;
    if (const ergo::ModelInfo* info = data_->info()) {
        for (const ergo::RouterSite& router : info->routers) {
            widest = std::max(widest, metrics.horizontalAdvance(placeText(router.label)));
        }
    }
    return std::min(widest, 140) + 10;
}

QSize RouterPicture::minimumSizeHint() const {
    const int routers = data_->info() ? static_cast<int>(data_->info()->routers.size()) : 0;
    return {200, static_cast<int>(routers * (smallest_strip + gap) + token_line)};
}

QRectF RouterPicture::strip(int router) const {
    const int count = std::max(1, data_->info() ? static_cast<int>(data_->info()->routers.size()) : 0);
    const double height =
        std::clamp((this->height() - token_line) / count - gap, smallest_strip, largest_strip);
    const double left = gutter();
    const double room = std::max(8.0, width() - left - 4);
    const double used = std::min(room, largest_column * static_cast<double>(std::max(qint64{1}, tokens())));
    return {left, token_line + router * (height + gap), used, height};
}

QRectF RouterPicture::column(int router, qint64 token) const {
    const QRectF area = strip(router);
    const double step = area.width() / static_cast<double>(std::max(qint64{1}, tokens()));
    return {area.left() + static_cast<double>(token) * step, area.top(), step, area.height()};
}

int RouterPicture::routerAt(QPointF at) const {
    const int count = data_->info() ? static_cast<int>(data_->info()->routers.size()) : 0;
    for (int router = 0; router < count; ++router) {
        if (strip(router).adjusted(0, -gap / 2, 0, gap / 2).contains(at)) {
            return router;
        }
    }
    return -1;
}

qint64 RouterPicture::tokenAt(QPointF at) const {
    const QRectF area = strip(0);
    if (at.x() < area.left() || at.x() >= area.right()) {
        return -1;
    }
    return static_cast<qint64>((at.x() - area.left()) / area.width() * static_cast<double>(tokens()));
}

QString RouterPicture::describe(int router, qint64 token) const {
    const ergo::ModelInfo* info = data_->info();
    if (!info || router < 0 || router >= static_cast<int>(info->routers.size()) || token < 0) {
        return {};
    }
    const ergo::RouterSite& site = info->routers[static_cast<std::size_t>(router)];
    const std::span<const float> shares = data_->strip(data_->observable(site.shares), token);
    QStringList parts;
    for (std::size_t path = 0; path < std::min(shares.size(), site.paths.size()); ++path) {
        if (shares[path] > 0) {
            parts.append(QStringLiteral("%1 %2 %")
                             .arg(QString::fromStdString(site.paths[path]))
                             .arg(qRound(100 * shares[path])));
        }
    }
    return QStringLiteral("%1 · %2 (%3): %4")
        .arg(placeText(site.label), visible_token(data_->tokens().value(token)), QString::number(token),
             parts.isEmpty() ? tr("not captured yet") : parts.join(QStringLiteral(", ")));
}

void RouterPicture::paintStrip(QImage& image, int router) const {
    const ergo::RouterSite& site = data_->info()->routers[static_cast<std::size_t>(router)];
    const int observable = data_->observable(site.shares);
    const int paths = static_cast<int>(site.paths.size());
    const QColor paper = colorsOf(palette()).surface;
    std::vector<QRgb> colors;
    for (int path = 0; path < paths; ++path) {
        const QColor own = routeColor(path, paths);
        const bool faded = selection_->path() >= 0 && selection_->path() != path && paths == 4;
        colors.push_back(faded ? blend(own, paper, 0.8).rgb() : own.rgb());
    }
    image.fill(Qt::transparent);
    const int height = image.height();
    for (int token = 0; token < image.width(); ++token) {
        const std::span<const float> shares = data_->strip(observable, token);
        double reached = 0;
        int y = height; // from the bottom up, as in the figures
        for (std::size_t path = 0; path < std::min(shares.size(), colors.size()); ++path) {
            reached += static_cast<double>(shares[path]);
            const int top = std::clamp(static_cast<int>(std::lround((1 - reached) * height)), 0, height);
            for (; y > top; --y) {
                reinterpret_cast<QRgb*>(image.scanLine(y - 1))[token] = colors[path];
            }
        }
    }
}

void RouterPicture::refresh() {
    const ergo::ModelInfo* info = data_->info();
    const auto columns = static_cast<int>(tokens());
    images_.clear();
    if (info && columns > 0) {
        for (int router = 0; router < static_cast<int>(info->routers.size()); ++router) {
            const int height = std::max(1, static_cast<int>(strip(router).height() * devicePixelRatioF()));
            QImage image(columns, height, QImage::Format_ARGB32_Premultiplied);
            paintStrip(image, router);
            images_.push_back(std::move(image));
        }
    }
    setMinimumHeight(minimumSizeHint().height());
    update();
}

void RouterPicture::drawTokenLine(QPainter& painter, qint64 token, const QPen& pen, bool labelled) const {
    if (token < 0 || token >= tokens()) {
        return;
    }
    const QRectF top = column(0, token), bottom = column(static_cast<int>(images_.size()) - 1, token);
    const double grow = std::max(0.0, (3 - top.width()) / 2);
    painter.setPen(pen);
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(
        QRectF(top.topLeft(), bottom.bottomRight()).adjusted(-grow - 0.5, -1.5, grow + 0.5, 1.5));
    if (!labelled) {
        return;
    }
    const QString text = visible_token(data_->tokens().value(token), 16);
    const QFontMetricsF metrics(painter.font());
    const double width = metrics.horizontalAdvance(text) + 10;
    const double left = std::clamp(top.center().x() - width / 2, 0.0, std::max(0.0, this->width() - width));
    const QRectF box(left, 0, width, token_line - 4);
    painter.setPen(Qt::NoPen);
    painter.setBrush(pen.color());
    painter.drawRoundedRect(box, 3, 3);
    painter.setPen(pen.color() == colorsOf(palette()).accent ? colorsOf(palette()).on_accent
                                                             : colorsOf(palette()).text);
    painter.drawText(box, Qt::AlignCenter, text);
}

void RouterPicture::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const ThemeColors& colors = colorsOf(palette());
    const ergo::ModelInfo* info = data_->info();
    if (!info || images_.size() != info->routers.size()) {
        return;
    }
    painter.setFont(smallFont());
    const QFontMetricsF metrics(smallFont());
    const std::string stage =
        selection_->site() >= 0 ? info->attentions[static_cast<std::size_t>(selection_->site())].stage : "";
    for (int router = 0; router < static_cast<int>(images_.size()); ++router) {
        const QRectF area = strip(router);
        const ergo::RouterSite& site = info->routers[static_cast<std::size_t>(router)];
        painter.setRenderHint(QPainter::SmoothPixmapTransform,
                              images_[static_cast<std::size_t>(router)].width() > area.width());
        painter.fillRect(area, colors.surface);
        painter.drawImage(area, images_[static_cast<std::size_t>(router)]);
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(colors.line, 1));
        painter.drawRect(area.adjusted(-0.5, -0.5, 0.5, 0.5));
        painter.setPen(site.stage == stage || router == hovered_router_ ? colors.text : colors.muted);
        painter.drawText(QRectF(0, area.top(), area.left() - 8, area.height()),
                         Qt::AlignVCenter | Qt::AlignRight,
                         metrics.elidedText(placeText(site.label), Qt::ElideMiddle, area.left() - 8));
    }
    painter.setFont(monoFont(11));
    const qint64 hovered = selection_->hovered();
    drawTokenLine(painter, selection_->second(), QPen(colors.caution, 1.5, Qt::DashLine), false);
    drawTokenLine(painter, selection_->token(), QPen(colors.accent, 2),
                  hovered < 0 || hovered == selection_->token());
    if (hovered != selection_->token()) {
        drawTokenLine(painter, hovered, QPen(colors.hover.darker(colors.dark ? 80 : 110), 1), true);
    }
    if (hasFocus()) {
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(colors.accent, 1));
        painter.drawRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5));
    }
}

void RouterPicture::resizeEvent(QResizeEvent* event) {
    QWidget::resizeEvent(event);
    refresh();
}

void RouterPicture::mouseMoveEvent(QMouseEvent* event) {
    const qint64 token = tokenAt(event->position());
    hovered_router_ = routerAt(event->position());
    selection_->setHovered(token);
    const QString text = describe(hovered_router_, token);
    setAccessibleDescription(text);
    emit readout(text);
    update();
}

void RouterPicture::mousePressEvent(QMouseEvent* event) {
    const qint64 token = tokenAt(event->position());
    if (event->button() != Qt::LeftButton || token < 0) {
        return;
    }
    if (event->modifiers() & Qt::ShiftModifier) {
        selection_->setSecond(token);
    } else {
        selection_->setToken(token);
    }
}

void RouterPicture::leaveEvent(QEvent* event) {
    QWidget::leaveEvent(event);
    hovered_router_ = -1;
    selection_->setHovered(-1);
    emit readout(QString());
}

bool RouterPicture::event(QEvent* event) {
    if (event->type() == QEvent::PaletteChange) {
        refresh();
    }
    return QWidget::event(event);
}

} // namespace ergosphere
