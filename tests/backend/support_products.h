// SPDX-License-Identifier: GPL-3.0-or-later
// Products of prompts, alone and joined with others, and which kernel computed them.
#pragma once

#include "tests/backend/support_plans.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

namespace ergo::test {

/// Of a matrix.
struct Size {
    std::int64_t outputs, inputs;
};
/// Adds a matrix of the form that a test is about.
using AddMatrix = std::function<WeightId(Case& test, Size size)>;

/// With few bits of inputs; biased: with an activation too.
inline Linear product(Case& test, const AddMatrix& matrix, BufferId in, Size size, BufferId out,
                      bool biased = false) {
    return Linear{in,
                  matrix(test, size),
                  biased ? test.weight({size.outputs}) : WeightId{},
                  out,
                  biased ? Activation::gelu : Activation::identity,
                  Rounding::bits8};
}

/// Two products of one input, one of them biased.
inline Case two_products(const AddMatrix& matrix, Size size, std::int64_t max_rows) {
    Case test(static_cast<std::uint64_t>(size.outputs * 1000 + size.inputs), max_rows);
    const BufferId in = test.input(size.inputs);
    for (const bool biased : {false, true}) {
        test.add(product(test, matrix, in, size, test.buffer(size.outputs), biased));
    }
    return test;
}

/// Gate and up, joined `in_place` or not, down with its residual, and a product that only some rows need.
inline Case joined_products(const AddMatrix& matrix, bool in_place, std::int64_t max_rows) {
    Case test(9, max_rows);
    const BufferId x = test.input(96), shares = test.shares(3), routed = test.buffer(40);
    Gate gate;
    gate.a = test.buffer(72);
    gate.b = test.buffer(72);
    gate.out = in_place ? gate.a : test.buffer(72);
    test.add(product(test, matrix, x, {72, 96}, gate.a));
    test.add(product(test, matrix, x, {72, 96}, gate.b));
    test.add(gate);
    const BufferId down = test.buffer(96);
    test.add(product(test, matrix, gate.out, {96, 72}, down));
    Mix sum;
    sum.parts = {down};
    sum.residual = x;
    sum.out = test.buffer(96);
    test.add(sum);
    test.add(product(test, matrix, x, {40, 96}, routed), Guard{shares, 1});
    test.guarded.push_back({routed, Guard{shares, 1}});
    test.plan.logits = sum.out; // the buffers between are nobody's
    return test;
}

/// Is any op of a step of several rows computed by `kernel`?
inline bool uses_kernel(Backend& backend, const Case& test, const std::string& kernel) {
    const auto model = backend.load(std::make_shared<Tables>(test.tables), {}, {});
    const auto executor = model->create_executor(128);
    executor->time_ops(true);
    const auto program = executor->prepare(std::make_shared<Plan>(test.plan));
    executor->run(*program, step_at(0, std::min<std::int64_t>(3, test.plan.max_rows)), {});
    const auto times = program->op_times();
    return std::any_of(times.begin(), times.end(), [&](const OpTime& time) { return time.kernel == kernel; });
}

} // namespace ergo::test
