// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/model.h"

namespace ergo {

std::string AttentionSite::name(const std::string& quantity) const {
    return stage + "." + (site.empty() ? "" : site + ".") + quantity;
}

} // namespace ergo
