// SPDX-License-Identifier: GPL-3.0-or-later
// Tiles of rows in pairs of whole numbers of 16 bits (AVX-512 VNNI's vpdpwssd), as many multiplications as of
// bf16 and some 8 to 16 times as exact; included by the kernel files that multiply so.
//
// A stretch of some hundred numbers is rounded to whole ones whose squares add up to 32,767 squared. By
// Cauchy and Schwarz no sum of products of two stretches then leaves 32 bits, and such sums are exact.
// Numbers beyond some 1e18, whose squares leave float32, make results that are no numbers.
//
// Since they are exact, three multiplications a lane can do what four do (S. Winograd, A new algorithm for
// inner products, IEEE Trans. Computers 17, 1968): with pairs a, a' of a row and b, b' of an output
//     (a + b') (a' + b) = a b + a' b' + a a' + b b',
// where the last two are sums of a row and of an output alone ("crossed" ones), known before they meet. That
// is one multiplication and two additions instead of two multiplications; of additions some processors have
// units of their own, which two rows of three keep as busy as the multipliers. What leaves 32 bits on the way
// comes back.
#if defined(ERGO_CPU_WORDS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_WORDS_INL_H_
#undef ERGO_CPU_WORDS_INL_H_
#else
#define ERGO_CPU_WORDS_INL_H_
#endif

#include "engine/backend/cpu/ahead.h"
#include "engine/backend/cpu/pair_tile-inl.h"

#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512vnni")
namespace ergo::cpu::HWY_NAMESPACE::pairs {

constexpr float stretch_length = 32767; // the root of the sum of squares
constexpr int word_rows = 12; // 24 sums, 4 weights, 2 inputs and 2 sums of one of each of 32 registers

/// Numbers times their scales, rounded to whole ones: the lower halves of the lanes. Beside 3 * 2^22 the last
/// bit of a float is 1, so that one multiply-add does it.
constexpr float ones_beside = 12582912;
HWY_INLINE __m512i whole_numbers(__m512 x, __m512 scale) {
    return _mm512_castps_si512(_mm512_fmadd_ps(x, scale, _mm512_set1_ps(ones_beside)));
}
/// The same as lanes of 32 bits.
HWY_INLINE __m512i whole_lanes(__m512 x, __m512 scale) {
    const __m512i beside = _mm512_castps_si512(_mm512_set1_ps(ones_beside));
    return _mm512_sub_epi32(whole_numbers(x, scale), beside);
}
/// The pairs of two vectors of numbers.
HWY_INLINE __m512i words(__m512 first, __m512 scale0, __m512 second, __m512 scale1) {
    const __m512i high = _mm512_slli_epi32(whole_numbers(second, scale1), 16);
    return _mm512_mask_blend_epi16(0xaaaaaaaa, whole_numbers(first, scale0), high);
}

/// The larger in each lane, their signs aside.
HWY_INLINE __m512 larger(__m512 a, __m512 b) {
    return _mm512_range_ps(a, b, 0b1011);
}

/// What numbers of a stretch are multiplied by to become whole ones, given the sum of their squares; 0 of
/// zeros.
HWY_INLINE __m512 scale_to_whole(__m512 squares) {
    const __mmask16 some = _mm512_cmp_ps_mask(squares, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    return _mm512_maskz_div_ps(some, _mm512_set1_ps(stretch_length), _mm512_sqrt_ps(squares));
}
/// And whole numbers, to be the numbers again.
HWY_INLINE __m512 scale_back(__m512 squares) {
    return _mm512_mul_ps(_mm512_sqrt_ps(squares), _mm512_set1_ps(1 / stretch_length));
}

/// The pairs of a stretch of one vector of rows or outputs as they are made, whose crossed sum is wanted.
class Crossed {
  public:
    HWY_INLINE Crossed() : sum(_mm512_setzero_si512()), last(_mm512_setzero_si512()) {}
    /// Pair number p.
    HWY_INLINE void add(std::int64_t p, __m512i pair) {
        if (p % 2 != 0) {
            sum = _mm512_dpwssd_epi32(sum, last, pair);
        }
        last = pair;
    }
    __m512i sum;

  private:
    __m512i last;
};

/// What a stretch of a tile of rows begins with; pairs [pairs][16] follow.
struct WordTile {
    float scales[width];         ///< what the whole numbers stand for
    std::int32_t crossed[width]; ///< of each row
    std::int32_t largest[width]; ///< in all of them the largest whole number of all rows
    const std::uint32_t* pairs() const { return reinterpret_cast<const std::uint32_t*>(this + 1); }
};
inline std::int64_t word_tile(std::int64_t inputs) {
    return static_cast<std::int64_t>(sizeof(WordTile) / sizeof(float)) + pairs_of(inputs) * width;
}

/// A stretch of 32 outputs; pairs [pairs][32] lie elsewhere.
struct WordOutputs {
    float scales[tile_outputs];
    std::int32_t crossed[tile_outputs];
    std::int32_t largest[tile_outputs]; ///< whole number of each, or of all
};

/// Whether sums of one number of each leave 16 bits nowhere.
HWY_INLINE bool may_add(const WordTile& tile, const WordOutputs& outputs) {
    const __m512i row = _mm512_loadu_si512(tile.largest), most = _mm512_set1_epi32(32767);
    const __m512i low = _mm512_add_epi32(row, _mm512_load_si512(outputs.largest));
    const __m512i high = _mm512_add_epi32(row, _mm512_load_si512(outputs.largest + width));
    return _mm512_cmpgt_epi32_mask(_mm512_max_epi32(low, high), most) == 0;
}
/// Numbers [first, first + 16) of some of which there are `count`, each multiplied by its factor where there
/// are any; 0 beyond.
HWY_INLINE __m512 numbers(const float* row, const float* factors, std::int64_t first, std::int64_t count) {
    const __mmask16 some = first_lanes(count - first);
    const std::int64_t at = some ? first : 0;
    const __m512 x = _mm512_maskz_loadu_ps(some, row + at);
    return factors ? _mm512_maskz_mul_ps(some, x, _mm512_maskz_loadu_ps(some, factors + at)) : x;
}

/// Of a stretch.
struct Extent {
    float squares, largest; ///< the sum of all, and of any number without its sign
};
HWY_INLINE Extent extent_of(const float* row, const float* factors, std::int64_t count) {
    __m512 sum = _mm512_setzero_ps(), largest = _mm512_setzero_ps();
    for (std::int64_t i = 0; i < count; i += width) {
        const __m512 x = numbers(row, factors, i, count);
        sum = _mm512_fmadd_ps(x, x, sum);
        largest = larger(largest, x);
    }
    return {_mm512_reduce_add_ps(sum), _mm512_reduce_max_ps(largest)};
}

/// Two times 16 numbers as 16 pairs of whole numbers.
HWY_INLINE __m512i row_words(__m512 first, __m512 second, __m512 scale) {
    alignas(64) static constexpr std::uint16_t lower_halves[] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20,
                                                                 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 42,
                                                                 44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
    return _mm512_permutex2var_epi16(whole_numbers(first, scale), _mm512_load_si512(lower_halves),
                                     whole_numbers(second, scale));
}

/// Who multiplies with a tile. For all threads it goes past the caches, as in kernels_linear.cpp.
enum class Readers { this_thread, all_threads };

/// Numbers [first, first + count) of the rows of a tile, `rows` of at most 16, as a stretch; a last row
/// stands for those that it lacks. factors: [count] or null.
template <Readers readers>
void pack_words(const float* const* rows, std::int64_t many, std::int64_t first, std::int64_t count,
                const float* factors, WordTile& out) {
    const float* row[width];
    alignas(64) float squares[width], largest[width];
    for (int r = 0; r < width; ++r) {
        row[r] = rows[std::min<std::int64_t>(r, many - 1)] + first;
        const Extent extent =
            r < many ? extent_of(row[r], factors, count) : Extent{squares[many - 1], largest[many - 1]};
        squares[r] = extent.squares;
        largest[r] = extent.largest;
    }
    alignas(64) float scale[width];
    const __m512 scales = scale_to_whole(_mm512_load_ps(squares));
    _mm512_store_ps(scale, scales);
    _mm512_storeu_ps(out.scales, scale_back(_mm512_load_ps(squares)));
    const __m512i most = whole_lanes(_mm512_load_ps(largest), scales);
    _mm512_storeu_si512(out.largest, _mm512_set1_epi32(_mm512_reduce_max_epi32(most)));
    Crossed crossed;
    auto* to = reinterpret_cast<std::uint32_t*>(&out + 1);
    for (std::int64_t i = 0; i < count; i += 2 * width) {
        V v[width];
        for (int r = 0; r < width; ++r) {
            v[r] = as_floats(row_words(numbers(row[r], factors, i, count),
                                       numbers(row[r], factors, i + width, count), _mm512_set1_ps(scale[r])));
        }
        transpose(D(), v);
        for (std::int64_t c = 0; c < std::min<std::int64_t>(width, pairs_of(count - i)); ++c, to += width) {
            crossed.add(c, as_pairs(v[c]));
            if constexpr (readers == Readers::all_threads) {
                _mm512_stream_si512(reinterpret_cast<__m512i*>(to), as_pairs(v[c]));
            } else {
                _mm512_storeu_si512(to, as_pairs(v[c]));
            }
        }
    }
    _mm512_storeu_si512(out.crossed, crossed.sum);
    if constexpr (readers == Readers::all_threads) {
        _mm_sfence();
    }
}

/// How the sums of a tile are formed; either way they are the same.
enum class Way { plain, crossed };

/// Rows whose pairs are crossed, of those of a tile.
constexpr int crossed_rows(int rows) {
    return (2 * rows + 1) / 3;
}

HWY_INLINE void add_product(__m512& sum, __m512i a, __m512i b) {
    sum = _mm512_castsi512_ps(_mm512_dpwssd_epi32(_mm512_castps_si512(sum), a, b));
}

template <int Rows>
HWY_INLINE void add_words(const std::uint32_t* in, const std::uint32_t* weights, __m512* sum0, __m512* sum1) {
    const __m512i low = _mm512_load_si512(weights), high = _mm512_load_si512(weights + width);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        const __m512i x = _mm512_set1_epi32(static_cast<int>(in[r]));
        add_product(sum0[r], low, x);
        add_product(sum1[r], high, x);
    }
}

/// Two pairs of each.
template <int Rows>
HWY_INLINE void add_crossed(const std::uint32_t* in, const std::uint32_t* weights, __m512* sum0,
                            __m512* sum1) {
    const __m512i low0 = _mm512_load_si512(weights), high0 = _mm512_load_si512(weights + width);
    const __m512i low1 = _mm512_load_si512(weights + tile_outputs);
    const __m512i high1 = _mm512_load_si512(weights + tile_outputs + width);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        const __m512i x0 = _mm512_set1_epi32(static_cast<int>(in[r]));
        const __m512i x1 = _mm512_set1_epi32(static_cast<int>(in[width + r]));
        if (r < crossed_rows(Rows)) {
            add_product(sum0[r], _mm512_add_epi16(x0, low1), _mm512_add_epi16(x1, low0));
            add_product(sum1[r], _mm512_add_epi16(x0, high1), _mm512_add_epi16(x1, high0));
        } else {
            add_product(sum0[r], low0, x0);
            add_product(sum1[r], high0, x0);
            add_product(sum0[r], low1, x1);
            add_product(sum1[r], high1, x1);
        }
    }
}

/// The pairs that a way takes at once.
template <Way way> constexpr std::int64_t pairs_a_step = way == Way::crossed ? 2 : 1;
template <int Rows, Way way>
HWY_INLINE void add_step(const std::uint32_t*& in, const std::uint32_t*& weights, __m512* sum0,
                         __m512* sum1) {
    way == Way::crossed ? add_crossed<Rows>(in, weights, sum0, sum1)
                        : add_words<Rows>(in, weights, sum0, sum1);
    in += pairs_a_step<way> * width;
    weights += pairs_a_step<way> * tile_outputs;
}

/// Takes away what crossing will add.
template <int Rows>
HWY_INLINE void begin_crossed(const WordTile& tile, const WordOutputs& outputs, __m512* sum0, __m512* sum1) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i low = _mm512_sub_epi32(zero, _mm512_load_si512(outputs.crossed));
    __m512i high = _mm512_sub_epi32(zero, _mm512_load_si512(outputs.crossed + width));
    __asm__("" : "+v"(low), "+v"(high)); // else compilers add first and negate each sum
#pragma GCC unroll 16
    for (int r = 0; r < crossed_rows(Rows); ++r) {
        const __m512i row = _mm512_set1_epi32(tile.crossed[r]);
        sum0[r] = _mm512_castsi512_ps(_mm512_sub_epi32(low, row));
        sum1[r] = _mm512_castsi512_ps(_mm512_sub_epi32(high, row));
    }
}

HWY_INLINE __m512 whole(__m512 sum) {
    __asm__("" : "+v"(sum)); // else compilers keep the sums in memory as well, which this could read
    return _mm512_cvtepi32_ps(_mm512_castps_si512(sum));
}

/// A stretch of a tile of rows with one of 32 outputs, weights [pairs][32].
template <int Rows, Way way>
__attribute__((noinline)) void multiply_words(const WordTile& tile, const WordOutputs& outputs,
                                              const std::uint32_t* weights, std::int64_t pairs,
                                              const Ahead& ahead, std::int64_t share_of_ahead,
                                              const Block& block, float* const* out) {
    constexpr std::int64_t step = pairs_a_step<way>;
    static_assert(ahead_step % step == 0);
    AheadShare share = ahead.share(share_of_ahead);
    const std::int64_t lines = share.each_of(pairs / ahead_step);
    const std::uint32_t* in = tile.pairs();
    __m512 sum0[Rows], sum1[Rows]; // of whole numbers
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        sum0[r] = sum1[r] = _mm512_setzero_ps();
    }
    if constexpr (way == Way::crossed) {
        begin_crossed<Rows>(tile, outputs, sum0, sum1);
    }
    std::int64_t p = 0;
    for (; p + ahead_step <= pairs; p += ahead_step) {
        share.fetch(lines);
        if (const std::int64_t row = p / ahead_step; row < Rows) {
            fetch_sums(out[row] + block.output);
        }
#pragma GCC unroll 4
        for (std::int64_t i = 0; i < ahead_step; i += step) {
            add_step<Rows, way>(in, weights, sum0, sum1);
        }
    }
    for (; p + step <= pairs; p += step) {
        add_step<Rows, way>(in, weights, sum0, sum1);
    }
    if (pairs % step != 0) {
        add_words<Rows>(in, weights, sum0, sum1);
    }
    const __m512 scale0 = _mm512_load_ps(outputs.scales), scale1 = _mm512_load_ps(outputs.scales + width);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        const __m512 scale = _mm512_set1_ps(tile.scales[r]);
        sum0[r] = _mm512_mul_ps(whole(sum0[r]), _mm512_mul_ps(scale, scale0));
        sum1[r] = _mm512_mul_ps(whole(sum1[r]), _mm512_mul_ps(scale, scale1));
    }
    store_sums<Rows>(block, sum0, sum1, out);
}

/// Arguments go by reference: a block copied here would be read back before the stores of the tile before,
/// and wait until all those have left.
template <Way way, int Rows = word_rows, class... Args>
void multiply_words_of(std::int64_t rows, const Args&... args) {
    if constexpr (Rows > 0) {
        rows == Rows ? multiply_words<Rows, way>(args...) : multiply_words_of<way, Rows - 1>(rows, args...);
    }
}

/// The way that is wanted, where numbers allow it.
template <Way way, class... Args>
void multiply_words_where_possible(std::int64_t rows, const WordTile& tile, const WordOutputs& outputs,
                                   const Args&... args) {
    if (way == Way::crossed && may_add(tile, outputs)) {
        multiply_words_of<Way::crossed>(rows, tile, outputs, args...);
    } else {
        multiply_words_of<Way::plain>(rows, tile, outputs, args...);
    }
}

} // namespace ergo::cpu::HWY_NAMESPACE::pairs
HWY_POP_ATTRIBUTES
#endif

#endif // per-target include guard
