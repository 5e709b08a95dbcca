// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/weights.h"

#include "engine/backend/vulkan/grouped_layout.h"
#include "engine/base/error.h"
#include "engine/base/mapping_guard.h"
#include "engine/tensor/halves.h"

#include <algorithm>
#include <limits>

namespace ergo::vulkan {

namespace {

/// Rows of a matrix that are packed and uploaded at a time.
std::int64_t rows_a_piece(DType form, std::int64_t inputs) {
    constexpr std::uint64_t piece = std::uint64_t{4} << 20; // bytes: short enough to be cancelled between
    const std::uint64_t row = static_cast<std::uint64_t>(groups_of(inputs)) * group_number_bytes(form);
    return static_cast<std::int64_t>(std::max<std::uint64_t>(1, piece / row));
}

} // namespace

Stored stored_as(const WeightInfo& weight) {
    if (const auto form = weight.grouped()) {
        return form == DType::q8 ? Stored::q8 : Stored::q4;
    }
    switch (float_type(weight.type())) {
    case DType::f32:
        return Stored::f32;
    case DType::bf16:
        return Stored::bf16;
    case DType::f16:
        return Stored::f16;
    default:
        throw Error(ErrorKind::unsupported,
                    "a weight of type " + std::string(dtype_name(weight.tensor.dtype())) + " cannot be used",
                    {.tensor = weight.name, .advice = "weights are f32, f64, f16, bf16 or quantised"});
    }
}

std::uint64_t stored_bytes(const WeightInfo& weight) {
    const auto count = static_cast<std::uint64_t>(weight.tensor.size());
    // Kernels index a matrix with 32 bits.
    if (count > std::numeric_limits<std::uint32_t>::max()) {
        throw Error(ErrorKind::unsupported,
                    "a weight of " + std::to_string(count) +
                        " elements is larger than the Vulkan backend can address",
                    {.tensor = weight.name, .advice = "use the CPU backend"});
    }
    if (const auto form = weight.grouped()) {
        return grouped_bytes(*form, weight.tensor.shape()[0], weight.tensor.shape()[1]);
    }
    return count * (stored_as(weight) == Stored::f32 ? 4 : 2);
}

Weights::Weights(const Device& device, std::shared_ptr<const Tables> tables, const Progress& progress,
                 const CancelToken& cancel)
    : tables_(std::move(tables)), arena_(device, Placement::device), transfer_(device) {
    for (const WeightInfo& weight : tables_->weights) {
        bytes_ += stored_bytes(weight);
    }
    const DeviceInfo& info = device.traits().info;
    if (bytes_ > info.memory_bytes) {
        throw Error(ErrorKind::resources,
                    "the weights need " + std::to_string(bytes_ >> 20) + " MiB, " + info.name + " has " +
                        std::to_string(info.memory_bytes >> 20) + " MiB",
                    {.code = "V-MEMORY", .advice = "use the CPU backend"});
    }
    ThreadPool pool(ThreadPool::physical_cores());
    std::uint64_t done = 0;
    for (const WeightInfo& weight : tables_->weights) {
        Entry entry{arena_.allocate(stored_bytes(weight), weight.name), stored_as(weight)};
        const auto between = [&](std::uint64_t part) {
            cancel.check();
            if (progress) {
                progress(static_cast<double>(done + part), static_cast<double>(bytes_), "weights");
            }
        };
        upload(weight, entry, pool, between);
        release_pages(weight.tensor.bytes()); // the device has them
        done += entry.slice.size;
        entries_.push_back(entry);
    }
}

void Weights::upload(const WeightInfo& weight, Entry& entry, ThreadPool& pool, const Between& between) {
    const DType stored = weight.tensor.dtype();
    if (weight.grouped()) {
        upload_grouped(weight, entry.slice, pool, between);
    } else if (entry.stored == Stored::f32 && stored != DType::f32) {
        const auto values = weight.tensor.to_floats();
        transfer_.upload(entry.slice, 0, std::as_bytes(std::span(values)), between);
    } else if (is_quantised(stored) || weight.type() != stored) {
        const DType type = give_as_halves(weight.tensor, weight.run_as, [&](std::int64_t first, auto halves) {
            const auto at = static_cast<std::uint64_t>(first) * sizeof halves[0];
            transfer_.upload(entry.slice, at, std::as_bytes(halves));
            between(at + halves.size_bytes());
        });
        entry.stored = type == DType::bf16 ? Stored::bf16 : Stored::f16;
    } else {
        transfer_.upload(entry.slice, 0, weight.tensor.bytes(), between);
    }
}

/// Rounding takes long: rows are shared out among all cores.
void Weights::upload_grouped(const WeightInfo& weight, const Slice& slice, ThreadPool& pool,
                             const Between& between) {
    const DType form = *weight.grouped();
    const std::int64_t outputs = weight.tensor.shape()[0], inputs = weight.tensor.shape()[1];
    const auto groups = static_cast<std::uint64_t>(groups_of(inputs));
    const std::uint64_t number_row = groups * group_number_bytes(form),
                        scale_row = groups * group_scale_bytes(form);
    const std::uint64_t behind = static_cast<std::uint64_t>(outputs) * number_row;
    const std::int64_t most = std::min(outputs, rows_a_piece(form, inputs));
    std::vector<std::byte> numbers(static_cast<std::size_t>(most) * number_row);
    std::vector<std::byte> scales(slice.size - behind); // the arena's slice ends with padding
    for (std::int64_t first = 0; first < outputs; first += most) {
        const std::int64_t count = std::min(most, outputs - first);
        const std::span<std::byte> own =
            std::span(scales).subspan(static_cast<std::size_t>(first) * scale_row);
        pool.parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end, int) {
            const auto from = static_cast<std::size_t>(begin), rows = static_cast<std::size_t>(end - begin);
            try {
                pack_rows(weight.tensor, form, first + begin, end - begin,
                          std::span(numbers).subspan(from * number_row, rows * number_row),
                          own.subspan(from * scale_row, rows * scale_row));
            } catch (const Error& error) { // only here is it known which tensor it is
                ErrorWhere where = error.where();
                where.tensor = printable(weight.name);
                throw Error(error.kind(), error.message(), where);
            }
        });
        const std::uint64_t at = static_cast<std::uint64_t>(first) * number_row;
        transfer_.upload(slice, at, std::span(numbers).first(static_cast<std::size_t>(count) * number_row));
        between(at + static_cast<std::uint64_t>(count) * number_row);
    }
    transfer_.upload(slice, behind, scales);
}

Weights::Matrix Weights::matrix(WeightId id) const {
    const Entry& entry = entries_.at(static_cast<std::size_t>(id.index));
    return {entry.slice.address, entry.stored, entry.slice.size};
}

VkDeviceAddress Weights::floats(WeightId id) {
    const Entry& entry = entries_.at(static_cast<std::size_t>(id.index));
    if (entry.stored == Stored::f32) {
        return entry.slice.address;
    }
    const std::lock_guard lock(mutex_);
    const auto found = copies_.find(id.index);
    if (found != copies_.end()) {
        return found->second.address;
    }
    const WeightInfo& weight = tables_->weights[static_cast<std::size_t>(id.index)];
    const auto values = weight.values();
    const Slice slice = arena_.allocate(values.size() * sizeof(float), weight.name);
    transfer_.upload(slice, 0, std::as_bytes(std::span(values)));
    return copies_.emplace(id.index, slice).first->second.address;
}

} // namespace ergo::vulkan
