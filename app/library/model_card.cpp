// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/model_card.h"

#include "app/library/recent_models.h"
#include "app/window/theme.h"

#include <QApplication>
#include <QClipboard>
#include <QDialogButtonBox>
#include <QGridLayout>
#include <QLabel>
#include <QLocale>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QVBoxLayout>

namespace ergosphere {

QString byteText(std::uint64_t bytes) {
    return QLocale().formattedDataSize(qint64(bytes), bytes < 1000000 ? 0 : 1, QLocale::DataSizeSIFormat);
}

QString sentence(const std::string& text) {
    QString words = QString::fromStdString(text).trimmed();
    if (!words.isEmpty()) {
        words[0] = words[0].toUpper();
        if (!words.endsWith('.')) {
            words += '.';
        }
    }
    return words;
}

QString countText(std::int64_t count) {
    const QLocale locale;
    if (count < 1000000) {
        return locale.toString(qint64(count));
    }
    const bool billions = count >= 1000000000;
    const double scaled = double(count) / (billions ? 1e9 : 1e6);
    return QString("%1 (%2 %3)")
        .arg(locale.toString(qint64(count)), locale.toString(scaled, 'f', 1), billions ? "B" : "M");
}

ModelCard::ModelCard(NoReading, const QString& source, QWidget* parent) : QDialog(parent), source_(source) {
    setObjectName("model_card");
    setAttribute(Qt::WA_DeleteOnClose);
    setWindowTitle(modelTitle(source));
    setModal(true);
    auto* outer = new QVBoxLayout(this);
    outer->setContentsMargins(24, 20, 24, 16);
    outer->setSpacing(4);
    title_ = new QLabel(modelTitle(source));
    title_->setFont(titleFont());
    title_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    subtitle_ = new QLabel(tr("Reading the headers…"));
    subtitle_->setWordWrap(true);
    subtitle_->setForegroundRole(QPalette::PlaceholderText);
    subtitle_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    outer->addWidget(title_);
    outer->addWidget(subtitle_);
    outer->addSpacing(8);
    auto* scroll = new QScrollArea;
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    auto* content = new QWidget;
    content->setAutoFillBackground(false);
    scroll->viewport()->setAutoFillBackground(false);
    column_ = new QVBoxLayout(content);
    column_->setContentsMargins(0, 0, 8, 0);
    column_->setSpacing(6);
    scroll->setWidget(content);
    outer->addWidget(scroll, 1);
    buttons_ = new QDialogButtonBox;
    outer->addSpacing(8);
    outer->addWidget(buttons_);
    connect(buttons_, &QDialogButtonBox::rejected, this, &QDialog::reject);
    resize(580, 600);
}

ModelCard::ModelCard(const QString& source, QWidget* parent) : ModelCard(NoReading{}, source, parent) {
    connect(&reader_, &HeaderReader::done, this, &ModelCard::fill);
    buttons_->addButton(QDialogButtonBox::Cancel);
    reader_.read(source);
}

ModelCard* ModelCard::forFailure(const QString& source, const QString& report, QWidget* parent) {
    auto* card = new ModelCard(NoReading{}, source, parent);
    ModelHeaders headers;
    headers.source = source;
    headers.name = modelTitle(source);
    headers.problem = report;
    card->fill(headers);
    return card;
}

QString ModelCard::reportText() const {
    return report_;
}

void ModelCard::fill(const ModelHeaders& headers) {
    buttons_->clear();
    if (headers.opens) {
        fillModel(headers);
        auto* load = buttons_->addButton(tr("Load"), QDialogButtonBox::AcceptRole);
        load->setObjectName("load");
        load->setDefault(true);
        load->setFocus();
        connect(load, &QPushButton::clicked, this, [this] {
            emit loadRequested(source_, false);
            accept();
        });
        buttons_->addButton(QDialogButtonBox::Cancel);
    } else {
        fillProblem(headers);
        if (headers.opens_with_unused) {
            auto* anyway = buttons_->addButton(tr("Load anyway"), QDialogButtonBox::AcceptRole);
            anyway->setObjectName("load_anyway");
            anyway->setToolTip(
                tr("Leaves out the tensors that no role claims; the numbers may then be wrong"));
            connect(anyway, &QPushButton::clicked, this, [this] {
                emit loadRequested(source_, true);
                accept();
            });
        }
        auto* close = buttons_->addButton(QDialogButtonBox::Close);
        close->setDefault(true);
    }
    auto* copy = buttons_->addButton(tr("Copy"), QDialogButtonBox::ActionRole);
    copy->setObjectName("copy_report");
    connect(copy, &QPushButton::clicked, this, [this] { QApplication::clipboard()->setText(report_); });
    emit ready();
}

void ModelCard::fillProblem(const ModelHeaders& headers) {
    report_ = headers.problem;
    subtitle_->setText(
        headers.opens_with_unused
            ? tr("This checkpoint holds tensors that the model does not use. The model that is loaded stays.")
            : tr("This cannot be opened. The model that is loaded stays."));
    text_ = new QPlainTextEdit(headers.problem);
    text_->setObjectName("report");
    text_->setAccessibleName(tr("Report"));
    text_->setReadOnly(true);
    text_->setFont(monoFont());
    text_->setMinimumHeight(160);
    column_->addWidget(text_, 1);
    addNotes(tr("Also noticed"), headers.warnings);
}

void ModelCard::fillModel(const ModelHeaders& headers) {
    const ergo::ModelInfo& info = headers.info;
    const QLocale locale;
    const auto text = [](const std::string& s) { return QString::fromStdString(s); };
    subtitle_->setText(sentence(info.why));
    addFacts(
        {},
        {{tr("Family"), QString("%1 · %2").arg(text(info.family), text(info.variant))},
         {tr("Layers · heads · width"),
          QString("%1 · %2 · %3").arg(info.layers).arg(info.heads).arg(info.width)},
         {tr("Vocabulary"), tr("%1 tokens").arg(locale.toString(qint64(info.vocabulary)))},
         {tr("Context"), tr("%1 tokens").arg(locale.toString(qint64(headers.context)))},
         {tr("Weights"), (headers.weight_files == 1
                              ? tr("%1, %2 in one file").arg(text(info.dtype), byteText(headers.weight_bytes))
                              : tr("%1, %2 in %3 files")
                                    .arg(text(info.dtype), byteText(headers.weight_bytes))
                                    .arg(headers.weight_files))},
         {tr("Tokenizer"), !headers.tokenizer.isEmpty()          ? headers.tokenizer
                           : headers.tokenizer_problem.isEmpty() ? tr("none: token ids only")
                                                                 : headers.tokenizer_problem},
         {tr("Chat format"), headers.chat_format.isEmpty() ? tr("none") : headers.chat_format},
         {tr("Licence"), headers.licence.isEmpty() ? tr("not found") : headers.licence}},
        false);
    QList<QPair<QString, QString>> parts;
    for (const auto& [name, count] : info.components) {
        parts.append({text(name), countText(count)});
    }
    parts.append({tr("total"), countText(info.parameters)});
    addFacts(tr("Parameters"), parts, true);
    QList<QPair<QString, QString>> memory;
    std::uint64_t total = 0;
    for (const ergo::MemoryItem& item : headers.memory) {
        memory.append({text(item.what), byteText(item.bytes)});
        total += item.bytes;
    }
    memory.append({tr("total"), byteText(total)});
    addFacts(tr("Memory for a context of %1 tokens").arg(locale.toString(qint64(headers.context))), memory,
             true);
    QStringList problems = headers.warnings;
    for (const std::string& problem : info.problems) {
        problems << text(problem);
    }
    addNotes(tr("Worth knowing"), problems);
    column_->addStretch();
}

void ModelCard::addFacts(const QString& title, const QList<QPair<QString, QString>>& rows, bool numbers) {
    if (!title.isEmpty()) {
        auto* heading = new QLabel(title);
        QFont font = interfaceFont();
        font.setWeight(QFont::DemiBold);
        heading->setFont(font);
        column_->addSpacing(8);
        column_->addWidget(heading);
        report_ += "\n" + title + "\n";
    } else {
        report_ += title_->text() + "\n" + subtitle_->text() + "\n";
    }
    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(16);
    grid->setVerticalSpacing(4);
    grid->setColumnStretch(1, 1);
    grid->setColumnMinimumWidth(0, 160);
    for (int i = 0; i < rows.size(); ++i) {
        auto* name = new QLabel(rows[i].first);
        name->setForegroundRole(QPalette::PlaceholderText);
        auto* value = new QLabel(rows[i].second);
        value->setWordWrap(!numbers);
        value->setTextInteractionFlags(Qt::TextSelectableByMouse);
        if (numbers) {
            value->setFont(monoFont());
        }
        grid->addWidget(name, i, 0, Qt::AlignTop | Qt::AlignLeft);
        grid->addWidget(value, i, 1, Qt::AlignTop);
        report_ += rows[i].first + ": " + rows[i].second + "\n";
    }
    column_->addLayout(grid);
}

void ModelCard::addNotes(const QString& title, const QStringList& notes) {
    if (notes.isEmpty()) {
        return;
    }
    auto* heading = new QLabel(title);
    QFont font = interfaceFont();
    font.setWeight(QFont::DemiBold);
    heading->setFont(font);
    column_->addSpacing(8);
    column_->addWidget(heading);
    report_ += "\n" + title + "\n" + notes.join('\n') + "\n";
    for (const QString& note : notes) {
        auto* label = new QLabel(note);
        label->setWordWrap(true);
        label->setTextInteractionFlags(Qt::TextSelectableByMouse);
        column_->addWidget(label);
    }
}

} // namespace ergosphere
