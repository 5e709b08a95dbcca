// SPDX-License-Identifier: GPL-3.0-or-later
// One message where it belongs, with what can be done about it: errors, and undo. GUI thread.
#pragma once

#include <QTimer>
#include <QWidget>

#include <functional>

class QLabel;
class QPlainTextEdit;
class QToolButton;

namespace ergosphere {

class MessageBar : public QWidget {
    Q_OBJECT

  public:
    explicit MessageBar(QWidget* parent = nullptr);

    /// Stays until it is closed or replaced. The first sentence is shown, Details shows all of it, Copy
    /// copies it.
    void showError(const QString& text);
    /// Goes away by itself; `action` may be empty.
    void showNotice(const QString& text, const QString& action = {}, std::function<void()> act = {});
    void dismiss();
    QString text() const { return text_; }
    bool isError() const { return error_; }

  protected:
    void paintEvent(QPaintEvent* event) override;

  private:
    void showText(const QString& text, bool error);

    QString text_;
    bool error_ = false;
    QLabel* line_;
    QPlainTextEdit* details_;
    QToolButton *action_, *copy_, *more_, *close_;
    std::function<void()> act_;
    QTimer timer_;
};

} // namespace ergosphere
