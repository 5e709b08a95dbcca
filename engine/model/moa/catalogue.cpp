// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/moa/catalogue.h"

#include "engine/model/row_quantities.h"

#include <algorithm>

namespace ergo::moa {

namespace {

using Source = ObservableSource;

class CatalogueBuilder {
  public:
    explicit CatalogueBuilder(const Layout& layout) : layout_(layout) {}

    Catalogue build() {
        const std::int64_t width = layout_.config.dim;
        block("embed", width);
        const auto mixtures = layout_.mixtures();
        for (std::size_t l = 0; l < layout_.layers.size(); ++l) {
            mixture(*mixtures[l], static_cast<std::int32_t>(l));
            if (layout_.hyper_each_layer()) {
                hyper(layout_.hypers[l]);
            }
            block(mixtures[l]->stage, width);
        }
        if (!layout_.hypers.empty() && !layout_.hyper_each_layer()) {
            hyper(layout_.hypers[0]);
            block(layout_.hypers[0].stage, width);
        }
        if (layout_.head.mixture) {
            mixture(*layout_.head.mixture, static_cast<std::int32_t>(mixtures.size()) - 1);
        }
        block("lm_head", width);
        return std::move(out_);
    }

  private:
    Observable& add(const std::string& stage, const std::string& site, const std::string& quantity,
                    Source source, Shape shape, const std::string& unit, Backing backing = {}) {
        Observable o;
        o.name = stage + "." + (site.empty() ? "" : site + ".") + quantity;
        o.stage = stage;
        o.site = site;
        o.quantity = quantity;
        o.source = source;
        o.shape = std::move(shape);
        o.unit = unit;
        out_.by_name[o.name] = static_cast<std::int32_t>(out_.observables.size());
        out_.observables.push_back(std::move(o));
        out_.backing.push_back(backing);
        return out_.observables.back();
    }

    void add_param(const std::string& stage, const std::string& site, const std::string& quantity,
                   ParamId param, const std::string& unit, bool by_default = true) {
        if (param) {
            const Shape& shape = layout_.tables->params[static_cast<std::size_t>(param.index)].shape;
            add(stage, site, quantity, Source::param, shape, unit, {param, -1, false}).by_default =
                by_default;
        }
    }

    void block(const std::string& stage, std::int64_t width) {
        add(stage, "block", "hidden", Source::buffer, {-1, width}, "");
        add(stage, "block", "norm", Source::buffer, {-1}, "");
    }

    void mixture(const MixturePart& m, std::int32_t index) {
        attention(m.stage, m.attention, {{}, index, false});
        attention(m.stage, m.mqa, {{}, index, true});
        add(m.stage, "router", "router_logits", Source::buffer, {-1, 4}, "");
        add(m.stage, "router", "shares", Source::buffer, {-1, 4}, "share");
        if (m.feature_gate) {
            add(m.stage, "router", "feature_gate",
                m.feature_gate.constant ? Source::positional : Source::buffer, {-1, 4, m.feature_width}, "",
                {{}, index, false});
        }
        add_param(m.stage, "router", "temperature", m.temperature, "", false);
        add_param(m.stage, "router", "topk", m.top_k, "", false);
        add_param(m.stage, "router", "keep", m.mask, "", false);
    }

    void hyper(const HyperPart& h) {
        add(h.stage, "hyper_ffn", "branch_logits", Source::buffer, {-1, 3}, "");
        add(h.stage, "hyper_ffn", "branches", Source::buffer, {-1, 3}, "share");
        add_param(h.stage, "hyper_ffn", "temperature", h.temperature, "", false);
        add_param(h.stage, "hyper_ffn", "topk", h.top_k, "", false);
        add_param(h.stage, "hyper_ffn", "keep", h.mask, "", false);
    }

    void attention(const std::string& stage, const AttentionPart& a, const Backing& backing) {
        const bool angular = layout_.config.metric == "cosine";
        const std::string length = angular ? "radian" : "distance";
        const std::int64_t heads = a.heads;
        add(stage, a.site, "attention", Source::pair_row, {heads, -1, -1}, "weight");
        add(stage, a.site, "kept", Source::pair_row, {heads, -1, -1}, "").integral = true;
        add(stage, a.site, "score", Source::pair_row, {heads, -1, -1}, "");
        add(stage, a.site, "distance", Source::pair_row, {heads, -1, -1}, length);
        add_param(stage, a.site, "alpha", a.alpha, "");
        add_param(stage, a.site, "radius", a.radius, "distance");
        add_param(stage, a.site, "origin", a.origin, "");
        add_param(stage, a.site, "metric_diag", a.diagonal, "");
        add_param(stage, a.site, "keep", a.mask, "", false);
        if (a.balls) {
            add(stage, a.site, "ball_distance", Source::state, {a.balls, -1}, "distance", backing);
            if (a.ball.test == Ball::Test::pairs) {
                add(stage, a.site, "query_ball_distance", Source::buffer, {heads, -1}, "distance");
            } else if (a.ball.mode == Ball::Mode::hard) {
                add(stage, a.site, "kept_share", Source::buffer, {-1, heads}, "share").by_default = false;
            }
        }
        for (const RowQuantity& q : row_quantities()) {
            add(stage, a.site, q.name, Source::buffer, q.shape(heads), q.unit).by_default = false;
        }
        add(stage, a.site, "ti_violation", Source::state, {geometries(a, *layout_.tables), 4}, "", backing);
        add(stage, a.rope_site, "phase", Source::positional, {-1, a.dim / 2}, "radian", backing);
        add(stage, a.rope_site, "gain", Source::positional, {-1, a.dim}, "", backing);
        add(stage, a.rope_site, "energy", Source::positional, {-1}, "", backing);
    }

    const Layout& layout_;
    Catalogue out_;
};

} // namespace

Catalogue make_catalogue(const Layout& layout) {
    return CatalogueBuilder(layout).build();
}

const AttentionPart& attention_of(const Layout& layout, const Backing& backing) {
    const MixturePart& m = *layout.mixtures()[static_cast<std::size_t>(backing.mixture)];
    return backing.mqa ? m.mqa : m.attention;
}

std::int64_t geometries(const AttentionPart& attention, const Tables& tables) {
    if (!attention.diagonal || attention.scales_before) {
        return attention.key_heads;
    }
    const auto& diagonal = tables.params[static_cast<std::size_t>(attention.diagonal.index)];
    return std::max<std::int64_t>(attention.key_heads, diagonal.shape[0]);
}

} // namespace ergo::moa
