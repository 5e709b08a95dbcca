// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/kotodama/kotodama.h"

#include "engine/base/error.h"
#include "engine/checkpoint/schema.h"
#include "engine/model/cache_types.h"
#include "engine/model/intervention.h"
#include "engine/model/inventory.h"
#include "engine/model/kotodama/model.h"
#include "engine/model/weight_types.h"

#include <algorithm>

namespace ergo::kotodama {

namespace {

/// A faulty file in the user's own folder keeps no model from opening that needs another; in a folder that
/// was asked for it is an error.
std::vector<Schema> family_schemas(const std::string& folder) {
    std::vector<Error> passed_over;
    std::vector<Schema> ours;
    for (const Schema& each : folder.empty() ? builtin_schemas(user_schema_folder(), &passed_over)
                                             : builtin_schemas(checked_schema_folder(folder))) {
        if (each.family() == "kotodama") {
            ours.push_back(each);
        }
    }
    return ours;
}

/// The schema that fits, else the first, whose report then says what is wrong.
std::pair<std::string, std::vector<SchemaTensor>> choose(const Checkpoint& checkpoint, const Config& config,
                                                         const OpenOptions& options) {
    const std::vector<Schema> schemas = family_schemas(options.schemas);
    if (schemas.empty()) {
        throw Error(ErrorKind::unsupported, "no schema of the Kotodama family is installed");
    }
    for (const Schema& schema : schemas) {
        auto claimed = schema.expand(config.variables());
        if (fit(claimed, checkpoint).fits(options.allow_unused)) {
            return {schema.name(), std::move(claimed)};
        }
    }
    return {schemas.front().name(), schemas.front().expand(config.variables())};
}

std::int64_t context_of(const Config& config, const OpenOptions& options) {
    const std::int64_t most = config.max_position_embeddings;
    if (options.context < 0 || options.context > most) {
        throw Error(ErrorKind::usage,
                    "a context of " + std::to_string(options.context) +
                        " positions was asked for, but this model has " + std::to_string(most) +
                        ": it knows no window and no shift of positions",
                    {.advice = "Ask for " + std::to_string(most) + " or fewer."});
    }
    return options.context > 0 ? options.context : most;
}

std::string why(const Config& config, const std::string& schema, std::size_t tensors, bool configured) {
    std::string text =
        std::string(config.assumed.empty() ? "certain" : "likely") + ": all " + std::to_string(tensors) +
        " tensors of schema " + schema +
        " are there, a depth router's query and gain in front of every attention and MLP among "
        "them; sizes from tensor shapes" +
        (configured ? " and config.json" : "");
    std::string assumed;
    for (const std::string& key : config.assumed) {
        assumed += (assumed.empty() ? "" : ", ") + key + " " +
                   config.settings().at(key).substr(0, config.settings().at(key).find(" (assumed)"));
    }
    return assumed.empty() ? text : text + "; assumed as published: " + assumed;
}

/// What a person must know before trusting the numbers.
std::vector<std::string> warnings(const Config& config) {
    std::vector<std::string> out = config.warnings;
    if (std::find(config.assumed.begin(), config.assumed.end(), "attn_res_boundaries") !=
        config.assumed.end()) {
        out.push_back("the depth-routing boundaries are not stored in the file and no shape tells them: " +
                      config.settings().at("attn_res_boundaries") + ", those published for " +
                      std::to_string(config.num_layers) +
                      " layers; another list would load as cleanly and be wrong");
    }
    return out;
}

ModelInfo describe(const Checkpoint& checkpoint, const Config& config, const std::string& schema,
                   const std::vector<SchemaTensor>& claimed) {
    ModelInfo info;
    info.family = "kotodama";
    info.variant = schema;
    info.why = why(config, schema, claimed.size(), !checkpoint.config_json().empty());
    info.name = checkpoint.display_name();
    count_parameters(info, claimed);
    info.layers = config.num_layers;
    info.heads = config.num_attention_heads;
    info.width = config.hidden_size;
    info.vocabulary = config.vocab_size;
    info.context = config.max_position_embeddings;
    info.dtype = stored_types(checkpoint, claimed);
    info.problems = checkpoint.warnings();
    for (const std::string& warning : warnings(config)) {
        info.problems.push_back(warning);
    }
    for (const auto& each : fit(claimed, checkpoint, false).unexpected) {
        info.problems.push_back("the tensor " + printable(each.name) + " " + to_string(each.shape) +
                                " is not used");
    }
    info.settings = config.settings();
    info.base_model = true;
    return info;
}

} // namespace

bool recognises(const Checkpoint& checkpoint) {
    const auto named = [&](const char* end) {
        return std::any_of(
            checkpoint.order().begin(), checkpoint.order().end(),
            [&](const std::string& name) { return name.starts_with("layers.") && name.ends_with(end); });
    };
    return (named(".attn_res_query") && named(".mlp_res_query")) ||
           (!checkpoint.config_json().empty() && is_config(checkpoint.config_json()));
}

std::shared_ptr<const Model> open(std::shared_ptr<const Checkpoint> checkpoint, const OpenOptions& options) {
    const Config config = read_config(*checkpoint, options.knobs);
    const auto [schema, claimed] = choose(*checkpoint, config, options);
    const RoleMap roles(claimed, *checkpoint, options.allow_unused);
    Layout layout = make_layout(config, roles, context_of(config, options));
    convert_matrices(*layout.tables, options.dtype);
    convert_cache(*layout.tables, options.cache);
    for (const std::string& text : options.interventions) {
        apply_intervention(layout.tables->params, parse_intervention(text));
    }
    ModelInfo info = describe(*checkpoint, config, schema, claimed);
    return std::make_shared<KotodamaModel>(std::move(checkpoint), std::move(layout), std::move(info));
}

} // namespace ergo::kotodama
