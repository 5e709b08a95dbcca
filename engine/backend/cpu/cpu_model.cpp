// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/cpu_model.h"

#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/packed_floats.h"
#include "engine/backend/cpu/quant_layout.h"
#include "engine/base/error.h"
#include "engine/base/mapping_guard.h"
#include "engine/tensor/halves.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>

namespace ergo::cpu {

namespace {

constexpr std::int64_t piece = 1 << 20; // elements between two looks at the cancel token

/// Fills `to` with the weight in the type it is run in, and returns that type.
DType copy_weight(const WeightInfo& weight, std::byte* to, const CancelToken& cancel) {
    const Tensor& tensor = weight.tensor;
    const DType type = run_type(weight);
    if (type != tensor.dtype() && type != DType::f32) {
        return give_as_halves(tensor, weight.run_as,
                              [&](std::int64_t first, std::span<const std::uint16_t> halves) {
                                  cancel.check();
                                  std::memcpy(to + first * 2, halves.data(), halves.size_bytes());
                              });
    }
    const std::size_t size = dtype_size(type);
    for (std::int64_t at = 0; at < tensor.size(); at += piece) {
        cancel.check();
        const auto count = static_cast<std::size_t>(std::min(piece, tensor.size() - at));
        std::byte* const here = to + static_cast<std::size_t>(at) * size;
        if (type == tensor.dtype()) {
            const auto from = tensor.bytes().subspan(static_cast<std::size_t>(at) * size, count * size);
            std::memcpy(here, from.data(), from.size());
            release_pages(from);
        } else {
            tensor.to_floats(at, {reinterpret_cast<float*>(here), count});
        }
    }
    return type;
}

// Beyond that reading them one by one takes as long as the bytes that packing saves.
constexpr std::size_t most_exceptions = 128; // 1 of so many weights

template <class T> void read_column(const std::byte* data, std::int64_t count, T* out) {
    const auto* from = reinterpret_cast<const T*>(data);
    for (std::int64_t i = 0; i < count; ++i) {
        out[i] = from[i * interleave];
    }
}

/// Gives the pages of rows [begin, end) of a tensor back.
void release_rows(const Tensor& tensor, std::int64_t rows, std::int64_t begin, std::int64_t end) {
    const auto bytes = tensor.bytes(); // row after row
    const std::size_t row = bytes.size() / static_cast<std::size_t>(std::max<std::int64_t>(1, rows));
    const auto at = [&](std::int64_t r) { return static_cast<std::size_t>(std::min(rows, r)) * row; };
    release_pages(bytes.subspan(at(begin), at(end) - at(begin)));
}

/// Rows of a matrix that come in pieces, given to `use` in groups: [count, inputs] of them.
class RowGroups {
  public:
    using Use = std::function<void(const std::byte* rows, std::int64_t count)>;
    RowGroups(std::int64_t inputs, Use use)
        : inputs_(inputs), use_(std::move(use)), group_(static_cast<std::size_t>(interleave * inputs)) {}

    void add(std::span<const std::uint16_t> halves) {
        while (!halves.empty()) {
            const std::size_t count = std::min(halves.size(), group_.size() - filled_);
            std::copy_n(halves.begin(), count, group_.begin() + static_cast<std::ptrdiff_t>(filled_));
            filled_ += count;
            halves = halves.subspan(count);
            if (filled_ == group_.size()) {
                finish();
            }
        }
    }
    /// What has come since the last whole group.
    void finish() {
        if (filled_ > 0) {
            use_(std::as_bytes(std::span(group_)).data(), static_cast<std::int64_t>(filled_) / inputs_);
            filled_ = 0;
        }
    }

  private:
    std::int64_t inputs_;
    Use use_;
    std::vector<std::uint16_t> group_; // [interleave, inputs]
    std::size_t filled_ = 0;
};

} // namespace

std::uint64_t CpuWeight::bytes() const {
    return packed ? static_cast<std::uint64_t>(packed_bytes(type, rows, columns))
                  : run_bytes(type, rows, columns);
}

LinearArgs args_of(const CpuWeight& weight) {
    LinearArgs args;
    args.weight = weight.data;
    args.type = weight.type;
    args.interleaved = weight.interleaved;
    args.packed = weight.packed;
    args.exceptions = weight.exceptions;
    args.extents = weight.extents;
    args.outputs = weight.rows;
    args.inputs = weight.columns;
    return args;
}

void CpuWeight::read_row(std::int64_t row, float* out) const {
    if (packed) {
        read_packed_row(type, data, exceptions, row, columns, out);
        return;
    }
    if (is_in_strips(type)) {
        unpack_row(data, type, row, {out, static_cast<std::size_t>(columns)});
        return;
    }
    const auto size = static_cast<std::int64_t>(dtype_size(type));
    if (!interleaved || row >= rows / interleave * interleave) {
        widen(type, data + row * columns * size, columns, out);
        return;
    }
    const std::byte* const first = data + (row / interleave * interleave * columns + row % interleave) * size;
    if (type == DType::f32) {
        read_column(first, columns, out);
        return;
    }
    constexpr std::int64_t some = 256;
    std::uint16_t halves[some];
    for (std::int64_t i = 0; i < columns; i += some) {
        const std::int64_t count = std::min(some, columns - i);
        read_column(first + i * interleave * size, count, halves);
        widen(type, halves, count, out + i);
    }
}

CpuWeight CpuModel::describe(const WeightInfo& info) const {
    const Tensor& tensor = info.tensor;
    if (!is_weight_type(tensor.dtype())) {
        throw Error(ErrorKind::unsupported,
                    "a tensor of type " + std::string(dtype_name(tensor.dtype())) +
                        " cannot be used as a weight",
                    {.code = {}, .file = {}, .offset = {}, .tensor = printable(info.name), .advice = {}});
    }
    CpuWeight weight;
    weight.data = tensor.bytes().data();
    weight.type = run_type(info);
    weight.inputs_rounded = info.run_as == DType::bf16 || info.run_as == DType::f16;
    weight.columns = tensor.shape().empty() ? 1 : tensor.shape().back();
    weight.rows = weight.columns > 0 ? tensor.size() / weight.columns : 0;
    return weight;
}

CpuModel::CpuModel(std::shared_ptr<const Tables> tables, std::uint64_t copy_limit, const Progress& progress,
                   const CancelToken& cancel, ThreadPool* pool)
    : tables_(std::move(tables)) {
    for (const WeightInfo& info : tables_->weights) {
        weights_.push_back(describe(info));
    }
    layout_ = lay_out(*tables_, copy_limit);
    copies_ = LazyMemory(layout_.copies, "the weights");
    copies_.prefer_large_pages();
    ThreadPool alone(1);
    copy_weights(progress, cancel, pool ? *pool : alone);
    interleave_matrices(cancel, pool ? *pool : alone);
    find_extents(cancel, pool ? *pool : alone);
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        const std::size_t original = layout_.places[i].original;
        weights_[i].data = weights_[original].data;
        weights_[i].type = weights_[original].type;
        weights_[i].interleaved = weights_[original].interleaved;
        weights_[i].packed = weights_[original].packed;
        weights_[i].exceptions = weights_[original].exceptions;
        weights_[i].extents = weights_[original].extents;
    }
    if (progress) {
        progress(1, 1, "weights");
    }
}

/// Part of the copying: a whole weight, strips [begin, end) of one in whole numbers, or groups of a packed
/// one.
struct CpuModel::Piece {
    std::size_t weight = 0;
    std::int64_t begin = 0, end = 0;
    std::uint64_t bytes = 0;
    std::vector<std::uint32_t> exceptions{}; ///< of its groups
};

std::vector<CpuModel::Piece> CpuModel::pieces() const {
    std::vector<Piece> pieces;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        const WeightLayout::Place& place = layout_.places[i];
        const CpuWeight& weight = weights_[i];
        if (!place.copied) {
            continue;
        }
        if (!is_in_strips(weight.type) && !place.packed) {
            pieces.push_back({i, 0, 0, place.bytes});
            continue;
        }
        // What has to be converted first comes in one stream.
        const bool whole =
            place.packed && weight.type == DType::bf16 && tables_->weights[i].tensor.dtype() != DType::bf16;
        const std::int64_t units = place.packed ? packed_groups(weight.rows) : strips_of(weight.rows);
        const std::int64_t outputs = place.packed ? interleave : strip_outputs;
        const std::int64_t step =
            whole ? units
                  : std::max<std::int64_t>(1, piece / (outputs * std::max<std::int64_t>(1, weight.columns)));
        for (std::int64_t u = 0; u < units; u += step) {
            const std::int64_t end = std::min(u + step, units);
            pieces.push_back(
                {i, u, end,
                 place.bytes / static_cast<std::uint64_t>(units) * static_cast<std::uint64_t>(end - u)});
        }
    }
    return pieces;
}

bool CpuModel::has_too_many_exceptions(std::size_t index) const {
    const CpuWeight& weight = weights_[index];
    return packing_.at(index).count >
           static_cast<std::size_t>(weight.rows * weight.columns) / most_exceptions;
}

void CpuModel::pack_piece(Piece& piece, const CancelToken& cancel) {
    const WeightInfo& info = tables_->weights[piece.weight];
    const CpuWeight& weight = weights_[piece.weight];
    Packing& packing = packing_.at(piece.weight);
    std::int64_t group = piece.begin;
    const auto pack = [&](const std::byte* rows, std::int64_t count) {
        cancel.check();
        if (!has_too_many_exceptions(piece.weight)) { // else a list that nobody wants would grow
            const std::size_t before = piece.exceptions.size();
            pack_group(weight.type, rows, count, weight.columns,
                       place_of(piece.weight) + group * packed_group_bytes(weight.type, weight.columns),
                       piece.exceptions);
            packing.count += piece.exceptions.size() - before;
        }
        ++group;
    };
    if (weight.type == DType::bf16 && info.tensor.dtype() != DType::bf16) {
        RowGroups groups(weight.columns, pack);
        give_as_halves(info.tensor, info.run_as,
                       [&](std::int64_t, std::span<const std::uint16_t> halves) { groups.add(halves); });
        groups.finish();
        release_pages(info.tensor.bytes());
        return;
    }
    const auto row = weight.columns * static_cast<std::int64_t>(dtype_size(weight.type)); // bytes
    const bool converted = info.tensor.dtype() != weight.type;
    std::vector<float> floats(static_cast<std::size_t>(converted ? interleave * weight.columns : 0));
    while (group < piece.end) {
        const std::int64_t first = group * interleave, count = std::min(interleave, weight.rows - first);
        const std::byte* rows = reinterpret_cast<const std::byte*>(floats.data());
        if (converted) {
            info.tensor.to_floats(first * weight.columns,
                                  std::span(floats).first(static_cast<std::size_t>(count * weight.columns)));
        } else {
            rows = info.tensor.bytes().data() + first * row;
        }
        pack(rows, count);
    }
    release_rows(info.tensor, weight.rows, piece.begin * interleave, piece.end * interleave);
}

std::byte* CpuModel::place_of(std::size_t index) const {
    const auto apart = unpacked_.find(index);
    return apart == unpacked_.end() ? copies_.data() + layout_.places[index].offset : apart->second.data();
}

void CpuModel::copy_piece(Piece& piece, const CancelToken& cancel) {
    const WeightInfo& info = tables_->weights[piece.weight];
    CpuWeight& weight = weights_[piece.weight];
    std::byte* const to = place_of(piece.weight);
    if (layout_.places[piece.weight].packed) {
        pack_piece(piece, cancel);
        return;
    }
    if (!is_in_strips(weight.type)) {
        weight.type = copy_weight(info, to, cancel);
        release_pages(info.tensor.bytes());
        return;
    }
    for (std::int64_t s = piece.begin; s < piece.end; ++s) {
        if (s % 16 == 0) {
            cancel.check();
        }
        try {
            pack_strip(info.tensor, weight.type, s, to + s * strip_bytes(weight.type, weight.columns));
        } catch (const Error& error) { // only here is it known which tensor it is
            ErrorWhere where = error.where();
            where.tensor = printable(info.name);
            throw Error(error.kind(), error.message(), where);
        }
    }
    release_rows(info.tensor, weight.rows, piece.begin * strip_outputs, piece.end * strip_outputs);
}

/// Of each packed weight one list, in order of its groups.
void CpuModel::collect_exceptions(std::span<const Piece> pieces, const CancelToken& cancel) {
    for (const Piece& piece : pieces) {
        if (!layout_.places[piece.weight].packed || has_too_many_exceptions(piece.weight)) {
            continue;
        }
        const CpuWeight& weight = weights_[piece.weight];
        std::vector<std::uint32_t>& list = packing_.at(piece.weight).exceptions;
        for (std::int64_t g = piece.begin; g < piece.end && !list.empty(); ++g) {
            move_exceptions(weight.type,
                            place_of(piece.weight) + g * packed_group_bytes(weight.type, weight.columns),
                            weight.columns, static_cast<std::uint32_t>(list.size()));
        }
        list.insert(list.end(), piece.exceptions.begin(), piece.exceptions.end());
    }
    for (const auto& [index, packing] : packing_) {
        if (has_too_many_exceptions(index)) {
            keep_unpacked(index, cancel);
        } else {
            weights_[index].packed = true;
            weights_[index].exceptions = packing.exceptions.data();
        }
    }
}

/// A weight whose numbers are too different to be packed gets as much memory as others have.
void CpuModel::keep_unpacked(std::size_t index, const CancelToken& cancel) {
    CpuWeight& weight = weights_[index];
    WeightLayout::Place& place = layout_.places[index];
    copies_.give_back(place.offset, place.bytes);
    place.packed = false;
    layout_.used += weight.bytes() - place.bytes;
    place.bytes = weight.bytes();
    LazyMemory& memory = unpacked_[index] = LazyMemory(place.bytes, "the weights");
    memory.prefer_large_pages();
    weight.type = copy_weight(tables_->weights[index], memory.data(), cancel);
    release_pages(tables_->weights[index].tensor.bytes());
}

void CpuModel::copy_weights(const Progress& progress, const CancelToken& cancel, ThreadPool& pool) {
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        if (layout_.places[i].original == i && layout_.places[i].packed) {
            packing_[i];
        }
    }
    std::vector<Piece> all = pieces();
    std::atomic<std::uint64_t> done{0};
    const auto copy = [&](std::int64_t begin, std::int64_t end, int worker) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
            cancel.check();
            copy_piece(all[i], cancel);
            done += all[i].bytes;
            if (progress && worker == 0) { // the thread that is promised to call it
                progress(static_cast<double>(done), static_cast<double>(layout_.copies) + 1, "weights");
            }
        }
    };
    pool.parallel_for(static_cast<std::int64_t>(all.size()), 1, copy);
    collect_exceptions(all, cancel);
    for (const Piece& each : all) {
        weights_[each.weight].data = place_of(each.weight);
    }
}

void CpuModel::interleave_matrices(const CancelToken& cancel, ThreadPool& pool) {
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        const WeightLayout::Place& place = layout_.places[i];
        if (place.original != i || !place.interleaved || place.packed) {
            continue;
        }
        CpuWeight& weight = weights_[i];
        std::byte* const data = place_of(i);
        pool.parallel_for(weight.rows / interleave, 8, [&](std::int64_t begin, std::int64_t end, int) {
            cancel.check();
            interleave_groups(weight.type, weight.columns, begin, end, data);
        });
        weight.interleaved = true;
    }
}

void CpuModel::find_extents(const CancelToken& cancel, ThreadPool& pool) {
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        const std::int64_t floats = extent_floats(tables_->weights[i], layout_.places[i]);
        CpuWeight& weight = weights_[i];
        if (layout_.places[i].original != i || floats == 0) {
            continue;
        }
        AlignedFloats& extents = extents_[i];
        extents.resize(static_cast<std::size_t>(floats));
        const LinearArgs args = args_of(weight);
        pool.parallel_for(
            (weight.rows + interleave - 1) / interleave, 8, [&](std::int64_t begin, std::int64_t end, int) {
                cancel.check();
                crossed_word_pairs()->extents(args, begin * interleave,
                                              std::min(end * interleave, weight.rows), extents.data());
            });
        weight.extents = extents.data();
    }
}

MemoryNeed CpuModel::taken() const {
    MemoryNeed taken;
    taken.weights = copies_.bytes() + made_bytes(*tables_, layout_);
    for (const auto& [index, packing] : packing_) {
        taken.weights += packing.exceptions.size() * sizeof(std::uint32_t);
    }
    for (const auto& [index, memory] : unpacked_) {
        taken.weights += memory.bytes();
    }
    for (const auto& [index, extents] : extents_) {
        taken.weights += extents.size() * sizeof(float);
    }
    taken.in_place = layout_.in_place;
    const std::lock_guard lock(mutex_);
    for (const auto& [index, wide] : widened_) {
        taken.weights += wide.size() * sizeof(float);
    }
    return taken;
}

const float* CpuModel::floats(WeightId id) const {
    if (!id) {
        return nullptr;
    }
    const CpuWeight& from = weight(id);
    if (from.type == DType::f32 && !from.interleaved && !from.packed) {
        return reinterpret_cast<const float*>(from.data);
    }
    const std::lock_guard lock(mutex_);
    std::vector<float>& wide = widened_[id.index];
    if (wide.empty()) {
        wide.resize(static_cast<std::size_t>(from.rows * from.columns));
        for (std::int64_t row = 0; row < from.rows; ++row) {
            from.read_row(row, wide.data() + row * from.columns);
        }
    }
    return wide.data();
}

} // namespace ergo::cpu
