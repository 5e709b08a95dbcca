// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/atomic_file.h"

#include "engine/base/error.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ergo {

AtomicFile::AtomicFile(std::filesystem::path target) : target_(std::move(target)) {
    const std::string folder = target_.has_parent_path() ? target_.parent_path().string() : ".";
    const std::string stem =
        folder + "/." + target_.filename().string() + "." + std::to_string(getpid()) + "-";
    for (int attempt = 0; attempt < 1000; ++attempt) {
        const std::string name = stem + std::to_string(attempt) + ".tmp";
        descriptor_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor_ >= 0) {
            temporary_ = name;
            return;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    fail("cannot be created", errno);
}

AtomicFile::~AtomicFile() {
    if (descriptor_ >= 0) {
        ::close(descriptor_);
    }
    if (!temporary_.empty()) {
        ::unlink(temporary_.c_str());
    }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t done = ::write(descriptor_, bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            fail("cannot be written after " + std::to_string(size_) + " bytes", done < 0 ? errno : EIO);
        }
        size_ += static_cast<std::uint64_t>(done);
        bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
}

void AtomicFile::write(std::string_view text) {
    write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::commit() {
    if (::fsync(descriptor_) != 0) {
        fail("cannot be flushed to the disk", errno);
    }
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0) {
        fail("cannot be closed", errno);
    }
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
        fail("cannot be put in place", errno);
    }
    temporary_.clear();
}

void AtomicFile::fail(const std::string& what, int error_number) const {
    const std::string reason = std::strerror(error_number);
    const std::string advice = error_number == ENOSPC || error_number == EDQUOT
                                   ? "Free some space and try again; an older file of that name is untouched."
                                   : "Choose another place; an older file of that name is untouched.";
    throw Error(ErrorKind::io, "the file " + what + ": " + reason + ".",
                {.code = "F-IO", .file = printable(target_.filename().string()), .advice = advice});
}

} // namespace ergo
