// SPDX-License-Identifier: GPL-3.0-or-later
// Real files, really shortened while they are mapped and read.
#include "engine/base/mapping_guard.h"
#include "engine/checkpoint/checkpoint.h"
#include "tests/checkpoint/support_files.h"

#include <QTemporaryDir>
#include <QTest>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

using namespace ergo;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t page = 4096;

std::uint64_t sum(std::span<const std::byte> bytes) {
    std::uint64_t total = 0;
    for (const std::byte b : bytes) {
        total += std::to_integer<unsigned>(b);
    }
    return total;
}

/// Pages of a mapping that count as this process's own.
std::size_t resident(std::span<const std::byte> bytes) {
    const int map = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    std::vector<std::uint64_t> entries(bytes.size() / page);
    const auto first = reinterpret_cast<std::uintptr_t>(bytes.data()) / page * sizeof(std::uint64_t);
    const auto size = static_cast<ssize_t>(entries.size() * sizeof(std::uint64_t));
    const bool read =
        ::pread(map, entries.data(), static_cast<std::size_t>(size), static_cast<off_t>(first)) == size;
    ::close(map);
    return !read ? std::size_t(-1)
                 : static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(),
                                                          [](std::uint64_t e) { return e >> 63 != 0; }));
}

} // namespace

class TestMappingGuard : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        std::signal(SIGBUS,
                    SIG_DFL); // not Qt Test's report, which would come before the end of the child below
        install_mapping_guard();
        install_mapping_guard(); // once is enough, twice no harm
    }

    void missing_bytes_read_as_zeros_and_are_told() {
        const fs::path path = file(8 * page);
        const auto mapping = map_file(path);
        const auto untouched = map_file(file(8 * page, "other"));
        QCOMPARE(sum(mapping->bytes()), 8 * page);
        mapping->check_unchanged();
        fs::resize_file(path, 2 * page + 5);
        mapping->check_undamaged(); // nobody has read the missing bytes yet
        QCOMPARE(code_of([&] { mapping->check_unchanged(); }), "F-IO");
        QCOMPARE(sum(mapping->bytes()), 2 * page + 5);
        QCOMPARE(code_of([&] { mapping->check_undamaged(); }), "F-IO");
        fs::resize_file(path, 8 * page); // what was read stays wrong
        QCOMPARE(code_of([&] { mapping->check_undamaged(); }), "F-IO");
        QVERIFY(text_of([&] {
                    mapping->check_undamaged();
                }).contains("weights: bytes of the file could not be read"));
        untouched->check_undamaged();
        QCOMPARE(sum(untouched->bytes()), 8 * page);
        const auto again = map_file(path); // a new mapping begins undamaged
        QCOMPARE(sum(again->bytes()), 2 * page + 5);
        again->check_unchanged();
    }

    void a_changed_file_is_told() {
        const fs::path path = file(2 * page);
        const auto mapping = map_file(path);
        std::fstream(path, std::ios::binary | std::ios::in | std::ios::out).write("x", 1);
        QVERIFY(text_of([&] { mapping->check_unchanged(); }).contains("written to"));
        mapping->check_undamaged();
    }

    void released_pages_leave_memory_and_come_back() {
        constexpr std::size_t pages = 4096;
        const auto mapping = map_file(file(pages * page, "large"));
        const auto bytes = mapping->bytes();
        QCOMPARE(sum(bytes), pages * page);
        QCOMPARE(resident(bytes), pages);
        release_pages(
            bytes.subspan(5, 3 * page)); // two of them wholly, and those that share a large page with them
        QVERIFY(resident(bytes) > 0 && resident(bytes) <= pages - 2);
        release_pages(bytes);
        QCOMPARE(resident(bytes), std::size_t{0});
        QCOMPARE(sum(bytes), pages * page);
        // What is no file's mapping would be lost: it is left alone.
        std::vector<std::byte> own(8 * page, std::byte{1});
        release_pages(own);
        QCOMPARE(sum(own), 8 * page);
        release_pages({});
        release_pages(std::span(bytes.data(), bytes.size() + page));
        QCOMPARE(resident(bytes), pages);
    }

    void a_checkpoint_says_it() {
        const fs::path path = fs::path(folder_.path().toStdString()) / "model.safetensors";
        write_safetensors(path, {{"a", Tensor::from_floats({4 * 1024}, std::vector<float>(4 * 1024, 1.0f))},
                                 {"b", Tensor::from_floats({4 * 1024}, std::vector<float>(4 * 1024, 2.0f))}});
        const auto model = Checkpoint::open(path);
        fs::resize_file(path, page);
        const std::vector<float> values = model->tensor("b").to_floats();
        QCOMPARE(std::count(values.begin(), values.end(), 0.0f), 4 * 1024);
        QCOMPARE(code_of([&] { model->check_undamaged(); }), "F-IO");
        QVERIFY(text_of([&] { model->check_unchanged(); }).contains("model.safetensors"));
    }

    void many_threads_fault_at_once() {
        const fs::path path = file(256 * page);
        const auto mapping = map_file(path);
        fs::resize_file(path, 3 * page);
        std::atomic<int> right = 0;
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < 8; ++t) {
            threads.emplace_back([&, t] {
                const auto part = mapping->bytes().subspan(t * 32 * page, 32 * page);
                right += sum(part) == (t == 0 ? 3 * page : 0);
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        QCOMPARE(right.load(), 8);
        QCOMPARE(code_of([&] { mapping->check_undamaged(); }), "F-IO");
    }

    void mappings_come_and_go() {
        const fs::path path = file(page);
        for (int round = 0; round < 3; ++round) {
            std::vector<std::shared_ptr<const MappedFile>> mappings;
            for (int i = 0; i < 300; ++i) {
                mappings.push_back(map_file(path));
            }
            QCOMPARE(sum(mappings.back()->bytes()), page);
        }
    }

    void other_faults_keep_their_end() {
        const fs::path path = file(4 * page);
        const pid_t child = ::fork();
        if (child == 0) { // a mapping that nobody registered
            const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
            const void* at = ::mmap(nullptr, 4 * page, PROT_READ, MAP_PRIVATE, descriptor, 0);
            if (at == MAP_FAILED || ::truncate(path.c_str(), page) != 0 || ::close(STDERR_FILENO) != 0) {
                ::_exit(0);
            }
            const auto* bytes = static_cast<const volatile char*>(at);
            ::_exit(bytes[3 * page] == 0 ? 0 : 0);
        }
        int status = 0;
        QCOMPARE(::waitpid(child, &status, 0), child);
        QVERIFY(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    }

  private:
    /// A file of ones.
    fs::path file(std::size_t size, const char* name = "weights") {
        const fs::path path = fs::path(folder_.path().toStdString()) / name;
        fs::remove(path);
        write_bytes(path, std::string(size, '\1'));
        return path;
    }

    QTemporaryDir folder_;
};

QTEST_GUILESS_MAIN(TestMappingGuard)
#include "test_mapping_guard.moc"
