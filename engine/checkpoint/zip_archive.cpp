// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/zip_archive.h"

#include "engine/base/error.h"
#include "engine/checkpoint/little_endian.h"

#include <zlib.h>

#include <algorithm>
#include <numeric>
#include <optional>

namespace ergo {

namespace {

constexpr std::uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50;
constexpr std::uint32_t end_signature = 0x06054b50, end64_signature = 0x06064b50;
constexpr std::uint32_t locator64_signature = 0x07064b50;
constexpr std::uint64_t local_size = 30, central_size = 46, end_size = 22, end64_size = 56,
                        locator64_size = 20;
constexpr std::uint64_t max_comment = 65535, max_members = 1'000'000;
constexpr std::uint32_t saturated32 = 0xffffffff;
constexpr std::uint16_t saturated16 = 0xffff;
// Bits of the general purpose flags: encryption (plain, strong, of the directory).
constexpr std::uint16_t encrypted = 1 << 0 | 1 << 6 | 1 << 13, sizes_follow = 1 << 3;

/// Where the central directory lies and how many members it has.
struct Directory {
    std::uint64_t begin = 0, size = 0, count = 0;
    std::uint64_t end() const { return begin + size; }
};

class Reader {
  public:
    Reader(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

    ZipArchive read() {
        const Directory directory = find_directory();
        if (directory.count > max_members) {
            fail("PT-ZIP", "the archive has " + std::to_string(directory.count) + " members; at most " +
                               std::to_string(max_members) + " are read.");
        }
        if (directory.size / central_size < directory.count) {
            fail("PT-ZIP", "a directory of " + std::to_string(directory.size) + " bytes cannot list " +
                               std::to_string(directory.count) + " members.");
        }
        ZipArchive archive;
        archive.bytes = bytes_;
        archive.members.reserve(directory.count);
        std::vector<Range> ranges;
        ranges.reserve(directory.count);
        std::uint64_t at = directory.begin;
        for (std::uint64_t i = 0; i < directory.count; ++i) {
            read_member(archive, ranges, at, directory);
        }
        if (at != directory.end()) {
            fail("PT-ZIP",
                 std::to_string(directory.end() - at) + " bytes follow the last member of the directory.",
                 at);
        }
        check_overlap(archive, ranges);
        index_names(archive);
        return archive;
    }

  private:
    struct Range {
        std::uint64_t begin, end;
        std::size_t member;
    };

    template <class Integer> Integer get(std::uint64_t at) const {
        return little_endian<Integer>(bytes_, at);
    }

    [[noreturn]] void fail(const char* code, const std::string& what,
                           std::optional<std::uint64_t> offset = std::nullopt) const {
        throw Error(
            ErrorKind::format, what,
            {.code = code, .file = file_, .offset = offset, .advice = "Download or save the file again."});
    }

    /// The one end record whose comment ends with the file.
    std::uint64_t find_end_record() const {
        std::optional<std::uint64_t> found;
        const std::uint64_t size = bytes_.size();
        const std::uint64_t last = size < end_size ? 0 : size - end_size;
        const std::uint64_t first = last > max_comment ? last - max_comment : 0;
        for (std::uint64_t at = last + 1; size >= end_size && at-- > first;) {
            if (get<std::uint32_t>(at) != end_signature ||
                get<std::uint16_t>(at + 20) != size - end_size - at) {
                continue;
            }
            if (found) {
                fail("PT-ZIP", "the archive has two end records.", at);
            }
            found = at;
        }
        if (!found) {
            fail("PT-ZIP", "the archive has no end record in its " + std::to_string(size) +
                               " bytes: it is cut off or something follows it.");
        }
        return *found;
    }

    Directory find_directory() const {
        const std::uint64_t end = find_end_record();
        const auto disk = get<std::uint16_t>(end + 4), start_disk = get<std::uint16_t>(end + 6);
        const auto here = get<std::uint16_t>(end + 8), count = get<std::uint16_t>(end + 10);
        const auto size = get<std::uint32_t>(end + 12), begin = get<std::uint32_t>(end + 16);
        Directory directory{begin, size, count};
        std::uint64_t limit = end; // the directory must reach exactly to the records behind it
        const bool wide =
            end >= locator64_size && get<std::uint32_t>(end - locator64_size) == locator64_signature;
        if (wide) {
            directory = read_end64(end, limit);
            const bool agree = (count == saturated16 || count == directory.count) &&
                               (size == saturated32 || size == directory.size) &&
                               (begin == saturated32 || begin == directory.begin);
            if (!agree) {
                fail("PT-ZIP", "the two end records of the archive disagree.", end);
            }
        } else if (count == saturated16 || size == saturated32 || begin == saturated32) {
            fail("PT-ZIP", "the archive lacks its 64-bit end record.", end);
        }
        if ((disk != 0 && disk != saturated16) || (start_disk != 0 && start_disk != saturated16) ||
            (here != count && !wide)) {
            fail("PT-ZIP", "the archive is spread over several disks.", end);
        }
        if (directory.begin > limit || directory.size != limit - directory.begin) {
            fail("PT-ZIP",
                 "the directory should lie at byte " + std::to_string(directory.begin) + " with " +
                     std::to_string(directory.size) + " bytes, but its end record is at byte " +
                     std::to_string(limit) + ".",
                 end);
        }
        return directory;
    }

    Directory read_end64(std::uint64_t end, std::uint64_t& limit) const {
        const std::uint64_t locator = end - locator64_size;
        const auto at = get<std::uint64_t>(locator + 8);
        if (at > locator || locator - at < end64_size || get<std::uint32_t>(at) != end64_signature) {
            fail("PT-ZIP", "the 64-bit end record is not at byte " + std::to_string(at) + ".", locator);
        }
        if (get<std::uint64_t>(at + 4) != locator - at - 12) {
            fail("PT-ZIP",
                 "the 64-bit end record has " + std::to_string(locator - at - 12) + " bytes and claims " +
                     std::to_string(get<std::uint64_t>(at + 4)) + ".",
                 at);
        }
        if (get<std::uint32_t>(locator + 4) != 0 || get<std::uint32_t>(locator + 16) > 1 ||
            get<std::uint32_t>(at + 16) != 0 || get<std::uint32_t>(at + 20) != 0 ||
            get<std::uint64_t>(at + 24) != get<std::uint64_t>(at + 32)) {
            fail("PT-ZIP", "the archive is spread over several disks.", at);
        }
        limit = at;
        return {get<std::uint64_t>(at + 48), get<std::uint64_t>(at + 40), get<std::uint64_t>(at + 32)};
    }

    std::string_view text(std::uint64_t at, std::uint64_t size) const {
        return {reinterpret_cast<const char*>(bytes_.data()) + at, size};
    }

    void read_member(ZipArchive& archive, std::vector<Range>& ranges, std::uint64_t& at,
                     const Directory& directory) const {
        if (directory.end() - at < central_size || get<std::uint32_t>(at) != central_signature) {
            fail("PT-ZIP",
                 "the directory has no entry " + std::to_string(archive.members.size() + 1) + " of " +
                     std::to_string(directory.count) + " here.",
                 at);
        }
        const std::uint64_t name_size = get<std::uint16_t>(at + 28), extra_size = get<std::uint16_t>(at + 30),
                            comment_size = get<std::uint16_t>(at + 32);
        if (directory.end() - at - central_size < name_size + extra_size + comment_size) {
            fail("PT-ZIP", "an entry of the directory reaches beyond its end.", at);
        }
        ZipMember member;
        member.name = text(at + central_size, name_size);
        member.checksum = get<std::uint32_t>(at + 16);
        const auto flags = get<std::uint16_t>(at + 8), method = get<std::uint16_t>(at + 10);
        if (flags & encrypted) {
            fail("PT-ZIP", "the member '" + printable(member.name) + "' is encrypted.", at);
        }
        member.method = method;
        std::uint64_t stored = get<std::uint32_t>(at + 20), size = get<std::uint32_t>(at + 24),
                      local = get<std::uint32_t>(at + 42), disk = get<std::uint16_t>(at + 34);
        widen(at + central_size + name_size, extra_size, {&size, &stored, &local}, disk);
        if (disk != 0) {
            fail("PT-ZIP", "the archive is spread over several disks.", at);
        }
        if (method == 0 && stored != size) {
            fail("PT-ZIP",
                 "the member '" + printable(member.name) + "' is stored in " + std::to_string(stored) +
                     " bytes but has " + std::to_string(size) + ".",
                 at);
        }
        check_local(member, local, stored, size, directory.begin);
        ranges.push_back({local, member.end, archive.members.size()});
        archive.members.push_back(std::move(member));
        at += central_size + name_size + extra_size + comment_size;
    }

    /// Replaces saturated fields by those of the 64-bit extra field, which has only these, in this order.
    void widen(std::uint64_t extra, std::uint64_t extra_size, std::initializer_list<std::uint64_t*> fields,
               std::uint64_t& disk) const {
        const std::uint64_t end = extra + extra_size;
        std::uint64_t at = extra;
        while (end - at >= 4 && get<std::uint16_t>(at) != 1) {
            const std::uint64_t size = get<std::uint16_t>(at + 2);
            at += std::min(4 + size, end - at);
        }
        std::uint64_t here = at + 4;
        const std::uint64_t stop =
            end - at >= 4 ? std::min<std::uint64_t>(end, here + get<std::uint16_t>(at + 2)) : 0;
        for (std::uint64_t* field : fields) {
            if (*field != saturated32) {
                continue;
            }
            if (stop < here || stop - here < 8) {
                fail("PT-ZIP", "an entry of the directory lacks a 64-bit size or offset.", extra);
            }
            *field = get<std::uint64_t>(here);
            here += 8;
        }
        if (disk == saturated16) {
            if (stop < here || stop - here < 4) {
                fail("PT-ZIP", "an entry of the directory lacks its disk number.", extra);
            }
            disk = get<std::uint32_t>(here);
        }
    }

    /// The local header must say what the directory says; sets the member's range.
    void check_local(ZipMember& member, std::uint64_t local, std::uint64_t size, std::uint64_t whole_size,
                     std::uint64_t limit) const {
        const std::string shown = "'" + printable(member.name) + "'";
        if (local > limit || limit - local < local_size || get<std::uint32_t>(local) != local_signature) {
            fail("PT-ZIP", "the member " + shown + " has no header at byte " + std::to_string(local) + ".");
        }
        const std::uint64_t name_size = get<std::uint16_t>(local + 26),
                            extra_size = get<std::uint16_t>(local + 28);
        if (limit - local - local_size < name_size + extra_size) {
            fail("PT-ZIP", "the header of member " + shown + " reaches into the directory.", local);
        }
        if (text(local + local_size, name_size) != member.name) {
            fail("PT-ZIP",
                 "the directory calls a member " + shown + ", its own header '" +
                     printable(text(local + local_size, name_size)) + "'.",
                 local);
        }
        const auto flags = get<std::uint16_t>(local + 6);
        if ((flags & encrypted) || get<std::uint16_t>(local + 8) != member.method) {
            fail("PT-ZIP",
                 "the header of member " + shown + " says that it is encrypted, or compressed otherwise.",
                 local);
        }
        const auto stored = get<std::uint32_t>(local + 18), whole = get<std::uint32_t>(local + 22);
        const auto agrees = [&](std::uint32_t field, std::uint64_t listed) {
            return field == listed || field == saturated32 || ((flags & sizes_follow) && field == 0);
        };
        if (!agrees(stored, size) || !agrees(whole, whole_size)) {
            fail("PT-ZIP",
                 "the directory gives member " + shown + " " + std::to_string(size) +
                     " bytes, its own header " + std::to_string(whole) + ".",
                 local);
        }
        member.begin = local + local_size + name_size + extra_size;
        if (limit - member.begin < size) {
            fail("PT-ZIP",
                 "the member " + shown + " of " + std::to_string(size) + " bytes at byte " +
                     std::to_string(member.begin) + " reaches into the directory at byte " +
                     std::to_string(limit) + ".",
                 local);
        }
        member.end = member.begin + size;
    }

    void check_overlap(const ZipArchive& archive, std::vector<Range>& ranges) const {
        std::sort(ranges.begin(), ranges.end(),
                  [](const Range& a, const Range& b) { return a.begin < b.begin; });
        for (std::size_t i = 1; i < ranges.size(); ++i) {
            if (ranges[i].begin < ranges[i - 1].end) {
                fail("PT-OVERLAP",
                     "the members '" + printable(archive.members[ranges[i - 1].member].name) + "' and '" +
                         printable(archive.members[ranges[i].member].name) + "' lie over each other.",
                     ranges[i].begin);
            }
        }
    }

    void index_names(ZipArchive& archive) const {
        const auto& members = archive.members;
        archive.by_name.resize(members.size());
        std::iota(archive.by_name.begin(), archive.by_name.end(), 0u);
        std::sort(archive.by_name.begin(), archive.by_name.end(),
                  [&](std::uint32_t a, std::uint32_t b) { return members[a].name < members[b].name; });
        const auto same =
            std::adjacent_find(archive.by_name.begin(), archive.by_name.end(),
                               [&](auto a, auto b) { return members[a].name == members[b].name; });
        if (same != archive.by_name.end()) {
            fail("PT-LAYOUT", "the archive has two members '" + printable(members[*same].name) + "'.");
        }
    }

    std::span<const std::byte> bytes_;
    const std::string& file_;
};

} // namespace

const ZipMember* ZipArchive::find(std::string_view name) const {
    const auto found =
        std::lower_bound(by_name.begin(), by_name.end(), name,
                         [this](std::uint32_t i, std::string_view n) { return members[i].name < n; });
    return found == by_name.end() || members[*found].name != name ? nullptr : &members[*found];
}

bool ZipArchive::checksum_holds(const ZipMember& member) const {
    const auto data = content(member);
    return crc32_z(crc32_z(0, nullptr, 0), reinterpret_cast<const Bytef*>(data.data()), data.size()) ==
           member.checksum;
}

ZipArchive read_zip(std::span<const std::byte> bytes, const std::string& file_name) {
    return Reader(bytes, file_name).read();
}

} // namespace ergo
