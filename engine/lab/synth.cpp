// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/synth.h"

#include "engine/base/error.h"
#include "engine/checkpoint/deterministic.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/schema.h"
#include "engine/lab/synth_kotodama.h"
#include "engine/lab/synth_qwen2.h"
#include "engine/lab/synth_tensor.h"
#include "engine/model/moa/layout.h"
#include "engine/model/moa/published.h"
#include "engine/model/moa/semantics.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fstream>
#include <functional>

namespace ergo {

namespace {

using moa::Config;
using moa::RopeParts;
using moa::Semantics;

std::size_t count_of(const Shape& shape) {
    return static_cast<std::size_t>(element_count(shape));
}

/// "layers.0.mha.q.weight" -> "weight"
std::string last_part(const std::string& role) {
    return role.substr(role.rfind('.') + 1);
}

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

/// Values of the tensors, by role. All arithmetic is float64; u is uniform with unit variance.
class Weights {
  public:
    Weights(const Config& config, const Semantics& semantics, const SynthRequest& request,
            const std::vector<SchemaTensor>& claimed)
        : c_(config), s_(semantics), request_(request), claimed_(claimed) {}

    std::vector<float> values(const SchemaTensor& tensor) {
        const HashStream stream(request_.seed, tensor.name);
        const std::size_t n = count_of(tensor.shape);
        std::vector<float> out(n);
        if (last_part(tensor.role) == "inv_freq") {
            const auto plain =
                moa::plain_inverse_frequencies(2 * static_cast<std::int64_t>(n), c_.theta_base);
            return {plain.begin(), plain.end()};
        }
        if (tensor.role.ends_with("_cached")) {
            return table(tensor, stream);
        }
        const auto rule = rule_of(tensor);
        const double root3 = std::sqrt(3.0);
        for (std::size_t i = 0; i < n; ++i) {
            out[i] = static_cast<float>(rule(root3 * stream.uniform(i)));
        }
        return out;
    }

  private:
    using Rule = std::function<double(double)>;

    static Rule times(double scale) {
        return [scale](double u) { return scale * u; };
    }
    static Rule mapped(double centre, double spread, const std::string& map) {
        return [=](double u) { return moa::unpositive(centre * std::exp(spread * u), map); };
    }

    Rule rope_rule(const std::string& leaf) const {
        const double root = std::sqrt(static_cast<double>(c_.r_basis) / 2);
        const double amplification = c_.energy_amplification == 0 ? 1.0 : std::abs(c_.energy_amplification);
        if (leaf == "phase_bias") {
            return times(0.3);
        }
        if (leaf == "phase_coef") {
            return times(0.4 / root);
        }
        return leaf == "energy_coef" ? times(0.4 / (amplification * root)) : times(0.5 / root);
    }

    Rule rule_of(const SchemaTensor& tensor) const {
        const std::string& role = tensor.role;
        const std::string leaf = last_part(role);
        const auto last = static_cast<double>(tensor.shape.back());
        if (contains(role, "rope_")) {
            return rope_rule(leaf);
        }
        if (leaf == "alpha") {
            return mapped(c_.alpha_init, 0.3, s_.alpha_map);
        }
        if (leaf == "m") {
            return mapped(c_.maha_init, 0.4, s_.maha_map);
        }
        if (leaf == "origin") {
            return times(0.3);
        }
        if (leaf == "radius") {
            return mapped(std::sqrt(1.09 * origin_width(role)), 0.12, s_.radius_map);
        }
        if (leaf == "ls" || leaf == "ffn_ls") {
            return [](double u) { return 0.35 * std::exp(0.3 * u); };
        }
        if (role.ends_with("conv.dw.weight")) {
            const double root = std::sqrt(last);
            return [root](double u) { return u / root; };
        }
        if (contains(role, "norm")) {
            return leaf == "bias" ? times(0.1) : Rule([](double u) { return 1.0 + 0.2 * u; });
        }
        if (role == "tok.E") {
            return times(0.3);
        }
        if (role == "lm.out") {
            const double root = std::sqrt(last);
            return [root](double u) { return u / root; };
        }
        if (leaf == "fgate" || leaf == "rgate") {
            return times(0.7);
        }
        if (leaf == "bias") {
            return times(0.1);
        }
        const bool decides = contains(role, "router") || contains(role, "rgate") || contains(role, "fgate");
        return times((decides ? 2.5 : 1.0) / std::sqrt(last));
    }

    double origin_width(const std::string& radius_role) const {
        const std::string wanted = radius_role.substr(0, radius_role.rfind('.')) + ".origin";
        for (const SchemaTensor& each : claimed_) {
            if (each.role == wanted) {
                return static_cast<double>(each.shape.back());
            }
        }
        throw Error(ErrorKind::usage, "the schema has " + radius_role + " but no origin beside it");
    }

    /// A stored rotary table, from the rounded coefficients of its instance.
    std::vector<float> table(const SchemaTensor& tensor, const HashStream& stream) {
        const std::string prefix = tensor.role.substr(0, tensor.role.rfind('.') + 1);
        Semantics synthesised = s_;
        synthesised.rope_source = "synth";
        const auto at =
            moa::Rope(c_, synthesised, tensor.shape.at(1), coefficients(prefix)).at(0, tensor.shape.at(0));
        const std::string leaf = last_part(tensor.role);
        const std::vector<double>& exact = leaf == "cos_cached"   ? at.cos
                                           : leaf == "sin_cached" ? at.sin
                                                                  : at.gain;
        std::vector<float> out(exact.size());
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double jitter = request_.table_jitter == 0
                                      ? 0.0
                                      : request_.table_jitter * (std::sqrt(3.0) * stream.uniform(i));
            out[i] = static_cast<float>(exact[i] + jitter);
        }
        return out;
    }

    RopeParts coefficients(const std::string& prefix) {
        RopeParts parts;
        for (const SchemaTensor& each : claimed_) {
            if (!each.role.starts_with(prefix) || each.role.ends_with("_cached")) {
                continue;
            }
            const auto rounded = values(each);
            const std::vector<double> doubles(rounded.begin(), rounded.end());
            const std::string leaf = last_part(each.role);
            (leaf == "inv_freq"      ? parts.inv_freq
             : leaf == "phase_bias"  ? parts.phase_bias
             : leaf == "phase_coef"  ? parts.phase_coef
             : leaf == "energy_coef" ? parts.energy_coef
                                     : parts.disc_coef) = doubles;
        }
        return parts;
    }

    const Config& c_;
    const Semantics& s_;
    const SynthRequest& request_;
    const std::vector<SchemaTensor>& claimed_;
};

/// The published spelling of a name, or what was given when there is none.
SynthRequest spelled(SynthRequest request) {
    const auto same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
    };
    for (const std::string& name : synth_names()) {
        if (std::equal(name.begin(), name.end(), request.like.begin(), request.like.end(), same)) {
            request.like = name;
        }
    }
    return request;
}

std::string preset_of(const SynthRequest& request) {
    if (!request.preset.empty()) {
        return request.preset;
    }
    return request.like.empty() ? "moa-2026" : moa::published(request.like).schema;
}

void write_text(const std::filesystem::path& path, const std::string& text) {
    std::ofstream out(path, std::ios::binary);
    out << text;
    out.close();
    if (!out) {
        throw Error(ErrorKind::io, "the file could not be written",
                    {.code = "F-IO", .file = path.filename().string()});
    }
}

} // namespace

std::vector<std::string> synth_names() {
    std::vector<std::string> names;
    for (const moa::Published& model : moa::published()) {
        names.push_back(model.name);
    }
    const std::vector<std::string> more = kotodama_names();
    names.insert(names.end(), more.begin(), more.end());
    const std::vector<std::string> others = qwen2::synth_names();
    names.insert(names.end(), others.begin(), others.end());
    return names;
}

std::string synth_note(const std::string& like) {
    SynthRequest request;
    request.like = like;
    const std::string name = spelled(std::move(request)).like;
    const auto& models = moa::published();
    const auto found = std::ranges::find(models, name, &moa::Published::name);
    return found == models.end() ? "" : found->oddity;
}

DType synth_dtype(const SynthRequest& request) {
    return !request.like.empty() && qwen2::can_synthesise(request) ? DType::bf16 : DType::f32;
}

Synthetic synthesise(const SynthRequest& given, const Progress& progress, const CancelToken& cancel) {
    const SynthRequest request = spelled(given);
    if (request.dtype != DType::f32 && request.dtype != DType::bf16 && request.dtype != DType::f16) {
        throw Error(ErrorKind::usage, "a synthetic checkpoint is f32, bf16 or f16, not " +
                                          std::string(dtype_name(request.dtype)));
    }
    if (wants_kotodama(request)) {
        return synthesise_kotodama(request, progress, cancel);
    }
    const Config config =
        request.like.empty() ? Config::parse(request.config) : moa::published(request.like).config;
    const auto schemas = builtin_schemas();
    const Schema& schema = find_schema(schemas, preset_of(request));
    Semantics semantics;
    semantics.apply(schema.knobs(), "schema " + schema.name());
    semantics.apply(moa::parse_knobs(request.knobs), "settings");
    semantics.validate(config);
    Variables variables = config.variables();
    variables.merge(semantics.variables());
    const std::vector<SchemaTensor> claimed = schema.expand(variables);
    Synthetic out{config.published(), semantics.json(), {}};
    Weights weights(config, semantics, request, claimed);
    for (const SchemaTensor& tensor : claimed) {
        cancel.check();
        if (progress) {
            progress(static_cast<double>(out.tensors.size()), static_cast<double>(claimed.size()),
                     tensor.name);
        }
        out.tensors.emplace_back(tensor.name,
                                 stored_tensor(tensor.shape, weights.values(tensor), request.dtype));
    }
    return out;
}

void synth(const SynthRequest& request, const std::filesystem::path& folder, const Progress& progress,
           const CancelToken& cancel) {
    const auto weights = folder / "model.safetensors";
    if (std::filesystem::exists(weights)) {
        throw Error(ErrorKind::usage, "the folder already holds a model.safetensors",
                    {.file = "model.safetensors", .advice = "Name another folder."});
    }
    if (qwen2::can_synthesise(request)) {
        qwen2::synthesise(request, folder, progress, cancel);
        return;
    }
    const Synthetic made = synthesise(request, progress, cancel);
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed) {
        throw Error(ErrorKind::io, "the folder could not be made: " + failed.message(), {.code = "F-IO"});
    }
    write_text(folder / "config.json", made.config);
    if (!made.semantics.empty()) {
        write_text(folder / "semantics.json", made.semantics);
    }
    write_safetensors(weights, made.tensors);
}

void synth(const SynthRequest& given, const ContainerRequest& stored, const std::filesystem::path& folder,
           const Progress& progress, const CancelToken& cancel) {
    namespace fs = std::filesystem;
    const SynthRequest request = spelled(given);
    if (stored.container == "safetensors" && stored.shards == 1) {
        synth(request, folder, progress, cancel);
        return;
    }
    std::error_code ignored;
    if (fs::exists(folder, ignored) && !fs::is_empty(folder, ignored)) {
        throw Error(ErrorKind::usage, "the folder holds something already",
                    {.file = printable(folder.filename().string()), .advice = "Name another folder."});
    }
    struct Made { // the same model in one safetensors file, for as long as it is needed
        ~Made() {
            std::error_code failed;
            fs::remove_all(path, failed);
            fs::remove(path.parent_path(), failed); // only when nothing came of it
        }
        fs::path path;
    } made{folder / "being-made"};
    synth(request, made.path, progress, cancel);
    write_container(*Checkpoint::open(made.path), folder, stored, progress, cancel);
    const bool bare =
        stored.container == "gguf" || (stored.container.starts_with("pt") && wants_kotodama(request));
    for (const fs::directory_entry& entry : fs::directory_iterator(made.path)) {
        const fs::path name = entry.path().filename();
        if (name != "model.safetensors" && !(bare && name == "config.json")) {
            fs::rename(entry.path(), folder / name);
        }
    }
}

} // namespace ergo
