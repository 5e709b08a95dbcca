// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/export_figure.h"

#include "app/figure/figure_file.h"
#include "app/figure/figure_process.h"
#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

#include <QBuffer>
#include <QFileInfo>

namespace ergosphere {

namespace {

constexpr qsizetype piece_bytes = qsizetype{4} << 20; // between two looks at the cancel flag

/// Takes bytes until somebody cancels; the encoder then gives up.
class CancellableBuffer : public QIODevice {
  public:
    CancellableBuffer(const ergo::CancelToken& cancel, QByteArray& bytes) : cancel_(cancel), bytes_(bytes) {
        open(QIODevice::WriteOnly);
    }

  protected:
    qint64 readData(char*, qint64) override { return -1; }
    qint64 writeData(const char* data, qint64 size) override {
        if (cancel_.cancelled()) {
            return -1;
        }
        bytes_.append(data, size);
        return size;
    }

  private:
    const ergo::CancelToken& cancel_;
    QByteArray& bytes_;
};

FigureData gathered(const FigureSnapshot& figure, const ergo::Progress& progress,
                    const ergo::CancelToken& cancel) {
    progress(0, 1, "putting the figure together");
    FigureData data = figure.gather();
    cancel.check();
    return data;
}

} // namespace

QByteArray figureBytes(const FigureSnapshot& figure, const FigureSpec& spec, const QString& format,
                       const ergo::Progress& progress, const ergo::CancelToken& cancel) {
    return renderFigureApart(spec, gathered(figure, progress, cancel), format, progress, cancel);
}

void exportFigure(const FigureSnapshot& figure, const FigureSpec& spec, const QString& path,
                  const ergo::Progress& progress, const ergo::CancelToken& cancel) {
    const QString format = QFileInfo(path).suffix().toLower();
    if (format == "npz") {
        const FigureData data = gathered(figure, progress, cancel);
        validate(spec);
        progress(0.5, 1, "writing");
        write_figure_file(path, spec, data);
        return;
    }
    writeWhole(figureBytes(figure, spec, format, progress, cancel), path, cancel);
}

QByteArray pngBytes(const QImage& image, const ergo::Progress& progress, const ergo::CancelToken& cancel) {
    progress(0, 0, "encoding the picture");
    QByteArray bytes;
    CancellableBuffer buffer(cancel, bytes);
    const bool encoded = image.save(&buffer, "PNG");
    cancel.check();
    if (!encoded) {
        throw ergo::Error(ergo::ErrorKind::resources,
                          "The picture could not be encoded; there may be too little memory.");
    }
    return bytes;
}

void writeWhole(const QByteArray& bytes, const QString& path, const ergo::CancelToken& cancel) {
    ergo::AtomicFile file(path.toStdString());
    for (qsizetype at = 0; at < bytes.size(); at += piece_bytes) {
        cancel.check();
        const qsizetype count = qMin(piece_bytes, bytes.size() - at);
        file.write(std::string_view(bytes.constData() + at, std::size_t(count)));
    }
    file.commit();
}

} // namespace ergosphere
