// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/opened_model.h"

#include "engine/backend/reference/reference_backend.h"
#include "engine/base/embedded.h"
#include "engine/base/error.h"
#include "engine/checkpoint/digest.h"
#include "engine/generate/metadata_tokenizer.h"
#include "engine/tokenizer/tokenizer_folder.h"
#ifdef ERGO_HAS_VULKAN
#include "engine/backend/vulkan/vulkan_backend.h"
#endif

#include <algorithm>
#include <charconv>

namespace ergo {

namespace {

constexpr std::string_view demo_prefix = "demo:";
constexpr std::int64_t least_context = 1024; // shorter ones are for those who ask for them
constexpr std::int64_t least_context_on_gpu =
    4096; // with less the CPU, which has more memory, is the better place

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "" : ", ") + name;
    }
    return text;
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
    if (const auto cache = DigestCache::default_file(); !cache.empty()) {
        wanted.pipeline_folder = cache.parent_path() / "pipelines";
    }
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

std::vector<std::string> demo_models() {
    std::vector<std::string> names;
    for (const EmbeddedFile& file : embedded_below("demo/")) {
        const auto slash = file.path.find('/', 5);
        if (slash != std::string_view::npos && file.path.substr(slash + 1) == "model.safetensors") {
            names.push_back(std::string(demo_prefix) + std::string(file.path.substr(5, slash - 5)));
        }
    }
    std::stable_partition(names.begin(), names.end(),
                          [](const std::string& name) { return name == "demo:moa"; });
    return names;
}

std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& source, const Progress& progress,
                                                  const CancelToken& cancel) {
    if (!source.starts_with(demo_prefix)) {
        return Checkpoint::open(std::filesystem::path(source), progress, cancel);
    }
    const std::string folder = "demo/" + source.substr(demo_prefix.size()) + "/";
    if (!find_embedded(folder + "model.safetensors")) {
        throw Error(ErrorKind::usage, "There is no demo model '" + printable(source) + "'.",
                    {.advice = "The demo models are: " + joined(demo_models()) + "."});
    }
    return Checkpoint::open_embedded(folder);
}

bool has_tokenizer(const Checkpoint& checkpoint) {
    const auto beside = [&](const char* name) { return checkpoint.has_side_file(name); };
    return checkpoint.attached(AttachmentKind::tokenizer) ||
           checkpoint.typed_metadata().find("tokenizer.ggml.tokens") || beside("tokenizer.json") ||
           beside("vocab.json") || beside("vocab.txt");
}

std::shared_ptr<const Tokenizer> open_tokenizer(const Checkpoint& checkpoint) {
    const TypedMetadata& metadata = checkpoint.typed_metadata();
    if (!checkpoint.attached(AttachmentKind::tokenizer)) {
        if (auto table = token_table_of(metadata)) {
            if (const auto text = checkpoint.side_file("chat_template.jinja")) { // wins over the metadata's
                table->chat_template = *text;
            }
            return Tokenizer::from_table(*table, metadata.file_name());
        }
    }
    return Tokenizer::from_files([&](const std::string& name) { return checkpoint.side_file(name); },
                                 read_named_templates(checkpoint.folder()));
}

std::shared_ptr<const Tokenizer> open_tokenizer(const Checkpoint& checkpoint, const ModelInfo& info,
                                                std::vector<std::string>& notes) {
    auto tokenizer = open_tokenizer(checkpoint);
    if (!tokenizer) {
        if (checkpoint.attached(AttachmentKind::tokenizer)) {
            throw Error(
                ErrorKind::format, "no tokenizer could be made of the file that is attached.",
                {.code = "TK-VOCAB",
                 .advice = "Attach a tokenizer.json, a vocab.json with its merges.txt, or a vocab.txt."});
        }
        return nullptr;
    }
    const std::int64_t tokens = tokenizer->vocab_size(), rows = info.vocabulary;
    std::int64_t beyond = 0, ordinary = 0;
    for (std::int64_t id = rows; id < tokens; ++id) {
        const auto each = static_cast<std::int32_t>(id);
        beyond += tokenizer->has_token(each);
        ordinary += tokenizer->has_token(each) && !tokenizer->is_added(each);
    }
    if (ordinary > 0) {
        throw Error(
            ErrorKind::mismatch,
            "the tokenizer has ids up to " + std::to_string(tokens - 1) + ", but the model's embedding has " +
                std::to_string(rows) + " rows.",
            {.code = "TK-SIZE", .advice = "It belongs to another model; use this model's own tokenizer."});
    }
    if (beyond > 0) {
        notes.push_back(std::to_string(beyond) + " added tokens have ids beyond the embedding's " +
                        std::to_string(rows) + " rows (TK-SIZE): a text that holds one cannot be read.");
    }
    return tokenizer;
}

std::shared_ptr<Backend> make_backend(const std::string& name, const OpenModelOptions& options) {
    if (name == "cpu") {
        return make_cpu_backend(options.threads);
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
                {.advice = "Choose auto, cpu, vulkan, vulkan:N or reference (plain and slow); `ergo devices` "
                           "lists the devices."});
}

std::shared_ptr<Backend> make_backend(const std::string& name, int threads) {
    OpenModelOptions options;
    options.threads = threads;
    return make_backend(name, options);
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

bool still_as_it_was(const std::shared_ptr<const Checkpoint>& checkpoint) {
    try {
        if (checkpoint) {
            checkpoint->check_unchanged();
        }
        return checkpoint != nullptr;
    } catch (const Error&) { // what stands there now is opened instead
        return false;
    }
}

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

/// On `name`; for "auto" on the CPU where the GPU that was chosen fails.
void load_by_name(OpenedModel& opened, const std::string& name, bool fixed_context, const Progress& progress,
                  const CancelToken& cancel) {
    const MemoryPlanner planner(opened.model, opened.tokenizer != nullptr);
    const OpenModelOptions& options = opened.options;
    if (name != "auto") {
        load_on(opened, {name, "It was asked for by name."}, planner, fixed_context, progress, cancel);
        return;
    }
    const BackendChoice choice = choose_auto(planner, opened.context, options, fixed_context);
    if (choice.backend == "cpu") {
        load_on(opened, choice, planner, fixed_context, progress, cancel);
        return;
    }
    const std::int64_t context = opened.context;
    const std::vector<std::string> notes = opened.notes;
    try {
        load_on(opened, choice, planner, fixed_context, progress, cancel);
    } catch (const Error& error) {
        if (!is_device_failure(error)) {
            throw;
        }
        opened.context = context;
        opened.notes = notes;
        load_on(opened, {"cpu", "The GPU failed: " + error.message() + "."}, planner, fixed_context, progress,
                cancel);
    }
}

std::string model_card(const Checkpoint& checkpoint) {
    try {
        return checkpoint.side_file("README.md").value_or("");
    } catch (const Error&) { // a text that cannot be read keeps no model from opening
        return {};
    }
}

} // namespace

bool is_device_failure(const Error& error) {
    return error.kind() == ErrorKind::device || error.kind() == ErrorKind::resources ||
           error.kind() == ErrorKind::unsupported;
}

BackendChoice choose_auto(const MemoryPlanner& planner, std::int64_t context, const OpenModelOptions& options,
                          bool fixed_context) {
    const std::vector<DeviceInfo> devices = vulkan_or_none();
    if (devices.empty()) {
        return choose_backend(devices, {});
    }
    const std::vector<MemoryHost> hosts = memory_hosts(options.threads);
    return choose_backend(devices, [&](std::size_t device) {
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
}

std::shared_ptr<const OpenedModel> open_all(const std::string& source, const OpenModelOptions& options,
                                            const Progress& progress, const CancelToken& cancel) {
    const auto say = [&](double done, const char* what) {
        cancel.check();
        if (progress) {
            progress(done, 4, what);
        }
    };
    auto opened = std::make_shared<OpenedModel>();
    opened->source = source;
    opened->options = options;
    say(0, "reading headers");
    opened->checkpoint =
        still_as_it_was(options.checkpoint) ? options.checkpoint : open_checkpoint(source, progress, cancel);
    opened->checkpoint = Checkpoint::with(opened->checkpoint, options.attachments);
    say(1, "building the model");
    OpenOptions model_options = options.model;
    if (options.context > 0) {
        model_options.context = options.context;
    }
    opened->model = open_model(opened->checkpoint, model_options);
    const std::int64_t most = opened->model->max_positions();
    if (options.context > most) {
        throw Error(ErrorKind::usage,
                    "A context of " + std::to_string(options.context) +
                        " tokens was asked for, but this model has " + std::to_string(most) + ".",
                    {.advice = "Ask for " + std::to_string(most) + " or fewer."});
    }
    opened->context = options.context > 0 ? options.context : std::min(most, opened->model->info().context);
    say(2, "reading the tokenizer");
    opened->tokenizer = open_tokenizer(*opened->checkpoint, opened->model->info(), opened->notes);
    opened->defaults = generation_defaults(*opened->checkpoint);
    if (opened->tokenizer) {
        opened->chat = ChatFormat::detect(opened->tokenizer, opened->model->info().base_model);
    }
    opened->card = model_card(*opened->checkpoint);
    say(3, "preparing the weights");
    load_by_name(*opened, options.backend, options.context > 0, progress, cancel);
    opened->checkpoint->check_unchanged();
    say(4, "ready");
    return opened;
}

std::shared_ptr<const OpenedModel> open_elsewhere(const OpenedModel& opened, const BackendWish& wish,
                                                  const std::string& why, const Progress& progress,
                                                  const CancelToken& cancel) {
    auto other = std::make_shared<OpenedModel>(opened);
    other->loaded.reset();
    other->options.backend = wish.backend;
    other->options.diagnostics = wish.diagnostics;
    load_by_name(*other, wish.backend, true, progress, cancel);
    if (!why.empty()) {
        other->choice.reason = why;
    }
    return other;
}

} // namespace ergo
