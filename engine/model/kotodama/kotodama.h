// SPDX-License-Identifier: GPL-3.0-or-later
// The Kotodama family: decoders whose sub-blocks read a softmax mixture of earlier blocks of layers (block
// attention residuals) instead of a residual stream. Source: Kotodama specification.
#pragma once

#include "engine/model/model.h"

namespace ergo::kotodama {

/// True when the tensor names are this family's, or config.json says so.
bool recognises(const Checkpoint& checkpoint);

/// Opens a Kotodama checkpoint. Throws as open_model.
std::shared_ptr<const Model> open(std::shared_ptr<const Checkpoint> checkpoint, const OpenOptions& options);

} // namespace ergo::kotodama
