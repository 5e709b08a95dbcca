// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/sniff.h"

#include "engine/base/error.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace ergo {

namespace {

constexpr std::size_t looked_at = 4096;
constexpr std::size_t max_error_page = 64 << 10;

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool starts_with_ignoring_case(std::string_view text, std::string_view lower) {
    return text.size() >= lower.size() &&
           std::equal(lower.begin(), lower.end(), text.begin(), [](char wanted, char c) {
               return wanted == (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
           });
}

bool looks_like_safetensors(std::span<const std::byte> bytes) {
    if (bytes.size() < 10 || bytes[8] != std::byte{'{'}) {
        return false;
    }
    std::uint64_t header = 0;
    for (std::size_t i = 8; i-- > 0;) {
        header = header << 8 | static_cast<std::uint64_t>(bytes[i]);
    }
    return header >= 2 && header <= bytes.size() - 8;
}

bool looks_like_web_page(std::string_view text) {
    const std::size_t bom = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    const std::size_t start = text.find_first_not_of(" \t\r\n", bom);
    if (start == std::string_view::npos) {
        return false;
    }
    const std::string_view body = text.substr(start);
    return starts_with_ignoring_case(body, "<!doctype") || starts_with_ignoring_case(body, "<html") ||
           (body[0] == '{' && text.size() <= max_error_page &&
            body.find("\"error\"") != std::string_view::npos);
}

struct Magic {
    std::string_view bytes;
    FileKind kind;
};

// clang-format off
constexpr std::array magics{
    Magic{"GGUF", FileKind::gguf},
    Magic{"PK\x03\x04", FileKind::zip},
    Magic{"\x28\xB5\x2F\xFD", FileKind::zstd},
    Magic{"\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19\x2E", FileKind::legacy_checkpoint},
    Magic{"\x80\x02", FileKind::pickle},
    Magic{"\x80\x03", FileKind::pickle},
    Magic{"\x80\x04", FileKind::pickle},
    Magic{"\x80\x05", FileKind::pickle},
    Magic{"version https://git-lfs", FileKind::lfs_pointer},
    Magic{"\x1F\x8B", FileKind::gzip},
    Magic{"7z\xBC\xAF\x27\x1C", FileKind::seven_zip},
    Magic{"\x89HDF", FileKind::hdf5},
};
// clang-format on

/// Digits after "size " in a pointer file, "" when they are not there.
std::string declared_size(std::string_view pointer) {
    const std::size_t at = pointer.find("\nsize ");
    std::string digits;
    for (std::size_t i = at; at != std::string_view::npos && i + 6 < pointer.size() && digits.size() < 20;
         ++i) {
        const char c = pointer[i + 6];
        if (c < '0' || c > '9') {
            break;
        }
        digits += c;
    }
    return digits;
}

std::string_view kind_name(FileKind kind) {
    switch (kind) {
    case FileKind::safetensors:
        return "a safetensors file";
    case FileKind::gguf:
        return "a GGUF file";
    case FileKind::zip:
        return "a zip archive, as framework checkpoints (.pt, .bin) are";
    case FileKind::zstd:
        return "a zstd-compressed file";
    case FileKind::legacy_checkpoint:
        return "a legacy framework checkpoint (pickle)";
    case FileKind::pickle:
        return "a pickle file";
    case FileKind::tar:
        return "a tar archive";
    case FileKind::gzip:
        return "a gzip-compressed file";
    case FileKind::seven_zip:
        return "a 7z archive";
    case FileKind::hdf5:
        return "an HDF5 file";
    default:
        return "a file of another format";
    }
}

std::string first_bytes_hex(std::span<const std::byte> bytes) {
    std::string hex;
    for (const std::byte b : bytes.first(std::min<std::size_t>(bytes.size(), 16))) {
        std::array<char, 4> digits{};
        std::snprintf(digits.data(), digits.size(), "%02X ", static_cast<unsigned>(b));
        hex += digits.data();
    }
    if (!hex.empty()) {
        hex.pop_back();
    }
    return hex;
}

} // namespace

FileKind sniff(std::span<const std::byte> bytes) {
    if (looks_like_safetensors(bytes)) {
        return FileKind::safetensors;
    }
    const std::string_view text = as_text(bytes);
    for (const Magic& magic : magics) {
        if (text.starts_with(magic.bytes)) {
            return magic.kind;
        }
    }
    if (text.size() >= 4 && text[0] >= '\x50' && text[0] <= '\x5F' && text.substr(1, 3) == "\x2A\x4D\x18") {
        return FileKind::zstd; // a skippable frame before the data
    }
    if (text.size() >= 262 && text.substr(257, 5) == "ustar") {
        return FileKind::tar;
    }
    if (looks_like_web_page(text)) {
        return FileKind::web_page;
    }
    const auto head = bytes.first(std::min(bytes.size(), looked_at));
    if (head.size() >= 8 &&
        std::all_of(head.begin(), head.end(), [](std::byte b) { return b == std::byte{0}; })) {
        return FileKind::zeros;
    }
    return FileKind::unknown;
}

void require_kind(FileKind wanted, FileKind kind, std::span<const std::byte> bytes,
                  const std::string& file_name) {
    if (bytes.empty() || kind != wanted) {
        refuse_kind(kind, bytes, file_name);
    }
}

void refuse_kind(FileKind kind, std::span<const std::byte> bytes, const std::string& file_name) {
    const auto fail = [&](ErrorKind error, const char* code, const std::string& what,
                          const std::string& advice) {
        throw Error(error, what, {.code = code, .file = file_name, .advice = advice});
    };
    if (bytes.empty()) {
        fail(ErrorKind::format, "F-EMPTY", "the file is empty (0 bytes).", "Download or copy it again.");
    }
    switch (kind) {
    case FileKind::lfs_pointer: {
        const std::string size = declared_size(as_text(bytes.first(std::min(bytes.size(), looked_at))));
        fail(ErrorKind::format, "F-LFS-POINTER",
             "this is a Git LFS pointer of " + std::to_string(bytes.size()) + " bytes, not the data" +
                 (size.empty() ? "." : ", which has " + size + " bytes."),
             "Download the real file, for example with git lfs pull.");
        break;
    }
    case FileKind::web_page:
        fail(ErrorKind::format, "F-WEBPAGE", "a web page was saved instead of the file.",
             "Use the download link, and sign in first if the page asks for it.");
        break;
    case FileKind::zeros:
        fail(ErrorKind::format, "F-UNKNOWN",
             "the file begins with zeros only (first 16 bytes: " + first_bytes_hex(bytes) +
                 "), as an aborted download does.",
             "Download it again.");
        break;
    case FileKind::unknown:
        fail(ErrorKind::format, "F-UNKNOWN",
             "the format is not known; the first 16 bytes are " + first_bytes_hex(bytes) + ".",
             "Weights are opened as safetensors, as GGUF, as PyTorch checkpoints (.pt, .bin), and as these "
             "in zstd.");
        break;
    default:
        fail(ErrorKind::unsupported, "F-UNSUPPORTED", "this is " + std::string(kind_name(kind)) + ".",
             "It cannot be opened here; convert it to safetensors.");
    }
    std::abort(); // every case above throws
}

} // namespace ergo
