// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/heads_lens.h"

#include "app/figure/draw.h"
#include "app/lens/heads_picture.h"
#include "app/window/engine_text.h"
#include "app/window/theme.h"

#include <QComboBox>
#include <QLabel>
#include <QLocale>
#include <QScrollArea>
#include <QSignalBlocker>

#include <algorithm>
#include <cmath>

namespace ergosphere {

HeadsLens::HeadsLens(LensData* lens_data, Selection* selection, QWidget* parent)
    : Lens(lens_data, selection, parent) {
    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->viewport()->setAutoFillBackground(false);
    scroll->setFocusPolicy(Qt::NoFocus);
    picture_ = new HeadsPicture(selection, scroll);
    scroll->setWidget(picture_);
    picture_->setAutoFillBackground(false);
    readout_ = new QLabel(this);
    readout_->setFont(monoFont(11));
    readout_->setTextFormat(Qt::PlainText);
    readout_->setAccessibleName(tr("Head under the pointer"));
    readout_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    setBody(makeControls(), scroll, readout_);
    setFocusPolicy(Qt::ClickFocus); // Tab goes to what is inside
    setFocusProxy(picture_);
    connect(picture_, &HeadsPicture::readout, readout_, &QLabel::setText);
    connect(lens_data, &LensData::modelChanged, this, &HeadsLens::fillPicker);
    fillPicker();
}

QWidget* HeadsLens::makeControls() {
    picker_ = new QComboBox(this);
    picker_->setAccessibleName(tr("What is shown of every head"));
    picker_->setToolTip(tr("What is shown of every head"));
    picker_->setSizePolicy(QSizePolicy::Maximum, QSizePolicy::Fixed);
    connect(picker_, &QComboBox::activated, this,
            [this](int index) { setQuantity(static_cast<HeadQuantity>(picker_->itemData(index).toInt())); });
    return picker_;
}

QString HeadsLens::name() const {
    return tr("Heads");
}

QVector<HeadQuantity> HeadsLens::quantities() const {
    QVector<HeadQuantity> found;
    for (const HeadQuantity each : {HeadQuantity::radius, HeadQuantity::mass, HeadQuantity::drift,
                                    HeadQuantity::horizon, HeadQuantity::alpha}) {
        if (!sites(each).isEmpty()) {
            found.append(each);
        }
    }
    return found;
}

void HeadsLens::fillPicker() {
    const QSignalBlocker blocker(picker_);
    picker_->clear();
    const QVector<HeadQuantity> all = quantities();
    if (!all.contains(quantity_)) {
        quantity_ = all.value(0, HeadQuantity::radius);
    }
    for (const HeadQuantity each : all) {
        const QString text = each == HeadQuantity::radius    ? tr("Ball radius")
                             : each == HeadQuantity::mass    ? tr("Gravity mass")
                             : each == HeadQuantity::drift   ? tr("Drift of the mass")
                             : each == HeadQuantity::horizon ? tr("Concentration horizon")
                                                             : tr("Alpha");
        picker_->addItem(text, static_cast<int>(each));
    }
    picker_->setCurrentIndex(static_cast<int>(all.indexOf(quantity_)));
    picker_->setVisible(all.size() > 1);
}

void HeadsLens::setQuantity(HeadQuantity quantity) {
    quantity_ = quantity;
    fillPicker();
    refreshSoon();
}

QVector<int> HeadsLens::sites(HeadQuantity quantity) const {
    QVector<int> found;
    const ergo::ModelInfo* info = data_->info();
    for (std::size_t i = 0; info && i < info->attentions.size(); ++i) {
        const ergo::AttentionSite& site = info->attentions[i];
        const bool wanted = quantity != HeadQuantity::radius || site.has_ball;
        if (wanted && !data_->parameter(data_->observable(site.name(observable_of(quantity)))).empty()) {
            found.append(static_cast<int>(i));
        }
    }
    return found;
}

bool HeadsLens::hasPicture() const {
    return !sites(quantity_).isEmpty();
}

QString HeadsLens::emptyText() const {
    if (!data_->info()) {
        return tr(
            "Here stands what every head of the model has of its own: the radius of its ball and how many "
            "keys lie inside, or its gravity mass.\nOpen a model first.");
    }
    return tr("The heads of this model have neither balls nor masses: nothing sets them apart but their "
              "matrices.");
}

double HeadsLens::softening() const {
    const auto& settings = data_->info()->settings;
    const auto found = settings.find("knob.gravity_eps");
    const double eps = found == settings.end() ? 0 : QString::fromStdString(found->second).toDouble();
    return eps > 0 ? eps : 0.1;
}

double HeadsLens::start() const {
    std::vector<float> all;
    for (const int index : sites(HeadQuantity::mass)) {
        const auto& site = data_->info()->attentions[static_cast<std::size_t>(index)];
        const std::span<const float> masses = data_->parameter(data_->observable(site.name("mass")));
        all.insert(all.end(), masses.begin(), masses.end());
    }
    return usual_start(all);
}

float HeadsLens::meanKept(const LensData& from, int observable, int head, qint64 begin, qint64 end) {
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

HeadsFigure HeadsLens::collect() const {
    HeadsFigure figure;
    figure.quantity = key_of(quantity_);
    const QVector<int> rows = sites(quantity_);
    int most = 0;
    for (const int index : rows) {
        most = std::max(most,
                        static_cast<int>(data_->info()->attentions[static_cast<std::size_t>(index)].heads));
    }
    figure.values = Matrix(static_cast<int>(rows.size()), most);
    figure.kept = figure.values;
    const qint64 current = selection_->current();
    const qint64 begin = current >= 0 ? current : 0, end = current >= 0 ? current + 1 : data_->length();
    const double from = start(), eps = softening();
    figure.unit = unit_of(quantity_, from);
    for (int row = 0; row < rows.size(); ++row) {
        const ergo::AttentionSite& site = data_->info()->attentions[static_cast<std::size_t>(rows[row])];
        const auto values = data_->parameter(data_->observable(site.name(observable_of(quantity_))));
        const int kept = quantity_ == HeadQuantity::radius ? data_->observable(site.name("kept_share")) : -1;
        figure.sites.append(QString::fromStdString(site.label));
        for (int head = 0; head < site.heads; ++head) {
            // One ball may serve all query heads.
            const float value = values[std::min(static_cast<std::size_t>(head), values.size() - 1)];
            figure.values.at(row, head) = head_value(quantity_, value, from, eps);
            figure.kept.at(row, head) = meanKept(*data_, kept, head, begin, end);
        }
    }
    return figure;
}

void HeadsLens::refresh() {
    HeadsFigure figure = collect();
    coloring_.map = &Colormap::named(quantity_ == HeadQuantity::drift ? QStringLiteral("diverging")
                                                                      : QStringLiteral("magma"));
    std::tie(coloring_.black, coloring_.white) = autofit(figure.values, figure.quantity, *coloring_.map);
    if (!(coloring_.black < coloring_.white)) {
        coloring_.white = coloring_.black + 1e-3 * std::max(1.0, std::abs(coloring_.black));
    }
    const QVector<int> rows = sites(quantity_);
    const qint64 current = selection_->current();
    const int first = data_->observable(
        data_->info()->attentions[static_cast<std::size_t>(rows.first())].name("kept_share"));
    const qint64 row = current >= 0 ? current : data_->stripRows(first) - 1;
    setTexts(title(), summary(figure), data_->stripOrigin(first, row) == RowOrigin::recomputed);
    for (QString& place : figure.sites) {
        place = placeText(place.toStdString());
    }
    picture_->setFigure(std::move(figure), rows, coloring_);
}

QString HeadsLens::title() const {
    const qint64 current = selection_->current();
    switch (quantity_) {
    case HeadQuantity::mass:
        return tr("Gravity mass M of every head");
    case HeadQuantity::drift:
        return tr("Drift of the mass from its usual start %1").arg(start(), 0, 'f', 3);
    case HeadQuantity::horizon:
        return tr("Concentration horizon e^(M²/ε), ε = %1").arg(softening(), 0, 'g', 3);
    case HeadQuantity::alpha:
        return tr("Alpha of every head");
    case HeadQuantity::radius:
        break;
    }
    return current >= 0
               ? tr("Ball radius · keys inside for %1").arg(visible_token(data_->tokens().value(current)))
               : tr("Ball radius · keys inside on average");
}

QString HeadsLens::summary(const HeadsFigure& figure) const {
    if (quantity_ == HeadQuantity::radius) {
        return ballSummary(figure);
    }
    if (quantity_ != HeadQuantity::alpha) {
        return massSummary(figure);
    }
    const auto [low, high] = value_range(figure.values);
    return tr("Alpha from %1 to %2: the factor of a head's scores before the softmax.")
        .arg(QLocale().toString(low, 'f', 2), QLocale().toString(high, 'f', 2));
}

QString HeadsLens::massSummary(const HeadsFigure& figure) const {
    const auto [low, high] = value_range(figure.values);
    const auto& values = figure.values.values;
    const auto far = std::max_element(values.begin(), values.end(), [](float a, float b) {
        return (std::isnan(a) ? -1.0F : std::abs(a)) < (std::isnan(b) ? -1.0F : std::abs(b));
    });
    const auto at = static_cast<int>(far - values.begin());
    const QString place = headPlaceText(figure.sites.value(at / figure.values.columns).toStdString(),
                                        at % figure.values.columns);
    if (quantity_ == HeadQuantity::drift) {
        return tr("Masses have moved by %1 to %2 since their usual start; %3 farthest.")
            .arg(HeadsPicture::driftText(low, 3), HeadsPicture::driftText(high, 3), place);
    }
    if (quantity_ == HeadQuantity::horizon) {
        return tr("A key on top of its query outweighs %1 to %2 far keys, most at %3. Below a few hundred a "
                  "head "
                  "cannot single out one key of a long text.")
            .arg(HeadsPicture::keysOf(low), HeadsPicture::keysOf(high), place);
    }
    const double steep = high * high / softening();
    return tr("Mass from %1 to %2, heaviest at %3, where a key on top of its query outweighs %4 far keys.")
        .arg(QLocale().toString(low, 'f', 3), QLocale().toString(high, 'f', 3), place,
             HeadsPicture::keysOf(steep / std::log(10.0)));
}

QString HeadsLens::ballSummary(const HeadsFigure& figure) const {
    const auto [low, high] = value_range(figure.values);
    const int decimals = decimals_for(low, high);
    const QString radii =
        tr("Radius from %1 to %2")
            .arg(QLocale().toString(low, 'f', decimals), QLocale().toString(high, 'f', decimals));
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
             headPlaceText(figure.sites.value(least_site).toStdString(), least_head));
}

std::optional<FigureData> HeadsLens::figure() const {
    if (!hasPicture()) {
        return std::nullopt;
    }
    return collect();
}

QString HeadsLens::figureTitle() const {
    return heads_title(quantity_);
}

FigureSpec HeadsLens::figureSpec() const {
    FigureSpec spec = Lens::figureSpec();
    spec.colormap = coloring_.map->name();
    return spec;
}

} // namespace ergosphere
