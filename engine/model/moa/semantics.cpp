// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/moa/semantics.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <sstream>
#include <type_traits>

namespace ergo::moa {

namespace {

using Json = nlohmann::ordered_json;

struct Range {
    double low = 0, high = 0;
};

constexpr const char* kActivations = "silu gelu gelu_tanh relu identity";
constexpr const char* kMaps = "raw exp softplus square";

/// Calls visit(name, member, allowed) for every knob: `allowed` is the list of texts, or the range of a
/// number.
template <class SemanticsType, class Visit> void each_knob(SemanticsType& s, Visit&& visit) {
    visit("score_scale", s.score_scale, "inv_sqrt_d one");
    visit("cosine_scale", s.cosine_scale, "same one sqrt_d");
    visit("alpha_map", s.alpha_map, kMaps);
    visit("maha_map", s.maha_map, kMaps);
    visit("maha_order", s.maha_order, "after before");
    visit("distance_form", s.distance_form, "expanded direct");
    visit("radius_map", s.radius_map, kMaps);
    visit("ball_mode", s.ball_mode, "hard soft off");
    visit("ball_test", s.ball_test, "keys pairs");
    visit("ball_metric", s.ball_metric, "euclidean metric");
    visit("ball_space", s.ball_space, "rotated unrotated");
    visit("ball_softness", s.ball_softness, Range{0, 1e12});
    visit("ball_fallback", s.ball_fallback, "unpruned self zero");
    visit("mqa_kv", s.mqa_kv, "tied split");
    visit("mqa_params", s.mqa_params, "shared per_head");
    visit("qkv_bias", s.qkv_bias, Range{});
    visit("out_proj", s.out_proj, Range{});
    visit("updown", s.updown, "gated plain gate_d none");
    visit("updown_mult", s.updown_mult, Range{1e-3, 64});
    visit("conv_kind", s.conv_kind, "dw_pw pw_dw_pw dw");
    visit("channel_mix", s.channel_mix, "gate_d swiglu plain");
    visit("conv_bias", s.conv_bias, Range{});
    visit("mlp_bias", s.mlp_bias, Range{});
    visit("router_kind", s.router_kind, "mlp linear");
    visit("router_bias", s.router_bias, Range{});
    visit("router_renormalise", s.router_renormalise, Range{});
    visit("router_gate", s.router_gate, "mlp linear const none");
    visit("router_gate_bound", s.router_gate_bound, "tanh none");
    visit("feature_gate", s.feature_gate,
          "const_vector const_scalar linear_scalar mlp_scalar linear_vector none");
    visit("hyperffn", s.hyperffn, "after_stack per_block shared_each_block none");
    visit("hyper_conv", s.hyper_conv, "glu_dw_pw pw_dw_pw dw_pw");
    visit("hyper_lowrank", s.hyper_lowrank, "gate_d gate_r plain");
    visit("hyper_router", s.hyper_router, "linear mlp");
    visit("hyper_topk", s.hyper_topk, Range{1, 3});
    visit("hyper_temperature", s.hyper_temperature, Range{1e-6, 1e12});
    visit("lm_head", s.lm_head, "moa linear");
    visit("lm_pre_norm", s.lm_pre_norm, Range{});
    visit("lm_residual_mix", s.lm_residual_mix, Range{});
    visit("lm_ffn_width", s.lm_ffn_width, "plus_mixer lm_ffn_hidden none");
    visit("lm_ffn_norm", s.lm_ffn_norm, Range{});
    visit("lm_residual_ffn", s.lm_residual_ffn, Range{});
    visit("lm_out_norm", s.lm_out_norm, Range{});
    visit("rope_source", s.rope_source, "synth tables plain none");
    visit("rope_pairing", s.rope_pairing, "half interleaved");
    visit("rope_params", s.rope_params, "full coefs none");
    visit("phase", s.phase, Range{});
    visit("v_energy", s.v_energy, Range{});
    visit("discrepancy", s.discrepancy, "coef off");
    visit("basis_period", s.basis_period, Range{0, 1e9});
    visit("energy_min", s.energy_min, Range{-1e12, 1e12});
    visit("energy_max", s.energy_max, Range{-1e12, 1e12});
    visit("norm", s.norm, "layernorm rmsnorm");
    visit("norm_eps", s.norm_eps, Range{0, 1});
    visit("layer_scale", s.layer_scale, "per_part vector none");
    visit("act_conv", s.act_conv, kActivations);
    visit("act_mix", s.act_mix, kActivations);
    visit("act_updown", s.act_updown, kActivations);
    visit("act_swiglu", s.act_swiglu, kActivations);
    visit("act_router", s.act_router, kActivations);
    visit("act_lowrank", s.act_lowrank, "identity silu gelu gelu_tanh relu");
    visit("use_window", s.use_window, Range{});
}

std::vector<std::string> words(const char* list) {
    std::istringstream in(list);
    std::vector<std::string> out;
    for (std::string word; in >> word;) {
        out.push_back(word);
    }
    return out;
}

std::string joined(const std::vector<std::string>& list) {
    std::string out;
    for (const std::string& each : list) {
        out += (out.empty() ? "" : ", ") + each;
    }
    return out;
}

[[noreturn]] void refuse(const std::string& origin, const std::string& name, const std::string& found,
                         const std::string& allowed) {
    throw Error(ErrorKind::usage, origin + ": knob " + name + " is " + found + "; allowed: " + allowed,
                {.code = "MOA-KNOB"});
}

struct KnobSetter {
    const std::string& origin;
    const Value& value;

    std::string found() const { return printable(to_string(value), 60); }

    void operator()(const char* name, std::string& member, const char* allowed) const {
        const auto choices = words(allowed);
        const auto* text = std::get_if<std::string>(&value);
        if (!text || std::find(choices.begin(), choices.end(), *text) == choices.end()) {
            refuse(origin, name, found(), joined(choices));
        }
        member = *text;
    }
    void operator()(const char* name, bool& member, Range) const {
        const auto* flag = std::get_if<bool>(&value);
        if (!flag) {
            refuse(origin, name, found(), "true, false");
        }
        member = *flag;
    }
    void operator()(const char* name, double& member, Range range) const { member = real(name, range); }
    void operator()(const char* name, std::optional<double>& member, Range range) const {
        member = real(name, range);
    }
    void operator()(const char* name, std::int64_t& member, Range range) const {
        const double x = real(name, range);
        if (std::floor(x) != x) {
            refuse(origin, name, found(), "an integer");
        }
        member = static_cast<std::int64_t>(x);
    }
    double real(const char* name, Range range) const {
        const auto* whole = std::get_if<std::int64_t>(&value);
        const auto* fraction = std::get_if<double>(&value);
        const double x = whole ? static_cast<double>(*whole) : fraction ? *fraction : std::nan("");
        if (!(x >= range.low && x <= range.high)) {
            refuse(origin, name, found(),
                   "a number in " + Json(range.low).dump() + " … " + Json(range.high).dump());
        }
        return x;
    }
};

Value value_of(const std::string& name, const Json& json, const std::string& origin) {
    if (json.is_string()) {
        return json.get<std::string>();
    }
    if (json.is_boolean()) {
        return json.get<bool>();
    }
    if (json.is_number_integer() &&
        (!json.is_number_unsigned() || json.get<std::uint64_t>() < (1ull << 62))) {
        return json.get<std::int64_t>();
    }
    if (json.is_number()) {
        return json.get<double>();
    }
    throw Error(ErrorKind::format,
                origin + ": knob " + printable(name, 60) + " must be a text, a number or true/false",
                {.code = "MOA-KNOB"});
}

} // namespace

void Semantics::apply(const Variables& knobs, const std::string& origin) {
    for (const auto& knob : knobs) {
        const std::string& key = knob.first;
        const Value& value = knob.second;
        bool known = false;
        each_knob(*this, [&](const char* name, auto& member, auto allowed) {
            if (key == name) {
                known = true;
                KnobSetter{origin, value}(name, member, allowed);
            }
        });
        if (!known) {
            std::vector<std::string> names;
            each_knob(*this, [&](const char* name, auto&, auto) { names.emplace_back(name); });
            throw Error(ErrorKind::usage,
                        origin + ": there is no knob \"" + printable(key, 60) + "\"; knobs are " +
                            joined(names),
                        {.code = "MOA-KNOB"});
        }
    }
}

void Semantics::validate(const Config& config) const {
    const auto refuse_pair = [](const std::string& sentence) {
        throw Error(ErrorKind::usage, sentence, {.code = "MOA-KNOB"});
    };
    if (rope_source == "tables" && rope_params != "full") {
        refuse_pair("rope_source = tables needs rope_params = full, it is " + rope_params);
    }
    if (rope_source == "synth" && rope_params == "none") {
        refuse_pair("rope_source = synth needs coefficients, but rope_params is none");
    }
    if (ball_metric == "metric" && config.metric == "cosine") {
        refuse_pair("ball_metric = metric is undefined for the cosine metric");
    }
    if (energy_min > energy_max) {
        refuse_pair("energy_min is larger than energy_max");
    }
}

Variables Semantics::variables() const {
    Variables out;
    each_knob(*this, [&](const char* name, const auto& member, auto) {
        if constexpr (std::is_same_v<std::decay_t<decltype(member)>, std::optional<double>>) {
            if (member) {
                out[name] = *member;
            }
        } else {
            out[name] = member;
        }
    });
    return out;
}

std::string Semantics::json() const {
    Json out = Json::object();
    each_knob(*this, [&](const char* name, const auto& member, auto) {
        if constexpr (std::is_same_v<std::decay_t<decltype(member)>, std::optional<double>>) {
            out[name] = member ? Json(*member) : Json(nullptr);
        } else {
            out[name] = member;
        }
    });
    return out.dump(1) + "\n";
}

Variables parse_knobs(std::string_view json, const std::string& origin) {
    check_side_json(json, origin);
    const Json object = Json::parse(json, nullptr, false);
    if (!object.is_object()) {
        throw Error(ErrorKind::format, origin + ": it is not a JSON object of knobs", {.code = "MOA-KNOB"});
    }
    Variables out;
    for (const auto& [name, value] : object.items()) {
        if (!value.is_null()) {
            out[name] = value_of(name, value, origin);
        }
    }
    return out;
}

Variables parse_knobs(const std::map<std::string, std::string>& settings) {
    Variables out;
    for (const auto& [name, text] : settings) {
        const Json value = Json::parse(text, nullptr, false);
        if (value.is_null() && !value.is_discarded()) {
            continue;
        }
        out[name] = value.is_discarded() ? Value(text) : value_of(name, value, "settings");
    }
    return out;
}

std::vector<std::string> knob_choices(const std::string& knob) {
    std::vector<std::string> out;
    Semantics s;
    each_knob(s, [&](const char* name, auto&, auto allowed) {
        if constexpr (std::is_same_v<decltype(allowed), const char*>) {
            if (knob == name) {
                out = words(allowed);
            }
        }
    });
    return out;
}

} // namespace ergo::moa
