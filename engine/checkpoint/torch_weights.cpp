// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/torch_weights.h"

#include "engine/base/error.h"

#include <array>
#include <charconv>
#include <set>
#include <utility>

namespace ergo {

namespace {

constexpr std::array<std::string_view, 6> wrappers{"model",  "state_dict", "model_state_dict",
                                                   "module", "weights",    "ema"};
constexpr int max_wrappers = 4;
constexpr std::size_t max_metadata_text = 200;

bool is_tensor(const TorchValue& value) {
    return value.tensor() || value.unreadable();
}

bool has_tensors(const TorchValue& value) {
    if (value.map()) {
        for (const auto& [key, item] : *value.map()) {
            if (is_tensor(item)) {
                return true;
            }
        }
    }
    return false;
}

/// The map below a wrapper's key that leads to tensors, nullptr when this is no wrapper. A map that lies
/// under several keys is looked at once: `seen` holds those that lead nowhere.
const TorchValue* unwrap(const TorchValue& value, int levels, std::set<const TorchNode*>& seen) {
    for (const std::string_view wrapper : wrappers) {
        const TorchValue* inner = levels > 0 ? value.find(wrapper) : nullptr;
        if (!inner || !inner->map() || seen.contains(inner->node())) {
            continue;
        }
        if (has_tensors(*inner) || unwrap(*inner, levels - 1, seen)) {
            return inner;
        }
        seen.insert(inner->node());
    }
    return nullptr;
}

const TorchValue* unwrap(const TorchValue& value, int levels) {
    std::set<const TorchNode*> seen;
    return unwrap(value, levels, seen);
}

/// A number or short text as metadata has it.
std::optional<std::string> scalar_text(const TorchValue& value) {
    if (value.boolean()) {
        return *value.boolean() ? "true" : "false";
    }
    if (value.integer()) {
        return std::to_string(*value.integer());
    }
    if (value.real()) {
        std::array<char, 40> digits{};
        return std::string(digits.data(),
                           std::to_chars(digits.data(), digits.data() + digits.size(), *value.real()).ptr);
    }
    if (value.text() && value.text()->size() <= max_metadata_text) {
        return *value.text();
    }
    return std::nullopt;
}

std::optional<std::string> name_of_key(const TorchValue& key) {
    if (key.text()) {
        return *key.text();
    }
    return key.integer() ? std::optional(std::to_string(*key.integer())) : std::nullopt;
}

class Collector {
  public:
    explicit Collector(const TorchFile& file) : file_(file) { weights_.warnings = file.warnings; }

    WeightFile collect() {
        const TorchValue* value = &file_.root;
        for (int level = max_wrappers; const TorchValue* inner = unwrap(*value, level); --level) {
            keep_beside(*value, inner);
            value = inner;
        }
        if (is_tensor(*value)) {
            add("tensor", *value);
        } else if (value->map()) {
            for (const auto& [key, item] : *value->map()) {
                take(key, item);
            }
        } else if (value->sequence()) {
            for (std::size_t i = 0; i < value->sequence()->size(); ++i) {
                take(TorchValue(static_cast<std::int64_t>(i)), (*value->sequence())[i]);
            }
        }
        if (weights_.entries.empty()) {
            fail("the file holds " + file_.root.describe() + " and no tensors where a state dict has them.");
        }
        if (ignored_) {
            weights_.warnings.push_back(std::to_string(ignored_) + " entries of " + file_.file_name +
                                        " are no weights and were left out (" + examples_ +
                                        (ignored_ > shown_ ? " …)." : ")."));
        }
        return std::move(weights_);
    }

  private:
    [[noreturn]] void fail(const std::string& what) const {
        throw Error(ErrorKind::format, what,
                    {.code = "PT-LAYOUT",
                     .file = file_.file_name,
                     .advice = "Save the state dict: torch.save(model.state_dict(), path)."});
    }

    /// What stands beside the weights in a wrapper.
    void keep_beside(const TorchValue& wrapper, const TorchValue* weights) {
        for (const auto& [key, item] : *wrapper.map()) {
            if (&item == weights) {
                continue;
            }
            const auto name = name_of_key(key);
            const auto text = scalar_text(item);
            if (name && text) {
                weights_.metadata.emplace(*name, *text);
            } else {
                ignore(key, item);
            }
        }
    }

    void ignore(const TorchValue& key, const TorchValue& value) {
        if (value.is_none()) {
            return;
        }
        ++ignored_;
        if (shown_ < 10) {
            const auto name = name_of_key(key);
            examples_ += (shown_++ ? ", " : "") + (name ? printable(*name, 60) : key.describe()) + ": " +
                         value.describe();
        }
    }

    void take(const TorchValue& key, const TorchValue& value) {
        const auto name = name_of_key(key);
        if (!name) {
            ignore(key, value);
        } else if (is_tensor(value)) {
            add(without_wrapper_prefixes(*name), value);
        } else if (const auto text = scalar_text(value)) {
            weights_.metadata.emplace(*name, *text);
        } else {
            ignore(key, value);
        }
    }

    void add(std::string name, const TorchValue& value) {
        if (!names_.insert(name).second) {
            fail("two tensors are called '" + printable(name) +
                 "' when the prefixes module. and _orig_mod. are "
                 "removed.");
        }
        WeightEntry entry;
        entry.name = std::move(name);
        if (const Tensor* tensor = value.tensor()) {
            entry.stored_type = dtype_name(tensor->dtype());
            for (char& c : entry.stored_type) {
                c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
            }
            entry.shape = tensor->shape();
            const auto bytes = tensor->bytes();
            entry.second_name = !bytes.empty() && !places_.emplace(bytes.data(), bytes.size()).second;
            entry.bytes = entry.second_name ? 0 : bytes.size();
            entry.tensor = *tensor;
        } else {
            entry.stored_type = value.unreadable()->stored_type;
            entry.shape = value.unreadable()->shape;
            entry.bytes = value.unreadable()->bytes;
        }
        weights_.entries.push_back(std::move(entry));
    }

    const TorchFile& file_;
    WeightFile weights_;
    std::set<std::string> names_;
    std::set<std::pair<const std::byte*, std::size_t>> places_;
    std::size_t ignored_ = 0, shown_ = 0;
    std::string examples_;
};

} // namespace

std::string without_wrapper_prefixes(std::string name) {
    for (const std::string_view prefix : {std::string_view("_orig_mod."), std::string_view("module.")}) {
        for (std::size_t at = 0; (at = name.find(prefix, at)) != std::string::npos;) {
            if (at == 0 || name[at - 1] == '.') {
                name.erase(at, prefix.size());
            } else {
                at += prefix.size();
            }
        }
    }
    return name;
}

WeightFile torch_weights(const TorchFile& file) {
    return Collector(file).collect();
}

} // namespace ergo
