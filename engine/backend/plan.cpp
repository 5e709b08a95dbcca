// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/plan.h"

#include "engine/backend/logit_parts.h"
#include "engine/base/half.h"
#include "engine/tensor/grouped.h"
#include "engine/tensor/super_blocks.h"

namespace ergo {

std::optional<DType> WeightInfo::grouped() const {
    return tensor.shape().size() == 2 ? grouped_form(type()) : std::nullopt;
}

std::optional<DType> WeightInfo::whole_numbers() const {
    return tensor.shape().size() == 2 && is_super_block(type()) ? std::optional(type()) : grouped();
}

DType float_type(DType stored) {
    return is_quantised(stored) ? DType::f16 : stored == DType::f64 ? DType::f32 : stored;
}

std::vector<float> WeightInfo::values() const {
    if (const auto form = grouped()) {
        return grouped_values(tensor, *form);
    }
    std::vector<float> out = tensor.to_floats();
    if (type() != tensor.dtype() && type() != DType::f32) {
        const bool bf16 = type() == DType::bf16;
        for (float& value : out) {
            value = bf16 ? bf16_to_f32(f32_to_bf16(value)) : f16_to_f32(f32_to_f16(value));
        }
    }
    return out;
}

namespace {

template <class Id, class Table, class Info> Id append(Table& table, Info info) {
    table.push_back(std::move(info));
    return Id{static_cast<std::int32_t>(table.size()) - 1};
}

template <class Body> BufferId output_of(const Body& body) {
    return body.out;
}
BufferId output_of(const Route& body) {
    return body.shares;
}
BufferId output_of(const SumLogits& body) {
    return body.parts;
}
BufferId output_of(const Append&) {
    return {};
}
BufferId output_of(const AppendKeyValue&) {
    return {};
}

} // namespace

BufferId main_output(const Op& op) {
    return std::visit([](const auto& body) { return output_of(body); }, op.body);
}

WeightId Tables::add_weight(std::string name, Tensor tensor) {
    return append<WeightId>(weights, WeightInfo{std::move(name), std::move(tensor)});
}

ParamId Tables::add_param(std::string name, Shape shape, std::vector<float> values) {
    return append<ParamId>(params, ParamInfo{std::move(name), std::move(shape), std::move(values)});
}

StateId Tables::add_state(std::string name, std::int64_t width, StateHeads heads) {
    return append<StateId>(states, StateInfo{std::move(name), width, heads, DType::f32});
}

void Plan::add_logit_parts() {
    const std::int64_t vocabulary = buffers.at(static_cast<std::size_t>(logits.index)).width;
    logit_parts = add_buffer("logit_parts", floats_a_part * ergo::logit_parts(vocabulary),
                             BufferInfo::Extent::last_row);
    add({"lm.sums", {}, SumLogits{logits, logit_parts}});
}

BufferId Plan::add_buffer(std::string name, std::int64_t width, BufferInfo::Extent extent) {
    return append<BufferId>(buffers, BufferInfo{std::move(name), width, extent});
}

} // namespace ergo
