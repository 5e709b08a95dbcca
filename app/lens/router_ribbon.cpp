// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/router_ribbon.h"

namespace ergosphere {

QStringList pathNames(const LensData& data) {
    QStringList names;
    if (data.info() && !data.info()->routers.empty()) {
        for (const std::string& path : data.info()->routers.front().paths) {
            names.append(QString::fromStdString(path));
        }
    }
    return names;
}

QVector<float> meanShares(const LensData& data, qint64 token) {
    QVector<float> mean;
    if (!data.info() || data.info()->routers.empty()) {
        return mean;
    }
    const std::vector<std::string>& paths = data.info()->routers.front().paths;
    int routers = 0;
    for (const ergo::RouterSite& router : data.info()->routers) {
        const std::span<const float> shares = data.strip(data.observable(router.shares), token);
        if (router.paths != paths || shares.size() != paths.size()) {
            continue;
        }
        mean.resize(static_cast<qsizetype>(shares.size()));
        for (qsizetype i = 0; i < mean.size(); ++i) {
            mean[i] += shares[static_cast<std::size_t>(i)];
        }
        ++routers;
    }
    for (float& share : mean) {
        share /= static_cast<float>(routers);
    }
    return mean;
}

} // namespace ergosphere
