// What tiles and questions read: up to two taps of one evaluation each (`side` 0 and 1), as the network wrote them, and
// the numbers that say how. Everything read from a tap is bounded: a route of an evaluation that was cut off is noise.
// Mirrored in viewer/overlay_private.h.

struct Side {
    uint base, words;                       // of data: first word of the slice in its binding, how many
    uint active_base, active_words;         // of the route of running tokens; 0 words: all run
    uint rows, targets, weights, row_offsets; // sections of the route
    uint row_slots, n_rows, n_targets, n_slots;
    uint active_count, active_rows, active_slots; // sections of the route of running tokens; its most slots
    uint columns;                           // of scores: numbers a row; 0: data is a route
    uint halves, heads, queries, keys;
    uint query_side, key_side, pad0, pad1;
};

layout(std140, set = 0, binding = 0) uniform Palette {
    uvec4 experts[16]; // four colours each, r lowest
    uvec4 sizes[64];
    uvec4 differences[64];
} palette;

struct Params {
    uint kind, x, y, width;             // x, y: where the tile or the answer goes
    uint height, grid_width, grid_height, count;
    uint tokens, picture, half_, target;
    uint regions, shares, differ, channels;
    uint picked_x0, picked_y0, picked_x1, picked_y1;
    float low, high;
    uint layer_kind, layer_kind_b;
    Side side[2];
};

// Read with an index that compilers do not know, though it is always 0: Mesa's drivers would make, at every change of a
// value that decides a branch, a shader of its own for it, which takes them longer than the work.
layout(std140, set = 0, binding = 1) uniform ParamsOfJob { Params job[2]; };
#define p job[gl_WorkGroupID.z]

layout(std430, set = 0, binding = 2) readonly buffer DataA { uint data_a[]; };
layout(std430, set = 0, binding = 3) readonly buffer ActiveA { uint active_a[]; };
layout(std430, set = 0, binding = 4) readonly buffer DataB { uint data_b[]; };
#ifndef NO_ACTIVE_B
layout(std430, set = 0, binding = 5) readonly buffer ActiveB { uint active_b[]; };
#endif

const uint NONE = 0xFFFFFFFFu;
const uint LAYER_EXPERTS = 0, LAYER_KEPT = 1, LAYER_BLOCKS = 2, LAYER_COUNTS = 3;

uint word(uint s, uint i)
{
    if (i >= p.side[s].words)
        return 0;
    return s == 0 ? data_a[p.side[0].base + i] : data_b[p.side[1].base + i];
}

float number(uint s, uint i)
{
    return uintBitsToFloat(word(s, i));
}

uint active_word(uint s, uint i)
{
    if (i >= p.side[s].active_words)
        return 0;
#ifdef NO_ACTIVE_B
    return active_a[p.side[s].active_base + i];
#else
    return s == 0 ? active_a[p.side[0].active_base + i] : active_b[p.side[1].active_base + i];
#endif
}

// The row of a token, counted among the running ones where only some run. NONE: it does not run.
uint row_of(uint s, uint token)
{
    uint row = (p.half_ * p.count + p.picture) * p.tokens + token;
    if (p.half_ >= p.side[s].halves)
        return NONE;
    if (p.side[s].active_words > 0) {
        uint n = min(active_word(s, p.side[s].active_count), p.side[s].active_slots), first = 0, last = n;
        while (first < last) { // slots of the one target lie sorted by row
            uint middle = (first + last) / 2;
            if (active_word(s, p.side[s].active_rows + middle) < row)
                first = middle + 1;
            else
                last = middle;
        }
        row = first < n && active_word(s, p.side[s].active_rows + first) == row ? first : NONE;
    }
    return row < p.side[s].n_rows ? row : NONE;
}

// Entries of a row in row_slots: x … y - 1.
uvec2 entries(uint s, uint row)
{
    if (row == NONE || row >= p.side[s].n_rows)
        return uvec2(0);
    uint begin = min(word(s, p.side[s].row_offsets + row), p.side[s].n_slots);
    uint end = min(word(s, p.side[s].row_offsets + row + 1), p.side[s].n_slots);
    return uvec2(begin, min(end, begin + p.side[s].n_targets));
}

uint target_of(uint s, uint entry, out float weight)
{
    uint slot = min(word(s, p.side[s].row_slots + entry), p.side[s].n_slots - 1);
    weight = number(s, p.side[s].weights + slot);
    return min(word(s, p.side[s].targets + slot), p.side[s].n_targets - 1);
}

// What a row's targets are, in one walk.
struct Row {
    uint n, best;      // how many; the one with the largest weight, of equals the first, or NONE
    float weight, sum; // its weight; the sum of all weights
    float one;         // the weight of target p.target
    bool has_one;
};

Row row_facts(uint s, uint row)
{
    Row r = Row(0, NONE, 0, 0, 0, false);
    uvec2 e = entries(s, row);
    for (uint i = e.x; i < e.y; i++) {
        float w;
        uint t = target_of(s, i, w);
        if (r.n == 0 || w > r.weight) {
            r.best = t;
            r.weight = w;
        }
        if (t == p.target) {
            r.one = w;
            r.has_one = true;
        }
        r.sum += w;
        r.n++;
    }
    return r;
}

// In bits, of the scores of a row (after a softmax where they are no distribution) or of the sizes of its weights; negative:
// the row is not there. Of u_i that sum up to U it is log2 U - sum u_i log2 u_i / U.
float entropy(uint s, uint row)
{
    if (row == NONE)
        return -1;
    uint n = p.side[s].columns;
    uvec2 e = n == 0 ? entries(s, row) : uvec2(0, n);
    float sum = 0, most = -1e30, u = 0, total = 0, bits = 0;
    bool plain = true;
    for (uint turn = 0; turn < 2; turn++) {
        for (uint i = e.x; i < e.y; i++) {
            float x;
            if (n == 0) {
                target_of(s, i, x);
                x = abs(x);
            } else {
                x = number(s, row * n + i);
            }
            if (turn == 0) {
                sum += x;
                most = max(most, x);
                plain = plain && x >= 0;
            } else {
                u = plain ? x : exp(x - most);
                total += u;
                bits += u > 0 ? u * log2(u) : 0;
            }
        }
        plain = plain && (n == 0 || abs(sum - 1) < 1e-3);
    }
    return e.x == e.y ? -1 : total > 0 ? max(log2(total) - bits / total, 0.0) : 0;
}

bool any_picked()
{
    return p.picked_x0 <= p.picked_x1 && p.picked_y0 <= p.picked_y1;
}

bool picked(uint token)
{
    uint x = token % p.grid_width, y = token / p.grid_width;
    return x >= p.picked_x0 && x <= p.picked_x1 && y >= p.picked_y0 && y <= p.picked_y1;
}

// Does the block of queries lie in what is picked, in part at least? Without a pick all do.
bool block_picked(uint s, uint block)
{
    uint side = p.side[s].query_side;
    if (!any_picked() || side == 0)
        return true;
    if (p.regions != 0) {
        uint across = max(p.grid_width / side, 1u), x = block % across * side, y = block / across * side;
        return x <= p.picked_x1 && x + side > p.picked_x0 && y <= p.picked_y1 && y + side > p.picked_y0;
    }
    for (uint y = p.picked_y0; y <= p.picked_y1; y++)
        if (block * side <= y * p.grid_width + p.picked_x1 && (block + 1) * side > y * p.grid_width + p.picked_x0)
            return true;
    return false;
}

// What the picked blocks of queries give the block of keys, summed over heads, and how often they list it. Without a pick
// weights count 1.
vec2 mass_of(uint s, uint key)
{
    vec2 mass = vec2(0);
    uint sample_ = p.half_ * p.count + p.picture;
    if (p.half_ >= p.side[s].halves)
        return mass;
    for (uint q = 0; q < p.side[s].queries; q++) {
        if (!block_picked(s, q))
            continue;
        for (uint h = 0; h < p.side[s].heads; h++) {
            uvec2 e = entries(s, (sample_ * p.side[s].heads + h) * p.side[s].queries + q);
            uint end = e.y;
            float w;
            while (e.x < e.y) { // targets of a row ascend
                uint middle = (e.x + e.y) / 2;
                if (target_of(s, middle, w) < key)
                    e.x = middle + 1;
                else
                    e.y = middle;
            }
            if (e.x < end && target_of(s, e.x, w) == key)
                mass += vec2(any_picked() ? w : 1, 1);
        }
    }
    return mass;
}

uint block_at(uint side, uint token)
{
    uint x = token % p.grid_width, y = token / p.grid_width;
    return p.regions != 0 ? y / side * max(p.grid_width / side, 1u) + x / side : token / side;
}

vec4 packed_colour(uint c)
{
    return unpackUnorm4x8(c);
}

vec4 expert_colour(uint t)
{
    return packed_colour(palette.experts[t % 64 / 4][t % 4]);
}

float share_of(float x)
{
    float share = p.high > p.low ? (x - p.low) / (p.high - p.low) : 0;
    return share > 0 ? min(share, 1.0) : 0; // NaN: 0
}

vec4 size_colour(float share)
{
    uint i = uint(clamp(share, 0, 1) * 255 + 0.5);
    return packed_colour(palette.sizes[i / 4][i % 4]);
}

vec4 difference_colour(float share)
{
    uint i = uint(clamp(share * 0.5 + 0.5, 0, 1) * 255 + 0.5);
    return packed_colour(palette.differences[i / 4][i % 4]);
}
