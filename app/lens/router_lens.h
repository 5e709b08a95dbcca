// SPDX-License-Identifier: GPL-3.0-or-later
// Which path each token took: the routers' shares as stacked areas over tokens, one strip a router. GUI
// thread.
#pragma once

#include "app/lens/lens.h"

class QLabel;
class QToolButton;

namespace ergosphere {

class FlowWidget;
class RouterPicture;

class RouterLens : public Lens {
    Q_OBJECT

  public:
    RouterLens(LensData* lens_data, Selection* selection, QWidget* parent = nullptr);
    QString name() const override;
    std::optional<FigureData> figure() const override;

  protected:
    void refresh() override;
    QString emptyText() const override;
    QString figureTitle() const override;
    bool hasPicture() const override;

  private:
    void fillLegend();
    QString summary() const;

    RouterPicture* picture_ = nullptr;
    FlowWidget* legend_ = nullptr;
    QLabel* readout_ = nullptr;
    QVector<QToolButton*> paths_;
};

} // namespace ergosphere
