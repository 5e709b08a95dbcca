// SPDX-License-Identifier: GPL-3.0-or-later
// What Qt's PDF writer leaves open for our purpose: it rounds pages to whole points and writes the time and a
// random id. Free functions on the bytes of a finished file; any thread.
#pragma once

#include <QByteArray>
#include <QSizeF>

namespace ergosphere {

/// Sets the page's MediaBox to the upper left `points` of the page Qt wrote (`page_height` points high), the
/// creation date to a fixed one and the document id to a digest of the rest; the cross-reference table is
/// kept right. Throws ergo::Error(unsupported) when the file does not look as Qt writes it.
QByteArray fix_pdf(QByteArray pdf, QSizeF points, double page_height);

} // namespace ergosphere
