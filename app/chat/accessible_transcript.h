// SPDX-License-Identifier: GPL-3.0-or-later
// The transcript for screen readers: its name, the selected token in words, and the conversation as text.
#pragma once

namespace ergosphere {

/// Makes every Transcript readable; may be called more than once. GUI thread.
void installAccessibleTranscript();

} // namespace ergosphere
