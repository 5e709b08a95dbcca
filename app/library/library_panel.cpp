// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/library_panel.h"

#include "app/library/recent_models.h"
#include "app/window/theme.h"
#include "engine/generate/opened_model.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QListWidget>
#include <QLocale>
#include <QMenu>
#include <QPainter>
#include <QScrollBar>
#include <QStyledItemDelegate>
#include <QToolButton>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

constexpr int source_role = Qt::UserRole, id_role = Qt::UserRole, second_line_role = Qt::UserRole + 1,
              marked_role = Qt::UserRole + 2, row_height = 44;

/// Two lines: what it is, and a muted line about it; the accent marks the one in use.
class TwoLineDelegate : public QStyledItemDelegate {
  public:
    using QStyledItemDelegate::QStyledItemDelegate;

    QSize sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const override {
        return {120, row_height};
    }

    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override {
        const ThemeColors& c = colorsOf(option.palette);
        painter->save();
        painter->setRenderHint(QPainter::Antialiasing);
        const QRect r = option.rect.adjusted(4, 1, -4, -1);
        const bool marked = index.data(marked_role).toBool();
        const bool focus = option.state & QStyle::State_Selected && option.state & QStyle::State_HasFocus;
        if (marked || option.state & QStyle::State_MouseOver || focus) {
            painter->setPen(focus ? QPen(c.accent, 1) : QPen(Qt::NoPen));
            painter->setBrush(c.hover);
            painter->drawRoundedRect(QRectF(r).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);
        }
        if (marked) {
            painter->fillRect(QRect(r.left(), r.top() + 8, 2, r.height() - 16), c.accent);
        }
        const QRect text = r.adjusted(12, 4, -8, -4);
        painter->setFont(interfaceFont());
        painter->setPen(c.text);
        painter->drawText(
            text, Qt::AlignTop | Qt::AlignLeft,
            QFontMetrics(interfaceFont())
                .elidedText(index.data(Qt::DisplayRole).toString(), Qt::ElideRight, text.width()));
        painter->setFont(smallFont());
        painter->setPen(c.muted);
        painter->drawText(
            text, Qt::AlignBottom | Qt::AlignLeft,
            QFontMetrics(smallFont())
                .elidedText(index.data(second_line_role).toString(), Qt::ElideMiddle, text.width()));
        painter->restore();
    }
};

QListWidget* list(const QString& name, const QString& accessible) {
    auto* widget = new QListWidget;
    widget->setObjectName(name);
    widget->setAccessibleName(accessible);
    widget->setFrameShape(QFrame::NoFrame);
    widget->setItemDelegate(new TwoLineDelegate(widget));
    widget->setMouseTracking(true);
    widget->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    widget->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
    widget->setUniformItemSizes(true);
    widget->viewport()->setAutoFillBackground(false);
    return widget;
}

QLabel* heading(const QString& text) {
    auto* label = new QLabel(text);
    QFont font = smallFont();
    font.setWeight(QFont::DemiBold);
    label->setFont(font);
    label->setForegroundRole(QPalette::PlaceholderText);
    return label;
}

QToolButton* action(const QString& text, const QString& tip) {
    auto* button = new QToolButton;
    button->setText(text);
    button->setToolTip(tip);
    button->setAccessibleName(tip);
    button->setAutoRaise(true);
    button->setFocusPolicy(Qt::StrongFocus);
    return button;
}

QString when(const QDateTime& time) {
    const QLocale locale;
    const QDate today = QDate::currentDate();
    if (time.date() == today) {
        return locale.toString(time.time(), QStringLiteral("HH:mm"));
    }
    return locale.toString(time.date(), QLocale::ShortFormat);
}

} // namespace

LibraryPanel::LibraryPanel(RecentModels* recent, QWidget* parent) : QWidget(parent), recent_(recent) {
    models_ = list("models", tr("Models"));
    chats_ = list("chats", tr("Chats"));
    models_->setContextMenuPolicy(Qt::CustomContextMenu);
    chats_->setContextMenuPolicy(Qt::CustomContextMenu);
    chats_->installEventFilter(this);
    no_chats_ = new QLabel(tr("Conversations are kept here after the first reply."));
    no_chats_->setWordWrap(true);
    no_chats_->setForegroundRole(QPalette::PlaceholderText);
    no_chats_->setContentsMargins(16, 4, 16, 4);

    auto* open = action(tr("Open…"), tr("Open a model folder or file (Ctrl+O)"));
    auto* fresh = action(tr("New"), tr("Begin a new chat (Ctrl+N)"));
    const auto row = [](const QString& text, QToolButton* button) {
        auto* layout = new QHBoxLayout;
        layout->setContentsMargins(16, 8, 8, 0);
        layout->addWidget(heading(text));
        layout->addStretch();
        layout->addWidget(button);
        return layout;
    };
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 4);
    column->setSpacing(2);
    column->addLayout(row(tr("Models"), open));
    column->addWidget(models_);
    column->addLayout(row(tr("Chats"), fresh));
    column->addWidget(no_chats_);
    column->addWidget(chats_, 1);

    connect(open, &QToolButton::clicked, this, &LibraryPanel::openRequested);
    connect(fresh, &QToolButton::clicked, this, &LibraryPanel::newChatRequested);
    const auto choose_model = [this](QListWidgetItem* item) {
        emit modelChosen(item->data(source_role).toString());
    };
    connect(models_, &QListWidget::itemClicked, this, choose_model);
    connect(models_, &QListWidget::itemActivated, this, choose_model);
    const auto choose_chat = [this](QListWidgetItem* item) {
        if (const qint64 id = item->data(id_role).toLongLong(); id != current_chat_) {
            emit chatChosen(id);
        }
    };
    connect(chats_, &QListWidget::itemClicked, this, choose_chat);
    connect(chats_, &QListWidget::itemActivated, this, choose_chat);
    connect(models_, &QListWidget::customContextMenuRequested, this, &LibraryPanel::modelMenu);
    connect(chats_, &QListWidget::customContextMenuRequested, this, &LibraryPanel::chatMenu);
    refreshModels();
    setChats({});
}

void LibraryPanel::refreshModels() {
    models_->clear();
    const auto add = [this](const QString& source, const QString& second) {
        auto* item = new QListWidgetItem(modelTitle(source), models_);
        item->setData(source_role, source);
        const bool is_open = open_.contains(source);
        item->setData(second_line_role, is_open ? tr("loaded · %1").arg(second) : second);
        item->setData(marked_role, source == shown_);
        item->setToolTip(source);
        item->setData(Qt::AccessibleTextRole, modelTitle(source) + (is_open ? tr(", loaded") : QString()) +
                                                  (source == shown_ ? tr(", shown") : QString()));
    };
    for (const std::string& demo : ergo::demo_models()) {
        add(QString::fromStdString(demo), tr("built in"));
    }
    const QStringList recent = recent_->sources();
    for (const QString& source : recent) {
        add(source, source);
    }
    for (const QString& source : open_) { // opened, then taken off the list
        if (!recent.contains(source) && !source.startsWith("demo:")) {
            add(source, source);
        }
    }
    constexpr int most_rows = 6; // beyond it scrolls
    models_->setFixedHeight(qMin(models_->count(), most_rows) * row_height + 4);
}

void LibraryPanel::setOpened(const QStringList& open, const QString& shown) {
    open_ = open;
    shown_ = shown;
    refreshModels();
}

void LibraryPanel::setChats(const QVector<ConversationSummary>& chats) {
    summaries_ = chats;
    fillChats();
}

void LibraryPanel::setCurrentChat(qint64 id) {
    if (current_chat_ != id) {
        current_chat_ = id;
        fillChats();
    }
}

void LibraryPanel::fillChats() {
    const int scroll = chats_->verticalScrollBar()->value();
    const int row = chats_->currentRow();
    chats_->clear();
    for (const ConversationSummary& chat : summaries_) {
        auto* item = new QListWidgetItem(chat.title, chats_);
        item->setData(id_role, chat.id);
        item->setData(second_line_role, QString("%1 · %2").arg(when(chat.updated), chat.model_name));
        item->setData(marked_role, chat.id == current_chat_);
    }
    chats_->setCurrentRow(qMin(row, chats_->count() - 1));
    chats_->verticalScrollBar()->setValue(scroll);
    no_chats_->setVisible(summaries_.isEmpty());
}

void LibraryPanel::deleteChat(QListWidgetItem* item) {
    if (item) {
        emit chatDeleted(item->data(id_role).toLongLong(), item->text());
    }
}

void LibraryPanel::deleteCurrentChat() {
    deleteChat(chats_->currentItem());
}

void LibraryPanel::chatMenu(const QPoint& point) {
    QListWidgetItem* item = chats_->itemAt(point);
    if (!item) {
        return;
    }
    chats_->setCurrentItem(item);
    auto* menu = new QMenu(this);
    menu->setAttribute(Qt::WA_DeleteOnClose);
    const qint64 id = item->data(id_role).toLongLong();
    menu->addAction(tr("Open"), this, [this, id] { emit chatChosen(id); });
    menu->addAction(tr("Delete"), this, &LibraryPanel::deleteCurrentChat);
    menu->popup(chats_->viewport()->mapToGlobal(point));
}

void LibraryPanel::modelMenu(const QPoint& point) {
    const QListWidgetItem* item = models_->itemAt(point);
    const QString source = item ? item->data(source_role).toString() : QString();
    if (source.isEmpty()) {
        return;
    }
    auto* menu = new QMenu(this);
    menu->setAttribute(Qt::WA_DeleteOnClose);
    menu->addAction(open_.contains(source) ? tr("Show") : tr("Open"), this,
                    [this, source] { emit modelChosen(source); });
    if (open_.contains(source)) {
        menu->addAction(tr("Close"), this, [this, source] { emit modelClosed(source); });
    }
    if (recent_->sources().contains(source)) { // demos stay
        menu->addAction(tr("Remove from this list"), this, [this, source] {
            recent_->remove(source);
            refreshModels();
        });
    }
    menu->popup(models_->viewport()->mapToGlobal(point));
}

bool LibraryPanel::eventFilter(QObject* watched, QEvent* event) {
    if (watched == chats_ && event->type() == QEvent::KeyPress &&
        static_cast<QKeyEvent*>(event)->key() == Qt::Key_Delete) {
        deleteCurrentChat();
        return true;
    }
    return QWidget::eventFilter(watched, event);
}

} // namespace ergosphere
