// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/trace_figure.h"

#include "app/figure/depth_figure.h"
#include "app/figure/head_quantity.h"
#include "engine/base/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <tuple>

namespace ergosphere {

namespace {

[[noreturn]] void refuse(const QString& message, const QString& advice = {}) {
    throw ergo::Error(ergo::ErrorKind::usage, message.toStdString(),
                      {.code = "FIG-TRACE", .advice = advice.toStdString()});
}

[[noreturn]] void misshapen(const std::string& name, const ergo::NpyArray& array,
                            const std::string& expected) {
    throw ergo::Error(ergo::ErrorKind::format,
                      "The array has the shape " + ergo::to_string(array.shape) + " instead of " + expected +
                          ".",
                      {.code = "FIG-SHAPE", .tensor = ergo::printable(name)});
}

/// One array name taken apart: "{stage}.[{site}.]{quantity}".
struct Name {
    std::string full, stage, site;
};

/// Order of stages: layers by number, then all others.
std::tuple<int, int, std::string> stage_order(const std::string& stage) {
    int layer = 0;
    if (stage.starts_with("layers.") &&
        std::from_chars(stage.data() + 7, stage.data() + stage.size(), layer).ptr ==
            stage.data() + stage.size()) {
        return {0, layer, stage};
    }
    return {1, 0, stage};
}

/// All arrays whose name ends in ".quantity", by stage.
std::vector<Name> with_quantity(const TraceArrays& arrays, const std::string& quantity) {
    std::vector<Name> names;
    for (const auto& [full, array] : arrays) {
        if (!full.ends_with("." + quantity)) {
            continue;
        }
        const std::string place = full.substr(0, full.size() - quantity.size() - 1);
        std::size_t cut = place.find('.');
        if (place.starts_with("layers.")) {
            cut = place.find('.', 7);
        }
        names.push_back({full, place.substr(0, cut), cut == std::string::npos ? "" : place.substr(cut + 1)});
    }
    std::stable_sort(names.begin(), names.end(), [](const Name& a, const Name& b) {
        return std::tuple(stage_order(a.stage), a.site) < std::tuple(stage_order(b.stage), b.site);
    });
    return names;
}

QString listed(const std::vector<Name>& names) {
    QStringList parts;
    for (const Name& name : names) {
        parts.append(QString::fromStdString(ergo::printable(name.full)));
        if (parts.size() == 6 && names.size() > 7) {
            parts.append(QStringLiteral("… (%1 in all)").arg(names.size()));
            break;
        }
    }
    return parts.join(QStringLiteral(", "));
}

QStringList token_texts(const TraceArrays& arrays, const TraceQuery& query, std::int64_t count) {
    QStringList texts = query.tokens;
    const auto ids = arrays.find("tokens");
    if (texts.isEmpty() && ids != arrays.end()) {
        for (const double id : ids->second.to_doubles()) {
            texts.append(QString::number(static_cast<qint64>(id)));
        }
    }
    while (texts.size() < count) {
        texts.append(QString::number(texts.size()));
    }
    return texts.mid(0, count);
}

FigureData attention_figure(const TraceArrays& arrays, const TraceQuery& query) {
    const std::vector<Name> all = with_quantity(arrays, "attention");
    if (all.empty()) {
        refuse(QStringLiteral("The trace has no attention."),
               QStringLiteral("Trace with --observe '*.attention'."));
    }
    const auto found = std::find_if(all.begin(), all.end(), [&](const Name& name) {
        return (query.stage.empty() || name.stage == query.stage) &&
               (query.site.empty() || name.site == query.site);
    });
    if (found == all.end()) {
        refuse(QStringLiteral("The trace has no attention at %1.")
                   .arg(QString::fromStdString(
                       ergo::printable(query.stage + (query.site.empty() ? "" : "." + query.site)))),
               QStringLiteral("It has %1.").arg(listed(all)));
    }
    const ergo::NpyArray& array = arrays.at(found->full);
    if (array.shape.size() != 3 || array.shape[1] != array.shape[2] || array.shape[0] < 1 ||
        array.shape[1] > 32768) {
        misshapen(found->full, array, "[heads, tokens, tokens]");
    }
    const std::int64_t heads = array.shape[0], n = array.shape[1];
    if (query.head >= heads) {
        refuse(
            QStringLiteral("There is no head %1.").arg(query.head),
            QStringLiteral("%1 has heads 0 to %2.").arg(QString::fromStdString(found->full)).arg(heads - 1));
    }
    const std::vector<double> values = array.to_doubles();
    AttentionFigure figure;
    figure.values = Matrix(static_cast<int>(n), static_cast<int>(n));
    const std::int64_t first = std::max(0, query.head), last = query.head < 0 ? heads : query.head + 1;
    std::vector<float> row;
    std::vector<double> mean;
    for (std::int64_t q = 0; q < n; ++q) {
        mean.assign(static_cast<std::size_t>(q + 1), 0);
        for (std::int64_t h = first; h < last; ++h) {
            const auto from = values.begin() + (h * n + q) * n;
            row.assign(from, from + q + 1);
            // a mean of logarithms would be nothing where one head does not look
            rescale(query.scale == WeightScale::weight ? WeightScale::weight : WeightScale::ratio, row);
            for (std::size_t k = 0; k < row.size(); ++k) {
                mean[k] += static_cast<double>(row[k]) / static_cast<double>(last - first);
            }
        }
        for (std::int64_t k = 0; k <= q; ++k) {
            const auto value = static_cast<float>(mean[static_cast<std::size_t>(k)]);
            figure.values.at(static_cast<int>(q), static_cast<int>(k)) = query.scale != WeightScale::log_ratio
                                                                             ? value
                                                                         : value > 0 ? std::log2(value)
                                                                                     : masked;
        }
    }
    figure.quantity = quantity_of(query.scale);
    figure.unit = unit_of(query.scale);
    figure.queries = figure.keys = token_texts(arrays, query, n);
    QString site = stage_title(found->stage);
    if (!found->site.empty()) {
        site += QStringLiteral(" · ") + site_title(found->site);
    }
    figure.place = attention_place(site, query.head);
    return figure;
}

QStringList path_names(const Name& name, std::int64_t count) {
    if (name.site == "router" && count == 4) {
        return {QStringLiteral("LocalConv"), QStringLiteral("MetricMH"), QStringLiteral("ChannelMix"),
                QStringLiteral("MetricMQA")};
    }
    if (name.site == "hyper_ffn" && count == 3) {
        return {QStringLiteral("SwiGLU"), QStringLiteral("Convolution"), QStringLiteral("LowRank")};
    }
    QStringList names;
    for (std::int64_t i = 0; i < count; ++i) {
        names.append(QStringLiteral("path %1").arg(i));
    }
    return names;
}

FigureData router_figure(const TraceArrays& arrays, const TraceQuery& query) {
    std::vector<Name> names = with_quantity(arrays, "shares");
    for (const Name& name : with_quantity(arrays, "branches")) {
        names.push_back(name);
    }
    std::stable_sort(names.begin(), names.end(), [](const Name& a, const Name& b) {
        return stage_order(a.stage) < stage_order(b.stage);
    });
    if (names.empty()) {
        refuse(QStringLiteral("The trace has no router shares."),
               QStringLiteral("Trace with --observe '*.router.shares,*.hyper_ffn.branches'."));
    }
    RouterFigure figure;
    std::int64_t tokens = -1;
    for (const Name& name : names) {
        const ergo::NpyArray& array = arrays.at(name.full);
        if (array.shape.size() != 2 || array.shape[1] < 1 || array.shape[1] > 64 ||
            (tokens >= 0 && array.shape[0] != tokens)) {
            misshapen(name.full, array, "[tokens, paths]");
        }
        tokens = array.shape[0];
        RouterFigure::Layer layer;
        layer.label = stage_title(name.stage);
        if (name.site == "hyper_ffn") { // after the stack it is a stage of its own
            const bool in_layer = arrays.contains(name.stage + ".router.shares");
            layer.label = in_layer ? layer.label + QStringLiteral(" · HyperFFN") : QStringLiteral("HyperFFN");
        }
        layer.paths = path_names(name, array.shape[1]);
        for (const double value : array.to_doubles()) {
            layer.shares.push_back(static_cast<float>(value));
        }
        figure.layers.push_back(std::move(layer));
    }
    figure.tokens = token_texts(arrays, query, tokens);
    return figure;
}

/// Mean over queries of the share of keys kept, per head: from "kept_share" [n, heads], else from "kept"
/// [heads, n, n].
std::vector<double> kept_shares(const TraceArrays& arrays, const std::string& place) {
    std::vector<double> means;
    if (const auto share = arrays.find(place + ".kept_share");
        share != arrays.end() && share->second.shape.size() == 2) {
        const std::int64_t n = share->second.shape[0], heads = share->second.shape[1];
        const std::vector<double> values = share->second.to_doubles();
        means.assign(static_cast<std::size_t>(heads), 0);
        for (std::size_t i = 0; i < values.size(); ++i) {
            means[i % means.size()] += values[i] / static_cast<double>(n);
        }
        return means;
    }
    const auto kept = arrays.find(place + ".kept");
    if (kept == arrays.end() || kept->second.shape.size() != 3 ||
        kept->second.shape[1] != kept->second.shape[2]) {
        return means;
    }
    const std::int64_t heads = kept->second.shape[0], n = kept->second.shape[1];
    const std::vector<double> values = kept->second.to_doubles();
    for (std::int64_t h = 0; h < heads; ++h) {
        double mean = 0;
        for (std::int64_t q = 0; q < n; ++q) {
            const auto row = values.begin() + (h * n + q) * n;
            mean +=
                std::accumulate(row, row + q + 1, 0.0) / static_cast<double>(q + 1) / static_cast<double>(n);
        }
        means.push_back(mean);
    }
    return means;
}

/// Values and shares of one site, as many of both.
struct SiteValues {
    std::vector<double> values, kept;
};

SiteValues site_values(const TraceArrays& arrays, const Name& name, bool balls) {
    const std::string place = name.full.substr(0, name.full.rfind('.'));
    SiteValues out;
    out.values = arrays.at(name.full).to_doubles();
    if (out.values.empty() || out.values.size() > 1024 || arrays.at(name.full).shape.size() != 1) {
        misshapen(name.full, arrays.at(name.full), "[heads]");
    }
    if (balls) {
        out.kept = kept_shares(arrays, place);
    }
    if (balls && out.values.size() == 1) { // one ball for all query heads
        std::size_t heads = out.kept.size();
        if (const auto alpha = arrays.find(place + ".alpha"); alpha != arrays.end()) {
            heads = std::max(heads, static_cast<std::size_t>(ergo::element_count(alpha->second.shape)));
        }
        out.values.resize(std::clamp<std::size_t>(heads, 1, 1024), out.values[0]);
    }
    out.kept.resize(out.values.size(),
                    out.kept.empty() ? std::numeric_limits<double>::quiet_NaN() : out.kept.back());
    return out;
}

FigureData heads_figure(const TraceArrays& arrays, HeadQuantity quantity, double softening) {
    const std::string observable = observable_of(quantity);
    const std::vector<Name> names = with_quantity(arrays, observable);
    const bool balls = quantity == HeadQuantity::radius;
    if (names.empty()) {
        refuse(QStringLiteral("The trace has no %1.")
                   .arg(balls ? QStringLiteral("ball radius") : QString::fromStdString(observable)),
               balls
                   ? QStringLiteral("Trace with --observe '*.radius,*.kept'.")
                   : QStringLiteral("Trace with --observe '*.%1'.").arg(QString::fromStdString(observable)));
    }
    HeadsFigure figure;
    figure.quantity = key_of(quantity);
    std::vector<SiteValues> sites;
    std::vector<float> all;
    std::size_t most = 0;
    for (const Name& name : names) {
        sites.push_back(site_values(arrays, name, balls));
        most = std::max(most, sites.back().values.size());
        all.insert(all.end(), sites.back().values.begin(), sites.back().values.end());
        QString label = stage_title(name.stage);
        if (!name.site.empty()) {
            label += QStringLiteral(" · ") + site_title(name.site);
        }
        figure.sites.append(label);
    }
    const double start = usual_start(all);
    figure.unit = unit_of(quantity, start);
    figure.values = Matrix(static_cast<int>(sites.size()), static_cast<int>(most));
    figure.kept = figure.values;
    for (std::size_t site = 0; site < sites.size(); ++site) {
        for (std::size_t head = 0; head < sites[site].values.size(); ++head) {
            const int row = static_cast<int>(site), column = static_cast<int>(head);
            figure.values.at(row, column) =
                head_value(quantity, static_cast<float>(sites[site].values[head]), start, softening);
            figure.kept.at(row, column) = static_cast<float>(sites[site].kept[head]);
        }
    }
    return figure;
}

} // namespace

QString stage_title(const std::string& stage) {
    if (stage.starts_with("layers.")) {
        return QStringLiteral("layer ") + QString::fromStdString(stage.substr(7));
    }
    return stage == "lm_head" ? QStringLiteral("LM head") : QString::fromStdString(stage);
}

QString site_title(const std::string& site) {
    return site == "metric_attention" ? QStringLiteral("MetricMH")
           : site == "metric_mqa"     ? QStringLiteral("MetricMQA")
                                      : QString::fromStdString(site);
}

QString attention_place(const QString& site_label, int head) {
    return site_label + (head < 0 ? QStringLiteral(" · all heads") : QStringLiteral(" · head %1").arg(head));
}

FigureData figure_from_trace(const TraceArrays& arrays, const TraceQuery& query) {
    if (query.view == "attention") {
        return attention_figure(arrays, query);
    }
    if (query.view == "router") {
        return router_figure(arrays, query);
    }
    if (query.view == "depth") {
        return depth_figure(arrays, query);
    }
    const auto quantity = head_quantity(query.view == "balls" ? "radius" : query.view);
    if (quantity) {
        return heads_figure(arrays, *quantity, query.softening);
    }
    refuse(QStringLiteral("There is no view named \"%1\".")
               .arg(QString::fromStdString(ergo::printable(query.view))),
           QStringLiteral("Use attention, router, balls, alpha, mass, drift, horizon or depth."));
}

} // namespace ergosphere
