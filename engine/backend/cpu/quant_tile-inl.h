// SPDX-License-Identifier: GPL-3.0-or-later
// The body of the products with weights in whole numbers. kernels_quant.cpp includes it, within a namespace,
// once for every instruction set and once more for AVX-512 with VNNI, which Highway does not tell apart
// (ERGO_QUANT_VNNI). What differs is one step: four products a lane, summed exactly. VNNI has an instruction
// for it; SSSE3 to AVX-512 multiply bytes pairwise (magnitudes of the weights by inputs of their sign, so
// that no pair of 8-bit products leaves 16 bits); anything else widens to 32 bits.

#if ERGO_QUANT_VNNI
#define ERGO_QUANT_PAIRS 0
#elif HWY_ARCH_X86 &&                                                                                        \
    (HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3)
#define ERGO_QUANT_PAIRS 1
#else
#define ERGO_QUANT_PAIRS 0
#endif

// --- four products a lane --------------------------------------------------------------------------------
#if ERGO_QUANT_VNNI
HWY_INLINE VI unsigned_dot(VI sum, VI weights, VI inputs) {
    return VI{_mm512_dpbusd_epi32(sum.raw, weights.raw, inputs.raw)};
}
#elif ERGO_QUANT_PAIRS && HWY_TARGET == HWY_AVX3
HWY_INLINE VI unsigned_dot(VI sum, VI weights, VI inputs) {
    const __m512i pairs = _mm512_maddubs_epi16(weights.raw, inputs.raw);
    return VI{_mm512_add_epi32(sum.raw, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
}
HWY_INLINE VI signed_dot(VI sum, VI weights, VI inputs) {
    const __m512i with_sign = _mm512_mask_sub_epi8(inputs.raw, _mm512_movepi8_mask(weights.raw),
                                                   _mm512_setzero_si512(), inputs.raw);
    return unsigned_dot(sum, VI{_mm512_abs_epi8(weights.raw)}, VI{with_sign});
}
#elif ERGO_QUANT_PAIRS && HWY_TARGET == HWY_AVX2
HWY_INLINE VI unsigned_dot(VI sum, VI weights, VI inputs) {
    const __m256i pairs = _mm256_maddubs_epi16(weights.raw, inputs.raw);
    return VI{_mm256_add_epi32(sum.raw, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}
HWY_INLINE VI signed_dot(VI sum, VI weights, VI inputs) {
    return unsigned_dot(sum, VI{_mm256_abs_epi8(weights.raw)}, VI{_mm256_sign_epi8(inputs.raw, weights.raw)});
}
#elif ERGO_QUANT_PAIRS
HWY_INLINE VI unsigned_dot(VI sum, VI weights, VI inputs) {
    const __m128i pairs = _mm_maddubs_epi16(weights.raw, inputs.raw);
    return VI{_mm_add_epi32(sum.raw, _mm_madd_epi16(pairs, _mm_set1_epi16(1)))};
}
HWY_INLINE VI signed_dot(VI sum, VI weights, VI inputs) {
    return unsigned_dot(sum, VI{_mm_abs_epi8(weights.raw)}, VI{_mm_sign_epi8(inputs.raw, weights.raw)});
}
#else
template <int Byte> HWY_INLINE VI product(VI weights, VI inputs) {
    const DI d;
    const VI w =
        hn::And(hn::BitCast(d, hn::ShiftRight<8 * Byte>(hn::BitCast(hn::RebindToUnsigned<DI>(), weights))),
                hn::Set(d, 255));
    return hn::Mul(w, hn::ShiftRight<24>(hn::ShiftLeft<24 - 8 * Byte>(inputs)));
}
HWY_INLINE VI unsigned_dot(VI sum, VI weights, VI inputs) {
    sum = hn::Add(sum, hn::Add(product<0>(weights, inputs), product<1>(weights, inputs)));
    return hn::Add(sum, hn::Add(product<2>(weights, inputs), product<3>(weights, inputs)));
}
#endif

// --- a tile of Rows x Strips * 16 outputs ----------------------------------------------------------------
template <DType Form, int Rows, int Strips> struct Tile {
    static constexpr int vectors = Strips * parts;
    VI high[Rows][vectors], low[Rows][vectors]; // sums with the inputs' high and low bytes
    VF total[Rows][vectors];
    const std::byte* strip[Strips]; // numbers of the group at hand
    const std::byte* scale[Strips];
    const std::int8_t* in[Rows];

    static HWY_INLINE VI load(const std::byte* p) {
        return hn::LoadU(DI(), reinterpret_cast<const std::int32_t*>(p));
    }
    static HWY_INLINE VI load_inputs(const std::int8_t* p) {
        std::int32_t four;
        std::memcpy(&four, p, sizeof four);
        return hn::Set(DI(), four);
    }
    static HWY_INLINE VF load_halves(const std::byte* p) {
        const hn::Rebind<std::uint16_t, DF> d16;
        const hn::Rebind<hwy::float16_t, DF> half;
        return hn::PromoteTo(DF(),
                             hn::BitCast(half, hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(p))));
    }

    HWY_INLINE void begin_group(const QuantRows& rows, std::int64_t at) {
        for (int r = 0; r < Rows; ++r) {
            const bool offset = Form == DType::q8 && !ERGO_QUANT_PAIRS;
            const VI first = offset ? hn::Set(DI(), rows.offsets[r * rows.groups + at]) : hn::Zero(DI());
            for (int v = 0; v < vectors; ++v) {
                high[r][v] = hn::Zero(DI());
                low[r][v] = first;
            }
        }
    }

    HWY_INLINE void numbers_q8() {
        for (int s = 0; s < 8; ++s) {
            VI w[vectors];
            for (int v = 0; v < vectors; ++v) {
                w[v] = load(strip[v / parts] + s * 64 + v % parts * lanes * 4);
#if ERGO_QUANT_PAIRS
                w[v] = hn::Xor(w[v], hn::Set(DI(), static_cast<std::int32_t>(0x80808080u)));
#endif
            }
            for (int r = 0; r < Rows; ++r) {
                const VI x = load_inputs(in[r] + 4 * s), y = load_inputs(in[r] + group_inputs + 4 * s);
                for (int v = 0; v < vectors; ++v) {
#if ERGO_QUANT_PAIRS
                    high[r][v] = signed_dot(high[r][v], w[v], x);
                    low[r][v] = signed_dot(low[r][v], w[v], y);
#else
                    high[r][v] = unsigned_dot(high[r][v], w[v], x);
                    low[r][v] = unsigned_dot(low[r][v], w[v], y);
#endif
                }
            }
        }
    }

    HWY_INLINE void numbers_q4() {
        const VI nibble = hn::Set(DI(), 0x0f0f0f0f);
        for (int p = 0; p < 4; ++p) {
            VI w[2][vectors];
            for (int v = 0; v < vectors; ++v) {
                const VI both = load(strip[v / parts] + p * 64 + v % parts * lanes * 4);
                w[0][v] = hn::And(both, nibble);
                w[1][v] = hn::And(hn::ShiftRight<4>(both), nibble);
            }
            for (int half = 0; half < 2; ++half) {
                for (int r = 0; r < Rows; ++r) {
                    const std::int8_t* const at = in[r] + 4 * p + 16 * half;
                    const VI x = load_inputs(at), y = load_inputs(at + group_inputs);
                    for (int v = 0; v < vectors; ++v) {
                        high[r][v] = unsigned_dot(high[r][v], w[half][v], x);
                        low[r][v] = unsigned_dot(low[r][v], w[half][v], y);
                    }
                }
            }
        }
    }

    HWY_INLINE void end_group(const QuantRows& rows, std::int64_t at) {
        constexpr int group_halves = Form == DType::q8 ? 16 : 32;
        for (int v = 0; v < vectors; ++v) {
            const std::byte* const p = scale[v / parts] + v % parts * lanes * 2;
            const VF weights = load_halves(p);
            for (int r = 0; r < Rows; ++r) {
                const VF both = hn::Mul(weights, hn::Set(DF(), rows.scales[r * rows.groups + at]));
                const VI times_255 = hn::Sub(hn::ShiftLeft<8>(high[r][v]), high[r][v]);
                const VF sum = hn::ConvertTo(DF(), hn::Add(times_255, low[r][v]));
                total[r][v] = hn::Add(total[r][v], hn::Mul(sum, both));
            }
            if (Form == DType::q4) {
                const VF minimum = load_halves(p + 32);
                for (int r = 0; r < Rows; ++r) {
                    const VF x = hn::Set(DF(), rows.sums[r * rows.groups + at]);
                    total[r][v] = hn::Add(total[r][v], hn::Mul(minimum, x));
                }
            }
        }
        for (int s = 0; s < Strips; ++s) {
            strip[s] += strip_group_bytes(Form);
            scale[s] += group_halves * 2;
        }
        for (int r = 0; r < Rows; ++r) {
            in[r] += 2 * group_inputs;
        }
    }

    /// Rows from `row` on, outputs from `output` (a multiple of 16) on.
    HWY_INLINE void run(const QuantLinearArgs& a, std::int64_t row, std::int64_t output) {
        QuantRows rows = a.in;
        rows.scales += row * rows.groups;
        rows.sums += row * rows.groups;
        rows.offsets += row * rows.groups;
        const std::int64_t bytes = strip_bytes(Form, a.inputs);
        for (int s = 0; s < Strips; ++s) {
            scale[s] = a.weight + (output / strip_outputs + s) * bytes;
            strip[s] = scale[s] + strip_scale_bytes(Form, rows.groups);
        }
        for (int r = 0; r < Rows; ++r) {
            in[r] = a.in.numbers + (row + r) * rows.groups * 2 * group_inputs;
            for (int v = 0; v < vectors; ++v) {
                total[r][v] = hn::Zero(DF());
            }
        }
        for (std::int64_t g = 0; g < rows.groups; ++g) {
            begin_group(rows, g);
            if (Form == DType::q8) {
                numbers_q8();
            } else {
                numbers_q4();
            }
            end_group(rows, g);
        }
        for (int r = 0; r < Rows; ++r) {
            store(a, a.out[row + r], output, total[r]);
        }
    }

    static HWY_INLINE void store(const QuantLinearArgs& a, float* out, std::int64_t output,
                                 const VF* values) {
        HWY_ALIGN float whole[Strips * 16];
        for (int v = 0; v < vectors; ++v) {
            hn::Store(values[v], DF(), whole + v * lanes);
        }
        const std::int64_t count = std::min<std::int64_t>(Strips * 16, a.outputs - output);
        for (std::int64_t i = 0; i < count; ++i) {
            out[output + i] = whole[i] + (a.bias ? a.bias[output + i] : 0.0f);
        }
    }
};

template <DType Form, int Rows, int Strips>
HWY_NOINLINE void tile(const QuantLinearArgs& a, std::int64_t row, std::int64_t output) {
    Tile<Form, Rows, Strips>().run(a, row, output);
}

#if HWY_TARGET == HWY_AVX3
constexpr int tile_rows = 4, tile_strips = 2; // 32 registers
#else
constexpr int tile_rows = 2, tile_strips = 1; // 16 registers
#endif

template <DType Form, int Strips> void all_rows(const QuantLinearArgs& a, std::int64_t output) {
    std::int64_t r = 0;
    for (; r + tile_rows <= a.rows; r += tile_rows) {
        tile<Form, tile_rows, Strips>(a, r, output);
    }
    for (; r + 2 <= a.rows; r += 2) {
        tile<Form, 2, Strips>(a, r, output);
    }
    if (r < a.rows) {
        tile<Form, 1, Strips>(a, r, output);
    }
}

template <DType Form> void linear_of(const QuantLinearArgs& a, std::int64_t begin, std::int64_t end) {
    std::int64_t o = begin;
    for (; o + tile_strips * strip_outputs <= end; o += tile_strips * strip_outputs) {
        all_rows<Form, tile_strips>(a, o);
    }
    for (; o < end; o += strip_outputs) {
        all_rows<Form, 1>(a, o);
    }
    for (std::int64_t r = 0; r < a.rows; ++r) {
        activate_in_place(hn::ScalableTag<float>(), a.activation, a.out[r] + begin, end - begin);
    }
}

void QuantLinearKernel(const QuantLinearArgs& a, std::int64_t begin, std::int64_t end) {
    if (a.form == DType::q8) {
        linear_of<DType::q8>(a, begin, end);
    } else {
        linear_of<DType::q4>(a, begin, end);
    }
}

#undef ERGO_QUANT_PAIRS
