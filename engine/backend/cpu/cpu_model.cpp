// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/cpu_model.h"

#include "engine/backend/cpu/kernels.h"
#include "engine/base/error.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

namespace ergo::cpu {

namespace {

constexpr std::size_t line = 64;        // bytes
constexpr std::size_t piece = 16 << 20; // bytes copied between two looks at the cancel token

std::size_t rounded(std::size_t bytes) {
    return (bytes + line - 1) / line * line;
}

using Place = std::tuple<const std::byte*, std::size_t, DType>;
Place place_of(const Tensor& tensor) {
    return {tensor.bytes().data(), tensor.bytes().size(), tensor.dtype()};
}

bool must_copy(const Tensor& tensor) {
    const auto address = reinterpret_cast<std::uintptr_t>(tensor.bytes().data());
    return tensor.dtype() == DType::f64 || address % dtype_size(tensor.dtype()) != 0;
}

void copy_as_float(std::span<const std::byte> from, std::byte* to) {
    for (std::size_t i = 0; i < from.size() / sizeof(double); ++i) {
        double value;
        std::memcpy(&value, from.data() + i * sizeof value, sizeof value);
        const auto single = static_cast<float>(value);
        std::memcpy(to + i * sizeof single, &single, sizeof single);
    }
}

} // namespace

CpuWeight CpuModel::describe(const WeightInfo& info) const {
    const Tensor& tensor = info.tensor;
    if (!is_float(tensor.dtype())) {
        throw Error(ErrorKind::unsupported,
                    "a tensor of type " + std::string(dtype_name(tensor.dtype())) +
                        " cannot be used as a weight",
                    {.code = {}, .file = {}, .offset = {}, .tensor = printable(info.name), .advice = {}});
    }
    CpuWeight weight;
    weight.data = tensor.bytes().data();
    weight.type = tensor.dtype() == DType::f64 ? DType::f32 : tensor.dtype();
    weight.columns = tensor.shape().empty() ? 1 : tensor.shape().back();
    weight.rows = weight.columns > 0 ? tensor.size() / weight.columns : 0;
    return weight;
}

CpuModel::CpuModel(std::shared_ptr<const Tables> tables, std::uint64_t copy_limit, const Progress& progress,
                   const CancelToken& cancel)
    : tables_(std::move(tables)) {
    std::map<Place, std::size_t> first; // tied weights are one tensor under two names
    std::uint64_t all = 0, forced = 0;
    for (const WeightInfo& info : tables_->weights) {
        weights_.push_back(describe(info));
        if (first.emplace(place_of(info.tensor), weights_.size() - 1).second) {
            const std::size_t bytes = rounded(weights_.back().bytes());
            all += bytes;
            forced += must_copy(info.tensor) ? bytes : 0;
            bytes_ += weights_.back().bytes();
        }
    }
    const bool copy_all = all <= copy_limit;
    copies_ = LazyMemory(copy_all ? all : forced, "the weights");
    copies_.prefer_large_pages();
    std::byte* to = copies_.data();
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        cancel.check();
        if (progress) {
            progress(static_cast<double>(i), static_cast<double>(weights_.size()), "weights");
        }
        const Tensor& tensor = tables_->weights[i].tensor;
        const std::span<const std::byte> from = tensor.bytes();
        const std::size_t original = first.at(place_of(tensor));
        if (original != i) {
            weights_[i].data = weights_[original].data;
        } else if (copy_all || must_copy(tensor)) {
            weights_[i].data = to;
            if (tensor.dtype() == DType::f64) {
                copy_as_float(from, to);
            }
            for (std::size_t at = 0; tensor.dtype() != DType::f64 && at < from.size(); at += piece) {
                cancel.check();
                std::memcpy(to + at, from.data() + at, std::min(piece, from.size() - at));
            }
            to += rounded(weights_[i].bytes());
        }
    }
    if (progress) {
        progress(1, 1, "weights");
    }
}

const float* CpuModel::floats(WeightId id) const {
    if (!id) {
        return nullptr;
    }
    const CpuWeight& from = weight(id);
    if (from.type == DType::f32) {
        return reinterpret_cast<const float*>(from.data);
    }
    const std::lock_guard lock(mutex_);
    std::vector<float>& wide = widened_[id.index];
    if (wide.empty()) {
        wide.resize(static_cast<std::size_t>(from.rows * from.columns));
        widen(from.type, from.data, from.rows * from.columns, wide.data());
    }
    return wide.data();
}

} // namespace ergo::cpu
