// SPDX-License-Identifier: GPL-3.0-or-later
// The transcript as data: turns made of tokens, each at its absolute position in the model's token log.
// Written by the conversation controller, shown by Transcript. GUI thread.
#pragma once

#include "engine/generate/chat_format.h"
#include "engine/generate/sampler.h"

#include <QObject>
#include <QString>
#include <QVector>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ergosphere {

struct TranscriptToken {
    std::int32_t id = 0;
    qint64 position = -1;   ///< in the token log
    QString text;           ///< what became readable with it; empty for a part of a character
    QString piece;          ///< the token alone, made visible: "·cat", "↵", "‹E2›"
    bool marker = false;    ///< part of the chat format, not of the message
    bool taken = false;     ///< put there by a person, not chosen
    float probability = -1; ///< of a written token, -1: not known
    std::vector<ergo::TokenChance> alternatives;
};

struct TranscriptTurn {
    ergo::Role role = ergo::Role::user;
    QVector<TranscriptToken> tokens;
    bool writing = false;
    bool left_out = false; ///< not given to the model: its tokens have no position (-1)
    QString stats;         ///< one line under a finished reply
    QString note;          ///< "The context is full …": said under the reply
};

class TranscriptDocument : public QObject {
    Q_OBJECT

  public:
    explicit TranscriptDocument(QObject* parent = nullptr) : QObject(parent) {}

    const QVector<TranscriptTurn>& turns() const { return turns_; }
    /// The token at `position` of the log; null when no turn shows it.
    const TranscriptToken* tokenAt(qint64 position) const;
    /// One past the last token's position.
    qint64 length() const;
    /// What a person would read in turn `index`.
    QString text(int index) const;

    void clear();
    void reset(QVector<TranscriptTurn> turns);
    void appendToken(TranscriptToken token); ///< to the last turn
    /// The turn's first `tokens` tokens stay, and it is written on; later turns go.
    void rewind(int turn, int tokens);
    void
    changeLast(const std::function<void(TranscriptTurn&)>& change); ///< stats, notes, tokens: laid out again

  signals:
    void resetDone();
    void tokenAppended();
    void lastChanged();

  private:
    QVector<TranscriptTurn> turns_;
};

/// Bytes of a token as one visible piece: space ·, newline ↵, tab ⇥, invalid bytes ‹E2›.
QString visiblePiece(const std::string& bytes);

} // namespace ergosphere
