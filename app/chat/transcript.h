// SPDX-License-Identifier: GPL-3.0-or-later
// The transcript: every token can be pointed at, clicked and read; a ribbon under the text shows which paths
// each token took. Reads a TranscriptDocument, a LensData and the shared Selection, writes only the
// Selection. GUI thread.
#pragma once

#include "app/chat/transcript_document.h"
#include "app/chat/turn_layout.h"

#include <QAbstractScrollArea>
#include <QElapsedTimer>
#include <QStringList>
#include <QTimer>

#include <functional>
#include <memory>
#include <vector>

class QMenu;

namespace ergosphere {

class LensData;
class Selection;
class TokenCard;

class Transcript : public QAbstractScrollArea {
    Q_OBJECT

  public:
    /// All three must outlive the widget.
    Transcript(TranscriptDocument* document, LensData* lens_data, Selection* selection,
               QWidget* parent = nullptr);
    ~Transcript() override;

    bool showsPieces() const { return pieces_; }
    bool showsRibbon() const { return ribbon_; }
    /// How a role is called: "You", the model's name.
    void setNames(const QString& user, const QString& assistant);
    /// What an empty transcript says, and prompts to begin with.
    void setEmptyState(const QString& title, const QString& text, const QStringList& suggestions);
    /// Text of a token id, for the alternatives on the card.
    void setPieceOf(std::function<QString(std::int32_t)> piece_of);
    void setReducedMotion(bool reduced) { reduced_motion_ = reduced; }

    /// Where the token at `position` stands in the viewport; empty when no turn shows it. (Also for tests.)
    QRect tokenRect(qint64 position) const;
    void ensureTokenVisible(qint64 position);
    /// Index of the router whose shares the ribbon shows, -1: none.
    int ribbonRouter() const;
    /// What a screen reader says of the current token.
    QString tokenSummary(qint64 position) const;
    QString selectionSummary() const;
    /// The conversation as text, one paragraph a turn, with who says it.
    QString plainText() const;
    const TranscriptDocument& document() const { return *document_; }

    QSize sizeHint() const override { return {640, 480}; }
    QSize minimumSizeHint() const override { return {280, 120}; }

  public slots:
    void setPieces(bool pieces);
    void setRibbon(bool ribbon);

  signals:
    void suggestionChosen(const QString& text);
    /// The reply is to go on from `position` with the token `id`.
    void takeRequested(qint64 position, std::int32_t id);
    /// A key that belongs to the lenses ([ ] , .).
    void lensKey(QKeyEvent* event);

  protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void changeEvent(QEvent* event) override;
    bool viewportEvent(QEvent* event) override;
    void scrollContentsBy(int dx, int dy) override;
    void focusInEvent(QFocusEvent* event) override;
    void contextMenuEvent(QContextMenuEvent* event) override;

  private:
    static constexpr int pulse_ms = 150;
    static constexpr qreal margin = 24;

    struct Turn {
        Turn() = default;
        Turn(Turn&&) = default;
        Turn& operator=(Turn&&) = default;
        TurnLayout layout;
        qreal top = 0, body = 0, bottom = 0; ///< of the block, of its text, end of the block
    };
    struct Hit {
        int turn = -1, token = -1;
    };

    void rebuild();    ///< everything is laid out again
    void extendLast(); ///< the last turn has grown
    void place();      ///< stacks the turns and sets the scroll range
    void schedule(bool all);
    void layoutNow();
    qreal columnWidth() const;
    qreal columnLeft() const;
    TurnLayout::Style style() const;
    Hit hitAt(const QPoint& point) const;
    Hit hitOf(qint64 position) const;
    QRectF rectOf(const Hit& hit) const;
    const TranscriptToken& tokenOf(const Hit& hit) const;
    void setHovered(const Hit& hit);
    void showCard();
    void hideCard();
    void addAlternatives(QMenu* menu, const TranscriptToken& token);
    bool popupAlternatives(qint64 position);                    ///< false: there are none for the token
    const TranscriptToken* writtenToken(qint64 position) const; ///< with its alternatives, else null
    void step(int tokens);
    void stepLine(int lines);
    bool shown(const TranscriptToken& token) const { return pieces_ || !token.marker; }
    void updateToken(qint64 position);
    void speakSelection();
    QString nameOf(ergo::Role role) const;

    void paintTurn(QPainter* painter, int index, qreal top, qreal bottom);
    void paintMarks(QPainter* painter, const Turn& turn, int index, const QPointF& origin, qreal top,
                    qreal bottom);
    void paintRibbon(QPainter* painter, const Turn& turn, int index, const QPointF& origin, qreal top,
                     qreal bottom);
    void paintFooter(QPainter* painter, const Turn& turn, int index, qreal x);
    void paintEmpty(QPainter* painter);

    TranscriptDocument* document_;
    LensData* data_;
    Selection* selection_;
    std::unique_ptr<TokenCard> card_;
    std::vector<Turn> turns_;
    std::function<QString(std::int32_t)> piece_of_;
    QString user_name_, assistant_name_, empty_title_, empty_text_;
    QStringList suggestions_;
    std::vector<QRect> suggestion_rects_;
    int hovered_suggestion_ = -1;
    bool pieces_ = false, ribbon_ = true, reduced_motion_ = false;
    bool all_dirty_ = false, last_dirty_ = false, stick_to_end_ = true, in_layout_ = false;
    int laid_out_tokens_ = 0; ///< of the last turn
    qint64 previous_token_ = -1, previous_hovered_ = -1;
    Hit hovered_;
    qint64 pulse_position_ = -1;
    QElapsedTimer pulse_clock_;
    QTimer layout_timer_, card_timer_, pulse_timer_;
};

} // namespace ergosphere
