// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/opened_model.h"

#include "engine/backend/reference/reference_backend.h"
#include "engine/base/embedded.h"
#include "engine/base/error.h"
#include "engine/generate/metadata_tokenizer.h"
#include "engine/tokenizer/tokenizer_folder.h"
#ifdef ERGO_HAS_VULKAN
#include "engine/backend/vulkan/vulkan_backend.h"
#endif

#include <charconv>

namespace ergo {

namespace {

constexpr std::string_view demo_prefix = "demo:";
constexpr std::int64_t least_context = 1024; // shorter ones are for those who ask for them

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "" : ", ") + name;
    }
    return text;
}

std::shared_ptr<Backend> make_vulkan(const std::string& name) {
#ifdef ERGO_HAS_VULKAN
    int index = -1;
    if (const auto colon = name.find(':'); colon != std::string::npos) {
        const char* begin = name.data() + colon + 1;
        const char* end = name.data() + name.size();
        const auto [stop, problem] = std::from_chars(begin, end, index);
        if (problem != std::errc{} || stop != end || index < 0) {
            throw Error(ErrorKind::usage, "Backend '" + printable(name) + "' is not of the form vulkan:N.");
        }
    } else {
        try {
            return make_vulkan_backend();
        } catch (const Error&) {
            if (vulkan_devices().empty()) {
                throw;
            }
            index = 0; // by name any device will do, a software one included
        }
    }
    return make_vulkan_backend(index);
#else
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

std::shared_ptr<const Tokenizer> open_tokenizer(const Checkpoint& checkpoint) {
    const TypedMetadata& metadata = checkpoint.typed_metadata();
    if (const auto table = token_table_of(metadata)) {
        return Tokenizer::from_table(*table, metadata.file_name());
    }
    return Tokenizer::from_files([&](const std::string& name) { return checkpoint.side_file(name); },
                                 read_named_templates(checkpoint.folder()));
}

std::shared_ptr<Backend> make_backend(const std::string& name, int threads) {
    if (name == "cpu") {
        return make_cpu_backend(threads);
    }
    if (name == "auto") {
#ifdef ERGO_HAS_VULKAN
        try {
            return make_vulkan_backend(); // a GPU that can be used
        } catch (const Error&) {          // there is none: the CPU does it
        }
#endif
        return make_cpu_backend(threads);
    }
    if (name == "vulkan" || name.starts_with("vulkan:")) {
        return make_vulkan(name);
    }
    if (name == "reference") { // plain scalar code, to judge the others by
        return make_reference_backend();
    }
    throw Error(ErrorKind::usage, "There is no backend '" + printable(name) + "'.",
                {.advice = "Choose auto, cpu, vulkan, vulkan:N or reference (plain and slow); `ergo devices` "
                           "lists the devices."});
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
void plan_memory(OpenedModel& opened, const OpenModelOptions& options) {
    const MemoryPlanner planner(opened.model);
    const MemoryHost host = memory_host(*opened.backend);
    if (options.context == 0) {
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

} // namespace

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
    say(0, "reading headers");
    opened->checkpoint =
        still_as_it_was(options.checkpoint) ? options.checkpoint : open_checkpoint(source, progress, cancel);
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
    opened->tokenizer = open_tokenizer(*opened->checkpoint);
    opened->defaults = generation_defaults(*opened->checkpoint);
    if (opened->tokenizer) {
        opened->chat = ChatFormat::detect(opened->tokenizer, opened->model->info().base_model);
    }
    opened->card = opened->checkpoint->side_file("README.md").value_or("");
    say(3, "preparing the weights");
    opened->backend = make_backend(options.backend, options.threads);
    plan_memory(*opened, options);
    opened->loaded = opened->backend->load(opened->model->tables(), progress, cancel);
    opened->checkpoint->check_unchanged();
    say(4, "ready");
    return opened;
}

} // namespace ergo
