// SPDX-License-Identifier: GPL-3.0-or-later
// The parts of a mixture and of a HyperFFN, as ops. State is written outside the guards: every token is
// remembered by every path, whatever the router chose.
#include "engine/model/moa/plan_builder.h"
#include "engine/model/row_quantities.h"

#include <algorithm>
#include <cmath>

namespace ergo::moa {

template <class Body> void PlanBuilder::add(const std::string& name, const Guard& guard, Body body) {
    plan_.add({name, guard, std::move(body)});
}
template void PlanBuilder::add(const std::string&, const Guard&, Embed);
template void PlanBuilder::add(const std::string&, const Guard&, Norm);
template void PlanBuilder::add(const std::string&, const Guard&, Linear);
template void PlanBuilder::add(const std::string&, const Guard&, Mix);

// --- small layers
// ---------------------------------------------------------------------------------------------

BufferId PlanBuilder::norm(const std::string& name, const NormPart& part, BufferId in,
                           const std::string& out) {
    const Semantics& s = layout_.semantics;
    const BufferId to = scratch(out, layout_.config.dim);
    add(name, {},
        Norm{in, to, part.weight, part.bias, s.norm == "layernorm" ? Norm::Kind::layer : Norm::Kind::rms,
             static_cast<float>(s.norm_eps)});
    return to;
}

void PlanBuilder::linear(const std::string& name, const LinearPart& part, BufferId in, BufferId out,
                         const Guard& guard, const std::string& activation) {
    add(name, guard, Linear{in, part.weight, part.bias, out, activation_of(activation)});
}

BufferId PlanBuilder::linear(const std::string& name, const LinearPart& part, BufferId in,
                             const std::string& out, const Guard& guard, const std::string& activation) {
    const BufferId to = scratch(out, part.outputs);
    linear(name, part, in, to, guard, activation);
    return to;
}

BufferId PlanBuilder::gate(const std::string& name, BufferId a, BufferId b, std::int64_t width,
                           const std::string& out, const std::string& activation, const Guard& guard) {
    Gate body{a, b, scratch(out, width)};
    body.activation = activation_of(activation);
    add(name, guard, body);
    return body.out;
}

/// The network's output; a constant network has none and is handled by the op that uses it.
BufferId PlanBuilder::net(const std::string& name, const NetPart& part, BufferId in,
                          const std::string& hidden, const std::string& out) {
    if (!part.hidden) {
        return linear(name, part.output, in, out);
    }
    const BufferId h = linear(name + ".1", part.hidden, in, hidden, {}, layout_.semantics.act_router);
    return linear(name + ".2", part.output, h, out);
}

BufferId PlanBuilder::swiglu(const std::string& name, const LinearPart& gate_part, const LinearPart& up,
                             const LinearPart& down, BufferId in, const std::string& out,
                             const Guard& guard) {
    const BufferId a = linear(name + ".gate", gate_part, in, "swiglu.gate", guard);
    const BufferId b = linear(name + ".up", up, in, "swiglu.up", guard);
    const BufferId h =
        gate(name + ".act", a, b, up.outputs, "swiglu.hidden", layout_.semantics.act_swiglu, guard);
    return linear(name + ".down", down, h, out, guard);
}

// --- router and gates (MoA specification §6.3)
// ----------------------------------------------------------------

BufferId PlanBuilder::route(const MixturePart& m, BufferId n) {
    const std::string site = m.stage + ".router";
    // Whoever reads rows of a path needs to know, when the step is over, which tokens took it.
    const bool kept = wants_rows(m.stage + "." + m.attention.site) || wants_rows(m.stage + "." + m.mqa.site);
    const AllRows scope(*this, kept || wants(site + ".router_logits") || wants(site + ".shares"));
    Route r;
    r.logits = net(site, m.router, n, "router.hidden", "router.net");
    if (m.router_gate.constant) {
        r.constant_offset = m.router_gate.constant;
    } else if (m.router_gate) {
        r.offset = net(m.stage + ".rgate", m.router_gate, n, "router.hidden", "router.offset");
    }
    r.tanh_offset = layout_.semantics.router_gate_bound == "tanh";
    r.temperature = m.temperature;
    r.top_k = m.top_k;
    r.renormalise = layout_.semantics.router_renormalise;
    r.paths = 4;
    r.mask = m.mask;
    r.total = buffer_for(site + ".router_logits", "router.total", 4);
    r.shares = kept ? fresh(site + ".shares", 4) : buffer_for(site + ".shares", "router.shares", 4);
    add(site + ".route", {}, r);
    give_row(site + ".router_logits", r.total);
    give_row(site + ".shares", r.shares);
    return r.shares;
}

/// Buffer of an input-dependent gate before its sigmoid; none for a constant or absent one.
BufferId PlanBuilder::feature_gate(const MixturePart& m, BufferId n) {
    const NetPart& part = m.feature_gate;
    if (!part.output) {
        return {};
    }
    const std::string observable = m.stage + ".router.feature_gate";
    const AllRows scope(*this, wants(observable));
    const BufferId out = buffer_for(observable, "feature_gate", part.output.outputs);
    BufferId in = n;
    if (part.hidden) {
        in = linear(m.stage + ".fgate.1", part.hidden, n, "router.hidden", {}, layout_.semantics.act_router);
    }
    linear(m.stage + ".fgate", part.output, in, out);
    give_row(observable, out, Finish::two_sigmoid);
    return out;
}

// --- paths without attention (MoA specification §6.4)
// -----------------------------------------------------------

BufferId PlanBuilder::local_conv(const MixturePart& m, BufferId n, const Guard& guard) {
    const std::string name = m.stage + ".conv";
    {
        const AllRows scope(*this);
        const BufferId in = m.conv_in ? linear(name + ".pw_in", m.conv_in, n, "conv.in") : n;
        add(name + ".append", {}, Append{in, m.conv_history});
    }
    const BufferId filtered = scratch(m.conv_out ? "conv.out" : "y0", layout_.config.dim);
    add(name + ".dw", guard,
        Convolution{m.conv_history, m.conv_filter.weight, m.conv_filter.bias, filtered,
                    activation_of(layout_.semantics.act_conv)});
    return m.conv_out ? linear(name + ".pw", m.conv_out, filtered, "y0", guard) : filtered;
}

BufferId PlanBuilder::channel_mix(const MixturePart& m, BufferId n, const Guard& guard) {
    const Semantics& s = layout_.semantics;
    const std::string name = m.stage + ".mix";
    const std::int64_t hidden = m.mix_up.outputs;
    if (s.channel_mix == "swiglu") {
        const BufferId a = linear(name + ".gate", m.mix_gate, n, "mix.gate", guard);
        const BufferId b = linear(name + ".up", m.mix_up, n, "mix.up", guard);
        const BufferId h = gate(name + ".act", a, b, hidden, "mix.hidden", s.act_mix, guard);
        return linear(name + ".down", m.mix_down, h, "y2", guard);
    }
    const BufferId h = linear(name + ".up", m.mix_up, n, "mix.up", guard, s.act_mix);
    if (s.channel_mix == "plain") {
        return linear(name + ".down", m.mix_down, h, "y2", guard);
    }
    const BufferId y = linear(name + ".down", m.mix_down, h, "mix.down", guard);
    const BufferId a = linear(name + ".gate", m.mix_gate, n, "mix.gate", guard);
    return gate(name + ".act", a, y, layout_.config.dim, "y2", "sigmoid", guard);
}

// --- metric attention (MoA specification §6.5)
// -------------------------------------------------------------------

void PlanBuilder::append_keys(const AttentionPart& a, BufferId n) {
    const AllRows scope(*this);
    AppendKeyValue kv;
    kv.key = linear(a.name + ".k", a.key, n, "key");
    kv.value = a.value ? linear(a.name + ".v", a.value, n, "value") : kv.key;
    kv.heads = a.key_heads;
    kv.heads_in = a.kv_heads;
    kv.dim = a.dim;
    kv.value_heads = a.kv_heads;
    kv.value_dim = a.dim;
    kv.rotation = a.rotation;
    kv.diagonal = a.scales_before ? a.diagonal : ParamId{};
    kv.ball = a.ball;
    kv.keys = a.keys;
    kv.values = a.values;
    kv.distances = a.distances;
    add(a.name + ".append", {}, kv);
}

PlanBuilder::PairWish PlanBuilder::pair_wish(const std::string& site) const {
    PairWish wish;
    bool first = true;
    const auto note = [&](const char* quantity, bool& flag) {
        const auto found = wishes_.find(site + "." + quantity);
        if (found == wishes_.end()) {
            return;
        }
        flag = true;
        for (const std::size_t i : found->second) {
            const auto& heads = request_.subscriptions[i].heads;
            wish.heads = first || heads == wish.heads ? heads : std::vector<std::int32_t>{};
            first = false;
        }
    };
    note("attention", wish.weights);
    note("kept", wish.kept);
    note("score", wish.scores);
    note("distance", wish.scores);
    return wish;
}

bool PlanBuilder::wants_rows(const std::string& site) const {
    return wants_row_quantity(site + ".", [this](const std::string& name) { return wants(name); });
}

RowRequest PlanBuilder::rows_of(const std::string& site, const AttentionPart& a, const PairWish& wish,
                                const Guard& taken) {
    RowRequest rows;
    rows.heads = wish.heads;
    const std::int64_t heads = wish.heads.empty() ? a.heads : static_cast<std::int64_t>(wish.heads.size());
    const bool angular = layout_.config.metric == "cosine";
    ModelPlan::Output output;
    output.buffer_heads = wish.heads;
    if (wish.weights || wish.kept) {
        rows.logits = fresh(site + ".logits", heads, BufferInfo::Extent::rows_keys);
    }
    if (wish.weights) {
        rows.maximum = fresh(site + ".maximum", a.heads);
        rows.sum = fresh(site + ".sum", a.heads);
        output.primary = rows.logits;
        output.maximum = rows.maximum;
        output.sum = rows.sum;
        output.finish = Finish::softmax;
        give(site + ".attention", output);
    }
    output.maximum = output.sum = {};
    if (wish.kept) {
        output.primary = rows.logits;
        output.finish = Finish::kept;
        give(site + ".kept", output);
    }
    if (wish.scores) {
        rows.scores = fresh(site + ".score", heads, BufferInfo::Extent::rows_keys);
        output.primary = rows.scores;
        output.finish = Finish::none;
        give(site + ".score", output);
        output.finish = angular ? Finish::angle : Finish::distance;
        give(site + ".distance", output);
    }
    const auto wanted = [this](const std::string& name) { return wants(name); };
    const auto made = [this](const std::string& name, std::int64_t width) { return fresh(name, width); };
    for (const RowOutput& row : request_row_quantities(site + ".", a.heads, wanted, made, rows)) {
        ModelPlan::Output given;
        given.primary = row.buffer;
        given.finish = row.finish;
        given.taken = taken;
        give(row.observable, given);
    }
    return rows;
}

void PlanBuilder::kept_share(const std::string& site, const AttentionPart& a) {
    if (!wants(site + ".kept_share")) {
        return;
    }
    KeptShare share;
    share.distances = a.distances;
    share.ball = a.ball;
    share.heads = a.heads;
    share.window = layout_.semantics.use_window ? layout_.config.window_size.value_or(0) : 0;
    share.out = fresh(site + ".kept_share", a.heads);
    add(a.name + ".kept_share", {}, share);
    give_row(site + ".kept_share", share.out);
}

namespace {

float logit_scale(const Config& c, const Semantics& s, std::int32_t dim) {
    const bool own = c.metric == "cosine" && s.cosine_scale != "same";
    const std::string& kind = own ? s.cosine_scale : s.score_scale;
    if (kind == "one") {
        return 1;
    }
    return static_cast<float>(std::pow(static_cast<double>(dim), kind == "sqrt_d" ? 0.5 : -0.5));
}

} // namespace

BufferId PlanBuilder::attention(const MixturePart& m, const AttentionPart& a, BufferId n,
                                const Guard& guard) {
    const Config& c = layout_.config;
    const Semantics& s = layout_.semantics;
    const std::string site = m.stage + "." + a.site;
    append_keys(a, n);
    kept_share(site, a);
    const PairWish wish = pair_wish(site);
    const std::string query_distance = site + ".query_ball_distance";
    // Pairs are shown of every token, also of those the router sends elsewhere; a reader of rows alone costs
    // nothing there and is told that there are none.
    const bool pairs = wish.any() || wants(query_distance);
    const Guard inner = pairs ? Guard{} : guard;
    std::optional<AllRows> scope(std::in_place, *this, pairs || wants_rows(site));
    Rotate turn;
    turn.in = linear(a.name + ".q", a.query, n, "query", inner);
    turn.heads = turn.heads_in = a.heads;
    turn.dim = a.dim;
    turn.rotation = a.rotation;
    turn.rotation.gain = {};
    turn.diagonal = a.scales_before ? a.diagonal : ParamId{};
    turn.out = scratch("query.rotated", c.dim);
    if (a.balls && a.ball.test == Ball::Test::pairs) {
        turn.ball = a.ball;
        turn.distance = buffer_for(query_distance, "query.distance", a.heads);
        ModelPlan::Output output;
        output.primary = turn.distance;
        output.heads_first = true;
        give(query_distance, output);
    }
    add(a.name + ".rotate", inner, turn);
    Attention body;
    body.query = turn.out;
    body.query_distance = turn.distance;
    body.keys = a.keys;
    body.values = a.values;
    body.distances = a.distances;
    body.heads = a.heads;
    body.key_heads = a.key_heads;
    body.dim = a.dim;
    body.value_heads = a.kv_heads;
    body.value_dim = a.dim;
    body.score =
        c.metric == "cosine" ? Attention::Score::cosine : Attention::Score::negative_squared_distance;
    body.diagonal = a.scales_before ? ParamId{} : a.diagonal;
    body.direct = s.distance_form == "direct";
    body.alpha = a.alpha;
    body.mask = a.mask;
    body.scale = logit_scale(c, s, a.dim);
    body.window = s.use_window ? c.window_size.value_or(0) : 0;
    body.ball = a.ball;
    body.rows = rows_of(site, a, wish, guard);
    body.out = scratch("heads." + a.site, c.dim);
    add(a.name + ".attention", inner, body);
    scope.reset();
    return updown(a, body.out, guard);
}

/// Optional output matrix, then the Up/Down projector; no residual of its own.
BufferId PlanBuilder::updown(const AttentionPart& a, BufferId heads, const Guard& guard) {
    const Semantics& s = layout_.semantics;
    const std::string out = a.site == "metric_mqa" ? "y3" : "y1";
    const bool last = s.updown == "none";
    const BufferId y =
        a.output ? linear(a.name + ".o", a.output, heads, last ? out : std::string("heads.mixed"), guard)
                 : heads;
    if (last) {
        return y;
    }
    const std::int64_t hidden = a.up.outputs;
    if (s.updown == "gated") {
        const BufferId g = linear(a.name + ".gate", a.gate, y, "updown.gate", guard);
        const BufferId u = linear(a.name + ".up", a.up, y, "updown.up", guard);
        const BufferId h = gate(a.name + ".act", g, u, hidden, "updown.hidden", s.act_updown, guard);
        return linear(a.name + ".down", a.down, h, out, guard);
    }
    const BufferId u = linear(a.name + ".up", a.up, y, "updown.up", guard, s.act_updown);
    if (s.updown == "plain") {
        return linear(a.name + ".down", a.down, u, out, guard);
    }
    const BufferId z = linear(a.name + ".down", a.down, u, "updown.down", guard);
    const BufferId g = linear(a.name + ".gate", a.gate, y, "updown.gate", guard);
    return gate(a.name + ".act", g, z, layout_.config.dim, out, "sigmoid", guard);
}

// --- HyperFFN (MoA specification §6.7)
// ----------------------------------------------------------------------------

void PlanBuilder::hyper(const HyperPart& h, BufferId x, BufferId out) {
    const Semantics& s = layout_.semantics;
    const std::string site = h.stage + ".hyper_ffn";
    const BufferId n = norm(site + ".norm", h.norm, x, "n");
    Route r;
    r.logits = net(site + ".router", h.router, n, "router.hidden", "branch.net");
    r.temperature = h.temperature;
    r.top_k = h.top_k;
    r.mask = h.mask;
    r.renormalise = s.router_renormalise;
    r.paths = 3;
    r.total = buffer_for(site + ".branch_logits", "branch.total", 3);
    r.shares = buffer_for(site + ".branches", "branch.shares", 3);
    add(site + ".route", {}, r);
    give_row(site + ".branch_logits", r.total);
    give_row(site + ".branches", r.shares);
    Mix mix;
    mix.parts = {swiglu(site + ".swiglu", h.gate, h.up, h.down, n, "y0", {r.shares, 0}),
                 hyper_conv(h, n, {r.shares, 1}), low_rank(h, n, {r.shares, 2})};
    mix.shares = r.shares;
    mix.layer_scale = h.layer_scale;
    mix.residual = x;
    mix.out = out;
    add(site + ".mix", {}, mix);
}

BufferId PlanBuilder::hyper_conv(const HyperPart& h, BufferId n, const Guard& guard) {
    const std::string name = h.stage + ".hyper_ffn.conv";
    BufferId in = h.conv_in ? linear(name + ".pw_in", h.conv_in, n, "hyper.conv.in") : n;
    if (layout_.semantics.hyper_conv == "glu_dw_pw") {
        Gate glu; // first half * sigmoid(second half)
        glu.a = glu.b = in;
        glu.a_offset = h.conv_width;
        glu.out = scratch("hyper.conv.glu", h.conv_width);
        glu.activation = Activation::sigmoid;
        add(name + ".glu", {}, glu);
        in = glu.out;
    }
    add(name + ".append", {}, Append{in, h.conv_history});
    const BufferId filtered = scratch("hyper.conv.out", h.conv_width);
    add(name + ".dw", guard,
        Convolution{h.conv_history, h.conv_filter.weight, h.conv_filter.bias, filtered,
                    activation_of(layout_.semantics.act_conv)});
    return linear(name + ".pw", h.conv_out, filtered, "y1", guard);
}

BufferId PlanBuilder::low_rank(const HyperPart& h, BufferId n, const Guard& guard) {
    const Semantics& s = layout_.semantics;
    const std::string name = h.stage + ".hyper_ffn.low_rank";
    BufferId low = linear(name + ".a", h.low_a, n, "low", guard, s.act_lowrank);
    if (s.hyper_lowrank == "plain") {
        return linear(name + ".b", h.low_b, low, "y2", guard);
    }
    const BufferId g = linear(name + ".gate", h.low_gate, n, "low.gate", guard);
    if (s.hyper_lowrank == "gate_r") {
        low = gate(name + ".act", g, low, h.low_a.outputs, "low.gated", "sigmoid", guard);
        return linear(name + ".b", h.low_b, low, "y2", guard);
    }
    const BufferId y = linear(name + ".b", h.low_b, low, "low.full", guard);
    return gate(name + ".act", g, y, layout_.config.dim, "y2", "sigmoid", guard);
}

} // namespace ergo::moa
