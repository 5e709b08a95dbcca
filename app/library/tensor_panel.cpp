// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/tensor_panel.h"

#include "app/window/background_job.h"
#include "app/window/progress_row.h"
#include "app/window/theme.h"
#include "engine/base/error.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPainter>
#include <QPushButton>
#include <QStyledItemDelegate>
#include <QTimer>
#include <QTreeView>
#include <QVBoxLayout>

#include <algorithm>
#include <iterator>
#include <utility>

namespace ergosphere {

namespace {

constexpr int expand_at_most = 300; // tensors found by a filter that are shown opened
constexpr std::size_t filter_at_once = 5000;
constexpr int measure_at_most = 10000;     // tensors shown: all of more are nothing to wait for
constexpr std::size_t taken_at_once = 100; // numbers that a turn of the event loop shows

void paintBars(QPainter& p, const QRectF& area, const ergo::TensorStats& stats, const QColor& color) {
    const auto most = *std::max_element(stats.histogram.begin(), stats.histogram.end());
    if (most == 0) {
        return;
    }
    const double width = area.width() / ergo::TensorStats::bins;
    for (int i = 0; i < ergo::TensorStats::bins; ++i) {
        const auto count = stats.histogram[std::size_t(i)];
        if (count > 0) { // a bin with one value in a million still shows
            const double height = std::max(1.0, area.height() * double(count) / double(most));
            p.fillRect(
                QRectF(area.left() + i * width, area.bottom() - height, std::max(1.0, width - 0.5), height),
                color);
        }
    }
}

/// The last column: a histogram as small as the line.
class ThumbnailDelegate : public QStyledItemDelegate {
  public:
    ThumbnailDelegate(const TensorModel* model, QObject* parent)
        : QStyledItemDelegate(parent), model_(model) {}

    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override {
        QStyledItemDelegate::paint(painter, option, index);
        const int tensor = model_->tensorAt(index);
        if (const ergo::TensorStats* stats = tensor >= 0 ? model_->stats(tensor) : nullptr) {
            const bool selected =
                option.state & QStyle::State_Selected && option.state & QStyle::State_Active;
            paintBars(*painter, QRectF(option.rect).adjusted(4, 3, -4, -2), *stats,
                      selected ? option.palette.color(QPalette::HighlightedText)
                               : colorsOf(option.palette).accent);
        }
    }

  private:
    const TensorModel* model_;
};

} // namespace

// ---- the histogram
// ------------------------------------------------------------------------------------------

HistogramView::HistogramView(QWidget* parent) : QWidget(parent) {
    setObjectName("histogram");
    setMinimumHeight(72);
    setStats({}, nullptr);
}

void HistogramView::setStats(const QString& name, const ergo::TensorStats* stats) {
    stats_ = stats ? std::optional(*stats) : std::nullopt;
    setAccessibleName(name.isEmpty() ? tr("Histogram") : tr("Histogram of %1").arg(name));
    setAccessibleDescription(stats ? tr("Values from %1 to %2, mean %3, deviation %4.")
                                         .arg(numberText(stats->min), numberText(stats->max),
                                              numberText(stats->mean), numberText(stats->deviation))
                                   : QString());
    update();
}

void HistogramView::paintEvent(QPaintEvent*) {
    if (!stats_) {
        return;
    }
    const ThemeColors& c = colorsOf(palette());
    QPainter p(this);
    p.setFont(smallFont());
    const int line = p.fontMetrics().height();
    const QRectF area(0, 2, width(), height() - line - 6);
    paintBars(p, area, *stats_, c.accent);
    p.fillRect(QRectF(0, area.bottom(), width(), 1), c.line);
    p.setPen(c.muted);
    const QRect below(0, int(area.bottom()) + 3, width(), line);
    p.drawText(below, Qt::AlignLeft, numberText(stats_->min));
    p.drawText(below, Qt::AlignRight, numberText(stats_->max));
    if (stats_->min < 0 && stats_->max > 0) { // where 0 is
        const double x = -stats_->min / (stats_->max - stats_->min) * width();
        p.fillRect(QRectF(x, area.top(), 1, area.height()), c.muted);
        p.drawText(QRectF(x - 20, below.top(), 40, line), Qt::AlignHCenter, "0");
    }
}

// ---- the panel
// ----------------------------------------------------------------------------------------------

TensorPanel::TensorPanel(std::shared_ptr<const TensorOutline> outline, QWidget* parent)
    : QWidget(parent), outline_(std::move(outline)), work_(std::make_shared<Work>()) {
    model_ = new TensorModel(outline_, this);
    filter_ = new QLineEdit;
    filter_->setObjectName("tensor_filter");
    filter_->setPlaceholderText(tr("Filter, for example layers.*.attn"));
    filter_->setAccessibleName(tr("Filter tensors by name"));
    filter_->setClearButtonEnabled(true);
    count_ = new QLabel;
    count_->setForegroundRole(QPalette::PlaceholderText);
    view_ = new QTreeView;
    view_->setObjectName("tensors");
    view_->setAccessibleName(tr("Tensors"));
    view_->setModel(model_);
    view_->setUniformRowHeights(true);
    view_->setAllColumnsShowFocus(true);
    view_->setSelectionMode(QAbstractItemView::ExtendedSelection);
    view_->setItemDelegateForColumn(TensorModel::values_column, new ThumbnailDelegate(model_, view_));
    view_->setFont(monoFont(11));
    view_->header()->setStretchLastSection(true);
    const int em = view_->fontMetrics().horizontalAdvance('0');
    const int widths[] = {26, 13, 6, 11, 9, 9, 9};
    for (int column = 0; column < TensorModel::values_column; ++column) {
        view_->setColumnWidth(column, widths[column] * em);
    }
    histogram_ = new HistogramView;
    facts_ = new QLabel(tr("Select a tensor to measure it."));
    facts_->setWordWrap(true);
    facts_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    problem_ = new QLabel;
    problem_->setWordWrap(true);
    problem_->hide();
    all_ = new QPushButton(tr("Measure all shown"));
    all_->setObjectName("measure_all");
    all_->setAutoDefault(false);
    progress_ = new ProgressRow;

    auto* top = new QHBoxLayout;
    top->addWidget(filter_, 1);
    top->addWidget(count_);
    top->addWidget(all_);
    auto* below = new QHBoxLayout;
    below->setSpacing(16);
    below->addWidget(facts_, 1);
    below->addWidget(histogram_, 1);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 8, 0, 0);
    column->setSpacing(8);
    column->addLayout(top);
    column->addWidget(view_, 1);
    column->addLayout(below);
    column->addWidget(problem_);
    column->addWidget(progress_);

    connect(filter_, &QLineEdit::textChanged, this, &TensorPanel::filter);
    connect(view_->selectionModel(), &QItemSelectionModel::selectionChanged, this, &TensorPanel::select);
    connect(all_, &QPushButton::clicked, this, [this] { measure(model_->tensorsBelow({}), false); });
    connect(progress_, &ProgressRow::cancelRequested, this, [this] {
        const std::lock_guard lock(work_->mutex);
        work_->waiting.clear();
        work_->queued.clear();
        if (job_) {
            job_->cancel();
        }
    });
    filter();
}

TensorPanel::~TensorPanel() {
    delete job_; // before what it works on
    delete selecting_;
}

void TensorPanel::filter() {
    const QString text = filter_->text();
    if (outline_->names.size() <= filter_at_once || text.trimmed().isEmpty()) {
        if (selecting_) { // what it finds counts no more
            selecting_->cancel();
            select_again_ = false;
        }
        model_->setFilter(text);
        filtered();
        return;
    }
    if (selecting_) {
        selecting_->cancel();
        select_again_ = true;
        return;
    }
    const auto found = std::make_shared<std::shared_ptr<const TensorSelection>>();
    selecting_ = new BackgroundJob(
        [outline = outline_, text, found](const ergo::Progress&, const ergo::CancelToken& cancel) {
            *found = selectTensors(*outline, text, cancel);
        },
        this);
    const auto ended = [this] {
        selecting_->deleteLater();
        selecting_ = nullptr;
        if (std::exchange(select_again_, false)) {
            filter();
        }
    };
    connect(selecting_, &BackgroundJob::done, this, [this, found, text, ended] {
        if (filter_->text() == text) {
            model_->setSelection(*found);
            filtered();
        }
        ended();
    });
    connect(selecting_, &BackgroundJob::cancelled, this, ended);
    connect(selecting_, &BackgroundJob::failed, this, ended);
}

void TensorPanel::filtered() {
    const QLocale locale;
    const auto all = qint64(outline_->names.size());
    count_->setText(model_->shownTensors() == all
                        ? tensorCountText(all)
                        : tr("%1 of %2").arg(locale.toString(model_->shownTensors()), locale.toString(all)));
    all_->setEnabled(model_->shownTensors() <= measure_at_most);
    all_->setToolTip(
        all_->isEnabled()
            ? tr("Reads all weights that are shown, once")
            : tr("More than %1 tensors are shown: filter them first").arg(locale.toString(measure_at_most)));
    if (!filter_->text().trimmed().isEmpty() && model_->shownTensors() <= expand_at_most) {
        view_->expandAll();
    } else if (model_->rowCount() == 1) {
        view_->expand(model_->index(0, 0));
    }
}

void TensorPanel::select() {
    const QModelIndexList rows = view_->selectionModel()->selectedRows();
    std::vector<int> tensors;
    for (const QModelIndex& row : rows) {
        if (const int tensor = model_->tensorAt(row); tensor >= 0) {
            tensors.push_back(tensor);
        }
    }
    const int shown = tensors.empty() ? -1 : tensors.back();
    const ergo::TensorStats* stats = shown >= 0 ? model_->stats(shown) : nullptr;
    const QString name =
        shown >= 0 ? QString::fromStdString(ergo::printable(outline_->names[std::size_t(shown)], 400))
                   : QString();
    histogram_->setStats(name, stats);
    if (shown < 0) {
        facts_->setText(tr("Select a tensor to measure it."));
    } else if (!stats) {
        facts_->setText(name);
    } else {
        const QLocale locale;
        QString text = tr("%1\nmean %2, deviation %3\nfrom %4 to %5, %6 values, %7 zeros")
                           .arg(name, numberText(stats->mean), numberText(stats->deviation),
                                numberText(stats->min), numberText(stats->max),
                                locale.toString(qint64(stats->count)), locale.toString(qint64(stats->zeros)));
        if (stats->not_finite > 0) {
            text += "\n" + tr("%1 are not finite").arg(locale.toString(qint64(stats->not_finite)));
        }
        facts_->setText(text);
    }
    measure(tensors, true);
}

void TensorPanel::measure(const std::vector<int>& tensors, bool first) {
    {
        const std::lock_guard lock(work_->mutex);
        for (const int tensor : tensors) {
            const std::string& name = outline_->names[std::size_t(tensor)];
            if (model_->stats(tensor) || !outline_->checkpoint->has(name)) {
                continue; // known, or of a type that cannot be read
            }
            if (!work_->queued.insert(tensor).second) {
                if (!first) {
                    continue;
                }
                work_->waiting.erase(std::find(work_->waiting.begin(), work_->waiting.end(), tensor));
                --work_->asked;
            }
            first ? work_->waiting.push_front(tensor) : work_->waiting.push_back(tensor);
            ++work_->asked;
        }
        if (work_->waiting.empty()) {
            return;
        }
    }
    start();
}

void TensorPanel::start() {
    if (job_) {
        return; // it takes what is waiting
    }
    problem_->hide();
    job_ = new BackgroundJob(
        [work = work_, outline = outline_](const ergo::Progress& progress, const ergo::CancelToken& cancel) {
            for (;;) {
                int tensor = -1;
                std::size_t done = 0, asked = 0;
                {
                    const std::lock_guard lock(work->mutex);
                    if (work->waiting.empty()) {
                        return;
                    }
                    tensor = work->waiting.front();
                    work->waiting.pop_front();
                    work->queued.erase(tensor);
                    done = work->done;
                    asked = work->asked;
                }
                const auto part = [&](double at, double of, const std::string& what) {
                    progress(double(done) + at / std::max(1.0, of), double(asked), what);
                };
                const ergo::TensorStats stats = ergo::measure_tensor(
                    outline->checkpoint->tensor(outline->names[std::size_t(tensor)]), cancel, part);
                outline->checkpoint->check_unchanged(); // else what was read may be zeros
                const std::lock_guard lock(work->mutex);
                work->ready.emplace_back(tensor, stats);
                ++work->done;
            }
        },
        this);
    connect(job_, &BackgroundJob::progress, this, [this](const QString& what, double done, double total) {
        takeReady();
        progress_->setProgress(what, done, total);
    });
    connect(job_, &BackgroundJob::done, this, [this] { finished({}); });
    connect(job_, &BackgroundJob::cancelled, this, [this] { finished({}); });
    connect(job_, &BackgroundJob::failed, this, &TensorPanel::finished);
}

void TensorPanel::takeReady() {
    std::vector<std::pair<int, ergo::TensorStats>> ready;
    bool more = false;
    {
        const std::lock_guard lock(work_->mutex);
        auto& all = work_->ready;
        const auto end = all.begin() + std::ptrdiff_t(std::min(all.size(), taken_at_once));
        ready.assign(std::make_move_iterator(all.begin()), std::make_move_iterator(end));
        all.erase(all.begin(), end);
        more = !all.empty();
    }
    if (more) {
        QTimer::singleShot(0, this, &TensorPanel::takeReady);
    }
    for (const auto& [tensor, stats] : ready) {
        model_->setStats(tensor, stats);
    }
    if (!ready.empty()) {
        select();
    }
    for (const auto& [tensor, stats] : ready) {
        emit measured(tensor);
    }
}

void TensorPanel::finished(const QString& problem) {
    job_->deleteLater();
    job_ = nullptr;
    progress_->finish();
    bool more = false;
    {
        const std::lock_guard lock(work_->mutex);
        work_->asked = work_->waiting.size();
        work_->done = 0;
        if (!problem.isEmpty()) {
            work_->waiting.clear();
            work_->queued.clear();
        }
        more = !work_->waiting.empty();
    }
    takeReady();
    if (!problem.isEmpty()) {
        problem_->setText(problem);
        problem_->show();
    } else if (more && !job_) {
        start();
    }
}

} // namespace ergosphere
