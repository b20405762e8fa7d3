#version 450
// A tile of the grid of tokens: what a route says of every one, as colours. A border of one texel repeats the edge.
#include "tap.glsl"

layout(local_size_x = 8, local_size_y = 8) in;
layout(rgba8, set = 0, binding = 6) writeonly uniform image2D tiles;

const uint EXPERT = 1, MIX = 2, WEIGHT = 3, ENTROPY = 4, COUNT = 5, ONE = 6, KEPT = 7;
const vec4 YES = vec4(86, 180, 233, 255) / 255, NO = vec4(40, 36, 34, 255) / 255, NOTHING = vec4(0);
const vec4 SAME = vec4(22, 24, 28, 200) / 255, UNUSED = vec4(10, 11, 13, 235) / 255;

vec4 mixed(uint row)
{
    uvec2 e = entries(0, row);
    vec3 sum = vec3(0);
    float total = 0, w;
    for (uint i = e.x; i < e.y; i++) {
        uint t = target_of(0, i, w);
        w = max(w, 1e-6);
        sum += w * expert_colour(t).rgb;
        total += w;
    }
    return total > 0 ? vec4(sum / total, 1) : NOTHING;
}

vec4 of_token(uint token)
{
    uint row = 0, best[2] = uint[2](NONE, NONE);
    bool there[2] = bool[2](false, false), kept[2] = bool[2](false, false);
    float size[2] = float[2](0, 0);
    bool counts = p.layer_kind == LAYER_COUNTS;
    for (uint i = 0; i <= p.differ; i++) {
        uint s = p.differ - i; // the run itself comes last: `row` is its
        row = row_of(s, token);
        Row r = row_facts(s, row);
        best[s] = r.best;
        there[s] = p.kind == ONE ? r.has_one : r.n > 0;
        size[s] = p.kind == COUNT ? float(r.n) : p.kind == ONE ? r.one : r.weight;
        kept[s] = r.n > 0 || p.side[s].words == 0; // no route of running tokens: all run
        if (p.kind == ENTROPY) {
            size[s] = entropy(s, row);
            there[s] = size[s] >= 0;
        } else if (counts) {
            size[s] = number(s, p.picture * p.tokens + token);
            there[s] = true;
        }
    }
    bool sizes = p.kind != EXPERT && p.kind != MIX && (p.kind != KEPT || counts);
    if (p.differ != 0 && (sizes ? !there[0] && !there[1] : p.kind == KEPT ? kept[0] == kept[1] : best[0] == best[1]))
        return SAME;
    if (p.kind == EXPERT || p.kind == MIX)
        return best[0] == NONE ? NOTHING : p.kind == MIX ? mixed(row) : expert_colour(best[0]);
    if (!sizes)
        return kept[0] ? YES : NO;
    if (p.differ != 0)
        return difference_colour(p.high > 0 ? ((there[0] ? size[0] : 0) - (there[1] ? size[1] : 0)) / p.high : 0);
    return there[0] ? size_colour(share_of(size[0])) : p.kind == ONE ? UNUSED : NOTHING;
}

void main()
{
    uvec2 at = gl_GlobalInvocationID.xy;
    uint x = min(max(at.x, 1u) - 1, p.width - 1), y = min(max(at.y, 1u) - 1, p.height - 1);
    if (at.x < p.width + 2 && at.y < p.height + 2)
        imageStore(tiles, ivec2(p.x + at.x, p.y + at.y), of_token(y * p.width + x));
}
