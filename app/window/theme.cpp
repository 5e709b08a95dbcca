// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/theme.h"

#include "app/window/flat_style.h"

#include <QApplication>
#include <QFontDatabase>
#include <QToolTip>

namespace ergosphere {

namespace {

constexpr const char* prefers_dark_property = "ergosphere_system_prefers_dark";

QString firstInstalled(const QStringList& families, QFontDatabase::SystemFont otherwise) {
    const QStringList installed = QFontDatabase::families();
    for (const QString& family : families) {
        if (installed.contains(family)) {
            return family;
        }
    }
    return QFontDatabase::systemFont(otherwise).family();
}

QFont sized(const QString& family, int pixels) {
    QFont font(family);
    font.setFamilies({family, "Noto Sans CJK SC", "Noto Sans CJK JP"});
    font.setPixelSize(pixels);
    return font;
}

} // namespace

ThemeChoice themeFromName(const QString& name, ThemeChoice fallback) {
    if (name == "system") {
        return ThemeChoice::system;
    }
    if (name == "light") {
        return ThemeChoice::light;
    }
    return name == "dark" ? ThemeChoice::dark : fallback;
}

QString themeName(ThemeChoice choice) {
    switch (choice) {
    case ThemeChoice::light:
        return "light";
    case ThemeChoice::dark:
        return "dark";
    case ThemeChoice::system:
        break;
    }
    return "system";
}

const ThemeColors& lightColors() {
    static const ThemeColors colors{QColor("#F6F7F9"),
                                    QColor("#FFFFFF"),
                                    QColor("#1B1F24"),
                                    QColor("#5A636E"),
                                    QColor("#D7DBE0"),
                                    QColor("#2F6FEB"),
                                    QColor("#FFFFFF"),
                                    QColor("#EBEEF2"),
                                    QColor("#B3261E"),
                                    QColor("#8A5A00"),
                                    false};
    return colors;
}

const ThemeColors& darkColors() {
    static const ThemeColors colors{QColor("#15181C"),
                                    QColor("#1D2126"),
                                    QColor("#E6E9ED"),
                                    QColor("#9CA5B0"),
                                    QColor("#343A41"),
                                    QColor("#6EA0FF"),
                                    QColor("#0E1116"),
                                    QColor("#282D34"),
                                    QColor("#FF8A80"),
                                    QColor("#F2C14E"),
                                    true};
    return colors;
}

const ThemeColors& colorsOf(const QPalette& palette) {
    return palette.color(QPalette::Window).lightness() < 128 ? darkColors() : lightColors();
}

QPalette paletteOf(const ThemeColors& c) {
    QPalette p;
    const auto all = [&p](QPalette::ColorRole role, const QColor& color) {
        p.setColor(QPalette::All, role, color);
    };
    all(QPalette::Window, c.window);
    all(QPalette::WindowText, c.text);
    all(QPalette::Base, c.surface);
    all(QPalette::AlternateBase, c.window);
    all(QPalette::Text, c.text);
    all(QPalette::PlaceholderText, c.muted);
    all(QPalette::Button, c.surface);
    all(QPalette::ButtonText, c.text);
    all(QPalette::BrightText, c.on_accent);
    all(QPalette::Highlight, c.accent);
    all(QPalette::HighlightedText, c.on_accent);
    all(QPalette::Link, c.accent);
    all(QPalette::LinkVisited, c.accent);
    all(QPalette::ToolTipBase, c.surface);
    all(QPalette::ToolTipText, c.text);
    all(QPalette::Light, c.surface);
    all(QPalette::Midlight, c.hover);
    all(QPalette::Mid, c.line);
    all(QPalette::Dark, c.line);
    all(QPalette::Shadow, c.dark ? QColor("#000000") : QColor("#AEB5BD"));
    const QColor faint = blend(c.text, c.window, 0.58);
    for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText}) {
        p.setColor(QPalette::Disabled, role, faint);
    }
    p.setColor(QPalette::Disabled, QPalette::Highlight, c.line);
    p.setColor(QPalette::Disabled, QPalette::HighlightedText, faint);
    return p;
}

void rememberSystemTheme(const QApplication& application) {
    const QPalette system = application.palette();
    const bool dark =
        system.color(QPalette::Window).lightness() < system.color(QPalette::WindowText).lightness();
    const_cast<QApplication&>(application).setProperty(prefers_dark_property, dark);
}

void applyTheme(QApplication& application, ThemeChoice choice) {
    const bool dark = choice == ThemeChoice::dark ||
                      (choice == ThemeChoice::system && application.property(prefers_dark_property).toBool());
    if (!qobject_cast<FlatStyle*>(QApplication::style())) {
        QApplication::setStyle(new FlatStyle); // the application owns it
        QApplication::setFont(interfaceFont());
        QToolTip::setFont(interfaceFont());
    }
    const QPalette palette = paletteOf(dark ? darkColors() : lightColors());
    QApplication::setPalette(palette);
    QToolTip::setPalette(palette);
}

QFont interfaceFont() {
    static const QString family = firstInstalled({"Inter", "Inter Display"}, QFontDatabase::GeneralFont);
    return sized(family, 13);
}

QFont smallFont() {
    QFont font = interfaceFont();
    font.setPixelSize(11);
    return font;
}

QFont titleFont() {
    QFont font = interfaceFont();
    font.setPixelSize(15);
    font.setWeight(QFont::DemiBold);
    return font;
}

QFont monoFont(int pixels) {
    static const QString family =
        firstInstalled({"JetBrains Mono", "DejaVu Sans Mono"}, QFontDatabase::FixedFont);
    QFont font = sized(family, pixels);
    font.setStyleHint(QFont::Monospace);
    font.setFixedPitch(true);
    font.setStyleStrategy(QFont::PreferNoShaping); // no ligatures: "<|" stays the two characters it is
    return font;
}

QColor blend(const QColor& a, const QColor& b, double amount) {
    const auto mix = [amount](double x, double y) { return x + (y - x) * amount; };
    return QColor::fromRgbF(static_cast<float>(mix(a.redF(), b.redF())),
                            static_cast<float>(mix(a.greenF(), b.greenF())),
                            static_cast<float>(mix(a.blueF(), b.blueF())));
}

} // namespace ergosphere
