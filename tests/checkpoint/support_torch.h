// SPDX-License-Identifier: GPL-3.0-or-later
// Hand-made zip archives and pickles for the tests of the PyTorch reader.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

/// Little-endian bytes of a number.
inline std::string le(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) {
        out += static_cast<char>(value >> (8 * i) & 0xff);
    }
    return out;
}

inline std::uint32_t crc32_of(const std::string& bytes) {
    std::uint32_t crc = 0xffffffff;
    for (const char c : bytes) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }
    return ~crc;
}

/// A stored zip archive and where its parts begin, for tests that damage one of them.
struct MadeZip {
    std::string bytes;
    std::vector<std::size_t> local, central; ///< headers of the members
    std::size_t directory = 0, end = 0;

    void put(std::size_t at, std::uint64_t value, int size) {
        bytes.replace(at, std::size_t(size), le(value, size));
    }
};

inline MadeZip make_zip(const std::vector<std::pair<std::string, std::string>>& members) {
    MadeZip zip;
    std::string directory;
    for (const auto& [name, content] : members) {
        const std::string common = le(0, 2) + le(0, 2) + le(0, 4) + le(crc32_of(content), 4) +
                                   le(content.size(), 4) + le(content.size(), 4) + le(name.size(), 2) +
                                   le(0, 2);
        zip.local.push_back(zip.bytes.size());
        zip.central.push_back(directory.size());
        directory += "PK\x01\x02" + le(20, 2) + le(20, 2) + common + le(0, 2) + le(0, 2) + le(0, 2) +
                     le(0, 4) + le(zip.bytes.size(), 4) + name;
        zip.bytes += "PK\x03\x04" + le(20, 2) + common + name + content;
    }
    zip.directory = zip.bytes.size();
    for (std::size_t& at : zip.central) {
        at += zip.directory;
    }
    zip.bytes += directory;
    zip.end = zip.bytes.size();
    zip.bytes += "PK\x05\x06" + le(0, 4) + le(members.size(), 2) + le(members.size(), 2) +
                 le(directory.size(), 4) + le(zip.directory, 4) + le(0, 2);
    return zip;
}

// Pickle instructions.
namespace pk {

inline const std::string proto = "\x80\x02", stop = ".", mark = "(", none = "N", no = "\x89", yes = "\x88";
inline const std::string empty_tuple = ")", empty_list = "]", empty_map = "}", tuple = "t", tuple1 = "\x85",
                         tuple2 = "\x86", reduce = "R", build = "b", persid = "Q", setitem = "s",
                         setitems = "u", append = "a", appends = "e", newobj = "\x81";

inline std::string text(const std::string& s) {
    return "X" + le(s.size(), 4) + s;
}
inline std::string integer(std::int64_t value) {
    return "\x8a\x08" + le(static_cast<std::uint64_t>(value), 8);
}
inline std::string global(const std::string& module, const std::string& name) {
    return "c" + module + "\n" + name + "\n";
}
inline std::string numbers(const std::vector<std::int64_t>& values) {
    std::string out = mark;
    for (const std::int64_t value : values) {
        out += integer(value);
    }
    return out + tuple;
}
inline std::string storage(const std::string& type, const std::string& key, std::int64_t count) {
    return mark + text("storage") + global("torch", type) + text(key) + text("cpu") + integer(count) + tuple +
           persid;
}
inline std::string ordered_map() {
    return global("collections", "OrderedDict") + empty_tuple + reduce;
}
struct TensorParts {
    std::string storage = pk::storage("FloatStorage", "0", 4);
    std::string offset = integer(0);
    std::string size = numbers({4}), stride = numbers({1});
    std::string hooks = ordered_map();
    std::string tail; ///< more arguments
    std::string function = global("torch._utils", "_rebuild_tensor_v2");
};
inline std::string tensor(const TensorParts& p = {}) {
    return p.function + mark + p.storage + p.offset + p.size + p.stride + no + p.hooks + p.tail + tuple +
           reduce;
}
/// A map of one name to a value.
inline std::string one(const std::string& value, const std::string& name = "w") {
    return empty_map + text(name) + value + setitem;
}

} // namespace pk

/// An archive with this data.pkl and one storage of 16 bytes under the key 0.
inline MadeZip torch_zip(const std::string& pickle, const std::string& storage = std::string(16, '\x01')) {
    return make_zip({{"m/data.pkl", pickle}, {"m/data/0", storage}, {"m/version", "3\n"}});
}
