// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/cache_types.h"

#include "engine/backend/rounded_state.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"

#include <algorithm>

namespace ergo {

void convert_cache(Tables& tables, const std::string& name) {
    DType type = DType::f32;
    if (name == "bf16") {
        type = DType::bf16;
    } else if (name == "q8") {
        type = DType::q8;
    } else if (!name.empty() && name != "f32") {
        throw Error(ErrorKind::usage, "keys and values cannot be kept in '" + printable(name) +
                                          "'; --cache takes f32, bf16 or q8.");
    }
    for (StateInfo& state : tables.states) {
        state.stored = can_round(state) ? type : DType::f32;
    }
}

DType cache_type(const Tables& tables) {
    const auto rounded = std::find_if(tables.states.begin(), tables.states.end(),
                                      [](const StateInfo& state) { return state.stored != DType::f32; });
    return rounded == tables.states.end() ? DType::f32 : rounded->stored;
}

} // namespace ergo
