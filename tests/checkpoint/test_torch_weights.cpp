// SPDX-License-Identifier: GPL-3.0-or-later
// Checkpoints out of PyTorch files: wrappers, prefixes, shards, and what lies beside them.
#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/torch_file.h"
#include "tests/checkpoint/support_files.h"
#include "tests/checkpoint/support_torch.h"

#include <QTemporaryDir>
#include <QTest>

using namespace ergo;

namespace {

namespace fs = std::filesystem;

const fs::path data_folder = ERGO_TEST_DATA "/checkpoint";

std::vector<float> floats(const Checkpoint& model, const char* name) {
    return model.tensor(name).to_floats();
}

QString open_code(const fs::path& path) {
    return code_of([&] { Checkpoint::open(path); });
}

struct Folder {
    QTemporaryDir temporary;
    fs::path path = temporary.path().toStdString();

    fs::path copy(const char* name, const char* as = nullptr) const {
        const fs::path to = path / (as ? as : name);
        fs::copy_file(data_folder / name, to, fs::copy_options::overwrite_existing);
        return to;
    }
};

} // namespace

class TestTorchWeights : public QObject {
    Q_OBJECT

  private slots:
    void opens_a_module() {
        const auto model = Checkpoint::open(data_folder / "module.bin");
        QCOMPARE(model->order(),
                 (std::vector<std::string>{"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean",
                                           "1.running_var", "1.num_batches_tracked"}));
        QCOMPARE(model->tensor("1.num_batches_tracked").dtype(), DType::i64);
        QCOMPARE(model->tensor("0.weight").shape(), (Shape{2, 3}));
        QCOMPARE(model->parameter_count(), 6 + 2 + 2 + 2 + 2 + 2 + 1);
        QCOMPARE(model->weight_bytes(), 16u * 4 + 8);
        QCOMPARE(model->display_name(), std::string("module"));
        QVERIFY(model->warnings().empty() && model->metadata().empty());
        model->check_unchanged();
    }

    void takes_off_wrappers_and_prefixes() {
        const auto model = Checkpoint::open(data_folder / "wrapper.pt");
        QCOMPARE(model->order(), (std::vector<std::string>{"layers.0.w", "norm.weight"}));
        QCOMPARE(floats(*model, "layers.0.w"), (std::vector<float>{0, 1, 2, 3, 4, 5}));
        QCOMPARE(model->tensor("layers.0.w").dtype(), DType::bf16);
        const std::map<std::string, std::string> metadata{{"step", "81252"},
                                                          {"tokens_consumed", "21300000000"},
                                                          {"loss", "2.5"},
                                                          {"note", "written by a test"},
                                                          {"done", "true"}};
        QCOMPARE(model->metadata(), metadata);
        QCOMPARE(model->warnings().size(), 1u);
        QVERIFY(model->warnings()[0].find("adamw_optimizer: a map of 2") != std::string::npos);
        QVERIFY(model->warnings()[0].starts_with("2 entries of wrapper.pt"));
        const auto nested = Checkpoint::open(data_folder / "nested.pt");
        QCOMPARE(nested->order(), std::vector<std::string>{"w"});
        QCOMPARE(nested->metadata().at("epoch"), std::string("3"));
        QCOMPARE(Checkpoint::open(data_folder / "masses.pt")->order(),
                 (std::vector<std::string>{"0", "1", "2"}));
        QCOMPARE(Checkpoint::open(data_folder / "single.pt")->order(), std::vector<std::string>{"tensor"});
    }

    void counts_shared_tensors_once() {
        const auto model = Checkpoint::open(data_folder / "views.pt");
        QCOMPARE(model->tensor("base").bytes().data(), model->tensor("again").bytes().data());
        const auto dtypes = Checkpoint::open(data_folder / "dtypes.pt");
        QCOMPARE(dtypes->unreadable().at("complex64").stored_type, std::string("C64"));
        QCOMPARE(dtypes->unreadable().at("float8_e4m3fn").stored_type, std::string("F8_E4M3"));
        QCOMPARE(code_of([&] { dtypes->tensor("complex64"); }), "M-DTYPE");
        Folder f;
        using namespace pk;
        write_bytes(f.path / "tied.pt", torch_zip(proto + empty_map + mark + text("a") + tensor() +
                                                  text("b") + tensor() + setitems + stop)
                                            .bytes);
        const auto tied = Checkpoint::open(f.path / "tied.pt");
        QCOMPARE(tied->parameter_count(), 4);
        QCOMPARE(tied->weight_bytes(), 16u);
        QCOMPARE(tied->tensors().size(), 2u);
    }

    void opens_shards() {
        Folder f;
        const fs::path first = f.copy("pytorch_model-00001-of-00002.bin");
        const fs::path second = f.copy("pytorch_model-00002-of-00002.bin");
        QCOMPARE(Checkpoint::open(f.path)->tensors().size(), 3u); // complete sets need no index
        const fs::path index = f.copy("pytorch_model.bin.index.json");
        for (const fs::path& path : {f.path, index, first, second}) {
            const auto model = Checkpoint::open(path);
            QCOMPARE(model->tensors().size(), 3u);
            QCOMPARE(floats(*model, "b"), (std::vector<float>{2, 2, 2})); // the index says module.b
            QVERIFY2(model->warnings().empty(),
                     model->warnings().empty() ? "" : model->warnings()[0].c_str());
        }
        fs::remove(second);
        QCOMPARE(open_code(f.path), "SI-SHARD-MISSING");
        QVERIFY(!Checkpoint::open(first)->complete());
        write_bytes(index, R"({"weight_map":{"a":"../x.bin"}})");
        QCOMPARE(open_code(index), "SI-PATH");
    }

    void chooses_in_a_folder() {
        Folder f;
        f.copy("masses.pt", "gravity_mass_log.pt");
        f.copy("wrapper.pt", "optimizer.pt");
        f.copy("wrapper.pt", "training_args.bin");
        QCOMPARE(open_code(f.path), "F-UNKNOWN"); // none of these is a model
        QCOMPARE(Checkpoint::open(f.path / "gravity_mass_log.pt")->tensors().size(), 3u);
        f.copy("nested.pt", "weights.pth");
        const auto pth = Checkpoint::open(f.path);
        QCOMPARE(pth->weight_files(), std::vector<std::string>{"weights.pth"});
        const auto masses = pth->side_torch_file("gravity_mass_log.pt");
        QVERIFY(masses && masses->root.sequence()->size() == 3);
        QVERIFY(!pth->side_torch_file("absent.pt"));
        QCOMPARE(code_of([&] { pth->side_torch_file("../weights.pth"); }), "");
        f.copy("nested.pt", "other.ckpt");
        QCOMPARE(open_code(f.path), "F-AMBIGUOUS");
        f.copy("module.bin", "pytorch_model.bin");
        QCOMPARE(Checkpoint::open(f.path)->weight_files(), std::vector<std::string>{"pytorch_model.bin"});
        write_safetensors(f.path / "model.safetensors", {{"x", Tensor::from_floats({1}, {1})}});
        write_bytes(f.path / "config.json", "{}");
        for (const fs::path& path : {f.path, f.path / "config.json"}) {
            QCOMPARE(Checkpoint::open(path)->weight_files(), std::vector<std::string>{"model.safetensors"});
        }
        write_bytes(f.path / "gravity_mass_log.pt", "<!DOCTYPE html>");
        QCOMPARE(code_of([&] { pth->side_torch_file("gravity_mass_log.pt"); }), "F-WEBPAGE");
    }

    void refuses_what_has_no_weights() {
        using namespace pk;
        Folder f;
        const auto code = [&](const std::string& body) {
            write_bytes(f.path / "x.pt", torch_zip(proto + body + stop).bytes);
            return open_code(f.path / "x.pt");
        };
        QCOMPARE(code(none), "PT-LAYOUT");
        QCOMPARE(code(one(integer(3))), "PT-LAYOUT");
        QCOMPARE(code(one(one(tensor()), "other")), "PT-LAYOUT");
        QCOMPARE(code(one(one(tensor()), "ema")), "none");
        QCOMPARE(code(empty_map + mark + text("module.a") + tensor() + text("a") + tensor() + setitems),
                 "PT-LAYOUT");
        QCOMPARE(code(empty_map + mark + text("xmodule.a") + tensor() + text("a") + tensor() + setitems),
                 "none");
        // the same map under every wrapper of every level, with many names
        std::string leaf = empty_map + mark;
        for (int i = 0; i < 10000; ++i) {
            leaf += integer(i) + none;
        }
        std::string body = leaf + setitems;
        for (char level = 0; level < 6; ++level) {
            body += std::string("q") + level;
            for (const char* name : {"state_dict", "model_state_dict", "module", "weights", "ema"}) {
                body += text(name) + "h" + level;
            }
            body = empty_map + mark + text("model") + body + setitems;
        }
        QCOMPARE(code(body), "PT-LAYOUT");
    }

    void opens_compressed() {
        const auto plain = Checkpoint::open(data_folder / "module.bin");
        int told = 0;
        const auto model = Checkpoint::open(
            data_folder / "module.bin.zst", [&](double done, double total, const std::string& what) {
                told += done <= total && what.find("module.bin.zst") != std::string::npos;
            });
        QVERIFY(told > 0);
        QCOMPARE(model->order(), plain->order());
        QCOMPARE(floats(*model, "0.weight"), floats(*plain, "0.weight"));
        QCOMPARE(model->weight_files(), std::vector<std::string>{"module.bin"});
        QCOMPARE(model->display_name(), std::string("module"));
        Folder f;
        f.copy("module.bin.zst", "step_7.pt.zst");
        QCOMPARE(Checkpoint::open(f.path)->weight_files(), std::vector<std::string>{"step_7.pt"});
        CancelToken cancel;
        cancel.cancel();
        try {
            Checkpoint::open(data_folder / "module.bin.zst", {}, cancel);
            QFAIL("cancelling must stop");
        } catch (const Error& e) {
            QVERIFY(e.kind() == ErrorKind::cancelled);
        }
    }
};

QTEST_GUILESS_MAIN(TestTorchWeights)
#include "test_torch_weights.moc"
