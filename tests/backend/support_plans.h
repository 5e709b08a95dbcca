// SPDX-License-Identifier: GPL-3.0-or-later
// Small random models made op by op, and the comparison of two backends on them.
#pragma once

#include "engine/backend/backend.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ergo::test {

/// Tables and a plan under construction. Numbers are reproducible and lie in [-1, 1).
class Case {
  public:
    explicit Case(std::uint64_t seed = 1, std::int64_t max_rows = 32);

    float uniform();
    std::vector<float> numbers(std::int64_t count, float scale = 1, float offset = 0);

    WeightId weight(Shape shape, float scale = 1, float offset = 0);
    /// The same as f64, f16 or bf16; `misaligned` puts it at an odd address.
    WeightId weight(Shape shape, DType type, bool misaligned, float scale = 1);
    ParamId param(Shape shape, float scale = 1, float offset = 0);
    ParamId fixed(Shape shape, std::vector<float> values);
    StateId state(std::int64_t width, StateHeads heads = {}) {
        return tables.add_state("state", width, heads);
    }
    BufferId buffer(std::int64_t width, BufferInfo::Extent extent = BufferInfo::Extent::rows);

    /// A buffer with random rows that depend on the token: an embedding of its own.
    BufferId input(std::int64_t width, float scale = 1);
    template <class Body> void add(Body body, Guard when = {}) {
        plan.add(Op{"op" + std::to_string(plan.ops.size()), when, std::move(body)});
    }
    /// A buffer of shares [n, paths], 0 for about half of the tokens' paths.
    BufferId shares(std::int64_t paths);

    static constexpr std::int64_t vocabulary = 64;
    Tables tables;
    Plan plan;
    std::vector<std::pair<BufferId, Guard>> guarded; ///< buffers whose skipped rows are unspecified

  private:
    std::uint64_t random_;
};

/// An executor with its owners.
struct Running {
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<Executor> executor;
    std::unique_ptr<Program> program;
};
Running start(Backend& backend, const Case& test, std::int64_t capacity = 256);

/// Token ids for positions [begin, begin + rows), the same for everyone.
StepState step_at(std::int64_t begin, std::int64_t rows);

/// Runs both backends over consecutive steps of `chunks` rows and compares every buffer that is specified and
/// every state. Empty when all agree within `tolerance` of the largest value, else a sentence.
std::string difference(Backend& expected, Backend& actual, const Case& test,
                       const std::vector<std::int64_t>& chunks, double tolerance = 2e-5);

/// Empty when both spans are the same bits.
std::string bit_difference(std::span<const float> a, std::span<const float> b);
#define SAME_BITS(a, b) QCOMPARE(QString::fromStdString(test::bit_difference(a, b)), QString())

/// Logits of one step of `rows` rows at `begin`.
std::vector<float> run(Running& running, const Case& test, std::int64_t begin, std::int64_t rows);

} // namespace ergo::test
