// SPDX-License-Identifier: GPL-3.0-or-later
// From a plan to dispatches: addresses of buffers, weights and states, groups, and which dispatches must wait
// for earlier ones. One encoder a plan; used by the thread that prepares it.
#pragma once

#include "engine/backend/vulkan/fusion.h"
#include "engine/backend/vulkan/matrices.h"
#include "engine/backend/vulkan/memory.h"
#include "engine/backend/vulkan/pipelines.h"
#include "engine/backend/vulkan/session_memory.h"
#include "engine/backend/vulkan/weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

namespace ergo::vulkan {

/// The first bytes of every kernel's push constants. Mirrors Header in shaders/common.glsl.
struct Header {
    VkDeviceAddress step = 0;
    VkDeviceAddress shares = 0;
    std::uint32_t shares_width = 0, path = 0, row_mask = 0, slot = 0;
};

/// Offset of a parameter that is not there. Mirrors NONE in shaders/common.glsl.
inline constexpr std::uint32_t no_param = 0xffffffffu;

/// Workgroups along one axis: fixed, or one for every `size` rows of the step or keys in the state.
struct Groups {
    enum class Of : std::uint8_t { fixed, rows, keys };
    Of of = Of::fixed;
    std::uint32_t size = 1;
    std::uint32_t most = 0; ///< groups at most; 0: any number

    static Groups fixed(std::uint64_t count) { return {Of::fixed, static_cast<std::uint32_t>(count)}; }
    /// Enough for `count` items of `per` a group.
    static Groups cover(std::uint64_t count, std::uint32_t per) { return fixed((count + per - 1) / per); }
    static Groups rows(std::uint32_t per = 1) { return {Of::rows, per}; }
    static Groups keys(std::uint32_t per, std::uint32_t most = 0) { return {Of::keys, per, most}; }
    std::uint32_t count(std::uint64_t rows, std::uint64_t keys) const;
};

struct Dispatch {
    std::string shader;
    std::vector<std::uint32_t> constants;
    std::array<std::byte, push_bytes> push{};
    std::array<Groups, 3> groups;
    bool waits = false;   ///< reads or overwrites what an earlier dispatch since the last wait touched
    std::uint32_t op = 0; ///< of the plan: the last one of its step
};

/// What the ops of a step read and write, for the counters.
struct OpUse {
    std::string name;                   ///< of the ops
    std::uint64_t operations_a_row = 0; ///< of products: a multiplication and an addition are two
    bool last_row = false;              ///< works on one row whatever the step has
    std::uint64_t weight_bytes = 0;     ///< when the op runs
    std::uint64_t bytes_a_row = 0;      ///< of weights, for each row of the step
    std::uint64_t moved_fixed = 0;      ///< of buffers and states: when the op runs
    std::uint64_t moved_a_row = 0;      ///< for each row of the step
    std::uint64_t moved_a_key = 0;      ///< for each position that the step looks at
    std::uint64_t moved_a_row_key = 0;  ///< for each pair of them
    std::uint64_t keys_seen = 0;        ///< positions that a row looks back to at most; 0: all
    bool guarded = false;               ///< counted only where the kernel noted its use

    std::uint64_t weights_read(std::uint64_t rows) const { return weight_bytes + bytes_a_row * rows; }
    std::uint64_t moved(std::uint64_t rows, std::uint64_t keys) const {
        const std::uint64_t seen = keys_seen ? std::min(keys, keys_seen + rows - 1) : keys;
        return weights_read(rows) + moved_fixed + moved_a_row * rows + moved_a_key * seen +
               moved_a_row_key * rows * keys;
    }
};

/// Does anyone read rows of this attention?
bool is_captured(const RowRequest& rows);
/// Memory in which an attention leaves what its row kernels go on from.
std::uint64_t capture_state_bytes(std::int64_t max_rows, std::int32_t heads);
class Encoder {
  public:
    /// `step`: address of the program's StepHeader; `buffers`: one slice a plan buffer; `arguments`,
    /// `scratch`: arenas of the program.
    /// `serialise`: every dispatch waits for the one before. `as_planned`: one dispatch an op where possible.
    /// `matrices`: as VulkanProgram.
    Encoder(const DeviceTraits& device, const Plan& plan, Weights& weights, const SessionMemory& session,
            VkDeviceAddress step, const std::vector<Slice>& buffers, Arena& arguments, Arena& scratch,
            bool serialise, bool as_planned, const MatrixKernel* matrices);

    /// Encodes all ops. Throws Error(unsupported) naming the op it cannot encode.
    void encode();

    const std::vector<Dispatch>& dispatches() const { return dispatches_; }
    /// One an op of the plan. What a step of several ops uses stands at the last of them.
    const std::vector<OpUse>& uses() const { return uses_; }

    // For the ops. Every read() and write() notes an access of the next dispatch.
    VkDeviceAddress read(BufferId id) { return access(id, false); }
    VkDeviceAddress write(BufferId id) { return access(id, true); }
    /// The address alone, for a dispatch that notes the access itself.
    VkDeviceAddress peek(BufferId id) const;
    VkDeviceAddress read(StateId id) { return access(id, false); }
    /// The next dispatch moves nothing that is not counted already.
    void counted_before() { counting_ = false; }
    /// Of the states it reads, a row of the op looks at the last `count` positions at most.
    void looks_back(std::uint64_t count) { use().keys_seen = count; }
    VkDeviceAddress write(StateId id) { return access(id, true); }
    /// Memory of the program for this op, uninitialised.
    Slice scratch(std::uint64_t bytes);
    VkDeviceAddress access_scratch(const Slice& slice, bool writes);
    Weights::Matrix matrix(WeightId id);
    Stored stored(WeightId id) const { return weights_.matrix(id).stored; }
    VkDeviceAddress floats(WeightId id);
    VkDeviceAddress table(WeightId id); ///< a rotation table, of which a step reads next to nothing
    std::uint32_t param(ParamId id) const;
    std::uint32_t param_rows(ParamId id, std::int64_t width) const; ///< rows of `width` values; 0 for none
    /// Constant data for a kernel.
    VkDeviceAddress argument(std::span<const std::byte> bytes);

    const DeviceTraits& device() const { return device_; }
    const Plan& plan() const { return plan_; }
    bool as_planned() const { return as_planned_; }
    const MatrixKernel* matrices() const { return matrices_; }
    std::int64_t capacity() const { return session_.capacity(); }
    const Tables& tables() const { return weights_.tables(); }
    std::uint32_t width(BufferId id) const;
    std::uint32_t width(StateId id) const;
    const Shape& shape(WeightId id) const;
    bool is_last_row(BufferId id) const;
    /// The op reads one of the `rows` rows of its weights for each row of the step.
    void read_rows_only(std::uint64_t bytes, std::int64_t rows);

    /// The header of the current op; buffers in the order of the kernel's row_in() numbers, the output first.
    /// An op that writes a state has no output buffer.
    Header header(std::initializer_list<BufferId> buffers);
    Header header(const std::vector<BufferId>& buffers);
    /// Groups for the rows of an op whose output is `out`.
    Groups row_groups(BufferId out, std::uint32_t per = 1) const;
    [[noreturn]] void unsupported(const std::string& why) const;

    template <class Push>
    void dispatch(const char* shader, std::vector<std::uint32_t> constants, const Push& push,
                  std::array<Groups, 3> groups) {
        static_assert(sizeof(Push) <= push_bytes);
        Dispatch made{shader, std::move(constants), {}, groups, false};
        std::memcpy(made.push.data(), &push, sizeof(Push));
        add(std::move(made));
    }

    OpUse& use() { return uses_[current_]; }

  private:
    void begin(const Step& step);
    VkDeviceAddress access(BufferId id, bool writes);
    VkDeviceAddress access(StateId id, bool writes);
    void note(std::uint64_t resource, bool writes);
    void add(Dispatch dispatch);

    const DeviceTraits& device_;
    const Plan& plan_;
    Weights& weights_;
    const SessionMemory& session_;
    VkDeviceAddress step_;
    const std::vector<Slice>& buffers_;
    Arena& arguments_;
    Arena& scratch_;
    bool serialise_, as_planned_, counting_ = true;
    const MatrixKernel* matrices_;
    const Op* op_ = nullptr;
    std::size_t current_ = 0; // in the plan
    std::vector<Dispatch> dispatches_;
    std::vector<OpUse> uses_;
    // Addresses touched by the dispatch being made, and by those since the last wait.
    std::set<VkDeviceAddress> reads_, writes_, reads_since_, writes_since_;
};

// The ops, in ops_rows.cpp, ops_paths.cpp and ops_attention.cpp, and steps of several, in ops_products.cpp
// and ops_turns.cpp.
void encode(Encoder& encoder, const Products& products);
void encode(Encoder& encoder, const Turns& turns);
/// `norm` of what the op writes.
void encode(Encoder& encoder, const Mix& op, const Norm* norm = nullptr);
void encode(Encoder& encoder, const DepthRoute& op, const Norm* norm = nullptr);
/// The ball distances of keys that were written.
void encode_balls(Encoder& encoder, const AppendKeyValue& op);
void encode(Encoder& encoder, const Embed& op);
void encode(Encoder& encoder, const Norm& op);
void encode(Encoder& encoder, const Linear& op);
void encode(Encoder& encoder, const Gate& op);
void encode(Encoder& encoder, const Append& op);
void encode(Encoder& encoder, const Convolution& op);
void encode(Encoder& encoder, const Rotate& op);
void encode(Encoder& encoder, const AppendKeyValue& op);
void encode(Encoder& encoder, const Attention& op);
void encode(Encoder& encoder, const KeptShare& op);
void encode(Encoder& encoder, const Route& op);
void encode(Encoder& encoder, const SumLogits& op);

} // namespace ergo::vulkan
