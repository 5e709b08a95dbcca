// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/draw.h"

#include "app/figure/palette.h"
#include "app/figure/plottables.h"
#include "engine/base/error.h"

#include <algorithm>
#include <cmath>

namespace ergosphere {

class Paper : public QCustomPlot {
  public:
    using QCustomPlot::draw;
    void layOut(const QSize& size) {
        setViewport(QRect(QPoint(), size));
        updateLayout();
    }
};

namespace {

constexpr double units_per_mm = 720.0 / 25.4;
const QColor ink(0x1B, 0x1F, 0x24);
const QColor hairline(0x5A, 0x62, 0x6C);

/// What the three builders share: the plot, the fonts, the room there is.
struct Sheet {
    Paper& plot;
    const FigureSpec& spec;
    QFont text, small, token, heading;
    QSize size; // in tenths of a point; height 0: free
    int em = 0; // height of a line of text

    Sheet(Paper& paper, const FigureSpec& figure_spec) : plot(paper), spec(figure_spec) {
        const auto font = [](const QString& family, double pt) {
            QFont made(family);
            made.setPixelSize(qRound(10 * pt));
            made.setHintingPreference(QFont::PreferNoHinting);
            made.setStyleStrategy(QFont::NoSubpixelAntialias);
            return made;
        };
        text = font(spec.font_family, spec.font_pt);
        small = font(spec.font_family, std::max(5.0, spec.font_pt - 1));
        token = font(spec.token_family, std::max(5.0, spec.font_pt - 1));
        // No ligatures: "<|" stays the two characters it is.
        token.setStyleStrategy(QFont::StyleStrategy(QFont::NoSubpixelAntialias | QFont::PreferNoShaping));
        heading = font(spec.font_family, spec.font_pt + 1);
        heading.setWeight(QFont::DemiBold);
        size = QSize(qRound(spec.width_mm * units_per_mm), qRound(spec.height_mm * units_per_mm));
        em = QFontMetrics(text).height();
    }

    QString elided(const QString& line, const QFont& font, int width) const {
        return QFontMetrics(font).elidedText(line, Qt::ElideRight, width);
    }
};

QPen line(double tenths) {
    return QPen(hairline, tenths, Qt::SolidLine, Qt::FlatCap, Qt::MiterJoin);
}

void style(QCPAxis* axis, const Sheet& sheet, const QFont& font) {
    axis->setTickLabelFont(font);
    axis->setTickLabelColor(ink);
    axis->setLabelFont(sheet.text);
    axis->setLabelColor(ink);
    axis->setBasePen(line(5));
    axis->setTickPen(line(5));
    axis->setSubTicks(false);
    axis->setTickLength(0, 20);
    axis->setTickLabelPadding(12);
    axis->setLabelPadding(12);
    axis->setPadding(4);
    axis->grid()->setVisible(false);
}

QCPAxisRect* axes(Sheet& sheet) {
    auto* rect = new QCPAxisRect(&sheet.plot, true);
    for (QCPAxis* axis : rect->axes()) {
        style(axis, sheet, sheet.text);
        axis->setVisible(true);
    }
    for (const QCPAxis::AxisType type : {QCPAxis::atTop, QCPAxis::atRight}) {
        rect->axis(type)->setTicks(false);
        rect->axis(type)->setTickLabels(false);
    }
    rect->setMinimumMargins(QMargins(4, 4, 4, 4));
    rect->setMinimumSize(20, 20);
    return rect;
}

/// At most as many token labels as fit along `room` tenths of a point, at their cells' middles.
void label_tokens(QCPAxis* axis, const QStringList& tokens, int room, const Sheet& sheet) {
    const QFontMetrics metrics(sheet.token);
    const int count = static_cast<int>(tokens.size());
    const int fitting = std::max(1, static_cast<int>(room / (0.95 * metrics.height())));
    const int step = std::max(1, (count + fitting - 1) / fitting);
    auto ticker = QSharedPointer<QCPAxisTickerText>::create();
    for (int i = 0; i < count; i += step) {
        ticker->addTick(i + 0.5, visible_token(tokens[i], 12));
    }
    axis->setTickLabelFont(sheet.token);
    axis->setTicker(ticker);
}

struct Range {
    double low, high;    // of the data
    double black, white; // of the colours
};

/// "attention (weight; clipped, largest 1)"
QString bar_label(const QString& quantity, const QString& unit, const Range& range) {
    QStringList notes;
    if (!unit.isEmpty()) {
        notes.append(unit);
    }
    const double slack = 1e-6 * (range.white - range.black);
    if (range.high > range.white + slack) {
        notes.append(QStringLiteral("clipped, largest %1").arg(range.high, 0, 'g', 3));
    }
    if (range.low < range.black - slack) {
        notes.append(QStringLiteral("clipped, smallest %1").arg(range.low, 0, 'g', 3));
    }
    return notes.isEmpty() ? quantity
                           : quantity + QStringLiteral(" (") + notes.join(QStringLiteral("; ")) + u')';
}

/// The colour bar: a matrix of its own, one column, with the unit beside it.
QCPAxisRect* color_bar(Sheet& sheet, const Colormap& map, double black, double white, const QString& label) {
    QCPAxisRect* rect = axes(sheet);
    Matrix steps(256, 1);
    for (int i = 0; i < 256; ++i) {
        steps.at(i, 0) = static_cast<float>(i);
    }
    QCPAxis* left = rect->axis(QCPAxis::atLeft);
    QCPAxis* bottom = rect->axis(QCPAxis::atBottom);
    new MatrixPlot(bottom, left, steps, map, 0, 255);
    bottom->setRange(0, 1);
    left->setRange(0, 256);
    for (QCPAxis* axis : {left, bottom}) {
        axis->setTicks(false);
        axis->setTickLabels(false);
    }
    QCPAxis* right = rect->axis(QCPAxis::atRight);
    right->setTicks(true);
    right->setTickLabels(true);
    right->setTickLabelFont(sheet.small);
    right->setRange(black, white);
    right->ticker()->setTickCount(4);
    right->setNumberFormat(QStringLiteral("g"));
    right->setNumberPrecision(4);
    right->setLabel(label);
    rect->setMinimumSize(sheet.em * 7 / 10, 20);
    rect->setMaximumSize(sheet.em * 7 / 10, QWIDGETSIZE_MAX);
    rect->setMinimumMargins(QMargins(sheet.em / 2, 4, 4, 4));
    return rect;
}

/// Adds the title as the first row; returns the grid below it, which the picture goes to.
QCPLayoutGrid* add_title(Sheet& sheet) {
    QCPLayoutGrid* grid = sheet.plot.plotLayout();
    grid->clear();
    grid->setRowSpacing(sheet.em / 4);
    grid->setColumnSpacing(sheet.em / 4);
    grid->setMargins(QMargins(sheet.em / 4, sheet.em / 6, sheet.em / 4, sheet.em / 6));
    auto* body = new QCPLayoutGrid;
    body->setRowSpacing(sheet.em / 4);
    body->setColumnSpacing(sheet.em / 4);
    body->setMargins(QMargins(0, 0, 0, 0));
    if (sheet.spec.title.isEmpty()) {
        grid->addElement(0, 0, body);
        return body;
    }
    auto* title = new QCPTextElement(
        &sheet.plot, sheet.elided(sheet.spec.title, sheet.heading, sheet.size.width() - 2 * sheet.em),
        sheet.heading);
    title->setTextColor(ink);
    title->setTextFlags(Qt::AlignLeft | Qt::AlignVCenter);
    title->setMargins(QMargins());
    grid->addElement(0, 0, title);
    grid->addElement(1, 0, body);
    return body;
}

/// Lays out with the height given, or with the height at which `rect`'s inside is `wanted(width)` high.
template <class Wanted> void settle(Sheet& sheet, const QCPAxisRect* rect, Wanted wanted) {
    const bool is_free = sheet.size.height() == 0;
    if (is_free) {
        sheet.size.setHeight(sheet.size.width());
    }
    for (int pass = 0; pass < 3; ++pass) { // margins depend on labels, labels on the room
        sheet.plot.layOut(sheet.size);
        if (!is_free) {
            break;
        }
        const int inside = rect->height(), target = std::max(sheet.em * 2, wanted(rect->width()));
        sheet.size.setHeight(
            std::clamp(sheet.size.height() + target - inside, sheet.em * 6, qRound(2000 * units_per_mm)));
    }
    sheet.plot.layOut(sheet.size);
}

Range range_of(const Matrix& values, const FigureSpec& spec, const QString& quantity, const Colormap& map) {
    Range range{};
    std::tie(range.low, range.high) = value_range(values);
    std::tie(range.black, range.white) = autofit(values, quantity, map);
    range.black = spec.black.value_or(range.black);
    range.white = spec.white.value_or(range.white);
    if (!(range.black < range.white)) {
        range.white = range.black + std::max(1e-6, std::abs(range.black) * 1e-3);
    }
    return range;
}

[[noreturn]] void nothing_to_draw(const std::string& what) {
    throw ergo::Error(ergo::ErrorKind::usage, "There is nothing to draw: " + what + ".",
                      {.code = "FIG-EMPTY"});
}

void build(Sheet& sheet, const AttentionFigure& figure) {
    const Matrix& values = figure.values;
    if (values.rows == 0 || values.columns == 0) {
        nothing_to_draw("the pair map has no rows");
    }
    const Colormap& map =
        Colormap::named(sheet.spec.colormap.isEmpty() ? QStringLiteral("cividis") : sheet.spec.colormap);
    const Range range = range_of(values, sheet.spec, figure.quantity, map);
    QCPLayoutGrid* grid = add_title(sheet);
    QCPAxisRect* rect = axes(sheet);
    QCPAxis* keys = rect->axis(QCPAxis::atBottom);
    QCPAxis* queries = rect->axis(QCPAxis::atLeft);
    new MatrixPlot(keys, queries, values, map, range.black, range.white);
    keys->setRange(0, values.columns);
    queries->setRange(0, values.rows);
    queries->setRangeReversed(true);
    keys->setTickLabelRotation(-90);
    keys->setLabel(QStringLiteral("key"));
    queries->setLabel(QStringLiteral("query"));
    grid->addElement(0, 0, rect);
    QCPAxisRect* bar =
        color_bar(sheet, map, range.black, range.white, bar_label(figure.quantity, figure.unit, range));
    grid->addElement(0, 1, bar);
    auto* level = new QCPMarginGroup(&sheet.plot);
    for (QCPAxisRect* each : {rect, bar}) {
        each->setMarginGroup(QCP::msTop | QCP::msBottom, level);
    }
    const double shape = std::clamp(static_cast<double>(values.rows) / values.columns, 0.25, 2.0);
    const auto wanted = [&](int width) { return qRound(width * shape); };
    int across = sheet.size.width() * 7 / 10;
    int down = sheet.size.height() ? sheet.size.height() * 7 / 10 : qRound(across * shape);
    for (int pass = 0; pass < 2; ++pass) {
        label_tokens(keys, figure.keys, across, sheet);
        label_tokens(queries, figure.queries, down, sheet);
        settle(sheet, rect, wanted);
        across = rect->width();
        down = rect->height();
        if (sheet.spec.height_mm == 0 && pass == 0) {
            sheet.size.setHeight(0);
        }
    }
}

void build(Sheet& sheet, const RouterFigure& figure) {
    if (figure.layers.empty() || figure.tokens.isEmpty()) {
        nothing_to_draw("there are no router shares");
    }
    QCPLayoutGrid* grid = add_title(sheet);
    int row = 0;
    QVector<std::pair<QColor, QString>> entries;
    auto* sides = new QCPMarginGroup(&sheet.plot);
    std::vector<QCPAxisRect*> strips;
    for (const RouterFigure::Layer& layer : figure.layers) {
        const int paths = static_cast<int>(layer.paths.size());
        for (int path = 0; path < paths; ++path) {
            const std::pair<QColor, QString> entry{routeColor(path, paths), layer.paths[path]};
            if (!entries.contains(entry)) {
                entries.append(entry);
            }
        }
    }
    auto* legend = new LegendLine(&sheet.plot, entries, sheet.text, sheet.size.width() - sheet.em);
    grid->addElement(row++, 0, legend);
    for (const RouterFigure::Layer& layer : figure.layers) {
        QCPAxisRect* rect = axes(sheet);
        rect->setMinimumMargins(QMargins(4, 2, 4, 2));
        QCPAxis* x = rect->axis(QCPAxis::atBottom);
        QCPAxis* y = rect->axis(QCPAxis::atLeft);
        new StackPlot(x, y, layer);
        x->setRange(0, static_cast<double>(figure.tokens.size()));
        y->setRange(0, 1);
        auto name = QSharedPointer<QCPAxisTickerText>::create();
        name->addTick(0.5, layer.label);
        y->setTicker(name);
        y->setTickLength(0, 0);
        y->setTickLabelFont(sheet.text);
        x->setTicks(&layer == &figure.layers.back());
        x->setTickLabels(&layer == &figure.layers.back());
        rect->setMarginGroup(QCP::msLeft | QCP::msRight, sides);
        grid->addElement(row++, 0, rect);
        strips.push_back(rect);
    }
    QCPAxis* tokens = strips.back()->axis(QCPAxis::atBottom);
    tokens->setTickLabelRotation(-90);
    tokens->setLabel(QStringLiteral("token (each strip: shares from 0 to 1)"));
    const int strip = qMax(2 * sheet.em, qRound(7.5 * units_per_mm));
    const int count = static_cast<int>(strips.size());
    const bool is_free = sheet.size.height() == 0;
    if (is_free) {
        sheet.size.setHeight(strip * count + 10 * sheet.em);
    }
    int room = sheet.size.width() * 8 / 10;
    for (int pass = 0; pass < 3; ++pass) {
        label_tokens(tokens, figure.tokens, room, sheet);
        sheet.plot.layOut(sheet.size);
        room = strips.back()->width();
        int used = 0;
        for (const QCPAxisRect* each : strips) {
            used += each->height();
        }
        if (is_free) {
            sheet.size.setHeight(sheet.size.height() + strip * count - used);
        }
        // The layout divides the outer heights; the token labels must not shrink the last strip's inside.
        for (QCPAxisRect* each : strips) {
            const int inside = is_free ? strip : std::max(1, used / count);
            each->setMinimumSize(20, inside);
            each->setMaximumSize(QWIDGETSIZE_MAX, inside);
        }
    }
    sheet.plot.layOut(sheet.size);
}

/// A drift has a sign, all else starts somewhere.
QString default_map(const HeadsFigure& figure) {
    return figure.quantity == QLatin1String("drift") ? QStringLiteral("diverging") : QStringLiteral("magma");
}

void build(Sheet& sheet, const HeadsFigure& figure) {
    const Matrix& values = figure.values;
    if (values.rows == 0 || values.columns == 0) {
        nothing_to_draw("no attention has such a quantity");
    }
    const Colormap& map =
        Colormap::named(sheet.spec.colormap.isEmpty() ? default_map(figure) : sheet.spec.colormap);
    const Range range = range_of(values, sheet.spec, figure.quantity, map);
    QCPLayoutGrid* grid = add_title(sheet);
    QCPAxisRect* rect = axes(sheet);
    QCPAxis* x = rect->axis(QCPAxis::atBottom);
    QCPAxis* y = rect->axis(QCPAxis::atLeft);
    auto* cells = new MatrixPlot(x, y, values, map, range.black, range.white);
    cells->setNumbers(decimals_for(range.low, range.high), sheet.small);
    if (figure.kept.rows == values.rows && figure.kept.columns == values.columns) {
        cells->setBars(figure.kept, sheet.small);
    }
    x->setRange(0, values.columns);
    y->setRange(0, values.rows);
    y->setRangeReversed(true);
    auto heads = QSharedPointer<QCPAxisTickerText>::create();
    for (int head = 0; head < values.columns; ++head) {
        heads->addTick(head + 0.5, QString::number(head));
    }
    x->setTicker(heads);
    x->setLabel(QStringLiteral("head"));
    auto sites = QSharedPointer<QCPAxisTickerText>::create();
    for (int site = 0; site < values.rows; ++site) {
        sites->addTick(site + 0.5, figure.sites.value(site));
    }
    y->setTicker(sites);
    for (QCPAxis* axis : {x, y}) {
        axis->setTickLength(0, 0);
        axis->setTickLabelFont(sheet.text);
    }
    grid->addElement(0, 0, rect);
    const bool has_bars = std::any_of(figure.kept.values.begin(), figure.kept.values.end(),
                                      [](float v) { return !std::isnan(v); });
    QCPAxisRect* bar =
        color_bar(sheet, map, range.black, range.white, bar_label(figure.quantity, figure.unit, range));
    grid->addElement(0, 1, bar);
    auto* level = new QCPMarginGroup(&sheet.plot);
    for (QCPAxisRect* each : {rect, bar}) {
        each->setMarginGroup(QCP::msTop | QCP::msBottom, level);
    }
    if (has_bars) {
        x->setLabel(QStringLiteral("head (bar and percentage: keys inside the ball)"));
    }
    const int cell = has_bars ? 3 * sheet.em : 2 * sheet.em;
    settle(sheet, rect, [&](int) { return cell * values.rows; });
}

/// A tick in the middle of each layer's columns, as many as fit; "out" for the output head.
QSharedPointer<QCPAxisTicker> layer_ticks(const DepthFigure& figure, int fitting) {
    auto ticker = QSharedPointer<QCPAxisTickerText>::create();
    const int sites = static_cast<int>(figure.layers.size());
    const int layers = sites > 0 ? *std::max_element(figure.layers.begin(), figure.layers.end()) + 1 : 0;
    const int step = std::max(1, (layers + fitting - 1) / std::max(1, fitting));
    for (int first = 0; first < sites;) {
        int end = first + 1;
        while (end < sites && figure.layers[end] == figure.layers[first]) {
            ++end;
        }
        const int layer = figure.layers[first];
        if (layer < 0) {
            ticker->addTick((first + end) / 2.0, QStringLiteral("out"));
        } else if (layer % step == 0 && (step == 1 || layer + step / 2 < layers)) {
            ticker->addTick((first + end) / 2.0, QString::number(layer));
        }
        first = end;
    }
    return ticker;
}

void build(Sheet& sheet, const DepthFigure& figure) {
    const Matrix& weights = figure.weights;
    if (weights.rows == 0 || weights.columns == 0) {
        nothing_to_draw("there are no depth routers");
    }
    const Colormap& map =
        Colormap::named(sheet.spec.colormap.isEmpty() ? QStringLiteral("viridis") : sheet.spec.colormap);
    Range range{};
    std::tie(range.low, range.high) = value_range(weights);
    range.black = sheet.spec.black.value_or(0);
    range.white = sheet.spec.white.value_or(1);
    if (!(range.black < range.white)) {
        range.white = range.black + 1e-6;
    }
    QCPLayoutGrid* grid = add_title(sheet);
    QCPAxisRect* rect = axes(sheet);
    QCPAxis* x = rect->axis(QCPAxis::atBottom);
    QCPAxis* y = rect->axis(QCPAxis::atLeft);
    auto* cells = new MatrixPlot(x, y, weights, map, range.black, range.white);
    cells->setNumbers(2, sheet.small);
    cells->setHatched(false); // a block that does not exist yet is no missing number
    x->setRange(0, weights.columns);
    y->setRange(0, weights.rows);
    x->setLabel(QStringLiteral("reader: attention and MLP of each layer, output head"));
    auto blocks = QSharedPointer<QCPAxisTickerText>::create();
    for (int block = 0; block < weights.rows; ++block) {
        blocks->addTick(block + 0.5, figure.blocks.value(block));
    }
    y->setTicker(blocks);
    for (QCPAxis* axis : {x, y}) {
        axis->setTickLength(0, 0);
        axis->setTickLabelFont(sheet.text);
    }
    grid->addElement(0, 0, rect);
    QCPAxisRect* bar = color_bar(sheet, map, range.black, range.white,
                                 bar_label(QStringLiteral("weight"), QString(), range));
    grid->addElement(0, 1, bar);
    auto* level = new QCPMarginGroup(&sheet.plot);
    for (QCPAxisRect* each : {rect, bar}) {
        each->setMarginGroup(QCP::msTop | QCP::msBottom, level);
    }
    int room = sheet.size.width() * 6 / 10;
    for (int pass = 0; pass < 2; ++pass) {
        x->setTicker(layer_ticks(figure, room / (2 * sheet.em)));
        settle(sheet, rect, [&](int) { return 2 * sheet.em * weights.rows; });
        room = rect->width();
        if (sheet.spec.height_mm == 0 && pass == 0) {
            sheet.size.setHeight(0);
        }
    }
}

} // namespace

std::pair<double, double> value_range(const Matrix& values) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const float value : values.values) {
        if (std::isfinite(value)) {
            low = std::min(low, static_cast<double>(value));
            high = std::max(high, static_cast<double>(value));
        }
    }
    if (low > high) {
        return {0, 1};
    }
    return {low, high};
}

namespace {

/// The number below which that share of all known ones lies; of few numbers the smallest or the largest.
double percentile(const Matrix& values, double share) {
    std::vector<float> known;
    known.reserve(values.values.size());
    std::copy_if(values.values.begin(), values.values.end(), std::back_inserter(known),
                 [](float value) { return std::isfinite(value); });
    if (known.size() <= 20) {
        const auto [low, high] = value_range(values);
        return share < 0.5 ? low : high;
    }
    const auto at = known.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(known.size()));
    std::nth_element(known.begin(), at, known.end());
    return static_cast<double>(*at);
}

} // namespace

std::pair<double, double> autofit(const Matrix& values, const QString& quantity, const Colormap& map) {
    auto [low, high] = value_range(values);
    if (map.name() == QLatin1String("diverging")) { // pinned at 0
        if (quantity == QLatin1String("relative")) {
            low = percentile(values, 0.01);
            high = percentile(values, 0.99);
        }
        const double reach = std::max(std::abs(low), std::abs(high));
        return {-reach, reach};
    }
    if (quantity == QLatin1String("relative")) { // a few extreme ratios must not make all others alike
        return {percentile(values, 0.01), percentile(values, 0.99)};
    }
    if (quantity != QLatin1String("attention") || low < 0) {
        return {low, high};
    }
    // The first token can only look at itself, with weight 1: one such cell must not darken all others.
    const double most = percentile(values, 0.99);
    return {0, most > 0 ? most : high};
}

int decimals_for(double low, double high) {
    const double largest = std::max(std::abs(low), std::abs(high));
    return largest >= 100 ? 0 : largest >= 10 ? 1 : 2;
}

Drawing::Drawing(const FigureSpec& spec, const FigureData& data) : plot_(std::make_unique<Paper>()) {
    validate(spec);
    plot_->setBackground(QBrush(Qt::white));
    plot_->setNotAntialiasedElements(QCP::aeNone);
    Sheet sheet(*plot_, spec);
    std::visit([&](const auto& figure) { build(sheet, figure); }, data);
    points_ = QSizeF(spec.width_mm * 72 / 25.4,
                     spec.height_mm > 0 ? spec.height_mm * 72 / 25.4 : sheet.size.height() / 10.0);
}

Drawing::~Drawing() = default;

void Drawing::paint(QPaintDevice& device, double scale) const {
    QCPPainter painter;
    if (!painter.begin(&device)) {
        throw ergo::Error(ergo::ErrorKind::resources, "The figure could not be painted.",
                          {.code = "FIG-PAINT"});
    }
    painter.setMode(QCPPainter::pmVectorized);
    painter.setMode(QCPPainter::pmNoCaching);
    painter.setMode(QCPPainter::pmNonCosmetic);
    painter.scale(scale, scale);
    painter.fillRect(QRectF(QPointF(), 10 * points_), Qt::white);
    plot_->draw(&painter);
    painter.end();
}

} // namespace ergosphere
