// SPDX-License-Identifier: GPL-3.0-or-later
// Who looks at whom: the pair map of one attention site, thumbnails of its heads, a range bar. GUI thread.
#pragma once

#include "app/lens/lens.h"
#include "app/lens/pair_picture.h"

class QComboBox;
class QLabel;
class QToolButton;

namespace ergosphere {

class HeadGrid;
class MatrixView;
class RangeBar;

class AttentionLens : public Lens {
    Q_OBJECT

  public:
    AttentionLens(LensData* lens_data, Selection* selection, QWidget* parent = nullptr);
    QString name() const override;
    std::optional<FigureData> figure() const override;
    std::optional<FigureSnapshot> figureSnapshot() const override;
    FigureSpec figureSpec() const override;
    /// Shows the selected head alone, without the thumbnails, or all of them again.
    void setSolo(bool solo);
    /// Weights, or weights relative to an even look at all keys. A model with masses starts with the latter.
    void setScale(WeightScale scale);
    WeightScale scale() const { return scale_; }

  protected:
    void refresh() override;
    QString emptyText() const override;
    QString figureTitle() const override;
    bool hasPicture() const override;
    void keyPressEvent(QKeyEvent* event) override; ///< F fits, R fits the range, + and - zoom

  private:
    const ergo::AttentionSite* site() const;
    PairSource source() const;
    QWidget* makeControls();
    void fillPickers();
    void fitRange(const std::vector<float>& values);
    const Coloring& gridColoring(const PairSource& from, int heads);
    void fitAgain();
    void recolor();
    QString summary() const;
    bool isRecomputed() const;

    void chooseScale();

    QComboBox *site_ = nullptr, *head_ = nullptr, *colormap_ = nullptr, *scale_picker_ = nullptr;
    QToolButton *thumbnails_ = nullptr, *fit_ = nullptr;
    HeadGrid* grid_ = nullptr;
    MatrixView* view_ = nullptr;
    RangeBar* range_ = nullptr;
    QLabel* readout_ = nullptr;
    PairImage image_;
    Coloring coloring_, grid_coloring_;
    WeightScale grid_scale_ = WeightScale::weight;
    WeightScale scale_ = WeightScale::weight;
    bool automatic_ = true; // the range follows the data …
    bool refit_ = true;     // … and is fitted at the next refresh even if it is nearly right
};

} // namespace ergosphere
