// SPDX-License-Identifier: GPL-3.0-or-later
// The states of a session move apart as its text grows: nothing of what is remembered may change by it, and a
// short text may not take the memory of a long one.
#include "engine/backend/cpu/state_memory.h"
#include "engine/base/half.h"
#include "tests/backend/support_plans.h"

#include <QtTest>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

using namespace ergo;

namespace {

/// States of every layout and type, as models have them side by side.
std::vector<StateInfo> some_states() {
    test::Case random;
    std::vector<StateId> ids;
    for (const bool values : {false, true}) {
        for (const DType stored : {DType::f32, DType::bf16, DType::q8}) {
            const StateId id = random.tables.add_state("wide", 6 * 32, {6, 32, values, false});
            random.tables.states[static_cast<std::size_t>(id.index)].stored = stored;
        }
        random.tables.add_state("narrow", 32 * 8, {32, 8, values, true}); // side by side
    }
    random.tables.add_state("history", 24); // no attention's
    return random.tables.states;
}

/// A number that every type holds exactly: 8 bits of it, with the largest in every group.
float number(std::size_t state, std::int64_t t, std::int64_t c) {
    return c % 32 == 0 ? 127
                       : static_cast<float>((t * 31 + c * 7 + static_cast<std::int64_t>(state) * 13) % 127);
}

void write(cpu::StateMemory& memory, std::size_t states, std::int64_t t) {
    for (std::size_t s = 0; s < states; ++s) {
        const cpu::CpuState& state = memory.at(StateId{static_cast<std::int32_t>(s)});
        std::vector<float> row(static_cast<std::size_t>(state.width));
        for (std::size_t c = 0; c < row.size(); ++c) {
            row[c] = number(s, t, static_cast<std::int64_t>(c));
        }
        state.write(t, row.data());
    }
}

bool is_there(const cpu::StateMemory& memory, std::size_t states, std::int64_t t) {
    for (std::size_t s = 0; s < states; ++s) {
        const cpu::CpuState& state = memory.at(StateId{static_cast<std::int32_t>(s)});
        std::vector<float> row(static_cast<std::size_t>(state.width));
        state.read(t, row.data());
        for (std::size_t c = 0; c < row.size(); ++c) {
            if (row[c] != number(s, t, static_cast<std::int64_t>(c))) {
                return false;
            }
        }
    }
    return true;
}

bool is_zero(const cpu::StateMemory& memory, std::int64_t t) {
    return std::ranges::all_of(memory.all(), [&](const cpu::CpuState& state) {
        std::vector<float> row(static_cast<std::size_t>(state.width));
        state.read(t, row.data());
        return std::ranges::all_of(row, [](float x) { return x == 0; });
    });
}

} // namespace

class TestStateMemory : public QObject {
    Q_OBJECT

  private slots:
    void what_is_remembered_stays_data() {
        QTest::addColumn<qlonglong>("capacity");
        for (const qlonglong capacity : {1, 64, 65, 511, 513, 1000, 2500}) {
            QTest::addRow("%lld", capacity) << capacity;
        }
    }
    void what_is_remembered_stays() {
        QFETCH(qlonglong, capacity);
        const auto states = some_states();
        cpu::StateMemory memory(states, capacity);
        for (qlonglong t = 0; t < capacity; ++t) {
            memory.hold(t + 1, t);
            write(memory, states.size(), t);
        }
        for (qlonglong t = 0; t < capacity; ++t) {
            QVERIFY2(is_there(memory, states.size(), t), qPrintable(QString::number(t)));
        }
        const auto& last = memory.all().back();
        QVERIFY(last.positions >= capacity && last.positions < capacity + cpu::state_block);
        QVERIFY(last.channel(0) + cpu::state_bytes(states.back(), capacity) <=
                memory.all().front().data + memory.bytes());
    }

    // Room is made for many at once, of which some are dropped: a text was cut back.
    void only_what_is_filled_has_to_stay() {
        const auto states = some_states();
        cpu::StateMemory memory(states, 5000);
        for (std::int64_t t = 0; t < 500; ++t) {
            write(memory, states.size(), t);
        }
        memory.hold(3000, 77);
        for (std::int64_t t = 0; t < 77; ++t) {
            QVERIFY(is_there(memory, states.size(), t));
        }
        for (std::int64_t t = 128; t < 3000; ++t) { // not what other states or heads left there
            QVERIFY2(is_zero(memory, t), qPrintable(QString::number(t)));
        }
        memory.hold(100, 77); // room enough
        QVERIFY(is_there(memory, states.size(), 76));
    }

    void a_short_text_takes_little() {
        std::vector<StateInfo> states;
        for (int i = 0; i < 8; ++i) {
            test::Case random;
            random.tables.add_state("keys", 12 * 64, {12, 64, i % 2 != 0, false});
            states.push_back(random.tables.states.front());
        }
        cpu::StateMemory memory(states, 1 << 17);
        for (std::int64_t t = 0; t < 300; ++t) {
            memory.hold(t + 1, t);
            write(memory, states.size(), t);
        }
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        std::vector<unsigned char> resident(memory.bytes() / page + 1);
        QCOMPARE(mincore(memory.all().front().data, memory.bytes(), resident.data()), 0);
        const auto pages =
            std::count_if(resident.begin(), resident.end(), [](unsigned char r) { return r & 1; });
        // 512 positions, and what a large page has beyond them; each head with one of its own were 192 MiB.
        QVERIFY(static_cast<std::size_t>(pages) * page <= 512u * 8 * 12 * 64 * sizeof(float) + (4u << 20));
    }
};

QTEST_GUILESS_MAIN(TestStateMemory)
#include "test_state_memory.moc"
