// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/pdf_fixup.h"

#include "engine/base/error.h"

#include <QCryptographicHash>
#include <QRegularExpression>

namespace ergosphere {

namespace {

[[noreturn]] void strange(const char* what) {
    throw ergo::Error(ergo::ErrorKind::unsupported,
                      std::string("Qt's PDF writer gave a file without ") + what + ".",
                      {.code = "FIG-PDF", .advice = "Export as SVG instead."});
}

QByteArray number(double value) {
    QByteArray text = QByteArray::number(value, 'f', 4);
    while (text.endsWith('0')) {
        text.chop(1);
    }
    if (text.endsWith('.')) {
        text.chop(1);
    }
    return text;
}

/// Moves the offsets of the cross-reference table that lie behind `at` by `shift` bytes.
void shift_references(QByteArray& pdf, qsizetype at, qsizetype shift) {
    const qsizetype start = pdf.lastIndexOf("startxref\n");
    if (start < 0) {
        strange("startxref");
    }
    const qsizetype digits = start + 10;
    const qsizetype line_end = pdf.indexOf('\n', digits);
    const qsizetype table = pdf.mid(digits, line_end - digits).toLongLong() + shift;
    if (table < 0 || pdf.mid(table, 4) != "xref") {
        strange("a cross-reference table");
    }
    for (qsizetype line = pdf.indexOf('\n', pdf.indexOf('\n', table) + 1) + 1;
         pdf.mid(line, 7) != "trailer";) {
        const qsizetype end = pdf.indexOf('\n', line);
        if (end < 0 || end - line < 18) {
            strange("a trailer");
        }
        const qsizetype offset = pdf.mid(line, 10).toLongLong();
        if (pdf[line + 17] == 'n' && offset > at) {
            pdf.replace(line, 10, QByteArray::number(offset + shift).rightJustified(10, '0'));
        }
        line = end + 1;
    }
    pdf.replace(digits, line_end - digits, QByteArray::number(table));
}

/// Replaces the text between `open` and `close` by bytes of the same number; false when there is none.
template <class Make>
bool overwrite(QByteArray& pdf, const QByteArray& open, const QByteArray& close, Make make) {
    const qsizetype begin = pdf.lastIndexOf(open);
    if (begin < 0) {
        return false;
    }
    const qsizetype first = begin + open.size();
    const qsizetype end = pdf.indexOf(close, first);
    if (end < 0) {
        return false;
    }
    pdf.replace(first, end - first, make(pdf.mid(first, end - first)));
    return true;
}

} // namespace

QByteArray fix_pdf(QByteArray pdf, QSizeF points, double page_height) {
    const qsizetype box = pdf.indexOf("/MediaBox [");
    if (box < 0) {
        strange("a MediaBox");
    }
    const qsizetype end = pdf.indexOf(']', box);
    const QByteArray exact = "/MediaBox [0 " + number(page_height - points.height()) + ' ' +
                             number(points.width()) + ' ' + number(page_height);
    const qsizetype shift = exact.size() - (end - box);
    pdf.replace(box, end - box, exact);
    shift_references(pdf, box, shift);

    const auto fixed_date = [](const QByteArray& old) {
        QByteArray made = old;
        const QByteArray date = "20000101000000";
        qsizetype next = 0;
        for (char& c : made) {
            if (c >= '0' && c <= '9') {
                c = next < date.size() ? date[next] : '0';
                ++next;
            }
        }
        made.replace('-', '+');
        return made;
    };
    if (!overwrite(pdf, "/CreationDate (", ")", fixed_date)) {
        strange("a creation date");
    }
    overwrite(pdf, "<xmp:CreateDate>", "</", fixed_date);
    overwrite(pdf, "<xmp:ModifyDate>", "</", fixed_date);
    overwrite(pdf, "<xmp:MetadataDate>", "</", fixed_date);
    // The id is a digest of everything else: blank it, hash, write it.
    const auto set_id = [&](const QByteArray& id) {
        overwrite(pdf, "/ID [", "]", [&](const QByteArray& old) {
            QByteArray made = old;
            qsizetype next = 0;
            for (char& c : made) {
                if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
                    c = id[next++ % id.size()];
                }
            }
            return made;
        });
        overwrite(pdf, "uuid:", "<", [&](const QByteArray& old) { return (id + id + id).left(old.size()); });
    };
    set_id("0");
    set_id(QCryptographicHash::hash(pdf, QCryptographicHash::Md5).toHex());
    return pdf;
}

} // namespace ergosphere
