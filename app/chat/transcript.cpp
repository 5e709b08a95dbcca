// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/transcript.h"

#include "app/chat/accessible_transcript.h"
#include "app/chat/token_card.h"
#include "app/figure/palette.h"
#include "app/lens/lens_data.h"
#include "app/lens/selection.h"
#include "app/window/engine_text.h"
#include "app/window/theme.h"

#include <QAccessible>
#include <QKeyEvent>
#include <QLocale>
#include <QMouseEvent>
#include <QScrollBar>

#include <algorithm>
#include <cmath>

namespace ergosphere {

namespace {

constexpr qreal widest = 760, gap = 28, header = 24;
constexpr int card_delay_ms = 220;

} // namespace

Transcript::Transcript(TranscriptDocument* document, LensData* lens_data, Selection* selection,
                       QWidget* parent)
    : QAbstractScrollArea(parent), document_(document), data_(lens_data), selection_(selection),
      card_(std::make_unique<TokenCard>(viewport())) {
    installAccessibleTranscript();
    setObjectName("transcript");
    setAccessibleName(tr("Transcript"));
    setFrameShape(QFrame::NoFrame);
    setFocusPolicy(Qt::StrongFocus);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    viewport()->setMouseTracking(true);
    viewport()->setBackgroundRole(QPalette::Base);
    verticalScrollBar()->setSingleStep(24);

    layout_timer_.setSingleShot(true);
    connect(&layout_timer_, &QTimer::timeout, this, &Transcript::layoutNow);
    card_timer_.setSingleShot(true);
    card_timer_.setInterval(card_delay_ms);
    connect(&card_timer_, &QTimer::timeout, this, &Transcript::showCard);
    pulse_timer_.setInterval(16);
    connect(&pulse_timer_, &QTimer::timeout, this, [this] {
        updateToken(pulse_position_);
        if (pulse_clock_.elapsed() > pulse_ms) {
            pulse_timer_.stop();
        }
    });

    connect(document_, &TranscriptDocument::resetDone, this, [this] {
        stick_to_end_ = true;
        hideCard();
        hovered_ = {};
        schedule(true);
    });
    connect(document_, &TranscriptDocument::lastChanged, this, [this] {
        laid_out_tokens_ = 0; // the last turn anew, the others stand
        schedule(false);
    });
    connect(document_, &TranscriptDocument::tokenAppended, this, [this] {
        schedule(false);
        if (!reduced_motion_) {
            updateToken(pulse_position_);
            pulse_position_ = document_->length() - 1;
            pulse_clock_.restart();
            pulse_timer_.start();
        }
    });
    connect(data_, &LensData::changed, this, [this] {
        if (ribbon_ && !turns_.empty()) {
            viewport()->update();
        }
    });
    connect(selection_, &Selection::tokenChanged, this, [this](qint64 position) {
        updateToken(previous_token_);
        updateToken(position);
        previous_token_ = position;
        ensureTokenVisible(position);
        speakSelection();
    });
    connect(selection_, &Selection::secondChanged, this, [this] { viewport()->update(); });
    connect(selection_, &Selection::hoveredChanged, this, [this](qint64 position) {
        updateToken(previous_hovered_);
        updateToken(position);
        previous_hovered_ = position;
    });
    connect(selection_, &Selection::siteChanged, this, [this] { viewport()->update(); });
}

Transcript::~Transcript() = default;

void Transcript::setNames(const QString& user, const QString& assistant) {
    user_name_ = user;
    assistant_name_ = assistant;
    viewport()->update();
}

void Transcript::setEmptyState(const QString& title, const QString& text, const QStringList& suggestions) {
    empty_title_ = title;
    empty_text_ = text;
    suggestions_ = suggestions;
    viewport()->update();
}

void Transcript::setPieceOf(std::function<QString(std::int32_t)> piece_of) {
    piece_of_ = std::move(piece_of);
}

void Transcript::setPieces(bool pieces) {
    if (pieces_ != pieces) {
        pieces_ = pieces;
        schedule(true);
    }
}

void Transcript::setRibbon(bool ribbon) {
    if (ribbon_ != ribbon) {
        ribbon_ = ribbon;
        schedule(true);
    }
}

int Transcript::ribbonRouter() const {
    const ergo::ModelInfo* info = data_->info();
    if (!info || info->routers.empty()) {
        return -1;
    }
    // The layer being looked at; places that route among the same paths, not HyperFFN's branches.
    const auto& routers = info->routers;
    std::string stage;
    if (selection_->site() >= 0 && std::size_t(selection_->site()) < info->attentions.size()) {
        stage = info->attentions[std::size_t(selection_->site())].stage;
    }
    for (std::size_t i = 0; i < routers.size(); ++i) {
        if (routers[i].stage == stage && routers[i].paths.size() == routers.front().paths.size()) {
            return int(i);
        }
    }
    return 0;
}

// ---- layout
// -------------------------------------------------------------------------------------------------

qreal Transcript::columnWidth() const {
    return std::min(widest, std::max<qreal>(120, viewport()->width() - 2 * margin));
}

qreal Transcript::columnLeft() const {
    return std::max(margin, std::floor((viewport()->width() - columnWidth()) / 2));
}

TurnLayout::Style Transcript::style() const {
    TurnLayout::Style style;
    style.pieces = pieces_;
    style.font = pieces_ ? monoFont() : interfaceFont();
    if (!pieces_) {
        style.font.setPixelSize(15);
    }
    style.width = columnWidth();
    style.ribbon = ribbon_ && ribbonRouter() >= 0 ? 10 : 5;
    return style;
}

void Transcript::schedule(bool all) {
    (all ? all_dirty_ : last_dirty_) = true;
    if (!layout_timer_.isActive()) {
        layout_timer_.start(0);
    }
}

void Transcript::layoutNow() {
    if (all_dirty_ || turns_.size() != std::size_t(document_->turns().size())) {
        rebuild();
    } else if (last_dirty_) {
        extendLast();
    }
    all_dirty_ = last_dirty_ = false;
}

void Transcript::rebuild() {
    const auto& turns = document_->turns();
    turns_.clear();
    turns_.resize(std::size_t(turns.size()));
    const TurnLayout::Style now = style();
    for (std::size_t i = 0; i < turns_.size(); ++i) {
        turns_[i].layout.layout(turns[qsizetype(i)], now);
    }
    laid_out_tokens_ = turns.isEmpty() ? 0 : int(turns.last().tokens.size());
    place();
}

void Transcript::extendLast() {
    turns_.back().layout.extend(document_->turns().last(), laid_out_tokens_);
    laid_out_tokens_ = int(document_->turns().last().tokens.size());
    place();
}

void Transcript::place() {
    qreal y = margin;
    for (std::size_t i = 0; i < turns_.size(); ++i) {
        const TranscriptTurn& turn = document_->turns()[qsizetype(i)];
        turns_[i].top = y;
        turns_[i].body = y + header;
        y = turns_[i].body + turns_[i].layout.height();
        y += turn.stats.isEmpty() ? 0 : 22;
        y += turn.note.isEmpty() ? 0 : 26;
        turns_[i].bottom = y;
        y += gap;
    }
    in_layout_ = true;
    QScrollBar* bar = verticalScrollBar();
    bar->setPageStep(viewport()->height());
    bar->setRange(0, std::max(0, int(std::ceil(y)) - viewport()->height()));
    const int before = bar->value();
    if (stick_to_end_) {
        bar->setValue(bar->maximum());
    }
    if (bar->value() != before) {
        hideCard(); // its token is elsewhere now
    }
    in_layout_ = false;
    viewport()->update();
}

void Transcript::resizeEvent(QResizeEvent* event) {
    QAbstractScrollArea::resizeEvent(event);
    hideCard();
    schedule(true);
}

void Transcript::scrollContentsBy(int, int) {
    if (!in_layout_) {
        stick_to_end_ = verticalScrollBar()->value() >= verticalScrollBar()->maximum() - 4;
        hideCard();
    }
    viewport()->update();
}

void Transcript::changeEvent(QEvent* event) {
    QAbstractScrollArea::changeEvent(event);
    if (event->type() == QEvent::FontChange || event->type() == QEvent::PaletteChange) {
        schedule(true);
    }
}

// ---- where a token is
// ---------------------------------------------------------------------------------------

Transcript::Hit Transcript::hitAt(const QPoint& point) const {
    const QPointF at(point.x() - columnLeft(), point.y() + verticalScrollBar()->value());
    for (std::size_t i = 0; i < turns_.size(); ++i) {
        if (!document_->turns()[qsizetype(i)].left_out && at.y() >= turns_[i].body &&
            at.y() < turns_[i].body + turns_[i].layout.height()) {
            const int token = turns_[i].layout.tokenAt(at - QPointF(0, turns_[i].body));
            return token < 0 ? Hit{} : Hit{int(i), token};
        }
    }
    return {};
}

Transcript::Hit Transcript::hitOf(qint64 position) const {
    const auto& turns = document_->turns();
    for (int i = 0; position >= 0 && i < turns.size() && std::size_t(i) < turns_.size(); ++i) {
        const auto& tokens = turns[i].tokens;
        if (!tokens.isEmpty() && position >= tokens.first().position && position <= tokens.last().position) {
            return {i, int(position - tokens.first().position)};
        }
    }
    return {};
}

QRectF Transcript::rectOf(const Hit& hit) const {
    if (hit.turn < 0) {
        return {};
    }
    const Turn& turn = turns_[std::size_t(hit.turn)];
    const QRectF bounds = turn.layout.boundsOf(hit.token);
    return bounds.isEmpty() ? QRectF()
                            : bounds.translated(columnLeft(), turn.body - verticalScrollBar()->value());
}

QRect Transcript::tokenRect(qint64 position) const {
    return rectOf(hitOf(position)).toAlignedRect();
}

const TranscriptToken& Transcript::tokenOf(const Hit& hit) const {
    return document_->turns()[hit.turn].tokens[hit.token];
}

void Transcript::updateToken(qint64 position) {
    const QRect rect = tokenRect(position);
    if (!rect.isEmpty()) {
        viewport()->update(rect.adjusted(-4, -4, 4, 12));
    }
}

void Transcript::ensureTokenVisible(qint64 position) {
    const QRect rect = tokenRect(position);
    if (rect.isEmpty()) {
        return;
    }
    QScrollBar* bar = verticalScrollBar();
    if (rect.top() < 8) {
        bar->setValue(bar->value() + rect.top() - 40);
    } else if (rect.bottom() + 12 > viewport()->height()) {
        bar->setValue(bar->value() + rect.bottom() + 40 - viewport()->height());
    }
}

// ---- mouse and keys
// -----------------------------------------------------------------------------------------

void Transcript::setHovered(const Hit& hit) {
    if (hit.turn == hovered_.turn && hit.token == hovered_.token) {
        return;
    }
    hovered_ = hit;
    selection_->setHovered(hit.turn < 0 ? -1 : tokenOf(hit).position);
    hideCard();
    if (hit.turn >= 0) {
        card_timer_.start();
    }
}

void Transcript::mouseMoveEvent(QMouseEvent* event) {
    const auto over = std::find_if(suggestion_rects_.begin(), suggestion_rects_.end(),
                                   [&](const QRect& r) { return r.contains(event->pos()); });
    const int suggestion = over == suggestion_rects_.end() ? -1 : int(over - suggestion_rects_.begin());
    if (suggestion != hovered_suggestion_) {
        hovered_suggestion_ = suggestion;
        viewport()->update();
    }
    const Hit hit = hitAt(event->pos());
    viewport()->setCursor(hit.turn >= 0 || suggestion >= 0 ? Qt::PointingHandCursor : Qt::ArrowCursor);
    setHovered(hit);
}

void Transcript::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) {
        return;
    }
    for (std::size_t i = 0; i < suggestion_rects_.size(); ++i) {
        if (suggestion_rects_[i].contains(event->pos())) {
            emit suggestionChosen(suggestions_[qsizetype(i)]);
            return;
        }
    }
    const Hit hit = hitAt(event->pos());
    if (hit.turn < 0) {
        selection_->setSecond(-1);
        selection_->setToken(-1);
        return;
    }
    const qint64 position = tokenOf(hit).position;
    if (event->modifiers() & Qt::ShiftModifier) {
        selection_->setSecond(position);
    } else {
        selection_->setToken(position == selection_->token() ? -1 : position);
    }
}

void Transcript::leaveEvent(QEvent* event) {
    QAbstractScrollArea::leaveEvent(event);
    hovered_suggestion_ = -1;
    setHovered({});
    selection_->setHovered(-1);
    viewport()->update();
}

bool Transcript::viewportEvent(QEvent* event) {
    if (event->type() == QEvent::Leave) {
        leaveEvent(event);
    }
    return QAbstractScrollArea::viewportEvent(event);
}

void Transcript::focusInEvent(QFocusEvent* event) {
    QAbstractScrollArea::focusInEvent(event);
    viewport()->update();
}

void Transcript::step(int tokens) {
    qint64 position = selection_->token();
    const qint64 length = document_->length();
    if (position < 0) {
        position = tokens > 0 ? -1 : length;
    }
    for (position += tokens > 0 ? 1 : -1; position >= 0 && position<length; position += tokens> 0 ? 1 : -1) {
        const TranscriptToken* token = document_->tokenAt(position);
        if (token && shown(*token)) {
            selection_->setToken(position);
            return;
        }
    }
}

void Transcript::stepLine(int lines) {
    const QRectF here = rectOf(hitOf(selection_->token()));
    if (here.isEmpty()) {
        step(lines);
        return;
    }
    // The nearest token of the next line that has one, looking past headers and footers.
    const QPointF from = here.center();
    for (qreal y = from.y() + lines * 8; std::abs(y - from.y()) < 400; y += lines * 4) {
        qreal best = 1e9;
        qint64 found = -1;
        for (std::size_t i = 0; i < turns_.size(); ++i) {
            const qreal local = y + verticalScrollBar()->value() - turns_[i].body;
            if (local < 0 || local >= turns_[i].layout.height()) {
                continue;
            }
            const auto [first, last] = turns_[i].layout.between(local, local + 0.01);
            for (std::size_t f = first; f < last; ++f) {
                const auto& fragment = turns_[i].layout.fragments()[f];
                const qreal distance = std::abs(fragment.rect.center().x() + columnLeft() - from.x());
                const qreal top = fragment.rect.top() + turns_[i].body - verticalScrollBar()->value();
                if (std::abs(top - here.top()) > 4 && distance < best) {
                    best = distance;
                    found = document_->turns()[qsizetype(i)].tokens[fragment.token].position;
                }
            }
        }
        if (found >= 0) {
            selection_->setToken(found);
            return;
        }
    }
}

void Transcript::keyPressEvent(QKeyEvent* event) {
    switch (event->key()) {
    case Qt::Key_Right:
        return step(1);
    case Qt::Key_Left:
        return step(-1);
    case Qt::Key_Down:
        return stepLine(1);
    case Qt::Key_Up:
        return stepLine(-1);
    case Qt::Key_Home:
        selection_->setToken(-1);
        return step(1);
    case Qt::Key_End:
        selection_->setToken(-1);
        return step(-1);
    case Qt::Key_Escape:
        hideCard();
        if (selection_->token() < 0 && selection_->second() < 0) {
            event->ignore(); // the window then stops what is being written
            return;
        }
        return selection_->clear();
    case Qt::Key_Return:
    case Qt::Key_Enter:
        if (!popupAlternatives(selection_->token())) {
            event->ignore();
        }
        return;
    case Qt::Key_BracketLeft:
    case Qt::Key_BracketRight:
    case Qt::Key_Comma:
    case Qt::Key_Period:
        emit lensKey(event);
        return;
    default:
        QAbstractScrollArea::keyPressEvent(event);
    }
}

// ---- card and words
// -----------------------------------------------------------------------------------------

void Transcript::hideCard() {
    card_timer_.stop();
    card_->hide();
}

void Transcript::showCard() {
    if (hovered_.turn < 0 || std::size_t(hovered_.turn) >= turns_.size() ||
        hovered_.token >= document_->turns()[hovered_.turn].tokens.size()) {
        return;
    }
    const TranscriptToken& token = tokenOf(hovered_);
    const QLocale locale;
    TokenCard::Content content;
    content.piece = token.piece;
    content.facts << tr("position %1 · id %2").arg(locale.toString(token.position)).arg(token.id);
    if (token.probability >= 0) {
        const double bits = -std::log2(std::max(1e-30, double(token.probability)));
        content.facts << tr("probability %1 · surprisal %2 bit")
                             .arg(locale.toString(token.probability, 'f', 3))
                             .arg(locale.toString(bits, 'f', 2));
    }
    if (token.taken) {
        content.facts << tr("put here by you");
    }
    for (const ergo::TokenChance& chance : token.alternatives) {
        content.alternatives.push_back({piece_of_ ? piece_of_(chance.id) : QString::number(chance.id),
                                        chance.probability, chance.id == token.id});
    }
    if (const int router = ribbonRouter(); router >= 0) {
        const ergo::RouterSite& site = data_->info()->routers[std::size_t(router)];
        const auto shares = data_->strip(data_->observable(site.shares), token.position);
        for (std::size_t i = 0; i < shares.size() && i < site.paths.size(); ++i) {
            content.shares.push_back({QString::fromStdString(site.paths[i]), shares[i],
                                      routeColor(int(i), int(site.paths.size()))});
        }
        content.shares_title = placeText(site.label);
    }
    card_->showBeside(rectOf(hovered_).toAlignedRect(), std::move(content));
}

QString Transcript::tokenSummary(qint64 position) const {
    const TranscriptToken* token = document_->tokenAt(position);
    if (!token) {
        return tr("No token is selected. Arrow keys select one.");
    }
    QString text = tr("Token %1 of %2: '%3'").arg(position + 1).arg(document_->length()).arg(token->piece);
    if (token->probability >= 0) {
        text += tr(", probability %1").arg(QLocale().toString(token->probability, 'f', 2));
    }
    if (const int router = ribbonRouter(); router >= 0) {
        const ergo::RouterSite& site = data_->info()->routers[std::size_t(router)];
        const auto shares = data_->strip(data_->observable(site.shares), position);
        for (std::size_t i = 0; i < shares.size() && i < site.paths.size(); ++i) {
            if (shares[i] > 0.005F) {
                text += QString(", %1 %2 %")
                            .arg(QString::fromStdString(site.paths[i]))
                            .arg(qRound(shares[i] * 100));
            }
        }
    }
    return text;
}

QString Transcript::selectionSummary() const {
    return tokenSummary(selection_->token());
}

QString Transcript::plainText() const {
    QStringList turns;
    for (int i = 0; i < document_->turns().size(); ++i) {
        const TranscriptTurn& turn = document_->turns()[i];
        const QString name = nameOf(turn.role);
        turns << QString("%1: %2").arg(turn.left_out ? tr("%1, left out").arg(name) : name,
                                       document_->text(i));
    }
    return turns.isEmpty() ? empty_title_ + "\n" + empty_text_ : turns.join("\n");
}

QString Transcript::nameOf(ergo::Role role) const {
    return role == ergo::Role::user     ? user_name_
           : role == ergo::Role::system ? tr("System")
                                        : assistant_name_;
}

void Transcript::speakSelection() {
    if (QAccessible::isActive()) {
        QAccessibleEvent changed(this, QAccessible::DescriptionChanged);
        QAccessible::updateAccessibility(&changed);
    }
}

} // namespace ergosphere
