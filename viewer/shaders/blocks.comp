#version 450
// A tile of attention through a route between blocks: on the grid of tokens what the picked blocks read, or as a matrix
// which block reads which. A border of one texel repeats the edge.
#include "tap.glsl"

layout(local_size_x = 8, local_size_y = 8) in;
layout(rgba8, set = 0, binding = 6) writeonly uniform image2D tiles;

const uint ATTENTION = 8;
const vec4 UNREAD = vec4(10, 11, 13, 235) / 255;

shared vec2 ends_of[64];

// The mass of the texel's own block of keys, and least and largest of what listed blocks get.
vec2 masses(uint own_key, out vec2 ends)
{
    vec2 own = vec2(0);
    uint lane = gl_LocalInvocationIndex;
    ends = vec2(1e30, -1e30);
    for (uint i = lane; i < p.side[0].keys + 64; i += 64) { // the last turn is for the own block
        bool last = i >= p.side[0].keys;
        vec2 m = mass_of(0, last ? own_key : i);
        if (last) {
            own = m;
            break;
        }
        if (m.y > 0)
            ends = vec2(min(ends.x, m.x), max(ends.y, m.x));
    }
    ends_of[lane] = ends;
    barrier();
    for (uint i = 0; i < 64; i++)
        ends = vec2(min(ends.x, ends_of[i].x), max(ends.y, ends_of[i].y));
    return own;
}

// Masses are drawn from 0; scores, which may be negative, from a little below the least that is listed.
vec4 attention(uint token)
{
    vec2 ends, m = masses(block_at(max(p.side[0].key_side, 1u), token), ends);
    if (m.y == 0)
        return UNREAD;
    float low = p.shares != 0 || !any_picked() ? 0 : ends.x - 0.1 * (ends.y - ends.x);
    return size_colour(ends.y > low ? (m.x - low) / (ends.y - low) : 1);
}

vec4 pair(uint query, uint key)
{
    uint n = 0, sample_ = p.half_ * p.count + p.picture;
    float w;
    for (uint h = 0; h < p.side[0].heads && p.half_ < p.side[0].halves; h++) {
        uvec2 e = entries(0, (sample_ * p.side[0].heads + h) * p.side[0].queries + query);
        for (uint i = e.x; i < e.y; i++)
            if (target_of(0, i, w) == key)
                n++;
    }
    return n == 0 ? UNREAD : size_colour(float(n) / float(p.side[0].heads));
}

void main()
{
    uvec2 at = gl_GlobalInvocationID.xy;
    uint x = min(max(at.x, 1u) - 1, p.width - 1), y = min(max(at.y, 1u) - 1, p.height - 1);
    vec4 colour;
    if (p.kind == ATTENTION)
        colour = attention(y * p.width + x);
    else
        colour = pair(y * p.side[0].queries / p.height, x * p.side[0].keys / p.width);
    if (at.x < p.width + 2 && at.y < p.height + 2)
        imageStore(tiles, ivec2(p.x + at.x, p.y + at.y), colour);
}
