// SPDX-License-Identifier: GPL-3.0-or-later
// The observables of a Kotodama model, by name. Built once when a model is opened, then immutable.
#pragma once

#include "engine/model/kotodama/layout.h"
#include "engine/model/observable.h"

#include <map>
#include <string>
#include <vector>

namespace ergo::kotodama {

struct Catalogue {
    std::vector<Observable> observables;
    std::map<std::string, ParamId> params; ///< of those that are read from parameters, by name
};

Catalogue make_catalogue(const Layout& layout);

} // namespace ergo::kotodama
