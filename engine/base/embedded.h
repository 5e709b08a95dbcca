// SPDX-License-Identifier: GPL-3.0-or-later
// Files compiled into the library (demo models, schemas, shaders), by their path below resources/ or
// shaders/. Read-only, static storage: views stay valid for the life of the program, from any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace ergo {

struct EmbeddedFile {
    std::string_view path; ///< e.g. "demo/moa/config.json", "schemas/moa-2026.json", "shaders/norm.spv"
    std::span<const std::byte> bytes;
    std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

/// All embedded files, sorted by path.
std::span<const EmbeddedFile> embedded_files();

/// The file at `path`, or nullptr.
const EmbeddedFile* find_embedded(std::string_view path);

/// Paths that begin with `prefix`.
std::vector<EmbeddedFile> embedded_below(std::string_view prefix);

} // namespace ergo
