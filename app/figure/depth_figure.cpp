// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/depth_figure.h"

#include "engine/base/error.h"

#include <algorithm>
#include <charconv>
#include <climits>
#include <optional>
#include <tuple>

namespace ergosphere {

namespace {

/// One depth router of the trace.
struct Reader {
    int layer = -1; ///< -1: in front of the output head
    bool attention = false;
    const ergo::NpyArray* array = nullptr;
    std::int64_t sources() const { return array->shape[1]; }
};

/// Number of "layers.N", or nothing.
std::optional<int> layer_of(const std::string& stage) {
    int layer = 0;
    const char* end = stage.data() + stage.size();
    if (!stage.starts_with("layers.") || std::from_chars(stage.data() + 7, end, layer).ptr != end) {
        return {};
    }
    return layer;
}

/// All depth routers in the order they run.
std::vector<Reader> readers(const TraceArrays& arrays) {
    std::vector<Reader> found;
    for (const auto& [name, array] : arrays) {
        if (!name.ends_with("_res.depth") && name != "final.res.depth") {
            continue;
        }
        Reader reader;
        reader.array = &array;
        reader.attention = name.ends_with(".attn_res.depth");
        if (name != "final.res.depth") {
            const auto layer = layer_of(name.substr(0, name.find('.', 7)));
            if (!layer) {
                continue;
            }
            reader.layer = *layer;
        }
        if (array.shape.size() != 2 || array.shape[0] < 1 || array.shape[1] < 1 || array.shape[1] > 64 ||
            (!found.empty() && array.shape[0] != found.front().array->shape[0])) {
            throw ergo::Error(ergo::ErrorKind::format,
                              "The array has the shape " + ergo::to_string(array.shape) +
                                  " instead of [tokens, sources].",
                              {.code = "FIG-SHAPE", .tensor = ergo::printable(name)});
        }
        found.push_back(reader);
    }
    std::sort(found.begin(), found.end(), [](const Reader& a, const Reader& b) {
        const auto order = [](const Reader& r) {
            return std::tuple(r.layer < 0 ? INT_MAX : r.layer, r.attention ? 0 : 1);
        };
        return order(a) < order(b);
    });
    return found;
}

/// Names of the blocks, from the layers at which a source is added.
QStringList block_names(const std::vector<Reader>& readers, int count) {
    std::vector<int> begins; // first layers of the blocks behind the first one
    int last = -1;
    for (const Reader& reader : readers) {
        while (static_cast<int>(begins.size()) + 1 < reader.sources()) {
            begins.push_back(std::max(0, reader.layer));
        }
        last = std::max(last, reader.layer);
    }
    QStringList names;
    for (int block = 0; block < count; ++block) {
        const auto at = static_cast<std::size_t>(block);
        const int first = block == 0 ? 0 : begins[at - 1];
        const int end = at < begins.size() ? begins[at] : last + 1;
        QString name = block == 0 ? QStringLiteral("embedding") : QString();
        if (first < end) {
            name += block == 0 ? QStringLiteral(" and ") : QString();
            name += end - first == 1 ? QStringLiteral("layer %1").arg(first)
                                     : QStringLiteral("layers %1–%2").arg(first).arg(end - 1);
        }
        names.append(name);
    }
    return names;
}

QString site_name(const Reader& reader) {
    return reader.layer < 0
               ? QStringLiteral("output")
               : stage_title("layers." + std::to_string(reader.layer)) +
                     (reader.attention ? QStringLiteral(" · attention") : QStringLiteral(" · MLP"));
}

} // namespace

QString depth_place(qint64 token, const QString& text, qint64 tokens) {
    return token < 0 ? QStringLiteral("average over %1 tokens").arg(tokens)
                     : QStringLiteral("token %1, %2").arg(token).arg(visible_token(text));
}

DepthFigure depth_figure(const TraceArrays& arrays, const TraceQuery& query) {
    const std::vector<Reader> all = readers(arrays);
    if (all.empty()) {
        throw ergo::Error(ergo::ErrorKind::usage, "The trace has no depth routing.",
                          {.code = "FIG-TRACE", .advice = "Trace with --observe '*.depth'."});
    }
    const std::int64_t tokens = all.front().array->shape[0];
    if (query.token >= tokens) {
        throw ergo::Error(
            ergo::ErrorKind::usage, "There is no token " + std::to_string(query.token) + ".",
            {.code = "FIG-TOKEN", .advice = "The trace has tokens 0 to " + std::to_string(tokens - 1) + "."});
    }
    std::int64_t most = 0;
    for (const Reader& reader : all) {
        most = std::max(most, reader.sources());
    }
    DepthFigure figure;
    figure.blocks = block_names(all, static_cast<int>(most));
    figure.weights = Matrix(static_cast<int>(most), static_cast<int>(all.size()));
    const std::int64_t begin = query.token < 0 ? 0 : query.token, end = query.token < 0 ? tokens : begin + 1;
    for (std::size_t site = 0; site < all.size(); ++site) {
        const std::vector<double> values = all[site].array->to_doubles();
        const std::int64_t sources = all[site].sources();
        for (std::int64_t s = 0; s < sources; ++s) {
            double sum = 0;
            for (std::int64_t t = begin; t < end; ++t) {
                sum += values[static_cast<std::size_t>(t * sources + s)];
            }
            figure.weights.at(static_cast<int>(s), static_cast<int>(site)) =
                static_cast<float>(sum / static_cast<double>(end - begin));
        }
        figure.sites.append(site_name(all[site]));
        figure.layers.append(all[site].layer);
    }
    figure.place = depth_place(query.token, query.tokens.value(query.token), tokens);
    return figure;
}

} // namespace ergosphere
