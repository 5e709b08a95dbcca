// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/suggest.h"

#include "engine/base/error.h"
#include "engine/checkpoint/schema.h"
#include "engine/lab/assignment.h"
#include "engine/lab/name_pattern.h"
#include "engine/lab/value_fingerprint.h"
#include "engine/model/moa/config.h"
#include "engine/model/moa/moa.h"
#include "engine/model/moa/semantics.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace ergo {

namespace {

using moa::Config;
using moa::Semantics;
using Json = nlohmann::ordered_json;

// A tensor of one layer stands for that of every layer.
struct Item {
    std::string name;  // pattern, with {l}
    std::string first; // name of layer 0, or of the only one
    Shape shape;
    std::string role, component; // of a schema's item, role with {l}
    bool layered = false;
    double place = 0; // 0 … 1 in the order of the list
};

std::vector<Item> items_of(const std::vector<std::string>& names, const std::vector<Shape>& shapes,
                           std::int64_t layers) {
    const std::vector<LayerName> found = find_layers(names, layers);
    std::vector<Item> items;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (found[i].layer.value_or(0) == 0) {
            items.push_back({found[i].pattern, names[i], shapes[i], "", "", found[i].layer.has_value(), 0});
        }
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
        items[i].place = static_cast<double>(i) / static_cast<double>(items.size());
    }
    return items;
}

std::vector<Item> items_of(const Checkpoint& checkpoint, std::int64_t layers) {
    std::vector<Shape> shapes;
    for (const std::string& name : checkpoint.order()) {
        shapes.push_back(checkpoint.tensor(name).shape());
    }
    return items_of(checkpoint.order(), shapes, layers);
}

std::vector<Item> items_of(const std::vector<SchemaTensor>& tensors, std::int64_t layers) {
    std::vector<std::string> names;
    std::vector<Shape> shapes;
    for (const SchemaTensor& tensor : tensors) {
        names.push_back(tensor.name);
        shapes.push_back(tensor.shape);
    }
    std::vector<Item> items = items_of(names, shapes, layers);
    std::map<std::string, const SchemaTensor*> by_name;
    for (const SchemaTensor& tensor : tensors) {
        by_name[tensor.name] = &tensor;
    }
    for (Item& item : items) {
        const SchemaTensor& tensor = *by_name.at(item.first);
        item.role = tensor.role;
        item.component = tensor.component;
        if (item.layered && item.role.starts_with("layers.0.")) {
            item.role.replace(7, 1, "{l}");
        }
    }
    return items;
}

// ---- which variant of the family the shapes speak of

using Signature = std::map<std::pair<bool, Shape>, int>; // layered, shape -> how often

Signature signature_of(const std::vector<Item>& items) {
    Signature counts;
    for (const Item& item : items) {
        ++counts[{item.layered, item.shape}];
    }
    return counts;
}

int difference(const Signature& a, const Signature& b) {
    int sum = 0;
    for (const auto& [key, count] : a) {
        const auto other = b.find(key);
        sum += std::abs(count - (other == b.end() ? 0 : other->second));
    }
    for (const auto& [key, count] : b) {
        sum += a.contains(key) ? 0 : count;
    }
    return sum;
}

struct Variant {
    std::string preset;
    Variables knobs; // over the preset
    std::vector<Item> items;
    int distance = 0; // of the shapes: tensors that one side has and the other has not
};

// Knobs that decide which tensors there are.
constexpr const char* structural_knobs[] = {
    "mqa_kv",      "mqa_params",   "updown",      "conv_kind",   "channel_mix",   "router_kind",
    "router_gate", "feature_gate", "hyperffn",    "hyper_conv",  "hyper_lowrank", "hyper_router",
    "lm_head",     "lm_ffn_width", "rope_source", "rope_params", "norm",          "layer_scale",
};
constexpr const char* structural_flags[] = {"qkv_bias",    "out_proj",    "conv_bias",   "mlp_bias",
                                            "router_bias", "lm_pre_norm", "lm_ffn_norm", "lm_out_norm"};

class VariantSearch {
  public:
    VariantSearch(const Config& config, Variables stored, const std::vector<Item>& file)
        : config_(config), stored_(std::move(stored)), wanted_(signature_of(file)),
          schemas_(builtin_schemas()) {}

    Variant run() const {
        std::optional<Variant> best;
        for (const std::string& preset : moa::preset_names()) {
            Variant variant{preset, {}, {}, 0};
            if (!measure(variant, 1)) {
                continue;
            }
            variant = refined(std::move(variant));
            if (!best || variant.distance < best->distance) {
                best = std::move(variant);
            }
            if (best->distance == 0) {
                break;
            }
        }
        if (!best || !measure(*best, config_.num_layers)) {
            throw Error(ErrorKind::mismatch, "no schema of the family fits this configuration.");
        }
        return std::move(*best);
    }

  private:
    // Expands the variant for so many layers and compares shapes; false for knobs that make no sense
    // together.
    bool measure(Variant& variant, std::int64_t layers) const {
        try {
            const Schema& schema = find_schema(schemas_, variant.preset);
            Semantics semantics;
            semantics.apply(schema.knobs(), "schema " + schema.name());
            semantics.apply(stored_, "semantics.json");
            semantics.apply(variant.knobs, "draft");
            semantics.validate(config_);
            Variables variables = config_.variables();
            variables["num_layers"] = layers; // one stands for all while searching
            variables.merge(semantics.variables());
            variant.items = items_of(schema.expand(variables), layers);
            variant.distance = difference(signature_of(variant.items), wanted_);
            return true;
        } catch (const Error&) {
            return false;
        }
    }

    // Changes knob after knob as long as that brings the shapes no further away, from the few best variants
    // at a time: two changes may help only together.
    Variant refined(Variant start) const {
        constexpr std::size_t kept = 4;
        constexpr int most_changes = 10;
        Variant best = start;
        std::set<Variables> seen{start.knobs};
        std::vector<Variant> beam{std::move(start)};
        for (int change = 0; change < most_changes && best.distance > 0 && !beam.empty(); ++change) {
            std::vector<Variant> next;
            for (const Variant& variant : beam) {
                each_change([&](const std::string& knob, const Value& value) {
                    Variant changed{variant.preset, variant.knobs, {}, 0};
                    changed.knobs[knob] = value;
                    if (seen.insert(changed.knobs).second && measure(changed, 1) &&
                        changed.distance <= variant.distance) {
                        next.push_back(std::move(changed));
                    }
                });
            }
            std::stable_sort(next.begin(), next.end(),
                             [](const Variant& a, const Variant& b) { return a.distance < b.distance; });
            next.resize(std::min(next.size(), kept));
            beam = std::move(next);
            if (!beam.empty() && beam.front().distance < best.distance) {
                best = beam.front();
            }
        }
        return best;
    }

    template <class Consider> static void each_change(const Consider& consider) {
        for (const char* knob : structural_knobs) {
            for (const std::string& choice : moa::knob_choices(knob)) {
                consider(knob, choice);
            }
        }
        for (const char* flag : structural_flags) {
            consider(flag, true);
            consider(flag, false);
        }
    }

    const Config& config_;
    Variables stored_;
    Signature wanted_;
    std::vector<Schema> schemas_;
};

// ---- which tensor plays which role

// Shapes below each ancestor, to tell modules apart by what is in them.
class Surroundings {
  public:
    explicit Surroundings(const std::vector<Item>& items) {
        for (const Item& item : items) {
            for (int level = 1; level <= levels; ++level) {
                ++below_[parent_of(item.name, level)][item.shape];
            }
        }
    }

    static constexpr int levels = 3;

    // 0 … 1: how alike the contents of two modules are, summed over the levels.
    double likeness(const Item& mine, const Surroundings& others, const Item& other) const {
        double sum = 0;
        for (int level = 1; level <= levels; ++level) {
            const Counts& a = below_.at(parent_of(mine.name, level));
            const Counts& b = others.below_.at(parent_of(other.name, level));
            double shared = 0, all = 0;
            for (const auto& [shape, count] : a) {
                const auto found = b.find(shape);
                const int there = found == b.end() ? 0 : found->second;
                shared += std::min(count, there);
                all += std::max(count, there);
            }
            for (const auto& [shape, count] : b) {
                all += a.contains(shape) ? 0 : count;
            }
            sum += all > 0 ? shared / all : 0;
        }
        return sum / levels;
    }

  private:
    using Counts = std::map<Shape, int>;
    std::map<std::string, Counts> below_;
};

struct Match {
    const Item* tensor = nullptr;
    const Item* role = nullptr;
    bool sure = true;
};

class Matcher {
  public:
    Matcher(const std::vector<Item>& file, const std::vector<Item>& roles, const Checkpoint& checkpoint,
            const Config& config)
        : file_(file), roles_(roles), checkpoint_(checkpoint), config_(config), around_file_(file),
          around_roles_(roles) {}

    std::vector<Match> run() const {
        std::map<std::pair<bool, Shape>, std::pair<std::vector<const Item*>, std::vector<const Item*>>>
            groups;
        for (const Item& item : file_) {
            groups[{item.layered, item.shape}].first.push_back(&item);
        }
        for (const Item& item : roles_) {
            groups[{item.layered, item.shape}].second.push_back(&item);
        }
        std::vector<Match> matches;
        for (const auto& [key, group] : groups) {
            match_group(group.first, group.second, matches);
        }
        return matches;
    }

  private:
    double score(const Item& tensor, const Item& role, double fingerprint) const {
        const std::string leaf = tensor.name.substr(parent_of(tensor.name, 2).size());
        const std::string role_leaf = role.name.substr(parent_of(role.name, 2).size());
        return 4 * around_file_.likeness(tensor, around_roles_, role) + 3 * likeness(tensor.name, role.name) +
               3 * likeness(leaf, role_leaf) + 4 * fingerprint +
               0.5 * (1 - std::abs(tensor.place - role.place));
    }

    void match_group(const std::vector<const Item*>& tensors, const std::vector<const Item*>& roles,
                     std::vector<Match>& matches) const {
        if (tensors.empty() || roles.empty()) {
            return;
        }
        std::vector<std::vector<double>> gain;
        for (const Item* tensor : tensors) {
            const ValueFingerprint values(checkpoint_.tensor(tensor->first));
            gain.emplace_back();
            for (const Item* role : roles) {
                gain.back().push_back(score(*tensor, *role, values.fits(role->role, config_)));
            }
        }
        const std::vector<int> chosen = best_assignment(gain);
        for (std::size_t i = 0; i < tensors.size(); ++i) {
            if (chosen[i] < 0) {
                continue;
            }
            const auto column = static_cast<std::size_t>(chosen[i]);
            double second = -1; // of another role for it that would do nearly as well
            for (std::size_t j = 0; j < roles.size(); ++j) {
                second = j == column ? second : std::max(second, gain[i][j]);
            }
            matches.push_back(
                {tensors[i], roles[column], roles.size() == 1 || gain[i][column] - second > 0.5});
        }
    }

    const std::vector<Item>&file_, &roles_;
    const Checkpoint& checkpoint_;
    const Config& config_;
    Surroundings around_file_, around_roles_;
};

// ---- the draft

Json as_json(const Value& value) {
    return std::visit([](const auto& v) { return Json(v); }, value);
}

Json tensor_json(const Match& match) {
    Json item{{"name", match.tensor->name}, {"role", match.role->role}, {"shape", match.tensor->shape}};
    if (!match.role->component.empty()) {
        item["component"] = match.role->component;
    }
    return item;
}

// Maps from stored to used numbers that the values speak for: alpha, radius and the diagonal metric.
void add_maps(const std::vector<Match>& matches, const Checkpoint& checkpoint, const Config& config,
              Json& knobs, std::vector<std::string>& notes) {
    const std::tuple<const char*, const char*, double> kinds[] = {
        {".alpha", "alpha_map", config.alpha_init},
        {".radius", "radius_map", config.radius_init},
        {".m", "maha_map", config.maha_init},
    };
    for (const auto& [leaf, knob, initial] : kinds) {
        std::vector<double> means;
        double spread = 0;
        for (const Match& match : matches) {
            if (match.role->role.ends_with(leaf)) {
                const ValueFingerprint values(checkpoint.tensor(match.tensor->first));
                means.push_back(values.mean());
                spread = std::max(spread, values.deviation());
            }
        }
        if (means.empty() || knobs.contains(knob)) {
            continue;
        }
        double mean = 0;
        for (const double each : means) {
            mean += each / static_cast<double>(means.size());
        }
        const MapGuess guess = guess_map(mean, initial, spread);
        notes.push_back(
            std::string(knob) + ": the stored values average " + std::to_string(mean) + " and start from " +
            std::to_string(initial) + " in the configuration, which " +
            (guess.sure ? "speaks for '" + guess.map + "'." : "decides nothing; the preset's map stays."));
        if (guess.sure) {
            knobs[knob] = guess.map;
        }
    }
}

} // namespace

SchemaDraft suggest_schema(const Checkpoint& checkpoint) {
    if (checkpoint.config_json().empty()) {
        throw Error(ErrorKind::mismatch,
                    "the checkpoint has no config.json, whose sizes a draft starts from.",
                    {.code = "MOA-CONFIG", .advice = "Put the model's config.json beside its weights."});
    }
    const Config config = Config::parse(checkpoint.config_json());
    const Variables stored = checkpoint.semantics_json().empty()
                                 ? Variables{}
                                 : moa::parse_knobs(checkpoint.semantics_json(), "semantics.json");
    const std::vector<Item> file = items_of(checkpoint, config.num_layers);
    const Variant variant = VariantSearch(config, stored, file).run();
    if (variant.distance > static_cast<int>(file.size() + variant.items.size()) / 2) {
        throw Error(ErrorKind::mismatch,
                    "the shapes fit no variant of the family: of " + std::to_string(file.size()) +
                        " kinds of tensors, " + std::to_string(variant.distance) + " have no counterpart.",
                    {.code = "M-SHAPE", .advice = "See `ergo info` for what the checkpoint holds."});
    }
    std::vector<Match> matches = Matcher(file, variant.items, checkpoint, config).run();
    std::sort(matches.begin(), matches.end(),
              [](const Match& a, const Match& b) { return a.role->place < b.role->place; });

    SchemaDraft draft;
    Json knobs = Json::object();
    for (const Schema& schema : builtin_schemas()) {
        if (schema.name() == variant.preset) {
            for (const auto& [name, value] : schema.knobs()) {
                knobs[name] = as_json(value);
            }
        }
    }
    for (const auto& [name, value] : variant.knobs) {
        knobs[name] = as_json(value);
    }
    if (stored.empty()) {
        add_maps(matches, checkpoint, config, knobs, draft.notes);
    }
    Json layers = Json::array(), rest = Json::array();
    std::set<const Item*> used;
    for (const Match& match : matches) {
        (match.tensor->layered ? layers : rest).push_back(tensor_json(match));
        used.insert(match.tensor);
        used.insert(match.role);
        ++draft.matched;
        if (!match.sure) {
            ++draft.unsure;
            draft.notes.push_back("unsure: " + match.tensor->name + " as " + match.role->role + ".");
        }
    }
    for (const Item& item : file) {
        if (!used.contains(&item)) {
            draft.notes.push_back("left over: " + item.name + " " + to_string(item.shape) + ".");
        }
    }
    for (const Item& item : variant.items) {
        if (!used.contains(&item)) {
            draft.notes.push_back("not found: " + item.role + " " + to_string(item.shape) + ".");
        }
    }
    if (!layers.empty()) {
        rest.insert(rest.begin(), Json{{"for", {{"l", "num_layers"}}}, {"tensors", layers}});
    }
    std::string comment =
        "A draft from shapes, names and values of " + checkpoint.display_name() + "; read it before use.";
    for (const std::string& note : draft.notes) {
        comment += " " + note;
    }
    const Json schema{{"format", "ergosphere-schema"},
                      {"version", 1},
                      {"name", "draft-" + checkpoint.display_name()},
                      {"family", "moa"},
                      {"title", "Draft for " + checkpoint.display_name()},
                      {"comment", comment},
                      {"knobs", knobs},
                      {"tensors", rest}};
    draft.json = schema.dump(1) + "\n";
    return draft;
}

} // namespace ergo
