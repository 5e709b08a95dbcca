// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/qwen2/masses.h"

#include "engine/base/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

namespace ergo::qwen2 {

namespace {

constexpr std::string_view ending = "gravity_mass_log";

struct Refusal {
    const std::string& origin;
    [[noreturn]] void operator()(const std::string& sentence, const std::string& path = {}) const {
        throw Error(ErrorKind::mismatch, sentence,
                    {.code = "G-MASS",
                     .file = origin,
                     .tensor = printable(path),
                     .advice = "One mass a layer and query head is needed; "
                               "`--set knob.attention=dot` runs the weights without masses."});
    }
};

/// The whole-number components of a dotted path.
std::vector<std::int64_t> numbers_in(const std::string& path) {
    std::vector<std::int64_t> out;
    for (std::size_t at = 0; at <= path.size();) {
        const std::size_t end = std::min(path.find('.', at), path.size());
        std::int64_t number = 0;
        const char* last = path.data() + end;
        const auto [stop, problem] = std::from_chars(path.data() + at, last, number);
        if (end > at && problem == std::errc{} && stop == last && number >= 0) {
            out.push_back(number);
        }
        at = end + 1;
    }
    return out;
}

Shape squeezed(const Shape& shape) {
    Shape out;
    std::copy_if(shape.begin(), shape.end(), std::back_inserter(out), [](std::int64_t n) { return n != 1; });
    return out;
}

std::vector<float> values_of(const MassArray& array, const Refusal& refuse) {
    if (!is_float(array.tensor.dtype())) {
        refuse("masses must be floating-point numbers, not " + std::string(dtype_name(array.tensor.dtype())) +
                   ".",
               array.path);
    }
    return array.tensor.to_floats();
}

void check_finite(const std::vector<float>& raw, std::int64_t first_layer, const MassShape& shape,
                  const Refusal& refuse) {
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (!std::isfinite(raw[i])) {
            const auto at = static_cast<std::int64_t>(i);
            refuse("the mass of layer " + std::to_string(first_layer + at / shape.heads) + ", head " +
                   std::to_string(at % shape.heads) + " is not a finite number.");
        }
    }
}

/// Masses come one a query head; a vector of another length could only be spread by guessing.
std::vector<float> layer_vector(const MassArray& array, std::int64_t layer, const MassShape& shape,
                                const Refusal& refuse) {
    if (array.tensor.size() != shape.heads || squeezed(array.tensor.shape()).size() > 1) {
        std::string hint;
        if (array.tensor.size() == 1) {
            hint = ": one for the whole layer, where every query head has its own";
        } else if (array.tensor.size() == shape.key_heads) {
            hint = ": one a key-value head, where every query head has its own";
        }
        refuse("layer " + std::to_string(layer) + " has masses of shape " + to_string(array.tensor.shape()) +
                   " for " + std::to_string(shape.heads) + " query heads" + hint + ".",
               array.path);
    }
    return values_of(array, refuse);
}

std::vector<float> one_tensor(const MassArray& array, const MassShape& shape, const Refusal& refuse) {
    if (squeezed(array.tensor.shape()) != squeezed({shape.layers, shape.heads})) {
        refuse("the masses have shape " + to_string(array.tensor.shape()) + ", but the model has " +
                   std::to_string(shape.layers) + " layers of " + std::to_string(shape.heads) +
                   " query heads.",
               array.path);
    }
    return values_of(array, refuse);
}

std::vector<float> by_layer(const std::vector<MassArray>& arrays, const MassShape& shape,
                            const Refusal& refuse) {
    std::map<std::int64_t, const MassArray*> found;
    for (const MassArray& array : arrays) {
        const auto numbers = numbers_in(array.path);
        if (numbers.size() != 1) {
            refuse(numbers.empty()
                       ? "'" + printable(array.path) + "' does not say which layer it belongs to."
                       : "'" + printable(array.path) + "' has more than one number that could be its layer.",
                   array.path);
        }
        if (numbers[0] >= shape.layers) {
            refuse("there are masses for layer " + std::to_string(numbers[0]) + ", but the model has " +
                       std::to_string(shape.layers) + " layers.",
                   array.path);
        }
        const auto [other, fresh] = found.try_emplace(numbers[0], &array);
        if (!fresh) {
            refuse("layer " + std::to_string(numbers[0]) + " has masses twice, as '" +
                       printable(other->second->path) + "' and '" + printable(array.path) + "'.",
                   array.path);
        }
    }
    std::vector<float> raw;
    for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
        const auto at = found.find(layer);
        if (at == found.end()) {
            refuse("layer " + std::to_string(layer) + " has no masses (" + std::to_string(found.size()) +
                   " of " + std::to_string(shape.layers) + " layers have).");
        }
        const auto values = layer_vector(*at->second, layer, shape, refuse);
        raw.insert(raw.end(), values.begin(), values.end());
    }
    return raw;
}

} // namespace

std::vector<float> read_masses(const std::vector<MassArray>& all, const MassShape& shape,
                               const std::string& origin) {
    const Refusal refuse{origin};
    std::vector<MassArray> arrays;
    std::copy_if(all.begin(), all.end(), std::back_inserter(arrays),
                 [](const MassArray& array) { return is_mass_name(array.path); });
    if (arrays.empty()) {
        arrays = all; // not named: everything there is
    }
    if (arrays.empty()) {
        refuse("it holds no tensors.");
    }
    const bool single = arrays.size() == 1 && numbers_in(arrays[0].path).empty();
    if (!single && std::any_of(arrays.begin(), arrays.end(), [&](const MassArray& array) {
            return shape.layers > 1 && shape.heads > 1 && array.tensor.size() == shape.layers * shape.heads;
        })) {
        refuse("the masses can be read in two ways: a tensor [" + std::to_string(shape.layers) + ", " +
               std::to_string(shape.heads) + "] stands beside others.");
    }
    std::vector<float> raw = single ? one_tensor(arrays[0], shape, refuse) : by_layer(arrays, shape, refuse);
    check_finite(raw, 0, shape, refuse);
    return raw;
}

float mass_of(float raw) {
    const double x = raw;
    return static_cast<float>(std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))));
}

bool is_mass_name(const std::string& name) {
    return name.ends_with(ending) &&
           (name.size() == ending.size() || name[name.size() - ending.size() - 1] == '.');
}

std::vector<MassArray> stored_masses(const Checkpoint& checkpoint) {
    std::vector<MassArray> out;
    for (const std::string& name : checkpoint.order()) {
        if (is_mass_name(name) && checkpoint.has(name)) {
            out.push_back({name, checkpoint.tensor(name)});
        }
    }
    return out;
}

} // namespace ergo::qwen2
