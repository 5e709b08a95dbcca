// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/moa/model.h"

#include "engine/base/error.h"
#include "engine/model/moa/plan_builder.h"
#include "engine/model/moa/published.h"
#include "engine/model/moa/ti_violation.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace ergo::moa {

namespace {

[[noreturn]] void refuse(const Observable& observable, const char* what) {
    throw Error(ErrorKind::usage, observable.name + " is not " + what);
}

std::string dtypes_of(const Tables& tables) {
    std::map<std::string, std::uint64_t> bytes;
    for (const WeightInfo& weight : tables.weights) {
        bytes[std::string(dtype_name(weight.type()))] += weight.tensor.byte_size();
    }
    std::vector<std::pair<std::uint64_t, std::string>> sorted;
    for (const auto& [name, size] : bytes) {
        sorted.emplace_back(size, name);
    }
    std::sort(sorted.rbegin(), sorted.rend());
    std::string out;
    for (const auto& [size, name] : sorted) {
        out += (out.empty() ? "" : ", ") + name;
    }
    return out;
}

} // namespace

MoaModel::MoaModel(std::shared_ptr<const Checkpoint> checkpoint, Recognition recognition, Layout layout)
    : checkpoint_(std::move(checkpoint)), layout_(std::move(layout)), catalogue_(make_catalogue(layout_)) {
    describe(recognition);
    list_sites();
}

void MoaModel::describe(const Recognition& recognition) {
    const Config& c = layout_.config;
    info_.family = "moa";
    info_.variant = recognition.schema;
    info_.why = recognition.why;
    info_.name = checkpoint_->display_name();
    for (const char* component : {"embedding", "blocks", "hyper_ffn", "lm_head", "rope+norms"}) {
        info_.components.emplace_back(component, 0);
    }
    for (const SchemaTensor& tensor : recognition.claimed) {
        const std::int64_t count = element_count(tensor.shape);
        info_.parameters += count;
        auto line = std::find_if(info_.components.begin(), info_.components.end(),
                                 [&](const auto& each) { return each.first == tensor.component; });
        if (line == info_.components.end()) {
            line = info_.components.insert(line, {tensor.component, 0});
        }
        line->second += count;
    }
    info_.layers = c.num_layers;
    info_.heads = c.attn_heads;
    info_.width = c.dim;
    info_.vocabulary = c.vocab_size;
    info_.context = c.max_position_embeddings;
    std::set<std::string> stored;
    for (const SchemaTensor& tensor : recognition.claimed) {
        stored.insert(std::string(dtype_name(checkpoint_->tensor(tensor.name).dtype())));
    }
    info_.dtype = stored.size() == 1 ? *stored.begin() : dtypes_of(*layout_.tables);
    info_.problems = checkpoint_->warnings();
    info_.problems.insert(info_.problems.end(), c.warnings.begin(), c.warnings.end());
    info_.problems.insert(info_.problems.end(), recognition.notes.begin(), recognition.notes.end());
    for (const auto& each : recognition.report.unexpected) {
        info_.problems.push_back("the tensor " + printable(each.name) + " " + to_string(each.shape) +
                                 " is not used");
    }
    if (std::string oddity = published_oddity(c, info_.parameters); !oddity.empty()) {
        info_.problems.push_back(std::move(oddity));
    }
    if (layout_.positions > c.max_position_embeddings) {
        info_.problems.push_back("the context of " + std::to_string(layout_.positions) +
                                 " positions exceeds the model's own " +
                                 std::to_string(c.max_position_embeddings));
    }
    const auto shown = [](const Value& value) {
        const auto* text = std::get_if<std::string>(&value);
        return text ? *text : to_string(value);
    };
    for (const auto& [key, value] : c.variables()) {
        info_.settings[key] = shown(value);
    }
    for (const auto& [key, value] : layout_.semantics.variables()) {
        info_.settings["knob." + key] = shown(value);
    }
}

void MoaModel::list_sites() {
    const auto title = [&](const std::string& stage) {
        return stage == "lm_head" ? std::string("LM head") : "layer " + stage.substr(stage.find('.') + 1);
    };
    const auto attention = [&](const MixturePart& m, const AttentionPart& a, std::int32_t path,
                               const char* label) {
        info_.attentions.push_back(
            {m.stage, a.site, a.heads, path, a.balls > 0, title(m.stage) + " · " + label});
    };
    const auto hyper = [&](const HyperPart& h) {
        info_.routers.push_back({h.stage,
                                 h.stage + ".hyper_ffn.branches",
                                 {"SwiGLU", "Convolution", "LowRank"},
                                 layout_.hyper_each_layer() ? title(h.stage) + " · HyperFFN" : "HyperFFN"});
    };
    for (const MixturePart* m : layout_.mixtures()) {
        attention(*m, m->attention, 1, "MetricMH");
        attention(*m, m->mqa, 3, "MetricMQA");
        info_.routers.push_back({m->stage,
                                 m->stage + ".router.shares",
                                 {"LocalConv", "MetricMH", "ChannelMix", "MetricMQA"},
                                 title(m->stage)});
        for (const HyperPart& h : layout_.hypers) {
            if (h.stage == m->stage || (!layout_.hyper_each_layer() && m == &layout_.layers.back())) {
                hyper(h);
            }
        }
    }
}

ModelPlan MoaModel::build(const PlanRequest& request) const {
    return PlanBuilder(layout_, catalogue_, request).build();
}

const Backing& MoaModel::backing_of(const Observable& observable) const {
    const auto found = catalogue_.by_name.find(observable.name);
    if (found == catalogue_.by_name.end()) {
        throw Error(ErrorKind::usage, "this model has no observable " + printable(observable.name));
    }
    return catalogue_.backing[static_cast<std::size_t>(found->second)];
}

ParamId MoaModel::param_of(const Observable& observable) const {
    return backing_of(observable).param;
}

std::vector<float> MoaModel::positional(const Observable& observable, std::int64_t begin,
                                        std::int64_t end) const {
    const Backing& backing = backing_of(observable);
    if (observable.source != ObservableSource::positional || begin < 0 || end < begin) {
        refuse(observable, "a function of the position over that range");
    }
    const std::int64_t count = end - begin;
    if (observable.quantity == "feature_gate") {
        const MixturePart& m = *layout_.mixtures()[static_cast<std::size_t>(backing.mixture)];
        const auto& stored = layout_.tables->weights[static_cast<std::size_t>(m.feature_gate.constant.index)];
        std::vector<float> row = stored.tensor.to_floats(), out;
        for (float& each : row) {
            each = static_cast<float>(2 / (1 + std::exp(-static_cast<double>(each))));
        }
        out.reserve(row.size() * static_cast<std::size_t>(count));
        for (std::int64_t t = 0; t < count; ++t) {
            out.insert(out.end(), row.begin(), row.end());
        }
        return out;
    }
    const AttentionPart& a = attention_of(layout_, backing);
    const RopeTables at = layout_.ropes[static_cast<std::size_t>(a.rope)].at(begin, count);
    if (observable.quantity == "phase") {
        return {at.phase.begin(), at.phase.end()};
    }
    if (observable.quantity == "gain") {
        return {at.gain.begin(), at.gain.end()};
    }
    std::vector<float> energy(static_cast<std::size_t>(count));
    const auto dim = static_cast<std::size_t>(a.dim);
    for (std::size_t t = 0; t < energy.size(); ++t) {
        double sum = 0;
        for (std::size_t i = 0; i < dim; ++i) {
            sum += at.gain[t * dim + i];
        }
        energy[t] = static_cast<float>(sum / static_cast<double>(dim));
    }
    return energy;
}

std::vector<float> MoaModel::derive(const Observable& observable, std::int64_t length,
                                    const std::function<std::vector<float>(StateId)>& state,
                                    const std::function<std::vector<float>(ParamId)>& param) const {
    const Backing& backing = backing_of(observable);
    if (observable.source != ObservableSource::state || length < 0) {
        refuse(observable, "derived from the remembered keys");
    }
    const AttentionPart& a = attention_of(layout_, backing);
    const bool balls = observable.quantity == "ball_distance";
    const StateId id = balls ? a.distances : a.keys;
    const std::vector<float> rows = state(id);
    const std::int64_t width = layout_.tables->states[static_cast<std::size_t>(id.index)].width;
    if (static_cast<std::int64_t>(rows.size()) < length * width) {
        throw Error(ErrorKind::usage,
                    observable.name + " needs " + std::to_string(length) + " remembered positions");
    }
    if (!balls) {
        const bool scaled = a.diagonal && !a.scales_before;
        return violations(a, length, rows, scaled ? param(a.diagonal) : std::vector<float>{});
    }
    std::vector<float> out(static_cast<std::size_t>(length * width));
    const auto n = static_cast<std::size_t>(length), count = static_cast<std::size_t>(width);
    for (std::size_t t = 0; t < n; ++t) {
        for (std::size_t b = 0; b < count; ++b) {
            out[b * n + t] = rows[t * count + b];
        }
    }
    return out;
}

std::vector<float> MoaModel::violations(const AttentionPart& attention, std::int64_t length,
                                        const std::vector<float>& keys,
                                        const std::vector<float>& diagonal) const {
    const auto dim = static_cast<std::size_t>(attention.dim), n = static_cast<std::size_t>(length);
    const auto key_heads = static_cast<std::size_t>(attention.key_heads);
    const auto heads = static_cast<std::size_t>(geometries(attention, *layout_.tables));
    const std::size_t scales = diagonal.size() / dim; // rows of the diagonal, 0 without one
    std::vector<float> out;
    for (std::size_t h = 0; h < heads; ++h) {
        std::vector<double> points(n * dim), scale;
        for (std::size_t t = 0; t < n; ++t) {
            const float* row = keys.data() + (t * key_heads + h % key_heads) * dim;
            std::copy(row, row + dim, points.begin() + static_cast<std::ptrdiff_t>(t * dim));
        }
        for (std::size_t i = 0; scales && i < dim; ++i) {
            scale.push_back(std::sqrt(std::max(0.0, static_cast<double>(diagonal[h % scales * dim + i]))));
        }
        const auto four = triangle_violation(points, attention.dim, scale, layout_.config.metric);
        out.insert(out.end(), four.begin(), four.end());
    }
    return out;
}

} // namespace ergo::moa
