// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/fuzz/support_targets.h"

#include "engine/base/error.h"
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
#include "engine/model/moa/config.h"
#include "engine/template/template.h"
#include "engine/tokenizer/tokenizer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
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

void config(Bytes bytes) {
    guarded(
        [&] { moa::Config::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())); });
}

std::string text_of(Bytes bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void tokenizer(Bytes bytes) {
    const std::string text = text_of(bytes);
    guarded([&] {
        const auto tokenizer = Tokenizer::from_json(text, "", "tokenizer.json");
        const ByteRange plain[] = {{3, 9}};
        const Encoding made =
            tokenizer->encode_with_positions("Hello  wörld <s>\n日本 12", {true, true, plain});
        StreamDecoder stream(tokenizer, false);
        for (const std::int32_t id : made.ids) {
            stream.push(id);
        }
        stream.finish();
        tokenizer->decode(made.ids);
    });
    guarded([&] { Tokenizer::from_vocab_txt(text, "", "vocab.txt"); });
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
    guarded([&] {
        const Schema schema = Schema::parse(text, "schema.json", builtin_schemas());
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
