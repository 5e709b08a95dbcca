// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/zstd_file.h"

#include "engine/base/error.h"
#include "engine/checkpoint/sniff.h"
#include "engine/checkpoint/zstd_frames.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace ergo {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t reserve_bytes = std::uint64_t{1} << 30; // left free on the disk
constexpr std::uint64_t max_growth = 400;
constexpr int max_window_log = 27; // 128 MiB

/// A file without a name, gone when its descriptor is closed.
class TemporaryFile {
  public:
    explicit TemporaryFile(const std::string& shown) : shown_(shown), folder_(choose_folder()) {
        descriptor_ = ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (descriptor_ < 0) { // some file systems have no nameless files
            std::string name = (folder_ / "ergosphere-XXXXXX").string();
            descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
            if (descriptor_ >= 0) {
                ::unlink(name.c_str());
            }
        }
        if (descriptor_ < 0) {
            fail("no temporary file can be made");
        }
    }
    ~TemporaryFile() {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    std::uint64_t free_bytes() const {
        struct statvfs info {};
        if (::fstatvfs(descriptor_, &info) != 0) {
            fail("the free space of the temporary folder cannot be asked for");
        }
        return std::uint64_t{info.f_bavail} * info.f_frsize;
    }

    void write(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t done = ::write(descriptor_, bytes.data(), bytes.size());
            if (done < 0 && errno != EINTR) {
                fail("the decompressed data cannot be written");
            }
            bytes = bytes.subspan(done < 0 ? 0 : static_cast<std::size_t>(done));
        }
    }

    /// Gives the descriptor away.
    int release() { return std::exchange(descriptor_, -1); }

  private:
    static fs::path choose_folder() {
        const char* wish = std::getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe): nobody sets it
        for (const char* folder : {wish ? wish : "/var/tmp", "/var/tmp"}) {
            if (::access(folder, W_OK | X_OK) == 0) {
                return folder;
            }
        }
        return "/tmp";
    }

    [[noreturn]] void fail(const std::string& what) const {
        const int reason = errno;
        throw Error(reason == ENOSPC ? ErrorKind::resources : ErrorKind::io,
                    what + ": " + std::strerror(reason) + ".",
                    {.code = reason == ENOSPC ? "F-TOO-LARGE" : "F-IO",
                     .file = shown_,
                     .advice = "Make room in " + folder_.string() + " or set TMPDIR to a roomier folder."});
    }

    std::string shown_;
    fs::path folder_;
    int descriptor_ = -1;
};

class Decompressor {
  public:
    Decompressor(const MappedFile& file, const Progress& progress, const CancelToken& cancel)
        : file_(file), progress_(progress), cancel_(cancel),
          outline_(read_zstd_outline(file.bytes(), file.name())), temporary_(file.name()) {}

    std::shared_ptr<const MappedFile> run() {
        const std::uint64_t limit = output_limit();
        const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                              ZSTD_freeDCtx);
        if (!context) {
            throw std::bad_alloc();
        }
        ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, max_window_log);
        std::vector<std::byte> chunk(ZSTD_DStreamOutSize());
        const auto input_bytes = file_.bytes();
        ZSTD_inBuffer input{input_bytes.data(), input_bytes.size(), 0};
        std::uint64_t written = 0;
        bool full = false; // the last call filled its output: more may wait inside
        while (input.pos < input.size || full) {
            cancel_.check();
            ZSTD_outBuffer output{chunk.data(), chunk.size(), 0};
            const std::size_t before = input.pos;
            const std::size_t result = ZSTD_decompressStream(context.get(), &output, &input);
            if (ZSTD_isError(result)) {
                damaged(result, input.pos);
            }
            full = output.pos == output.size;
            check(std::span(chunk).first(output.pos), written, limit);
            temporary_.write(std::span(chunk).first(output.pos));
            written += output.pos;
            if (progress_) {
                progress_(static_cast<double>(input.pos), static_cast<double>(input.size),
                          "decompressing " + file_.name());
            }
            if (input.pos == before && output.pos == 0) {
                break;
            }
        }
        return finish(written);
    }

  private:
    [[noreturn]] void fail(ErrorKind kind, const char* code, const std::string& what,
                           const std::string& advice,
                           std::optional<std::uint64_t> offset = std::nullopt) const {
        throw Error(kind, what, {.code = code, .file = file_.name(), .offset = offset, .advice = advice});
    }

    std::uint64_t output_limit() const {
        const std::uint64_t room = temporary_.free_bytes();
        if (outline_.content) {
            if (*outline_.content > room) {
                fail(ErrorKind::resources, "F-TOO-LARGE",
                     "decompressed it has " + std::to_string(*outline_.content) +
                         " bytes; the temporary folder has " + std::to_string(room) + " free.",
                     "Make room or set TMPDIR to a roomier folder.");
            }
            return *outline_.content;
        }
        return std::min(room > reserve_bytes ? room - reserve_bytes : 0, file_.size() * max_growth);
    }

    void check(std::span<const std::byte> out, std::uint64_t written, std::uint64_t limit) const {
        if (out.size() > limit - written) {
            fail(ErrorKind::format, "Z-BOMB",
                 "the data grows beyond " + std::to_string(limit) + " bytes" +
                     (outline_.content ? ", the size it declares."
                                       : ", the limit for a file of " + std::to_string(file_.size()) +
                                             " bytes that does not declare its size."),
                 "Do not open it; if you trust it, decompress it yourself.");
        }
        if (written == 0 && sniff(out) == FileKind::zstd) {
            fail(ErrorKind::unsupported, "F-UNSUPPORTED", "the file is compressed twice.",
                 "Decompress it once: zstd -d.");
        }
    }

    [[noreturn]] void damaged(std::size_t result, std::uint64_t offset) const {
        switch (ZSTD_getErrorCode(result)) {
        case ZSTD_error_checksum_wrong:
            fail(ErrorKind::format, "Z-CHECKSUM", "the checksum of the data is wrong.",
                 "Download it again; it is damaged.", offset);
        case ZSTD_error_frameParameter_windowTooLarge:
            fail(ErrorKind::format, "Z-WINDOW", "decompressing needs a window of more than 128 MiB.",
                 "Compress it again without the long mode.", offset);
        case ZSTD_error_memory_allocation:
            throw std::bad_alloc();
        default:
            fail(ErrorKind::format, "Z-CORRUPT",
                 std::string("the compressed data is damaged (") + ZSTD_getErrorName(result) + ").",
                 "Download it again.", offset);
        }
    }

    std::shared_ptr<const MappedFile> finish(std::uint64_t written) {
        file_.check_unchanged();
        if (outline_.content && written != *outline_.content) {
            fail(ErrorKind::format, "Z-CORRUPT",
                 "the data has " + std::to_string(written) + " bytes, its frames declare " +
                     std::to_string(*outline_.content) + ".",
                 "Download it again.");
        }
        fs::path shown = file_.path();
        if (shown.extension() == ".zst") {
            shown.replace_extension();
        }
        return map_descriptor(temporary_.release(), shown);
    }

    const MappedFile& file_;
    const Progress& progress_;
    const CancelToken& cancel_;
    ZstdOutline outline_;
    TemporaryFile temporary_;
};

} // namespace

std::shared_ptr<const MappedFile> decompress_zstd(const MappedFile& file, const Progress& progress,
                                                  const CancelToken& cancel) {
    return Decompressor(file, progress, cancel).run();
}

} // namespace ergo
