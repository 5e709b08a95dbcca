// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/accessible_transcript.h"

#include "app/chat/transcript.h"

#include <QAccessibleWidget>

namespace ergosphere {

namespace {

constexpr qsizetype longest = 20000; // characters read out at once: the end of the conversation

class AccessibleTranscript : public QAccessibleWidget {
  public:
    explicit AccessibleTranscript(Transcript* transcript)
        : QAccessibleWidget(transcript, QAccessible::Document), transcript_(transcript) {}

    QString text(QAccessible::Text kind) const override {
        if (kind == QAccessible::Description) {
            return transcript_->selectionSummary();
        }
        return kind == QAccessible::Value ? transcript_->plainText().right(longest)
                                          : QAccessibleWidget::text(kind);
    }

  private:
    Transcript* transcript_;
};

QAccessibleInterface* make(const QString&, QObject* object) {
    auto* transcript = qobject_cast<Transcript*>(object);
    return transcript ? new AccessibleTranscript(transcript) : nullptr;
}

} // namespace

void installAccessibleTranscript() {
    QAccessible::installFactory(make); // a factory that is there already is not added again
}

} // namespace ergosphere
