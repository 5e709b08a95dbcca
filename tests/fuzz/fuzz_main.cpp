// SPDX-License-Identifier: GPL-3.0-or-later
// Entry point of libFuzzer for the target that the build names (ERGO_FUZZ in CMakeLists.txt).
#include "tests/fuzz/support_targets.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const ergo::fuzz::Target* const target = [] {
        for (const ergo::fuzz::Target& t : ergo::fuzz::targets()) {
            if (std::string_view(t.name) == ERGO_FUZZ_TARGET) {
                return &t;
            }
        }
        std::abort();
    }();
    target->run({reinterpret_cast<const std::byte*>(data), size});
    return 0;
}
