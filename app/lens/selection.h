// SPDX-License-Identifier: GPL-3.0-or-later
// The one shared selection: what the person is looking at. Every view reads it and writes it; none talks to
// another. Owned by the main window; GUI thread.
#pragma once

#include <QObject>
#include <QVector>

namespace ergosphere {

class Selection : public QObject {
    Q_OBJECT

  public:
    explicit Selection(QObject* parent = nullptr);

    /// The locked token, an absolute position in the token log; -1: none.
    qint64 token() const { return token_; }
    /// The token under the pointer, -1: none. What views show as "current" is hovered(), else token().
    qint64 hovered() const { return hovered_; }
    qint64 current() const { return hovered_ >= 0 ? hovered_ : token_; }
    /// The second token, pinned for comparison with Shift+click, -1: none.
    qint64 second() const { return second_; }
    /// Index into ModelInfo::attentions, -1: the model has none.
    int site() const { return site_; }
    /// -1: all heads averaged.
    int head() const { return head_; }
    /// A routed path (LocalConv, MetricMH, …), -1: none.
    int path() const { return path_; }

    /// Heads of every attention site of the model, in the order of ModelInfo::attentions. Resets everything.
    void setHeads(const QVector<int>& heads_of_sites);
    /// Tokens in the log; a token beyond becomes none.
    void setLength(qint64 tokens);
    qint64 length() const { return length_; }
    int heads() const; ///< of the selected site, 0 without one

  public slots:
    // Values outside the limits become the nearest valid one; nothing is emitted when nothing changes.
    void setToken(qint64 position);
    void setHovered(qint64 position);
    void setSecond(qint64 position);
    /// Keeps the head where the new site has it, else shows the average.
    void setSite(int site);
    void setHead(int head);
    void setPath(int path);
    void clear(); ///< Esc: no tokens, no path; site and head stay

  signals:
    void tokenChanged(qint64 position);
    void hoveredChanged(qint64 position);
    void secondChanged(qint64 position);
    void siteChanged(int site);
    void headChanged(int head);
    void pathChanged(int path);
    void changed(); ///< after any of the others

  private:
    template <class T> bool assign(T& member, T value, void (Selection::*notify)(T));

    qint64 token_ = -1, hovered_ = -1, second_ = -1, length_ = 0;
    int site_ = -1, head_ = -1, path_ = -1;
    QVector<int> heads_;
};

} // namespace ergosphere
