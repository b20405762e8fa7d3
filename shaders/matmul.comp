//@section prologue
// Which rows, columns and right matrix a workgroup makes. grouped: workgroup y is a row tile of the route (target, first slot); past the
// route's last tile there is nothing to do (a dispatch given in parts covers the static bound).
bool outside()
{
//@if grouped
    return gl_WorkGroupID.y >= route_word(@{tiles}u);
//@end
//@if !grouped
    return false;
//@end
}
void place(out uint batch, out uint first, out uint end)
{
//@if grouped
    batch = route_word(@{tiles}u + 1u + 2u * gl_WorkGroupID.y);
    first = route_word(@{tiles}u + 2u + 2u * gl_WorkGroupID.y);
    end = min(route_word(@{offsets}u + batch + 1u), first + @{rows}u);
//@end
//@if !grouped
    batch = gl_WorkGroupID.z;
    first = gl_WorkGroupID.x * @{rows}u;
    end = min(@{m}u, first + @{rows}u);
//@end
}

//@if grouped
#define COLUMN_GROUP gl_WorkGroupID.x
//@end
//@if !grouped
#define COLUMN_GROUP gl_WorkGroupID.y
//@end

//@section rows
// No shared memory: an invocation makes @{rows} rows of @{vectors} vectors of columns, each in a register with a name
// of its own; lanes lie along the columns, so that loads of A are the same for all lanes and those of B are of adjacent vectors.
// broadcast: each lane of a subgroup of 8 loads another row of A and hands it to all, so no lane may have left.
void main()
{
    if (outside())
        return;
    uint batch, first, end;
    place(batch, first, end);
    uint n = COLUMN_GROUP * @{vectors}u * @{local_x}u + gl_LocalInvocationID.x;
//@if broadcast
//@for q rows8
    uint own@{q} = source_row(min(first + 8u * @{q}u + gl_LocalInvocationID.x, end - 1u));
//@end
//@end
//@if !broadcast
    if (n >= @{n4}u)
        return;
//@for r rows
    uint row@{r} = source_row(min(first + @{r}u, end - 1u));
//@end
//@end
//@for v vectors
    uint n@{v} = min(n + @{v}u * @{local_x}u, @{n4}u - 1u);
//@end
//@for w anchors
//@for r rows
//@for v vectors
    vec4 c@{w}_@{r}_@{v} = vec4(0.0);
//@end
//@end
//@end
//@for p parts
    for (uint k = PART@{p}_BEGIN; k < PART@{p}_END; k++) {
//@if broadcast
//@for q rows8
        vec4 eight@{q} = load_a@{p}(batch, own@{q}, k);
//@end
//@for r rows
        vec4 a@{r} = subgroupShuffle(eight@{r_octo}, @{r_lane}u);
//@end
//@end
//@if !broadcast
//@for r rows
        vec4 a@{r} = load_a@{p}(batch, row@{r}, k);
//@end
//@end
//@for w anchors
//@for v vectors
        {
//@for i 4
            vec4 b@{i} = load_b@{w}(batch, 4u * k + @{i}u, n@{v});
//@end
//@for r rows
            c@{w}_@{r}_@{v} = fma(vec4(a@{r}.x), b0, c@{w}_@{r}_@{v});
            c@{w}_@{r}_@{v} = fma(vec4(a@{r}.y), b1, c@{w}_@{r}_@{v});
            c@{w}_@{r}_@{v} = fma(vec4(a@{r}.z), b2, c@{w}_@{r}_@{v});
            c@{w}_@{r}_@{v} = fma(vec4(a@{r}.w), b3, c@{w}_@{r}_@{v});
//@end
        }
//@end
//@end
    }
//@end
    // The epilogue stands in a loop: unrolled it would be most of the kernel, and an array of registers is slower than these selects.
//@if run
//@for v vectors
    sy_moments m@{v} = sy_moments(vec4(0.0), vec4(0.0), vec4(0.0));
//@end
//@end
    for (uint r = 0u; r < end - first; r++) {
//@for v vectors
//@for w anchors
        vec4 o@{w}_@{v} = c@{w}_0_@{v};
//@for r rows
        o@{w}_@{v} = r == @{r}u ? c@{w}_@{r}_@{v} : o@{w}_@{v};
//@end
//@end
        if (n + @{v}u * @{local_x}u < @{n4}u)
//@if !run
            store(batch, first + r, n + @{v}u * @{local_x}u, o0_@{v}, o@{last}_@{v});
//@end
//@if run
        {
            sy_moments_add(m@{v}, r % @{run}u == 0u, store(batch, first + r, n + @{v}u * @{local_x}u, o0_@{v}, o@{last}_@{v}));
            if (r % @{run}u == @{run}u - 1u)
                store_moments(batch, (first + r) / @{run}u, n + @{v}u * @{local_x}u, sy_moments_mean(m@{v}, @{run}.0),
                              sy_moments_spread(m@{v}, @{run}.0));
        }
//@end
//@end
    }
}

//@section vector
// Few rows: invocations y share the sum over k; their parts meet in shared memory and are added in the order of y.
shared vec4 part[@{anchors}][@{rows}][@{local_y}][@{local_x}];
void main()
{
    if (outside())
        return;
    uint batch, first, end;
    place(batch, first, end);
    uint n = COLUMN_GROUP * @{local_x}u + gl_LocalInvocationID.x, y = gl_LocalInvocationID.y, at = min(n, @{n4}u - 1u);
//@for w anchors
//@for r rows
    vec4 c@{w}_@{r} = vec4(0.0);
//@end
//@end
//@for p parts
    for (uint k = PART@{p}_BEGIN + y; k < PART@{p}_END; k += @{local_y}u) {
//@for r rows
        vec4 a@{r} = load_a@{p}(batch, source_row(min(first + @{r}u, end - 1u)), k);
//@end
//@for w anchors
        {
//@for i 4
            vec4 b@{i} = load_b@{w}(batch, 4u * k + @{i}u, at);
//@end
//@for r rows
            c@{w}_@{r} = fma(vec4(a@{r}.x), b0, c@{w}_@{r});
            c@{w}_@{r} = fma(vec4(a@{r}.y), b1, c@{w}_@{r});
            c@{w}_@{r} = fma(vec4(a@{r}.z), b2, c@{w}_@{r});
            c@{w}_@{r} = fma(vec4(a@{r}.w), b3, c@{w}_@{r});
//@end
        }
//@end
    }
//@end
//@for w anchors
//@for r rows
    part[@{w}][@{r}][y][gl_LocalInvocationID.x] = c@{w}_@{r};
//@end
//@end
    barrier();
    if (n < @{n4}u)
        for (uint r = y; r < end - first; r += @{local_y}u) {
//@for w anchors
            vec4 s@{w} = vec4(0.0);
            for (uint i = 0u; i < @{local_y}u; i++)
                s@{w} += part[@{w}][r][i][gl_LocalInvocationID.x];
//@end
            store(batch, first + r, n, s0, s@{last});
        }
}

//@section tile
// Tiles of A and B in shared memory, @{step} deep; an invocation makes @{tr} rows and @{tv} vectors of columns. A is staged with
// rows fastest, so that an invocation reads its rows as vectors.
shared vec4 tile_a[@{step}][@{rows4}];
//@for w anchors
shared vec4 tile_b@{w}[@{step}][@{columns4}];
//@end
void main()
{
    if (outside())
        return;
    uint batch, first, end;
    place(batch, first, end);
    uint x = gl_LocalInvocationID.x, y = gl_LocalInvocationID.y, lane = gl_LocalInvocationIndex;
    uint n = COLUMN_GROUP * @{columns4}u;
//@for w anchors
//@for r tr
//@for v tv
    vec4 c@{w}_@{r}_@{v} = vec4(0.0);
//@end
//@end
//@end
//@for p parts
    for (uint k = PART@{p}_BEGIN; k < PART@{p}_END; k += @{step4}u) {
        for (uint i = lane; i < @{rows}u / 4u * @{step4}u; i += @{local}u) {
            uint q = i / @{step4}u, kk = i % @{step4}u;
            mat4 a = mat4(0.0);
            if (k + kk < PART@{p}_END)
                a = mat4(load_a@{p}(batch, source_row(min(first + 4u * q, end - 1u)), k + kk),
                         load_a@{p}(batch, source_row(min(first + 4u * q + 1u, end - 1u)), k + kk),
                         load_a@{p}(batch, source_row(min(first + 4u * q + 2u, end - 1u)), k + kk),
                         load_a@{p}(batch, source_row(min(first + 4u * q + 3u, end - 1u)), k + kk));
            a = transpose(a);
            tile_a[4u * kk][q] = a[0];
            tile_a[4u * kk + 1u][q] = a[1];
            tile_a[4u * kk + 2u][q] = a[2];
            tile_a[4u * kk + 3u][q] = a[3];
        }
        for (uint i = lane; i < @{step}u * @{columns4}u; i += @{local}u) {
            uint kk = i / @{columns4}u, q = i % @{columns4}u;
            bool inside = 4u * k + kk < 4u * PART@{p}_END && n + q < @{n4}u;
//@for w anchors
            tile_b@{w}[kk][q] = inside ? load_b@{w}(batch, min(4u * k + kk, 4u * PART@{p}_END - 1u), min(n + q, @{n4}u - 1u)) : vec4(0.0);
//@end
        }
        barrier();
        for (uint kk = 0u; kk < @{step}u; kk++) {
//@for q tr4
            vec4 a@{q} = tile_a[kk][y * @{tr4}u + @{q}u];
//@end
//@for w anchors
//@for v tv
            vec4 b@{w}_@{v} = tile_b@{w}[kk][x + @{v}u * @{local_x}u];
//@end
//@for r tr
//@for v tv
            c@{w}_@{r}_@{v} = fma(vec4(a@{r_quad}[@{r_part}]), b@{w}_@{v}, c@{w}_@{r}_@{v});
//@end
//@end
//@end
        }
        barrier();
    }
//@end
//@if run
//@for v tv
    sy_moments m@{v} = sy_moments(vec4(0.0), vec4(0.0), vec4(0.0));
//@end
//@end
//@for r tr
    if (first + y * @{tr}u + @{r}u < end) {
//@for v tv
        if (n + x + @{v}u * @{local_x}u < @{n4}u)
//@if !run
            store(batch, first + y * @{tr}u + @{r}u, n + x + @{v}u * @{local_x}u, c0_@{r}_@{v}, c@{last}_@{r}_@{v});
//@end
//@if run
            sy_moments_add(m@{v}, @{r}u == 0u, store(batch, first + y * @{tr}u + @{r}u, n + x + @{v}u * @{local_x}u, c0_@{r}_@{v}, c@{last}_@{r}_@{v}));
//@end
//@end
    }
//@end
//@if run
    // An invocation has whole rows of a run or none of it. Of those that share one (@{span}) the first puts their moments together.
//@for v tv
    tile_b0[2u * y][x + @{v}u * @{local_x}u] = sy_moments_mean(m@{v}, @{tr}.0);
    tile_b0[2u * y + 1u][x + @{v}u * @{local_x}u] = sy_moments_spread(m@{v}, @{tr}.0);
//@end
    barrier();
    if (y % @{span}u == 0u && first + y * @{tr}u < end) {
//@for v tv
        if (n + x + @{v}u * @{local_x}u < @{n4}u) {
            uint c = x + @{v}u * @{local_x}u;
            vec4 mean = vec4(0.0), spread = vec4(0.0);
            for (uint i = 0u; i < @{span}u; i++)
                mean += tile_b0[2u * (y + i)][c] / @{span}.0;
            for (uint i = 0u; i < @{span}u; i++) {
                vec4 apart = tile_b0[2u * (y + i)][c] - mean;
                spread += (tile_b0[2u * (y + i) + 1u][c] + apart * apart) / @{span}.0;
            }
            store_moments(batch, (first + y * @{tr}u) / @{run}u, n + c, mean, spread);
        }
//@end
    }
//@end
}

//@section matrix
// Cooperative matrices, f16 times f16 added in f32: tiles of A and B are rounded to f16 on their way into shared memory. @{subgroups}
// subgroups, @{across} of them along the columns, each make @{down_each} x @{across_each} matrices. Rows are padded by 16 bytes, so that those
// of a matrix lie in different banks.
const uint STRIDE_A = @{step4}u + 2u, STRIDE_B = @{columns4}u + 2u, N4 = @{matrix_n}u / 4u, PART = @{matrix_m}u * N4;
shared f16vec4 tile_a[@{rows}u * STRIDE_A];
//@for w anchors
shared f16vec4 tile_b@{w}[@{step}u * STRIDE_B];
shared vec4 tile_c@{w}[@{subgroups}u * PART];
//@end
// What f16 cannot hold would be infinite, and a difference of two such no number.
f16vec4 rounded(vec4 x)
{
    return f16vec4(clamp(x, vec4(-65504.0), vec4(65504.0)));
}
void main()
{
    if (outside())
        return;
    uint batch, first, end;
    place(batch, first, end);
    uint lane = gl_LocalInvocationIndex, n = COLUMN_GROUP * @{columns4}u;
    uint down = gl_SubgroupID / @{across}u * @{down_each}u, right = gl_SubgroupID % @{across}u * @{across_each}u;
    coopmat<float16_t, gl_ScopeSubgroup, @{matrix_k}, @{matrix_n}, gl_MatrixUseB> b;
//@for i down_each
    coopmat<float16_t, gl_ScopeSubgroup, @{matrix_m}, @{matrix_k}, gl_MatrixUseA> a@{i};
//@end
//@for w anchors
//@for i down_each
//@for j across_each
    coopmat<float, gl_ScopeSubgroup, @{matrix_m}, @{matrix_n}, gl_MatrixUseAccumulator> c@{w}_@{i}_@{j} =
        coopmat<float, gl_ScopeSubgroup, @{matrix_m}, @{matrix_n}, gl_MatrixUseAccumulator>(0.0);
//@end
//@end
//@end
//@for p parts
    for (uint k = PART@{p}_BEGIN; k < PART@{p}_END; k += @{step4}u) {
        for (uint i = lane; i < @{rows}u * @{step4}u; i += @{local}u) {
            uint r = i / @{step4}u, kk = i % @{step4}u;
            vec4 x = vec4(0.0);
            if (k + kk < PART@{p}_END)
                x = load_a@{p}(batch, source_row(min(first + r, end - 1u)), k + kk);
            tile_a[r * STRIDE_A + kk] = rounded(x);
        }
        for (uint i = lane; i < @{step}u * @{columns4}u; i += @{local}u) {
            uint kk = i / @{columns4}u, q = i % @{columns4}u;
            bool inside = 4u * k + kk < 4u * PART@{p}_END && n + q < @{n4}u;
//@for w anchors
            vec4 x@{w} = vec4(0.0);
            if (inside)
                x@{w} = load_b@{w}(batch, 4u * k + kk, n + q);
            tile_b@{w}[kk * STRIDE_B + q] = f16vec4(x@{w});
//@end
        }
        barrier();
//@for d deep
//@for i down_each
        coopMatLoad(a@{i}, tile_a, (down + @{i}u) * @{matrix_m}u * STRIDE_A + @{d}u * @{matrix_k}u / 4u, STRIDE_A, gl_CooperativeMatrixLayoutRowMajor);
//@end
//@for w anchors
//@for j across_each
        coopMatLoad(b, tile_b@{w}, @{d}u * @{matrix_k}u * STRIDE_B + (right + @{j}u) * N4, STRIDE_B, gl_CooperativeMatrixLayoutRowMajor);
//@for i down_each
        c@{w}_@{i}_@{j} = coopMatMulAdd(a@{i}, b, c@{w}_@{i}_@{j});
//@end
//@end
//@end
//@end
        barrier();
    }
//@end
    // The epilogue takes elements one by one, and only memory says which lane has which: a matrix a subgroup at a time.
    for (uint t = 0u; t < @{down_each}u * @{across_each}u; t++) {
//@for i down_each
//@for j across_each
        if (t == @{i}u * @{across_each}u + @{j}u) {
//@for w anchors
            coopMatStore(c@{w}_@{i}_@{j}, tile_c@{w}, gl_SubgroupID * PART, N4, gl_CooperativeMatrixLayoutRowMajor);
//@end
        }
//@end
//@end
        barrier();
        for (uint i = lane; i < @{subgroups}u * PART; i += @{local}u) {
            uint s = i / PART, r = i % PART / N4, q = i % N4;
            uint row = first + (s / @{across}u * @{down_each}u + t / @{across_each}u) * @{matrix_m}u + r;
            uint column = n + (s % @{across}u * @{across_each}u + t % @{across_each}u) * N4 + q;
            if (row < end && column < @{n4}u)
                store(batch, row, column, tile_c0[i], tile_c@{last}[i]);
        }
        barrier();
    }
}
