// SPDX-License-Identifier: GPL-3.0-or-later
// What all lenses are: a title line, a picture, a summary in words, the strip that says what was measured on.
// They follow one Selection and one LensData, repaint at most 30 times a second and only while visible. GUI
// thread.
#pragma once

#include "app/figure/figure.h"
#include "app/lens/lens_data.h"
#include "app/lens/selection.h"

#include <QWidget>

#include <functional>
#include <optional>

class QLabel;
class QStackedLayout;
class QVBoxLayout;

namespace ergosphere {

/// What a lens shows, held still: later tokens do not change it.
struct FigureSnapshot {
    bool has_colormap = true;
    std::function<FigureData()> gather; ///< puts the figure together; any thread
};

/// Something the window's figure dialog can export exactly as it is shown.
class FigureSource {
  public:
    virtual ~FigureSource() = default;
    /// Nothing while there is nothing to show.
    virtual std::optional<FigureData> figure() const = 0;
    /// The same, cheap to take on the GUI thread. Lenses with large pictures override it.
    virtual std::optional<FigureSnapshot> figureSnapshot() const;
    /// The current view (title, colour map, range) as the dialog's starting point.
    virtual FigureSpec figureSpec() const = 0;
};

class Lens : public QWidget, public FigureSource {
    Q_OBJECT

  public:
    /// `lens_data` and `selection` must outlive the lens.
    Lens(LensData* lens_data, Selection* selection, QWidget* parent);

    /// For the tab: "Attention", "Router", "Heads".
    virtual QString name() const = 0;
    FigureSpec figureSpec() const override;
    /// The line above the picture, the summary under it, and the strip, as shown now (also for tests).
    QString titleText() const;
    QString summaryText() const;
    QString measuredText() const;

  protected:
    /// Brings the picture up to date. Called only while visible.
    virtual void refresh() = 0;
    virtual QString emptyText() const = 0; ///< what would be here and how to get it
    virtual bool hasPicture() const = 0;
    virtual QString provenance() const;
    virtual QString figureTitle() const; ///< what the figure is of, in English, whatever the window speaks

    void setBody(QWidget* controls, QWidget* picture, QWidget* below = nullptr);
    void setTexts(const QString& title, const QString& summary, bool recomputed);
    void showEvent(QShowEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override; ///< arrows, [ ] , . Esc
    void changeEvent(QEvent* event) override;
    void refreshSoon() { request(); } ///< the picture is not complete yet
    void stepSite(int layers);
    void stepHead(int heads);

    LensData* const data_;
    Selection* const selection_;

  private:
    void request(); ///< refresh soon if visible, else when shown
    void refreshNow();
    void mute(); ///< secondary lines in the theme's quiet colour

    QLabel *title_ = nullptr, *summary_ = nullptr, *measured_ = nullptr, *empty_ = nullptr;
    QWidget* filled_ = nullptr;
    QStackedLayout* pages_ = nullptr;
    QVBoxLayout* column_ = nullptr;
    QTimer timer_;
    bool stale_ = true, recomputed_ = false;
};

} // namespace ergosphere
