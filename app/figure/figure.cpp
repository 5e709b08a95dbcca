// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/figure.h"

#include "engine/base/error.h"

#include <QRegularExpression>

#include <cmath>

namespace ergosphere {

namespace {

[[noreturn]] void refuse(const QString& message, const QString& advice) {
    throw ergo::Error(ergo::ErrorKind::usage, message.toStdString(),
                      {.code = "FIG-SIZE", .advice = advice.toStdString()});
}

/// Control characters, unpaired surrogates and direction marks would disturb every line they stand in.
QString escaped(char32_t character) {
    return QStringLiteral("\\u%1").arg(static_cast<uint>(character), 4, 16, QLatin1Char('0'));
}

bool is_harmful(char32_t character) {
    switch (QChar::category(character)) {
    case QChar::Other_Control:
    case QChar::Other_Format:
    case QChar::Other_Surrogate:
    case QChar::Other_NotAssigned:
    case QChar::Separator_Line:
    case QChar::Separator_Paragraph:
        return true;
    default:
        return false;
    }
}

} // namespace

double parse_length_mm(const QString& text) {
    static const QRegularExpression form(
        QStringLiteral("^\\s*([0-9]+(?:\\.[0-9]+)?)\\s*(in|mm|cm|pt|)\\s*$"));
    const QRegularExpressionMatch match = form.match(text);
    if (!match.hasMatch()) {
        refuse(QStringLiteral("\"%1\" is not a length.").arg(visible_token(text, 60)),
               QStringLiteral("Write it like 3.25in, 89mm, 8.9cm or 252pt."));
    }
    const double number = match.captured(1).toDouble();
    const QString unit = match.captured(2);
    const double mm = unit == QLatin1String("in")   ? 25.4
                      : unit == QLatin1String("cm") ? 10.0
                      : unit == QLatin1String("pt") ? 25.4 / 72.0
                                                    : 1.0;
    return number * mm;
}

void validate(const FigureSpec& spec) {
    const auto check = [](double value, double least, double most, const QString& what, const QString& unit) {
        if (!(value >= least && value <= most)) { // also refuses NaN
            refuse(QStringLiteral("The %1 is %2 %3.").arg(what).arg(value, 0, 'g', 4).arg(unit),
                   QStringLiteral("It can be %1 to %2 %3.").arg(least).arg(most).arg(unit));
        }
    };
    check(spec.width_mm, 10, 2000, QStringLiteral("figure's width"), QStringLiteral("mm"));
    if (spec.height_mm != 0) {
        check(spec.height_mm, 10, 2000, QStringLiteral("figure's height"), QStringLiteral("mm"));
    }
    check(spec.dpi, 36, 2400, QStringLiteral("resolution"), QStringLiteral("dpi"));
    check(spec.font_pt, 5, 72, QStringLiteral("type size"), QStringLiteral("pt"));
    for (const QString& family : {spec.font_family, spec.token_family}) {
        static const QRegularExpression plain(QStringLiteral("^[\\w .+-]{1,64}$"),
                                              QRegularExpression::UseUnicodePropertiesOption);
        if (!plain.match(family).hasMatch()) {
            refuse(QStringLiteral("\"%1\" is not the name of a font.").arg(visible_token(family, 40)),
                   QStringLiteral("Use a family's name such as Inter."));
        }
    }
    if ((spec.black && !std::isfinite(*spec.black)) || (spec.white && !std::isfinite(*spec.white)) ||
        (spec.black && spec.white && !(*spec.black < *spec.white))) {
        refuse(QStringLiteral("The range from %1 to %2 is empty.")
                   .arg(spec.black.value_or(0))
                   .arg(spec.white.value_or(0)),
               QStringLiteral("The black point must be below the white point."));
    }
}

QString visible_token(const QString& text, int limit) {
    if (text.isEmpty()) {
        return QStringLiteral("∅");
    }
    QString out;
    int shown = 0;
    const QList<uint> characters = text.left(4 * limit).toUcs4();
    for (const uint character : characters) {
        if (shown == limit) {
            return out + QStringLiteral("…");
        }
        switch (character) {
        case U' ':
            out += QStringLiteral("·");
            break;
        case U'\n':
            out += QStringLiteral("↵");
            break;
        case U'\t':
            out += QStringLiteral("⇥");
            break;
        default:
            out += is_harmful(character)
                       ? escaped(character)
                       : QString::fromUcs4(reinterpret_cast<const char32_t*>(&character), 1);
        }
        ++shown;
    }
    return text.size() > 4 * limit ? out + QStringLiteral("…") : out;
}

QString shortened(const QStringList& texts) {
    const QString first = texts.mid(0, 3).join(QStringLiteral(", "));
    return texts.size() > 3 ? first + QStringLiteral(" … (%1)").arg(texts.size()) : first;
}

} // namespace ergosphere
