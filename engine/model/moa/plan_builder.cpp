// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/moa/plan_builder.h"

#include "engine/base/error.h"

namespace ergo::moa {

PlanBuilder::PlanBuilder(const Layout& layout, const Catalogue& catalogue, const PlanRequest& request)
    : layout_(layout), catalogue_(catalogue), request_(request), outputs_(request.subscriptions.size()) {
    if (request.max_rows < 1) {
        throw Error(ErrorKind::usage,
                    "a plan needs at least one row, not " + std::to_string(request.max_rows));
    }
    plan_.max_rows = request.max_rows;
    for (std::size_t i = 0; i < request.subscriptions.size(); ++i) {
        const Subscription& wish = request.subscriptions[i];
        if (wish.observable < 0 ||
            static_cast<std::size_t>(wish.observable) >= catalogue.observables.size()) {
            throw Error(ErrorKind::usage, "there is no observable number " + std::to_string(wish.observable));
        }
        const Observable& observable = catalogue.observables[static_cast<std::size_t>(wish.observable)];
        if (observable.source == ObservableSource::pair_row) {
            for (const std::int32_t head : wish.heads) {
                if (head < 0 || head >= observable.shape[0]) {
                    throw Error(ErrorKind::usage, observable.name + " has " +
                                                      std::to_string(observable.shape[0]) +
                                                      " heads; there is no head " + std::to_string(head));
                }
            }
        }
        wishes_[observable.name].push_back(i);
    }
}

ModelPlan PlanBuilder::build() {
    embed();
    layers();
    head();
    ModelPlan out;
    for (auto& output : outputs_) {
        if (output) {
            out.outputs.push_back(std::move(*output));
        }
    }
    validate(plan_, *layout_.tables);
    out.plan = std::make_shared<const Plan>(std::move(plan_));
    return out;
}

// --- buffers
// --------------------------------------------------------------------------------------------------

BufferId PlanBuilder::scratch(const std::string& name, std::int64_t width) {
    const std::string own = tail_ ? name + ".last" : name;
    const auto [found, added] = pool_.try_emplace({own, width});
    if (added) {
        found->second = fresh(own, width, tail_ ? BufferInfo::Extent::last_row : BufferInfo::Extent::rows);
    }
    return found->second;
}

BufferId PlanBuilder::fresh(const std::string& name, std::int64_t width, BufferInfo::Extent extent) {
    return plan_.add_buffer(name, width, extent);
}

BufferId PlanBuilder::buffer_for(const std::string& observable, const std::string& name, std::int64_t width) {
    return wants(observable) ? fresh(observable, width) : scratch(name, width);
}

void PlanBuilder::give(const std::string& observable, ModelPlan::Output output) {
    const auto wish = wishes_.find(observable);
    if (wish == wishes_.end()) {
        return;
    }
    output.width = plan_.buffers[static_cast<std::size_t>(output.primary.index)].width;
    for (const std::size_t i : wish->second) {
        output.wanted = request_.subscriptions[i];
        outputs_[i] = output;
        for (const BufferId buffer : {output.primary, output.maximum, output.sum, output.taken.shares}) {
            if (buffer) {
                plan_.taps.push_back({output.wanted.observable, buffer});
            }
        }
    }
}

void PlanBuilder::give_row(const std::string& observable, BufferId buffer, Finish finish) {
    ModelPlan::Output output;
    output.primary = buffer;
    output.finish = finish;
    give(observable, output);
}

// --- stages
// ---------------------------------------------------------------------------------------------------

/// Where a stage's result goes: a buffer of its own when a reader wants it, in place when nobody wants the
/// old x.
BufferId PlanBuilder::stage_buffer(const std::string& stage) {
    const std::int64_t width = layout_.config.dim;
    if (wants(stage + ".block.hidden") || wants(stage + ".block.norm")) {
        return fresh(stage + ".block.hidden", width);
    }
    return x_ && !x_kept_ ? x_ : scratch("x", width);
}

void PlanBuilder::give_stage(const std::string& stage, BufferId hidden) {
    give_row(stage + ".block.hidden", hidden);
    give_row(stage + ".block.norm", hidden, Finish::norm);
    x_ = hidden;
    x_kept_ = wants(stage + ".block.hidden") || wants(stage + ".block.norm");
}

void PlanBuilder::embed() {
    const BufferId out = stage_buffer("embed");
    add("embed", {}, Embed{layout_.embedding, out});
    give_stage("embed", out);
}

void PlanBuilder::layers() {
    for (std::size_t l = 0; l < layout_.layers.size(); ++l) {
        const MixturePart& m = layout_.layers[l];
        if (!layout_.hyper_each_layer()) {
            const BufferId out = stage_buffer(m.stage);
            mixture_into(m, x_, x_, out);
            give_stage(m.stage, out);
            continue;
        }
        const BufferId between = x_kept_ ? scratch("x", layout_.config.dim) : x_;
        mixture_into(m, x_, x_, between);
        x_ = between;
        x_kept_ = false;
        const BufferId out = stage_buffer(m.stage);
        hyper(layout_.hypers[l], x_, out);
        give_stage(m.stage, out);
    }
    if (!layout_.hypers.empty() && !layout_.hyper_each_layer()) {
        const HyperPart& h = layout_.hypers[0];
        const BufferId out = stage_buffer(h.stage);
        hyper(h, x_, out);
        give_stage(h.stage, out);
    }
}

void PlanBuilder::head() {
    const HeadPart& head = layout_.head;
    const Semantics& s = layout_.semantics;
    const bool wanted = wants("lm_head.block.hidden") || wants("lm_head.block.norm");
    const std::int64_t width = layout_.config.dim;
    tail_ = !request_.all_logits && !wanted;
    const auto last = [&](bool is_last) {
        return is_last && wanted ? fresh("lm_head.block.hidden", width) : scratch("z", width);
    };
    BufferId u;
    {
        const AllRows scope(*this, head.mixture.has_value()); // the head's mixture remembers every row
        u = last(!head.mixture);
    }
    add("final.norm", {},
        Norm{x_, u, layout_.final_norm.weight, layout_.final_norm.bias,
             s.norm == "layernorm" ? Norm::Kind::layer : Norm::Kind::rms, static_cast<float>(s.norm_eps)});
    if (head.mixture) {
        const BufferId mixed = last(!head.down);
        mixture_into(*head.mixture, u, s.lm_residual_mix ? u : BufferId{}, mixed);
        u = mixed;
    }
    if (head.down) {
        const BufferId n = head.ffn_norm ? norm("lm.ffn_norm", head.ffn_norm, u, "n") : u;
        Mix mix;
        mix.parts = {swiglu("lm.swiglu", head.gate, head.up, head.down, n, "y0", {})};
        mix.layer_scale = head.ffn_scale;
        mix.residual = s.lm_residual_ffn ? u : BufferId{};
        mix.out = last(true);
        u = mix.out;
        add("lm.swiglu.mix", {}, mix);
    }
    give_row("lm_head.block.hidden", u);
    give_row("lm_head.block.norm", u, Finish::norm);
    if (head.out_norm) {
        u = norm("lm.out_norm", head.out_norm, u, "n");
    }
    plan_.logits = fresh("logits", layout_.config.vocab_size,
                         request_.all_logits ? BufferInfo::Extent::rows : BufferInfo::Extent::last_row);
    add("lm.out", {}, Linear{u, head.projection, {}, plan_.logits, Activation::identity});
    if (!request_.all_logits) {
        plan_.add_logit_parts();
    }
}

/// out = residual + sum over paths of share * gate * scale * path(norm(x)). (MoA specification §6.3)
void PlanBuilder::mixture_into(const MixturePart& m, BufferId x, BufferId residual, BufferId out) {
    BufferId n = x;
    if (m.norm) {
        const AllRows scope(*this);
        n = norm(m.stage + ".norm", m.norm, x, "n");
    }
    const BufferId shares = route(m, n);
    Mix mix;
    mix.parts = {local_conv(m, n, {shares, 0}), attention(m, m.attention, n, {shares, 1}),
                 channel_mix(m, n, {shares, 2}), attention(m, m.mqa, n, {shares, 3})};
    mix.shares = shares;
    mix.gate = feature_gate(m, n);
    mix.gate_width = mix.gate ? m.feature_width : 0;
    mix.constant_gate = m.feature_gate.constant;
    mix.layer_scale = m.layer_scale;
    mix.residual = residual;
    mix.out = out;
    add(m.stage + ".mix", {}, mix);
}

} // namespace ergo::moa
