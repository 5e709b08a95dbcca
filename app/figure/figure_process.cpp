// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/figure_process.h"

#include "app/figure/export.h"
#include "app/figure/figure_file.h"
#include "app/figure/offscreen.h"
#include "engine/base/error.h"

#include <QProcess>
#include <QTemporaryDir>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ergosphere {

namespace {

constexpr const char* mode = "--draw-figure"; // PROGRAM --draw-figure FILE FORMAT: bytes on stdout
constexpr int look_ms = 20;                   // between two looks at the cancel flag
constexpr char progress_mark = '@', error_mark = '!';

/// One line to the process that waits: "@0.5 painting", "!2 FIG-SIZE\tThe picture would have …".
void say(char mark, const QString& text) {
    std::fprintf(stderr, "%c%s\n", mark, QString(text).replace('\n', QChar(0x2028)).toUtf8().constData());
    std::fflush(stderr);
}

int draw(const char* file, const char* format) {
    try {
        const Offscreen application("ergosphere");
        say(progress_mark, "0.2 reading the numbers");
        const FigureFile figure = read_figure_file(QString::fromLocal8Bit(file));
        say(progress_mark, "0.4 drawing");
        const QByteArray bytes = render_figure(figure.spec, figure.data, QString::fromLatin1(format));
        say(progress_mark, "0.9 writing");
        const bool whole = std::fwrite(bytes.constData(), 1, std::size_t(bytes.size()), stdout) ==
                               std::size_t(bytes.size()) &&
                           std::fflush(stdout) == 0;
        return whole ? 0 : 1;
    } catch (const ergo::Error& error) {
        say(error_mark, QString("%1 %2").arg(int(error.kind())).arg(QString::fromUtf8(error.what())));
    } catch (const std::bad_alloc&) {
        say(error_mark, QString("%1 There is not enough memory to draw this figure.")
                            .arg(int(ergo::ErrorKind::resources)));
    } catch (const std::exception& error) {
        say(error_mark, QString("%1 %2").arg(int(ergo::ErrorKind::io)).arg(QString::fromUtf8(error.what())));
    }
    return 1;
}

/// What the drawing process says on stderr, line by line.
class Listener {
  public:
    explicit Listener(const ergo::Progress& progress) : progress_(progress) {}

    void hear(const QByteArray& bytes) {
        pending_ += bytes;
        for (qsizetype end = pending_.indexOf('\n'); end >= 0; end = pending_.indexOf('\n')) {
            line(pending_.left(end));
            pending_.remove(0, end + 1);
        }
    }

    [[noreturn]] void fail(const QProcess& process) const {
        if (!message_.isEmpty()) {
            throw ergo::Error(kind_, message_.toStdString());
        }
        throw ergo::Error(ergo::ErrorKind::resources,
                          process.error() == QProcess::FailedToStart
                              ? "The process that draws the figure could not be started."
                              : "The process that draws the figure ended early; memory may have run out.",
                          {.code = "FIG-PROCESS", .advice = "Close other programs and try again."});
    }

  private:
    void line(const QByteArray& text) {
        const qsizetype space = text.indexOf(' ');
        const QString words = QString::fromUtf8(text.mid(space + 1)).replace(QChar(0x2028), '\n');
        if (text.startsWith(progress_mark) && progress_) {
            progress_(text.mid(1, space - 1).toDouble(), 1, words.toStdString());
        } else if (text.startsWith(error_mark)) {
            kind_ = ergo::ErrorKind(text.mid(1, space - 1).toInt());
            message_ = words;
        }
    }

    const ergo::Progress& progress_;
    QByteArray pending_;
    QString message_;
    ergo::ErrorKind kind_ = ergo::ErrorKind::io;
};

} // namespace

std::optional<int> figureProcess(int argc, char** argv) {
    if (argc != 4 || std::strcmp(argv[1], mode) != 0) {
        return std::nullopt;
    }
    const int code = draw(argv[2], argv[3]);
    std::_Exit(code); // everything is written; nothing of this process is needed any more
}

QByteArray renderFigureApart(const FigureSpec& spec, const FigureData& data, const QString& format,
                             const ergo::Progress& progress, const ergo::CancelToken& cancel) {
    const auto tell = [&](double share, const char* what) {
        cancel.check();
        if (progress) {
            progress(share, 1, what);
        }
    };
    tell(0.05, "handing over the numbers");
    const QTemporaryDir folder;
    if (!folder.isValid()) {
        throw ergo::Error(ergo::ErrorKind::io,
                          "There is no place for temporary files: " + folder.errorString().toStdString() +
                              ".",
                          {.code = "FIG-PROCESS", .advice = "Make room on the disk that holds /tmp."});
    }
    const QString file = folder.filePath("figure.npz");
    write_figure_file(file, spec, data);
    tell(0.15, "starting to draw");
    QProcess process;
    process.start("/proc/self/exe",
                  {mode, file, format}); // the same program, even when its file was replaced
    process.closeWriteChannel();
    Listener listener(progress);
    QByteArray bytes;
    const auto listen = [&] {
        bytes += process.readAllStandardOutput();
        listener.hear(process.readAllStandardError());
    };
    if (!process.waitForStarted()) {
        listener.fail(process);
    }
    while (process.state() != QProcess::NotRunning && !process.waitForFinished(look_ms)) {
        listen();
        if (cancel.cancelled()) {
            process.kill();
            process.waitForFinished(1000);
            cancel.check();
        }
    }
    listen();
    if (process.exitStatus() != QProcess::NormalExit || process.exitCode() != 0) {
        listener.fail(process);
    }
    return bytes;
}

} // namespace ergosphere
