// SPDX-License-Identifier: GPL-3.0-or-later
// The centre of the window: a line of view switches with the ribbon's legend, the transcript, messages, the
// sampling panel, the composer. Lays out and wires; knows no engine. GUI thread.
#pragma once

#include <QWidget>

class QToolButton;

namespace ergosphere {

class ChangesPanel;
class Composer;
class DropBanner;
class LensData;
class MessageBar;
class ProgressRow;
class RibbonLegend;
class SamplingPanel;
class Selection;
class Transcript;
class TranscriptDocument;

class ChatPanel : public QWidget {
    Q_OBJECT

  public:
    ChatPanel(TranscriptDocument* document, LensData* lens_data, Selection* selection,
              QWidget* parent = nullptr);

    Transcript* transcript() const { return transcript_; }
    Composer* composer() const { return composer_; }
    SamplingPanel* sampling() const { return sampling_; }
    MessageBar* messages() const { return messages_; }
    ChangesPanel* changes() const { return changes_; }
    DropBanner* drop() const { return drop_; }
    /// Of work that is not the model's: a picture being written.
    ProgressRow* work() const { return work_; }
    void setTitle(const QString& title);

  public slots:
    void setPieces(bool pieces);

  signals:
    void piecesChanged(bool pieces);

  protected:
    void paintEvent(QPaintEvent* event) override;

  private:
    Transcript* transcript_;
    Composer* composer_;
    SamplingPanel* sampling_;
    ChangesPanel* changes_;
    DropBanner* drop_;
    MessageBar* messages_;
    ProgressRow* work_;
    RibbonLegend* legend_;
    QToolButton *as_text_, *as_tokens_;
};

/// "layer 0 ■ LocalConv ■ MetricMH …", following the selection.
class RibbonLegend : public QWidget {
    Q_OBJECT

  public:
    RibbonLegend(const Transcript* transcript, LensData* lens_data, Selection* selection,
                 QWidget* parent = nullptr);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override { return {0, 24}; }

  protected:
    bool event(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;

  private:
    const Transcript* transcript_;
    LensData* data_;
};

} // namespace ergosphere
