// SPDX-License-Identifier: GPL-3.0-or-later
// Figures: what a lens shows, as plain numbers, and how it is to look on paper. The window's export and `ergo
// figure` share them. Plain values; any thread may hold them, drawing and exporting need the GUI thread
// (fonts).
#pragma once

#include <QString>
#include <QStringList>
#include <QVector>

#include <limits>
#include <optional>
#include <variant>
#include <vector>

namespace ergosphere {

inline constexpr float masked = std::numeric_limits<float>::quiet_NaN();

/// Row-major numbers; NaN: masked, there is no such value.
struct Matrix {
    int rows = 0, columns = 0;
    std::vector<float> values; // [rows, columns]

    Matrix() = default;
    Matrix(int row_count, int column_count)
        : rows(row_count), columns(column_count),
          values(static_cast<std::size_t>(row_count) * static_cast<std::size_t>(column_count), masked) {}
    float& at(int row, int column) { return values[index(row, column)]; }
    float at(int row, int column) const { return values[index(row, column)]; }
    bool operator==(const Matrix&) const = default;

  private:
    std::size_t index(int row, int column) const {
        return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) +
               static_cast<std::size_t>(column);
    }
};

/// One pair map: queries down, keys across.
struct AttentionFigure {
    Matrix values;                         // [queries, keys]
    QStringList queries, keys;             // token texts
    qint64 first_query = 0, first_key = 0; // absolute positions
    QString place;                         // "layer 3 · MetricMQA · head 5"
    QString quantity = QStringLiteral("attention");
    QString unit = QStringLiteral("weight"); // "" for none
};

/// Shares over tokens, one strip a router.
struct RouterFigure {
    struct Layer {
        QString label; // "layer 3"
        QStringList paths;
        std::vector<float> shares; // [tokens, paths], NaN while unknown
    };
    std::vector<Layer> layers;
    QStringList tokens;
    qint64 first = 0;
};

/// One value a head, one row a site.
struct HeadsFigure {
    QStringList sites; // "layer 0 · MetricMH"
    QString quantity = QStringLiteral("radius");
    QString unit;  // "" for none
    Matrix values; // [sites, heads], NaN: the site has fewer heads
    Matrix kept;   // the same, mean share of keys inside the ball, 0…1; NaN: unknown or no ball
};

/// What every depth router reads: one column a site, one row a block of layers. The last block that a site
/// has is the running sum that is still open there.
struct DepthFigure {
    QStringList blocks;  // "embedding", "layers 0–2"
    QStringList sites;   // "layer 3 · attention" …, in the order they run
    QVector<int> layers; // of each site; -1: in front of the output head
    Matrix weights;      // [blocks, sites], each column sums to 1; NaN: no such block yet, or unknown
    QString place;       // "average over 24 tokens", "token 7, cat"
};

using FigureData = std::variant<AttentionFigure, RouterFigure, HeadsFigure, DepthFigure>;

/// How a figure looks. The theme of the windows has no part in it: paper is white.
struct FigureSpec {
    QString title;        // above the picture, empty: none
    QString colormap;     // cividis, viridis, magma, diverging; empty: the view's own
    double width_mm = 89; // 10 … 2000
    double height_mm = 0; // 0: from the width, by the picture's proportions
    int dpi = 300;        // PNG, 36 … 2400
    QString font_family = QStringLiteral("Inter");
    QString token_family = QStringLiteral("JetBrains Mono");
    double font_pt = 7;                 // 5 … 72
    std::optional<double> black, white; // values drawn with the map's ends; unset: from the data
    QString provenance;                 // one line kept inside the file: model, place, device, version
};

/// "3.25in", "89mm", "8.9cm", "252pt", "89" (mm) in millimetres. Throws ergo::Error(usage).
double parse_length_mm(const QString& text);

/// Throws ergo::Error(usage) naming the number that makes no sense.
void validate(const FigureSpec& spec);

/// The first three of a list, and how many there are: nobody reads twenty.
QString shortened(const QStringList& texts);

/// A token's text as views show it: space as ·, newline ↵, tab ⇥, control characters escaped, at most `limit`
/// characters (then …); the empty text as ∅.
QString visible_token(const QString& text, int limit = 24);

} // namespace ergosphere
