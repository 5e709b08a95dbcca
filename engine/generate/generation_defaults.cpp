// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/generation_defaults.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"

#include <nlohmann/json.hpp>

#include <cmath>

namespace ergo {

namespace {

using Json = nlohmann::json;

constexpr const char* file_name = "generation_config.json";

class Reader {
  public:
    Reader(const Json& file, GenerationDefaults& out) : file_(file), out_(out) {}

    // The number at `key` if it lies within [low, high] (low excluded if `above`).
    std::optional<double> number(const char* key, double low, double high, bool above = false) {
        const auto found = file_.find(key);
        if (found == file_.end() || found->is_null()) {
            return std::nullopt;
        }
        const double value = found->is_number() ? found->get<double>() : NAN;
        if (!(above ? value > low : value >= low) || !(value <= high)) {
            out_.warnings.push_back(std::string(file_name) + " has the " + key + " " +
                                    printable(found->dump(), 40) + ", which makes no sense; it is not used.");
            return std::nullopt;
        }
        return value;
    }

    bool flag(const char* key, bool fallback) const {
        const auto found = file_.find(key);
        return found != file_.end() && found->is_boolean() ? found->get<bool>() : fallback;
    }

  private:
    const Json& file_;
    GenerationDefaults& out_;
};

Json parse(std::string_view text, const char* name) {
    check_side_json(text, name);
    const Json file = Json::parse(text, nullptr, false);
    if (!file.is_object()) {
        throw Error(ErrorKind::format, "the file holds no JSON object.", {.code = "F-JSON", .file = name});
    }
    return file;
}

} // namespace

GenerationDefaults read_generation_config(std::string_view text) {
    GenerationDefaults out;
    if (text.empty()) {
        return out;
    }
    const Json file = parse(text, file_name);
    Reader reader(file, out);
    const auto temperature = reader.number("temperature", 0, 100);
    const auto top_k = reader.number("top_k", -1, 1 << 24);
    const auto top_p = reader.number("top_p", 0, 1, true);
    const auto min_p = reader.number("min_p", 0, 0.999999);
    const auto penalty = reader.number("repetition_penalty", 0, 10, true);
    if (const auto most = reader.number("max_new_tokens", 1, 1e9)) {
        out.max_new_tokens = static_cast<std::int64_t>(*most);
    }
    if (file.contains("do_sample") || temperature || top_k || top_p || min_p || penalty) {
        SamplingParams params;
        const bool sample = reader.flag("do_sample", temperature || top_k || top_p || min_p);
        params.temperature = sample ? temperature.value_or(1.0) : 0;
        params.top_k = static_cast<std::int32_t>(std::max(0.0, top_k.value_or(0))); // -1 is off too
        params.top_p = top_p.value_or(1);
        params.min_p = min_p.value_or(0);
        params.repeat_penalty = penalty.value_or(1);
        out.sampling = params;
    }
    return out;
}

GenerationDefaults generation_defaults(const Checkpoint& checkpoint) {
    GenerationDefaults out;
    try {
        out = read_generation_config(checkpoint.side_file(file_name).value_or(""));
    } catch (const Error& error) {
        out.warnings.push_back(error.what());
    }
    return out;
}

std::vector<SamplingPreset> sampling_presets(const std::string& family, const GenerationDefaults& defaults) {
    std::vector<SamplingPreset> presets = sampling_presets(family);
    if (defaults.sampling) {
        presets.insert(presets.begin(),
                       {"Model's own", "As the model's generation_config.json advises.", *defaults.sampling});
    }
    return presets;
}

} // namespace ergo
