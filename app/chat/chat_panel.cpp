// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/chat_panel.h"

#include "app/chat/changes_panel.h"
#include "app/chat/composer.h"
#include "app/chat/drop_banner.h"
#include "app/chat/sampling_panel.h"
#include "app/chat/transcript.h"
#include "app/figure/palette.h"
#include "app/lens/lens_data.h"
#include "app/lens/selection.h"
#include "app/window/engine_text.h"
#include "app/window/message_bar.h"
#include "app/window/progress_row.h"
#include "app/window/theme.h"

#include <QButtonGroup>
#include <QHBoxLayout>
#include <QPainter>
#include <QToolButton>
#include <QVBoxLayout>

namespace ergosphere {

ChatPanel::ChatPanel(TranscriptDocument* document, LensData* lens_data, Selection* selection, QWidget* parent)
    : QWidget(parent) {
    transcript_ = new Transcript(document, lens_data, selection, this);
    composer_ = new Composer(this);
    sampling_ = new SamplingPanel(this);
    sampling_->hide();
    changes_ = new ChangesPanel(this);
    changes_->hide();
    drop_ = new DropBanner(this);
    messages_ = new MessageBar(this);
    work_ = new ProgressRow(this);
    legend_ = new RibbonLegend(transcript_, lens_data, selection, this);

    const auto view = [this](const QString& text, const QString& tip) {
        auto* button = new QToolButton(this);
        button->setText(text);
        button->setToolTip(tip);
        button->setCheckable(true);
        button->setAutoRaise(true);
        return button;
    };
    as_text_ = view(tr("Text"), tr("Running text (Ctrl+T switches)"));
    as_tokens_ = view(tr("Tokens"), tr("Token by token, with spaces and markers (Ctrl+T switches)"));
    as_tokens_->setObjectName("token_view");
    as_text_->setChecked(true);
    auto* group = new QButtonGroup(this);
    group->addButton(as_text_);
    group->addButton(as_tokens_);

    auto* top = new QHBoxLayout;
    top->setContentsMargins(16, 6, 16, 6);
    top->addWidget(as_text_);
    top->addWidget(as_tokens_);
    top->addSpacing(12);
    top->addWidget(legend_, 1);
    auto* bottom = new QVBoxLayout;
    bottom->setContentsMargins(16, 4, 16, 12);
    bottom->setSpacing(6);
    bottom->addWidget(work_);
    bottom->addWidget(messages_);
    bottom->addWidget(drop_);
    bottom->addWidget(changes_);
    bottom->addWidget(sampling_);
    bottom->addWidget(composer_);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addLayout(top);
    column->addWidget(transcript_, 1);
    column->addLayout(bottom);

    connect(as_tokens_, &QToolButton::toggled, this, [this](bool on) {
        transcript_->setPieces(on);
        emit piecesChanged(on);
    });
    connect(composer_, &Composer::samplingToggled, sampling_, &QWidget::setVisible);
    connect(composer_, &Composer::samplingToggled, this, [this](bool shown) {
        if (shown) { // one at a time: the transcript keeps its room
            composer_->showChanges(false);
        }
    });
    connect(composer_, &Composer::changesToggled, this, [this](bool shown) {
        if (shown) {
            composer_->showSampling(false);
        }
    });
    connect(composer_, &Composer::changesToggled, changes_, &QWidget::setVisible);
    connect(sampling_, &SamplingPanel::changed, this,
            [this] { composer_->setSamplingSummary(tr("Sampling: %1").arg(sampling_->summary())); });
    composer_->setSamplingSummary(tr("Sampling: %1").arg(sampling_->summary()));
}

void ChatPanel::setPieces(bool pieces) {
    (pieces ? as_tokens_ : as_text_)->setChecked(true);
}

void ChatPanel::paintEvent(QPaintEvent*) {
    QPainter(this).fillRect(rect(), palette().color(QPalette::Base));
}

// ---- the legend
// ---------------------------------------------------------------------------------------------

RibbonLegend::RibbonLegend(const Transcript* transcript, LensData* lens_data, Selection* selection,
                           QWidget* parent)
    : QWidget(parent), transcript_(transcript), data_(lens_data) {
    setFont(smallFont());
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    connect(data_, &LensData::modelChanged, this, QOverload<>::of(&QWidget::update));
    connect(selection, &Selection::siteChanged, this, QOverload<>::of(&QWidget::update));
}

QSize RibbonLegend::sizeHint() const {
    return {320, 24};
}

void RibbonLegend::paintEvent(QPaintEvent*) {
    const int router = transcript_->ribbonRouter();
    if (router < 0 || !transcript_->showsRibbon()) {
        return;
    }
    const ergo::RouterSite& site = data_->info()->routers[std::size_t(router)];
    const ThemeColors& c = colorsOf(palette());
    const QFontMetrics metrics(font());
    QPainter p(this);
    p.setRenderHint(QPainter::Antialiasing);
    // From the right, so that it keeps its place. Without room for the names the colours stay, the tip has
    // the names.
    int x = width();
    const auto text = [&](const QString& words, const QColor& color) {
        const int w = metrics.horizontalAdvance(words);
        p.setPen(color);
        p.drawText(QRect(x - w, 0, w + 1, height()), Qt::AlignVCenter, words);
        x -= w;
    };
    const QString label = placeText(site.label);
    int needed = 0;
    for (const std::string& path : site.paths) {
        needed += metrics.horizontalAdvance(QString::fromStdString(path)) + 28;
    }
    const bool named = needed <= width();
    for (std::size_t i = site.paths.size(); i-- > 0;) {
        if (named) {
            text(QString::fromStdString(site.paths[i]), c.text);
            x -= 5;
        }
        p.setPen(Qt::NoPen);
        p.setBrush(routeColor(int(i), int(site.paths.size())));
        p.drawRect(QRectF(x - 9, height() / 2.0 - 4, 9, 9));
        x -= named ? 23 : 13;
    }
    if (metrics.horizontalAdvance(label) < x) {
        text(label, c.muted);
    }
}

bool RibbonLegend::event(QEvent* event) {
    if (event->type() == QEvent::ToolTip) {
        const int router = transcript_->ribbonRouter();
        QStringList names;
        if (router >= 0) {
            for (const std::string& path : data_->info()->routers[std::size_t(router)].paths) {
                names << QString::fromStdString(path);
            }
        }
        setToolTip(
            tr("The ribbon under the text: how much of each path every token took, in the layer being looked "
               "at. From left to right: %1.")
                .arg(names.join(", ")));
    }
    return QWidget::event(event);
}

} // namespace ergosphere
