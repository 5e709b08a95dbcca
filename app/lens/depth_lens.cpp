// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/depth_lens.h"

#include "app/figure/depth_figure.h"
#include "app/figure/palette.h"
#include "app/lens/depth_picture.h"
#include "app/window/engine_text.h"
#include "app/window/theme.h"

#include <QKeyEvent>
#include <QLabel>
#include <QScrollArea>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ergosphere {

DepthLens::DepthLens(LensData* lens_data, Selection* selection, QWidget* parent)
    : Lens(lens_data, selection, parent) {
    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->viewport()->setAutoFillBackground(false);
    scroll->setFocusPolicy(Qt::NoFocus);
    picture_ = new DepthPicture(lens_data, selection, scroll);
    scroll->setWidget(picture_);
    picture_->setAutoFillBackground(false);
    readout_ = new QLabel(this);
    readout_->setFont(monoFont(11));
    readout_->setTextFormat(Qt::PlainText);
    readout_->setAccessibleName(tr("Weight under the pointer"));
    readout_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    setBody(nullptr, scroll, readout_);
    setFocusPolicy(Qt::ClickFocus); // Tab goes to what is inside
    setFocusProxy(picture_);
    connect(picture_, &DepthPicture::readout, readout_, &QLabel::setText);
    connect(picture_, &DepthPicture::lensKey, this, [this](QKeyEvent* event) { keyPressEvent(event); });
    coloring_.map = &Colormap::named(QStringLiteral("viridis"));
    coloring_.black = 0;
    coloring_.white = 1;
}

QString DepthLens::name() const {
    return tr("Depth");
}

bool DepthLens::hasPicture() const {
    const ergo::ModelInfo* info = data_->info();
    return info && !info->depths.empty() &&
           data_->stripRows(data_->observable(info->depths.back().weights)) > 0;
}

QString DepthLens::emptyText() const {
    const QString what =
        tr("Here stands which earlier layers every attention, every MLP and the output read.");
    if (!data_->info()) {
        return what + u'\n' + tr("Open a model first.");
    }
    if (data_->info()->depths.empty()) {
        return tr("This model has no attention over depth: every layer reads the sum of all earlier ones.");
    }
    return what + u'\n' + tr("Write a message, and the map follows every token.");
}

DepthFigure DepthLens::collect() const {
    const ergo::ModelInfo& info = *data_->info();
    DepthFigure figure;
    for (const ergo::DepthBlock& block : info.depth_blocks) {
        figure.blocks.append(QString::fromStdString(block.label));
    }
    figure.weights = Matrix(static_cast<int>(info.depth_blocks.size()), static_cast<int>(info.depths.size()));
    const qint64 current = selection_->current();
    qint64 tokens = 0;
    for (std::size_t site = 0; site < info.depths.size(); ++site) {
        const ergo::DepthSite& depth = info.depths[site];
        const int observable = data_->observable(depth.weights);
        const std::span<const float> table =
            current >= 0 ? data_->strip(observable, current) : data_->stripTable(observable);
        const auto sources = static_cast<std::size_t>(depth.sources);
        std::vector<double> sum(sources, 0.0);
        double total = 0; // the number of rows that are known: each sums to 1, absent ones are 0
        for (std::size_t at = 0; at < table.size(); ++at) {
            sum[at % sources] += static_cast<double>(table[at]);
            total += static_cast<double>(table[at]);
        }
        for (std::size_t s = 0; total > 0 && s < std::min(sources, info.depth_blocks.size()); ++s) {
            figure.weights.at(static_cast<int>(s), static_cast<int>(site)) =
                static_cast<float>(sum[s] / total);
        }
        figure.sites.append(QString::fromStdString(depth.label));
        figure.layers.append(depth.layer);
        tokens = std::max(tokens, static_cast<qint64>(std::llround(total)));
    }
    figure.place = depth_place(current, data_->tokens().value(current), tokens);
    return figure;
}

void DepthLens::refresh() {
    DepthFigure figure = collect();
    for (QStringList* places : {&figure.blocks, &figure.sites}) { // on screen in the window's language
        for (QString& place : *places) {
            place = placeText(place.toStdString());
        }
    }
    const qint64 current = selection_->current();
    const int last = data_->observable(data_->info()->depths.back().weights);
    const qint64 row = current >= 0 ? current : data_->stripRows(last) - 1;
    setTexts(current >= 0 ? tr("Depth weights for %1").arg(visible_token(data_->tokens().value(current)))
                          : tr("Depth weights on average"),
             summary(figure), data_->stripOrigin(last, row) == RowOrigin::recomputed);
    picture_->setFigure(std::move(figure), coloring_);
}

QString DepthLens::summary(const DepthFigure& figure) const {
    const int output = figure.weights.columns - 1;
    if (output < 0 || std::isnan(figure.weights.at(0, output))) {
        return tr("Nothing has been captured for this token yet.");
    }
    QVector<int> order(figure.weights.rows);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](int a, int b) { return figure.weights.at(a, output) > figure.weights.at(b, output); });
    QStringList parts;
    for (const int block : order.mid(0, 3)) {
        parts.append(QStringLiteral("%1 %2 %").arg(
            figure.blocks.value(block), QString::number(qRound(100 * figure.weights.at(block, output)))));
    }
    double embedding = 0;
    int readers = 0;
    for (int site = 1; site < figure.weights.columns; ++site) { // the first reader has nothing else
        if (!std::isnan(figure.weights.at(0, site))) {
            embedding += static_cast<double>(figure.weights.at(0, site));
            ++readers;
        }
    }
    return tr("The output reads %1. Over all readers the %2 keeps %3 %.")
        .arg(parts.join(QStringLiteral(", ")), figure.blocks.value(0),
             QString::number(100 * embedding / std::max(1, readers), 'f', 0));
}

std::optional<FigureData> DepthLens::figure() const {
    if (!hasPicture()) {
        return std::nullopt;
    }
    return collect();
}

QString DepthLens::figureTitle() const {
    return QStringLiteral("Depth weights, ") + collect().place;
}

FigureSpec DepthLens::figureSpec() const {
    FigureSpec spec = Lens::figureSpec();
    spec.colormap = coloring_.map->name();
    return spec;
}

} // namespace ergosphere
