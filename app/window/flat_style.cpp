// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/flat_style.h"

#include "app/window/theme.h"

#include <QAbstractSpinBox>
#include <QComboBox>
#include <QDockWidget>
#include <QMainWindow>
#include <QPainter>
#include <QPainterPath>
#include <QPushButton>
#include <QStyleOption>
#include <QTabBar>
#include <QToolButton>

namespace ergosphere {

namespace {

constexpr qreal corner = 6;

struct Painting {
    Painting(QPainter* p) : painter(p) {
        painter->save();
        painter->setRenderHint(QPainter::Antialiasing);
    }
    ~Painting() { painter->restore(); }
    QPainter* painter;
};

void roundRect(QPainter* painter, const QRect& rect, const QColor& fill, const QColor& border,
               qreal radius = corner) {
    const Painting guard(painter);
    painter->setPen(border.isValid() ? QPen(border, 1) : QPen(Qt::NoPen));
    painter->setBrush(fill.isValid() ? QBrush(fill) : QBrush(Qt::NoBrush));
    painter->drawRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), radius, radius);
}

void chevron(QPainter* painter, const QRectF& rect, const QColor& color, bool up) {
    const Painting guard(painter);
    const QPointF c = rect.center();
    const qreal w = 3.5, h = up ? -2 : 2;
    painter->setPen(QPen(color, 1.4, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
    painter->drawPolyline(QPolygonF{{c.x() - w, c.y() - h}, {c.x(), c.y() + h}, {c.x() + w, c.y() - h}});
}

QColor borderOf(const QStyleOption& option) {
    return option.palette.color(option.state & QStyle::State_HasFocus && option.state & QStyle::State_Enabled
                                    ? QPalette::Highlight
                                    : QPalette::Mid);
}

void drawButtonPanel(const QStyleOption& option, QPainter* painter, bool primary) {
    const QPalette& p = option.palette;
    const bool enabled = option.state & QStyle::State_Enabled;
    const bool down = option.state & (QStyle::State_Sunken | QStyle::State_On);
    const bool hover = enabled && option.state & QStyle::State_MouseOver;
    if (primary && enabled) {
        const QColor accent = p.color(QPalette::Highlight);
        const QColor fill = down    ? blend(accent, p.color(QPalette::Text), 0.18)
                            : hover ? blend(accent, p.color(QPalette::Text), 0.08)
                                    : accent;
        roundRect(painter, option.rect, fill, {});
        if (option.state & QStyle::State_HasFocus && option.state & QStyle::State_KeyboardFocusChange) {
            roundRect(painter, option.rect.adjusted(2, 2, -2, -2), {}, p.color(QPalette::HighlightedText), 4);
        }
        return;
    }
    const QColor fill = down    ? blend(p.color(QPalette::Midlight), p.color(QPalette::Mid), 0.6)
                        : hover ? p.color(QPalette::Midlight)
                                : p.color(QPalette::Button);
    roundRect(painter, option.rect, fill, borderOf(option));
}

void drawRadio(const QStyleOption& option, QPainter* painter) {
    const QPalette& p = option.palette;
    const bool on = option.state & QStyle::State_On && option.state & QStyle::State_Enabled;
    const Painting guard(painter);
    const QRectF circle = QRectF(option.rect).adjusted(1.5, 1.5, -1.5, -1.5);
    const QColor line = blend(borderOf(option), p.color(QPalette::Text), 0.25);
    painter->setPen(QPen(on ? p.color(QPalette::Highlight) : line, 1));
    painter->setBrush(on ? p.color(QPalette::Highlight) : p.color(QPalette::Base));
    painter->drawEllipse(circle);
    if (option.state & QStyle::State_On) {
        painter->setPen(Qt::NoPen);
        painter->setBrush(p.color(on ? QPalette::HighlightedText : QPalette::Text));
        painter->drawEllipse(circle.center(), 2.5, 2.5);
    }
}

void drawCheck(const QStyleOption& option, QPainter* painter) {
    const QPalette& p = option.palette;
    const bool on = option.state & QStyle::State_On, enabled = option.state & QStyle::State_Enabled;
    const QColor line = blend(borderOf(option), p.color(QPalette::Text), 0.25);
    roundRect(painter, option.rect, on && enabled ? p.color(QPalette::Highlight) : p.color(QPalette::Base),
              on && enabled ? p.color(QPalette::Highlight) : line, 3);
    if (on) {
        const Painting guard(painter);
        painter->setPen(QPen(p.color(enabled ? QPalette::HighlightedText : QPalette::Text), 1.6,
                             Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
        const QRectF r(option.rect);
        painter->drawPolyline(QPolygonF{{r.left() + r.width() * 0.25, r.top() + r.height() * 0.52},
                                        {r.left() + r.width() * 0.43, r.top() + r.height() * 0.70},
                                        {r.left() + r.width() * 0.76, r.top() + r.height() * 0.32}});
    }
}

bool isTabbed(const QWidget* widget) {
    auto* dock = const_cast<QDockWidget*>(qobject_cast<const QDockWidget*>(widget));
    const auto* window = dock ? qobject_cast<const QMainWindow*>(dock->parentWidget()) : nullptr;
    return window && !dock->isFloating() && !window->tabifiedDockWidgets(dock).isEmpty();
}

void drawDockTitle(const QStyleOption& option, QPainter* painter, const QWidget* widget) {
    const QPalette& p = option.palette;
    const auto* dock = qstyleoption_cast<const QStyleOptionDockWidget*>(&option);
    const Painting guard(painter);
    painter->setRenderHint(QPainter::Antialiasing, false);
    painter->setPen(p.color(QPalette::Mid));
    painter->drawLine(option.rect.bottomLeft(), option.rect.bottomRight());
    if (dock && !isTabbed(widget)) { // a tab says it already
        QFont font = smallFont();
        font.setWeight(QFont::DemiBold);
        painter->setFont(font);
        painter->setPen(p.color(QPalette::PlaceholderText));
        const QRect text = option.rect.adjusted(12, 0, -44, 0);
        painter->drawText(text, Qt::AlignVCenter | Qt::AlignLeft,
                          QFontMetrics(font).elidedText(dock->title, Qt::ElideRight, text.width()));
    }
}

void drawTab(const QStyleOption& option, QPainter* painter) {
    const QPalette& p = option.palette;
    const auto* tab = qstyleoption_cast<const QStyleOptionTab*>(&option);
    const bool chosen = option.state & QStyle::State_Selected;
    const QRect r = option.rect;
    if (!chosen && option.state & QStyle::State_MouseOver) {
        painter->fillRect(r, p.color(QPalette::Midlight));
    }
    const bool below = tab && (tab->shape == QTabBar::RoundedSouth || tab->shape == QTabBar::TriangularSouth);
    if (chosen) {
        painter->fillRect(QRect(r.left() + 4, below ? r.top() : r.bottom() - 1, r.width() - 8, 2),
                          p.color(QPalette::Highlight));
    }
}

} // namespace

FlatStyle::FlatStyle() : QProxyStyle("fusion") {}

void FlatStyle::drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                              const QWidget* widget) const {
    const QPalette& p = option->palette;
    switch (element) {
    case PE_PanelButtonCommand: {
        const auto* button = qstyleoption_cast<const QStyleOptionButton*>(option);
        const bool flat = button && button->features & QStyleOptionButton::Flat;
        if (flat && !(option->state & (State_MouseOver | State_Sunken | State_On))) {
            return;
        }
        drawButtonPanel(*option, painter, button && button->features & QStyleOptionButton::DefaultButton);
        return;
    }
    case PE_PanelButtonTool: {
        const bool on = option->state & (State_Sunken | State_On);
        const bool hover = option->state & State_MouseOver && option->state & State_Enabled;
        const bool focus = option->state & State_HasFocus && option->state & State_KeyboardFocusChange;
        if (on || hover || focus) {
            roundRect(painter, option->rect,
                      on ? blend(p.color(QPalette::Midlight), p.color(QPalette::Mid), 0.5)
                         : p.color(QPalette::Midlight),
                      focus ? p.color(QPalette::Highlight) : QColor());
        }
        return;
    }
    case PE_FrameLineEdit:
    case PE_PanelLineEdit: {
        const auto* frame = qstyleoption_cast<const QStyleOptionFrame*>(option);
        if (element == PE_PanelLineEdit && frame && frame->lineWidth == 0) {
            painter->fillRect(option->rect, p.brush(QPalette::Base));
            return;
        }
        roundRect(painter, option->rect, p.color(QPalette::Base), borderOf(*option));
        return;
    }
    case PE_Frame:
    case PE_FrameGroupBox:
    case PE_FrameMenu:
    case PE_FrameTabWidget: {
        const Painting guard(painter);
        painter->setRenderHint(QPainter::Antialiasing, false);
        painter->setPen(element == PE_Frame ? borderOf(*option) : p.color(QPalette::Mid));
        painter->drawRect(option->rect.adjusted(0, 0, -1, -1));
        return;
    }
    case PE_FrameFocusRect: {
        if (option->state & State_KeyboardFocusChange) {
            roundRect(painter, option->rect, {}, p.color(QPalette::Highlight), 4);
        }
        return;
    }
    case PE_FrameDockWidget:
    case PE_PanelMenuBar:
    case PE_FrameStatusBarItem:
        return;
    case PE_IndicatorRadioButton:
        drawRadio(*option, painter);
        return;
    case PE_IndicatorCheckBox:
    case PE_IndicatorItemViewItemCheck:
        drawCheck(*option, painter);
        return;
    default:
        QProxyStyle::drawPrimitive(element, option, painter, widget);
    }
}

void FlatStyle::drawControl(ControlElement element, const QStyleOption* option, QPainter* painter,
                            const QWidget* widget) const {
    const QPalette& p = option->palette;
    if (element == CE_PushButtonLabel) {
        if (const auto* button = qstyleoption_cast<const QStyleOptionButton*>(option)) {
            QStyleOptionButton copy(*button);
            if (button->features & QStyleOptionButton::DefaultButton && button->state & State_Enabled) {
                copy.palette.setColor(QPalette::ButtonText, p.color(QPalette::HighlightedText));
            }
            QProxyStyle::drawControl(element, &copy, painter, widget);
            return;
        }
    }
    if (element == CE_TabBarTabShape) {
        drawTab(*option, painter);
        return;
    }
    if (element == CE_DockWidgetTitle) {
        drawDockTitle(*option, painter, widget);
        return;
    }
    if (element == CE_Splitter) {
        return;
    }
    if (element == CE_MenuBarItem) {
        if (const auto* item = qstyleoption_cast<const QStyleOptionMenuItem*>(option)) {
            painter->fillRect(item->rect, p.color(QPalette::Window));
            if (item->state & (State_Selected | State_Sunken)) {
                roundRect(painter, item->rect.adjusted(1, 2, -1, -2), p.color(QPalette::Midlight), {}, 4);
            }
            const int mnemonic = styleHint(SH_UnderlineShortcut, option, widget, nullptr)
                                     ? Qt::TextShowMnemonic
                                     : Qt::TextHideMnemonic;
            drawItemText(painter, item->rect, Qt::AlignCenter | mnemonic | Qt::TextSingleLine, item->palette,
                         item->state & State_Enabled, item->text, QPalette::WindowText);
            return;
        }
    }
    if (element == CE_MenuBarEmptyArea) {
        painter->fillRect(option->rect, p.color(QPalette::Window));
        return;
    }
    if (element == CE_ProgressBarGroove) {
        roundRect(painter, option->rect, p.color(QPalette::Midlight), {}, 3);
        return;
    }
    if (element == CE_ProgressBarContents) {
        const auto* bar = qstyleoption_cast<const QStyleOptionProgressBar*>(option);
        if (bar && bar->maximum > bar->minimum) {
            const double share = double(bar->progress - bar->minimum) / double(bar->maximum - bar->minimum);
            QRect filled = option->rect;
            filled.setWidth(qBound(0, int(filled.width() * share), filled.width()));
            if (filled.width() > 0) {
                roundRect(painter, filled, p.color(QPalette::Highlight), {}, 3);
            }
            return;
        }
    }
    QProxyStyle::drawControl(element, option, painter, widget);
}

void FlatStyle::drawComplexControl(ComplexControl control, const QStyleOptionComplex* option,
                                   QPainter* painter, const QWidget* widget) const {
    const QPalette& p = option->palette;
    const QColor arrow = p.color(option->state & State_Enabled ? QPalette::Normal : QPalette::Disabled,
                                 option->state & State_Enabled ? QPalette::PlaceholderText : QPalette::Text);
    if (control == CC_ComboBox) {
        const auto* combo = qstyleoption_cast<const QStyleOptionComboBox*>(option);
        if (combo && !combo->editable) {
            drawButtonPanel(*option, painter, false);
            chevron(painter, QRectF(option->rect.right() - 20, option->rect.top(), 14, option->rect.height()),
                    arrow, false);
            return;
        }
    }
    if (control == CC_SpinBox) {
        const auto* spin = qstyleoption_cast<const QStyleOptionSpinBox*>(option);
        if (spin) {
            roundRect(painter, option->rect, p.color(QPalette::Base), borderOf(*option));
            if (spin->buttonSymbols != QAbstractSpinBox::NoButtons) {
                chevron(painter, subControlRect(CC_SpinBox, spin, SC_SpinBoxUp, widget), arrow, true);
                chevron(painter, subControlRect(CC_SpinBox, spin, SC_SpinBoxDown, widget), arrow, false);
            }
            return;
        }
    }
    if (control == CC_ScrollBar) {
        const auto* bar = qstyleoption_cast<const QStyleOptionSlider*>(option);
        if (bar && bar->maximum > bar->minimum) {
            const QRect r = subControlRect(CC_ScrollBar, bar, SC_ScrollBarSlider, widget);
            const bool hot = option->state & State_MouseOver;
            const QColor fill = blend(p.color(QPalette::Mid), p.color(QPalette::Text), hot ? 0.35 : 0.12);
            roundRect(painter,
                      bar->orientation == Qt::Vertical ? r.adjusted(2, 1, -2, -1) : r.adjusted(1, 2, -1, -2),
                      fill, {}, 3);
        }
        return;
    }
    QProxyStyle::drawComplexControl(control, option, painter, widget);
}

// Text keeps its distance from rounded corners.
QRect FlatStyle::subElementRect(SubElement element, const QStyleOption* option, const QWidget* widget) const {
    const QRect rect = QProxyStyle::subElementRect(element, option, widget);
    const auto* frame = qstyleoption_cast<const QStyleOptionFrame*>(option);
    return element == SE_LineEditContents && frame && frame->lineWidth > 0 ? rect.adjusted(5, 0, -5, 0)
                                                                           : rect;
}

QRect FlatStyle::subControlRect(ComplexControl control, const QStyleOptionComplex* option, SubControl part,
                                const QWidget* widget) const {
    const QRect rect = QProxyStyle::subControlRect(control, option, part, widget);
    const bool text = (control == CC_ComboBox && part == SC_ComboBoxEditField) ||
                      (control == CC_SpinBox && part == SC_SpinBoxEditField);
    return text ? rect.adjusted(5, 0, 0, 0) : rect;
}

int FlatStyle::pixelMetric(PixelMetric metric, const QStyleOption* option, const QWidget* widget) const {
    switch (metric) {
    case PM_ScrollBarExtent:
        return 10;
    case PM_ButtonShiftHorizontal:
    case PM_ButtonShiftVertical:
    case PM_TabBarBaseOverlap:
        return 0;
    case PM_DockWidgetSeparatorExtent:
    case PM_SplitterWidth:
        return 4;
    case PM_DockWidgetTitleBarButtonMargin:
        return 4;
    case PM_DockWidgetTitleMargin:
        return 6;
    case PM_SmallIconSize:
        return 16;
    default:
        return QProxyStyle::pixelMetric(metric, option, widget);
    }
}

QSize FlatStyle::sizeFromContents(ContentsType type, const QStyleOption* option, const QSize& size,
                                  const QWidget* widget) const {
    QSize result = QProxyStyle::sizeFromContents(type, option, size, widget);
    switch (type) {
    case CT_PushButton:
        result.setHeight(qMax(28, result.height()));
        result.rwidth() += 16;
        break;
    case CT_ComboBox:
        result.setHeight(qMax(28, result.height()));
        result.rwidth() += 8;
        break;
    case CT_LineEdit:
    case CT_SpinBox:
        result.setHeight(qMax(28, result.height()));
        break;
    case CT_TabBarTab:
        result.setHeight(qMax(30, result.height()));
        result.rwidth() += 8;
        break;
    case CT_MenuItem:
        result.rwidth() += 12;
        break;
    default:
        break;
    }
    return result;
}

int FlatStyle::styleHint(StyleHint hint, const QStyleOption* option, const QWidget* widget,
                         QStyleHintReturn* data) const {
    switch (hint) {
    case SH_EtchDisabledText:
    case SH_DitherDisabledText:
    case SH_UnderlineShortcut:
        return 0;
    case SH_ComboBox_Popup:
    case SH_DialogButtonBox_ButtonsHaveIcons:
        return 0;
    default:
        return QProxyStyle::styleHint(hint, option, widget, data);
    }
}

} // namespace ergosphere
