// SPDX-License-Identifier: GPL-3.0-or-later
// What a step of one row shows its readers, kept aside so that the next step may begin before anybody has
// looked. Two steps deep: behind a step its taps are copied into one of two places on the device, and from
// there, where the host cannot read the device's memory, by the copy queue to the host. The device orders all
// of it by semaphores; the host waits for nothing but what it reads. Owned by a program, used by its thread.
#pragma once

#include "engine/backend/vulkan/memory.h"

#include <array>
#include <optional>
#include <span>
#include <vector>

namespace ergo::vulkan {

/// Buffers of `plan` that are kept aside, each once, in their order; none unless its steps have one row.
std::vector<BufferId> kept_taps(const Plan& plan);
/// Device memory that a program of `plan` needs for it.
std::uint64_t tap_copy_bytes(const Plan& plan, std::int64_t capacity);

class TapCopies {
  public:
    /// `buffers`: the program's, one a plan buffer.
    TapCopies(const Device& device, const Plan& plan, const std::vector<Slice>& buffers,
              std::int64_t capacity);
    ~TapCopies();
    TapCopies(TapCopies&&) = delete;

    /// Behind what has been given to the compute queue so far: keeps the taps of step `number`, which saw
    /// `keys` keys, in place of those of step number - 2.
    void keep(std::uint64_t number, std::int64_t keys);
    /// A tap of step `number`, the last that was kept or the one before; waits until it has arrived. Valid
    /// until step number + 2 is kept.
    std::span<const float> read(std::uint64_t number, BufferId tap);
    std::uint64_t allocated() const { return outbox_.allocated(); }

  private:
    struct Tap {
        BufferId buffer;
        const Slice* from = nullptr;
        std::uint64_t offset = 0; // in a place
    };
    struct Place {
        Slice device, host; // host: unless the device's is mapped
        VkCommandBuffer gather = VK_NULL_HANDLE, deliver = VK_NULL_HANDLE;
        std::uint64_t gathered = 0, delivered = 0; // when: on the two timelines
        std::uint64_t number = 0;
        std::int64_t keys = 0;
    };
    void record(VkCommandBuffer commands, const Place& place, bool deliver) const;
    std::uint64_t bytes(const Tap& tap, std::int64_t keys) const;
    Place& place(std::uint64_t number) { return places_[number % places_.size()]; }

    const Device& device_;
    const Plan& plan_;
    std::vector<Tap> taps_;
    Arena outbox_, inbox_;
    std::array<Place, 2> places_;
    Timeline gathers_, deliveries_; // last: whoever goes first waits for what runs
};

} // namespace ergo::vulkan
