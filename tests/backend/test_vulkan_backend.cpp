// SPDX-License-Identifier: GPL-3.0-or-later
// The Vulkan backend apart from its numbers: devices, limits, errors, cancelling, snapshots, counters,
// threads.
#include "engine/base/error.h"
#include "support_vulkan.h"

#include <QtTest>

#include <atomic>
#include <functional>
#include <thread>

using namespace ergo;
using namespace ergo::test;

namespace {

/// The kind of the Error that `action` throws; the test fails when its text lacks `part`.
ErrorKind kind_of(const std::function<void()>& action, const std::string& part) {
    try {
        action();
    } catch (const Error& error) {
        if (std::string(error.what()).find(part) == std::string::npos) {
            qWarning("unexpected text: %s", error.what());
            return ErrorKind::io;
        }
        return error.kind();
    }
    qWarning("nothing was thrown where \"%s\" was expected", part.c_str());
    return ErrorKind::io;
}

/// Embedding, running sum over two tokens (a convolution), two routed matrices, a mix.
struct Small {
    static constexpr std::int64_t width = 6, vocabulary = 9, capacity = 12;
    std::shared_ptr<Tables> tables = std::make_shared<Tables>();
    std::shared_ptr<Plan> plan = std::make_shared<Plan>();
    ParamId top_k;
    BufferId out;
    std::uint64_t matrix_bytes = width * width * sizeof(float);

    explicit Small(std::int64_t max_rows = 4, std::size_t parts = 2) {
        Numbers numbers(11);
        plan->max_rows = max_rows;
        const auto buffer = [&](const char* name, std::int64_t w) { return plan->add_buffer(name, w); };
        const auto matrix = [&](const char* name, std::int64_t outputs) {
            std::vector<double> values; // float64 weights are narrowed on loading
            for (const float value : numbers.many(outputs * width, 1)) {
                values.push_back(value);
            }
            auto owner = std::make_shared<std::vector<double>>(values);
            const auto bytes = std::as_bytes(std::span<const double>(*owner));
            return tables->add_weight(name, Tensor(DType::f64, {outputs, width}, bytes, owner));
        };
        const BufferId x = buffer("x", width), y = buffer("y", width), logits = buffer("logits", 2);
        const BufferId shares = buffer("shares", 2), total = buffer("total", 2);
        const StateId history = tables->add_state("history", width);
        plan->add({"embed", {}, Embed{matrix("table", vocabulary), x}});
        plan->add({"append", {}, Append{x, history}});
        const auto taps = Tensor::from_floats({width, 2}, numbers.many(width * 2, 1));
        plan->add({"filter",
                   {},
                   Convolution{history, tables->add_weight("taps", taps), {}, y, Activation::identity}});
        plan->add({"router", {}, Linear{y, matrix("router", 2), {}, logits}});
        Route route;
        route.logits = logits;
        route.temperature = tables->add_param("temperature", {1}, {1});
        route.top_k = top_k = tables->add_param("top_k", {1}, {2});
        route.paths = 2;
        route.total = total;
        route.shares = shares;
        plan->add({"route", {}, route});
        Mix mix;
        for (std::int32_t p = 0; p < 2; ++p) {
            const BufferId part = buffer("part", width);
            plan->add({"part", {shares, p}, Linear{y, matrix("part", width), {}, part}});
            mix.parts.push_back(part);
        }
        mix.shares = shares;
        if (parts != 2) {
            mix.parts.assign(parts, x);
            mix.shares = {};
        }
        mix.out = out = buffer("out", width);
        plan->add({"the mix", {}, mix});
    }
};

} // namespace

class TestVulkanBackend : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        device_ = software_device();
        QVERIFY2(device_ >= 0, no_driver);
        backend_ = make_vulkan_backend(device_, options());
    }

    void devices() {
        const DeviceInfo listed = vulkan_devices()[static_cast<std::size_t>(device_)];
        QCOMPARE(listed.backend, std::string("vulkan"));
        QVERIFY(listed.software && !listed.name.empty() && !listed.driver.empty() &&
                listed.memory_bytes > (1u << 20));
        QCOMPARE(backend_->info().name, listed.name);
        QCOMPARE(kind_of([] { make_vulkan_backend(99); }, "no Vulkan device 99"), ErrorKind::device);
        const auto all = vulkan_devices();
        if (std::all_of(all.begin(), all.end(), [](const auto& one) { return one.software; })) {
            // A software device is taken only when it is named.
            QCOMPARE(kind_of([] { make_vulkan_backend(); }, "usable GPU"), ErrorKind::device);
        }
    }

    void refusals() {
        const Small small;
        Machine machine(backend_, small.tables, small.plan, Small::capacity);
        const auto run = [&](std::int64_t position, std::vector<std::int32_t> ids) {
            return [&machine, step = StepState{position, std::move(ids)}] { machine.run(step); };
        };
        QCOMPARE(kind_of([&] { machine.read(small.out); }, "before the first run"), ErrorKind::usage);
        QCOMPARE(kind_of(run(0, {}), "0 rows"), ErrorKind::usage);
        QCOMPARE(kind_of(run(0, {1, 2, 3, 4, 5}), "5 rows"), ErrorKind::usage);
        QCOMPARE(kind_of(run(Small::capacity - 1, {1, 2}), "capacity of 12"), ErrorKind::usage);
        QCOMPARE(kind_of(run(0, {9}), "token id 9"), ErrorKind::usage);
        QCOMPARE(kind_of(run(0, {-1}), "token id -1"), ErrorKind::usage);
        run(Small::capacity - 1, {8})(); // the last position and the last id are fine
        QCOMPARE(kind_of([&] { machine.read(BufferId{77}); }, "77"), ErrorKind::usage);
        QCOMPARE(kind_of(
                     [&] {
                         machine.executor->set_param(small.top_k, std::vector<float>{1, 2});
                     },
                     "top_k has 1"),
                 ErrorKind::usage);
        QCOMPARE(kind_of([&] { machine.executor->param(ParamId{5}); }, "parameter 5"), ErrorKind::usage);
        QCOMPARE(
            kind_of([&] { machine.executor->read_state(StateId{0}, Small::capacity + 1); }, "13 positions"),
            ErrorKind::usage);
        Machine other(backend_, small.tables, small.plan, Small::capacity);
        QCOMPARE(kind_of(
                     [&] {
                         machine.executor->run(*other.program, {0, {1}}, {});
                     },
                     "another executor"),
                 ErrorKind::usage);
        const Small many(4, 27);
        QCOMPARE(kind_of([&] { Machine(backend_, many.tables, many.plan, 4); }, "the mix"),
                 ErrorKind::unsupported);
        QCOMPARE(kind_of([&] { machine.model->create_executor(std::int64_t{1} << 33); }, "history"),
                 ErrorKind::resources);
        QCOMPARE(kind_of([&] { machine.model->create_executor(std::int64_t{1} << 29); }, "MiB"),
                 ErrorKind::resources);
        QCOMPARE(kind_of([&] { machine.model->create_executor(0); }, "0 positions"), ErrorKind::usage);
    }

    void cancelled_run_leaves_a_usable_session() {
        const Small small;
        Machine machine(backend_, small.tables, small.plan, Small::capacity);
        machine.run({0, {1, 2, 3}});
        const auto before = machine.read(small.out);
        const CancelToken cancel;
        cancel.cancel();
        QCOMPARE(kind_of(
                     [&] {
                         machine.executor->run(*machine.program, {0, {4, 5, 6}}, cancel);
                     },
                     "ancelled"),
                 ErrorKind::cancelled);
        QCOMPARE(kind_of([&] { backend_->load(small.tables, {}, cancel); }, "ancelled"),
                 ErrorKind::cancelled);
        machine.run({0, {1, 2, 3}});
        QCOMPARE(machine.read(small.out), before);
    }

    void snapshots_cross_backends_data() {
        QTest::addColumn<bool>("stage");
        QTest::addRow("mapped") << false;
        QTest::addRow("staged") << true;
    }

    void snapshots_cross_backends() {
        QFETCH(bool, stage);
        const Small small;
        VulkanOptions wanted = options();
        wanted.always_stage = stage;
        Machine gpu(make_vulkan_backend(device_, wanted), small.tables, small.plan, Small::capacity);
        Machine cpu(make_cpu_backend(1), small.tables, small.plan, Small::capacity);
        cpu.run({0, {3, 1, 4}});
        gpu.executor->import_state(cpu.executor->export_state(3));
        cpu.run({3, {1}});
        gpu.run({3, {1}});
        QVERIFY(relative_difference(cpu.read(small.out), gpu.read(small.out)) < 1e-6);

        StateSnapshot snapshot = gpu.executor->export_state(4);
        QCOMPARE(snapshot.states.at(0), cpu.executor->read_state(StateId{0}, 4));
        snapshot.states[0].pop_back();
        QCOMPARE(kind_of([&] { gpu.executor->import_state(snapshot); }, "does not fit"), ErrorKind::usage);
        snapshot.states.clear();
        QCOMPARE(kind_of([&] { gpu.executor->import_state(snapshot); }, "0 states"), ErrorKind::usage);
    }

    /// A path without rows reads no weights.
    void skipped_paths_are_not_counted() {
        const Small small(1);
        Machine machine(backend_, small.tables, small.plan, Small::capacity);
        const auto bytes = [&] { return machine.executor->counters().weight_bytes_read; };
        machine.run({0, {5}});
        const std::uint64_t both = bytes();
        machine.executor->set_param(small.top_k, std::vector<float>{1});
        machine.run({1, {5}});
        const std::uint64_t one = bytes() - both;
        QCOMPARE(both - one, small.matrix_bytes);
        QVERIFY(one > small.matrix_bytes);
        QCOMPARE(machine.executor->counters().forward_passes, std::uint64_t(2));
        QCOMPARE(machine.model->weight_bytes(),
                 (Small::vocabulary + 2 + 2 * Small::width + 2) * Small::width * sizeof(float));
    }

    /// No binding limit applies: the software device binds at most 128 MiB.
    void matrix_above_the_binding_limit() {
        constexpr std::int64_t rows = 70001, columns = 1024;
        auto bits = std::make_shared<std::vector<std::uint16_t>>(static_cast<std::size_t>(rows * columns));
        for (std::size_t i = 0; i < bits->size(); ++i) {
            (*bits)[i] =
                static_cast<std::uint16_t>(0x3c00u + (i * 2654435761u >> 20) % 0x400u + (i & 1u) * 0x8000u);
        }
        const auto tables = std::make_shared<Tables>();
        const auto bytes = std::as_bytes(std::span<const std::uint16_t>(*bits));
        const WeightId table = tables->add_weight("table", Tensor(DType::bf16, {rows, columns}, bytes, bits));
        const auto plan = std::make_shared<Plan>();
        const BufferId x = plan->add_buffer("x", columns), logits = plan->add_buffer("logits", rows);
        plan->add({"embed", {}, Embed{table, x}});
        plan->add({"logits", {}, Linear{x, table, {}, logits}});
        QVERIFY(bytes.size() > (std::size_t{128} << 20));
        Machine machine(backend_, tables, plan, 4);
        machine.run({0, {static_cast<std::int32_t>(rows - 1)}});
        const auto element = [&](std::int64_t row, std::int64_t column) {
            return bf16_to_f32((*bits)[static_cast<std::size_t>(row * columns + column)]);
        };
        const auto embedded = machine.read(x), got = machine.read(logits);
        for (std::int64_t c = 0; c < columns; ++c) {
            QCOMPARE(embedded[static_cast<std::size_t>(c)], element(rows - 1, c));
        }
        for (const std::int64_t row : {std::int64_t{0}, rows / 2, rows - 2, rows - 1}) {
            double sum = 0, scale = 0;
            for (std::int64_t c = 0; c < columns; ++c) {
                const double product = double(element(row, c)) * element(rows - 1, c);
                sum += product;
                scale += std::abs(product);
            }
            QVERIFY(std::abs(got[static_cast<std::size_t>(row)] - sum) < 1e-6 * scale);
        }
    }

    void two_sessions_in_two_threads() {
        const Small small;
        const std::shared_ptr<LoadedModel> model = backend_->load(small.tables, {}, {});
        std::array<std::vector<float>, 2> results;
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < 2; ++i) {
            threads.emplace_back([&, i] {
                const auto executor = model->create_executor(Small::capacity);
                const auto program = executor->prepare(small.plan);
                for (std::int64_t t = 0; t < Small::capacity; ++t) {
                    executor->run(*program, {t, {static_cast<std::int32_t>(t % Small::vocabulary)}}, {});
                }
                const auto last = executor->read(*program, small.out);
                results[i].assign(last.begin(), last.end());
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        QCOMPARE(results[0].size(), std::size_t(Small::width));
        QCOMPARE(results[0], results[1]);
    }

    void cleanupTestCase() {
        backend_.reset();
        for (const std::string& message : messages_) {
            qWarning("%s", message.c_str());
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }

  private:
    VulkanOptions options() {
        VulkanOptions made;
        made.validation = true;
        made.on_validation = [this](const std::string& message) {
            const std::lock_guard lock(mutex_);
            messages_.push_back(message);
        };
        return made;
    }

    int device_ = -1;
    std::mutex mutex_;
    std::vector<std::string> messages_;
    std::shared_ptr<Backend> backend_;
};

QTEST_GUILESS_MAIN(TestVulkanBackend)
#include "test_vulkan_backend.moc"
