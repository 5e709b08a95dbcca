// SPDX-License-Identifier: GPL-3.0-or-later
// The `type` of a component of a tokenizer.json, and the members of nested Sequences. For the .cpp files of
// this folder alone.
#pragma once

#include "engine/base/error.h"
#include "engine/tokenizer/json_reader.h"

#include <string>

namespace ergo {

inline const std::string& type_of(const JsonView& part) {
    return part.at("type").text();
}

[[noreturn]] inline void unknown_type(const JsonView& part, const std::string& kind) {
    part.unsupported("is of type '" + printable(type_of(part)) + "', a " + kind +
                     " that this program does not support");
}

// Calls `each` for the members of nested Sequences, in order; `key` names their list.
template <class Each> void flatten(const JsonView& part, const std::string& key, const Each& each) {
    if (type_of(part) != "Sequence") {
        each(part);
        return;
    }
    for (const JsonView& member : part.at(key).elements()) {
        flatten(member, key, each);
    }
}

/// Runs `make`, whose regular expression came from `part`: an error then names the file.
template <class Make> auto with_file(const JsonView& part, const Make& make) {
    try {
        return make();
    } catch (const Error& error) {
        throw Error(error.kind(), error.message(), {.code = error.where().code, .file = part.file()});
    }
}

} // namespace ergo
