/* Types: making, comparing, counting, printing. Sizes saturate instead of wrapping, so that a hostile shape is
 * seen as too large wherever it is looked at. */
#include "graph/ir/route.h"

#include <stdio.h>
#include <string.h>

sy_type sy_tensor(sy_dtype dtype, int rank, const int32_t *dims)
{
    sy_type type = {.dtype = dtype, .rank = rank < 0 || rank > SY_MAX_RANK ? UINT8_MAX : (uint8_t)rank};
    for (int i = 0; i < type.rank && type.rank <= SY_MAX_RANK; i++)
        type.dim[i] = dims[i];
    return type;
}

sy_type sy_route_type(int32_t rows, int32_t targets, int32_t slots)
{
    return (sy_type){.is_route = true, .dtype = SY_U32, .dim = {rows, targets, slots}};
}

static int dims_of(const sy_type *type)
{
    return type->is_route ? 3 : type->rank;
}

bool sy_type_equal(const sy_type *a, const sy_type *b)
{
    if (a->is_route != b->is_route || (!a->is_route && (a->rank != b->rank || a->dtype != b->dtype)))
        return false;
    int n = dims_of(a);
    return n <= SY_MAX_RANK && !memcmp(a->dim, b->dim, (size_t)n * sizeof *a->dim);
}

const char *sy_type_wrong(const sy_type *type)
{
    if (!type->is_route && (type->rank < 1 || type->rank > SY_MAX_RANK))
        return "its rank is not 1 to 6";
    if (!type->is_route && (unsigned)type->dtype >= SY_DTYPE_COUNT)
        return "it has no valid dtype";
    for (int i = 0; i < dims_of(type); i++)
        if (type->dim[i] < 1)
            return "a dimension is below 1";
    if (sy_type_count(type) > SY_MAX_ELEMENTS)
        return "it has more elements than 32-bit indices reach";
    return NULL;
}

uint64_t sy_type_count(const sy_type *type)
{
    if (type->is_route) {
        uint32_t words = sy_route_layout_of(type).words;
        return words == UINT32_MAX ? UINT64_MAX : words;
    }
    uint64_t count = 1;
    for (int i = 0; i < type->rank && i < SY_MAX_RANK; i++) {
        uint64_t dim = type->dim[i] < 0 ? 0 : (uint64_t)type->dim[i];
        if (dim && count > UINT64_MAX / dim)
            return UINT64_MAX;
        count *= dim;
    }
    return count;
}

uint64_t sy_type_bytes(const sy_type *type)
{
    uint64_t count = sy_type_count(type);
    if (count > UINT64_MAX / 4)
        return UINT64_MAX;
    bool half = !type->is_route && (type->dtype == SY_F16 || type->dtype == SY_BF16);
    return half ? (count + 1) / 2 * 4 : count * 4;
}

const char *sy_dtype_name(sy_dtype dtype)
{
    static const char *const names[SY_DTYPE_COUNT] = {
        [SY_F32] = "f32", [SY_F16] = "f16", [SY_BF16] = "bf16", [SY_I32] = "i32", [SY_U32] = "u32"};
    return (unsigned)dtype < SY_DTYPE_COUNT ? names[dtype] : "?";
}

char *sy_type_text(const sy_type *type, char out[96])
{
    if (type->is_route) {
        snprintf(out, 96, "route[%d->%d; %d]", type->dim[SY_ROUTE_ROWS], type->dim[SY_ROUTE_TARGETS],
                 type->dim[SY_ROUTE_SLOTS]);
        return out;
    }
    int n = snprintf(out, 96, "%s[", sy_dtype_name(type->dtype));
    for (int i = 0; i < type->rank && i < SY_MAX_RANK; i++)
        n += snprintf(out + n, 96 - (size_t)n, i ? ",%d" : "%d", type->dim[i]);
    snprintf(out + n, 96 - (size_t)n, "]");
    return out;
}
