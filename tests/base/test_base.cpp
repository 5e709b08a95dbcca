// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/atomic_file.h"
#include "engine/base/cancel.h"
#include "engine/base/embedded.h"
#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/base/ring.h"
#include "engine/base/utf8.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <thread>

using namespace ergo;

class TestBase : public QObject {
    Q_OBJECT

  private slots:
    void errors_say_what_and_where() {
        const Error e(
            ErrorKind::format, "too short.",
            {.code = "F-X", .file = "m.bin", .offset = 12, .tensor = "w", .advice = "Get another."});
        QCOMPARE(std::string(e.what()),
                 std::string("F-X: m.bin at byte 12: tensor 'w': too short. Get another."));
        QCOMPARE(e.message(), std::string("too short."));
        QVERIFY(e.kind() == ErrorKind::format);
        QCOMPARE(std::string(Error(ErrorKind::usage, "plain").what()), std::string("plain"));
        QCOMPARE(std::string(Error(ErrorKind::usage, "plain", {.advice = "Do that."}).what()),
                 std::string("plain. Do that."));
    }

    void printable_hides_nothing_and_harms_nothing() {
        QCOMPARE(printable("a\n\x1b[31m\x7f"), std::string("a\\u000A\\u001B[31m\\u007F"));
        QCOMPARE(printable("x\u202ey\u2066"), std::string("x\\u202Ey\\u2066"));
        QCOMPARE(printable("\xff\u00e9\xc3"), std::string("\\xFF\u00e9\\xC3"));
        QCOMPARE(printable(std::string_view("a\0b", 3)), std::string("a\\u0000b"));
        QCOMPARE(printable("abcdef", 3), std::string("abc…"));
    }

    void cancelling_reaches_every_copy() {
        const CancelToken token;
        const CancelToken copy = token;
        copy.check();
        token.cancel();
        QVERIFY(copy.cancelled() && !CancelToken().cancelled());
        QVERIFY_EXCEPTION_THROWN(copy.check(), Error);
    }

    void utf8_follows_the_standard() {
        for (const char32_t c :
             {U'\0', U'A', U'\x7f', U'\x80', U'\x7ff', U'\x800', U'\xffff', U'\x10000', U'\x10ffff'}) {
            std::string text;
            append_utf8(text, c);
            const Utf8Char back = decode_utf8(text, 0);
            QVERIFY(back.valid && back.code_point == c && back.length == text.size());
        }
        for (const char* bad : {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                "\xf8", "\xc3", "\xe2\x82"}) {
            QVERIFY2(!is_valid_utf8(bad), bad);
        }
        QVERIFY(decode_utf8("\xe2\x82", 0).incomplete && !decode_utf8("\xe2(", 0).incomplete);
        // the standard's example: one replacement for each maximal part
        QCOMPARE(replace_invalid_utf8("a\xf1\x80\x80\xe1\x80\xc2"
                                      "b\x80"
                                      "c"),
                 std::string("a\uFFFD\uFFFD\uFFFDb\uFFFDc"));
    }

    void half_floats_round_trip() {
        for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
            const auto b = static_cast<std::uint16_t>(bits);
            const float half = f16_to_f32(b), brain = bf16_to_f32(b);
            if (std::isnan(half)) {
                QVERIFY(std::isnan(f16_to_f32(f32_to_f16(half))));
            } else {
                QCOMPARE(f32_to_f16(half), b);
            }
            QVERIFY(std::isnan(brain) ? std::isnan(bf16_to_f32(f32_to_bf16(brain)))
                                      : f32_to_bf16(brain) == b);
        }
        QCOMPARE(f16_to_f32(0x3555), 0.333251953125f);
        QCOMPARE(f32_to_f16(1.0f + 0x1p-11f), 0x3c00);     // ties to even
        QCOMPARE(f32_to_f16(1.0f + 3 * 0x1p-11f), 0x3c02); //
        QCOMPARE(f32_to_f16(65519.0f), 0x7bff);            // below the middle of the last step
        QCOMPARE(f32_to_f16(65520.0f), 0x7c00);            // infinity
        QCOMPARE(f32_to_f16(0x1p-25f), 0x0000);            // half of the smallest subnormal, to even
        QCOMPARE(f32_to_f16(0x1.000002p-25f), 0x0001);     //
        QCOMPARE(f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);     // ties to even
        QCOMPARE(f32_to_bf16(1.0f + 3 * 0x1p-8f), 0x3f82); //
        QCOMPARE(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
    }

    void ring_drops_the_newest() {
        SpscRing<std::unique_ptr<int>> ring(2);
        QVERIFY(!ring.pop());
        QVERIFY(ring.push(std::make_unique<int>(1)) && ring.push(std::make_unique<int>(2)));
        auto third = std::make_unique<int>(3);
        QVERIFY(!ring.push(std::move(third)) && third); // refused and left with its owner
        QCOMPARE(ring.dropped(), 1u);
        QCOMPARE(**ring.pop(), 1);
        QVERIFY(ring.push(std::move(third)));
        QCOMPARE(**ring.pop(), 2);
        QCOMPARE(**ring.pop(), 3);
        QVERIFY(!ring.pop());
    }

    void ring_keeps_order_between_threads() {
        constexpr int count = 200000;
        SpscRing<int> ring(64);
        std::thread producer([&] {
            for (int i = 0; i < count; ++i) {
                while (!ring.push(int{i})) {
                    std::this_thread::yield();
                }
            }
        });
        int expected = 0;
        bool in_order = true;
        while (expected < count) {
            if (const auto item = ring.pop()) {
                in_order = in_order && *item == expected;
                ++expected;
            } else {
                std::this_thread::yield();
            }
        }
        producer.join();
        QVERIFY(in_order && !ring.pop());
    }

    void embedded_files_are_sorted_and_found() {
        const auto files = embedded_files();
        QVERIFY(std::is_sorted(files.begin(), files.end(),
                               [](const auto& a, const auto& b) { return a.path < b.path; }));
        const EmbeddedFile* schema = find_embedded("schemas/moa-2026.json");
        QVERIFY(schema);
        QFile source(ERGO_SOURCE_DIR "/resources/schemas/moa-2026.json");
        QVERIFY(source.open(QIODevice::ReadOnly));
        QCOMPARE(QByteArray(schema->text().data(), static_cast<qsizetype>(schema->text().size())),
                 source.readAll());
        QVERIFY(!find_embedded("schemas/") && embedded_below("schemas/").size() >= 3);
    }

    void atomic_files_appear_whole_or_not_at_all() {
        QTemporaryDir folder;
        const std::filesystem::path target = folder.filePath("out.txt").toStdString();
        const auto entries = [&] { return QDir(folder.path()).entryList(QDir::Files | QDir::Hidden); };
        {
            AtomicFile file(target);
            file.write("half");
            QCOMPARE(file.size(), 4u);
            QVERIFY(!std::filesystem::exists(target));
        }
        QCOMPARE(entries().size(), 0); // given up without commit
        AtomicFile file(target), rival(target);
        file.write("whole");
        rival.write("later");
        file.commit();
        rival.commit();
        QCOMPARE(std::filesystem::file_size(target), 5u);
        QCOMPARE(entries(), QStringList{"out.txt"});
        QVERIFY_EXCEPTION_THROWN(AtomicFile(folder.filePath("no/such/folder").toStdString()), Error);
        QCOMPARE(std::filesystem::file_size(target), 5u);
    }
};

QTEST_GUILESS_MAIN(TestBase)
#include "test_base.moc"
