// SPDX-License-Identifier: GPL-3.0-or-later
// What the Vulkan tests share: the software device, seeded tensors, one backend with a session on it,
// comparison.
#pragma once

#include "engine/backend/backend.h"
#include "engine/backend/vulkan/vulkan_backend.h"
#include "engine/base/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ergo::test {

inline constexpr const char* no_driver =
    "there is no software Vulkan device on this machine: install mesa-vulkan-drivers (tests/run does)";

/// Index of Mesa's software device, or -1.
inline int software_device() {
    const auto devices = vulkan_devices();
    const auto found =
        std::find_if(devices.begin(), devices.end(), [](const auto& device) { return device.software; });
    return found == devices.end() ? -1 : static_cast<int>(found - devices.begin());
}

/// With the validation layer on; `sink` receives what it says.
inline VulkanOptions validated(std::function<void(const std::string&)> sink) {
    VulkanOptions options;
    options.validation = true;
    options.on_validation = std::move(sink);
    return options;
}

/// Reproducible numbers in (-1, 1).
class Numbers {
  public:
    explicit Numbers(std::uint32_t seed) : state_(seed * 2654435761u + 12345u) {}
    float next() {
        state_ = state_ * 1664525u + 1013904223u;
        return static_cast<float>(state_ >> 8) / static_cast<float>(1u << 23) - 1;
    }
    std::vector<float> many(std::int64_t count, float scale, float middle = 0) {
        std::vector<float> values(static_cast<std::size_t>(count));
        for (float& value : values) {
            value = middle + scale * next();
        }
        return values;
    }

  private:
    std::uint32_t state_;
};

/// `values` stored as `type` (f32, bf16 or f16).
inline Tensor stored(Shape shape, const std::vector<float>& values, DType type) {
    if (type == DType::f32) {
        return Tensor::from_floats(std::move(shape), values);
    }
    auto bits = std::make_shared<std::vector<std::uint16_t>>();
    for (const float value : values) {
        bits->push_back(type == DType::bf16 ? f32_to_bf16(value) : f32_to_f16(value));
    }
    const auto bytes = std::as_bytes(std::span<const std::uint16_t>(*bits));
    return Tensor(type, std::move(shape), bytes, std::move(bits));
}

/// One plan on one backend.
struct Machine {
    std::shared_ptr<Backend> backend;
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<Executor> executor;
    std::unique_ptr<Program> program;

    Machine(std::shared_ptr<Backend> on, std::shared_ptr<const Tables> tables,
            std::shared_ptr<const Plan> plan, std::int64_t capacity)
        : backend(std::move(on)), model(backend->load(std::move(tables), {}, {})),
          executor(model->create_executor(capacity)), program(executor->prepare(std::move(plan))) {}

    void run(const StepState& step) { executor->run(*program, step, {}); }
    std::vector<float> read(BufferId buffer) {
        const auto values = executor->read(*program, buffer);
        return {values.begin(), values.end()};
    }
};

/// Largest difference over the largest magnitude; infinities must agree in place and sign. Different sizes or
/// a NaN on one side count as infinitely different.
inline double relative_difference(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size()) {
        return INFINITY;
    }
    double largest = 0, difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::isinf(a[i]) || std::isinf(b[i]) || std::isnan(a[i]) || std::isnan(b[i])) {
            if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) {
                return INFINITY;
            }
            continue;
        }
        largest = std::max({largest, std::abs(double(a[i])), std::abs(double(b[i]))});
        difference = std::max(difference, std::abs(double(a[i]) - double(b[i])));
    }
    return difference == 0 ? 0 : difference / largest;
}

} // namespace ergo::test
