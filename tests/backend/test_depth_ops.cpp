// SPDX-License-Identifier: GPL-3.0-or-later
// Depth routing and head-wise norms: reference against known numbers, then every instruction set of the CPU
// and the software Vulkan device against the reference.
#include "engine/backend/reference/reference_backend.h"
#include "engine/backend/reference/reference_ops.h"
#include "engine/base/error.h"
#include "tests/backend/support_backends.h"

#include <QtTest>

#include <functional>
#include <numeric>

using namespace ergo;
using test::Case;
using Extent = BufferInfo::Extent;

namespace {

const std::vector<std::int64_t> chunks{1, 3, 17, 1, 32};

std::string on_every_backend(const Case& test) {
    const auto reference = make_reference_backend();
    return test::on_every_backend(
        [&](Backend& backend) { return test::difference(*reference, backend, test, chunks); });
}

/// Sources of random rows, some of them the last row only, and a route over them.
DepthRoute add_route(Case& test, int sources, std::int64_t width, Extent extent, float query_scale) {
    DepthRoute route;
    for (int s = 0; s < sources; ++s) {
        const BufferId rows = test.input(width, 1 + 0.3f * static_cast<float>(s));
        route.sources.push_back(rows);
        if (extent == Extent::last_row && s % 3 == 1) {
            const BufferId last = test.buffer(width, Extent::last_row);
            test.add(Gate{rows, {}, last, 0, 0, Activation::identity});
            route.sources.back() = last;
        }
    }
    route.query = test.weight({width}, query_scale);
    route.weights = test.buffer(sources, extent);
    route.out = test.buffer(width, extent);
    return route;
}

std::string refusal(const std::function<void(Case&, DepthRoute&)>& spoil) {
    Case test;
    DepthRoute route = add_route(test, 3, 8, Extent::rows, 1);
    spoil(test, route);
    test.add(route);
    try {
        validate(test.plan, test.tables);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

} // namespace

class TestDepthOps : public QObject {
    Q_OBJECT

  private slots:
    void known_numbers();
    void depth_routes_data();
    void depth_routes();
    void masks_and_temperatures();
    void guarded_route();
    void plans_are_checked();
    void norms_of_heads_data();
    void norms_of_heads();
};

void TestDepthOps::known_numbers() {
    // Two sources of width 2. rms(3, 4)^2 = 12.5, rms(0, 2)^2 = 2; query (1, 0.5): dots 5 and 1.
    const std::vector<float> a{3, 4}, b{0, 2}, query{1, 0.5f};
    DepthRoute op;
    op.eps = 0;
    std::vector<float> weights(2), out(2);
    reference::depth_route(op, {{a, b}, query, {}, 1}, weights, out);
    const double la = 5 / std::sqrt(12.5), lb = 1 / std::sqrt(2.0);
    const double share = 1 / (1 + std::exp(lb - la));
    QVERIFY(std::abs(weights[0] - share) < 1e-6 && std::abs(weights[1] - (1 - share)) < 1e-6);
    QVERIFY(std::abs(out[0] - 3 * share) < 1e-6); // the raw sources are mixed, not the normalised ones
    QVERIFY(std::abs(out[1] - (4 * share + 2 * (1 - share))) < 1e-6);
    // One source is that source exactly; a mask removes before the softmax; nothing left is zero.
    reference::depth_route(op, {{a}, query, {}, 1}, {}, out);
    QCOMPARE(out, a);
    const std::vector<float> only_b{0, 1}, none{0, 0};
    reference::depth_route(op, {{a, b}, query, only_b, 1}, weights, out);
    QCOMPARE(out, b);
    reference::depth_route(op, {{a, b}, query, none, 1}, weights, out);
    QCOMPARE(out, none);
    QCOMPARE(weights, none);
}

void TestDepthOps::depth_routes_data() {
    QTest::addColumn<int>("sources");
    QTest::addColumn<int>("width");
    QTest::addColumn<int>("extent");
    QTest::addColumn<float>("scale");
    for (const auto& [sources, width] :
         {std::pair(1, 1), {2, 5}, {3, 64}, {7, 512}, {7, 67}, {33, 16}, {64, 9}}) {
        for (const Extent extent : {Extent::rows, Extent::last_row}) {
            QTest::addRow("%d sources of %d%s", sources, width, extent == Extent::rows ? "" : ", last row")
                << sources << width << static_cast<int>(extent) << 1.0f;
        }
    }
    QTest::newRow("sharp") << 5 << 48 << static_cast<int>(Extent::rows) << 40.0f;
    QTest::newRow("query 0") << 4 << 12 << static_cast<int>(Extent::rows) << 0.0f;
}

void TestDepthOps::depth_routes() {
    QFETCH(int, sources);
    QFETCH(int, width);
    QFETCH(int, extent);
    QFETCH(float, scale);
    Case test(static_cast<std::uint64_t>(sources));
    const DepthRoute route = add_route(test, sources, width, static_cast<Extent>(extent), scale);
    test.add(route);
    QCOMPARE(QString::fromStdString(on_every_backend(test)), QString());

    const auto cpu = make_cpu_backend(2);
    auto running = test::start(*cpu, test);
    running.executor->run(*running.program, test::step_at(0, 20), {});
    const auto weights = running.executor->read(*running.program, route.weights);
    for (std::size_t at = 0; at < weights.size(); at += static_cast<std::size_t>(sources)) {
        const float sum = std::accumulate(weights.begin() + static_cast<std::ptrdiff_t>(at),
                                          weights.begin() + static_cast<std::ptrdiff_t>(at) + sources, 0.0f);
        QVERIFY(std::abs(sum - 1) < 1e-5f);
    }
}

void TestDepthOps::masks_and_temperatures() {
    Case test(3);
    DepthRoute route = add_route(test, 6, 33, Extent::rows, 2);
    route.mask = test.fixed({6}, {1, 0, 1, 1, 0, 1});
    route.temperature = test.fixed({1}, {0.25f});
    test.add(route);
    DepthRoute plain = route;
    plain.weights = {};
    plain.mask = test.fixed({6}, {0, 0, 0, 0, 0, 0});
    plain.out = test.buffer(33);
    test.add(plain);
    QCOMPARE(QString::fromStdString(on_every_backend(test)), QString());
}

void TestDepthOps::guarded_route() {
    Case test(5);
    const BufferId shares = test.shares(3);
    DepthRoute route = add_route(test, 4, 20, Extent::rows, 1);
    route.weights = {};
    test.add(route, {shares, 1});
    test.guarded.emplace_back(route.out, Guard{shares, 1});
    QCOMPARE(QString::fromStdString(on_every_backend(test)), QString());
}

void TestDepthOps::plans_are_checked() {
    QCOMPARE(refusal([](Case&, DepthRoute&) {}), std::string("accepted"));
    const auto says = [](const std::string& text, const char* part) {
        return text.find(part) != std::string::npos;
    };
    QVERIFY(says(refusal([](Case&, DepthRoute& r) { r.sources.clear(); }), "0 sources"));
    QVERIFY(says(refusal([](Case& t, DepthRoute& r) { r.sources[1] = t.input(9); }), "width 9"));
    QVERIFY(says(refusal([](Case&, DepthRoute& r) { r.out = r.sources[2]; }), "the same buffer"));
    QVERIFY(says(refusal([](Case& t, DepthRoute& r) { r.query = t.weight({7}); }), "query"));
    QVERIFY(says(refusal([](Case& t, DepthRoute& r) { r.weights = t.buffer(2); }), "weights"));
    QVERIFY(says(refusal([](Case& t, DepthRoute& r) { r.mask = t.fixed({2}, {1, 1}); }), "mask"));
    QVERIFY(
        says(refusal([](Case& t, DepthRoute& r) { r.sources[0] = t.buffer(8); }), "before it is written"));
    QVERIFY(says(refusal([](Case&, DepthRoute& r) { r.sources.assign(65, r.sources[0]); }), "65 sources"));
}

void TestDepthOps::norms_of_heads_data() {
    QTest::addColumn<int>("heads");
    QTest::addColumn<int>("width");
    QTest::addColumn<bool>("rms");
    QTest::newRow("4 x 128") << 4 << 128 << true;
    QTest::newRow("1 x 7") << 1 << 7 << true;
    QTest::newRow("9 x 6") << 9 << 6 << true;
    QTest::newRow("3 x 1") << 3 << 1 << true;
    QTest::newRow("5 x 17, layer") << 5 << 17 << false;
}

void TestDepthOps::norms_of_heads() {
    QFETCH(int, heads);
    QFETCH(int, width);
    QFETCH(bool, rms);
    Case test(7);
    const BufferId in = test.input(heads * width, 3);
    Norm norm;
    norm.in = in;
    norm.out = test.buffer(heads * width);
    norm.weight = test.weight({width}, 0.5f, 1);
    norm.bias = rms ? WeightId{} : test.weight({width});
    norm.kind = rms ? Norm::Kind::rms : Norm::Kind::layer;
    norm.heads = heads;
    test.add(norm);
    norm.out = test.buffer(heads * width, Extent::last_row);
    test.add(norm);
    norm.in = norm.out = in; // in place
    test.add(norm);
    QCOMPARE(QString::fromStdString(on_every_backend(test)), QString());

    norm.heads = 2 * heads * width + 1;
    test.add(norm);
    QVERIFY_EXCEPTION_THROWN(validate(test.plan, test.tables), Error);
}

QTEST_GUILESS_MAIN(TestDepthOps)
#include "test_depth_ops.moc"
