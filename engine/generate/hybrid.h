// SPDX-License-Identifier: GPL-3.0-or-later
// Reading a prompt on one backend and writing on another: how fast a device and the CPU are at either,
// measured once for a model's shape and kept, and what follows from it. Free functions, any thread; measuring
// takes at most two seconds.
#pragma once

#include "engine/generate/opened_model.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace ergo {

/// Tokens a second.
struct Speeds {
    double reading = 0; ///< of a prompt, 128 at a time
    double writing = 0; ///< one by one
};
struct PairSpeeds {
    Speeds device, cpu;
};

/// Who should read and who should write.
enum class Split : std::uint8_t { device_alone, device_reads, cpu_reads, cpu_alone };

/// The CPU takes a part where it is faster by more than a tenth: a state that moves costs something too.
Split faster_split(const PairSpeeds& speeds);
/// Of the two that share the work: the faster for 512 tokens read and 128 written.
Split better_pair(const PairSpeeds& speeds);

/// "vulkan:0+cpu": the backends that read and that write; none when `name` is not of that form.
struct PairNames {
    std::string reading, writing;
};
std::optional<PairNames> pair_names(const std::string& name);

/// `device` with the part that the CPU takes where it is faster: "vulkan:0" becomes "vulkan:0+cpu",
/// "cpu+vulkan:0", "cpu", or stays with its reason.
BackendChoice with_speeds(const BackendChoice& device, const std::string& device_name,
                          const PairSpeeds& speeds);

/// What was measured before for this device, processor, program and model, if anything fits; `folder` empty:
/// nothing is kept.
std::optional<PairSpeeds> remembered_speeds(const DeviceInfo& device, const DeviceInfo& cpu,
                                            const Tables& tables, const std::filesystem::path& folder);
/// Keeps them for remembered_speeds; where that is not possible they are measured again.
void keep_speeds(const DeviceInfo& device, const DeviceInfo& cpu, const Tables& tables,
                 const std::filesystem::path& folder, const PairSpeeds& speeds);
/// Measures both in turn and keeps it. A part that takes longer than its share of the two seconds is cut
/// off and counts as having just not been done in it.
PairSpeeds measure_speeds(const std::shared_ptr<const OpenedModel>& device,
                          const std::shared_ptr<const OpenedModel>& cpu, const std::filesystem::path& folder,
                          const CancelToken& cancel);

/// "Card reads 900 and writes 20 tokens/s, the CPU 100 and 35."
std::string speeds_text(const PairSpeeds& speeds, const std::string& device);

} // namespace ergo
