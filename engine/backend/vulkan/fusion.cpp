// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/fusion.h"

#include "engine/backend/vulkan/op_access.h"

#include <algorithm>

namespace ergo::vulkan {

namespace {

constexpr std::size_t most_products = 8, most_turns = 8;

class Joiner {
  public:
    Joiner(const Plan& plan, const std::function<Stored(WeightId)>& stored) : plan_(plan), stored_(stored) {
        const auto count = static_cast<std::int32_t>(plan.buffers.size());
        for (std::int32_t i = 0; !plan.logits && i < count; ++i) { // a test's plan
            read_after_.insert(i);
        }
        for (const TapBinding& tap : plan.taps) {
            read_after_.insert(tap.buffer.index);
        }
        read_after_.insert(plan.logits.index);
        read_after_.insert(plan.logit_parts.index);
        for (const Op& op : plan.ops) {
            accesses_.push_back(access_of(op));
            nodes_.push_back({{}, accesses_.back(), true});
        }
        std::vector<Step> steps = steps_as_planned(plan);
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            nodes_[i].step = std::move(steps[i]);
        }
    }

    std::vector<Step> run() {
        for_each([this](std::size_t i) { join_gate(i); });
        for_each([this](std::size_t i) { join_sum(i); });
        for_each([this](std::size_t i) { join_products(i); });
        for_each([this](std::size_t i) { join_norm_behind(i); });
        for_each([this](std::size_t i) { join_norm_before(i); });
        for_each([this](std::size_t i) { join_head_norm(i); });
        for_each([this](std::size_t i) { join_turns(i); });
        std::vector<Step> steps;
        for (Node& node : nodes_) {
            if (node.alive) {
                std::sort(node.step.ops.begin(), node.step.ops.end());
                steps.push_back(std::move(node.step));
            }
        }
        return steps;
    }

  private:
    struct Node {
        Step step;
        Access access;
        bool alive = true;
    };

    template <class Pass> void for_each(const Pass& pass) {
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].alive) {
                pass(i);
            }
        }
    }

    const Op& op(std::size_t node) const { return plan_.ops[nodes_[node].step.ops.back()]; }
    bool is_single(std::size_t node) const { return nodes_[node].step.ops.size() == 1; }
    template <class Body> const Body* single(std::size_t node) const {
        return is_single(node) ? std::get_if<Body>(&op(node).body) : nullptr;
    }
    bool same_guard(std::size_t a, std::size_t b) const { return op(a).when == op(b).when; }
    const BufferInfo& info(BufferId id) const { return plan_.buffers[static_cast<std::size_t>(id.index)]; }
    bool same_rows(BufferId a, BufferId b) const {
        return plan_.max_rows == 1 || info(a).extent == info(b).extent;
    }
    /// The rows of `id` are one row.
    bool one_row(BufferId id) const {
        return plan_.max_rows == 1 || info(id).extent == BufferInfo::Extent::last_row;
    }

    /// The live node before `node` that writes `id`, or `node` itself when there is none.
    std::size_t writer_before(std::size_t node, BufferId id) const {
        for (std::size_t i = node; i-- > 0;) {
            if (nodes_[i].alive && nodes_[i].access.writes.contains(resource_of(id))) {
                return i;
            }
        }
        return node;
    }

    /// What op `writer` leaves in `id` is read by ops of `readers` alone.
    bool read_only_by(std::size_t writer, BufferId id, const std::vector<std::size_t>& readers) const {
        if (read_after_.contains(id.index)) {
            return false;
        }
        for (std::size_t i = writer + 1; i < plan_.ops.size(); ++i) {
            if (accesses_[i].reads.contains(resource_of(id)) &&
                std::find(readers.begin(), readers.end(), i) == readers.end()) {
                return false;
            }
            if (accesses_[i].writes.contains(resource_of(id))) {
                return true;
            }
        }
        return true;
    }

    /// Node `moved` may be computed where `to` stands: nothing between them minds (`but` is not asked).
    bool can_move(std::size_t moved, std::size_t to, std::size_t but) const {
        for (std::size_t i = std::min(moved, to) + 1; i < std::max(moved, to); ++i) {
            if (nodes_[i].alive && i != but && conflict(nodes_[i].access, nodes_[moved].access)) {
                return false;
            }
        }
        return true;
    }
    bool can_move(std::size_t moved, std::size_t to) const { return can_move(moved, to, moved); }

    /// `from` becomes part of `into`. `inner`: what then is neither written nor read.
    void merge(std::size_t from, std::size_t into, BufferId inner = {}) {
        Node &source = nodes_[from], &target = nodes_[into];
        source.alive = false;
        const bool written_again = target.access.writes.contains(resource_of(inner));
        target.access.add(source.access);
        if (inner) {
            target.access.reads.erase(resource_of(inner));
            if (!written_again) {
                target.access.writes.erase(resource_of(inner));
            }
        }
        target.step.ops.insert(target.step.ops.end(), source.step.ops.begin(), source.step.ops.end());
    }

    /// out = act(gate's first product) * second product.
    void join_gate(std::size_t at) {
        const auto* gate = single<Gate>(at);
        if (!gate || !gate->b || gate->a == gate->b || gate->a_offset || gate->b_offset) {
            return;
        }
        const std::size_t first = writer_before(at, gate->a), second = writer_before(at, gate->b);
        const auto *a = first != at ? single<Linear>(first) : nullptr,
                   *b = second != at ? single<Linear>(second) : nullptr;
        const auto plain = [&](const Linear* one, std::size_t node) {
            return one && !one->bias && one->activation == Activation::identity && same_guard(node, at) &&
                   same_rows(one->out, gate->out) && info(one->out).width == info(gate->out).width;
        };
        if (!plain(a, first) || !plain(b, second) || a->in != b->in || gate->out == a->in ||
            stored_(a->weight) != stored_(b->weight) || !read_only_by(first, gate->a, {at}) ||
            !read_only_by(second, gate->b, {at}) || !can_move(first, at, second) ||
            !can_move(second, at, first)) {
            return;
        }
        nodes_[at].step.products = {nullptr, {a, b}, gate, nullptr};
        merge(first, at, gate->a);
        merge(second, at, gate->b);
    }

    /// out = residual + product.
    void join_sum(std::size_t at) {
        const auto* mix = single<Mix>(at);
        if (!mix || mix->parts.size() != 1 || mix->shares || mix->gate || mix->constant_gate ||
            mix->layer_scale || !mix->residual) {
            return;
        }
        const std::size_t from = writer_before(at, mix->parts[0]);
        const auto* linear = from != at ? single<Linear>(from) : nullptr;
        if (!linear || !same_guard(from, at) || !same_rows(linear->out, mix->out) || mix->out == linear->in ||
            mix->residual == mix->parts[0] || !read_only_by(from, mix->parts[0], {at}) ||
            !can_move(from, at)) {
            return;
        }
        nodes_[at].step.products = {nullptr, {linear}, nullptr, mix};
        merge(from, at, mix->parts[0]);
    }

    /// Products that read the same row.
    void join_products(std::size_t at) {
        const auto* linear = single<Linear>(at);
        if (!linear || !one_row(linear->out)) {
            return;
        }
        for (std::size_t i = 0; i < at; ++i) {
            Products& other = nodes_[i].step.products;
            if (!nodes_[i].alive || other.linears.empty() || other.gate || other.sum ||
                other.linears.size() == most_products) {
                continue;
            }
            const Linear& first = *other.linears[0];
            if (first.in == linear->in && same_rows(first.out, linear->out) && same_guard(i, at) &&
                stored_(first.weight) == stored_(linear->weight) &&
                !conflict(nodes_[i].access, nodes_[at].access) && can_move(at, i)) {
                other.linears.push_back(linear);
                merge(at, i);
                return;
            }
        }
    }

    /// A norm of what a depth router or a mixture just wrote.
    void join_norm_behind(std::size_t at) {
        const auto* norm = single<Norm>(at);
        if (!norm || norm->heads != 1 || norm->in == norm->out || !same_rows(norm->in, norm->out)) {
            return;
        }
        const std::size_t from = writer_before(at, norm->in);
        if (from == at || !same_guard(from, at) || !can_move(at, from) ||
            nodes_[from].access.reads.contains(resource_of(norm->out)) ||
            nodes_[from].access.writes.contains(resource_of(norm->out))) {
            return;
        }
        const auto* depth = single<DepthRoute>(from);
        const auto* mix = single<Mix>(from);
        const bool depth_can =
            depth && depth->out == norm->in && norm->kind == Norm::Kind::rms && !norm->bias;
        if (depth_can || (mix && one_row(norm->out))) {
            nodes_[from].step.norm = norm;
            merge(at, from);
        }
    }

    /// A norm that one step's products alone read.
    void join_norm_before(std::size_t at) {
        const auto* norm = single<Norm>(at);
        if (!norm || norm->heads != 1 || norm->kind != Norm::Kind::rms || norm->bias ||
            norm->in == norm->out || !one_row(norm->out)) {
            return;
        }
        for (std::size_t i = at + 1; i < nodes_.size(); ++i) {
            Node& node = nodes_[i];
            if (!node.alive || !node.access.reads.contains(resource_of(norm->out))) {
                continue;
            }
            Products& products = node.step.products;
            if (products.linears.empty() || products.norm || products.linears[0]->in != norm->out ||
                !one_row(products.linears[0]->out) || node.access.writes.contains(resource_of(norm->in)) ||
                (products.sum && products.sum->residual == norm->out) ||
                (op(at).when && !same_guard(at, i)) ||
                !read_only_by(nodes_[at].step.ops[0], norm->out, node.step.ops) || !can_move(at, i)) {
                return;
            }
            products.norm = norm;
            merge(at, i, norm->out);
            return;
        }
    }

    /// A norm of heads in place, before they are rotated.
    void join_head_norm(std::size_t at) {
        const auto* norm = single<Norm>(at);
        if (!norm || norm->in != norm->out || norm->kind != Norm::Kind::rms || norm->bias) {
            return;
        }
        for (std::size_t i = at + 1; i < nodes_.size(); ++i) {
            Node& node = nodes_[i];
            if (!node.alive || !node.access.reads.contains(resource_of(norm->out))) {
                continue;
            }
            if (!is_single(i) || node.step.turns.all.empty()) {
                return;
            }
            Turns::One& one = node.step.turns.all[0];
            const bool fits =
                (one.rotate && one.rotate->in == norm->out && one.rotate->heads_in == norm->heads &&
                 same_rows(one.rotate->out, norm->out)) ||
                (one.key_value && one.key_value->key == norm->out && one.key_value->value != norm->out &&
                 one.key_value->heads_in == norm->heads && one.key_value->ball.mode == Ball::Mode::off);
            if (fits && same_guard(at, i) && read_only_by(nodes_[at].step.ops[0], norm->out, node.step.ops) &&
                can_move(at, i)) {
                one.norm = norm;
                // What the product left is read as it is; the norm writes nothing.
                nodes_[at].access.writes.erase(resource_of(norm->out));
                merge(at, i);
            }
            return;
        }
    }

    void join_turns(std::size_t at) {
        Turns& turns = nodes_[at].step.turns;
        if (turns.all.empty()) {
            return;
        }
        for (std::size_t i = 0; i < at; ++i) {
            Turns& other = nodes_[i].step.turns;
            if (!nodes_[i].alive || other.all.empty() || other.all.size() + turns.all.size() > most_turns ||
                !same_guard(i, at) || conflict(nodes_[i].access, nodes_[at].access)) {
                continue;
            }
            const bool up = can_move(at, i);
            if (!up && !can_move(i, at)) {
                continue;
            }
            const std::size_t from = up ? at : i, into = up ? i : at;
            std::vector<Turns::One>& all = nodes_[into].step.turns.all;
            const std::vector<Turns::One>& more = nodes_[from].step.turns.all;
            all.insert(all.end(), more.begin(), more.end());
            merge(from, into);
            return;
        }
    }

    const Plan& plan_;
    const std::function<Stored(WeightId)>& stored_;
    std::set<std::int32_t> read_after_; // buffers that somebody may read when all is done
    std::vector<Access> accesses_;      // of the plan's ops
    std::vector<Node> nodes_;
};

/// A turn that may be joined with others: it works on all rows of the step and leaves no distances.
Turns turns_of(const Plan& plan, const Op& op) {
    Turns::One one;
    one.rotate = std::get_if<Rotate>(&op.body);
    one.key_value = std::get_if<AppendKeyValue>(&op.body);
    one.append = std::get_if<Append>(&op.body);
    if (one.rotate &&
        (one.rotate->distance ||
         plan.buffers[static_cast<std::size_t>(one.rotate->out.index)].extent != BufferInfo::Extent::rows)) {
        one.rotate = nullptr;
    }
    return one.rotate || one.key_value || one.append ? Turns{{one}} : Turns{};
}

} // namespace

std::vector<Step> steps_as_planned(const Plan& plan) {
    std::vector<Step> steps;
    for (std::size_t i = 0; i < plan.ops.size(); ++i) {
        Step step;
        step.ops = {i};
        if (const auto* linear = std::get_if<Linear>(&plan.ops[i].body)) {
            step.products.linears = {linear};
        }
        step.turns = turns_of(plan, plan.ops[i]);
        steps.push_back(std::move(step));
    }
    return steps;
}

std::vector<Step> joined_steps(const Plan& plan, const std::function<Stored(WeightId)>& stored) {
    return Joiner(plan, stored).run();
}

} // namespace ergo::vulkan
