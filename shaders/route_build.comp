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
//@if unrolled
//@for q local4
    same = uvec4(equal(chunk4[@{q}], uvec4(key)));
    before += same * uvec4(lessThan(at, uvec4(lane)));
    after += same * uvec4(greaterThan(at, uvec4(lane)));
    at += 4u;
//@end
//@end
//@if !unrolled
    for (uint q = 0u; q < @{local4}u; q++) {
        same = uvec4(equal(chunk4[q], uvec4(key)));
        before += same * uvec4(lessThan(at, uvec4(lane)));
        after += same * uvec4(greaterThan(at, uvec4(lane)));
        at += 4u;
    }
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

// Phases share one loop, so that its code stands once:
//   0  what is kept, in list order, into the section of weights
//   1  those by row, into the section of row_slots
//   2  those by target, which keeps the rows of a target in order: rows, targets, weights
//   3  slots by row, which keeps the targets of a row in order: row_slots
uint item_of(uint phase, uint i)
{
    return phase == 1u ? route[@{at_weights}u + i] : phase == 2u ? route[@{at_row_slots}u + i] : i;
}
uint key_of(uint phase, uint item)
{
    if (phase == 0u)
        return entry_row(item) / @{group_rows}u * @{targets}u + entry_target(item);
    return phase == 1u ? entry_row(item) : phase == 2u ? entry_target(item) : route[@{at_rows}u + item];
}

//@if sparse
// More pairs of group and target than words to count them in: range by range of pairs, a pass over the list each. What is kept is
// marked in the section of weights, which has a word for each entry.
void mark_kept()
{
    clear(@{at_weights}u, @{length}u);
    for (uint low = 0u; low < @{keys}u; low += @{room}u) {
        clear(@{scratch}u, min(@{room}u, @{keys}u - low));
        settle();
        for (uint c = 0u; c < @{length}u; c += LANES) {
            uint item = min(c + lane, @{length}u - 1u), key = 0u;
            bool valid = c + lane < @{length}u && entry_row(item) < @{rows}u && entry_target(item) < @{targets}u;
            if (valid)
                key = key_of(0u, item) - low; // below the range: it wraps round and is out of it as well
            valid = valid && key < @{room}u;
            if (place(valid, @{scratch}u, key) < @{capacity}u && valid)
                route[@{at_weights}u + item] = 1u;
        }
        settle();
    }
}

//@end
void main()
{
    lane = gl_LocalInvocationIndex;
    uint count = 0u, total;
//@if sparse
    mark_kept();
//@end
    for (uint phase = 0u; phase < 4u; phase++) {
        uint n = phase == 0u ? @{length}u : count;
        // Each key's base stands one word up in its section, so that it ends as the offset of the next key.
        uint base = phase == 2u ? @{at_offsets}u + 1u : @{at_row_offsets}u + 1u, keys = phase == 2u ? @{targets}u : @{rows}u;
        if (phase > 0u) {
            clear(base - 1u, keys + 1u);
            settle();
            for (uint i = lane; i < n; i += LANES)
                atomicAdd(route[base + key_of(phase, item_of(phase, i))], 1u);
            scan(base, keys);
        }
//@if dense
        else {
            base = @{scratch}u;
            clear(base, @{keys}u);
            settle();
        }
//@end
        for (uint c = 0u; c < n; c += LANES) {
            uint item = item_of(phase, min(c + lane, n - 1u)), at = 0u;
            bool valid = c + lane < n && (phase > 0u || (entry_row(item) < @{rows}u && entry_target(item) < @{targets}u));
//@if !dense
            if (phase > 0u)
//@end
            {
                at = place(valid, base, valid ? key_of(phase, item) : 0u);
            }
            if (phase == 0u) {
//@if dense
                valid = valid && at < @{capacity}u;
//@end
//@if sparse
                valid = valid && route[@{at_weights}u + item] == 1u;
                settle(); // the places below are written over what was just read
//@end
                uint below = count + sum_below(valid ? 1u : 0u, total);
                if (valid && below < @{slots}u)
                    route[@{at_weights}u + below] = item;
                count = min(count + total, @{slots}u);
            } else if (valid && phase == 2u) {
                route[@{at_rows}u + at] = entry_row(item);
                route[@{at_targets}u + at] = entry_target(item);
                route[@{at_weights}u + at] = floatBitsToUint(entry_weight(item));
            } else if (valid) {
                route[@{at_row_slots}u + at] = item;
            }
        }
        settle();
    }
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
