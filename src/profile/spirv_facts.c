/* What a shader's SPIR-V says of itself: how many instructions of which class it has, its workgroup, and which arithmetic
 * it is made of. Static counts, not executed ones: a loop's body counts once. Numbers of opcodes are the specification's. */
#include "src/profile/measure.h"

#include <stdlib.h>
#include <string.h>

#define CLASS_LIST(X)                                                                                                  \
    X(LOAD, "load")                                                                                                    \
    X(STORE, "store")                                                                                                  \
    X(ADDRESS, "address")                                                                                              \
    X(FMA, "multiply-add")                                                                                             \
    X(FLOAT, "float arithmetic")                                                                                       \
    X(INTEGER, "integer arithmetic")                                                                                   \
    X(DOT, "integer dot product")                                                                                      \
    X(MATRIX, "cooperative matrix")                                                                                    \
    X(FUNCTION, "special function")                                                                                    \
    X(COMPARE, "compare, select")                                                                                      \
    X(CONVERT, "convert")                                                                                              \
    X(VECTOR, "vector")                                                                                                \
    X(SUBGROUP, "subgroup")                                                                                            \
    X(ATOMIC, "atomic")                                                                                                \
    X(BARRIER, "barrier")                                                                                              \
    X(BRANCH, "branch")                                                                                                \
    X(TEXEL, "texel load")                                                                                             \
    X(CALL, "call")                                                                                                    \
    X(OTHER, "other")

enum class {
#define X(name, text) CLASS_##name,
    CLASS_LIST(X)
#undef X
    CLASSES,
    CLASS_NONE /* no instruction of the body's: types, names, labels */
};

static const char *const class_names[] = {
#define X(name, text) text,
    CLASS_LIST(X)
#undef X
};

enum {
    OP_EXECUTION_MODE = 16, OP_TYPE_FLOAT = 22, OP_EXT_INST = 12, LOCAL_SIZE = 17, HEADER = 5,
    OP_TYPE_VECTOR = 23, GLSL_FMA = 50
};

static const struct {
    uint16_t from, to;
    uint8_t class;
} ranges[] = {
    {61, 61, CLASS_LOAD},       {62, 62, CLASS_STORE},      {63, 64, CLASS_STORE},     {65, 70, CLASS_ADDRESS},
    {57, 57, CLASS_CALL},       {77, 84, CLASS_VECTOR},     {86, 107, CLASS_TEXEL},    {109, 124, CLASS_CONVERT},
    {126, 126, CLASS_INTEGER},  {127, 127, CLASS_FLOAT},    {128, 128, CLASS_INTEGER}, {129, 129, CLASS_FLOAT},
    {130, 130, CLASS_INTEGER},  {131, 131, CLASS_FLOAT},    {132, 132, CLASS_INTEGER}, {133, 133, CLASS_FLOAT},
    {134, 135, CLASS_INTEGER},  {136, 136, CLASS_FLOAT},    {137, 139, CLASS_INTEGER}, {140, 141, CLASS_FLOAT},
    {142, 148, CLASS_FLOAT},    {149, 152, CLASS_INTEGER},  {154, 191, CLASS_COMPARE}, {194, 205, CLASS_INTEGER},
    {224, 225, CLASS_BARRIER},  {227, 242, CLASS_ATOMIC},   {245, 245, CLASS_OTHER},   {249, 255, CLASS_BRANCH},
    {333, 366, CLASS_SUBGROUP}, {4450, 4455, CLASS_DOT},    {4457, 4459, CLASS_MATRIX}, {6035, 6035, CLASS_ATOMIC},
};

static enum class class_of(uint32_t op, const uint32_t *words, uint32_t n)
{
    if (op == OP_EXT_INST) /* GLSL.std.450, the only set that shaders for Vulkan compute with */
        return n > 4 && words[4] == GLSL_FMA ? CLASS_FMA : CLASS_FUNCTION;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (op >= ranges[i].from && op <= ranges[i].to)
            return (enum class)ranges[i].class;
    return CLASS_NONE;
}

static int most_first(const void *a, const void *b)
{
    uint32_t x = ((const sy_profile_mix *)a)->count, y = ((const sy_profile_mix *)b)->count;
    return (x < y) - (x > y);
}

/* 16-bit floats and vectors of them, by id: a bit each. */
typedef struct halves {
    uint8_t *bits;
    uint32_t bound;
} halves;

static bool is_half(const halves *h, uint32_t id)
{
    return id < h->bound && h->bits[id / 8] >> id % 8 & 1;
}

static void set_half(halves *h, uint32_t id)
{
    if (id < h->bound)
        h->bits[id / 8] |= (uint8_t)(1u << id % 8);
}

/* Walks the module; false where its lengths do not fit together. */
static bool walk(const uint32_t *words, size_t n_words, halves *h, uint32_t counts[CLASSES], uint32_t *half, sy_profile_kernel *k)
{
    for (size_t at = HEADER; at < n_words;) {
        const uint32_t *w = words + at;
        uint32_t op = w[0] & 0xffff, n = w[0] >> 16;
        if (!n || n > n_words - at)
            return false;
        if (op == OP_TYPE_FLOAT && n >= 3 && w[2] == 16)
            set_half(h, w[1]);
        if (op == OP_TYPE_VECTOR && n >= 4 && is_half(h, w[2]))
            set_half(h, w[1]);
        if (op == OP_EXECUTION_MODE && n >= 6 && w[2] == LOCAL_SIZE)
            memcpy(k->local, w + 3, sizeof k->local);
        enum class class = class_of(op, w, n);
        if (class < CLASSES) {
            counts[class]++;
            k->instructions++;
            *half += (class == CLASS_FMA || class == CLASS_FLOAT) && n >= 3 && is_half(h, w[1]);
        }
        at += n;
    }
    return true;
}

bool sy_spirv_facts(const uint32_t *words, size_t n_words, sy_arena *arena, sy_profile_kernel *k)
{
    uint32_t counts[CLASSES] = {0}, half = 0;
    k->arithmetic = SY_ROOF_F32;
    if (n_words < HEADER || words[0] != 0x07230203 || words[3] > UINT32_C(1) << 22) /* 2^22 ids are the specification's bound */
        return true;
    halves h = {calloc(words[3] / 8 + 1, 1), words[3]};
    sy_profile_mix *mix = sy_arena_array(arena, CLASSES, sizeof *mix);
    bool ok = h.bits && mix;
    if (ok && walk(words, n_words, &h, counts, &half, k)) {
        for (int i = 0; i < CLASSES; i++)
            if (counts[i])
                mix[k->n_mix++] = (sy_profile_mix){class_names[i], counts[i]};
        qsort(mix, k->n_mix, sizeof *mix, most_first);
        k->mix = mix;
        k->arithmetic = counts[CLASS_MATRIX] ? SY_ROOF_MATRIX
                        : counts[CLASS_DOT]  ? SY_ROOF_I8
                        : 2 * half > counts[CLASS_FMA] + counts[CLASS_FLOAT] && half ? SY_ROOF_F16
                                                                                     : SY_ROOF_F32;
    }
    free(h.bits);
    return ok;
}
