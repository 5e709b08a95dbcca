// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/kotodama/layout.h"

#include "engine/base/error.h"
#include "engine/model/kotodama/rope.h"

namespace ergo::kotodama {

namespace {

constexpr std::int64_t kMaxTableBytes = std::int64_t{8} << 30;

class LayoutBuilder {
  public:
    LayoutBuilder(const Config& config, const RoleMap& roles, std::int64_t positions)
        : c_(config), roles_(roles) {
        out_.config = config;
        out_.positions = positions;
        out_.tables = std::make_shared<Tables>();
    }

    Layout build() {
        out_.embedding = weight("tok.E");
        rotation();
        std::int32_t blocks = 0; // closed so far
        for (std::int64_t l = 0; l < c_.num_layers; ++l) {
            out_.layers.push_back(layer(l, blocks));
        }
        out_.final_route = route("final.res", blocks + 1);
        out_.final_norm = weight("final.norm");
        out_.head = c_.tie_word_embeddings ? out_.embedding : weight("lm.out");
        return std::move(out_);
    }

  private:
    WeightId weight(const std::string& role) { return out_.tables->add_weight(role, roles_.at(role)); }

    ParamId ones(const std::string& name, std::int64_t count) {
        return out_.tables->add_param(name, {count}, std::vector<float>(static_cast<std::size_t>(count), 1));
    }

    /// Only the product of pseudo-query and gain matters: it is formed once.
    RoutePart route(const std::string& site, std::int32_t sources) {
        std::vector<float> query = roles_.at(site + ".query").to_floats();
        const std::vector<float> gain = roles_.at(site + ".norm").to_floats();
        for (std::size_t i = 0; i < query.size(); ++i) {
            query[i] *= gain[i];
        }
        RoutePart part;
        part.site = site;
        part.sources = sources;
        part.query = out_.tables->add_weight(site + ".direction",
                                             Tensor::from_floats({c_.hidden_size}, std::move(query)));
        part.temperature = ones(site + ".temperature", 1);
        part.mask = ones(site + ".keep", sources);
        return part;
    }

    void rotation() {
        const std::int64_t positions = out_.positions, dim = c_.head_dim;
        auto made = Tensor::made_later({positions, dim}, 2, [positions, dim, theta = c_.rope_theta] {
            RotaryTables at = rotary_tables(positions, dim, theta);
            return std::vector{std::move(at.cos), std::move(at.sin)};
        });
        out_.rotation.cos = out_.tables->add_weight("rope.cos", std::move(made[0]));
        out_.rotation.sin = out_.tables->add_weight("rope.sin", std::move(made[1]));
        out_.rotation.pairing = Rotation::Pairing::half;
    }

    LayerPart layer(std::int64_t l, std::int32_t& blocks) {
        LayerPart part;
        part.stage = "layers." + std::to_string(l);
        part.boundary = c_.is_boundary(l);
        const std::string role = part.stage + ".";
        // The router in front of attention still sees the block that this layer closes as its last source.
        part.attention_route = route(role + "attn_res", blocks + 1);
        blocks += part.boundary ? 1 : 0;
        part.mlp_route = route(role + "mlp_res", blocks + 1);
        part.attention_norm = weight(role + "attn_norm");
        part.query = weight(role + "q.weight");
        part.key = weight(role + "k.weight");
        part.value = weight(role + "v.weight");
        part.output = weight(role + "o.weight");
        if (c_.qk_norm) {
            part.query_norm = weight(role + "q_norm");
            part.key_norm = weight(role + "k_norm");
        }
        part.ffn_norm = weight(role + "ffn_norm");
        part.gate = weight(role + "gate.weight");
        part.up = weight(role + "up.weight");
        part.down = weight(role + "down.weight");
        part.mask = ones(role + "keep", c_.num_attention_heads);
        const auto key_heads = static_cast<std::int32_t>(c_.num_kv_heads);
        const auto dim = static_cast<std::int32_t>(c_.head_dim);
        const std::int64_t width = c_.num_kv_heads * c_.head_dim;
        const bool own = c_.num_kv_heads == c_.num_attention_heads;
        part.keys = out_.tables->add_state(role + "keys", width, {key_heads, dim, false, own});
        part.values = out_.tables->add_state(role + "values", width, {key_heads, dim, true, own});
        return part;
    }

    const Config& c_;
    const RoleMap& roles_;
    Layout out_;
};

} // namespace

Layout make_layout(const Config& config, const RoleMap& roles, std::int64_t positions) {
    if (positions > kMaxTableBytes / (8 * config.head_dim)) {
        throw Error(ErrorKind::resources,
                    "rotary tables for " + std::to_string(positions) + " positions would exceed " +
                        std::to_string(kMaxTableBytes >> 30) + " GiB; ask for a smaller context");
    }
    return LayoutBuilder(config, roles, positions).build();
}

} // namespace ergo::kotodama
