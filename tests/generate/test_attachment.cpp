// SPDX-License-Identifier: GPL-3.0-or-later
// Tokenizers, chat templates and masses from other places than the model's folder, and what is said where
// gravity weights have none.
#include "engine/base/error.h"
#include "engine/checkpoint/torch_writer.h"
#include "engine/generate/opened_model.h"
#include "engine/generate/session.h"
#include "tests/generate/support_gguf_model.h"

#include <QTemporaryDir>
#include <QTest>

using namespace ergo;
using namespace gguf_test;

namespace {

namespace fs = std::filesystem;

DType all_q8_0(const Named&) {
    return DType::q8_0;
}

std::shared_ptr<const OpenedModel> open(const std::string& source, const std::vector<fs::path>& files = {}) {
    OpenModelOptions options;
    options.backend = "cpu";
    options.threads = 1;
    for (const fs::path& file : files) {
        options.attachments.push_back(as_attachment(file));
    }
    return open_all(source, options, {}, {});
}

std::vector<float> logits(const std::shared_ptr<const OpenedModel>& opened) {
    Session session(opened);
    const std::vector<std::int32_t> ids{785, 435, 1524, 282};
    session.set_tokens(ids, {}, {});
    session.decode(429, {});
    return {session.logits().begin(), session.logits().end()};
}

/// "CODE: …", the whole sentence.
template <class Action> QString error_of(Action action) {
    try {
        action();
    } catch (const Error& e) {
        return QString::fromUtf8(e.what());
    }
    return "none";
}

void write_masses(const fs::path& file, std::int64_t layers, std::int64_t heads) {
    std::vector<std::pair<std::string, Tensor>> masses;
    for (std::int64_t l = 0; l < layers; ++l) {
        std::vector<float> raw(static_cast<std::size_t>(heads));
        fill_uniform(raw, 11, "mass" + std::to_string(l), 0.5, 2.0);
        masses.emplace_back("model.layers." + std::to_string(l) + ".self_attn.gravity_mass_log",
                            Tensor::from_floats({heads}, raw));
    }
    write_torch_file(file, masses);
}

void write_text(const fs::path& file, const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
}

} // namespace

class TestAttachment : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    fs::path at(const std::string& name) const { return fs::path(folder_.path().toStdString()) / name; }
    std::string file_ = (at("weights") / "model.gguf").string(), twin_ = at("twin").string();

  private slots:
    void initTestCase() {
        write_twins(at("weights"), at("twin"), all_q8_0);
        fs::create_directories(at("parts"));
        const Sizes sizes;
        write_masses(at("parts") / "gravity_mass_log.pt", sizes.layers, sizes.heads);
        write_masses(at("parts") / "few_masses.pt", sizes.layers, sizes.heads - 1);
        write_text(at("parts") / "vocab.txt", "[PAD]\n[UNK]\nhello\nworld\n##s\n");
        write_text(at("parts") / "mine.jinja", "{% for m in messages %}>{{ m.content }}{% endfor %}");
        write_text(at("parts") / "notes.md", "# nothing\n");
    }

    void masses_make_it_gravity() {
        for (const std::string& source : {file_, twin_}) {
            const auto plain = open(source), pulled = open(source, {at("parts") / "gravity_mass_log.pt"});
            QCOMPARE(plain->model->info().family, std::string("qwen2"));
            QCOMPARE(pulled->model->info().family, std::string("gravity"));
            QVERIFY(logits(plain) != logits(pulled));
            const std::vector<float> attached = logits(pulled);
            fs::copy_file(at("parts") / "gravity_mass_log.pt",
                          (source == file_ ? at("weights") : at("twin")) / "gravity_mass_log.pt");
            QCOMPARE(logits(open(source)), attached); // as if it lay there
            fs::remove((source == file_ ? at("weights") : at("twin")) / "gravity_mass_log.pt");
        }
    }

    void masses_that_do_not_fit_are_refused() {
        const QString wrong = error_of([&] { open(twin_, {at("parts") / "few_masses.pt"}); });
        QVERIFY2(wrong.startsWith("G-MASS: few_masses.pt: ") && wrong.contains("[3]") &&
                     wrong.contains("4 query heads"),
                 qPrintable(wrong));
        const QString moa = error_of([&] { open("demo:moa", {at("parts") / "gravity_mass_log.pt"}); });
        QVERIFY2(moa.startsWith("G-MASS: ") && moa.contains("no use for them"), qPrintable(moa));
    }

    void a_tokenizer_takes_the_place_of_the_models_own() {
        const fs::path json = fs::path(tokenizer_folder) / "tokenizer.json",
                       lines = at("parts") / "vocab.txt";
        QCOMPARE(open(twin_)->tokenizer->kind(), std::string("byte-level BPE"));
        for (const std::string& source : {file_, twin_}) {
            const auto other = open(source, {lines});
            QCOMPARE(other->tokenizer->kind(), std::string("WordPiece"));
            QCOMPARE(other->tokenizer->encode("hello worlds"), (std::vector<std::int32_t>{2, 3, 4}));
        }
        fs::create_directories(at("bare"));
        fs::copy_file(at("twin") / "model.safetensors", at("bare") / "model.safetensors");
        fs::copy_file(at("twin") / "config.json", at("bare") / "config.json");
        QVERIFY(!open(at("bare").string())->tokenizer);
        fs::copy_file(json, at("parts") / "mine.json"); // called otherwise: its content says what it is
        QCOMPARE(open(at("bare").string(), {at("parts") / "mine.json"})->tokenizer->encode("Hello"),
                 open(twin_)->tokenizer->encode("Hello"));
    }

    void a_vocabulary_finds_its_merges_and_needs_them() {
        fs::create_directories(at("alone"));
        write_text(at("alone") / "vocab.json", R"({"a":0,"b":1,"ab":2})");
        QVERIFY(error_of([&] { open(twin_, {at("alone") / "vocab.json"}); }).startsWith("TK-MERGE: "));
        write_text(at("alone") / "merges.txt", "#version: 0.2\na b\n");
        for (const char* either : {"vocab.json", "merges.txt"}) {
            const auto opened = open(twin_, {at("alone") / either});
            QCOMPARE(opened->tokenizer->encode("ab"), (std::vector<std::int32_t>{2}));
        }
    }

    void a_tokenizer_of_another_model_is_refused() {
        fs::create_directories(at("large"));
        std::string lines = "[UNK]\n";
        for (int i = 1; i < 1781; ++i) { // the embedding has 1780 rows
            lines += "##" + std::to_string(i) + "\n";
        }
        write_text(at("large") / "vocab.txt", lines);
        const QString wrong = error_of([&] { open(twin_, {at("large") / "vocab.txt"}); });
        QVERIFY2(wrong.startsWith("TK-SIZE: ") && wrong.contains("1780") && wrong.contains("up to 1780"),
                 qPrintable(wrong));
        fs::copy_file(at("large") / "vocab.txt", at("bare") / "vocab.txt"); // beside the weights too
        QVERIFY(error_of([&] { open(at("bare").string()); }).startsWith("TK-SIZE: "));
        fs::remove(at("bare") / "vocab.txt");
    }

    void added_tokens_beyond_the_embedding_are_told() {
        Json json = Json::parse(std::ifstream(fs::path(tokenizer_folder) / "tokenizer.json"));
        json["added_tokens"].push_back({{"id", 1780},
                                        {"content", "<extra>"},
                                        {"special", true},
                                        {"lstrip", false},
                                        {"rstrip", false},
                                        {"single_word", false},
                                        {"normalized", false}});
        write_text(at("bare") / "tokenizer.json", json.dump());
        const auto opened = open(at("bare").string());
        QVERIFY(std::any_of(opened->notes.begin(), opened->notes.end(), [](const std::string& note) {
            return note.find("1 added tokens have ids beyond") != std::string::npos;
        }));
        fs::remove(at("bare") / "tokenizer.json");
    }

    void a_chat_template_wins_over_the_models_own() {
        for (const std::string& source : {file_, twin_}) {
            const auto opened = open(source, {at("parts") / "mine.jinja"});
            QCOMPARE(opened->chat->kind(), ChatFormat::Kind::jinja);
            QCOMPARE(opened->chat->render({{Role::user, "Hi", {}}}, false).text, std::string(">Hi"));
        }
    }

    void what_is_no_part_is_refused() {
        QVERIFY(error_of([&] { as_attachment(at("parts") / "absent.pt"); }).startsWith("F-IO: absent.pt: "));
        QVERIFY(
            error_of([&] { as_attachment(at("parts") / "notes.md"); }).startsWith("F-UNKNOWN: notes.md: "));
        QVERIFY(error_of([&] {
                    open(twin_, {at("parts") / "vocab.txt", fs::path(tokenizer_folder) / "tokenizer.json"});
                }).contains("two files of one kind"));
        QVERIFY(error_of([&] { open(twin_, {at("twin") / "model.safetensors"}); }).startsWith("F-UNKNOWN: "));
    }

    void nothing_that_says_gravity_runs_plain_and_says_so() {
        const auto opened = open(file_);
        const QString why = QString::fromStdString(opened->model->info().why);
        QVERIFY2(why.contains("no mass file was found beside it") && why.contains("dot-product attention") &&
                     why.contains("attach"),
                 qPrintable(why));
    }

    void anything_that_says_gravity_stops_it() {
        const Sizes sizes;
        fs::create_directories(at("Gravity-2"));
        fs::copy_file(file_, at("Gravity-2") / "q8.gguf"); // the file's own name says nothing
        QVERIFY(error_of([&] { open((at("Gravity-2") / "q8.gguf").string()); }).startsWith("G-MASS-NAME: "));
        fs::create_directories(at("carded"));
        fs::copy_file(file_, at("carded") / "q8.gguf");
        write_text(at("carded") / "README.md", "The masses are in gravity_mass_log.pt.\n");
        QVERIFY(error_of([&] { open(at("carded").string()); }).contains("README.md beside it speaks of"));
        const auto pulled = open(at("carded").string(), {at("parts") / "gravity_mass_log.pt"});
        QCOMPARE(pulled->model->info().family, std::string("gravity"));
        // A repository with its weights in a folder below: the masses lie at its top.
        fs::create_directories(at("repository") / "gguf");
        fs::copy_file(file_, at("repository") / "gguf" / "q8.gguf");
        fs::copy_file(at("parts") / "gravity_mass_log.pt", at("repository") / "gravity_mass_log.pt");
        QCOMPARE(open(at("repository").string())->model->info().family, std::string("gravity"));
        QCOMPARE(open(at("repository").string() + "/")->model->info().family, std::string("gravity"));
    }
};

QTEST_GUILESS_MAIN(TestAttachment)
#include "test_attachment.moc"
