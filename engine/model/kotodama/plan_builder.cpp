// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/kotodama/plan_builder.h"

#include <cmath>

namespace ergo::kotodama {

using Extent = BufferInfo::Extent;

namespace {

/// Sums alone hang on it, and mixtures of soft shares: inputs may be rounded as coarsely as weights are.
Linear product(BufferId in, WeightId weight, BufferId out) {
    return {in, weight, {}, out, Activation::identity, Rounding::bits8};
}

} // namespace

ModelPlan PlanBuilder::build() {
    open_ = draft_.fresh("block0", layout_.config.hidden_size);
    draft_.add("embed", Embed{layout_.embedding, open_});
    for (const LayerPart& part : layout_.layers) {
        layer(part);
    }
    head();
    return draft_.finish(*layout_.tables);
}

void PlanBuilder::layer(const LayerPart& part) {
    const BufferId read = route(part.attention_route);
    if (part.boundary) { // only now: the router above still saw this sum as an open one
        closed_.push_back(open_);
        open_ = {};
        open_is_read_ = false;
    }
    attention(part, norm(part.stage + ".attn_norm", read, part.attention_norm));
    ffn(part, norm(part.stage + ".ffn_norm", route(part.mlp_route), part.ffn_norm));
    draft_.give(part.stage + ".hidden", open_);
    draft_.give(part.stage + ".norm", open_, ModelPlan::Finish::norm);
    open_is_read_ = draft_.wants(part.stage + ".hidden") || draft_.wants(part.stage + ".norm");
}

void PlanBuilder::head() {
    const auto& site = layout_.final_route.site;
    const bool every_row =
        draft_.request().all_logits || draft_.wants(site + ".depth") || draft_.wants(site + ".mixture");
    const Extent extent = every_row ? Extent::rows : Extent::last_row;
    const std::int64_t width = layout_.config.hidden_size;
    const BufferId mixture = route(layout_.final_route, extent);
    Norm norm{mixture, draft_.fresh("final", width, extent), layout_.final_norm, {}, Norm::Kind::rms};
    norm.eps = static_cast<float>(layout_.config.norm_eps);
    draft_.add("final.norm", norm);
    const BufferId logits = draft_.fresh("logits", layout_.config.vocab_size,
                                         draft_.request().all_logits ? Extent::rows : Extent::last_row);
    draft_.add("lm.out", product(norm.out, layout_.head, logits));
    draft_.set_logits(logits);
}

BufferId PlanBuilder::route(const RoutePart& part, Extent extent) {
    const std::string depth = part.site + ".depth", mixture = part.site + ".mixture";
    DepthRoute op;
    op.sources = closed_;
    if (open_) {
        op.sources.push_back(open_);
    }
    op.query = part.query;
    op.eps = static_cast<float>(layout_.config.norm_eps);
    op.temperature = part.temperature;
    op.mask = part.mask;
    op.weights = draft_.wants(depth) ? draft_.fresh(depth, part.sources) : BufferId{};
    const bool own = extent == Extent::last_row || draft_.wants(mixture);
    op.out = own ? draft_.fresh(mixture, layout_.config.hidden_size, extent)
                 : draft_.scratch("mixture", layout_.config.hidden_size);
    draft_.add(part.site, op);
    if (op.weights) {
        draft_.give(depth, op.weights);
    }
    draft_.give(mixture, op.out);
    return op.out;
}

BufferId PlanBuilder::norm(const std::string& name, BufferId in, WeightId weight) {
    Norm op{in, draft_.scratch("n", layout_.config.hidden_size), weight, {}, Norm::Kind::rms};
    op.eps = static_cast<float>(layout_.config.norm_eps);
    draft_.add(name, op);
    return op.out;
}

void PlanBuilder::head_norm(const std::string& name, BufferId in_place, WeightId weight, std::int64_t heads) {
    if (!weight) {
        return;
    }
    Norm op{in_place, in_place, weight, {}, Norm::Kind::rms};
    op.eps = static_cast<float>(layout_.config.norm_eps);
    op.heads = static_cast<std::int32_t>(heads);
    draft_.add(name, op);
}

BufferId PlanBuilder::linear(const std::string& name, BufferId in, WeightId weight, const std::string& out,
                             std::int64_t outputs) {
    const BufferId to = draft_.scratch(out, outputs);
    draft_.add(name, product(in, weight, to));
    return to;
}

void PlanBuilder::contribute(const std::string& name, BufferId in, WeightId weight) {
    const std::int64_t width = layout_.config.hidden_size;
    if (!open_) {
        open_ = draft_.fresh("block" + std::to_string(closed_.size()), width);
        draft_.add(name, product(in, weight, open_));
        return;
    }
    Mix sum;
    sum.parts = {linear(name, in, weight, "y", width)};
    sum.residual = open_;
    sum.out = open_is_read_ ? draft_.fresh("block" + std::to_string(closed_.size()), width) : open_;
    draft_.add(name + ".add", sum);
    open_ = sum.out;
    open_is_read_ = false;
}

void PlanBuilder::append_keys(const LayerPart& part, BufferId key, BufferId value) {
    const Config& c = layout_.config;
    AppendKeyValue kv;
    kv.key = key;
    kv.value = value;
    head_norm(part.stage + ".k_norm", kv.key, part.key_norm, c.num_kv_heads);
    kv.heads = kv.heads_in = kv.value_heads = static_cast<std::int32_t>(c.num_kv_heads);
    kv.dim = kv.value_dim = static_cast<std::int32_t>(c.head_dim);
    kv.rotation = layout_.rotation;
    kv.keys = part.keys;
    kv.values = part.values;
    draft_.add(part.stage + ".append", kv);
}

void PlanBuilder::attention(const LayerPart& part, BufferId in) {
    const Config& c = layout_.config;
    const std::int64_t width = c.num_attention_heads * c.head_dim, key_width = c.num_kv_heads * c.head_dim;
    Rotate turn; // products of one input follow one another, so that a backend may run them together
    turn.in = linear(part.stage + ".q", in, part.query, "query", width);
    const BufferId key = linear(part.stage + ".k", in, part.key, "key", key_width);
    const BufferId value = linear(part.stage + ".v", in, part.value, "value", key_width);
    append_keys(part, key, value);
    head_norm(part.stage + ".q_norm", turn.in, part.query_norm, c.num_attention_heads);
    turn.heads = turn.heads_in = static_cast<std::int32_t>(c.num_attention_heads);
    turn.dim = static_cast<std::int32_t>(c.head_dim);
    turn.rotation = layout_.rotation;
    turn.out = draft_.scratch("query.rotated", width);
    draft_.add(part.stage + ".rotate", turn);
    Attention body;
    body.query = turn.out;
    body.keys = part.keys;
    body.values = part.values;
    body.heads = turn.heads;
    body.key_heads = body.value_heads = static_cast<std::int32_t>(c.num_kv_heads);
    body.dim = body.value_dim = turn.dim;
    body.score = Attention::Score::dot;
    body.rounding = Rounding::bits8;
    body.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(c.head_dim)));
    body.mask = part.mask;
    body.rows = draft_.attention_rows(part.stage + ".", turn.heads);
    body.out = draft_.scratch("heads", width);
    draft_.add(part.stage + ".attention", body);
    contribute(part.stage + ".o", body.out, part.output);
}

void PlanBuilder::ffn(const LayerPart& part, BufferId in) {
    const std::int64_t hidden = layout_.config.intermediate_size;
    Gate gate;
    gate.a = linear(part.stage + ".gate", in, part.gate, "ffn.gate", hidden);
    gate.b = linear(part.stage + ".up", in, part.up, "ffn.up", hidden);
    gate.out = gate.a;
    gate.activation = Activation::silu;
    draft_.add(part.stage + ".act", gate);
    contribute(part.stage + ".down", gate.out, part.down);
}

} // namespace ergo::kotodama
