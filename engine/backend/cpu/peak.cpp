// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/peak.h"

#include "engine/backend/cpu/memory.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/peak.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
constexpr int chains = 24;
#else
constexpr int chains = 12;
#endif

// Returns the operations done; the sum keeps them alive.
double MultiplyAddsKernel(std::int64_t rounds, float* sum) {
    const hn::ScalableTag<float> d;
    using V = hn::Vec<decltype(d)>;
    const V factor = hn::Set(d, *sum), term = hn::Set(d, *sum * 0.5f);
    V chain[chains];
#pragma GCC unroll 24
    for (int c = 0; c < chains; ++c) {
        chain[c] = hn::Set(d, static_cast<float>(c)); // no two alike, or the compiler would make them one
    }
    for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 24
        for (int c = 0; c < chains; ++c) {
            chain[c] = hn::MulAdd(chain[c], factor, term);
        }
    }
    V all = hn::Zero(d);
#pragma GCC unroll 24
    for (int c = 0; c < chains; ++c) {
        all = hn::Add(all, chain[c]);
    }
    *sum = hn::GetLane(hn::SumOfLanes(d, all));
    return 2.0 * chains * static_cast<double>(hn::Lanes(d)) * static_cast<double>(rounds);
}

// The widest loads the machine has, several in flight.
std::uint64_t SumWordsKernel(const std::uint64_t* words, std::size_t count) {
    const hn::ScalableTag<std::uint64_t> d;
    const std::size_t lanes = hn::Lanes(d);
    auto a = hn::Zero(d), b = a, c = a, e = a;
    for (std::size_t i = 0; i + 4 * lanes <= count; i += 4 * lanes) {
        a = hn::Add(a, hn::LoadU(d, words + i));
        b = hn::Add(b, hn::LoadU(d, words + i + lanes));
        c = hn::Add(c, hn::LoadU(d, words + i + 2 * lanes));
        e = hn::Add(e, hn::LoadU(d, words + i + 3 * lanes));
    }
    return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(a, b), hn::Add(c, e))));
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ergo {

namespace cpu {
HWY_EXPORT(MultiplyAddsKernel);
HWY_EXPORT(SumWordsKernel);

namespace {

double multiply_adds(std::int64_t rounds, float* sum) {
    return HWY_DYNAMIC_DISPATCH(MultiplyAddsKernel)(rounds, sum);
}

std::uint64_t sum_words(const std::uint64_t* words, std::size_t count) {
    return HWY_DYNAMIC_DISPATCH(SumWordsKernel)(words, count);
}

} // namespace
} // namespace cpu

namespace {

using Clock = std::chrono::steady_clock;

// body(worker) on each of `threads` threads at once: the seconds that it took.
template <class Body> double together(int threads, const Body& body) {
    std::atomic<int> ready{0};
    std::vector<std::thread> workers;
    std::vector<Clock::time_point> starts(static_cast<std::size_t>(threads)), ends = starts;
    for (int w = 0; w < threads; ++w) {
        workers.emplace_back([&, w] {
            ++ready;
            while (ready.load() < threads) {
                std::this_thread::yield();
            }
            starts[static_cast<std::size_t>(w)] = Clock::now();
            body(w);
            ends[static_cast<std::size_t>(w)] = Clock::now();
        });
    }
    for (std::thread& worker : workers) {
        worker.join();
    }
    return std::chrono::duration<double>(*std::max_element(ends.begin(), ends.end()) -
                                         *std::min_element(starts.begin(), starts.end()))
        .count();
}

template <class Sample> double median_of(int count, const Sample& sample) {
    std::vector<double> values;
    for (int i = 0; i < count; ++i) {
        values.push_back(sample());
    }
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

#if defined(__x86_64__) && defined(__GNUC__)
constexpr std::int64_t int8_rounds = 1 << 20;

__attribute__((target("avx512f,avx512vnni"))) std::int64_t int8_vnni(int seed) {
    __m512i chain[16];
    const __m512i a = _mm512_set1_epi8(static_cast<char>(seed)), b = _mm512_set1_epi8(1);
#pragma GCC unroll 16
    for (int c = 0; c < 16; ++c) {
        chain[c] = _mm512_set1_epi32(c);
    }
    for (std::int64_t i = 0; i < int8_rounds; ++i) {
#pragma GCC unroll 16
        for (int c = 0; c < 16; ++c) {
            chain[c] = _mm512_dpbusd_epi32(chain[c], a, b);
        }
    }
    __m512i all = _mm512_setzero_si512();
#pragma GCC unroll 16
    for (int c = 0; c < 16; ++c) {
        all = _mm512_add_epi32(all, chain[c]);
    }
    std::int32_t sums[16];
    _mm512_storeu_si512(sums, all);
    return sums[0];
}

__attribute__((target("avx2"))) std::int64_t int8_avx2(int seed) {
    __m256i chain[12];
    const __m256i a = _mm256_set1_epi8(static_cast<char>(seed)), b = _mm256_set1_epi8(1);
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 12
    for (int c = 0; c < 12; ++c) {
        chain[c] = _mm256_set1_epi32(c);
    }
    for (std::int64_t i = 0; i < int8_rounds; ++i) {
#pragma GCC unroll 12
        for (int c = 0; c < 12; ++c) {
            const __m256i pairs = _mm256_maddubs_epi16(_mm256_xor_si256(a, chain[c]), b);
            chain[c] = _mm256_add_epi32(chain[c], _mm256_madd_epi16(pairs, ones));
        }
    }
    __m256i all = _mm256_setzero_si256();
#pragma GCC unroll 12
    for (int c = 0; c < 12; ++c) {
        all = _mm256_add_epi32(all, chain[c]);
    }
    return _mm256_extract_epi32(all, 0);
}
#endif

} // namespace

double measure_read_bandwidth(int threads, std::size_t bytes) {
    const auto count = static_cast<std::size_t>(std::max(threads, 1));
    const std::size_t slice = std::max<std::size_t>(bytes / sizeof(std::uint64_t) / count, 1024);
    const std::size_t size = slice * count * sizeof(std::uint64_t);
    const cpu::LazyMemory memory(size, "a measurement of the memory's speed");
    memory.prefer_large_pages();
    std::fill(memory.data(), memory.data() + size, std::byte{1}); // untouched pages are one page of zeros
    const auto* words = reinterpret_cast<const std::uint64_t*>(memory.data());
    const auto passes = std::clamp<std::size_t>((std::size_t{64} << 20) / size, 1, 4096);
    std::atomic<std::uint64_t> sink{0}; // keeps the sums alive
    return median_of(9, [&] {
        const double seconds = together(static_cast<int>(count), [&](int w) {
            for (std::size_t pass = 0; pass < passes; ++pass) {
                sink += cpu::sum_words(words + static_cast<std::size_t>(w) * slice, slice);
            }
        });
        return static_cast<double>(size * passes) / seconds;
    });
}

double measure_float_peak(int threads) {
    const int count = std::max(threads, 1);
    std::atomic<double> sink{0};
    return median_of(5, [&] {
        std::atomic<double> operations{0};
        const double seconds = together(count, [&](int) {
            float sum = 0.25f;
            operations = cpu::multiply_adds(2000000, &sum);
            sink = sum;
        });
        return operations * count / seconds;
    });
}

double measure_int8_peak(int threads) {
#if defined(__x86_64__) && defined(__GNUC__)
    const bool vnni = __builtin_cpu_supports("avx512vnni");
    if (!vnni && !__builtin_cpu_supports("avx2")) {
        return 0;
    }
    const int count = std::max(threads, 1);
    std::atomic<std::int64_t> sink{0};
    return median_of(5, [&] {
        const double seconds =
            together(count, [&](int w) { sink += vnni ? int8_vnni(w + 1) : int8_avx2(w + 1); });
        const double each = vnni ? 2.0 * 64 * 16 : 2.0 * 32 * 12;
        return each * int8_rounds * count / seconds;
    });
#else
    (void)threads;
    return 0;
#endif
}

} // namespace ergo
#endif // HWY_ONCE
