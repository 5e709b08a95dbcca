// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/csv.h"

#include <charconv>
#include <cmath>

namespace ergosphere {

namespace {

QByteArray number(float value) {
    if (std::isnan(value)) {
        return {};
    }
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value);
    return QByteArray(text, end.ptr - text);
}

/// `last`: one more field, or null.
void write(QByteArray& out, std::initializer_list<QByteArray> fields, const char* last = nullptr) {
    bool first = true;
    for (const QByteArray& field : fields) {
        if (!first) {
            out += ',';
        }
        out += field;
        first = false;
    }
    if (last) {
        out += ',';
        out += last;
    }
    out += "\r\n";
}

QByteArray table(const AttentionFigure& figure) {
    QByteArray out;
    write(out, {"query", "query_token", "key", "key_token", csv_field(figure.quantity)});
    for (int row = 0; row < figure.values.rows; ++row) {
        for (int column = 0; column < figure.values.columns; ++column) {
            const float value = figure.values.at(row, column);
            if (!std::isnan(value)) {
                write(out,
                      {QByteArray::number(figure.first_query + row), csv_field(figure.queries.value(row)),
                       QByteArray::number(figure.first_key + column), csv_field(figure.keys.value(column)),
                       number(value)});
            }
        }
    }
    return out;
}

QByteArray table(const RouterFigure& figure) {
    QByteArray out;
    write(out, {"layer", "position", "token", "path", "share"});
    for (const RouterFigure::Layer& layer : figure.layers) {
        const auto paths = static_cast<std::size_t>(layer.paths.size());
        for (std::size_t at = 0; at < layer.shares.size(); ++at) {
            const auto token = static_cast<qsizetype>(at / paths);
            if (!std::isnan(layer.shares[at])) {
                write(out,
                      {csv_field(layer.label), QByteArray::number(figure.first + token),
                       csv_field(figure.tokens.value(token)),
                       csv_field(layer.paths[static_cast<qsizetype>(at % paths)]), number(layer.shares[at])});
            }
        }
    }
    return out;
}

QByteArray table(const HeadsFigure& figure) {
    QByteArray out;
    const bool balls = figure.quantity == QLatin1String("radius");
    write(out, {"site", "head", csv_field(figure.quantity)}, balls ? "kept_share" : nullptr);
    for (int site = 0; site < figure.values.rows; ++site) {
        for (int head = 0; head < figure.values.columns; ++head) {
            const float value = figure.values.at(site, head);
            if (std::isnan(value)) {
                continue;
            }
            const bool known = site < figure.kept.rows && head < figure.kept.columns;
            const QByteArray kept = number(known ? figure.kept.at(site, head) : masked);
            write(out, {csv_field(figure.sites.value(site)), QByteArray::number(head), number(value)},
                  balls ? kept.constData() : nullptr);
        }
    }
    return out;
}

QByteArray table(const DepthFigure& figure) {
    QByteArray out;
    write(out, {"site", "layer", "block", "weight"});
    for (int site = 0; site < figure.weights.columns; ++site) {
        for (int block = 0; block < figure.weights.rows; ++block) {
            const float weight = figure.weights.at(block, site);
            if (!std::isnan(weight)) {
                const int layer = figure.layers.value(site, -1);
                write(out, {csv_field(figure.sites.value(site)),
                            layer < 0 ? QByteArray() : QByteArray::number(layer),
                            csv_field(figure.blocks.value(block)), number(weight)});
            }
        }
    }
    return out;
}

} // namespace

QByteArray csv_field(const QString& text) {
    QByteArray bytes = text.toUtf8();
    const bool plain = !bytes.contains(',') && !bytes.contains('"') && !bytes.contains('\n') &&
                       !bytes.contains('\r') && !bytes.startsWith(' ') && !bytes.endsWith(' ');
    if (plain) {
        return bytes;
    }
    return '"' + bytes.replace("\"", "\"\"") + '"';
}

QByteArray to_csv(const FigureData& data) {
    return std::visit([](const auto& figure) { return table(figure); }, data);
}

} // namespace ergosphere
