// SPDX-License-Identifier: GPL-3.0-or-later
// The trial of a kernel with cooperative matrices on the device that offers them: small products of awkward
// shapes and numbers beside the plain kernel's, and the time that either takes for larger ones.
#include "engine/backend/vulkan/matrices.h"
#include "engine/backend/vulkan/program.h"
#include "engine/base/error.h"
#include "engine/base/half.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

namespace ergo::vulkan {

namespace {

constexpr std::array<const char*, splittings> names{"bf16 by name", "16 bits", "f32"};
/// Largest difference over the largest number of a row: sums in another order, and the rounding of inputs to
/// 11 bits where it is allowed.
constexpr std::array<double, splittings> tolerances{2e-3, 2e-5, 2e-5};
constexpr double margin = 1.05; // less than that is not worth another kernel

/// A small model of products alone.
struct Model {
    std::shared_ptr<Tables> tables = std::make_shared<Tables>();
    std::shared_ptr<Plan> plan = std::make_shared<Plan>();
    std::vector<BufferId> outputs;
    std::vector<std::int32_t> ids;
    std::uint32_t random = 12345;

    float number() { // [-1, 1)
        random = random * 1664525u + 1013904223u;
        return static_cast<float>(random >> 8) / static_cast<float>(1u << 23) - 1;
    }

    WeightId weight(Shape shape, DType type, bool by_name = false) {
        std::vector<float> values(static_cast<std::size_t>(element_count(shape)));
        std::generate(values.begin(), values.end(), [&] { return number(); });
        if (type == DType::f32) {
            return tables->add_weight("w", Tensor::from_floats(std::move(shape), values));
        }
        auto bits = std::make_shared<std::vector<std::uint16_t>>();
        for (const float value : values) {
            bits->push_back(type == DType::bf16 ? f32_to_bf16(value) : f32_to_f16(value));
        }
        const auto bytes = std::as_bytes(std::span<const std::uint16_t>(*bits));
        const WeightId id = tables->add_weight("w", Tensor(type, std::move(shape), bytes, std::move(bits)));
        if (by_name) {
            tables->weights.back().run_as = DType::bf16;
        }
        return id;
    }

    /// One row a token, of very different sizes; a third of them begin with zeros, so that their size is not
    /// known at once.
    BufferId input(std::int64_t rows, std::int64_t width) {
        std::vector<float> values;
        for (std::int64_t row = 0; row < rows; ++row) {
            const float scale = std::ldexp(1.0f, static_cast<int>(row * 7 % 41) - 20);
            for (std::int64_t column = 0; column < width; ++column) {
                const bool zero = row % 3 == 2 && column < width / 2;
                values.push_back(zero ? 0 : scale * number());
            }
        }
        const BufferId out = plan->add_buffer("input", width);
        plan->add({"input",
                   {},
                   Embed{tables->add_weight("rows", Tensor::from_floats({rows, width}, values)), out}});
        ids.resize(static_cast<std::size_t>(rows));
        std::iota(ids.begin(), ids.end(), 0);
        plan->max_rows = rows;
        return out;
    }

    BufferId product(BufferId in, Shape shape, DType type, bool by_name, Activation activation = {}) {
        const BufferId out = plan->add_buffer("product", shape.at(0));
        const WeightId bias =
            activation == Activation::identity ? WeightId{} : weight({shape.at(0)}, DType::f32);
        plan->add(
            {"product",
             {},
             Linear{in, weight(std::move(shape), type, by_name), bias, out, activation, Rounding::bits8}});
        return out;
    }
};

Model awkward(DType type, bool by_name) {
    Model model;
    constexpr std::int64_t rows = 71;
    const BufferId odd = model.input(rows, 75), even = model.input(rows, 100);
    model.outputs = {model.product(odd, {83, 75}, type, by_name),
                     model.product(even, {69, 100}, type, by_name, Activation::gelu)};
    Gate gate;
    gate.a = model.product(even, {66, 100}, type, by_name);
    gate.b = model.product(even, {66, 100}, type, by_name);
    gate.out = model.plan->add_buffer("gate", 66);
    model.plan->add({"gate", {}, gate});
    model.outputs.push_back(gate.out);
    return model;
}

Model large(DType type, bool by_name, bool software) {
    Model model;
    const std::int64_t rows = software ? 64 : 256, width = software ? 128 : 1024;
    const BufferId in = model.input(rows, width);
    for (int i = 0; i < (software ? 1 : 8); ++i) {
        model.outputs.push_back(model.product(in, {width, width}, type, by_name));
    }
    return model;
}

/// A model on the device, its products by `kernel` or, without it, by the plain one.
class Machine {
  public:
    Machine(Context& context, const Model& model, const MatrixKernel* kernel)
        : weights_(context.device, model.tables, {}, {}),
          memory_(context.device, *model.tables, model.plan->max_rows),
          program_(context, weights_, memory_, model.plan, false, kernel) {
        step_.ids = model.ids;
    }

    std::vector<float> run(BufferId buffer) {
        program_.run(step_, {}, counters_);
        const auto values = program_.read(buffer);
        return {values.begin(), values.end()};
    }

    /// Seconds of the fastest of some runs.
    double time() {
        double best = std::numeric_limits<double>::infinity();
        for (int i = 0; i < 7; ++i) {
            const auto start = std::chrono::steady_clock::now();
            program_.run(step_, {}, counters_);
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
            best = i < 2 ? best : std::min(best, taken.count());
        }
        return best;
    }

  private:
    Weights weights_;
    SessionMemory memory_;
    VulkanProgram program_;
    StepState step_;
    Counters counters_;
};

double difference(const std::vector<float>& a, const std::vector<float>& b, std::size_t rows) {
    double worst = 0;
    const std::size_t width = a.size() / rows;
    for (std::size_t row = 0; row < rows; ++row) {
        double largest = 0, most = 0;
        for (std::size_t i = row * width; i < (row + 1) * width; ++i) {
            if (!std::isfinite(b[i])) {
                return std::numeric_limits<double>::infinity();
            }
            largest = std::max(largest, std::abs(double(a[i])));
            most = std::max(most, std::abs(double(a[i]) - double(b[i])));
        }
        worst = std::max(worst, most == 0 ? 0 : most / largest);
    }
    return worst;
}

struct Kind {
    Splitting splitting;
    DType type;
};
constexpr Kind kinds[] = {{Splitting::one, DType::bf16},
                          {Splitting::two, DType::bf16},
                          {Splitting::two, DType::f16},
                          {Splitting::three, DType::f32}};

/// What is, if anything.
std::optional<MatrixUse> what_is_wrong(Context& context, const MatrixKernel& kernel) {
    for (const Kind& kind : kinds) {
        const auto index = static_cast<std::size_t>(kind.splitting);
        const Model model = awkward(kind.type, kind.splitting == Splitting::one);
        Machine plain(context, model, nullptr), matrices(context, model, &kernel);
        for (const BufferId out : model.outputs) {
            const double found = difference(plain.run(out), matrices.run(out), model.ids.size());
            if (!(found <= tolerances[index])) {
                return MatrixUse{.state = MatrixUse::State::wrong,
                                 .type = std::string(dtype_name(kind.type)),
                                 .difference = found,
                                 .allowed = tolerances[index]};
            }
        }
    }
    return {};
}

} // namespace

MatrixTrial try_matrices(Context& context, MatrixKernel kernel) {
    MatrixTrial trial;
    kernel.used.fill(true);
    try {
        if (auto wrong = what_is_wrong(context, kernel)) {
            trial.use = *std::move(wrong);
            return trial;
        }
        for (const Kind& kind : kinds) {
            if (kind.type == DType::f16) {
                continue; // as bf16
            }
            const auto index = static_cast<std::size_t>(kind.splitting);
            const Model model =
                large(kind.type, kind.splitting == Splitting::one, context.device.traits().info.software);
            const double gain = Machine(context, model, nullptr).time() *
                                context.device.options().plain_handicap /
                                Machine(context, model, &kernel).time();
            trial.used[index] = gain > margin;
            trial.use.gains.push_back({names[index], gain, trial.used[index]});
        }
        const bool any = std::find(trial.used.begin(), trial.used.end(), true) != trial.used.end();
        trial.use.state = any ? MatrixUse::State::used : MatrixUse::State::slower;
    } catch (const Error& error) { // the device does not do what it says; if it is lost, the next step tells
        trial.used.fill(false);
        trial.use = {.state = MatrixUse::State::failed, .error = error.message()};
    }
    return trial;
}

} // namespace ergo::vulkan
