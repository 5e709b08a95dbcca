// SPDX-License-Identifier: GPL-3.0-or-later
// The routers' shares as stacked areas over tokens, one strip a router. Owned by the router lens; GUI thread.
#pragma once

#include "app/lens/lens_data.h"
#include "app/lens/selection.h"

#include <QImage>
#include <QWidget>

#include <vector>

namespace ergosphere {

class RouterPicture : public QWidget {
    Q_OBJECT

  public:
    RouterPicture(const LensData* lens_data, Selection* selection, QWidget* parent);

    /// Paints the strips again from the data.
    void refresh();
    /// "layer 3 · cat (12): LocalConv 62 %, MetricMQA 38 %"; empty without such a place.
    QString describe(int router, qint64 token) const;
    /// Where a token's column of a router's strip is.
    QRectF column(int router, qint64 token) const;
    QSize minimumSizeHint() const override;

  signals:
    void readout(const QString& text);

  protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    bool event(QEvent* event) override;

  private:
    qint64 tokens() const;
    int gutter() const;
    QRectF strip(int router) const;
    int routerAt(QPointF at) const;
    qint64 tokenAt(QPointF at) const;
    void paintStrip(QImage& image, int router) const;
    void drawTokenLine(QPainter& painter, qint64 token, const QPen& pen, bool labelled) const;

    const LensData* const data_;
    Selection* const selection_;
    std::vector<QImage> images_; // one a router, a pixel column a token
    int hovered_router_ = -1;
};

} // namespace ergosphere
