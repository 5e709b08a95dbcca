// SPDX-License-Identifier: GPL-3.0-or-later
// What the CPU refuses, each with a sentence that says where: steps that do not fit their session, plans that
// do not fit themselves or their tables.
#include "tests/backend/support_miniature.h"
#include "tests/backend/support_refused.h"

#include <QtTest>

#include <algorithm>
#include <stdexcept>

using namespace ergo;
using test::Case;
using test::Miniature;
using test::run;
using test::Running;
using Extent = BufferInfo::Extent;

class TestCpuRefusals : public QObject {
    Q_OBJECT

  private slots:
    void bad_steps_are_refused();
    void bad_plans_are_refused_data();
    void bad_plans_are_refused();
};

void TestCpuRefusals::bad_steps_are_refused() {
    const Miniature mini;
    const auto backend = make_cpu_backend(1);
    Running running = test::start(*backend, mini.test, 1000);
    REFUSED(run(running, mini.test, 0, 0), "0 rows");
    REFUSED(run(running, mini.test, 0, 49), "49 rows");
    REFUSED(run(running, mini.test, 999, 2), "beyond the capacity of 1000");
    REFUSED(run(running, mini.test, -1, 2), "-1");
    REFUSED(run(running, mini.test, 290, 11), "position 300 is beyond the rotation table of 300");
    StepState step = test::step_at(0, 2);
    for (const std::int32_t id : {-1, 64}) {
        step.ids[1] = id;
        REFUSED(running.executor->run(*running.program, step, {}), "outside the vocabulary of 64");
    }
    REFUSED(running.model->create_executor(0), "0 positions");
    Running other = test::start(*backend, mini.test);
    REFUSED(other.executor->run(*running.program, test::step_at(0, 1), {}), "another executor");
    try {
        Case huge;
        huge.state(std::int64_t{1} << 40);
        huge.input(1);
        test::start(*backend, huge, 1 << 20);
        QFAIL("reserved an impossible amount");
    } catch (const Error& error) {
        QCOMPARE(error.kind(), ErrorKind::resources);
    }
}

void TestCpuRefusals::bad_plans_are_refused_data() {
    QTest::addColumn<int>("which");
    QTest::addColumn<QString>("words");
    const char* words[] = {"weight has handle 99",
                           "in has width 39, not 40",
                           "is read before it is written",
                           "has shape [2, 40], not [40]",
                           "keys has width 1, not 10",
                           "must not be guarded",
                           "heads do not divide",
                           "row request for head 4",
                           "guard path 2 of 2",
                           "rows_keys",
                           "max_rows is 0",
                           "alpha has 3 values",
                           "both a gate",
                           "radius has 3 values",
                           "does not have the rows",
                           "too few for"};
    for (int i = 0; i < static_cast<int>(std::size(words)); ++i) {
        QTest::addRow("%s", words[i]) << i << QString(words[i]);
    }
}

void TestCpuRefusals::bad_plans_are_refused() {
    QFETCH(int, which);
    QFETCH(QString, words);
    Miniature mini;
    Case& test = mini.test;
    const auto find = [&]<class Body>(Body*, int nth) -> std::pair<Op*, Body*> {
        for (Op& op : test.plan.ops) {
            if (auto* body = std::get_if<Body>(&op.body); body && nth-- == 0) {
                return {&op, body};
            }
        }
        throw std::logic_error("no such op");
    };
    Linear* linear = find(static_cast<Linear*>(nullptr), 0).second;
    auto [attention_op, attention] = find(static_cast<Attention*>(nullptr), 0);
    auto [append_op, append] = find(static_cast<AppendKeyValue*>(nullptr), 0);
    Norm* norm = find(static_cast<Norm*>(nullptr), 0).second;
    Mix* mix = find(static_cast<Mix*>(nullptr), 0).second;
    const BufferId later = test.buffer(40);
    switch (which) {
    case 0:
        linear->weight.index = 99;
        break;
    case 1:
        linear->in = test.input(39);
        std::rotate(test.plan.ops.begin(), test.plan.ops.end() - 1, test.plan.ops.end());
        std::get<Linear>(test.plan.ops[3].body).in =
            BufferId{static_cast<std::int32_t>(test.plan.buffers.size()) - 1};
        break;
    case 2:
        linear->in = later;
        break;
    case 3:
        norm->weight = linear->weight;
        break;
    case 4:
        append->keys = append->distances;
        break;
    case 5:
        append_op->when = Guard{mini.shares, 0};
        break;
    case 6:
        attention->heads = 4;
        attention->key_heads = 3;
        break;
    case 7:
        attention->rows.heads = {0, 4};
        break;
    case 8:
        attention_op->when.path = 2;
        break;
    case 9:
        attention->out = test.buffer(40, Extent::rows_keys);
        break;
    case 10:
        test.plan.max_rows = 0;
        break;
    case 11:
        attention->alpha = test.param({3});
        break;
    case 12:
        mix->gate = mix->residual;
        mix->gate_width = 20;
        mix->constant_gate = norm->weight;
        break;
    case 13:
        attention->ball.radius = test.param({3});
        break;
    case 14:
        test.plan.buffers[static_cast<std::size_t>(main_output(test.plan.ops[0]).index)].extent =
            Extent::last_row;
        break;
    case 15:
        test.add(Gate{mix->residual, mix->residual, later, 1, 0, {}});
        break;
    default:
        QFAIL("no such case");
    }
    const auto backend = make_cpu_backend(1);
    REFUSED(test::start(*backend, test), words);
    REFUSED(validate(test.plan, test.tables), words);
}

QTEST_GUILESS_MAIN(TestCpuRefusals)
#include "test_cpu_refusals.moc"
