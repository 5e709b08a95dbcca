// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/ablate.h"

#include "engine/base/error.h"
#include "engine/lab/recipe.h"
#include "engine/model/intervention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <sstream>

namespace ergo {

namespace {

const ParamInfo* find_param(const Model& model, const std::string& name) {
    const auto tables = model.tables(); // the model keeps them
    for (const ParamInfo& param : tables->params) {
        if (param.name == name) {
            return &param;
        }
    }
    return nullptr;
}

/// What follows the stage in the names of parameters that end so: "router.topk", "hyper_ffn.topk".
std::set<std::string> tails(const Model& model, const std::string& quantity) {
    std::set<std::string> out;
    for (const ParamInfo& param : model.tables()->params) {
        if (param.name.ends_with("." + quantity)) {
            const auto site = param.name.rfind('.', param.name.size() - quantity.size() - 2);
            out.insert(param.name.substr(site == std::string::npos ? 0 : site + 1));
        }
    }
    return out;
}

std::vector<Variant> heads(const Model& model) {
    std::vector<Variant> out;
    for (const AttentionSite& site : model.info().attentions) {
        if (!find_param(model, site.name("keep"))) {
            continue;
        }
        for (std::int32_t h = 0; h < site.heads; ++h) {
            const std::string head = std::to_string(h);
            out.push_back({site.label + " without head " + head, {site.name("mask") + "[" + head + "]=1"}});
        }
    }
    return out;
}

std::vector<Variant> paths(const Model& model) {
    std::vector<Variant> out;
    for (const RouterSite& router : model.info().routers) {
        const std::string site = router.shares.substr(0, router.shares.rfind('.'));
        if (!find_param(model, site + ".keep")) {
            continue;
        }
        for (std::size_t p = 0; p < router.paths.size(); ++p) {
            out.push_back({router.label + " without " + router.paths[p],
                           {site + ".mask[" + std::to_string(p) + "]=1"}});
        }
    }
    return out;
}

std::vector<Variant> top_k(const Model& model) {
    std::vector<Variant> out;
    for (const std::string& tail : tails(model, "topk")) {
        std::size_t most = 0;
        for (const RouterSite& router : model.info().routers) {
            const std::string site = router.shares.substr(0, router.shares.rfind('.'));
            if (site.ends_with("." + tail.substr(0, tail.rfind('.')))) {
                most = std::max(most, router.paths.size());
            }
        }
        for (std::size_t k = 1; k <= most; ++k) {
            const std::string count = std::to_string(k);
            out.push_back({tail + " " + count, {"*." + tail + "=" + count}});
        }
    }
    return out;
}

std::vector<Variant> balls(const Model& model) {
    if (tails(model, "radius").empty()) {
        return {};
    }
    return {{"balls off", {"*.radius=1e30"}}}; // nothing is that far away
}

std::vector<Variant> masses(const Model& model) {
    std::vector<Variant> out;
    for (const char* factor : {"0", "0.5", "2"}) {
        if (!tails(model, "mass").empty()) {
            out.push_back({std::string("masses times ") + factor, {std::string("*.mass*=") + factor}});
        }
    }
    return out;
}

/// Each finished block taken from every place that chooses among depths.
std::vector<Variant> depth(const Model& model) {
    std::vector<Variant> out;
    const auto& blocks = model.info().depth_blocks;
    for (std::size_t b = 0; b < blocks.size(); ++b) {
        Variant variant{"depth routing without " + blocks[b].label, {}};
        for (const DepthSite& place : model.info().depths) {
            const std::string site = place.weights.substr(0, place.weights.rfind('.'));
            const bool finished =
                static_cast<std::int32_t>(b) < place.sources - 1; // the last is the running sum
            if (finished && find_param(model, site + ".keep")) {
                variant.set.push_back(site + ".mask[" + std::to_string(b) + "]=1");
            }
        }
        if (!variant.set.empty()) {
            out.push_back(std::move(variant));
        }
    }
    return out;
}

std::vector<Variant> metric(const Model& model) {
    const auto& settings = model.info().settings;
    if (const auto law = settings.find("law"); law != settings.end() && law->second == "gravity") {
        return {{"dot products instead of gravity", {"knob.attention=dot"}}};
    }
    const auto now = settings.find("metric");
    if (now == settings.end()) {
        return {};
    }
    std::vector<Variant> out;
    for (const char* other : {"l2", "cosine", "maha_diag"}) {
        if (now->second != other) {
            out.push_back({std::string("metric ") + other, {std::string("knob.metric=") + other}});
        }
    }
    return out;
}

/// "NAME=A|B" and "NAME*=A|B".
std::vector<Variant> values(const std::string& item) {
    const auto equals = item.find('=');
    std::vector<Variant> out;
    std::istringstream list(item.substr(equals + 1));
    for (std::string value; std::getline(list, value, '|');) {
        const std::string text = item.substr(0, equals + 1) + value;
        out.push_back({text, {text}});
    }
    return out;
}

struct Part {
    const char* name;
    std::vector<Variant> (*variants)(const Model& model);
    bool usual;
};
constexpr std::array<Part, 7> parts{{{"paths", paths, true},
                                     {"topk", top_k, true},
                                     {"balls", balls, true},
                                     {"metric", metric, true},
                                     {"masses", masses, true},
                                     {"depth", depth, true},
                                     {"heads", heads, false}}};

void append(std::vector<Variant>& to, std::vector<Variant> more) {
    std::move(more.begin(), more.end(), std::back_inserter(to));
}

std::vector<Variant> item_variants(const Model& model, const std::string& item) {
    if (item.find('=') != std::string::npos) {
        auto found = values(item);
        if (found.empty()) {
            throw Error(ErrorKind::usage, "The grid's item '" + printable(item) + "' has no value.");
        }
        return found;
    }
    std::string names;
    for (const Part& part : parts) {
        if (item == part.name) {
            auto found = part.variants(model);
            if (found.empty()) {
                throw Error(ErrorKind::usage, "This model has nothing that '" + item + "' could change.");
            }
            return found;
        }
        names += std::string(part.name) + ", ";
    }
    throw Error(ErrorKind::usage, "The grid's item '" + printable(item) + "' is not known.",
                {.advice = "Items are " + names + "and NAME=VALUE|VALUE…, separated by commas."});
}

bool structural(const Variant& variant) {
    return std::any_of(variant.set.begin(), variant.set.end(),
                       [](const std::string& text) { return text.starts_with("knob."); });
}

/// The parameters that a variant changes, with their values then.
ParamValues changed(const Tables& tables, const Variant& variant) {
    std::vector<ParamInfo> params = tables.params;
    for (const std::string& text : variant.set) {
        apply_intervention(params, parse_intervention(text));
    }
    ParamValues out;
    for (std::size_t i = 0; i < params.size(); ++i) {
        if (params[i].values != tables.params[i].values) {
            out.emplace_back(ParamId{static_cast<std::int32_t>(i)}, std::move(params[i].values));
        }
    }
    return out;
}

class Ablator {
  public:
    Ablator(const OpenedModel& opened, const OpenModelOptions& options, const EvaluationRequest& request,
            const Progress& progress, const CancelToken& cancel)
        : opened_(opened), options_(options), request_(request), progress_(progress), cancel_(cancel) {}

    Ablation run(const std::vector<Variant>& grid) {
        total_ = grid.size() + 1;
        Ablation out;
        out.baseline = evaluate(opened_, request_, progress("baseline"), cancel_);
        for (const Variant& variant : grid) {
            ++done_;
            out.rows.push_back({variant, {}, {}});
            AblationRow& row = out.rows.back();
            if (structural(variant)) {
                reopened(row);
            } else {
                row.result = evaluate(opened_, request_, progress(variant.name), cancel_,
                                      changed(*opened_.model->tables(), variant));
            }
        }
        return out;
    }

  private:
    void reopened(AblationRow& row) const {
        OpenModelOptions options = options_;
        apply_settings(row.variant.set, options.model);
        try {
            const auto model = open_all(opened_.source, options, {}, cancel_);
            row.result = evaluate(*model, request_, progress(row.variant.name), cancel_);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::usage && error.kind() != ErrorKind::mismatch) {
                throw;
            }
            row.problem = error.message();
        }
    }

    /// One evaluation's progress as a part of all.
    Progress progress(const std::string& name) const {
        if (!progress_) {
            return {};
        }
        return [this, name](double done, double total, const std::string&) {
            progress_(static_cast<double>(done_) + (total > 0 ? done / total : 0),
                      static_cast<double>(total_), name);
        };
    }

    const OpenedModel& opened_;
    const OpenModelOptions& options_;
    const EvaluationRequest& request_;
    const Progress& progress_;
    CancelToken cancel_;
    std::size_t done_ = 0, total_ = 1;
};

} // namespace

std::vector<Variant> ablation_grid(const Model& model, const std::string& spec) {
    std::vector<Variant> grid;
    if (spec.empty()) {
        for (const Part& part : parts) {
            if (part.usual || grid.empty()) {
                append(grid, part.variants(model));
            }
        }
        return grid;
    }
    std::istringstream list(spec);
    for (std::string item; std::getline(list, item, ',');) {
        append(grid, item_variants(model, item));
    }
    return grid;
}

Ablation ablate(const OpenedModel& opened, const OpenModelOptions& options, const EvaluationRequest& request,
                const std::vector<Variant>& grid, const Progress& progress, const CancelToken& cancel) {
    for (const Variant& variant : grid) { // wrong names show before the first long evaluation
        if (!structural(variant)) {
            changed(*opened.model->tables(), variant);
        }
    }
    return Ablator(opened, options, request, progress, cancel).run(grid);
}

} // namespace ergo
