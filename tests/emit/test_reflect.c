/* What a shader asks for, read from its SPIR-V: bindings, fields, workgroup, constants, as the GLSL declares them; and
 * no module, however broken, is more than an error. */
#include "graph/emit/reflect.h"
#include "graph/emit/spirv.h"
#include "tests/check.h"

static const char source[] =
    "#version 450\n"
    "#extension GL_EXT_shader_16bit_storage : require\n"
    "layout(local_size_x_id = 7, local_size_y = 2, local_size_z_id = 8) in;\n"
    "layout(constant_id = 3) const uint WIDTH = 64;\n"
    "layout(constant_id = 4) const float SCALE = 0.5;\n"
    "layout(constant_id = 5) const bool FAST = true;\n"
    "struct pair { vec2 at; ivec4 box; };\n"
    "layout(std430, set = 1, binding = 2) readonly buffer Rows { uint count; pair p[4]; float rows[]; } rows;\n"
    "layout(std430, binding = 0) writeonly buffer Out { vec4 y[]; };\n"
    "layout(std430, binding = 5) buffer Half { float16_t h[]; };\n"
    "layout(std140, binding = 1) uniform Settings { mat3 turn; float gain[3]; int shift; } settings;\n"
    "layout(binding = 3) uniform usamplerBuffer texels;\n"
    "layout(push_constant) uniform Push { uint n; layout(offset = 16) vec4 colour; } push;\n"
    "shared float tile[WIDTH];\n"
    "void main() {\n"
    "    tile[gl_LocalInvocationIndex % WIDTH] = rows.rows[push.n] * SCALE + rows.p[2].at.x + float(rows.count);\n"
    "    barrier();\n"
    "    if (FAST) y[gl_GlobalInvocationID.x] = push.colour * tile[0] * settings.gain[1] * float(settings.shift) * settings.turn[1][1];\n"
    "    h[0] = float16_t(float(texelFetch(texels, 3).x));\n"
    "}\n";

static uint32_t *compile(const char *text, size_t *n)
{
    uint32_t *words = NULL;
    sy_error error = {0};
    sy_text log = {0};
    sy_spirv_source s = {.path = "test.comp", .text = text};
    bool ok = sy_spirv_compile_source(&s, &words, n, &log, &error);
    CHECK_SAY(ok, "%s%s", error.message, log.data ? log.data : "");
    REQUIRE(ok);
    sy_text_free(&log);
    return words;
}

static const sy_shader_resource *resource(const sy_shader *s, uint32_t set, uint32_t binding)
{
    for (uint32_t i = 0; i < s->n_resources; i++)
        if (s->resources[i].set == set && s->resources[i].binding == binding)
            return &s->resources[i];
    CHECK_SAY(false, "no resource at %u.%u", set, binding);
    exit(1);
}

static void field(const sy_shader_block *block, const char *name, const char *type, uint64_t offset, uint64_t bytes)
{
    char text[48];
    for (uint32_t i = 0; i < block->n_fields; i++) {
        const sy_shader_field *f = &block->fields[i];
        if (strcmp(f->name, name))
            continue;
        CHECK_TEXT(sy_shader_field_text(f, text), type);
        CHECK_SAY(f->offset == offset && f->bytes == bytes, "%s at %llu, %llu bytes", name, (unsigned long long)f->offset,
                  (unsigned long long)f->bytes);
        return;
    }
    CHECK_SAY(false, "no field %s", name);
}

static void test_reflect(void)
{
    size_t n;
    sy_error error = {0};
    uint32_t *words = compile(source, &n);
    sy_shader *s = sy_shader_reflect(words, n, &error);
    CHECK_SAY(s != NULL, "%s", error.message);
    REQUIRE(s);
    CHECK_TEXT(s->entry, "main");
    CHECK(s->local_known && s->local[0] == 1 && s->local[1] == 2 && s->local[2] == 1);
    REQUIRE(s->n_constants == 5 && s->constants[0].id == 3 && s->constants[3].id == 7 && s->constants[4].id == 8);
    CHECK(s->local_constant[0] == 3 && s->local_constant[1] == SY_NO_CONSTANT && s->local_constant[2] == 4);
    CHECK_TEXT(s->constants[0].name, "WIDTH");
    CHECK(s->constants[0].scalar == SY_SCALAR_UINT && s->constants[0].value == 64);
    CHECK(s->constants[1].scalar == SY_SCALAR_FLOAT && s->constants[1].value == 0x3f000000);
    CHECK(s->constants[2].scalar == SY_SCALAR_BOOL && s->constants[2].value == 1);
    CHECK(s->shared_bytes == 256 && s->n_resources == 5);

    const sy_shader_resource *r = resource(s, 1, 2);
    CHECK(r->kind == SY_RESOURCE_STORAGE && r->read_only && !r->write_only && r->block.runtime_stride == 4);
    CHECK_TEXT(r->name, "rows");
    field(&r->block, "count", "uint", 0, 4);
    field(&r->block, "p", "struct[4]", 16, 128);
    field(&r->block, "rows", "float[]", 144, 0);
    CHECK(r->block.bytes == 144);
    r = resource(s, 0, 0);
    CHECK(r->kind == SY_RESOURCE_STORAGE && r->write_only && !r->read_only && r->block.runtime_stride == 16);
    CHECK_TEXT(r->name, "Out");
    field(&resource(s, 0, 5)->block, "h", "float16_t[]", 0, 0);
    r = resource(s, 0, 1);
    CHECK(r->kind == SY_RESOURCE_UNIFORM && r->read_only);
    field(&r->block, "turn", "mat3x3", 0, 48);
    field(&r->block, "gain", "float[3]", 48, 48);
    field(&r->block, "shift", "int", 96, 4);
    CHECK(resource(s, 0, 3)->kind == SY_RESOURCE_TEXELS);
    field(&s->push, "n", "uint", 0, 4);
    field(&s->push, "colour", "vec4", 16, 16);
    CHECK(s->push.bytes == 32);
    sy_shader_destroy(&s);

    /* Cut anywhere, and with any one word spoilt: an answer or an error, and nothing worse. */
    for (size_t cut = 0; cut < n; cut++) {
        sy_error short_error = {0};
        sy_shader *shorter = sy_shader_reflect(words, cut, &short_error);
        CHECK(shorter || short_error.message[0]);
        sy_shader_destroy(&shorter);
    }
    static const uint32_t spoils[] = {0, 1, UINT32_MAX, 0x00010000, 0xffff0000, 0x7fffffff};
    for (size_t i = 0; i < n * sizeof spoils / sizeof *spoils; i++) {
        uint32_t *w = &words[i % n], was = *w;
        sy_error spoilt = {0};
        *w = spoils[i / n];
        sy_shader *other = sy_shader_reflect(words, n, &spoilt);
        CHECK(other || spoilt.message[0]);
        sy_shader_destroy(&other);
        *w = was;
    }
    free(words);
}

static void test_errors(void)
{
    sy_error error = {0}, twice = {0};
    size_t n;
    uint32_t *words = compile("#version 450\nlayout(local_size_x = 4) in;\n"
                              "layout(std430, binding = 0) buffer A { float a[]; };\n"
                              "layout(std430, binding = 0) buffer B { uint b[]; };\n"
                              "void main() { a[0] = float(b[0]); }\n", &n);
    CHECK(!sy_shader_reflect(words, n, &twice) && strstr(twice.message, "binding 0 of set 0 is declared twice"));
    free(words);
    sy_text log = {0};
    const char *defines[] = {"TYPE=flaot", "ON"};
    sy_spirv_source s = {.path = "dir/mine.comp", .text = "#version 450\n#ifdef ON\nvoid main() {\n  TYPE x = 1;\n  y = 2;\n}\n#endif\n",
                         .defines = defines, .n_defines = 2};
    CHECK(!sy_spirv_compile_source(&s, &words, &n, &log, &error) && error.code == SY_CODE_INVALID_FILE);
    CHECK_SAY(!strncmp(error.message, "dir/mine.comp:4: ", 17), "%s", error.message);
    CHECK_SAY(log.data && strstr(log.data, "dir/mine.comp:4: error: 'flaot'"), "%s", log.data ? log.data : "");
    sy_text_free(&log);
}

int main(void)
{
    test_reflect();
    test_errors();
    return check_done();
}
