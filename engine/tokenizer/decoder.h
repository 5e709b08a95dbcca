// SPDX-License-Identifier: GPL-3.0-or-later
// Decoders: what bytes a token stands for in a text (tokenizer.json, `decoder`). A plain value, any thread.
#pragma once

#include <string>
#include <string_view>

namespace ergo {

struct Decoder {
    /// Characters of the byte alphabet become bytes; a token with any other character stands for its own
    /// UTF-8.
    bool byte_level = false;
    /// Between tokens; a file without a decoder puts a space there.
    std::string separator;

    std::string bytes_of(std::string_view token) const;
};

} // namespace ergo
