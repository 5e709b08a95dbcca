// SPDX-License-Identifier: GPL-3.0-or-later
// The engine speaks English; these are its short phrases in the window's language. What is not known (names
// out of a file, whole reports) stays as it is. Free functions, GUI thread.
#pragma once

#include "engine/backend/matrix_use.h"

#include <QString>

#include <string>

namespace ergosphere {

/// A phrase such as "reading the prompt", "weights", "embedding".
QString engineText(const QString& phrase);
QString engineText(const std::string& phrase);

/// Why a model was recognised ("certain: all 74 tensors of schema …", ModelInfo::why), clause by clause, as
/// sentences.
QString verdictText(const std::string& why);

/// "gravity · qwen2-gravity"; a schema that is called like its family is not named twice.
QString familyText(const std::string& family, const std::string& variant);

/// What became of cooperative matrices; empty where there is nothing to tell.
QString matricesText(const ergo::MatrixUse& use);

/// Something a device has, such as "subgroups of 32"; versions and instruction sets stay as they are.
QString featureText(const std::string& feature);

/// A place such as "layer 3 · MetricMQA", "LM head · MetricMH".
QString placeText(const std::string& label);

/// "layer 3 · MetricMQA · head 5", "… · all heads" (`head` -1).
QString headPlaceText(const std::string& label, int head);

} // namespace ergosphere
