// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/start_options.h"

#include "engine/base/error.h"

#include <QRegularExpression>

namespace ergosphere {

namespace {

[[noreturn]] void wrong(const QString& text) {
    throw ergo::Error(ergo::ErrorKind::usage, text.toStdString(),
                      {.advice = "`ergosphere --help` lists the options."});
}

QSize parseSize(const QString& text) {
    static const QRegularExpression form("^(\\d{2,5})x(\\d{2,5})$");
    const auto match = form.match(text);
    const QSize size(match.captured(1).toInt(), match.captured(2).toInt());
    if (!match.hasMatch() || size.width() < 640 || size.height() < 400 || size.width() > 16384 ||
        size.height() > 16384) {
        wrong(QString("The size '%1' is not of the form WIDTHxHEIGHT, at least 640x400.").arg(text.left(40)));
    }
    return size;
}

int parseNumber(const QString& name, const QString& text, int low, int high) {
    bool ok = false;
    const int number = text.toInt(&ok);
    if (!ok || number < low || number > high) {
        wrong(QString("%1 takes a number from %2 to %3, not '%4'.")
                  .arg(name)
                  .arg(low)
                  .arg(high)
                  .arg(text.left(40)));
    }
    return number;
}

QString oneOf(const QString& name, const QString& text, const QStringList& known) {
    if (!known.contains(text)) {
        wrong(QString("%1 takes one of %2, not '%3'.").arg(name, known.join(", "), text.left(40)));
    }
    return text;
}

RunTypes& types(StartOptions& options) {
    return options.types ? *options.types : options.types.emplace();
}

} // namespace

StartOptions parseStartOptions(const QStringList& arguments) {
    StartOptions options;
    bool model_given = false, only_files = false;
    for (qsizetype i = 1; i < arguments.size(); ++i) {
        QString name = arguments[i], value;
        const bool is_option = !only_files && name.startsWith('-') && name.size() > 1;
        if (!is_option) {
            if (model_given) {
                wrong(
                    QString("One model can be opened at a time, but '%1' was given too.").arg(name.left(80)));
            }
            options.model = name;
            model_given = true;
            continue;
        }
        bool has_value = false;
        if (const auto equals = name.indexOf('='); equals > 0) {
            value = name.mid(equals + 1);
            name = name.left(equals);
            has_value = true;
        }
        const auto take = [&] {
            if (has_value) {
                return value;
            }
            if (i + 1 >= arguments.size()) {
                wrong(QString("%1 needs a value.").arg(name));
            }
            return arguments[++i];
        };
        if (name == "--") {
            only_files = true;
        } else if (name == "--help" || name == "-h") {
            options.help = true;
        } else if (name == "--version") {
            options.version = true;
        } else if (name == "--theme") {
            const QString theme = take();
            if (theme != "system" && theme != "light" && theme != "dark") {
                wrong(QString("There is no theme '%1'; choose system, light or dark.").arg(theme.left(40)));
            }
            options.theme = themeFromName(theme);
        } else if (name == "--screenshot") {
            options.screenshot = take();
            options.fresh = true;
        } else if (name == "--ask") {
            options.ask = take();
        } else if (name == "--size") {
            options.size = parseSize(take());
        } else if (name == "--lens") {
            options.lens = parseNumber(name, take(), 1, 9);
        } else if (name == "--backend") {
            options.backend = take();
        } else if (name == "--threads") {
            options.threads = parseNumber(name, take(), 0, 1024);
        } else if (name == "--dtype") {
            const QString type = oneOf(name, take(), {"checkpoint", "f32", "bf16", "f16", "q8", "q4"});
            types(options).weights = type == "checkpoint" ? QString() : type;
        } else if (name == "--cache") {
            const QString type = oneOf(name, take(), {"f32", "bf16", "q8"});
            types(options).cache = type == "f32" ? QString() : type;
        } else if (name == "-platform" || name == "--platform") {
            take(); // Qt's own; QApplication reads it
        } else {
            wrong(QString("There is no option '%1'.").arg(name.left(40)));
        }
    }
    return options;
}

QString startHelp() {
    return "Usage: ergosphere [OPTIONS] [MODEL]\n"
           "\n"
           "Opens a language model in a window: talk to it and see its attention, routers and balls while it "
           "writes.\n"
           "MODEL is a folder, a weights file (.safetensors, .bin, .pt, .pt.zst), an index file, or "
           "demo:NAME; "
           "without\n"
           "one the built-in demo model demo:moa is opened. Nothing is copied, changed or sent anywhere.\n"
           "\n"
           "  --theme system|light|dark   colours of this run\n"
           "  --size WIDTHxHEIGHT         size of the window in pixels\n"
           "  --lens N                    the lens to show: 1 attention, 2 router, 3 balls\n"
           "  --backend NAME              auto, cpu, vulkan or vulkan:N\n"
           "  --threads N                 threads of the CPU backend, 0: one a core\n"
           "  --dtype NAME                checkpoint, f32, bf16, f16, q8 or q4: of MODEL's weights, now and "
           "later\n"
           "  --cache NAME                f32, bf16 or q8: of its keys and values, now and later\n"
           "  --screenshot FILE           write a PNG of the window when everything is painted, then end\n"
           "  --ask TEXT                  send TEXT to the model first (a screenshot waits for the reply)\n"
           "  --version                   print the version\n"
           "  --help                      print this\n"
           "\n"
           "`ergo --help` is the same engine for the command line, without a window.\n";
}

QString noDisplayReason(const QStringList& arguments) {
    QString platform = qEnvironmentVariable("QT_QPA_PLATFORM");
    for (qsizetype i = 1; i + 1 < arguments.size(); ++i) {
        if (arguments[i] == "-platform" || arguments[i] == "--platform") {
            platform = arguments[i + 1];
        }
    }
    const QString kind = platform.section(':', 0, 0).section(';', 0, 0);
    const QStringList need_none{"offscreen", "minimal",    "vnc",         "linuxfb",
                                "eglfs",     "minimalegl", "vkkhrdisplay"};
    if (need_none.contains(kind)) {
        return {};
    }
    if (qEnvironmentVariableIsEmpty("DISPLAY") && qEnvironmentVariableIsEmpty("WAYLAND_DISPLAY")) {
        return "There is no display to open a window on (neither DISPLAY nor WAYLAND_DISPLAY is set); use "
               "the command "
               "line program `ergo` instead, for example `ergo run demo:moa -p \"Solve 3x + 2 = 17\" "
               "--chat`.";
    }
    return {};
}

} // namespace ergosphere
