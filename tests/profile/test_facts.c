/* What shaders and drivers say: SPIR-V counted, answers of VK_KHR_pipeline_executable_properties (as drivers give them; none here
 * has the extension) decoded, the shader of the matrix roof put together soundly for a device that has matrices. */
#include "graph/emit/embedded.h"
#include "graph/emit/spirv.h"
#include "src/profile/facts.h"
#include "src/profile/matrix_roof.h"
#include "src/profile/measure.h"
#include "tests/check.h"

static uint32_t count(const sy_profile_kernel *k, const char *class)
{
    for (uint32_t i = 0; i < k->n_mix; i++)
        if (!strcmp(k->mix[i].name, class))
            return k->mix[i].count;
    return 0;
}

static sy_profile_kernel facts_of(const char *file, sy_arena *arena)
{
    const struct sy_embedded *e = sy_embedded_shaders;
    sy_profile_kernel k = {0};
    sy_error error = {0};
    uint32_t *words = NULL;
    size_t n = 0;
    while (e->name && strcmp(e->name, file))
        e++;
    REQUIRE(e->name);
    CHECK_SAY(sy_spirv_compile(file, e->data, &words, &n, &error), "%s", error.message);
    CHECK(sy_spirv_facts(words, n, arena, &k));
    uint32_t sum = 0;
    for (uint32_t i = 0; i < k.n_mix; i++) {
        sum += k.mix[i].count;
        CHECK(!i || k.mix[i].count <= k.mix[i - 1].count);
    }
    CHECK(sum == k.instructions && sum > 0);
    char *text = sy_spirv_disassemble(words, n);
    CHECK(text && strstr(text, "OpEntryPoint GLCompute"));
    free(text);
    free(words);
    return k;
}

static void test_spirv(void)
{
    sy_arena arena = {0};
    sy_error error = {0};
    REQUIRE(sy_spirv_open(&error));
    sy_profile_kernel k = facts_of("roof_fma.comp", &arena);
    CHECK(count(&k, "multiply-add") >= 12 && k.arithmetic == SY_ROOF_F32 && k.local[0] == 64 && k.local[1] == 1);
    k = facts_of("roof_fma_half.comp", &arena);
    CHECK(count(&k, "multiply-add") == 12 && k.arithmetic == SY_ROOF_F16);
    k = facts_of("roof_dot.comp", &arena);
    CHECK(count(&k, "integer dot product") == 12 && k.arithmetic == SY_ROOF_I8);
    k = facts_of("roof_copy.comp", &arena);
    CHECK(count(&k, "store") == 1 && count(&k, "load") >= 1 && !count(&k, "texel load"));
    k = facts_of("roof_copy_texel.comp", &arena);
    CHECK(count(&k, "texel load") >= 1);
    sy_spirv_close();
    static const uint32_t broken[] = {0x07230203, 0x10500, 0, 10, 0, 0x00ff0003}; /* an instruction longer than the module */
    sy_profile_kernel none = {0};
    CHECK(sy_spirv_facts(broken, 6, &arena, &none) && none.n_mix == 0);
    CHECK(sy_spirv_facts(broken, 2, &arena, &none) && none.instructions == 0);
    CHECK(!sy_spirv_disassemble(broken, 6));
    sy_arena_free(&arena);
}

static void test_executables(void)
{
    VkPipelineExecutableStatisticKHR s[5] = {
        {.name = "Used SGPRs", .format = VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR, .value.u64 = 96},
        {.name = "Occupancy", .format = VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR, .value.f64 = 0.625},
        {.name = "Spills", .format = VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR, .value.i64 = -1},
        {.name = "Unrolled", .format = VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR, .value.b32 = VK_TRUE},
        {.name = "Of tomorrow", .format = (VkPipelineExecutableStatisticFormatKHR)99}};
    sy_arena arena = {0};
    sy_profile_fact out[5];
    uint32_t n = sy_executable_decode(s, 5, "", &arena, out);
    CHECK(n == 4); /* a format nobody knows yet is left out */
    CHECK_TEXT(out[0].name, "Used SGPRs");
    CHECK_TEXT(out[0].text, "96");
    CHECK_TEXT(out[1].text, "0.625");
    CHECK_TEXT(out[2].text, "-1");
    CHECK_TEXT(out[3].text, "yes");
    CHECK(out[0].value == 96 && out[1].value == 0.625 && out[2].value == -1 && out[3].value == 1);
    memset(s[0].name, 'x', sizeof s[0].name); /* not terminated: read no farther than it is long */
    n = sy_executable_decode(s, 1, "SIMD8", &arena, out);
    CHECK(n == 1 && strlen(out[0].name) == 7 + sizeof s[0].name && !strncmp(out[0].name, "SIMD8: xx", 9));
    sy_arena_free(&arena);
}

/* Ids are made once, and used only where they are made; lengths fill the module. */
static void check_module(const uint32_t *w, uint32_t n)
{
    enum { BOUND = 128 };
    uint32_t at = 5, labels = 0, ends = 0;
    bool made[BOUND] = {false};
    CHECK(w[0] == 0x07230203 && w[3] <= BOUND);
    while (at < n) {
        uint32_t op = w[at] & 0xffff, length = w[at] >> 16, result = 0;
        REQUIRE(length && at + length <= n);
        if ((op >= 19 && op <= 33) || op == 248 || op == 4456)
            result = w[at + 1];
        else if ((op >= 41 && op <= 61 && op != 56) || op == 65 || (op >= 128 && op <= 190) || op == 245 || op == 4459)
            result = w[at + 2];
        if (result) {
            CHECK_SAY(result < w[3] && !made[result], "id %u", result);
            made[result] = true;
        }
        labels += op == 248;
        ends += op == 249 || op == 250 || op == 253;
        at += length;
    }
    CHECK(at == n && labels == ends && labels == 6);
}

static void test_matrix(void)
{
    static sy_device_snapshot s;
    sy_arena arena = {0};
    sy_matrix_roof m;
    CHECK(!sy_matrix_roof_make(&s, &arena, &m)); /* no matrices at all */
    s.subgroup.size = 32;
    s.features.cooperative_matrix = s.features.memory_model = s.features.float16 = SY_YES;
    s.n_matrices = 3;
    s.matrices[0].m = s.matrices[0].n = s.matrices[0].k = 8; /* 32 bits: not what is measured */
    s.matrices[0].a = s.matrices[0].b = s.matrices[0].c = s.matrices[0].r = 1, s.matrices[0].scope = 3;
    CHECK(!sy_matrix_roof_make(&s, &arena, &m));
    for (int i = 1; i < 3; i++) {
        s.matrices[i].m = s.matrices[i].n = 16, s.matrices[i].k = i == 1 ? 8 : 16;
        s.matrices[i].c = s.matrices[i].r = 1, s.matrices[i].scope = 3;
    }
    REQUIRE(sy_matrix_roof_make(&s, &arena, &m));
    CHECK(m.m == 16 && m.n == 16 && m.k == 16 && m.local == 32); /* the largest */
    CHECK(m.operations_a_group == 2.0 * 16 * 16 * 16 * 4 * 512 && m.bytes_a_group == 4 * 4 * 16 * 16);
    check_module(m.spirv, m.n_spirv);
    sy_profile_kernel k = {0};
    CHECK(sy_spirv_facts(m.spirv, m.n_spirv, &arena, &k) && k.arithmetic == SY_ROOF_MATRIX && k.local[0] == 32);
    CHECK(count(&k, "cooperative matrix") == 8); /* four multiply-adds, four stores */
    sy_arena_free(&arena);
}

int main(void)
{
    test_spirv();
    test_executables();
    test_matrix();
    return check_done();
}
