// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/cpu_executor.h"

#include "engine/backend/cpu/kernels_quant.h"
#include "engine/backend/cpu/product_op.h"
#include "engine/base/error.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>

namespace ergo::cpu {

namespace {

using Extent = BufferInfo::Extent;

struct Entry {
    CpuBuffer* shares = nullptr; // guard; null: always needed
    std::int32_t path = 0;
    bool last_row = false;
    bool for_logits = false; // nobody else reads what it writes
    std::unique_ptr<CpuOp> op;
    OpTime time; // what it cost while it was timed
};

const char* kind_of(const Op& op) {
    static constexpr const char* names[] = {
        "Embed",          "Norm",      "Linear",    "Gate",  "Append", "Convolution", "Rotate",
        "AppendKeyValue", "Attention", "KeptShare", "Route", "Mix",    "DepthRoute",  "SumLogits"};
    static_assert(std::size(names) == std::variant_size_v<decltype(Op::body)>);
    return names[op.body.index()];
}

struct CpuProgram final : Program {
    std::shared_ptr<const Plan> plan;
    const CpuSession* session = nullptr;
    std::vector<CpuBuffer> buffers;
    std::vector<Entry> entries;
    std::vector<std::int32_t> needed; // rows of the op at hand
    std::int64_t rows = 0;            // of the last run
    bool timed = false;               // its ops are

    MemoryNeed taken() const override {
        MemoryNeed taken;
        for (const CpuBuffer& buffer : buffers) {
            taken.scratch += (buffer.data.capacity() + buffer.together.capacity()) * sizeof(float);
        }
        return taken;
    }

    std::vector<OpTime> op_times() const override {
        std::vector<OpTime> times;
        for (const Entry& entry : entries) {
            times.push_back(entry.time);
        }
        return timed ? times : std::vector<OpTime>{};
    }
};

std::size_t size_of(std::int64_t count) {
    return static_cast<std::size_t>(count);
}

CpuBuffer make_buffer(const BufferInfo& info, std::int64_t stride, std::int64_t max_rows) {
    CpuBuffer buffer;
    buffer.extent = info.extent;
    buffer.width = info.width;
    buffer.stride = info.extent == Extent::rows ? stride : 0;
    if (info.extent != Extent::rows_keys) { // those grow with the keys, see size_captures
        buffer.data.resize(size_of(buffer_floats(info, stride, max_rows, 0)));
    }
    return buffer;
}

/// Captures grow by doubling as a text does, but never beyond what the longest text will need.
void size_captures(CpuProgram& program, std::int64_t rows, std::int64_t keys) {
    for (std::size_t i = 0; i < program.buffers.size(); ++i) {
        CpuBuffer& buffer = program.buffers[i];
        if (buffer.extent != Extent::rows_keys) {
            continue;
        }
        buffer.stride = buffer.width * keys;
        const std::size_t needed = size_of(rows * buffer.stride), held = buffer.data.size();
        if (needed > held) {
            const std::size_t most = size_of(buffer_floats(
                program.plan->buffers[i], 0, program.plan->max_rows, program.session->capacity));
            buffer.data = AlignedFloats(); // first, so that never both are held
            buffer.data.resize(std::min(std::max(needed, 2 * held), most));
        }
    }
}

void find_needed(CpuProgram& program, const Entry& entry) {
    program.needed.clear();
    for (std::int64_t r = entry.last_row ? program.rows - 1 : 0; r < program.rows; ++r) {
        if (!entry.shares || entry.shares->row(r)[entry.path] != 0) {
            program.needed.push_back(static_cast<std::int32_t>(r));
        }
    }
}

using Clock = std::chrono::steady_clock;

/// Runs an op and adds what it cost to its entry.
void run_timed(Entry& entry, StepContext& context) {
    CpuSession& session = context.session;
    const std::uint64_t bytes = session.counters.weight_bytes_read, operations = session.operations;
    const auto start = Clock::now();
    entry.op->run(context);
    entry.time.seconds += std::chrono::duration<double>(Clock::now() - start).count();
    entry.time.weight_bytes += session.counters.weight_bytes_read - bytes;
    entry.time.operations += session.operations - operations;
    ++entry.time.runs;
}

/// Where the ops end that run as one with `first`: products of the same input that follow one another.
std::size_t after_run(std::span<const Op> ops, std::size_t first, const Resolver& resolver) {
    const auto* product = std::get_if<Linear>(&ops[first].body);
    std::size_t next = first + 1;
    for (; product && next < ops.size(); ++next) {
        const auto* other = std::get_if<Linear>(&ops[next].body);
        if (!other || !(ops[next].when == ops[first].when) || !runs_with(*product, *other, resolver)) {
            break;
        }
    }
    return next;
}

/// layers.0.gate, layers.0.up: layers.0.gate+up
std::string joined_name(std::span<const Op> ops) {
    std::string name = ops.front().name;
    for (const Op& op : ops.subspan(1)) {
        name += "+" + op.name.substr(op.name.rfind('.') + 1);
    }
    return name;
}

Entry make_entry(std::span<const Op> ops, const Resolver& resolver) {
    const Op& op = ops.front();
    const CpuBuffer* out = resolver.buffer(main_output(op));
    Entry entry;
    entry.shares = resolver.buffer(op.when.shares);
    entry.path = op.when.path;
    entry.time.name = joined_name(ops);
    entry.time.kernel = kind_of(op);
    entry.last_row = out && out->extent == Extent::last_row;
    if (ops.size() == 1) {
        entry.op = std::visit([&](const auto& body) { return make_op(body, resolver); }, op.body);
        return entry;
    }
    std::vector<Linear> products;
    for (const Op& each : ops) {
        products.push_back(std::get<Linear>(each.body));
    }
    entry.op = make_products(products, resolver);
    return entry;
}

} // namespace

void Resolver::need_row(std::int64_t count) const {
    for (WorkerScratch& scratch : session.scratch) {
        scratch.row.resize(std::max(scratch.row.size(), size_of(count)));
    }
}

void Resolver::need_rounded_rows(std::int64_t inputs) const {
    const std::size_t floats = QuantRows::bytes_for(max_rows, inputs) / sizeof(float);
    if (session.rounded_rows.size() < floats) {
        session.rounded_rows = AlignedFloats(); // first, so that never both are held
        session.rounded_rows.resize(floats);
    }
}

void Resolver::need_tiles(std::int64_t inputs) const {
    const std::size_t floats = size_of(tiles_floats(max_rows, inputs));
    if (session.tiles.size() < floats) {
        session.tiles = AlignedFloats(); // first, so that never both are held
        session.tiles.resize(floats);
    }
}

void Resolver::need_pairs(const Attention& op) const {
    const auto grow = [](LazyMemory& memory, std::uint64_t bytes) {
        if (memory.bytes() < bytes) {
            memory = LazyMemory(); // first, so that never both are held
            memory = LazyMemory(bytes, "attention's scratch");
        }
    };
    grow(session.pairs, pairs_bytes(op, session.capacity));
    for (WorkerScratch& scratch : session.scratch) {
        grow(scratch.pairs, pair_tile_bytes(op, session.capacity));
    }
}

CpuExecutor::CpuExecutor(std::shared_ptr<const CpuModel> model, std::shared_ptr<ThreadPool> pool,
                         std::int64_t capacity, bool vnni)
    : model_(std::move(model)), pool_(std::move(pool)) {
    if (capacity < 1 || capacity > std::int64_t{1} << 30) {
        throw Error(ErrorKind::usage,
                    "a context of " + std::to_string(capacity) + " positions is not possible.");
    }
    session_.model = model_.get();
    session_.pool = pool_.get();
    session_.capacity = capacity;
    session_.vnni = vnni;
    for (const ParamInfo& info : model_->tables().params) {
        session_.params.emplace_back();
        session_.params.back().values = info.values;
        session_.params.back().root.resize(info.values.size());
        set_param(ParamId{static_cast<std::int32_t>(session_.params.size()) - 1}, info.values);
    }
    session_.states = StateMemory(model_->tables().states, capacity);
    const std::uint64_t row = row_bytes(model_->tables(), capacity);
    for (int worker = 0; worker < pool_->threads(); ++worker) {
        session_.scratch.push_back({LazyMemory(row, "scratch"), LazyMemory(row, "scratch"), {}, {}});
    }
}

std::unique_ptr<Program> CpuExecutor::prepare(std::shared_ptr<const Plan> plan) {
    validate(*plan, model_->tables());
    auto program = std::make_unique<CpuProgram>();
    program->session = &session_;
    program->timed = session_.timed;
    const std::vector<std::int64_t> strides = row_strides(*plan);
    for (std::size_t i = 0; i < strides.size(); ++i) {
        program->buffers.push_back(make_buffer(plan->buffers[i], strides[i], plan->max_rows));
    }
    program->needed.reserve(size_of(plan->max_rows));
    const Resolver resolver{session_, program->buffers, plan->max_rows};
    for (std::size_t first = 0; first < plan->ops.size();) {
        const std::size_t next = after_run(plan->ops, first, resolver);
        program->entries.push_back(make_entry(std::span(plan->ops).subspan(first, next - first), resolver));
        const BufferId out = main_output(plan->ops[first]);
        program->entries.back().for_logits = out && (out == plan->logits || out == plan->logit_parts);
        first = next;
    }
    program->plan = std::move(plan);
    return program;
}

void CpuExecutor::run(Program& prepared, const StepState& step, const CancelToken& cancel) {
    auto& program = static_cast<CpuProgram&>(prepared);
    if (program.session != &session_) {
        throw Error(ErrorKind::usage, "the program was prepared by another executor.");
    }
    validate_step(*program.plan, model_->tables(), step, session_.capacity);
    session_.states.hold(step.position + step.rows(), step.position);
    program.rows = step.rows();
    StepContext context{session_, step, cancel, step.position + step.rows(), {}};
    size_captures(program, program.rows, context.keys);
    const ThreadPool::CallerPin pin(*pool_);
    for (Entry& entry : program.entries) {
        cancel.check();
        if (entry.for_logits && !step.logits) {
            continue;
        }
        find_needed(program, entry);
        if (!program.needed.empty()) {
            context.rows = program.needed;
            program.timed ? run_timed(entry, context) : entry.op->run(context);
            ++session_.counters.host_ops;
        }
    }
    ++session_.counters.forward_passes;
}

void CpuExecutor::time_ops(bool timed) {
    session_.timed = timed;
}

std::span<const float> CpuExecutor::read(Program& prepared, BufferId id) {
    auto& program = static_cast<CpuProgram&>(prepared);
    if (id.index < 0 || size_of(id.index) >= program.buffers.size()) {
        throw Error(ErrorKind::usage, "the plan has no buffer " + std::to_string(id.index) + ".");
    }
    CpuBuffer& buffer = program.buffers[size_of(id.index)];
    if (buffer.extent == Extent::rows && buffer.stride != buffer.width) { // no tap, but somebody looks
        buffer.together.resize(size_of(program.rows * buffer.width));
        for (std::int64_t r = 0; r < program.rows; ++r) {
            std::copy_n(buffer.row(r), buffer.width, buffer.together.data() + r * buffer.width);
        }
        return {buffer.together.data(), buffer.together.size()};
    }
    const std::int64_t count = buffer.extent == Extent::last_row
                                   ? std::min<std::int64_t>(program.rows, 1) * buffer.width
                                   : program.rows * buffer.stride;
    return {buffer.data.data(), size_of(count)};
}

void CpuExecutor::set_param(ParamId id, std::span<const float> values) {
    CpuParam& param = session_.params.at(size_of(id.index));
    if (values.size() != param.values.size()) {
        throw Error(ErrorKind::usage, "parameter '" + model_->tables().params[size_of(id.index)].name +
                                          "' has " + std::to_string(param.values.size()) + " values, not " +
                                          std::to_string(values.size()) + ".");
    }
    std::copy(values.begin(), values.end(), param.values.begin());
    std::transform(values.begin(), values.end(), param.root.begin(),
                   [](float m) { return std::sqrt(std::max(m, 0.0f)); });
}

std::vector<float> CpuExecutor::param(ParamId id) const {
    return session_.params.at(size_of(id.index)).values;
}

MemoryNeed CpuExecutor::taken() const {
    MemoryNeed taken;
    taken.cache = session_.states.bytes();
    for (const WorkerScratch& scratch : session_.scratch) {
        taken.scratch += scratch.logits.bytes() + scratch.scores.bytes() + scratch.row.size() * sizeof(float);
        taken.scratch += scratch.pairs.bytes();
    }
    taken.scratch += session_.rounded_rows.size() * sizeof(float);
    taken.scratch += session_.tiles.size() * sizeof(float);
    taken.scratch += session_.pairs.bytes();
    return taken;
}

void CpuExecutor::check_length(std::int64_t length) const {
    if (length < 0 || length > session_.capacity) {
        throw Error(ErrorKind::usage, "a session of " + std::to_string(session_.capacity) +
                                          " positions has no length " + std::to_string(length) + ".");
    }
}

std::vector<float> CpuExecutor::read_state(StateId id, std::int64_t length) {
    check_length(length);
    session_.states.hold(length, length);
    const CpuState& state = session_.states.at(id);
    std::vector<float> rows(size_of(length * state.width));
    for (std::int64_t t = 0; t < length; ++t) {
        state.read(t, rows.data() + t * state.width);
    }
    return rows;
}

StateSnapshot CpuExecutor::export_state(std::int64_t length) {
    StateSnapshot snapshot{length, {}};
    for (std::size_t s = 0; s < session_.states.all().size(); ++s) {
        snapshot.states.push_back(read_state(StateId{static_cast<std::int32_t>(s)}, length));
    }
    return snapshot;
}

void CpuExecutor::import_state(const StateSnapshot& snapshot) {
    check_length(snapshot.length);
    bool fits = snapshot.states.size() == session_.states.all().size();
    for (std::size_t s = 0; fits && s < session_.states.all().size(); ++s) {
        fits = snapshot.states[s].size() == size_of(snapshot.length * session_.states.all()[s].width);
    }
    if (!fits) {
        throw Error(ErrorKind::usage, "the snapshot does not fit this model's states.");
    }
    session_.states.hold(snapshot.length, 0);
    for (std::size_t s = 0; s < session_.states.all().size(); ++s) {
        write_state(s, snapshot.states[s]);
    }
}

void CpuExecutor::write_state(std::size_t index, std::span<const float> rows) {
    const CpuState& state = session_.states.all()[index];
    const auto length = static_cast<std::int64_t>(rows.size()) / state.width;
    for (std::int64_t t = 0; t < length; ++t) {
        state.write(t, rows.data() + t * state.width);
    }
}

} // namespace ergo::cpu
