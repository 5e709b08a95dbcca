// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/info_details.h"

#include "engine/base/error.h"
#include "engine/checkpoint/digest.h"
#include "engine/lab/tensor_stats.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <iterator>
#include <optional>

namespace ergo::cli {

namespace {

using nlohmann::json;

/// One stored tensor, readable or not.
struct Row {
    const std::string& name;
    std::string_view dtype;
    const Shape& shape;
    const Tensor* tensor = nullptr; // null: of a type no Tensor holds
};

/// Calls `take` with every stored tensor, in file order.
template <class Take> void for_each_row(const Checkpoint& checkpoint, Take take) {
    auto next = checkpoint.tensors().begin(); // many files are sorted by name
    for (const std::string& name : checkpoint.order()) {
        const bool sorted = next != checkpoint.tensors().end() && next->first == name;
        if (const auto found = sorted ? next : checkpoint.tensors().find(name);
            found != checkpoint.tensors().end()) {
            next = std::next(found);
            take(Row{name, dtype_name(found->second.dtype()), found->second.shape(), &found->second});
        } else if (const auto odd = checkpoint.unreadable().find(name);
                   odd != checkpoint.unreadable().end()) {
            take(Row{name, odd->second.stored_type, odd->second.shape, nullptr});
        }
    }
}

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

json stats_json(const TensorStats& s) {
    return {{"mean", s.mean},
            {"deviation", s.deviation},
            {"min", s.min},
            {"max", s.max},
            {"zeros", s.zeros},
            {"not_finite", s.not_finite},
            {"histogram", s.histogram}};
}

std::string stats_text(const TensorStats& s) {
    return "  mean " + number(s.mean) + "  deviation " + number(s.deviation) + "  from " + number(s.min) +
           " to " + number(s.max) + "  zeros " + std::to_string(s.zeros) +
           (s.not_finite > 0 ? "  not finite " + std::to_string(s.not_finite) : "");
}

TensorStats stats_of(const Checkpoint& checkpoint, const Row& row, const Context& context) {
    const TensorStats stats = measure_tensor(*row.tensor, context.cancel, progress_line());
    checkpoint.check_unchanged(); // else what was read may be zeros
    return stats;
}

} // namespace

std::vector<Option> detail_options() {
    return {
        {"--tensors", "", "list the stored tensors, also of a file of no known family"},
        {"--stats", "", "and measure them: mean, deviation, smallest, largest, zeros (reads all weights)"},
        {"--sha256", "", "the weight files' SHA-256 (remembered by path, size and time)"}};
}

bool wants_tensors(const Arguments& arguments) {
    return arguments.has("--tensors") || arguments.has("--stats");
}

std::string tensors_text(const Checkpoint& checkpoint, const Arguments& arguments, const Context& context) {
    const bool as_json = arguments.has("--json");
    json list = json::array();
    std::string text;
    for_each_row(checkpoint, [&](const Row& row) {
        std::optional<TensorStats> stats;
        if (row.tensor && arguments.has("--stats")) {
            stats = stats_of(checkpoint, row, context);
        }
        if (as_json) {
            json item{{"name", printable(row.name)}, {"dtype", std::string(row.dtype)}, {"shape", row.shape}};
            if (stats) {
                item["stats"] = stats_json(*stats);
            }
            list.push_back(std::move(item));
        } else {
            text.append(printable(row.name)).append("  ").append(row.dtype).append("  ");
            text.append(to_string(row.shape)).append(stats ? stats_text(*stats) : "").append("\n");
        }
    });
    if (as_json) {
        json out{{"tensors", std::move(list)},
                 {"weight_files", checkpoint.weight_files()},
                 {"weight_bytes", checkpoint.weight_bytes()},
                 {"parameters", checkpoint.parameter_count()},
                 {"metadata", checkpoint.metadata()},
                 {"warnings", checkpoint.warnings()}};
        add_digests(out, checkpoint, arguments, context);
        return out.dump(1) + "\n";
    }
    for (const auto& [key, value] : checkpoint.metadata()) {
        text += printable(key) + " = " + printable(value) + "\n";
    }
    text += std::to_string(checkpoint.parameter_count()) + " parameters in " +
            std::to_string(checkpoint.weight_bytes()) + " bytes\n";
    for (const std::string& warning : checkpoint.warnings()) {
        text += "warning: " + warning + "\n";
    }
    return text + digests_text(checkpoint, arguments, context);
}

void add_digests(json& out, const Checkpoint& checkpoint, const Arguments& arguments,
                 const Context& context) {
    if (!arguments.has("--sha256")) {
        return;
    }
    const DigestCache cache(DigestCache::default_file());
    json files = json::array();
    for (const FileOnDisk& file : weight_files(checkpoint)) {
        files.push_back({{"name", file.name},
                         {"bytes", file.bytes},
                         {"sha256", digest_of(checkpoint, file, cache, progress_line(), context.cancel)}});
    }
    out["files"] = std::move(files);
}

std::string digests_text(const Checkpoint& checkpoint, const Arguments& arguments, const Context& context) {
    std::string text;
    if (arguments.has("--sha256")) {
        const DigestCache cache(DigestCache::default_file());
        for (const FileOnDisk& file : weight_files(checkpoint)) {
            text +=
                digest_of(checkpoint, file, cache, progress_line(), context.cancel) + "  " + file.name + "\n";
        }
    }
    return text;
}

} // namespace ergo::cli
