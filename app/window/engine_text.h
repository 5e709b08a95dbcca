// SPDX-License-Identifier: GPL-3.0-or-later
// The engine speaks English; these are its short phrases in the window's language. What is not known (names
// out of a file, whole reports) stays as it is. Free functions, GUI thread.
#pragma once

#include <QString>

#include <string>

namespace ergosphere {

/// A phrase such as "reading the prompt", "weights", "embedding".
QString engineText(const QString& phrase);
QString engineText(const std::string& phrase);

/// A place such as "layer 3 · MetricMQA", "LM head · MetricMH".
QString placeText(const std::string& label);

/// "layer 3 · MetricMQA · head 5", "… · all heads" (`head` -1).
QString headPlaceText(const std::string& label, int head);

} // namespace ergosphere
