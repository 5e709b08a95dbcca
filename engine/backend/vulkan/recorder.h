// SPDX-License-Identifier: GPL-3.0-or-later
// Dispatches recorded once into command buffers and replayed every step. Group counts are read from an
// indirect buffer that is rewritten each step, so a step pays only for its own rows and keys. On request the
// device's clock is read around every dispatch. Used by one thread at a time.
#pragma once

#include "engine/backend/vulkan/context.h"
#include "engine/backend/vulkan/encoder.h"

#include <functional>
#include <span>
#include <vector>

namespace ergo::vulkan {

/// A copy of `bytes` of a buffer, to where the host sees them.
struct Tail {
    BufferId buffer;
    Slice from, to;
    std::uint64_t bytes = 0;
};

class Recorder {
  public:
    /// `indirect`: room for one VkDispatchIndirectCommand a dispatch, mapped. `segments`: how many dispatches
    /// each command buffer takes; between those a run can be cancelled. `tails`: what is copied at the end.
    Recorder(Context& context, std::vector<Dispatch> dispatches, const Slice& indirect,
             const std::vector<std::size_t>& segments, bool timed, std::span<const Tail> tails = {});

    /// What else happens in a replay; either may be empty.
    struct Hooks {
        /// Once while the device works; `submitted`: segments it has been given so far.
        std::function<void(std::size_t submitted)> meanwhile;
        std::function<void()> behind; ///< when it has been given all of them, before they are done
    };
    /// Runs all segments and waits. Throws Error(cancelled) between segments.
    void replay(std::uint64_t rows, std::uint64_t keys, const CancelToken& cancel, const Hooks& hooks = {});

    std::size_t dispatches() const { return dispatches_.size(); }
    std::size_t segments() const { return segments_.size(); }
    const Dispatch& dispatch(std::size_t i) const { return dispatches_[i]; }
    /// Seconds of each dispatch, summed over the runs; empty unless timed.
    const std::vector<double>& seconds() const { return seconds_; }

  private:
    VkCommandBuffer record(std::size_t begin, std::size_t end, std::span<const Tail> tails);
    void add_times();

    Context& context_;
    std::vector<Dispatch> dispatches_;
    Slice indirect_;
    Timeline timeline_;
    std::vector<VkCommandBuffer> segments_;
    Owned<VkQueryPool> clock_; // before and after each dispatch; none unless timed
    std::vector<double> seconds_;
};

} // namespace ergo::vulkan
