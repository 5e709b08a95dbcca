// SPDX-License-Identifier: GPL-3.0-or-later
// Random Kotodama checkpoints. With seed 0 the numbers are those of Kotodama specification appendix B, so
// that its golden logits can be checked on any machine. Free functions, any thread.
#pragma once

#include "engine/lab/synth.h"

namespace ergo {

/// True when the request names a Kotodama model or gives the config.json of one.
bool wants_kotodama(const SynthRequest& request);

/// Throws Error(usage) for another preset or a knob, Error(mismatch) for a wrong configuration.
Synthetic synthesise_kotodama(const SynthRequest& request, const Progress& progress,
                              const CancelToken& cancel);

/// Published names: "kotodama-108m".
std::vector<std::string> kotodama_names();

} // namespace ergo
