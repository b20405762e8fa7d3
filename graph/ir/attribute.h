/* The attributes of ir.h as data: what printer, parser, verifier and documentation ask of them. Inside graph/. */
#ifndef SY_IR_ATTRIBUTE_H
#define SY_IR_ATTRIBUTE_H

#include "graph/ir/ir.h"

typedef enum sy_attribute_kind { SY_KIND_I, SY_KIND_L, SY_KIND_F, SY_KIND_V } sy_attribute_kind;

typedef struct sy_attribute_info {
    const char *name;
    sy_attribute_kind kind;
    size_t offset; /* of the field in sy_attributes */
} sy_attribute_info;

const sy_attribute_info *sy_attribute_get(sy_attribute attribute);
/* SY_ATTRIBUTE_COUNT if there is none of that name. */
sy_attribute sy_attribute_find(const char *name);
/* True if it is not 0. */
bool sy_attribute_is_set(const sy_attributes *attributes, sy_attribute attribute);
static inline bool sy_op_has(const sy_op_info *info, sy_attribute attribute)
{
    return info->attributes >> attribute & 1;
}

/* Inputs, states, step columns and parameters have names. */
bool sy_op_is_named(sy_op op);

#endif
