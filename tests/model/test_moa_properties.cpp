// SPDX-License-Identifier: GPL-3.0-or-later
// What must hold for any MoA model: rows and shares sum to one, masked keys do not matter, skipping changes
// no state and reads no weights, and everything observed comes from one forward pass.
#include "engine/backend/cpu/cpu_sizes.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/lab/trace.h"
#include "support_moa.h"

#include <QTemporaryDir>
#include <QTest>

#include <map>

using namespace moa_test;

namespace {

struct Opened {
    QTemporaryDir folder;
    std::shared_ptr<const ergo::Model> model;
    std::vector<std::int32_t> tokens;

    explicit Opened(const ergo::SynthRequest& request, std::vector<std::int32_t> ids)
        : tokens(std::move(ids)) {
        ergo::synth(request, folder.path().toStdString());
        model = ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), {});
    }
};

Opened open_case(std::size_t i) {
    return Opened(request_for(cases()[i]),
                  ints(ergo::read_npz(data("logits.npz")).at(numbered("case", i, ".tokens"))));
}

/// A backend that counts the steps run on it.
class CountingExecutor final : public ergo::Executor {
  public:
    CountingExecutor(std::unique_ptr<ergo::Executor> inner, int& runs)
        : inner_(std::move(inner)), runs_(runs) {}
    std::unique_ptr<ergo::Program> prepare(std::shared_ptr<const ergo::Plan> plan) override {
        return inner_->prepare(std::move(plan));
    }
    void run(ergo::Program& program, const ergo::StepState& step, const ergo::CancelToken& cancel) override {
        ++runs_;
        inner_->run(program, step, cancel);
    }
    std::span<const float> read(ergo::Program& program, ergo::BufferId buffer) override {
        return inner_->read(program, buffer);
    }
    void set_param(ergo::ParamId param, std::span<const float> values) override {
        inner_->set_param(param, values);
    }
    std::vector<float> param(ergo::ParamId param) const override { return inner_->param(param); }
    std::vector<float> read_state(ergo::StateId state, std::int64_t length) override {
        return inner_->read_state(state, length);
    }
    ergo::StateSnapshot export_state(std::int64_t length) override { return inner_->export_state(length); }
    void import_state(const ergo::StateSnapshot& snapshot) override { inner_->import_state(snapshot); }
    std::int64_t capacity() const override { return inner_->capacity(); }
    ergo::Counters counters() const override { return inner_->counters(); }
    ergo::MemoryNeed taken() const override { return inner_->taken(); }

  private:
    std::unique_ptr<ergo::Executor> inner_;
    int& runs_;
};

class CountingBackend final : public ergo::Backend {
  public:
    int runs = 0;
    ergo::DeviceInfo info() const override { return inner_->info(); }
    ergo::MemoryNeed need(const ergo::Tables& tables, std::int64_t capacity,
                          std::span<const ergo::Plan* const> plans) const override {
        return inner_->need(tables, capacity, plans);
    }
    ergo::DType held_as(ergo::DType stored) const override { return inner_->held_as(stored); }
    std::unique_ptr<ergo::LoadedModel> load(std::shared_ptr<const ergo::Tables> tables,
                                            const ergo::Progress& progress,
                                            const ergo::CancelToken& cancel) override {
        class Loaded final : public ergo::LoadedModel {
          public:
            Loaded(std::unique_ptr<ergo::LoadedModel> inner, int& runs)
                : inner_(std::move(inner)), runs_(runs) {}
            std::unique_ptr<ergo::Executor> create_executor(std::int64_t capacity) override {
                return std::make_unique<CountingExecutor>(inner_->create_executor(capacity), runs_);
            }
            std::uint64_t weight_bytes() const override { return inner_->weight_bytes(); }
            ergo::MemoryNeed taken() const override { return inner_->taken(); }

          private:
            std::unique_ptr<ergo::LoadedModel> inner_;
            int& runs_;
        };
        return std::make_unique<Loaded>(inner_->load(std::move(tables), progress, cancel), runs);
    }

  private:
    std::shared_ptr<ergo::Backend> inner_ = ergo::make_cpu_backend(2);
};

/// A session's worth of steps, one token each.
struct Running {
    std::unique_ptr<ergo::LoadedModel> loaded;
    std::unique_ptr<ergo::Executor> executor;
    std::unique_ptr<ergo::Program> program;
    std::shared_ptr<const ergo::Plan> plan;

    Running(const Opened& opened, ergo::Backend& backend, ergo::Plan made)
        : loaded(backend.load(opened.model->tables(), {}, {})), executor(loaded->create_executor(64)),
          plan(std::make_shared<const ergo::Plan>(std::move(made))) {
        program = executor->prepare(plan);
    }
    std::vector<float> decode(std::int64_t position, std::int32_t id) {
        executor->run(*program, {position, {id}}, {});
        const auto logits = executor->read(*program, plan->logits);
        return {logits.begin(), logits.end()};
    }
};

std::size_t named(const auto& list, const std::string& name) {
    for (std::size_t i = 0; i < list.size(); ++i) {
        if (list[i].name == name) {
            return i;
        }
    }
    return list.size();
}

/// Turns the rows `masked` of columns [begin, begin + width) around.
void reverse_rows(std::vector<float>& rows, std::size_t stride, std::size_t begin, std::size_t width,
                  const std::vector<std::size_t>& masked) {
    for (std::size_t i = 0; i < masked.size() / 2; ++i) {
        for (std::size_t c = begin; c < begin + width; ++c) {
            std::swap(rows[masked[i] * stride + c], rows[masked[masked.size() - 1 - i] * stride + c]);
        }
    }
}

/// Bytes of the weights, as the CPU keeps them, that an op's own kernel reads for one token.
std::uint64_t bytes_of(const ergo::Op& op, const ergo::cpu::WeightLayout& layout) {
    const auto size = [&](ergo::WeightId id) {
        if (!id) {
            return std::uint64_t{0};
        }
        const std::size_t original = layout.places[static_cast<std::size_t>(id.index)].original;
        return layout.places[original].bytes;
    };
    if (const auto* linear = std::get_if<ergo::Linear>(&op.body)) {
        return size(linear->weight) + size(linear->bias);
    }
    if (const auto* filter = std::get_if<ergo::Convolution>(&op.body)) {
        return size(filter->weight) + size(filter->bias);
    }
    const auto* turn = std::get_if<ergo::Rotate>(&op.body);
    return turn && turn->rotation.cos ? 2 * sizeof(float) * static_cast<std::uint64_t>(turn->dim) : 0;
}

} // namespace

class TestMoaProperties : public QObject {
    Q_OBJECT

  private slots:
    void rows_and_shares_sum_to_one();
    void masked_keys_permuted_change_nothing_data();
    void masked_keys_permuted_change_nothing();
    void skipping_never_changes_anything();
    void a_skipped_path_reads_exactly_nothing();
    void soft_routing_takes_all_four();
    void trace_lens_and_logits_are_one_pass();
};

void TestMoaProperties::rows_and_shares_sum_to_one() {
    const Json all = read_cases("random.json");
    const auto cpu = ergo::make_cpu_backend(2);
    int rows_seen = 0, shares_seen = 0;
    for (const Json& each : all) {
        const auto tokens = each["tokens"].get<std::vector<std::int32_t>>();
        if (tokens.size() > 70) {
            continue;
        }
        const Opened opened(stored_request(each), tokens);
        const bool renormalised = each["stored"].value("router_renormalise", true);
        const bool empty_rows = each["stored"].value("ball_fallback", std::string()) == "zero";
        ergo::TraceRequest request;
        request.tokens = tokens;
        for (const auto& [name, array] : ergo::run_trace(*opened.model, *cpu, request, {}, {})) {
            const bool attention = name.ends_with(".attention");
            const bool shares = name.ends_with(".shares") || name.ends_with(".branches");
            if (!attention && !shares) {
                continue;
            }
            const auto values = array.to_doubles();
            const auto width = static_cast<std::size_t>(array.shape.back());
            for (std::size_t at = 0; at < values.size(); at += width) {
                double sum = 0;
                for (std::size_t i = at; i < at + width; ++i) {
                    QVERIFY(values[i] >= 0 && values[i] <= 1 + 1e-6);
                    sum += values[i];
                }
                const bool one = std::abs(sum - 1) < 1e-5;
                const bool less =
                    (attention && empty_rows && sum == 0) || (shares && !renormalised && sum < 1);
                QVERIFY2(one || less, qPrintable(QString("%1: %2").arg(name.c_str()).arg(sum)));
                ++(attention ? rows_seen : shares_seen);
            }
        }
    }
    QVERIFY(rows_seen > 1000 && shares_seen > 200);
}

void TestMoaProperties::masked_keys_permuted_change_nothing_data() {
    QTest::addColumn<int>("index");
    QTest::newRow("balls") << 0;
    QTest::newRow("balls and MQA of its own parameters") << 5;
    QTest::newRow("window") << 2;
}

void TestMoaProperties::masked_keys_permuted_change_nothing() {
    QFETCH(int, index);
    const Opened opened = open_case(static_cast<std::size_t>(index));
    const auto& tables = *opened.model->tables();
    const auto window =
        static_cast<std::int64_t>(cases()[static_cast<std::size_t>(index)]["config"].value("window_size", 0));
    const auto last = static_cast<std::int64_t>(opened.tokens.size()) - 1;
    for (const auto& backend : {ergo::make_cpu_backend(2), ergo::make_reference_backend()}) {
        Running one(opened, *backend, *opened.model->build({}).plan);
        Running other(opened, *backend, *opened.model->build({}).plan);
        for (std::int64_t t = 0; t < last; ++t) {
            one.decode(t, opened.tokens[static_cast<std::size_t>(t)]);
        }
        ergo::StateSnapshot state = one.executor->export_state(last);
        std::size_t moved = 0;
        for (const ergo::AttentionSite& site : opened.model->info().attentions) {
            const std::string name = site.stage + (site.site == "metric_mqa" ? ".mqa" : ".mha");
            const std::size_t keys = named(tables.states, name + ".keys");
            const std::size_t values = named(tables.states, name + ".values");
            const std::size_t distances = named(tables.states, name + ".distances");
            const bool balls = distances < tables.states.size() && window == 0;
            const std::size_t radius = named(tables.params, site.name("radius"));
            const auto key_width = static_cast<std::size_t>(tables.states[keys].width);
            const auto value_width = static_cast<std::size_t>(tables.states[values].width);
            const std::size_t dim = static_cast<std::size_t>(opened.model->info().width / site.heads);
            const std::size_t heads = balls ? value_width / dim : 1; // a window masks all heads alike
            const std::size_t ball_count =
                balls ? static_cast<std::size_t>(tables.states[distances].width) : 1;
            if (balls && ball_count != heads) { // one key, many balls: masked for some heads only
                continue;
            }
            for (std::size_t h = 0; h < heads; ++h) {
                std::vector<std::size_t> masked;
                for (std::int64_t t = 0; t < last; ++t) {
                    const auto at = static_cast<std::size_t>(t);
                    const bool out =
                        balls ? state.states[distances][at * ball_count + h] > tables.params[radius].values[h]
                              : t <= last - window;
                    if (out) {
                        masked.push_back(at);
                    }
                }
                if (masked.size() == static_cast<std::size_t>(last)) {
                    continue; // nothing kept: the fallback would look at all of them
                }
                moved += masked.size() / 2;
                reverse_rows(state.states[keys], key_width, h * (key_width / heads), key_width / heads,
                             masked);
                reverse_rows(state.states[values], value_width, h * (value_width / heads),
                             value_width / heads, masked);
                if (balls) {
                    reverse_rows(state.states[distances], ball_count, h, 1, masked);
                }
            }
        }
        QVERIFY(moved > 10);
        other.executor->import_state(state);
        const std::int32_t next = opened.tokens[static_cast<std::size_t>(last)];
        QCOMPARE(other.decode(last, next), one.decode(last, next));
    }
}

/// The same plan without its guards computes every path for every row; nothing that is read may differ.
void TestMoaProperties::skipping_never_changes_anything() {
    for (const std::size_t i : {std::size_t{0}, std::size_t{3}, std::size_t{4}, std::size_t{8}}) {
        const Opened opened = open_case(i);
        for (const auto& backend : {ergo::make_cpu_backend(2), ergo::make_reference_backend()}) {
            ergo::Plan all = *opened.model->build({}).plan;
            for (ergo::Op& op : all.ops) {
                op.when = {};
            }
            Running skipping(opened, *backend, *opened.model->build({}).plan), full(opened, *backend, all);
            for (std::size_t t = 0; t < opened.tokens.size(); ++t) {
                const auto at = static_cast<std::int64_t>(t);
                QCOMPARE(skipping.decode(at, opened.tokens[t]), full.decode(at, opened.tokens[t]));
            }
            const auto length = static_cast<std::int64_t>(opened.tokens.size());
            QVERIFY(skipping.executor->export_state(length).states ==
                    full.executor->export_state(length).states);
        }
    }
}

void TestMoaProperties::a_skipped_path_reads_exactly_nothing() {
    const Opened opened = open_case(0);
    const auto& tables = *opened.model->tables();
    const auto plan = opened.model->build({}).plan;
    const auto backend = ergo::make_cpu_backend(2);
    // Bytes read for one token when only path `kept` may be taken, everywhere.
    const auto read = [&](int kept) {
        Running running(opened, *backend, *plan);
        for (std::size_t p = 0; p < tables.params.size(); ++p) {
            const auto& param = tables.params[p];
            if (param.name.ends_with(".router.keep")) {
                std::vector<float> keep(4, kept < 0 ? 1.0f : 0.0f);
                if (kept >= 0) {
                    keep[static_cast<std::size_t>(kept)] = 1;
                }
                running.executor->set_param({static_cast<std::int32_t>(p)}, keep);
            } else if (param.name.ends_with(".router.topk")) {
                running.executor->set_param({static_cast<std::int32_t>(p)}, std::vector<float>{4});
            } else if (param.name.ends_with(".hyper_ffn.topk")) { // all branches, whatever comes in
                running.executor->set_param({static_cast<std::int32_t>(p)}, std::vector<float>{3});
            }
        }
        running.decode(0, opened.tokens[0]);
        return running.executor->counters().weight_bytes_read;
    };
    const ergo::cpu::WeightLayout layout = ergo::cpu::lay_out(tables, std::uint64_t{1} << 32);
    std::map<std::int32_t, std::uint64_t> of_path; // of all mixtures, what is read under its guard
    for (const ergo::Op& op : plan->ops) {
        if (op.when && plan->buffers[static_cast<std::size_t>(op.when.shares.index)].width == 4) {
            of_path[op.when.path] += bytes_of(op, layout);
        }
    }
    // The mixing itself reads the layer scale and gate of each path taken, [width] in each of 3 mixtures.
    const std::uint64_t mixing = 3 * sizeof(float) * static_cast<std::uint64_t>(opened.model->info().width);
    const std::uint64_t all = read(-1);
    for (int path = 0; path < 4; ++path) {
        std::uint64_t others = 0;
        for (const auto& [p, bytes] : of_path) {
            others += p == path ? 0 : bytes + mixing;
        }
        QVERIFY(of_path[path] > 0);
        QCOMPARE(read(path), all - others);
    }
}

void TestMoaProperties::soft_routing_takes_all_four() {
    for (const Json& each : read_cases("random.json")) {
        if (each["config"]["router_topk"] != 4) {
            continue;
        }
        const Opened opened(stored_request(each), each["tokens"].get<std::vector<std::int32_t>>());
        ergo::TraceRequest request;
        request.tokens = opened.tokens;
        request.observe = {"*.router.shares"};
        const auto cpu = ergo::make_cpu_backend(2);
        for (const auto& [name, array] : ergo::run_trace(*opened.model, *cpu, request, {}, {})) {
            if (name.ends_with(".shares")) {
                for (const double share : array.to_doubles()) {
                    QVERIFY2(share > 0, name.c_str());
                }
            }
        }
        return;
    }
    QFAIL("no case routes softly");
}

void TestMoaProperties::trace_lens_and_logits_are_one_pass() {
    const Opened opened = open_case(3);
    CountingBackend backend;
    ergo::TraceRequest request;
    request.tokens = opened.tokens;
    const auto arrays = ergo::run_trace(*opened.model, backend, request, {}, {});
    QVERIFY(arrays.size() > 50);
    QCOMPARE(backend.runs, 1);
    request.decode = true;
    ergo::run_trace(*opened.model, backend, request, {}, {});
    QCOMPARE(backend.runs, 1 + static_cast<int>(opened.tokens.size()));
}

QTEST_GUILESS_MAIN(TestMoaProperties)
#include "test_moa_properties.moc"
