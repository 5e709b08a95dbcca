// SPDX-License-Identifier: GPL-3.0-or-later
// Helpers of the checkpoint tests: hand-made safetensors bytes and the code of a thrown error.
#pragma once

#include "engine/base/error.h"
#include "engine/checkpoint/safetensors.h"

#include <QString>

#include <filesystem>
#include <fstream>
#include <string>

/// Length prefix, header, data.
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
    std::string bytes;
    for (int i = 0; i < 8; ++i) {
        bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
    }
    return bytes + header + data;
}

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

/// "text" with its quotes.
inline std::string quoted(const std::string& text) {
    return "\"" + text + "\"";
}

/// Code of the Error that `action` throws, "none" when it throws none.
template <class Action> QString code_of(Action action) {
    try {
        action();
    } catch (const ergo::Error& e) {
        return QString::fromStdString(e.where().code);
    }
    return "none";
}

/// Text of the Error that `action` throws.
template <class Action> QString text_of(Action action) {
    try {
        action();
    } catch (const ergo::Error& e) {
        return QString::fromUtf8(e.what());
    }
    return {};
}
