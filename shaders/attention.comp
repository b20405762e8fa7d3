//@section main
// softmax(scale q k^T) v with a running maximum and sum: each invocation has @{rows} queries, @{step} keys a turn. The scores of the keys past
// the end are left out by select, and the first maximum is finite, so no infinity meets another. staged: keys and values of a
// turn lie in shared memory; else every lane reads the same ones.
//@if staged
shared vec4 stage_k[@{step}][@{d4}];
shared vec4 stage_v[@{step}][@{e4}];
//@end
void main()
{
    uint head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z, lane = gl_LocalInvocationID.x;
//@for r rows
    uint query@{r} = (gl_WorkGroupID.x * @{rows}u + @{r}u) * @{local}u + lane, at@{r} = min(query@{r}, @{t}u - 1u);
//@for i d4
    vec4 q@{r}_@{i} = load_q(batch, head, at@{r}, @{i}u) * @{scale};
//@end
//@for i e4
    vec4 o@{r}_@{i} = vec4(0.0);
//@end
    float most@{r} = -3.0e38, total@{r} = 0.0;
//@end
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
//@for r rows
        vec4 s4_@{r}_@{j} = vec4(0.0);
//@end
//@for i d4
        {
//@if staged
            vec4 k = stage_k[@{j}][@{i}];
//@end
//@if !staged
            vec4 k = load_k(batch, head, key@{j}, @{i}u);
//@end
//@for r rows
            s4_@{r}_@{j} = fma(q@{r}_@{i}, k, s4_@{r}_@{j});
//@end
        }
//@end
//@for r rows
        float s@{r}_@{j} = (s4_@{r}_@{j}.x + s4_@{r}_@{j}.y) + (s4_@{r}_@{j}.z + s4_@{r}_@{j}.w);
//@if ragged
        s@{r}_@{j} = key + @{j}u < @{s}u ? s@{r}_@{j} : -3.0e38;
//@end
//@end
//@end
//@for r rows
        float high@{r} = most@{r};
//@for j step
        high@{r} = max(high@{r}, s@{r}_@{j});
//@end
        float shrink@{r} = exp(most@{r} - high@{r});
        most@{r} = high@{r};
        total@{r} *= shrink@{r};
//@for j step
        float p@{r}_@{j} = exp(s@{r}_@{j} - high@{r});
//@if ragged
        p@{r}_@{j} = key + @{j}u < @{s}u ? p@{r}_@{j} : 0.0;
//@end
        total@{r} += p@{r}_@{j};
//@end
//@for i e4
        o@{r}_@{i} *= shrink@{r};
//@end
//@end
//@for j step
//@for i e4
        {
//@if staged
            vec4 v = stage_v[@{j}][@{i}];
//@end
//@if !staged
            vec4 v = load_v(batch, head, key@{j}, @{i}u);
//@end
//@for r rows
            o@{r}_@{i} = fma(vec4(p@{r}_@{j}), v, o@{r}_@{i});
//@end
        }
//@end
//@end
    }
//@for r rows
    if (query@{r} < @{t}u) {
        float inverse = 1.0 / total@{r};
//@for i e4
        store(batch, head, query@{r}, @{i}u, o@{r}_@{i} * inverse);
//@end
    }
//@end
}
