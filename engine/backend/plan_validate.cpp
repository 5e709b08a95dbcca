// SPDX-License-Identifier: GPL-3.0-or-later
// Checks of plans and steps. After validate() a backend may index without looking: handles are in range,
// widths agree, and every buffer is written before it is read.
#include "engine/backend/logit_parts.h"
#include "engine/backend/plan.h"
#include "engine/backend/rounded_state.h"
#include "engine/base/error.h"

#include <algorithm>

namespace ergo {

namespace {

using Extent = BufferInfo::Extent;

class Checker {
  public:
    Checker(const Plan& plan, const Tables& tables)
        : plan_(plan), tables_(tables), written_(plan.buffers.size(), false) {}

    void run() {
        check_declarations();
        for (const Op& op : plan_.ops) {
            op_ = &op;
            std::visit([this](const auto& body) { check(body); }, op.body);
        }
        op_ = nullptr;
        if (plan_.logits) {
            final_buffer(plan_.logits, "logits");
        }
        if (plan_.logit_parts) {
            final_buffer(plan_.logit_parts, "logit parts");
        }
        for (const TapBinding& tap : plan_.taps) {
            final_buffer(tap.buffer, "tap " + std::to_string(tap.id));
        }
    }

  private:
    [[noreturn]] void fail(const std::string& message) const {
        throw Error(ErrorKind::usage, (op_ ? "op '" + printable(op_->name) + "': " : "plan: ") + message);
    }

    void require(bool ok, const std::string& message) const {
        if (!ok) {
            fail(message);
        }
    }

    template <class Id, class Table>
    const auto& at(Id id, const Table& table, const std::string& what) const {
        if (id.index < 0 || static_cast<std::size_t>(id.index) >= table.size()) {
            fail(what + " has handle " + std::to_string(id.index) + " of " + std::to_string(table.size()));
        }
        return table[static_cast<std::size_t>(id.index)];
    }

    void check_declarations() const {
        require(plan_.max_rows >= 1, "max_rows is " + std::to_string(plan_.max_rows));
        for (const BufferInfo& buffer : plan_.buffers) {
            require(buffer.width >= 1 && buffer.width < (std::int64_t{1} << 40) / plan_.max_rows,
                    "buffer '" + printable(buffer.name) + "' has width " + std::to_string(buffer.width));
        }
        for (const StateInfo& state : tables_.states) {
            require(state.width >= 1,
                    "state '" + printable(state.name) + "' has width " + std::to_string(state.width));
            require(state.heads.count >= 1 && state.width % state.heads.count == 0,
                    "state '" + printable(state.name) + "' has width " + std::to_string(state.width) +
                        " for " + std::to_string(state.heads.count) + " heads");
            require(state.stored == DType::f32 ||
                        (can_round(state) && (state.stored == DType::bf16 || state.stored == DType::q8)),
                    "state '" + printable(state.name) + "' cannot be kept as " +
                        std::string(dtype_name(state.stored)));
        }
        for (const ParamInfo& param : tables_.params) {
            require(element_count(param.shape) == static_cast<std::int64_t>(param.values.size()),
                    "parameter '" + printable(param.name) + "' has " + std::to_string(param.values.size()) +
                        " values for shape " + to_string(param.shape));
        }
    }

    void final_buffer(BufferId id, const std::string& what) const {
        at(id, plan_.buffers, what);
        require(written_[static_cast<std::size_t>(id.index)], what + " is never written");
    }

    void expect(const std::string& what, std::int64_t have, std::int64_t want) const {
        if (have != want) {
            fail(what + " has width " + std::to_string(have) + ", not " + std::to_string(want));
        }
    }

    // Extent and guard of the op, from its main output.
    void output(BufferId id, std::int64_t width, const std::string& what = "out") {
        const BufferInfo& info = at(id, plan_.buffers, what);
        require(info.extent != Extent::rows_keys, what + " is a rows_keys buffer");
        extent_ = info.extent;
        expect(what, info.width, width);
        guard();
        pending_.push_back(id);
    }

    void guard() const {
        if (op_->when) {
            const BufferInfo& shares = input(op_->when.shares, "guard");
            require(op_->when.path >= 0 && op_->when.path < shares.width,
                    "guard path " + std::to_string(op_->when.path) + " of " + std::to_string(shares.width));
        }
    }

    void never_guarded() {
        require(!op_->when, "writes a state and must not be guarded");
        extent_ = Extent::rows;
    }

    const BufferInfo& input(BufferId id, const std::string& what) const {
        const BufferInfo& info = at(id, plan_.buffers, what);
        require(written_[static_cast<std::size_t>(id.index)],
                what + " ('" + printable(info.name) + "') is read before it is written");
        require(info.extent == Extent::rows ||
                    (info.extent == Extent::last_row && extent_ == Extent::last_row),
                what + " ('" + printable(info.name) + "') does not have the rows that the output needs");
        return info;
    }

    void input(BufferId id, std::int64_t width, const std::string& what) const {
        expect(what, input(id, what).width, width);
    }

    // A second output beside the main one, same rows.
    void extra(BufferId id, std::int64_t width, Extent extent, const std::string& what) {
        if (id) {
            const BufferInfo& info = at(id, plan_.buffers, what);
            require(info.extent == extent, what + " has another extent than the op's output");
            expect(what, info.width, width);
            pending_.push_back(id);
        }
    }

    void done() {
        for (const BufferId id : pending_) {
            written_[static_cast<std::size_t>(id.index)] = true;
        }
        pending_.clear();
    }

    const Tensor& weight(WeightId id, const std::string& what) const {
        const WeightInfo& info = at(id, tables_.weights, what);
        require(is_weight_type(info.tensor.dtype()), what + " ('" + printable(info.name) + "') has type " +
                                                         std::string(dtype_name(info.tensor.dtype())));
        return info.tensor;
    }

    void weight(WeightId id, const Shape& shape, const std::string& what) const {
        const Tensor& tensor = weight(id, what);
        require(tensor.shape() == shape, what + " ('" + printable(tables_.weights[id.index].name) +
                                             "') has shape " + to_string(tensor.shape()) + ", not " +
                                             to_string(shape));
    }

    void optional_weight(WeightId id, const Shape& shape, const std::string& what) const {
        if (id) {
            weight(id, shape, what);
        }
    }

    // Last axis `columns`, any number of rows; returns the rows.
    std::int64_t table(WeightId id, std::int64_t columns, const std::string& what) const {
        const Tensor& tensor = weight(id, what);
        require(tensor.shape().size() == 2 && tensor.shape()[1] == columns && tensor.shape()[0] >= 1,
                what + " has shape " + to_string(tensor.shape()) + ", not [positions, " +
                    std::to_string(columns) + "]");
        return tensor.shape()[0];
    }

    std::int64_t param_size(ParamId id, const std::string& what) const {
        return static_cast<std::int64_t>(at(id, tables_.params, what).values.size());
    }

    void optional_param(ParamId id, std::int64_t size, const std::string& what) const {
        if (id) {
            const std::int64_t have = param_size(id, what);
            require(have == size,
                    what + " has " + std::to_string(have) + " values, not " + std::to_string(size));
        }
    }

    // [heads or 1, dim]; returns the rows.
    std::int64_t per_head(ParamId id, std::int64_t heads, std::int64_t dim, const std::string& what) const {
        const std::int64_t have = param_size(id, what);
        require(have == dim || have == heads * dim, what + " has " + std::to_string(have) + " values, not " +
                                                        std::to_string(dim) + " or " +
                                                        std::to_string(heads * dim));
        return have / dim;
    }

    // What states say of their heads must be true of every attention that reads them.
    void state_heads(StateId id, std::int32_t heads, const std::string& what, bool own) const {
        const StateHeads& said = at(id, tables_.states, what).heads;
        require(said.count == 1 || said.count == heads, what + " say that they have " +
                                                            std::to_string(said.count) + " heads, not " +
                                                            std::to_string(heads));
        require(said.own == own, what + " and keys do not agree whether every query head has its own");
    }

    void own_heads(const Attention& op) const {
        const bool own = at(op.keys, tables_.states, "keys").heads.own;
        require(!own || (op.key_heads == op.heads && op.value_heads == op.heads),
                "keys say that each of " + std::to_string(op.heads) +
                    " query heads has its own, but there are " + std::to_string(op.key_heads) + " key and " +
                    std::to_string(op.value_heads) + " value heads");
        state_heads(op.keys, op.key_heads, "keys", own);
        state_heads(op.values, op.value_heads, "values", own);
        if (op.ball.mode != Ball::Mode::off) {
            state_heads(op.distances, op.heads, "distances", own);
        }
    }

    void state(StateId id, std::int64_t width, const std::string& what) const {
        expect(what, at(id, tables_.states, what).width, width);
    }

    void counts(std::initializer_list<std::int64_t> values) const {
        for (const std::int64_t value : values) {
            require(value >= 1 && value < (1 << 24),
                    "a count of heads or columns is " + std::to_string(value));
        }
    }

    void rotation(const Rotation& rotation, std::int64_t dim, std::int64_t value_dim) const {
        require(static_cast<bool>(rotation.cos) == static_cast<bool>(rotation.sin), "has cos without sin");
        if (rotation.cos) {
            require(dim % 2 == 0, "rotates heads of odd width " + std::to_string(dim));
            const std::int64_t rows = table(rotation.cos, dim, "cos");
            require(table(rotation.sin, dim, "sin") == rows, "cos and sin differ in length");
        }
        if (rotation.gain) {
            require(value_dim > 0, "has a value gain but no values");
            table(rotation.gain, value_dim, "gain");
        }
    }

    // Balls of a projection with `heads` heads; 0 when the ball is off.
    std::int64_t ball_points(const Ball& ball, std::int64_t heads, std::int64_t dim) const {
        if (ball.mode == Ball::Mode::off) {
            return 0;
        }
        const std::int64_t origins = param_size(ball.origin, "origin");
        require(origins > 0 && origins % dim == 0, "origin has " + std::to_string(origins) +
                                                       " values, not a multiple of " + std::to_string(dim));
        const std::int64_t rows = origins / dim;
        require(rows == 1 || heads == 1 || rows == heads,
                std::to_string(rows) + " origins for " + std::to_string(heads) + " heads");
        const std::int64_t balls = std::max(rows, heads);
        if (ball.diagonal) {
            per_head(ball.diagonal, balls, dim, "ball diagonal");
        }
        return balls;
    }

    void radius(const Ball& ball, std::int64_t heads) const {
        const std::int64_t have = param_size(ball.radius, "radius");
        require(have == 1 || have == heads,
                "radius has " + std::to_string(have) + " values for " + std::to_string(heads) + " heads");
    }

    void distances(StateId id, std::int64_t heads) const {
        const std::int64_t balls = at(id, tables_.states, "distances").width;
        require(balls == 1 || balls == heads,
                "distances has width " + std::to_string(balls) + " for " + std::to_string(heads) + " heads");
    }

    void check(const Embed& op) {
        const Tensor& tensor = weight(op.table, "table");
        require(tensor.shape().size() == 2 && tensor.shape()[0] >= 1,
                "table has shape " + to_string(tensor.shape()) + ", not [vocabulary, width]");
        output(op.out, tensor.shape()[1]);
        done();
    }

    void check(const Norm& op) {
        const std::int64_t row = at(op.out, plan_.buffers, "out").width;
        counts({op.heads});
        require(row % op.heads == 0, "out has width " + std::to_string(row) +
                                         ", which does not divide into " + std::to_string(op.heads) +
                                         " heads");
        const std::int64_t width = row / op.heads;
        output(op.out, row);
        input(op.in, row, "in");
        weight(op.weight, {width}, "weight");
        optional_weight(op.bias, {width}, "bias");
        done();
    }

    void check(const Linear& op) {
        const Tensor& tensor = weight(op.weight, "weight");
        require(tensor.shape().size() == 2 && tensor.size() > 0,
                "weight has shape " + to_string(tensor.shape()) + ", not [outputs, inputs]");
        output(op.out, tensor.shape()[0]);
        input(op.in, tensor.shape()[1], "in");
        require(op.in != op.out, "in and out are the same buffer");
        optional_weight(op.bias, {tensor.shape()[0]}, "bias");
        done();
    }

    void check(const Gate& op) {
        const std::int64_t width = at(op.out, plan_.buffers, "out").width;
        output(op.out, width);
        columns(op.a, op.a_offset, width, "a");
        if (op.b) {
            columns(op.b, op.b_offset, width, "b");
        }
        for (const auto& [in, offset] : {std::pair{op.a, op.a_offset}, std::pair{op.b, op.b_offset}}) {
            require(in != op.out || offset == 0, "writes over columns it still reads");
        }
        done();
    }

    void columns(BufferId id, std::int64_t offset, std::int64_t width, const std::string& what) const {
        const BufferInfo& info = input(id, what);
        require(offset >= 0 && offset <= info.width && width <= info.width - offset,
                what + " has width " + std::to_string(info.width) + ", too few for " + std::to_string(width) +
                    " columns from " + std::to_string(offset));
    }

    void check(const Append& op) {
        never_guarded();
        state(op.state, input(op.in, "in").width, "state");
    }

    void check(const Convolution& op) {
        const Tensor& tensor = weight(op.weight, "weight");
        require(tensor.shape().size() == 2 && tensor.size() > 0,
                "weight has shape " + to_string(tensor.shape()) + ", not [width, k]");
        output(op.out, tensor.shape()[0]);
        state(op.history, tensor.shape()[0], "history");
        optional_weight(op.bias, {tensor.shape()[0]}, "bias");
        done();
    }

    void check(const Rotate& op) {
        counts({op.heads, op.heads_in, op.dim});
        require(op.heads_in == op.heads || op.heads_in == 1,
                std::to_string(op.heads_in) + " heads in, " + std::to_string(op.heads) + " out");
        output(op.out, std::int64_t{op.heads} * op.dim);
        input(op.in, std::int64_t{op.heads_in} * op.dim, "in");
        require(op.in != op.out, "in and out are the same buffer");
        require(!op.rotation.gain, "has a value gain but no values");
        rotation(op.rotation, op.dim, 0);
        if (op.diagonal) {
            per_head(op.diagonal, op.heads, op.dim, "diagonal");
        }
        if (op.distance) {
            require(op.ball.mode != Ball::Mode::off, "wants distances but the ball is off");
            extra(op.distance, ball_points(op.ball, op.heads, op.dim), extent_, "distance");
        }
        done();
    }

    void check(const AppendKeyValue& op) {
        never_guarded();
        counts({op.heads, op.heads_in, op.dim, op.value_heads, op.value_dim});
        require(op.heads_in == op.heads || op.heads_in == 1,
                std::to_string(op.heads_in) + " heads in, " + std::to_string(op.heads) + " out");
        input(op.key, std::int64_t{op.heads_in} * op.dim, "key");
        input(op.value, std::int64_t{op.value_heads} * op.value_dim, "value");
        state(op.keys, std::int64_t{op.heads} * op.dim, "keys");
        state(op.values, std::int64_t{op.value_heads} * op.value_dim, "values");
        rotation(op.rotation, op.dim, op.value_dim);
        if (op.diagonal) {
            per_head(op.diagonal, op.heads, op.dim, "diagonal");
        }
        const std::int64_t balls = ball_points(op.ball, op.heads, op.dim);
        if (balls > 0) {
            state(op.distances, balls, "distances");
        }
    }

    void check(const Attention& op) {
        counts({op.heads, op.key_heads, op.dim, op.value_heads, op.value_dim});
        for (const std::int32_t shared : {op.key_heads, op.value_heads}) {
            require(op.heads % shared == 0, std::to_string(op.heads) + " heads do not divide into " +
                                                std::to_string(shared) + " key or value heads");
        }
        output(op.out, std::int64_t{op.heads} * op.value_dim);
        input(op.query, std::int64_t{op.heads} * op.dim, "query");
        require(op.query != op.out, "query and out are the same buffer");
        state(op.keys, std::int64_t{op.key_heads} * op.dim, "keys");
        state(op.values, std::int64_t{op.value_heads} * op.value_dim, "values");
        own_heads(op);
        if (op.diagonal) {
            per_head(op.diagonal, op.heads, op.dim, "diagonal");
        }
        optional_param(op.alpha, op.heads, "alpha");
        optional_param(op.mask, op.heads, "mask");
        require(op.window >= 0, "window is " + std::to_string(op.window));
        if (op.score == Attention::Score::gravity) {
            require(static_cast<bool>(op.gravity.mass), "is gravity without masses");
            optional_param(op.gravity.mass, op.heads, "mass");
            require(op.gravity.softening > 0 && op.gravity.distance_scale > 0,
                    "softens gravity by " + std::to_string(op.gravity.softening) +
                        " and scales its squared distance by " + std::to_string(op.gravity.distance_scale));
        }
        if (op.ball.mode != Ball::Mode::off) {
            radius(op.ball, op.heads);
            distances(op.distances, op.heads);
            if (op.ball.test == Ball::Test::pairs) {
                input(op.query_distance, op.heads, "query_distance");
            }
        }
        check_rows(op);
        done();
    }

    void check_rows(const Attention& op) {
        const RowRequest& rows = op.rows;
        for (const std::int32_t head : rows.heads) {
            require(head >= 0 && head < op.heads,
                    "row request for head " + std::to_string(head) + " of " + std::to_string(op.heads));
        }
        const auto wanted =
            rows.heads.empty() ? std::int64_t{op.heads} : static_cast<std::int64_t>(rows.heads.size());
        require(extent_ == Extent::rows || (!rows.logits && !rows.scores),
                "captures rows of pairs but writes the last row only");
        extra(rows.logits, wanted, Extent::rows_keys, "rows.logits");
        extra(rows.scores, wanted, Extent::rows_keys, "rows.scores");
        extra(rows.maximum, op.heads, extent_, "rows.maximum");
        extra(rows.sum, op.heads, extent_, "rows.sum");
        extra(rows.kept, op.heads, extent_, "rows.kept");
        extra(rows.entropy, op.heads, extent_, "rows.entropy");
        require(static_cast<bool>(rows.top_keys) == static_cast<bool>(rows.top_weights),
                "wants the largest weights without their keys");
        extra(rows.top_keys, std::int64_t{op.heads} * 8, extent_, "rows.top_keys");
        extra(rows.top_weights, std::int64_t{op.heads} * 8, extent_, "rows.top_weights");
    }

    void check(const KeptShare& op) {
        counts({op.heads});
        output(op.out, op.heads);
        require(op.ball.mode == Ball::Mode::hard && op.ball.test == Ball::Test::keys,
                "the kept share is known only for a hard ball that tests keys");
        radius(op.ball, op.heads);
        distances(op.distances, op.heads);
        require(op.window >= 0, "window is " + std::to_string(op.window));
        done();
    }

    void check(const Route& op) {
        counts({op.paths});
        require(op.paths <= 64, std::to_string(op.paths) + " paths are more than 64");
        output(op.shares, op.paths, "shares");
        input(op.logits, op.paths, "logits");
        require(!op.offset || !op.constant_offset, "has both an offset and a constant offset");
        if (op.offset) {
            input(op.offset, op.paths, "offset");
        }
        optional_weight(op.constant_offset, {op.paths}, "constant offset");
        require(op.temperature && op.top_k, "has no temperature or no top_k");
        optional_param(op.temperature, 1, "temperature");
        optional_param(op.top_k, 1, "top_k");
        optional_param(op.mask, op.paths, "mask");
        extra(op.total, op.paths, extent_, "total");
        done();
    }

    void check(const Mix& op) {
        const std::int64_t width = at(op.out, plan_.buffers, "out").width;
        const auto parts = static_cast<std::int64_t>(op.parts.size());
        require(parts >= 1 && parts <= 64, std::to_string(parts) + " parts are not 1 to 64");
        output(op.out, width);
        for (std::int64_t p = 0; p < parts; ++p) {
            input(op.parts[static_cast<std::size_t>(p)], width, "part " + std::to_string(p));
        }
        if (op.shares) {
            input(op.shares, parts, "shares");
        }
        require(!op.gate || !op.constant_gate, "has both a gate and a constant gate");
        if (op.gate) {
            require(op.gate_width == 1 || op.gate_width == width,
                    "gate width " + std::to_string(op.gate_width) + " is neither 1 nor " +
                        std::to_string(width));
            input(op.gate, parts * op.gate_width, "gate");
        }
        if (op.constant_gate) {
            const std::int64_t have = weight(op.constant_gate, "constant gate").size();
            require(have == parts || have == parts * width,
                    "constant gate has " + std::to_string(have) + " values");
        }
        if (op.layer_scale) {
            const std::int64_t have = weight(op.layer_scale, "layer scale").size();
            require(have == width || have == parts * width,
                    "layer scale has " + std::to_string(have) + " values");
        }
        if (op.residual) {
            input(op.residual, width, "residual");
        }
        done();
    }

    void check(const DepthRoute& op) {
        const std::int64_t width = at(op.out, plan_.buffers, "out").width;
        const auto sources = static_cast<std::int64_t>(op.sources.size());
        require(sources >= 1 && sources <= 64, std::to_string(sources) + " sources are not 1 to 64");
        output(op.out, width);
        for (std::int64_t s = 0; s < sources; ++s) {
            const BufferId source = op.sources[static_cast<std::size_t>(s)];
            input(source, width, "source " + std::to_string(s));
            require(source != op.out, "source " + std::to_string(s) + " and out are the same buffer");
        }
        weight(op.query, {width}, "query");
        optional_param(op.temperature, 1, "temperature");
        optional_param(op.mask, sources, "mask");
        require(!op.weights || op.weights != op.out, "weights and out are the same buffer");
        extra(op.weights, sources, extent_, "weights");
        done();
    }

    void check(const SumLogits& op) {
        const std::int64_t vocabulary = at(op.logits, plan_.buffers, "logits").width;
        output(op.parts, floats_a_part * logit_parts(vocabulary), "parts");
        input(op.logits, vocabulary, "logits");
        done();
    }

    const Plan& plan_;
    const Tables& tables_;
    const Op* op_ = nullptr;
    Extent extent_ = Extent::rows;
    std::vector<bool> written_;
    std::vector<BufferId> pending_; // outputs of the op being checked
};

[[noreturn]] void fail_step(const Op& op, const std::string& message) {
    throw Error(ErrorKind::usage, "op '" + printable(op.name) + "': " + message);
}

void check_table_end(const Op& op, const Tables& tables, const Rotation& rotation, std::int64_t end) {
    for (const WeightId id : {rotation.cos, rotation.sin, rotation.gain}) {
        if (id && tables.weights[static_cast<std::size_t>(id.index)].tensor.shape()[0] < end) {
            fail_step(
                op, "position " + std::to_string(end - 1) + " is beyond the rotation table of " +
                        std::to_string(tables.weights[static_cast<std::size_t>(id.index)].tensor.shape()[0]) +
                        " positions");
        }
    }
}

} // namespace

void validate(const Plan& plan, const Tables& tables) {
    Checker(plan, tables).run();
}

void validate_step(const Plan& plan, const Tables& tables, const StepState& step, std::int64_t capacity) {
    const std::int64_t rows = step.rows();
    if (rows < 1 || rows > plan.max_rows) {
        throw Error(ErrorKind::usage, "a step of " + std::to_string(rows) +
                                          " rows does not fit a plan of 1 to " +
                                          std::to_string(plan.max_rows) + " rows");
    }
    if (step.position < 0 || step.position > capacity - rows) {
        throw Error(ErrorKind::usage, "positions " + std::to_string(step.position) + " to " +
                                          std::to_string(step.position + rows - 1) +
                                          " are beyond the capacity of " + std::to_string(capacity));
    }
    const std::int64_t end = step.position + rows;
    for (const Op& op : plan.ops) {
        if (const auto* embed = std::get_if<Embed>(&op.body)) {
            const auto index = static_cast<std::size_t>(embed->table.index);
            const std::int64_t vocabulary = tables.weights[index].tensor.shape()[0];
            for (const std::int32_t id : step.ids) {
                if (id < 0 || id >= vocabulary) {
                    fail_step(op, "token id " + std::to_string(id) + " is outside the vocabulary of " +
                                      std::to_string(vocabulary));
                }
            }
        } else if (const auto* rotate = std::get_if<Rotate>(&op.body)) {
            check_table_end(op, tables, rotate->rotation, end);
        } else if (const auto* append = std::get_if<AppendKeyValue>(&op.body)) {
            check_table_end(op, tables, append->rotation, end);
        }
    }
}

} // namespace ergo
