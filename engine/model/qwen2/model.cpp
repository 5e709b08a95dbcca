// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/qwen2/model.h"

#include "engine/base/error.h"
#include "engine/model/inventory.h"
#include "engine/model/qwen2/plan_builder.h"

#include <algorithm>

namespace ergo::qwen2 {

namespace {

[[noreturn]] void refuse(const Observable& observable, const char* what) {
    throw Error(ErrorKind::usage, observable.name + " is not " + what);
}

} // namespace

Qwen2Model::Qwen2Model(std::shared_ptr<const Checkpoint> checkpoint, const Recognition& recognition,
                       Layout layout)
    : checkpoint_(std::move(checkpoint)), layout_(std::move(layout)),
      observables_(make_observables(layout_)) {
    describe(recognition);
}

void Qwen2Model::describe(const Recognition& recognition) {
    const Config& c = layout_.config;
    info_.family = recognition.has_masses ? "gravity" : "qwen2";
    info_.variant = recognition.has_masses ? recognition.schema + "-gravity" : recognition.schema;
    info_.why = recognition.why;
    info_.name = checkpoint_->display_name();
    count_parameters(info_, recognition.claimed);
    info_.layers = c.num_hidden_layers;
    info_.heads = c.num_attention_heads;
    info_.width = c.hidden_size;
    info_.vocabulary = c.vocab_size;
    info_.context = c.max_position_embeddings;
    info_.dtype = stored_types(*checkpoint_, recognition.claimed);
    info_.problems = checkpoint_->warnings();
    info_.problems.insert(info_.problems.end(), c.warnings.begin(), c.warnings.end());
    info_.problems.insert(info_.problems.end(), recognition.problems.begin(), recognition.problems.end());
    for (const std::string& name : recognition.unused) {
        info_.problems.push_back("the tensor " + printable(name) + " is not used");
    }
    if (layout_.positions > c.max_position_embeddings) {
        info_.problems.push_back("the context of " + std::to_string(layout_.positions) +
                                 " positions exceeds the model's own " +
                                 std::to_string(c.max_position_embeddings));
    }
    for (const auto& [key, value] : c.variables()) {
        info_.settings[key] = to_string(value);
    }
    info_.settings.merge(layout_.law.settings());
    info_.settings["law"] = layout_.gravity ? "gravity" : "dot";
    for (const LayerPart& layer : layout_.layers) {
        AttentionSite site;
        site.stage = layer.stage;
        site.heads = static_cast<std::int32_t>(c.num_attention_heads);
        site.label = "layer " + layer.stage.substr(layer.stage.find('.') + 1);
        info_.attentions.push_back(std::move(site));
    }
}

ModelPlan Qwen2Model::build(const PlanRequest& request) const {
    return build_plan(layout_, observables_, request);
}

std::vector<float> Qwen2Model::positional(const Observable& observable, std::int64_t, std::int64_t) const {
    refuse(observable, "a function of the position");
}

ParamId Qwen2Model::param_of(const Observable& observable) const {
    if (observable.source != ObservableSource::param) {
        return {};
    }
    const auto& params = layout_.tables->params;
    const auto found = std::find_if(params.begin(), params.end(),
                                    [&](const ParamInfo& param) { return param.name == observable.name; });
    return found == params.end() ? ParamId{} : ParamId{static_cast<std::int32_t>(found - params.begin())};
}

std::vector<float> Qwen2Model::derive(const Observable& observable, std::int64_t,
                                      const std::function<std::vector<float>(StateId)>&,
                                      const std::function<std::vector<float>(ParamId)>&) const {
    refuse(observable, "derived from the remembered keys");
}

} // namespace ergo::qwen2
