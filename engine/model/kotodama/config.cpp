// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/kotodama/config.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace ergo::kotodama {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kTokens = 1 << 24, kWidth = 1 << 16, kWide = 1 << 20, kPositions = 1 << 20;
constexpr std::int64_t kLayers = 1024;
constexpr std::size_t kMostBoundaries = 63; // a depth route mixes at most 64 sources

[[noreturn]] void refuse(const std::string& sentence, const std::string& advice = {},
                         ErrorKind kind = ErrorKind::mismatch) {
    throw Error(kind, sentence, {.code = "KOTODAMA-CONFIG", .advice = advice});
}

/// Calls visit(key, member, smallest, largest) for every whole number.
template <class ConfigType, class Visit> void each_size(ConfigType& c, Visit&& visit) {
    visit("hidden_size", c.hidden_size, 1, kWidth);
    visit("num_layers", c.num_layers, 1, kLayers);
    visit("num_attention_heads", c.num_attention_heads, 1, kWidth);
    visit("num_kv_heads", c.num_kv_heads, 1, kWidth);
    visit("head_dim", c.head_dim, 1, kWidth);
    visit("intermediate_size", c.intermediate_size, 1, kWide);
    visit("vocab_size", c.vocab_size, 1, kTokens);
    visit("max_position_embeddings", c.max_position_embeddings, 1, kPositions);
}

/// Names of the same in configurations of other programs; the published key wins.
constexpr std::array<std::array<const char*, 2>, 3> kAliases{{{"num_hidden_layers", "num_layers"},
                                                              {"num_key_value_heads", "num_kv_heads"},
                                                              {"rms_norm_eps", "norm_eps"}}};
constexpr std::array kOthers{"rope_theta",          "norm_eps", "qk_norm",
                             "tie_word_embeddings", "attn_res", "attn_res_boundaries"};
/// No effect on inference.
constexpr std::array kIgnored{"model_type",     "architectures",     "dtype",         "torch_dtype",
                              "use_cache",      "z_loss_weight",     "bos_token_id",  "eos_token_id",
                              "pad_token_id",   "initializer_range", "_name_or_path", "transformers_version",
                              "attention_bias", "mlp_bias",          "hidden_act"};

template <class List> bool contains(const List& list, std::string_view key) {
    return std::any_of(list.begin(), list.end(), [&](const char* item) { return key == item; });
}

std::string shown(const Json& value) {
    return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

std::string listed(const std::vector<std::int64_t>& values) {
    std::string out;
    for (const std::int64_t value : values) {
        out += (out.empty() ? "" : ", ") + std::to_string(value);
    }
    return out;
}

/// One source of keys: config.json or the knobs of the command line.
class Keys {
  public:
    Keys(Json values, std::string where) : values_(std::move(values)), where_(std::move(where)) {
        for (const auto& [alias, key] : kAliases) {
            const auto found = values_.find(alias);
            if (found != values_.end() && !values_.contains(key)) {
                values_[key] = *found;
            }
        }
    }

    const Json* find(const char* key) const {
        const auto found = values_.find(key);
        return found == values_.end() || found->is_null() ? nullptr : &*found;
    }

    [[noreturn]] void fail(const std::string& key, const std::string& must) const {
        refuse(where_ + ": " + key + " must be " + must + ", it is " + shown(values_.at(key)));
    }

    std::optional<std::int64_t> size(const char* key, std::int64_t low, std::int64_t high) const {
        const Json* value = find(key);
        if (!value) {
            return {};
        }
        const double x = value->is_number() ? value->get<double>() : -1;
        if (std::floor(x) != x || x < static_cast<double>(low) || x > static_cast<double>(high)) {
            fail(key, "a whole number in " + std::to_string(low) + " … " + std::to_string(high));
        }
        return static_cast<std::int64_t>(x);
    }

    std::optional<double> number(const char* key, double low, double high) const {
        const Json* value = find(key);
        if (!value) {
            return {};
        }
        const double x = value->is_number() ? value->get<double>() : NAN;
        if (!(x >= low && x <= high)) {
            fail(key, "a number in " + Json(low).dump() + " … " + Json(high).dump());
        }
        return x;
    }

    std::optional<bool> flag(const char* key) const {
        const Json* value = find(key);
        if (!value) {
            return {};
        }
        if (!value->is_boolean()) {
            fail(key, "true or false");
        }
        return value->get<bool>();
    }

    std::optional<std::vector<std::int64_t>> list(const char* key) const {
        const Json* value = find(key);
        if (!value) {
            return {};
        }
        std::vector<std::int64_t> out;
        for (const Json& each : *value) {
            if (!value->is_array() || !each.is_number_integer() || each.get<double>() < 0 ||
                each.get<double>() >= kLayers || value->size() > kLayers) {
                fail(key, "a list of layer numbers");
            }
            out.push_back(each.get<std::int64_t>());
        }
        if (!value->is_array()) {
            fail(key, "a list of layer numbers");
        }
        std::sort(out.begin(), out.end());
        out.erase(std::unique(out.begin(), out.end()), out.end());
        return out;
    }

    void list_unknown(std::vector<std::string>& warnings) const {
        Config sizes;
        for (const auto& [key, value] : values_.items()) {
            bool known = contains(kOthers, key) || contains(kIgnored, key);
            each_size(sizes,
                      [&, &key = key](const char* name, auto&, auto, auto) { known = known || key == name; });
            for (const auto& [alias, of] : kAliases) {
                known = known || key == alias;
            }
            if (!known) {
                warnings.push_back(where_ + ": the key \"" + printable(key, 80) +
                                   "\" is not known to this family and was not used");
            }
        }
    }

  private:
    Json values_;
    std::string where_;
};

Keys parse_keys(std::string_view json, const std::string& where) {
    const std::string_view text = json.empty() ? "{}" : json;
    check_side_json(text, where);
    Json raw = Json::parse(text, nullptr, false);
    if (!raw.is_object()) {
        refuse(where + ": it is not a JSON object", {}, ErrorKind::format);
    }
    return {std::move(raw), where};
}

Keys knob_keys(const std::map<std::string, std::string>& knobs) {
    Json object = Json::object();
    for (const auto& [name, text] : knobs) {
        object[name] = Json::parse(text, nullptr, false);
        if (object[name].is_discarded()) {
            refuse("knob." + printable(name) + " has the value " + printable(text, 60) +
                       ", which is not JSON",
                   {}, ErrorKind::usage);
        }
    }
    Keys keys(std::move(object), "settings");
    std::vector<std::string> unknown;
    keys.list_unknown(unknown);
    if (!unknown.empty()) {
        refuse(unknown.front(), "The knobs of this family are the keys of its config.json.",
               ErrorKind::usage);
    }
    return keys;
}

void check_consistency(const Config& c) {
    if (c.num_attention_heads % c.num_kv_heads) {
        refuse("num_attention_heads " + std::to_string(c.num_attention_heads) +
               " does not divide into num_kv_heads " + std::to_string(c.num_kv_heads));
    }
    if (c.head_dim % 2) {
        refuse("head_dim is " + std::to_string(c.head_dim) + "; rotated heads have an even width");
    }
    if (!c.attn_res_boundaries.empty() && c.attn_res_boundaries.back() >= c.num_layers) {
        refuse("attn_res_boundaries names layer " + std::to_string(c.attn_res_boundaries.back()) +
               ", but there are " + std::to_string(c.num_layers) + " layers, numbered from 0");
    }
    if (c.attn_res_boundaries.size() > kMostBoundaries) {
        refuse("attn_res_boundaries has " + std::to_string(c.attn_res_boundaries.size()) +
                   " layers; at most " + std::to_string(kMostBoundaries) + " are supported",
               {}, ErrorKind::unsupported);
    }
}

/// What no shape tells: the keys given, else the published values, which are then said to be assumed.
void settle(Config& c, const Keys& config, const Keys& knobs) {
    const auto either = [&](auto read) {
        auto value = read(knobs);
        return value ? value : read(config);
    };
    const auto note = [&](const char* key, bool given) {
        if (!given) {
            c.assumed.emplace_back(key);
        }
    };
    const auto positions =
        either([](const Keys& k) { return k.size("max_position_embeddings", 1, kPositions); });
    note("max_position_embeddings", positions.has_value());
    c.max_position_embeddings = positions.value_or(c.max_position_embeddings);
    const auto theta = either([](const Keys& k) { return k.number("rope_theta", 1e-3, 1e12); });
    note("rope_theta", theta.has_value());
    c.rope_theta = theta.value_or(c.rope_theta);
    c.norm_eps = either([](const Keys& k) { return k.number("norm_eps", 0, 1); }).value_or(c.norm_eps);
    if (!either([](const Keys& k) { return k.flag("attn_res"); }).value_or(true)) {
        refuse("attn_res is false: a model without block attention residuals is another architecture", {},
               ErrorKind::unsupported);
    }
    const auto boundaries = either([](const Keys& k) { return k.list("attn_res_boundaries"); });
    note("attn_res_boundaries", boundaries.has_value());
    if (!boundaries && c.num_layers != Config().num_layers) {
        refuse("the depth-routing boundaries are not stored in the file, and none are published for " +
                   std::to_string(c.num_layers) + " layers",
               "Give \"attn_res_boundaries\" (the layers that begin a block) in a config.json beside the "
               "weights, or --set knob.attn_res_boundaries=[0,…].");
    }
    c.attn_res_boundaries = boundaries.value_or(c.attn_res_boundaries);
    config.list_unknown(c.warnings);
    check_consistency(c);
}

/// Sizes as the tensors show them; absent where the tensor is.
class Shapes {
  public:
    explicit Shapes(const Checkpoint& checkpoint) : checkpoint_(checkpoint) { layers_ = count_layers(); }

    std::optional<std::int64_t> axis(const std::string& name, std::size_t rank, std::size_t which) const {
        const auto found = checkpoint_.tensors().find(name);
        const Shape* shape = found != checkpoint_.tensors().end() ? &found->second.shape() : nullptr;
        return shape && shape->size() == rank && (*shape)[which] > 0 ? std::optional((*shape)[which])
                                                                     : std::nullopt;
    }

    /// Of the first layer that has the tensor.
    std::optional<std::int64_t> layer_axis(const std::string& name, std::size_t rank) const {
        for (std::int64_t l = 0; l < layers_; ++l) {
            if (const auto found = axis("layers." + std::to_string(l) + "." + name, rank, 0)) {
                return found;
            }
        }
        return {};
    }
    std::int64_t layers() const { return layers_; }
    bool has(const std::string& name) const { return checkpoint_.has(name); }

  private:
    std::int64_t count_layers() const {
        std::int64_t count = 0;
        for (const std::string& name : checkpoint_.order()) {
            if (!name.starts_with("layers.")) {
                continue;
            }
            const std::size_t dot = name.find('.', 7);
            const std::string digits = dot == std::string::npos ? "" : name.substr(7, dot - 7);
            if (!digits.empty() && digits.size() < 5 &&
                std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
                count = std::max<std::int64_t>(count, std::stoi(digits) + 1);
            }
        }
        return count;
    }

    const Checkpoint& checkpoint_;
    std::int64_t layers_ = 0;
};

/// The value of a size: what a knob or config.json says must agree with what the tensors show.
std::int64_t agreed(const char* key, std::optional<std::int64_t> said, std::optional<std::int64_t> seen,
                    const std::string& tensor) {
    if (said && seen && *said != *seen) {
        refuse(std::string(key) + " is given as " + std::to_string(*said) + ", but " + tensor + " says " +
                   std::to_string(*seen),
               "Correct or remove the config.json beside the weights.");
    }
    if (!said && !seen) {
        refuse(std::string(key) + " cannot be told: there is no usable tensor " + tensor,
               std::string("Give \"") + key + "\" in a config.json beside the weights.");
    }
    return said ? *said : *seen;
}

} // namespace

bool Config::is_boundary(std::int64_t layer) const {
    return std::binary_search(attn_res_boundaries.begin(), attn_res_boundaries.end(), layer);
}

Variables Config::variables() const {
    Variables out;
    each_size(*this, [&](const char* key, std::int64_t value, auto, auto) { out[key] = value; });
    out["qk_norm"] = qk_norm;
    out["tie_word_embeddings"] = tie_word_embeddings;
    return out;
}

std::map<std::string, std::string> Config::settings() const {
    std::map<std::string, std::string> out;
    each_size(*this,
              [&](const char* key, std::int64_t value, auto, auto) { out[key] = std::to_string(value); });
    out["rope_theta"] = Json(rope_theta).dump();
    out["norm_eps"] = Json(norm_eps).dump();
    out["qk_norm"] = qk_norm ? "true" : "false";
    out["tie_word_embeddings"] = tie_word_embeddings ? "true" : "false";
    out["attn_res_boundaries"] = listed(attn_res_boundaries);
    for (const std::string& key : assumed) {
        out[key] += " (assumed)";
    }
    return out;
}

std::string Config::published() const {
    Json out{{"model_type", "kotodama"}};
    each_size(*this, [&](const char* key, std::int64_t value, auto, auto) { out[key] = value; });
    out["rope_theta"] = rope_theta;
    out["qk_norm"] = qk_norm;
    out["tie_word_embeddings"] = tie_word_embeddings;
    out["attn_res"] = true;
    out["attn_res_boundaries"] = attn_res_boundaries;
    if (norm_eps != Config().norm_eps) {
        out["norm_eps"] = norm_eps;
    }
    return out.dump(2) + "\n";
}

bool is_config(std::string_view json) {
    if (!is_sound_json(json)) {
        return false;
    }
    const Json raw = Json::parse(json, nullptr, false);
    if (!raw.is_object()) {
        return false;
    }
    const auto type = raw.find("model_type");
    return type != raw.end() ? *type == "kotodama"
                             : raw.contains("attn_res") || raw.contains("attn_res_boundaries");
}

Config parse_config(std::string_view json) {
    const Keys keys = parse_keys(json, "config.json");
    Config c;
    each_size(c, [&](const char* key, std::int64_t& value, std::int64_t low, std::int64_t high) {
        value = keys.size(key, low, high).value_or(value);
    });
    c.qk_norm = keys.flag("qk_norm").value_or(c.qk_norm);
    c.tie_word_embeddings = keys.flag("tie_word_embeddings").value_or(c.tie_word_embeddings);
    settle(c, keys, Keys(Json::object(), "settings"));
    return c;
}

Config read_config(const Checkpoint& checkpoint, const std::map<std::string, std::string>& knobs) {
    const Keys config = parse_keys(checkpoint.config_json(), "config.json");
    const Keys set = knob_keys(knobs);
    const Shapes shapes(checkpoint);
    Config c;
    const auto said = [&](const char* key, std::int64_t high) {
        const auto value = set.size(key, 1, high);
        return value ? value : config.size(key, 1, high);
    };
    const std::string embedding = "embed_tokens.weight";
    c.vocab_size = agreed("vocab_size", said("vocab_size", kTokens), shapes.axis(embedding, 2, 0), embedding);
    c.hidden_size =
        agreed("hidden_size", said("hidden_size", kWidth), shapes.axis(embedding, 2, 1), embedding);
    // A layer too few or too many is the fit report's to list.
    c.num_layers = said("num_layers", kLayers).value_or(shapes.layers());
    if (c.num_layers < 1 || c.num_layers > kLayers) {
        refuse("num_layers cannot be told: the tensors are of " + std::to_string(c.num_layers) + " layers");
    }
    const auto query_norm = shapes.layer_axis("attn.q_norm.weight", 1);
    const auto query_rows = shapes.layer_axis("attn.q_proj.weight", 2);
    c.qk_norm = config.flag("qk_norm").value_or(query_norm.has_value());
    c.tie_word_embeddings = config.flag("tie_word_embeddings").value_or(!shapes.has("lm_head.weight"));
    const auto said_heads = said("num_attention_heads", kWidth);
    const bool counted = !query_norm && query_rows && said_heads; // without query norms the heads tell
    c.head_dim = agreed("head_dim", said("head_dim", kWidth),
                        counted ? std::optional(*query_rows / *said_heads) : query_norm,
                        "layers.{l}.attn.q_norm.weight");
    const auto heads = [&](const char* key, const char* tensor) {
        const auto seen = shapes.layer_axis(tensor, 2);
        if (seen && (*seen % c.head_dim || *seen < c.head_dim)) {
            refuse(std::string("layers.{l}.") + tensor + " has " + std::to_string(*seen) +
                   " rows, which are no whole heads of " + std::to_string(c.head_dim));
        }
        return agreed(key, said(key, kWidth), seen ? std::optional(*seen / c.head_dim) : seen,
                      std::string("layers.{l}.") + tensor);
    };
    c.num_attention_heads = heads("num_attention_heads", "attn.q_proj.weight");
    c.num_kv_heads = heads("num_kv_heads", "attn.k_proj.weight");
    c.intermediate_size =
        agreed("intermediate_size", said("intermediate_size", kWide),
               shapes.layer_axis("ffn.gate_proj.weight", 2), "layers.{l}.ffn.gate_proj.weight");
    settle(c, config, set);
    return c;
}

} // namespace ergo::kotodama
