// SPDX-License-Identifier: GPL-3.0-or-later
// A figure's numbers as a table, one number a line, so that any program can read and pivot it. RFC 4180
// quoting, UTF-8, CRLF. Numbers are the shortest that give the same float back. Any thread.
#pragma once

#include "app/figure/figure.h"

#include <QByteArray>

namespace ergosphere {

/// attention: query,query_token,key,key_token,VALUE (masked pairs left out); router:
/// layer,position,token,path,share; balls: site,head,radius,kept_share (empty when unknown).
QByteArray to_csv(const FigureData& data);

/// A field in quotes where RFC 4180 wants them.
QByteArray csv_field(const QString& text);

} // namespace ergosphere
