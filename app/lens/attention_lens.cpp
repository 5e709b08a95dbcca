// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/attention_lens.h"

#include "app/figure/draw.h"
#include "app/figure/trace_figure.h"
#include "app/lens/flow_layout.h"
#include "app/lens/head_grid.h"
#include "app/lens/matrix_view.h"
#include "app/lens/range_bar.h"
#include "app/window/engine_text.h"
#include "app/window/theme.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLocale>
#include <QSignalBlocker>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ergosphere {

namespace {

constexpr double picture_ms = 5; // of a frame for bringing the picture up to date, and as much for thumbnails
constexpr std::size_t sample_size = 20000;

/// Mean over the heads of every row that all of them have; the rest stays masked.
Matrix meanOfHeads(const std::vector<LensData::PairRows>& heads, int rows, WeightScale scale) {
    Matrix mean(rows, rows);
    std::vector<std::span<const float>> own(heads.size());
    std::vector<float> row;
    for (int query = 0; query < rows; ++query) {
        const auto at = static_cast<std::size_t>(query);
        const bool complete = std::all_of(heads.begin(), heads.end(), [&](const LensData::PairRows& head) {
            return at < head.size() && head[at] && head[at]->size() == at + 1;
        });
        if (complete) {
            std::transform(heads.begin(), heads.end(), own.begin(),
                           [&](const LensData::PairRows& head) { return std::span(*head[at]); });
            mean_row(own, scale, row);
            std::copy(row.begin(), row.end(), mean.values.begin() + static_cast<std::ptrdiff_t>(at) * rows);
        }
    }
    return mean;
}

} // namespace

AttentionLens::AttentionLens(LensData* lens_data, Selection* selection, QWidget* parent)
    : Lens(lens_data, selection, parent) {
    auto* picture = new QWidget(this);
    auto* column = new QVBoxLayout(picture);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(8);
    grid_ = new HeadGrid(selection, picture);
    view_ = new MatrixView(lens_data, selection, picture);
    readout_ = new QLabel(picture);
    readout_->setFont(monoFont(11));
    readout_->setTextFormat(Qt::PlainText);
    readout_->setAccessibleName(tr("Cell under the pointer"));
    readout_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    range_ = new RangeBar(picture);
    column->addWidget(grid_);
    column->addWidget(view_, 1);
    column->addWidget(readout_);
    setBody(makeControls(), picture, range_);
    setFocusPolicy(Qt::ClickFocus); // Tab goes to what is inside
    setFocusProxy(view_);
    setTabOrder(thumbnails_, grid_); // Tab enters at the map: what stood before it would never be reached

    connect(view_, &MatrixView::readout, readout_, &QLabel::setText);
    connect(grid_, &HeadGrid::soloed, this, [this] { setSolo(true); });
    connect(range_, &RangeBar::rangeEdited, this, [this](double black, double white) {
        automatic_ = false;
        coloring_.black = black;
        coloring_.white = white;
        recolor();
    });
    connect(range_, &RangeBar::automaticWanted, this, &AttentionLens::fitAgain);
    connect(lens_data, &LensData::modelChanged, this, &AttentionLens::fillPickers);
    connect(lens_data, &LensData::modelChanged, this, &AttentionLens::chooseScale);
    connect(selection, &Selection::siteChanged, this, [this] {
        automatic_ = refit_ = true;
        fillPickers();
    });
    connect(selection, &Selection::headChanged, this, [this](int head) {
        const QSignalBlocker blocker(head_);
        head_->setCurrentIndex(head + 1);
    });
    fillPickers();
    chooseScale();
}

QWidget* AttentionLens::makeControls() {
    auto* controls = new FlowWidget(this, 8); // a narrow lens has two lines of them, not words cut short
    QLayout* row = controls->layout();
    const auto picker = [&](const QString& accessible_name, const QString& tip) {
        auto* made = new QComboBox(controls);
        made->setAccessibleName(accessible_name);
        made->setToolTip(tip);
        made->setSizeAdjustPolicy(QComboBox::AdjustToContents);
        row->addWidget(made);
        return made;
    };
    site_ = picker(tr("Layer and attention"), tr("Which attention ([ and ] step through the layers)"));
    head_ = picker(tr("Head"), tr("Which head (comma and period step)"));
    scale_picker_ = picker(
        tr("Scale"), tr("Weights, or how many times an even look at all keys: heads that spread widely look "
                        "blank otherwise"));
    scale_picker_->addItems({tr("weight"), tr("× uniform"), tr("log2 × uniform")});
    connect(scale_picker_, &QComboBox::activated, this,
            [this](int index) { setScale(static_cast<WeightScale>(index)); });
    colormap_ = picker(tr("Colour map"), tr("Colours of the picture"));
    colormap_->addItems(Colormap::names());
    const auto button = [&](const QString& text, const QString& tip) {
        auto* made = new QToolButton(controls);
        made->setText(text);
        made->setToolTip(tip);
        made->setAccessibleName(text);
        row->addWidget(made);
        return made;
    };
    fit_ = button(tr("Fit"), tr("Show the whole map (F)"));
    thumbnails_ = button(tr("Heads"), tr("Thumbnails of all heads (double click one to show it alone)"));
    thumbnails_->setCheckable(true);
    thumbnails_->setChecked(true);
    connect(site_, &QComboBox::activated, this, [this](int index) { selection_->setSite(index); });
    connect(head_, &QComboBox::activated, this, [this](int index) { selection_->setHead(index - 1); });
    connect(colormap_, &QComboBox::currentTextChanged, this, [this](const QString& name) {
        coloring_.map = &Colormap::named(name);
        fitAgain();
    });
    connect(fit_, &QToolButton::clicked, view_, &MatrixView::fit);
    connect(thumbnails_, &QToolButton::toggled, this, [this](bool shown) { setSolo(!shown); });
    return controls;
}

void AttentionLens::setScale(WeightScale scale) {
    scale_ = scale;
    scale_picker_->setCurrentIndex(static_cast<int>(scale));
    fitAgain();
}

/// Gravity heads average nearly all keys: their weights differ only relative to that.
void AttentionLens::chooseScale() {
    const ergo::ModelInfo* info = data_->info();
    const bool masses =
        info && !info->attentions.empty() && data_->observable(info->attentions.front().name("mass")) >= 0;
    setScale(masses ? WeightScale::ratio : WeightScale::weight);
}

QString AttentionLens::name() const {
    return tr("Attention");
}

const ergo::AttentionSite* AttentionLens::site() const {
    const ergo::ModelInfo* info = data_->info();
    const int index = selection_->site();
    return info && index >= 0 && index < static_cast<int>(info->attentions.size())
               ? &info->attentions[static_cast<std::size_t>(index)]
               : nullptr;
}

PairSource AttentionLens::source() const {
    const ergo::AttentionSite* at = site();
    if (!at) {
        return {};
    }
    PairSource source;
    source.observable = data_->observable(at->name("attention"));
    source.scale = scale_;
    if (selection_->head() >= 0) {
        source.heads = {selection_->head()};
    } else {
        source.heads.resize(at->heads);
        std::iota(source.heads.begin(), source.heads.end(), 0);
    }
    return source;
}

bool AttentionLens::hasPicture() const {
    return source().rows(*data_) > 0;
}

QString AttentionLens::emptyText() const {
    if (!data_->info()) {
        return tr("Here stands who looks at whom, live, for every layer and head.\nOpen a model first: drop "
                  "it on the "
                  "window or take one from the library.");
    }
    if (!site()) {
        return tr("This model has no attention to look at.");
    }
    return data_->length() == 0
               ? tr("Here stands who looks at whom.\nWrite a message, and the map grows with every token.")
               : tr("The attention of %1 is being captured …").arg(placeText(site()->label));
}

void AttentionLens::fillPickers() {
    const QSignalBlocker site_blocker(site_), head_blocker(head_);
    site_->clear();
    head_->clear();
    if (const ergo::ModelInfo* info = data_->info()) {
        for (const ergo::AttentionSite& each : info->attentions) {
            site_->addItem(placeText(each.label));
        }
    }
    site_->setCurrentIndex(selection_->site());
    if (const ergo::AttentionSite* at = site()) {
        head_->addItem(tr("all heads"));
        for (int head = 0; head < at->heads; ++head) {
            head_->addItem(tr("head %1").arg(head));
        }
        head_->setCurrentIndex(selection_->head() + 1);
    }
}

void AttentionLens::setSolo(bool solo) {
    grid_->setVisible(!solo);
    thumbnails_->setChecked(!solo);
}

void AttentionLens::recolor() {
    if (isVisible() && hasPicture()) {
        refresh();
    }
}

void AttentionLens::fitAgain() {
    automatic_ = refit_ = true;
    recolor();
}

void AttentionLens::fitRange(const std::vector<float>& values) {
    Matrix flat(1, static_cast<int>(values.size()));
    flat.values = values;
    const auto [low, high] = value_range(flat);
    if (automatic_) {
        const auto [black, white] = autofit(flat, quantity_of(scale_), *coloring_.map);
        // A range that trembles with every token would make the whole picture flicker.
        const double span = coloring_.white - coloring_.black;
        const bool off = std::abs(white - coloring_.white) > 0.15 * span ||
                         std::abs(black - coloring_.black) > 0.15 * span;
        if (off || refit_ || values.size() < sample_size / 4) {
            refit_ = false;
            coloring_.black = black;
            coloring_.white = white > black ? white : black + 1e-6;
        }
    }
    const double least = scale_ == WeightScale::weight ? std::min(low, 0.0) : low;
    range_->setValues(values, std::min(least, coloring_.black), std::max(high, coloring_.white));
    range_->setColoring(coloring_, automatic_, scale_picker_->currentText());
}

/// In units of weight the picture and the single heads share one scale. Relative to uniform a single head
/// goes far beyond the mean of all, so the small pictures have a range that fits all of them.
const Coloring& AttentionLens::gridColoring(const PairSource& from, int heads) {
    if (scale_ == WeightScale::weight) {
        return coloring_;
    }
    std::vector<float> values;
    for (int head = 0; head < heads; ++head) {
        const auto some = sample(*data_, {from.observable, {head}, scale_}, sample_size / heads + 1);
        values.insert(values.end(), some.begin(), some.end());
    }
    Matrix flat(1, static_cast<int>(values.size()));
    flat.values = std::move(values);
    const auto [black, white] = autofit(flat, quantity_of(scale_), *coloring_.map);
    const double span = grid_coloring_.white - grid_coloring_.black;
    if (grid_coloring_.map != coloring_.map || grid_scale_ != scale_ ||
        std::abs(white - grid_coloring_.white) > 0.15 * span ||
        std::abs(black - grid_coloring_.black) > 0.15 * span) {
        grid_scale_ = scale_;
        grid_coloring_ = {coloring_.map, black, white > black ? white : black + 1e-6};
    }
    return grid_coloring_;
}

void AttentionLens::refresh() {
    const ergo::AttentionSite* at = site();
    const PairSource from = source();
    fitRange(sample(*data_, from, sample_size));
    bool complete = image_.update(*data_, from, coloring_, Deadline(picture_ms));
    view_->setPicture(&image_, from, scale_picker_->currentText());
    if (!grid_->isHidden()) {
        complete &=
            grid_->refresh(*data_, from, at->heads, gridColoring(from, at->heads), Deadline(picture_ms));
    }
    setTexts(headPlaceText(at->label, selection_->head()), summary(), isRecomputed());
    if (!complete) {
        refreshSoon();
    }
}

bool AttentionLens::isRecomputed() const {
    const PairSource from = source();
    const qint64 current = selection_->current();
    const qint64 row = current >= 0 ? current : from.rows(*data_) - 1;
    return !from.heads.isEmpty() &&
           data_->pairOrigin(from.observable, from.heads.first(), row) == RowOrigin::recomputed;
}

QString AttentionLens::summary() const {
    PairSource from = source();
    from.scale = WeightScale::weight;
    const qint64 last = from.rows(*data_) - 1;
    const qint64 query = selection_->current() >= 0 ? std::min(selection_->current(), last) : last;
    std::vector<float> row;
    if (!from.row(*data_, query, row)) {
        return tr("This token's row has not been captured yet.");
    }
    std::vector<int> order(row.size());
    std::iota(order.begin(), order.end(), 0);
    const auto top = std::min<std::size_t>(3, order.size());
    std::partial_sort(
        order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top), order.end(),
        [&](int a, int b) { return row[static_cast<std::size_t>(a)] > row[static_cast<std::size_t>(b)]; });
    QStringList parts;
    double entropy = 0;
    for (std::size_t i = 0; i < top; ++i) {
        parts.append(
            QStringLiteral("%1 (%2 %)")
                .arg(visible_token(data_->tokens().value(order[i])))
                .arg(100.0 * static_cast<double>(row[static_cast<std::size_t>(order[i])]), 0, 'f', 0));
    }
    for (const float weight : row) {
        entropy -= weight > 0 ? static_cast<double>(weight) * std::log(static_cast<double>(weight)) : 0;
    }
    return tr("%1 looks most at %2; as spread out as %3 of %4 keys.")
        .arg(visible_token(data_->tokens().value(query)), parts.join(QStringLiteral(", ")),
             QLocale().toString(std::exp(entropy), 'f', 1), QString::number(row.size()));
}

std::optional<FigureData> AttentionLens::figure() const {
    const std::optional<FigureSnapshot> now = figureSnapshot();
    return now ? std::optional(now->gather()) : std::nullopt;
}

std::optional<FigureSnapshot> AttentionLens::figureSnapshot() const {
    const ergo::AttentionSite* at = site();
    const PairSource from = source();
    const auto rows = static_cast<int>(from.rows(*data_));
    if (!at || rows == 0) {
        return std::nullopt;
    }
    AttentionFigure figure;
    figure.queries = data_->tokens().mid(0, rows);
    while (figure.queries.size() < rows) {
        figure.queries.append(QString());
    }
    figure.keys = figure.queries;
    figure.place = attention_place(QString::fromStdString(at->label), selection_->head());
    figure.quantity = quantity_of(scale_);
    figure.unit = unit_of(scale_);
    std::vector<LensData::PairRows> heads;
    for (const int head : from.heads) {
        heads.push_back(data_->pairRowsHeld(from.observable, head));
    }
    return FigureSnapshot{true, [figure = std::move(figure), heads = std::move(heads), rows, scale = scale_] {
                              AttentionFigure whole = figure;
                              whole.values = meanOfHeads(heads, rows, scale);
                              return FigureData(std::move(whole));
                          }};
}

QString AttentionLens::figureTitle() const {
    const ergo::AttentionSite* at = site();
    return at ? attention_place(QString::fromStdString(at->label), selection_->head()) : QString();
}

FigureSpec AttentionLens::figureSpec() const {
    FigureSpec spec = Lens::figureSpec();
    spec.colormap = coloring_.map->name();
    spec.black = coloring_.black;
    spec.white = coloring_.white;
    return spec;
}

void AttentionLens::keyPressEvent(QKeyEvent* event) {
    const QPointF middle(view_->width() / 2.0, view_->height() / 2.0);
    switch (event->key()) {
    case Qt::Key_F:
        view_->fit();
        break;
    case Qt::Key_R:
        fitAgain();
        break;
    case Qt::Key_Plus:
    case Qt::Key_Equal:
        view_->zoom(1.25, middle);
        break;
    case Qt::Key_Minus:
        view_->zoom(0.8, middle);
        break;
    default:
        Lens::keyPressEvent(event);
    }
}

} // namespace ergosphere
