// SPDX-License-Identifier: GPL-3.0-or-later
// The containers of a pickle while it is read. Two rules keep them finite: a container that lies in another
// one can no longer be changed, so nothing can contain itself; and whatever is made is charged to a budget,
// so sharing cannot blow up memory. Internal to this floor; one thread.
#pragma once

#include "engine/checkpoint/pickle.h"

#include <cstdint>
#include <string>

namespace ergo {

/// Throws PickleProblem (PT-PICKLE).
[[noreturn]] void malformed_pickle(const std::string& what);

/// `child` becomes part of `parent`; throws when the parent may not change any more or is nested too deep.
void put_into(TorchNode& parent, const TorchValue& child);

/// A container that goes into another one is finished: its keys must differ, and it may not change any more.
void seal(const TorchValue& value);

/// Throws when the value cannot be a key.
std::uint64_t require_hash(const TorchValue& key);

} // namespace ergo
