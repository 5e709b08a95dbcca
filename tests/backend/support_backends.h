// SPDX-License-Identifier: GPL-3.0-or-later
// One judgement of every backend: the CPU with each instruction set of the machine, and the software Vulkan
// device.
#pragma once

#include "tests/backend/support_plans.h"
#ifdef ERGO_HAS_VULKAN
#include "tests/backend/support_vulkan.h"
#endif

#include <hwy/highway.h>

#include <functional>
#include <string>

namespace ergo::test {

/// The first sentence that `judge` has against a backend, behind the backend's name; empty when it has none.
inline std::string on_every_backend(const std::function<std::string(Backend&)>& judge) {
    std::string message;
    const auto ask = [&](const std::string& name, Backend& backend) {
        const std::string found = judge(backend);
        if (!found.empty() && message.empty()) {
            message = name + ": " + found;
        }
    };
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
        hwy::SetSupportedTargetsForTest(target);
        hwy::GetChosenTarget().Update(target);
        ask(hwy::TargetName(target), *make_cpu_backend(2));
        hwy::SetSupportedTargetsForTest(0);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
#ifdef ERGO_HAS_VULKAN
    const int device = software_device();
    if (device < 0) {
        return no_driver;
    }
    ask("vulkan", *make_vulkan_backend(device));
#endif
    return message;
}

} // namespace ergo::test
