// SPDX-License-Identifier: GPL-3.0-or-later
// A device that fails in the middle of a reply: the CPU goes on, no token is lost or different, and it is
// said why. Also a change of the backend on request.
#include "engine/base/error.h"
#include "engine/generate/generation.h"
#include "engine/generate/worker.h"
#include "engine/model/lens_set.h"
#include "tests/generate/support_devices.h"

#include <QElapsedTimer>
#include <QTest>

#include <array>
#include <cstring>

using namespace ergo;
using namespace ergo::test;

namespace {

struct Written {
    std::vector<std::int32_t> ids;
    std::vector<std::int64_t> positions;
    std::string text;
    std::vector<std::string> moves;
    std::map<std::int64_t, int> rows; // how often each position was captured
    EventFinished end;
    std::string backend;
};

GenerateRequest question(const OpenedModel& opened, std::int64_t tokens = 12) {
    GenerateRequest request;
    request.prompt = opened.chat->render({{Role::user, "Solve 3x + 2 = 17", {}}}, true).ids;
    request.max_tokens = tokens;
    return request;
}

Written write(const std::shared_ptr<const OpenedModel>& opened, bool observed) {
    Written out;
    Session session(opened);
    session.on_fallback(
        [&](const std::shared_ptr<const OpenedModel>&, const std::string& why) { out.moves.push_back(why); });
    if (observed) {
        std::vector<Subscription> wanted;
        for (const std::string& name : lens_observables(opened->model->info(), 0)) {
            wanted.push_back({find_observable(opened->model->observables(), name), {}});
        }
        session.subscribe(wanted, [&](Frame&& frame) {
            for (std::int32_t r = 0; r < frame.rows; ++r) {
                ++out.rows[frame.position + r];
            }
        });
    }
    GenerationHooks hooks;
    hooks.token = [&](EventToken&& token) {
        out.ids.push_back(token.choice.id);
        out.positions.push_back(token.position);
        out.text += token.text;
    };
    out.end = generate_reply(session, *opened, question(*opened), hooks, {});
    out.backend = session.opened()->choice.backend;
    if (session.length() != static_cast<std::int64_t>(question(*opened).prompt.size() + out.ids.size())) {
        out.text = "the log is not what was written";
    }
    return out;
}

} // namespace

class FallbackTest : public QObject {
    Q_OBJECT
    std::string vulkan_;
    Written undisturbed_;

  private slots:
    void initTestCase() {
        vulkan_ = software_backend();
        QVERIFY2(!vulkan_.empty(), "there is no software Vulkan device: install mesa-vulkan-drivers");
        undisturbed_ = write(open_all("demo:moa", on(vulkan_), {}, {}), false);
        QCOMPARE(undisturbed_.ids.size(), std::size_t(12));
        QVERIFY(undisturbed_.moves.empty());
        QCOMPARE(undisturbed_.backend, vulkan_);
    }

    void no_token_is_lost_data() {
        QTest::addColumn<int>("kind");
        QTest::addColumn<int>("step");
        QTest::addColumn<bool>("observed");
        const int lost = static_cast<int>(DeviceFault::Kind::lost);
        const int memory = static_cast<int>(DeviceFault::Kind::out_of_memory);
        QTest::newRow("lost in the prompt") << lost << 0 << false;
        QTest::newRow("lost at the first token") << lost << 1 << true;
        QTest::newRow("lost at the sixth token") << lost << 6 << false;
        QTest::newRow("lost at the last token") << lost << 12 << false;
        QTest::newRow("lost at the sixth token, watched") << lost << 6 << true;
        QTest::newRow("lost at the last token, watched") << lost << 12 << true;
        QTest::newRow("no memory in the prompt") << memory << 0 << true;
        QTest::newRow("no memory at the fourth token") << memory << 4 << true;
    }
    void no_token_is_lost() {
        QFETCH(int, kind);
        QFETCH(int, step);
        QFETCH(bool, observed);
        const DeviceFault fault{static_cast<DeviceFault::Kind>(kind), static_cast<std::uint64_t>(step)};
        const Written got = write(open_all("demo:moa", on(vulkan_, fault), {}, {}), observed);
        QCOMPARE(got.ids, undisturbed_.ids);
        QCOMPARE(got.positions, undisturbed_.positions);
        QCOMPARE(got.text, undisturbed_.text);
        QCOMPARE(got.end.reason, undisturbed_.end.reason);
        QCOMPARE(got.moves.size(), std::size_t(1));
        QVERIFY2(
            got.moves[0].find("CPU goes on") != std::string::npos &&
                got.moves[0].find(fault.kind == DeviceFault::Kind::lost ? "DEVICE_LOST" : "OUT_OF_DEVICE") !=
                    std::string::npos,
            got.moves[0].c_str());
        QCOMPARE(got.backend, std::string("cpu"));
        if (observed) {
            QCOMPARE(got.rows.size(), static_cast<std::size_t>(got.positions.back() + 1));
            for (const auto& [position, times] : got.rows) {
                QVERIFY2(times == 1, qPrintable(QString::number(position)));
            }
        }
    }

    void frames_come_a_token_late_and_are_the_same_data() {
        QTest::addColumn<QString>("backend");
        QTest::newRow("cpu") << QString("cpu");
        QTest::newRow("software device") << QString::fromStdString(vulkan_);
    }
    void frames_come_a_token_late_and_are_the_same() {
        QFETCH(QString, backend);
        const auto opened = open_all("demo:moa", on(backend.toStdString()), {}, {});
        const auto ids = question(*opened).prompt;
        std::array<std::vector<Frame>, 2> frames;
        for (const std::size_t late : {0u, 1u}) {
            Session session(opened);
            std::vector<Subscription> wanted;
            for (const std::string& name : lens_observables(opened->model->info(), 0)) {
                wanted.push_back({find_observable(opened->model->observables(), name), {}});
            }
            session.subscribe(wanted, [&](Frame&& frame) { frames[late].push_back(std::move(frame)); });
            session.let_frames_lag(late == 1);
            session.set_tokens(ids, {}, {});
            const std::size_t prompt = frames[late].size();
            for (std::size_t t = 1; t <= 5; ++t) {
                session.decode(static_cast<std::int32_t>(40 + t), {});
                QCOMPARE(frames[late].size(), prompt + t - late);
            }
            session.rewind(session.length()); // changes nothing
            session.let_frames_lag(false);
            QCOMPARE(frames[late].size(), prompt + 5);
        }
        QCOMPARE(frames[0].size(), frames[1].size());
        for (std::size_t i = 0; i < frames[0].size(); ++i) {
            QCOMPARE(frames[1][i].position, frames[0][i].position);
            QCOMPARE(frames[1][i].captures.size(), frames[0][i].captures.size());
            for (std::size_t c = 0; c < frames[0][i].captures.size(); ++c) {
                const Capture &a = frames[0][i].captures[c], &b = frames[1][i].captures[c];
                QVERIFY(a.shape == b.shape && a.values.size() == b.values.size() && !a.values.empty() &&
                        std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)) == 0);
            }
        }
    }

    void parameters_and_branches_survive() {
        const auto opened =
            open_all("demo:moa", on(vulkan_, DeviceFault{DeviceFault::Kind::lost, 2}), {}, {});
        const auto plain = open_all("demo:moa", on("cpu"), {}, {});
        const auto ids = question(*opened).prompt;
        const auto& params = opened->model->tables()->params;
        Session disturbed(opened), quiet(plain);
        for (std::size_t i = 0; i < params.size(); ++i) {
            if (params[i].name.ends_with("router.temperature")) {
                for (Session* session : {&disturbed, &quiet}) {
                    session->set_param(ParamId{static_cast<std::int32_t>(i)}, std::vector<float>{3});
                }
            }
        }
        for (Session* session : {&disturbed, &quiet}) {
            session->set_tokens(ids, {}, {});
            session->decode(5, {});
            session->decode(6, {});
            session->decode(7, {});
        }
        QCOMPARE(disturbed.opened()->choice.backend, std::string("cpu"));
        double worst = 0, scale = 0;
        for (std::size_t i = 0; i < quiet.logits().size(); ++i) {
            worst = std::max(worst, std::abs(double(quiet.logits()[i]) - double(disturbed.logits()[i])));
            scale = std::max(scale, std::abs(double(quiet.logits()[i])));
        }
        QVERIFY(worst <= 2e-4 * scale);
        const auto branch = disturbed.branch(disturbed.length() - 1);
        QCOMPARE(branch->length(), disturbed.length() - 1);
    }

    void without_a_cpu_copy_nothing_is_hidden() {
        // The CPU itself has nothing to fall back to: its errors are told as they are.
        const auto plain = open_all("demo:moa", on("cpu"), {}, {});
        Session session(plain);
        QVERIFY_EXCEPTION_THROWN(session.set_tokens(std::vector<std::int32_t>(257, 5), {}, {}), Error);
        QCOMPARE(session.opened(), plain);
    }

    void the_worker_says_so_and_goes_on() {
        Worker worker([] {});
        worker.open("demo:moa", on(vulkan_, DeviceFault{DeviceFault::Kind::lost, 4}));
        const auto plain = open_all("demo:moa", on("cpu"), {}, {});
        worker.generate(question(*plain));
        Collected first = collect(worker);
        QVERIFY(first.failed.isEmpty());
        QCOMPARE(first.ids, undisturbed_.ids);
        QCOMPARE(first.moves.size(), 1);
        QVERIFY(first.moves[0].fallback);
        QCOMPARE(first.moves[0].model->choice.backend, std::string("cpu"));
        worker.forget();
        worker.generate(question(*plain));
        Collected second = collect(worker);
        QCOMPARE(second.ids, undisturbed_.ids);
        QVERIFY(second.moves.isEmpty());
    }

    void a_change_on_request_takes_effect_on_the_next_token() {
        Worker worker([] {});
        worker.open("demo:moa", on("cpu"));
        const auto plain = open_all("demo:moa", on("cpu"), {}, {});
        worker.generate(question(*plain));
        const std::string target = vulkan_;
        Collected got = collect(worker, [&](std::size_t tokens) {
            if (tokens == 1) {
                worker.use_backend({target});
            }
        });
        QVERIFY(got.failed.isEmpty());
        QCOMPARE(got.ids, undisturbed_.ids);
        if (got.moves.isEmpty()) { // the reply was over first
            got = collect(worker, {}, true);
        }
        QCOMPARE(got.moves.size(), 1);
        QVERIFY(!got.moves[0].fallback);
        QCOMPARE(got.moves[0].model->choice.backend, vulkan_);
        worker.use_backend({"vulkan:99"});
        got = collect(worker, {}, true);
        QVERIFY(got.failed.size() == 1 && got.failed[0].contains("vulkan", Qt::CaseInsensitive));
        worker.generate(question(*plain));
        QCOMPARE(collect(worker).ids, undisturbed_.ids);
    }

    void op_times_come_with_the_reply() {
        Worker worker([] {});
        worker.time_ops(true);
        worker.open("demo:moa", on(vulkan_));
        const auto plain = open_all("demo:moa", on("cpu"), {}, {});
        worker.generate(question(*plain, 4));
        QCOMPARE(collect(worker).ids.size(), std::size_t(4));
        const std::vector<OpTime> times = worker.op_times();
        QVERIFY(times.size() > 20);
        double total = 0;
        for (const OpTime& op : times) {
            QVERIFY(!op.name.empty() && !op.kernel.empty() && op.seconds >= 0);
            QCOMPARE(op.runs, std::uint64_t(4));
            total += op.seconds;
        }
        QVERIFY(total > 0);
        worker.time_ops(false);
        QVERIFY(worker.op_times().empty());
    }

  private:
    struct Collected {
        std::vector<std::int32_t> ids;
        QVector<EventMoved> moves;
        QStringList failed;
    };

    /// Until a reply is finished, or with `any` a move or a failure has come.
    static Collected collect(Worker& worker, const std::function<void(std::size_t)>& at_token = {},
                             bool any = false) {
        Collected got;
        bool finished = false;
        QElapsedTimer clock;
        clock.start();
        while (!finished && clock.elapsed() < 60000) {
            for (Event& event : worker.take_events()) {
                if (const auto* token = std::get_if<EventToken>(&event)) {
                    got.ids.push_back(token->choice.id);
                    if (at_token) {
                        at_token(got.ids.size());
                    }
                } else if (const auto* moved = std::get_if<EventMoved>(&event)) {
                    got.moves.push_back(*moved);
                    finished = finished || any;
                } else if (const auto* failure = std::get_if<EventFailed>(&event)) {
                    got.failed << QString::fromStdString(failure->text);
                    finished = finished || any;
                } else if (std::get_if<EventFinished>(&event)) {
                    finished = true;
                }
            }
            while (worker.take_frame()) {
            }
            QTest::qSleep(1);
        }
        return got;
    }
};

QTEST_GUILESS_MAIN(FallbackTest)
#include "test_vulkan_fallback.moc"
