// SPDX-License-Identifier: GPL-3.0-or-later
// Whether a backend multiplies by cooperative matrices, or why not: facts, which a front end puts into words.
// Plain data, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ergo {

struct MatrixUse {
    enum class State : std::uint8_t {
        none,              ///< nothing to tell: the backend has no kernels for them (the CPU)
        not_there,         ///< the device has none
        no_halves,         ///< it has, but not the 16-bit floats and the memory model that go with them
        no_full_subgroups, ///< no kernel may ask for full subgroups of one size
        not_listed,        ///< the driver does not say which
        no_fitting_shape,  ///< none of its `kinds` has a size of the kernel
        not_built,         ///< this build's shader compiler did not know them
        no_extensions,     ///< Diagnostics::no_extensions
        switched_off,      ///< Diagnostics::no_cooperative_matrix
        untried,           ///< no prompt that they are for has been prepared yet
        being_tried,
        wrong,  ///< their products differ: `type`, `difference`, `allowed`
        failed, ///< trying them did not work: `error`
        slower, ///< with all weights: `gains`
        used,   ///< at least with some: `gains`
    };
    /// The speed with them over the speed without.
    struct Gain {
        std::string weights; ///< "bf16 by name" (as --dtype bf16 asks), "16 bits", "f32"
        double times = 0;
        bool used = false;
    };
    State state = State::none;
    std::size_t kinds = 0;
    std::string type{};                 ///< of the weights
    double difference = 0, allowed = 0; ///< of a product, over the largest of its row
    std::string error{};                ///< a clause without a full stop
    std::vector<Gain> gains{};
};

} // namespace ergo
