// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/memory_page.h"

#include "app/library/model_card.h"
#include "app/window/engine_text.h"
#include "app/window/theme.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QSpinBox>
#include <QVBoxLayout>

#include <algorithm>

namespace ergosphere {

namespace {

constexpr bool watched = true; // the window's lenses look

QString hostText(const ergo::MemoryHost& host) {
    return host.backend == "cpu" ? MemoryPage::tr("main memory") : QString::fromStdString(host.device);
}

QString availableText(const ergo::MemoryHost& host) {
    return host.available == 0 ? MemoryPage::tr("unknown") : byteText(host.available);
}

/// How the model is opened as it is stored.
ergo::OpenModelOptions storedOptions(const ModelHeaders& headers) {
    ergo::OpenModelOptions options;
    options.checkpoint = headers.checkpoint;
    options.attachments = headers.checkpoint->attachments();
    options.model = headers.insisting;
    return options;
}

} // namespace

MemoryPage::MemoryPage(const ModelHeaders& headers, const RunTypes& chosen, QWidget* parent)
    : QWidget(parent), planner_(headers.planner), hosts_(headers.hosts), own_context_(headers.context) {
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 12, 0, 0);
    column->setSpacing(8);
    context_ = new QSpinBox;
    context_->setObjectName("context");
    context_->setAccessibleName(tr("Context in tokens"));
    context_->setRange(1,
                       int(std::min<qint64>(std::max<qint64>(1, headers.model->max_positions()), 1 << 30)));
    context_->setValue(int(headers.context));
    context_->setGroupSeparatorShown(true);
    context_->setSuffix(tr(" tokens"));
    auto* row = new QHBoxLayout;
    auto* label = new QLabel(tr("For a context of"));
    label->setBuddy(context_);
    row->addWidget(label);
    row->addWidget(context_);
    row->addStretch();
    column->addLayout(row);
    types_ = new RunTypesPanel(headers.source, storedOptions(headers), chosen);
    column->addWidget(types_);
    table_ = new QWidget;
    column->addWidget(table_);
    advice_ = new QLabel;
    advice_->setObjectName("memory_advice");
    advice_->setWordWrap(true);
    column->addWidget(advice_);
    auto* note =
        new QLabel(tr("Load uses these settings. A shorter context needs less memory; weights as they are "
                      "stored are used in place, out of the file, as far as the backend can."));
    note->setWordWrap(true);
    note->setForegroundRole(QPalette::PlaceholderText);
    column->addWidget(note);
    column->addStretch();
    layOut();
    connect(context_, &QSpinBox::valueChanged, this, &MemoryPage::plan);
    connect(types_, &RunTypesPanel::changed, this, &MemoryPage::plan);
}

void MemoryPage::setHosts(const std::vector<ergo::MemoryHost>& hosts) {
    if (hosts.size() > hosts_.size()) {
        hosts_ = hosts;
        layOut();
    }
}

qint64 MemoryPage::context() const {
    return context_->value() == own_context_ ? 0 : context_->value();
}

/// Whether it can keep keys and values as is chosen.
bool MemoryPage::holds(const ergo::MemoryHost& host) const {
    return types().cache.isEmpty() || host.backend == "cpu";
}

ergo::MemoryPlan MemoryPage::planOf(const ergo::MemoryHost& host) const {
    const RunTypes chosen = types();
    return planner_->plan(host, context_->value(), chosen.weights.toStdString(), chosen.cache.toStdString());
}

// A column a device.
void MemoryPage::layOut() {
    qDeleteAll(table_->findChildren<QWidget*>(Qt::FindDirectChildrenOnly));
    delete table_->layout();
    values_.assign(hosts_.size(), {});
    auto* grid = new QGridLayout(table_);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(16);
    grid->setVerticalSpacing(4);
    grid->setColumnStretch(int(hosts_.size()) + 1, 1);
    grid->setColumnMinimumWidth(0, 160);
    for (std::size_t h = 0; hosts_.size() > 1 && h < hosts_.size(); ++h) {
        auto* head = new QLabel(hostText(hosts_[h]));
        head->setForegroundRole(QPalette::PlaceholderText);
        head->setWordWrap(true);
        grid->addWidget(head, 0, int(h) + 1, Qt::AlignRight | Qt::AlignBottom);
    }
    QStringList names;
    for (const ergo::MemoryItem& item : planner_->plan(hosts_.at(0), own_context_).items) {
        names << engineText(item.what);
    }
    names << tr("total") << tr("can be had now") << tr("weights held as") << tr("keys and values held as");
    for (const QString& name : names) {
        auto* left = new QLabel(name);
        left->setForegroundRole(QPalette::PlaceholderText);
        const int at = grid->rowCount();
        grid->addWidget(left, at, 0);
        for (std::size_t h = 0; h < hosts_.size(); ++h) {
            auto* value = new QLabel;
            value->setFont(monoFont());
            value->setAccessibleName(name + ", " + hostText(hosts_[h]));
            value->setTextInteractionFlags(Qt::TextSelectableByMouse);
            grid->addWidget(value, at, int(h) + 1, Qt::AlignRight);
            values_[h].push_back(value);
        }
    }
    plan();
}

void MemoryPage::plan() {
    QStringList problems;
    for (std::size_t h = 0; h < hosts_.size(); ++h) {
        if (!holds(hosts_[h])) {
            for (QLabel* value : values_[h]) {
                value->setText(QString(QChar(0x2013)));
            }
            problems << tr("%1: keys and values are kept in f32 there alone.").arg(hostText(hosts_[h]));
            continue;
        }
        const ergo::MemoryPlan plan = planOf(hosts_[h]);
        std::size_t at = 0;
        for (const ergo::MemoryItem& item : plan.items) {
            values_[h][at++]->setText(item.bytes == 0 ? QString("0") : byteText(item.bytes));
        }
        values_[h][at++]->setText(byteText(plan.total()));
        values_[h][at++]->setText(availableText(hosts_[h]));
        values_[h][at++]->setText(QString::fromStdString(plan.dtype));
        values_[h][at]->setText(QString::fromStdString(plan.cache));
        if (!plan.fits(watched)) {
            problems << tr("%1: too little.").arg(hostText(hosts_[h]));
        }
    }
    advice_->setVisible(!problems.isEmpty());
    if (!problems.isEmpty()) {
        const qint64 longest =
            planner_->longest_context(hosts_[0], context_->value(), watched, types().weights.toStdString(),
                                      types().cache.toStdString());
        if (longest > 0 && longest < context_->value()) {
            problems
                << tr("A context of %1 tokens would fit into main memory.").arg(QLocale().toString(longest));
        }
        advice_->setText(problems.join(" "));
    }
}

QString MemoryPage::report() const {
    QString text =
        "\n" + tr("Memory for a context of %1 tokens").arg(QLocale().toString(qint64(context_->value()))) +
        "\n";
    for (const ergo::MemoryHost& host : hosts_) {
        if (!holds(host)) {
            continue;
        }
        const ergo::MemoryPlan plan = planOf(host);
        text += hosts_.size() > 1 ? hostText(host) + "\n" : QString();
        for (const ergo::MemoryItem& item : plan.items) {
            text += engineText(item.what) + ": " + byteText(item.bytes) + "\n";
        }
        text += tr("total") + ": " + byteText(plan.total()) + "\n";
        text += tr("can be had now") + ": " + availableText(host) + "\n";
        text += tr("weights held as") + ": " + QString::fromStdString(plan.dtype) + "\n";
        text += tr("keys and values held as") + ": " + QString::fromStdString(plan.cache) + "\n";
    }
    return text;
}

} // namespace ergosphere
