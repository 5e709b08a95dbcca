// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/locate.h"

#include "engine/base/error.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

namespace ergo {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view index_suffix = ".index.json", gguf_suffix = ".gguf";
constexpr std::size_t max_folder_entries = 100'000;
constexpr unsigned long max_shards = 99'999;

/// Kinds of weight files by name, in the order in which a folder is searched for them. What a file really is,
/// its content decides when it is opened.
struct NameKind {
    std::array<std::string_view, 6> suffixes;
    std::string_view usual; ///< wins over others beside it
    bool sharded_index;     ///< "<suffix>.index.json" lists its shards
};
constexpr std::array name_kinds{
    NameKind{{".safetensors"}, "model.safetensors", true},
    NameKind{{".gguf"}, "", false},
    NameKind{{".bin"}, "pytorch_model.bin", true},
    NameKind{{".pt", ".pth", ".ckpt", ".pt.zst", ".bin.zst", ".safetensors.zst"}, "", false},
};

/// Suffix of `name` among those of a kind, "" when there is none.
std::string_view suffix_in(const NameKind& kind, std::string_view name) {
    for (const std::string_view suffix : kind.suffixes) {
        if (!suffix.empty() && name.size() > suffix.size() && name.ends_with(suffix)) {
            return suffix;
        }
    }
    return {};
}

std::string_view weights_suffix(std::string_view name) {
    for (const NameKind& kind : name_kinds) {
        if (const auto suffix = suffix_in(kind, name); !suffix.empty()) {
            return suffix;
        }
    }
    return {};
}

/// What trainers leave beside weights under a weight file's extension.
bool is_companion(std::string_view name) {
    return name == "gravity_mass_log.pt" || name == "training_args.bin" || name.starts_with("optimizer.") ||
           name.starts_with("scheduler.") || name.starts_with("scaler.") || name.starts_with("rng_state");
}

bool is_index(std::string_view name) {
    if (!name.ends_with(index_suffix)) {
        return false;
    }
    name.remove_suffix(index_suffix.size());
    return name.ends_with(".safetensors") || name.ends_with(".bin");
}

/// "model-00002-of-00003.safetensors"
struct ShardName {
    std::string before, suffix;
    unsigned long number = 0, count = 0;

    std::string at(unsigned long n) const {
        std::array<char, 32> digits{};
        std::snprintf(digits.data(), digits.size(), "-%05lu-of-%05lu", n, count);
        return before + digits.data() + suffix;
    }
};

std::optional<ShardName> parse_shard(const std::string& name) {
    constexpr std::size_t tail = 15; // "-00002-of-00003"
    const std::string suffix(weights_suffix(name));
    if (suffix.empty() || name.size() < suffix.size() + tail) {
        return std::nullopt;
    }
    const std::string stem = name.substr(0, name.size() - suffix.size());
    const std::string part = stem.substr(stem.size() - tail);
    const auto digits = [&](std::size_t at) {
        return std::all_of(part.begin() + static_cast<std::ptrdiff_t>(at),
                           part.begin() + static_cast<std::ptrdiff_t>(at + 5),
                           [](char c) { return c >= '0' && c <= '9'; });
    };
    if (part[0] != '-' || part.substr(6, 4) != "-of-" || !digits(1) || !digits(10)) {
        return std::nullopt;
    }
    ShardName shard{stem.substr(0, stem.size() - tail), suffix, std::stoul(part.substr(1, 5)),
                    std::stoul(part.substr(10, 5))};
    return shard.count >= 1 && shard.count <= max_shards && shard.number >= 1 && shard.number <= shard.count
               ? std::optional(shard)
               : std::nullopt;
}

std::string name_of(const fs::path& path) {
    return printable(path.filename().string());
}

/// A name worth showing: that of the folder unless the file's own says more.
std::string display_name(const fs::path& folder, const std::string& stem) {
    std::error_code ignored;
    const fs::path whole = fs::weakly_canonical(folder, ignored);
    return stem.empty() || stem == "model" ? printable(whole.filename().string()) : printable(stem);
}

std::string list(const std::vector<fs::path>& files) {
    std::string text;
    for (std::size_t i = 0; i < files.size() && i < 10; ++i) {
        text += (i ? ", " : "") + name_of(files[i]);
    }
    return text;
}

/// Files of one folder that stay inside `root`, sorted by name.
struct Listing {
    std::vector<fs::path> weights, indices, foreign, folders; ///< weights of every kind
    std::vector<std::string> outside;                         ///< weight files that are links out of the root
};

bool is_foreign_weights(const std::string& name) {
    constexpr std::array<std::string_view, 6> suffixes{".onnx", ".h5", ".msgpack", ".zst", ".tflite", ".npz"};
    return std::any_of(suffixes.begin(), suffixes.end(),
                       [&](std::string_view s) { return name.ends_with(s); });
}

} // namespace

bool is_inside(const fs::path& path, const fs::path& root) {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (error) {
        return false;
    }
    return std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first == root.end();
}

namespace {

Listing list_folder(const fs::path& folder, const fs::path& root) {
    Listing found;
    std::error_code error;
    std::size_t seen = 0;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        if (++seen > max_folder_entries) {
            throw Error(
                ErrorKind::resources, "the folder has more than 100000 entries.",
                {.code = "F-TOO-LARGE", .file = name_of(folder), .advice = "Choose the model's own folder."});
        }
        const fs::path& path = it->path();
        const std::string name = path.filename().string();
        std::error_code ignored;
        const bool link = it->is_symlink(ignored);
        if (it->is_directory(ignored)) {
            if (!link) {
                found.folders.push_back(path);
            }
        } else if (!it->is_regular_file(ignored) || name.starts_with('.')) {
            continue; // broken links, pipes, temporaries
        } else if (link && !is_inside(path, root)) {
            if (!weights_suffix(name).empty() || is_index(name)) {
                found.outside.push_back(name);
            }
        } else if (is_index(name)) {
            found.indices.push_back(path);
        } else if (is_companion(name)) {
            continue;
        } else if (!weights_suffix(name).empty()) {
            found.weights.push_back(path);
        } else if (is_foreign_weights(name)) {
            found.foreign.push_back(path);
        }
    }
    if (error) {
        throw Error(
            ErrorKind::io, "the folder cannot be read: " + error.message() + ".",
            {.code = "F-IO", .file = name_of(folder), .advice = "Give yourself permission to read it."});
    }
    for (auto* files : {&found.weights, &found.indices, &found.foreign, &found.folders}) {
        std::sort(files->begin(), files->end());
    }
    return found;
}

[[noreturn]] void ambiguous(const fs::path& folder, const std::vector<fs::path>& files) {
    throw Error(ErrorKind::format, "the folder holds several models: " + list(files) + ".",
                {.code = "F-AMBIGUOUS", .file = name_of(folder), .advice = "Open one of these files."});
}

/// The files of a set of shards; absent ones go to `missing`.
WeightSet shard_set(const fs::path& folder, const ShardName& shard) {
    WeightSet set{folder, {}, {}, {}, display_name(folder, shard.before)};
    for (unsigned long n = 1; n <= shard.count; ++n) {
        const fs::path file = folder / shard.at(n);
        std::error_code ignored;
        if (fs::is_regular_file(file, ignored)) {
            set.files.push_back(file);
        } else {
            set.missing.push_back(shard.at(n));
        }
    }
    return set;
}

[[noreturn]] void shards_missing(const WeightSet& set, bool gguf) {
    std::string names;
    for (std::size_t i = 0; i < set.missing.size() && i < 10; ++i) {
        names += (i ? ", " : "") + printable(set.missing[i]);
    }
    throw Error(ErrorKind::format,
                std::to_string(set.missing.size()) + " of " +
                    std::to_string(set.missing.size() + set.files.size()) +
                    " weight files are missing: " + names + ".",
                {.code = gguf ? "GG-SPLIT" : "SI-SHARD-MISSING",
                 .file = name_of(set.folder),
                 .advice = gguf ? "Download them into the same folder."
                                : "Download them; a single shard can be opened for inspection."});
}

/// The weights of one kind in exactly this folder, nullopt when it has none.
std::optional<WeightSet> choose(const fs::path& folder, const Listing& listing, const NameKind& kind) {
    std::vector<fs::path> indices, weights;
    for (const fs::path& path : listing.indices) {
        const std::string name = path.filename().string();
        const auto stem = std::string_view(name).substr(0, name.size() - index_suffix.size());
        if (kind.sharded_index && !suffix_in(kind, stem).empty()) {
            indices.push_back(path);
        }
    }
    for (const fs::path& path : listing.weights) {
        if (!suffix_in(kind, path.filename().string()).empty()) {
            weights.push_back(path);
        }
    }
    if (indices.size() > 1) {
        ambiguous(folder, indices);
    }
    if (indices.size() == 1) {
        return WeightSet{folder, indices[0], {}, {}, display_name(folder, "")};
    }
    if (weights.empty()) {
        return std::nullopt;
    }
    const auto single = std::find_if(weights.begin(), weights.end(),
                                     [&](const fs::path& p) { return p.filename() == kind.usual; });
    if (single != weights.end()) {
        return WeightSet{folder, {}, {*single}, {}, display_name(folder, "")};
    }
    const auto shard = parse_shard(weights[0].filename().string());
    if (!shard && weights.size() == 1) {
        return WeightSet{folder, {}, weights, {}, display_name(folder, "")};
    }
    if (!shard) {
        ambiguous(folder, weights);
    }
    WeightSet set = shard_set(folder, *shard);
    set.display_name = display_name(folder, "");
    if (set.files != weights) {
        ambiguous(folder, weights);
    }
    if (!set.missing.empty()) {
        shards_missing(set, shard->suffix == gguf_suffix);
    }
    return set;
}

std::optional<WeightSet> choose(const fs::path& folder, const Listing& listing) {
    for (const NameKind& kind : name_kinds) {
        if (auto set = choose(folder, listing, kind)) {
            return set;
        }
    }
    return std::nullopt;
}

/// Every weight set at most `depth` levels below.
void search(const fs::path& folder, const fs::path& root, int depth, std::vector<WeightSet>& found,
            Listing& others) {
    Listing listing = list_folder(folder, root);
    others.foreign.insert(others.foreign.end(), listing.foreign.begin(), listing.foreign.end());
    others.outside.insert(others.outside.end(), listing.outside.begin(), listing.outside.end());
    if (auto set = choose(folder, listing)) {
        found.push_back(std::move(*set));
        return;
    }
    for (const fs::path& below : depth > 0 ? listing.folders : std::vector<fs::path>{}) {
        search(below, root, depth - 1, found, others);
    }
}

WeightSet locate_in_folder(const fs::path& folder) {
    const fs::path root = fs::canonical(folder);
    std::vector<WeightSet> found;
    Listing others;
    search(folder, root, 2, found, others);
    if (found.size() > 1) {
        std::vector<fs::path> folders;
        for (const WeightSet& set : found) {
            folders.push_back(set.folder);
        }
        ambiguous(folder, folders);
    }
    if (found.size() == 1) {
        return std::move(found[0]);
    }
    if (!others.outside.empty()) {
        throw Error(
            ErrorKind::io,
            "the weight file " + printable(others.outside[0]) + " is a link out of the folder.",
            {.code = "F-IO",
             .file = name_of(root),
             .advice = "Open the folder that contains the linked file too, or the weight file itself."});
    }
    if (!others.foreign.empty()) {
        throw Error(
            ErrorKind::unsupported,
            "the folder holds weights of another format: " + list(others.foreign) + ".",
            {.code = "F-UNSUPPORTED", .file = name_of(root), .advice = "Convert them to safetensors."});
    }
    throw Error(ErrorKind::format, "the folder holds no weight files.",
                {.code = "F-UNKNOWN",
                 .file = name_of(root),
                 .advice = "Choose a folder with a .safetensors, .gguf, .bin or .pt file."});
}

WeightSet locate_file(const fs::path& file) {
    const std::string name = file.filename().string();
    const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
    if (is_index(name)) {
        return {folder, file, {}, {}, display_name(folder, "")};
    }
    for (const char* small :
         {"config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "vocab.txt",
          "special_tokens_map.json", "chat_template.jinja", "generation_config.json", "semantics.json"}) {
        if (name == small) { // stands for the model it belongs to
            return locate_in_folder(folder);
        }
    }
    if (const auto shard = parse_shard(name)) {
        const fs::path index = folder / (shard->before + shard->suffix + std::string(index_suffix));
        WeightSet set = shard_set(folder, *shard);
        std::error_code ignored;
        if (set.missing.empty() && fs::is_regular_file(index, ignored)) {
            set.files.clear();
            set.index = index;
        } else if (!set.missing.empty()) {
            if (shard->suffix == gguf_suffix) {
                shards_missing(set, true); // names and sizes are in another part
            }
            set.files = {file}; // for inspection
        }
        return set;
    }
    const std::string stem = name.substr(0, name.size() - weights_suffix(name).size());
    return {folder, {}, {file}, {}, display_name(folder, stem == "pytorch_model" ? "" : stem)};
}

} // namespace

WeightSet locate_weights(const std::filesystem::path& model) {
    std::error_code error;
    const fs::file_status status = fs::status(model, error);
    if (!fs::exists(status)) {
        throw Error(ErrorKind::io,
                    error && status.type() == fs::file_type::none
                        ? "the path cannot be read: " + error.message() + "."
                        : std::string("there is no such file or folder."),
                    {.code = "F-IO",
                     .file = name_of(model),
                     .advice = "Check the name; it may have been moved or deleted."});
    }
    return fs::is_directory(status) ? locate_in_folder(model) : locate_file(model);
}

} // namespace ergo
