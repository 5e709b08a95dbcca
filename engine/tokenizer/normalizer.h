// SPDX-License-Identifier: GPL-3.0-or-later
// The normalizer of a tokenizer.json: nothing, NFC, or a Sequence of those. A plain value, any thread may
// apply it.
#pragma once

#include <string>
#include <string_view>

namespace ergo {

/// Unicode normalisation form C of `text` (valid UTF-8), as the reference's Unicode 9 has it. O(n log n).
std::string to_nfc(std::string_view text);

class Normalizer {
  public:
    Normalizer() = default;
    explicit Normalizer(bool nfc) : nfc_(nfc) {}

    /// Whether apply() leaves `text` (valid UTF-8) as it is. False may only mean that it is worth trying.
    bool leaves_alone(std::string_view text) const;

    std::string apply(std::string_view text) const { return nfc_ ? to_nfc(text) : std::string(text); }

  private:
    bool nfc_ = false;
};

} // namespace ergo
