//@section prologue
// The invocations that share a row: `lane` is one of LANES.
#define LANES @{lanes}u
uint lane;
//@if shared
shared float meet[@{local}];
shared uint meet_index[@{local}];
#define TREE(OP) \
    barrier(); \
    meet[lane] = x; \
    barrier(); \
    for (uint s = LANES / 2u; s > 0u; s /= 2u) { \
        if (lane < s) \
            meet[lane] = OP; \
        barrier(); \
    } \
    return meet[0];
float all_sum(float x) { TREE(meet[lane] + meet[lane + s]) }
float all_max(float x) { TREE(max(meet[lane], meet[lane + s])) }
// The better of two: the larger value; of equals, and of none (index ~0), the lower index.
void all_best(inout float x, inout uint index)
{
    barrier();
    meet[lane] = x;
    meet_index[lane] = index;
    barrier();
    for (uint s = LANES / 2u; s > 0u; s /= 2u) {
        if (lane < s) {
            uint a = meet_index[lane], b = meet_index[lane + s];
            if (b != ~0u && (a == ~0u || meet[lane + s] > meet[lane] || (meet[lane + s] == meet[lane] && b < a))) {
                meet[lane] = meet[lane + s];
                meet_index[lane] = b;
            }
        }
        barrier();
    }
    x = meet[0];
    index = meet_index[0];
}
//@end
//@if !shared
float all_sum(float x) { return x; }
float all_max(float x) { return x; }
void all_best(inout float x, inout uint index) {}
//@end
//@if quads
// Four rows an invocation: the parts of a vector are rows, which do not meet.
vec4 all_sum(vec4 x) { return x; }
vec4 all_max(vec4 x) { return x; }
vec4 sum_of(vec4 x) { return x; }
vec4 max_of(vec4 x) { return x; }
//@end
//@if !quads
float sum_of(float x) { return x; }
float sum_of(vec4 x) { return (x.x + x.y) + (x.z + x.w); }
float max_of(float x) { return x; }
float max_of(vec4 x) { return max(max(x.x, x.y), max(x.z, x.w)); }
//@end

//@section state
// Statistics of row op @{i}, as values pulled later see them.
@{S} s@{i}_a, s@{i}_b;

//@section ids_state
//@if shared
shared uint s@{i}_list[@{k}];
//@end
//@if !shared
uint s@{i}_list[@{k}];
//@end
int s@{i}_ids(uint j) { return int(s@{i}_list[j]); }

//@section softmax
void row@{i}(uint row)
{
    @{T} m = x@{i}(row, min(lane, @{count}u - 1u)), s = @{T}(0.0);
    for (uint j = lane; j < @{count}u; j += LANES)
        m = max(m, x@{i}(row, j));
    s@{i}_a = all_max(max_of(m));
    for (uint j = lane; j < @{count}u; j += LANES)
        s += exp(x@{i}(row, j) - s@{i}_a);
    s@{i}_b = 1.0 / all_sum(sum_of(s));
}

//@section entmax
// s_a: the largest; s_b: the threshold t in -1 … 0 of (alpha - 1) (x - s_a) at which the row sums to 1. The sum falls and is
// convex in t: halving comes near from the side where it is too large, from where Newton's steps climb to t and never past it.
void row@{i}(uint row)
{
    @{T} m = x@{i}(row, min(lane, @{count}u - 1u));
    for (uint j = lane; j < @{count}u; j += LANES)
        m = max(m, x@{i}(row, j));
    s@{i}_a = all_max(max_of(m));
    float low = -1.0, high = 0.0;
    for (uint turn = 0u; turn < 19u; turn++) {
        bool newton = turn >= 14u;
        float t = newton ? low : 0.5 * (low + high);
        @{T} sum = @{T}(0.0), slope = @{T}(0.0);
        for (uint j = lane; j < @{count}u; j += LANES) {
//@if sparse
            @{T} p = max(x@{i}(row, j) - s@{i}_a - t, @{T}(0.0));
            sum += p;
            slope += min(ceil(p), @{T}(1.0));
//@end
//@if !sparse
            @{T} p = max((x@{i}(row, j) - s@{i}_a) * 0.5 - t, @{T}(0.0));
            sum += p * p;
            slope += 2.0 * p;
//@end
        }
        float excess = all_sum(sum_of(sum)) - 1.0;
        if (newton)
            low += excess / max(all_sum(sum_of(slope)), 1e-30);
        else if (excess >= 0.0)
            low = t;
        else
            high = t;
    }
    s@{i}_b = low;
}

//@section layer_norm
void row@{i}(uint row)
{
    @{T} s = @{T}(0.0), q = @{T}(0.0);
    for (uint j = lane; j < @{count}u; j += LANES)
        s += x@{i}(row, j);
    s@{i}_a = all_sum(sum_of(s)) * @{inverse};
    for (uint j = lane; j < @{count}u; j += LANES) {
        @{T} x = x@{i}(row, j) - s@{i}_a;
        q += x * x;
    }
    s@{i}_b = 1.0 / sqrt(all_sum(sum_of(q)) * @{inverse} + @{eps});
}

//@section rms_norm
void row@{i}(uint row)
{
    @{T} q = @{T}(0.0);
    for (uint j = lane; j < @{count}u; j += LANES) {
        @{T} x = x@{i}(row, j);
        q += x * x;
    }
    s@{i}_b = 1.0 / sqrt(all_sum(sum_of(q)) * @{inverse} + @{eps});
}

//@section l2_normalise
void row@{i}(uint row)
{
    @{T} q = @{T}(0.0);
    for (uint j = lane; j < @{count}u; j += LANES) {
        @{T} x = x@{i}(row, j);
        q += x * x;
    }
    s@{i}_b = 1.0 / max(sqrt(all_sum(sum_of(q))), @{eps});
}

//@section reduce_sum
void row@{i}(uint row)
{
    @{T} s = @{T}(0.0);
    for (uint j = lane; j < @{count}u; j += LANES)
        s += x@{i}(row, j);
    s@{i}_a = all_sum(sum_of(s));
}

//@section reduce_mean
void row@{i}(uint row)
{
    @{T} s = @{T}(0.0);
    for (uint j = lane; j < @{count}u; j += LANES)
        s += x@{i}(row, j);
    s@{i}_a = all_sum(sum_of(s)) * @{inverse};
}

//@section reduce_max
void row@{i}(uint row)
{
    @{T} m = x@{i}(row, min(lane, @{count}u - 1u));
    for (uint j = lane; j < @{count}u; j += LANES)
        m = max(m, x@{i}(row, j));
    s@{i}_a = all_max(max_of(m));
}

//@section top_k
// k rounds; each finds the best element after the last one found, in the order (value down, index up).
void consider@{i}(float x, uint j, float last, uint last_index, inout float best, inout uint index)
{
    bool after = last_index == ~0u || x < last || (x == last && j > last_index);
    if (after && (index == ~0u || x > best)) {
        best = x;
        index = j;
    }
}
void row@{i}(uint row)
{
    float last = 0.0;
    uint last_index = ~0u;
    for (uint r = 0u; r < @{k}u; r++) {
        float best = 0.0;
        uint index = ~0u;
        for (uint j = lane; j < @{count}u; j += LANES) {
            @{T} x = x@{i}(row, j);
//@if vector
            consider@{i}(x.x, 4u * j, last, last_index, best, index);
            consider@{i}(x.y, 4u * j + 1u, last, last_index, best, index);
            consider@{i}(x.z, 4u * j + 2u, last, last_index, best, index);
            consider@{i}(x.w, 4u * j + 3u, last, last_index, best, index);
//@end
//@if !vector
            consider@{i}(x, j, last, last_index, best, index);
//@end
        }
        all_best(best, index);
        s@{i}_list[r] = index;
        last = best;
        last_index = index;
    }
//@if shared
    barrier();
//@end
}

//@section main
void main()
{
//@if shared
    lane = gl_LocalInvocationIndex;
    uint row = gl_WorkGroupID.y * @{groups_x}u + gl_WorkGroupID.x;
//@end
//@if !shared
    lane = 0u;
    uint row = (gl_WorkGroupID.y * @{groups_x}u + gl_WorkGroupID.x) * @{local}u + gl_LocalInvocationID.x;
//@end
    if (row >= @{rows}u)
        return;
//@for i anchors
    row@{i}(row);
//@end

//@section output
    for (uint j = lane; j < @{count}u; j += LANES)
        store@{i}(row, j);

//@section end
}
