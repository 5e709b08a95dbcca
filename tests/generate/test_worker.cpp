// SPDX-License-Identifier: GPL-3.0-or-later
// Sessions and the worker thread on the real demo model.
#include "engine/base/error.h"
#include "engine/generate/generation.h"
#include "engine/generate/session.h"
#include "engine/generate/worker.h"
#include "engine/model/intervention.h"

#include <QElapsedTimer>
#include <QTest>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

using namespace ergo;

namespace {

std::shared_ptr<const OpenedModel> open_demo(std::int64_t context = 0) {
    OpenModelOptions options;
    options.backend = "cpu";
    options.context = context;
    return open_all("demo:moa", options, {}, {});
}

std::vector<std::int32_t> question(const OpenedModel& opened, const std::string& text) {
    return opened.chat->render({{Role::user, text, {}}}, true).ids;
}

double difference(std::span<const float> a, std::span<const float> b) {
    double worst = a.size() == b.size() && !a.empty() ? 0 : INFINITY;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        worst = std::max(worst, std::abs(double(a[i]) - double(b[i])));
    }
    return worst;
}

std::vector<float> copy(std::span<const float> values) {
    return {values.begin(), values.end()};
}

/// Collects events until a finished or failed one, or the time is over.
struct Collected {
    std::vector<EventToken> tokens;
    std::optional<EventFinished> finished;
    std::optional<EventFailed> failed;
    std::optional<EventPrompt> prompt;
    bool opened = false;
};

template <class Done> Collected collect(Worker& worker, Done done, std::vector<Frame>* frames = nullptr) {
    Collected c;
    QElapsedTimer clock;
    clock.start();
    while (clock.elapsed() < 60000 && !done(c)) {
        for (Event& event : worker.take_events()) {
            if (auto* token = std::get_if<EventToken>(&event)) {
                c.tokens.push_back(*token);
            } else if (auto* finished = std::get_if<EventFinished>(&event)) {
                c.finished = *finished;
            } else if (auto* failed = std::get_if<EventFailed>(&event)) {
                c.failed = *failed;
            } else if (auto* prompt = std::get_if<EventPrompt>(&event)) {
                c.prompt = *prompt;
            } else if (std::holds_alternative<EventOpened>(event)) {
                c.opened = true;
            }
        }
        while (auto frame = worker.take_frame()) {
            if (frames) {
                frames->push_back(std::move(*frame));
            }
        }
        QTest::qSleep(1);
    }
    return c;
}

bool is_finished(const Collected& c) {
    return c.finished.has_value();
}

} // namespace

class WorkerTest : public QObject {
    Q_OBJECT
    std::shared_ptr<const OpenedModel> opened_;

  private slots:
    void initTestCase() { opened_ = open_demo(); }

    void rewinding_gives_the_same_numbers_as_starting_over() {
        const auto ids = question(*opened_, "Solve 3x + 2 = 17");
        auto other = ids;
        other[ids.size() / 2] = ids[ids.size() / 2] + 1;
        Session edited(opened_), fresh(opened_);
        edited.set_tokens(other, {}, {});
        edited.set_tokens(ids, {}, {}); // keeps the common half
        fresh.set_tokens(ids, {}, {});
        double scale = 0;
        for (const float l : fresh.logits()) {
            scale = std::max(scale, std::abs(double(l)));
        }
        QVERIFY(difference(edited.logits(), fresh.logits()) < 2e-4 * scale);
        const auto before = copy(fresh.logits());
        fresh.decode(5, {});
        fresh.rewind(static_cast<std::int64_t>(ids.size()));
        fresh.set_tokens(ids, {}, {});
        QVERIFY(difference(before, fresh.logits()) < 2e-4 * scale);
    }

    void two_sessions_on_one_model_do_not_meet() {
        const auto a = question(*opened_, "What is 47 + 38?"), b = question(*opened_, "Solve -3x - 7 = 11");
        Session one(opened_), two(opened_), alone(opened_);
        one.set_tokens(a, {}, {});
        two.set_tokens(b, {}, {});
        one.decode(7, {});
        alone.set_tokens(a, {}, {});
        alone.decode(7, {});
        QCOMPARE(difference(one.logits(), alone.logits()), 0.0);
    }

    void a_full_context_ends_the_reply_and_says_so() {
        const auto small = open_demo(24);
        Session session(small);
        GenerateRequest request;
        request.prompt = question(*small, "Solve 3x + 2");
        request.max_tokens = 100;
        const EventFinished end = generate_reply(session, *small, request, {}, {});
        QCOMPARE(end.reason, EventFinished::Reason::context_full);
        QCOMPARE(session.length(), std::int64_t{24});
        try {
            session.set_tokens(std::vector<std::int32_t>(25, 5), {}, {});
            QFAIL("a prompt longer than the context was accepted");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::resources);
        }
    }

    void a_bad_id_is_refused_and_harms_nothing() {
        Session session(opened_);
        session.set_tokens(std::vector<std::int32_t>{5, 6}, {}, {});
        QVERIFY_EXCEPTION_THROWN(session.decode(-1, {}), Error);
        QVERIFY_EXCEPTION_THROWN(session.decode(1 << 30, {}), Error);
        QVERIFY_EXCEPTION_THROWN(session.set_tokens(std::vector<std::int32_t>{5, 1 << 30}, {}, {}), Error);
        QCOMPARE(session.length(), std::int64_t{2});
    }

    void frames_cover_every_row_and_recapture_agrees() {
        const Model& model = *opened_->model;
        const std::int32_t attention =
            find_observable(model.observables(), model.info().attentions[0].name("attention"));
        QVERIFY(attention >= 0);
        std::map<std::int64_t, std::vector<float>> live, again;
        const auto collect_into = [](auto& rows) {
            return [&rows](Frame&& frame) {
                const Capture& c = frame.captures.at(0); // [heads, rows, keys]
                for (std::int64_t r = 0; r < frame.rows; ++r) {
                    const auto at = c.values.begin() + r * c.shape[2];
                    rows[frame.position + r] = {at, at + frame.position + r + 1}; // head 0, causal part
                }
            };
        };
        Session session(opened_);
        session.subscribe({{attention, {}}}, collect_into(live));
        session.set_tokens(question(*opened_, "Solve 3x + 2 = 17"), {}, {});
        for (int i = 0; i < 10; ++i) {
            session.decode(10 + i, {});
        }
        session.recapture({{attention, {}}}, collect_into(again), {}, {});
        QCOMPARE(live.size(), static_cast<std::size_t>(session.length()));
        QCOMPARE(again.size(), live.size());
        for (const auto& [row, weights] : live) {
            double sum = 0;
            for (const float w : weights) {
                sum += w;
            }
            QVERIFY(std::abs(sum - 1) < 1e-4);
            QVERIFY(difference(weights, again[row]) < 1e-3);
        }
    }

    void special_tokens_in_a_message_are_only_text() {
        const auto ids = question(*opened_, "<|assistant|>");
        const auto marker = *opened_->tokenizer->id_of("<|assistant|>");
        QCOMPARE(std::count(ids.begin(), ids.end(), marker), 1); // the format's own
    }

    void the_worker_answers() {
        Worker worker({});
        worker.open("demo:moa", {});
        const auto attention = opened_->model->info().attentions[0].name("attention");
        worker.observe(
            {{attention, {}}, {opened_->model->info().routers[0].shares, {}}, {"no.such.thing", {}}});
        GenerateRequest request;
        request.tag = 9;
        request.prompt = question(*opened_, "Solve 3x + 2 = 17");
        request.stop_ids = opened_->chat->stop_ids();
        worker.generate(request);
        std::vector<Frame> frames;
        const Collected c = collect(worker, is_finished, &frames);
        QVERIFY(c.opened && c.finished && !c.failed);
        QCOMPARE(c.finished->reason, EventFinished::Reason::stop_token);
        QCOMPARE(c.finished->tag, std::uint64_t{9});
        std::string text;
        for (const EventToken& token : c.tokens) {
            text += token.text;
        }
        text += c.finished->trailing_text;
        QVERIFY2(text.ends_with("5"), text.c_str());
        std::int64_t rows = 0;
        for (const Frame& frame : frames) {
            QCOMPARE(frame.captures.size(), std::size_t{2});
            rows += frame.rows;
        }
        QVERIFY(rows >= static_cast<std::int64_t>(request.prompt.size() + c.tokens.size()));
    }

    void the_worker_can_be_stopped_and_goes_on() {
        Worker worker({});
        worker.open("demo:moa", {});
        GenerateRequest request;
        request.prompt = question(*opened_, "Hello");
        request.max_tokens = 1 << 20; // no stop ids: it would write until the context is full
        worker.generate(request);
        collect(worker, [](const Collected& c) { return c.tokens.size() >= 2; });
        QElapsedTimer clock;
        clock.start();
        worker.stop();
        const Collected c = collect(worker, is_finished);
        QVERIFY(c.finished);
        QVERIFY(c.finished->reason == EventFinished::Reason::cancelled ||
                c.finished->reason == EventFinished::Reason::context_full);
        QVERIFY(clock.elapsed() < 1000);
        request.max_tokens = 3;
        worker.generate(request);
        const Collected again = collect(worker, is_finished);
        QVERIFY(again.finished);
        QCOMPARE(again.finished->reason, EventFinished::Reason::length);
        QCOMPARE(again.tokens.size(), std::size_t{3});
    }

    void what_fails_to_open_leaves_the_old_model() {
        Worker worker({});
        worker.open("demo:moa", {});
        worker.open("/no/such/folder", {});
        const Collected c = collect(worker, [](const Collected& e) { return e.failed.has_value(); });
        QVERIFY(c.failed && !c.failed->text.empty());
        GenerateRequest request;
        request.prompt = question(*opened_, "Hello");
        request.max_tokens = 2;
        worker.generate(request);
        QVERIFY(collect(worker, is_finished).finished);
    }

    void a_new_subscription_looks_back() {
        Worker worker({});
        worker.open("demo:moa", {});
        GenerateRequest request;
        request.prompt = question(*opened_, "What is 47 + 38?");
        request.max_tokens = 4;
        worker.generate(request);
        QVERIFY(collect(worker, is_finished).finished);
        worker.observe({{opened_->model->info().attentions.back().name("attention"), {}}});
        std::vector<Frame> frames;
        std::int64_t rows = 0;
        const auto wanted = static_cast<std::int64_t>(request.prompt.size()) + 4;
        collect(
            worker,
            [&](const Collected&) {
                rows = 0;
                for (const Frame& frame : frames) {
                    rows += frame.recomputed ? frame.rows : 0;
                }
                return rows >= wanted;
            },
            &frames);
        QCOMPARE(rows, wanted);
    }

    void an_old_conversation_is_read_and_goes_on() {
        Worker worker({});
        worker.open("demo:moa", {});
        worker.observe({{opened_->model->info().attentions[0].name("attention"), {}}});
        const auto ids = question(*opened_, "Solve 3x + 2 = 17");
        worker.read(4, ids);
        std::vector<Frame> frames;
        const auto is_read = [](const Collected& c) { return c.prompt.has_value(); };
        const Collected c = collect(worker, is_read, &frames);
        QVERIFY(c.prompt && !c.failed);
        QCOMPARE(c.prompt->tag, std::uint64_t{4});
        std::int64_t rows = 0;
        for (const Frame& frame : frames) {
            QVERIFY(frame.recomputed);
            rows += frame.rows;
        }
        QCOMPARE(rows, static_cast<std::int64_t>(ids.size()));
        // Shown again, the rows come again: none is run for nothing, none is missing.
        worker.read(5, ids);
        frames.clear();
        collect(
            worker,
            [&](const Collected&) {
                std::set<std::int64_t> seen;
                for (const Frame& frame : frames) {
                    for (std::int64_t r = 0; r < frame.rows; ++r) {
                        seen.insert(frame.position + r);
                    }
                }
                return seen.size() == ids.size();
            },
            &frames);
        QVERIFY(!frames.empty());
        // A reply interrupts the reading and starts from what was read.
        worker.read(6, std::vector<std::int32_t>(900, ids[0]));
        GenerateRequest request;
        request.tag = 7;
        request.prompt = ids;
        request.max_tokens = 2;
        worker.generate(request);
        const Collected reply = collect(worker, is_finished);
        QVERIFY(reply.finished && reply.finished->tag == 7);
        QCOMPARE(reply.tokens.size(), std::size_t{2});
    }

    // The same reply as of a model that was opened with the change, whatever was remembered before.
    void changed_parameters_hold_from_the_next_step() {
        const std::vector<std::string> changes{"layers.*.router.topk=1", "layers.1.router.keep[2]=0"};
        OpenModelOptions options;
        options.backend = "cpu";
        options.model.interventions = changes;
        const auto altered = open_all("demo:moa", options, {}, {});
        Worker worker({}), judge({});
        options.model.interventions.clear();
        worker.open("demo:moa", options);
        const auto ids = [&](Worker& of, std::uint64_t tag) {
            GenerateRequest request;
            request.tag = tag;
            request.prompt = question(*opened_, "Solve 3x + 2 = 17");
            request.max_tokens = 30;
            of.generate(request);
            const Collected c = collect(of, is_finished);
            std::vector<std::int32_t> out{c.prompt ? static_cast<std::int32_t>(c.prompt->reused) : -1};
            for (const EventToken& token : c.tokens) {
                out.push_back(token.choice.id);
            }
            return out;
        };
        const auto plain = ids(worker, 1);
        options.model.interventions = changes;
        judge.open("demo:moa", options);
        const auto wanted = ids(judge, 1);
        QVERIFY(wanted.size() > 1 && wanted != plain);
        const auto& params = opened_->model->tables()->params;
        worker.set_params(changed_params(params, changes));
        QCOMPARE(ids(worker, 2), wanted); // nothing of before was reused
        worker.forget();
        QCOMPARE(ids(worker, 3), wanted);
        worker.set_params(changed_params(params, {}));
        QCOMPARE(ids(worker, 4), plain);
        QVERIFY(ids(worker, 5)[0] > 0); // and now it is
        QVERIFY_EXCEPTION_THROWN(changed_params(params, {"layers.0.nothing=1"}), Error);
        for (std::size_t i = 0; i < params.size(); ++i) {
            QCOMPARE(changed_params(params, changes)[i], altered->model->tables()->params[i].values);
        }
    }
};

QTEST_GUILESS_MAIN(WorkerTest)
#include "test_worker.moc"
