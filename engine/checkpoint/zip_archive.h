// SPDX-License-Identifier: GPL-3.0-or-later
// The directory of a zip archive; members that are stored, not compressed, can be used in place.
// Internal to this floor. A value over bytes that somebody else keeps alive; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

struct ZipMember {
    std::string name;
    std::uint64_t begin = 0, end = 0; ///< of its bytes in the file
    std::uint32_t checksum = 0;       ///< CRC-32 as the directory has it; not compared here
    std::uint16_t method = 0;         ///< 0: stored as it is; others are compressions
};

struct ZipArchive {
    std::vector<ZipMember> members; ///< in the order of the directory
    std::span<const std::byte> bytes;

    /// nullptr when there is none of that name.
    const ZipMember* find(std::string_view name) const;
    std::span<const std::byte> content(const ZipMember& member) const {
        return bytes.subspan(member.begin, member.end - member.begin);
    }
    /// True when the content has the checksum of the directory.
    bool checksum_holds(const ZipMember& member) const;

    std::vector<std::uint32_t> by_name; ///< indices of `members` sorted by name
};

/// Sizes and offsets come from the central directory; each local header must agree with it. Throws
/// Error(format) with PT-ZIP (no or several end records, a directory or member outside the file, encryption,
/// several disks, more than 1,000,000 members), PT-OVERLAP, PT-LAYOUT (two members of one name). Compressed
/// members are listed, for messages; nothing here decompresses them.
ZipArchive read_zip(std::span<const std::byte> bytes, const std::string& file_name);

} // namespace ergo
