// SPDX-License-Identifier: GPL-3.0-or-later
// The small dialogs: figure export, screenshot, settings, shortcuts. None blocks; each says what it wants by
// a signal. GUI thread.
#pragma once

#include "app/figure/figure.h"
#include "app/lens/lens.h"
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

class BackgroundJob;
class MessageBar;
class Preferences;
class ProgressRow;

/// What a lens shows, as a file at true column width or on the clipboard. Draws in the background, with
/// progress and cancel.
class FigureDialog : public QDialog {
    Q_OBJECT

  public:
    /// `name`: default file name without extension.
    FigureDialog(FigureSnapshot figure, FigureSpec spec, const QString& name, const QString& folder,
                 QWidget* parent);
    ~FigureDialog() override; ///< cancels what is being drawn
    FigureSpec spec() const;
    QString path() const;
    void setPath(const QString& path);

  signals:
    void exported(const QString& path);
    void copied();

  private:
    void makeFields();
    void layOut();
    void exportNow();
    void copyNow();
    void run(BackgroundJob* job, bool to_clipboard);
    void setWorking(bool working);
    void browse();
    void formatChanged();
    void updateHint();

    FigureSnapshot figure_;
    FigureSpec spec_;
    QWidget* form_ = nullptr;
    QComboBox *format_, *width_, *colormap_;
    QDoubleSpinBox *width_mm_, *font_pt_;
    QSpinBox* dpi_;
    QLineEdit *title_, *path_;
    QLabel* hint_;
    MessageBar* message_;
    ProgressRow* progress_ = nullptr;
    QPushButton *export_ = nullptr, *copy_ = nullptr, *close_ = nullptr;
    QByteArray bytes_; ///< of the clipboard's picture, written by the job
    BackgroundJob* job_ = nullptr;
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
