/* See matrix_roof.h. Four chains of multiply-adds, so that one need not wait for the other; each workgroup is one subgroup and
 * stores its accumulators once, so that nothing can be left out. Numbers of opcodes are the specifications'. */
#include "src/profile/matrix_roof.h"

#include <stdarg.h>
#include <string.h>

enum { CHAINS = 4, ROUNDS = 512, MOST_WORDS = 640, COMPONENT_F16 = 0, COMPONENT_F32 = 1, SCOPE_SUBGROUP = 3 };

/* Ids. */
enum {
    MAIN = 1, VOID, FUNCTION_TYPE, F16, F32, U32, BOOL, VEC3, ARRAY, BLOCK, BLOCK_POINTER, F32_POINTER, VEC3_POINTER, U32_POINTER,
    BUFFER, GROUP, SUBGROUP, M, N, K, USE_A, USE_B, USE_C, MATRIX_A, MATRIX_B, MATRIX_C, HALF, ZERO, A, B, C, U0, U1, LIMIT, SIZE,
    ENTRY, HEAD, TEST, BODY, NEXT, DONE, TURN, TURN_NEXT, MORE, GROUP_X_POINTER, GROUP_X, /* then the chains' */
    CHAIN, CHAIN_NEXT = CHAIN + CHAINS, OFFSET = CHAIN_NEXT + CHAINS, INDEX = OFFSET + CHAINS, POINTER = INDEX + CHAINS,
    BOUND = POINTER + CHAINS
};

typedef struct writer {
    uint32_t *words, n;
} writer;

static void op(writer *w, uint32_t opcode, uint32_t n, ...)
{
    va_list arguments;
    va_start(arguments, n);
    w->words[w->n++] = (n + 1) << 16 | opcode;
    for (uint32_t i = 0; i < n; i++)
        w->words[w->n++] = va_arg(arguments, uint32_t);
    va_end(arguments);
}

/* An instruction that ends in text, or has text before more operands. */
static void op_text(writer *w, uint32_t opcode, const uint32_t *before, uint32_t n_before, const char *text, const uint32_t *after,
                    uint32_t n_after)
{
    uint32_t n_text = (uint32_t)strlen(text) / 4 + 1;
    w->words[w->n++] = (1 + n_before + n_text + n_after) << 16 | opcode;
    for (uint32_t i = 0; i < n_before; i++)
        w->words[w->n++] = before[i];
    memset(w->words + w->n, 0, 4 * n_text);
    memcpy(w->words + w->n, text, strlen(text));
    w->n += n_text;
    for (uint32_t i = 0; i < n_after; i++)
        w->words[w->n++] = after[i];
}

static void preamble(writer *w, uint32_t local)
{
    static const uint32_t capabilities[] = {1 /* Shader */, 9 /* Float16 */, 5345 /* VulkanMemoryModel */, 6022 /* CooperativeMatrixKHR */};
    static const uint32_t header[] = {0x07230203, 0x00010500, 0, BOUND, 0}, entry[] = {5 /* GLCompute */, MAIN}, interface[] = {BUFFER, GROUP};
    memcpy(w->words, header, sizeof header);
    w->n = sizeof header / sizeof *header;
    for (int i = 0; i < 4; i++)
        op(w, 17, 1, capabilities[i]);
    op_text(w, 10, NULL, 0, "SPV_KHR_cooperative_matrix", NULL, 0);
    op(w, 14, 2, 0u, 3u); /* logical addresses, Vulkan's memory model */
    op_text(w, 15, entry, 2, "main", interface, 2);
    op(w, 16, 5, (uint32_t)MAIN, 17u, local, 1u, 1u);
    op(w, 71, 3, (uint32_t)ARRAY, 6u, 4u);      /* ArrayStride 4 */
    op(w, 71, 2, (uint32_t)BLOCK, 2u);          /* Block */
    op(w, 72, 4, (uint32_t)BLOCK, 0u, 35u, 0u); /* member 0: Offset 0 */
    op(w, 71, 3, (uint32_t)BUFFER, 34u, 0u);    /* DescriptorSet 0 */
    op(w, 71, 3, (uint32_t)BUFFER, 33u, 0u);    /* Binding 0 */
    op(w, 71, 3, (uint32_t)GROUP, 11u, 26u);    /* BuiltIn WorkgroupId */
}

static void constant(writer *w, uint32_t type, uint32_t id, uint32_t value)
{
    op(w, 43, 3, type, id, value);
}

static void types(writer *w, const sy_matrix_roof *m)
{
    op(w, 19, 1, (uint32_t)VOID);
    op(w, 33, 2, (uint32_t)FUNCTION_TYPE, (uint32_t)VOID);
    op(w, 22, 2, (uint32_t)F16, 16u);
    op(w, 22, 2, (uint32_t)F32, 32u);
    op(w, 21, 3, (uint32_t)U32, 32u, 0u);
    op(w, 20, 1, (uint32_t)BOOL);
    op(w, 23, 3, (uint32_t)VEC3, (uint32_t)U32, 3u);
    op(w, 29, 2, (uint32_t)ARRAY, (uint32_t)F32);
    op(w, 30, 2, (uint32_t)BLOCK, (uint32_t)ARRAY);
    op(w, 32, 3, (uint32_t)BLOCK_POINTER, 12u, (uint32_t)BLOCK); /* StorageBuffer */
    op(w, 32, 3, (uint32_t)F32_POINTER, 12u, (uint32_t)F32);
    op(w, 32, 3, (uint32_t)VEC3_POINTER, 1u, (uint32_t)VEC3); /* Input */
    op(w, 32, 3, (uint32_t)U32_POINTER, 1u, (uint32_t)U32);
    op(w, 59, 3, (uint32_t)BLOCK_POINTER, (uint32_t)BUFFER, 12u);
    op(w, 59, 3, (uint32_t)VEC3_POINTER, (uint32_t)GROUP, 1u);
    const uint32_t values[][2] = {{SUBGROUP, SCOPE_SUBGROUP}, {M, m->m}, {N, m->n}, {K, m->k}, {USE_A, 0}, {USE_B, 1}, {USE_C, 2},
                                  {U0, 0}, {U1, 1}, {LIMIT, ROUNDS}, {SIZE, CHAINS * m->m * m->n}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        constant(w, U32, values[i][0], values[i][1]);
    for (uint32_t i = 1; i < CHAINS; i++)
        constant(w, U32, OFFSET + i, i * m->m * m->n);
    constant(w, F16, HALF, 0x1400); /* 2^-10: sums stay finite */
    constant(w, F32, ZERO, 0);
    op(w, 4456, 6, (uint32_t)MATRIX_A, (uint32_t)F16, (uint32_t)SUBGROUP, (uint32_t)M, (uint32_t)K, (uint32_t)USE_A);
    op(w, 4456, 6, (uint32_t)MATRIX_B, (uint32_t)F16, (uint32_t)SUBGROUP, (uint32_t)K, (uint32_t)N, (uint32_t)USE_B);
    op(w, 4456, 6, (uint32_t)MATRIX_C, (uint32_t)F32, (uint32_t)SUBGROUP, (uint32_t)M, (uint32_t)N, (uint32_t)USE_C);
    op(w, 44, 3, (uint32_t)MATRIX_A, (uint32_t)A, (uint32_t)HALF);
    op(w, 44, 3, (uint32_t)MATRIX_B, (uint32_t)B, (uint32_t)HALF);
    op(w, 44, 3, (uint32_t)MATRIX_C, (uint32_t)C, (uint32_t)ZERO);
}

static void body(writer *w)
{
    op(w, 54, 4, (uint32_t)VOID, (uint32_t)MAIN, 0u, (uint32_t)FUNCTION_TYPE);
    op(w, 248, 1, (uint32_t)ENTRY);
    op(w, 249, 1, (uint32_t)HEAD);
    op(w, 248, 1, (uint32_t)HEAD);
    op(w, 245, 6, (uint32_t)U32, (uint32_t)TURN, (uint32_t)U0, (uint32_t)ENTRY, (uint32_t)TURN_NEXT, (uint32_t)NEXT);
    for (uint32_t i = 0; i < CHAINS; i++)
        op(w, 245, 6, (uint32_t)MATRIX_C, CHAIN + i, (uint32_t)C, (uint32_t)ENTRY, CHAIN_NEXT + i, (uint32_t)NEXT);
    op(w, 246, 3, (uint32_t)DONE, (uint32_t)NEXT, 0u);
    op(w, 249, 1, (uint32_t)TEST);
    op(w, 248, 1, (uint32_t)TEST);
    op(w, 176, 4, (uint32_t)BOOL, (uint32_t)MORE, (uint32_t)TURN, (uint32_t)LIMIT);
    op(w, 250, 3, (uint32_t)MORE, (uint32_t)BODY, (uint32_t)DONE);
    op(w, 248, 1, (uint32_t)BODY);
    for (uint32_t i = 0; i < CHAINS; i++)
        op(w, 4459, 5, (uint32_t)MATRIX_C, CHAIN_NEXT + i, (uint32_t)A, (uint32_t)B, CHAIN + i);
    op(w, 249, 1, (uint32_t)NEXT);
    op(w, 248, 1, (uint32_t)NEXT);
    op(w, 128, 4, (uint32_t)U32, (uint32_t)TURN_NEXT, (uint32_t)TURN, (uint32_t)U1);
    op(w, 249, 1, (uint32_t)HEAD);
    op(w, 248, 1, (uint32_t)DONE);
    op(w, 65, 4, (uint32_t)U32_POINTER, (uint32_t)GROUP_X_POINTER, (uint32_t)GROUP, (uint32_t)U0);
    op(w, 61, 3, (uint32_t)U32, (uint32_t)GROUP_X, (uint32_t)GROUP_X_POINTER);
    op(w, 132, 4, (uint32_t)U32, (uint32_t)INDEX, (uint32_t)GROUP_X, (uint32_t)SIZE);
    for (uint32_t i = 0; i < CHAINS; i++) {
        if (i)
            op(w, 128, 4, (uint32_t)U32, INDEX + i, (uint32_t)INDEX, OFFSET + i);
        op(w, 65, 5, (uint32_t)F32_POINTER, POINTER + i, (uint32_t)BUFFER, (uint32_t)U0, INDEX + i);
        op(w, 4458, 4, POINTER + i, CHAIN + i, (uint32_t)U0, (uint32_t)N); /* row-major, N apart */
    }
    op(w, 253, 0);
    op(w, 56, 0);
}

bool sy_matrix_roof_make(const sy_device_snapshot *s, sy_arena *arena, sy_matrix_roof *out)
{
    *out = (sy_matrix_roof){.local = s->subgroup.size};
    double largest = 0;
    for (uint32_t i = 0; i < s->n_matrices; i++) {
        bool fits = s->matrices[i].a == COMPONENT_F16 && s->matrices[i].b == COMPONENT_F16 && s->matrices[i].c == COMPONENT_F32 &&
                    s->matrices[i].r == COMPONENT_F32 && s->matrices[i].scope == SCOPE_SUBGROUP;
        double size = (double)s->matrices[i].m * s->matrices[i].n * s->matrices[i].k;
        if (!fits || size <= largest)
            continue;
        largest = size;
        out->m = s->matrices[i].m, out->n = s->matrices[i].n, out->k = s->matrices[i].k;
    }
    if (largest <= 0 || !out->local || s->features.cooperative_matrix != SY_YES || s->features.memory_model != SY_YES ||
        s->features.float16 != SY_YES)
        return false;
    writer w = {sy_arena_array(arena, MOST_WORDS, sizeof *w.words), 0};
    if (!w.words)
        return false;
    preamble(&w, out->local);
    types(&w, out);
    body(&w);
    out->spirv = w.words;
    out->n_spirv = w.n;
    out->operations_a_group = 2.0 * largest * CHAINS * ROUNDS;
    out->bytes_a_group = 4ull * CHAINS * out->m * out->n;
    return true;
}
