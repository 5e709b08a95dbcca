// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/memory_plan.h"

#include "engine/base/error.h"
#include "engine/generate/session.h"
#include "engine/model/cache_types.h"
#include "engine/model/lens_set.h"
#include "engine/model/weight_types.h"
#ifdef ERGO_HAS_VULKAN
#include "engine/backend/vulkan/vulkan_backend.h"
#endif

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

namespace ergo {

namespace {

constexpr std::int64_t context_step = 256;

/// The number after `name` in a file of lines "name number …".
std::optional<std::uint64_t> number_in(const char* file, const std::string& name) {
    std::ifstream in(file);
    for (std::string word; in >> word; in.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
        std::uint64_t value = 0;
        if (word == name && in >> value) {
            return value;
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> only_number_in(const char* file) {
    std::ifstream in(file);
    std::uint64_t value = 0;
    return in >> value ? std::optional(value) : std::nullopt; // "max" is none
}

std::vector<Subscription> lens_subscriptions(const Model& model) {
    std::vector<Subscription> wanted;
    const std::vector<std::string> names = lens_observables(model.info(), 0);
    for (std::size_t i = 0; i < model.observables().size(); ++i) {
        const Observable& each = model.observables()[i];
        const bool from_buffers = std::find(names.begin(), names.end(), each.name) != names.end();
        if (from_buffers) {
            wanted.push_back({static_cast<std::int32_t>(i), {}});
        }
    }
    return wanted;
}

std::vector<ModelPlan> plans_of(const Model& model, const std::vector<Subscription>& subscriptions) {
    std::vector<ModelPlan> plans;
    for (const std::int64_t rows : {std::int64_t{1}, prompt_rows}) {
        PlanRequest request;
        request.max_rows = rows;
        request.subscriptions = subscriptions;
        plans.push_back(model.build(request));
    }
    return plans;
}

std::vector<const Plan*> pointers(const std::vector<ModelPlan>& plans) {
    std::vector<const Plan*> out;
    for (const ModelPlan& plan : plans) {
        out.push_back(plan.plan.get());
    }
    return out;
}

/// By the name of dtype_name; none: it is no type of a tensor's.
std::optional<DType> type_called(const std::string& name) {
    for (int i = 0; i <= static_cast<int>(DType::q4); ++i) {
        if (name == dtype_name(static_cast<DType>(i))) {
            return static_cast<DType>(i);
        }
    }
    return {};
}

/// The types that a model is stored in, "q4_k, f32", as `host` holds them.
std::string held_types(const std::string& stored, const MemoryHost& host) {
    std::vector<std::string> types;
    std::istringstream names(stored);
    for (std::string name; std::getline(names >> std::ws, name, ',');) {
        if (const auto type = type_called(name)) {
            name = dtype_name(host.held_as(*type));
        }
        if (std::ranges::find(types, name) == types.end()) {
            types.push_back(name);
        }
    }
    std::string out;
    for (const std::string& type : types) {
        out += (out.empty() ? "" : ", ") + type;
    }
    return out;
}

/// What the weight matrices are rounded to (q4 leaves some of them in q8), else what they are held as.
std::string run_types(const Tables& tables, const ModelInfo& info, const MemoryHost& host) {
    std::optional<DType> rounded;
    for (const WeightInfo& weight : tables.weights) {
        if (weight.run_as && (!rounded || weight.run_as == DType::q4)) {
            rounded = weight.run_as;
        }
    }
    return rounded ? std::string(dtype_name(*rounded)) : held_types(info.dtype, host);
}

/// Bytes that can be had on a device now, as far as it says.
std::uint64_t memory_of(const DeviceInfo& device) {
    return device.available_bytes ? device.available_bytes : device.memory_bytes;
}

std::string grouped(std::int64_t n) {
    std::string digits = std::to_string(n);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
        digits.insert(static_cast<std::size_t>(at), ",");
    }
    return digits;
}

} // namespace

std::string bytes_text(std::uint64_t bytes) {
    char text[32];
    const auto number = static_cast<double>(bytes);
    if (bytes < 1'000'000'000) {
        std::snprintf(text, sizeof text, "%.1f MB", number / 1e6);
    } else {
        std::snprintf(text, sizeof text, "%.2f GB", number / 1e9);
    }
    return text;
}

std::uint64_t available_memory() {
    const auto kibibytes = number_in("/proc/meminfo", "MemAvailable:");
    std::uint64_t available = kibibytes ? *kibibytes * 1024 : 0;
    const auto limit = only_number_in("/sys/fs/cgroup/memory.max");
    const auto current = only_number_in("/sys/fs/cgroup/memory.current");
    if (limit && current) {
        const std::uint64_t cached = number_in("/sys/fs/cgroup/memory.stat", "inactive_file").value_or(0);
        const std::uint64_t held = *current - std::min(*current, cached);
        const std::uint64_t left = *limit - std::min(*limit, held);
        available = available ? std::min(available, left) : left;
    }
    return available;
}

std::uint64_t peak_memory() {
    return number_in("/proc/self/status", "VmHWM:").value_or(0) * 1024;
}

MemoryHost memory_host(const Backend& backend) {
    const DeviceInfo info = backend.info();
    const std::uint64_t available = info.backend == "cpu" ? available_memory() : memory_of(info);
    return {info.backend, info.name, available,
            [&backend](const Tables& tables, std::int64_t capacity, std::span<const Plan* const> plans) {
                return backend.need(tables, capacity, plans);
            },
            [&backend](DType stored) { return backend.held_as(stored); }};
}

MemoryHost cpu_memory_host(int threads) {
    const std::shared_ptr<Backend> cpu = make_cpu_backend(threads);
    MemoryHost host = memory_host(*cpu);
    host.need = [cpu](const Tables& tables, std::int64_t capacity, std::span<const Plan* const> plans) {
        return cpu->need(tables, capacity, plans);
    };
    host.held_as = [cpu](DType stored) { return cpu->held_as(stored); };
    return host;
}

std::vector<MemoryHost> memory_hosts(int threads) {
    std::vector<MemoryHost> hosts{cpu_memory_host(threads)};
#ifdef ERGO_HAS_VULKAN
    const std::vector<DeviceInfo> devices = vulkan_devices();
    for (std::size_t i = 0; i < devices.size(); ++i) {
        if (devices[i].unusable.empty()) {
            hosts.push_back({"vulkan:" + std::to_string(i), devices[i].name, memory_of(devices[i]),
                             vulkan_need, vulkan_held_as});
        }
    }
#endif
    return hosts;
}

std::uint64_t MemoryPlan::total() const {
    std::uint64_t sum = 0;
    for (const MemoryItem& item : items) {
        sum += item.bytes;
    }
    return sum;
}

std::uint64_t MemoryPlan::item(const std::string& what) const {
    const auto found =
        std::find_if(items.begin(), items.end(), [&](const MemoryItem& item) { return item.what == what; });
    return found == items.end() ? 0 : found->bytes;
}

bool MemoryPlan::fits(bool captures) const {
    return available == 0 || total() - (captures ? 0 : item("capture")) <= available;
}

MemoryPlanner::MemoryPlanner(std::shared_ptr<const Model> model, bool tokenizer)
    : model_(std::move(model)),
      reserve_(memory_reserve +
               (tokenizer ? memory_per_token * static_cast<std::uint64_t>(model_->info().vocabulary) : 0)),
      plain_(plans_of(*model_, {})), watched_(plans_of(*model_, lens_subscriptions(*model_))) {}

MemoryPlan MemoryPlanner::plan(const MemoryHost& host, std::int64_t context, const std::string& dtype,
                               const std::string& cache) const {
    std::shared_ptr<const Tables> tables = model_->tables();
    if (!dtype.empty() || !cache.empty()) {
        auto other = std::make_shared<Tables>(*tables); // names and views, not the weights themselves
        if (!dtype.empty()) {
            for (WeightInfo& weight : other->weights) {
                weight.run_as.reset();
            }
            convert_matrices(*other, dtype);
        }
        if (!cache.empty()) {
            convert_cache(*other, cache);
        }
        tables = std::move(other);
    }
    const MemoryNeed need = host.need(*tables, context, pointers(plain_));
    const MemoryNeed watched = host.need(*tables, context, pointers(watched_));
    MemoryPlan plan;
    plan.backend = host.backend;
    plan.dtype = run_types(*tables, model_->info(), host);
    plan.cache = dtype_name(cache_type(*tables));
    plan.context = context;
    plan.items = {{"weights", need.weights + need.in_place},
                  {"cache", need.cache},
                  {"scratch", need.scratch},
                  {"capture", watched.scratch - std::min(need.scratch, watched.scratch)},
                  {"reserve", reserve_}};
    plan.in_place = need.in_place;
    plan.available = host.available;
    return plan;
}

std::int64_t MemoryPlanner::longest_context(const MemoryHost& host, std::int64_t up_to, bool captures,
                                            const std::string& dtype, const std::string& cache) const {
    const auto fits = [&](std::int64_t context) { return plan(host, context, dtype, cache).fits(captures); };
    if (fits(up_to)) {
        return up_to;
    }
    std::int64_t low = 0, high = (up_to - 1) / context_step; // in steps; more memory for more of them
    while (low < high) {
        const std::int64_t middle = (low + high + 1) / 2;
        fits(middle * context_step) ? low = middle : high = middle - 1;
    }
    return low * context_step;
}

std::string MemoryPlanner::advice(const MemoryHost& host, std::int64_t context, bool captures,
                                  const std::vector<MemoryHost>& others) const {
    std::vector<std::string> ways;
    if (const std::int64_t shorter = longest_context(host, context, captures); shorter > 0) {
        ways.push_back("--context " + std::to_string(shorter));
    }
    const MemoryPlan asked = plan(host, context);
    for (const char* dtype : {"bf16", "checkpoint", "q8", "q4"}) {
        const MemoryPlan smaller = plan(host, context, dtype);
        if (smaller.fits(captures) && smaller.total() < asked.total()) {
            ways.push_back(std::string("--dtype ") + dtype);
            break;
        }
    }
    for (const MemoryHost& other : others) {
        if (other.backend != host.backend && plan(other, context).fits(captures)) {
            ways.push_back("--backend " + other.backend);
            break;
        }
    }
    if (ways.empty()) {
        return "No setting makes it fit here: close other programs, or use a machine with more memory.";
    }
    std::string text = "It fits with ";
    for (std::size_t i = 0; i < ways.size(); ++i) {
        text += (i == 0 ? "" : i + 1 == ways.size() ? " or " : ", ") + ways[i];
    }
    return text + ".";
}

void MemoryPlanner::require(const MemoryHost& host, std::int64_t context, bool captures,
                            const std::vector<MemoryHost>& others) const {
    const MemoryPlan asked = plan(host, context);
    if (asked.fits(captures)) {
        return;
    }
    std::string parts;
    std::uint64_t needed = 0;
    for (const MemoryItem& item : asked.items) {
        if (captures || item.what != "capture") {
            parts += (parts.empty() ? "" : ", ") + item.what + " " + bytes_text(item.bytes);
            needed += item.bytes;
        }
    }
    throw Error(ErrorKind::resources,
                "The model needs " + bytes_text(needed) + " with a context of " + grouped(context) +
                    " tokens (" + parts + "), but " + bytes_text(asked.available) + " can be had on " +
                    host.backend + " (" + host.device + ").",
                {.code = "M-MEMORY", .advice = advice(host, context, captures, others)});
}

} // namespace ergo
