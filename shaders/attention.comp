//@section main
// softmax(scale q k^T) v with a running maximum and sum: each invocation has one query, @{step} keys a turn. The scores of the keys past
// the end are left out by select, and the first maximum is finite, so no infinity meets another. staged: keys and values of a
// turn lie in shared memory; else every lane reads the same ones.
//@if staged
shared vec4 stage_k[@{step}][@{d4}];
shared vec4 stage_v[@{step}][@{e4}];
//@end
void main()
{
    uint head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z, lane = gl_LocalInvocationID.x;
    uint query = gl_WorkGroupID.x * @{local}u + lane, at = min(query, @{t}u - 1u);
//@for i d4
    vec4 q@{i} = load_q(batch, head, at, @{i}u) * @{scale};
//@end
//@for i e4
    vec4 o@{i} = vec4(0.0);
//@end
    float most = -3.0e38, total = 0.0;
    for (uint key = 0u; key < @{s}u; key += @{step}u) {
//@if staged
        barrier();
        for (uint i = lane; i < @{step}u * @{d4}u; i += @{local}u)
            stage_k[i / @{d4}u][i % @{d4}u] = load_k(batch, head, min(key + i / @{d4}u, @{s}u - 1u), i % @{d4}u);
        for (uint i = lane; i < @{step}u * @{e4}u; i += @{local}u)
            stage_v[i / @{e4}u][i % @{e4}u] = load_v(batch, head, min(key + i / @{e4}u, @{s}u - 1u), i % @{e4}u);
        barrier();
//@end
//@for j step
//@if ragged
        uint key@{j} = min(key + @{j}u, @{s}u - 1u);
//@end
//@if !ragged
        uint key@{j} = key + @{j}u;
//@end
//@if staged
#define K(i) stage_k[@{j}][i]
//@end
//@if !staged
#define K(i) load_k(batch, head, key@{j}, i)
//@end
        vec4 s4_@{j} = q0 * K(0u);
//@for i d4_rest
        s4_@{j} = fma(q@{i_next}, K(@{i_next}u), s4_@{j});
//@end
#undef K
        float s@{j} = (s4_@{j}.x + s4_@{j}.y) + (s4_@{j}.z + s4_@{j}.w);
//@if ragged
        s@{j} = key + @{j}u < @{s}u ? s@{j} : -3.0e38;
//@end
//@end
        float high = most;
//@for j step
        high = max(high, s@{j});
//@end
        float shrink = exp(most - high);
        most = high;
        total *= shrink;
//@for j step
        float p@{j} = exp(s@{j} - high);
//@if ragged
        p@{j} = key + @{j}u < @{s}u ? p@{j} : 0.0;
//@end
        total += p@{j};
//@end
//@for i e4
        o@{i} *= shrink;
//@end
//@for j step
//@for i e4
//@if staged
        o@{i} = fma(vec4(p@{j}), stage_v[@{j}][@{i}], o@{i});
//@end
//@if !staged
        o@{i} = fma(vec4(p@{j}), load_v(batch, head, key@{j}, @{i}u), o@{i});
//@end
//@end
//@end
    }
    if (query >= @{t}u)
        return;
    float inverse = 1.0 / total;
//@for i e4
    store(batch, head, query, @{i}u, o@{i} * inverse);
//@end
}
