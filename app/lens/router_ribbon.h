// SPDX-License-Identifier: GPL-3.0-or-later
// A token's way through the routers in a few numbers: for the ribbon under the transcript and for summaries.
// Free functions; GUI thread.
#pragma once

#include "app/lens/lens_data.h"

#include <QStringList>
#include <QVector>

namespace ergosphere {

/// Names of the routed paths, in the order of pathColor (app/figure/palette.h); empty without routers.
QStringList pathNames(const LensData& data);

/// A token's shares of the paths, mean over the routers that have those paths (HyperFFN's branches do not
/// count); empty while unknown.
QVector<float> meanShares(const LensData& data, qint64 token);

} // namespace ergosphere
