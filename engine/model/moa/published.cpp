// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/moa/published.h"

#include "engine/base/error.h"

#include <algorithm>

namespace ergo::moa {

namespace {

Config discovery() {
    Config c;
    c.router_topk = 2;
    c.router_temperature = 2.0;
    c.lm_router_temperature = 1.5;
    return c;
}

// DiscoverLM-70M's card lists only part of the keys; the others are taken equal to Discovery's, which is what
// the parameter totals say. The same holds for the keys that Discovered's commits do not show.
Config discoverlm() {
    Config c = discovery();
    c.attn_heads = c.mqa_q_heads = 64;
    c.lm_attn_heads = c.lm_mqa_q_heads = 32;
    c.max_position_embeddings = 1024;
    c.energy_amplification = 9.87;
    return c;
}

Config discovered() {
    Config c = discovery();
    c.vocab_size = 50277;
    c.use_balls = false;
    c.radius_init = 4.0;
    c.lm_router_hidden = 64;
    c.router_temperature = 1.25;
    c.lm_router_temperature = 1.0;
    c.max_position_embeddings = 8192;
    c.energy_amplification = 9.869604401089358;
    c.window_size = 512;
    c.chunk_size = 256;
    return c;
}

void set_width(Config& c, std::int64_t dim, std::int64_t layers, std::int64_t mixer, std::int64_t ffn) {
    c.dim = dim;
    c.num_layers = layers;
    c.attn_heads = c.mqa_q_heads = c.lm_attn_heads = c.lm_mqa_q_heads = 8;
    c.mixer_hidden = c.lm_mixer_hidden = mixer;
    c.ffn_hidden = c.lm_ffn_hidden = ffn;
}

Config moa_100m() {
    Config c;
    c.vocab_size = 50257;
    set_width(c, 768, 12, 3072, 3072);
    c.metric = "l2";
    c.alpha_init = 1.0;
    c.radius_init = 3.0;
    c.bos_token_id = c.eos_token_id = c.pad_token_id = 50256;
    return c;
}

// The three below: no configuration is known. Vocabularies are those of their tokenizers, widths and depths
// such that the numbers in all tensors fill the published file (§1, §4); many other shapes do as well.
Config moa_150m() {
    Config c = moa_100m();
    c.vocab_size = 151665;
    set_width(c, 640, 5, 960, 640);
    c.router_hidden = c.lm_router_hidden = 1536; // this, top-k and temperature are published
    c.router_topk = 3;
    c.router_temperature = c.lm_router_temperature = 2.0;
    c.bos_token_id = c.eos_token_id = c.pad_token_id = 151643;
    return c;
}

Config moa_155m() {
    Config c = moa_100m();
    set_width(c, 384, 19, 384, 384);
    return c;
}

Config moa_400m() {
    Config c = moa_100m();
    c.vocab_size = 151665;
    set_width(c, 1024, 12, 256, 256); // the card says 1,024 or more, and 12 to 24 layers
    c.bos_token_id = c.eos_token_id = c.pad_token_id = 151643;
    return c;
}

Published guess(std::string name, std::string schema, Config config, std::int64_t parameters,
                const std::string& file) {
    std::string oddity = "the shape of " + name + " is a guess: its configuration is not published, and " +
                         "this one fills its file of " + file;
    return {std::move(name), std::move(schema), std::move(config), std::move(oddity), parameters};
}

} // namespace

const std::vector<Published>& published() {
    // Sources: the models' cards, and the sizes of their repositories (MoA specification §1)
    static const std::vector<Published> all{
        {"DiscoverLM-70M", "moa-2026", discoverlm()},
        {"Discovery", "moa-2026", discovery()},
        {"Discovered", "moa-2026", discovered()},
        {"MoA-100M", "moa-2025", moa_100m(),
         "this is the shape of MoA-100M, whose card claims about 185 M parameters; its files hold "
         "325,003,956, and the difference is unexplained",
         325'003'956},
        guess("MoA-150M", "moa-2025-rope", moa_150m(), 155'940'075, "623,899,323 bytes"),
        guess("MoA-155M", "moa-2025", moa_155m(), 91'536'221, "366,444,371 bytes (so not of 155 M numbers)"),
        guess("MoA-400M", "moa-2025-rope", moa_400m(), 427'408'820, "1.71 GB"),
    };
    return all;
}

const Published& published(const std::string& name) {
    const auto found = std::ranges::find(published(), name, &Published::name);
    if (found != published().end()) {
        return *found;
    }
    std::string known;
    for (const Published& each : published()) {
        known += (known.empty() ? "" : ", ") + each.name;
    }
    throw Error(ErrorKind::usage,
                "no published model is called \"" + printable(name, 60) + "\"; known are " + known);
}

std::string published_oddity(const Config& config, std::int64_t parameters) {
    for (const Published& each : published()) {
        const Config& known = each.config;
        if (!each.oddity.empty() && parameters == each.parameters && config.vocab_size == known.vocab_size &&
            config.dim == known.dim && config.num_layers == known.num_layers &&
            config.attn_heads == known.attn_heads) {
            return each.oddity;
        }
    }
    return {};
}

} // namespace ergo::moa
