// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/embedded.h"

namespace ergo {

const EmbeddedFile* find_embedded(std::string_view path) {
    for (const EmbeddedFile& file : embedded_files()) {
        if (file.path == path) {
            return &file;
        }
    }
    return nullptr;
}

std::vector<EmbeddedFile> embedded_below(std::string_view prefix) {
    std::vector<EmbeddedFile> found;
    for (const EmbeddedFile& file : embedded_files()) {
        if (file.path.starts_with(prefix)) {
            found.push_back(file);
        }
    }
    return found;
}

} // namespace ergo
