// SPDX-License-Identifier: GPL-3.0-or-later
// The demo model out of other containers gives the same numbers; a weights file that is cut off while a
// session reads it gives an error and not the end of the program.
#include "engine/base/error.h"
#include "engine/base/mapping_guard.h"
#include "engine/generate/session.h"
#include "tests/checkpoint/support_torch.h"

#include <QTemporaryDir>
#include <QTest>

#include <csignal>
#include <fstream>

using namespace ergo;

namespace {

namespace fs = std::filesystem;

const fs::path demo = ERGO_SOURCE_DIR "/resources/demo/moa";

void write(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

std::string storage_type(DType type) {
    switch (type) {
    case DType::f32:
        return "FloatStorage";
    case DType::bf16:
        return "BFloat16Storage";
    case DType::f16:
        return "HalfStorage";
    default:
        return "";
    }
}

/// The model as a trainer would write it: a wrapper, prefixed names, one storage a tensor.
std::string as_torch(const Checkpoint& model) {
    std::string state = pk::ordered_map() + pk::mark;
    std::vector<std::pair<std::string, std::string>> members{{"m/data.pkl", ""}};
    for (const std::string& name : model.order()) {
        const Tensor& tensor = model.tensor(name);
        const std::string key = std::to_string(members.size() - 1);
        pk::TensorParts parts;
        parts.storage = pk::storage(storage_type(tensor.dtype()), key, tensor.size());
        parts.size = pk::numbers(tensor.shape());
        std::vector<std::int64_t> strides(tensor.shape().size(), 1);
        for (std::size_t i = strides.size(); i-- > 1;) {
            strides[i - 1] = strides[i] * tensor.shape()[i];
        }
        parts.stride = pk::numbers(strides);
        state += pk::text("_orig_mod." + name) + pk::tensor(parts);
        const auto bytes = tensor.bytes();
        members.emplace_back("m/data/" + key,
                             std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
    members[0].second = pk::proto + pk::empty_map + pk::mark + pk::text("step") + pk::integer(7) +
                        pk::text("model") + state + pk::setitems + pk::setitems + pk::stop;
    return make_zip(members).bytes;
}

/// One zstd frame of stored blocks that does not say its size.
std::string as_zstd(const std::string& content) {
    std::string out("\x28\xb5\x2f\xfd\x00\x50", 6);
    for (std::size_t at = 0; at < content.size(); at += 1 << 17) {
        const std::string block = content.substr(at, 1 << 17);
        out += le(block.size() << 3 | (at + block.size() == content.size()), 3) + block;
    }
    return out;
}

std::shared_ptr<const OpenedModel> open_from(const fs::path& folder) {
    OpenModelOptions options;
    options.backend = "cpu";
    return open_all(folder.string(), options, {}, {});
}

std::vector<float> logits(Session& session) {
    session.set_tokens(std::vector<std::int32_t>{70, 71, 72, 73}, {}, {});
    return {session.logits().begin(), session.logits().end()};
}

} // namespace

class TestOpenFiles : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        std::signal(SIGBUS, SIG_DFL);
        install_mapping_guard();
        const auto opened = open_from(demo);
        Session session(opened);
        expected_ = logits(session);
        torch_ = as_torch(*opened->checkpoint);
    }

    void other_containers_give_the_same_numbers_data() {
        QTest::addColumn<bool>("compressed");
        QTest::newRow("pytorch_model.bin") << false;
        QTest::newRow("step_7.pt.zst") << true;
    }

    void other_containers_give_the_same_numbers() {
        QFETCH(bool, compressed);
        QTemporaryDir temporary;
        const fs::path folder = copy_without_weights(temporary);
        write(folder / QTest::currentDataTag(), compressed ? as_zstd(torch_) : torch_);
        const auto opened = open_from(folder);
        QCOMPARE(opened->checkpoint->metadata().at("step"), std::string("7"));
        Session session(opened);
        QVERIFY(logits(session) == expected_);
    }

    void templates_with_names_come_from_the_folder_alone() {
        QTemporaryDir temporary, elsewhere;
        const fs::path folder = copy_without_weights(temporary), away = elsewhere.path().toStdString();
        fs::copy_file(demo / "model.safetensors", folder / "model.safetensors");
        fs::create_directory(folder / "additional_chat_templates");
        write(folder / "additional_chat_templates" / "short.jinja", "{{ messages[0].content }}");
        const auto has = [](const Tokenizer& tokenizer, const std::string& name) {
            const auto& all = tokenizer.chat_templates();
            return std::any_of(all.begin(), all.end(), [&](const auto& each) { return each.name == name; });
        };
        QVERIFY(has(*open_from(folder)->tokenizer, "short"));
        write(away / "stray.jinja", "{{ messages[0].content }}");
        fs::create_symlink(away / "stray.jinja", folder / "additional_chat_templates" / "stray.jinja");
        for (const char* named : {"stray.jinja", "additional_chat_templates"}) { // the file, then the folder
            try {
                open_from(folder);
                QFAIL("a link out of the folder must not be followed");
            } catch (const Error& error) {
                QCOMPARE(error.where().code, std::string("F-IO"));
                QCOMPARE(error.where().file, std::string(named));
            }
            fs::remove_all(folder / "additional_chat_templates");
            fs::create_directory_symlink(away, folder / "additional_chat_templates");
        }
    }

    void a_file_cut_off_while_it_loads_is_an_error() {
        QTemporaryDir temporary;
        const fs::path folder = copy_without_weights(temporary);
        const fs::path weights = folder / "model.safetensors";
        fs::copy_file(demo / "model.safetensors", weights);
        OpenModelOptions options;
        options.backend = "cpu";
        bool cut = false;
        const auto cut_it = [&](double, double, const std::string& what) {
            if (what == "preparing the weights") {
                fs::resize_file(weights, 100'000);
                cut = true;
            }
        };
        try {
            open_all(folder.string(), options, cut_it, {});
            QFAIL("missing weights must not count as zeros");
        } catch (const Error& error) {
            QCOMPARE(error.where().code, std::string("F-IO"));
            QCOMPARE(error.where().file, std::string("model.safetensors"));
        }
        QVERIFY(cut);
    }

    void a_file_cut_off_in_use_is_an_error() {
        QTemporaryDir temporary;
        const fs::path folder = copy_without_weights(temporary);
        fs::copy_file(demo / "model.safetensors", folder / "model.safetensors");
        const auto opened = open_from(folder);
        Session session(opened);
        QVERIFY(logits(session) == expected_);
        fs::resize_file(folder / "model.safetensors", 100'000);
        session.decode(74, {}); // a small model's weights have been copied: nobody misses the file
        unsigned total = 0;     // a large model's are read where they lie
        for (const auto& [name, tensor] : opened->checkpoint->tensors()) {
            total += std::to_integer<unsigned>(tensor.bytes().back());
        }
        try {
            session.decode(75, {});
            QFAIL("missing weights must not count as zeros");
        } catch (const Error& error) {
            QCOMPARE(error.where().code, std::string("F-IO"));
            QCOMPARE(error.where().file, std::string("model.safetensors"));
        }
        QCOMPARE(session.length(), 5); // the step that failed is not in the log
        QVERIFY(total > 0);
    }

  private:
    static fs::path copy_without_weights(const QTemporaryDir& temporary) {
        const fs::path folder = temporary.path().toStdString();
        for (const auto& entry : fs::directory_iterator(demo)) {
            if (entry.path().extension() != ".safetensors") {
                fs::copy_file(entry.path(), folder / entry.path().filename());
            }
        }
        return folder;
    }

    std::vector<float> expected_;
    std::string torch_;
};

QTEST_GUILESS_MAIN(TestOpenFiles)
#include "test_open_files.moc"
