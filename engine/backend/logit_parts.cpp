// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/logit_parts.h"

#include <algorithm>
#include <cmath>

namespace ergo {

LogitPart sum_part(std::span<const float> logits, float temperature) {
    LogitPart part{-INFINITY, 0, 0};
    for (const float l : logits) {
        part.largest = std::isfinite(l) ? std::max(part.largest, l) : part.largest;
    }
    for (const float l : logits) {
        if (std::isfinite(l)) {
            part.sum += std::exp(l - part.largest);
            part.warm += temperature > 0 ? std::exp((l - part.largest) / temperature) : 0;
        }
    }
    part.warm = temperature > 0 ? part.warm : part.sum;
    return part;
}

std::vector<LogitPart> sum_parts(std::span<const float> logits, float temperature) {
    std::vector<LogitPart> parts;
    for (std::size_t at = 0; at < logits.size(); at += logits_a_part) {
        const std::size_t count = std::min<std::size_t>(logits_a_part, logits.size() - at);
        parts.push_back(sum_part(logits.subspan(at, count), temperature));
    }
    return parts;
}

} // namespace ergo
