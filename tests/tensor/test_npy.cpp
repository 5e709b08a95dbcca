// SPDX-License-Identifier: GPL-3.0-or-later
// tests/data/numpy_*.np? were written by NumPy itself.
#include "engine/base/error.h"
#include "engine/tensor/npy.h"

#include <QDir>
#include <QTemporaryDir>
#include <QTest>

#include <cstring>
#include <fstream>
#include <numeric>
#include <sstream>

using namespace ergo;
namespace fs = std::filesystem;

namespace {

std::string read_all(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

template <class Action> QString code_of(Action action) {
    try {
        action();
    } catch (const Error& e) {
        return QString::fromStdString(e.where().code);
    }
    return "none";
}

} // namespace

class TestNpy : public QObject {
    Q_OBJECT

    QTemporaryDir folder_;
    fs::path path(const char* name) const { return folder_.filePath(name).toStdString(); }
    QString code_of_bytes(const std::string& bytes) const {
        std::ofstream(path("bad.npy"), std::ios::binary) << bytes;
        return code_of([&] { read_npy(path("bad.npy")); });
    }
    QString code_of_zip(const std::string& bytes) const {
        std::ofstream(path("bad.npz"), std::ios::binary) << bytes;
        return code_of([&] { read_npz(path("bad.npz")); });
    }

  private slots:
    void round_trip() {
        const std::vector<float> f{1.5f, -2.0f, 3.25f, 0.0f, 5.0f, 6.0f};
        const std::vector<double> d{0.1};
        const std::vector<std::int32_t> i{-1, 2147483647};
        const std::vector<std::int64_t> l{};
        const std::vector<std::uint8_t> u{0, 255, 7};
        const std::vector<std::pair<std::string, NpyArray>> arrays{{"f", NpyArray::from({2, 1, 3}, f)},
                                                                   {"scalar", NpyArray::from({}, d)},
                                                                   {"i/nner", NpyArray::from({2}, i)},
                                                                   {"empty", NpyArray::from({0, 4}, l)},
                                                                   {"\u00e9", NpyArray::from({3}, u)}};
        for (const auto& [name, array] : arrays) {
            write_npy(path("one.npy"), array);
            const NpyArray back = read_npy(path("one.npy"));
            QCOMPARE(back.descr, array.descr);
            QCOMPARE(back.shape, array.shape);
            QVERIFY(back.data == array.data);
            QCOMPARE((fs::file_size(path("one.npy")) - back.data.size()) % 64, 0u);
        }
        write_npz(path("all.npz"), arrays);
        const auto back = read_npz(path("all.npz"));
        QCOMPARE(back.size(), arrays.size());
        for (const auto& [name, array] : arrays) {
            QVERIFY(back.at(name).data == array.data && back.at(name).shape == array.shape);
        }
        QCOMPARE(back.at("i/nner").to_doubles(), (std::vector<double>{-1, 2147483647}));
        write_npz(path("none.npz"), {});
        QCOMPARE(read_npz(path("none.npz")).size(), 0u);
        QCOMPARE(QDir(folder_.path()).entryList(QDir::Files | QDir::Hidden).size(), 3); // no temporaries
    }

    void reads_what_numpy_writes() {
        const auto arrays = read_npz(ERGO_TEST_DATA "/numpy_deflated.npz");
        QCOMPARE(arrays.at("ramp").shape, (Shape{50, 20}));
        const std::vector<double> ramp = arrays.at("ramp").to_doubles();
        for (std::size_t i = 0; i < ramp.size(); ++i) {
            QCOMPARE(ramp[i], static_cast<double>(i % 7));
        }
        QCOMPARE(arrays.at("half").to_doubles(), (std::vector<double>{0.5, -65504.0}));
        QCOMPARE(arrays.at("flags").descr, std::string("|b1"));
        const NpyArray fortran =
            read_npy(ERGO_TEST_DATA "/numpy_fortran.npy"); // arange(24).reshape(2, 3, 4), order F
        QCOMPARE(fortran.shape, (Shape{2, 3, 4}));
        std::vector<double> expected(24);
        std::iota(expected.begin(), expected.end(), 0.0);
        QCOMPARE(fortran.to_doubles(), expected);
    }

    void refuses_bad_arrays() {
        write_npy(path("good.npy"), NpyArray::from({2}, std::vector<float>{1, 2}));
        const std::string good = read_all(path("good.npy"));
        const auto changed = [&](const std::string& from, const std::string& to) {
            std::string bytes = good;
            return code_of_bytes(bytes.replace(bytes.find(from), from.size(), to));
        };
        QCOMPARE(code_of_bytes(good), "none");
        for (std::size_t n = 0; n < good.size(); n += 5) {
            QVERIFY(code_of_bytes(good.substr(0, n)) != "none");
        }
        QCOMPARE(code_of_bytes(good.substr(0, good.size() - 1)), "F-TRUNCATED");
        QCOMPARE(code_of_bytes(good + "x"), "F-TRAILING");
        QCOMPARE(changed("<f4", "|O8"), "NPY-DTYPE");
        QCOMPARE(changed("<f4", ">f4"), "NPY-DTYPE");
        QCOMPARE(changed("'<f4'", "[    "), "NPY-DTYPE");
        QCOMPARE(changed("(2,)", "(-2)"), "NPY-HEADER");
        QCOMPARE(changed("(2,)", "2   "), "NPY-HEADER");
        QCOMPARE(changed("False", "None "), "NPY-HEADER");
        QCOMPARE(changed("descr", "shape"), "NPY-HEADER");
        QCOMPARE(changed("}", " "), "NPY-HEADER");
        QCOMPARE(changed("(2,), }     ", "(9999999999)"), "NPY-HEADER");
        QCOMPARE(changed("(2,)", "(99)"), "F-TRUNCATED");
        QCOMPARE(changed("NUMPY", "NUMPI"), "NPY-HEADER");
        QCOMPARE(code_of([&] { read_npy(path("absent.npy")); }), "F-IO");
        QCOMPARE(code_of([&] { read_npy(folder_.path().toStdString()); }), "F-IO");
        bool refused = false;
        try {
            NpyArray::from({3}, std::vector<float>{1});
        } catch (const Error& e) {
            refused = e.kind() == ErrorKind::usage;
        }
        QVERIFY(refused);
    }

    void refuses_bad_archives() {
        write_npz(path("good.npz"), {{"a", NpyArray::from({2}, std::vector<float>{1, 2})},
                                     {"b", NpyArray::from({1}, std::vector<float>{3})}});
        const std::string good = read_all(path("good.npz"));
        QCOMPARE(code_of_zip(good), "none");
        for (std::size_t n = 0; n < good.size(); n += 7) {
            QCOMPARE(code_of_zip(good.substr(0, n)), "NPZ-ZIP");
        }
        std::string bytes = good;
        bytes[200] = static_cast<char>(bytes[200] ^ 1); // inside the first member
        QVERIFY(code_of_zip(bytes) != "none");
        bytes = good;
        const std::size_t directory = bytes.find("PK\x01\x02");
        bytes.replace(directory + 42, 4,
                      std::string("\xf0\x00\x00\x00", 4)); // offset of the first local header
        QCOMPARE(code_of_zip(bytes), "NPZ-ZIP");
        bytes = good;
        const std::size_t second = bytes.find("PK\x01\x02", directory + 1);
        bytes.replace(second + 42, 4, std::string(4, '\0')); // two members over the same bytes
        QCOMPARE(code_of_zip(bytes), "NPZ-ZIP");
        bytes = good;
        bytes[directory + 10] = 12; // bzip2
        QCOMPARE(code_of_zip(bytes), "NPZ-COMPRESSED");
        bytes[directory + 10] = 8; // not deflate at all
        QCOMPARE(code_of_zip(bytes), "NPZ-COMPRESSED");
        bytes.replace(directory + 24, 4, "\xf0\xff\xff\xff"); // 4 GB out of 136 bytes
        QCOMPARE(code_of_zip(bytes), "NPZ-COMPRESSED");
        QCOMPARE(code_of([&] { read_npz(path("good.npz"), 100); }), "F-TOO-LARGE");
        int refused = 0;
        for (std::size_t at = 0; at < good.size(); ++at) { // anything but an Error ends the test
            bytes = good;
            bytes[at] = static_cast<char>(~bytes[at]);
            refused += code_of_zip(bytes) != "none";
        }
        QVERIFY(refused > static_cast<int>(good.size()) / 2);
        const NpyArray one = NpyArray::from({1}, std::vector<float>{1});
        bool twice = false;
        try {
            write_npz(path("good.npz"), {{"a", one}, {"a", one}});
        } catch (const Error& e) {
            twice = e.kind() == ErrorKind::usage;
        }
        QVERIFY(twice);
        QVERIFY(read_all(path("good.npz")) == good); // untouched by the failed write
    }
};

QTEST_GUILESS_MAIN(TestNpy)
#include "test_npy.moc"
