// SPDX-License-Identifier: GPL-3.0-or-later
// A tiny Qwen2-shaped model as a GGUF file and as the folder of the same numbers in safetensors.
#pragma once

#include "engine/base/half.h"
#include "engine/checkpoint/deterministic.h"
#include "engine/checkpoint/gguf.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/tensor/blocks.h"

#include <nlohmann/json.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace gguf_test {

using Json = nlohmann::json;
using ergo::DType;
using ergo::Shape;
using ergo::Tensor;

inline const std::string tokenizer_folder = std::string(ERGO_TEST_DATA) + "/tokenizers/qwen2-small/";

struct Sizes {
    std::int64_t layers = 2, width = 256, heads = 4, key_heads = 2, hidden = 512, vocabulary = 1780,
                 context = 64;
    std::int64_t head_dim() const { return width / heads; }
};

/// Names in both worlds.
struct Named {
    std::string gguf, checkpoint;
    Shape shape;
};

inline std::vector<Named> tensors_of(const Sizes& s, bool tied) {
    std::vector<Named> out{{"token_embd.weight", "model.embed_tokens.weight", {s.vocabulary, s.width}}};
    for (std::int64_t l = 0; l < s.layers; ++l) {
        const std::string g = "blk." + std::to_string(l) + ".", c = "model.layers." + std::to_string(l) + ".";
        const std::int64_t kv = s.key_heads * s.head_dim();
        out.push_back({g + "attn_norm.weight", c + "input_layernorm.weight", {s.width}});
        for (const auto& [mine, theirs, rows] :
             {std::tuple("attn_q", "q_proj", s.width), std::tuple("attn_k", "k_proj", kv),
              std::tuple("attn_v", "v_proj", kv)}) {
            out.push_back({g + mine + ".weight", c + "self_attn." + theirs + ".weight", {rows, s.width}});
            out.push_back({g + mine + ".bias", c + "self_attn." + theirs + ".bias", {rows}});
        }
        out.push_back({g + "attn_output.weight", c + "self_attn.o_proj.weight", {s.width, s.width}});
        out.push_back({g + "ffn_norm.weight", c + "post_attention_layernorm.weight", {s.width}});
        out.push_back({g + "ffn_gate.weight", c + "mlp.gate_proj.weight", {s.hidden, s.width}});
        out.push_back({g + "ffn_up.weight", c + "mlp.up_proj.weight", {s.hidden, s.width}});
        out.push_back({g + "ffn_down.weight", c + "mlp.down_proj.weight", {s.width, s.hidden}});
    }
    out.push_back({"output_norm.weight", "model.norm.weight", {s.width}});
    if (!tied) {
        out.push_back({"output.weight", "lm_head.weight", {s.vocabulary, s.width}});
    }
    return out;
}

/// A matrix of about unit gain, or a vector near `middle`, as `type`. K-quants get random blocks.
inline Tensor make_tensor(const Named& named, DType type) {
    const auto count = static_cast<std::size_t>(ergo::element_count(named.shape));
    const bool matrix = named.shape.size() == 2, norm = named.gguf.find("norm") != std::string::npos;
    const ergo::HashStream stream(7, named.checkpoint);
    const double scale = matrix ? 1.5 / std::sqrt(double(named.shape[1])) : 0.2;
    std::vector<float> values(count);
    ergo::fill_uniform(values, 7, named.checkpoint, scale, norm ? 1.0 : 0.0);
    if (!matrix || type == DType::f32) {
        return Tensor::from_floats(named.shape, std::move(values));
    }
    auto bytes =
        std::make_shared<std::vector<std::byte>>(ergo::dtype_bytes(type, static_cast<std::int64_t>(count)));
    if (type == DType::f16 || type == DType::bf16) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint16_t half =
                type == DType::f16 ? ergo::f32_to_f16(values[i]) : ergo::f32_to_bf16(values[i]);
            std::memcpy(bytes->data() + 2 * i, &half, 2);
        }
    } else if (type == DType::q8_0 || type == DType::q4_0) {
        ergo::encode_blocks(type, values, *bytes);
    } else {
        const std::size_t block = ergo::block_bytes(type);
        for (std::size_t i = 0; i < bytes->size(); ++i) {
            (*bytes)[i] = static_cast<std::byte>(stream.integer(i) & 255);
        }
        const auto put = [&](std::size_t at, float value) {
            const std::uint16_t half = ergo::f32_to_f16(value);
            std::memcpy(bytes->data() + at, &half, 2);
        };
        for (std::size_t at = 0; at < bytes->size(); at += block) {
            if (type == DType::q6_k) {
                put(at + 208, static_cast<float>(scale / 4000));
            } else {
                const float steps = type == DType::q4_k ? 15 * 63 : 31 * 63;
                put(at, static_cast<float>(2 * scale) / steps);
                put(at + 2, static_cast<float>(scale) / 63);
            }
        }
    }
    return Tensor(type, named.shape, *bytes, bytes);
}

inline std::vector<std::pair<std::string, ergo::GgufValue>> metadata_of(const Sizes& s) {
    const auto u32 = [](std::int64_t n) { return ergo::GgufValue(static_cast<std::uint32_t>(n)); };
    const Json tokenizer = Json::parse(std::ifstream(tokenizer_folder + "tokenizer.json"));
    std::vector<std::string> tokens(static_cast<std::size_t>(s.vocabulary)), merges;
    std::vector<std::int32_t> kinds(tokens.size(), 5);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        tokens[i] = "[PAD" + std::to_string(i) + "]";
    }
    for (const auto& [text, id] : tokenizer.at("model").at("vocab").items()) {
        tokens.at(id.get<std::size_t>()) = text;
        kinds.at(id.get<std::size_t>()) = 1;
    }
    for (const Json& token : tokenizer.at("added_tokens")) {
        tokens.at(token.at("id").get<std::size_t>()) = token.at("content").get<std::string>();
        kinds.at(token.at("id").get<std::size_t>()) = token.at("special").get<bool>() ? 3 : 4;
    }
    for (const Json& merge : tokenizer.at("model").at("merges")) {
        merges.push_back(merge);
    }
    return {
        {"general.architecture", std::string("qwen2")},
        {"general.name", std::string("Tiny")},
        {"qwen2.block_count", u32(s.layers)},
        {"qwen2.context_length", u32(s.context)},
        {"qwen2.embedding_length", u32(s.width)},
        {"qwen2.feed_forward_length", u32(s.hidden)},
        {"qwen2.attention.head_count", u32(s.heads)},
        {"qwen2.attention.head_count_kv", u32(s.key_heads)},
        {"qwen2.attention.layer_norm_rms_epsilon", 1e-6f},
        {"qwen2.rope.freq_base", 1e6f},
        {"tokenizer.ggml.model", std::string("gpt2")},
        {"tokenizer.ggml.pre", std::string("qwen2")},
        {"tokenizer.ggml.tokens", tokens},
        {"tokenizer.ggml.token_type", kinds},
        {"tokenizer.ggml.merges", merges},
        {"tokenizer.ggml.eos_token_id", std::uint32_t{1758}},
        {"tokenizer.ggml.padding_token_id", std::uint32_t{1756}},
        {"tokenizer.ggml.add_bos_token", false},
        {"tokenizer.chat_template",
         std::string(
             "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}")}};
}

/// config.json of the twin.
inline std::string config_of(const Sizes& s, bool tied) {
    return Json{{"architectures", {"Qwen2ForCausalLM"}},
                {"model_type", "qwen2"},
                {"hidden_act", "silu"},
                {"hidden_size", s.width},
                {"num_hidden_layers", s.layers},
                {"num_attention_heads", s.heads},
                {"num_key_value_heads", s.key_heads},
                {"intermediate_size", s.hidden},
                {"max_position_embeddings", s.context},
                {"rms_norm_eps", 1e-6},
                {"rope_theta", 1e6},
                {"vocab_size", s.vocabulary},
                {"tie_word_embeddings", tied}}
        .dump();
}

/// The type of each matrix by its place in the list: as real files mix them.
using TypeOf = DType (*)(const Named&);

/// Writes model.gguf into `gguf` and config.json, model.safetensors (float32) and tokenizer.json into `twin`.
inline void write_twins(const std::filesystem::path& gguf, const std::filesystem::path& twin, TypeOf type_of,
                        bool tied = true, const Sizes& sizes = {}) {
    std::filesystem::create_directories(gguf);
    std::filesystem::create_directories(twin);
    std::vector<std::pair<std::string, Tensor>> stored, plain;
    for (const Named& named : tensors_of(sizes, tied)) {
        const Tensor tensor = make_tensor(named, type_of(named));
        stored.emplace_back(named.gguf, tensor);
        plain.emplace_back(named.checkpoint, Tensor::from_floats(tensor.shape(), tensor.to_floats()));
    }
    ergo::write_gguf(gguf / "model.gguf", metadata_of(sizes), stored);
    ergo::write_safetensors(twin / "model.safetensors", plain);
    std::ofstream(twin / "config.json") << config_of(sizes, tied);
    std::filesystem::copy_file(tokenizer_folder + "tokenizer.json", twin / "tokenizer.json",
                               std::filesystem::copy_options::overwrite_existing);
}

} // namespace gguf_test
