// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/trace.h"

#include "engine/base/error.h"
#include "engine/model/readout.h"

#include <algorithm>
#include <map>
#include <span>

namespace ergo {

namespace {

void check_tokens(const Model& model, const std::vector<std::int32_t>& tokens) {
    if (tokens.empty()) {
        throw Error(ErrorKind::usage, "there are no tokens to run");
    }
    const auto count = static_cast<std::int64_t>(tokens.size());
    if (count > model.max_positions()) {
        throw Error(ErrorKind::usage, std::to_string(count) + " tokens do not fit into " +
                                          std::to_string(model.max_positions()) + " positions");
    }
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i] < 0 || tokens[i] >= model.info().vocabulary) {
            throw Error(ErrorKind::usage, "token " + std::to_string(tokens[i]) + " at position " +
                                              std::to_string(i) + " is outside the vocabulary of " +
                                              std::to_string(model.info().vocabulary));
        }
    }
}

Shape full_shape(const Observable& observable, std::int64_t n) {
    Shape shape = observable.shape;
    std::replace_if(
        shape.begin(), shape.end(), [](std::int64_t d) { return d < 0; }, n);
    return shape;
}

std::uint64_t bytes_of(const Observable& observable, std::int64_t n) {
    return static_cast<std::uint64_t>(element_count(full_shape(observable, n))) *
           (observable.integral ? 1 : sizeof(float));
}

/// An --observe list that fits: names taken whole by stage and quantity, smallest quantities first.
std::string list_that_fits(const std::vector<Observable>& all, const std::vector<std::int32_t>& chosen,
                           std::int64_t n, std::uint64_t room) {
    std::map<std::string, std::uint64_t> quantities; // "*.quantity" to bytes over all stages
    for (const std::int32_t i : chosen) {
        const Observable& each = all[static_cast<std::size_t>(i)];
        quantities["*." + each.quantity] += bytes_of(each, n);
    }
    std::vector<std::pair<std::uint64_t, std::string>> by_size;
    for (const auto& [pattern, bytes] : quantities) {
        by_size.emplace_back(bytes, pattern);
    }
    std::sort(by_size.begin(), by_size.end());
    std::string out;
    for (const auto& [bytes, pattern] : by_size) {
        if (bytes <= room) {
            room -= bytes;
            out += (out.empty() ? "" : ",") + pattern;
        }
    }
    return out;
}

std::vector<std::int32_t> choose(const Model& model, const TraceRequest& request) {
    const auto& all = model.observables();
    std::vector<std::int32_t> chosen;
    if (request.observe.empty()) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (all[i].by_default) {
                chosen.push_back(static_cast<std::int32_t>(i));
            }
        }
    } else {
        chosen = match_observables(all, request.observe);
    }
    const auto n = static_cast<std::int64_t>(request.tokens.size());
    const std::uint64_t fixed =
        static_cast<std::uint64_t>(n) * (4 + 4 * static_cast<std::uint64_t>(model.info().vocabulary));
    std::uint64_t total = fixed;
    for (const std::int32_t i : chosen) {
        total += bytes_of(all[static_cast<std::size_t>(i)], n);
    }
    if (total > request.max_bytes) {
        const std::uint64_t room = request.max_bytes > fixed ? request.max_bytes - fixed : 0;
        const std::string list = list_that_fits(all, chosen, n, room);
        throw Error(ErrorKind::resources,
                    "the trace of " + std::to_string(n) + " tokens would take " +
                        std::to_string(total >> 20) + " MiB, the limit is " +
                        std::to_string(request.max_bytes >> 20) + " MiB",
                    {.code = "TRACE-SIZE",
                     .advice = list.empty() ? "Trace fewer tokens." : "Fits: --observe '" + list + "'"});
    }
    return chosen;
}

/// Where the readings of one observable go: a row-wise block, a transposed [heads, n] map or a pair map.
class Sheet {
  public:
    Sheet(const Observable& observable, std::int64_t n)
        : observable_(observable), n_(n), shape_(full_shape(observable, n)),
          values_(static_cast<std::size_t>(element_count(shape_)), 0.0f) {}

    /// Rows [position, position + rows) of one step.
    void put(const Reading& reading, std::int64_t position, std::int64_t rows) {
        const bool pairs = observable_.source == ObservableSource::pair_row;
        const auto at = static_cast<std::size_t>(position), count = static_cast<std::size_t>(rows);
        const auto n = static_cast<std::size_t>(n_);
        if (!pairs && observable_.shape[0] < 0) {
            std::copy(reading.values.begin(), reading.values.end(),
                      values_.begin() + static_cast<std::ptrdiff_t>(at * (values_.size() / n)));
            return;
        }
        const std::size_t keys = pairs ? static_cast<std::size_t>(reading.shape[2]) : 1;
        const auto heads = static_cast<std::size_t>(observable_.shape[0]);
        for (std::size_t h = 0; h < heads; ++h) {
            for (std::size_t r = 0; r < count; ++r) {
                const auto* from = reading.values.data() + (h * count + r) * keys;
                const std::size_t to = (h * n + at + r) * (pairs ? n : 1);
                std::copy(from, from + keys, values_.begin() + static_cast<std::ptrdiff_t>(to));
            }
        }
    }
    void fill(std::vector<float> values) { values_ = std::move(values); }

    NpyArray array() const {
        if (observable_.integral) {
            std::vector<std::uint8_t> bytes(values_.size());
            std::transform(values_.begin(), values_.end(), bytes.begin(),
                           [](float v) { return static_cast<std::uint8_t>(v != 0); });
            return NpyArray::from(shape_, std::span<const std::uint8_t>(bytes));
        }
        return NpyArray::from(shape_, std::span<const float>(values_));
    }

  private:
    const Observable& observable_;
    std::int64_t n_;
    Shape shape_;
    std::vector<float> values_;
};

/// One forward pass over all tokens in steps of `chunk` rows, with an executor of its own.
class Pass {
  public:
    Pass(const Model& model, Backend& backend, std::int64_t positions, const CancelToken& cancel,
         const Progress& progress, const ParamValues& params)
        : model_(model), loaded_(backend.load(model.tables(), progress, cancel)),
          executor_(loaded_->create_executor(positions)), cancel_(cancel), progress_(progress) {
        for (const auto& [param, values] : params) {
            executor_->set_param(param, values);
        }
    }

    /// Calls after(position, rows) when the step's buffers can be read.
    template <class After>
    void run(const ModelPlan& plan, const std::vector<std::int32_t>& tokens, After&& after) {
        program_ = executor_->prepare(plan.plan);
        const auto n = static_cast<std::int64_t>(tokens.size());
        for (std::int64_t at = 0; at < n; at += plan.plan->max_rows) {
            const std::int64_t rows = std::min(plan.plan->max_rows, n - at);
            executor_->run(*program_, {at, {tokens.begin() + at, tokens.begin() + at + rows}}, cancel_);
            after(at, rows);
            if (progress_) {
                progress_(static_cast<double>(at + rows), static_cast<double>(n), "tokens");
            }
        }
    }

    Executor& executor() { return *executor_; }
    Program& program() { return *program_; }

    void copy_logits(const ModelPlan& plan, std::int64_t at, std::int64_t rows, std::vector<float>& logits) {
        const std::size_t width = static_cast<std::size_t>(model_.info().vocabulary);
        const auto in = executor_->read(*program_, plan.plan->logits);
        std::copy_n(in.begin(), static_cast<std::size_t>(rows) * width,
                    logits.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(at) * width));
    }

  private:
    const Model& model_;
    std::unique_ptr<LoadedModel> loaded_;
    std::unique_ptr<Executor> executor_;
    std::unique_ptr<Program> program_;
    CancelToken cancel_;
    const Progress& progress_;
};

} // namespace

NamedArrays run_trace(const Model& model, Backend& backend, const TraceRequest& request,
                      const CancelToken& cancel, const Progress& progress, const ParamValues& params) {
    check_tokens(model, request.tokens);
    const auto& all = model.observables();
    const auto chosen = choose(model, request);
    const auto n = static_cast<std::int64_t>(request.tokens.size());
    PlanRequest wish;
    wish.max_rows = request.decode ? 1 : n;
    wish.all_logits = true;
    std::map<std::int32_t, Sheet> sheets;
    for (const std::int32_t i : chosen) {
        const Observable& each = all[static_cast<std::size_t>(i)];
        sheets.emplace(i, Sheet(each, n));
        if (each.source == ObservableSource::buffer || each.source == ObservableSource::pair_row) {
            wish.subscriptions.push_back({i, {}});
        }
    }
    const ModelPlan plan = model.build(wish);
    Pass pass(model, backend, n, cancel, progress, params);
    std::vector<float> logits(static_cast<std::size_t>(n * model.info().vocabulary));
    pass.run(plan, request.tokens, [&](std::int64_t at, std::int64_t rows) {
        pass.copy_logits(plan, at, rows, logits);
        for (const auto& output : plan.outputs) {
            const Observable& each = all[static_cast<std::size_t>(output.wanted.observable)];
            const Reading reading =
                read_output(pass.executor(), pass.program(), output, each, rows, at + rows);
            sheets.at(output.wanted.observable).put(reading, at, rows);
        }
    });
    const auto state = [&](StateId id) { return pass.executor().read_state(id, n); };
    const auto param = [&](ParamId id) { return pass.executor().param(id); };
    NamedArrays out{{"tokens", NpyArray::from({n}, std::span<const std::int32_t>(request.tokens))},
                    {"logits", NpyArray::from({n, model.info().vocabulary}, std::span<const float>(logits))}};
    for (auto& [i, sheet] : sheets) {
        const Observable& each = all[static_cast<std::size_t>(i)];
        if (each.source == ObservableSource::param) {
            sheet.fill(param(model.param_of(each)));
        } else if (each.source == ObservableSource::positional) {
            sheet.fill(model.positional(each, 0, n));
        } else if (each.source == ObservableSource::state) {
            sheet.fill(model.derive(each, n, state, param));
        }
        out.emplace_back(each.name, sheet.array());
    }
    return out;
}

NpyArray run_logits(const Model& model, Backend& backend, const std::vector<std::int32_t>& tokens,
                    bool decode, const CancelToken& cancel, const Progress& progress, std::int64_t chunk,
                    const ParamValues& params) {
    check_tokens(model, tokens);
    const auto n = static_cast<std::int64_t>(tokens.size());
    PlanRequest wish;
    wish.max_rows = decode ? 1 : chunk > 0 ? std::min(chunk, n) : n;
    wish.all_logits = true;
    const ModelPlan plan = model.build(wish);
    Pass pass(model, backend, n, cancel, progress, params);
    std::vector<float> logits(static_cast<std::size_t>(n * model.info().vocabulary));
    pass.run(plan, tokens,
             [&](std::int64_t at, std::int64_t rows) { pass.copy_logits(plan, at, rows, logits); });
    return NpyArray::from({n, model.info().vocabulary}, std::span<const float>(logits));
}

} // namespace ergo
