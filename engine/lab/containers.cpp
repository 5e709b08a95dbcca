// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/containers.h"

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/checkpoint/gguf_architecture.h"
#include "engine/checkpoint/mapped_file.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/torch_writer.h"
#include "engine/checkpoint/zstd_writer.h"
#include "engine/lab/synth_tensor.h"
#include "engine/model/qwen2/config.h"
#include "engine/tensor/blocks.h"
#include "engine/tensor/super_blocks.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace ergo {

namespace {

namespace fs = std::filesystem;
using Named = std::vector<std::pair<std::string, Tensor>>;

Named tensors_in_order(const Checkpoint& checkpoint) {
    Named out;
    for (const std::string& name : checkpoint.order()) {
        out.emplace_back(name, checkpoint.tensor(name));
    }
    return out;
}

std::string shard_name(int i, int count) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", i, count);
    return name;
}

/// Shards of about the same size, cut between tensors, and their index.
void write_shards(const Checkpoint& checkpoint, const fs::path& folder, int count,
                  const CancelToken& cancel) {
    const Named tensors = tensors_in_order(checkpoint);
    if (count < 1 || static_cast<std::size_t>(count) > tensors.size() || count > 99999) {
        throw Error(ErrorKind::usage, "the model has " + std::to_string(tensors.size()) +
                                          " tensors; they cannot be spread over " + std::to_string(count) +
                                          " files.");
    }
    nlohmann::json index{{"metadata", {{"total_size", checkpoint.weight_bytes()}}},
                         {"weight_map", nlohmann::json::object()}};
    std::uint64_t done = 0;
    std::size_t next = 0;
    for (int i = 1; i <= count; ++i) {
        cancel.check();
        Named shard;
        const std::uint64_t until =
            checkpoint.weight_bytes() / static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(i);
        const auto left = static_cast<std::size_t>(count - i); // each later file gets one at least
        while (next < tensors.size() - left && (shard.empty() || done < until || left == 0)) {
            done += tensors[next].second.bytes().size();
            index["weight_map"][tensors[next].first] = shard_name(i, count);
            shard.push_back(tensors[next++]);
        }
        write_safetensors(folder / shard_name(i, count), shard, {{"format", "pt"}});
    }
    AtomicFile file(folder / "model.safetensors.index.json");
    file.write(index.dump(1) + "\n");
    file.commit();
}

DType gguf_type(const std::string& name) {
    for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0, DType::q4_k,
                             DType::q5_k, DType::q6_k}) {
        if (name == dtype_name(type)) {
            return type;
        }
    }
    throw Error(ErrorKind::usage, "'" + printable(name, 40) + "' is no type to write a GGUF file in.",
                {.advice = "There are f32, f16, bf16, q8_0, q4_0, q4_k, q5_k, q6_k and q4_k_m."});
}

/// Whether "q4_k_m" gives a layer's values and its second feed-forward matrix more bits: the first and the
/// last eighth of the layers and every third between.
bool has_more_bits(int layer, int layers) {
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

/// The matrix `name` (GGUF's) in a file of type `dtype`. "q4_k_m" mixes as files of that name do: q6_k for
/// the output head (the table where it is tied) and, in some layers, values and the second feed-forward
/// matrix; else q4_k. Rows that are no whole blocks of 256 become q8_0.
DType matrix_type(const std::string& dtype, const std::string& name, const Shape& shape, int layers,
                  bool tied) {
    DType type = DType::q4_k;
    if (dtype != "q4_k_m") {
        type = gguf_type(dtype);
    } else if (name == (tied ? "token_embd.weight" : "output.weight")) {
        type = DType::q6_k;
    } else if (int layer = 0; (name.ends_with(".attn_v.weight") || name.ends_with(".ffn_down.weight")) &&
                              std::sscanf(name.c_str(), "blk.%d.", &layer) == 1) {
        type = has_more_bits(layer, layers) ? DType::q6_k : DType::q4_k;
    }
    return is_super_block(type) && shape.back() % super_inputs != 0 ? DType::q8_0 : type;
}

Tensor in_type(const Tensor& tensor, DType type) {
    if (tensor.dtype() == type) {
        return tensor;
    }
    if (!is_quantised(type)) {
        return stored_tensor(tensor.shape(), tensor.to_floats(), type);
    }
    const auto values = tensor.to_floats();
    const auto bytes = std::make_shared<std::vector<std::byte>>(dtype_bytes(type, tensor.size()));
    encode_blocks(type, values, *bytes);
    return Tensor(type, tensor.shape(), *bytes, bytes);
}

/// The settings under the names that GGUF architectures are described by, whichever spelling they came in.
std::string plain_config(const std::string& text) {
    const qwen2::Config c = qwen2::Config::parse(text);
    return nlohmann::json{{"hidden_size", c.hidden_size},
                          {"num_hidden_layers", c.num_hidden_layers},
                          {"num_attention_heads", c.num_attention_heads},
                          {"num_key_value_heads", c.num_key_value_heads},
                          {"head_dim", c.head_dim},
                          {"intermediate_size", c.intermediate_size},
                          {"max_position_embeddings", c.max_position_embeddings},
                          {"rms_norm_eps", c.rms_norm_eps},
                          {"rope_theta", c.rope_theta}}
        .dump();
}

std::uint32_t vocabulary_of(const Checkpoint& checkpoint, const GgufArchitecture& architecture) {
    const Tensor table = checkpoint.tensor(architecture.checkpoint_name("token_embd.weight"));
    return static_cast<std::uint32_t>(table.shape().at(0));
}

void write_as_gguf(const Checkpoint& checkpoint, const fs::path& path, const std::string& dtype,
                   const Progress& progress, const CancelToken& cancel) {
    const GgufArchitecture architecture = GgufArchitecture::named("qwen2"); // the only one that is known
    const Named tensors = tensors_in_order(checkpoint);
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors) {
        names.push_back(architecture.gguf_name(name));
    }
    const qwen2::Config config = qwen2::Config::parse(checkpoint.config_json());
    const bool tied = std::ranges::find(names, "output.weight") == names.end();
    std::vector<GgufPlace> places;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const Tensor& tensor = tensors[i].second;
        const DType type = tensor.shape().size() < 2 ? DType::f32
                           : dtype.empty()           ? tensor.dtype()
                                                     : matrix_type(dtype, names[i], tensor.shape(),
                                                                   static_cast<int>(config.num_hidden_layers), tied);
        places.push_back({names[i], type, tensor.shape()});
    }
    auto metadata = architecture.metadata_of(plain_config(checkpoint.config_json()));
    // Other engines ask for a tokenizer even where they are only to be measured.
    metadata.emplace_back("tokenizer.ggml.model", "none");
    metadata.emplace_back("qwen2.vocab_size", vocabulary_of(checkpoint, architecture));
    write_gguf(path, metadata, places, [&](std::size_t i) {
        cancel.check();
        if (progress) {
            progress(static_cast<double>(i), static_cast<double>(places.size()), places[i].name);
        }
        return in_type(tensors[i].second, places[i].dtype);
    });
}

} // namespace

std::vector<std::string> container_names() {
    return {"safetensors", "pt", "bin", "pt.zst", "gguf"};
}

void write_container(const Checkpoint& checkpoint, const fs::path& folder, const ContainerRequest& request,
                     const Progress& progress, const CancelToken& cancel) {
    const std::string& container = request.container;
    if (request.shards != 1 && container != "safetensors") {
        throw Error(ErrorKind::usage,
                    "only safetensors are written in several files, not " + printable(container, 40) + ".");
    }
    if (container == "safetensors") {
        write_shards(checkpoint, folder, request.shards, cancel);
    } else if (container == "pt") {
        write_torch_file(folder / "model.pt", tensors_in_order(checkpoint));
    } else if (container == "bin") {
        write_torch_file(folder / "pytorch_model.bin", tensors_in_order(checkpoint));
    } else if (container == "pt.zst") {
        const fs::path plain = folder / "model.pt";
        write_torch_file(plain, tensors_in_order(checkpoint));
        compress_zstd(*map_file(plain), folder / "model.pt.zst", progress, cancel);
        fs::remove(plain);
    } else if (container == "gguf") {
        write_as_gguf(checkpoint, folder / "model.gguf", request.dtype, progress, cancel);
    } else {
        std::string names;
        for (const std::string& name : container_names()) {
            names += (names.empty() ? "" : ", ") + name;
        }
        throw Error(ErrorKind::usage, "no container is called '" + printable(container, 40) + "'.",
                    {.advice = "There are: " + names + "."});
    }
}

} // namespace ergo
