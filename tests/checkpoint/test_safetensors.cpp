// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/checkpoint/support_files.h"

#include <QTemporaryDir>
#include <QTest>

#include <cstring>

using namespace ergo;

namespace {

SafetensorsFile parse(const std::string& bytes) {
    const auto owned = std::make_shared<std::string>(bytes);
    return read_safetensors(std::as_bytes(std::span(owned->data(), owned->size())), owned, "x.safetensors");
}

QString header_code(const std::string& header, const std::string& data = "") {
    return code_of([&] { parse(safetensors_bytes(header, data)); });
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

const std::string four_bytes = "\x01\x02\x03\x04";

} // namespace

class TestSafetensors : public QObject {
    Q_OBJECT

  private slots:
    void accepts_odd_but_valid_files() {
        // Unsorted entries, a scalar, zero-sized tensors sharing an offset, names to escape, padding, an F8
        // tensor.
        const std::string header = R"({"b\u0000\u202e":)" + entry("F32", "[1,2]", "[2,10]") + R"(,"zero":)" +
                                   entry("F32", "[0,7]", "[2,2]") + R"(,"":)" + entry("BF16", "[]", "[0,2]") +
                                   R"(,"f8":)" + entry("F8_E4M3", "[3]", "[10,13]") +
                                   R"(,"__metadata__":{"format":"pt"}}    )";
        const float values[2] = {1.5f, -2.0f};
        std::string data = "\x80\x3f"; // bfloat16 1.0
        data.append(reinterpret_cast<const char*>(values), 8);
        const SafetensorsFile file = parse(safetensors_bytes(header, data + "abc"));
        QCOMPARE(file.entries.size(), 4u);
        QCOMPARE(file.metadata.at("format"), std::string("pt"));
        QCOMPARE(file.entries[0].name, std::string());
        QCOMPARE(file.entries[1].name, std::string("zero"));
        QCOMPARE(file.tensor("").to_floats(), std::vector<float>{1.0f});
        QCOMPARE(file.tensor(std::string("b\0\u202e", 5)).to_floats(), (std::vector<float>{1.5f, -2.0f}));
        QCOMPARE(file.tensor("zero").size(), 0);
        QCOMPARE(file.find("f8")->stored_type, std::string_view("F8_E4M3"));
        QCOMPARE(code_of([&] { file.tensor("f8"); }), "M-DTYPE");
        QCOMPARE(code_of([&] { file.tensor("absent"); }), "M-MISSING");
        QCOMPARE(parse(safetensors_bytes("{}", "")).entries.size(), 0u);
    }

    void refuses_bad_headers_data() {
        QTest::addColumn<QString>("code");
        QTest::addColumn<QByteArray>("header");
        QTest::addColumn<QByteArray>("data");
        const auto row = [](const char* name, const char* code, const std::string& header,
                            const std::string& data = "") {
            QTest::newRow(name) << code << QByteArray::fromStdString(header)
                                << QByteArray::fromStdString(data);
        };
        const auto one = [](const std::string& e) { return R"({"a":)" + e + "}"; };
        row("not an object", "ST-HEADER-TEXT", "[1,2]");
        row("space before", "ST-HEADER-TEXT", " {}");
        row("invalid UTF-8", "ST-HEADER-TEXT", "{\"\xff\":1}");
        row("unfinished", "ST-JSON", "{\"a\":{}");
        row("newline after", "ST-JSON", "{}\n");
        row("second value", "ST-JSON", "{} {}");
        row("NaN", "ST-JSON", one(entry("F32", "[NaN]", "[0,4]")), four_bytes);
        row("comment", "ST-JSON", "{/**/}");
        row("lone surrogate", "ST-JSON", R"({"\ud800":1})");
        row("trailing comma", "ST-JSON", "{\"a\":1,}");
        row("too deep", "ST-JSON", R"({"a":)" + std::string(100000, '[') + std::string(100000, ']') + "}");
        row("duplicate by escape", "ST-JSON",
            R"({"a":)" + entry("U8", "[0]", "[0,0]") + R"(,"\u0061":)" + entry("U8", "[0]", "[0,0]") + "}");
        row("duplicate member", "ST-JSON",
            R"({"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})");
        row("duplicate metadata", "ST-JSON", R"({"__metadata__":{"k":"1","k":"2"}})");
        row("metadata number", "ST-METADATA", R"({"__metadata__":{"k":1}})");
        row("metadata nested", "ST-METADATA", R"({"__metadata__":{"k":{"l":"m"}}})");
        row("metadata list", "ST-METADATA", R"({"__metadata__":["k"]})");
        row("metadata before entries", "ST-METADATA", R"({"a":1,"__metadata__":null})");
        row("entry number", "ST-ENTRY", R"({"a":1})");
        row("entry list", "ST-ENTRY", R"({"a":[1]})");
        row("no dtype", "ST-ENTRY", R"({"a":{"shape":[0],"data_offsets":[0,0]}})");
        row("no shape", "ST-ENTRY", R"({"a":{"dtype":"U8","data_offsets":[0,0]}})");
        row("extra member", "ST-ENTRY",
            R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"stride":[1]}})");
        row("unknown dtype", "ST-ENTRY", one(entry("F33", "[1]", "[0,4]")), four_bytes);
        row("negative size", "ST-ENTRY", one(entry("F32", "[-1]", "[0,4]")), four_bytes);
        row("minus zero", "ST-ENTRY", one(entry("F32", "[-0]", "[0,0]")));
        row("exponent", "ST-ENTRY", one(entry("U8", "[4e0]", "[0,4]")), four_bytes);
        row("beyond 64 bits", "ST-ENTRY", one(entry("U8", "[18446744073709551616]", "[0,4]")), four_bytes);
        row("size as text", "ST-ENTRY", one(entry("U8", "[\"4\"]", "[0,4]")), four_bytes);
        row("one offset", "ST-ENTRY", one(entry("U8", "[4]", "[4]")), four_bytes);
        row("three offsets", "ST-ENTRY", one(entry("U8", "[4]", "[0,4,4]")), four_bytes);
        row("nested shape", "ST-ENTRY", one(entry("U8", "[[4]]", "[0,4]")), four_bytes);
        row("wrong size", "ST-SIZE", one(entry("F32", "[2]", "[0,4]")), four_bytes);
        row("begin after end", "ST-SIZE", one(entry("U8", "[4]", "[4,0]")), four_bytes);
        row("huge shape", "ST-SIZE", one(entry("F32", "[4294967296,4294967296,4294967296]", "[0,4]")),
            four_bytes);
        row("wrapping shape", "ST-SIZE", one(entry("U8", "[4611686018427387904,4,1]", "[0,0]")));
        row("beyond 64 bits in bits", "ST-SIZE",
            one(entry("U8", "[9223372036854775807]", "[0,9223372036854775807]")));
        row("half a byte", "ST-SIZE", one(entry("F4", "[3]", "[0,1]")), "x");
        row("starts late", "ST-OFFSETS", one(entry("U8", "[3]", "[1,4]")), four_bytes);
        row("gap", "ST-OFFSETS",
            R"({"a":)" + entry("U8", "[1]", "[0,1]") + R"(,"b":)" + entry("U8", "[2]", "[2,4]") + "}",
            four_bytes);
        row("overlap", "ST-OFFSETS",
            R"({"a":)" + entry("U8", "[3]", "[0,3]") + R"(,"b":)" + entry("U8", "[2]", "[2,4]") + "}",
            four_bytes);
        row("same range twice", "ST-OFFSETS",
            R"({"a":)" + entry("U8", "[4]", "[0,4]") + R"(,"b":)" + entry("U8", "[4]", "[0,4]") + "}",
            four_bytes);
        row("data cut off", "F-TRUNCATED", one(entry("U8", "[4]", "[0,4]")), "abc");
        row("data beyond any file", "F-TRUNCATED",
            one(entry("U8", "[1152921504606846976]", "[0,1152921504606846976]")));
        row("bytes after", "F-TRAILING", one(entry("U8", "[3]", "[0,3]")), four_bytes);
        row("bytes after nothing", "F-TRAILING", "{}", "x");
    }

    void refuses_bad_headers() {
        QFETCH(QString, code);
        QFETCH(QByteArray, header);
        QFETCH(QByteArray, data);
        QCOMPARE(header_code(header.toStdString(), data.toStdString()), code);
    }

    void refuses_bad_lengths() {
        QCOMPARE(code_of([] { parse("1234567"); }), "ST-SHORT");
        QCOMPARE(code_of([] { parse(std::string(8, '\xff') + "{}"); }), "ST-HEADER-SIZE");
        const std::string good =
            safetensors_bytes(R"({"a":)" + entry("U8", "[4]", "[0,4]") + "}", four_bytes);
        QCOMPARE(code_of([&] { parse(good); }), "none");
        for (std::size_t n = 1; n < good.size(); ++n) { // cut anywhere: always a clear refusal
            const QString expected = n < 8                 ? "ST-SHORT"
                                     : n < good.size() - 4 ? "ST-HEADER-SIZE"
                                                           : "F-TRUNCATED";
            QCOMPARE(code_of([&] { parse(good.substr(0, n)); }), expected);
        }
        std::string own_size = good;
        own_size[0] = static_cast<char>(good.size());
        QCOMPARE(code_of([&] { parse(own_size); }), "ST-HEADER-SIZE");
        const QString text = text_of([&] { parse(good.substr(0, good.size() - 1)); });
        QVERIFY2(text.contains("need 4 bytes") && text.contains(QString::number(good.size() - 1)),
                 qPrintable(text));
    }

    void caps_the_number_of_tensors() {
        const auto many = [](int count) {
            std::string header = "{";
            for (int i = 0; i < count; ++i) {
                header += (i ? "," : "") + quoted(std::to_string(i)) +
                          R"(:{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
            }
            return header + "}";
        };
        QCOMPARE(header_code(many(1'000'002)), "F-TOO-LARGE");
        QCOMPARE(header_code(many(300'000)), "F-TOO-LARGE"); // 18 MB, but 170 MB of tables
        QCOMPARE(header_code(many(50'000)), "none");
    }

    void survives_any_changed_byte() {
        const std::string good = safetensors_bytes(
            R"({"__metadata__":{"k":"v"},"a":)" + entry("F16", "[2]", "[0,4]") + "}", four_bytes);
        int refused = 0;
        for (std::size_t at = 0; at < good.size() - 4; ++at) {
            for (const int flip : {0x01, 0x20, 0x80, 0xff}) {
                std::string bad = good;
                bad[at] = static_cast<char>(bad[at] ^ flip);
                refused += code_of([&] { parse(bad); }) != "none"; // anything but an Error ends the test
            }
        }
        QVERIFY(refused > static_cast<int>(good.size()));
    }

    void names_other_formats_data() {
        QTest::addColumn<QString>("code");
        QTest::addColumn<QByteArray>("bytes");
        QTest::addColumn<QString>("says");
        const auto row = [](const char* name, const char* code, const std::string& bytes, const char* says) {
            QTest::newRow(name) << code << QByteArray::fromStdString(bytes) << says;
        };
        const std::string rest(64, 'x');
        row("empty", "F-EMPTY", "", "0 bytes");
        row("lfs", "F-LFS-POINTER", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
            "12345");
        row("html", "F-WEBPAGE", "\n <!DocType html><title>x", "web page");
        row("json error", "F-WEBPAGE", R"({"error":"Repository not found"})", "web page");
        row("gguf", "F-UNSUPPORTED", "GGUF" + rest, "GGUF");
        row("zip", "F-UNSUPPORTED", "PK\x03\x04" + rest, "zip");
        row("zstd", "F-UNSUPPORTED", "\x28\xB5\x2F\xFD" + rest, "zstd");
        row("zstd skippable", "F-UNSUPPORTED", "\x5f\x2a\x4d\x18" + rest, "zstd");
        row("legacy", "F-UNSUPPORTED", "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19\x2E" + rest,
            "legacy");
        row("pickle", "F-UNSUPPORTED", "\x80\x04" + rest, "pickle");
        row("tar", "F-UNSUPPORTED", std::string(257, 'a') + "ustar" + rest, "tar");
        row("hdf5", "F-UNSUPPORTED", "\x89HDF" + rest, "HDF5");
        row("zeros", "F-UNKNOWN", std::string(5000, '\0'), "00 00 00 00");
    }

    void names_other_formats() {
        QFETCH(QString, code);
        QFETCH(QByteArray, bytes);
        QFETCH(QString, says);
        const auto open = [&] { parse(bytes.toStdString()); };
        QCOMPARE(code_of(open), code);
        QVERIFY2(text_of(open).contains(says), qPrintable(text_of(open)));
    }

    void writes_what_it_reads() {
        QTemporaryDir folder;
        const std::filesystem::path path = folder.filePath("t.safetensors").toStdString();
        const auto bytes = std::make_shared<std::string>("abcdef");
        const std::vector<std::pair<std::string, Tensor>> tensors{
            {"z \"quoted\" \u00e9", Tensor::from_floats({2, 1}, {1.25f, -3.0f})},
            {"half", Tensor(DType::f16, {3}, std::as_bytes(std::span(bytes->data(), 6)), bytes)},
            {"none", Tensor::from_floats({0, 5}, {})},
            {"scalar", Tensor::from_floats({}, {7.0f})}};
        write_safetensors(path, tensors, {{"format", "pt"}});
        const SafetensorsFile file = read_safetensors(map_file(path));
        QCOMPARE(file.metadata.at("format"), std::string("pt"));
        QCOMPARE((map_file(path)->size() - file.data.size()) % 8, 0u); // the data starts aligned
        for (const auto& [name, tensor] : tensors) {
            const Tensor back = file.tensor(name);
            QCOMPARE(back.shape(), tensor.shape());
            QVERIFY(back.dtype() == tensor.dtype());
            QVERIFY(std::equal(back.bytes().begin(), back.bytes().end(), tensor.bytes().begin(),
                               tensor.bytes().end()));
        }
        QVERIFY(!file.tensor("scalar").is_f32_view()); // six bytes of half put it off its alignment
        QCOMPARE(file.tensor("scalar").to_floats(), std::vector<float>{7.0f});
        const auto write = [&](const std::string& a, const std::string& b) {
            return text_of([&] {
                write_safetensors(path, {{a, tensors[0].second}, {b, tensors[0].second}});
            });
        };
        QVERIFY(write("a", "a").contains("twice"));
        QVERIFY(write("__metadata__", "b").contains("reserved"));
        QVERIFY(write("\xff", "b").contains("UTF-8"));
        QCOMPARE(read_safetensors(map_file(path)).entries.size(), 4u); // the old file is still whole
        QCOMPARE(QDir(folder.path()).entryList(QDir::Files | QDir::Hidden).size(), 1);
    }

    void write_errors_leave_nothing() {
        QTemporaryDir folder;
        const auto write = [](const std::filesystem::path& path) {
            return code_of([&] { write_safetensors(path, {{"a", Tensor::from_floats({1}, {1.0f})}}); });
        };
        QCOMPARE(write(folder.filePath("absent/x.safetensors").toStdString()), "F-IO");
        QVERIFY(QDir(folder.path()).mkdir("taken"));
        QCOMPARE(write(folder.filePath("taken").toStdString()), "F-IO");
        QCOMPARE(QDir(folder.path()).entryList(QDir::Files | QDir::Hidden).size(), 0);
    }

    void maps_files() {
        QTemporaryDir folder;
        const std::filesystem::path path = folder.filePath("f").toStdString();
        QCOMPARE(code_of([&] { map_file(path); }), "F-IO");
        QCOMPARE(code_of([&] { map_file(folder.path().toStdString()); }), "F-IO");
        write_bytes(path, "");
        QCOMPARE(code_of([&] { map_file(path); }), "F-EMPTY");
        write_bytes(path, "hello");
        const auto file = map_file(path);
        QCOMPARE(file->size(), 5u);
        file->check_unchanged();
        std::filesystem::resize_file(path, 2);
        QCOMPARE(code_of([&] { file->check_unchanged(); }), "F-IO");
        QCOMPARE(code_of([&] { read_text_file(path, 1); }), "F-TOO-LARGE");
        QCOMPARE(read_text_file(path, 2), std::string("he"));
    }
};

QTEST_GUILESS_MAIN(TestSafetensors)
#include "test_safetensors.moc"
