// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/device_peak.h"

#include "engine/backend/vulkan/recorder.h"

#include <algorithm>
#include <chrono>

namespace ergo::vulkan {

namespace {

// As in shaders/measure.comp.
constexpr std::uint32_t invocations = 128, chains = 8;

struct Push {
    Header header;
    VkDeviceAddress from, to;
    std::uint32_t quads, rounds;
    float factor;
};

Dispatch dispatch_of(bool reads, const Push& push, std::uint32_t groups) {
    Dispatch made{"measure", {reads}, {}, {Groups::fixed(groups), Groups::fixed(1), Groups::fixed(1)}, false};
    std::memcpy(made.push.data(), &push, sizeof push);
    return made;
}

/// Seconds of the fastest of some runs, the first of which warms up. `repeat`: dispatches a run, so that
/// starting one weighs little.
double fastest(Context& context, const Dispatch& dispatch, std::size_t repeat) {
    Arena arena(context.device, Placement::step);
    const Slice indirect = arena.allocate(repeat * sizeof(VkDispatchIndirectCommand), "group counts");
    Recorder recorder(context, std::vector<Dispatch>(repeat, dispatch), indirect, {repeat}, false);
    double best = 0;
    for (int run = 0; run < 6; ++run) {
        const auto start = std::chrono::steady_clock::now();
        recorder.replay(1, 1, {});
        const double seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
            static_cast<double>(repeat);
        best = run < 2 ? seconds : std::min(best, seconds);
    }
    return best;
}

} // namespace

DevicePeak measure_peak(Context& context, std::uint64_t bytes) {
    const bool software = context.device.traits().info.software;
    const std::uint64_t most = std::uint64_t{software ? 256u : 1024u} << 20;
    const std::uint64_t size = std::clamp<std::uint64_t>(bytes, 1 << 20, most) / 16 * 16;
    Arena arena(context.device, Placement::device);
    const Slice from = arena.allocate(size, "the measurement");
    Push push{};
    push.from = from.address;
    push.to = from.address;
    push.quads = static_cast<std::uint32_t>(size / 16);
    push.factor = 0.5f;
    // Enough invocations to occupy any device, and each with much to do.
    const std::uint32_t groups = software ? 64 : 4096;
    push.rounds = software ? 1 << 12 : 1 << 14;
    DevicePeak peak;
    const std::size_t repeat = std::max<std::uint64_t>(1, (most / 4) / size);
    peak.bandwidth = static_cast<double>(size) / fastest(context, dispatch_of(true, push, groups), repeat);
    const double operations = 2.0 * 4 * chains * push.rounds * groups * invocations;
    peak.float_operations = operations / fastest(context, dispatch_of(false, push, groups), 1);
    return peak;
}

} // namespace ergo::vulkan
