// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/moa/config.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"

#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace ergo::moa {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kTokens = 1 << 24, kWidth = 1 << 16, kWide = 1 << 20, kPositions = 1 << 20;
constexpr double kHuge = 1e12;

[[noreturn]] void refuse(const std::string& sentence, ErrorKind kind = ErrorKind::mismatch) {
    throw Error(kind, sentence + ".",
                {.code = "MOA-CONFIG",
                 .file = "config.json",
                 .advice = "Use the config.json that was published with these weights."});
}

/// Calls visit(key, member, smallest, largest) for every key, in the published order. One list serves
/// reading, checking, writing and the schema's variables.
template <class ConfigType, class Visit> void each_key(ConfigType& c, Visit&& visit) {
    visit("vocab_size", c.vocab_size, 1, kTokens);
    visit("dim", c.dim, 2, kWidth);
    visit("num_layers", c.num_layers, 1, 1024);
    visit("attn_heads", c.attn_heads, 1, kWidth);
    visit("mqa_q_heads", c.mqa_q_heads, 1, kWidth);
    visit("lm_attn_heads", c.lm_attn_heads, 1, kWidth);
    visit("lm_mqa_q_heads", c.lm_mqa_q_heads, 1, kWidth);
    visit("mixer_hidden", c.mixer_hidden, 1, kWide);
    visit("lm_mixer_hidden", c.lm_mixer_hidden, 1, kWide);
    visit("ffn_hidden", c.ffn_hidden, 1, kWide);
    visit("lm_ffn_hidden", c.lm_ffn_hidden, 1, kWide);
    visit("ff_mult", c.ff_mult, 1e-3, 64);
    visit("conv_kernel", c.conv_kernel, 1, 1024);
    visit("conv_mult", c.conv_mult, 1e-3, 64);
    visit("lr_rank", c.lr_rank, 1, kWidth);
    visit("r_basis", c.r_basis, 2, 4096);
    visit("router_hidden", c.router_hidden, 1, kWide);
    visit("lm_router_hidden", c.lm_router_hidden, 1, kWide);
    visit("router_topk", c.router_topk, 1, 4);
    visit("router_temperature", c.router_temperature, 1e-6, kHuge);
    visit("lm_router_temperature", c.lm_router_temperature, 1e-6, kHuge);
    visit("n_branches", c.n_branches, 3, 3);
    visit("metric", c.metric, 0, 0);
    visit("alpha_init", c.alpha_init, -kHuge, kHuge);
    visit("maha_init", c.maha_init, -kHuge, kHuge);
    visit("radius_init", c.radius_init, -kHuge, kHuge);
    visit("origin_init_scale", c.origin_init_scale, -kHuge, kHuge);
    visit("learn_alpha", c.learn_alpha, 0, 0);
    visit("learn_radius", c.learn_radius, 0, 0);
    visit("use_balls", c.use_balls, 0, 0);
    visit("energy_amplification", c.energy_amplification, -kHuge, kHuge);
    visit("enable_v_energy", c.enable_v_energy, 0, 0);
    visit("discrepancy_modulation", c.discrepancy_modulation, 0, 0);
    visit("theta_base", c.theta_base, 1e-3, kHuge);
    visit("max_position_embeddings", c.max_position_embeddings, 1, kPositions);
    visit("max_seq_len_cached", c.max_seq_len_cached, 1, kPositions);
    visit("tie_word_embeddings", c.tie_word_embeddings, 0, 0);
    visit("enable_feature_gates", c.enable_feature_gates, 0, 0);
    visit("enable_router_gates", c.enable_router_gates, 0, 0);
    visit("layer_scale_init_value", c.layer_scale_init_value, -kHuge, kHuge);
    visit("window_size", c.window_size, 0, kPositions);
    visit("chunk_size", c.chunk_size, 0, kPositions);
    visit("bos_token_id", c.bos_token_id, -1, kTokens);
    visit("eos_token_id", c.eos_token_id, -1, kTokens);
    visit("pad_token_id", c.pad_token_id, -1, kTokens);
}

/// An alias stands in for an absent primary key.
constexpr std::array<std::array<const char*, 2>, 6> kAliases{{{"hidden_size", "dim"},
                                                              {"num_hidden_layers", "num_layers"},
                                                              {"num_attention_heads", "attn_heads"},
                                                              {"intermediate_size", "ffn_hidden"},
                                                              {"lm_intermediate_size", "lm_ffn_hidden"},
                                                              {"lm_num_attention_heads", "lm_attn_heads"}}};
/// They say nothing about the MQA path, which has one key/value head: only compared.
constexpr std::array<std::array<const char*, 2>, 2> kKeyValueAliases{
    {{"num_key_value_heads", "attn_heads"}, {"lm_num_key_value_heads", "lm_attn_heads"}}};
/// An absent key takes another's value; in this order, so that lm_mqa_q_heads follows a derived mqa_q_heads.
constexpr std::array<std::array<const char*, 2>, 7> kFollows{
    {{"mqa_q_heads", "attn_heads"},
     {"lm_attn_heads", "attn_heads"},
     {"lm_mqa_q_heads", "mqa_q_heads"},
     {"lm_mixer_hidden", "mixer_hidden"},
     {"lm_ffn_hidden", "ffn_hidden"},
     {"lm_router_hidden", "router_hidden"},
     {"lm_router_temperature", "router_temperature"}}};
/// No effect on inference.
constexpr std::array kIgnored{
    "architectures",     "model_type",        "dtype",         "torch_dtype",       "transformers_version",
    "use_cache",         "attn_drop",         "proj_drop",     "lm_proj_drop",      "drop_path",
    "router_dropout",    "lm_router_dropout", "ti_reg_weight", "ti_reg_samples",    "auto_map",
    "initializer_range", "_name_or_path",     "return_dict",   "output_attentions", "output_hidden_states",
    "is_decoder"};
/// Known to exist in the 2025 models, meaning unknown: refused rather than guessed.
constexpr std::array kRefused{"shared_kv_ratio", "router_bias_heads", "router_init_temperature"};

template <class List> bool contains(const List& list, std::string_view key) {
    for (const auto& item : list) {
        if constexpr (std::is_same_v<std::decay_t<decltype(item)>, const char*>) {
            if (key == item) {
                return true;
            }
        } else if (key == item[0]) {
            return true;
        }
    }
    return false;
}

bool is_key(std::string_view key) {
    bool found = false;
    Config c;
    each_key(c, [&](const char* name, auto&, auto, auto) { found = found || key == name; });
    return found;
}

std::string shown(const Json& value) {
    return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

double number(const char* key, const Json& value) {
    if (!value.is_number()) {
        refuse(std::string(key) + " must be a number, it is " + shown(value));
    }
    return value.get<double>();
}

std::int64_t integer(const char* key, const Json& value) {
    const double x = number(key, value);
    if (std::floor(x) != x || std::abs(x) > 9e15) {
        refuse(std::string(key) + " must be an integer, it is " + shown(value));
    }
    return static_cast<std::int64_t>(x);
}

void read(const char* key, std::int64_t& out, const Json& value) {
    out = integer(key, value);
}
void read(const char* key, std::optional<std::int64_t>& out, const Json& value) {
    out = integer(key, value);
}
void read(const char* key, double& out, const Json& value) {
    out = number(key, value);
}
void read(const char* key, bool& out, const Json& value) {
    if (!value.is_boolean()) {
        refuse(std::string(key) + " must be true or false, it is " + shown(value));
    }
    out = value.get<bool>();
}
void read(const char* key, std::string& out, const Json& value) {
    if (!value.is_string()) {
        refuse(std::string(key) + " must be a text, it is " + shown(value));
    }
    out = value.get<std::string>();
}

template <class Bound> std::string text_of(Bound bound) {
    if constexpr (std::is_integral_v<Bound>) {
        return std::to_string(bound);
    } else {
        return Json(bound).dump();
    }
}

template <class Value, class Low, class High>
void check_range(const char* key, const Value& value, Low low, High high) {
    if constexpr (std::is_same_v<Value, std::optional<std::int64_t>>) {
        if (value) {
            check_range(key, *value, low, high);
        }
    } else if constexpr (std::is_same_v<Value, std::int64_t> || std::is_same_v<Value, double>) {
        // Written so that NaN fails.
        if (!(static_cast<double>(value) >= static_cast<double>(low) &&
              static_cast<double>(value) <= static_cast<double>(high))) {
            refuse(std::string(key) + " is " + text_of(value) + "; it must lie in " + text_of(low) + " … " +
                   text_of(high));
        }
    }
}

Json parse_object(std::string_view json) {
    check_side_json(json, "config.json");
    Json raw = Json::parse(json, nullptr, false);
    if (!raw.is_object()) {
        refuse("it is not a JSON object", ErrorKind::format);
    }
    return raw;
}

void check_names(const Json& raw) {
    for (const auto& [key, value] : raw.items()) {
        if (is_key(key) || contains(kAliases, key) || contains(kKeyValueAliases, key) ||
            contains(kIgnored, key)) {
            continue;
        }
        const std::string name = "the key \"" + printable(key, 80) + "\"";
        if (contains(kRefused, key)) {
            refuse(name + " has no known meaning, and running without it could give wrong numbers",
                   ErrorKind::unsupported);
        }
        refuse(name + " is unknown, and a key that is not understood may change the result");
    }
    const auto type = raw.find("model_type");
    if (type != raw.end() && *type != "moa_metric") {
        refuse("model_type is " + shown(*type) + ", not \"moa_metric\"", ErrorKind::unsupported);
    }
}

bool has(const Json& raw, const char* key) {
    const auto found = raw.find(key);
    return found != raw.end() && !found->is_null();
}

/// Moves aliases onto absent primary keys and reports those that disagree.
void apply_aliases(Json& raw, std::vector<std::string>& warnings) {
    for (const auto& [alias, key] : kAliases) {
        if (!has(raw, alias)) {
            continue;
        }
        const Json value = raw[alias];
        if (!has(raw, key)) {
            raw[key] = value;
        } else if (raw[key] != value) {
            warnings.push_back("config.json: " + std::string(alias) + " = " + shown(value) +
                               " disagrees with " + key + " = " + shown(raw[key]) + "; the latter is used");
        }
    }
}

void check_consistency(const Config& c) {
    if (c.metric != "l2" && c.metric != "cosine" && c.metric != "maha_diag") {
        refuse("metric is \"" + printable(c.metric, 60) + "\"; it must be l2, cosine or maha_diag");
    }
    const auto check_heads = [&](const char* key, std::int64_t heads) {
        if (c.dim % heads || (c.dim / heads) % 2) {
            refuse("dim / " + std::string(key) + " must be an even integer, it is " + std::to_string(c.dim) +
                   " / " + std::to_string(heads));
        }
    };
    check_heads("attn_heads", c.attn_heads);
    check_heads("mqa_q_heads", c.mqa_q_heads);
    check_heads("lm_attn_heads", c.lm_attn_heads);
    check_heads("lm_mqa_q_heads", c.lm_mqa_q_heads);
    if (c.r_basis % 2) {
        refuse("r_basis is " + std::to_string(c.r_basis) + "; it must be even");
    }
}

template <class T> Value as_value(const T& value) {
    if constexpr (std::is_same_v<T, double>) {
        // An integral number stays an integer, so that widths computed from it are exact.
        if (std::floor(value) == value && std::abs(value) < 1e15) {
            return static_cast<std::int64_t>(value);
        }
    }
    return value;
}

} // namespace

Config Config::parse(std::string_view json) {
    Json raw = parse_object(json);
    check_names(raw);
    Config c;
    apply_aliases(raw, c.warnings);
    for (const auto& [key, other] : kFollows) {
        if (!has(raw, key) && has(raw, other)) {
            raw[key] = Json(raw[other]);
        }
    }
    each_key(c, [&](const char* key, auto& member, auto low, auto high) {
        if (has(raw, key)) {
            read(key, member, raw[key]);
        } else if (raw.contains(key) && std::strcmp(key, "layer_scale_init_value") == 0) {
            c.layer_scale_init_value = 0; // null means that there are no LayerScale tensors
        }
        check_range(key, member, low, high);
    });
    check_consistency(c);
    for (const auto& [alias, key] : kKeyValueAliases) {
        const auto own = std::strcmp(key, "attn_heads") == 0 ? c.attn_heads : c.lm_attn_heads;
        if (has(raw, alias) && raw[alias] != own) {
            c.warnings.push_back("config.json: " + std::string(alias) + " = " + shown(raw[alias]) +
                                 " differs from " + key + " = " + std::to_string(own) +
                                 "; ignored, MQA has one key/value head");
        }
    }
    return c;
}

Variables Config::variables() const {
    Variables out;
    each_key(*this, [&](const char* key, const auto& member, auto, auto) {
        if constexpr (std::is_same_v<std::decay_t<decltype(member)>, std::optional<std::int64_t>>) {
            if (member) {
                out[key] = *member;
            }
        } else {
            out[key] = as_value(member);
        }
    });
    return out;
}

std::string Config::published() const {
    Json out{
        {"architectures", Json::array({"MoAMetricLM"})}, {"model_type", "moa_metric"}, {"dtype", "float32"}};
    each_key(*this, [&](const char* key, const auto& member, auto, auto) {
        if constexpr (std::is_same_v<std::decay_t<decltype(member)>, std::optional<std::int64_t>>) {
            if (member) {
                out[key] = *member;
            }
        } else {
            out[key] = member;
        }
    });
    return out.dump(1) + "\n";
}

} // namespace ergo::moa
