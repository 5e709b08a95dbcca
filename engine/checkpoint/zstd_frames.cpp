// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/zstd_frames.h"

#include "engine/base/error.h"
#include "engine/checkpoint/little_endian.h"

#include <algorithm>
#include <array>

namespace ergo {

namespace {

constexpr std::uint32_t frame_magic = 0xfd2fb528, skippable_magic = 0x184d2a50;
constexpr std::uint64_t max_window = 128 << 20;

class Walker {
  public:
    Walker(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

    ZstdOutline walk() {
        while (at_ < bytes_.size()) {
            const std::uint64_t left = bytes_.size() - at_;
            const std::uint32_t magic = left >= 4 ? little_endian<std::uint32_t>(bytes_, at_) : 0;
            if (magic == frame_magic) {
                at_ += 4;
                frame();
            } else if ((magic & ~0xfu) == skippable_magic) {
                at_ += 4;
                const auto size = take<std::uint32_t>("the size of a skippable frame");
                skip(size, "a skippable frame");
            } else if (outline_.frames == 0 && left < 4) {
                skip(4, "a frame's magic number");
            } else {
                fail("F-TRAILING", std::to_string(left) + " bytes follow the last frame.",
                     "Download it again, or cut them off.");
            }
        }
        if (outline_.frames == 0) {
            fail("F-TRUNCATED",
                 "the file ends after " + std::to_string(bytes_.size()) + " bytes without a frame of data.",
                 "Download it again.");
        }
        return outline_;
    }

  private:
    [[noreturn]] void fail(const char* code, const std::string& what, const std::string& advice) const {
        throw Error(ErrorKind::format, what, {.code = code, .file = file_, .offset = at_, .advice = advice});
    }

    void skip(std::uint64_t size, const char* what) {
        if (size > bytes_.size() - at_) {
            fail("F-TRUNCATED",
                 std::string(what) + " needs " + std::to_string(size) + " bytes, " +
                     std::to_string(bytes_.size() - at_) + " are left in the file of " +
                     std::to_string(bytes_.size()) + ".",
                 "Download it again; it is cut off.");
        }
        at_ += size;
    }

    template <class Integer> Integer take(const char* what) {
        const std::uint64_t before = at_;
        skip(sizeof(Integer), what);
        return little_endian<Integer>(bytes_, before);
    }

    void frame() {
        const auto descriptor = take<std::uint8_t>("a frame's header");
        const bool single = descriptor & 1 << 5, checksum = descriptor & 1 << 2;
        if (descriptor & 1 << 3) {
            fail("Z-CORRUPT", "a reserved bit of a frame's header is set.", "Download it again.");
        }
        std::uint64_t window = 0;
        if (!single) {
            const auto code = take<std::uint8_t>("a frame's window");
            const std::uint64_t base = std::uint64_t{1} << (10 + (code >> 3));
            window = base + base / 8 * (code & 7);
        }
        constexpr std::array<std::uint64_t, 4> id_sizes{0, 1, 2, 4};
        std::uint64_t dictionary = 0;
        for (std::uint64_t i = 0; i < id_sizes[descriptor & 3]; ++i) {
            dictionary |= std::uint64_t{take<std::uint8_t>("a frame's dictionary")} << (8 * i);
        }
        if (dictionary) {
            fail("Z-DICT",
                 "the data was compressed with the dictionary " + std::to_string(dictionary) +
                     ", which is not in the file.",
                 "Compress it again without a dictionary.");
        }
        const auto content = content_size(descriptor >> 6, single);
        window = single ? *content : window;
        if (window > max_window) {
            fail("Z-WINDOW",
                 "decompressing needs a window of " + std::to_string(window) + " bytes; at most " +
                     std::to_string(max_window) + " are used.",
                 "Compress it again without the long mode: zstd -d, then zstd -3.");
        }
        blocks();
        if (checksum) {
            skip(4, "a checksum");
        }
        ++outline_.frames;
        std::uint64_t sum = 0;
        if (content && outline_.content && !__builtin_add_overflow(*content, *outline_.content, &sum)) {
            outline_.content = sum;
        } else {
            outline_.content.reset();
        }
    }

    std::optional<std::uint64_t> content_size(int flag, bool single) {
        constexpr const char* what = "a frame's content size";
        switch (flag) {
        case 0:
            return single ? std::optional<std::uint64_t>(take<std::uint8_t>(what)) : std::nullopt;
        case 1:
            return 256u + take<std::uint16_t>(what);
        case 2:
            return take<std::uint32_t>(what);
        default:
            return take<std::uint64_t>(what);
        }
    }

    void blocks() {
        for (bool last = false; !last;) {
            const auto low = take<std::uint16_t>("a block's header");
            const std::uint32_t header = low | std::uint32_t{take<std::uint8_t>("a block's header")} << 16;
            last = header & 1;
            const std::uint32_t type = header >> 1 & 3, size = header >> 3;
            if (type == 3) {
                fail("Z-CORRUPT", "a block has the reserved type 3.", "Download it again.");
            }
            skip(type == 1 ? 1 : size, "a block"); // type 1 repeats one byte
        }
    }

    std::span<const std::byte> bytes_;
    const std::string& file_;
    std::uint64_t at_ = 0;
    ZstdOutline outline_;
};

} // namespace

ZstdOutline read_zstd_outline(std::span<const std::byte> bytes, const std::string& file_name) {
    return Walker(bytes, file_name).walk();
}

} // namespace ergo
