// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/qwen2/plan_builder.h"

#include "engine/model/plan_draft.h"
#include "engine/model/row_quantities.h"

#include <cmath>

namespace ergo::qwen2 {

namespace {

using Source = ObservableSource;

class Builder {
  public:
    Builder(const Layout& layout, const std::vector<Observable>& observables, const PlanRequest& request)
        : layout_(layout), c_(layout.config), draft_(observables, request) {}

    ModelPlan build() {
        BufferId x = stage_buffer("embed");
        draft_.add("embed", Embed{layout_.embedding, x});
        give_stage("embed", x);
        for (const LayerPart& layer : layout_.layers) {
            const BufferId between = draft_.scratch("x.attention", c_.hidden_size);
            attention(layer, x, between);
            x = stage_buffer(layer.stage);
            mlp(layer, between, x);
            give_stage(layer.stage, x);
        }
        head(x);
        return draft_.finish(*layout_.tables);
    }

  private:
    /// Where a stage's result goes: a buffer of its own when a reader wants it.
    BufferId stage_buffer(const std::string& stage) {
        return draft_.wants(stage + ".hidden") || draft_.wants(stage + ".norm")
                   ? draft_.fresh(stage + ".hidden", c_.hidden_size)
                   : draft_.scratch("x", c_.hidden_size);
    }

    void give_stage(const std::string& stage, BufferId hidden) {
        draft_.give(stage + ".hidden", hidden);
        draft_.give(stage + ".norm", hidden, ModelPlan::Finish::norm);
    }

    BufferId norm(const std::string& name, WeightId weight, BufferId in) {
        const BufferId out = draft_.scratch("normed", c_.hidden_size);
        draft_.add(name, Norm{in, out, weight, {}, Norm::Kind::rms, static_cast<float>(c_.rms_norm_eps)});
        return out;
    }

    BufferId linear(const std::string& name, const LinearPart& part, BufferId in, const std::string& out,
                    Rounding rounding = Rounding::bits8) {
        const BufferId to = draft_.scratch(out, part.outputs);
        draft_.add(name, Linear{in, part.weight, part.bias, to, Activation::identity, rounding});
        return to;
    }

    void add_residual(const std::string& name, BufferId x, BufferId y, BufferId out) {
        Mix mix;
        mix.parts = {y};
        mix.residual = x;
        mix.out = out;
        draft_.add(name, mix);
    }

    /// out = x + attention(norm(x))
    void attention(const LayerPart& layer, BufferId x, BufferId out) {
        const std::string place = layer.stage + ".";
        const BufferId n = norm(place + "norm.attention", layer.attention_norm, x);
        // Products of one input follow one another, so that a backend may run them together. Gravity divides
        // by squared distances, which are small differences of queries and keys.
        const Rounding fine = layout_.gravity ? Rounding::bits16 : Rounding::bits8;
        Rotate turn;
        turn.in = linear(place + "q", layer.query, n, "query", fine);
        const BufferId key = linear(place + "k", layer.key, n, "key", fine);
        append_keys(layer, key, linear(place + "v", layer.value, n, "value"));
        turn.out = draft_.scratch("query.rotated", layer.query.outputs);
        turn.heads = turn.heads_in = static_cast<std::int32_t>(c_.num_attention_heads);
        turn.dim = static_cast<std::int32_t>(c_.head_dim);
        turn.rotation = layout_.rotation;
        draft_.add(place + "rotate", turn);
        Attention body;
        body.query = turn.out;
        body.keys = layer.keys;
        body.values = layer.values;
        body.heads = turn.heads;
        body.key_heads = body.value_heads = static_cast<std::int32_t>(c_.num_key_value_heads);
        body.dim = body.value_dim = turn.dim;
        body.mask = layer.keep;
        set_law(body, layer);
        body.rows = draft_.attention_rows(place, c_.num_attention_heads);
        body.out = draft_.scratch("heads", layer.query.outputs);
        draft_.add(place + "attention", body);
        add_residual(place + "add", x, linear(place + "o", layer.output, body.out, "y"), out);
    }

    void append_keys(const LayerPart& layer, BufferId key, BufferId value) {
        const std::string place = layer.stage + ".";
        AppendKeyValue append;
        append.key = key;
        append.value = value;
        append.heads = append.heads_in = append.value_heads =
            static_cast<std::int32_t>(c_.num_key_value_heads);
        append.dim = append.value_dim = static_cast<std::int32_t>(c_.head_dim);
        append.rotation = layout_.rotation;
        append.keys = layer.keys;
        append.values = layer.values;
        draft_.add(place + "append", append);
    }

    void set_law(Attention& body, const LayerPart& layer) const {
        const auto root = static_cast<float>(1 / std::sqrt(static_cast<double>(c_.head_dim)));
        if (!layout_.gravity) {
            body.score = Attention::Score::dot;
            body.rounding = Rounding::bits8;
            body.scale = root;
            return;
        }
        const Law& law = layout_.law;
        body.score = Attention::Score::gravity;
        body.gravity.mass = layer.mass;
        body.gravity.softening = static_cast<float>(law.gravity_eps);
        body.gravity.clamp = law.clamp_distance;
        body.gravity.squared = law.mass_power == "square";
        body.gravity.distance_scale = law.scale_mode == "qk" ? root : 1;
        body.scale = law.scale_mode == "score" ? root : 1;
    }

    /// out = x + down(silu(gate(n)) * up(n)), n = norm(x)
    void mlp(const LayerPart& layer, BufferId x, BufferId out) {
        const std::string place = layer.stage + ".mlp.";
        const BufferId n = norm(place + "norm", layer.mlp_norm, x);
        Gate gate;
        gate.a = linear(place + "gate", layer.gate, n, "mlp.gate");
        gate.b = linear(place + "up", layer.up, n, "mlp.up");
        gate.out = gate.a;
        gate.activation = Activation::silu;
        draft_.add(place + "act", gate);
        add_residual(place + "add", x, linear(place + "down", layer.down, gate.out, "y"), out);
    }

    void head(BufferId x) {
        const bool all = draft_.request().all_logits;
        const auto extent = all ? BufferInfo::Extent::rows : BufferInfo::Extent::last_row;
        const bool wanted = draft_.wants("final.hidden") || draft_.wants("final.norm");
        const BufferId n =
            draft_.fresh("final.hidden", c_.hidden_size, wanted ? BufferInfo::Extent::rows : extent);
        draft_.add("final.norm",
                   Norm{x, n, layout_.final_norm, {}, Norm::Kind::rms, static_cast<float>(c_.rms_norm_eps)});
        give_stage("final", n);
        const BufferId logits = draft_.fresh("logits", c_.vocab_size, extent);
        draft_.add("lm.out", Linear{n, layout_.head, {}, logits, Activation::identity, Rounding::bits8});
        draft_.set_logits(logits);
    }

    const Layout& layout_;
    const Config& c_;
    PlanDraft draft_;
};

} // namespace

std::vector<Observable> make_observables(const Layout& layout) {
    std::vector<Observable> out;
    const std::int64_t heads = layout.config.num_attention_heads, width = layout.config.hidden_size;
    const auto add = [&](const std::string& stage, const char* quantity, Source source, Shape shape,
                         const char* unit, bool by_default = true) {
        Observable o;
        o.name = stage + "." + quantity;
        o.stage = stage;
        o.quantity = quantity;
        o.source = source;
        o.shape = std::move(shape);
        o.unit = unit;
        o.by_default = by_default;
        out.push_back(std::move(o));
    };
    const auto hidden = [&](const std::string& stage) {
        add(stage, "hidden", Source::buffer, {-1, width}, "");
        add(stage, "norm", Source::buffer, {-1}, "");
    };
    hidden("embed");
    for (const LayerPart& layer : layout.layers) {
        add(layer.stage, "attention", Source::pair_row, {heads, -1, -1}, "weight");
        if (layout.gravity) {
            add(layer.stage, "distance", Source::pair_row, {heads, -1, -1}, "distance");
            add(layer.stage, "mass", Source::param, {heads}, "mass");
        }
        for (const RowQuantity& q : row_quantities()) {
            add(layer.stage, q.name, Source::buffer, q.shape(heads), q.unit, false);
        }
        add(layer.stage, "keep", Source::param, {heads}, "", false);
        hidden(layer.stage);
    }
    hidden("final");
    return out;
}

ModelPlan build_plan(const Layout& layout, const std::vector<Observable>& observables,
                     const PlanRequest& request) {
    return Builder(layout, observables, request).build();
}

} // namespace ergo::qwen2
