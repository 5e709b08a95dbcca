// SPDX-License-Identifier: GPL-3.0-or-later
// The look: palettes, fonts and the style of the whole program. Widgets take their colours from QPalette, so
// a theme is switched at once; what QPalette has no role for is in ThemeColors. GUI thread.
#pragma once

#include <QColor>
#include <QFont>
#include <QPalette>

class QApplication;

namespace ergosphere {

enum class ThemeChoice { system, light, dark };

/// "system", "light" or "dark"; `fallback` for anything else.
ThemeChoice themeFromName(const QString& name, ThemeChoice fallback = ThemeChoice::system);
QString themeName(ThemeChoice choice);

struct ThemeColors {
    QColor window, surface, text, muted, line, accent, on_accent, hover, danger, caution;
    bool dark = false;
};

const ThemeColors& lightColors();
const ThemeColors& darkColors();
/// The colours that belong to the palette a widget has.
const ThemeColors& colorsOf(const QPalette& palette);

QPalette paletteOf(const ThemeColors& colors);

/// Remembers what the desktop prefers; call once, before the first applyTheme.
void rememberSystemTheme(const QApplication& application);
/// Sets style, palette and font of the program.
void applyTheme(QApplication& application, ThemeChoice choice);

/// Inter where it is installed, 13 px. Larger and smaller are the only other two sizes.
QFont interfaceFont();
QFont smallFont(); ///< 11 px
QFont titleFont(); ///< 15 px, semi-bold
/// JetBrains Mono where it is installed, for tokens and numbers.
QFont monoFont(int pixels = 13);

/// `a` moved towards `b` by `amount` 0…1.
QColor blend(const QColor& a, const QColor& b, double amount);

} // namespace ergosphere
