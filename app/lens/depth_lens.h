// SPDX-License-Identifier: GPL-3.0-or-later
// Attention over depth: which earlier blocks of layers every attention, every MLP and the output head read,
// for the selected token or on average. GUI thread.
#pragma once

#include "app/lens/lens.h"
#include "app/lens/pair_picture.h"

class QLabel;

namespace ergosphere {

class DepthPicture;

class DepthLens : public Lens {
    Q_OBJECT

  public:
    DepthLens(LensData* lens_data, Selection* selection, QWidget* parent = nullptr);
    QString name() const override;
    std::optional<FigureData> figure() const override;
    FigureSpec figureSpec() const override;

  protected:
    void refresh() override;
    QString emptyText() const override;
    QString figureTitle() const override;
    bool hasPicture() const override;

  private:
    DepthFigure collect() const;
    QString summary(const DepthFigure& figure) const;

    DepthPicture* picture_ = nullptr;
    QLabel* readout_ = nullptr;
    Coloring coloring_;
};

} // namespace ergosphere
