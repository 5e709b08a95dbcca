// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/developer_dialog.h"

#include "app/window/conversation_controller.h"
#include "app/window/engine_text.h"
#include "app/window/theme.h"

#include <QCheckBox>
#include <QDialogButtonBox>
#include <QHeaderView>
#include <QLabel>
#include <QLocale>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QTableWidget>
#include <QVBoxLayout>

#include <algorithm>

namespace ergosphere {

namespace {

constexpr int refresh_ms = 500;
constexpr qsizetype most_messages = 200;
constexpr int shown_ops = 100;
constexpr int first_number = 2; // column of times

void setCell(QTableWidget& table, int row, int column, const QString& text) {
    QTableWidgetItem* item = table.item(row, column);
    if (!item) {
        item = new QTableWidgetItem;
        item->setFlags(Qt::ItemIsSelectable | Qt::ItemIsEnabled);
        if (column >= first_number) {
            item->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
        }
        table.setItem(row, column, item);
    }
    item->setText(text); // draws nothing anew when it is the same
}

} // namespace

void ValidationLog::add(const QString& message) {
    const std::lock_guard lock(mutex_);
    if (messages_.size() < most_messages) {
        messages_ << message;
    }
}

QStringList ValidationLog::messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
}

DeveloperDialog::DeveloperDialog(ConversationController* controller, std::shared_ptr<ValidationLog> log,
                                 QWidget* parent)
    : QDialog(parent), controller_(controller), log_(std::move(log)) {
    setObjectName("developer_dialog");
    setAttribute(Qt::WA_DeleteOnClose);
    setWindowTitle(tr("Backend diagnostics"));
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(24, 20, 24, 16);
    column->setSpacing(8);
    device_ = new QLabel;
    device_->setFont(titleFont());
    device_->setWordWrap(true);
    column->addWidget(device_);
    serialise_ = addSwitch("serialise", tr("One kernel after the other"),
                           tr("Every kernel waits for the one before: does a wrong number go away?"));
    no_fusion_ = addSwitch("no_fusion", tr("One kernel an operation"),
                           tr("Operations are computed as the plan has them, none split or joined"));
    no_extensions_ = addSwitch(
        "no_extensions", tr("Nothing beyond Vulkan 1.2"),
        tr("Kernels do without what this device has besides: integer dot products, a subgroup size of "
           "choice"));
    no_matrices_ = addSwitch("no_cooperative_matrix", tr("No cooperative matrices"), QString());
    validation_ = addSwitch("validation", tr("Validation layer"),
                            tr("The Khronos validation layer checks every call; needs to be installed"));
    hint_ = new QLabel;
    hint_->setForegroundRole(QPalette::PlaceholderText);
    hint_->setWordWrap(true);
    column->addWidget(hint_);
    table_ = new QTableWidget(0, 4);
    table_->setObjectName("op_times");
    table_->setHorizontalHeaderLabels({tr("Operation"), tr("Kernel"), tr("µs a token"), tr("Share")});
    table_->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
    table_->verticalHeader()->hide();
    table_->setAccessibleName(tr("Time of every operation of a token, slowest first"));
    table_->setFont(monoFont(11));
    column->addWidget(table_, 1);
    messages_ = new QPlainTextEdit;
    messages_->setObjectName("validation_messages");
    messages_->setReadOnly(true);
    messages_->setMaximumHeight(90);
    messages_->setPlaceholderText(tr("The validation layer has said nothing."));
    messages_->setAccessibleName(tr("Messages of the validation layer"));
    column->addWidget(messages_);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    buttons->button(QDialogButtonBox::Close)->setDefault(true);
    column->addWidget(buttons);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(controller_, &ConversationController::backendChanged, this, [this] { showModel(); });
    connect(controller_, &ConversationController::modelOpened, this, [this] { showModel(); });
    connect(&timer_, &QTimer::timeout, this, &DeveloperDialog::refresh);
    timer_.start(refresh_ms);
    controller_->timeOps(true);
    showModel();
    resize(680, 620);
}

DeveloperDialog::~DeveloperDialog() {
    if (controller_) {
        controller_->timeOps(false);
    }
}

QCheckBox* DeveloperDialog::addSwitch(const QString& name, const QString& text, const QString& tip) {
    auto* box = new QCheckBox(text);
    box->setObjectName(name);
    box->setToolTip(tip);
    layout()->addWidget(box);
    connect(box, &QCheckBox::clicked, this, &DeveloperDialog::apply);
    return box;
}

void DeveloperDialog::apply() {
    if (const auto& opened = controller_->opened()) {
        ergo::Diagnostics wanted;
        wanted.serialise = serialise_->isChecked();
        wanted.no_fusion = no_fusion_->isChecked();
        wanted.no_extensions = no_extensions_->isChecked();
        wanted.no_cooperative_matrix = no_matrices_->isEnabled() && no_matrices_->isChecked();
        wanted.validation = validation_->isChecked();
        controller_->useBackend(QString::fromStdString(opened->choice.backend), wanted);
    }
}

void DeveloperDialog::showModel() {
    const auto& opened = controller_->opened();
    const auto on_vulkan = [](const ergo::OpenedModel& model) {
        return model.backend->info().backend == "vulkan";
    };
    const bool vulkan = opened && (on_vulkan(*opened) || (opened->writer && on_vulkan(*opened->writer)));
    const ergo::Diagnostics now = opened ? opened->options.diagnostics : ergo::Diagnostics{};
    device_->setText(opened ? QString::fromStdString(ergo::device_text(*opened)) : tr("No model is open"));
    serialise_->setChecked(now.serialise);
    no_fusion_->setChecked(now.no_fusion);
    no_extensions_->setChecked(now.no_extensions);
    validation_->setChecked(now.validation);
    for (QCheckBox* box : {serialise_, no_fusion_, no_extensions_, validation_}) {
        box->setEnabled(vulkan);
    }
    hint_->setText(vulkan
                       ? tr("Switches take effect on the next token. While this page is open every operation "
                            "is timed, one after the other, which is slower than running freely.")
                       : tr("The switches are for Vulkan devices; the model runs on the CPU."));
    refresh();
}

/// Whether they are used is known when the first prompt has been read.
void DeveloperDialog::showMatrices() {
    const auto& opened = controller_->opened();
    const ergo::DeviceInfo info = opened ? opened->backend->info() : ergo::DeviceInfo{};
    const bool off = opened && opened->options.diagnostics.no_cooperative_matrix;
    no_matrices_->setEnabled(info.has_matrices);
    no_matrices_->setChecked(!info.has_matrices || off);
    const QString said = matricesText(info.matrices);
    no_matrices_->setToolTip(said.isEmpty() ? tr("The CPU has none") : said);
}

void DeveloperDialog::refresh() {
    showMatrices();
    std::vector<ergo::OpTime> times = controller_->opTimes();
    double total = 0;
    for (const ergo::OpTime& op : times) {
        total += op.seconds;
    }
    std::stable_sort(times.begin(), times.end(),
                     [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    const int rows = std::min<int>(shown_ops, int(times.size()));
    table_->setRowCount(rows);
    const QLocale locale;
    for (int r = 0; r < rows; ++r) {
        const ergo::OpTime& op = times[std::size_t(r)];
        const double each = op.runs ? op.seconds / double(op.runs) : 0;
        setCell(*table_, r, 0, QString::fromStdString(op.name));
        setCell(*table_, r, 1, QString::fromStdString(op.kernel));
        setCell(*table_, r, 2, locale.toString(each * 1e6, 'f', 1));
        const double share = total > 0 ? 100 * op.seconds / total : 0;
        setCell(*table_, r, 3, tr("%1 %").arg(locale.toString(share, 'f', 1)));
    }
    const QString said = log_->messages().join('\n');
    if (said != messages_->toPlainText()) {
        messages_->setPlainText(said);
    }
}

} // namespace ergosphere
