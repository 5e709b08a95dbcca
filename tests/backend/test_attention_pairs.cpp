// SPDX-License-Identifier: GPL-3.0-or-later
// Attention of a prompt in pairs of whole numbers of 16 bits: within what rounding may cost of exact sums and
// of the reference, the same bits for any threads and captures, and only where 16 bits were asked for.
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/reference/reference_backend.h"
#include "tests/backend/support_plans.h"

#include <QTest>

#include <cmath>
#include <limits>

using namespace ergo;
using namespace ergo::test;

namespace {

struct Form {
    const char* name;
    int heads, key_heads, dim, value_dim;
    std::int64_t window = 0;
    DType stored = DType::f32;
    Attention::Score score = Attention::Score::dot;
};

/// Of a stretch of whole numbers whose squares add up to 32767^2, with room for float32's own rounding.
constexpr double half_step = 0.51 / 32767;
/// Of the values of a position, whose largest channel is 4095.
constexpr double half_value_step = 0.51 / 4095;
constexpr std::int64_t stretch = 64; // positions whose weights are rounded together

std::size_t at(std::int64_t i) {
    return static_cast<std::size_t>(i);
}

/// One attention over states that say what heads they have.
struct Example {
    enum class Rows { none, all, some };
    Example(const Form& form, Rows rows, bool asked = true, Rounding rounding = Rounding::bits8)
        : shape(form) {
        test.weight({32, 16});
        if (asked) {
            test.tables.weights.back().run_as = DType::bf16;
        }
        const std::int64_t key_width = shape.key_heads * shape.dim, width = shape.heads * shape.dim;
        const bool own = shape.key_heads == shape.heads;
        AppendKeyValue append;
        append.key = test.input(key_width, 2);
        append.value = test.input(shape.key_heads * shape.value_dim);
        append.heads = append.heads_in = append.value_heads = shape.key_heads;
        append.dim = shape.dim;
        append.value_dim = shape.value_dim;
        keys = append.keys = test.state(key_width, {shape.key_heads, shape.dim, false, own});
        values = append.values =
            test.state(shape.key_heads * shape.value_dim, {shape.key_heads, shape.value_dim, true, own});
        test.tables.states[at(keys.index)].stored = test.tables.states[at(values.index)].stored =
            shape.stored;
        test.add(append);
        query = op.query = test.input(width, 2);
        op.keys = keys;
        op.values = values;
        op.heads = shape.heads;
        op.key_heads = op.value_heads = shape.key_heads;
        op.dim = shape.dim;
        op.value_dim = shape.value_dim;
        op.score = shape.score;
        op.scale = 1 / std::sqrt(static_cast<float>(shape.dim));
        op.window = shape.window;
        op.rounding = rounding;
        std::vector<float> mask = test.numbers(shape.heads, 0.2f, 1);
        mask[0] = 0; // a silent head, which rows show nevertheless
        op.mask = test.fixed({shape.heads}, mask);
        if (shape.score == Attention::Score::gravity) {
            op.gravity.mass = test.param({shape.heads}, 0.2f, 1);
        }
        op.out = test.plan.logits = test.buffer(shape.heads * shape.value_dim);
        if (rows != Rows::none) {
            show(rows == Rows::all);
        }
        test.add(op);
    }

    void show(bool all) {
        if (!all) {
            op.rows.heads = {shape.heads - 1};
        }
        const std::int64_t shown = all ? shape.heads : 1;
        op.rows.logits = test.buffer(shown, BufferInfo::Extent::rows_keys);
        op.rows.scores = test.buffer(shown, BufferInfo::Extent::rows_keys);
        if (all) {
            op.rows.maximum = test.buffer(shape.heads);
            op.rows.sum = test.buffer(shape.heads);
            op.rows.kept = test.buffer(shape.heads);
        }
        for (const BufferId id :
             {query, op.rows.logits, op.rows.scores, op.rows.maximum, op.rows.sum, op.rows.kept}) {
            if (id) {
                test.plan.taps.push_back({static_cast<std::int32_t>(test.plan.taps.size()), id});
            }
        }
    }

    Form shape;
    Case test{11, 128};
    Attention op;
    StateId keys, values;
    BufferId query;
};

constexpr std::int64_t capacity = 301; // no whole number of blocks
const std::vector<std::int64_t> steps{17, 1, 16, 15, 63, 100, 3, 71};

std::vector<float> all_rows(Backend& backend, const Example& example, bool poisoned = false) {
    Running running = start(backend, example.test, capacity);
    if (poisoned) { // what a rewind left there
        StateSnapshot snapshot{capacity, {}};
        for (const StateInfo& state : example.test.tables.states) {
            snapshot.states.emplace_back(at(capacity * state.width), std::numeric_limits<float>::quiet_NaN());
        }
        running.executor->import_state(snapshot);
    }
    std::vector<float> rows;
    std::int64_t position = 0;
    for (const std::int64_t count : steps) {
        const auto some = run(running, example.test, position, count);
        rows.insert(rows.end(), some.begin(), some.end());
        position += count;
    }
    return rows;
}

std::string refuse(const char* what, std::int64_t t, std::int64_t h, double is, double wanted, double most) {
    return std::string(what) + " of position " + std::to_string(t) + ", head " + std::to_string(h) + ": " +
           std::to_string(is) + " instead of " + std::to_string(wanted) + ", at most " +
           std::to_string(most) + " away";
}

/// The rows of one step, of which everything is captured, against what its numbers say themselves.
class Judge {
  public:
    Judge(const Example& example, Running& running, Running& reference, std::int64_t position,
          std::int64_t rows)
        : example_(example), shape_(example.shape), position_(position), keys_(position + rows),
          stored_keys_(running.executor->read_state(example.keys, keys_)),
          stored_values_(running.executor->read_state(example.values, keys_)),
          query_(read(running, example.query)), scores_(read(running, example.op.rows.scores)),
          logits_(read(running, example.op.rows.logits)), maximum_(read(running, example.op.rows.maximum)),
          sum_(read(running, example.op.rows.sum)), kept_(read(running, example.op.rows.kept)),
          out_(read(running, example.op.out)), wanted_(read(reference, example.op.out)),
          mask_(running.executor->param(example.op.mask)) {}

    /// Empty, or what is wrong with row r of head h.
    std::string check(std::int64_t r, std::int64_t h) {
        const std::int64_t t = position_ + r, row = (r * shape_.heads + h) * keys_;
        double moved = 0; // the most that a logit of a candidate may move by
        std::vector<double> weights(at(keys_), 0);
        double sum = 0;
        for (std::int64_t j = 0; j < keys_; ++j) {
            const auto [exact, most] = products(r, h, j);
            const double score = scores_[at(row + j)], logit = logits_[at(row + j)];
            if (!(std::abs(score - exact) <= most)) {
                return refuse("score", t, h, score, exact, most);
            }
            const bool candidate = j <= t && (shape_.window == 0 || t - j < shape_.window);
            if (!candidate) {
                if (logit != -INFINITY) {
                    return refuse("masked logit", t, h, logit, -INFINITY, 0);
                }
                continue;
            }
            if (std::abs(logit - score * example_.op.scale) > 1e-6 * (1 + std::abs(logit))) {
                return refuse("logit", t, h, logit, score * example_.op.scale, 1e-6);
            }
            moved = std::max(moved, most * example_.op.scale);
            weights[at(j)] = std::exp(logit - maximum_[at(r * shape_.heads + h)]);
            sum += weights[at(j)];
        }
        return sums(t, h, sum, weights) + outputs(r, h, sum, weights, moved);
    }

  private:
    static std::vector<float> read(Running& running, BufferId id) {
        const auto numbers = running.executor->read(*running.program, id);
        return {numbers.begin(), numbers.end()};
    }

    struct Products {
        double exact = 0, moved = 0; // moved: the most that rounding to whole numbers may change
    };
    Products products(std::int64_t r, std::int64_t h, std::int64_t j) const {
        Products p;
        const float* q = query_.data() + (r * shape_.heads + h) * shape_.dim;
        const float* k =
            stored_keys_.data() + (j * shape_.key_heads + h * shape_.key_heads / shape_.heads) * shape_.dim;
        double q_sum = 0, k_sum = 0, q_squares = 0, k_squares = 0;
        for (int c = 0; c < shape_.dim; ++c) {
            const double x = static_cast<double>(q[c]), y = static_cast<double>(k[c]);
            p.exact += x * y;
            q_sum += std::abs(x);
            k_sum += std::abs(y);
            q_squares += x * x;
            k_squares += y * y;
        }
        const double q_half = std::sqrt(q_squares) * half_step, k_half = std::sqrt(k_squares) * half_step;
        p.moved = q_sum * k_half + k_sum * q_half + shape_.dim * q_half * k_half;
        return p;
    }

    std::string sums(std::int64_t t, std::int64_t h, double sum, const std::vector<double>& weights) const {
        const std::size_t i = at((t - position_) * shape_.heads + h);
        if (std::abs(sum_[i] - sum) > 1e-5 * sum) {
            return refuse("sum", t, h, sum_[i], sum, 1e-5 * sum);
        }
        const std::int64_t kept = std::min(t + 1, shape_.window == 0 ? t + 1 : shape_.window);
        if (kept_[i] != static_cast<float>(kept) || *std::ranges::max_element(weights) != 1) {
            return refuse("kept", t, h, kept_[i], static_cast<double>(kept), 0);
        }
        return {};
    }

    float value(std::int64_t h, std::int64_t j, int c) const {
        const std::int64_t head = h * shape_.key_heads / shape_.heads;
        return stored_values_[at((j * shape_.key_heads + head) * shape_.value_dim + c)];
    }
    double largest_channel(std::int64_t h, std::int64_t j) const {
        double largest = 0;
        for (int c = 0; c < shape_.value_dim; ++c) {
            largest = std::max(largest, std::abs(static_cast<double>(value(h, j, c))));
        }
        return largest;
    }

    /// The most that rounding may move an output by: of a weight times its value's step, and of a value.
    double rounding(std::int64_t h, int c, double sum, const std::vector<double>& weights) const {
        double most = 0;
        for (std::int64_t first = 0; first < keys_; first += stretch) {
            const std::int64_t last = std::min(first + stretch, keys_);
            double squares = 0;
            for (std::int64_t j = first; j < last; ++j) {
                const double weight = weights[at(j)] / sum * largest_channel(h, j);
                squares += weight * weight;
            }
            const double of_weight = std::sqrt(squares) * half_step;
            for (std::int64_t j = first; j < last; ++j) {
                const double largest = largest_channel(h, j);
                if (largest > 0) {
                    most += of_weight *
                                (std::abs(static_cast<double>(value(h, j, c))) / largest + half_value_step) +
                            weights[at(j)] / sum * largest * half_value_step;
                }
            }
        }
        return most;
    }

    // From the logits at hand, rounding is all. From exact ones, weights move by a factor of e^(+-2 moved)
    // too.
    std::string outputs(std::int64_t r, std::int64_t h, double sum, const std::vector<double>& weights,
                        double moved) const {
        for (int c = 0; c < shape_.value_dim; ++c) {
            double exact = 0, largest = 0;
            for (std::int64_t j = 0; j < keys_; ++j) {
                exact += weights[at(j)] / sum * static_cast<double>(value(h, j, c));
                largest = std::max(largest, std::abs(static_cast<double>(value(h, j, c))));
            }
            const std::size_t i = at((r * shape_.heads + h) * shape_.value_dim + c);
            const double factor = std::abs(mask_[at(h)]);
            const double most = factor * (rounding(h, c, sum, weights) + 2e-5 * largest);
            if (!(std::abs(out_[i] - mask_[at(h)] * exact) <= most)) {
                return refuse("output", position_ + r, h, out_[i], mask_[at(h)] * exact, most);
            }
            const double far = most + factor * largest * (std::exp(2 * moved) - 1);
            if (!(std::abs(out_[i] - wanted_[i]) <= far)) {
                return refuse("output against the reference", position_ + r, h, out_[i], wanted_[i], far);
            }
        }
        return {};
    }

    const Example& example_;
    const Form& shape_;
    std::int64_t position_, keys_;
    std::vector<float> stored_keys_, stored_values_;
    std::vector<float> query_, scores_, logits_, maximum_, sum_, kept_, out_, wanted_, mask_;
};

const Form shapes[] = {
    {"as Kotodama, 2 query heads a key head", 4, 2, 128, 128},
    {"heads of 32", 3, 3, 32, 32},
    {"heads of 64, 4 a key head, window", 4, 1, 64, 64, 40},
    {"keys of 33, values of 48", 3, 3, 33, 48},
    {"keys of 96, values of 16, window of a block", 6, 2, 96, 16, 64},
    {"bf16 states", 4, 2, 64, 64, 0, DType::bf16},
    {"q8 states, window", 5, 1, 96, 32, 21, DType::q8},
};

} // namespace

class TestAttentionPairs : public QObject {
    Q_OBJECT

  private slots:
    void init() {
        if (!cpu::word_pairs()) {
            QSKIP("this processor does not multiply pairs of 16 bits, or not faster than float32");
        }
    }

    void rounded_numbers_data() {
        QTest::addColumn<int>("shape");
        for (std::size_t i = 0; i < std::size(shapes); ++i) {
            QTest::newRow(shapes[i].name) << static_cast<int>(i);
        }
    }

    // Steps of 16 rows and more; what is captured says what the outputs are made of.
    void rounded_numbers() {
        QFETCH(int, shape);
        const Example example(shapes[shape], Example::Rows::all);
        const auto backend = make_cpu_backend(2);
        const auto plain = make_reference_backend();
        Running running = start(*backend, example.test, capacity),
                reference = start(*plain, example.test, capacity);
        std::int64_t position = 0;
        for (const std::int64_t rows : steps) {
            run(running, example.test, position, rows);
            run(reference, example.test, position, rows);
            Judge judge(example, running, reference, position, rows);
            for (std::int64_t r = 0; rows >= 16 && r < rows; ++r) {
                for (std::int64_t h = 0; h < example.shape.heads; ++h) {
                    QCOMPARE(QString::fromStdString(judge.check(r, h)), QString());
                }
            }
            position += rows;
        }
    }

    void same_bits_data() { rounded_numbers_data(); }

    // Any number of threads, whether rows are captured, whatever stale positions hold.
    void same_bits() {
        QFETCH(int, shape);
        const Example plain(shapes[shape], Example::Rows::none);
        const auto alone = make_cpu_backend(1);
        const std::vector<float> expected = all_rows(*alone, plain);
        const Example exact(shapes[shape], Example::Rows::none, false);
        QVERIFY(!bit_difference(expected, all_rows(*alone, exact)).empty()); // else nothing is shown
        for (const int threads : {1, 2, 3, 5}) {
            const auto backend = make_cpu_backend(threads);
            SAME_BITS(expected, all_rows(*backend, plain, true));
            for (const auto rows : {Example::Rows::some, Example::Rows::all}) {
                SAME_BITS(expected, all_rows(*backend, {shapes[shape], rows}));
            }
        }
    }

    // Nobody asked, a plan that wants 16 bits, any score that is not a dot product, values that lie
    // otherwise, balls and metrics: float32.
    void only_where_allowed() {
        const auto backend = make_cpu_backend(2);
        const auto same = [&](const Example& a, const Example& b) {
            return QString::fromStdString(bit_difference(all_rows(*backend, a), all_rows(*backend, b)));
        };
        constexpr auto none = Example::Rows::none;
        const Form usual{"usual", 4, 2, 64, 64};
        const Example exact(usual, none, false);
        QCOMPARE(same({usual, none, false, Rounding::bits16}, exact), QString());
        QCOMPARE(same({usual, none, true, Rounding::bits16}, exact), QString());
        QVERIFY(!same({usual, none, true}, exact).isEmpty());
        Example halves(usual, none, true);
        for (WeightInfo& weight : halves.test.tables.weights) {
            weight.run_as = weight.run_as ? std::optional(DType::f16) : std::nullopt;
        }
        QCOMPARE(same(halves, {usual, none, true}), QString());
        for (const auto score : {Attention::Score::gravity, Attention::Score::cosine,
                                 Attention::Score::negative_squared_distance}) {
            Form other = usual;
            other.score = score;
            QCOMPARE(same({other, none, true}, {other, none, false}), QString());
        }
        const Form in_blocks{"values in blocks", 4, 2, 64, 20};
        QCOMPARE(same({in_blocks, none, true}, {in_blocks, none, false}), QString());
        Example metric(usual, none, true), metric_exact(usual, none, false);
        for (Example* example : {&metric, &metric_exact}) {
            const ParamId diagonal = example->test.param({4, 64}, 0.5f, 1);
            std::get<Attention>(example->test.plan.ops.back().body).diagonal = diagonal;
        }
        QCOMPARE(same(metric, metric_exact), QString());
    }

    // What it takes more is announced to the byte.
    void memory() {
        const auto backend = make_cpu_backend(3);
        const auto sizes = [&](bool asked) {
            const Example example(shapes[0], Example::Rows::none, asked);
            const Plan* plan = &example.test.plan;
            const MemoryNeed need = backend->need(example.test.tables, capacity, {&plan, 1});
            const Running running = start(*backend, example.test, capacity);
            return std::pair(need.scratch, running.executor->taken().scratch);
        };
        const auto [need, taken] = sizes(true);
        const auto [less_need, less_taken] = sizes(false);
        QVERIFY(need > less_need);
        QCOMPARE(need - less_need, taken - less_taken);
    }
};

QTEST_GUILESS_MAIN(TestAttentionPairs)
#include "test_attention_pairs.moc"
