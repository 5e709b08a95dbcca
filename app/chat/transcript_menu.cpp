// SPDX-License-Identifier: GPL-3.0-or-later
// What can be done with a message and a token of the transcript.
#include "app/chat/transcript.h"
#include "app/lens/selection.h"

#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QLocale>
#include <QMenu>
#include <QScrollBar>

namespace ergosphere {

namespace {

/// A likely token has no need of digits, an unlikely one of more than say that it is not impossible.
QString chanceText(float probability) {
    const QLocale locale;
    const double percent = double(probability) * 100;
    constexpr double least = 0.001;
    if (percent < least) {
        return QStringLiteral("< %1 %").arg(locale.toString(least, 'f', 3));
    }
    return QStringLiteral("%1 %").arg(locale.toString(percent, 'f',
                                                      percent >= 9.95    ? 0
                                                      : percent >= 0.095 ? 1
                                                                         : 3));
}

} // namespace

// One entry a token that could stand there, with its chance; the one that does is ticked. Choosing that one
// writes on from it again.
void Transcript::addAlternatives(QMenu* menu, const TranscriptToken& token) {
    for (const ergo::TokenChance& chance : token.alternatives) {
        const QString piece = piece_of_ ? piece_of_(chance.id) : QString::number(chance.id);
        const QString text =
            QStringLiteral("%1   %2").arg(QString(piece).replace('&', "&&"), chanceText(chance.probability));
        QAction* action = menu->addAction(text, this, [this, position = token.position, id = chance.id] {
            emit takeRequested(position, id);
        });
        action->setCheckable(true);
        action->setChecked(chance.id == token.id);
    }
}

const TranscriptToken* Transcript::writtenToken(qint64 position) const {
    const Hit hit = hitOf(position);
    if (hit.turn < 0 || document_->turns()[hit.turn].role != ergo::Role::assistant) {
        return nullptr;
    }
    const TranscriptToken& token = tokenOf(hit);
    return token.marker || token.alternatives.empty() ? nullptr : &token;
}

bool Transcript::popupAlternatives(qint64 position) {
    const TranscriptToken* token = writtenToken(position);
    if (!token) {
        return false;
    }
    auto* menu = new QMenu(this);
    menu->setObjectName("alternatives");
    menu->setAttribute(Qt::WA_DeleteOnClose);
    menu->setAccessibleName(tr("Take instead of %1").arg(token->piece));
    menu->addSection(tr("Take instead"));
    addAlternatives(menu, *token);
    hideCard();
    menu->popup(viewport()->mapToGlobal(tokenRect(position).bottomLeft() + QPoint(0, 6)));
    for (QAction* action : menu->actions()) { // the arrow keys go on from what stands there
        if (action->isChecked()) {
            menu->setActiveAction(action);
        }
    }
    return true;
}

void Transcript::contextMenuEvent(QContextMenuEvent* event) {
    const bool by_key = event->reason() == QContextMenuEvent::Keyboard;
    const Hit selected = hitOf(selection_->token());
    const Hit hit = by_key ? selected : hitAt(event->pos());
    QPoint where = event->globalPos();
    int turn = by_key ? selected.turn : -1;
    const QPointF at(event->x(), event->y() + verticalScrollBar()->value());
    for (std::size_t i = 0; !by_key && i < turns_.size(); ++i) {
        if (at.y() >= turns_[i].top && at.y() < turns_[i].bottom) {
            turn = int(i);
        }
    }
    if (turn < 0) {
        return;
    }
    if (by_key) {
        where = viewport()->mapToGlobal(rectOf(selected).bottomLeft().toPoint() + QPoint(0, 6));
    }
    auto* menu = new QMenu(this);
    menu->setObjectName("transcript_menu");
    menu->setAttribute(Qt::WA_DeleteOnClose);
    const qint64 position = hit.turn < 0 ? -1 : tokenOf(hit).position;
    if (const TranscriptToken* token = writtenToken(position)) {
        addAlternatives(
            menu->addMenu(tr("&Take instead of %1").arg(QString(token->piece).replace('&', "&&"))), *token);
        menu->addSeparator();
    }
    const QString text = document_->text(turn);
    menu->addAction(tr("&Copy message"), this, [text] { QApplication::clipboard()->setText(text); });
    QStringList ids;
    for (const TranscriptToken& token : document_->turns()[turn].tokens) {
        ids << QString::number(token.id);
    }
    menu->addAction(tr("Copy token &ids"), this,
                    [ids] { QApplication::clipboard()->setText(ids.join(',')); });
    menu->popup(where);
}

} // namespace ergosphere
