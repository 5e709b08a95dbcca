// SPDX-License-Identifier: GPL-3.0-or-later
// The house rules of engine/README.md, read off the sources: who may include whom, licence lines, READMEs,
// file size.
#include <QDirIterator>
#include <QFile>
#include <QRegularExpression>
#include <QTest>

namespace {

const QString root = QStringLiteral(ERGO_SOURCE_DIR);

QStringList sources(const QString& folder) {
    QStringList files;
    QDirIterator it(root + "/" + folder, {"*.h", "*.cpp", "*.comp", "*.glsl"}, QDir::Files,
                    QDirIterator::Subdirectories);
    while (it.hasNext()) {
        files << QDir(root).relativeFilePath(it.next());
    }
    files.sort();
    return files;
}

QString read(const QString& file) {
    QFile f(root + "/" + file);
    return f.open(QIODevice::ReadOnly) ? QString::fromUtf8(f.readAll()) : QString();
}

QStringList includes(const QString& file) {
    // moc reads this file too and is confused by quotes inside raw strings: \x22 is a quote
    static const QRegularExpression line("^\\s*#\\s*include\\s*[<\\x22]([^>\\x22]+)[>\\x22]",
                                         QRegularExpression::MultilineOption);
    QStringList found;
    for (auto it = line.globalMatch(read(file)); it.hasNext();) {
        found << it.next().captured(1);
    }
    return found;
}

// Floor of a file, and what it may include besides itself (engine/README.md has the picture).
struct Floor {
    const char* folder;
    QStringList below;
};

const Floor floors[] = {
    {"engine/base/", {}},
    {"engine/tensor/", {"engine/base/"}},
    {"engine/checkpoint/", {"engine/tensor/", "engine/base/"}},
    {"engine/tokenizer/", {"engine/base/"}},
    {"engine/template/", {"engine/base/"}},
    {"engine/backend/", {"engine/tensor/", "engine/base/"}},
    {"engine/model/", {"engine/backend/", "engine/checkpoint/", "engine/tensor/", "engine/base/"}},
    {"engine/generate/",
     {"engine/model/", "engine/backend/", "engine/checkpoint/", "engine/tokenizer/", "engine/template/",
      "engine/tensor/", "engine/base/"}},
    {"engine/lab/",
     {"engine/generate/", "engine/model/", "engine/backend/", "engine/checkpoint/", "engine/tokenizer/",
      "engine/template/", "engine/tensor/", "engine/base/"}},
};

bool starts_with_any(const QString& text, const QStringList& prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](const QString& p) { return text.startsWith(p); });
}

} // namespace

class Includes : public QObject {
    Q_OBJECT

  private slots:
    void there_are_sources() { QVERIFY(sources("engine").size() > 30 && sources("app").size() > 10); }

    void engine_knows_no_qt() {
        static const QRegularExpression toolkit("^(Q[A-Z]|Qt|qcustomplot|imgui)");
        for (const QString& file : sources("engine")) {
            for (const QString& include : includes(file)) {
                QVERIFY2(!toolkit.match(include).hasMatch(), qPrintable(file + " includes " + include));
            }
        }
    }

    void vulkan_stays_in_its_folder() {
        for (const char* folder : {"engine", "app"}) {
            for (const QString& file : sources(folder)) {
                if (!file.startsWith("engine/backend/vulkan/")) {
                    for (const QString& include : includes(file)) {
                        QVERIFY2(!include.startsWith("vulkan/"), qPrintable(file + " includes " + include));
                    }
                }
            }
        }
        QVERIFY2(!read("engine/backend/vulkan/vulkan_backend.h").contains("<vulkan"),
                 "the public header shows Vulkan");
    }

    void floors_include_only_floors_below() {
        for (const Floor& floor : floors) {
            for (const QString& file : sources(floor.folder)) {
                for (const QString& include : includes(file)) {
                    const bool own = include.startsWith(floor.folder);
                    QVERIFY2(!include.startsWith("engine/") || own || starts_with_any(include, floor.below),
                             qPrintable(file + " reaches up or sideways to " + include));
                    QVERIFY2(!include.startsWith("app/"), qPrintable(file + " includes " + include));
                }
            }
        }
    }

    void models_know_no_backend_implementation() {
        for (const QString& file : sources("engine/model") + sources("engine/lab")) {
            for (const QString& include : includes(file)) {
                QVERIFY2(!starts_with_any(include, {"engine/backend/cpu/", "engine/backend/vulkan/",
                                                    "engine/backend/reference/"}),
                         qPrintable(file + " includes " + include));
            }
        }
    }

    void nothing_below_model_names_a_family() {
        // Gravity by itself is a law of attention, as cosine is; Gravity-2 is a model.
        static const QRegularExpression family("\\b(moa|kotodama|gravity_?2|qwen2?)\\b",
                                               QRegularExpression::CaseInsensitiveOption);
        for (const char* folder : {"engine/base", "engine/tensor", "engine/tokenizer", "engine/template", "engine/backend"}) {
            for (const QString& file : sources(folder)) {
                QString code = read(file);
                code.remove(QRegularExpression("//[^\n]*"));
                code.remove(QRegularExpression("\\x22[^\\x22\n]*\\x22"));
                const auto match = family.match(code);
                QVERIFY2(!match.hasMatch(), qPrintable(file + " names " + match.captured()));
            }
        }
    }

    void every_source_has_its_licence_line() {
        for (const char* folder : {"engine", "app", "tests", "shaders"}) {
            for (const QString& file : sources(folder)) {
                QVERIFY2(read(file).startsWith("// SPDX-License-Identifier: GPL-3.0-or-later\n"),
                         qPrintable(file));
            }
        }
    }

    void files_stay_readable() {
        for (const char* folder : {"engine", "app", "shaders"}) {
            for (const QString& file : sources(folder)) {
                QVERIFY2(read(file).count('\n') <= 700, qPrintable(file + " is over 700 lines"));
            }
        }
    }

    void top_level_is_the_design_cards() {
        const QStringList allowed{"app",       "engine",       "shaders",        "resources",
                                  "tests",     "translations", "CMakeLists.txt", "CMakePresets.json",
                                  "README.md", "LICENSE"};
        for (const QString& entry : QDir(root).entryList(QDir::AllEntries | QDir::NoDotAndDotDot)) {
            QVERIFY2(allowed.contains(entry) || entry.startsWith("build"), qPrintable(entry));
        }
        for (const char* folder : {"app", "engine", "shaders", "resources", "tests", "translations"}) {
            QVERIFY2(QFile::exists(root + "/" + folder + "/README.md"), folder);
        }
    }
};

QTEST_GUILESS_MAIN(Includes)
#include "test_includes.moc"
