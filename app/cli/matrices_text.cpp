// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/matrices_text.h"

#include <cstdio>

namespace ergo::cli {

namespace {

std::string text(const char* form, double number) {
    char out[64];
    std::snprintf(out, sizeof out, form, number);
    return out;
}

/// "bf16 by name (2.10 times the speed), f32 (1.30 times the speed)"
std::string listed(const MatrixUse& use, bool used) {
    std::string out;
    for (const MatrixUse::Gain& gain : use.gains) {
        if (gain.used == used) {
            out += (out.empty() ? "" : ", ") + gain.weights + text(" (%.2f times the speed)", gain.times);
        }
    }
    return out;
}

std::string why_not(const MatrixUse& use) {
    using State = MatrixUse::State;
    switch (use.state) {
    case State::not_there:
        return "the device has no cooperative matrices";
    case State::no_halves:
        return "the device has cooperative matrices, but not 16-bit floats and Vulkan's memory model";
    case State::no_full_subgroups:
        return "the device lets no kernel ask for full subgroups of one size";
    case State::not_listed:
        return "the device does not say which cooperative matrices it has";
    case State::no_fitting_shape:
        return "none of the device's " + std::to_string(use.kinds) +
               " kinds of cooperative matrices multiplies 16-bit floats in the sizes of the kernel";
    case State::not_built:
        return "the shader compiler of this build did not know them";
    case State::no_extensions:
        return "extensions of Vulkan 1.2 are switched off";
    case State::wrong:
        return "products with weights in " + use.type + " differ by " + text("%.1e", use.difference) +
               " from those without, where " + text("%.1e", use.allowed) + " would be rounding";
    case State::failed:
        return use.error;
    case State::slower:
        return "not faster with weights in " + listed(use, false);
    default:
        return {};
    }
}

} // namespace

std::string matrices_text(const MatrixUse& use) {
    using State = MatrixUse::State;
    switch (use.state) {
    case State::none:
        return {};
    case State::switched_off:
        return "Switched off.";
    case State::untried:
        return "Not tried yet: that happens when the first prompt that they are for is read.";
    case State::being_tried:
        return "Being tried.";
    case State::used: {
        const std::string others = listed(use, false);
        return "Used in prompts with weights in " + listed(use, true) +
               (others.empty() ? "." : "; not in " + others + ".");
    }
    default:
        return "Not used: " + why_not(use) + ".";
    }
}

} // namespace ergo::cli
