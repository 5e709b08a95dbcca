// SPDX-License-Identifier: GPL-3.0-or-later
// A backend that runs plans with the reference ops alone: slow, single-threaded, obvious. It exists to judge
// other backends; it holds every weight as float32.
#pragma once

#include "engine/backend/backend.h"

namespace ergo {

std::shared_ptr<Backend> make_reference_backend();

} // namespace ergo
