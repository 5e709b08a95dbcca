// SPDX-License-Identifier: GPL-3.0-or-later
// Compiled kernels on disk: found again, and anything that does not fit is a miss that does no harm.
#include "engine/backend/vulkan/pipeline_file.h"
#include "support_vulkan.h"

#include <QTemporaryDir>
#include <QtTest>

#include <fstream>

using namespace ergo;
using namespace ergo::test;
using namespace ergo::vulkan;

namespace {

std::vector<std::byte> some_bytes(std::size_t count) {
    std::vector<std::byte> bytes(count);
    for (std::size_t i = 0; i < count; ++i) {
        bytes[i] = static_cast<std::byte>(i * 37 + i / 256);
    }
    return bytes;
}

std::string content(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void replace(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// A matrix on three numbers.
struct Tiny {
    std::shared_ptr<Tables> tables = std::make_shared<Tables>();
    std::shared_ptr<Plan> plan = std::make_shared<Plan>();
    BufferId out;
    Tiny() {
        const BufferId x = plan->add_buffer("x", 3);
        out = plan->add_buffer("out", 2);
        plan->add(
            {"embed", {}, Embed{tables->add_weight("table", Tensor::from_floats({1, 3}, {1, 2, 3})), x}});
        const auto matrix = Tensor::from_floats({2, 3}, {1, 0, 2, -1, 1, 0.5f});
        plan->add({"linear", {}, Linear{x, tables->add_weight("matrix", matrix), {}, out}});
    }
};

} // namespace

class TestVulkanPipelines : public QObject {
    Q_OBJECT

  private slots:
    void init() {
        folder_ = std::make_unique<QTemporaryDir>();
        path_ = folder_->path().toStdString() + "/below/that";
    }

    void what_was_written_is_read() {
        const auto data = some_bytes(1000);
        QVERIFY(read_pipelines(path_, "a key").empty());
        QVERIFY(write_pipelines(path_, "a key", data));
        QCOMPARE(read_pipelines(path_, "a key"), data);
        QVERIFY(read_pipelines(path_, "another").empty());
        QVERIFY(write_pipelines(path_, "a key", some_bytes(10)));
        QCOMPARE(read_pipelines(path_, "a key"), some_bytes(10));
        QCOMPARE(std::distance(std::filesystem::directory_iterator(path_), {}), 1); // nothing is left lying
    }

    void a_foreign_file_is_a_miss() {
        QVERIFY(write_pipelines(path_, "theirs", some_bytes(100)));
        std::filesystem::rename(pipeline_path(path_, "theirs"), pipeline_path(path_, "mine"));
        QVERIFY(read_pipelines(path_, "mine").empty());
        replace(pipeline_path(path_, "mine"), "something else entirely");
        QVERIFY(read_pipelines(path_, "mine").empty());
        replace(pipeline_path(path_, "mine"), "");
        QVERIFY(read_pipelines(path_, "mine").empty());
    }

    void a_damaged_file_is_a_miss() {
        QVERIFY(write_pipelines(path_, "key", some_bytes(300)));
        const auto path = pipeline_path(path_, "key");
        const std::string whole = content(path);
        for (std::size_t length = 0; length < whole.size(); length += 7) {
            replace(path, whole.substr(0, length));
            QVERIFY2(read_pipelines(path_, "key").empty(), qPrintable(QString::number(length)));
        }
        for (std::size_t at = 0; at < whole.size(); at += 5) {
            std::string flipped = whole;
            flipped[at] = static_cast<char>(flipped[at] ^ 0x40);
            replace(path, flipped);
            QVERIFY2(read_pipelines(path_, "key").empty(), qPrintable(QString::number(at)));
        }
        replace(path, whole + "x");
        QVERIFY(read_pipelines(path_, "key").empty());
        replace(path, whole);
        QCOMPARE(read_pipelines(path_, "key"), some_bytes(300));
    }

    void a_folder_that_cannot_be_made_is_no_error() {
        const std::filesystem::path in_the_way = folder_->path().toStdString() + "/file";
        replace(in_the_way, "not a folder");
        QVERIFY(!write_pipelines(in_the_way / "below", "key", some_bytes(3)));
        QVERIFY(read_pipelines(in_the_way / "below", "key").empty());
    }

    void keys_tell_devices_apart() {
        QVERIFY(pipeline_key("one") != pipeline_key("two"));
        QCOMPARE(pipeline_key("one"), pipeline_key("one"));
    }

    /// The same numbers and no word of the validation layer, whatever lies in the folder.
    void the_backend_takes_any_file() {
        const int device = software_device();
        QVERIFY2(device >= 0, no_driver);
        VulkanOptions options;
        options.validation = true;
        options.pipeline_folder = path_;
        QStringList messages;
        options.on_validation = [&](const std::string& m) { messages << QString::fromStdString(m); };
        const Tiny tiny;
        const auto run = [&] {
            Machine machine(make_vulkan_backend(device, options), tiny.tables, tiny.plan, 4);
            machine.run({0, {0}});
            return machine.read(tiny.out);
        };
        const std::vector<float> expected{7, 2.5f};
        QCOMPARE(run(), expected);
        std::vector<std::filesystem::path> files(std::filesystem::directory_iterator(path_), {});
        QCOMPARE(files.size(), std::size_t(1));
        const std::string whole = content(files[0]);
        QCOMPARE(run(), expected); // from the file
        for (const std::string& bad : {whole.substr(0, whole.size() / 2), std::string("ERGOPIPE"),
                                       std::string(), std::string(whole.size(), 'x')}) {
            replace(files[0], bad);
            QCOMPARE(run(), expected);
            QVERIFY(content(files[0]) != bad); // and a good one took its place
        }
        // A whole file whose data is no cache of this driver: the driver is to take no harm either.
        const std::size_t key_length = static_cast<unsigned char>(whole[12]);
        QVERIFY(write_pipelines(path_, whole.substr(32, key_length), some_bytes(64)));
        QCOMPARE(run(), expected);
        QCOMPARE(messages, QStringList());
    }

  private:
    std::unique_ptr<QTemporaryDir> folder_;
    std::filesystem::path path_;
};

QTEST_GUILESS_MAIN(TestVulkanPipelines)
#include "test_vulkan_pipelines.moc"
