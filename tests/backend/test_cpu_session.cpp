// SPDX-License-Identifier: GPL-3.0-or-later
// What a session relies on: skipped work, repeatable bits, rewinding, snapshots, parameters.
#include "engine/backend/cpu/cpu_executor.h"
#include "engine/backend/cpu/cpu_model.h"
#include "engine/backend/cpu/cpu_sizes.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/base/error.h"
#include "tests/backend/support_miniature.h"
#include "tests/backend/support_refused.h"

#include <QtTest>

#include <cmath>
#include <limits>
#include <set>
#include <thread>

using namespace ergo;
using test::Case;
using test::Miniature;
using test::run;
using test::Running;
using Extent = BufferInfo::Extent;

class TestCpuSession : public QObject {
    Q_OBJECT

  private slots:
    void agrees_with_the_reference();
    void bits_do_not_depend_on_threads_or_chunks();
    void rewinding_repeats();
    void stale_rows_do_not_leak();
    void skipped_paths_read_no_weights();
    void untaken_parts_are_not_read();
    void parameters_and_snapshots();
    void captures_grow_with_the_keys();
    void cancelling();
    void executors_run_side_by_side();
    void weights_are_copied_or_stay();
    void the_layout_of_weights_changes_no_bit();
    void wide_rows_lie_apart();
    void ops_are_timed();
    void information();
};

void TestCpuSession::agrees_with_the_reference() {
    Miniature mini;
    for (const Op& op : mini.test.plan.ops) {
        if (op.when) {
            mini.test.guarded.emplace_back(main_output(op), op.when);
        }
    }
    QCOMPARE(QString::fromStdString(test::difference(*make_reference_backend(), *make_cpu_backend(2),
                                                     mini.test, {1, 16, 1, 48})),
             QString());
}

void TestCpuSession::bits_do_not_depend_on_threads_or_chunks() {
    const Miniature mini(Extent::rows);
    const auto backend = make_cpu_backend(1);
    Running one = test::start(*backend, mini.test);
    std::vector<float> expected;
    for (std::int64_t t = 0; t < 130; ++t) {
        const auto row = run(one, mini.test, t, 1);
        expected.insert(expected.end(), row.begin(), row.end());
    }
    for (const int threads : {1, 2, 3}) {
        const auto other = make_cpu_backend(threads);
        Running running = test::start(*other, mini.test);
        std::vector<float> logits;
        for (std::int64_t t = 0; t < 130;) {
            const std::int64_t rows = std::min<std::int64_t>(1 + (t * 7) % 48, 130 - t);
            const auto some = run(running, mini.test, t, rows);
            logits.insert(logits.end(), some.begin(), some.end());
            t += rows;
        }
        SAME_BITS(expected, logits);
    }
}

void TestCpuSession::rewinding_repeats() {
    const Miniature mini;
    const auto backend = make_cpu_backend(2);
    Running running = test::start(*backend, mini.test);
    run(running, mini.test, 0, 20);
    const auto first = run(running, mini.test, 20, 1);
    for (std::int64_t t = 21; t < 100; ++t) {
        run(running, mini.test, t, 1);
    }
    SAME_BITS(first, run(running, mini.test, 20, 1));
    run(running, mini.test, 0, 20);
    SAME_BITS(first, run(running, mini.test, 20, 1));
}

// Values beyond the current position, left from before a rewind, must not matter, whatever they are.
void TestCpuSession::stale_rows_do_not_leak() {
    const Miniature mini;
    const auto backend = make_cpu_backend(2);
    Running clean = test::start(*backend, mini.test), dirty = test::start(*backend, mini.test);
    run(clean, mini.test, 0, 10);
    StateSnapshot poison = clean.executor->export_state(100);
    for (auto& state : poison.states) {
        std::fill(state.begin(), state.end(), std::numeric_limits<float>::quiet_NaN());
    }
    dirty.executor->import_state(poison);
    run(dirty, mini.test, 0, 10);
    for (std::int64_t t = 10; t < 70; ++t) {
        SAME_BITS(run(clean, mini.test, t, 1), run(dirty, mini.test, t, 1));
    }
}

void TestCpuSession::skipped_paths_read_no_weights() {
    const Miniature mini;
    const auto backend = make_cpu_backend(2);
    Running running = test::start(*backend, mini.test);
    const auto bytes = [&](std::vector<float> mask, std::int64_t rows) {
        running.executor->set_param(mini.mask, mask);
        const Counters before = running.executor->counters();
        run(running, mini.test, 0, rows);
        const Counters after = running.executor->counters();
        if (after.forward_passes != before.forward_passes + 1) {
            throw std::logic_error("forward passes");
        }
        return after.weight_bytes_read - before.weight_bytes_read;
    };
    const auto size = [&](WeightId id) {
        return mini.test.tables.weights[static_cast<std::size_t>(id.index)].tensor.bytes().size();
    };
    const std::uint64_t query_tables =
        2 * (Miniature::width / 4) * sizeof(float); // cos and sin of one position
    const std::uint64_t common = bytes({0, 0}, 1);
    QCOMPARE(bytes({1, 0}, 1) - common, size(mini.query_weight) + query_tables);
    QCOMPARE(bytes({0, 1}, 1) - common, size(mini.path_weight));
    // Common: the embedding's row, norm, router, kv, two tables for the key, logits.
    constexpr std::uint64_t w = Miniature::width;
    QCOMPARE(common, sizeof(float) * (w + 2 * w + 2 * w + w / 4 * w + 2 * (w / 4) + Case::vocabulary * w));
    running.executor->set_param(mini.top_k, std::vector<float>{2});
    QCOMPARE(bytes({1, 1}, 1) - common, size(mini.query_weight) + query_tables + size(mini.path_weight));
}

void TestCpuSession::untaken_parts_are_not_read() {
    Case test;
    Mix mix;
    mix.parts = {test.input(5), test.input(5)};
    std::get<Embed>(test.plan.ops[1].body).table = test.tables.add_weight(
        "nan", Tensor::from_floats({Case::vocabulary, 5}, std::vector<float>(Case::vocabulary * 5, NAN)));
    Route route;
    route.logits = test.input(2);
    route.shares = mix.shares = test.buffer(2);
    route.paths = 2;
    route.temperature = route.top_k = test.fixed({1}, {1});
    route.mask = test.fixed({2}, {1, 0});
    test.add(route);
    mix.out = test.buffer(5);
    test.add(mix);
    test.plan.logits = mix.out;
    const auto cpu = make_cpu_backend(1), reference = make_reference_backend();
    for (Backend* backend : {cpu.get(), reference.get()}) {
        Running running = test::start(*backend, test);
        for (const float x : run(running, test, 0, 9)) {
            QVERIFY(std::isfinite(x) && x != 0);
        }
    }
}

void TestCpuSession::parameters_and_snapshots() {
    const Miniature mini;
    const auto backend = make_cpu_backend(2);
    Running running = test::start(*backend, mini.test);
    running.executor->set_param(mini.mask, std::vector<float>{1, 0});
    run(running, mini.test, 0, 30);
    const auto wide = run(running, mini.test, 30, 1);
    QCOMPARE(running.executor->param(mini.radius), std::vector<float>{11});
    running.executor->set_param(mini.radius, std::vector<float>{8});
    QCOMPARE(running.executor->param(mini.radius), std::vector<float>{8});
    const auto narrow = run(running, mini.test, 30, 1);
    QVERIFY(!test::bit_difference(wide, narrow).empty());

    const StateSnapshot snapshot = running.executor->export_state(30);
    QCOMPARE(snapshot.length, 30);
    QCOMPARE(snapshot.states.size(), mini.test.tables.states.size());
    QCOMPARE(running.executor->read_state(mini.keys, 30),
             snapshot.states[static_cast<std::size_t>(mini.keys.index)]);
    Running other = test::start(*backend, mini.test),
            reference = test::start(*make_reference_backend(), mini.test);
    for (Running* to : {&other, &reference}) {
        to->executor->import_state(snapshot);
        to->executor->set_param(mini.radius, std::vector<float>{8});
        to->executor->set_param(mini.mask, std::vector<float>{1, 0});
    }
    SAME_BITS(narrow, run(other, mini.test, 30, 1));
    const auto judged = run(reference, mini.test, 30, 1);
    for (std::size_t i = 0; i < judged.size(); ++i) {
        QVERIFY(std::abs(judged[i] - narrow[i]) < 1e-4f);
    }
    REFUSED(running.executor->set_param(mini.radius, std::vector<float>{1, 2}), "has 1 values, not 2");
    REFUSED(running.executor->read_state(mini.keys, 257), "257");
    REFUSED(running.executor->import_state({30, {}}), "does not fit");
}

void TestCpuSession::captures_grow_with_the_keys() {
    Miniature mini;
    BufferId logits;
    for (Op& op : mini.test.plan.ops) {
        if (auto* attention = std::get_if<Attention>(&op.body)) {
            logits = attention->rows.logits = mini.test.buffer(2, Extent::rows_keys);
            attention->rows.heads = {3, 1};
            op.when = {};
        } else if (std::holds_alternative<Rotate>(op.body) || std::holds_alternative<Linear>(op.body)) {
            op.when = {};
        }
    }
    const auto backend = make_cpu_backend(2);
    Running running = test::start(*backend, mini.test);
    for (const auto& [begin, rows] : {std::pair{0, 5}, {5, 40}, {45, 1}, {2, 3}}) {
        run(running, mini.test, begin, rows);
        const auto captured = running.executor->read(*running.program, logits);
        const std::size_t keys = static_cast<std::size_t>(begin + rows);
        QCOMPARE(captured.size(), static_cast<std::size_t>(rows) * 2 * keys);
        for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
            for (std::size_t j = 0; j < keys; ++j) {
                const float logit = captured[(2 * r + 1) * keys + j];
                QVERIFY(j > static_cast<std::size_t>(begin) + r ? logit == -INFINITY : !std::isnan(logit));
            }
        }
    }
}

void TestCpuSession::cancelling() {
    const Miniature mini;
    const auto backend = make_cpu_backend(2);
    Running running = test::start(*backend, mini.test);
    const CancelToken cancel;
    cancel.cancel();
    try {
        running.executor->run(*running.program, test::step_at(0, 3), cancel);
        QFAIL("ran although cancelled");
    } catch (const Error& error) {
        QCOMPARE(error.kind(), ErrorKind::cancelled);
    }
    QVERIFY_EXCEPTION_THROWN(backend->load(std::make_shared<const Tables>(mini.test.tables), {}, cancel),
                             Error);
    QVERIFY(!run(running, mini.test, 0, 3).empty()); // and goes on afterwards
}

void TestCpuSession::executors_run_side_by_side() {
    const Miniature mini;
    const auto backend = make_cpu_backend(2);
    const auto model = backend->load(std::make_shared<const Tables>(mini.test.tables), {}, {});
    const auto session = [&](std::vector<float>& out) {
        const auto executor = model->create_executor(256);
        const auto program = executor->prepare(std::make_shared<const Plan>(mini.test.plan));
        for (std::int64_t t = 0; t < 200; ++t) {
            executor->run(*program, test::step_at(t, 1), {});
        }
        const auto logits = executor->read(*program, mini.test.plan.logits);
        out.assign(logits.begin(), logits.end());
    };
    std::vector<float> a, b, alone;
    session(alone);
    std::thread other(session, std::ref(a));
    session(b);
    other.join();
    SAME_BITS(alone, a);
    SAME_BITS(alone, b);
}

void TestCpuSession::weights_are_copied_or_stay() {
    Case test;
    const WeightId plain = test.weight({5, 7}), odd = test.weight({5, 7}, DType::bf16, true);
    const WeightId wide = test.weight({5, 7}, DType::f64, true);
    const Tensor tied = test.tables.weights[0].tensor;
    const WeightId twin = test.tables.add_weight("tied", tied);
    const auto tables = std::make_shared<const Tables>(test.tables);
    for (const std::uint64_t limit : {0u, 1u << 20}) {
        const cpu::CpuModel model(tables, limit, {}, {});
        QCOMPARE(model.weight(plain).data == tied.bytes().data(), limit == 0);
        QCOMPARE(model.weight(twin).data, model.weight(plain).data);
        QCOMPARE(model.weight_bytes(), 35u * (4 + 2 + 4));
        for (const WeightId id : {plain, odd, wide, twin}) {
            const cpu::CpuWeight& weight = model.weight(id);
            QCOMPARE(reinterpret_cast<std::uintptr_t>(weight.data) % dtype_size(weight.type), 0u);
            QCOMPARE(weight.rows, 5);
            QCOMPARE(weight.columns, 7);
            const auto expected = tables->weights[static_cast<std::size_t>(id.index)].tensor.to_floats();
            SAME_BITS(expected, std::span(model.floats(id), 35));
            SAME_BITS(expected, std::span(model.floats(id), 35)); // the second time from the store
        }
        QCOMPARE(model.floats(WeightId{}), nullptr);
    }
}

// Copied matrices are interleaved, mapped ones are read as they lie: the products must be the same, for one
// row and for many, and so must be the rows that an embedding reads.
void TestCpuSession::the_layout_of_weights_changes_no_bit() {
    Case test(3, 40);
    for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
        const BufferId x = test.buffer(530);
        test.add(
            Embed{test.weight({Case::vocabulary, 530}, type, false), x}); // two blocks and a bit of inputs
        const BufferId y = test.buffer(70), z = test.buffer(31);
        test.add(Linear{x, test.weight({70, 530}, type, false), test.weight({70}), y, Activation::silu});
        test.add(Linear{y, test.weight({31, 70}, type, false), {}, z, {}});
        test.plan.logits = z;
    }
    const auto tables = std::make_shared<const Tables>(test.tables);
    const auto pool = std::make_shared<ThreadPool>(2);
    std::vector<std::vector<float>> found;
    for (const std::uint64_t limit : {0u, 1u << 24}) {
        const auto model = std::make_shared<const cpu::CpuModel>(tables, limit, Progress(), CancelToken());
        QCOMPARE(model->weight(WeightId{1}).interleaved, limit != 0);
        for (const std::int64_t chunk : {1, 40}) {
            cpu::CpuExecutor executor(model, pool, 64, false);
            const auto program = executor.prepare(std::make_shared<const Plan>(test.plan));
            std::vector<float>& all = found.emplace_back();
            for (std::int64_t t = 0; t < 40; t += chunk) {
                executor.run(*program, test::step_at(t, chunk), {});
                for (std::int32_t b = 0; b < static_cast<std::int32_t>(test.plan.buffers.size()); ++b) {
                    const auto values = executor.read(*program, BufferId{b});
                    const auto width = static_cast<std::ptrdiff_t>(values.size()) / chunk;
                    all.resize(40 * 3 * (530 + 70 + 31));
                    for (std::int64_t r = 0; r < chunk; ++r) { // [row, buffer, width]
                        std::ptrdiff_t at = (t + r) * 3 * (530 + 70 + 31);
                        for (std::int32_t before = 0; before < b; ++before) {
                            at += test.plan.buffers[static_cast<std::size_t>(before)].width;
                        }
                        std::copy_n(values.begin() + r * width, width, all.begin() + at);
                    }
                }
            }
        }
    }
    for (const auto& other : found) {
        SAME_BITS(found[0], other);
    }
}

void TestCpuSession::wide_rows_lie_apart() {
    Plan plan;
    plan.max_rows = 256;
    for (const std::int64_t width : {512, 530, 576, 768, 1024, 3072, 4096, 11008}) {
        plan.add_buffer("wide", width);
    }
    const auto wide = static_cast<std::int32_t>(plan.buffers.size());
    plan.add_buffer("narrow", 64);
    const BufferId tap = plan.add_buffer("tap", 1024);
    plan.logits = plan.add_buffer("logits", 2048);
    plan.taps.push_back({0, tap});
    const auto strides = cpu::row_strides(plan);
    for (std::size_t b = 0; b < plan.buffers.size(); ++b) {
        const std::int64_t width = plan.buffers[b].width, stride = strides[b];
        if (b >= static_cast<std::size_t>(wide)) {
            QCOMPARE(stride, width); // what is read lies together
            continue;
        }
        QVERIFY(stride >= width && stride < width + 64);
        std::set<std::int64_t> sets; // of 64, of lines of 64 bytes: two of each of a tile's rows
        for (std::int64_t row = 0; row < 16; ++row) {
            sets.insert(row * stride / 16 % 64);
            sets.insert((row * stride / 16 + 1) % 64);
        }
        QCOMPARE(sets.size(), std::size_t{32});
    }
    plan.max_rows = 1;
    QCOMPARE(cpu::row_strides(plan)[0], plan.buffers[0].width);
    plan.max_rows = 256;
    plan.logits = {};
    QCOMPARE(cpu::row_strides(plan)[0], plan.buffers[0].width); // anything may be read
}

void TestCpuSession::ops_are_timed() {
    const Miniature mini;
    const auto backend = make_cpu_backend(2);
    Running running = test::start(*backend, mini.test);
    QVERIFY(running.program->op_times().empty());
    running.executor->time_ops(true);
    running.program = running.executor->prepare(std::make_shared<const Plan>(mini.test.plan));
    run(running, mini.test, 0, 7);
    run(running, mini.test, 7, 1);
    const auto times = running.program->op_times();
    QCOMPARE(times.size(), mini.test.plan.ops.size());
    std::uint64_t operations = 0, runs = 0;
    for (std::size_t i = 0; i < times.size(); ++i) {
        QCOMPARE(times[i].name, mini.test.plan.ops[i].name);
        QCOMPARE(times[i].kernel == "Linear", std::holds_alternative<Linear>(mini.test.plan.ops[i].body));
        operations += times[i].operations;
        runs += times[i].runs;
    }
    QVERIFY(operations > 0 && runs > 0);
    QCOMPARE(times.front().runs, 2u);
    QCOMPARE(times.front().weight_bytes, 8u * 40 * sizeof(float)); // an embedding's rows
}

void TestCpuSession::information() {
    const auto backend = make_cpu_backend(3);
    const DeviceInfo info = backend->info();
    QCOMPARE(info.backend, std::string("cpu"));
    QVERIFY(info.name.find("3 threads") != std::string::npos);
    QVERIFY(info.memory_bytes > 1 << 20);
    QVERIFY(!info.software);
    Case test;
    test.weight({3, 4}, DType::f64, false); // held as float32
    test.weight({3, 4}, DType::bf16, true);
    double done = 0, total = -1;
    const auto model =
        backend->load(std::make_shared<const Tables>(test.tables),
                      [&](double d, double t, const std::string&) { done = d, total = t; }, {});
    QCOMPARE(model->weight_bytes(), 12u * 4 + 12u * 2);
    QCOMPARE(done, total);
    test.tables.add_weight("ids", Tensor(DType::i32, {0}, {}, nullptr));
    try {
        backend->load(std::make_shared<const Tables>(test.tables), {}, {});
        QFAIL("took integers for weights");
    } catch (const Error& error) {
        QCOMPARE(error.kind(), ErrorKind::unsupported);
        QCOMPARE(error.where().tensor, std::string("ids"));
    }
}

QTEST_GUILESS_MAIN(TestCpuSession)
#include "test_cpu_session.moc"
