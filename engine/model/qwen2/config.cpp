// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/qwen2/config.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"

#include <nlohmann/json.hpp>

#include <cmath>

namespace ergo::qwen2 {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kSize = 1 << 20, kLayers = 1024, kTokens = 1 << 24;

[[noreturn]] void refuse(const std::string& sentence, ErrorKind kind = ErrorKind::mismatch,
                         const char* code = "F-CONFIG-VALUE") {
    throw Error(kind, sentence,
                {.code = code,
                 .file = "config.json",
                 .advice = "Use the config.json that was published with these weights."});
}

[[noreturn]] void unsupported(const std::string& what) {
    refuse(what + ", which is not supported.", ErrorKind::unsupported, "F-UNSUPPORTED");
}

std::string shown(const Json& value) {
    return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

/// The value of a key, nullptr when it is absent or null.
const Json* find(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

const Json& required(const Json& object, const char* key) {
    const Json* value = find(object, key);
    if (!value) {
        refuse(std::string("the key \"") + key + "\" is missing.", ErrorKind::mismatch, "F-CONFIG-MISSING");
    }
    return *value;
}

double number(const char* key, const Json& value) {
    if (!value.is_number()) {
        refuse(std::string(key) + " must be a number, it is " + shown(value) + ".");
    }
    return value.get<double>();
}

std::int64_t integer(const char* key, const Json& value, std::int64_t largest = kSize) {
    const double x = number(key, value);
    if (!(x >= 1 && x <= static_cast<double>(largest)) || std::floor(x) != x) {
        refuse(std::string(key) + " must be an integer from 1 to " + std::to_string(largest) + ", it is " +
               shown(value) + ".");
    }
    return static_cast<std::int64_t>(x);
}

bool truth(const char* key, const Json& value) {
    if (!value.is_boolean()) {
        refuse(std::string(key) + " must be true or false, it is " + shown(value) + ".");
    }
    return value.get<bool>();
}

/// Any scaling of the rotation but "default" is another model. `rope` is rope_parameters or rope_scaling.
void check_rope_type(const char* key, const Json& rope) {
    for (const char* name : {"rope_type", "type"}) {
        const Json* type = find(rope, name);
        if (type && (!type->is_string() || *type != "default")) {
            unsupported(std::string(key) + "." + name + " is " + shown(*type));
        }
    }
    const Json* partial = find(rope, "partial_rotary_factor");
    if (partial && (!partial->is_number() || partial->get<double>() != 1)) {
        unsupported(std::string(key) + ".partial_rotary_factor is " + shown(*partial));
    }
}

/// rope_parameters.rope_theta, then rope_theta, then an error: a silent default would write wrong text.
double rope_theta(const Json& raw, std::vector<std::string>& warnings) {
    std::optional<double> newer, older;
    if (const Json* parameters = find(raw, "rope_parameters")) {
        if (!parameters->is_object()) {
            refuse("rope_parameters must be an object, it is " + shown(*parameters) + ".");
        }
        const Json* rope = find(*parameters, "full_attention"); // keyed by layer type
        rope = rope ? rope : parameters;
        if (!rope->is_object()) {
            refuse("rope_parameters.full_attention must be an object, it is " + shown(*rope) + ".");
        }
        check_rope_type("rope_parameters", *rope);
        if (const Json* theta = find(*rope, "rope_theta")) {
            newer = number("rope_parameters.rope_theta", *theta);
        }
    }
    if (const Json* scaling = find(raw, "rope_scaling")) {
        if (!scaling->is_object()) {
            refuse("rope_scaling must be an object, it is " + shown(*scaling) + ".");
        }
        check_rope_type("rope_scaling", *scaling);
    }
    if (const Json* theta = find(raw, "rope_theta")) {
        older = number("rope_theta", *theta);
    }
    if (newer && older && *newer != *older) {
        warnings.push_back("config.json: rope_parameters.rope_theta = " + Json(*newer).dump() +
                           " disagrees with rope_theta = " + Json(*older).dump() + "; the former is used");
    }
    if (!newer && !older) {
        refuse(
            "the base of the rotation is missing: neither \"rope_parameters\" nor \"rope_theta\" gives it.",
            ErrorKind::mismatch, "F-CONFIG-MISSING");
    }
    const double theta = newer ? *newer : *older;
    if (!(theta > 1 && theta < 1e12)) {
        refuse("rope_theta must be greater than 1, it is " + Json(theta).dump() + ".");
    }
    return theta;
}

/// Layers that would attend through a window.
void check_windows(const Json& raw, std::int64_t layers) {
    if (const Json* types = find(raw, "layer_types")) {
        if (!types->is_array() || static_cast<std::int64_t>(types->size()) != layers) {
            refuse("layer_types must list " + std::to_string(layers) + " layers, it is " + shown(*types) +
                   ".");
        }
        for (std::size_t l = 0; l < types->size(); ++l) {
            if ((*types)[l] != "full_attention") {
                unsupported("layer_types says " + shown((*types)[l]) + " for layer " + std::to_string(l));
            }
        }
        return;
    }
    const Json* used = find(raw, "use_sliding_window");
    if (!used || !truth("use_sliding_window", *used) || !find(raw, "sliding_window")) {
        return;
    }
    const Json* first = find(raw, "max_window_layers");
    if (!first || number("max_window_layers", *first) < static_cast<double>(layers)) {
        unsupported("use_sliding_window is true: layers would attend through a window of " +
                    shown(raw["sliding_window"]));
    }
}

void check_heads(const Config& c) {
    if (c.num_attention_heads % c.num_key_value_heads != 0) {
        refuse("num_attention_heads = " + std::to_string(c.num_attention_heads) +
               " does not divide into num_key_value_heads = " + std::to_string(c.num_key_value_heads) + ".");
    }
    if (c.head_dim % 2 != 0) {
        refuse("head_dim = " + std::to_string(c.head_dim) + " is odd and cannot be rotated in pairs.");
    }
    if (c.num_attention_heads * c.head_dim > kSize) {
        refuse("num_attention_heads × head_dim = " + std::to_string(c.num_attention_heads * c.head_dim) +
               " exceeds " + std::to_string(kSize) + ".");
    }
}

std::int64_t head_dim(const Json& raw, const Config& c) {
    if (const Json* stated = find(raw, "head_dim")) {
        return integer("head_dim", *stated);
    }
    if (c.hidden_size % c.num_attention_heads != 0) {
        refuse("hidden_size = " + std::to_string(c.hidden_size) +
               " does not divide into num_attention_heads = " + std::to_string(c.num_attention_heads) +
               ", and there is no head_dim.");
    }
    return c.hidden_size / c.num_attention_heads;
}

} // namespace

Config Config::parse(std::string_view json) {
    check_side_json(json, "config.json");
    const Json raw = Json::parse(json, nullptr, false);
    if (!raw.is_object()) {
        refuse("it is not a JSON object.", ErrorKind::format, "F-JSON");
    }
    if (const Json* quantised = find(raw, "quantization_config")) {
        const Json* method = quantised->is_object() ? find(*quantised, "quant_method") : nullptr;
        unsupported("the weights are quantised (quantization_config" +
                    (method ? ": " + shown(*method) : std::string()) + ")");
    }
    if (const Json* act = find(raw, "hidden_act"); act && *act != "silu") {
        unsupported("hidden_act is " + shown(*act));
    }
    Config c;
    if (const Json* type = find(raw, "model_type"); type && type->is_string()) {
        c.model_type = type->get<std::string>();
    }
    c.vocab_size = integer("vocab_size", required(raw, "vocab_size"), kTokens);
    c.hidden_size = integer("hidden_size", required(raw, "hidden_size"));
    c.intermediate_size = integer("intermediate_size", required(raw, "intermediate_size"));
    c.num_hidden_layers = integer("num_hidden_layers", required(raw, "num_hidden_layers"), kLayers);
    c.num_attention_heads = integer("num_attention_heads", required(raw, "num_attention_heads"));
    const Json* key_heads = find(raw, "num_key_value_heads");
    c.num_key_value_heads = key_heads ? integer("num_key_value_heads", *key_heads) : c.num_attention_heads;
    c.head_dim = qwen2::head_dim(raw, c);
    check_heads(c);
    if (const Json* positions = find(raw, "max_position_embeddings")) {
        c.max_position_embeddings = integer("max_position_embeddings", *positions, kTokens);
    }
    c.rms_norm_eps = number("rms_norm_eps", required(raw, "rms_norm_eps"));
    if (!(c.rms_norm_eps > 0 && c.rms_norm_eps < 1)) {
        refuse("rms_norm_eps must lie between 0 and 1, it is " + shown(raw["rms_norm_eps"]) + ".");
    }
    if (const Json* tied = find(raw, "tie_word_embeddings")) {
        c.tie_word_embeddings = truth("tie_word_embeddings", *tied);
    }
    c.rope_theta = qwen2::rope_theta(raw, c.warnings);
    check_windows(raw, c.num_hidden_layers);
    if (find(raw, "auto_map")) {
        c.warnings.push_back("config.json asks for program code (auto_map); it is never executed");
    }
    return c;
}

Variables Config::variables() const {
    Variables out{{"vocab_size", vocab_size},
                  {"hidden_size", hidden_size},
                  {"intermediate_size", intermediate_size},
                  {"num_hidden_layers", num_hidden_layers},
                  {"num_attention_heads", num_attention_heads},
                  {"num_key_value_heads", num_key_value_heads},
                  {"head_dim", head_dim},
                  {"max_position_embeddings", max_position_embeddings},
                  {"rope_theta", rope_theta},
                  {"rms_norm_eps", rms_norm_eps}};
    if (tie_word_embeddings) {
        out["tie_word_embeddings"] = *tie_word_embeddings;
    }
    return out;
}

std::string Config::published(const std::string& dtype) const {
    Json out{{"architectures", Json::array({"Qwen2ForCausalLM"})},
             {"model_type", "qwen2"},
             {"dtype", dtype},
             {"hidden_act", "silu"},
             {"hidden_size", hidden_size},
             {"intermediate_size", intermediate_size},
             {"num_hidden_layers", num_hidden_layers},
             {"num_attention_heads", num_attention_heads},
             {"num_key_value_heads", num_key_value_heads},
             {"head_dim", head_dim},
             {"vocab_size", vocab_size},
             {"max_position_embeddings", max_position_embeddings},
             {"rms_norm_eps", rms_norm_eps},
             {"rope_parameters", Json{{"rope_theta", rope_theta}, {"rope_type", "default"}}},
             {"layer_types", Json(static_cast<std::size_t>(num_hidden_layers), "full_attention")},
             {"tie_word_embeddings", tie_word_embeddings.value_or(false)},
             {"use_sliding_window", false},
             {"sliding_window", nullptr}};
    if (vocab_size > 151645) { // the published vocabulary
        out["bos_token_id"] = 151643;
        out["eos_token_id"] = 151645;
    }
    return out.dump(1) + "\n";
}

std::vector<std::string> published_names() {
    return {"Gravity-2"};
}

Config published_config(const std::string& name) {
    if (name != "Gravity-2") {
        throw Error(ErrorKind::usage, "No Qwen2-class model is published as '" + printable(name) + "'.",
                    {.advice = "There is Gravity-2."});
    }
    Config c;
    c.vocab_size = 151936;
    c.hidden_size = 2048;
    c.intermediate_size = 11008;
    c.num_hidden_layers = 36;
    c.num_attention_heads = 16;
    c.num_key_value_heads = 2;
    c.head_dim = 128;
    c.max_position_embeddings = 131072;
    c.rope_theta = 1e6;
    c.tie_word_embeddings = true;
    return c;
}

} // namespace ergo::qwen2
