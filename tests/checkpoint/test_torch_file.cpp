// SPDX-License-Identifier: GPL-3.0-or-later
// PyTorch files: what the framework itself has written reads back to the same numbers; what breaks a rule,
// cuts a file off, flips its bits or tries to run something is refused, and nothing runs.
#include "engine/checkpoint/torch_file.h"
#include "tests/checkpoint/support_files.h"
#include "tests/checkpoint/support_torch.h"

#include <QElapsedTimer>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <QTest>

#include <cstring>

using namespace ergo;

namespace {

const std::string data_folder = ERGO_TEST_DATA "/checkpoint/";

std::string bytes_of(const std::string& name) {
    QFile file(QString::fromStdString(data_folder + name));
    return file.open(QIODevice::ReadOnly) ? file.readAll().toStdString() : std::string();
}

TorchFile parse(const std::string& bytes) {
    const auto owned = std::make_shared<std::string>(bytes);
    return read_torch_file(std::as_bytes(std::span(owned->data(), owned->size())), owned, "x.pt");
}

QString zip_code(const MadeZip& zip) {
    return code_of([&] { parse(zip.bytes); });
}

QString pickle_code(const std::string& pickle) {
    return zip_code(torch_zip(pickle));
}

/// Names to tensors, wherever the file has them: at the top, in a list, or under the wrappers used here.
const TorchValue* find_tensor(const TorchValue& root, const std::string& name) {
    const TorchValue* map = &root;
    for (const char* wrapper : {"state_dict", "model"}) {
        if (const TorchValue* inner = map->find(wrapper)) {
            map = inner;
        }
    }
    for (const char* prefix : {"", "module.", "_orig_mod.", "_orig_mod.module."}) {
        if (const TorchValue* found = map->find(prefix + name)) {
            return found;
        }
    }
    if (root.sequence()) {
        return &(*root.sequence())[std::stoul(name)];
    }
    return root.tensor() ? &root : nullptr;
}

template <class Integer> QString integer_at(const Tensor& tensor, qsizetype i) {
    Integer value;
    std::memcpy(&value, tensor.bytes().data() + std::size_t(i) * sizeof value, sizeof value);
    return QString::number(value);
}

QString integer_text(const Tensor& tensor, qsizetype i) {
    switch (tensor.dtype()) {
    case DType::i64:
        return integer_at<std::int64_t>(tensor, i);
    case DType::i32:
        return integer_at<std::int32_t>(tensor, i);
    case DType::i16:
        return integer_at<std::int16_t>(tensor, i);
    case DType::u64:
        return integer_at<std::uint64_t>(tensor, i);
    case DType::u32:
        return integer_at<std::uint32_t>(tensor, i);
    case DType::u16:
        return integer_at<std::uint16_t>(tensor, i);
    default:
        return QString::number(std::to_integer<int>(tensor.bytes()[std::size_t(i)]));
    }
}

void compare(const TorchValue& value, const QJsonObject& wanted, const QString& where) {
    Shape shape;
    for (const QJsonValue n : wanted["shape"].toArray()) {
        shape.push_back(n.toInteger());
    }
    if (value.unreadable()) {
        QVERIFY2(value.unreadable()->shape == shape && !wanted.contains("values"), qPrintable(where));
        return;
    }
    QVERIFY2(value.tensor(), qPrintable(where));
    const Tensor& tensor = *value.tensor();
    QVERIFY2(tensor.shape() == shape, qPrintable(where));
    const QJsonArray values = wanted["values"].toArray(), integers = wanted["integers"].toArray();
    QCOMPARE(tensor.size(), values.size() + integers.size());
    if (!values.isEmpty()) {
        const std::vector<float> floats = tensor.to_floats();
        for (qsizetype i = 0; i < values.size(); ++i) {
            QVERIFY2(floats[std::size_t(i)] == float(values[i].toDouble()), qPrintable(where));
        }
    }
    for (qsizetype i = 0; i < integers.size(); ++i) {
        QVERIFY2(integer_text(tensor, i) == integers[i].toString(), qPrintable(where));
    }
}

/// Reads bytes that may be anything: a value or an Error, never another exception.
bool reads(const std::string& bytes) {
    try {
        parse(bytes);
        return true;
    } catch (const Error&) {
        return false;
    }
}

} // namespace

class TestTorchFile : public QObject {
    Q_OBJECT

  private slots:
    void reads_what_pytorch_writes_data() {
        QTest::addColumn<QJsonObject>("tensors");
        const auto all =
            QJsonDocument::fromJson(QByteArray::fromStdString(bytes_of("expected.json"))).object();
        QVERIFY(all.size() >= 10);
        for (auto it = all.begin(); it != all.end(); ++it) {
            if (!it.value().toObject().isEmpty()) {
                QTest::newRow(qPrintable(it.key())) << it.value().toObject();
            }
        }
    }

    void reads_what_pytorch_writes() {
        QFETCH(QJsonObject, tensors);
        const TorchFile file = read_torch_file(map_file(data_folder + QTest::currentDataTag()));
        QVERIFY(file.warnings.empty());
        for (auto it = tensors.begin(); it != tensors.end(); ++it) {
            const TorchValue* value = find_tensor(file.root, it.key().toStdString());
            QVERIFY2(value, qPrintable(it.key()));
            compare(*value, it.value().toObject(), it.key());
        }
    }

    void copies_only_what_is_not_contiguous() {
        const auto mapping = map_file(data_folder + "views.pt");
        const TorchFile file = read_torch_file(mapping);
        const auto inside = [&](const char* name) {
            const std::byte* at = file.root.find(name)->tensor()->bytes().data();
            return at >= mapping->bytes().data() && at < mapping->bytes().data() + mapping->size();
        };
        for (const char* name : {"base", "again", "slice", "scalar", "unit_stride"}) {
            QVERIFY2(inside(name), name);
        }
        for (const char* name : {"transposed", "permuted", "column", "every_other", "expanded"}) {
            QVERIFY2(!inside(name), name);
        }
        QCOMPARE(file.root.find("base")->tensor()->bytes().data(),
                 file.root.find("again")->tensor()->bytes().data());
    }

    void keeps_plain_values() {
        const TorchFile file = read_torch_file(map_file(data_folder + "wrapper.pt"));
        QCOMPARE(*file.root.find("step")->integer(), 81252);
        QCOMPARE(*file.root.find("tokens_consumed")->integer(), 21300000000);
        QCOMPARE(*file.root.find("loss")->real(), 2.5);
        QCOMPARE(*file.root.find("done")->boolean(), true);
        QCOMPARE(*file.root.find("note")->text(), std::string("written by a test"));
        QVERIFY(file.root.find("nothing")->is_none());
        QCOMPARE(*file.root.find("scheduler")->find("decay_type")->text(), std::string("linear"));
        const TorchFile made =
            parse(torch_zip(pk::proto + pk::one(pk::global("torch", "bfloat16")) + pk::stop).bytes);
        QCOMPARE(made.root.find("w")->symbol()->stored_type, std::string_view("BF16"));
        // bytes as protocol 2 writes them, a set, a size, a device, negative and 64-bit integers
        const std::string latin = pk::global("_codecs", "encode") + pk::text("\xc3\xbf\x01") +
                                  pk::text("latin1") + pk::tuple2 + pk::reduce;
        const std::string set = pk::global("__builtin__", "set") + pk::empty_list + pk::mark +
                                pk::integer(-5) + pk::integer(6) + pk::appends + pk::tuple1 + pk::reduce;
        const std::string size =
            pk::global("torch", "Size") + pk::numbers({3, -9007199254740993}) + pk::tuple1 + pk::reduce;
        const TorchFile values =
            parse(torch_zip(pk::proto + pk::mark + latin + set + size + pk::tuple + pk::stop).bytes);
        const auto& items = *values.root.sequence();
        QCOMPARE(*items[0].bytes(), std::string("\xff\x01"));
        QCOMPARE(*(*items[1].sequence())[0].integer(), -5);
        QCOMPARE(*(*items[2].sequence())[1].integer(), -9007199254740993);
    }

    void names_other_forms() {
        const auto code = [](const char* name) { return code_of([&] { parse(bytes_of(name)); }); };
        QCOMPARE(code("legacy.pt"), "PT-LEGACY");
        QVERIFY(text_of([] { parse(bytes_of("legacy.pt")); }).contains("torch.save"));
        QCOMPARE(code("script.pt"), "PT-TORCHSCRIPT");
        QCOMPARE(code("whole_module.pt"), "PT-GLOBAL");
        QVERIFY(text_of([] { parse(bytes_of("whole_module.pt")); }).contains("torch.nn.modules"));
        QCOMPARE(code_of([] { parse(std::string("\x80\x04K\x01.", 5)); }), "PT-LAYOUT");
        QCOMPARE(code_of([] { parse(std::string(257, 'x') + "ustar" + std::string(300, '\0')); }), "PT-TAR");
        QCOMPARE(code_of([] { parse("GGUF and so on"); }), "F-UNSUPPORTED");
        QCOMPARE(code_of([] { parse(""); }), "F-EMPTY");
    }

    void refuses_bad_archives_data();
    void refuses_bad_archives();
    void refuses_bad_pickles_data();
    void refuses_bad_pickles();
    void runs_nothing_data();
    void runs_nothing();
    void bounds_memory_and_time();

    void initTestCase() { QVERIFY(folder_.isValid()); }

    void accepts_zip64() {
        // one member whose size and offset stand in the 64-bit extra field, and 64-bit end records
        const std::string pickle = pk::proto + pk::one(pk::integer(3)) + pk::stop;
        MadeZip plain = make_zip({{"m/data.pkl", pickle}});
        std::string directory = plain.bytes.substr(plain.directory, plain.end - plain.directory);
        directory.replace(20, 8, std::string(8, '\xff')).replace(42, 4, std::string(4, '\xff'));
        const std::string extra =
            le(1, 2) + le(24, 2) + le(pickle.size(), 8) + le(pickle.size(), 8) + le(0, 8);
        directory.replace(30, 2, le(extra.size(), 2));
        directory += extra;
        const auto build = [&](std::uint64_t count) {
            std::string bytes = plain.bytes.substr(0, plain.directory) + directory;
            const std::size_t record = bytes.size();
            bytes += "PK\x06\x06" + le(44, 8) + le(45, 2) + le(45, 2) + le(0, 8) + le(count, 8) +
                     le(count, 8) + le(directory.size(), 8) + le(plain.directory, 8);
            bytes += "PK\x06\x07" + le(0, 4) + le(record, 8) + le(1, 4);
            return bytes + "PK\x05\x06" + le(0, 4) + std::string(12, '\xff') + le(0, 2);
        };
        QCOMPARE(*parse(build(1)).root.find("w")->integer(), 3);
        QCOMPARE(code_of([&] { parse(build(2)); }), "PT-ZIP");
        QCOMPARE(code_of([&] { parse(build(1'000'001)); }), "PT-ZIP");
    }

    void warns_of_wrong_checksums() {
        MadeZip zip = torch_zip(pk::proto + pk::one(pk::tensor()) + pk::stop);
        QVERIFY(parse(zip.bytes).warnings.empty());
        zip.put(zip.central[1] + 16, 0x12345678, 4);
        const TorchFile file = parse(zip.bytes);
        QCOMPARE(file.warnings.size(), 1u);
        QVERIFY(file.warnings[0].starts_with("PT-CRC") &&
                file.warnings[0].find("m/data/0") != std::string::npos);
    }

    void survives_every_truncation() {
        for (const char* name : {"module.bin", "protocol4.pt", "views.pt", "big_endian.pt", "legacy.pt"}) {
            const std::string whole = bytes_of(name);
            QVERIFY(whole.size() > 1000);
            for (std::size_t size = 0; size < whole.size(); ++size) {
                QVERIFY2(!reads(whole.substr(0, size)), name);
            }
        }
    }

    void survives_every_flipped_bit() {
        for (const char* name : {"module.bin", "protocol5.pt", "views.pt"}) {
            std::string bytes = bytes_of(name);
            int read = 0;
            for (std::size_t bit = 0; bit < std::min<std::size_t>(bytes.size(), 4096) * 8; ++bit) {
                bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
                read += reads(bytes);
                bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
            }
            QVERIFY2(read > 0 && reads(bytes),
                     name); // a flipped bit inside a number is only a checksum's business
        }
    }

  private:
    /// A file that hostile pickles would leave behind.
    QString witness() const { return folder_.filePath("ran"); }

    QTemporaryDir folder_;
};

void TestTorchFile::refuses_bad_archives_data() {
    QTest::addColumn<QString>("code");
    QTest::addColumn<QByteArray>("bytes");
    const std::string pickle = pk::proto + pk::one(pk::tensor()) + pk::stop;
    const MadeZip good = torch_zip(pickle);
    QCOMPARE(zip_code(good), "none");
    const auto row = [](const char* name, const char* code, const std::string& bytes) {
        QTest::newRow(name) << code << QByteArray::fromStdString(bytes);
    };
    const auto patched = [&](std::size_t at, std::uint64_t value, int size) {
        MadeZip zip = good;
        zip.put(at, value, size);
        return zip.bytes;
    };
    row("something follows", "PT-ZIP", good.bytes + "x");
    row("cut off", "PT-ZIP", good.bytes.substr(0, good.end));
    row("two end records", "PT-ZIP",
        good.bytes.substr(0, good.end + 20) + le(22, 2) + good.bytes.substr(good.end, 22));
    row("second disk", "PT-ZIP", patched(good.end + 4, 1, 2));
    row("part of the members", "PT-ZIP", patched(good.end + 8, 2, 2));
    row("one member more", "PT-ZIP", patched(good.end + 8, 0x00040004, 4));
    row("one member less", "PT-ZIP", patched(good.end + 8, 0x00020002, 4));
    row("directory elsewhere", "PT-ZIP", patched(good.end + 16, good.directory - 1, 4));
    row("directory too long", "PT-ZIP", patched(good.end + 12, good.end, 4));
    row("64-bit record missing", "PT-ZIP", patched(good.end + 16, 0xffffffff, 4));
    row("no entry", "PT-ZIP", patched(good.central[1], 0, 4));
    row("long name", "PT-ZIP", patched(good.central[2] + 28, 0xffff, 2));
    row("encrypted", "PT-ZIP", patched(good.central[1] + 8, 1, 2));
    row("encrypted here only", "PT-ZIP", patched(good.local[1] + 6, 1, 2));
    row("member on a disk", "PT-ZIP", patched(good.central[1] + 34, 1, 2));
    row("stored smaller", "PT-ZIP", patched(good.central[1] + 20, 15, 4));
    MadeZip deflated = good;
    deflated.put(good.central[1] + 10, 8, 2);
    row("deflated there only", "PT-ZIP", deflated.bytes);
    deflated.put(good.local[1] + 8, 8, 2);
    row("deflated", "PT-COMPRESSED", deflated.bytes);
    row("deflated here only", "PT-ZIP", patched(good.local[1] + 8, 8, 2));
    row("64-bit size missing", "PT-ZIP", patched(good.central[1] + 24, 0xffffffff, 4));
    row("no local header", "PT-ZIP", patched(good.local[1], 0, 4));
    row("offset into the directory", "PT-ZIP", patched(good.central[1] + 42, good.directory - 2, 4));
    row("offset beyond the file", "PT-ZIP", patched(good.central[1] + 42, 0xfffffff0, 4));
    row("another local name", "PT-ZIP", patched(good.local[1] + 30, 'n', 1));
    row("another local size", "PT-ZIP", patched(good.local[1] + 22, 15, 4));
    row("local name into the directory", "PT-ZIP", patched(good.local[2] + 28, 0xffff, 2));
    MadeZip large = good;
    for (const std::size_t at :
         {good.central[2] + 20, good.central[2] + 24, good.local[2] + 18, good.local[2] + 22}) {
        large.put(at, 9, 4);
    }
    row("content into the directory", "PT-ZIP", large.bytes);
    MadeZip both = make_zip({{"m/data.pkl", pickle}, {"m/data/0", std::string(16, 'x')}, {"m/data/0", ""}});
    row("two of one name", "PT-LAYOUT", both.bytes);
    both.put(both.central[2] + 42, both.local[1], 4);
    for (const std::size_t at : {20, 24}) {
        both.put(both.central[2] + at, 16, 4);
    }
    row("one over the other", "PT-OVERLAP", both.bytes);
    row("no pickle", "PT-LAYOUT", make_zip({{"m/readme", "hello"}}).bytes);
    row("empty archive", "F-UNKNOWN", make_zip({}).bytes);
    row("two pickles", "PT-LAYOUT", make_zip({{"m/data.pkl", pickle}, {"n/data.pkl", pickle}}).bytes);
    row("storage in another folder", "PT-STORAGE",
        make_zip({{"m/data.pkl", pickle}, {"n/data/0", std::string(16, 'x')}}).bytes);
    row("program constants", "PT-TORCHSCRIPT",
        make_zip({{"m/data.pkl", pickle}, {"m/constants.pkl", ""}}).bytes);
    row("program code", "PT-TORCHSCRIPT", make_zip({{"m/data.pkl", pickle}, {"m/code/a.py", ""}}).bytes);
    row("byte order", "PT-BYTEORDER",
        make_zip({{"m/data.pkl", pickle}, {"m/data/0", std::string(16, 'x')}, {"m/byteorder", "pdp"}}).bytes);
}

void TestTorchFile::refuses_bad_archives() {
    QFETCH(QString, code);
    QFETCH(QByteArray, bytes);
    const auto open = [&] { parse(bytes.toStdString()); };
    QCOMPARE(code_of(open), code);
    QVERIFY(text_of(open).contains("x.pt"));
}

void TestTorchFile::refuses_bad_pickles_data() {
    using namespace pk;
    QTest::addColumn<QString>("code");
    QTest::addColumn<QByteArray>("pickle");
    const auto raw = [](const char* name, const char* code, const std::string& pickle) {
        QTest::newRow(name) << code << QByteArray::fromStdString(pickle);
    };
    const auto row = [&](const char* name, const char* code, const std::string& body) {
        raw(name, code, proto + body + stop);
    };
    const auto with = [](auto change) {
        TensorParts parts;
        change(parts);
        return one(tensor(parts));
    };
    raw("empty", "PT-PROTOCOL", "");
    raw("no protocol", "PT-PROTOCOL", "}.");
    raw("protocol 1", "PT-PROTOCOL", "\x80\x01}.");
    raw("protocol 6", "PT-PROTOCOL", "\x80\x06}.");
    raw("no end", "PT-PICKLE", proto + empty_map);
    row("nothing", "PT-PICKLE", "");
    row("two values", "PT-PICKLE", none + none);
    row("more after the end", "PT-PICKLE", none + stop + none);
    row("unknown instruction", "PT-PICKLE", "\xff");
    row("mark left", "PT-PICKLE", none + mark);
    row("tuple without mark", "PT-PICKLE", none + tuple);
    row("stack underflow", "PT-PICKLE", none + tuple2);
    row("below a mark", "PT-PICKLE", none + mark + tuple1);
    row("recall before remembering", "PT-PICKLE", "h\x05");
    row("far recall", "PT-PICKLE", "j\xff\xff\xff\xff");
    row("text cut off", "PT-PICKLE", "X" + le(100, 4) + "abc");
    row("long text", "PT-PICKLE", "X" + le(0xffffffff, 4));
    row("long bytes", "PT-PICKLE", "\x8e" + std::string(8, '\xff'));
    row("invalid UTF-8", "PT-PICKLE", text("\xff\xfe"));
    row("long integer", "PT-PICKLE", "\x8a\x09" + std::string(9, '\x01'));
    row("frame", "PT-PICKLE", "\x95" + le(1000, 8) + none);
    row("odd items", "PT-PICKLE", empty_map + mark + text("a") + setitems);
    row("item of a list", "PT-PICKLE", empty_list + text("a") + none + setitem);
    row("append to a map", "PT-PICKLE", empty_map + none + append);
    row("duplicate key", "PT-PICKLE", empty_map + text("a") + none + setitem + text("a") + none + setitem);
    row("duplicate number", "PT-PICKLE", empty_map + integer(1) + none + setitem + yes + none + setitem);
    row("duplicate below", "PT-PICKLE",
        one(empty_map + text("a") + none + setitem + text("a") + none + setitem));
    row("list as key", "PT-PICKLE", empty_map + empty_list + none + setitem);
    row("list in a key", "PT-PICKLE", empty_map + empty_list + tuple1 + none + setitem);
    row("list in a set", "PT-PICKLE", "\x8f" + mark + empty_list + "\x90");
    row("contains itself", "PT-PICKLE", empty_list + std::string("q\0h\0", 4) + append);
    row("contains itself further down", "PT-PICKLE",
        empty_list + std::string("q\0", 2) + empty_list + std::string("h\0", 2) + append + append);
    std::string deep = none;
    for (int i = 0; i < 70; ++i) {
        deep += tuple1;
    }
    row("deep", "PT-PICKLE", deep);
    row("deep by lists", "PT-PICKLE", std::string(70, ']') + std::string(69, 'a'));
    row("very deep", "PT-PICKLE", std::string(1'000'000, '(') + std::string(1'000'000, 't'));
    row("reduce of a number", "PT-PICKLE", none + empty_tuple + reduce);
    row("reduce without tuple", "PT-PICKLE", global("collections", "OrderedDict") + empty_list + reduce);
    row("build on a list", "PT-OBJECT", empty_list + empty_map + build);
    row("build on a tensor", "PT-OBJECT", one(tensor() + empty_map + build));
    row("symbol with arguments", "PT-OBJECT", global("collections", "OrderedDict") + numbers({1}) + reduce);
    row("symbol as function", "PT-OBJECT", global("torch", "float32") + empty_tuple + reduce);
    row("storage type as function", "PT-OBJECT", global("torch", "FloatStorage") + numbers({9}) + reduce);
    row("unknown symbol", "PT-GLOBAL", global("torch", "load"));
    row("numpy", "PT-GLOBAL", global("numpy.core.multiarray", "_reconstruct"));
    row("submodule", "PT-GLOBAL", global("collections.abc", "OrderedDict"));
    row("endless name", "PT-PICKLE", "c" + std::string(5000, 'x'));
    row("factory of nothing", "PT-OBJECT", global("collections", "defaultdict") + none + tuple1 + reduce);
    row("quantised", "PT-UNSUPPORTED-TENSOR", global("torch._utils", "_rebuild_qtensor"));
    row("sparse", "PT-UNSUPPORTED-TENSOR", global("torch._utils", "_rebuild_sparse_tensor"));
    row("id of a number", "PT-PERSID", integer(3) + persid);
    row("id of a module", "PT-OBJECT", mark + text("module") + none + tuple + persid);
    row("id of another thing", "PT-PERSID",
        mark + text("file") + global("torch", "FloatStorage") + text("0") + text("cpu") + integer(4) + tuple +
            persid);
    row("id with a view", "PT-PERSID",
        mark + text("storage") + global("torch", "FloatStorage") + text("0") + text("cpu") + integer(4) +
            numbers({1, 2, 3}) + tuple + persid);
    row("type of a storage", "PT-PERSID", storage("float32", "0", 4));
    row("no such storage", "PT-STORAGE", storage("FloatStorage", "1", 4));
    row("path as key", "PT-STORAGE", storage("FloatStorage", "../version", 4));
    row("short storage", "PT-STORAGE", storage("FloatStorage", "0", 5));
    row("long storage", "PT-STORAGE", storage("FloatStorage", "0", 3));
    row("negative storage", "PT-STORAGE", storage("FloatStorage", "0", -4));
    row("wrapping storage", "PT-STORAGE", storage("FloatStorage", "0", (std::int64_t{1} << 62) + 4));
    row("one key, two types", "PT-STORAGE",
        mark + storage("FloatStorage", "0", 4) + storage("IntStorage", "0", 4) + tuple);
    row("hooks", "PT-OBJECT", with([](TensorParts& p) { p.hooks = one(none); }));
    row("hooks missing", "PT-OBJECT", with([](TensorParts& p) { p.hooks = none; }));
    row("conjugated", "PT-UNSUPPORTED-TENSOR", with([](TensorParts& p) { p.tail = one(yes, "conj"); }));
    row("too many arguments", "PT-OBJECT", with([](TensorParts& p) { p.tail = none + none; }));
    row("no storage", "PT-OBJECT", with([](TensorParts& p) { p.storage = none; }));
    row("sizes of text", "PT-TENSOR", with([](TensorParts& p) { p.size = text("4"); }));
    row("ranks differ", "PT-TENSOR", with([](TensorParts& p) { p.stride = numbers({1, 1}); }));
    row("rank 9", "PT-TENSOR", with([](TensorParts& p) {
            p.size = numbers({1, 1, 1, 1, 1, 1, 1, 1, 1});
            p.stride = p.size;
        }));
    row("rank 1000", "PT-TENSOR", with([](TensorParts& p) {
            p.size = numbers(std::vector<std::int64_t>(1000, 1));
            p.stride = p.size;
        }));
    row("negative size", "PT-TENSOR", with([](TensorParts& p) { p.size = numbers({-1}); }));
    row("negative stride", "PT-TENSOR", with([](TensorParts& p) { p.stride = numbers({-1}); }));
    row("negative offset", "PT-TENSOR", with([](TensorParts& p) { p.offset = integer(-1); }));
    row("offset of text", "PT-TENSOR", with([](TensorParts& p) { p.offset = text("0"); }));
    row("beyond by size", "PT-TENSOR", with([](TensorParts& p) { p.size = numbers({5}); }));
    row("beyond by stride", "PT-TENSOR", with([](TensorParts& p) { p.stride = numbers({2}); }));
    row("beyond by offset", "PT-TENSOR", with([](TensorParts& p) { p.offset = integer(1); }));
    row("wrapping stride", "PT-TENSOR",
        with([](TensorParts& p) { p.stride = numbers({std::int64_t{1} << 62}); }));
    row("wrapping size", "PT-TENSOR", with([](TensorParts& p) {
            p.size = numbers({std::int64_t{1} << 32, std::int64_t{1} << 32, std::int64_t{1} << 32});
            p.stride = numbers({0, 0, 0});
        }));
    row("expanded far", "F-TOO-LARGE", with([](TensorParts& p) {
            p.size = numbers({std::int64_t{1} << 40});
            p.stride = numbers({0});
        }));
    row("parameter of a number", "PT-OBJECT",
        one(global("torch._utils", "_rebuild_parameter") + mark + none + yes + ordered_map() + tuple +
            reduce));
    row("parameter with hooks", "PT-OBJECT",
        one(global("torch._utils", "_rebuild_parameter") + mark + tensor() + yes + one(none) + tuple +
            reduce));
    row("rebuild of itself", "PT-OBJECT",
        global("torch._tensor", "_rebuild_from_type_v2") + mark +
            global("torch._tensor", "_rebuild_from_type_v2") + global("torch", "Tensor") + empty_tuple +
            none + tuple + reduce);
}

void TestTorchFile::refuses_bad_pickles() {
    QFETCH(QString, code);
    QFETCH(QByteArray, pickle);
    QElapsedTimer timer;
    timer.start();
    const auto open = [&] { parse(torch_zip(pickle.toStdString()).bytes); };
    QCOMPARE(code_of(open), code);
    QVERIFY(text_of(open).contains("x.pt at byte "));
    QVERIFY(timer.elapsed() < 5000);
}

void TestTorchFile::runs_nothing_data() {
    using namespace pk;
    QTest::addColumn<QByteArray>("pickle");
    const auto row = [](const char* name, const std::string& body) {
        QTest::newRow(name) << QByteArray::fromStdString(body);
    };
    const std::string command = "touch " + witness().toStdString();
    const std::string argument = text(command) + tuple1;
    for (const auto& [module, name] : {std::pair("os", "system"),
                                       {"posix", "system"},
                                       {"builtins", "eval"},
                                       {"__builtin__", "exec"},
                                       {"subprocess", "Popen"},
                                       {"torch", "load"},
                                       {"torch.serialization", "load"},
                                       {"torch.hub", "load"},
                                       {"builtins", "getattr"},
                                       {"operator", "attrgetter"}}) {
        row((std::string("global ") + module + " " + name).c_str(),
            proto + global(module, name) + argument + reduce + stop);
    }
    row("newobj", proto + global("os", "system") + argument + newobj + stop);
    row("stack global", "\x80\x04\x8c\x02os\x8c\x06system\x93" + argument + reduce + stop);
    row("dotted name",
        "\x80\x04" + text("collections") + text("OrderedDict.fromkeys") + "\x93" + argument + reduce + stop);
    row("inst", proto + mark + text(command) + "ios\nsystem\n" + stop);
    row("obj", proto + mark + global("os", "system") + text(command) + "o" + stop);
    row("newobj_ex", "\x80\x04" + global("os", "system") + argument + empty_map + "\x92" + stop);
    row("extension 1", proto + "\x82\x01" + stop);
    row("extension 2", proto + "\x83\x01" + std::string(1, '\0') + stop);
    row("extension 4", proto + "\x84\x01" + std::string(3, '\0') + stop);
    row("persistent text", proto + "Pos.system\n" + stop);
    row("after a good tensor",
        proto + mark + one(tensor()) + global("os", "system") + argument + reduce + tuple + stop);
    row("as a factory",
        proto + global("collections", "defaultdict") + global("os", "system") + tuple1 + reduce + stop);
    row("as a type", proto + global("torch._tensor", "_rebuild_from_type_v2") + mark +
                         global("os", "system") + global("torch", "Tensor") + argument + none + tuple +
                         reduce + stop);
}

void TestTorchFile::runs_nothing() {
    QFETCH(QByteArray, pickle);
    const QString code = pickle_code(pickle.toStdString());
    QVERIFY2(code == "PT-GLOBAL" || code == "PT-PICKLE" || code == "PT-OBJECT", qPrintable(code));
    QVERIFY(!QFile::exists(witness()));
}

void TestTorchFile::bounds_memory_and_time() {
    using namespace pk;
    QElapsedTimer timer;
    timer.start();
    // Every level holds the one below twice: a value of 2^60 leaves when followed, a few bytes when shared.
    std::string shared = proto + none + std::string("q\0", 2);
    for (char level = 1; level <= 60; ++level) {
        shared += std::string("h") + static_cast<char>(level - 1) + tuple2 + "q" + level;
    }
    QVERIFY(parse(torch_zip(shared + stop).bytes).root.sequence());
    QCOMPARE(pickle_code(proto + one(none) + shared.substr(2) + stop), "PT-PICKLE");
    // the same as a key, and as a wrapper under a wrapper
    QCOMPARE(pickle_code(proto + empty_map + shared.substr(2) + none + setitem + stop), "none");
    // Many small things out of few bytes, far more than the file can justify.
    QCOMPARE(pickle_code(proto + mark + std::string(4'000'000, ']') + tuple + stop), "F-TOO-LARGE");
    QCOMPARE(pickle_code(proto + mark + std::string(9'000'000, 'N') + tuple + stop), "F-TOO-LARGE");
    QCOMPARE(pickle_code(proto + std::string(5'000'000, '(') + stop), "F-TOO-LARGE");
    std::string memos = proto + none;
    for (std::uint32_t i = 0; i < 900'000; ++i) {
        memos += "r" + le(0xffffffff - i, 4);
    }
    QCOMPARE(pickle_code(memos + stop), "F-TOO-LARGE");
    // An expanded tensor again and again.
    TensorParts wide;
    wide.size = numbers({1 << 20});
    wide.stride = numbers({0});
    std::string many = proto + mark;
    for (int i = 0; i < 40; ++i) {
        many += tensor(wide);
    }
    QCOMPARE(pickle_code(many + tuple + stop), "F-TOO-LARGE");
    QVERIFY2(timer.elapsed() < 60'000, "hostile files must be refused quickly");
}

QTEST_GUILESS_MAIN(TestTorchFile)
#include "test_torch_file.moc"
