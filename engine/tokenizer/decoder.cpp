// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/decoder.h"

#include "engine/tokenizer/byte_alphabet.h"

namespace ergo {

std::string Decoder::bytes_of(std::string_view token) const {
    if (byte_level) {
        if (auto bytes = alphabet_to_bytes(token)) {
            return *bytes;
        }
    }
    return std::string(token);
}

} // namespace ergo
