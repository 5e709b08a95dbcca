// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/op_access.h"

#include <algorithm>

namespace ergo::vulkan {

namespace {

class Collector {
  public:
    explicit Collector(Access& access) : access_(access) {}

    void operator()(const Embed& op) { writes(op.out); }
    void operator()(const Norm& op) {
        reads(op.in);
        writes(op.out);
    }
    void operator()(const Linear& op) {
        reads(op.in);
        writes(op.out);
    }
    void operator()(const Gate& op) {
        reads(op.a, op.b);
        writes(op.out);
    }
    void operator()(const Append& op) {
        reads(op.in);
        writes(op.state);
    }
    void operator()(const Convolution& op) {
        reads(op.history);
        writes(op.out);
    }
    void operator()(const Rotate& op) {
        reads(op.in);
        writes(op.out, op.distance);
    }
    void operator()(const AppendKeyValue& op) {
        reads(op.key, op.value);
        writes(op.keys, op.values, op.distances);
    }
    void operator()(const Attention& op) {
        reads(op.query, op.query_distance, op.keys, op.values, op.distances);
        const RowRequest& rows = op.rows;
        writes(op.out, rows.logits, rows.scores, rows.maximum, rows.sum, rows.kept, rows.entropy,
               rows.top_keys, rows.top_weights);
    }
    void operator()(const KeptShare& op) {
        reads(op.distances);
        writes(op.out);
    }
    void operator()(const Route& op) {
        reads(op.logits, op.offset);
        writes(op.total, op.shares);
    }
    void operator()(const Mix& op) {
        for (const BufferId part : op.parts) {
            reads(part);
        }
        reads(op.shares, op.gate, op.residual);
        writes(op.out);
    }
    void operator()(const SumLogits& op) {
        reads(op.logits);
        writes(op.parts);
    }
    void operator()(const DepthRoute& op) {
        for (const BufferId source : op.sources) {
            reads(source);
        }
        writes(op.weights, op.out);
    }

    template <class... Ids> void reads(Ids... ids) { (note(access_.reads, ids), ...); }
    template <class... Ids> void writes(Ids... ids) { (note(access_.writes, ids), ...); }

  private:
    template <class Id> static void note(std::set<std::int64_t>& to, Id id) {
        if (id) {
            to.insert(resource_of(id));
        }
    }
    Access& access_;
};

/// Which weights ops of a kind read as float32: bias, gains, filters, scales, tables.
struct FloatWeights {
    std::vector<WeightId> operator()(const Norm& op) const { return {op.weight, op.bias}; }
    std::vector<WeightId> operator()(const Linear& op) const { return {op.bias}; }
    std::vector<WeightId> operator()(const Convolution& op) const { return {op.weight, op.bias}; }
    std::vector<WeightId> operator()(const Rotate& op) const { return {op.rotation.cos, op.rotation.sin}; }
    std::vector<WeightId> operator()(const AppendKeyValue& op) const {
        return {op.rotation.cos, op.rotation.sin, op.rotation.gain};
    }
    std::vector<WeightId> operator()(const Route& op) const { return {op.constant_offset}; }
    std::vector<WeightId> operator()(const Mix& op) const { return {op.constant_gate, op.layer_scale}; }
    std::vector<WeightId> operator()(const DepthRoute& op) const { return {op.query}; }
    template <class Other> std::vector<WeightId> operator()(const Other&) const { return {}; }
};

bool meet(const std::set<std::int64_t>& a, const std::set<std::int64_t>& b) {
    return std::any_of(a.begin(), a.end(), [&](std::int64_t one) { return b.contains(one); });
}

} // namespace

Access access_of(const Op& op) {
    Access access;
    Collector collector(access);
    std::visit(collector, op.body);
    collector.reads(op.when.shares);
    return access;
}

std::vector<WeightId> float_weights(const Op& op) {
    std::vector<WeightId> found = std::visit(FloatWeights{}, op.body);
    std::erase_if(found, [](WeightId id) { return !id; });
    return found;
}

bool conflict(const Access& a, const Access& b) {
    return meet(a.writes, b.reads) || meet(a.writes, b.writes) || meet(a.reads, b.writes);
}

} // namespace ergo::vulkan
