// SPDX-License-Identifier: GPL-3.0-or-later
// Compressed weight files: hand-made frames, one a rule, and a real one cut and flipped at every place.
#include "engine/checkpoint/zstd_file.h"
#include "tests/checkpoint/support_files.h"
#include "tests/checkpoint/support_torch.h"

#include <QDir>
#include <QTemporaryDir>
#include <QTest>

using namespace ergo;

namespace {

namespace fs = std::filesystem;

const std::string magic = "\x28\xb5\x2f\xfd";

std::string block(const std::string& content, bool last = true, int type = 0, std::int64_t size = -1) {
    const auto n = static_cast<std::uint64_t>(size < 0 ? static_cast<std::int64_t>(content.size()) : size);
    return le(n << 3 | std::uint64_t(type) << 1 | (last ? 1 : 0), 3) + content;
}
/// One segment with its size in a byte, stored blocks.
std::string frame(const std::string& content) {
    return magic + "\x20" + le(content.size(), 1) + block(content);
}
/// A frame that does not say its size, window 1 MiB.
std::string unsized(const std::string& blocks) {
    return magic + std::string("\0\x50", 2) + blocks;
}
/// `content` in one block that repeats its byte.
std::string repeat(char byte, std::int64_t count, bool last = true) {
    return block(std::string(1, byte), last, 1, count);
}

} // namespace

class TestZstdFile : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() { QVERIFY(folder_.isValid()); }

    void decompresses_frames() {
        QCOMPARE(content(frame("hello")), std::string("hello"));
        QCOMPARE(content(frame("hello ") + frame("world")), std::string("hello world"));
        const std::string skippable = "\x51\x2a\x4d\x18" + le(3, 4) + "abc";
        QCOMPARE(content(skippable + frame("x") + skippable), std::string("x"));
        QCOMPARE(content(unsized(repeat('a', 3, false) + block("bc"))), std::string("aaabc"));
        QCOMPARE(content(magic + "\x60" + le(44, 2) + repeat('z', 300)), std::string(300, 'z'));
        QCOMPARE(content(magic + "\xa0" + le(300000, 4) + repeat('z', 131072, false) +
                         repeat('y', 131072, false) + repeat('x', 37856))
                     .size(),
                 300000u);
        QCOMPARE(file_->name(), std::string("x.pt"));
        QVERIFY(QDir(folder_.path()).entryList(QDir::Files | QDir::Hidden) == QStringList{"x.pt.zst"});
    }

    void refuses_data() {
        QTest::addColumn<QString>("code");
        QTest::addColumn<QByteArray>("bytes");
        const auto row = [](const char* name, const char* code, const std::string& bytes) {
            QTest::newRow(name) << code << QByteArray::fromStdString(bytes);
        };
        row("window of 144 MiB", "Z-WINDOW", magic + std::string("\0\x89", 2) + block("x"));
        row("window of 2 TiB", "Z-WINDOW", magic + std::string("\0\xff", 2) + block("x"));
        row("one segment of 1 GiB", "Z-WINDOW", magic + "\xa0" + le(1 << 30, 4) + block("x"));
        row("dictionary", "Z-DICT", magic + "\x21" + "\x07" + le(1, 1) + block("x"));
        row("large dictionary id", "Z-DICT", magic + "\x23" + le(0x12345678, 4) + le(1, 1) + block("x"));
        row("checksum", "Z-CHECKSUM", magic + "\x24" + le(1, 1) + block("x") + le(0xdeadbeef, 4));
        row("reserved bit", "Z-CORRUPT", magic + "\x28" + le(1, 1) + block("x"));
        row("reserved block", "Z-CORRUPT", magic + "\x20" + le(1, 1) + block("x", true, 3));
        row("damaged block", "Z-CORRUPT", magic + "\x20" + le(9, 1) + block("\xff\xff\xff\xff", true, 2));
        row("less than declared", "Z-CORRUPT", magic + "\x20" + le(9, 1) + block("x"));
        row("more than declared", "Z-CORRUPT", magic + "\x20" + le(1, 1) + block("xyz"));
        row("bomb", "Z-BOMB", unsized(repeat('a', 131072, false) + repeat('b', 131072)));
        row("declares more than any disk holds", "F-TOO-LARGE",
            magic + "\xc0\x50" + le(std::uint64_t{1} << 60, 8) + repeat('a', 131072));
        row("sizes that wrap", "Z-BOMB",
            magic + "\xc0\x50" + le(~std::uint64_t{0}, 8) + repeat('a', 131072) + frame("hello"));
        row("header cut off", "F-TRUNCATED", magic + "\x20");
        row("block cut off", "F-TRUNCATED", magic + "\x20" + le(5, 1) + block("hel", true, 0, 5));
        row("no last block", "F-TRUNCATED", magic + "\x20" + le(5, 1) + block("hello", false));
        row("checksum cut off", "F-TRUNCATED", magic + "\x24" + le(1, 1) + block("x") + "abc");
        row("skippable only", "F-TRUNCATED", "\x50\x2a\x4d\x18" + le(3, 4) + "abc");
        row("skippable cut off", "F-TRUNCATED", frame("x") + "\x50\x2a\x4d\x18" + le(99, 4) + "abc");
        row("something follows", "F-TRAILING", frame("x") + "PK");
        row("much follows", "F-TRAILING", frame("x") + std::string(100, '\0'));
        row("twice compressed", "F-UNSUPPORTED", frame(frame("x")));
        row("nothing inside", "F-EMPTY", frame(""));
    }

    void refuses() {
        QFETCH(QString, code);
        QFETCH(QByteArray, bytes);
        const auto open = [&] { content(bytes.toStdString()); };
        QCOMPARE(code_of(open), code);
        QVERIFY(text_of(open).contains(code == "F-EMPTY" ? "x.pt" : "x.pt.zst"));
        QVERIFY(QDir(folder_.path()).entryList(QDir::Files | QDir::Hidden) == QStringList{"x.pt.zst"});
    }

    void survives_truncation_and_flipped_bits() {
        std::ifstream stream(ERGO_TEST_DATA "/checkpoint/module.bin.zst", std::ios::binary);
        const std::string whole((std::istreambuf_iterator<char>(stream)), {});
        QVERIFY(whole.size() > 500);
        const std::string good = content(whole);
        for (std::size_t size = 1; size < whole.size(); ++size) {
            QCOMPARE(code_of([&] { content(whole.substr(0, size)); }), "F-TRUNCATED");
        }
        for (std::size_t bit = 32; bit < whole.size() * 8; bit += 9) { // each byte once, its bits in turn
            std::string bytes = whole;
            bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
            try {
                QVERIFY(content(bytes) == good); // the checksum lets nothing else through
            } catch (const Error& e) {
                QVERIFY(!e.where().code.empty());
            }
        }
    }

    void can_be_cancelled() {
        write_bytes(path_, frame("hello"));
        CancelToken cancel;
        cancel.cancel();
        try {
            decompress_zstd(*map_file(path_), {}, cancel);
            QFAIL("cancelling must stop");
        } catch (const Error& e) {
            QVERIFY(e.kind() == ErrorKind::cancelled);
        }
    }

  private:
    std::string content(const std::string& bytes) {
        write_bytes(path_, bytes);
        file_ = decompress_zstd(*map_file(path_), {}, {});
        const auto out = file_->bytes();
        return {reinterpret_cast<const char*>(out.data()), out.size()};
    }

    QTemporaryDir folder_;
    fs::path path_ = fs::path(folder_.path().toStdString()) / "x.pt.zst";
    std::shared_ptr<const MappedFile> file_;
};

QTEST_GUILESS_MAIN(TestZstdFile)
#include "test_zstd_file.moc"
