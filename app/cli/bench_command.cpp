// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "app/cli/matrices_text.h"
#include "engine/base/error.h"
#include "engine/lab/bench.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <sstream>

namespace ergo::cli {

namespace {

using nlohmann::json;

json to_json(const std::vector<BenchOp>& ops) {
    json list = json::array();
    for (const BenchOp& op : ops) {
        list.push_back({{"name", op.name},
                        {"kernel", op.kernel},
                        {"seconds", op.seconds},
                        {"share", op.share},
                        {"bytes", op.bytes},
                        {"bytes_moved", op.moved},
                        {"bandwidth_share", op.bandwidth_share},
                        {"float_share", op.float_share}});
    }
    return list;
}

json to_json(const BenchResult& r, const OpenedModel& opened, bool observed) {
    json out{{"prompt_tokens_per_second", r.prompt_tokens_per_second},
             {"generate_tokens_per_second", r.generate_tokens_per_second},
             {"bytes_per_token", r.bytes_per_token},
             {"bandwidth_bytes_per_second", r.bandwidth},
             {"bandwidth_share", r.bandwidth_share},
             {"float_operations_per_second", r.float_peak},
             {"int8_operations_per_second", r.int8_peak},
             {"product_share", r.product_share},
             {"prompt_float_share", r.prompt_float_share},
             {"prompt_ops", to_json(r.prompt_ops)},
             {"generate_ops", to_json(r.generate_ops)},
             {"peak_memory", r.peak_memory},
             {"weight_bytes_read", r.weight_bytes_read},
             {"host_ops", r.host_ops},
             {"cache_type", opened.memory.cache},
             {"backend", opened.choice.backend},
             {"backend_reason", opened.choice.reason},
             {"device", device_text(opened)},
             {"driver", opened.backend->info().driver}};
    if (r.dispatches_per_token > 0) { // on a device
        out["dispatches_per_token"] = r.dispatches_per_token;
        out["submissions_per_token"] = r.submissions_per_token;
        out["bytes_moved_per_token"] = r.bytes_moved_per_token;
    }
    if (const std::string said = matrices_text(opened.backend->info().matrices); !said.empty()) {
        out["cooperative_matrices"] = said;
    }
    if (observed) {
        out["unobserved_tokens_per_second"] = r.unobserved_tokens_per_second;
        out["observed_share"] = r.observed_share;
        out["captured_bytes_per_token"] = r.captured_bytes_per_token;
    }
    return out;
}

std::string row(const char* name, double value, const char* unit, int digits) {
    char text[128];
    std::snprintf(text, sizeof text, "%-28s %12.*f %s\n", name, digits, value, unit);
    return text;
}

// The slowest ops, what is left in one line.
std::string op_table(const char* title, const std::vector<BenchOp>& ops, bool prompt) {
    if (ops.empty()) {
        return {};
    }
    constexpr std::size_t most = 12;
    char text[192];
    std::snprintf(text, sizeof text, "\n%-40s %10s %7s %10s %11s\n", title, prompt ? "ms" : "us a token",
                  "share", "MB", prompt ? "of FMA peak" : "of bandwidth");
    std::string out = text;
    double seconds = 0, share = 0;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        const BenchOp& op = ops[i];
        if (i >= most) {
            seconds += op.seconds, share += op.share;
            continue;
        }
        const double of_machine = prompt ? op.float_share : op.bandwidth_share;
        std::snprintf(text, sizeof text, "%-40s %10.1f %6.1f%% %10.2f", op.name.substr(0, 40).c_str(),
                      op.seconds * (prompt ? 1e3 : 1e6), 100 * op.share, static_cast<double>(op.moved) / 1e6);
        out += text;
        std::snprintf(text, sizeof text, of_machine > 0 ? " %10.1f%%\n" : "\n", 100 * of_machine);
        out += text;
    }
    if (ops.size() > most) {
        std::snprintf(text, sizeof text, "%-40s %10.1f %6.1f%%\n", "others", seconds * (prompt ? 1e3 : 1e6),
                      100 * share);
        out += text;
    }
    return out;
}

std::string table(const BenchResult& r, const OpenedModel& opened, bool observed) {
    constexpr double giga = 1e9, mebi = 1 << 20;
    std::string out = "backend                      " + opened.choice.backend + ": " + device_text(opened) +
                      "\n" + "keys and values in           " + opened.memory.cache + "\n" +
                      row("memory bandwidth", r.bandwidth / giga, "GB/s (measured)", 1) +
                      row("float32 peak", r.float_peak / giga, "GFLOP/s (measured)", 0);
    if (r.int8_peak > 0) {
        out += row("int8 peak", r.int8_peak / giga, "GOP/s (measured)", 0);
    }
    out += row("prompt", r.prompt_tokens_per_second, "tokens/s", 1) +
           row("generation", r.generate_tokens_per_second, "tokens/s", 1);
    if (observed) {
        out += row("generation, not observed", r.unobserved_tokens_per_second, "tokens/s", 1) +
               row("observed / not observed", 100 * r.observed_share, "%", 1) +
               row("captured", static_cast<double>(r.captured_bytes_per_token) / 1e3, "kB a token", 1);
    }
    if (r.dispatches_per_token > 0) {
        out += row("kernels", r.dispatches_per_token, "a token", 0) +
               row("submissions", r.submissions_per_token, "a token", 1) +
               row("moved by kernels", r.bytes_moved_per_token / 1e6, "MB a token", 2);
    }
    return out + row("weights read", static_cast<double>(r.bytes_per_token) / 1e6, "MB a token", 2) +
           row("generation: of bandwidth", 100 * r.bandwidth_share, "%", 1) +
           (r.product_share > 0 ? row("prompt's products: of peak", 100 * r.product_share, "%", 1) +
                                      row("prompt in all: of peak", 100 * r.prompt_float_share, "%", 1)
                                : std::string()) +
           row("peak memory", static_cast<double>(r.peak_memory) / mebi, "MiB", 1) +
           row("operations on the host", static_cast<double>(r.host_ops), "", 0) +
           op_table("slowest in the prompt", r.prompt_ops, true) +
           op_table("slowest in generation", r.generate_ops, false);
}

// Ops that took at least a hundredth of the time in either run, by how much they moved.
std::string moved_ops(const json& now, const json& before, const char* list, const char* title) {
    const auto find = [](const json& ops, const std::string& name) -> const json* {
        for (const json& op : ops) {
            if (op.is_object() && op.contains("name") && op["name"] == name) {
                return &op;
            }
        }
        return nullptr;
    };
    std::string out;
    const json old_ops = before.value(list, json::array());
    for (const json& op : now.at(list)) {
        const json* old = find(old_ops, op["name"].get<std::string>());
        const double seconds = op["seconds"], old_seconds = old ? old->value("seconds", 0.0) : 0;
        if (old_seconds > 0 && std::max(op["share"].get<double>(), old->value("share", 0.0)) >= 0.01) {
            char text[192];
            std::snprintf(text, sizeof text, "%-40s %10.1f -> %10.1f us, %.2f times as fast\n",
                          op["name"].get<std::string>().substr(0, 40).c_str(), old_seconds * 1e6,
                          seconds * 1e6, old_seconds / seconds);
            out += text;
        }
    }
    return out.empty() ? out : std::string(title) + "\n" + out;
}

std::string comparison(const json& now, const json& before) {
    std::string out = "\ncompared with the earlier run:\n";
    for (const char* key : {"prompt_tokens_per_second", "generate_tokens_per_second",
                            "bandwidth_bytes_per_second", "float_operations_per_second"}) {
        const double old_value = before.value(key, 0.0), new_value = now.value(key, 0.0);
        if (old_value > 0) {
            out += row(key, new_value / old_value, "times", 3);
        }
    }
    return out + moved_ops(now, before, "prompt_ops", "in the prompt") +
           moved_ops(now, before, "generate_ops", "in generation, a token");
}

} // namespace

Syntax bench_syntax() {
    return {"bench",
            "Speed of prompt and generation, memory, and shares of what the machine can do, which is "
            "measured first.\n"
            "Then the slowest ops: time, weight bytes, and share of the machine's speed.\n"
            "With --observe each step runs observed and not observed in turn.",
            {"MODEL"},
            with_model_options(
                {{"-p", "N", "tokens of prompt (default 128)"},
                 {"-n", "N", "tokens to generate (default 64)"},
                 {"-t", "THREADS", "the same as --threads"},
                 {"--observe", "LIST", "observables to capture, with globs; 'lenses': what the window shows"},
                 {"--repetitions", "R", "counted rounds (default 3); medians are printed"},
                 {"--compare", "FILE", "an earlier --json output to compare with"},
                 {"--json", "", "print one JSON object"}})};
}

int bench_command(const Arguments& arguments, const Context& context) {
    OpenModelOptions options = parse_model_options(arguments);
    options.threads = static_cast<int>(arguments.integer("-t", options.threads, 1, 1024));
    BenchRequest request;
    request.prompt = arguments.integer("-p", 128, 0, 1 << 24);
    request.generate = arguments.integer("-n", 64, 0, 1 << 24);
    request.repetitions = arguments.integer("--repetitions", 3, 1, 1000);
    request.threads = options.threads;
    std::istringstream list(arguments.text("--observe"));
    for (std::string pattern; std::getline(list, pattern, ',');) {
        request.observe.push_back(pattern);
    }
    json before;
    if (arguments.has("--compare")) {
        before = json::parse(read_text_file(arguments.text("--compare"), 1 << 20), nullptr, false);
        if (!before.is_object()) {
            throw Error(ErrorKind::format, "This is not the --json output of an earlier bench.",
                        {.file = arguments.text("--compare")});
        }
    }
    const auto opened = open_all(*arguments.positional(0), options, progress_line(), context.cancel);
    const BenchResult result = run_bench(opened, request, progress_line(), context.cancel);
    const json now = to_json(result, *opened, !request.observe.empty());
    if (arguments.has("--json")) {
        print(now.dump(1) + "\n");
    } else {
        print(table(result, *opened, !request.observe.empty()) +
              (before.is_object() ? comparison(now, before) : ""));
    }
    return 0;
}

Syntax devices_syntax() {
    return {"devices",
            "Backends found on this machine, with features and memory.",
            {},
            {{"--json", "", "print one JSON object"}}};
}

int devices_command(const Arguments& arguments, const Context&) {
    json list = json::array();
    std::string text;
    int vulkan = 0;
    const std::vector<DeviceInfo> devices = all_devices();
    const BackendChoice choice = choose_backend(std::span(devices).subspan(1), {}); // the first is the CPU
    for (const DeviceInfo& device : devices) {
        const std::string name =
            device.backend == "vulkan" ? "vulkan:" + std::to_string(vulkan++) : device.backend;
        list.push_back({{"backend", name},
                        {"name", device.name},
                        {"driver", device.driver},
                        {"memory", device.memory_bytes},
                        {"features", device.features},
                        {"available", device.available_bytes},
                        {"kind", device_kind_text(device.kind)},
                        {"usable", device.unusable.empty()},
                        {"auto", name == choice.backend},
                        {"software", device.software}});
        char memory[32];
        std::snprintf(memory, sizeof memory, "%.1f GiB",
                      static_cast<double>(device.memory_bytes) / (1 << 30));
        text += name + "\t" + device.name + "\t" + memory + (device.software ? "\tsoftware, for tests" : "") +
                (device.unusable.empty() ? "" : "\tunusable: " + device.unusable) + "\n";
    }
    text += "auto takes " + choice.backend + ": " + choice.reason + "\n";
    const json out{{"devices", list}, {"auto", choice.backend}, {"auto_reason", choice.reason}};
    print(arguments.has("--json") ? out.dump(1) + "\n" : text);
    return 0;
}

} // namespace ergo::cli
