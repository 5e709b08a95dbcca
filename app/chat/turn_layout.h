// SPDX-License-Identifier: GPL-3.0-or-later
// Where the tokens of one turn stand: as running text (shaped and wrapped by Qt) or as a row of pieces.
// Growing text lays out only its last paragraph again. Owned by Transcript; GUI thread.
#pragma once

#include "app/chat/transcript_document.h"

#include <QFont>
#include <QRectF>
#include <QTextLayout>
#include <QVector>

#include <memory>
#include <vector>

namespace ergosphere {

class TurnLayout {
  public:
    TurnLayout() = default;
    TurnLayout(TurnLayout&&) = default;
    TurnLayout& operator=(TurnLayout&&) = default;

    struct Style {
        bool pieces = false; ///< token view: every token by itself, spaces visible, markers shown
        QFont font;
        qreal width = 400;
        qreal ribbon = 8; ///< room under each line
        bool operator==(const Style&) const = default;
    };

    /// A part of a token on one line; a token that wraps has several.
    struct Fragment {
        int token = 0; ///< index in the turn
        QRectF rect;   ///< relative to the turn, without the ribbon
    };

    /// Lays out everything.
    void layout(const TranscriptTurn& turn, const Style& style);
    /// Lays out what tokens from `from` on have changed.
    void extend(const TranscriptTurn& turn, int from);

    qreal height() const { return height_; }
    /// In reading order; tops never decrease.
    const std::vector<Fragment>& fragments() const { return fragments_; }
    /// Fragments whose lines touch [top, bottom): first and one past the last.
    std::pair<std::size_t, std::size_t> between(qreal top, qreal bottom) const;
    /// Index of the token there, -1: none.
    int tokenAt(const QPointF& point) const;
    QRectF boundsOf(int token) const;

    /// Draws the text between `top` and `bottom`, both relative to the turn, which stands at `origin`.
    void paint(QPainter* painter, const QPointF& origin, qreal top, qreal bottom) const;

  private:
    struct Span {
        int token = 0, start = 0, length = 0;
    };
    struct Paragraph {
        int first_token = 0, first_char = 0; ///< where it begins: token and character in that token's text
        qreal top = 0, height = 0;
        std::size_t first_fragment = 0;
        std::vector<Span> spans;
        std::unique_ptr<QTextLayout> text;
    };

    void extendText(const TranscriptTurn& turn, int from);
    void extendPieces(const TranscriptTurn& turn, int from);
    void place(Paragraph& paragraph);

    Style style_;
    std::vector<Paragraph> paragraphs_;
    std::vector<Fragment> fragments_;
    QVector<QString> pieces_; ///< token view: text of each fragment
    std::vector<bool> marker_;
    qreal height_ = 0;
};

} // namespace ergosphere
