// SPDX-License-Identifier: GPL-3.0-or-later
// The balls that prune: radius of every head as a map of sites by heads, with the share of keys inside. GUI
// thread.
#pragma once

#include "app/lens/lens.h"
#include "app/lens/pair_picture.h"

class QLabel;

namespace ergosphere {

class BallsPicture;

class BallsLens : public Lens {
    Q_OBJECT

  public:
    BallsLens(LensData* lens_data, Selection* selection, QWidget* parent = nullptr);
    QString name() const override;
    std::optional<FigureData> figure() const override;
    FigureSpec figureSpec() const override;

  protected:
    void refresh() override;
    QString emptyText() const override;
    bool hasPicture() const override;

  private:
    /// Indices of the attentions with a ball, in order.
    QVector<int> sites() const;
    BallsFigure collect() const;
    /// Mean over the tokens from `begin` to `end` of a head's kept share; NaN while unknown.
    static float meanKept(const LensData& from, int observable, int head, qint64 begin, qint64 end);
    QString summary(const BallsFigure& figure) const;

    BallsPicture* picture_ = nullptr;
    QLabel* readout_ = nullptr;
    Coloring coloring_;
};

} // namespace ergosphere
