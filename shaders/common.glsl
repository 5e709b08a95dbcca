// SPDX-License-Identifier: GPL-3.0-or-later
// What every kernel shares: pointers to memory, the step, guards, which row of a buffer a workgroup works on.
// Kernels reach memory through addresses in push constants (at most 128 bytes), so no binding limit applies.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_GOOGLE_include_directive : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Quads { vec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer WordPairs { uvec2 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer FloatsList { Floats at[]; };

// Mirrors StepHeader in engine/backend/vulkan/program.h.
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Step {
    uint position; // of row 0
    uint rows;
    Floats params; // the executor's parameters
    Words usage;   // one word an op: 1 when it was needed in this step
    float temperature; // of sums of logits; below 0: none are wanted
    uint unused;
    uint ids[];    // [rows]
};

// Mirrors Header in engine/backend/vulkan/encoder.h: the first 32 bytes of every kernel's push constants.
struct Header {
    Step step;
    Floats shares;    // guard: [rows, shares_width]
    uint shares_width; // 0: no guard
    uint path;
    uint row_mask;    // bit i: buffer i holds the last row only; bit 30: the shares do; bit 31: so does the output
    uint slot;        // in usage
};

const uint NONE = 0xffffffffu; // offset of a parameter that is not there
#define INFINITY uintBitsToFloat(0x7f800000u)

// Rows this op evaluates.
uint row_count(Header h) { return (h.row_mask >> 31) != 0 ? min(h.step.rows, 1u) : h.step.rows; }

// The step's row that row `r` of the op is, and its absolute position.
uint step_row(Header h, uint r) { return (h.row_mask >> 31) != 0 ? h.step.rows - 1 : r; }
uint position_of(Header h, uint r) { return h.step.position + step_row(h, r); }

// Row `r` of the op, in its buffer number `which`.
uint row_in(Header h, uint r, uint which) {
    return ((h.row_mask >> which) & 1) != 0 ? 0 : step_row(h, r);
}

// False for rows that the op's guard leaves out.
bool needed(Header h, uint r) {
    return h.shares_width == 0 || h.shares.at[row_in(h, r, 30) * h.shares_width + h.path] != 0;
}

// Tells the host that this op was needed; every writer writes the same.
void note_use(Header h) {
    if (gl_WorkGroupID.x == 0 && gl_LocalInvocationIndex == 0) {
        h.step.usage.at[h.slot] = 1;
    }
}

float diagonal_root(float m) { return sqrt(max(m, 0)); }
