// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/encoder.h"

#include "engine/base/error.h"

#include <algorithm>

namespace ergo::vulkan {

namespace {

constexpr std::uint32_t last_row_out = 1u << 31;
constexpr std::uint32_t last_row_shares = 1u << 30;

bool any_of(const std::set<VkDeviceAddress>& some, const std::set<VkDeviceAddress>& others) {
    return std::any_of(some.begin(), some.end(), [&](VkDeviceAddress one) { return others.contains(one); });
}

} // namespace

std::uint32_t Groups::count(std::uint64_t rows, std::uint64_t keys) const {
    switch (of) {
    case Of::rows:
        return static_cast<std::uint32_t>((rows + size - 1) / size);
    case Of::keys: {
        const auto count = static_cast<std::uint32_t>((keys + size - 1) / size);
        return most ? std::min(count, most) : count;
    }
    default:
        return size;
    }
}

Encoder::Encoder(const DeviceTraits& device, const Plan& plan, Weights& weights, const SessionMemory& session,
                 VkDeviceAddress step, const std::vector<Slice>& buffers, Arena& arguments, Arena& scratch,
                 bool serialise, bool as_planned, const MatrixKernel* matrices)
    : device_(device), plan_(plan), weights_(weights), session_(session), step_(step), buffers_(buffers),
      arguments_(arguments), scratch_(scratch), serialise_(serialise), as_planned_(as_planned),
      matrices_(matrices) {}

void Encoder::begin(const Step& step) {
    current_ = step.ops.back();
    op_ = &plan_.ops[current_];
    use().guarded = static_cast<bool>(op_->when);
    use().name = plan_.ops[step.ops[0]].name;
    for (std::size_t i = 1; i < step.ops.size(); ++i) { // what differs from the first one's name
        const std::string &first = use().name, &name = plan_.ops[step.ops[i]].name;
        const std::size_t common = first.rfind('.', first.find(' '));
        const bool same =
            common != std::string::npos && name.compare(0, common + 1, first, 0, common + 1) == 0;
        use().name += " + " + (same ? name.substr(common + 1) : name);
    }
}

void Encoder::encode() {
    uses_.resize(plan_.ops.size());
    const std::vector<Step> steps =
        as_planned_ ? steps_as_planned(plan_)
                    : joined_steps(plan_, [this](WeightId id) { return weights_.matrix(id).stored; });
    for (const Step& step : steps) {
        begin(step);
        const Op& first = plan_.ops[step.ops[0]];
        if (!step.products.linears.empty()) {
            vulkan::encode(*this, step.products);
        } else if (!as_planned_ && !step.turns.all.empty()) {
            vulkan::encode(*this, step.turns);
        } else if (const auto* mix = std::get_if<Mix>(&first.body)) {
            vulkan::encode(*this, *mix, step.norm);
        } else if (const auto* depth = std::get_if<DepthRoute>(&first.body)) {
            vulkan::encode(*this, *depth, step.norm);
        } else {
            std::visit([&](const auto& body) { vulkan::encode(*this, body); }, first.body);
        }
    }
}

void Encoder::unsupported(const std::string& why) const {
    throw Error(ErrorKind::unsupported, "the Vulkan backend cannot run " + op_->name + ": " + why,
                {.code = "V-OP", .advice = "use the CPU backend"});
}

void Encoder::note(std::uint64_t resource, bool writes) {
    (writes ? writes_ : reads_).insert(resource);
}

VkDeviceAddress Encoder::peek(BufferId id) const {
    return id ? buffers_.at(static_cast<std::size_t>(id.index)).address : 0;
}

VkDeviceAddress Encoder::access(BufferId id, bool writes) {
    const VkDeviceAddress address = peek(id);
    if (id) {
        note(address, writes);
        const BufferInfo& buffer = plan_.buffers[static_cast<std::size_t>(id.index)];
        const auto bytes = static_cast<std::uint64_t>(buffer.width) * sizeof(float);
        OpUse uncounted;
        OpUse& used = counting_ ? use() : uncounted;
        (buffer.extent == BufferInfo::Extent::last_row    ? used.moved_fixed
         : buffer.extent == BufferInfo::Extent::rows_keys ? used.moved_a_row_key
                                                          : used.moved_a_row) += bytes;
    }
    return address;
}

VkDeviceAddress Encoder::access(StateId id, bool writes) {
    if (!id) {
        return 0;
    }
    const VkDeviceAddress address = session_.state(id).address;
    note(address, writes);
    if (counting_) {
        (writes ? use().moved_a_row : use().moved_a_key) += std::uint64_t{width(id)} * sizeof(float);
    }
    return address;
}

Slice Encoder::scratch(std::uint64_t bytes) {
    return scratch_.allocate(bytes, op_->name);
}

VkDeviceAddress Encoder::access_scratch(const Slice& slice, bool writes) {
    note(slice.address, writes);
    return slice.address;
}

Weights::Matrix Encoder::matrix(WeightId id) {
    const Weights::Matrix found = weights_.matrix(id);
    use().weight_bytes += found.bytes;
    return found;
}

VkDeviceAddress Encoder::floats(WeightId id) {
    if (!id) {
        return 0;
    }
    use().weight_bytes += weights_.matrix(id).bytes;
    return weights_.floats(id);
}

VkDeviceAddress Encoder::table(WeightId id) {
    return id ? weights_.floats(id) : 0;
}

std::uint32_t Encoder::param(ParamId id) const {
    return id ? session_.offset(id) : no_param;
}

std::uint32_t Encoder::param_rows(ParamId id, std::int64_t width) const {
    if (!id) {
        return 0;
    }
    const auto count = tables().params.at(static_cast<std::size_t>(id.index)).values.size();
    return static_cast<std::uint32_t>(count / static_cast<std::size_t>(width));
}

VkDeviceAddress Encoder::argument(std::span<const std::byte> bytes) {
    const Slice slice = arguments_.allocate(bytes.size(), op_->name);
    std::memcpy(slice.mapped, bytes.data(), bytes.size());
    return slice.address;
}

std::uint32_t Encoder::width(BufferId id) const {
    return static_cast<std::uint32_t>(plan_.buffers.at(static_cast<std::size_t>(id.index)).width);
}

std::uint32_t Encoder::width(StateId id) const {
    return static_cast<std::uint32_t>(tables().states.at(static_cast<std::size_t>(id.index)).width);
}

const Shape& Encoder::shape(WeightId id) const {
    return tables().weights.at(static_cast<std::size_t>(id.index)).tensor.shape();
}

bool Encoder::is_last_row(BufferId id) const {
    return id && plan_.buffers.at(static_cast<std::size_t>(id.index)).extent == BufferInfo::Extent::last_row;
}

void Encoder::read_rows_only(std::uint64_t bytes, std::int64_t rows) {
    use().weight_bytes -= bytes;
    use().bytes_a_row += rows > 0 ? bytes / static_cast<std::uint64_t>(rows) : 0;
}

Header Encoder::header(std::initializer_list<BufferId> buffers) {
    return header(std::vector<BufferId>(buffers));
}

Header Encoder::header(const std::vector<BufferId>& buffers) {
    Header made;
    made.step = step_;
    made.slot = static_cast<std::uint32_t>(current_);
    // validate() has seen to it that only an op of the last row reads buffers of the last row.
    const bool last = !buffers.empty() && is_last_row(buffers[0]);
    for (std::size_t i = 0; i < buffers.size(); ++i) {
        made.row_mask |= is_last_row(buffers[i]) ? 1u << i : 0;
    }
    made.row_mask |= last ? last_row_out : 0;
    if (op_->when) {
        made.row_mask |= is_last_row(op_->when.shares) ? last_row_shares : 0;
        made.shares = read(op_->when.shares);
        made.shares_width = width(op_->when.shares);
        made.path = static_cast<std::uint32_t>(op_->when.path);
    }
    return made;
}

Groups Encoder::row_groups(BufferId out, std::uint32_t per) const {
    return is_last_row(out) ? Groups::fixed(1) : Groups::rows(per);
}

void Encoder::add(Dispatch dispatch) {
    dispatch.op = static_cast<std::uint32_t>(current_);
    dispatch.waits = serialise_ || any_of(reads_, writes_since_) || any_of(writes_, writes_since_) ||
                     any_of(writes_, reads_since_);
    if (dispatch.waits) {
        reads_since_.clear();
        writes_since_.clear();
    }
    reads_since_.merge(reads_);
    writes_since_.merge(writes_);
    reads_.clear();
    writes_.clear();
    dispatches_.push_back(std::move(dispatch));
    counting_ = true;
}

} // namespace ergo::vulkan
