// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "app/cli/info_details.h"
#include "engine/base/error.h"
#include "engine/checkpoint/digest.h"
#include "engine/checkpoint/licence.h"
#include "engine/model/cache_types.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace ergo::cli {

namespace {

using nlohmann::json;

struct Opened {
    std::shared_ptr<const Checkpoint> checkpoint;
    std::shared_ptr<const Model> model;
    std::shared_ptr<const Tokenizer> tokenizer;
    std::optional<ChatFormat> chat;
    std::vector<std::string> problems; ///< of the model, its tokenizer, chat template and generation defaults
    std::int64_t context = 0;
    std::vector<MemoryPlan> memory; ///< by backend, then weight type: as opened first
    BackendChoice choice;           ///< of --backend auto
};

/// Every backend of this machine with the weights as asked for and in the other types.
std::vector<MemoryPlan> plan_all(const MemoryPlanner& planner, const std::shared_ptr<const Model>& model,
                                 std::int64_t context, int threads) {
    std::vector<MemoryPlan> plans;
    const bool rounded = cache_type(*model->tables()) != DType::f32; // which the CPU alone can
    for (const MemoryHost& host : memory_hosts(threads)) {
        if (rounded && host.backend != "cpu") {
            continue;
        }
        plans.push_back(planner.plan(host, context));
        const std::string own = plans.back().dtype;
        for (const char* dtype : {"f32", "bf16", "f16", "q8", "q4"}) {
            MemoryPlan plan = planner.plan(host, context, dtype);
            if (plan.dtype != own) { // matrices that are stored in a type run in it anyway
                plans.push_back(std::move(plan));
            }
        }
    }
    return plans;
}

Opened open_headers(const Arguments& arguments, const Context& context) {
    const OpenModelOptions options = parse_model_options(arguments);
    Opened opened;
    opened.checkpoint = checkpoint_for(arguments, *arguments.positional(0), context);
    OpenOptions model_options = options.model;
    model_options.context = options.context;
    opened.model = open_model(opened.checkpoint, model_options);
    opened.tokenizer = open_tokenizer(*opened.checkpoint, opened.model->info(), opened.problems);
    opened.context = options.context > 0
                         ? options.context
                         : std::min(opened.model->max_positions(), opened.model->info().context);
    const MemoryPlanner planner(opened.model, opened.tokenizer != nullptr);
    opened.choice = choose_auto(planner, *opened.model->tables(), opened.context, options,
                                options.context > 0);
    opened.memory = plan_all(planner, opened.model, opened.context, options.threads);
    opened.problems.insert(opened.problems.begin(), opened.model->info().problems.begin(),
                           opened.model->info().problems.end());
    const auto add = [&](const std::vector<std::string>& more) {
        opened.problems.insert(opened.problems.end(), more.begin(), more.end());
    };
    add(generation_defaults(*opened.checkpoint).warnings);
    if (opened.tokenizer) {
        add(opened.tokenizer->warnings());
        opened.chat = ChatFormat::detect(opened.tokenizer, opened.model->info().base_model);
        if (!opened.chat->problem().empty()) {
            add({opened.chat->problem()});
        }
    }
    return opened;
}

json tokenizer_json(const Tokenizer* tokenizer) {
    if (!tokenizer) {
        return nullptr;
    }
    json out{{"kind", tokenizer->kind()}, {"vocab", tokenizer->vocab_size()}};
    const auto add = [&](const char* name, std::optional<std::int32_t> id) {
        out[name] = id ? json(*id) : json(nullptr);
    };
    add("bos", tokenizer->bos());
    add("eos", tokenizer->eos());
    add("pad", tokenizer->pad());
    add("unk", tokenizer->unk());
    return out;
}

json info_json(const Opened& opened) {
    const ModelInfo& info = opened.model->info();
    json out{{"name", info.name},
             {"family", info.family},
             {"variant", info.variant},
             {"why", info.why},
             {"parameters", info.parameters},
             {"layers", info.layers},
             {"heads", info.heads},
             {"width", info.width},
             {"vocab", info.vocabulary},
             {"context", info.context},
             {"dtype", info.dtype},
             {"problems", opened.problems},
             {"settings", info.settings},
             {"weight_files", opened.checkpoint->weight_files()},
             {"warnings", opened.checkpoint->warnings()},
             {"metadata", opened.checkpoint->metadata()},
             {"tokenizer", tokenizer_json(opened.tokenizer.get())}};
    for (const auto& [name, count] : info.components) {
        out["components"][name] = count;
    }
    out["attached"] = json::array();
    for (const Attachment& attachment : opened.checkpoint->attachments()) {
        out["attached"].push_back(printable(attachment.file.string(), 400));
    }
    out["chat_format"] = opened.chat ? json(opened.chat->name()) : json(nullptr);
    out["auto"] = {{"backend", opened.choice.backend}, {"reason", opened.choice.reason}};
    out["memory"] = {{"context", opened.context}};
    for (const MemoryPlan& plan : opened.memory) {
        json items = {{"total", plan.total()},
                      {"in_place", plan.in_place},
                      {"cache_type", plan.cache},
                      {"available", plan.available},
                      {"fits", plan.fits(true)}};
        for (const MemoryItem& item : plan.items) {
            items[item.what] = item.bytes;
        }
        out["memory"][plan.backend][plan.dtype] = std::move(items);
    }
    const Licence licence = find_licence(*opened.checkpoint);
    out["licence"] = licence.name.empty() ? json(nullptr) : json(licence.name);
    return out;
}

std::string grouped(std::int64_t n) {
    std::string digits = std::to_string(n);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
        digits.insert(static_cast<std::size_t>(at), ",");
    }
    return digits;
}

std::string mebibytes(std::uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", static_cast<double>(bytes) / (1 << 20));
    return text;
}

std::string memory_text(const Opened& opened) {
    std::string out = "  memory, MiB   for " + grouped(opened.context) + " tokens, keys and values in " +
                      opened.memory.at(0).cache + "\n";
    const auto row = [&out](const std::string& name, const std::vector<std::string>& cells) {
        out += "    " + name + std::string(name.size() < 24 ? 24 - name.size() : 1, ' ');
        for (const std::string& cell : cells) {
            out += std::string(cell.size() < 10 ? 10 - cell.size() : 1, ' ') + cell;
        }
        out += "\n";
    };
    std::vector<std::string> heads;
    for (const MemoryItem& item : opened.memory.at(0).items) {
        heads.push_back(item.what);
    }
    heads.insert(heads.end(), {"total", "available"});
    row("", heads);
    for (const MemoryPlan& plan : opened.memory) {
        std::vector<std::string> cells;
        for (const MemoryItem& item : plan.items) {
            cells.push_back(mebibytes(item.bytes));
        }
        cells.push_back(mebibytes(plan.total()));
        cells.push_back(plan.available == 0 ? "unknown"
                        : plan.fits(true)   ? mebibytes(plan.available)
                                            : mebibytes(plan.available) + ": does not fit");
        row(plan.backend + ", " + plan.dtype, cells);
    }
    return out;
}

std::string info_text(const Opened& opened) {
    const ModelInfo& info = opened.model->info();
    std::string out = info.name + "\n";
    const auto line = [&out](const std::string& name, const std::string& value) {
        out += "  " + name + std::string(name.size() < 14 ? 14 - name.size() : 1, ' ') + value + "\n";
    };
    const std::string schema = info.variant == info.family ? "" : ", " + info.variant;
    line("family", info.family + schema + " (" + info.why + ")");
    line("parameters", grouped(info.parameters) + " in " + info.dtype);
    for (const auto& [name, count] : info.components) {
        line("  " + name, grouped(count));
    }
    line("shape", std::to_string(info.layers) + " layers, width " + std::to_string(info.width) + ", " +
                      std::to_string(info.heads) + " heads, vocabulary " + grouped(info.vocabulary));
    line("context", grouped(info.context) + " tokens");
    if (opened.tokenizer) {
        line("tokenizer",
             opened.tokenizer->kind() + ", " + grouped(opened.tokenizer->vocab_size()) + " tokens");
        line("chat format", opened.chat->name());
    } else {
        line("tokenizer", "none: token ids in, numbers out");
    }
    if (const Licence licence = find_licence(*opened.checkpoint); !licence.name.empty()) {
        line("licence", licence.name + " (" + licence.from + ")");
    }
    for (const FileOnDisk& file : weight_files(*opened.checkpoint)) {
        line("file", file.name + ", " + mebibytes(file.bytes) + " MiB");
    }
    for (const Attachment& attachment : opened.checkpoint->attachments()) {
        line("attached", printable(attachment.file.string(), 400));
    }
    out += memory_text(opened);
    line("auto takes", opened.choice.backend + ": " + opened.choice.reason);
    for (const std::string& problem : opened.problems) {
        line("problem", problem);
    }
    for (const std::string& warning : opened.checkpoint->warnings()) {
        line("warning", warning);
    }
    return out;
}

std::string observables_text(const Model& model, bool as_json) {
    json list = json::array();
    std::string text;
    for (const Observable& observable : model.observables()) {
        json shape = json::array();
        std::string words = "[";
        for (const std::int64_t n : observable.shape) {
            shape.push_back(n < 0 ? json("n") : json(n));
            words += (words.size() > 1 ? ", " : "") + (n < 0 ? std::string("n") : std::to_string(n));
        }
        list.push_back({{"name", observable.name}, {"shape", shape}, {"unit", observable.unit}});
        text += observable.name + "  " + words + "]" +
                (observable.unit.empty() ? "" : "  " + observable.unit) + "\n";
    }
    return as_json ? json{{"observables", list}}.dump(1) + "\n" : text;
}

} // namespace

Syntax info_syntax() {
    std::vector<Option> options{{"--json", "", "print one JSON object"},
                                {"--observables", "", "list what can be observed, with shape and unit"}};
    for (Option& option : detail_options()) {
        options.push_back(std::move(option));
    }
    return {"info",
            "What a checkpoint is: family, parameters, tokenizer, memory, problems. Opens headers only.",
            {"MODEL"},
            with_model_options(options)};
}

int info_command(const Arguments& arguments, const Context& context) {
    const bool as_json = arguments.has("--json");
    if (wants_tensors(arguments)) { // whatever family it may be
        const auto checkpoint = checkpoint_for(arguments, *arguments.positional(0), context);
        print(tensors_text(*checkpoint, arguments, context));
        return 0;
    }
    const Opened opened = open_headers(arguments, context);
    if (arguments.has("--observables")) {
        print(observables_text(*opened.model, as_json));
    } else if (as_json) {
        json out = info_json(opened);
        add_digests(out, *opened.checkpoint, arguments, context);
        print(out.dump(1) + "\n");
    } else {
        print(info_text(opened) + digests_text(*opened.checkpoint, arguments, context));
    }
    return 0;
}

} // namespace ergo::cli
