// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/mapped_file.h"

#include "engine/base/error.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ergo {

namespace {

std::string shown_name(const std::filesystem::path& path) {
    return printable((path.has_filename() ? path.filename() : path).string());
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what,
                       const std::string& advice) {
    throw Error(ErrorKind::io, what, {.code = "F-IO", .file = shown_name(path), .advice = advice});
}

std::string advice_for(int error_number) {
    switch (error_number) {
    case EACCES:
    case EPERM:
        return "Give yourself permission to read it.";
    case ENOENT:
        return "Check the name; it may have been moved or deleted.";
    default:
        return "Copy it to a local disk and try again.";
    }
}

void unmap(std::span<const std::byte> bytes) {
    ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
}

/// An open descriptor of a regular file and its size.
struct Opened {
    int descriptor;
    std::uint64_t size;
};

Opened open_regular(const std::filesystem::path& path) {
    // Without O_NONBLOCK a named pipe would wait for a writer.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        const int reason = errno;
        fail(path, std::string("the file cannot be opened: ") + std::strerror(reason) + ".",
             advice_for(reason));
    }
    struct stat info {};
    if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
        ::close(descriptor);
        fail(path, S_ISDIR(info.st_mode) ? "this is a folder, not a file." : "this is not a regular file.",
             "Choose a file.");
    }
    return {descriptor, static_cast<std::uint64_t>(info.st_size)};
}

} // namespace

MappedFile::MappedFile(std::filesystem::path path, int descriptor, std::span<const std::byte> bytes,
                       timespec modified)
    : path_(std::move(path)), descriptor_(descriptor), bytes_(bytes), modified_(modified),
      guard_(std::in_place, bytes) {}

MappedFile::~MappedFile() {
    guard_.reset();
    unmap(bytes_);
    ::close(descriptor_);
}

std::string MappedFile::name() const {
    return shown_name(path_);
}

void MappedFile::check_unchanged() const {
    struct stat info {};
    if (::fstat(descriptor_, &info) != 0) {
        const int reason = errno;
        fail(path_, std::string("the file cannot be read any more: ") + std::strerror(reason) + ".",
             "Open it again.");
    }
    if (static_cast<std::uint64_t>(info.st_size) < size()) {
        fail(path_,
             "the file was shortened from " + std::to_string(size()) + " to " + std::to_string(info.st_size) +
                 " bytes while it was open.",
             "Restore the file and open it again.");
    }
    if (info.st_mtim.tv_sec != modified_.tv_sec || info.st_mtim.tv_nsec != modified_.tv_nsec) {
        fail(path_, "the file was written to while it was open.", "Open it again.");
    }
    check_undamaged();
}

void MappedFile::check_undamaged() const {
    if (guard_->damaged()) {
        fail(path_,
             "bytes of the file could not be read while it was open: it was shortened or its disk went away.",
             "Restore the file and open it again.");
    }
}

std::shared_ptr<const MappedFile> map_file(const std::filesystem::path& path) {
    return map_descriptor(open_regular(path).descriptor, path);
}

std::shared_ptr<const MappedFile> map_descriptor(int descriptor, const std::filesystem::path& path) {
    struct stat info {};
    const bool known = ::fstat(descriptor, &info) == 0;
    const auto size = static_cast<std::uint64_t>(known ? info.st_size : 0);
    if (size == 0) {
        ::close(descriptor);
        throw Error(ErrorKind::format, "the file is empty (0 bytes).",
                    {.code = "F-EMPTY", .file = shown_name(path), .advice = "Download or copy it again."});
    }
    void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED) {
        const int reason = errno;
        ::close(descriptor);
        fail(path, std::string("the file cannot be mapped: ") + std::strerror(reason) + ".",
             advice_for(reason));
    }
    const std::span bytes(static_cast<const std::byte*>(address), size);
    try {
        return std::shared_ptr<const MappedFile>(new MappedFile(path, descriptor, bytes, info.st_mtim));
    } catch (...) {
        unmap(bytes);
        ::close(descriptor);
        throw;
    }
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t limit) {
    const Opened file = open_regular(path);
    const auto close_it = [](const int* d) { ::close(*d); };
    const std::unique_ptr<const int, decltype(close_it)> guard(&file.descriptor, close_it);
    if (file.size > limit) {
        throw Error(
            ErrorKind::resources,
            "the file has " + std::to_string(file.size) + " bytes; at most " + std::to_string(limit) +
                " are read.",
            {.code = "F-TOO-LARGE", .file = shown_name(path), .advice = "Check that it is the right file."});
    }
    std::string text(file.size, '\0');
    std::size_t at = 0;
    while (at < text.size()) {
        const ssize_t done = ::read(file.descriptor, text.data() + at, text.size() - at);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            const int reason = errno;
            fail(path, std::string("the file cannot be read: ") + std::strerror(reason) + ".",
                 advice_for(reason));
        }
        if (done == 0) {
            break; // shortened meanwhile
        }
        at += static_cast<std::size_t>(done);
    }
    text.resize(at);
    return text;
}

} // namespace ergo
