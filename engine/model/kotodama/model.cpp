// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/kotodama/model.h"

#include "engine/base/error.h"
#include "engine/model/inventory.h"
#include "engine/model/kotodama/plan_builder.h"

#include <algorithm>

namespace ergo::kotodama {

namespace {

std::string title(std::int64_t layer) {
    return "layer " + std::to_string(layer);
}

DepthBlock block(bool embedding, std::int64_t first, std::int64_t end) {
    DepthBlock made;
    made.embedding = embedding;
    made.label = embedding ? "embedding" : "";
    if (first < end) {
        made.first = static_cast<std::int32_t>(first);
        made.last = static_cast<std::int32_t>(end) - 1;
        const std::string range =
            std::to_string(first) + (end - first > 1 ? "–" + std::to_string(end - 1) : "");
        made.label +=
            (embedding ? " and " : "") + std::string(end - first > 1 ? "layers " : "layer ") + range;
    }
    return made;
}

} // namespace

KotodamaModel::KotodamaModel(std::shared_ptr<const Checkpoint> checkpoint, Layout layout, ModelInfo info)
    : checkpoint_(std::move(checkpoint)), layout_(std::move(layout)), catalogue_(make_catalogue(layout_)),
      info_(std::move(info)) {
    list_sites();
}

void KotodamaModel::list_sites() {
    std::int64_t first = 0; // layer that the open block began with
    bool embedding = true;  // the open block holds the embedding
    const auto depth = [&](const RoutePart& part, std::int64_t layer, bool attention, std::string label) {
        info_.depths.push_back({part.site.substr(0, part.site.rfind('.')), part.site + ".depth", part.sources,
                                static_cast<std::int32_t>(layer), attention, std::move(label)});
    };
    for (std::size_t i = 0; i < layout_.layers.size(); ++i) {
        const LayerPart& part = layout_.layers[i];
        const auto l = static_cast<std::int64_t>(i);
        AttentionSite site;
        site.stage = part.stage;
        site.heads = static_cast<std::int32_t>(layout_.config.num_attention_heads);
        site.label = title(l);
        info_.attentions.push_back(site);
        depth(part.attention_route, l, true, title(l) + " · attention");
        if (part.boundary) {
            info_.depth_blocks.push_back(block(embedding, first, l));
            first = l;
            embedding = false;
        }
        depth(part.mlp_route, l, false, title(l) + " · MLP");
    }
    info_.depth_blocks.push_back(block(embedding, first, layout_.config.num_layers));
    depth(layout_.final_route, -1, false, "output");
}

ModelPlan KotodamaModel::build(const PlanRequest& request) const {
    return PlanBuilder(layout_, catalogue_, request).build();
}

std::vector<float> KotodamaModel::positional(const Observable& observable, std::int64_t, std::int64_t) const {
    throw Error(ErrorKind::usage, observable.name + " is not a function of the position");
}

ParamId KotodamaModel::param_of(const Observable& observable) const {
    const auto found = catalogue_.params.find(observable.name);
    return found == catalogue_.params.end() ? ParamId{} : found->second;
}

std::vector<float> KotodamaModel::derive(const Observable& observable, std::int64_t,
                                         const std::function<std::vector<float>(StateId)>&,
                                         const std::function<std::vector<float>(ParamId)>&) const {
    throw Error(ErrorKind::usage, observable.name + " is not derived from the remembered keys");
}

} // namespace ergo::kotodama
