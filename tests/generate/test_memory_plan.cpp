// SPDX-License-Identifier: GPL-3.0-or-later
// What is announced from headers against what is then taken: by the backends' own account, and by the
// system's.
#include "engine/base/error.h"
#include "engine/generate/memory_plan.h"
#include "engine/generate/memory_use.h"
#include "engine/generate/opened_model.h"
#include "engine/generate/session.h"
#include "engine/lab/synth.h"
#include "engine/model/lens_set.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include <malloc.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <numeric>

using namespace ergo;

namespace {

/// The demo's shape with a large vocabulary, so that weights are what they are in a large model: most of it.
std::string config_with(std::int64_t vocabulary) {
    auto config = nlohmann::json::parse(
        std::ifstream(std::string(ERGO_SOURCE_DIR) + "/resources/demo/moa/config.json"));
    config["vocab_size"] = vocabulary;
    config["max_position_embeddings"] = config["max_seq_len_cached"] = 512;
    return config.dump();
}

/// Bytes of memory of this process that are no file's, in memory or swapped out. What earlier tests freed
/// goes back to the system first, or it would be counted before and used after.
std::uint64_t anonymous_bytes() {
    malloc_trim(0);
    std::ifstream status("/proc/self/status");
    std::uint64_t all = 0;
    for (std::string word; status >> word;) {
        std::uint64_t kibibytes = 0;
        if ((word == "RssAnon:" || word == "VmSwap:") && status >> kibibytes) {
            all += kibibytes * 1024;
        }
    }
    return all;
}

std::vector<std::int32_t> some_tokens(std::int64_t count, std::int64_t vocabulary) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < ids.size(); ++i) {
        ids[i] = static_cast<std::int32_t>((i * 7919) % static_cast<std::size_t>(vocabulary));
    }
    return ids;
}

bool near(std::uint64_t announced, std::uint64_t taken, std::uint64_t slack = 0) {
    const double difference = std::abs(double(announced) - double(taken));
    return difference <= 0.05 * double(announced) + double(slack);
}

QByteArray numbers(const char* what, std::uint64_t announced, std::uint64_t taken) {
    return QByteArray(what) + ": announced " + QByteArray::number(qulonglong(announced)) + ", taken " +
           QByteArray::number(qulonglong(taken));
}

/// Opens, fills the context and compares, with and without the lenses' captures.
void check_taken(const std::string& source, const std::string& backend, const std::string& dtype) {
    OpenModelOptions options;
    options.backend = backend;
    options.threads = 1;
    options.model.dtype = dtype;
    const std::uint64_t before = anonymous_bytes(), files_before = memory_use().mapped;
    const auto opened = open_all(source, options, {}, {});
    const MemoryPlan& plan = opened->memory;
    // Of the file only what is read where it is mapped stays; the rest is the program's own code.
    const std::uint64_t files = memory_use().mapped - std::min(files_before, memory_use().mapped);
    QVERIFY2(backend != "cpu" || files < plan.in_place + (8 << 20),
             numbers("pages of files", plan.in_place, files)); // a device's driver brings its own
    Session session(opened);
    const auto ids = some_tokens(opened->context - 1, opened->model->info().vocabulary);
    session.set_tokens(ids, {}, {});
    session.decode(1, {}); // now both plans have run and every position is used
    MemoryNeed taken = opened->loaded->taken();
    taken += session.taken();
    const std::uint64_t weights = taken.weights + taken.in_place;
    QVERIFY2(near(plan.item("weights"), weights), numbers("weights", plan.item("weights"), weights));
    QVERIFY2(near(plan.item("cache"), taken.cache), numbers("cache", plan.item("cache"), taken.cache));
    QVERIFY2(near(plan.item("scratch"), taken.scratch, 64 << 10),
             numbers("scratch", plan.item("scratch"), taken.scratch));
    if (backend == "cpu") {
        const std::uint64_t announced =
            plan.total() - plan.in_place - plan.item("capture") - plan.item("reserve");
        const std::uint64_t held = anonymous_bytes() - before;
        QVERIFY2(near(announced, held, 4 << 20), numbers("as the system counts", announced, held));
    }

    std::vector<Subscription> lenses;
    const auto names = lens_observables(opened->model->info(), 0);
    for (std::size_t i = 0; i < opened->model->observables().size(); ++i) {
        if (std::find(names.begin(), names.end(), opened->model->observables()[i].name) != names.end()) {
            lenses.push_back({static_cast<std::int32_t>(i), {}});
        }
    }
    QVERIFY(!lenses.empty());
    session.rewind(0);
    session.subscribe(lenses, [](Frame&&) {});
    session.set_tokens(ids, {}, {});
    session.decode(1, {});
    const std::uint64_t with_captures = session.taken().scratch;
    QVERIFY(plan.item("capture") > 0 ||
            backend != "cpu"); // on a device it may fit into a block that is there
    QVERIFY2(near(plan.item("scratch") + plan.item("capture"), with_captures, 64 << 10),
             numbers("scratch with captures", plan.item("scratch") + plan.item("capture"), with_captures));
}

} // namespace

class TestMemoryPlan : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    std::string large_ = folder_.filePath("large").toStdString();

    std::shared_ptr<const Model> model() const { return open_model(open_checkpoint(large_), {}); }

  private slots:
    void initTestCase() {
        SynthRequest request;
        request.config = config_with(150'000);
        request.dtype = DType::bf16;
        synth(request, large_);
    }

    void taken_is_what_was_announced_data() {
        QTest::addColumn<QString>("source");
        QTest::addColumn<QString>("backend");
        QTest::addColumn<QString>("dtype");
        QTest::newRow("cpu, as stored") << QString::fromStdString(large_) << "cpu"
                                        << "";
        QTest::newRow("cpu, float32") << QString::fromStdString(large_) << "cpu"
                                      << "f32";
        for (const char* dtype : {"f16", "bf16", "q8", "q4"}) {
            QTest::addRow("cpu, %s", dtype) << QString::fromStdString(large_) << "cpu" << dtype;
        }
        const auto devices = all_devices();
        for (std::size_t i = 1; i < devices.size(); ++i) {
            if (devices[i].software) {
                for (const char* dtype : {"", "q4"}) {
                    QTest::addRow("vulkan %s", dtype)
                        << "demo:moa" << QString("vulkan:%1").arg(i - 1) << dtype;
                }
                break;
            }
        }
    }

    void taken_is_what_was_announced() {
        QFETCH(QString, source);
        QFETCH(QString, backend);
        QFETCH(QString, dtype);
        check_taken(source.toStdString(), backend.toStdString(), dtype.toStdString());
    }

    void a_tokenizer_counts_where_there_is_one() {
        const auto demo = open_checkpoint("demo:moa");
        QVERIFY(has_tokenizer(*demo) && !has_tokenizer(*open_checkpoint(large_)));
        const auto reserve = [&](bool tokenizer) {
            return MemoryPlanner(model(), tokenizer).plan(cpu_memory_host(1), 256).item("reserve");
        };
        QCOMPARE(reserve(false), memory_reserve);
        QCOMPARE(reserve(true), memory_reserve + 150'000 * memory_per_token);
    }

    void nothing_is_made_before_the_plan() {
        OpenOptions options;
        options.context = 200'000; // its rotation tables take a hundred megabytes and more
        const std::uint64_t before = anonymous_bytes();
        const auto long_model = open_model(open_checkpoint(large_), options);
        const MemoryPlan plan = MemoryPlanner(long_model).plan(cpu_memory_host(1), options.context);
        const std::uint64_t tables =
            plan.item("weights") - MemoryPlanner(model()).plan(cpu_memory_host(1), 256).item("weights");
        QVERIFY2(tables > 100'000'000, QByteArray::number(qulonglong(tables)));
        QVERIFY(anonymous_bytes() - before < tables / 4);
    }

    void weights_follow_their_type() {
        const MemoryPlanner planner(model());
        const MemoryHost cpu = memory_hosts(1).at(0);
        const auto weights = [&](const char* dtype) { return planner.plan(cpu, 128, dtype).item("weights"); };
        QVERIFY(weights("f32") > 1.7 * double(weights("checkpoint")));
        QVERIFY(weights("bf16") < 0.8 * double(weights("f16"))); // packed to three quarters
        QCOMPARE(planner.plan(cpu, 128).item("weights"), weights("checkpoint"));
        QVERIFY(weights("f16") > 150'000ull * 128 * 2);
        QVERIFY(weights("bf16") > 150'000ull * 128 * 3 / 2);
    }

    void the_cache_follows_its_type() {
        const MemoryPlanner planner(open_model(open_checkpoint("demo:kotodama"), {}));
        const MemoryHost cpu = memory_hosts(1).at(0);
        const MemoryPlan plain = planner.plan(cpu, 512), half = planner.plan(cpu, 512, {}, "bf16"),
                         quarter = planner.plan(cpu, 512, "q8", "q8");
        QCOMPARE(plain.cache, std::string("f32"));
        QCOMPARE(half.cache, std::string("bf16"));
        QCOMPARE(half.item("cache") * 2, plain.item("cache"));
        QCOMPARE(half.dtype, plain.dtype);
        QCOMPARE(quarter.cache + " " + quarter.dtype, std::string("q8 q8"));
        QVERIFY(quarter.item("cache") * 3 < plain.item("cache")); // and scales
        QCOMPARE(planner.plan(cpu, 512, {}, "f32").total(), plain.total());
        QVERIFY_EXCEPTION_THROWN(planner.plan(cpu, 512, {}, "q4"), Error);
    }

    void what_does_not_fit_is_refused_with_what_would() {
        const MemoryPlanner planner(model());
        MemoryHost host = memory_hosts(1).at(0);
        const std::uint64_t all = planner.plan(host, 512).total(), half = planner.plan(host, 256).total();
        QVERIFY(half < all);
        host.available = all;
        planner.require(host, 512, true, {}); // to the byte
        host.available = all - 1;
        try {
            planner.require(host, 512, true, {});
            QFAIL("it was not refused");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::resources);
            QCOMPARE(error.where().code, std::string("M-MEMORY"));
            QVERIFY2(error.where().advice.find("--context 256") != std::string::npos, error.what());
            QVERIFY2(error.message().find("context of 512 tokens") != std::string::npos, error.what());
        }
        QCOMPARE(planner.longest_context(host, 512, true), 256);
        QCOMPARE(planner.longest_context(host, 512, false), 512); // nobody looks: captures do not count
        host.available = half - 1;
        QCOMPARE(planner.longest_context(host, 512, true), 0);
        MemoryHost other = host;
        other.backend = "elsewhere";
        other.available = all;
        try {
            planner.require(host, 512, true, {other});
            QFAIL("it was not refused");
        } catch (const Error& error) {
            QCOMPARE(error.where().advice, std::string("It fits with --dtype q8 or --backend elsewhere."));
        }
    }

    void a_smaller_type_is_suggested() {
        OpenOptions wide;
        wide.dtype = "f32";
        const MemoryPlanner planner(open_model(open_checkpoint(large_), wide));
        MemoryHost host = memory_hosts(1).at(0);
        host.available = planner.plan(host, 512, "bf16").total();
        try {
            planner.require(host, 512, true, {});
            QFAIL("it was not refused");
        } catch (const Error& error) {
            QCOMPARE(error.where().advice, std::string("It fits with --dtype bf16."));
        }
    }

    void the_system_says_what_there_is() {
        const std::uint64_t available = available_memory();
        QVERIFY(available > 64 << 20);
        QVERIFY(available <= all_devices().at(0).memory_bytes);
    }
};

QTEST_GUILESS_MAIN(TestMemoryPlan)
#include "test_memory_plan.moc"
