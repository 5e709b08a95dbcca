// SPDX-License-Identifier: GPL-3.0-or-later
// Switches to find out what is wrong with a device or its driver, and to see what happens when it fails.
// Plain data; the CPU has no use for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ergo {

/// A failure to be had on purpose, at a chosen step.
struct DeviceFault {
    enum class Kind : std::uint8_t {
        lost,          ///< the device is gone: nothing works on it any more
        out_of_memory, ///< the step gets no memory; what is on the device can still be read
    };
    Kind kind = Kind::lost;
    std::uint64_t at_step = 0; ///< steps of one executor that still succeed
};

struct Diagnostics {
    bool serialise = false;     ///< every kernel waits for the one before it
    bool no_fusion = false;     ///< a kernel an op, as the plan has them
    bool no_extensions = false; ///< nothing beyond Vulkan 1.2, though the device has more
    bool no_cooperative_matrix = false; ///< products of a prompt are computed without them
    bool validation = false;    ///< the Khronos validation layer; Error(unsupported) when it is not installed
    std::optional<DeviceFault> fault;
    bool operator==(const Diagnostics& other) const {
        return serialise == other.serialise && no_fusion == other.no_fusion &&
               no_extensions == other.no_extensions &&
               no_cooperative_matrix == other.no_cooperative_matrix && validation == other.validation &&
               fault.has_value() == other.fault.has_value() &&
               (!fault || (fault->kind == other.fault->kind && fault->at_step == other.fault->at_step));
    }
};

} // namespace ergo
