// SPDX-License-Identifier: GPL-3.0-or-later
// Products for the rows of a prompt by fragments: a workgroup computes ROWS x OUTPUTS values, a subgroup DOWN x ACROSS
// fragments of them. What a fragment is and does is the includer's: matmul_coop.comp, matmul_emulated.comp.
//
// Numbers become 16-bit floats without losing what float32 has that matters: every row of inputs and of weights is scaled
// by a power of two so that its largest number is near the upper end of the range, and a number is split into two where
// one does not hold it: v = a + b / SPLIT, a rounded to 11 bits and b what is left. Of the four products of two split
// numbers the smallest is below float32's own rounding and left out. How a conversion rounds does not matter, and nothing
// depends on subnormal 16-bit floats, which devices may flush.

const float SPLIT = 2048;                        // 2^11
const float LEAST_NORMAL = 6.103515625e-5;       // 2^-14
const float LARGEST_HALF = 65504, SAFE = 60000;  // the latter stays finite however it is rounded
const int GUESSED = 8, MEASURED = 14;            // exponents that largest numbers are scaled to
const float LEAST_LARGEST = 4;                   // smaller ones than that lose bits to the range's lower end

const uint LINES = ROWS;                         // of the tile of inputs and of one of weights alike
const uint QUADS_A_LINE = DEPTH / 4, ROUNDS = LINES * QUADS_A_LINE / THREADS;
const uint SUMS = DOWN * ACROSS, SUBGROUPS_ACROSS = OUTPUTS / (FRAGMENT_COLUMNS * ACROSS);
const bool SPLITS = X_PARTS == 2;

// Of the rows of inputs, then of each tile's rows of weights.
shared float scale_of[(1 + TILES) * LINES]; // a power of two
shared uint most_of[(1 + TILES) * LINES];   // bits of the largest magnitude
shared uint outside;                        // 1: a guessed scale was of no use

bool tile_needed(uint first, uint count) {
    for (uint r = first; r < min(first + ROWS, count); ++r) {
        if (needed(push.header, r)) {
            return true;
        }
    }
    return false;
}

// Inputs k .. k + 3 of the op's row `r`, 0 behind the last.
vec4 input_quad(uint r, uint k, uint count) {
    vec4 x = vec4(0);
    if (r < count) {
        const uint at = row_in(push.header, r, 1) * push.inputs + k;
        if (QUADS) {
            if (k < push.inputs) {
                x = Quads(push.from).at[at / 4];
            }
        } else {
            [[unroll]] for (uint j = 0; j < 4; ++j) {
                if (k + j < push.inputs) {
                    x[j] = push.from.at[at + j];
                }
            }
        }
    }
    return x;
}

// The same of row `o` of a matrix.
vec4 row_quad(Words words, uint o, uint k) {
    vec4 w = vec4(0);
    if (o < push.outputs) {
        Matrix m = matrix_at(words, push.outputs);
        if (QUADS) {
            if (k < push.inputs) {
                w = weight_quad(m, o, k / 4);
            }
        } else {
            [[unroll]] for (uint j = 0; j < 4; ++j) {
                if (k + j < push.inputs) {
                    w[j] = weight_at(m, o, k + j);
                }
            }
        }
    }
    return w;
}

// Of line `line` of all: inputs and tiles of weights, one behind the other.
vec4 quad_of(uint group, uint line, uint k, uint first_row, uint first_output, uint count) {
    if (group == 0) {
        return input_quad(first_row + line, k, count);
    }
    return row_quad(group == 1 ? push.weight : Words(push.other), first_output + line, k);
}

uint line_of(uint round) { return (gl_LocalInvocationIndex + round * THREADS) / QUADS_A_LINE; }
uint quad_in(uint round) { return (gl_LocalInvocationIndex + round * THREADS) % QUADS_A_LINE; }

float largest(vec4 v) {
    const vec4 magnitude = abs(v);
    return max(max(magnitude.x, magnitude.y), max(magnitude.z, magnitude.w));
}

// The power of two that brings `bits`, a largest magnitude, to 2^target or up to twice that.
float scale_for(uint bits, int target) {
    const int exponent = int(bits >> 23) - 127;
    if (bits == 0 || exponent == 128) { // nothing to scale, or not finite: stays so
        return 1;
    }
    return uintBitsToFloat(uint(127 + clamp(target - exponent, -120, 120)) << 23);
}
float inverse_of(float power) { return uintBitsToFloat((254u << 23) - floatBitsToUint(power)); }

void set_scales(int target) {
    for (uint i = gl_LocalInvocationIndex; i < (1 + TILES) * LINES; i += THREADS) {
        scale_of[i] = scale_for(most_of[i], target);
    }
    barrier();
}

// Scales as the first inputs suggest them.
void guess_scales(uint first_row, uint first_output, uint count) {
    for (uint i = gl_LocalInvocationIndex; i < (1 + TILES) * LINES; i += THREADS) {
        most_of[i] = 0;
    }
    barrier();
    for (uint group = 0; group < 1 + TILES; ++group) {
        for (uint round = 0; round < ROUNDS; ++round) {
            const vec4 v = quad_of(group, line_of(round), 4 * quad_in(round), first_row, first_output, count);
            atomicMax(most_of[group * LINES + line_of(round)], floatBitsToUint(largest(v)));
        }
    }
    barrier();
    set_scales(GUESSED);
}

// Whether scales of numbers up to `most` were right; if not, they are known now.
bool fits(uint i) {
    const float scaled = uintBitsToFloat(most_of[i]) * scale_of[i];
    return most_of[i] == 0 || most_of[i] >= 0x7f800000u || (scaled >= LEAST_LARGEST && scaled <= SAFE);
}

// What remains of `v` behind `halves`, for the second part; 0 where the first is not finite.
vec4 rest_of(vec4 v, vec4 halves) {
    return mix(vec4(0), (v - halves) * SPLIT, lessThanEqual(abs(v), vec4(LARGEST_HALF)));
}

void put(uint group, uint line, uint quad, vec4 v) {
    const vec4 normal = mix(v, vec4(0), lessThan(abs(v), vec4(LEAST_NORMAL)));
    const Pair low = pair_of(normal.xy), high = pair_of(normal.zw);
    const vec4 rest = rest_of(v, vec4(floats_of(low), floats_of(high)));
    const uint at = line * STRIDE + 2 * quad;
    if (group == 0) {
        x_tile[at] = low;
        x_tile[at + 1] = high;
        if (X_PARTS == 2) {
            x_tile[X_PART + at] = pair_of(rest.xy);
            x_tile[X_PART + at + 1] = pair_of(rest.zw);
        }
    } else {
        const uint tile = (group - 1) * W_PARTS * W_PART + at;
        w_tile[tile] = low;
        w_tile[tile + 1] = high;
        if (W_PARTS == 2) {
            w_tile[tile + W_PART] = pair_of(rest.xy);
            w_tile[tile + W_PART + 1] = pair_of(rest.zw);
        }
    }
}

void main() {
    const uint count = row_count(push.header);
    const uint first_row = gl_WorkGroupID.y * ROWS, first_output = gl_WorkGroupID.x * OUTPUTS;
    if (first_row >= count || !tile_needed(first_row, count)) {
        return;
    }
    note_use(push.header);
    const uint own_row = own_subgroup() / SUBGROUPS_ACROSS * (FRAGMENT_ROWS * DOWN);
    const uint own_output = own_subgroup() % SUBGROUPS_ACROSS * (FRAGMENT_COLUMNS * ACROSS);
    Sums sums[TILES * SUMS], rests[SPLITS ? TILES * SUMS : 1]; // [tile][down][across]
    guess_scales(first_row, first_output, count);
    for (uint attempt = 0; attempt < 2; ++attempt) {
        for (uint i = 0; i < TILES * SUMS; ++i) {
            sums[i] = no_sums();
            if (SPLITS) {
                rests[i] = no_sums();
            }
        }
        uint most[(1 + TILES) * ROUNDS];
        for (uint i = 0; i < (1 + TILES) * ROUNDS; ++i) {
            most[i] = 0;
        }
        for (uint first_k = 0; first_k < push.inputs; first_k += DEPTH) {
            [[unroll]] for (uint group = 0; group < 1 + TILES; ++group) {
                [[unroll]] for (uint round = 0; round < ROUNDS; ++round) {
                    const uint line = line_of(round), quad = quad_in(round);
                    const vec4 v = quad_of(group, line, first_k + 4 * quad, first_row, first_output, count);
                    const uint i = group * ROUNDS + round;
                    most[i] = max(most[i], floatBitsToUint(largest(v)));
                    put(group, line, quad, v * scale_of[group * LINES + line]);
                }
            }
            barrier();
            for (uint k = 0; k < DEPTH; k += FRAGMENT_DEPTH) {
                Inputs x[DOWN * X_PARTS]; // [part][down]
                [[unroll]] for (uint i = 0; i < DOWN; ++i) {
                    const uint at = (own_row + i * FRAGMENT_ROWS) * STRIDE + k / 2;
                    x[i] = load_inputs(at);
                    if (X_PARTS == 2) {
                        x[DOWN * (X_PARTS - 1) + i] = load_inputs(X_PART + at);
                    }
                }
                [[unroll]] for (uint t = 0; t < TILES * ACROSS; ++t) {
                    const uint tile = t / ACROSS, j = t % ACROSS;
                    const uint at = tile * W_PARTS * W_PART + (own_output + j * FRAGMENT_COLUMNS) * STRIDE + k / 2;
                    Weights w = load_weights(at);
                    [[unroll]] for (uint i = 0; i < DOWN; ++i) {
                        const uint s = (tile * DOWN + i) * ACROSS + j;
                        sums[s] = multiply_add(x[i], w, sums[s]);
                        if (SPLITS) {
                            rests[s] = multiply_add(x[DOWN * (X_PARTS - 1) + i], w, rests[s]);
                        }
                    }
                    if (W_PARTS == 2) {
                        w = load_weights(at + W_PART);
                        [[unroll]] for (uint i = 0; i < DOWN; ++i) {
                            const uint s = (tile * DOWN + i) * ACROSS + j;
                            rests[s] = multiply_add(x[i], w, rests[s]);
                        }
                    }
                }
            }
            barrier();
        }
        if (attempt == 0) {
            for (uint i = 0; i < (1 + TILES) * ROUNDS; ++i) {
                atomicMax(most_of[i / ROUNDS * LINES + line_of(i % ROUNDS)], most[i]);
            }
            if (gl_LocalInvocationIndex == 0) {
                outside = 0;
            }
            barrier();
            for (uint i = gl_LocalInvocationIndex; i < (1 + TILES) * LINES; i += THREADS) {
                if (!fits(i)) {
                    outside = 1;
                }
            }
            barrier();
            if (outside == 0) {
                break;
            }
            set_scales(MEASURED);
        }
    }
    // A subgroup's fragments by way of shared memory, one after the other: what an element is for is not known before.
    const uint own_tile = own_subgroup() * (FRAGMENT_ROWS * FRAGMENT_COLUMNS);
    for (uint s = 0; s < SUMS; ++s) {
        float first[ELEMENTS];
        for (uint tile = 0; tile < TILES; ++tile) {
            const uint which = tile * SUMS + s;
            if (SPLITS) {
                sums[which] = add_scaled(sums[which], rests[which], 1 / SPLIT);
            }
            store_sums(sums[which], own_tile);
            barrier();
            for (uint e = 0; e < ELEMENTS; ++e) {
                const uint i = e * SUBGROUP + own_lane();
                const uint line = own_row + s / ACROSS * FRAGMENT_ROWS + i / FRAGMENT_COLUMNS;
                const uint column = own_output + s % ACROSS * FRAGMENT_COLUMNS + i % FRAGMENT_COLUMNS;
                const float value = sum_tile[own_tile + i] * inverse_of(scale_of[line]) *
                                    inverse_of(scale_of[(1 + tile) * LINES + column]);
                if (tile == 0) {
                    first[e] = value;
                }
                if (tile + 1 == TILES && first_row + line < count && first_output + column < push.outputs) {
                    store(first_row + line, first_output + column, first[e], value);
                }
            }
            barrier();
        }
    }
}
