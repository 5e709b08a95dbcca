// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/cpu_model.h"

#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/quant_layout.h"
#include "engine/base/error.h"
#include "engine/base/mapping_guard.h"
#include "engine/tensor/halves.h"

#include <algorithm>
#include <atomic>
#include <cstring>

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

/// A copied matrix that products read, as far as one can tell from its shape: a convolution's filters are
/// narrower, and tables that the model worked out itself are read row by row. A wrong guess costs time, never
/// a result.
bool is_product_matrix(const WeightInfo& weight) {
    const Shape& shape = weight.tensor.shape();
    return shape.size() == 2 && shape[0] >= interleave && shape[1] >= 16 && !weight.tensor.is_made() &&
           !weight.whole_numbers();
}

template <class T> void read_column(const std::byte* data, std::int64_t count, T* out) {
    const auto* from = reinterpret_cast<const T*>(data);
    for (std::int64_t i = 0; i < count; ++i) {
        out[i] = from[i * interleave];
    }
}

} // namespace

void CpuWeight::read_row(std::int64_t row, float* out) const {
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
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        const std::size_t original = layout_.places[i].original;
        weights_[i].data = weights_[original].data;
        weights_[i].type = weights_[original].type;
        weights_[i].interleaved = weights_[original].interleaved;
    }
    if (progress) {
        progress(1, 1, "weights");
    }
}

/// Part of the copying: a whole weight, or strips [begin, end) of one in whole numbers.
struct CpuModel::Piece {
    std::size_t weight = 0;
    std::int64_t begin = 0, end = 0;
    std::uint64_t bytes = 0;
};

std::vector<CpuModel::Piece> CpuModel::pieces() const {
    std::vector<Piece> pieces;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        const WeightLayout::Place& place = layout_.places[i];
        const CpuWeight& weight = weights_[i];
        if (!place.copied) {
            continue;
        }
        if (!is_in_strips(weight.type)) {
            pieces.push_back({i, 0, 0, place.bytes});
            continue;
        }
        const std::int64_t strips = strips_of(weight.rows);
        const std::int64_t step =
            std::max<std::int64_t>(1, piece / (strip_outputs * std::max<std::int64_t>(1, weight.columns)));
        for (std::int64_t s = 0; s < strips; s += step) {
            const std::int64_t end = std::min(s + step, strips);
            pieces.push_back(
                {i, s, end,
                 static_cast<std::uint64_t>((end - s) * strip_bytes(weight.type, weight.columns))});
        }
    }
    return pieces;
}

void CpuModel::copy_piece(const Piece& piece, const CancelToken& cancel) {
    const WeightInfo& info = tables_->weights[piece.weight];
    CpuWeight& weight = weights_[piece.weight];
    std::byte* const to = copies_.data() + layout_.places[piece.weight].offset;
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
    const auto numbers = info.tensor.bytes(); // row after row
    const auto rows = static_cast<std::size_t>(std::max<std::int64_t>(1, weight.rows));
    const auto row_at = [&](std::int64_t strip) {
        return std::min(rows, static_cast<std::size_t>(strip * strip_outputs)) * (numbers.size() / rows);
    };
    release_pages(numbers.subspan(row_at(piece.begin), row_at(piece.end) - row_at(piece.begin)));
}

void CpuModel::copy_weights(const Progress& progress, const CancelToken& cancel, ThreadPool& pool) {
    const std::vector<Piece> all = pieces();
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
    for (const Piece& each : all) {
        weights_[each.weight].data = copies_.data() + layout_.places[each.weight].offset;
    }
}

// Whether a weight's memory also serves one that is cut into rows differently.
bool CpuModel::has_another_shape(std::size_t index) const {
    for (std::size_t i = index + 1; i < weights_.size(); ++i) {
        if (layout_.places[i].original == index && weights_[i].columns != weights_[index].columns) {
            return true;
        }
    }
    return false;
}

void CpuModel::interleave_matrices(const CancelToken& cancel, ThreadPool& pool) {
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        CpuWeight& weight = weights_[i];
        if (!layout_.places[i].copied || !is_product_matrix(tables_->weights[i]) || has_another_shape(i)) {
            continue;
        }
        std::byte* const data = copies_.data() + layout_.places[i].offset;
        pool.parallel_for(weight.rows / interleave, 8, [&](std::int64_t begin, std::int64_t end, int) {
            cancel.check();
            interleave_groups(weight.type, weight.columns, begin, end, data);
        });
        weight.interleaved = true;
    }
}

MemoryNeed CpuModel::taken() const {
    MemoryNeed taken;
    taken.weights = copies_.bytes() + made_bytes(*tables_, layout_);
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
    if (from.type == DType::f32 && !from.interleaved) {
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
