// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/palette.h"
#include "app/window/background_job.h"
#include "app/window/dialogs.h"
#include "app/window/export_figure.h"
#include "app/window/message_bar.h"
#include "app/window/progress_row.h"

#include <QClipboard>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QDir>
#include <QDoubleSpinBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QMimeData>
#include <QPushButton>
#include <QSpinBox>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

struct WidthPreset {
    const char* text;
    double mm;
};
// Column widths of the venues this is for (inches as their style files give them).
constexpr WidthPreset width_presets[] = {{"3.25 in", 82.55},   {"6.75 in", 171.45}, {"3.5 in", 88.9},
                                         {"7.16 in", 181.864}, {"89 mm", 89},       {"183 mm", 183}};
constexpr const char* formats[] = {"pdf", "svg", "png", "csv", "npz"};

QString mimeType(const QString& format) {
    return format == "pdf"   ? QStringLiteral("application/pdf")
           : format == "svg" ? QStringLiteral("image/svg+xml")
           : format == "png" ? QStringLiteral("image/png")
                             : QStringLiteral("text/csv");
}

} // namespace

FigureDialog::FigureDialog(FigureSnapshot figure, FigureSpec spec, const QString& name, const QString& folder,
                           QWidget* parent)
    : QDialog(parent), figure_(std::move(figure)), spec_(std::move(spec)) {
    setObjectName("figure_dialog");
    setAttribute(Qt::WA_DeleteOnClose);
    setWindowTitle(tr("Export figure"));
    makeFields();
    path_->setText(QDir(folder).filePath(name + ".pdf"));
    layOut();
    connect(format_, &QComboBox::currentIndexChanged, this, &FigureDialog::formatChanged);
    connect(width_, &QComboBox::currentIndexChanged, this, [this] {
        if (const double mm = width_->currentData().toDouble(); mm > 0) {
            width_mm_->setValue(mm);
        }
        width_mm_->setEnabled(width_->currentData().toDouble() <= 0);
        updateHint();
    });
    connect(dpi_, &QSpinBox::valueChanged, this, &FigureDialog::updateHint);
    connect(width_mm_, &QDoubleSpinBox::valueChanged, this, &FigureDialog::updateHint);
    width_mm_->setValue(spec_.width_mm);
    width_->setCurrentIndex(width_->findText("89 mm"));
    formatChanged();
}

FigureDialog::~FigureDialog() {
    delete job_; // before the members it works on
}

void FigureDialog::makeFields() {
    format_ = new QComboBox;
    format_->setObjectName("format");
    format_->addItem(tr("PDF, vector"), "pdf");
    format_->addItem(tr("SVG, vector"), "svg");
    format_->addItem(tr("PNG, pixels"), "png");
    format_->addItem(tr("CSV, the numbers"), "csv");
    format_->addItem(tr("NPZ, numbers and look"), "npz");
    width_ = new QComboBox;
    width_->setObjectName("width");
    for (const WidthPreset& preset : width_presets) {
        width_->addItem(preset.text, preset.mm);
    }
    width_->addItem(tr("custom"), 0.0);
    width_mm_ = new QDoubleSpinBox;
    width_mm_->setAccessibleName(tr("Width in millimetres"));
    width_mm_->setRange(10, 2000);
    width_mm_->setDecimals(1);
    width_mm_->setSuffix(tr(" mm"));
    font_pt_ = new QDoubleSpinBox;
    font_pt_->setRange(5, 72);
    font_pt_->setDecimals(1);
    font_pt_->setSuffix(tr(" pt"));
    font_pt_->setValue(spec_.font_pt);
    dpi_ = new QSpinBox;
    dpi_->setObjectName("dpi");
    dpi_->setRange(36, 2400);
    dpi_->setSingleStep(100);
    dpi_->setValue(spec_.dpi);
    dpi_->setSuffix(tr(" dpi"));
    colormap_ = new QComboBox;
    colormap_->setObjectName("colormap");
    colormap_->addItems(Colormap::names());
    colormap_->setEnabled(figure_.has_colormap);
    if (const int at = colormap_->findText(spec_.colormap); at >= 0) {
        colormap_->setCurrentIndex(at);
    }
    title_ = new QLineEdit(spec_.title);
    title_->setPlaceholderText(tr("none"));
    path_ = new QLineEdit;
    path_->setObjectName("path");
    path_->setAccessibleName(tr("File"));
    path_->setMinimumWidth(340);
    hint_ = new QLabel;
    hint_->setForegroundRole(QPalette::PlaceholderText);
    hint_->setWordWrap(true);
    message_ = new MessageBar;
}

void FigureDialog::layOut() {
    auto* choose = new QPushButton(tr("Choose…"));
    choose->setAutoDefault(false);
    auto* width_row = new QHBoxLayout;
    width_row->setSpacing(8);
    width_row->addWidget(width_);
    width_row->addWidget(width_mm_);
    width_row->addStretch();
    auto* path_row = new QHBoxLayout;
    path_row->setSpacing(8);
    path_row->addWidget(path_, 1);
    path_row->addWidget(choose);
    form_ = new QWidget;
    auto* form = new QFormLayout(form_);
    form->setContentsMargins(0, 0, 0, 0);
    form->setHorizontalSpacing(16);
    form->setVerticalSpacing(8);
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    form->addRow(tr("Format"), format_);
    form->addRow(tr("Width"), width_row);
    form->addRow(tr("Resolution"), dpi_);
    form->addRow(tr("Type"), font_pt_);
    form->addRow(tr("Colour map"), colormap_);
    form->addRow(tr("Title"), title_);
    form->addRow(tr("File"), path_row);
    width_->setAccessibleName(tr("Width"));
    progress_ = new ProgressRow;
    auto* buttons = new QDialogButtonBox;
    export_ = buttons->addButton(tr("Export"), QDialogButtonBox::AcceptRole);
    export_->setObjectName("export");
    export_->setDefault(true);
    copy_ = buttons->addButton(tr("Copy"), QDialogButtonBox::ActionRole);
    copy_->setObjectName("copy");
    copy_->setToolTip(tr("Puts the figure on the clipboard instead of into a file"));
    copy_->setAutoDefault(false);
    close_ = buttons->addButton(QDialogButtonBox::Cancel);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(24, 20, 24, 16);
    column->setSpacing(12);
    column->addWidget(form_);
    column->addWidget(hint_);
    column->addWidget(message_);
    column->addWidget(progress_);
    column->addWidget(buttons);
    connect(choose, &QPushButton::clicked, this, &FigureDialog::browse);
    connect(export_, &QPushButton::clicked, this, &FigureDialog::exportNow);
    connect(copy_, &QPushButton::clicked, this, &FigureDialog::copyNow);
    connect(progress_, &ProgressRow::cancelRequested, this, [this] {
        if (job_) {
            job_->cancel();
        }
    });
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
}

void FigureDialog::formatChanged() {
    const QString format = format_->currentData().toString();
    const QFileInfo info(path_->text());
    const bool known = std::any_of(std::begin(formats), std::end(formats),
                                   [&](const char* f) { return info.suffix().toLower() == f; });
    if (known) {
        path_->setText(path_->text().chopped(info.suffix().size()) + format);
    } else {
        path_->setText(path_->text() + "." + format);
    }
    const bool drawn = format != "csv";
    copy_->setEnabled(format != "npz");
    for (QWidget* w : std::initializer_list<QWidget*>{width_, font_pt_, title_}) {
        w->setEnabled(drawn);
    }
    width_mm_->setEnabled(drawn && width_->currentData().toDouble() <= 0);
    colormap_->setEnabled(drawn && figure_.has_colormap);
    dpi_->setEnabled(format == "png");
    updateHint();
}

void FigureDialog::updateHint() {
    const QString format = format_->currentData().toString();
    if (format == "csv") {
        hint_->setText(tr("The numbers of the view, one row a line, with the token texts."));
    } else if (format == "npz") {
        hint_->setText(
            tr("Arrays for NumPy; `ergo figure FILE.npz -o FIGURE.pdf` draws the figure from it."));
    } else if (format == "png") {
        hint_->setText(
            tr("%1 pixels wide.").arg(QLocale().toString(qRound(width_mm_->value() / 25.4 * dpi_->value()))));
    } else {
        hint_->setText(
            tr("Paper is white whatever the theme. Large matrices are kept as one lossless image."));
    }
}

FigureSpec FigureDialog::spec() const {
    FigureSpec spec = spec_;
    spec.width_mm = width_mm_->value();
    spec.height_mm = 0;
    spec.dpi = dpi_->value();
    spec.font_pt = font_pt_->value();
    spec.title = title_->text();
    if (colormap_->currentText() != spec_.colormap && figure_.has_colormap) {
        spec.colormap = colormap_->currentText();
    }
    return spec;
}

QString FigureDialog::path() const {
    return path_->text().trimmed();
}
void FigureDialog::setPath(const QString& path) {
    path_->setText(path);
}

void FigureDialog::browse() {
    auto* dialog = new QFileDialog(this, tr("Export figure"), QFileInfo(path()).absolutePath());
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->selectFile(QFileInfo(path()).fileName());
    dialog->setDefaultSuffix(format_->currentData().toString());
    connect(dialog, &QFileDialog::fileSelected, this, &FigureDialog::setPath);
    dialog->open();
}

void FigureDialog::exportNow() {
    run(new BackgroundJob(
            [figure = figure_, look = spec(), file = path()](const ergo::Progress& progress,
                                                             const ergo::CancelToken& cancel) {
                exportFigure(figure, look, file, progress, cancel);
            },
            this),
        false);
}

void FigureDialog::copyNow() {
    const QString format = format_->currentData().toString();
    run(new BackgroundJob(
            [this, figure = figure_, look = spec(), format](const ergo::Progress& progress,
                                                            const ergo::CancelToken& cancel) {
                bytes_ = figureBytes(figure, look, format, progress, cancel); // read when the job is done
            },
            this),
        true);
}

void FigureDialog::run(BackgroundJob* job, bool to_clipboard) {
    job_ = job;
    setWorking(true);
    const auto over = [this, job] {
        job->deleteLater();
        job_ = nullptr;
        setWorking(false);
    };
    connect(job, &BackgroundJob::progress, progress_, &ProgressRow::setProgress);
    connect(job, &BackgroundJob::failed, this, [this, over](const QString& problem) {
        over();
        message_->showError(problem);
    });
    connect(job, &BackgroundJob::cancelled, this, over);
    connect(job, &BackgroundJob::done, this, [this, over, to_clipboard, file = path()] {
        over();
        if (to_clipboard) {
            const QString format = format_->currentData().toString();
            auto* mime = new QMimeData;
            mime->setData(mimeType(format), bytes_);
            if (format == "csv" || format == "svg") {
                mime->setText(QString::fromUtf8(bytes_));
            }
            QGuiApplication::clipboard()->setMimeData(mime);
            emit copied();
        } else {
            emit exported(file);
        }
        accept();
    });
}

void FigureDialog::setWorking(bool working) {
    form_->setEnabled(!working);
    export_->setEnabled(!working);
    copy_->setEnabled(!working && format_->currentData().toString() != "npz");
    message_->dismiss();
    if (working) {
        progress_->begin("drawing");
    } else {
        progress_->finish();
    }
}

} // namespace ergosphere
