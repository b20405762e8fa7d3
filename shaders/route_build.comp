//@section main
// A list of (row, target, weight) becomes a route: one workgroup, stable counting sorts in chunks of a workgroup. An entry's
// place in its chunk comes from comparing it with all of the chunk; the base of each key lies in the route's own buffer, in
// sections that are not written yet. Nothing depends on the order in which invocations run.
#define LANES @{local}u
shared uvec4 chunk4[@{local4}];
shared uint meet[@{local}];
uint lane;

// All writes before are seen by all invocations after.
void settle()
{
    memoryBarrierBuffer();
    barrier();
}

// rank: how many earlier lanes have the same key; last: no later lane has it.
void rank_in_chunk(uint key, out uint rank, out bool last)
{
    barrier();
    chunk4[lane / 4u][lane % 4u] = key;
    barrier();
    uvec4 before = uvec4(0u), after = uvec4(0u), same, at = uvec4(0u, 1u, 2u, 3u);
//@for q local4
    same = uvec4(equal(chunk4[@{q}], uvec4(key)));
    before += same * uvec4(lessThan(at, uvec4(lane)));
    after += same * uvec4(greaterThan(at, uvec4(lane)));
    at += 4u;
//@end
    rank = before.x + before.y + before.z + before.w;
    last = after.x + after.y + after.z + after.w == 0u;
}

// Sum of x over the lanes below; total over all.
uint sum_below(uint x, out uint total)
{
    barrier();
    meet[lane] = x;
    barrier();
//@for i log
    {
        uint other = lane >= 1u << @{i} ? meet[lane - (1u << @{i})] : 0u;
        barrier();
        meet[lane] += other;
        barrier();
    }
//@end
    total = meet[LANES - 1u];
    return meet[lane] - x;
}

void clear(uint at, uint n)
{
    for (uint i = lane; i < n; i += LANES)
        route[at + i] = 0u;
}

// Counts at at … at + n - 1 become the sums of those before.
void scan(uint at, uint n)
{
    uint carry = 0u, total;
    settle();
    for (uint c = 0u; c < n; c += LANES) {
        uint x = c + lane < n ? route[at + c + lane] : 0u, below = sum_below(x, total);
        if (c + lane < n)
            route[at + c + lane] = carry + below;
        carry += total;
    }
    settle();
}

// The place of an entry among those of its key, in the order of entries; moves the key's base on.
uint place(bool valid, uint base, uint key)
{
    uint rank;
    bool last;
    rank_in_chunk(valid ? key : ~0u, rank, last);
    uint at = valid ? route[base + key] + rank : 0u;
    settle();
    if (valid && last)
        route[base + key] = at + 1u;
    settle();
    return at;
}

void main()
{
    lane = gl_LocalInvocationIndex;
    uint count = 0u, total;
//@if capacity
    clear(@{scratch}u, @{keys}u);
    settle();
//@end
    // What is kept, in list order, into the section of weights.
    for (uint c = 0u; c < @{length}u; c += LANES) {
        uint i = min(c + lane, @{length}u - 1u), row = entry_row(i), to = entry_target(i);
        bool keep = c + lane < @{length}u && row < @{rows}u && to < @{targets}u;
//@if capacity
        uint at = place(keep, @{scratch}u, row / @{group_rows}u * @{targets}u + to);
        keep = keep && at < @{capacity}u;
//@end
        uint below = count + sum_below(keep ? 1u : 0u, total);
        if (keep && below < @{slots}u)
            route[@{at_weights}u + below] = i;
        count = min(count + total, @{slots}u);
    }
    settle();
    clear(@{at_offsets}u, @{targets}u + 1u);
    clear(@{at_row_offsets}u, @{rows}u + 1u);
    settle();
    for (uint i = lane; i < count; i += LANES) {
        atomicAdd(route[@{at_offsets}u + 1u + entry_target(route[@{at_weights}u + i])], 1u);
        atomicAdd(route[@{at_row_offsets}u + 1u + entry_row(route[@{at_weights}u + i])], 1u);
    }
    scan(@{at_offsets}u + 1u, @{targets}u);
    scan(@{at_row_offsets}u + 1u, @{rows}u);
    // By row, into the section of row_slots. Each key's base stands one word up, so that it ends as the offset of the next key.
    for (uint c = 0u; c < count; c += LANES) {
        bool valid = c + lane < count;
        uint item = valid ? route[@{at_weights}u + c + lane] : 0u;
        uint at = place(valid, @{at_row_offsets}u + 1u, entry_row(item));
        if (valid)
            route[@{at_row_slots}u + at] = item;
    }
    settle();
    // Then by target, which keeps the rows of a target in order.
    for (uint c = 0u; c < count; c += LANES) {
        bool valid = c + lane < count;
        uint item = valid ? route[@{at_row_slots}u + c + lane] : 0u, to = entry_target(item);
        uint at = place(valid, @{at_offsets}u + 1u, to);
        if (valid) {
            route[@{at_rows}u + at] = entry_row(item);
            route[@{at_targets}u + at] = to;
            route[@{at_weights}u + at] = floatBitsToUint(entry_weight(item));
        }
    }
    settle();
    // The slots of each row, targets ascending: slots in order, by row.
    clear(@{at_row_offsets}u, @{rows}u + 1u);
    settle();
    for (uint i = lane; i < count; i += LANES)
        atomicAdd(route[@{at_row_offsets}u + 1u + route[@{at_rows}u + i]], 1u);
    scan(@{at_row_offsets}u + 1u, @{rows}u);
    for (uint c = 0u; c < count; c += LANES) {
        bool valid = c + lane < count;
        uint at = place(valid, @{at_row_offsets}u + 1u, valid ? route[@{at_rows}u + c + lane] : 0u);
        if (valid)
            route[@{at_row_slots}u + at] = c + lane;
    }
    settle();
    uint tiles = 0u;
//@if tile_rows
    for (uint e = 0u; e < @{targets}u; e++) {
        uint first = route[@{at_offsets}u + e], n = (route[@{at_offsets}u + e + 1u] - first + @{tile_rows}u - 1u) / @{tile_rows}u;
        for (uint i = lane; i < n; i += LANES) {
            route[@{at_tiles}u + 1u + 2u * (tiles + i)] = e;
            route[@{at_tiles}u + 2u + 2u * (tiles + i)] = first + i * @{tile_rows}u;
        }
        tiles += n;
    }
//@end
    if (lane == 0u) {
        route[@{at_count}u] = count;
        route[@{at_tiles}u] = tiles;
@{consumers}
    }
}
