// SPDX-License-Identifier: GPL-3.0-or-later
// Stop strings over a stream of text: what can be shown now, what must be held back because a stop string may
// have begun, and whether one is complete. One thread.
#pragma once

#include <string>
#include <vector>

namespace ergo {

class StopStrings {
  public:
    /// Empty strings are ignored.
    explicit StopStrings(std::vector<std::string> stops);

    /// Text that can be shown after `piece` has arrived. Nothing more comes out once stopped() is true.
    std::string push(const std::string& piece);
    bool stopped() const { return stopped_; }
    /// What was held back, when the stream ends without a stop string.
    std::string finish();

  private:
    std::vector<std::string> stops_;
    std::string held_;
    bool stopped_ = false;
};

} // namespace ergo
