// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/memory.h"

#include "engine/base/error.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

namespace ergo::cpu {

LazyMemory::LazyMemory(std::uint64_t bytes, const char* what) : bytes_(bytes) {
    if (bytes == 0) {
        return;
    }
    void* data = MAP_FAILED;
    if (bytes < std::uint64_t{1} << 46) {
        data =
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    if (data == MAP_FAILED) {
        throw Error(ErrorKind::resources,
                    std::string("cannot reserve ") + std::to_string(bytes) + " bytes for " + what + ".");
    }
    data_ = data;
}

LazyMemory::~LazyMemory() {
    if (data_) {
        munmap(data_, bytes_);
    }
}

void LazyMemory::prefer_large_pages() const {
#if defined(MADV_HUGEPAGE)
    if (data_) {
        madvise(data_, bytes_, MADV_HUGEPAGE);
    }
#endif
}

void LazyMemory::give_back(std::uint64_t offset, std::uint64_t bytes) const {
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    const std::uint64_t first = (offset + page - 1) / page * page, last = (offset + bytes) / page * page;
    if (first < last) {
        madvise(data() + first, last - first, MADV_DONTNEED);
    }
}

} // namespace ergo::cpu
