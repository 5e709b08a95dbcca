// SPDX-License-Identifier: GPL-3.0-or-later
// What a model's weights are run as and its keys and values kept in. A value.
#pragma once

#include <QString>

namespace ergosphere {

/// As `ergo --dtype` and `ergo --cache` take them; empty: as they are stored, and f32.
struct RunTypes {
    QString weights, cache;
    friend bool operator==(const RunTypes&, const RunTypes&) = default;
};

} // namespace ergosphere
