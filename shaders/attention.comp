//@section scores
// s of the keys key … key + @{step} - 1, in log2 units: the dot products, the bias, and a finite low number for keys that are not seen.
//@if staged
        barrier();
        for (uint i = gl_LocalInvocationIndex; i < @{step}u * @{d4}u; i += @{threads}u)
            stage_k[i / @{d4}u][i % @{d4}u] = load_k(batch, shared_head, min(key + i / @{d4}u, @{s}u - 1u), i % @{d4}u);
        barrier();
//@end
//@for j step
//@if ragged
        uint key@{j} = min(key + @{j}u, @{s}u - 1u);
//@end
//@if !ragged
        uint key@{j} = key + @{j}u;
//@end
//@if broadcast
//@for c d8
        vec4 k@{j}_@{c} = load_k(batch, shared_head, key@{j}, min(8u * @{c}u + lane % 8u, @{d4}u - 1u));
//@end
//@end
//@for r rows
        vec2 s2_@{r}_@{j} = vec2(0.0);
//@end
//@for i own_d4
        {
//@if staged
            vec4 k = stage_k[@{j}][min(first_d + @{i}u, @{d4}u - 1u)];
//@end
//@if broadcast
            vec4 k = subgroupShuffle(k@{j}_@{i_octo}, @{i_lane}u);
//@end
//@if plain
            vec4 k = load_k(batch, shared_head, key@{j}, @{i}u);
//@end
//@for r rows
            s2_@{r}_@{j} = fma(q@{r}_@{i}.xy, k.xy, s2_@{r}_@{j});
            s2_@{r}_@{j} = fma(q@{r}_@{i}.zw, k.zw, s2_@{r}_@{j});
//@end
        }
//@end
//@for r rows
        float s@{r}_@{j} = s2_@{r}_@{j}.x + s2_@{r}_@{j}.y;
//@end
//@end
//@if split
//@for j step
        partial[@{j}][gl_LocalInvocationID.y][lane] = s0_@{j};
//@end
        barrier();
//@for j step
        s0_@{j} = 0.0;
        for (uint i = 0u; i < @{parts}u; i++)
            s0_@{j} += partial[@{j}][i][lane];
//@end
//@end
//@if bias
//@for r rows
//@if bias4
//@for n step4
        vec4 bias@{r}_@{n} = load_bias4(batch, head, at@{r}, min(key / 4u + @{n}u, @{s4}u - 1u));
//@end
//@for j step
        s@{r}_@{j} += bias@{r}_@{j_quad}[@{j_part}];
//@end
//@end
//@if !bias4
//@for j step
        s@{r}_@{j} += load_bias(batch, head, at@{r}, key@{j});
//@end
//@end
//@for j step
        s@{r}_@{j} = max(s@{r}_@{j}, -1.0e38);
//@end
//@end
//@end
//@if masked
//@for j step
//@for r rows
        bool sees@{r}_@{j} = true;
//@if bounded
        sees@{r}_@{j} = key + @{j}u < last;
//@end
//@if causal
        sees@{r}_@{j} = sees@{r}_@{j} && key + @{j}u <= query@{r};
//@end
        s@{r}_@{j} = sees@{r}_@{j} ? s@{r}_@{j} : -3.0e38;
//@end
//@end
//@end

//@section probe
// The second stage of SpargeAttn (arXiv 2502.18137): no weight of the block counts if none of its scores comes within skip of its row's largest.
        bool counts = false;
        {
//@for r rows
            float inside@{r} = -3.0e38;
//@end
            for (uint key = begin; key < last; key += @{step}u) {
@{scores}
//@for r rows
//@for j step
                inside@{r} = max(inside@{r}, s@{r}_@{j});
//@end
//@end
            }
//@for r rows
            counts = counts || (query@{r} < limit && inside@{r} > -2.0e38 && inside@{r} - most@{r} + @{skip} > 0.0);
//@end
        }
        barrier();
        if (gl_LocalInvocationIndex == 0u)
            taken = 0u;
        barrier();
        if (counts)
            atomicOr(taken, 1u);
        barrier();
        last = taken != 0u ? last : begin;

//@section main
// softmax(scale q k^T + bias) v with a running maximum and sum, scores in log2 units. An invocation has @{rows} queries, @{step} keys a turn.
// Scores of keys that are not seen are a finite low number and their weights 0, and the first maximum is finite, so no infinity meets
// another; what sees no key is 0. Where keys and values come from: staged: shared memory; broadcast: a lane of a subgroup of 8 loads a
// vector for all; plain: every lane loads the same. split: invocations y of @{parts} have a part of the head each.
// route: workgroups of a block of queries walk the blocks of keys that the route lists for it.
//@if staged
shared vec4 stage_k[@{step}][@{d4}];
shared vec4 stage_v[@{step}][@{e4}];
//@end
//@if split
shared float partial[@{step}][@{parts}][@{local}];
//@end
//@if probing
shared uint taken;
//@end
//@if route
uint first_key(uint entry)
{
    return route_word(@{targets}u + route_word(@{row_slots}u + entry)) * @{block_keys}u;
}
//@end
// Where the block of keys that begins there ends, for the queries of a workgroup that begin at base.
uint end_key(uint begin, uint base)
{
//@if route
    uint last = min(begin + @{block_keys}u, @{s}u);
//@end
//@if !route
    uint last = @{s}u;
//@end
//@if causal
    last = min(last, base + @{queries}u);
//@end
    return last;
}
void main()
{
    uint head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z, lane = gl_LocalInvocationID.x;
    uint shared_head = head / @{sharing}u;
//@if split
    uint first_d = gl_LocalInvocationID.y * @{own_d4}u, first_e = gl_LocalInvocationID.y * @{own_e4}u;
//@end
//@if !split
    const uint first_d = 0u, first_e = 0u;
//@end
//@if route
    uint block = gl_WorkGroupID.x / @{chunks}u;
    uint base = block * @{block_rows}u + gl_WorkGroupID.x % @{chunks}u * @{queries}u;
    uint limit = min(block * @{block_rows}u + @{block_rows}u, @{t}u);
//@if shared_rows
    uint route_row = batch * @{blocks}u + block;
//@end
//@if !shared_rows
    uint route_row = (batch * @{heads}u + head) * @{blocks}u + block;
//@end
//@end
//@if !route
    uint base = gl_WorkGroupID.x * @{queries}u;
    const uint limit = @{t}u;
//@end
//@for r rows
    uint query@{r} = base + @{r}u * @{local}u + lane, at@{r} = min(query@{r}, @{t}u - 1u);
    float most@{r} = -3.0e38, total@{r} = 0.0;
//@for i own_d4
    vec4 q@{r}_@{i} = vec4(0.0);
//@end
//@for i own_e4
    vec4 o@{r}_@{i} = vec4(0.0);
//@end
//@end
    // In loops, as the end is: unrolled they would be most of the kernel, and an array of registers is slower than these selects.
    for (uint r = 0u; r < @{rows}u; r++) {
        uint at = at0;
//@for r rows
        at = r == @{r}u ? at@{r} : at;
//@end
//@for i own_d4
        {
            vec4 x = load_q(batch, head, at, min(first_d + @{i}u, @{d4}u - 1u)) * @{scale};
//@if split
            x = first_d + @{i}u < @{d4}u ? x : vec4(0.0);
//@end
//@for r rows
            q@{r}_@{i} = r == @{r}u ? x : q@{r}_@{i};
//@end
        }
//@end
    }
//@if route
    uint entry = route_word(@{row_offsets}u + route_row), entries = route_word(@{row_offsets}u + route_row + 1u);
//@if causal
    while (entries > entry && first_key(entries - 1u) >= base + @{queries}u)
        entries--;
//@end
//@end
//@if probing
    for (; entry < entries; entry++) {
    uint begin = first_key(entry), last = end_key(begin, base);
@{probe}
    for (uint key = begin; key < last; key += @{step}u) {
//@end
//@if flat
    // One loop for all blocks: around a loop of their own all registers would be copied for each. Blocks ascend, so only the last one ends early.
    {
    uint turns = 0u;
    if (entries > entry) {
        uint begin = first_key(entries - 1u);
        turns = (entries - entry - 1u) * @{turns}u + (end_key(begin, base) - begin + @{step}u - 1u) / @{step}u;
    }
    for (uint turn = 0u; turn < turns; turn++) {
    uint begin = first_key(entry + turn / @{turns}u), last = end_key(begin, base), key = begin + turn % @{turns}u * @{step}u;
//@end
//@if !route
    {
    uint last = end_key(0u, base);
    for (uint key = 0u; key < last; key += @{step}u) {
//@end
@{scores}
//@if staged
        for (uint i = gl_LocalInvocationIndex; i < @{step}u * @{e4}u; i += @{threads}u)
            stage_v[i / @{e4}u][i % @{e4}u] = load_v(batch, shared_head, min(key + i / @{e4}u, @{s}u - 1u), i % @{e4}u);
        barrier();
//@end
//@for r rows
        float high@{r} = most@{r};
//@for j step
        high@{r} = max(high@{r}, s@{r}_@{j});
//@end
        float shrink@{r} = exp2(most@{r} - high@{r});
        most@{r} = high@{r};
        total@{r} *= shrink@{r};
//@for j step
        float p@{r}_@{j} = exp2(s@{r}_@{j} - high@{r});
//@if masked
        p@{r}_@{j} = sees@{r}_@{j} ? p@{r}_@{j} : 0.0;
//@end
        total@{r} += p@{r}_@{j};
//@end
//@end
//@for i own_e4
        {
//@if broadcast
            vec4 all = load_v(batch, shared_head, min(key + lane % 8u, @{s}u - 1u), @{i}u);
//@end
//@for r rows
            o@{r}_@{i} *= shrink@{r};
//@end
//@for j step
            {
//@if staged
                vec4 v = stage_v[@{j}][min(first_e + @{i}u, @{e4}u - 1u)];
//@end
//@if broadcast
                vec4 v = subgroupShuffle(all, @{j}u);
//@end
//@if plain
                vec4 v = load_v(batch, shared_head, key@{j}, @{i}u);
//@end
//@for r rows
                o@{r}_@{i} = fma(vec4(p@{r}_@{j}), v, o@{r}_@{i});
//@end
            }
//@end
        }
//@end
    }
    }
    for (uint r = 0u; r < @{rows}u; r++) {
        uint query = query0;
        float total = total0;
//@for r rows
        query = r == @{r}u ? query@{r} : query;
        total = r == @{r}u ? total@{r} : total;
//@end
        float inverse = total > 0.0 ? 1.0 / total : 0.0;
        if (query < limit) {
//@for i own_e4
//@if split
            if (first_e + @{i}u < @{e4}u)
//@end
            {
                vec4 o = o0_@{i};
//@for r rows
                o = r == @{r}u ? o@{r}_@{i} : o;
//@end
                store(batch, head, query, first_e + @{i}u, o * inverse);
            }
//@end
        }
    }
}
