/* The table behind attribute.h, from the one list in ir.h. */
#include "graph/ir/attribute.h"

#include <stddef.h>
#include <string.h>

static const sy_attribute_info attributes[SY_ATTRIBUTE_COUNT] = {
#define X(kind, name) [SY_ATTRIBUTE_##name] = {#name, SY_KIND_##kind, offsetof(sy_attributes, name)},
    SY_ATTRIBUTE_LIST(X)
#undef X
};

const sy_attribute_info *sy_attribute_get(sy_attribute attribute)
{
    return &attributes[attribute];
}

sy_attribute sy_attribute_find(const char *name)
{
    sy_attribute a = 0;
    while (a < SY_ATTRIBUTE_COUNT && strcmp(attributes[a].name, name))
        a++;
    return a;
}

bool sy_attribute_is_set(const sy_attributes *of, sy_attribute attribute)
{
    static const unsigned char zero[SY_MAX_RANK * sizeof(int32_t)];
    static const size_t size[] = {
        [SY_KIND_I] = sizeof(int32_t), [SY_KIND_L] = sizeof zero, [SY_KIND_F] = sizeof(double)};
    const sy_attribute_info *info = &attributes[attribute];
    if (info->kind == SY_KIND_V)
        return of->values.count != 0;
    return memcmp((const char *)of + info->offset, zero, size[info->kind]) != 0;
}

bool sy_op_is_named(sy_op op)
{
    return op == SY_OP_INPUT || op == SY_OP_STATE || op == SY_OP_STEP || op == SY_OP_PARAM;
}
