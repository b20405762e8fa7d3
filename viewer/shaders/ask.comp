#version 450
// Answers to questions about routes, as numbers in a small buffer that the host looks at when the frame is through. One
// group a question; sums are taken in a fixed order, and every word is written by one lane alone.
#define NO_ACTIVE_B
#include "tap.glsl"

layout(local_size_x = 64) in;
layout(std430, set = 0, binding = 5) buffer Answers { uint answers[]; };

const uint LOAD = 0, AFFINITY = 1, REGION = 2, RANGE = 3, VALUES = 4, SCORES = 5;

shared float sums[64];
shared uint pairs[64];

// Weight and number of the picked tokens (of all, if none is) that have the target.
vec2 given(uint target)
{
    vec2 sum = vec2(0);
    for (uint token = 0; token < p.tokens; token++) {
        if (any_picked() && !picked(token))
            continue;
        uvec2 e = entries(0, row_of(0, token));
        float w;
        for (uint i = e.x; i < e.y; i++)
            if (target_of(0, i, w) == target)
                sum += vec2(w, 1);
    }
    return sum;
}

float sum_of(float x)
{
    barrier();
    sums[gl_LocalInvocationIndex] = x;
    barrier();
    float all = 0;
    for (uint i = 0; i < 64; i++)
        all += sums[i];
    return all;
}

float extreme_of(float x, bool largest)
{
    barrier();
    sums[gl_LocalInvocationIndex] = x;
    barrier();
    for (uint i = 0; i < 64; i++)
        x = largest ? max(x, sums[i]) : min(x, sums[i]);
    return x;
}

// rows with a target, slots, sum of weights, largest and least weight, sum of entropies, rows with an entropy, least and
// largest of them, 0; then the tokens of each target.
void load()
{
    uint own = gl_LocalInvocationIndex;
    bool scored = p.side[1].words > 0; // side 1: the scores of the same layer
    float rows = 0, slots = 0, sum = 0, most = -1e30, least = 1e30, bits = 0, with_bits = 0;
    float most_bits = -1, least_bits = 1e30;
    for (uint token = own; token < p.tokens; token += 64) {
        uint row = row_of(0, token);
        uvec2 e = entries(0, row);
        rows += e.x < e.y ? 1 : 0;
        for (uint i = e.x; i < e.y; i++) {
            float w;
            target_of(0, i, w);
            slots += 1;
            sum += w;
            most = max(most, w);
            least = min(least, w);
        }
        uint s = scored ? 1 : 0;
        float h = entropy(s, row_of(s, token));
        bits += max(h, 0);
        with_bits += h >= 0 ? 1 : 0;
        most_bits = max(most_bits, h);
        least_bits = h >= 0 ? min(least_bits, h) : least_bits;
    }
    float results[10] = float[10](sum_of(rows), sum_of(slots), sum_of(sum), extreme_of(most, true),
                                  extreme_of(least, false), sum_of(bits), sum_of(with_bits),
                                  extreme_of(least_bits, false), extreme_of(most_bits, true), 0);
    if (own < 10)
        answers[p.x + own] = floatBitsToUint(results[own]);
    for (uint t = own; 10 + t < p.y; t += 64)
        answers[p.x + 10 + t] = uint(given(t).y);
}

// [targets of side 0][targets of side 1]: the picked tokens (all, if none is picked) whose first experts these are.
void affinity()
{
    uint own = gl_LocalInvocationIndex;
    for (uint first = 0; first < p.tokens; first += 64) {
        uint best[2] = uint[2](NONE, NONE), token = first + own;
        bool counts = token < p.tokens && (!any_picked() || picked(token));
        for (uint s = 0; s < 2 && counts; s++)
            best[s] = row_facts(s, row_of(s, token)).best;
        bool both = best[0] != NONE && best[1] != NONE;
        barrier();
        pairs[own] = both ? best[0] * p.side[1].n_targets + best[1] : NONE;
        barrier();
        for (uint i = 0; i < 64; i++)
            if (pairs[i] < p.y && pairs[i] % 64 == own)
                answers[p.x + pairs[i]]++;
    }
}

// For every target: sum of the weights that the picked tokens (blocks) give it, and how many do.
void region()
{
    uint n = p.side[0].n_targets;
    for (uint t = gl_LocalInvocationIndex; t < n && 2 * t + 1 < p.y; t += 64) {
        vec2 sum = p.layer_kind == LAYER_BLOCKS ? mass_of(0, t) : given(t);
        answers[p.x + 2 * t] = floatBitsToUint(sum.x);
        answers[p.x + 2 * t + 1] = floatBitsToUint(sum.y);
    }
}

// Share of a target in the scores of a row of side 1: as they are where they are a distribution, else after a softmax.
float share_of(uint row, uint target)
{
    uint n = p.side[1].columns;
    float most = -1e30, sum = 0, total = 0;
    bool plain = true;
    for (uint i = 0; i < n; i++) {
        float x = number(1, row * n + i);
        most = max(most, x);
        sum += x;
        plain = plain && x >= 0;
    }
    float own = number(1, row * n + target);
    if (plain && abs(sum - 1) < 1e-3)
        return own;
    for (uint i = 0; i < n; i++)
        total += exp(number(1, row * n + i) - most);
    return exp(own - most) / total;
}

// For every target: its mean share in the scores of the picked tokens.
void scores()
{
    for (uint t = gl_LocalInvocationIndex; t < p.y; t += 64) {
        float sum = 0, n = 0;
        for (uint token = 0; token < p.tokens; token++) {
            uint row = !any_picked() || picked(token) ? row_of(1, token) : NONE;
            if (row == NONE)
                continue;
            sum += share_of(row, t);
            n += 1;
        }
        answers[p.x + t] = floatBitsToUint(n > 0 ? sum / n : 0);
    }
}

// Of the words target … target + count - 1: least, largest, sum of sizes.
void range()
{
    float least = 1e30, most = -1e30, sum = 0;
    for (uint i = gl_LocalInvocationIndex; i < p.count; i += 64) {
        float x = number(0, p.target + i);
        least = min(least, x);
        most = max(most, x);
        sum += abs(x);
    }
    float results[3] = float[3](extreme_of(least, false), extreme_of(most, true), sum_of(sum));
    if (gl_LocalInvocationIndex < 3)
        answers[p.x + gl_LocalInvocationIndex] = floatBitsToUint(results[gl_LocalInvocationIndex]);
}

void main()
{
    uint own = gl_LocalInvocationIndex;
    for (uint i = own; i < p.y; i += 64)
        answers[p.x + i] = 0;
    memoryBarrierBuffer();
    barrier();
    if (p.kind == LOAD)
        load();
    else if (p.kind == AFFINITY)
        affinity();
    else if (p.kind == REGION)
        region();
    else if (p.kind == RANGE)
        range();
    else if (p.kind == SCORES)
        scores();
    else
        for (uint i = own; i < p.y; i += 64)
            answers[p.x + i] = word(0, p.target + i);
}
