// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/zstd_writer.h"

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

#include <zstd.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace ergo {

namespace {

struct FreeContext {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

std::size_t checked(std::size_t code) {
    if (ZSTD_isError(code)) {
        throw Error(ErrorKind::resources,
                    std::string("zstd cannot compress: ") + ZSTD_getErrorName(code) + ".");
    }
    return code;
}

} // namespace

void compress_zstd(const MappedFile& file, const std::filesystem::path& path, const Progress& progress,
                   const CancelToken& cancel) {
    const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
    if (!context) {
        throw Error(ErrorKind::resources, "zstd has no memory to compress with.", {.code = "F-TOO-LARGE"});
    }
    const auto bytes = file.bytes();
    checked(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1));
    checked(ZSTD_CCtx_setPledgedSrcSize(context.get(), bytes.size()));
    AtomicFile out(path);
    std::vector<std::byte> buffer(ZSTD_CStreamOutSize());
    const std::size_t step = std::size_t{4} << 20; // between two looks at `cancel`
    for (std::size_t at = 0, left = 1; at < bytes.size() || left > 0;) {
        cancel.check();
        if (progress) {
            progress(static_cast<double>(at), static_cast<double>(bytes.size()), path.filename().string());
        }
        const std::size_t end = std::min(bytes.size(), at + step);
        ZSTD_inBuffer in{bytes.data(), end, at};
        do {
            ZSTD_outBuffer packed{buffer.data(), buffer.size(), 0};
            const auto how = end == bytes.size() ? ZSTD_e_end : ZSTD_e_continue;
            left = checked(ZSTD_compressStream2(context.get(), &packed, &in, how));
            out.write(std::span<const std::byte>(buffer).first(packed.pos));
        } while (in.pos < end || (end == bytes.size() && left > 0));
        at = end;
    }
    file.check_unchanged();
    out.commit();
}

} // namespace ergo
