// SPDX-License-Identifier: GPL-3.0-or-later
// The body of the products with weights in whole numbers. kernels_quant.cpp includes it, within a namespace,
// once for every instruction set and once more for AVX-512 with VNNI, which Highway does not tell apart
// (ERGO_QUANT_VNNI). What differs is one step, exact on all: two products of 16 bits a lane or, with VNNI,
// four of 8.
//
// One row reads each strip as it lies, in one stream. Many rows take a strip or two for some groups, which
// stay in the first cache while all tiles of rows pass: as they lie where there are registers enough to hide
// the taking apart behind a tile's products, else as a panel that is taken apart once.

constexpr std::uint32_t bytes_in_pairs = 0x00ff00ff, halves_in_pairs = 0x000f000f,
                        halves_in_fours = 0x0f0f0f0f;
constexpr int block_groups = 16; // of a panel
#if HWY_TARGET == HWY_AVX3
constexpr int tile_rows = 6, tile_strips = 2; // 12 sums and 12 totals of 32 registers
constexpr bool strips_as_they_lie = true;
#elif HWY_TARGET == HWY_AVX2
constexpr int tile_rows = 4, tile_strips = 1; // 8 sums of 16 registers
constexpr bool strips_as_they_lie = false;
#else
constexpr int tile_rows = 2, tile_strips = 1;
constexpr bool strips_as_they_lie = false;
#endif
constexpr int tile_vectors = tile_strips * parts, tile_outputs = tile_strips * 16;

// --- products of a lane ----------------------------------------------------------------------------------
// Two of 16 bits: weights are not negative.
HWY_INLINE VI dot_pairs(VI sum, VI weights, VI inputs) {
#if ERGO_QUANT_VNNI
    return VI{_mm512_dpwssd_epi32(sum.raw, weights.raw, inputs.raw)};
#elif HWY_ARCH_X86 && HWY_TARGET == HWY_AVX3
    return VI{_mm512_add_epi32(sum.raw, _mm512_madd_epi16(weights.raw, inputs.raw))};
#elif HWY_ARCH_X86 && HWY_TARGET == HWY_AVX2
    return VI{_mm256_add_epi32(sum.raw, _mm256_madd_epi16(weights.raw, inputs.raw))};
#elif HWY_ARCH_X86 && (HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3)
    return VI{_mm_add_epi32(sum.raw, _mm_madd_epi16(weights.raw, inputs.raw))};
#else
    const auto high = [](VI v) HWY_ATTR { return hn::ShiftRight<16>(v); };
    const auto low = [](VI v) HWY_ATTR { return hn::ShiftRight<16>(hn::ShiftLeft<16>(v)); };
    return hn::Add(hn::Add(sum, hn::Mul(low(weights), low(inputs))), hn::Mul(high(weights), high(inputs)));
#endif
}

template <bool Bytes> HWY_INLINE VI dot(VI sum, VI weights, VI inputs) {
#if ERGO_QUANT_VNNI
    if constexpr (Bytes) {
        return VI{_mm512_dpbusd_epi32(sum.raw, weights.raw, inputs.raw)};
    }
#endif
    return dot_pairs(sum, weights, inputs);
}

// --- the numbers of a group, as the step above wants them ------------------------------------------------
// A group is `blocks` blocks of 4 inputs (q8) or twice 4 (q4) of 16 outputs; a block gives `steps` vectors
// for each of its vectors, which meet the inputs' 32 bits at `place`.
template <DType Form, bool Bytes> struct Numbers {
    static constexpr int blocks = Form == DType::q8 ? 8 : 4, group_steps = Bytes ? 8 : 16;
    static constexpr int steps = group_steps / blocks;

    template <int Bits> static HWY_INLINE VI field(VI block, std::uint32_t mask) {
        const DI d;
        const auto moved = hn::ShiftRight<Bits>(hn::BitCast(hn::RebindToUnsigned<DI>(), block));
        return hn::And(hn::BitCast(d, moved), hn::Set(d, static_cast<std::int32_t>(mask)));
    }

    static HWY_INLINE void take_apart(const std::byte* p, VI* step) {
        const VI block = hn::LoadU(DI(), reinterpret_cast<const std::int32_t*>(p));
        if constexpr (Form == DType::q8 && Bytes) {
            step[0] = block;
        } else if constexpr (Form == DType::q8) {
            step[0] = field<0>(block, bytes_in_pairs);
            step[1] = field<8>(block, bytes_in_pairs);
        } else if constexpr (Bytes) {
            step[0] = field<0>(block, halves_in_fours);
            step[1] = field<4>(block, halves_in_fours);
        } else {
            step[0] = field<0>(block, halves_in_pairs);
            step[1] = field<8>(block, halves_in_pairs);
            step[2] = field<4>(block, halves_in_pairs);
            step[3] = field<12>(block, halves_in_pairs);
        }
    }

    static constexpr int place(int block, int step) {
        if (Form == DType::q8) {
            return block * steps + step;
        }
        return Bytes ? block + 4 * step : 2 * block + step % 2 + 8 * (step / 2);
    }
};

HWY_INLINE VI load_inputs(const std::byte* p) {
    std::int32_t four;
    std::memcpy(&four, p, sizeof four);
    return hn::Set(DI(), four);
}

HWY_INLINE VF load_halves(const std::byte* p) {
    const hn::Rebind<std::uint16_t, DF> d16;
    const hn::Rebind<hwy::float16_t, DF> half;
    return hn::PromoteTo(DF(), hn::BitCast(half, hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(p))));
}

/// total + sum * (weight scale * input scale) [+ minimum * input sum]
template <DType Form>
HWY_INLINE VF add_group(VF total, VI sum, VF scale, VF input_scale, VF minimum, VF input_sum) {
    total = hn::Add(total, hn::Mul(hn::ConvertTo(DF(), sum), hn::Mul(scale, input_scale)));
    if constexpr (Form == DType::q4) {
        total = hn::Add(total, hn::Mul(minimum, input_sum));
    }
    return total;
}

/// The first `count` of a tile's outputs, or all where there are more.
HWY_INLINE void store(float* out, std::int64_t count, const VF* total, int vectors) {
    if (count >= vectors * lanes) {
        for (int v = 0; v < vectors; ++v) {
            hn::StoreU(total[v], DF(), out + v * lanes);
        }
        return;
    }
    HWY_ALIGN float whole[tile_outputs];
    for (int v = 0; v < vectors; ++v) {
        hn::Store(total[v], DF(), whole + v * lanes);
    }
    std::copy_n(whole, count, out);
}

/// What a tile's outputs hold, 0 beyond the first `count`.
HWY_INLINE void load(const float* out, std::int64_t count, VF* total, int vectors) {
    HWY_ALIGN float whole[tile_outputs] = {};
    if (count < vectors * lanes) {
        std::copy_n(out, count, whole);
        out = whole;
    }
    for (int v = 0; v < vectors; ++v) {
        total[v] = hn::LoadU(DF(), out + v * lanes);
    }
}

// --- one row ---------------------------------------------------------------------------------------------
template <DType Form, bool Bytes>
HWY_NOINLINE void strip_of_row(const QuantLinearArgs& a, std::int64_t output) {
    using N = Numbers<Form, Bytes>;
    const QuantRows& rows = a.in;
    const std::byte* from = a.weight + output / strip_outputs * strip_bytes(Form, a.inputs);
    const std::byte* in = rows.numbers;
    VF total[parts];
    for (int v = 0; v < parts; ++v) {
        total[v] = hn::Zero(DF());
    }
    for (std::int64_t g = 0; g < rows.groups; ++g) {
        const std::byte* const scale = from;
        from += group_scale_bytes(Form);
        VI sum[2][parts];
#pragma GCC unroll 4
        for (int v = 0; v < parts; ++v) {
            sum[0][v] = Form == DType::q8 ? hn::Set(DI(), rows.offsets[g]) : hn::Zero(DI());
            sum[1][v] = hn::Zero(DI());
        }
#pragma GCC unroll 8
        for (int b = 0; b < N::blocks; ++b, from += 64) {
#pragma GCC unroll 4
            for (int v = 0; v < parts; ++v) {
                VI step[N::steps];
                N::take_apart(from + v * lanes * 4, step);
#pragma GCC unroll 4
                for (int s = 0; s < N::steps; ++s) {
                    VI& to = sum[(b * N::steps + s) % 2][v];
                    to = dot<Bytes>(to, step[s], load_inputs(in + 4 * N::place(b, s)));
                }
            }
        }
        in += 4 * N::group_steps;
        const VF input_scale = hn::Set(DF(), rows.scales[g]), input_sum = hn::Set(DF(), rows.sums[g]);
#pragma GCC unroll 4
        for (int v = 0; v < parts; ++v) {
            const VF minimum = Form == DType::q4 ? load_halves(scale + 32 + v * lanes * 2) : hn::Zero(DF());
            total[v] = add_group<Form>(total[v], hn::Add(sum[0][v], sum[1][v]),
                                       load_halves(scale + v * lanes * 2), input_scale, minimum, input_sum);
        }
    }
    store(a.out[0] + output, a.outputs - output, total, parts);
}

// --- many rows -------------------------------------------------------------------------------------------
// What a multiplication reads of its weights, group by group of those at hand: numbers of a block's step, of
// vector v of the outputs, and scales and minimums.

/// Strips as they lie; outputs beyond the last strip repeat it.
template <DType Form_, bool Bytes_> struct Strips {
    static constexpr DType Form = Form_;
    static constexpr bool Bytes = Bytes_;
    using N = Numbers<Form, Bytes>;

    const std::byte* strips[tile_strips];

    void read(const QuantLinearArgs& a, std::int64_t output, std::int64_t first, std::int64_t /*count*/) {
        for (int s = 0; s < tile_strips; ++s) {
            const std::int64_t strip = std::min(output / strip_outputs + s, strips_of(a.outputs) - 1);
            strips[s] = a.weight + strip * strip_bytes(Form, a.inputs) + first * strip_group_bytes(Form);
        }
    }
    HWY_INLINE const std::byte* group(std::int64_t g, int v) const {
        return strips[v / parts] + g * strip_group_bytes(Form);
    }
    HWY_INLINE VI numbers(std::int64_t g, int block, int step, int v) const {
        VI steps[N::steps];
        N::take_apart(group(g, v) + group_scale_bytes(Form) + 64 * block + v % parts * lanes * 4, steps);
        return steps[step];
    }
    HWY_INLINE VF scale(std::int64_t g, int v) const {
        return load_halves(group(g, v) + v % parts * lanes * 2);
    }
    HWY_INLINE VF minimum(std::int64_t g, int v) const {
        return load_halves(group(g, v) + 32 + v % parts * lanes * 2);
    }
};

template <DType Form_, bool Bytes_> struct Panel {
    static constexpr DType Form = Form_;
    static constexpr bool Bytes = Bytes_;
    using N = Numbers<Form, Bytes>;

    HWY_ALIGN std::int32_t all_numbers[block_groups * N::group_steps * tile_outputs]; // [group, step, output]
    HWY_ALIGN float scales[block_groups * tile_outputs];                              // [group, output]
    HWY_ALIGN float minimums[Form == DType::q4 ? block_groups * tile_outputs : lanes];

    HWY_INLINE VI numbers(std::int64_t g, int block, int step, int v) const {
        return hn::Load(DI(), all_numbers + (g * N::group_steps + N::place(block, step)) * tile_outputs +
                                  v * lanes);
    }
    HWY_INLINE VF scale(std::int64_t g, int v) const {
        return hn::Load(DF(), scales + g * tile_outputs + v * lanes);
    }
    HWY_INLINE VF minimum(std::int64_t g, int v) const {
        return hn::Load(DF(), minimums + g * tile_outputs + v * lanes);
    }

    /// Groups [first, first + count) of the outputs from `output` on; those beyond the last strip repeat it.
    void read(const QuantLinearArgs& a, std::int64_t output, std::int64_t first, std::int64_t count) {
        for (int s = 0; s < tile_strips; ++s) {
            const std::int64_t strip = std::min(output / strip_outputs + s, strips_of(a.outputs) - 1);
            fill_strip(a.weight + strip * strip_bytes(Form, a.inputs) + first * strip_group_bytes(Form),
                       count, s * 16);
        }
    }

  private:
    void fill_strip(const std::byte* from, std::int64_t count, int column) {
        for (std::int64_t g = 0; g < count; ++g) {
            const std::byte* scale = from;
            from += group_scale_bytes(Form);
            for (int b = 0; b < N::blocks; ++b) {
                for (int v = 0; v < parts; ++v, from += 4 * lanes) {
                    VI step[N::steps];
                    N::take_apart(from, step);
                    for (int s = 0; s < N::steps; ++s) {
                        hn::Store(step[s], DI(),
                                  all_numbers + (g * N::group_steps + N::place(b, s)) * tile_outputs +
                                      column + v * lanes);
                    }
                }
            }
            for (int v = 0; v < parts; ++v, scale += 2 * lanes) {
                const std::int64_t at = g * tile_outputs + column + v * lanes;
                hn::Store(load_halves(scale), DF(), scales + at);
                if constexpr (Form == DType::q4) {
                    hn::Store(load_halves(scale + 32), DF(), minimums + at);
                }
            }
        }
    }
};

// Rows [row, row + Rows): groups [first, first + count) of the weights added to what `out` holds, or to 0.
template <class Weights, int Rows>
HWY_NOINLINE void multiply(const QuantLinearArgs& a, const Weights& weights, std::int64_t row,
                           std::int64_t output, std::int64_t first, std::int64_t count) {
    constexpr DType Form = Weights::Form;
    using N = typename Weights::N;
    const std::int64_t groups = a.in.groups, stride = groups * 4 * N::group_steps;
    const std::byte* in = a.in.numbers + row * stride + first * 4 * N::group_steps;
    const std::int64_t at = row * groups + first,
                       wide = std::min<std::int64_t>(tile_outputs, a.outputs - output);
    VF total[Rows][tile_vectors];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
        if (first > 0) {
            load(a.out[row + r] + output, wide, total[r], tile_vectors);
            continue;
        }
#pragma GCC unroll 8
        for (int v = 0; v < tile_vectors; ++v) {
            total[r][v] = hn::Zero(DF());
        }
    }
    for (std::int64_t g = 0; g < count; ++g, in += 4 * N::group_steps) {
        VI sum[Rows][tile_vectors];
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
            const VI start =
                Form == DType::q8 ? hn::Set(DI(), a.in.offsets[at + r * groups + g]) : hn::Zero(DI());
#pragma GCC unroll 8
            for (int v = 0; v < tile_vectors; ++v) {
                sum[r][v] = start;
            }
        }
#pragma GCC unroll 16
        for (int step = 0; step < N::group_steps; ++step) {
            const int block = step / N::steps, part = step % N::steps;
            VI w[tile_vectors];
#pragma GCC unroll 8
            for (int v = 0; v < tile_vectors; ++v) {
                w[v] = weights.numbers(g, block, part, v);
            }
#pragma GCC unroll 8
            for (int r = 0; r < Rows; ++r) {
                const VI x = load_inputs(in + r * stride + 4 * N::place(block, part));
#pragma GCC unroll 8
                for (int v = 0; v < tile_vectors; ++v) {
                    sum[r][v] = dot<Weights::Bytes>(sum[r][v], w[v], x);
                }
            }
        }
#pragma GCC unroll 8
        for (int v = 0; v < tile_vectors; ++v) {
            const VF scale = weights.scale(g, v);
            const VF minimum = Form == DType::q4 ? weights.minimum(g, v) : hn::Zero(DF());
#pragma GCC unroll 8
            for (int r = 0; r < Rows; ++r) {
                const std::int64_t i = at + r * groups + g;
                total[r][v] = add_group<Form>(total[r][v], sum[r][v], scale, hn::Set(DF(), a.in.scales[i]),
                                              minimum, hn::Set(DF(), a.in.sums[i]));
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
        store(a.out[row + r] + output, wide, total[r], tile_vectors);
    }
}

template <class Weights, int Rows>
void multiply_rows(const QuantLinearArgs& a, const Weights& weights, std::int64_t row, std::int64_t rows,
                   std::int64_t output, std::int64_t first, std::int64_t count) {
    if constexpr (Rows > 0) {
        rows == Rows ? multiply<Weights, Rows>(a, weights, row, output, first, count)
                     : multiply_rows<Weights, Rows - 1>(a, weights, row, rows, output, first, count);
    }
}

/// Where the weights of the panel after that of (output, first) are.
Pieces next_panel(const QuantLinearArgs& a, std::int64_t output, std::int64_t first, std::int64_t begin,
                  std::int64_t end) {
    output += tile_outputs;
    if (output >= end) {
        output = begin;
        first += block_groups;
    }
    const std::int64_t count = std::min<std::int64_t>(block_groups, a.in.groups - first);
    if (count <= 0) {
        return {};
    }
    const std::int64_t stride = strip_bytes(a.form, a.inputs), group = strip_group_bytes(a.form);
    return {a.weight + output / strip_outputs * stride + first * group, tile_strips, stride, count * group};
}

template <class Weights> void rows_by_tiles(const QuantLinearArgs& a, std::int64_t begin, std::int64_t end) {
    Weights weights;
    const std::int64_t tiles = (a.rows + tile_rows - 1) / tile_rows; // they share the rows evenly
    for (std::int64_t first = 0; first < a.in.groups; first += block_groups) {
        const std::int64_t count = std::min<std::int64_t>(block_groups, a.in.groups - first);
        for (std::int64_t o = begin; o < end; o += tile_outputs) {
            weights.read(a, o, first, count);
            const Ahead ahead(next_panel(a, o, first, begin, end), tiles);
            for (std::int64_t tile = 0; tile < tiles; ++tile) {
                ahead.fetch(tile);
                const std::int64_t row = a.rows * tile / tiles;
                multiply_rows<Weights, tile_rows>(a, weights, row, a.rows * (tile + 1) / tiles - row, o,
                                                  first, count);
            }
        }
    }
}

template <DType Form, bool Bytes>
using Many = std::conditional_t<strips_as_they_lie, Strips<Form, Bytes>, Panel<Form, Bytes>>;

template <DType Form, bool Bytes>
void linear_of(const QuantLinearArgs& a, std::int64_t begin, std::int64_t end) {
    if (a.rows > 1) {
        rows_by_tiles<Many<Form, Bytes>>(a, begin, end);
    } else {
        for (std::int64_t o = begin; o < end; o += strip_outputs) {
            strip_of_row<Form, Bytes>(a, o);
        }
    }
    for (std::int64_t r = 0; r < a.rows; ++r) {
        for (std::int64_t o = begin; a.bias && o < end; ++o) {
            a.out[r][o] += a.bias[o];
        }
        activate_in_place(hn::ScalableTag<float>(), a.activation, a.out[r] + begin, end - begin);
    }
}

void QuantLinearKernel(const QuantLinearArgs& a, std::int64_t begin, std::int64_t end) {
#if ERGO_QUANT_VNNI
    if (a.in.bytes) {
        return a.form == DType::q8 ? linear_of<DType::q8, true>(a, begin, end)
                                   : linear_of<DType::q4, true>(a, begin, end);
    }
#endif
    return a.form == DType::q8 ? linear_of<DType::q8, false>(a, begin, end)
                               : linear_of<DType::q4, false>(a, begin, end);
}
