// SPDX-License-Identifier: GPL-3.0-or-later
// The card beside a token under the pointer: what it is, how likely it was, what else could have stood there.
// Lives inside the transcript's viewport; never takes the mouse. GUI thread.
#pragma once

#include <QColor>
#include <QString>
#include <QVector>
#include <QWidget>

#include <utility>

namespace ergosphere {

class TokenCard : public QWidget {
    Q_OBJECT

  public:
    struct Alternative {
        QString piece;
        double probability = 0;
        bool chosen = false;
    };
    struct Share {
        QString path;
        double share = 0;
        QColor color;
    };
    struct Content {
        QString piece;     ///< the token, visible
        QStringList facts; ///< "position 17", "id 271", …
        QVector<Alternative> alternatives;
        QString shares_title;
        QVector<Share> shares;
    };

    explicit TokenCard(QWidget* viewport);
    /// Shows `content` beside `token` (in the viewport's coordinates), inside the viewport.
    void showBeside(const QRect& token, Content content);
    const Content& content() const { return content_; }

  protected:
    void paintEvent(QPaintEvent* event) override;

  private:
    QSize sizeFor() const;
    Content content_;
};

} // namespace ergosphere
