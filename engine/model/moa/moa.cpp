// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/moa/moa.h"

#include "engine/base/error.h"
#include "engine/checkpoint/fit.h"
#include "engine/checkpoint/schema.h"
#include "engine/model/cache_types.h"
#include "engine/model/intervention.h"
#include "engine/model/moa/model.h"
#include "engine/model/weight_types.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace ergo::moa {

namespace {

constexpr std::int64_t kMaxContext = std::int64_t{1} << 20;

/// One schema tried against the checkpoint.
struct Candidate {
    std::string schema;
    Semantics semantics;
    std::vector<SchemaTensor> claimed;
    FitReport report;
    std::vector<std::string> notes;
    std::size_t problems() const {
        return report.missing.size() + report.unexpected.size() + report.misshaped.size() +
               report.unusable_dtype.size();
    }
};

/// Presets first, in the order of their age, then schemas the user added. A faulty file in the user's own
/// folder keeps no model from opening that needs another; in a folder that was asked for it is an error.
std::vector<Schema> family_schemas(const std::string& folder, std::vector<Error>& faulty) {
    std::vector<Schema> all = folder.empty() ? builtin_schemas(user_schema_folder(), &faulty)
                                             : builtin_schemas(checked_schema_folder(folder));
    std::vector<Schema> ours;
    for (const std::string& name : preset_names()) {
        for (const Schema& each : all) {
            if (each.name() == name) {
                ours.push_back(each);
            }
        }
    }
    for (const Schema& each : all) {
        const auto known = preset_names();
        if (each.family() == "moa" && std::find(known.begin(), known.end(), each.name()) == known.end()) {
            ours.push_back(each);
        }
    }
    return ours;
}

/// The metric that the caller asks for instead of the checkpoint's: of the run, not of the stored tensors,
/// whose list follows config.json.
std::optional<std::string> swapped_metric(Variables& asked, const Config& config) {
    const auto found = asked.find("metric");
    if (found == asked.end()) {
        return std::nullopt;
    }
    const std::string wanted = to_string(found->second);
    const auto* text = std::get_if<std::string>(&found->second);
    asked.erase(found);
    if (!text || (*text != "l2" && *text != "cosine" && *text != "maha_diag")) {
        throw Error(ErrorKind::usage,
                    "settings: knob metric is " + printable(wanted, 60) + "; allowed: l2, cosine, maha_diag",
                    {.code = "MOA-KNOB"});
    }
    if (*text == "maha_diag" && config.metric != "maha_diag") {
        throw Error(ErrorKind::usage,
                    "settings: knob metric is maha_diag, but a checkpoint of metric " + config.metric +
                        " stores no diagonals",
                    {.code = "MOA-KNOB"});
    }
    return *text;
}

Candidate try_schema(const Schema& schema, const Checkpoint& checkpoint, const Config& config,
                     const Variables& stored, const Variables& asked) {
    Candidate out;
    out.schema = schema.name();
    out.semantics.apply(schema.knobs(), "schema " + schema.name());
    out.semantics.apply(stored, "semantics.json");
    out.semantics.apply(asked, "settings");
    out.semantics.validate(config);
    Variables variables = config.variables();
    variables.merge(out.semantics.variables());
    out.claimed = schema.expand(variables);
    out.report = fit(out.claimed, checkpoint, false);
    return out;
}

/// The first schema that fits, else the one with the fewest problems. A preset under which the given knobs
/// have no meaning is passed over, unless all are.
Candidate choose(const Checkpoint& checkpoint, const Config& config, const Variables& asked,
                 const OpenOptions& options) {
    const Variables stored = checkpoint.semantics_json().empty()
                                 ? Variables{}
                                 : parse_knobs(checkpoint.semantics_json(), "semantics.json");
    Semantics().apply(stored, "semantics.json");
    Semantics().apply(asked, "settings");
    std::optional<Candidate> best;
    std::optional<Error> refused;
    std::vector<Error> faulty;
    for (const Schema& schema : family_schemas(options.schemas, faulty)) {
        try {
            Candidate candidate = try_schema(schema, checkpoint, config, stored, asked);
            if (candidate.report.fits(options.allow_unused)) {
                for (const Error& error : faulty) {
                    candidate.notes.push_back(std::string("a schema was passed over: ") + error.what());
                }
                return candidate;
            }
            if (!best || candidate.problems() < best->problems()) {
                best = std::move(candidate);
            }
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::usage) {
                throw;
            }
            refused = refused ? refused : error;
        }
    }
    if (!best) {
        throw refused ? *refused : Error(ErrorKind::unsupported, "no schema of the MoA family is installed");
    }
    if (!faulty.empty()) { // it may be the one that is needed
        throw Error(ErrorKind::format,
                    "no schema that can be read fits this checkpoint, and one cannot be read: " +
                        faulty.front().message(),
                    faulty.front().where());
    }
    return std::move(*best);
}

std::int64_t context_of(const Config& config, const Semantics& semantics, const OpenOptions& options) {
    if (options.context < 0 || options.context > kMaxContext) {
        throw Error(ErrorKind::usage, "a context of " + std::to_string(options.context) +
                                          " positions is not possible; it must lie in 1 … " +
                                          std::to_string(kMaxContext));
    }
    if (options.context > 0) {
        return options.context;
    }
    return semantics.rope_source == "tables"
               ? std::min(config.max_position_embeddings, config.max_seq_len_cached)
               : config.max_position_embeddings;
}

} // namespace

std::vector<std::string> preset_names() {
    return {"moa-2026", "moa-2025", "moa-2025-rope"};
}

bool recognises(const Checkpoint& checkpoint) {
    if (checkpoint.config_json().find("\"moa_metric\"") != std::string::npos) {
        return true;
    }
    return std::any_of(checkpoint.order().begin(), checkpoint.order().end(), [](const std::string& name) {
        return name.find(".metric_attention.") != std::string::npos ||
               name.find(".metric_mqa.") != std::string::npos;
    });
}

std::shared_ptr<const Model> open(std::shared_ptr<const Checkpoint> checkpoint, const OpenOptions& options) {
    if (checkpoint->config_json().empty()) {
        throw Error(ErrorKind::mismatch,
                    "the MoA checkpoint has no config.json, and its sizes cannot be told apart "
                    "from tensor shapes alone",
                    {.code = "MOA-CONFIG", .advice = "Put the model's config.json beside its weights."});
    }
    Config config = Config::parse(checkpoint->config_json());
    Variables asked = parse_knobs(options.knobs);
    const auto metric = swapped_metric(asked, config);
    Candidate chosen = choose(*checkpoint, config, asked, options);
    if (metric) {
        config.metric = *metric;
        chosen.semantics.validate(config);
    }
    const RoleMap roles(chosen.claimed, *checkpoint, options.allow_unused);
    const std::int64_t positions = context_of(config, chosen.semantics, options);
    const bool stated = !checkpoint->semantics_json().empty();
    std::string why = std::string(stated ? "certain" : "likely") + ": all " +
                      std::to_string(chosen.claimed.size()) + " tensors of schema " + chosen.schema +
                      " are there, with the shapes that config.json implies";
    why += stated ? "; semantics.json sets the knobs"
                  : "; what the published definition leaves open is read as the schema's preset has it";
    Recognition recognition{chosen.schema, why, std::move(chosen.claimed), std::move(chosen.report),
                            std::move(chosen.notes)};
    Layout layout = make_layout(config, chosen.semantics, roles, positions);
    convert_matrices(*layout.tables, options.dtype);
    convert_cache(*layout.tables, options.cache);
    for (const std::string& text : options.interventions) {
        apply_intervention(layout.tables->params, parse_intervention(text));
    }
    return std::make_shared<MoaModel>(std::move(checkpoint), std::move(recognition), std::move(layout));
}

} // namespace ergo::moa
