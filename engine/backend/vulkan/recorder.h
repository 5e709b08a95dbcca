// SPDX-License-Identifier: GPL-3.0-or-later
// Dispatches recorded once into command buffers and replayed every step. Group counts are read from an
// indirect buffer that is rewritten each step, so a step pays only for its own rows and keys. Used by one
// thread at a time.
#pragma once

#include "engine/backend/vulkan/context.h"
#include "engine/backend/vulkan/encoder.h"

#include <vector>

namespace ergo::vulkan {

class Recorder {
  public:
    /// `indirect`: room for one VkDispatchIndirectCommand a dispatch, mapped. A segment of at most
    /// `segment_length` dispatches is one command buffer, between which a run can be cancelled.
    Recorder(Context& context, std::vector<Dispatch> dispatches, const Slice& indirect,
             std::size_t segment_length);

    /// Runs all segments and waits. Throws Error(cancelled) between segments.
    void replay(std::uint64_t rows, std::uint64_t keys, const CancelToken& cancel);

  private:
    VkCommandBuffer record(std::size_t begin, std::size_t end);

    Context& context_;
    std::vector<Dispatch> dispatches_;
    Slice indirect_;
    Timeline timeline_;
    std::vector<VkCommandBuffer> segments_;
};

} // namespace ergo::vulkan
