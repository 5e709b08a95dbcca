// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/load_backend.h"

#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/checkpoint/digest.h"
#include "engine/generate/hybrid.h"
#include "engine/model/cache_types.h"
#ifdef ERGO_HAS_VULKAN
#include "engine/backend/vulkan/vulkan_backend.h"
#endif

#include <algorithm>
#include <charconv>
#include <utility>

namespace ergo {

namespace {

constexpr std::int64_t least_context = 1024; // shorter ones are for those who ask for them
constexpr std::int64_t least_context_on_gpu =
    4096; // with less the CPU, which has more memory, is the better place

constexpr const char* by_name = "It was asked for by name.";

/// Where what took long to make is kept between runs: kernels, measured speeds. Empty: nowhere.
std::filesystem::path kept_folder() {
    const auto cache = DigestCache::default_file();
    return cache.empty() ? cache : cache.parent_path() / "pipelines";
}

/// Where measured speeds are kept. Those of a run with switches for diagnosis are nobody else's, nor are
/// others' its own: nowhere.
std::filesystem::path speeds_folder(const OpenModelOptions& options) {
    return options.diagnostics == Diagnostics{} ? kept_folder() : std::filesystem::path();
}

std::vector<DeviceInfo> vulkan_or_none() {
#ifdef ERGO_HAS_VULKAN
    return vulkan_devices();
#else
    return {};
#endif
}

std::shared_ptr<Backend> make_vulkan(const std::string& name, const OpenModelOptions& options) {
#ifdef ERGO_HAS_VULKAN
    VulkanOptions wanted;
    static_cast<Diagnostics&>(wanted) = options.diagnostics;
    wanted.on_validation = options.on_validation;
    wanted.pipeline_folder = kept_folder();
    int index = -1;
    if (const auto colon = name.find(':'); colon != std::string::npos) {
        const char* begin = name.data() + colon + 1;
        const char* end = name.data() + name.size();
        const auto [stop, problem] = std::from_chars(begin, end, index);
        if (problem != std::errc{} || stop != end || index < 0) {
            throw Error(ErrorKind::usage, "Backend '" + printable(name) + "' is not of the form vulkan:N.");
        }
    } else {
        const auto devices = vulkan_devices();
        const bool gpu = std::any_of(devices.begin(), devices.end(), [](const DeviceInfo& device) {
            return device.unusable.empty() && !device.software && device.kind != DeviceKind::other;
        });
        index = gpu || devices.empty() ? -1 : 0; // by name any device will do, a software one included
    }
    return make_vulkan_backend(index, wanted);
#else
    (void)options;
    throw Error(ErrorKind::unsupported,
                "Backend '" + printable(name) + "': this build has no Vulkan backend.",
                {.advice = "Use --backend cpu."});
#endif
}

} // namespace

std::shared_ptr<Backend> make_backend(const std::string& name, const OpenModelOptions& options) {
    if (name == "cpu") {
        return options.pin ? cpu::make_pinned_backend(options.threads) : make_cpu_backend(options.threads);
    }
    if (name == "auto") {
        return make_backend(choose_backend(vulkan_or_none(), {}).backend, options);
    }
    if (name == "vulkan" || name.starts_with("vulkan:")) {
        return make_vulkan(name, options);
    }
    if (name == "reference") { // plain scalar code, to judge the others by
        return make_reference_backend();
    }
    throw Error(ErrorKind::usage, "There is no backend '" + printable(name) + "'.",
                {.advice = "Choose auto, cpu, vulkan, vulkan:N, hybrid or reference (plain and slow); `ergo "
                           "devices` lists the devices."});
}

std::shared_ptr<Backend> make_backend(const std::string& name, int threads) {
    OpenModelOptions options;
    options.threads = threads;
    return make_backend(name, options);
}

std::string device_text(const OpenedModel& opened) {
    const std::string name = opened.backend->info().name;
    return opened.writer ? name + " reads, " + opened.writer->backend->info().name + " writes" : name;
}

Roundings roundings_of(const OpenedModel& opened) {
    const std::string& dtype = opened.options.model.dtype;
    const std::string cache(dtype_name(cache_type(*opened.model->tables())));
    return {dtype == "checkpoint" || dtype == "f32" ? "" : dtype, cache == "f32" ? "" : cache};
}

std::string precision_text(const OpenedModel& opened) {
    const auto [weights, cache] = roundings_of(opened);
    return "f32" + (weights.empty() ? "" : ", weights rounded to " + weights) +
           (cache.empty() ? "" : ", keys and values rounded to " + cache);
}

std::vector<DeviceInfo> all_devices() {
    std::vector<DeviceInfo> devices{make_cpu_backend(0)->info()};
#ifdef ERGO_HAS_VULKAN
    for (DeviceInfo& device : vulkan_devices()) {
        devices.push_back(std::move(device));
    }
#endif
    return devices;
}

namespace {

/// Decides the context where nobody asked for one, and refuses what does not fit.
void plan_memory(OpenedModel& opened, const MemoryPlanner& planner, bool fixed_context) {
    const OpenModelOptions& options = opened.options;
    const MemoryHost host = memory_host(*opened.backend);
    if (!fixed_context) {
        const std::int64_t longest = planner.longest_context(host, opened.context, options.watched);
        if (longest >= std::min(opened.context, least_context) && longest < opened.context) {
            opened.notes.push_back("The context is " + std::to_string(longest) +
                                   " tokens instead of the model's " + std::to_string(opened.context) +
                                   ", for " + bytes_text(host.available) + " of memory can be had on " +
                                   host.backend + ".");
            opened.context = longest;
        }
    }
    opened.memory = planner.plan(host, opened.context);
    if (!opened.memory.fits(options.watched)) {
        planner.require(host, opened.context, options.watched, memory_hosts(options.threads));
    }
}

/// What speaks against the model on a device, by plan; empty: nothing.
std::string no_room(const MemoryPlanner& planner, const MemoryHost& host, std::int64_t context, bool watched,
                    bool fixed_context) {
    if (!fixed_context) {
        const std::int64_t least = std::min(context, least_context_on_gpu);
        context = std::max(least, planner.longest_context(host, context, watched));
    }
    const MemoryPlan plan = planner.plan(host, context);
    if (plan.fits(watched)) {
        return {};
    }
    const std::uint64_t needed = plan.total() - (watched ? 0 : plan.item("capture"));
    return "has no room: " + bytes_text(needed) + " are needed for " + std::to_string(context) + " tokens, " +
           bytes_text(plan.available) + " can be had";
}

/// Loads the weights on `backend`, whose name and reason are those of `choice`.
void load_on(OpenedModel& opened, BackendChoice choice, const MemoryPlanner& planner, bool fixed_context,
             const Progress& progress, const CancelToken& cancel) {
    opened.choice = std::move(choice);
    opened.loaded.reset(); // before its backend
    opened.backend = make_backend(opened.choice.backend, opened.options);
    plan_memory(opened, planner, fixed_context);
    opened.loaded = opened.backend->load(opened.model->tables(), progress, cancel);
}

/// What one loading is about.
struct Loading {
    const MemoryPlanner& planner;
    bool fixed_context;
    const Progress& progress;
    const CancelToken& cancel;

    void on(OpenedModel& opened, BackendChoice choice) const {
        load_on(opened, std::move(choice), planner, fixed_context, progress, cancel);
    }
};

/// The same model with the same context on `backend` as well.
std::shared_ptr<OpenedModel> beside(const OpenedModel& opened, const std::string& backend,
                                    const Loading& loading) {
    auto other = std::make_shared<OpenedModel>(opened);
    other->loaded.reset();
    other->writer.reset();
    load_on(*other, {backend, opened.choice.reason}, loading.planner, true, loading.progress, loading.cancel);
    return other;
}

/// `opened` reads and `writer` writes; its memory plan becomes that of both.
void pair_up(OpenedModel& opened, std::shared_ptr<OpenedModel> writer, const std::string& reason) {
    opened.choice = {opened.choice.backend + "+" + writer->choice.backend, reason};
    writer->choice.reason = reason;
    for (MemoryItem& item : opened.memory.items) { // one program runs both
        item.bytes += item.what == "reserve" ? 0 : writer->memory.item(item.what);
    }
    opened.memory.in_place += writer->memory.in_place;
    opened.writer = std::move(writer);
}

void load_pair(OpenedModel& opened, const PairNames& names, const std::string& reason,
               const Loading& loading) {
    loading.on(opened, {names.reading, reason});
    pair_up(opened, beside(opened, names.writing, loading), reason);
}

/// The two change places before they are paired up.
void exchange_places(OpenedModel& a, OpenedModel& b) {
    std::swap(a.choice, b.choice);
    std::swap(a.backend, b.backend);
    std::swap(a.loaded, b.loaded);
    std::swap(a.memory, b.memory);
}

/// Of a device and the CPU, which `opened` and `cpu` are on: known, or measured now.
PairSpeeds speeds_of(const OpenedModel& opened, const std::shared_ptr<const OpenedModel>& cpu,
                     const CancelToken& cancel) {
    const auto folder = speeds_folder(opened.options);
    if (const auto known = remembered_speeds(opened.backend->info(), cpu->backend->info(),
                                             *opened.model->tables(), folder)) {
        return *known;
    }
    return measure_speeds(std::make_shared<const OpenedModel>(opened), cpu, folder, cancel);
}

/// A device and the CPU share the work, as they do it faster.
void load_hybrid(OpenedModel& opened, const Loading& loading) {
    loading.on(opened, {"vulkan", by_name});
    auto cpu = beside(opened, "cpu", loading);
    if (opened.options.diagnostics.fault) { // is to be had in a session, not while something is measured
        pair_up(opened, std::move(cpu), by_name);
        return;
    }
    const PairSpeeds speeds = speeds_of(opened, cpu, loading.cancel);
    const std::string reason =
        std::string(by_name) + " Measured: " + speeds_text(speeds, opened.backend->info().name);
    if (better_pair(speeds) == Split::cpu_reads) {
        exchange_places(opened, *cpu);
    }
    pair_up(opened, std::move(cpu), reason);
}

/// The first time that a GPU was chosen for a model: whether the CPU would do a part of it faster. Then it
/// does.
void measure_against_cpu(OpenedModel& opened, const Loading& loading) {
    std::shared_ptr<OpenedModel> cpu;
    try {
        cpu = beside(opened, "cpu", loading);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled) {
            throw;
        }
        return; // no room for both: there is nothing to compare
    }
    const std::string name = opened.backend->info().name;
    const PairSpeeds speeds = speeds_of(opened, cpu, loading.cancel);
    const BackendChoice choice = with_speeds(opened.choice, name, speeds);
    if (choice.backend == opened.choice.backend) {
        return;
    }
    if (choice.backend.starts_with("cpu")) {
        exchange_places(opened, *cpu);
    }
    opened.choice.reason = choice.reason;
    if (pair_names(choice.backend)) {
        pair_up(opened, std::move(cpu), choice.reason);
    }
}

bool measured_before(const OpenedModel& opened) {
    const auto cpu = make_backend("cpu", opened.options);
    return remembered_speeds(opened.backend->info(), cpu->info(), *opened.model->tables(),
                             speeds_folder(opened.options))
        .has_value();
}

void load_auto(OpenedModel& opened, const Loading& loading) {
    const BackendChoice choice = choose_auto(loading.planner, *opened.model->tables(), opened.context,
                                             opened.options, loading.fixed_context);
    if (choice.backend == "cpu") {
        loading.on(opened, choice);
        return;
    }
    const std::int64_t context = opened.context;
    const std::vector<std::string> notes = opened.notes;
    try {
        if (const auto pair = pair_names(choice.backend)) {
            load_pair(opened, *pair, choice.reason, loading);
            return; // where there is no room for both any more, the CPU alone is the safe choice
        }
        loading.on(opened, choice);
        if (!opened.options.diagnostics.fault && !measured_before(opened)) {
            measure_against_cpu(opened, loading);
        }
    } catch (const Error& error) {
        if (!is_device_failure(error)) {
            throw;
        }
        opened.context = context;
        opened.notes = notes;
        opened.writer.reset();
        loading.on(opened, {"cpu", "The GPU failed: " + error.message() + "."});
    }
}

/// Throws unless both of a pair have a name.
void check_named(const std::string& name, const PairNames& pair) {
    if (!pair.reading.empty() && !pair.writing.empty()) {
        return;
    }
    const std::string missing = !pair.writing.empty()   ? "reads the prompt"
                                : !pair.reading.empty() ? "writes the reply"
                                                        : "reads and which writes";
    throw Error(ErrorKind::usage,
                "Backend '" + printable(name) + "' is a pair that does not say which backend " + missing +
                    ".",
                {.advice = "Name both, as in vulkan:0+cpu, or one without the '+'."});
}

} // namespace

void load_by_name(OpenedModel& opened, const std::string& name, bool fixed_context, const Progress& progress,
                  const CancelToken& cancel) {
    const MemoryPlanner planner(opened.model, opened.tokenizer != nullptr);
    const Loading loading{planner, fixed_context, progress, cancel};
    if (name == "auto") {
        load_auto(opened, loading);
    } else if (name == "hybrid") {
        load_hybrid(opened, loading);
    } else if (const auto pair = pair_names(name)) {
        check_named(name, *pair);
        load_pair(opened, *pair, by_name, loading);
    } else {
        loading.on(opened, {name, by_name});
    }
}

bool is_device_failure(const Error& error) {
    return error.kind() == ErrorKind::device || error.kind() == ErrorKind::resources ||
           error.kind() == ErrorKind::unsupported;
}

BackendChoice choose_auto(const MemoryPlanner& planner, const Tables& tables, std::int64_t context,
                          const OpenModelOptions& options, bool fixed_context) {
    const std::vector<DeviceInfo> devices = vulkan_or_none();
    if (devices.empty()) {
        return choose_backend(devices, {});
    }
    const std::vector<MemoryHost> hosts = memory_hosts(options.threads);
    const BackendChoice choice = choose_backend(devices, [&](std::size_t device) {
        const std::string name = "vulkan:" + std::to_string(device);
        for (const MemoryHost& host : hosts) {
            if (host.backend == name && !options.model.cache.empty() && options.model.cache != "f32") {
                return std::string("keeps keys and values in f32 alone");
            }
            if (host.backend == name) {
                return no_room(planner, host, context, options.watched, fixed_context);
            }
        }
        return std::string("is not there any more");
    });
    for (std::size_t i = 0; i < devices.size(); ++i) {
        if (choice.backend == "vulkan:" + std::to_string(i)) {
            const DeviceInfo cpu = make_backend("cpu", options)->info();
            const auto known = remembered_speeds(devices[i], cpu, tables, speeds_folder(options));
            return known ? with_speeds(choice, devices[i].name, *known) : choice;
        }
    }
    return choice;
}

} // namespace ergo
