// SPDX-License-Identifier: GPL-3.0-or-later
// What a step shows is kept aside: read while the next step is at work, it is what it was, on the software
// device with the validation layer, whether the host sees the device's memory or has to be sent copies.
#include "engine/base/error.h"
#include "support_plans.h"
#include "support_vulkan.h"

#include <QtTest>

#include <functional>
#include <map>
#include <mutex>

using namespace ergo;
using namespace ergo::test;

namespace {

using Extent = BufferInfo::Extent;
using Values = std::map<std::int32_t, std::vector<float>>; // by buffer

constexpr std::int64_t capacity = 40, steps = 9;

/// One head group's attention with rows and scalars shown, and logits behind it.
struct Shown {
    Case test;
    BufferId hidden; // shown to nobody
    std::vector<BufferId> taps;

    explicit Shown(std::int64_t max_rows) : test(5, max_rows) {
        constexpr std::int32_t heads = 3, dim = 10;
        const BufferId x = test.input(37), k = product(x, 37, heads * dim), q = product(x, 37, heads * dim);
        AppendKeyValue kv;
        kv.key = kv.value = k;
        kv.heads = kv.heads_in = kv.value_heads = heads;
        kv.dim = kv.value_dim = dim;
        kv.keys = test.state(heads * dim);
        kv.values = test.state(heads * dim);
        test.add(kv);
        Attention body;
        body.query = q;
        body.keys = kv.keys;
        body.values = kv.values;
        body.heads = body.key_heads = body.value_heads = heads;
        body.dim = body.value_dim = dim;
        body.out = hidden = test.buffer(heads * dim);
        body.rows.heads = {2, 0};
        body.rows.logits = test.buffer(2, Extent::rows_keys);
        body.rows.maximum = test.buffer(heads);
        body.rows.sum = test.buffer(heads);
        test.add(body);
        test.plan.logits = product(body.out, heads * dim, 53);
        taps = {body.rows.logits, body.rows.maximum, body.rows.sum, q};
        for (const BufferId tap : taps) {
            test.plan.taps.push_back({0, tap});
            test.plan.taps.push_back({1, tap}); // shown twice, kept once
        }
    }

    BufferId product(BufferId in, std::int64_t inputs, std::int64_t outputs) {
        const BufferId out = test.buffer(outputs);
        test.add(Linear{in, test.weight({outputs, inputs}, 0.3f), {}, out, {}});
        return out;
    }

    Values read(Running& running) const {
        Values all;
        for (const BufferId tap : taps) {
            const auto values = running.executor->read(*running.program, tap);
            all[tap.index] = {values.begin(), values.end()};
        }
        return all;
    }
    std::vector<float> logits(Running& running) const {
        const auto values = running.executor->read(*running.program, test.plan.logits);
        return {values.begin(), values.end()};
    }
};

} // namespace

class TestVulkanTaps : public QObject {
    Q_OBJECT
    int device_ = -1;
    std::mutex mutex_;
    std::vector<std::string> messages_;

    std::shared_ptr<Backend> backend(bool staged) {
        VulkanOptions options = validated([this](const std::string& message) {
            const std::lock_guard lock(mutex_);
            messages_.push_back(message);
        });
        options.always_stage = staged;
        return make_vulkan_backend(device_, options);
    }

    static void places() {
        QTest::addColumn<bool>("staged");
        QTest::newRow("mapped") << false;
        QTest::newRow("sent to the host") << true;
    }

  private slots:
    void initTestCase() {
        device_ = software_device();
        QVERIFY2(device_ >= 0, no_driver);
    }

    void read_while_the_next_step_is_at_work_data() { places(); }
    void read_while_the_next_step_is_at_work() {
        QFETCH(bool, staged);
        const Shown shown(1);
        const auto vulkan = backend(staged);
        Running plain = start(*vulkan, shown.test, capacity), late = start(*vulkan, shown.test, capacity);
        Values before;
        for (std::int64_t t = 0; t < steps; ++t) {
            const StepState step = step_at(t, 1);
            plain.executor->run(*plain.program, step, {});
            const Values now = shown.read(plain);
            int calls = 0;
            const std::uint64_t given = late.executor->counters().submissions;
            late.executor->run_meanwhile(*late.program, step, {}, [&] {
                ++calls;
                QVERIFY(late.executor->counters().submissions > given); // the device has its work already
                if (t > 0) {
                    QCOMPARE(shown.read(late), before);
                }
            });
            QCOMPARE(calls, 1);
            QCOMPARE(shown.logits(late), shown.logits(plain));
            QCOMPARE(shown.read(late), now); // at once, too, for whoever does not go on
            before = now;
        }
        QCOMPARE(before[shown.taps[0].index].size(), std::size_t(2 * steps)); // rows grow with their keys
    }

    void only_what_was_kept_can_be_read_data() { places(); }
    void only_what_was_kept_can_be_read() {
        QFETCH(bool, staged);
        const Shown shown(1);
        const auto vulkan = backend(staged);
        Running running = start(*vulkan, shown.test, capacity);
        const auto refused = [&](std::int64_t t, BufferId buffer) {
            try {
                running.executor->run_meanwhile(*running.program, step_at(t, 1), {},
                                                [&] { running.executor->read(*running.program, buffer); });
            } catch (const Error& error) {
                return error.kind() == ErrorKind::usage &&
                       std::string(error.what()).find("is gone") != std::string::npos;
            }
            return false;
        };
        QVERIFY(refused(0, shown.taps[0])); // there was no step before
        running.executor->run(*running.program, step_at(0, 1), {});
        const Values first = shown.read(running);
        QVERIFY(refused(1, shown.taps[0])); // the one before kept nothing
        running.executor->run_meanwhile(*running.program, step_at(0, 1), {}, [] {});
        QVERIFY(refused(1, shown.hidden));
        // A reader that throws leaves everything as usable as it was.
        running.executor->run_meanwhile(*running.program, step_at(0, 1), {}, [] {});
        QCOMPARE(shown.read(running), first);
        running.executor->run_meanwhile(*running.program, step_at(1, 1), {},
                                        [&] { QCOMPARE(shown.read(running), first); });
        const CancelToken cancel;
        cancel.cancel();
        QVERIFY_EXCEPTION_THROWN(
            running.executor->run_meanwhile(*running.program, step_at(2, 1), cancel, [] {}), Error);
        running.executor->run_meanwhile(*running.program, step_at(0, 1), {}, [] {});
        QCOMPARE(shown.read(running), first);
    }

    void steps_of_several_rows_keep_nothing() {
        const Shown shown(4);
        const auto vulkan = backend(false);
        Running plain = start(*vulkan, shown.test, capacity), late = start(*vulkan, shown.test, capacity);
        int calls = 0;
        for (std::int64_t t = 0; t < 8; t += 4) {
            plain.executor->run(*plain.program, step_at(t, 4), {});
            late.executor->run_meanwhile(*late.program, step_at(t, 4), {}, [&] { ++calls; });
            QCOMPARE(shown.read(late), shown.read(plain));
        }
        QCOMPARE(calls, 2);
    }

    /// Other backends read first and compute then.
    void the_cpu_does_the_same() {
        const Shown shown(1);
        const auto cpu = make_cpu_backend(1);
        Running running = start(*cpu, shown.test, capacity);
        Values before;
        for (std::int64_t t = 0; t < 3; ++t) {
            running.executor->run_meanwhile(*running.program, step_at(t, 1), {}, [&] {
                if (t > 0) {
                    QCOMPARE(shown.read(running), before);
                }
            });
            before = shown.read(running);
        }
    }

    /// Float32 copies of what kernels do not widen, and what is kept aside, are in the plan.
    void memory_is_announced() {
        auto tables = std::make_shared<Tables>();
        constexpr std::int64_t parts = 9, width = 1'300'000;
        const auto ones = [](Shape shape) {
            const auto count = static_cast<std::size_t>(element_count(shape));
            return stored(std::move(shape), std::vector<float>(count, 1), DType::bf16);
        };
        const auto plan = std::make_shared<Plan>();
        Mix mix;
        const BufferId part = plan->add_buffer("part", width);
        plan->add({"embed", {}, Embed{tables->add_weight("table", ones({2, width})), part}});
        mix.parts.assign(parts, part);
        mix.out = plan->add_buffer("out", width);
        mix.layer_scale = tables->add_weight("scale", ones({parts, width}));
        plan->add({"mix", {}, mix});
        plan->taps.push_back({0, mix.out});
        const auto vulkan = backend(false);
        const Plan* const plans[] = {plan.get()};
        const MemoryNeed need = vulkan->need(*tables, 16, plans);
        const auto model = vulkan->load(tables, {}, {});
        const auto executor = model->create_executor(16);
        const auto program = executor->prepare(plan);
        const auto near = [](std::uint64_t announced, std::uint64_t taken) {
            return std::abs(double(announced) - double(taken)) <= 0.05 * double(announced);
        };
        QVERIFY(need.weights > std::uint64_t(parts * width * 6)); // 2 bytes as stored, 4 as copied
        QVERIFY2(near(need.weights, model->taken().weights), qPrintable(QString::number(need.weights)));
        const std::uint64_t scratch = executor->taken().scratch + program->taken().scratch;
        QVERIFY2(near(need.scratch, scratch), qPrintable(QString::number(need.scratch)));
    }

    void cleanupTestCase() {
        for (const std::string& message : messages_) {
            qWarning("%s", message.c_str());
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }
};

QTEST_GUILESS_MAIN(TestVulkanTaps)
#include "test_vulkan_taps.moc"
