// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/gguf.h"
#include "engine/checkpoint/gguf_architecture.h"
#include "tests/checkpoint/support_files.h"
#include "tests/checkpoint/support_gguf.h"

#include <QTemporaryDir>
#include <QTest>

#include <nlohmann/json.hpp>

#include <limits>

using namespace ergo;

namespace {

GgufFile read(const std::string& bytes) {
    const auto owner = std::make_shared<const std::string>(bytes);
    return read_gguf(std::as_bytes(std::span(*owner)), owner, "model.gguf");
}

QString code(const GgufBytes& file) {
    return code_of([&] { read(file.bytes); });
}

/// One of everything: all value types, both kinds of list, three tensors.
GgufBytes small() {
    GgufBytes file;
    file.header(3, 9);
    file.metadata("general.architecture", "tiny");
    file.metadata("a.u8", GgufBytes::u8, std::uint8_t{200});
    file.metadata("a.i32", 5, std::int32_t{-7});
    file.metadata("a.f32", GgufBytes::f32, 1e-6f);
    file.metadata("a.bool", GgufBytes::boolean, std::uint8_t{1});
    file.metadata("a.u64", GgufBytes::u64, std::uint64_t{1} << 40);
    file.metadata("a.f64", 12, 0.1);
    file.text("a.texts").number(GgufBytes::list).number(GgufBytes::text_type).number<std::uint64_t>(2);
    file.text("one").text("");
    file.text("a.numbers").number(GgufBytes::list).number<std::uint32_t>(5).number<std::uint64_t>(3);
    file.number<std::int32_t>(1).number<std::int32_t>(-2).number<std::int32_t>(3);
    file.tensor("f", {3, 2}, 0, 0);
    file.tensor("q", {32, 2}, 8, 32);
    file.tensor("scalar", {}, 1, 128);
    return file.data(130);
}

/// A header with `count` tensors as `tensors` writes them and enough data for them.
template <class Write> GgufBytes with_tensors(std::uint64_t count, Write tensors, std::size_t data = 256) {
    GgufBytes file;
    file.header(count, 0);
    tensors(file);
    return file.data(data);
}

} // namespace

class TestGguf : public QObject {
    Q_OBJECT

  private slots:
    void reads_metadata_and_tensors() {
        const GgufFile file = read(small().bytes);
        const TypedMetadata& m = file.metadata;
        QCOMPARE(file.version, 3u);
        QCOMPARE(m.text("general.architecture").value(), std::string_view("tiny"));
        QCOMPARE(m.integer("a.u8").value(), 200);
        QCOMPARE(m.integer("a.i32").value(), -7);
        QCOMPARE(m.number("a.f32").value(), 1e-6); // the decimal number that was meant
        QCOMPARE(m.number("a.i32").value(), -7.0);
        QCOMPARE(m.boolean("a.bool").value(), true);
        QCOMPARE(m.integer("a.u64").value(), std::int64_t{1} << 40);
        QCOMPARE(m.number("a.f64").value(), 0.1);
        QCOMPARE(m.texts("a.texts").value(), (std::vector<std::string_view>{"one", ""}));
        QCOMPARE(m.integers("a.numbers").value(), (std::vector<std::int64_t>{1, -2, 3}));
        QVERIFY(!m.integer("a.none") && !m.text("a.none") && !m.texts("a.none"));
        QCOMPARE(code_of([&] { m.integer("a.f32"); }), QString("F-CONFIG-VALUE"));
        QCOMPARE(code_of([&] { m.text("a.u8"); }), QString("F-CONFIG-VALUE"));
        QCOMPARE(code_of([&] { m.texts("a.numbers"); }), QString("F-CONFIG-VALUE"));
        QCOMPARE(code_of([&] { m.integers("a.texts"); }), QString("F-CONFIG-VALUE"));
        QCOMPARE(code_of([&] { m.boolean("a.u8"); }), QString("F-CONFIG-VALUE"));

        QCOMPARE(file.entries.size(), std::size_t{3});
        QCOMPARE(file.entries[0].shape, (Shape{2, 3})); // the reverse of the file's order
        QCOMPARE(file.entries[1].stored_type, std::string_view("Q8_0"));
        QCOMPARE(file.tensor(*file.find("q")).bytes().size(), std::size_t{68});
        QCOMPARE(file.tensor(*file.find("f")).bytes().data(), file.data.data());
        QCOMPARE(file.entries[2].shape, Shape{});
        QVERIFY(file.warnings.empty());
        QVERIFY(!file.find("z"));
    }

    void writes_what_it_reads() {
        QTemporaryDir folder;
        const std::filesystem::path path = (folder.path() + "/out.gguf").toStdString();
        std::vector<std::byte> blocks(2 * 34, std::byte{3});
        const auto owner = std::make_shared<std::vector<std::byte>>(blocks);
        write_gguf(path,
                   {{"general.architecture", std::string("tiny")},
                    {"n", std::uint32_t{7}},
                    {"s", std::int32_t{-7}},
                    {"l", std::uint64_t{1} << 33},
                    {"x", 0.25f},
                    {"b", true},
                    {"texts", std::vector<std::string>{"p", "q r"}},
                    {"kinds", std::vector<std::int32_t>{1, 3}},
                    {"reals", std::vector<float>{1.5f}}},
                   {{"w", Tensor::from_floats({2, 3}, {1, 2, 3, 4, 5, 6})},
                    {"q", Tensor(DType::q8_0, {1, 64}, *owner, owner)},
                    {"none", Tensor::from_floats({0, 4}, {})}});
        const GgufFile file = read_gguf(map_file(path));
        QCOMPARE(file.metadata.values().size(), std::size_t{9});
        QCOMPARE(file.metadata.integer("l").value(), std::int64_t{1} << 33);
        QCOMPARE(file.metadata.integer("s").value(), -7);
        QCOMPARE(file.metadata.number("x").value(), 0.25);
        QCOMPARE(file.metadata.boolean("b").value(), true);
        QCOMPARE(file.metadata.texts("texts").value(), (std::vector<std::string_view>{"p", "q r"}));
        QCOMPARE(file.metadata.integers("kinds").value(), (std::vector<std::int64_t>{1, 3}));
        QCOMPARE(file.tensor(*file.find("w")).to_floats(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
        const Tensor q = file.tensor(*file.find("q"));
        QCOMPARE(q.dtype(), DType::q8_0);
        QVERIFY(std::equal(q.bytes().begin(), q.bytes().end(), blocks.begin(), blocks.end()));
        QCOMPARE(file.tensor(*file.find("none")).shape(), (Shape{0, 4}));
        const Tensor one = Tensor::from_floats({1}, {1});
        const Tensor deep = Tensor::from_floats({1, 1, 1, 1, 1}, {1});
        QVERIFY(text_of([&] { write_gguf(path, {}, {{std::string(64, 'n'), one}}); }).contains("63 bytes"));
        QVERIFY(text_of([&] { write_gguf(path, {}, {{"deep", deep}}); }).contains("4 dimensions"));
    }

    void every_rule_has_a_file_that_breaks_it() {
        QCOMPARE(code(GgufBytes{}), QString("GG-MAGIC"));
        QCOMPARE(code(GgufBytes().text("GGUG")), QString("GG-MAGIC"));
        QCOMPARE(code(GgufBytes().header(0, 0, 1)), QString("GG-VERSION"));
        QCOMPARE(code(GgufBytes().header(0, 0, 4)), QString("GG-VERSION"));
        QCOMPARE(code(GgufBytes().header(0, 0, 2)), QString("none"));
        QCOMPARE(code(GgufBytes().header(0, 0, 0x03000000)), QString("GG-ENDIAN"));
        constexpr auto huge = std::numeric_limits<std::uint64_t>::max();
        QCOMPARE(code(GgufBytes().header(huge, 0)), QString("GG-COUNT"));
        QCOMPARE(code(GgufBytes().header(0, huge)), QString("GG-COUNT"));
        QCOMPARE(code(GgufBytes().header(0, 1)), QString("GG-COUNT"));

        const auto with_metadata = [](auto write) {
            GgufBytes file;
            file.header(0, 1);
            write(file);
            file.bytes.append(16, '\0');
            return code(file);
        };
        QCOMPARE(with_metadata([](GgufBytes& f) { f.number<std::uint64_t>(1000); }), QString("GG-LENGTH"));
        QCOMPARE(with_metadata([](GgufBytes& f) { f.number(huge); }), QString("GG-LENGTH"));
        QCOMPARE(with_metadata([](GgufBytes& f) { f.metadata("", "value"); }), QString("GG-KEY"));
        QCOMPARE(with_metadata([](GgufBytes& f) { f.metadata("\xff", "value"); }), QString("GG-KEY"));
        QCOMPARE(with_metadata([](GgufBytes& f) { f.metadata(std::string(70'000, 'k'), "value"); }),
                 QString("GG-KEY"));
        QCOMPARE(with_metadata([](GgufBytes& f) { f.text("k").number(GgufBytes::text_type).number(huge); }),
                 QString("GG-LENGTH"));
        QCOMPARE(with_metadata([](GgufBytes& f) { f.metadata("k", GgufBytes::boolean, std::uint8_t{2}); }),
                 QString("GG-VALUE"));
        QCOMPARE(with_metadata([](GgufBytes& f) { f.metadata("k", 13, std::uint64_t{1}); }),
                 QString("GG-VALUE"));
        const auto list = [&](std::uint32_t type, std::uint64_t count, std::uint64_t first = 0) {
            return with_metadata([&](GgufBytes& f) {
                f.text("k").number(GgufBytes::list).number(type).number(count).number(first);
            });
        };
        QCOMPARE(list(GgufBytes::u8, 8), QString("none"));
        QCOMPARE(list(GgufBytes::u64, 4), QString("GG-LENGTH"));
        QCOMPARE(list(GgufBytes::u8, huge), QString("GG-LENGTH"));
        QCOMPARE(list(GgufBytes::u64, huge / 8 + 2),
                 QString("GG-LENGTH")); // times 8 it wraps to a small number
        QCOMPARE(list(GgufBytes::text_type, 1, 99), QString("GG-LENGTH"));
        QCOMPARE(list(GgufBytes::boolean, 1, 3), QString("GG-VALUE"));
        QCOMPARE(list(GgufBytes::list, 1), QString("GG-VALUE"));
        QCOMPARE(list(77, 1), QString("GG-VALUE"));
        GgufBytes twice;
        twice.header(0, 2).metadata("same", "a").metadata("same", "b");
        QCOMPARE(code(twice), QString("GG-KEY"));

        const auto aligned = [](std::uint32_t type, auto n) {
            GgufBytes file;
            file.header(0, 1).metadata("general.alignment", type, n);
            return code(file);
        };
        QCOMPARE(aligned(GgufBytes::u32, std::uint32_t{64}), QString("none"));
        for (const std::uint32_t n : {0u, 4u, 24u, 131072u}) {
            QCOMPARE(aligned(GgufBytes::u32, n), QString("GG-ALIGN"));
        }
        QCOMPARE(aligned(GgufBytes::f32, 32.0f), QString("GG-ALIGN"));
        QCOMPARE(aligned(GgufBytes::u8, std::uint8_t{32}), QString("GG-ALIGN"));
        GgufBytes wide; // a good number in 64 bits
        wide.header(0, 1).metadata("general.alignment", GgufBytes::u64, std::uint64_t{32});
        const QString text = text_of([&] { read(wide.bytes); });
        QVERIFY2(text.startsWith("GG-ALIGN") &&
                     text.contains("general.alignment is stored as u64; the format has it as u32."),
                 qPrintable(text));
    }

    void every_rule_of_tensors_has_a_file_that_breaks_it() {
        using B = GgufBytes;
        const auto one = [](const char* name, std::vector<std::uint64_t> dimensions, std::uint32_t type,
                            std::uint64_t offset = 0) {
            return code(with_tensors(1, [&](B& f) { f.tensor(name, dimensions, type, offset); }));
        };
        QCOMPARE(one("w", {4}, 0), QString("none"));
        QCOMPARE(one("", {4}, 0), QString("GG-TENSOR"));
        QCOMPARE(one(std::string(64, 'n').c_str(), {4}, 0), QString("GG-TENSOR"));
        QCOMPARE(one(std::string(63, 'n').c_str(), {4}, 0), QString("none"));
        QCOMPARE(one("w", {1, 1, 1, 1, 1}, 0), QString("GG-TENSOR"));
        QCOMPARE(one("w", {std::uint64_t{1} << 63}, 0), QString("GG-TENSOR"));
        QCOMPARE(one("w", {std::uint64_t{1} << 32, std::uint64_t{1} << 32}, 0), QString("GG-TENSOR"));
        QCOMPARE(one("w", {std::uint64_t{1} << 61, 2}, 0), QString("GG-TENSOR")); // times 4 bytes it wraps
        QCOMPARE(one("w", {std::uint64_t{1} << 60}, 0), QString("F-TRUNCATED"));
        for (const std::uint32_t removed : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 43u, 1000u}) {
            QCOMPARE(one("w", {256}, removed), QString("GG-TYPE"));
        }
        QCOMPARE(one("w", {33}, 8), QString("GG-TYPE"));
        QCOMPARE(one("w", {32, 8}, 12), QString("GG-TYPE"));
        QCOMPARE(one("w", {}, 8), QString("GG-TYPE"));
        QCOMPARE(one("w", {4}, 0, 32), QString("GG-OFFSET"));
        const auto two = [](std::uint64_t second, const char* name = "b") {
            return code(
                with_tensors(2, [&](B& f) { f.tensor("a", {9}, 0, 0).tensor(name, {4}, 0, second); }));
        };
        QCOMPARE(two(64), QString("none"));
        QCOMPARE(two(64, "a"), QString("GG-TENSOR"));
        for (const std::uint64_t second : {std::uint64_t{0}, std::uint64_t{36}, std::uint64_t{32},
                                           std::uint64_t{96}, std::numeric_limits<std::uint64_t>::max()}) {
            QCOMPARE(two(second), QString("GG-OFFSET"));
        }
        const auto sized = [](std::size_t data) {
            return with_tensors(
                1, [](B& f) { f.tensor("w", {16}, 0, 0); }, data);
        };
        QCOMPARE(code(sized(63)), QString("F-TRUNCATED"));
        QCOMPARE(code(sized(64)), QString("none"));
        QVERIFY(read(sized(64 + 31).bytes).warnings.empty());
        QVERIFY(read(sized(64 + 32).bytes).warnings.at(0).starts_with("F-TRAILING"));
        B wide;
        wide.header(1, 1).metadata("general.alignment", B::u32, std::uint32_t{256}).tensor("w", {16}, 0, 0);
        QCOMPARE(code(wide.data(64, 256)), QString("none"));
    }

    void types_without_a_decoder_are_named() {
        const GgufFile file = read(with_tensors(1, [](GgufBytes& f) { f.tensor("w", {256}, 10, 0); }).bytes);
        QCOMPARE(file.entries[0].stored_type, std::string_view("Q2_K"));
        QCOMPARE(file.entries[0].end, std::uint64_t{84});
        QCOMPARE(code_of([&] { file.tensor(file.entries[0]); }), QString("GG-TYPE"));
        QVERIFY(text_of([&] { file.tensor(file.entries[0]); }).contains("Q2_K"));
    }

    void every_truncation_is_refused() {
        const std::string whole = small().bytes;
        for (std::size_t length = 0; length < whole.size(); ++length) {
            const QString got = code_of([&] { read(whole.substr(0, length)); });
            QVERIFY2(got != "none", qPrintable(QString::number(length)));
        }
        QCOMPARE(code_of([&] { read(whole); }), QString("none"));
    }

    void no_flipped_bit_does_harm() {
        const std::string whole = small().bytes;
        int refused = 0;
        for (std::size_t at = 0; at < whole.size(); ++at) {
            for (int bit = 0; bit < 8; ++bit) {
                std::string changed = whole;
                changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
                refused += code_of([&] {
                               const GgufFile file = read(changed);
                               for (const GgufEntry& entry : file.entries) {
                                   file.tensor(entry);
                               }
                               for (const auto& [key, value] : file.metadata.values()) {
                                   if (const auto* values = std::get_if<MetadataList>(&value)) {
                                       values->is_text() ? values->texts().size() : values->bytes.size();
                                   }
                               }
                           }) != "none";
            }
        }
        QVERIFY(refused > 1000);
    }

    void parts_say_which_they_are() {
        const auto part = [](std::uint32_t number, std::uint32_t count, std::int32_t tensors,
                             const char* name) {
            GgufBytes file;
            file.header(1, 3);
            file.metadata("split.no", 4, number).metadata("split.count", 4, count);
            file.metadata("split.tensors.count", 5, tensors);
            return read(file.tensor(name, {4}, 0, 0).data(16).bytes);
        };
        const auto check = [](std::vector<GgufFile> parts) {
            return code_of([&] { check_gguf_parts(parts); });
        };
        QCOMPARE(check({part(0, 2, 2, "a"), part(1, 2, 2, "b")}), QString("none"));
        QCOMPARE(check({part(1, 2, 2, "a"), part(0, 2, 2, "b")}), QString("GG-SPLIT"));
        QCOMPARE(check({part(0, 2, 2, "a"), part(1, 3, 2, "b")}), QString("GG-SPLIT"));
        QCOMPARE(check({part(0, 2, 3, "a"), part(1, 2, 3, "b")}), QString("GG-SPLIT"));
        QCOMPARE(check({part(0, 2, 2, "a")}), QString("GG-SPLIT"));
        QCOMPARE(check({part(0, 2, 2, "a"), read(small().bytes)}), QString("GG-SPLIT"));
        QCOMPARE(check({read(small().bytes)}), QString("none"));
    }

    void an_architecture_gives_names_and_a_configuration() {
        const auto file = [](auto change) {
            GgufBytes bytes;
            std::vector<std::pair<std::string, GgufBytes>> metadata;
            const auto add = [&](const std::string& key, std::uint32_t type, auto value) {
                metadata.emplace_back(key, GgufBytes().metadata(key, type, value));
            };
            metadata.emplace_back("general.architecture",
                                  GgufBytes().metadata("general.architecture", "qwen2"));
            add("qwen2.embedding_length", 4, std::uint32_t{8});
            add("qwen2.block_count", 10, std::uint64_t{2}); // 32 or 64 bits
            add("qwen2.attention.head_count", 4, std::uint32_t{2});
            add("qwen2.attention.head_count_kv", 4, std::uint32_t{1});
            add("qwen2.feed_forward_length", 4, std::uint32_t{16});
            add("qwen2.context_length", 4, std::uint32_t{64});
            add("qwen2.attention.layer_norm_rms_epsilon", 6, 1e-6f);
            add("qwen2.rope.freq_base", 6, 1e6f);
            change(metadata);
            bytes.header(2, metadata.size());
            for (const auto& [key, value] : metadata) {
                bytes.bytes += value.bytes;
            }
            bytes.tensor("token_embd.weight", {8, 5}, 0, 0).tensor("blk.1.attn_q.bias", {8}, 0, 160);
            return read(bytes.data(192).bytes);
        };
        const auto config = [&](auto change) {
            std::vector<GgufFile> parts{file(change)};
            return nlohmann::json::parse(GgufArchitecture::of(parts[0].metadata).config_json(parts));
        };
        const auto nothing = [](auto&) {};
        const nlohmann::json plain = config(nothing);
        QCOMPARE(plain.at("hidden_size").get<int>(), 8);
        QCOMPARE(plain.at("num_hidden_layers").get<int>(), 2);
        QCOMPARE(plain.at("vocab_size").get<int>(), 5);
        QCOMPARE(plain.at("rms_norm_eps").get<double>(), 1e-6);
        QCOMPARE(plain.at("rope_theta").get<double>(), 1e6);
        QCOMPARE(plain.at("tie_word_embeddings").get<bool>(), true);
        QCOMPARE(plain.at("model_type").get<std::string>(), std::string("qwen2"));
        QVERIFY(!plain.contains("rope_scaling") && !plain.contains("head_dim"));

        const GgufArchitecture names = GgufArchitecture::of(file(nothing).metadata);
        QCOMPARE(names.checkpoint_name("blk.1.attn_q.bias"),
                 std::string("model.layers.1.self_attn.q_proj.bias"));
        QCOMPARE(names.checkpoint_name("blk.35.ffn_down.weight"),
                 std::string("model.layers.35.mlp.down_proj.weight"));
        QCOMPARE(names.checkpoint_name("output.weight"), std::string("lm_head.weight"));
        QCOMPARE(names.checkpoint_name("blk.01.attn_q.bias"), std::string("blk.01.attn_q.bias"));
        QCOMPARE(names.checkpoint_name("blk..attn_q.bias"), std::string("blk..attn_q.bias"));
        QCOMPARE(names.checkpoint_name("rope_freqs.weight"), std::string("rope_freqs.weight"));

        using Metadata = std::vector<std::pair<std::string, GgufBytes>>;
        const auto scaled = config(
            [](Metadata& m) { m.emplace_back("", GgufBytes().metadata("qwen2.rope.scaling.type", "yarn")); });
        QCOMPARE(scaled.at("rope_scaling").at("rope_type").get<std::string>(), std::string("yarn"));
        QVERIFY(!config([](Metadata& m) {
                     m.emplace_back("", GgufBytes().metadata("qwen2.rope.scaling.type", "none"));
                 }).contains("rope_scaling"));
        const auto code_with = [&](auto change) { return code_of([&] { config(change); }); };
        QCOMPARE(code_with([](Metadata& m) { m.pop_back(); }), QString("F-CONFIG-MISSING"));
        QCOMPARE(code_with([](Metadata& m) { m.erase(m.begin()); }), QString("F-CONFIG-MISSING"));
        QCOMPARE(code_with([](Metadata& m) {
                     m[1].second = GgufBytes().metadata("qwen2.embedding_length", "eight");
                 }),
                 QString("F-CONFIG-VALUE"));
        QCOMPARE(code_with([](Metadata& m) {
                     m.back().second = GgufBytes().metadata("qwen2.rope.freq_base", 6,
                                                            std::numeric_limits<float>::infinity());
                 }),
                 QString("F-CONFIG-VALUE"));
        QCOMPARE(code_with([](Metadata& m) {
                     m[0].second = GgufBytes().metadata("general.architecture", "llama");
                 }),
                 QString("F-ARCH"));
        QCOMPARE(code_with([](Metadata& m) {
                     m[0].second = GgufBytes().metadata("general.architecture", "../schemas/moa-2026");
                 }),
                 QString("F-ARCH"));
        QCOMPARE(code_with([](Metadata& m) {
                     m.emplace_back("", GgufBytes().metadata("general.type", "adapter"));
                 }),
                 QString("F-ARCH"));
        QCOMPARE(
            code_with([](Metadata& m) {
                GgufBytes tokens;
                tokens.text("tokenizer.ggml.tokens").number(GgufBytes::list).number(GgufBytes::text_type);
                tokens.number<std::uint64_t>(2).text("a").text("b");
                m.emplace_back("", tokens);
            }),
            QString("GG-TOKENIZER"));
    }

    void a_checkpoint_opens_it() {
        QTemporaryDir folder;
        const std::filesystem::path path = folder.path().toStdString();
        const auto metadata = [](GgufBytes& file, std::uint64_t tensors) {
            file.header(tensors, 9).metadata("general.architecture", "qwen2");
            for (const char* key : {"embedding_length", "block_count", "attention.head_count",
                                    "feed_forward_length", "context_length"}) {
                file.metadata("qwen2." + std::string(key), GgufBytes::u32, std::uint32_t{2});
            }
            file.metadata("qwen2.attention.layer_norm_rms_epsilon", GgufBytes::f32, 1e-6f);
            file.metadata("qwen2.rope.freq_base", GgufBytes::f32, 1e6f);
        };
        GgufBytes file;
        metadata(file, 2);
        file.metadata("general.name", "Named");
        file.tensor("token_embd.weight", {2, 3}, 0, 0).tensor("blk.0.ffn_norm.weight", {2}, 0, 32);
        write_bytes(path / "model.gguf", file.data(40).bytes);
        for (const auto& source : {path, path / "model.gguf"}) {
            const auto model = Checkpoint::open(source);
            QCOMPARE(model->order(),
                     (std::vector<std::string>{"model.embed_tokens.weight",
                                               "model.layers.0.post_attention_layernorm.weight"}));
            QCOMPARE(model->tensor("model.embed_tokens.weight").shape(), (Shape{3, 2}));
            QCOMPARE(model->metadata().at("general.name"), std::string("Named"));
            QCOMPARE(model->typed_metadata().integer("qwen2.block_count").value(), 2);
            QCOMPARE(nlohmann::json::parse(model->config_json()).at("vocab_size").get<int>(), 3);
            QCOMPARE(model->side_file("config.json").value(), model->config_json());
            QCOMPARE(model->parameter_count(), 8);
        }
        write_bytes(path / "config.json", "{}"); // the file's own configuration comes first
        QVERIFY(Checkpoint::open(path)->config_json().size() > 2);

        GgufBytes odd;
        metadata(odd, 1);
        odd.metadata("general.name", "Odd").tensor("token_embd.weight", {256, 1}, 10, 0);
        write_bytes(path / "model.gguf", odd.data(84).bytes);
        const auto named_only = Checkpoint::open(path); // shown, never run
        QCOMPARE(named_only->unreadable().at("model.embed_tokens.weight").stored_type, std::string("Q2_K"));
        QCOMPARE(named_only->weight_bytes(), std::uint64_t{84});
        QCOMPARE(code_of([&] { named_only->check_runnable(); }), QString("GG-TYPE"));
        GgufBytes foreign;
        foreign.header(1, 1).metadata("general.architecture", "llama");
        write_bytes(path / "model.gguf", foreign.tensor("token_embd.weight", {2, 3}, 0, 0).data(24).bytes);
        const auto other = Checkpoint::open(path);
        QCOMPARE(other->order(), std::vector<std::string>{"token_embd.weight"});
        QCOMPARE(code_of([&] { other->check_runnable(); }), QString("F-ARCH"));
        GgufBytes same;
        metadata(same, 2);
        same.metadata("general.name", "Twice");
        same.tensor("token_embd.weight", {1}, 0, 0).tensor("model.embed_tokens.weight", {1}, 0, 32);
        write_bytes(path / "model.gguf", same.data(36).bytes);
        QCOMPARE(code_of([&] { Checkpoint::open(path); }), QString("SI-DUPLICATE"));
    }
};

QTEST_GUILESS_MAIN(TestGguf)
#include "test_gguf.moc"
