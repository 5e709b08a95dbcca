// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/fuzz/support_targets.h"

#include "engine/base/error.h"
#include "engine/checkpoint/gguf_weights.h"
#include "engine/checkpoint/pickle.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/schema.h"
#include "engine/checkpoint/shard_index.h"
#include "engine/checkpoint/torch_file.h"
#include "engine/checkpoint/torch_rebuild.h"
#include "engine/checkpoint/torch_weights.h"
#include "engine/checkpoint/zip_archive.h"
#include "engine/checkpoint/zstd_file.h"
#include "engine/checkpoint/zstd_frames.h"
#include "engine/generate/generation_defaults.h"
#include "engine/generate/memory_plan.h"
#include "engine/generate/metadata_tokenizer.h"
#include "engine/model/kotodama/config.h"
#include "engine/model/moa/config.h"
#include "engine/model/model.h"
#include "engine/model/qwen2/config.h"
#include "engine/model/qwen2/mass_source.h"
#include "engine/template/template.h"
#include "engine/tokenizer/tokenizer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <sstream>
#include <string>

namespace ergo::fuzz {

namespace {

using Bytes = std::span<const std::byte>;

template <class Action> void guarded(Action action) {
    try {
        action();
    } catch (const Error&) { // the one way a parser may refuse
    }
}

/// A nameless file with these bytes, for parsers that want a file.
int memory_file(Bytes bytes) {
    const int descriptor = ::memfd_create("fuzz", MFD_CLOEXEC);
    if (descriptor < 0 ||
        ::write(descriptor, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
        std::abort();
    }
    return descriptor;
}

/// Touches every element, so that a view outside its file is seen.
void touch(const WeightFile& file) {
    unsigned total = 0;
    for (const WeightEntry& entry : file.entries) {
        for (const std::byte b : entry.tensor ? entry.tensor->bytes() : Bytes{}) {
            total += std::to_integer<unsigned>(b);
        }
    }
    [[maybe_unused]] static volatile unsigned sink;
    sink = total;
}

void safetensors(Bytes bytes) {
    guarded([&] { touch(weights_of(read_safetensors(bytes, nullptr, "fuzz.safetensors"))); });
}

void shard_index(Bytes bytes) {
    const int descriptor = memory_file(bytes);
    guarded([&] { read_shard_index("/proc/self/fd/" + std::to_string(descriptor)); });
    ::close(descriptor);
}

void zip(Bytes bytes) {
    guarded([&] {
        const ZipArchive archive = read_zip(bytes, "fuzz.zip");
        for (const ZipMember& member : archive.members) {
            archive.checksum_holds(member);
            if (archive.find(member.name) != &member) {
                std::abort();
            }
        }
    });
}

void torch(Bytes bytes) {
    guarded([&] { touch(torch_weights(read_torch_file(bytes, nullptr, "fuzz.pt"))); });
}

/// The bytes as data.pkl beside three storages of 64 bytes.
void pickle(Bytes bytes) {
    static const std::string storage(64, '\x01');
    ZipArchive archive;
    archive.bytes = std::as_bytes(std::span(storage.data(), storage.size()));
    for (const char* name : {"a/data/0", "a/data/1", "a/data/2"}) {
        archive.by_name.push_back(static_cast<std::uint32_t>(archive.members.size()));
        archive.members.push_back({name, 0, storage.size(), 0, 0});
    }
    guarded([&] {
        ReadingBudget budget(bytes.size());
        const bool big_endian = bytes.size() % 2;
        TorchRebuilder rebuilder(archive, "a/", big_endian, nullptr, budget);
        touch(torch_weights({"fuzz.pt", read_pickle(bytes, 0, "fuzz.pt", rebuilder, budget), {}}));
    });
}

void zstd(Bytes bytes) {
    constexpr std::uint64_t most = 16 << 20; // what is larger only takes longer
    guarded([&] {
        const ZstdOutline outline = read_zstd_outline(bytes, "fuzz.zst");
        if (outline.content.value_or(bytes.size() * 400) <= most) {
            decompress_zstd(*map_descriptor(memory_file(bytes), "fuzz.pt.zst"), {}, {});
        }
    });
}

std::string text_of(Bytes bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

/// There and back, so that what was read is also used.
void use(const std::shared_ptr<const Tokenizer>& tokenizer) {
    const ByteRange plain[] = {{3, 9}};
    const Encoding made = tokenizer->encode_with_positions("Hello  wörld <s>\n日本 12", {true, true, plain});
    StreamDecoder stream(tokenizer, false);
    for (const std::int32_t id : made.ids) {
        stream.push(id);
    }
    stream.finish();
    tokenizer->decode(made.ids);
}

void gguf(Bytes bytes) {
    guarded([&] {
        const auto files = gguf_weights({map_descriptor(memory_file(bytes), "fuzz.gguf")});
        for (const WeightFile& file : files) {
            touch(file);
            for (const WeightEntry& entry : file.entries) {
                if (entry.tensor && is_weight_type(entry.tensor->dtype()) && entry.tensor->size() < 1 << 20) {
                    entry.tensor->to_floats();
                }
            }
        }
        if (const auto table = token_table_of(files.at(0).typed_metadata)) {
            use(Tokenizer::from_table(*table, "fuzz.gguf"));
        }
    });
}

/// gravity_mass_log.pt in whatever layout.
void masses(Bytes bytes) {
    guarded([&] {
        const TorchFile file = read_torch_file(bytes, nullptr, "fuzz.pt");
        qwen2::read_masses(qwen2::arrays_in(file.root), {3, 4, 2}, "fuzz.pt");
    });
}

void config(Bytes bytes) {
    const std::string text = text_of(bytes);
    guarded([&] { moa::Config::parse(text); });
    guarded([&] { kotodama::parse_config(text).published(); });
    guarded([&] { qwen2::Config::parse(text).published("bfloat16"); });
    guarded([&] { read_generation_config(text); });
}

/// A model that is all header: text of a config.json, then a line a tensor, "name F32 4 128"; its values are
/// zeros that take no memory. Recognised, fitted to its schema and planned, never run.
void model(Bytes bytes) {
    constexpr std::size_t most = std::size_t{1} << 40;
    static void* const zeros =
        ::mmap(nullptr, most, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (zeros == MAP_FAILED) {
        std::abort();
    }
    static const std::vector<MemoryHost> hosts = memory_hosts(1);
    std::istringstream lines(text_of(bytes));
    std::string config;
    std::getline(lines, config);
    guarded([&] {
        std::vector<std::pair<std::string, Tensor>> tensors;
        std::set<std::string> names;
        for (std::string line; std::getline(lines, line);) {
            std::istringstream words(line);
            std::string name, type;
            words >> name >> type;
            Shape shape;
            for (std::int64_t n = 0; words >> n;) {
                shape.push_back(n);
            }
            const DType dtype = type == "BF16" ? DType::bf16 : type == "Q4_0" ? DType::q4_0 : DType::f32;
            const std::uint64_t size = dtype_bytes(dtype, element_count(shape));
            if (size <= most && names.insert(name).second) {
                tensors.emplace_back(
                    name, Tensor(dtype, shape, {static_cast<const std::byte*>(zeros), size}, nullptr));
            }
        }
        const auto checkpoint = Checkpoint::from_tensors(config, "", tensors);
        const auto opened = open_model(checkpoint, {});
        const MemoryPlanner planner(opened);
        for (const MemoryHost& host : hosts) {
            planner.plan(host, opened->info().context).total();
        }
    });
}

void tokenizer(Bytes bytes) {
    const std::string text = text_of(bytes);
    guarded([&] { use(Tokenizer::from_json(text, "", "tokenizer.json")); });
    guarded([&] { use(Tokenizer::from_vocab_txt(text, "", "vocab.txt")); });
    guarded([&] { use(Tokenizer::from_vocab_and_merges(text, "#version: 0.2\na b\n", "", "vocab.json")); });
    guarded([&] {
        use(Tokenizer::from_vocab_and_merges(R"({"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4})", text, "",
                                             "merges.txt"));
    });
    guarded([&] {
        Tokenizer::from_json(R"({"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}}})", text,
                             "t");
    });
}

void chat_template(Bytes bytes) {
    const std::string text = text_of(bytes);
    static const jinja::TemplateValue context = jinja::value_from_json(
        R"({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U <|im_end|>"},
            {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2.5]}}}]},
            {"role": "tool", "content": "R"}], "tools": [{"type": "function"}], "add_generation_prompt": true,
            "bos_token": "<s>", "eos_token": "</s>"})",
        "context", 1);
    guarded([&] { jinja::Template::parse(text, "t")->render(context.map(), 0); });
    guarded([&] { jinja::value_from_json(text, "t", 1); });
}

void schema(Bytes bytes) {
    const std::string text = text_of(bytes);
    static const std::vector<Schema> known = builtin_schemas();
    guarded([&] {
        const Schema schema = Schema::parse(text, "schema.json", known);
        schema.expand(
            {{"num_layers", std::int64_t{2}}, {"dim", std::int64_t{8}}, {"attn_heads", std::int64_t{2}}});
    });
}

constexpr Target all[] = {
    {"safetensors", safetensors},
    {"shard_index", shard_index},
    {"zip", zip},
    {"torch", torch},
    {"pickle", pickle},
    {"zstd", zstd},
    {"gguf", gguf},
    {"masses", masses},
    {"model", model},
    {"config", config},
    {"tokenizer", tokenizer},
    {"template", chat_template},
    {"schema", schema},
};

} // namespace

std::span<const Target> targets() {
    return all;
}

} // namespace ergo::fuzz
