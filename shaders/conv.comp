//@section prologue
// Where the window of a pixel of the result begins in x (z, y, x, and which image), how far from there a tap lies, and
// the pixel that is there. Fewer than three spatial dimensions: the leading ones are 1 wide.
ivec4 conv_origin(uint pixel)
{
    uint y = pixel / @{out_x}u, z = y / @{out_y}u, image = z / @{out_z}u;
    return ivec4(int(z % @{out_z}u) * @{stride_z} - @{pad_z}, int(y % @{out_y}u) * @{stride_y} - @{pad_y},
                 int(pixel % @{out_x}u) * @{stride_x} - @{pad_x}, int(image));
}
// The pixel of the result that is row `row` of the product. Transposed: all pixels that lie alike between those of x, which
// meet the same taps, come one after another, so that a tile meets few taps and skips the others.
uint conv_row(uint row)
{
//@if phased
    uint y = row / @{part_x}u, z = y / @{part_y}u, image = z / @{part_z}u, phase = image / @{images}u;
    uint at = (image % @{images}u) * @{out_z}u + (z % @{part_z}u) * @{up_z}u + phase / @{up_x}u / @{up_y}u;
    at = at * @{out_y}u + (y % @{part_y}u) * @{up_y}u + phase / @{up_x}u % @{up_y}u;
    return at * @{out_x}u + (row % @{part_x}u) * @{up_x}u + phase % @{up_x}u;
//@end
//@if !phased
    return row;
//@end
}
// The workgroup's tile of rows, and its group of channels.
//@if folded
#define CONV_TILE (gl_WorkGroupID.x + gl_WorkGroupID.z / @{batches}u * @{groups_x}u)
#define CONV_BATCH (gl_WorkGroupID.z % @{batches}u)
//@end
//@if !folded
#define CONV_TILE gl_WorkGroupID.x
#define CONV_BATCH gl_WorkGroupID.z
//@end
// May the tap meet pixels of x from any of these rows? False for none.
bool conv_meets(uint first, uint last, ivec3 tap)
{
//@if phased
    const uint each = @{part_x}u * @{part_y}u * @{part_z}u * @{images}u;
    uvec3 at = uvec3(conv_origin(conv_row(first)).xyz + tap + ivec3(@{lift_z}, @{lift_y}, @{lift_x}));
    return first / each != last / each || at % uvec3(@{up_z}, @{up_y}, @{up_x}) == uvec3(0u);
//@end
//@if !phased
    return true;
//@end
}
ivec3 conv_tap(uint tap)
{
    uint y = tap / @{size_x}u;
    return ivec3(int(y / @{size_y}u) * @{dilate_z}, int(y % @{size_y}u) * @{dilate_y}, int(tap % @{size_x}u) * @{dilate_x});
}
uint conv_pixel(ivec4 origin, ivec3 tap, out bool inside)
{
    ivec3 at = origin.xyz + tap;
    inside = true;
//@if up
    inside = all(greaterThanEqual(at, ivec3(0)));
    uvec3 place = uvec3(max(at, ivec3(0))), apart = uvec3(@{up_z}, @{up_y}, @{up_x});
    at = ivec3(place / apart);
    inside = inside && uvec3(at) * apart == place && all(lessThan(at, ivec3(@{in_z}, @{in_y}, @{in_x})));
//@end
//@if !up
//@if padded
    inside = uint(at.x) < @{in_z}u && uint(at.y) < @{in_y}u && uint(at.z) < @{in_x}u;
//@end
//@end
    uint pixel = uint(((origin.w * @{in_z} + at.x) * @{in_y} + at.y) * @{in_x} + at.z);
//@if padded
    pixel = inside ? pixel : 0u;
//@end
    return pixel;
}

//@section rows
// No shared memory: an invocation makes @{rows} pixels of @{vectors} vectors of channels in named registers; lanes lie along
// the channels, so that loads of A are the same for all lanes and those of B are of adjacent vectors. Taps outside,
// channels inside; a tap that meets no pixel of x for any of the rows costs nothing.
void main()
{
    uint batch = CONV_BATCH, first = CONV_TILE * @{rows}u, end = min(@{m}u, first + @{rows}u);
    uint n = gl_WorkGroupID.y * @{vectors}u * @{local_x}u + gl_LocalInvocationID.x;
    if (n >= @{n4}u || first >= @{m}u)
        return;
//@for r rows
    ivec4 o@{r} = conv_origin(conv_row(min(first + @{r}u, end - 1u)));
//@end
//@for v vectors
    uint n@{v} = min(n + @{v}u * @{local_x}u, @{n4}u - 1u);
//@end
//@for r rows
//@for v vectors
    vec4 c_@{r}_@{v} = vec4(0.0);
//@end
//@end
    for (uint tap = 0u; tap < @{taps}u; tap++) {
        ivec3 t = conv_tap(tap);
        bool any_inside = false;
//@for r rows
        bool in@{r};
        uint p@{r} = conv_pixel(o@{r}, t, in@{r});
        any_inside = any_inside || in@{r};
//@end
//@for p parts
        uint end@{p} = any_inside ? PART@{p}_END : 0u;
        for (uint k = PART@{p}_BEGIN; k < end@{p}; k++) {
//@for r rows
            vec4 a@{r} = load_a@{p}(batch, p@{r}, k);
//@if padded
            a@{r} = in@{r} ? a@{r} : vec4(0.0);
//@end
//@end
//@for v vectors
            {
//@for i 4
                vec4 b@{i} = load_b(batch, tap, 4u * k + @{i}u, n@{v});
//@end
//@for r rows
                c_@{r}_@{v} = fma(vec4(a@{r}.x), b0, c_@{r}_@{v});
                c_@{r}_@{v} = fma(vec4(a@{r}.y), b1, c_@{r}_@{v});
                c_@{r}_@{v} = fma(vec4(a@{r}.z), b2, c_@{r}_@{v});
                c_@{r}_@{v} = fma(vec4(a@{r}.w), b3, c_@{r}_@{v});
//@end
            }
//@end
        }
//@end
    }
    // The epilogue stands in a loop: unrolled it would be most of the kernel, and an array of registers is slower than these selects.
//@if run
//@for v vectors
    sy_moments m@{v} = sy_moments(vec4(0.0), vec4(0.0), vec4(0.0));
//@end
//@end
    for (uint r = 0u; r < end - first; r++) {
//@for v vectors
        vec4 out@{v} = c_0_@{v};
//@for r rows
        out@{v} = r == @{r}u ? c_@{r}_@{v} : out@{v};
//@end
        if (n + @{v}u * @{local_x}u < @{n4}u)
//@if !run
            store(batch, conv_row(first + r), n + @{v}u * @{local_x}u, out@{v});
//@end
//@if run
        {
            sy_moments_add(m@{v}, r % @{run}u == 0u, store(batch, conv_row(first + r), n + @{v}u * @{local_x}u, out@{v}));
            if (r % @{run}u == @{run}u - 1u)
                store_moments(batch, (first + r) / @{run}u, n + @{v}u * @{local_x}u, sy_moments_mean(m@{v}, @{run}.0),
                              sy_moments_spread(m@{v}, @{run}.0));
        }
//@end
//@end
    }
}

//@section pixels
// Few channels out: lanes lie along the pixels, each makes @{rows} pixels that are @{local_x} apart, of @{vectors} vectors of channels.
void main()
{
    uint batch = CONV_BATCH, n = gl_WorkGroupID.y * @{vectors}u;
    uint first = CONV_TILE * @{rows}u * @{local_x}u + gl_LocalInvocationID.x;
    if (first >= @{m}u)
        return;
//@for r rows
    ivec4 o@{r} = conv_origin(conv_row(min(first + @{r}u * @{local_x}u, @{m}u - 1u)));
//@end
//@for v vectors
    uint n@{v} = min(n + @{v}u, @{n4}u - 1u);
//@end
//@for r rows
//@for v vectors
    vec4 c_@{r}_@{v} = vec4(0.0);
//@end
//@end
    for (uint tap = 0u; tap < @{taps}u; tap++) {
        ivec3 t = conv_tap(tap);
//@for r rows
        bool in@{r};
        uint p@{r} = conv_pixel(o@{r}, t, in@{r});
//@end
//@for p parts
        for (uint k = PART@{p}_BEGIN; k < PART@{p}_END; k++) {
//@for r rows
            vec4 a@{r} = load_a@{p}(batch, p@{r}, k);
//@if padded
            a@{r} = in@{r} ? a@{r} : vec4(0.0);
//@end
//@end
//@for v vectors
            {
//@for i 4
                vec4 b@{i} = load_b(batch, tap, 4u * k + @{i}u, n@{v});
//@end
//@for r rows
                c_@{r}_@{v} = fma(vec4(a@{r}.x), b0, c_@{r}_@{v});
                c_@{r}_@{v} = fma(vec4(a@{r}.y), b1, c_@{r}_@{v});
                c_@{r}_@{v} = fma(vec4(a@{r}.z), b2, c_@{r}_@{v});
                c_@{r}_@{v} = fma(vec4(a@{r}.w), b3, c_@{r}_@{v});
//@end
            }
//@end
        }
//@end
    }
//@for r rows
    if (first + @{r}u * @{local_x}u < @{m}u) {
//@for v vectors
        if (n + @{v}u < @{n4}u)
            store(batch, conv_row(first + @{r}u * @{local_x}u), n + @{v}u, c_@{r}_@{v});
//@end
    }
//@end
}

//@section depthwise
// A channel sees itself alone: an invocation makes a vector of channels of @{rows} pixels; lanes lie along the channels.
void main()
{
    uint first = CONV_TILE * @{rows}u, end = min(@{m}u, first + @{rows}u);
    uint n = gl_WorkGroupID.y * @{local_x}u + gl_LocalInvocationID.x;
    if (n >= @{n4}u || first >= @{m}u)
        return;
//@for r rows
    ivec4 o@{r} = conv_origin(conv_row(min(first + @{r}u, end - 1u)));
    vec4 c_@{r} = vec4(0.0);
//@end
    for (uint tap = 0u; tap < @{taps}u; tap++) {
        ivec3 t = conv_tap(tap);
        vec4 b = load_b(0u, tap, 0u, n);
//@for r rows
        {
            bool inside;
            uint p = conv_pixel(o@{r}, t, inside);
            vec4 a = load_a0(0u, p, n);
//@if padded
            a = inside ? a : vec4(0.0);
//@end
            c_@{r} = fma(a, b, c_@{r});
        }
//@end
    }
//@for r rows
    if (first + @{r}u < end)
        store(0u, conv_row(first + @{r}u), n, c_@{r});
//@end
}

//@section tile
// Tiles of A and B in shared memory, @{step} channels of one tap deep; an invocation makes @{tr} pixels and @{tv} vectors of channels.
// A is staged with pixels fastest, so that an invocation reads its pixels as vectors; who stages what is fixed, so that
// the four origins are computed once (rows / 4 * step / 4 is at most the size of the workgroup).
shared vec4 tile_a[@{step}][@{rows4}];
shared vec4 tile_b[@{step}][@{columns4}];
void main()
{
    uint batch = CONV_BATCH, first = CONV_TILE * @{rows}u, end = min(@{m}u, first + @{rows}u);
    if (first >= @{m}u)
        return; // all of the workgroup, before any barrier
    uint x = gl_LocalInvocationID.x, y = gl_LocalInvocationID.y, lane = gl_LocalInvocationIndex;
    uint n = gl_WorkGroupID.y * @{columns4}u, q = lane / @{step4}u, own = lane % @{step4}u;
//@for i 4
    ivec4 o@{i} = conv_origin(conv_row(min(first + 4u * q + @{i}u, end - 1u)));
//@end
//@for r tr
//@for v tv
    vec4 c_@{r}_@{v} = vec4(0.0);
//@end
//@end
    for (uint tap = 0u; tap < @{taps}u; tap++) {
        ivec3 t = conv_tap(tap);
        if (!conv_meets(first, end - 1u, t))
            continue;
//@for i 4
        bool in@{i};
        uint p@{i} = conv_pixel(o@{i}, t, in@{i});
//@end
//@for p parts
        for (uint k = PART@{p}_BEGIN; k < PART@{p}_END; k += @{step4}u) {
            if (q < @{rows4}u) {
                mat4 a = mat4(0.0);
                if (k + own < PART@{p}_END) {
//@for i 4
                    if (in@{i})
                        a[@{i}] = load_a@{p}(batch, p@{i}, k + own);
//@end
                }
                a = transpose(a);
                tile_a[4u * own][q] = a[0];
                tile_a[4u * own + 1u][q] = a[1];
                tile_a[4u * own + 2u][q] = a[2];
                tile_a[4u * own + 3u][q] = a[3];
            }
            for (uint i = lane; i < @{step}u * @{columns4}u; i += @{local}u) {
                uint kk = i / @{columns4}u, c = i % @{columns4}u;
                bool inside = 4u * k + kk < 4u * PART@{p}_END && n + c < @{n4}u;
                tile_b[kk][c] = inside ? load_b(batch, tap, min(4u * k + kk, 4u * PART@{p}_END - 1u), min(n + c, @{n4}u - 1u)) : vec4(0.0);
            }
            barrier();
            for (uint kk = 0u; kk < @{step}u; kk++) {
//@for q tr4
                vec4 a@{q} = tile_a[kk][y * @{tr4}u + @{q}u];
//@end
//@for v tv
                vec4 b@{v} = tile_b[kk][x + @{v}u * @{local_x}u];
//@end
//@for r tr
//@for v tv
                c_@{r}_@{v} = fma(vec4(a@{r_quad}[@{r_part}]), b@{v}, c_@{r}_@{v});
//@end
//@end
            }
            barrier();
        }
//@end
    }
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
            store(batch, conv_row(first + y * @{tr}u + @{r}u), n + x + @{v}u * @{local_x}u, c_@{r}_@{v});
//@end
//@if run
            sy_moments_add(m@{v}, @{r}u == 0u, store(batch, conv_row(first + y * @{tr}u + @{r}u), n + x + @{v}u * @{local_x}u, c_@{r}_@{v}));
//@end
//@end
    }
//@end
//@if run
    // An invocation has whole rows of a run or none of it. Of those that share one (@{span}) the first puts their moments together.
//@for v tv
    tile_b[2u * y][x + @{v}u * @{local_x}u] = sy_moments_mean(m@{v}, @{tr}.0);
    tile_b[2u * y + 1u][x + @{v}u * @{local_x}u] = sy_moments_spread(m@{v}, @{tr}.0);
//@end
    barrier();
    if (y % @{span}u == 0u && first + y * @{tr}u < end) {
//@for v tv
        if (n + x + @{v}u * @{local_x}u < @{n4}u) {
            uint c = x + @{v}u * @{local_x}u;
            vec4 mean = vec4(0.0), spread = vec4(0.0);
            for (uint i = 0u; i < @{span}u; i++)
                mean += tile_b[2u * (y + i)][c] / @{span}.0;
            for (uint i = 0u; i < @{span}u; i++) {
                vec4 apart = tile_b[2u * (y + i)][c] - mean;
                spread += (tile_b[2u * (y + i) + 1u][c] + apart * apart) / @{span}.0;
            }
            store_moments(batch, (first + y * @{tr}u) / @{run}u, n + c, mean, spread);
        }
//@end
    }
//@end
}
