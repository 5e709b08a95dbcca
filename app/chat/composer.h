// SPDX-License-Identifier: GPL-3.0-or-later
// Where a person writes: Enter sends, Shift+Enter begins a line, Send becomes Stop while the model writes.
// GUI thread.
#pragma once

#include <QPlainTextEdit>
#include <QWidget>

class QPushButton;
class QToolButton;

namespace ergosphere {

/// A text field as high as its text, one to eight lines.
class ComposerField : public QPlainTextEdit {
    Q_OBJECT

  public:
    explicit ComposerField(QWidget* parent = nullptr);

  signals:
    void submitted();
    void escaped();

  protected:
    void keyPressEvent(QKeyEvent* event) override;
    void insertFromMimeData(const QMimeData* source) override;
    bool canInsertFromMimeData(const QMimeData* source) const override;
    void resizeEvent(QResizeEvent* event) override;

  private:
    void fit();
};

class Composer : public QWidget {
    Q_OBJECT

  public:
    enum class State { unavailable, ready, writing };

    explicit Composer(QWidget* parent = nullptr);

    /// `reason` stands in the field while nothing can be sent.
    void setState(State state, const QString& reason = {});
    State state() const { return state_; }
    void setCanRegenerate(bool can);
    void setSamplingSummary(const QString& text);
    /// How many changes the model has; said on the button.
    void setChangeCount(int count);
    void showChanges(bool shown);
    void showSampling(bool shown);
    QString text() const { return field_->toPlainText(); }
    void setText(const QString& text);
    void focusField() { field_->setFocus(Qt::OtherFocusReason); }
    ComposerField* field() const { return field_; }

  signals:
    void sendRequested(const QString& text);
    void stopRequested();
    void regenerateRequested();
    void samplingToggled(bool shown);
    void changesToggled(bool shown);

  protected:
    void paintEvent(QPaintEvent* event) override;

  public slots:
    void submit(); ///< sends what is there, as Enter does

  private:
    void updateButtons();

    ComposerField* field_;
    QPushButton *send_, *stop_;
    QToolButton *regenerate_, *sampling_, *changes_;
    State state_ = State::unavailable;
    bool can_regenerate_ = false;
};

} // namespace ergosphere
