// SPDX-License-Identifier: GPL-3.0-or-later
// The Qwen2 class of decoders (Qwen2, Qwen2.5 and what is built on them), under dot-product attention or,
// where there are masses, under gravity. Source: Gravity-2 specification.
#pragma once

#include "engine/model/model.h"

namespace ergo::qwen2 {

/// True when the tensor names are this class's (biased q, k and v in front of a SwiGLU), or when config.json
/// says so.
bool recognises(const Checkpoint& checkpoint);

/// Opens a Qwen2-class checkpoint. Gravity runs when there are masses that fit; dot-product attention on such
/// weights only when the knob `attention` insists, which is then said among the problems. Throws as
/// open_model, Error(mismatch, G-MASS) for masses that do not fit and Error(unsupported, G-ADAPTER) for
/// weights with an adapter that was not merged.
std::shared_ptr<const Model> open(std::shared_ptr<const Checkpoint> checkpoint, const OpenOptions& options);

} // namespace ergo::qwen2
