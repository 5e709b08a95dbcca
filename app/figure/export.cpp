// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/export.h"

#include "app/figure/csv.h"
#include "app/figure/draw.h"
#include "app/figure/figure_file.h"
#include "app/figure/pdf_fixup.h"
#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

#include <QBuffer>
#include <QFileInfo>
#include <QImage>
#include <QImageWriter>
#include <QPageSize>
#include <QPdfWriter>
#include <QSvgGenerator>

#include <cmath>

namespace ergosphere {

namespace {

constexpr double largest_image = 250e6; // pixels

QByteArray as_pdf(const Drawing& drawing, const FigureSpec& spec) {
    const QSizeF page(std::ceil(drawing.points().width()), std::ceil(drawing.points().height()));
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    {
        QPdfWriter writer(&buffer);
        writer.setCreator(QStringLiteral("Ergosphere"));
        writer.setTitle(spec.provenance.isEmpty() ? spec.title : spec.provenance);
        writer.setResolution(720);
        writer.setPageSize(
            QPageSize(page, QPageSize::Point, QStringLiteral("figure"), QPageSize::ExactMatch));
        writer.setPageMargins(QMarginsF());
        drawing.paint(writer, 1);
    }
    return fix_pdf(bytes, drawing.points(), page.height());
}

QByteArray as_svg(const Drawing& drawing, const FigureSpec& spec) {
    const QSizeF points = drawing.points();
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    {
        QSvgGenerator generator;
        generator.setOutputDevice(&buffer);
        generator.setResolution(720);
        generator.setSize((10 * points).toSize());
        generator.setViewBox(QRectF(QPointF(), 10 * points));
        generator.setTitle(spec.title.toHtmlEscaped()); // Qt 6.4 writes both as they are
        generator.setDescription(spec.provenance.toHtmlEscaped());
        drawing.paint(generator, 1);
    }
    // Qt writes the size of a whole number of its units: put the exact one.
    const auto exact = [&](const char* name, double length) {
        const qsizetype begin = bytes.indexOf(name);
        const qsizetype end =
            begin < 0 ? -1 : bytes.indexOf('"', begin + static_cast<qsizetype>(qstrlen(name)));
        if (end > 0) {
            bytes.replace(begin, end - begin, name + QByteArray::number(length * 25.4 / 72, 'f', 4) + "mm");
        }
    };
    exact("width=\"", points.width());
    exact("height=\"", points.height());
    return bytes;
}

QByteArray as_png(const Drawing& drawing, const FigureSpec& spec) {
    const double scale = spec.dpi / 720.0;
    const QSize pixels(qRound(10 * drawing.points().width() * scale),
                       qRound(10 * drawing.points().height() * scale));
    if (static_cast<double>(pixels.width()) * pixels.height() > largest_image) {
        throw ergo::Error(ergo::ErrorKind::usage,
                          QStringLiteral("The picture would have %1 × %2 pixels.")
                              .arg(pixels.width())
                              .arg(pixels.height())
                              .toStdString(),
                          {.code = "FIG-SIZE", .advice = "Choose a lower resolution or a smaller size."});
    }
    QImage image(pixels, QImage::Format_RGB32);
    if (image.isNull()) {
        throw ergo::Error(ergo::ErrorKind::resources, "There is not enough memory for the picture.",
                          {.code = "FIG-MEMORY"});
    }
    image.fill(Qt::white);
    drawing.paint(image, scale);
    image.setDotsPerMeterX(qRound(spec.dpi / 0.0254));
    image.setDotsPerMeterY(qRound(spec.dpi / 0.0254));
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    QImageWriter writer(&buffer, "png");
    writer.setText(QStringLiteral("Software"), QStringLiteral("Ergosphere"));
    if (!spec.title.isEmpty()) {
        writer.setText(QStringLiteral("Title"), spec.title);
    }
    if (!spec.provenance.isEmpty()) {
        writer.setText(QStringLiteral("Description"), spec.provenance);
    }
    if (!writer.write(image)) {
        throw ergo::Error(ergo::ErrorKind::resources,
                          "The picture could not be encoded: " + writer.errorString().toStdString() + ".",
                          {.code = "FIG-PNG"});
    }
    return bytes;
}

} // namespace

QByteArray render_figure(const FigureSpec& spec, const FigureData& data, const QString& format) {
    validate(spec);
    if (format == QLatin1String("csv")) {
        return to_csv(data);
    }
    using Render = QByteArray (*)(const Drawing&, const FigureSpec&);
    const Render render = format == QLatin1String("pdf")   ? as_pdf
                          : format == QLatin1String("svg") ? as_svg
                          : format == QLatin1String("png") ? as_png
                                                           : static_cast<Render>(nullptr);
    if (!render) {
        throw ergo::Error(
            ergo::ErrorKind::usage,
            format.isEmpty()
                ? std::string("The figure's file name has no extension.")
                : "Figures cannot be written as \"." + ergo::printable(format.toStdString()) + "\".",
            {.code = "FIG-EXTENSION", .advice = "Use a name that ends in .pdf, .svg, .png, .csv or .npz."});
    }
    FigureSpec clean = spec; // control characters are no XML, and nobody could see them
    for (QString* text : {&clean.title, &clean.provenance}) {
        text->removeIf([](QChar c) { return c.category() == QChar::Other_Control; });
    }
    return render(Drawing(clean, data), clean);
}

void export_figure(const FigureSpec& spec, const FigureData& data, const QString& path) {
    const QString format = QFileInfo(path).suffix().toLower();
    if (format == QLatin1String("npz")) {
        validate(spec);
        write_figure_file(path, spec, data);
        return;
    }
    const QByteArray bytes = render_figure(spec, data, format);
    ergo::AtomicFile file(path.toStdString());
    file.write(std::string_view(bytes.constData(), static_cast<std::size_t>(bytes.size())));
    file.commit();
}

} // namespace ergosphere
