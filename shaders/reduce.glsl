// SPDX-License-Identifier: GPL-3.0-or-later
// Sums and maxima over a workgroup of any subgroup size. All invocations must take part.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

const uint GROUP = 64; // invocations of a workgroup that reduces
layout(local_size_x = 64) in;
shared vec4 partial[GROUP]; // one a subgroup; GROUP holds even for subgroups of one

vec4 sum_over_group(vec4 value) {
    value = subgroupAdd(value);
    if (subgroupElect()) {
        partial[gl_SubgroupID] = value;
    }
    barrier();
    vec4 total = vec4(0);
    for (uint i = 0; i < gl_NumSubgroups; ++i) {
        total += partial[i];
    }
    barrier();
    return total;
}

float max_over_group(float value) {
    value = subgroupMax(value);
    if (subgroupElect()) {
        partial[gl_SubgroupID].x = value;
    }
    barrier();
    float largest = partial[0].x;
    for (uint i = 1; i < gl_NumSubgroups; ++i) {
        largest = max(largest, partial[i].x);
    }
    barrier();
    return largest;
}
