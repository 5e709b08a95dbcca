// SPDX-License-Identifier: GPL-3.0-or-later
// One backend reads the prompt, another writes: the same reply as the CPU's alone, what is remembered goes to
// and fro, a failing device ends it without losing a token. Which order is taken follows from speeds that are
// measured once and kept. Also the CPU that stands in while a device's kernels are compiled.
#include "engine/base/error.h"
#include "engine/generate/generation.h"
#include "engine/generate/hybrid.h"
#include "engine/model/lens_set.h"
#include "tests/generate/support_devices.h"

#include <QElapsedTimer>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <fstream>

using namespace ergo;
using namespace ergo::test;

namespace {

std::shared_ptr<const OpenedModel> open_on(const std::string& backend,
                                           std::optional<DeviceFault> fault = {}) {
    return open_all("demo:moa", on(backend, fault), {}, {});
}

struct Written {
    std::vector<std::int32_t> ids;
    std::vector<std::string> moves;
    std::map<std::int64_t, int> rows; // how often each position was shown
    std::string backend;
    Counters counters;
};

std::vector<std::int32_t> question(const OpenedModel& opened, const char* text = "Solve 3x + 2 = 17") {
    return opened.chat->render({{Role::user, text, {}}}, true).ids;
}

void watch(Session& session, std::map<std::int64_t, int>& rows) {
    const Model& model = *session.opened()->model;
    std::vector<Subscription> wanted;
    for (const std::string& name : lens_observables(model.info(), 0)) {
        wanted.push_back({find_observable(model.observables(), name), {}});
    }
    session.subscribe(wanted, [&rows](Frame&& frame) {
        for (std::int32_t r = 0; r < frame.rows; ++r) {
            ++rows[frame.position + r];
        }
    });
}

std::vector<std::int32_t> reply(Session& session, std::vector<std::int32_t> prompt) {
    GenerateRequest request;
    request.prompt = std::move(prompt);
    request.max_tokens = 12;
    std::vector<std::int32_t> ids;
    GenerationHooks hooks;
    hooks.token = [&](EventToken&& token) { ids.push_back(token.choice.id); };
    generate_reply(session, *session.opened(), request, hooks, {});
    return ids;
}

Written write(const std::shared_ptr<const OpenedModel>& opened) {
    Written out;
    Session session(opened);
    session.on_fallback(
        [&](const std::shared_ptr<const OpenedModel>&, const std::string& why) { out.moves.push_back(why); });
    watch(session, out.rows);
    out.ids = reply(session, question(*opened));
    out.backend = session.opened()->choice.backend;
    out.counters = session.counters();
    return out;
}

/// What is kept between runs lies in `folder` as long as this is there.
class CacheFolder {
  public:
    explicit CacheFolder(const QString& folder) { qputenv("XDG_CACHE_HOME", folder.toUtf8()); }
    ~CacheFolder() { before_.isNull() ? qunsetenv("XDG_CACHE_HOME") : qputenv("XDG_CACHE_HOME", before_); }
    CacheFolder(CacheFolder&&) = delete;

  private:
    QByteArray before_ = qgetenv("XDG_CACHE_HOME");
};

double logit_difference(std::span<const float> a, std::span<const float> b) {
    double worst = 0, scale = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        worst = std::max(worst, std::abs(double(a[i]) - double(b[i])));
        scale = std::max(scale, std::abs(double(a[i])));
    }
    return worst / scale;
}

} // namespace

class HybridTest : public QObject {
    Q_OBJECT
    std::string vulkan_;
    Written cpu_;

  private slots:
    void initTestCase() {
        vulkan_ = software_backend();
        QVERIFY2(!vulkan_.empty(), "there is no software Vulkan device: install mesa-vulkan-drivers");
        cpu_ = write(open_on("cpu"));
        QCOMPARE(cpu_.ids.size(), std::size_t(12));
    }

    void the_reply_is_the_cpus_data() {
        QTest::addColumn<QString>("backend");
        const QString device = QString::fromStdString(vulkan_);
        QTest::newRow("the device reads") << device + "+cpu";
        QTest::newRow("the device writes") << "cpu+" + device;
    }
    void the_reply_is_the_cpus() {
        QFETCH(QString, backend);
        const auto opened = open_on(backend.toStdString());
        QCOMPARE(opened->choice.backend, backend.toStdString());
        QVERIFY(opened->writer && device_text(*opened).find(" writes") != std::string::npos);
        const std::uint64_t both = opened->memory.item("cache");
        QCOMPARE(both, open_on("cpu")->memory.item("cache") + open_on(vulkan_)->memory.item("cache"));
        const Written got = write(opened);
        QCOMPARE(got.ids, cpu_.ids);
        QVERIFY(got.moves.empty());
        QCOMPARE(got.rows, cpu_.rows); // every position is shown once
        QCOMPARE(got.counters.forward_passes, cpu_.counters.forward_passes);
        // A prompt is one pass and each token one: which of them a device did, its dispatches tell.
        const Written device = write(open_on(vulkan_));
        const bool reads = backend.startsWith("vulkan");
        QVERIFY(got.counters.dispatches > 0 && got.counters.dispatches < device.counters.dispatches);
        QVERIFY(reads == (got.counters.dispatches < device.counters.dispatches / 2));
    }

    /// A conversation: the reader gets back what the writer wrote; a few more tokens are left to the writer.
    void what_is_remembered_goes_to_and_fro() {
        const auto pair = open_on(vulkan_ + "+cpu"), plain = open_on("cpu");
        Session a(pair), b(plain);
        std::vector<std::int32_t> ids = question(*pair);
        for (const std::size_t more : {std::size_t(0), std::size_t(40), std::size_t(3)}) {
            for (std::size_t i = 0; i < more; ++i) {
                ids.push_back(static_cast<std::int32_t>(30 + i % 50));
            }
            const std::uint64_t before = a.counters().dispatches;
            for (Session* session : {&a, &b}) {
                session->set_tokens(ids, {}, {});
            }
            QCOMPARE(a.counters().dispatches > before, more != 3);
            QVERIFY(logit_difference(a.logits(), b.logits()) <= 2e-4);
            for (std::int32_t t = 0; t < 4; ++t) {
                ids.push_back(60 + t);
                a.decode(60 + t, {});
                b.decode(60 + t, {});
                QVERIFY(logit_difference(a.logits(), b.logits()) <= 2e-4);
            }
        }
        const auto branch = a.branch(a.length() - 2);
        branch->decode(63, {});
        b.rewind(b.length() - 2);
        b.decode(63, {});
        QVERIFY(logit_difference(branch->logits(), b.logits()) <= 2e-4);
    }

    void a_device_that_fails_loses_no_token_data() {
        QTest::addColumn<QString>("backend");
        QTest::addColumn<int>("step");
        const QString device = QString::fromStdString(vulkan_);
        QTest::newRow("reading") << device + "+cpu" << 0;
        QTest::newRow("writing the first") << "cpu+" + device << 0;
        QTest::newRow("writing the fifth") << "cpu+" + device << 4;
    }
    void a_device_that_fails_loses_no_token() {
        QFETCH(QString, backend);
        QFETCH(int, step);
        const DeviceFault fault{DeviceFault::Kind::lost, static_cast<std::uint64_t>(step)};
        const Written got = write(open_on(backend.toStdString(), fault));
        QCOMPARE(got.ids, cpu_.ids);
        QCOMPARE(got.rows, cpu_.rows);
        QCOMPARE(got.moves.size(), std::size_t(1));
        QVERIFY2(got.moves[0].find("DEVICE_LOST") != std::string::npos, got.moves[0].c_str());
        QCOMPARE(got.backend, std::string("cpu"));
    }

    void what_follows_from_speeds() {
        const auto split = [](double device_reads, double device_writes, double cpu_reads,
                              double cpu_writes) {
            return faster_split({{device_reads, device_writes}, {cpu_reads, cpu_writes}});
        };
        QVERIFY(split(1000, 50, 100, 30) == Split::device_alone);
        QVERIFY(split(1000, 50, 100, 54) == Split::device_alone); // not by a tenth
        QVERIFY(split(1000, 50, 100, 60) == Split::device_reads);
        QVERIFY(split(100, 50, 300, 40) == Split::cpu_reads);
        QVERIFY(split(100, 50, 300, 60) == Split::cpu_alone);
        QVERIFY(better_pair({{1000, 50}, {100, 30}}) == Split::device_reads);
        QVERIFY(better_pair({{200, 50}, {100, 10}}) == Split::cpu_reads);
        const BackendChoice device{"vulkan:2", "why"};
        QCOMPARE(with_speeds(device, "Card", {{1000, 50}, {100, 30}}).reason, std::string("why"));
        const BackendChoice shared = with_speeds(device, "Card", {{1000, 5.25}, {100, 30}});
        QCOMPARE(shared.backend, std::string("vulkan:2+cpu"));
        QCOMPARE(shared.reason,
                 std::string("Measured: Card reads 1000 and writes 5.2 tokens/s, the CPU 100 and 30."));
        QCOMPARE(with_speeds(device, "Card", {{100, 50}, {300, 40}}).backend, std::string("cpu+vulkan:2"));
        QCOMPARE(with_speeds(device, "Card", {{100, 50}, {300, 60}}).backend, std::string("cpu"));
        QVERIFY(!pair_names("vulkan:0") && pair_names("vulkan:0+cpu")->writing == "cpu");
    }

    void a_pair_has_two_names_data() {
        QTest::addColumn<QString>("backend");
        QTest::addColumn<QString>("missing");
        QTest::newRow("no writer") << "cpu+"
                                   << "which backend writes the reply.";
        QTest::newRow("no reader") << "+cpu"
                                   << "which backend reads the prompt.";
        QTest::newRow("a device alone") << "vulkan:0+"
                                        << "which backend writes the reply.";
        QTest::newRow("neither") << "+"
                                 << "which backend reads and which writes.";
    }
    void a_pair_has_two_names() {
        QFETCH(QString, backend);
        QFETCH(QString, missing);
        try {
            open_on(backend.toStdString());
            QFAIL("it was opened");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::usage);
            QCOMPARE(QString::fromStdString(error.message()),
                     "Backend '" + backend + "' is a pair that does not say " + missing);
        }
    }

    void speeds_are_measured_once_and_kept() {
        const QTemporaryDir folder;
        const std::filesystem::path kept = folder.path().toStdString();
        const auto device = open_on(vulkan_), cpu = open_on("cpu");
        const auto known = [&](const DeviceInfo& on, const Tables& tables) {
            return remembered_speeds(on, cpu->backend->info(), tables, kept);
        };
        DeviceInfo info = device->backend->info();
        const Tables& tables = *device->model->tables();
        QVERIFY(!known(info, tables));
        Session(device).set_tokens(question(*device), {}, {}); // kernels are compiled once in a process
        QElapsedTimer clock;
        clock.start();
        const PairSpeeds speeds = measure_speeds(device, cpu, kept, {});
        QVERIFY2(clock.elapsed() < 2500,
                 qPrintable(QString::number(clock.elapsed()))); // 2 s, and the end of a step
        for (const Speeds& each : {speeds.device, speeds.cpu}) {
            QVERIFY(each.reading > 0 && each.writing > 0);
        }
        const auto again = known(info, tables);
        QVERIFY(again && again->device.reading == speeds.device.reading &&
                again->cpu.writing == speeds.cpu.writing);
        // Another driver, other kernels on either, another model: nothing is known.
        info.driver += " of tomorrow";
        QVERIFY(!known(info, tables));
        info = device->backend->info();
        QVERIFY(known(info, tables));
        info.kernels += " of tomorrow";
        QVERIFY(!known(info, tables));
        DeviceInfo newer = cpu->backend->info();
        QVERIFY2(newer.kernels.size() > 64 && newer.kernels.starts_with(newer.features.at(0)),
                 newer.kernels.c_str()); // the instruction set, and a hash of the sources
        newer.kernels.back() = newer.kernels.back() == '0' ? '1' : '0';
        QVERIFY(!remembered_speeds(device->backend->info(), newer, tables, kept));
        Tables other = tables;
        other.weights.pop_back();
        QVERIFY(!known(device->backend->info(), other));
        for (const auto& entry : std::filesystem::directory_iterator(kept)) { // damaged
            std::fstream(entry.path(), std::ios::in | std::ios::out | std::ios::binary)
                    .seekp(-3, std::ios::end)
                << "x";
        }
        QVERIFY(!known(device->backend->info(), tables));
        const CancelToken cancel;
        cancel.cancel();
        QVERIFY_EXCEPTION_THROWN(measure_speeds(device, cpu, kept, cancel), Error);
    }

    /// Switches for diagnosis make a device slower: what is measured with them is not kept, and what was
    /// measured without them is not theirs.
    void diagnosis_has_no_part_in_kept_speeds() {
        const QTemporaryDir cache;
        const auto kept = std::filesystem::path(cache.path().toStdString()) / "ergosphere" / "pipelines";
        const auto speeds_kept = [&] {
            std::error_code none;
            int files = 0;
            for (const auto& entry : std::filesystem::directory_iterator(kept, none)) {
                files += entry.path().extension() == ".speeds";
            }
            return files;
        };
        const CacheFolder here(cache.path());
        OpenModelOptions slow = on("hybrid");
        slow.diagnostics.serialise = true;
        const auto diagnosed = [&] { return open_all("demo:moa", slow, {}, {})->choice; };
        QVERIFY(diagnosed().reason.find("Measured: ") != std::string::npos);
        QCOMPARE(speeds_kept(), 0);
        const auto device = open_on(vulkan_), cpu = open_on("cpu");
        keep_speeds(device->backend->info(), cpu->backend->info(), *device->model->tables(), kept,
                    {{123456, 7}, {8, 654321}});
        QCOMPARE(speeds_kept(), 1);
        const BackendChoice plain = open_on("hybrid")->choice; // reads them
        QVERIFY2(plain.reason.find("reads 123456 and writes 7.0") != std::string::npos, plain.reason.c_str());
        const BackendChoice other = diagnosed();
        QVERIFY2(other.reason.find("Measured: ") != std::string::npos &&
                     other.reason.find("123456") == std::string::npos,
                 other.reason.c_str());
        const PairSpeeds still =
            *remembered_speeds(device->backend->info(), cpu->backend->info(), *device->model->tables(), kept);
        QCOMPARE(still.device.reading, 123456.0);
        // A failure that is wanted waits for a session.
        const auto failing = open_on("hybrid", DeviceFault{DeviceFault::Kind::lost, 0});
        QVERIFY(failing->choice.reason.find("Measured") == std::string::npos);
        const Written got = write(failing);
        QCOMPARE(got.ids, cpu_.ids);
        QCOMPARE(got.moves.size(), std::size_t(1));
        QCOMPARE(speeds_kept(), 1);
    }

    void by_name_the_order_is_measured() {
        const auto opened = open_on("hybrid");
        QVERIFY(opened->writer);
        const auto names = pair_names(opened->choice.backend);
        QVERIFY(names && (names->reading == "cpu") != (names->writing == "cpu"));
        QVERIFY2(opened->choice.reason.find("Measured: ") != std::string::npos,
                 opened->choice.reason.c_str());
        const Written got = write(opened);
        QCOMPARE(got.ids, cpu_.ids);
        QVERIFY(got.counters.dispatches > 0);
    }

    void the_cpu_stands_in_while_kernels_are_compiled() {
        const auto device = open_on(vulkan_), plain = open_on("cpu");
        Session session(device), quiet(plain);
        std::vector<std::string> told;
        session.answer_while_compiling(0, [&](const auto& now, const std::string& why) {
            told.push_back(now->choice.backend + ": " + why);
        });
        std::map<std::int64_t, int> rows;
        watch(session, rows);
        const auto ids = question(*device);
        session.set_tokens(ids, {}, {});
        quiet.set_tokens(ids, {}, {});
        QCOMPARE(told.size(), std::size_t(1));
        QVERIFY2(told[0].starts_with("cpu: The CPU answers until"), told[0].c_str());
        QCOMPARE(session.intended(), device);
        QElapsedTimer clock;
        clock.start();
        std::int32_t t = 0;
        while (session.opened() != device && clock.elapsed() < 60000) {
            session.decode(40 + t % 50, {});
            quiet.decode(40 + t % 50, {});
            QVERIFY(logit_difference(session.logits(), quiet.logits()) <= 2e-4);
            QTest::qSleep(++t > 200 ? 0 : 20);
            if (session.length() + 8 > session.capacity()) {
                session.rewind(ids.size());
                quiet.rewind(ids.size());
                rows.clear();
            }
        }
        QCOMPARE(session.opened(), device);
        QCOMPARE(told.size(), std::size_t(2));
        QVERIFY(session.counters().dispatches > 0);
        for (std::int32_t i = 0; i < 3; ++i) {
            session.decode(50 + i, {});
            quiet.decode(50 + i, {});
            QVERIFY(logit_difference(session.logits(), quiet.logits()) <= 2e-4);
        }
        for (const auto& [position, times] : rows) {
            QVERIFY2(times == 1, qPrintable(QString::number(position)));
        }
    }

    void compiled_in_time_nothing_changes() {
        const auto device = open_on(vulkan_);
        Session session(device);
        int told = 0;
        session.answer_while_compiling(60, [&](const auto&, const std::string&) { ++told; });
        QCOMPARE(reply(session, question(*device)), cpu_.ids);
        QCOMPARE(told, 0);
        QCOMPARE(session.opened(), device);
    }
};

QTEST_GUILESS_MAIN(HybridTest)
#include "test_hybrid.moc"
