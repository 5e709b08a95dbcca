// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/qwen2/qwen2.h"

#include "engine/base/error.h"
#include "engine/checkpoint/fit.h"
#include "engine/model/cache_types.h"
#include "engine/model/intervention.h"
#include "engine/model/qwen2/mass_source.h"
#include "engine/model/qwen2/model.h"
#include "engine/model/weight_types.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>

namespace ergo::qwen2 {

namespace {

constexpr std::int64_t most_positions = std::int64_t{1} << 20;
// A rotation table and a cache for a published 131072 positions would take 10 GB before the first word.
constexpr std::int64_t default_positions = 32768;
constexpr std::int64_t compared_whole = 64 << 20; // bytes of two tensors that are compared to the last

/// One schema tried against the checkpoint.
struct Candidate {
    std::string schema;
    std::vector<SchemaTensor> claimed;
    FitReport report;
    std::size_t problems() const {
        return report.missing.size() + report.unexpected.size() + report.misshaped.size() +
               report.unusable_dtype.size();
    }
};

/// Weights whose adapter still stands beside them compute something else.
void refuse_adapters(const Checkpoint& checkpoint) {
    for (const std::string& name : checkpoint.order()) {
        for (const char* part : {"lora_A", "lora_B", "base_layer"}) {
            if (name.find(part) != std::string::npos || name.starts_with("base_model.model.")) {
                throw Error(ErrorKind::unsupported,
                            "The weights hold an adapter that has not been merged into them.",
                            {.code = "G-ADAPTER",
                             .tensor = printable(name),
                             .advice = "Merge the adapter and save the model again."});
            }
        }
    }
}

/// Tensors beside the schema's that are no surprise: masses, and obsolete rotation buffers that nothing
/// reads.
std::vector<SchemaTensor> extra_claims(const Checkpoint& checkpoint) {
    std::vector<SchemaTensor> out;
    for (const std::string& name : checkpoint.order()) {
        if (!checkpoint.has(name)) {
            continue;
        }
        if (is_mass_name(name)) {
            out.push_back({name, checkpoint.tensor(name).shape(), "mass:" + name, "masses"});
        } else if (name.ends_with("rotary_emb.inv_freq")) {
            out.push_back({name, checkpoint.tensor(name).shape(), "ignored:" + name, ""});
        }
    }
    return out;
}

/// The first schema that fits, else the one with the fewest problems. A faulty file in the user's own folder
/// keeps no model from opening that needs another (said in `problems`); in a folder that was asked for it is
/// an error.
Candidate choose(const Checkpoint& checkpoint, const Config& config, const OpenOptions& options,
                 std::vector<std::string>& problems) {
    Variables variables = config.variables();
    const bool stored_head = checkpoint.has("lm_head.weight") || checkpoint.has("output.weight");
    variables["stored_head"] = stored_head;
    variables.try_emplace("tie_word_embeddings", !stored_head);
    const std::vector<SchemaTensor> extra = extra_claims(checkpoint);
    std::optional<Candidate> best;
    std::vector<Error> faulty;
    const std::vector<Schema> schemas = options.schemas.empty()
                                            ? builtin_schemas(user_schema_folder(), &faulty)
                                            : builtin_schemas(checked_schema_folder(options.schemas));
    for (const Error& error : faulty) {
        problems.push_back(std::string("a schema was passed over: ") + error.what());
    }
    for (const Schema& schema : schemas) {
        if (schema.family() != "qwen2") {
            continue;
        }
        Candidate candidate{schema.name(), schema.expand(variables), {}};
        candidate.claimed.insert(candidate.claimed.end(), extra.begin(), extra.end());
        candidate.report = fit(candidate.claimed, checkpoint, false);
        if (!best || candidate.problems() < best->problems()) {
            best = std::move(candidate);
        }
        if (best->report.fits(options.allow_unused)) {
            break;
        }
    }
    if (!best) {
        throw Error(ErrorKind::unsupported, "no schema of the Qwen2 class is installed");
    }
    return std::move(*best);
}

/// A copy of the embedding under another name is harmless; another matrix wins over the tie.
void check_tied_head(const Config& config, const RoleMap& roles, std::vector<std::string>& problems) {
    if (!config.tie_word_embeddings.value_or(false) || !roles.has("lm.out")) {
        return;
    }
    const auto head = roles.at("lm.out").bytes(), embedding = roles.at("tok.E").bytes();
    bool same = head.size() == embedding.size();
    const std::size_t whole = static_cast<std::size_t>(compared_whole), block = 4096;
    const std::size_t step = head.size() <= whole ? block : head.size() / (whole / block);
    for (std::size_t at = 0; same && at < head.size(); at += step) {
        same = std::memcmp(head.data() + at, embedding.data() + at, std::min(block, head.size() - at)) == 0;
    }
    if (!same) {
        problems.push_back("config.json ties the output matrix to the embedding, but " +
                           roles.name("lm.out") + " is stored and differs from it: the stored one is used");
    }
}

std::int64_t context_of(const Config& config, const OpenOptions& options) {
    if (options.context < 0 || options.context > most_positions) {
        throw Error(ErrorKind::usage, "a context of " + std::to_string(options.context) +
                                          " positions is not possible; it must lie in 1 … " +
                                          std::to_string(most_positions));
    }
    return options.context > 0 ? options.context
                               : std::min(config.max_position_embeddings, default_positions);
}

bool speaks_of_gravity(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text.find("gravity") != std::string::npos;
}

/// What says that the weights were adapted to gravity, though no masses are there: "the name says gravity";
/// "" when nothing does.
std::string sign_of_gravity(const Checkpoint& checkpoint) {
    std::string folder;
    if (!checkpoint.folder().empty()) { // the folder's own name, also where it was given as "."
        std::error_code ignored;
        folder = std::filesystem::weakly_canonical(checkpoint.folder(), ignored).filename().string();
    }
    bool named = speaks_of_gravity(checkpoint.display_name()) || speaks_of_gravity(folder);
    for (const auto& [key, value] : checkpoint.metadata()) { // of a GGUF file: general.name, .basename …
        named = named || (key.starts_with("general.") && speaks_of_gravity(value));
    }
    if (named) {
        return "the name says gravity";
    }
    if (const auto at = checkpoint.config_json().find("\"_name_or_path\""); at != std::string::npos) {
        const std::string line = checkpoint.config_json().substr(at, 400);
        if (speaks_of_gravity(line.substr(0, line.find_first_of(",}\n")))) {
            return "config.json's _name_or_path says gravity";
        }
    }
    const auto card = checkpoint.side_file("README.md");
    if (card && card->find("gravity_mass_log") != std::string::npos) {
        return "README.md beside it speaks of gravity_mass_log";
    }
    return {};
}

/// Which law runs, with the masses it needs; says what is odd about it.
MassSource choose_law(const Checkpoint& checkpoint, const Config& config, const Law& law,
                      std::vector<std::string>& problems) {
    const MassShape shape{config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads};
    MassSource source = find_masses(checkpoint);
    if (law.attention == "dot") {
        if (source.found()) {
            problems.push_back("these weights have gravity masses (" + source.origin +
                               ") but run under dot-product attention, as knob.attention = dot asks: "
                               "expect nonsense");
        } else if (const std::string sign = sign_of_gravity(checkpoint); !sign.empty()) {
            problems.push_back(sign +
                               ", but the model runs under dot-product attention, as knob.attention = dot "
                               "asks: weights adapted to gravity write nonsense then");
        }
        return source;
    }
    if (source.found()) {
        source.read(shape, problems);
        return source;
    }
    if (law.attention == "gravity") {
        throw Error(ErrorKind::mismatch,
                    "gravity attention needs masses, and there are none: no " + std::string(mass_file) +
                        " beside the weights and no tensor gravity_mass_log among them.",
                    {.code = "G-MASS",
                     .advice = "Put gravity_mass_log.pt into the model's folder, or attach it "
                               "(--attach FILE, or drop it on the window)."});
    }
    if (const std::string sign = sign_of_gravity(checkpoint); !sign.empty()) {
        throw Error(
            ErrorKind::mismatch,
            sign + ", but there are no masses (no " + std::string(mass_file) +
                " beside the weights, no tensor gravity_mass_log among them), and ordinary attention on "
                "weights adapted to gravity gives nonsense.",
            {.code = "G-MASS-NAME",
             .advice =
                 "Put gravity_mass_log.pt into the model's folder or attach it (--attach FILE, or drop it "
                 "on the window), or insist on ordinary attention with --set knob.attention=dot."});
    }
    return source;
}

std::string verdict(const Candidate& chosen, const Config& config, const MassSource& source, bool gravity) {
    const std::string count = std::to_string(chosen.claimed.size());
    std::string why = config.model_type.empty() || config.model_type == "qwen2" ? "certain: " : "likely: ";
    why += "all " + count + " tensors of schema " + chosen.schema +
           " are there, with the shapes that config.json implies";
    if (source.found()) {
        why += ", and " + source.origin + " holds " +
               (gravity ? "a mass for each of " + std::to_string(config.num_hidden_layers) + " × " +
                              std::to_string(config.num_attention_heads) + " query heads"
                        : std::string("masses"));
    } else {
        why += "; no mass file was found beside it, so it runs under dot-product attention (if its weights "
               "were adapted to gravity, attach their gravity_mass_log.pt: without it they write nonsense)";
    }
    return why;
}

bool only_masses(const Checkpoint& checkpoint) {
    return !checkpoint.order().empty() &&
           std::all_of(checkpoint.order().begin(), checkpoint.order().end(), is_mass_name);
}

} // namespace

bool recognises(const Checkpoint& checkpoint) {
    if (only_masses(checkpoint)) {
        return true;
    }
    const auto any = [&](const char* ending) {
        return std::any_of(checkpoint.order().begin(), checkpoint.order().end(),
                           [&](const std::string& name) { return name.ends_with(ending); });
    };
    if (any("layers.0.self_attn.q_proj.bias") && any("layers.0.self_attn.k_proj.bias") &&
        any("layers.0.mlp.gate_proj.weight")) {
        return true;
    }
    const std::string& json = checkpoint.config_json();
    const auto at = json.find("\"model_type\"");
    return at != std::string::npos && json.substr(at, 40).find("\"qwen2\"") != std::string::npos;
}

std::shared_ptr<const Model> open(std::shared_ptr<const Checkpoint> checkpoint, const OpenOptions& options) {
    if (only_masses(*checkpoint)) {
        throw Error(ErrorKind::mismatch,
                    "the file holds gravity masses of " + std::to_string(checkpoint->order().size()) +
                        " layers and no weights.",
                    {.code = "G-MASS",
                     .file = checkpoint->display_name(),
                     .advice = "Open the model they belong to: masses in its folder are found, others are "
                               "attached (--attach FILE, or a drop on the window)."});
    }
    refuse_adapters(*checkpoint);
    if (checkpoint->config_json().empty()) {
        throw Error(
            ErrorKind::mismatch,
            "the Qwen2-class checkpoint has no config.json, and its heads cannot be told apart from "
            "tensor shapes alone",
            {.code = "F-CONFIG-MISSING", .advice = "Put the model's config.json beside its weights."});
    }
    const Config config = Config::parse(checkpoint->config_json());
    Law law;
    law.apply_json(checkpoint->semantics_json());
    law.apply(options.knobs, "settings");
    Recognition recognition;
    Candidate chosen = choose(*checkpoint, config, options, recognition.problems);
    const RoleMap roles(chosen.claimed, *checkpoint, options.allow_unused);
    if (!config.model_type.empty() && config.model_type != "qwen2") {
        recognition.problems.push_back("config.json says model_type \"" + printable(config.model_type, 60) +
                                       "\", but the tensors are a Qwen2-class model's");
    }
    const MassSource source = choose_law(*checkpoint, config, law, recognition.problems);
    check_tied_head(config, roles, recognition.problems);
    recognition.schema = chosen.schema;
    recognition.has_masses = source.found();
    recognition.why = verdict(chosen, config, source, !source.raw.empty());
    for (const auto& each : chosen.report.unexpected) {
        recognition.unused.push_back(each.name + " " + to_string(each.shape));
    }
    std::erase_if(chosen.claimed,
                  [](const SchemaTensor& tensor) { return tensor.role.starts_with("ignored:"); });
    recognition.claimed = std::move(chosen.claimed);
    Layout layout = make_layout(config, law, roles, source.raw, context_of(config, options));
    convert_matrices(*layout.tables, options.dtype);
    convert_cache(*layout.tables, options.cache);
    for (const std::string& text : options.interventions) {
        apply_intervention(layout.tables->params, parse_intervention(text));
    }
    return std::make_shared<Qwen2Model>(std::move(checkpoint), recognition, std::move(layout));
}

} // namespace ergo::qwen2
