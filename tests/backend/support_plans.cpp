// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/backend/support_plans.h"

#include "engine/base/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ergo::test {

namespace {

template <class T, class Convert>
void store(std::vector<std::byte>& bytes, std::size_t at, const std::vector<float>& values, Convert convert) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        const T stored = convert(values[i]);
        std::memcpy(bytes.data() + at + i * sizeof(T), &stored, sizeof stored);
    }
}

// Largest difference relative to the largest finite value; infinities must agree exactly.
std::string compare(const std::string& name, std::span<const float> a, std::span<const float> b,
                    double tolerance) {
    if (a.size() != b.size()) {
        return name + ": " + std::to_string(a.size()) + " values against " + std::to_string(b.size());
    }
    double largest = 1;
    for (const float x : a) {
        largest = std::isfinite(x) ? std::max(largest, std::abs(static_cast<double>(x))) : largest;
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
        const bool same = a[i] == b[i] || std::abs(static_cast<double>(a[i]) - b[i]) <= tolerance * largest;
        if (!same) {
            return name + "[" + std::to_string(i) + "]: " + std::to_string(b[i]) + " instead of " +
                   std::to_string(a[i]);
        }
    }
    return {};
}

bool needed(const Case& test, Running& running, BufferId buffer, std::int64_t row) {
    for (const auto& [id, when] : test.guarded) {
        if (id == buffer) {
            const auto width = test.plan.buffers[static_cast<std::size_t>(when.shares.index)].width;
            const auto shares = running.executor->read(*running.program, when.shares);
            return shares[static_cast<std::size_t>(row * width + when.path)] != 0;
        }
    }
    return true;
}

bool is_read_after(const Plan& plan, BufferId buffer) {
    return !plan.logits || plan.logits == buffer ||
           std::any_of(plan.taps.begin(), plan.taps.end(),
                       [&](const TapBinding& tap) { return tap.buffer == buffer; });
}

std::string compare_buffers(const Case& test, Running& a, Running& b, std::int64_t rows, double tolerance) {
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(test.plan.buffers.size()); ++i) {
        if (!is_read_after(test.plan, BufferId{i})) {
            continue; // unspecified
        }
        const auto x = a.executor->read(*a.program, BufferId{i}),
                   y = b.executor->read(*b.program, BufferId{i});
        const std::string name = test.plan.buffers[static_cast<std::size_t>(i)].name;
        if (x.size() != y.size()) {
            return compare(name, x, y, tolerance);
        }
        const bool last_row =
            test.plan.buffers[static_cast<std::size_t>(i)].extent == BufferInfo::Extent::last_row;
        const std::size_t stride = x.size() / static_cast<std::size_t>(last_row ? 1 : rows);
        for (std::int64_t r = 0; r < (last_row ? 1 : rows); ++r) {
            const auto at = static_cast<std::size_t>(r) * stride;
            const std::string message = compare(name + " row " + std::to_string(r), x.subspan(at, stride),
                                                y.subspan(at, stride), tolerance);
            if (!message.empty() && needed(test, a, BufferId{i}, r)) {
                return message;
            }
        }
    }
    return {};
}

} // namespace

Case::Case(std::uint64_t seed, std::int64_t max_rows) : random_(seed * 0x9E3779B97F4A7C15u + 1) {
    plan.max_rows = max_rows;
}

float Case::uniform() { // splitmix64
    std::uint64_t z = random_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return static_cast<float>(static_cast<double>((z ^ (z >> 31)) >> 40) / 8388608.0 - 1.0);
}

std::vector<float> Case::numbers(std::int64_t count, float scale, float offset) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) {
        value = offset + scale * uniform();
    }
    return values;
}

WeightId Case::weight(Shape shape, float scale, float offset) {
    auto values = numbers(element_count(shape), scale, offset);
    return tables.add_weight("weight", Tensor::from_floats(std::move(shape), std::move(values)));
}

WeightId Case::weight(Shape shape, DType type, bool misaligned, float scale) {
    const auto values = numbers(element_count(shape), scale);
    const std::size_t at = misaligned ? 1 : 0, size = values.size() * dtype_size(type);
    auto bytes = std::make_shared<std::vector<std::byte>>(size + 1);
    switch (type) {
    case DType::f64:
        store<double>(*bytes, at, values, [](float v) { return static_cast<double>(v); });
        break;
    case DType::f16:
        store<std::uint16_t>(*bytes, at, values, f32_to_f16);
        break;
    case DType::bf16:
        store<std::uint16_t>(*bytes, at, values, f32_to_bf16);
        break;
    default:
        store<float>(*bytes, at, values, [](float v) { return v; });
        break;
    }
    const auto view = std::span<const std::byte>(*bytes).subspan(at, size);
    return tables.add_weight("weight", Tensor(type, std::move(shape), view, bytes));
}

ParamId Case::param(Shape shape, float scale, float offset) {
    auto values = numbers(element_count(shape), scale, offset);
    return fixed(std::move(shape), std::move(values));
}

ParamId Case::fixed(Shape shape, std::vector<float> values) {
    return tables.add_param("param" + std::to_string(tables.params.size()), std::move(shape),
                            std::move(values));
}

BufferId Case::buffer(std::int64_t width, BufferInfo::Extent extent) {
    return plan.add_buffer("buffer" + std::to_string(plan.buffers.size()), width, extent);
}

BufferId Case::input(std::int64_t width, float scale) {
    const BufferId out = buffer(width);
    add(Embed{weight({vocabulary, width}, scale), out});
    return out;
}

BufferId Case::shares(std::int64_t paths) {
    const BufferId logits = input(paths), out = buffer(paths);
    Route route;
    route.logits = logits;
    route.shares = out;
    route.paths = static_cast<std::int32_t>(paths);
    route.temperature = fixed({1}, {1});
    route.top_k = fixed({1}, {static_cast<float>((paths + 1) / 2)});
    add(route);
    return out;
}

Running start(Backend& backend, const Case& test, std::int64_t capacity) {
    Running running;
    running.model = backend.load(std::make_shared<const Tables>(test.tables), {}, {});
    running.executor = running.model->create_executor(capacity);
    running.program = running.executor->prepare(std::make_shared<const Plan>(test.plan));
    return running;
}

StepState step_at(std::int64_t begin, std::int64_t rows) {
    StepState step;
    step.position = begin;
    for (std::int64_t t = begin; t < begin + rows; ++t) {
        step.ids.push_back(static_cast<std::int32_t>((t * 2654435761u >> 7) % Case::vocabulary));
    }
    return step;
}

std::string difference(Backend& expected, Backend& actual, const Case& test,
                       const std::vector<std::int64_t>& chunks, double tolerance) {
    Running a = start(expected, test), b = start(actual, test);
    std::int64_t position = 0;
    for (const std::int64_t rows : chunks) {
        a.executor->run(*a.program, step_at(position, rows), {});
        b.executor->run(*b.program, step_at(position, rows), {});
        const std::string message = compare_buffers(test, a, b, rows, tolerance);
        if (!message.empty()) {
            return "position " + std::to_string(position) + ", " + message;
        }
        position += rows;
    }
    for (std::int32_t s = 0; s < static_cast<std::int32_t>(test.tables.states.size()); ++s) {
        const std::string message =
            compare("state " + std::to_string(s), a.executor->read_state(StateId{s}, position),
                    b.executor->read_state(StateId{s}, position), tolerance);
        if (!message.empty()) {
            return message;
        }
    }
    return {};
}

std::string bit_difference(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size()) {
        return std::to_string(a.size()) + " values against " + std::to_string(b.size());
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) {
            return "value " + std::to_string(i) + ": " + std::to_string(a[i]) + " and " +
                   std::to_string(b[i]);
        }
    }
    return {};
}

std::vector<float> run(Running& running, const Case& test, std::int64_t begin, std::int64_t rows) {
    running.executor->run(*running.program, step_at(begin, rows), {});
    const auto logits = running.executor->read(*running.program, test.plan.logits);
    return {logits.begin(), logits.end()};
}

} // namespace ergo::test
