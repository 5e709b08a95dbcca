// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/lens_set.h"

namespace ergo {

std::vector<std::string> lens_observables(const ModelInfo& info, std::size_t attention) {
    std::vector<std::string> names;
    if (attention < info.attentions.size()) {
        names.push_back(info.attentions[attention].name("attention"));
    }
    for (const RouterSite& router : info.routers) {
        names.push_back(router.shares);
    }
    for (const DepthSite& depth : info.depths) {
        names.push_back(depth.weights);
    }
    for (const AttentionSite& site : info.attentions) {
        if (site.has_ball) {
            names.push_back(site.name("kept_share"));
        }
    }
    return names;
}

} // namespace ergo
