// SPDX-License-Identifier: GPL-3.0-or-later
// Sessions: rewind, replay, branch, edit, cancel, observe, the same text for every thread count, tokens taken
// instead, and what to drop when a conversation outgrows its context.
#include "engine/base/error.h"
#include "engine/generate/context_fit.h"
#include "engine/generate/generation.h"
#include "engine/model/lens_set.h"

#include <QTest>

#include <map>

using namespace ergo;

namespace {

std::shared_ptr<const OpenedModel> open_demo(int threads = 2, std::int64_t context = 0,
                                             const char* name = "demo:moa") {
    OpenModelOptions options;
    options.backend = "cpu";
    options.threads = threads;
    options.context = context;
    return open_all(name, options, {}, {});
}

std::vector<std::int32_t> some_tokens(std::size_t count, std::int64_t vocabulary, std::uint32_t seed = 7) {
    std::vector<std::int32_t> ids(count);
    for (auto& id : ids) {
        seed = seed * 1664525u + 1013904223u;
        id = static_cast<std::int32_t>((seed >> 8) % static_cast<std::uint32_t>(vocabulary));
    }
    return ids;
}

std::vector<float> copy(std::span<const float> values) {
    return {values.begin(), values.end()};
}

std::span<const std::int32_t> first(const std::vector<std::int32_t>& ids, std::size_t count) {
    return std::span(ids).first(count);
}

struct Written {
    std::vector<std::int32_t> ids;
    std::vector<float> probabilities;
    std::vector<bool> taken;
    std::string text;
    EventFinished end;
    bool operator==(const Written& other) const {
        return ids == other.ids && probabilities == other.probabilities && text == other.text;
    }
};

Written write(const std::shared_ptr<const OpenedModel>& opened, const GenerateRequest& request,
              bool observed = false) {
    Session session(opened);
    std::int64_t rows = 0;
    if (observed) {
        std::vector<Subscription> wanted;
        for (const std::string& name : lens_observables(opened->model->info(), 0)) {
            wanted.push_back({find_observable(opened->model->observables(), name), {}});
        }
        session.subscribe(wanted, [&](Frame&& frame) { rows += frame.rows; });
    }
    Written out;
    GenerationHooks hooks;
    hooks.token = [&](EventToken&& token) {
        out.ids.push_back(token.choice.id);
        out.probabilities.push_back(token.choice.probability);
        out.taken.push_back(token.taken);
        out.text += token.text;
    };
    out.end = generate_reply(session, *opened, request, hooks, {});
    if (observed && rows != session.length()) {
        out.text = "frames are missing";
    }
    return out;
}

GenerateRequest question(const OpenedModel& opened, double temperature) {
    GenerateRequest request;
    request.prompt = opened.chat->render({{Role::user, "Solve 3x + 2 = 17", {}}}, true).ids;
    request.sampling.temperature = temperature;
    request.sampling.top_p = 0.97;
    request.sampling.min_p = 0.001;
    request.sampling.repeat_penalty = 1.05;
    request.sampling.seed = 11;
    request.max_tokens = 24;
    return request;
}

} // namespace

class SessionTest : public QObject {
    Q_OBJECT
    std::shared_ptr<const OpenedModel> opened_;
    std::vector<std::int32_t> ids_;
    // More than a prompt's step holds, and a model with room for it.
    std::shared_ptr<const OpenedModel> roomy_;
    std::vector<std::int32_t> many_;

  private slots:
    void initTestCase() {
        opened_ = open_demo();
        ids_ = some_tokens(150, opened_->model->info().vocabulary);
        roomy_ = open_demo(2, 0, "demo:kotodama");
        many_ = some_tokens(300, roomy_->model->info().vocabulary);
    }

    void rewind_then_replay_is_a_fresh_run_data() {
        QTest::addColumn<int>("at");
        for (const int at : {1, 5, 63, 64, 65, 149}) {
            QTest::newRow(qPrintable(QString::number(at))) << at;
        }
    }
    void rewind_then_replay_is_a_fresh_run() {
        QFETCH(int, at);
        const auto prefix = first(ids_, static_cast<std::size_t>(at));
        Session used(opened_), fresh(opened_);
        used.set_tokens(prefix, {}, {});
        used.set_tokens(some_tokens(120, 50, 9), {}, {}); // somewhere else first
        used.set_tokens(prefix, {}, {});
        used.set_tokens(ids_, {}, {});
        used.decode(3, {});
        used.rewind(at);
        QCOMPARE(used.length(), std::int64_t{at});
        used.set_tokens(ids_, {}, {});
        fresh.set_tokens(prefix, {}, {});
        fresh.set_tokens(ids_, {}, {});
        QCOMPARE(copy(used.logits()), copy(fresh.logits()));
        used.decode(8, {});
        fresh.decode(8, {});
        QCOMPARE(copy(used.logits()), copy(fresh.logits()));
    }

    void an_edit_recomputes_what_follows_it_alone() {
        Session session(roomy_);
        session.set_tokens(many_, {}, {});
        QCOMPARE(session.counters().forward_passes, std::uint64_t{2}); // 256 + 44
        auto edited = many_;
        edited[280] = (edited[280] + 1) % 50;
        session.set_tokens(edited, {}, {});
        QCOMPARE(session.counters().forward_passes, std::uint64_t{3});
        session.set_tokens(edited, {}, {}); // nothing changed: the last token alone, for its logits
        QCOMPARE(session.counters().forward_passes, std::uint64_t{4});
    }

    void logits_come_with_their_sums_where_a_sampler_wants_them() {
        Session session(opened_);
        session.set_tokens(ids_, {}, {});
        QVERIFY(session.summed_logits().parts.empty());
        const auto right = [](const SummedLogits& summed, float temperature) {
            const std::vector<LogitPart> expected = sum_parts(summed.logits, temperature);
            bool same = summed.temperature == temperature && summed.parts.size() == expected.size();
            for (std::size_t p = 0; same && p < expected.size(); ++p) {
                const LogitPart &a = summed.parts[p], &b = expected[p];
                same = a.largest == b.largest && std::abs(a.sum - b.sum) <= 1e-5f * b.sum &&
                       std::abs(a.warm - b.warm) <= 1e-5f * b.warm;
            }
            return same;
        };
        for (const float temperature : {0.0f, 0.7f}) {
            session.sample_at(temperature);
            session.decode(3, {});
            QVERIFY(right(session.summed_logits(), temperature));
            QVERIFY(right(session.branch(session.length())->summed_logits(), temperature));
        }
        session.set_tokens(ids_, {}, {}); // a step of a prompt has them too
        QVERIFY(right(session.summed_logits(), 0.7f));
        session.rewind(10);
        QVERIFY(session.summed_logits().parts.empty());
    }

    void a_prompt_has_the_logits_of_its_last_token_alone() {
        Session session(roomy_);
        session.time_ops(true);
        session.set_tokens(many_, {}, {}); // 256 + 44
        std::map<std::string, std::uint64_t> runs;
        for (const OpTime& op : session.op_times(true)) {
            runs[op.name] = op.runs;
        }
        QCOMPARE(runs.at("final.norm"), std::uint64_t{2});
        QCOMPARE(runs.at("lm.out"), std::uint64_t{1});
        const CancelToken stop; // between the two
        Session cancelled(roomy_);
        QVERIFY_EXCEPTION_THROWN(cancelled.set_tokens(
                                     many_, [&](double, double, const std::string&) { stop.cancel(); }, stop),
                                 Error);
        QCOMPARE(cancelled.length(), std::int64_t{256});
        QVERIFY(cancelled.logits().empty());
        cancelled.set_tokens(many_, {}, {});
        QCOMPARE(copy(cancelled.logits()), copy(session.logits()));
    }

    void a_branch_begins_where_its_parent_stands() {
        Session parent(opened_);
        parent.set_tokens(ids_, {}, {});
        const auto before = copy(parent.logits());
        const auto whole = parent.branch(150);
        QCOMPARE(copy(whole->logits()), before);
        QCOMPARE(whole->counters().forward_passes, std::uint64_t{0});
        auto other = ids_;
        std::fill(other.begin() + 100, other.end(), 4);
        const auto branch = parent.branch(100);
        QVERIFY(branch->logits().empty());
        branch->set_tokens(other, {}, {});
        QCOMPARE(branch->counters().forward_passes, std::uint64_t{1}); // 50 rows, none of the prefix
        Session fresh(opened_);
        fresh.set_tokens(first(other, 100), {}, {});
        fresh.set_tokens(other, {}, {});
        QCOMPARE(copy(branch->logits()), copy(fresh.logits()));
        parent.decode(9, {});
        whole->decode(9, {});
        QCOMPARE(copy(parent.logits()), copy(whole->logits())); // the branch has not disturbed it
        QVERIFY_EXCEPTION_THROWN(parent.branch(152), Error);
        QVERIFY_EXCEPTION_THROWN(parent.branch(-1), Error);
    }

    void a_branch_takes_the_parameters_along() {
        Session parent(opened_);
        const auto& params = opened_->model->tables()->params;
        for (std::size_t i = 0; i < params.size(); ++i) {
            if (params[i].name.ends_with(".router.topk")) {
                parent.set_param({static_cast<std::int32_t>(i)}, std::vector<float>{1});
            }
        }
        parent.set_tokens(ids_, {}, {});
        const auto branch = parent.branch(150);
        parent.decode(5, {});
        branch->decode(5, {});
        QCOMPARE(copy(parent.logits()), copy(branch->logits()));
    }

    void a_cancelled_prompt_goes_on_where_it_stopped() {
        Session session(roomy_), fresh(roomy_);
        CancelToken cancel;
        double seen = 0;
        const auto progress = [&](double done, double total, const std::string&) {
            QCOMPARE(total, 300.0);
            seen = done;
            cancel.cancel();
        };
        try {
            session.set_tokens(many_, progress, cancel);
            QFAIL("it was not cancelled");
        } catch (const Error& error) {
            QCOMPARE(error.kind(), ErrorKind::cancelled);
        }
        QCOMPARE(seen, 256.0);
        QCOMPARE(session.length(), prompt_rows);
        session.set_tokens(many_, {}, {});
        fresh.set_tokens(many_, {}, {});
        QCOMPARE(copy(session.logits()), copy(fresh.logits()));
    }

    void one_pass_a_step_also_when_observed() {
        Session session(opened_);
        std::vector<Subscription> wanted;
        for (const std::string& name : lens_observables(opened_->model->info(), 1)) {
            wanted.push_back({find_observable(opened_->model->observables(), name), {}});
        }
        std::size_t captures = 0;
        session.subscribe(wanted, [&](Frame&& frame) { captures += frame.captures.size(); });
        session.set_tokens(first(ids_, 64), {}, {});
        session.decode(3, {});
        session.decode(4, {});
        QCOMPARE(session.counters().forward_passes, std::uint64_t{3});
        QCOMPARE(captures, 3 * wanted.size());
        Session plain(opened_); // and looking changes nothing
        plain.set_tokens(first(ids_, 64), {}, {});
        plain.decode(3, {});
        plain.decode(4, {});
        double scale = 0, largest = 0;
        for (std::size_t i = 0; i < plain.logits().size(); ++i) {
            scale = std::max(scale, std::abs(double(plain.logits()[i])));
            largest = std::max(largest, std::abs(double(plain.logits()[i]) - double(session.logits()[i])));
        }
        QVERIFY(largest <= 1e-5 * scale);
    }

    void same_seed_same_text_for_every_thread_count() {
        for (const double temperature : {0.0, 2.5}) {
            const Written one = write(open_demo(1), question(*opened_, temperature));
            QVERIFY(one.ids.size() > 4);
            for (const int threads : {2, 3, 5}) {
                QVERIFY(write(open_demo(threads), question(*opened_, temperature)) == one);
            }
            QVERIFY(write(open_demo(2), question(*opened_, temperature), true).text == one.text);
        }
        GenerateRequest request = question(*opened_, 50); // next to uniform: another seed must show
        request.sampling.top_p = 1;
        request.sampling.min_p = 0;
        GenerateRequest other = request;
        other.sampling.seed = 12;
        QVERIFY(!(write(opened_, request) == write(opened_, other)));
    }

    void a_token_taken_instead() {
        GenerateRequest request = question(*opened_, 1.3);
        const Written before = write(opened_, request);
        request.take[3] = (before.ids[3] + 1) % 50;
        const Written after = write(opened_, request);
        QVERIFY(std::equal(before.ids.begin(), before.ids.begin() + 3, after.ids.begin()));
        QCOMPARE(after.ids[3], request.take[3]);
        QVERIFY(after.taken[3] && !after.taken[2] && !after.taken[4]);
        QVERIFY(after.probabilities[3] > 0 && after.probabilities[3] < 1);
        // Taking what would have been drawn anyway changes nothing: the same chance is used up.
        request.take[3] = before.ids[3];
        QVERIFY(write(opened_, request) == before);
        request.take[0] = -1;
        QVERIFY_EXCEPTION_THROWN(write(opened_, request), Error);
    }

    void a_reply_goes_on_as_if_written_in_one_go() {
        GenerateRequest request = question(*opened_, 1.3);
        request.take[5] = 40;
        const Written whole = write(opened_, request);
        QVERIFY(whole.ids.size() > 8);
        for (const std::size_t kept : {std::size_t{1}, std::size_t{5}, std::size_t{7}}) {
            GenerateRequest rest = request;
            rest.written = static_cast<std::int64_t>(kept);
            rest.prompt.insert(rest.prompt.end(), whole.ids.begin(),
                               whole.ids.begin() + static_cast<std::ptrdiff_t>(kept));
            const Written out = write(opened_, rest);
            QCOMPARE(out.ids, std::vector<std::int32_t>(whole.ids.begin() + static_cast<std::ptrdiff_t>(kept),
                                                        whole.ids.end()));
            QVERIFY(whole.text.ends_with(out.text) && out.text.size() < whole.text.size());
            QCOMPARE(out.end.reason, whole.end.reason);
        }
        request.written = static_cast<std::int64_t>(request.prompt.size());
        QVERIFY_EXCEPTION_THROWN(write(opened_, request), Error);
    }

    void a_full_context_tells_the_numbers() {
        const auto small = open_demo(2, 40);
        GenerateRequest request = question(*small, 1.3);
        request.stop_ids.clear();
        request.max_tokens = 100;
        const Written out = write(small, request);
        QCOMPARE(out.end.reason, EventFinished::Reason::context_full);
        QCOMPARE(out.end.context, std::int64_t{40});
        QCOMPARE(out.end.context_used, std::int64_t{40});
    }

    void what_to_drop() {
        const ChatFormat& format = *opened_->chat;
        std::vector<ChatMessage> chat{{Role::system, "Be brief.", {}}};
        for (int i = 0; i < 6; ++i) {
            chat.push_back({Role::user, "Question number " + std::to_string(i) + " of six", {}});
            chat.push_back({Role::assistant, "Answer number " + std::to_string(i), {}});
        }
        chat.push_back({Role::user, "And now?", {}});
        const auto length = [&](const std::vector<ChatMessage>& messages) {
            return static_cast<std::int64_t>(format.render(messages, true).ids.size());
        };
        const std::int64_t all = length(chat);
        DropProposal drop = propose_drop(format, chat, all + 10, 10);
        QVERIFY(drop.fits && drop.messages.empty());
        QCOMPARE(drop.before, all);
        // One token too few: the oldest exchange goes, question and answer, not the system prompt.
        drop = propose_drop(format, chat, all + 9, 10);
        QVERIFY(drop.fits);
        QCOMPARE(drop.messages, (std::vector<std::size_t>{1, 2}));
        for (const std::int64_t context : {all / 2, all / 3, all - 1}) {
            drop = propose_drop(format, chat, context, 5);
            QVERIFY(drop.fits && drop.after + 5 <= context);
            auto rest = chat;
            for (auto i = drop.messages.rbegin(); i != drop.messages.rend(); ++i) {
                rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(*i));
            }
            QCOMPARE(length(rest), drop.after);
            QCOMPARE(rest.front().role, Role::system);
            QCOMPARE(rest[1].role, Role::user);
            // No fewer would do.
            rest.insert(rest.begin() + 1,
                        chat.begin() + static_cast<std::ptrdiff_t>(drop.messages.size()) - 1,
                        chat.begin() + static_cast<std::ptrdiff_t>(drop.messages.size()) + 1);
            QVERIFY(length(rest) + 5 > context);
        }
        drop = propose_drop(format, chat, 8, 5);
        QVERIFY(!drop.fits);
        QCOMPARE(drop.messages.size(), std::size_t{12}); // not even that helps, and it says so
        QVERIFY(!propose_drop(format, {{Role::user, std::string(400, 'x'), {}}}, 20, 5).fits);
    }
};

QTEST_GUILESS_MAIN(SessionTest)
#include "test_session.moc"
