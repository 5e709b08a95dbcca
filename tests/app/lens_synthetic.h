// SPDX-License-Identifier: GPL-3.0-or-later
// A made-up model and its frames, for testing the lenses without an engine.
#pragma once

#include "app/lens/lens_data.h"

#include <cmath>
#include <random>

namespace ergosphere::testing {

struct Synthetic {
    ergo::ModelInfo info;
    std::vector<ergo::Observable> observables;
    std::map<std::string, std::vector<float>> parameters;
};

inline Synthetic make_synthetic(int layers, int heads) {
    Synthetic made;
    made.info.name = "synthetic";
    made.info.family = "moa";
    const auto observable = [&](const std::string& stage, const std::string& site,
                                const std::string& quantity, ergo::ObservableSource source,
                                ergo::Shape shape) {
        ergo::Observable each;
        each.name = stage + "." + site + "." + quantity;
        each.stage = stage;
        each.site = site;
        each.quantity = quantity;
        each.source = source;
        each.shape = std::move(shape);
        made.observables.push_back(each);
        return each.name;
    };
    using Source = ergo::ObservableSource;
    for (int layer = 0; layer < layers; ++layer) {
        const std::string stage = "layers." + std::to_string(layer), title = "layer " + std::to_string(layer);
        int path = 1;
        for (const char* site : {"metric_attention", "metric_mqa"}) {
            observable(stage, site, "attention", Source::pair_row, {heads, -1, -1});
            observable(stage, site, "kept_share", Source::buffer, {-1, heads});
            const bool shared = path == 3;
            const std::string radius = observable(stage, site, "radius", Source::param, {shared ? 1 : heads});
            for (int head = 0; head < (shared ? 1 : heads); ++head) {
                made.parameters[radius].push_back(3.5F +
                                                  0.6F * std::sin(static_cast<float>(layer * 3 + head)));
            }
            made.info.attentions.push_back(
                {stage, site, heads, path, true, title + (shared ? " · MetricMQA" : " · MetricMH")});
            path = 3;
        }
        made.info.routers.push_back({stage,
                                     observable(stage, "router", "shares", Source::buffer, {-1, 4}),
                                     {"LocalConv", "MetricMH", "ChannelMix", "MetricMQA"},
                                     title});
    }
    const std::string after = "layers." + std::to_string(layers);
    made.info.routers.push_back({after,
                                 observable(after, "hyper_ffn", "branches", Source::buffer, {-1, 3}),
                                 {"SwiGLU", "Convolution", "LowRank"},
                                 "HyperFFN"});
    return made;
}

/// One attention a layer, with gravity masses near their usual start 0.974.
inline Synthetic make_gravity(int layers, int heads) {
    Synthetic made;
    made.info.name = "synthetic";
    made.info.family = "gravity";
    made.info.settings["knob.gravity_eps"] = "0.1";
    for (int layer = 0; layer < layers; ++layer) {
        const std::string stage = "layers." + std::to_string(layer);
        ergo::Observable attention, mass;
        attention.name = stage + ".attention";
        attention.source = ergo::ObservableSource::pair_row;
        attention.shape = {heads, -1, -1};
        mass.name = stage + ".mass";
        mass.source = ergo::ObservableSource::param;
        mass.shape = {heads};
        for (int head = 0; head < heads; ++head) {
            made.parameters[mass.name].push_back(0.974F +
                                                 0.1F * std::sin(static_cast<float>(layer + 2 * head)));
        }
        made.observables.push_back(attention);
        made.observables.push_back(mass);
        ergo::AttentionSite site;
        site.stage = stage;
        site.heads = heads;
        site.label = "layer " + std::to_string(layer);
        made.info.attentions.push_back(site);
    }
    return made;
}

inline QStringList some_tokens(int count) {
    const QStringList words = {"The",  " cat",      " sat", " on",        " the",   " mat", ".",
                               "\n",   " It",       " saw", " a",         " bird",  ",",    " \"",
                               "日本", " geometry", " of",  " attention", " heads", ""};
    QStringList out;
    for (int i = 0; i < count; ++i) {
        out.append(words[i % words.size()]);
    }
    return out;
}

/// Rows [position, position + rows) of everything; attention only of `site` (an index into attentions).
inline ergo::Frame make_frame(const Synthetic& model, int site, std::int64_t position, std::int32_t rows,
                              std::uint64_t session = 1) {
    ergo::Frame frame;
    frame.session = session;
    frame.position = position;
    frame.rows = rows;
    const std::int64_t keys = position + rows;
    const std::string wanted = model.info.attentions[static_cast<std::size_t>(site)].name("attention");
    for (std::size_t i = 0; i < model.observables.size(); ++i) {
        const ergo::Observable& each = model.observables[i];
        ergo::Capture capture;
        capture.observable = static_cast<std::int32_t>(i);
        std::mt19937 random(static_cast<unsigned>(position * 131 + static_cast<std::int64_t>(i)));
        std::uniform_real_distribution<float> uniform(0, 1);
        if (each.source == ergo::ObservableSource::pair_row && each.name == wanted) {
            const std::int64_t heads = each.shape[0];
            capture.shape = {heads, rows, keys};
            capture.values.assign(static_cast<std::size_t>(heads * rows * keys), 0.0F);
            for (std::int64_t h = 0; h < heads; ++h) {
                for (std::int64_t r = 0; r < rows; ++r) {
                    float* row = &capture.values[static_cast<std::size_t>((h * rows + r) * keys)];
                    float sum = 0;
                    for (std::int64_t k = 0; k <= position + r; ++k) {
                        const auto back = static_cast<float>(position + r - k);
                        row[k] = std::exp(2.0F * std::sin(0.4F * static_cast<float>(k * (h + 1))) *
                                              uniform(random) -
                                          back / (4.0F + 6.0F * static_cast<float>(h))) +
                                 (k == 0 ? 0.6F : 0.0F) + 0.004F;
                        sum += row[k];
                    }
                    for (std::int64_t k = 0; k <= position + r; ++k) {
                        row[k] /= sum;
                    }
                }
            }
        } else if (each.source == ergo::ObservableSource::buffer) {
            const std::int64_t width = each.shape[1];
            capture.shape = {rows, width};
            for (std::int64_t r = 0; r < rows; ++r) {
                std::vector<float> values(static_cast<std::size_t>(width));
                float sum = 0;
                for (float& value : values) {
                    value = each.quantity == "kept_share" ? 0.4F + 0.6F * uniform(random)
                                                          : std::pow(uniform(random), 2.0F);
                    sum += value;
                }
                for (const float value : values) {
                    capture.values.push_back(each.quantity == "kept_share" ? value : value / sum);
                }
            }
        } else {
            continue;
        }
        frame.captures.push_back(std::move(capture));
    }
    return frame;
}

} // namespace ergosphere::testing
