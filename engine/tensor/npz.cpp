// SPDX-License-Identifier: GPL-3.0-or-later
// The zip half of the NumPy files. Source: PKWARE APPNOTE 6.3 (local headers, central directory, zip64).
#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tensor/npy.h"
#include "engine/tensor/npy_format.h"

#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <set>

namespace ergo {

namespace {

constexpr std::uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50,
                        end_signature = 0x06054b50;
constexpr std::uint32_t end64_signature = 0x06064b50, locator64_signature = 0x07064b50;
constexpr std::uint64_t max32 = 0xffffffffu;
constexpr std::uint64_t max_entries = 1000000;
constexpr std::uint64_t max_directory_bytes = std::uint64_t{256} << 20;

// ---- writing
// ------------------------------------------------------------------------------------------------------

struct Member {
    std::string name;
    std::uint64_t size = 0, offset = 0;
    std::uint32_t crc = 0;
    bool utf8 = false;
};

class Bytes {
  public:
    Bytes& u16(std::uint64_t v) { return put(v, 2); }
    Bytes& u32(std::uint64_t v) { return put(v, 4); }
    Bytes& u64(std::uint64_t v) { return put(v, 8); }
    Bytes& text(const std::string& t) { return data_ += t, *this; }
    const std::string& str() const { return data_; }

  private:
    Bytes& put(std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) {
            data_ += static_cast<char>(value >> (8 * i) & 0xff);
        }
        return *this;
    }
    std::string data_;
};

std::uint32_t crc_of(std::uint32_t crc, std::string_view text) {
    if (text.empty()) {
        return crc; // a null pointer would start zlib anew
    }
    return static_cast<std::uint32_t>(crc32_z(crc, reinterpret_cast<const Bytef*>(text.data()), text.size()));
}

/// Fields that local header and central directory share, from "version needed" to the crc.
void common_fields(Bytes& out, const Member& m, bool zip64) {
    out.u16(zip64 ? 45 : 20).u16(m.utf8 ? 0x0800 : 0).u16(0).u16(0).u16(0x21).u32(m.crc); // stored,
                                                                                          // 1980-01-01
}

std::string local_header(const Member& m) {
    const bool zip64 = m.size >= max32;
    Bytes out;
    out.u32(local_signature);
    common_fields(out, m, zip64);
    out.u32(zip64 ? max32 : m.size)
        .u32(zip64 ? max32 : m.size)
        .u16(m.name.size())
        .u16(zip64 ? 20 : 0)
        .text(m.name);
    if (zip64) {
        out.u16(1).u16(16).u64(m.size).u64(m.size);
    }
    return out.str();
}

std::string central_header(const Member& m) {
    const bool big_size = m.size >= max32, big_offset = m.offset >= max32;
    const std::size_t extra = (big_size ? 16u : 0u) + (big_offset ? 8u : 0u);
    Bytes out;
    out.u32(central_signature).u16(45); // made by: MS-DOS attributes, version 4.5
    common_fields(out, m, extra > 0);
    out.u32(big_size ? max32 : m.size).u32(big_size ? max32 : m.size);
    out.u16(m.name.size()).u16(extra ? extra + 4 : 0).u16(0).u16(0).u16(0).u32(0);
    out.u32(big_offset ? max32 : m.offset).text(m.name);
    if (extra) {
        out.u16(1).u16(extra);
        if (big_size) {
            out.u64(m.size).u64(m.size);
        }
        if (big_offset) {
            out.u64(m.offset);
        }
    }
    return out.str();
}

std::string end_records(std::uint64_t count, std::uint64_t start, std::uint64_t size) {
    Bytes out;
    const bool zip64 = count >= 0xffff || start >= max32 || size >= max32;
    if (zip64) {
        out.u32(end64_signature)
            .u64(44)
            .u16(45)
            .u16(45)
            .u32(0)
            .u32(0)
            .u64(count)
            .u64(count)
            .u64(size)
            .u64(start);
        out.u32(locator64_signature).u32(0).u64(start + size).u32(1);
    }
    const std::uint64_t count16 = std::min<std::uint64_t>(count, 0xffff);
    out.u32(end_signature).u16(0).u16(0).u16(count16).u16(count16);
    out.u32(std::min(size, max32)).u32(std::min(start, max32)).u16(0);
    return out.str();
}

// ---- reading
// ------------------------------------------------------------------------------------------------------

class ZipReader {
  public:
    struct Entry {
        std::string name;
        std::uint64_t stored = 0, size = 0, offset = 0; // offset: of the local header
        std::uint32_t crc = 0;
        unsigned method = 0, flags = 0;
    };

    explicit ZipReader(const std::filesystem::path& path)
        : name_(printable(path.filename().string())), in_(path, std::ios::binary | std::ios::ate) {
        const auto end = in_ ? static_cast<std::streamoff>(in_.tellg()) : std::streamoff{-1};
        if (end < 0 || std::filesystem::is_directory(path)) {
            throw Error(ErrorKind::io, "the file cannot be opened.",
                        {.code = "F-IO", .file = name_, .advice = "Check its name and permissions."});
        }
        size_ = static_cast<std::uint64_t>(end);
        read_directory();
    }

    const std::vector<Entry>& entries() const { return entries_; }
    const std::string& name() const { return name_; }

    [[noreturn]] void fail(const std::string& what, const char* code = "NPZ-ZIP") const {
        throw Error(ErrorKind::format, what,
                    {.code = code, .file = name_, .advice = "Save the file again with numpy.savez."});
    }

    /// The member's content, checked against its CRC.
    std::vector<std::byte> content(const Entry& e) {
        const std::string shown = printable(e.name);
        if (e.flags & 1) {
            fail("member '" + shown + "' is encrypted.");
        }
        const std::string local = read(e.offset, 30);
        const std::uint64_t start = e.offset + 30 + number(local, 26, 2) + number(local, 28, 2);
        if (number(local, 0, 4) != local_signature || read(e.offset + 30, number(local, 26, 2)) != e.name) {
            fail("the local header of member '" + shown + "' disagrees with the directory.");
        }
        require(start, e.stored, "member '" + shown + "'");
        std::vector<std::byte> out;
        if (e.method == 0) {
            if (e.stored != e.size) {
                fail("the sizes of stored member '" + shown + "' differ.");
            }
            out.resize(static_cast<std::size_t>(e.size));
            read_into(start, reinterpret_cast<char*>(out.data()), e.size);
        } else if (e.method == 8) {
            out = inflate_member(e, start, shown);
        } else {
            fail("member '" + shown + "' uses compression method " + std::to_string(e.method) + ".",
                 "NPZ-COMPRESSED");
        }
        const auto crc = crc_of(0, {reinterpret_cast<const char*>(out.data()), out.size()});
        if (crc != e.crc) {
            fail("member '" + shown + "' is damaged: its checksum differs.", "NPZ-CRC");
        }
        return out;
    }

  private:
    static std::uint64_t number(const std::string& bytes, std::size_t at, int count) {
        std::uint64_t value = 0;
        for (int i = count; i-- > 0;) {
            value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
        }
        return value;
    }

    void require(std::uint64_t at, std::uint64_t count, const std::string& what) const {
        if (at > size_ || count > size_ - at) {
            fail(what + " needs bytes up to " + std::to_string(at) + " + " + std::to_string(count) +
                     ", the file has " + std::to_string(size_) + ".",
                 "F-TRUNCATED");
        }
    }

    void read_into(std::uint64_t at, char* to, std::uint64_t count) {
        in_.clear();
        in_.seekg(static_cast<std::streamoff>(at)).read(to, static_cast<std::streamsize>(count));
        if (!in_) {
            throw Error(ErrorKind::io, "the file cannot be read at byte " + std::to_string(at) + ".",
                        {.code = "F-IO", .file = name_, .advice = "Copy it to a local disk and try again."});
        }
    }

    std::string read(std::uint64_t at, std::uint64_t count) {
        require(at, count, "the archive");
        std::string bytes(static_cast<std::size_t>(count), '\0');
        read_into(at, bytes.data(), count);
        return bytes;
    }

    struct Directory {
        std::uint64_t count, size, start;
    };

    Directory find_directory() {
        const std::uint64_t tail_size = std::min<std::uint64_t>(size_, 22 + 65535);
        const std::uint64_t tail_start = size_ - tail_size;
        const std::string tail = read(tail_start, tail_size);
        for (std::size_t at = tail.size() < 22 ? 0 : tail.size() - 22 + 1; at-- > 0;) {
            // the record must end the file together with its comment
            if (number(tail, at, 4) != end_signature || at + 22 + number(tail, at + 20, 2) != tail.size()) {
                continue;
            }
            if (number(tail, at + 4, 2) != 0 || number(tail, at + 6, 2) != 0) {
                fail("the archive is spread over several disks.");
            }
            Directory d{number(tail, at + 10, 2), number(tail, at + 12, 4), number(tail, at + 16, 4)};
            const std::uint64_t end_at = tail_start + at;
            if (d.count == 0xffff || d.size == max32 || d.start == max32) {
                if (end_at < 20) {
                    fail("the archive lacks its zip64 record.");
                }
                const std::string locator = read(end_at - 20, 20);
                if (number(locator, 0, 4) == locator64_signature) {
                    const std::string record = read(number(locator, 8, 8), 56);
                    if (number(record, 0, 4) != end64_signature) {
                        fail("the archive's zip64 record is malformed.");
                    }
                    d = {number(record, 32, 8), number(record, 40, 8), number(record, 48, 8)};
                }
            }
            return d;
        }
        fail("this is not a zip archive, or its end is missing.");
    }

    void read_directory() {
        const Directory d = find_directory();
        if (d.count > max_entries || d.size > max_directory_bytes || d.size / 46 < d.count) {
            fail("the archive claims " + std::to_string(d.count) + " members in a directory of " +
                 std::to_string(d.size) + " bytes.");
        }
        const std::string bytes = read(d.start, d.size);
        std::size_t at = 0;
        for (std::uint64_t i = 0; i < d.count; ++i) {
            at = read_entry(bytes, at);
        }
        std::vector<const Entry*> by_offset;
        for (const Entry& e : entries_) {
            by_offset.push_back(&e);
        }
        std::sort(by_offset.begin(), by_offset.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
        for (std::size_t i = 0; i + 1 < by_offset.size();
             ++i) { // members that share bytes amplify a small file
            const Entry& e = *by_offset[i];
            if (by_offset[i + 1]->offset - e.offset < e.stored) {
                fail("members '" + printable(e.name) + "' and '" + printable(by_offset[i + 1]->name) +
                     "' overlap.");
            }
        }
    }

    std::size_t read_entry(const std::string& b, std::size_t at) {
        if (b.size() - at < 46 || number(b, at, 4) != central_signature) {
            fail("the archive's directory is malformed.");
        }
        const std::size_t name_size = number(b, at + 28, 2), extra_size = number(b, at + 30, 2);
        const std::size_t next = at + 46 + name_size + extra_size + number(b, at + 32, 2);
        if (next > b.size()) {
            fail("the archive's directory is malformed.");
        }
        Entry e;
        e.flags = static_cast<unsigned>(number(b, at + 8, 2));
        e.method = static_cast<unsigned>(number(b, at + 10, 2));
        e.crc = static_cast<std::uint32_t>(number(b, at + 16, 4));
        e.stored = number(b, at + 20, 4);
        e.size = number(b, at + 24, 4);
        e.offset = number(b, at + 42, 4);
        e.name = b.substr(at + 46, name_size);
        read_zip64_extra(b.substr(at + 46 + name_size, extra_size), e);
        entries_.push_back(std::move(e));
        return next;
    }

    void read_zip64_extra(const std::string& extra, Entry& e) const {
        for (std::size_t at = 0; at + 4 <= extra.size();) {
            const std::size_t size = number(extra, at + 2, 2);
            if (size > extra.size() - at - 4) {
                return; // padding of other writers; the 32-bit fields stand
            }
            if (number(extra, at, 2) == 1) {
                std::size_t field = at + 4;
                for (std::uint64_t* value : {&e.size, &e.stored, &e.offset}) { // only those that did not fit
                    if (*value == max32 && field + 8 <= at + 4 + size) {
                        *value = number(extra, field, 8);
                        field += 8;
                    }
                }
                return;
            }
            at += 4 + size;
        }
    }

    std::vector<std::byte> inflate_member(const Entry& e, std::uint64_t start, const std::string& shown) {
        // Deflate cannot expand more than 1032 times: more is a lie that would cost memory.
        if (e.size / 1032 > e.stored) {
            fail("member '" + shown + "' claims " + std::to_string(e.size) + " bytes out of " +
                     std::to_string(e.stored) + ".",
                 "NPZ-COMPRESSED");
        }
        std::vector<std::byte> out(static_cast<std::size_t>(e.size));
        std::vector<char> chunk(1 << 16);
        z_stream stream{};
        if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
            throw Error(ErrorKind::resources, "there is no memory to decompress.", {.file = name_});
        }
        std::uint64_t read_so_far = 0;
        std::size_t written = 0;
        int state = Z_OK;
        try {
            while (state == Z_OK) {
                if (stream.avail_in == 0 && read_so_far < e.stored) {
                    const std::uint64_t n = std::min<std::uint64_t>(chunk.size(), e.stored - read_so_far);
                    read_into(start + read_so_far, chunk.data(), n);
                    read_so_far += n;
                    stream.next_in = reinterpret_cast<Bytef*>(chunk.data());
                    stream.avail_in = static_cast<uInt>(n);
                }
                Bytef probe = 0; // room for one byte too many shows a member that is longer than declared
                const std::size_t room = std::min<std::size_t>(out.size() - written, std::size_t{1} << 30);
                stream.next_out = room ? reinterpret_cast<Bytef*>(out.data()) + written : &probe;
                stream.avail_out = room ? static_cast<uInt>(room) : 1;
                const uInt before = stream.avail_out;
                state = inflate(&stream, Z_NO_FLUSH);
                const std::size_t got = before - stream.avail_out;
                if (got > 0 && room == 0) {
                    state = Z_DATA_ERROR;
                } else {
                    written += got;
                }
            }
        } catch (...) {
            inflateEnd(&stream);
            throw;
        }
        inflateEnd(&stream);
        if (state != Z_STREAM_END || written != out.size()) {
            fail("member '" + shown + "' is damaged: it does not decompress to " + std::to_string(e.size) +
                     " bytes.",
                 "NPZ-COMPRESSED");
        }
        return out;
    }

    std::string name_;
    std::ifstream in_;
    std::uint64_t size_ = 0;
    std::vector<Entry> entries_;
};

} // namespace

void write_npz(const std::filesystem::path& path,
               const std::vector<std::pair<std::string, NpyArray>>& arrays) {
    std::set<std::string> names;
    for (const auto& [name, array] : arrays) {
        if (!names.insert(name).second || name.empty() || name.size() > 60000 || !is_valid_utf8(name)) {
            throw Error(ErrorKind::usage,
                        "array name '" + printable(name) + "' is empty, too long, not UTF-8 or used twice.");
        }
    }
    AtomicFile file(path);
    std::vector<Member> members;
    for (const auto& [name, array] : arrays) {
        const std::string header = npy_header(array);
        Member m{name + ".npy", header.size() + array.data.size(), file.size(), 0, false};
        m.utf8 = std::any_of(name.begin(), name.end(),
                             [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
        m.crc =
            crc_of(crc_of(0, header), {reinterpret_cast<const char*>(array.data.data()), array.data.size()});
        file.write(local_header(m));
        file.write(header);
        file.write(array.data);
        members.push_back(std::move(m));
    }
    const std::uint64_t start = file.size();
    for (const Member& m : members) {
        file.write(central_header(m));
    }
    file.write(end_records(members.size(), start, file.size() - start));
    file.commit();
}

std::map<std::string, NpyArray> read_npz(const std::filesystem::path& path, std::uint64_t max_bytes) {
    ZipReader zip(path);
    std::uint64_t total = 0;
    for (const auto& entry : zip.entries()) {
        if (entry.size > max_bytes - total) {
            throw Error(
                ErrorKind::resources,
                "the arrays need more than the " + std::to_string(max_bytes) + " bytes allowed.",
                {.code = "F-TOO-LARGE", .file = zip.name(), .advice = "Save fewer arrays in one file."});
        }
        total += entry.size;
    }
    std::map<std::string, NpyArray> arrays;
    for (const auto& entry : zip.entries()) {
        if (!entry.name.ends_with(".npy")) {
            zip.fail("member '" + printable(entry.name) + "' is not an array.");
        }
        std::vector<std::byte> bytes = zip.content(entry);
        const NpyHeader header = parse_npy_header(bytes, zip.name());
        check_npy_size(header, bytes.size(), zip.name());
        bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header.data_offset));
        if (!arrays.emplace(entry.name.substr(0, entry.name.size() - 4), npy_array(header, std::move(bytes)))
                 .second) {
            zip.fail("member '" + printable(entry.name) + "' occurs twice.");
        }
    }
    return arrays;
}

} // namespace ergo
