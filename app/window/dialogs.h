// SPDX-License-Identifier: GPL-3.0-or-later
// The small dialogs: figure export, screenshot, settings, shortcuts. None blocks; each says what it wants by
// a signal. GUI thread.
#pragma once

#include "app/figure/figure.h"
#include "app/window/theme.h"

#include <QDialog>
#include <QStringList>

class QAction;
class QButtonGroup;
class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace ergosphere {

class MessageBar;
class Preferences;

/// What a lens shows, as a file at true column width.
class FigureDialog : public QDialog {
    Q_OBJECT

  public:
    /// `name`: default file name without extension.
    FigureDialog(FigureData figure, FigureSpec spec, const QString& name, const QString& folder,
                 QWidget* parent);
    FigureSpec spec() const;
    QString path() const;
    void setPath(const QString& path);

  signals:
    void exported(const QString& path);

  private:
    void makeFields();
    void layOut();
    void exportNow();
    void browse();
    void formatChanged();
    void updateHint();

    FigureData data_;
    FigureSpec spec_;
    QComboBox *format_, *width_, *colormap_;
    QDoubleSpinBox *width_mm_, *font_pt_;
    QSpinBox* dpi_;
    QLineEdit *title_, *path_;
    QLabel* hint_;
    MessageBar* message_;
};

/// PNG of the window or of a lens, once to four times as large, to a file or the clipboard.
class ScreenshotDialog : public QDialog {
    Q_OBJECT

  public:
    ScreenshotDialog(const QString& lens_name, const QString& folder, QWidget* parent);
    bool ofLens() const;
    int factor() const;
    bool toClipboard() const;
    QString path() const;
    void setPath(const QString& path);

  signals:
    void requested();

  private:
    void browse();
    QButtonGroup *what_, *where_;
    QSpinBox* factor_;
    QLineEdit* path_;
};

class SettingsDialog : public QDialog {
    Q_OBJECT

  public:
    SettingsDialog(Preferences* preferences, QWidget* parent);

  signals:
    void themeChanged(ergosphere::ThemeChoice theme);
    void lookChanged();
    void engineChanged();

  private:
    Preferences* preferences_;
};

/// Every action with a shortcut, and the gestures.
class ShortcutSheet : public QDialog {
    Q_OBJECT

  public:
    ShortcutSheet(const QList<QAction*>& actions, QWidget* parent);
};

} // namespace ergosphere
