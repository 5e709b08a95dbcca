// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/bench.h"

#include "engine/backend/peak.h"
#include "engine/base/error.h"
#include "engine/generate/device_peak.h"
#include "engine/generate/memory_plan.h"
#include "engine/generate/session.h"
#include "engine/model/lens_set.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

namespace ergo {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
    if (values.empty()) {
        return 0;
    }
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Any ids do for timing; a fixed sequence keeps routes, and so the work, the same in every run.
std::vector<std::int32_t> pseudo_tokens(std::int64_t count, std::int64_t vocabulary) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
    std::uint64_t x = 88172645463325252u;
    for (auto& id : ids) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        id = static_cast<std::int32_t>(x % static_cast<std::uint64_t>(vocabulary));
    }
    return ids;
}

std::vector<Subscription> subscriptions_for(const Model& model, const std::vector<std::string>& observe) {
    std::vector<std::string> patterns;
    for (const std::string& pattern : observe) {
        if (pattern == "lenses") {
            for (const std::string& name : lens_observables(model.info(), 0)) {
                if (find_observable(model.observables(), name) >= 0) {
                    patterns.push_back(name);
                }
            }
        } else {
            patterns.push_back(pattern);
        }
    }
    std::vector<Subscription> subscriptions;
    if (!patterns.empty()) {
        for (const std::int32_t index : match_observables(model.observables(), patterns)) {
            subscriptions.push_back({index, {}});
        }
    }
    return subscriptions;
}

// Generation with and without observing takes turns token by token on two sessions, first the one, then the
// other ahead, so that a drift of the machine's speed meets both alike.
struct Generation {
    double observed = 0, unobserved = 0; // seconds
    std::vector<double> ratios;          // of each token: unobserved / observed
    std::uint64_t captured = 0;          // bytes
};

Generation generate_in_turn(Session& plain, Session* watched, const std::vector<std::int32_t>& ids,
                            const std::uint64_t& captured, const CancelToken& cancel) {
    Generation g;
    const std::uint64_t before = captured;
    if (watched) {
        watched->let_frames_lag(true); // as while a reply is written
    }
    const auto seconds_of = [&cancel](Session& session, std::int32_t id) {
        const auto start = Clock::now();
        session.decode(id, cancel);
        return seconds_since(start);
    };
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const bool ahead = watched && i % 2 == 1;
        double observed = ahead ? seconds_of(*watched, ids[i]) : 0;
        const double unobserved = seconds_of(plain, ids[i]);
        if (watched && !ahead) {
            observed = seconds_of(*watched, ids[i]);
        }
        g.unobserved += unobserved;
        if (watched) {
            g.observed += observed;
            g.ratios.push_back(unobserved / observed);
        }
    }
    if (watched) {
        const auto start = Clock::now();
        watched->let_frames_lag(false);
        g.observed += seconds_since(start);
    }
    g.captured = captured - before;
    return g;
}

// "layers.3.mlp.up" -> "layers.*.mlp.up": what all layers have in common.
std::string without_numbers(const std::string& name) {
    std::string out;
    for (std::size_t at = 0; at <= name.size();) {
        const std::size_t end = std::min(name.find('.', at), name.size());
        const std::string part = name.substr(at, end - at);
        const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
        out += (at == 0 ? "" : ".") + (number ? "*" : part);
        at = end + 1;
    }
    return out;
}

std::vector<BenchOp> summed(const std::vector<OpTime>& times, double passes, const BenchResult& machine) {
    std::map<std::string, BenchOp> by_name;
    std::map<std::string, double> operations;
    double all = 0;
    for (const OpTime& time : times) {
        const std::string name = without_numbers(time.name);
        BenchOp& op = by_name[name];
        op.name = name;
        op.kernel = time.kernel;
        op.seconds += time.seconds / passes;
        op.bytes += static_cast<std::uint64_t>(static_cast<double>(time.weight_bytes) / passes);
        const std::uint64_t moved = std::max(time.bytes_moved, time.weight_bytes);
        op.moved += static_cast<std::uint64_t>(static_cast<double>(moved) / passes);
        operations[name] += static_cast<double>(time.operations) / passes;
        all += time.seconds / passes;
    }
    std::vector<BenchOp> ops;
    for (auto& [name, op] : by_name) {
        if (op.seconds > 0) {
            op.share = op.seconds / all;
            op.bandwidth_share = static_cast<double>(op.moved) / op.seconds / machine.bandwidth;
            op.float_share = operations[name] / op.seconds / machine.float_peak;
            ops.push_back(op);
        }
    }
    std::sort(ops.begin(), ops.end(),
              [](const BenchOp& a, const BenchOp& b) { return a.seconds > b.seconds; });
    return ops;
}

// One more round, op by op, after the ones that count: reading the clock is not free.
void measure_ops(Session& session, const std::vector<std::int32_t>& prompt,
                 const std::vector<std::int32_t>& next, BenchResult& result, const CancelToken& cancel) {
    session.rewind(0);
    session.time_ops(true);
    session.set_tokens(prompt, {}, cancel);
    for (const std::int32_t id : next) {
        session.decode(id, cancel);
    }
    const std::vector<OpTime> prompt_times = session.op_times(true), token_times = session.op_times(false);
    std::uint64_t tokens = 0; // a prompt that leaves one row over has gone through the plan of a token too
    for (const OpTime& time : token_times) {
        tokens = std::max(tokens, time.runs);
    }
    result.prompt_ops = summed(prompt_times, 1, result);
    result.generate_ops = summed(token_times, static_cast<double>(tokens), result);
    session.time_ops(false);
    double operations = 0, seconds = 0;
    for (const OpTime& time : prompt_times) {
        operations += static_cast<double>(time.operations);
        seconds += time.operations > 0 ? time.seconds : 0;
    }
    if (seconds > 0) {
        const double prompt_seconds = static_cast<double>(prompt.size()) / result.prompt_tokens_per_second;
        result.product_share = operations / seconds / result.float_peak;
        result.prompt_float_share =
            result.prompt_tokens_per_second > 0 ? operations / prompt_seconds / result.float_peak : 0;
    }
}

/// What the device can do that computes: a Vulkan device by kernels of its own.
void measure_machine(const Backend& backend, int threads, BenchResult& result) {
    const std::size_t bytes = std::max<std::size_t>(result.bytes_per_token, std::size_t{1} << 20);
    if (const auto peak = measure_device_peak(backend, bytes)) {
        result.bandwidth = peak->bandwidth;
        result.float_peak = peak->float_operations;
        return;
    }
    const auto cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    const int used = threads > 0 ? threads : cores;
    result.bandwidth = measure_read_bandwidth(used, bytes);
    result.float_peak = measure_float_peak(used);
    result.int8_peak = measure_int8_peak(used);
}

} // namespace

BenchResult run_bench(const std::shared_ptr<const OpenedModel>& opened, const BenchRequest& request,
                      const Progress& progress, const CancelToken& cancel) {
    const Model& model = *opened->model;
    const std::int64_t depth = request.depth > 0 ? request.depth : std::max<std::int64_t>(request.prompt, 1);
    if (depth + request.generate > opened->context) {
        throw Error(ErrorKind::usage,
                    "The benchmark needs " + std::to_string(depth + request.generate) +
                        " positions, but the context has " + std::to_string(opened->context) + ".",
                    {.advice = "Use a smaller -p or -n, or a larger --context."});
    }
    const auto subscriptions = subscriptions_for(model, request.observe);
    const auto prompt = pseudo_tokens(depth, model.info().vocabulary);
    auto next = pseudo_tokens(depth + request.generate, model.info().vocabulary);
    next.erase(next.begin(), next.begin() + depth);

    Session plain(opened);
    std::unique_ptr<Session> watched;
    std::uint64_t captured = 0;
    if (!subscriptions.empty()) {
        watched = std::make_unique<Session>(opened);
        watched->subscribe(subscriptions, [&captured](Frame&& frame) {
            for (const Capture& capture : frame.captures) {
                captured += capture.values.size() * sizeof(float);
            }
        });
    }

    BenchResult result;
    std::vector<double> prompt_rates, observed, unobserved, ratios;
    std::uint64_t decode_bytes = 0, decode_tokens = 0, dispatches = 0, submissions = 0, moved = 0;
    for (std::int64_t r = 0; r <= request.repetitions; ++r) { // the first round warms up and is not counted
        cancel.check();
        if (progress) {
            progress(static_cast<double>(r), static_cast<double>(request.repetitions + 1), "measuring");
        }
        plain.rewind(0);
        const auto start = Clock::now();
        plain.set_tokens(prompt, {}, cancel);
        const double prompt_seconds = seconds_since(start);
        if (watched) {
            watched->rewind(0);
            watched->set_tokens(prompt, {}, cancel);
        }
        const Counters before = plain.counters();
        const Generation g = generate_in_turn(plain, watched.get(), next, captured, cancel);
        if (r == 0) {
            continue;
        }
        const Counters after = plain.counters();
        decode_bytes += after.weight_bytes_read - before.weight_bytes_read;
        dispatches += after.dispatches - before.dispatches;
        submissions += after.submissions - before.submissions;
        moved += after.bytes_moved - before.bytes_moved;
        decode_tokens += next.size();
        prompt_rates.push_back(static_cast<double>(depth) / prompt_seconds);
        if (!next.empty()) {
            unobserved.push_back(static_cast<double>(next.size()) / g.unobserved);
            result.captured_bytes_per_token = g.captured / next.size();
        }
        if (watched && !next.empty()) {
            observed.push_back(static_cast<double>(next.size()) / g.observed);
            ratios.insert(ratios.end(), g.ratios.begin(), g.ratios.end());
        }
    }
    result.prompt_tokens_per_second = request.prompt > 0 ? median(prompt_rates) : 0;
    result.unobserved_tokens_per_second = median(unobserved);
    result.generate_tokens_per_second = watched ? median(observed) : result.unobserved_tokens_per_second;
    result.observed_share = watched ? median(ratios) : 1;
    const Counters counters = plain.counters();
    result.bytes_per_token = decode_tokens ? decode_bytes / decode_tokens : 0;
    result.weight_bytes_read = counters.weight_bytes_read;
    result.host_ops = counters.host_ops;
    if (decode_tokens > 0) {
        const auto tokens = static_cast<double>(decode_tokens);
        result.dispatches_per_token = static_cast<double>(dispatches) / tokens;
        result.submissions_per_token = static_cast<double>(submissions) / tokens;
        result.bytes_moved_per_token = static_cast<double>(moved) / tokens;
    }
    result.peak_memory = peak_memory();
    measure_machine(*opened->backend, request.threads, result);
    if (opened->writer) { // it is the writer's that shares of generation are of
        BenchResult writer = result;
        measure_machine(*opened->writer->backend, request.threads, writer);
        result.bandwidth = writer.bandwidth;
    }
    result.bandwidth_share =
        static_cast<double>(result.bytes_per_token) * result.unobserved_tokens_per_second / result.bandwidth;
    measure_ops(plain, prompt, next, result, cancel);
    return result;
}

} // namespace ergo
