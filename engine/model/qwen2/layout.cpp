// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/qwen2/layout.h"

#include "engine/model/qwen2/masses.h"
#include "engine/model/rotary.h"

namespace ergo::qwen2 {

namespace {

class LayoutBuilder {
  public:
    LayoutBuilder(const Config& config, const Law& law, const RoleMap& roles, const std::vector<float>& raw)
        : roles_(roles), raw_(raw) {
        out_.config = config;
        out_.law = law;
        out_.gravity = !raw.empty();
        out_.tables = std::make_shared<Tables>();
    }

    Layout build(std::int64_t positions) {
        const Config& c = out_.config;
        out_.positions = positions;
        out_.embedding = weight("tok.E");
        RotaryTables rotary = rotary_tables(c.rope_theta, c.head_dim, positions);
        out_.rotation.cos = out_.tables->add_weight("rope.cos", std::move(rotary.cos));
        out_.rotation.sin = out_.tables->add_weight("rope.sin", std::move(rotary.sin));
        out_.rotation.pairing = Rotation::Pairing::half;
        for (std::int64_t l = 0; l < c.num_hidden_layers; ++l) {
            out_.layers.push_back(layer(l));
        }
        out_.final_norm = weight("final.norm.weight");
        out_.head = roles_.has("lm.out") ? weight("lm.out") : out_.embedding;
        return std::move(out_);
    }

  private:
    WeightId weight(const std::string& role) { return out_.tables->add_weight(role, roles_.at(role)); }

    LinearPart linear(const std::string& role) {
        LinearPart part;
        part.weight = weight(role + ".weight");
        if (roles_.has(role + ".bias")) {
            part.bias = weight(role + ".bias");
        }
        part.outputs = roles_.at(role + ".weight").shape().at(0);
        return part;
    }

    LayerPart layer(std::int64_t l) {
        const Config& c = out_.config;
        LayerPart part;
        part.stage = "layers." + std::to_string(l);
        const std::string role = part.stage + ".";
        part.attention_norm = weight(role + "norm.attention.weight");
        part.query = linear(role + "q");
        part.key = linear(role + "k");
        part.value = linear(role + "v");
        part.output = linear(role + "o");
        part.mlp_norm = weight(role + "norm.mlp.weight");
        part.gate = linear(role + "gate");
        part.up = linear(role + "up");
        part.down = linear(role + "down");
        const auto heads = static_cast<std::size_t>(c.num_attention_heads);
        if (out_.gravity) {
            std::vector<float> masses;
            for (std::size_t h = 0; h < heads; ++h) {
                masses.push_back(mass_of(raw_[static_cast<std::size_t>(l) * heads + h]));
            }
            part.mass = out_.tables->add_param(role + "mass", {c.num_attention_heads}, std::move(masses));
        }
        part.keep =
            out_.tables->add_param(role + "keep", {c.num_attention_heads}, std::vector<float>(heads, 1));
        const std::int64_t width = c.num_key_value_heads * c.head_dim;
        const auto key_heads = static_cast<std::int32_t>(c.num_key_value_heads);
        const auto dim = static_cast<std::int32_t>(c.head_dim);
        const bool own = key_heads == c.num_attention_heads;
        part.keys = out_.tables->add_state(role + "keys", width, {key_heads, dim, false, own});
        part.values = out_.tables->add_state(role + "values", width, {key_heads, dim, true, own});
        return part;
    }

    const RoleMap& roles_;
    const std::vector<float>& raw_;
    Layout out_;
};

} // namespace

Layout make_layout(const Config& config, const Law& law, const RoleMap& roles,
                   const std::vector<float>& raw_masses, std::int64_t positions) {
    return LayoutBuilder(config, law, roles, raw_masses).build(positions);
}

} // namespace ergo::qwen2
