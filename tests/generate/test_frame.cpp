// SPDX-License-Identifier: GPL-3.0-or-later
// A step's numbers in portions: every row once, in order, as it was.
#include "engine/generate/frame.h"

#include <QtTest>

#include <map>
#include <numeric>

using namespace ergo;

namespace {

constexpr std::int32_t rows = 37;
constexpr std::int64_t heads = 3, keys = 50, width = 5, position = 11;

std::vector<Observable> observables() {
    std::vector<Observable> all(3);
    all[0].source = ObservableSource::pair_row;
    all[1].source = all[2].source = ObservableSource::buffer;
    return all;
}

Capture counted(std::int32_t observable, Shape shape) {
    Capture capture{observable, {}, std::move(shape), {}};
    capture.values.resize(static_cast<std::size_t>(element_count(capture.shape)));
    std::iota(capture.values.begin(), capture.values.end(), 1.0f);
    return capture;
}

Frame step() {
    Frame frame{7, position, rows, true, {}};
    frame.captures.push_back(counted(0, {heads, rows, keys}));
    frame.captures.back().heads = {4, 2, 9};
    frame.captures.push_back(counted(1, {rows, width, 2}));
    frame.captures.push_back(counted(2, {1, width})); // of the last row alone
    return frame;
}

/// Numbers of every row, by observable, head and row.
using Rows = std::map<std::array<std::int64_t, 3>, std::vector<float>>;

void add_rows(const Frame& frame, Rows& to) {
    for (const Capture& capture : frame.captures) {
        const bool pair_map = capture.observable == 0;
        const std::int64_t maps = pair_map ? capture.shape[0] : 1, height = capture.shape[pair_map ? 1 : 0];
        const std::int64_t each = element_count(capture.shape) / (maps * height);
        for (std::int64_t map = 0; map < maps; ++map) {
            for (std::int64_t r = 0; r < height; ++r) {
                const auto from = capture.values.begin() + (map * height + r) * each;
                const std::int64_t row = capture.observable == 2 ? -1 : frame.position + r;
                auto& found = to[{capture.observable, map, row}];
                QVERIFY(found.empty()); // no row twice
                found.assign(from, from + each);
            }
        }
    }
}

} // namespace

class TestFrame : public QObject {
    Q_OBJECT

  private slots:
    void portions_are_the_frame_data() {
        QTest::addColumn<int>("most");
        QTest::addColumn<int>("portions");
        const int a_row = int(heads * keys + 2 * width);
        QTest::newRow("all at once") << 1'000'000 << 1;
        QTest::newRow("ten rows") << 10 * a_row + 9 << 4;
        QTest::newRow("a row each") << a_row + 1 << rows;
        QTest::newRow("less than a row") << 1 << rows;
    }
    void portions_are_the_frame() {
        QFETCH(int, most);
        QFETCH(int, portions);
        Rows whole, together;
        add_rows(step(), whole);
        const auto found = in_portions(step(), observables(), std::size_t(most));
        QCOMPARE(int(found.size()), portions);
        std::int64_t next = position;
        for (const Frame& portion : found) {
            QCOMPARE(portion.position, next);
            QCOMPARE(portion.session, std::uint64_t{7});
            QVERIFY(portion.recomputed);
            QCOMPARE(portion.captures[0].shape, (Shape{heads, portion.rows, keys}));
            QCOMPARE(portion.captures[0].heads, (std::vector<std::int32_t>{4, 2, 9}));
            QCOMPARE(portion.captures[1].shape, (Shape{portion.rows, width, 2}));
            add_rows(portion, together);
            next += portion.rows;
        }
        QCOMPARE(next, position + rows);
        QVERIFY(whole == together);
    }
};

QTEST_GUILESS_MAIN(TestFrame)
#include "test_frame.moc"
