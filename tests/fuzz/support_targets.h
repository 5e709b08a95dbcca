// SPDX-License-Identifier: GPL-3.0-or-later
// Every parser of files from strangers, as a function of bytes. libFuzzer drives them one at a time
// (fuzz_main.cpp), the normal test run replays their corpora (test_corpus.cpp).
#pragma once

#include <cstddef>
#include <span>

namespace ergo::fuzz {

struct Target {
    const char* name; ///< of its folder in corpus/
    /// Returns whatever the bytes are; only Error is caught, everything else is a finding.
    void (*run)(std::span<const std::byte> bytes);
};

std::span<const Target> targets();

} // namespace ergo::fuzz
