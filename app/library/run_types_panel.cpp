// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/run_types_panel.h"

#include "app/library/tensor_model.h"
#include "app/window/background_job.h"
#include "app/window/progress_row.h"
#include "engine/lab/compare.h"

#include <QComboBox>
#include <QCoreApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QVBoxLayout>

#include <algorithm>

namespace ergosphere {

QString roundingCostText(double divergence, double logit_difference, qint64 tokens) {
    return RunTypesPanel::tr("mean KL %1 nats from the original, logits differ by up to %2 (over %3 tokens)")
        .arg(numberText(divergence), numberText(logit_difference), QLocale().toString(tokens));
}

RunTypesPanel::RunTypesPanel(QString source, ergo::OpenModelOptions options, const RunTypes& chosen,
                             QWidget* parent)
    : QWidget(parent), source_(std::move(source)), options_(std::move(options)) {
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(8);
    column->addLayout(new QHBoxLayout);
    weights_ = addChoice("run_weights", tr("Weights"),
                         tr("What the weight matrices are rounded to while they are loaded. With bf16 and "
                            "f16 the inputs of prompts are rounded to 16 bits too, which makes prompts about "
                            "half again as fast; q8 and q4 take less memory and write faster."));
    weights_->addItem(tr("as stored"), QString());
    for (const char* type : {"f32", "bf16", "f16", "q8", "q4"}) {
        weights_->addItem(type, type);
    }
    cache_ = addChoice("run_cache", tr("keys and values"),
                       tr("bf16 and q8 make room for a longer context; the CPU alone has them."));
    for (const char* type : {"f32", "bf16", "q8"}) {
        cache_->addItem(type, type == std::string_view("f32") ? QString() : QString(type));
    }
    measure_ = new QPushButton(tr("Measure the cost"));
    measure_->setObjectName("measure_cost");
    measure_->setToolTip(tr("Opens the model twice, as it is stored and as it is chosen here, and compares "
                            "what both predict over fixed texts, on the CPU"));
    measure_->setAutoDefault(false);
    auto* row = static_cast<QHBoxLayout*>(column->itemAt(0)->layout());
    row->addWidget(measure_);
    row->addStretch();
    cost_ = new QLabel;
    cost_->setObjectName("rounding_cost");
    cost_->setAccessibleName(tr("Cost of rounding"));
    cost_->setTextFormat(Qt::PlainText);
    cost_->setWordWrap(true);
    cost_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    progress_ = new ProgressRow;
    auto* below = new QWidget; // has its height from the start, so that nothing beneath it jumps
    auto* result = new QHBoxLayout(below);
    result->setContentsMargins(0, 0, 0, 0);
    result->addWidget(cost_, 1);
    result->addWidget(progress_, 1);
    below->setMinimumHeight(progress_->sizeHint().height());
    column->addWidget(below);
    weights_->setCurrentIndex(std::max(0, weights_->findData(chosen.weights)));
    cache_->setCurrentIndex(std::max(0, cache_->findData(chosen.cache)));
    const auto choose = [this] {
        stop();
        tell({});
        measure_->setEnabled(types() != RunTypes{});
        emit changed();
    };
    tell({});
    measure_->setEnabled(types() != RunTypes{});
    connect(weights_, &QComboBox::currentIndexChanged, this, choose);
    connect(cache_, &QComboBox::currentIndexChanged, this, choose);
    connect(measure_, &QPushButton::clicked, this, &RunTypesPanel::measure);
    connect(progress_, &ProgressRow::cancelRequested, this, &RunTypesPanel::stop);
}

RunTypesPanel::~RunTypesPanel() {
    if (job_) {
        job_->cancel();
    }
    freeElsewhere([last = std::move(options_.checkpoint)]() mutable { last.reset(); });
}

QComboBox* RunTypesPanel::addChoice(const char* name, const QString& label, const QString& tip) {
    auto* row = static_cast<QHBoxLayout*>(layout()->itemAt(0)->layout());
    auto* box = new QComboBox;
    box->setObjectName(name);
    box->setAccessibleName(label);
    box->setToolTip(tip);
    auto* words = new QLabel(label);
    words->setBuddy(box);
    row->addWidget(words);
    row->addWidget(box);
    return box;
}

RunTypes RunTypesPanel::types() const {
    return {weights_->currentData().toString(), cache_->currentData().toString()};
}

void RunTypesPanel::tell(const QString& text) {
    cost_->setText(text);
    cost_->setVisible(!text.isEmpty());
}

void RunTypesPanel::measure() {
    stop();
    tell({});
    ergo::OpenModelOptions options = options_;
    options.model.dtype = types().weights.toStdString();
    options.model.cache = types().cache.toStdString();
    auto result = std::make_shared<ergo::Comparison>();
    auto* job = new BackgroundJob(
        [source = source_.toStdString(), options, result](const ergo::Progress& progress,
                                                          const ergo::CancelToken& cancel) {
            *result = ergo::rounding_cost(source, options, progress, cancel);
        },
        QCoreApplication::instance());
    job_ = job;
    for (const auto last : {&BackgroundJob::done, &BackgroundJob::cancelled}) {
        connect(job, last, job, &QObject::deleteLater);
    }
    connect(job, &BackgroundJob::failed, job, &QObject::deleteLater);
    connect(job, &BackgroundJob::progress, progress_, &ProgressRow::setProgress);
    const auto over = [this](const QString& text) {
        job_ = nullptr;
        progress_->finish();
        tell(text);
        emit measured();
    };
    connect(job, &BackgroundJob::done, this, [over, result] {
        over(roundingCostText(result->mean_divergence, result->largest_logit_difference, result->tokens));
    });
    connect(job, &BackgroundJob::failed, this, over);
}

/// What is being measured ends by itself, soon.
void RunTypesPanel::stop() {
    if (job_) {
        job_->disconnect(this);
        job_->disconnect(progress_);
        job_->cancel();
        job_ = nullptr;
        progress_->finish();
    }
}

} // namespace ergosphere
