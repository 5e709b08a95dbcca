// SPDX-License-Identifier: GPL-3.0-or-later
// Widgets side by side, as many lines as the width needs. Owned by its widget; GUI thread.
#pragma once

#include <QLayout>
#include <QWidget>

namespace ergosphere {

class FlowLayout : public QLayout {
  public:
    FlowLayout(QWidget* parent, int spacing);
    ~FlowLayout() override;
    void addItem(QLayoutItem* item) override { items_.append(item); }
    int count() const override { return static_cast<int>(items_.size()); }
    QLayoutItem* itemAt(int index) const override { return items_.value(index); }
    QLayoutItem* takeAt(int index) override;
    bool hasHeightForWidth() const override { return true; }
    int heightForWidth(int width) const override { return place(QRect(0, 0, width, 0), false); }
    QSize sizeHint() const override { return minimumSize(); }
    QSize minimumSize() const override;
    void setGeometry(const QRect& area) override;
    Qt::Orientations expandingDirections() const override { return {}; }

  private:
    int place(const QRect& area, bool apply) const; // returns the height

    QList<QLayoutItem*> items_;
};

/// A widget with such a layout that is always exactly as high as its lines.
class FlowWidget : public QWidget {
  public:
    FlowWidget(QWidget* parent, int spacing) : QWidget(parent) { new FlowLayout(this, spacing); }
    void fitHeight() { setFixedHeight(layout()->heightForWidth(width())); }

  protected:
    void resizeEvent(QResizeEvent* event) override {
        QWidget::resizeEvent(event);
        fitHeight();
    }
};

} // namespace ergosphere
