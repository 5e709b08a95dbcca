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
// A group is `blocks` blocks of 4 inputs (q8) or twice 4 (the others, and what they have beyond 4 bits behind
// them) of 16 outputs; a block gives `steps` vectors for each of its vectors, which meet the inputs' 32 bits
// at `place`.
template <DType Form, bool Bytes> struct Numbers {
    static constexpr int blocks = Form == DType::q8 ? 8 : 4, group_steps = Bytes ? 8 : 16;
    static constexpr int steps = group_steps / blocks;

    template <int Bits> static HWY_INLINE VI field(VI block, std::uint32_t mask) {
        const DI d;
        const auto moved = hn::ShiftRight<Bits>(hn::BitCast(hn::RebindToUnsigned<DI>(), block));
        return hn::And(hn::BitCast(d, moved), hn::Set(d, static_cast<std::int32_t>(mask)));
    }

    /// Of the 16 outputs' numbers at `group` the block's vector that begins with output `lane`.
    static HWY_INLINE void take_apart(const std::byte* group, int block, int lane, VI* step) {
        if constexpr (number_bits(Form) == 5 || number_bits(Form) == 6) {
            switch (block) { // shifts are constants
            case 0:
                return take_apart_more<0>(group, lane, step);
            case 1:
                return take_apart_more<1>(group, lane, step);
            case 2:
                return take_apart_more<2>(group, lane, step);
            default:
                return take_apart_more<3>(group, lane, step);
            }
        } else {
            take_apart_one(load(group + 64 * block + 4 * lane), step);
        }
    }

  private:
    static HWY_INLINE VI load(const std::byte* p) {
        return hn::LoadU(DI(), reinterpret_cast<const std::int32_t*>(p));
    }

    static HWY_INLINE void take_apart_one(VI block, VI* step) {
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

    /// Bits from `From` on of every byte moved to bit 4, as many as `mask` keeps there.
    template <int From> static HWY_INLINE VI to_fifth(VI bits, std::uint32_t mask) {
        const auto words = hn::BitCast(hn::RebindToUnsigned<DI>(), bits);
        if constexpr (From > 4) {
            return field<From - 4>(bits, mask);
        } else {
            const VI moved = hn::BitCast(DI(), hn::ShiftLeft<4 - From>(words));
            return hn::And(moved, hn::Set(DI(), static_cast<std::int32_t>(mask)));
        }
    }

    template <int Block> static HWY_INLINE void take_apart_more(const std::byte* group, int lane, VI* step) {
        const VI block = load(group + 64 * Block + 4 * lane);
        VI low = field<0>(block, halves_in_fours), high = field<4>(block, halves_in_fours);
        const std::byte* const more = group + 256 + 4 * lane;
        if constexpr (number_bits(Form) == 5) {
            const VI bits = load(more);
            low = hn::Or(low, to_fifth<Block>(bits, 0x10101010));
            high = hn::Or(high, to_fifth<Block + 4>(bits, 0x10101010));
        } else {
            const VI bits = load(more + 64 * (Block / 2));
            low = hn::Or(low, to_fifth<Block % 2 * 4>(bits, 0x30303030));
            high = hn::Or(high, to_fifth<Block % 2 * 4 + 2>(bits, 0x30303030));
        }
        if constexpr (Bytes) {
            step[0] = low;
            step[1] = high;
        } else {
            step[0] = field<0>(low, bytes_in_pairs);
            step[1] = field<8>(low, bytes_in_pairs);
            step[2] = field<0>(high, bytes_in_pairs);
            step[3] = field<8>(high, bytes_in_pairs);
        }
    }

  public:
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
    const auto bits = hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(p));
    const VF value = hn::PromoteTo(DF(), hn::BitCast(half, bits));
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
    return value;
#else // where Highway widens in steps that take infinity and NaN for numbers
    const VI infinity = hn::Set(DI(), 0x7c00);
    const VI exponent = hn::And(hn::PromoteTo(DI(), bits), infinity);
    const VI all = hn::IfThenElseZero(hn::Eq(exponent, infinity), hn::Set(DI(), 0x7f800000));
    return hn::BitCast(DF(), hn::Or(hn::BitCast(DI(), value), all));
#endif
}

/// The scales that a group's numbers are multiplied by: two, each of 16 inputs, in q6_k.
template <DType Form> constexpr int scale_parts = Form == DType::q6_k ? 2 : 1;

/// Scales and minimums of a strip's outputs, group after group.
template <DType Form> struct Scales {
    /// In front of a block of groups.
    HWY_INLINE void open_block(const std::byte* p) {
        if constexpr (is_super_block(Form)) {
#pragma GCC unroll 4
            for (int v = 0; v < parts; ++v) {
                scale_[v] = load_halves(p + v * lanes * 2);
                if constexpr (has_minimums(Form)) {
                    minimum_[v] = hn::Neg(load_halves(p + 32 + v * lanes * 2));
                }
            }
        }
    }
    /// Of the vector `v` of outputs, with the group's scales at `p`.
    HWY_INLINE VF scale(const std::byte* p, int v) const {
        if constexpr (is_super_block(Form)) {
            return hn::Mul(scale_[v], load_count<std::int8_t>(p + v * lanes));
        } else {
            return load_halves(p + v * lanes * 2);
        }
    }
    /// The minimum; in q6_k the scale of the last 16 inputs.
    HWY_INLINE VF other(const std::byte* p, int v) const {
        if constexpr (Form == DType::q4) {
            return load_halves(p + 32 + v * lanes * 2);
        } else if constexpr (Form == DType::q4_0) {
            return hn::Mul(hn::Set(DF(), -8.0f), load_halves(p + v * lanes * 2));
        } else if constexpr (has_minimums(Form)) {
            return hn::Mul(minimum_[v], load_count<std::uint8_t>(p + 16 + v * lanes));
        } else if constexpr (scale_parts<Form> == 2) {
            return hn::Mul(scale_[v], load_count<std::int8_t>(p + 16 + v * lanes));
        } else {
            return hn::Zero(DF());
        }
    }

  private:
    template <class T> static HWY_INLINE VF load_count(const std::byte* p) {
        const hn::Rebind<T, DF> d8;
        return hn::ConvertTo(DF(), hn::PromoteTo(DI(), hn::LoadU(d8, reinterpret_cast<const T*>(p))));
    }
    VF scale_[parts], minimum_[parts]; // of a block of groups
};

/// What a sum over part `part` of group `group` begins with: inputs times what unsigned numbers are too
/// large.
template <DType Form> HWY_INLINE VI start_of(const QuantRows& in, std::int64_t group, int part) {
    if constexpr (Form == DType::q8) {
        return hn::Set(DI(), in.offsets[group]);
    } else if constexpr (Form == DType::q6_k) {
        return hn::Set(DI(), in.halves[2 * group + part]);
    }
    return hn::Zero(DI());
}

/// What a minimum is multiplied by, where there is one.
template <DType Form> HWY_INLINE VF sum_of(const QuantRows& in, std::int64_t group) {
    return has_minimums(Form) ? hn::Set(DF(), in.sums[group]) : hn::Zero(DF());
}

/// total + sum * (weight scale * input scale) [+ minimum * input sum]
template <DType Form>
HWY_INLINE VF add_group(VF total, VI sum, VF scale, VF input_scale, VF minimum, VF input_sum) {
    total = hn::Add(total, hn::Mul(hn::ConvertTo(DF(), sum), hn::Mul(scale, input_scale)));
    if constexpr (has_minimums(Form)) {
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
    Scales<Form> scales;
    for (std::int64_t g = 0; g < rows.groups; ++g) {
        if (super_scale_bytes(Form) > 0 && g % super_groups == 0) {
            scales.open_block(from);
            from += super_scale_bytes(Form);
        }
        const std::byte* const scale = from;
        const std::byte* const numbers = from + group_scale_bytes(Form);
        from += strip_group_bytes(Form);
        VI sum[2][parts];
#pragma GCC unroll 4
        for (int v = 0; v < parts; ++v) {
            sum[0][v] = start_of<Form>(rows, g, 0);
            sum[1][v] = scale_parts<Form> == 2 ? start_of<Form>(rows, g, 1) : hn::Zero(DI());
        }
#pragma GCC unroll 8
        for (int b = 0; b < N::blocks; ++b) {
#pragma GCC unroll 4
            for (int v = 0; v < parts; ++v) {
                VI step[N::steps];
                N::take_apart(numbers, b, v * lanes, step);
#pragma GCC unroll 4
                for (int s = 0; s < N::steps; ++s) {
                    const int half = 2 * N::place(b, s) / N::group_steps;
                    VI& to = sum[scale_parts<Form> == 2 ? half : (b * N::steps + s) % 2][v];
                    to = dot<Bytes>(to, step[s], load_inputs(in + 4 * N::place(b, s)));
                }
            }
        }
        in += 4 * N::group_steps;
        const VF input_scale = hn::Set(DF(), rows.scales[g]), input_sum = sum_of<Form>(rows, g);
#pragma GCC unroll 4
        for (int v = 0; v < parts; ++v) {
            const VF first = scales.scale(scale, v), other = scales.other(scale, v);
            if constexpr (scale_parts<Form> == 2) {
                total[v] = add_group<Form>(total[v], sum[0][v], first, input_scale, other, input_sum);
                total[v] = add_group<Form>(total[v], sum[1][v], other, input_scale, other, input_sum);
            } else {
                total[v] = add_group<Form>(total[v], hn::Add(sum[0][v], sum[1][v]), first, input_scale, other,
                                           input_sum);
            }
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

    /// Even shares that stay in a first cache of 32 KiB, the rows of a tile beside them.
    static std::int64_t groups_at_once(std::int64_t all) {
        constexpr std::int64_t most = 26 * 1024 / (tile_strips * strip_group_bytes(Form));
        const std::int64_t shares = (all + most - 1) / most;
        return (all + shares - 1) / shares;
    }

    const std::byte* strips[tile_strips];

    void read(const QuantLinearArgs& a, std::int64_t output, std::int64_t first, std::int64_t /*count*/) {
        for (int s = 0; s < tile_strips; ++s) {
            const std::int64_t strip = std::min(output / strip_outputs + s, strips_of(a.outputs) - 1);
            strips[s] = a.weight + strip * strip_bytes(Form, a.inputs) + group_offset(Form, first);
        }
    }
    HWY_INLINE const std::byte* group(std::int64_t g, int v) const {
        return strips[v / parts] + g * strip_group_bytes(Form);
    }
    HWY_INLINE VI numbers(std::int64_t g, int block, int step, int v) const {
        VI steps[N::steps];
        N::take_apart(group(g, v) + group_scale_bytes(Form), block, v % parts * lanes, steps);
        return steps[step];
    }
    HWY_INLINE VF scale(std::int64_t g, int v) const { return Scales<Form>().scale(group(g, v), v % parts); }
    HWY_INLINE VF other(std::int64_t g, int v) const { return Scales<Form>().other(group(g, v), v % parts); }
};

template <DType Form_, bool Bytes_> struct Panel {
    static constexpr DType Form = Form_;
    static constexpr bool Bytes = Bytes_;
    using N = Numbers<Form, Bytes>;

    static std::int64_t groups_at_once(std::int64_t /*all*/) { return block_groups; }

    static constexpr bool has_others = has_minimums(Form) || scale_parts<Form> == 2;
    HWY_ALIGN std::int32_t all_numbers[block_groups * N::group_steps * tile_outputs]; // [group, step, output]
    HWY_ALIGN float scales[block_groups * tile_outputs];                              // [group, output]
    HWY_ALIGN float others[has_others ? block_groups * tile_outputs : lanes];         // Scales::other

    HWY_INLINE VI numbers(std::int64_t g, int block, int step, int v) const {
        return hn::Load(DI(), all_numbers + (g * N::group_steps + N::place(block, step)) * tile_outputs +
                                  v * lanes);
    }
    HWY_INLINE VF scale(std::int64_t g, int v) const {
        return hn::Load(DF(), scales + g * tile_outputs + v * lanes);
    }
    HWY_INLINE VF other(std::int64_t g, int v) const {
        return hn::Load(DF(), others + g * tile_outputs + v * lanes);
    }

    /// Groups [first, first + count) of the outputs from `output` on; those beyond the last strip repeat it.
    void read(const QuantLinearArgs& a, std::int64_t output, std::int64_t first, std::int64_t count) {
        for (int s = 0; s < tile_strips; ++s) {
            const std::int64_t strip = std::min(output / strip_outputs + s, strips_of(a.outputs) - 1);
            fill_strip(a.weight + strip * strip_bytes(Form, a.inputs) + group_offset(Form, first), count,
                       s * 16);
        }
    }

  private:
    void fill_strip(const std::byte* from, std::int64_t count, int column) {
        static_assert(block_groups % super_groups == 0);
        Scales<Form> of;
        for (std::int64_t g = 0; g < count; ++g) {
            if (super_scale_bytes(Form) > 0 && g % super_groups == 0) {
                of.open_block(from);
                from += super_scale_bytes(Form);
            }
            const std::byte* const scale = from;
            const std::byte* const number = from + group_scale_bytes(Form);
            from += strip_group_bytes(Form);
#pragma GCC unroll 8
            for (int b = 0; b < N::blocks; ++b) {
                for (int v = 0; v < parts; ++v) {
                    VI step[N::steps];
                    N::take_apart(number, b, v * lanes, step);
                    for (int s = 0; s < N::steps; ++s) {
                        hn::Store(step[s], DI(),
                                  all_numbers + (g * N::group_steps + N::place(b, s)) * tile_outputs +
                                      column + v * lanes);
                    }
                }
            }
            for (int v = 0; v < parts; ++v) {
                const std::int64_t at = g * tile_outputs + column + v * lanes;
                hn::Store(of.scale(scale, v), DF(), scales + at);
                if constexpr (has_others) {
                    hn::Store(of.other(scale, v), DF(), others + at);
                }
            }
        }
    }
};

// Rows [row, row + Rows): groups [first, first + count) of the weights added to what `out` holds, or to 0.
template <class Weights, int Rows>
HWY_NOINLINE void multiply(const QuantLinearArgs& a, const Weights& weights, const Ahead& ahead,
                           std::int64_t tile, std::int64_t row, std::int64_t output, std::int64_t first,
                           std::int64_t count) {
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
    constexpr int halves = scale_parts<Form>, half_steps = N::steps / halves; // or wholes
    AheadShare share = ahead.share(tile);
    const std::int64_t lines = share.each_of(count * halves);
    for (std::int64_t part_of_all = 0; part_of_all < count * halves; ++part_of_all) {
        share.fetch(lines);
        // The tile that follows begins with what its rows' sums join.
        if (const std::int64_t next = row + Rows + part_of_all; part_of_all < tile_rows && next < a.rows) {
            fetch_sums(a.out[next] + output);
        }
        const std::int64_t g = part_of_all / halves;
        const int half = static_cast<int>(part_of_all % halves);
        VI sum[Rows][tile_vectors];
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
            const VI start = start_of<Form>(a.in, at + r * groups + g, half);
#pragma GCC unroll 8
            for (int v = 0; v < tile_vectors; ++v) {
                sum[r][v] = start;
            }
        }
#pragma GCC unroll 16
        for (int step = 0; step < N::group_steps / halves; ++step) {
            const int block = step / half_steps, part = step % half_steps + half * half_steps;
            VI w[tile_vectors];
#pragma GCC unroll 8
            for (int v = 0; v < tile_vectors; ++v) {
                w[v] = weights.numbers(g, block, part, v);
            }
#pragma GCC unroll 8
            for (int r = 0; r < Rows; ++r) {
                const VI x =
                    load_inputs(in + g * 4 * N::group_steps + r * stride + 4 * N::place(block, part));
#pragma GCC unroll 8
                for (int v = 0; v < tile_vectors; ++v) {
                    sum[r][v] = dot<Weights::Bytes>(sum[r][v], w[v], x);
                }
            }
        }
#pragma GCC unroll 8
        for (int v = 0; v < tile_vectors; ++v) {
            const VF scale = half == 0 ? weights.scale(g, v) : weights.other(g, v);
            const VF minimum = has_minimums(Form) ? weights.other(g, v) : hn::Zero(DF());
#pragma GCC unroll 8
            for (int r = 0; r < Rows; ++r) {
                const std::int64_t i = at + r * groups + g;
                total[r][v] = add_group<Form>(total[r][v], sum[r][v], scale, hn::Set(DF(), a.in.scales[i]),
                                              minimum, sum_of<Form>(a.in, i));
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
        store(a.out[row + r] + output, wide, total[r], tile_vectors);
    }
}

template <class Weights, int Rows>
void multiply_rows(const QuantLinearArgs& a, const Weights& weights, const Ahead& ahead, std::int64_t tile,
                   std::int64_t row, std::int64_t rows, std::int64_t output, std::int64_t first,
                   std::int64_t count) {
    if constexpr (Rows > 0) {
        rows == Rows
            ? multiply<Weights, Rows>(a, weights, ahead, tile, row, output, first, count)
            : multiply_rows<Weights, Rows - 1>(a, weights, ahead, tile, row, rows, output, first, count);
    }
}

/// Where the weights of the panel after that of (output, first) are: outputs [begin, end) go by before the
/// groups do, and then the outputs that follow.
Pieces next_panel(const QuantLinearArgs& a, std::int64_t output, std::int64_t first, std::int64_t groups,
                  std::int64_t begin, std::int64_t end) {
    output += tile_outputs;
    if (output >= end) {
        output = begin;
        first += groups;
    }
    if (first >= a.in.groups) {
        output = end;
        first = 0;
    }
    if (output >= a.outputs) {
        return {};
    }
    const std::int64_t count = std::min(groups, a.in.groups - first);
    const std::int64_t stride = strip_bytes(a.form, a.inputs), from = group_offset(a.form, first);
    return {a.weight + output / strip_outputs * stride + from, tile_strips, stride,
            group_offset(a.form, first + count) - from};
}

template <class Weights> void rows_by_tiles(const QuantLinearArgs& a, std::int64_t begin, std::int64_t end) {
    Weights weights;
    const std::int64_t tiles = (a.rows + tile_rows - 1) / tile_rows; // they share the rows evenly
    const std::int64_t block = Weights::groups_at_once(a.in.groups);
    for (std::int64_t first = 0; first < a.in.groups; first += block) {
        const std::int64_t count = std::min(block, a.in.groups - first);
        for (std::int64_t o = begin; o < end; o += tile_outputs) {
            weights.read(a, o, first, count);
            const Ahead ahead(next_panel(a, o, first, block, begin, end), tiles);
            for (std::int64_t tile = 0; tile < tiles; ++tile) {
                const std::int64_t row = a.rows * tile / tiles;
                multiply_rows<Weights, tile_rows>(a, weights, ahead, tile, row,
                                                  a.rows * (tile + 1) / tiles - row, o, first, count);
            }
        }
    }
}

// What takes more work to take apart is better done once.
template <DType Form, bool Bytes>
using Many =
    std::conditional_t<strips_as_they_lie && !is_super_block(Form), Strips<Form, Bytes>, Panel<Form, Bytes>>;

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

template <DType Form> void linear_with(const QuantLinearArgs& a, std::int64_t begin, std::int64_t end) {
#if ERGO_QUANT_VNNI
    if (a.in.bytes) {
        return linear_of<Form, true>(a, begin, end);
    }
#endif
    linear_of<Form, false>(a, begin, end);
}

void QuantLinearKernel(const QuantLinearArgs& a, std::int64_t begin, std::int64_t end) {
    switch (a.form) {
    case DType::q8:
        return linear_with<DType::q8>(a, begin, end);
    case DType::q4:
        return linear_with<DType::q4>(a, begin, end);
    case DType::q4_0:
        return linear_with<DType::q4_0>(a, begin, end);
    case DType::q4_k:
        return linear_with<DType::q4_k>(a, begin, end);
    case DType::q5_k:
        return linear_with<DType::q5_k>(a, begin, end);
    default:
        return linear_with<DType::q6_k>(a, begin, end);
    }
}
