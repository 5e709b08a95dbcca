// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/transcript_document.h"

#include "engine/base/utf8.h"

namespace ergosphere {

const TranscriptToken* TranscriptDocument::tokenAt(qint64 position) const {
    for (const TranscriptTurn& turn : turns_) {
        if (turn.left_out || turn.tokens.isEmpty() || position > turn.tokens.last().position ||
            position < turn.tokens.first().position) {
            continue;
        }
        const qint64 index = position - turn.tokens.first().position; // positions of a turn are consecutive
        return &turn.tokens[index];
    }
    return nullptr;
}

qint64 TranscriptDocument::length() const {
    for (auto turn = turns_.rbegin(); turn != turns_.rend(); ++turn) {
        if (!turn->tokens.isEmpty() && !turn->left_out) {
            return turn->tokens.last().position + 1;
        }
    }
    return 0;
}

QString TranscriptDocument::text(int index) const {
    QString text;
    for (const TranscriptToken& token : turns_[index].tokens) {
        if (!token.marker) {
            text += token.text;
        }
    }
    return text;
}

void TranscriptDocument::clear() {
    reset({});
}

void TranscriptDocument::reset(QVector<TranscriptTurn> turns) {
    turns_ = std::move(turns);
    emit resetDone();
}

void TranscriptDocument::appendToken(TranscriptToken token) {
    if (!turns_.isEmpty()) {
        turns_.last().tokens.append(std::move(token));
        emit tokenAppended();
    }
}

void TranscriptDocument::rewind(int turn, int tokens) {
    turns_.resize(turn + 1);
    turns_.last().tokens.resize(tokens);
    turns_.last().writing = true;
    turns_.last().stats.clear();
    turns_.last().note.clear();
    emit resetDone();
}

void TranscriptDocument::changeLast(const std::function<void(TranscriptTurn&)>& change) {
    if (!turns_.isEmpty()) {
        change(turns_.last());
        emit lastChanged();
    }
}

QString visiblePiece(const std::string& bytes) {
    QString text;
    for (std::size_t at = 0; at < bytes.size();) {
        const ergo::Utf8Char c = ergo::decode_utf8(bytes, at);
        if (!c.valid) {
            for (std::size_t i = 0; i < c.length; ++i) {
                text += QString("%1%2%3")
                            .arg(QChar(0x2039))
                            .arg(static_cast<unsigned char>(bytes[at + i]), 2, 16, QChar('0'))
                            .arg(QChar(0x203A))
                            .toUpper();
            }
        } else if (c.code_point == ' ') {
            text += QChar(0xB7);
        } else if (c.code_point == '\n') {
            text += QChar(0x21B5);
        } else if (c.code_point == '\t') {
            text += QChar(0x21E5);
        } else if (c.code_point < 0x20 || c.code_point == 0x7F) {
            text += QString("%1%2%3")
                        .arg(QChar(0x2039))
                        .arg(int(c.code_point), 2, 16, QChar('0'))
                        .arg(QChar(0x203A));
        } else {
            text += QString::fromUcs4(&c.code_point, 1);
        }
        at += c.length;
    }
    return text;
}

} // namespace ergosphere
