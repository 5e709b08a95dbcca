// SPDX-License-Identifier: GPL-3.0-or-later
// One value of every head as a map of sites by heads: ball radii with the share of keys inside, gravity
// masses with their drift and horizon, alphas. GUI thread.
#pragma once

#include "app/figure/head_quantity.h"
#include "app/lens/lens.h"
#include "app/lens/pair_picture.h"

class QComboBox;
class QLabel;

namespace ergosphere {

class HeadsPicture;

class HeadsLens : public Lens {
    Q_OBJECT

  public:
    HeadsLens(LensData* lens_data, Selection* selection, QWidget* parent = nullptr);
    QString name() const override;
    std::optional<FigureData> figure() const override;
    FigureSpec figureSpec() const override;

    /// What this model's heads have, in the order of the picker.
    QVector<HeadQuantity> quantities() const;
    HeadQuantity quantity() const { return quantity_; }
    void setQuantity(HeadQuantity quantity);

  protected:
    void refresh() override;
    QString emptyText() const override;
    QString figureTitle() const override;
    bool hasPicture() const override;

  private:
    QWidget* makeControls();
    void fillPicker();
    /// Indices of the attentions that have the quantity, in order.
    QVector<int> sites(HeadQuantity quantity) const;
    HeadsFigure collect() const;
    /// Mean over the tokens from `begin` to `end` of a head's kept share; NaN while unknown.
    static float meanKept(const LensData& from, int observable, int head, qint64 begin, qint64 end);
    /// ε of the law, and the start that masses drift from.
    double softening() const;
    double start() const;
    QString title() const;
    QString summary(const HeadsFigure& figure) const;
    QString ballSummary(const HeadsFigure& figure) const;
    QString massSummary(const HeadsFigure& figure) const;

    QComboBox* picker_ = nullptr;
    HeadsPicture* picture_ = nullptr;
    QLabel* readout_ = nullptr;
    HeadQuantity quantity_ = HeadQuantity::radius;
    Coloring coloring_;
};

} // namespace ergosphere
