// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/moa/layout.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace ergo::moa {

double positive(double stored, const std::string& map) {
    if (map == "exp") {
        return std::exp(stored);
    }
    if (map == "square") {
        return stored * stored;
    }
    if (map == "softplus") {
        return std::max(stored, 0.0) + std::log1p(std::exp(-std::abs(stored)));
    }
    return stored;
}

double unpositive(double value, const std::string& map) {
    if (map == "exp") {
        return std::log(value);
    }
    if (map == "square") {
        return std::sqrt(value);
    }
    if (map == "softplus") {
        return std::log(std::expm1(value));
    }
    return value;
}

Activation activation_of(const std::string& name) {
    static const std::map<std::string, Activation> table{
        {"silu", Activation::silu}, {"gelu", Activation::gelu},         {"gelu_tanh", Activation::gelu_tanh},
        {"relu", Activation::relu}, {"identity", Activation::identity}, {"sigmoid", Activation::sigmoid},
    };
    return table.at(name);
}

std::vector<const MixturePart*> Layout::mixtures() const {
    std::vector<const MixturePart*> out;
    for (const MixturePart& layer : layers) {
        out.push_back(&layer);
    }
    if (head.mixture) {
        out.push_back(&*head.mixture);
    }
    return out;
}

namespace {

constexpr std::int64_t kMaxTableBytes = std::int64_t{8} << 30;

std::vector<std::vector<float>> rounded(const RopeTables& at, bool with_gain) {
    std::vector<std::vector<float>> out{{at.cos.begin(), at.cos.end()}, {at.sin.begin(), at.sin.end()}};
    if (with_gain) {
        out.emplace_back(at.gain.begin(), at.gain.end());
    }
    return out;
}

class LayoutBuilder {
  public:
    LayoutBuilder(const Config& config, const Semantics& semantics, const RoleMap& roles,
                  std::int64_t positions)
        : c_(config), s_(semantics), roles_(roles) {
        out_.config = config;
        out_.semantics = semantics;
        out_.positions = positions;
        out_.tables = std::make_shared<Tables>();
    }

    Layout build() {
        out_.embedding = weight("tok.E");
        for (std::int64_t l = 0; l < c_.num_layers; ++l) {
            const std::string stage = "layers." + std::to_string(l);
            out_.layers.push_back(mixture(stage, false));
            if (s_.hyperffn == "per_block") {
                out_.hypers.push_back(hyper(stage, stage + ".hyper"));
            } else if (s_.hyperffn == "shared_each_block") {
                out_.hypers.push_back(hyper(stage, "hyper"));
            }
        }
        if (s_.hyperffn == "after_stack") {
            out_.hypers.push_back(hyper("layers." + std::to_string(c_.num_layers), "hyper"));
        }
        out_.final_norm = norm("final.norm");
        head();
        return std::move(out_);
    }

  private:
    // --- leaves -------------------------------------------------------------------------------------------
    WeightId weight(const std::string& role) {
        const auto [found, added] = known_.try_emplace(role);
        if (added) {
            found->second = out_.tables->add_weight(role, roles_.at(role));
        }
        return found->second;
    }
    WeightId optional_weight(const std::string& role) { return roles_.has(role) ? weight(role) : WeightId{}; }

    LinearPart linear(const std::string& role) {
        LinearPart part;
        part.weight = optional_weight(role + ".weight");
        part.bias = optional_weight(role + ".bias");
        if (part.weight) {
            part.outputs = roles_.at(role + ".weight").shape().at(0);
        }
        return part;
    }
    NormPart norm(const std::string& role) {
        return {optional_weight(role + ".weight"), optional_weight(role + ".bias")};
    }
    NetPart net(const std::string& role) {
        if (roles_.has(role)) {
            return {weight(role), {}, {}};
        }
        if (roles_.has(role + ".w.weight")) {
            return {{}, {}, linear(role + ".w")};
        }
        return {{}, linear(role + ".w1"), linear(role + ".w2")};
    }
    ParamId constant_param(const std::string& name, std::int64_t count, double value) {
        return out_.tables->add_param(
            name, {count}, std::vector<float>(static_cast<std::size_t>(count), static_cast<float>(value)));
    }
    /// A stored parameter [rows, dim] or [rows] through its map.
    ParamId stored_param(const std::string& name, const std::string& role, Shape shape,
                         const std::string& map, bool clamp = false) {
        if (!roles_.has(role)) {
            return {};
        }
        std::vector<float> values = roles_.at(role).to_floats();
        for (float& each : values) {
            const double mapped = positive(each, map);
            each = static_cast<float>(clamp ? std::max(mapped, 0.0) : mapped);
        }
        return out_.tables->add_param(name, std::move(shape), std::move(values));
    }

    // --- rotation
    // -------------------------------------------------------------------------------------------
    void rotation(AttentionPart& part, const std::string& role) {
        RopeParts stored = RopeParts::read(roles_, role + ".", s_.rope_source == "tables");
        out_.ropes.emplace_back(c_, s_, part.dim, std::move(stored));
        const Rope& rope = out_.ropes.back();
        part.rope = static_cast<std::int32_t>(out_.ropes.size()) - 1;
        if (s_.rope_source == "none") {
            return;
        }
        const bool gained = rope.has_gain();
        auto tables = Tensor::made_later(
            {out_.positions, part.dim}, gained ? 3 : 2,
            [rope, gained, positions = out_.positions] { return rounded(rope.at(0, positions), gained); });
        part.rotation.cos = out_.tables->add_weight(role + ".cos", std::move(tables[0]));
        part.rotation.sin = out_.tables->add_weight(role + ".sin", std::move(tables[1]));
        if (gained) {
            part.rotation.gain = out_.tables->add_weight(role + ".gain", std::move(tables[2]));
        }
        part.rotation.pairing =
            s_.rope_pairing == "half" ? Rotation::Pairing::half : Rotation::Pairing::interleaved;
    }

    // --- attention
    // ------------------------------------------------------------------------------------------
    AttentionPart attention(const std::string& stage, bool mqa, std::int64_t heads) {
        AttentionPart part;
        part.site = mqa ? "metric_mqa" : "metric_attention";
        part.rope_site = mqa ? "rope_mqa" : "rope_global";
        part.name = stage + (mqa ? ".mqa" : ".mha");
        part.heads = static_cast<std::int32_t>(heads);
        part.dim = static_cast<std::int32_t>(c_.dim / heads);
        part.kv_heads = mqa ? 1 : part.heads;
        const std::string& role = part.name;
        part.query = linear(role + ".q");
        if (mqa && s_.mqa_kv == "tied") {
            part.key = linear(role + ".kv");
        } else {
            part.key = linear(role + ".k");
            part.value = linear(role + ".v");
        }
        part.output = linear(role + ".o");
        part.gate = linear(role + ".gate");
        part.up = linear(role + ".up");
        part.down = linear(role + ".down");
        const std::int64_t rows = mqa && s_.mqa_params == "shared" ? 1 : heads;
        const std::string site = stage + "." + part.site;
        part.alpha = stored_param(site + ".alpha", role + ".alpha", {heads}, s_.alpha_map);
        if (c_.metric == "maha_diag") { // a swapped metric leaves a stored diagonal aside
            part.diagonal =
                stored_param(site + ".metric_diag", role + ".m", {rows, part.dim}, s_.maha_map, true);
        }
        part.origin = stored_param(site + ".origin", role + ".origin", {rows, part.dim}, "raw");
        part.radius = stored_param(site + ".radius", role + ".radius", {rows}, s_.radius_map);
        part.mask = constant_param(site + ".keep", heads, 1);
        part.scales_before = part.diagonal && s_.maha_order == "before";
        part.key_heads =
            part.scales_before ? std::max(part.kv_heads, static_cast<std::int32_t>(rows)) : part.kv_heads;
        ball(part, static_cast<std::int32_t>(rows));
        rotation(part, stage + "." + part.rope_site);
        const std::int64_t width = part.dim;
        const bool own =
            part.key_heads == heads && part.kv_heads == heads && (part.balls == 0 || part.balls == heads);
        const auto layout = [&](std::int32_t count, bool values) {
            return StateHeads{count, part.dim, values, own};
        };
        part.keys =
            out_.tables->add_state(role + ".keys", part.key_heads * width, layout(part.key_heads, false));
        part.values =
            out_.tables->add_state(role + ".values", part.kv_heads * width, layout(part.kv_heads, true));
        if (part.balls) {
            part.distances =
                out_.tables->add_state(role + ".distances", part.balls, layout(own ? part.balls : 1, false));
        }
        return part;
    }

    void ball(AttentionPart& part, std::int32_t rows) const {
        if (!c_.use_balls || s_.ball_mode == "off") {
            return;
        }
        Ball& ball = part.ball;
        ball.mode = s_.ball_mode == "hard" ? Ball::Mode::hard : Ball::Mode::soft;
        ball.test = s_.ball_test == "keys" ? Ball::Test::keys : Ball::Test::pairs;
        ball.fallback = s_.ball_fallback == "unpruned" ? Ball::Fallback::unpruned
                        : s_.ball_fallback == "self"   ? Ball::Fallback::self
                                                       : Ball::Fallback::zero;
        ball.unrotated = s_.ball_space == "unrotated";
        ball.origin = part.origin;
        ball.radius = part.radius;
        if (s_.ball_metric == "metric" && part.diagonal && !part.scales_before) {
            ball.diagonal = part.diagonal;
        }
        ball.softness = static_cast<float>(s_.ball_softness);
        part.balls = std::max(part.kv_heads, rows);
    }

    // --- stages
    // ---------------------------------------------------------------------------------------------
    MixturePart mixture(const std::string& stage, bool lm) {
        MixturePart m;
        m.stage = stage;
        m.norm = norm(stage + ".norm");
        m.conv_in = linear(stage + ".conv.pw_in");
        m.conv_filter = linear(stage + ".conv.dw");
        m.conv_out = linear(stage + ".conv.pw");
        m.conv_history = out_.tables->add_state(stage + ".conv", c_.dim);
        m.attention = attention(stage, false, lm ? c_.lm_attn_heads : c_.attn_heads);
        m.mix_gate = linear(stage + ".mix.gate");
        m.mix_up = linear(stage + ".mix.up");
        m.mix_down = linear(stage + ".mix.down");
        m.mqa = attention(stage, true, lm ? c_.lm_mqa_q_heads : c_.mqa_q_heads);
        m.router = net(stage + ".router");
        if (c_.enable_router_gates && s_.router_gate != "none") {
            m.router_gate = net(stage + ".rgate");
        }
        if (c_.enable_feature_gates && s_.feature_gate != "none") {
            m.feature_gate = net(stage + ".fgate");
            m.feature_width = s_.feature_gate.ends_with("vector") ? c_.dim : 1;
        }
        const double temperature = lm ? c_.lm_router_temperature : c_.router_temperature;
        m.temperature = constant_param(stage + ".router.temperature", 1, temperature);
        m.top_k = constant_param(stage + ".router.topk", 1, static_cast<double>(c_.router_topk));
        m.mask = constant_param(stage + ".router.keep", 4, 1);
        m.layer_scale = optional_weight(stage + ".ls");
        return m;
    }

    HyperPart hyper(const std::string& stage, const std::string& role) {
        HyperPart h;
        h.stage = stage;
        h.norm = norm(role + ".norm");
        h.gate = linear(role + ".gate");
        h.up = linear(role + ".up");
        h.down = linear(role + ".down");
        h.conv_in = linear(role + ".conv.pw_in");
        h.conv_filter = linear(role + ".conv.dw");
        h.conv_out = linear(role + ".conv.pw");
        h.conv_width = h.conv_filter.outputs;
        h.conv_history = out_.tables->add_state(stage + ".hyper.conv", h.conv_width);
        h.low_gate = linear(role + ".lr.gate");
        h.low_a = linear(role + ".lr.a");
        h.low_b = linear(role + ".lr.b");
        h.router = net(role + ".router");
        h.temperature = constant_param(stage + ".hyper_ffn.temperature", 1, s_.hyper_temperature);
        h.top_k = constant_param(stage + ".hyper_ffn.topk", 1, static_cast<double>(s_.hyper_topk));
        h.mask = constant_param(stage + ".hyper_ffn.keep", 3, 1);
        h.layer_scale = optional_weight(role + ".ls");
        return h;
    }

    void head() {
        HeadPart& head = out_.head;
        if (s_.lm_head == "moa") {
            head.mixture = mixture("lm_head", true);
            head.ffn_norm = norm("lm.ffn_norm");
            head.gate = linear("lm.swiglu.gate");
            head.up = linear("lm.swiglu.up");
            head.down = linear("lm.swiglu.down");
            head.ffn_scale = optional_weight("lm.ffn_ls");
            head.out_norm = norm("lm.out_norm");
        }
        head.projection = c_.tie_word_embeddings ? out_.embedding : weight("lm.out");
    }

    const Config& c_;
    const Semantics& s_;
    const RoleMap& roles_;
    Layout out_;
    std::map<std::string, WeightId> known_; // a shared HyperFFN is one set of weights
};

} // namespace

Layout make_layout(const Config& config, const Semantics& semantics, const RoleMap& roles,
                   std::int64_t positions) {
    if (semantics.rope_source == "tables" && positions > config.max_seq_len_cached) {
        throw Error(ErrorKind::usage, "a context of " + std::to_string(positions) +
                                          " positions needs rotary tables, but " +
                                          std::to_string(config.max_seq_len_cached) +
                                          " positions are stored (rope_source = tables)");
    }
    const std::int64_t sites = 2 * (config.num_layers + 1);
    const std::int64_t widest = config.dim / std::min({config.attn_heads, config.mqa_q_heads,
                                                       config.lm_attn_heads, config.lm_mqa_q_heads});
    if (positions > kMaxTableBytes / (12 * sites * widest)) {
        throw Error(ErrorKind::resources,
                    "rotary tables for " + std::to_string(positions) + " positions would exceed " +
                        std::to_string(kMaxTableBytes >> 30) + " GiB; ask for a smaller context");
    }
    return LayoutBuilder(config, semantics, roles, positions).build();
}

} // namespace ergo::moa
