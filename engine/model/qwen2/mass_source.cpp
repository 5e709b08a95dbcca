// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/qwen2/mass_source.h"

#include "engine/base/error.h"
#include "engine/checkpoint/torch_file.h"

#include <algorithm>

namespace ergo::qwen2 {

namespace {

constexpr int deepest = 8;                  // levels of containers that are looked into
constexpr std::size_t most_arrays = 100000; // far more than any model has layers

/// A sequence of numbers stands for the vector it is.
std::optional<Tensor> vector_of(const TorchValue::Items& items) {
    std::vector<float> values;
    for (const TorchValue& item : items) {
        if (item.real()) {
            values.push_back(static_cast<float>(*item.real()));
        } else if (item.integer()) {
            values.push_back(static_cast<float>(*item.integer()));
        } else {
            return std::nullopt;
        }
    }
    if (values.empty()) {
        return std::nullopt;
    }
    const auto count = static_cast<std::int64_t>(values.size());
    return Tensor::from_floats({count}, std::move(values));
}

std::string key_text(const TorchValue& key) {
    return key.text() ? *key.text() : key.integer() ? std::to_string(*key.integer()) : std::string();
}

/// All tensors below `value` with the keys on the way; what is no tensor and holds none is passed over.
void collect(const TorchValue& value, const std::string& path, int depth, std::vector<MassArray>& out) {
    if (depth > deepest || out.size() > most_arrays) {
        return;
    }
    const auto below = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
    if (value.tensor()) {
        out.push_back({path, *value.tensor()});
    } else if (const auto* map = value.map()) {
        for (const auto& [key, each] : *map) {
            collect(each, below(key_text(key)), depth + 1, out);
        }
    } else if (const auto* items = value.sequence()) {
        if (auto vector = vector_of(*items)) {
            out.push_back({path, std::move(*vector)});
            return;
        }
        for (std::size_t i = 0; i < items->size(); ++i) {
            collect((*items)[i], below(std::to_string(i)), depth + 1, out);
        }
    }
}

} // namespace

std::vector<MassArray> arrays_in(const TorchValue& root) {
    std::vector<MassArray> out;
    collect(root, "", 0, out);
    return out;
}

MassSource find_masses(const Checkpoint& checkpoint) {
    MassSource source;
    source.kept = stored_masses(checkpoint);
    if (!source.kept.empty()) {
        source.origin = source.kept.front().path;
    }
    if (const auto file = checkpoint.side_torch_file(mass_file)) {
        source.file = arrays_in(file->root);
        source.has_file = true;
        source.origin = checkpoint.side_name(mass_file);
    }
    return source;
}

void MassSource::read(const MassShape& shape, std::vector<std::string>& problems) {
    std::vector<float> own;
    if (!kept.empty()) {
        own = read_masses(kept, shape, kept.front().path);
    }
    raw = has_file ? read_masses(file, shape, origin) : own;
    if (!own.empty() && own != raw) {
        problems.push_back("the masses in " + origin + " differ from those among the weights (" +
                           kept.front().path + "): the file's are used");
    }
}

} // namespace ergo::qwen2
