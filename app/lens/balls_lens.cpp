// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/balls_lens.h"

#include "app/figure/draw.h"
#include "app/figure/trace_figure.h"
#include "app/lens/balls_picture.h"
#include "app/window/theme.h"

#include <QLabel>
#include <QScrollArea>

#include <algorithm>
#include <cmath>

namespace ergosphere {

BallsLens::BallsLens(LensData* lens_data, Selection* selection, QWidget* parent)
    : Lens(lens_data, selection, parent) {
    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->viewport()->setAutoFillBackground(false);
    scroll->setFocusPolicy(Qt::NoFocus);
    picture_ = new BallsPicture(selection, scroll);
    scroll->setWidget(picture_);
    picture_->setAutoFillBackground(false);
    readout_ = new QLabel(this);
    readout_->setFont(monoFont(11));
    readout_->setTextFormat(Qt::PlainText);
    readout_->setAccessibleName(tr("Head under the pointer"));
    readout_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    setBody(nullptr, scroll, readout_);
    setFocusProxy(picture_);
    connect(picture_, &BallsPicture::readout, readout_, &QLabel::setText);
    coloring_.map = &Colormap::named(QStringLiteral("magma"));
}

QString BallsLens::name() const {
    return tr("Balls");
}

QVector<int> BallsLens::sites() const {
    QVector<int> found;
    const ergo::ModelInfo* info = data_->info();
    for (std::size_t i = 0; info && i < info->attentions.size(); ++i) {
        if (info->attentions[i].has_ball &&
            !data_->parameter(data_->observable(info->attentions[i].name("radius"))).empty()) {
            found.append(static_cast<int>(i));
        }
    }
    return found;
}

bool BallsLens::hasPicture() const {
    return !sites().isEmpty();
}

QString BallsLens::emptyText() const {
    if (!data_->info()) {
        return tr("Here stands the ball of every head: its radius, and how many keys lie inside.\nOpen a "
                  "model first.");
    }
    return tr("No attention of this model has a ball: every key is looked at.");
}

float BallsLens::meanKept(const LensData& from, int observable, int head, qint64 begin, qint64 end) {
    double sum = 0;
    qint64 known = 0;
    for (qint64 token = begin; token < std::min(end, from.stripRows(observable)); ++token) {
        const std::span<const float> row = from.strip(observable, token);
        if (head < static_cast<int>(row.size())) {
            sum += static_cast<double>(row[static_cast<std::size_t>(head)]);
            ++known;
        }
    }
    return known ? static_cast<float>(sum / static_cast<double>(known)) : masked;
}

BallsFigure BallsLens::collect() const {
    BallsFigure figure;
    const QVector<int> rows = sites();
    int most = 0;
    for (const int index : rows) {
        most = std::max(most,
                        static_cast<int>(data_->info()->attentions[static_cast<std::size_t>(index)].heads));
    }
    figure.radius = Matrix(static_cast<int>(rows.size()), most);
    figure.kept = figure.radius;
    const qint64 current = selection_->current();
    const qint64 begin = current >= 0 ? current : 0, end = current >= 0 ? current + 1 : data_->length();
    for (int row = 0; row < rows.size(); ++row) {
        const ergo::AttentionSite& site = data_->info()->attentions[static_cast<std::size_t>(rows[row])];
        const std::span<const float> radius = data_->parameter(data_->observable(site.name("radius")));
        const int kept = data_->observable(site.name("kept_share"));
        figure.sites.append(QString::fromStdString(site.label));
        for (int head = 0; head < site.heads; ++head) {
            // One ball may serve all query heads.
            figure.radius.at(row, head) = radius[std::min(static_cast<std::size_t>(head), radius.size() - 1)];
            figure.kept.at(row, head) = meanKept(*data_, kept, head, begin, end);
        }
    }
    return figure;
}

void BallsLens::refresh() {
    BallsFigure figure = collect();
    std::tie(coloring_.black, coloring_.white) =
        autofit(figure.radius, QStringLiteral("radius"), *coloring_.map);
    if (!(coloring_.black < coloring_.white)) {
        coloring_.white = coloring_.black + 1e-3 * std::max(1.0, std::abs(coloring_.black));
    }
    const qint64 current = selection_->current();
    const int first = data_->observable(
        data_->info()->attentions[static_cast<std::size_t>(sites().first())].name("kept_share"));
    const qint64 row = current >= 0 ? current : data_->stripRows(first) - 1;
    setTexts(current >= 0
                 ? tr("Ball radius · keys inside for %1").arg(visible_token(data_->tokens().value(current)))
                 : tr("Ball radius · keys inside on average"),
             summary(figure), data_->stripOrigin(first, row) == RowOrigin::recomputed);
    picture_->setFigure(std::move(figure), sites(), coloring_);
}

QString BallsLens::summary(const BallsFigure& figure) const {
    const auto [low, high] = value_range(figure.radius);
    const int decimals = decimals_for(low, high);
    const QString radii = tr("Radius from %1 to %2")
                              .arg(QString::number(low, 'f', decimals), QString::number(high, 'f', decimals));
    double sum = 0;
    int known = 0, least_site = 0, least_head = 0;
    float least = 2;
    for (int row = 0; row < figure.kept.rows; ++row) {
        for (int head = 0; head < figure.kept.columns; ++head) {
            const float kept = figure.kept.at(row, head);
            if (std::isnan(kept)) {
                continue;
            }
            sum += static_cast<double>(kept);
            ++known;
            if (kept < least) {
                least = kept;
                least_site = row;
                least_head = head;
            }
        }
    }
    if (known == 0) {
        return tr("%1. How many keys lie inside is known as soon as tokens have been read.").arg(radii);
    }
    return tr("%1; %2 % of the keys lie inside, fewest (%3 %) for %4.")
        .arg(radii, QString::number(100 * sum / known, 'f', 0), QString::number(100 * least, 'f', 0),
             attention_place(figure.sites.value(least_site), least_head));
}

std::optional<FigureData> BallsLens::figure() const {
    if (!hasPicture()) {
        return std::nullopt;
    }
    return collect();
}

FigureSpec BallsLens::figureSpec() const {
    FigureSpec spec = Lens::figureSpec();
    spec.colormap = coloring_.map->name();
    return spec;
}

} // namespace ergosphere
