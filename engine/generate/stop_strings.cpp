// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/stop_strings.h"

#include <algorithm>
#include <utility>

namespace ergo {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
    std::erase_if(stops_, [](const std::string& s) { return s.empty(); });
}

std::string StopStrings::push(const std::string& piece) {
    if (stopped_) {
        return {};
    }
    held_ += piece;
    std::size_t cut = std::string::npos;
    for (const std::string& stop : stops_) {
        cut = std::min(cut, held_.find(stop));
    }
    if (cut != std::string::npos) {
        stopped_ = true;
        held_.resize(cut);
        return std::exchange(held_, {});
    }
    std::size_t keep = 0; // longest tail that is the beginning of a stop string
    for (const std::string& stop : stops_) {
        for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n) {
            if (held_.ends_with(std::string_view(stop).substr(0, n))) {
                keep = n;
            }
        }
    }
    std::string shown = held_.substr(0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
    return shown;
}

std::string StopStrings::finish() {
    return std::exchange(held_, {});
}

} // namespace ergo
