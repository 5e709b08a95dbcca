// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/synth_qwen2.h"

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/checkpoint/deterministic.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/schema.h"
#include "engine/checkpoint/torch_writer.h"
#include "engine/model/qwen2/config.h"
#include "engine/model/qwen2/masses.h"

#include <algorithm>
#include <cctype>
#include <cmath>

namespace ergo::qwen2 {

namespace {

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

/// The published name that `like` means, whatever its case; "" for none.
std::string known_name(const std::string& like) {
    for (const std::string& name : published_names()) {
        if (lower(name) == lower(like)) {
            return name;
        }
    }
    return {};
}

/// values = offset + scale * u, u uniform with unit variance.
struct Rule {
    double scale = 1, offset = 0;
};

class Numbers {
  public:
    Numbers(const Config& config, bool gravity, std::uint64_t seed)
        : config_(config), gravity_(gravity), seed_(seed) {}

    Rule rule_of(const SchemaTensor& tensor) const {
        const auto ends = [&](const char* ending) { return tensor.role.ends_with(ending); };
        if (tensor.role.find("norm") != std::string::npos) {
            return {0.2, 1};
        }
        if (tensor.role.starts_with("mass:")) {
            return {0.6, 0.5};
        }
        if (tensor.role == "tok.E" || tensor.role == "lm.out") {
            return {std::sqrt(2.0 / static_cast<double>(config_.hidden_size)), 0};
        }
        if (ends(".bias")) {
            return {0.1 * point_scale(tensor.role), 0};
        }
        return {point_scale(tensor.role) / std::sqrt(static_cast<double>(tensor.shape.back())), 0};
    }

    void fill(const SchemaTensor& tensor, std::int64_t first, std::span<float> out) const {
        const HashStream stream(seed_, tensor.name);
        const Rule rule = rule_of(tensor);
        const double scale = rule.scale * std::sqrt(3.0);
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double u = stream.uniform(static_cast<std::uint64_t>(first) + i);
            out[i] = static_cast<float>(rule.offset + scale * u);
        }
    }

  private:
    /// Under gravity queries and keys lie about one apart, where the law tells them apart; under dot products
    /// scores are of order one.
    double point_scale(const std::string& role) const {
        const bool point = role.find(".q.") != std::string::npos || role.find(".k.") != std::string::npos;
        return point && gravity_ ? 0.8 / std::sqrt(static_cast<double>(config_.head_dim)) : 1.0;
    }

    const Config& config_;
    bool gravity_;
    std::uint64_t seed_;
};

std::string masses_of(const SynthRequest& request) {
    std::string where = request.like.empty() ? "none" : "file";
    for (const auto& [knob, value] : request.knobs) {
        if (knob != "masses" || (value != "file" && value != "weights" && value != "none")) {
            throw Error(ErrorKind::usage,
                        "The knob " + printable(knob) + " = " + printable(value) +
                            " means nothing to a Qwen2-class checkpoint.",
                        {.advice = "There is masses = file, weights or none."});
        }
        where = value;
    }
    return where;
}

std::vector<SchemaTensor> tensors_of(const Config& config, bool with_masses) {
    Variables variables = config.variables();
    variables.try_emplace("tie_word_embeddings", false);
    variables["stored_head"] = false;
    const auto schemas = builtin_schemas();
    std::vector<SchemaTensor> claimed = find_schema(schemas, "qwen2").expand(variables);
    for (std::int64_t l = 0; with_masses && l < config.num_hidden_layers; ++l) {
        const std::string name = "model.layers." + std::to_string(l) + ".self_attn.gravity_mass_log";
        claimed.push_back({name, {config.num_attention_heads}, "mass:" + name, "masses"});
    }
    return claimed;
}

void write_text(const std::filesystem::path& path, const std::string& text) {
    AtomicFile file(path);
    file.write(text);
    file.commit();
}

void write_masses(const std::filesystem::path& path, const std::vector<SchemaTensor>& masses,
                  const Numbers& numbers) {
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const SchemaTensor& mass : masses) {
        std::vector<float> values(static_cast<std::size_t>(element_count(mass.shape)));
        numbers.fill(mass, 0, values);
        tensors.emplace_back(mass.name, Tensor::from_floats(mass.shape, std::move(values)));
    }
    write_torch_file(path, tensors);
}

const char* framework_dtype(DType type) {
    return type == DType::f32 ? "float32" : type == DType::bf16 ? "bfloat16" : "float16";
}

} // namespace

bool can_synthesise(const SynthRequest& request) {
    if (!request.like.empty()) {
        return !known_name(request.like).empty();
    }
    const auto at = request.config.find("\"model_type\"");
    return at != std::string::npos && request.config.substr(at, 40).find("\"qwen2\"") != std::string::npos;
}

std::vector<std::string> synth_names() {
    return published_names();
}

void synthesise(const SynthRequest& request, const std::filesystem::path& folder, const Progress& progress,
                const CancelToken& cancel) {
    if (!request.preset.empty() && request.preset != "qwen2") {
        throw Error(ErrorKind::usage, "A Qwen2-class checkpoint has the schema qwen2, not '" +
                                          printable(request.preset) + "'.");
    }
    const Config config =
        request.like.empty() ? Config::parse(request.config) : published_config(known_name(request.like));
    const std::string where = masses_of(request);
    std::vector<SchemaTensor> claimed = tensors_of(config, where == "weights");
    const Numbers numbers(config, where != "none", request.seed);
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed) {
        throw Error(ErrorKind::io, "the folder could not be made: " + failed.message(), {.code = "F-IO"});
    }
    std::vector<MadeTensor> made;
    double total = 0, done = 0;
    for (const SchemaTensor& tensor : claimed) {
        made.push_back({tensor.name, tensor.shape});
        total += static_cast<double>(element_count(tensor.shape));
    }
    write_safetensors(folder / "model.safetensors", made, request.dtype,
                      [&](std::size_t tensor, std::int64_t first, std::span<float> out) {
                          cancel.check();
                          numbers.fill(claimed[tensor], first, out);
                          done += static_cast<double>(out.size());
                          if (progress) {
                              progress(done, total, claimed[tensor].name);
                          }
                      },
                      {{"format", "pt"}});
    write_text(folder / "config.json", config.published(framework_dtype(request.dtype)));
    if (where == "file") {
        claimed = tensors_of(config, true);
        claimed.erase(claimed.begin(), claimed.begin() + static_cast<std::ptrdiff_t>(made.size()));
        write_masses(folder / mass_file, claimed, numbers);
    }
}

} // namespace ergo::qwen2
