// SPDX-License-Identifier: GPL-3.0-or-later
// What a thing means that is dragged over the window or a model card: a model to open, or a part for the
// model that is there. Decided by its name alone; free functions, GUI thread.
#pragma once

#include "engine/checkpoint/attachment.h"

#include <QString>

#include <optional>
#include <vector>

class QMimeData;

namespace ergosphere {

/// The one local file or folder that is dragged; empty: something else.
QString draggedPath(const QMimeData* mime);

/// The part that a file would be for a model; nullopt: it is none.
std::optional<ergo::Attachment> partFor(const QString& path);

/// "Use this tokenizer with Gravity-2"
QString useText(const ergo::Attachment& part, const QString& model);

/// "tokenizer vocab.txt from /home/me/downloads"
QString partText(const ergo::Attachment& part);

/// `parts` with `part` instead of another of its kind.
std::vector<ergo::Attachment> withPart(std::vector<ergo::Attachment> parts, const ergo::Attachment& part);

} // namespace ergosphere
