// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/router_lens.h"

#include "app/figure/palette.h"
#include "app/lens/flow_layout.h"
#include "app/lens/router_picture.h"
#include "app/lens/router_ribbon.h"
#include "app/window/theme.h"

#include <QKeyEvent>
#include <QLabel>
#include <QPainter>
#include <QScrollArea>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>
#include <numeric>

namespace ergosphere {

namespace {

QIcon square(const QColor& color) {
    QPixmap pixmap(24, 24);
    pixmap.setDevicePixelRatio(2);
    pixmap.fill(Qt::transparent);
    QPainter painter(&pixmap);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(Qt::NoPen);
    painter.setBrush(color);
    painter.drawRoundedRect(QRectF(1, 1, 10, 10), 2, 2);
    return QIcon(pixmap);
}

/// Pages scroll; the arrow keys are the lens's, they step from token to token.
class StripScrollArea : public QScrollArea {
  public:
    using QScrollArea::QScrollArea;

  protected:
    void keyPressEvent(QKeyEvent* event) override {
        if (event->key() == Qt::Key_PageUp || event->key() == Qt::Key_PageDown) {
            QScrollArea::keyPressEvent(event);
        } else {
            event->ignore();
        }
    }
};

} // namespace

RouterLens::RouterLens(LensData* lens_data, Selection* selection, QWidget* parent)
    : Lens(lens_data, selection, parent) {
    legend_ = new FlowWidget(this, 4);
    auto* scroll = new StripScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->viewport()->setAutoFillBackground(false);
    scroll->setFocusPolicy(Qt::NoFocus);
    picture_ = new RouterPicture(lens_data, selection, scroll);
    scroll->setWidget(picture_);
    picture_->setAutoFillBackground(false);
    readout_ = new QLabel(this);
    readout_->setFont(monoFont(11));
    readout_->setTextFormat(Qt::PlainText);
    readout_->setAccessibleName(tr("Token under the pointer"));
    readout_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    setBody(legend_, scroll, readout_);
    setFocusPolicy(Qt::ClickFocus); // Tab goes to what is inside
    setFocusProxy(picture_);
    connect(picture_, &RouterPicture::readout, readout_, &QLabel::setText);
    connect(lens_data, &LensData::modelChanged, this, &RouterLens::fillLegend);
    connect(selection, &Selection::pathChanged, this, [this](int path) {
        for (int i = 0; i < paths_.size(); ++i) {
            paths_[i]->setChecked(i == path);
        }
    });
    fillLegend();
}

void RouterLens::fillLegend() {
    qDeleteAll(legend_->findChildren<QWidget*>(Qt::FindDirectChildrenOnly));
    paths_.clear();
    const ergo::ModelInfo* info = data_->info();
    QStringList seen;
    for (const ergo::RouterSite& router : info ? info->routers : std::vector<ergo::RouterSite>{}) {
        const int count = static_cast<int>(router.paths.size());
        for (int path = 0; path < count; ++path) {
            const QString text = QString::fromStdString(router.paths[static_cast<std::size_t>(path)]);
            if (seen.contains(text)) {
                continue;
            }
            seen.append(text);
            const QIcon icon = square(routeColor(path, count));
            auto* chip = new QToolButton(legend_);
            chip->setText(text);
            chip->setAccessibleName(text);
            chip->setIcon(icon);
            chip->setIconSize(QSize(12, 12));
            chip->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
            chip->setAutoRaise(true);
            legend_->layout()->addWidget(chip);
            if (count == 4) {
                chip->setCheckable(true);
                chip->setToolTip(tr("Only %1 in full colour").arg(text));
                connect(chip, &QToolButton::clicked, this,
                        [this, path](bool on) { selection_->setPath(on ? path : -1); });
                paths_.append(chip);
            } else {
                chip->setFocusPolicy(Qt::NoFocus);
                chip->setToolTip(tr("A branch of HyperFFN"));
            }
            chip->show();
        }
    }
    legend_->fitHeight();
}

QString RouterLens::name() const {
    return tr("Router");
}

bool RouterLens::hasPicture() const {
    const ergo::ModelInfo* info = data_->info();
    return info &&
           std::any_of(info->routers.begin(), info->routers.end(), [&](const ergo::RouterSite& router) {
               return data_->stripRows(data_->observable(router.shares)) > 0;
           });
}

QString RouterLens::emptyText() const {
    if (!data_->info()) {
        return tr("Here stands which path every token takes through every layer.\nOpen a model first.");
    }
    if (data_->info()->routers.empty()) {
        return tr("This model has no routers: every token takes the same way.");
    }
    return tr("Here stands which path every token takes through every layer.\nWrite a message, and the "
              "strips grow with "
              "every token.");
}

void RouterLens::refresh() {
    picture_->refresh();
    const qint64 current = selection_->current();
    const int first = data_->observable(data_->info()->routers.front().shares);
    const qint64 row = current >= 0 ? current : data_->stripRows(first) - 1;
    setTexts(tr("Shares of the paths, layer by layer"), summary(),
             data_->stripOrigin(first, row) == RowOrigin::recomputed);
}

QString RouterLens::summary() const {
    const QStringList names = pathNames(*data_);
    const qint64 current = selection_->current();
    QVector<double> mean(names.size(), 0.0);
    qint64 known = 0;
    const qint64 begin = current >= 0 ? current : 0;
    const qint64 end = current >= 0 ? current + 1 : data_->length();
    for (qint64 token = begin; token < end; ++token) {
        const QVector<float> shares = meanShares(*data_, token);
        for (qsizetype i = 0; i < shares.size(); ++i) {
            mean[i] += static_cast<double>(shares[i]);
        }
        known += shares.isEmpty() ? 0 : 1;
    }
    if (known == 0 || names.isEmpty()) {
        return tr("Nothing has been captured for this token yet.");
    }
    QVector<int> order(names.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int a, int b) { return mean[a] > mean[b]; });
    const auto percent = [&](int path) {
        return QString::number(qRound(100 * mean[path] / static_cast<double>(known)));
    };
    QStringList others;
    for (const int path : order.mid(1)) {
        others.append(QStringLiteral("%1 %2 %").arg(names[path], percent(path)));
    }
    const QString first = names[order.first()], share = percent(order.first());
    if (current >= 0) {
        return tr("%1 takes %2 % of %3 over all layers, then %4.")
            .arg(first, share, visible_token(data_->tokens().value(current)),
                 others.join(QStringLiteral(", ")));
    }
    return tr("%1 takes %2 % on average over %3 tokens, then %4.")
        .arg(first, share, QString::number(known), others.join(QStringLiteral(", ")));
}

QString RouterLens::figureTitle() const {
    return QStringLiteral("Shares of the paths");
}

std::optional<FigureData> RouterLens::figure() const {
    if (!hasPicture()) {
        return std::nullopt;
    }
    RouterFigure figure;
    qint64 tokens = 0;
    for (const ergo::RouterSite& router : data_->info()->routers) {
        tokens = std::max(tokens, data_->stripRows(data_->observable(router.shares)));
    }
    for (const ergo::RouterSite& router : data_->info()->routers) {
        const int observable = data_->observable(router.shares);
        RouterFigure::Layer layer;
        layer.label = QString::fromStdString(router.label);
        for (const std::string& path : router.paths) {
            layer.paths.append(QString::fromStdString(path));
        }
        for (qint64 token = 0; token < tokens; ++token) {
            const std::span<const float> shares = data_->strip(observable, token);
            for (std::size_t path = 0; path < router.paths.size(); ++path) {
                layer.shares.push_back(path < shares.size() ? shares[path] : masked);
            }
        }
        figure.layers.push_back(std::move(layer));
    }
    figure.tokens = data_->tokens().mid(0, tokens);
    while (figure.tokens.size() < tokens) {
        figure.tokens.append(QString());
    }
    return figure;
}

} // namespace ergosphere
