// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/model_card.h"

#include "app/library/drop_overlay.h"
#include "app/library/dropped.h"
#include "app/library/file_panel.h"
#include "app/library/memory_page.h"
#include "app/library/recent_models.h"
#include "app/library/run_types_panel.h"
#include "app/library/tensor_panel.h"
#include "app/window/engine_text.h"
#include "app/window/progress_row.h"
#include "app/window/theme.h"
#include "engine/checkpoint/grouped_container.h"

#include <QApplication>
#include <QClipboard>
#include <QDialogButtonBox>
#include <QDragEnterEvent>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QTabWidget>
#include <QTimer>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

/// What quantising has cost, as the file says; empty when it does not.
QString roundingCost(const ModelHeaders& headers) {
    std::vector<double> cost; // divergence, largest difference, tokens
    for (const char* key :
         {ergo::quantised_divergence_key, ergo::quantised_difference_key, ergo::quantised_tokens_key}) {
        bool number = false;
        if (headers.checkpoint && headers.checkpoint->metadata().contains(key)) {
            cost.push_back(QString::fromStdString(headers.checkpoint->metadata().at(key)).toDouble(&number));
        }
        if (!number) {
            return {};
        }
    }
    return roundingCostText(cost[0], cost[1], qint64(cost[2]));
}

/// A page of headings, two-column facts and notes that also writes itself down as text.
class Page {
  public:
    explicit Page(const QString& name) {
        scroll_ = new QScrollArea;
        scroll_->setWidgetResizable(true);
        scroll_->setFrameShape(QFrame::NoFrame);
        scroll_->setAccessibleName(name);
        scroll_->viewport()->setAutoFillBackground(false);
        auto* content = new QWidget;
        content->setAutoFillBackground(false);
        column_ = new QVBoxLayout(content);
        column_->setContentsMargins(0, 8, 8, 8);
        column_->setSpacing(6);
        scroll_->setWidget(content);
    }
    QScrollArea* widget() const { return scroll_; }
    QVBoxLayout* column() const { return column_; }
    const QString& text() const { return text_; }

    void heading(const QString& title) {
        auto* label = new QLabel(title);
        QFont font = interfaceFont();
        font.setWeight(QFont::DemiBold);
        label->setFont(font);
        column_->addSpacing(8);
        column_->addWidget(label);
        text_ += "\n" + title + "\n";
    }

    QGridLayout* grid() {
        auto* made = new QGridLayout;
        made->setHorizontalSpacing(16);
        made->setVerticalSpacing(4);
        made->setColumnStretch(1, 1);
        made->setColumnMinimumWidth(0, 160);
        column_->addLayout(made);
        return made;
    }

    QLabel* fact(QGridLayout* grid, const QString& name, const QString& value, bool number = false) {
        auto* left = new QLabel(name);
        left->setForegroundRole(QPalette::PlaceholderText);
        auto* right = new QLabel(value);
        right->setTextFormat(Qt::PlainText); // names come out of files and stay text
        right->setWordWrap(!number);
        right->setTextInteractionFlags(Qt::TextSelectableByMouse);
        if (number) {
            right->setFont(monoFont());
        }
        const int row = grid->rowCount();
        grid->addWidget(left, row, 0, Qt::AlignTop | Qt::AlignLeft);
        grid->addWidget(right, row, 1, Qt::AlignTop);
        text_ += name + ": " + value + "\n";
        return right;
    }

    void notes(const QString& title, const QStringList& notes) {
        if (notes.isEmpty()) {
            return;
        }
        heading(title);
        for (const QString& note : notes) {
            auto* label = new QLabel(note);
            label->setTextFormat(Qt::PlainText);
            label->setWordWrap(true);
            label->setTextInteractionFlags(Qt::TextSelectableByMouse);
            column_->addWidget(label);
            text_ += note + "\n";
        }
    }

  private:
    QScrollArea* scroll_;
    QVBoxLayout* column_;
    QString text_;
};

QPlainTextEdit* reportBox(const QString& name, const QString& accessible, const QString& text) {
    auto* box = new QPlainTextEdit(text);
    box->setObjectName(name);
    box->setAccessibleName(accessible);
    box->setReadOnly(true);
    box->setTabChangesFocus(true);
    box->setFont(monoFont());
    return box;
}

QString text(const std::string& s) {
    return QString::fromStdString(s);
}

} // namespace

QString byteText(std::uint64_t bytes) {
    return QLocale().formattedDataSize(qint64(bytes), bytes < 1000000 ? 0 : 1, QLocale::DataSizeSIFormat);
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
    title_->setTextFormat(Qt::PlainText);
    title_->setFont(titleFont());
    title_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    subtitle_ = new QLabel(tr("Reading the headers…"));
    subtitle_->setTextFormat(Qt::PlainText);
    subtitle_->setWordWrap(true);
    subtitle_->setForegroundRole(QPalette::PlaceholderText);
    subtitle_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    subtitle_->setAccessibleName(tr("In short"));
    outer->addWidget(title_);
    outer->addWidget(subtitle_);
    outer->addSpacing(8);
    tabs_ = new QTabWidget;
    tabs_->setObjectName("card_tabs");
    tabs_->setAccessibleName(tr("Model card"));
    tabs_->setDocumentMode(true);
    outer->addWidget(tabs_, 1);
    progress_ = new ProgressRow;
    outer->addWidget(progress_);
    connect(progress_, &ProgressRow::cancelRequested, this, &QDialog::reject);
    buttons_ = new QDialogButtonBox;
    outer->addSpacing(8);
    outer->addWidget(buttons_);
    overlay_ = new DropOverlay(this);
    connect(buttons_, &QDialogButtonBox::rejected, this, &QDialog::reject);
    resize(800, 640);
}

ModelCard::ModelCard(const CardRequest& request, QWidget* parent)
    : ModelCard(NoReading{}, request.source, parent) {
    parts_ = request.parts;
    types_ = request.types.value_or(RunTypes{});
    setAcceptDrops(true);
    connect(&reader_, &HeaderReader::headers, this, &ModelCard::fill);
    connect(&reader_, &HeaderReader::more, this, &ModelCard::fillMore);
    connect(&reader_, &HeaderReader::devices, this, [this](const std::vector<ergo::MemoryHost>& hosts) {
        if (memory_) {
            memory_->setHosts(hosts);
        }
    });
    connect(&reader_, &HeaderReader::progress, progress_, &ProgressRow::setProgress);
    buttons_->addButton(QDialogButtonBox::Cancel);
    reader_.read(request);
}

ModelCard::~ModelCard() {
    freeElsewhere([last = std::move(checkpoint_)]() mutable { last.reset(); });
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

void ModelCard::load(const ergo::OpenOptions& insisting) {
    const LoadChoice choice{insisting, memory_ ? memory_->context() : 0, checkpoint_, parts_,
                            memory_ ? memory_->types() : types_};
    emit loadRequested(source_, choice);
    accept();
}

QStringList ModelCard::partTexts() const {
    QStringList texts;
    for (const ergo::Attachment& part : parts_) {
        texts << partText(part);
    }
    return texts;
}

void ModelCard::another(const std::vector<ergo::Attachment>& parts) {
    CardRequest request{source_, parts, checkpoint_};
    request.types = memory_ ? memory_->types() : types_;
    emit cardRequested(request);
    reject();
}

void ModelCard::dragEnterEvent(QDragEnterEvent* event) {
    const QString path = draggedPath(event->mimeData());
    if (const auto part = partFor(path); part && checkpoint_) {
        event->acceptProposedAction();
        overlay_->cover(useText(*part, title_->text()), path);
    }
}

void ModelCard::dragLeaveEvent(QDragLeaveEvent*) {
    overlay_->hide();
}

void ModelCard::dropEvent(QDropEvent* event) {
    overlay_->hide();
    if (const auto part = partFor(draggedPath(event->mimeData())); part && checkpoint_) {
        event->acceptProposedAction();
        another(withPart(parts_, *part));
    }
}

void ModelCard::fill(const ModelHeaders& headers) {
    progress_->finish();
    checkpoint_ = headers.checkpoint;
    if (headers.opens) {
        subtitle_->setText(verdictText(headers.info.why));
    } else {
        subtitle_->setText(
            !headers.opens_anyway && !parts_.empty()
                ? tr("The model cannot be used with the %1. What is open already stays open.")
                      .arg(QLocale().createSeparatedList(partTexts()))
            : !headers.opens_anyway ? tr("This cannot be opened. What is open already stays open.")
            : headers.insisting.allow_unused
                ? tr("This checkpoint holds tensors that the model does not use. What is open "
                     "already stays open.")
                : tr("These weights are called gravity, but their masses are not there. What is "
                     "open already stays open."));
        fillReport(headers);
    }
    if (headers.model) {
        fillOverview(headers);
    }
    if (headers.model) {
        fillWhy(headers);
    }
    fillButtons(headers);
    // The larger pages come with the next turns of the event loop: what the card says first is there at once,
    // and no turn takes longer than a frame.
    QTimer::singleShot(0, this, [this, headers] {
        if (headers.outline) {
            tensors_ = new TensorPanel(headers.outline);
            tabs_->addTab(tensors_, tr("Tensors"));
        }
        QTimer::singleShot(0, this, [this, headers] {
            if (headers.outline) {
                files_ = new FilePanel(headers);
                files_->setLicence(known_licence_);
                tabs_->addTab(files_, tr("Files"));
            }
            emit ready();
            filled_ = true;
            if (more_) {
                emit complete();
            }
        });
    });
}

void ModelCard::fillButtons(const ModelHeaders& headers) {
    buttons_->clear();
    if (headers.opens) {
        auto* go = buttons_->addButton(tr("Load"), QDialogButtonBox::AcceptRole);
        go->setObjectName("load");
        go->setDefault(true);
        go->setFocus();
        connect(go, &QPushButton::clicked, this, [this] { load({}); });
        buttons_->addButton(QDialogButtonBox::Cancel);
    } else {
        if (headers.opens_anyway) {
            auto* anyway = buttons_->addButton(tr("Load anyway"), QDialogButtonBox::AcceptRole);
            anyway->setObjectName("load_anyway");
            anyway->setToolTip(
                headers.insisting.allow_unused
                    ? tr("Leaves out the tensors that no role claims; the numbers may then be wrong")
                    : tr("Runs them under ordinary attention; weights adapted to gravity write nonsense "
                         "then"));
            anyway->setAutoDefault(false);
            connect(anyway, &QPushButton::clicked, this,
                    [this, insisting = headers.insisting] { load(insisting); });
        }
        buttons_->addButton(QDialogButtonBox::Close)->setDefault(true);
    }
    if (!parts_.empty() && headers.checkpoint) {
        auto* without = buttons_->addButton(tr("Without what is attached"), QDialogButtonBox::ActionRole);
        without->setObjectName("without_parts");
        without->setToolTip(tr("Shows the model as it is in its own folder"));
        without->setAutoDefault(false);
        connect(without, &QPushButton::clicked, this, [this] { another({}); });
    }
    if (why_ || text_) {
        auto* why = buttons_->addButton(tr("Why"), QDialogButtonBox::HelpRole);
        why->setObjectName("why");
        why->setToolTip(tr("How it was recognised, and what was taken for granted"));
        why->setAutoDefault(false);
        connect(why, &QPushButton::clicked, this, [this] {
            QPlainTextEdit* box = text_ ? text_ : why_;
            tabs_->setCurrentWidget(box);
            box->setFocus();
        });
    }
    auto* copy = buttons_->addButton(tr("Copy"), QDialogButtonBox::ActionRole);
    copy->setObjectName("copy_report");
    copy->setToolTip(tr("Copies what this card says"));
    copy->setAutoDefault(false);
    connect(copy, &QPushButton::clicked, this, [this] { QApplication::clipboard()->setText(report_); });
}

void ModelCard::fillReport(const ModelHeaders& headers) {
    QString report = headers.problem;
    if (!headers.warnings.isEmpty()) {
        report += "\n\n" + tr("Also noticed") + "\n" + headers.warnings.join('\n');
    }
    report_ = report;
    text_ = reportBox("report", tr("Report"), report);
    tabs_->addTab(text_, tr("Report"));
}

void ModelCard::fillOverview(const ModelHeaders& headers) {
    const ergo::ModelInfo& info = headers.info;
    const QLocale locale;
    Page page(tr("Overview"));
    QGridLayout* grid = page.grid();
    page.fact(grid, tr("Family"), familyText(info.family, info.variant));
    page.fact(grid, tr("Layers · heads · width"),
              QString("%1 · %2 · %3").arg(info.layers).arg(info.heads).arg(info.width));
    page.fact(grid, tr("Vocabulary"), tr("%1 tokens").arg(locale.toString(qint64(info.vocabulary))));
    page.fact(grid, tr("Context"), tr("%1 tokens").arg(locale.toString(qint64(headers.context))));
    page.fact(grid, tr("Weights"),
              headers.files.size() == 1
                  ? tr("%1, %2 in one file").arg(text(info.dtype), byteText(headers.weight_bytes))
                  : tr("%1, %2 in %3 files")
                        .arg(text(info.dtype), byteText(headers.weight_bytes))
                        .arg(headers.files.size()));
    if (const QString cost = roundingCost(headers); !cost.isEmpty()) {
        page.fact(grid, tr("Rounded"), cost);
    }
    for (const QString& part : partTexts()) {
        page.fact(grid, tr("Attached"), part);
    }
    tokenizer_ = page.fact(grid, tr("Tokenizer"), tr("being read …"));
    chat_format_ = page.fact(grid, tr("Chat format"), QString());
    licence_ = page.fact(grid, tr("Licence"), QString());

    page.heading(tr("Parameters"));
    grid = page.grid();
    for (const auto& [name, count] : info.components) {
        page.fact(grid, engineText(name), countText(count), true);
    }
    page.fact(grid, tr("total"), countText(info.parameters), true);

    QStringList problems = headers.warnings;
    for (const std::string& problem : info.problems) {
        problems << text(problem);
    }
    page.notes(tr("Worth knowing"), problems);
    report_ = (report_.isEmpty() ? title_->text() + "\n" + subtitle_->text() : report_) + "\n" + page.text();
    page.column()->addStretch();
    tabs_->addTab(page.widget(), tr("Overview"));
    fillMemory(headers);
}

void ModelCard::fillMemory(const ModelHeaders& headers) {
    memory_ = new MemoryPage(headers, types_);
    report_ += memory_->report();
    tabs_->addTab(memory_, tr("Settings and memory"));
}

void ModelCard::fillWhy(const ModelHeaders& headers) {
    QString words = verdictText(headers.info.why) + "\n";
    if (!headers.info.problems.empty()) {
        words += "\n";
        for (const std::string& problem : headers.info.problems) {
            words += text(problem) + "\n";
        }
    }
    if (!headers.info.settings.empty()) {
        words += "\n" + tr("It would run with these settings:") + "\n";
        for (const auto& [name, value] : headers.info.settings) {
            words += "  " + text(name) + " = " + text(value) + "\n";
        }
    }
    why_ = reportBox("why_text", tr("Why"), words);
    tabs_->addTab(why_, tr("Why"));
    report_ += "\n" + words;
}

void ModelCard::fillMore(const ModelHeaders& headers) {
    if (tokenizer_) {
        tokenizer_->setText(!headers.tokenizer.isEmpty()          ? headers.tokenizer
                            : headers.tokenizer_problem.isEmpty() ? tr("none: token ids only")
                                                                  : headers.tokenizer_problem);
        if (!headers.tokenizer_notes.isEmpty()) {
            tokenizer_->setText(tokenizer_->text() + '\n' + headers.tokenizer_notes.join('\n'));
        }
        chat_format_->setText(headers.chat_format.isEmpty() ? tr("none") : headers.chat_format);
        licence_->setText(headers.licence.name.empty() ? tr("not found")
                                                       : QString("%1 (%2)").arg(text(headers.licence.name),
                                                                                text(headers.licence.from)));
        report_ += "\n" + tr("Tokenizer") + ": " + tokenizer_->text() + "\n" + tr("Chat format") + ": " +
                   chat_format_->text() + "\n" + tr("Licence") + ": " + licence_->text() + "\n";
    }
    known_licence_ = headers.licence;
    if (files_) {
        files_->setLicence(known_licence_);
    }
    more_ = true;
    if (filled_) {
        emit complete();
    }
}

} // namespace ergosphere
