/* The kernel of a group: version, bindings, what is shared, what was pulled, the template. The text depends on
 * ops, shapes and the variant alone: no names and no numbers of values, so that equal groups have equal text. */
#include "graph/emit/gen.h"
#include "graph/emit/manifest.h"

#include <string.h>

static void write_binding(sy_gen *gen, sy_text *out, uint32_t binding)
{
    const sy_group *group = gen->group;
    const char *scalar = "uint", *four = "uvec4", *access = "readonly ";
    if (binding < group->n_inputs + group->n_outputs) {
        bool input = binding < group->n_inputs;
        const sy_type *type =
            &gen->graph->nodes[input ? group->inputs[binding] : group->outputs[binding - group->n_inputs]].type;
        sy_dtype dtype = type->is_route ? SY_U32 : type->dtype;
        access = input ? "readonly " : type->is_route ? "coherent " : "";
        if (dtype == SY_F16 || dtype == SY_BF16) {
            four = "uvec2";
        } else {
            scalar = sy_gen_type(dtype, 1);
            four = sy_gen_type(dtype, 4);
        }
    }
    if (gen->uses[binding] & 4)
        sy_text_printf(out, "layout(set = 0, binding = %u) uniform usamplerBuffer tex%u;\n", binding, binding);
    if (gen->uses[binding] & 1)
        sy_text_printf(out, "layout(set = 0, binding = %u, std430) %sbuffer B%u { %s d[]; } b%u;\n", binding, access,
                       binding, scalar, binding);
    if (gen->uses[binding] & 2)
        sy_text_printf(out, "layout(set = 0, binding = %u, std430) %sbuffer V%u { %s d[]; } v%u;\n", binding, access,
                       binding, four, binding);
}

bool sy_emit_group(const sy_plan *plan, uint32_t index, sy_emitted *out, sy_error *error)
{
    const sy_group *group = &plan->groups[index];
    static bool (*const kinds[])(sy_gen *, sy_text *) = {
        [SY_GROUP_MAP] = sy_emit_map,
        [SY_GROUP_ROW] = sy_emit_row,
        [SY_GROUP_MATMUL] = sy_emit_matmul,
        [SY_GROUP_GROUPED_MATMUL] = sy_emit_matmul,
        [SY_GROUP_CONV] = sy_emit_conv,
        [SY_GROUP_DEPTHWISE] = sy_emit_conv,
        [SY_GROUP_ATTENTION] = sy_emit_attention,
        [SY_GROUP_ROUTE] = sy_emit_route,
    };
    const sy_variant *variant = sy_variant_find(group->variant);
    sy_gen gen;
    sy_text main = {0}, text = {0};
    bool ok = variant != NULL || sy_fail(error, SY_CODE_INTERNAL, "no kernel was chosen for a group");
    if (!ok || !sy_gen_init(&gen, plan, index, error))
        return false;
    ok = kinds[group->kind](&gen, &main) && !gen.failed && !sy_ix_failed(gen.ix);
    if (ok) {
        sy_text_printf(&text, "#version 450\n// %s\n", group->variant);
        if (variant->subgroup)
            sy_text_add(&text, "#extension GL_KHR_shader_subgroup_shuffle : require\n");
        if (variant->matrix[0])
            sy_text_add(&text, "#extension GL_KHR_cooperative_matrix : require\n"
                               "#extension GL_KHR_memory_scope_semantics : require\n"
                               "#extension GL_KHR_shader_subgroup_basic : require\n"
                               "#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require\n");
        sy_text_printf(&text, "layout(local_size_x = %u, local_size_y = %u, local_size_z = %u) in;\n",
                       group->local_size[0], group->local_size[1], group->local_size[2]);
        for (uint32_t i = 0; i < group->n_inputs + group->n_outputs + 1; i++)
            write_binding(&gen, &text, i);
        uint32_t base = gen.n_push;
        gen.n_push += plan->params->conditional ? SY_BASE_WORDS : 0;
        if (gen.n_push)
            sy_text_add(&text, "layout(push_constant) uniform Push {");
        for (uint32_t i = 0; i < gen.n_push; i++)
            sy_text_printf(&text, " uint w%u;", i);
        sy_text_add(&text, gen.n_push ? " } push;\n\n" : "\n");
        if (plan->params->conditional) /* templates know of no parts: the index is another for all of them */
            sy_text_printf(&text,
                           "uvec3 workgroup() { return gl_WorkGroupID + uvec3(push.w%u, push.w%u, push.w%u); }\n"
                           "#define gl_WorkGroupID workgroup()\n\n",
                           base, base + 1, base + 2);
        if (strstr(main.data, "f16")) /* sy_f16…, sy_bf16… */
            ok = sy_template_expand("load.glsl", "all", NULL, 0, &text, error);
        if (ok && (gen.math || gen.philox))
            ok = sy_template_expand("math.glsl", "all", NULL, 0, &text, error);
        if (ok && gen.philox)
            ok = sy_template_expand("philox.glsl", "all", NULL, 0, &text, error);
        sy_text_add_bytes(&text, main.data, main.size);
    }
    *out = (sy_emitted){.n_push = gen.n_push,
                        .texel_bindings = gen.texels,
                        .full_subgroups = variant->matrix[0] != 0,
                        .shared_bytes = ok ? sy_variant_shared(variant, plan, group) : 0};
    memcpy(out->push, gen.push, sizeof out->push);
    if (ok && (text.failed || main.failed || !(out->glsl = sy_arena_string(&plan->graph->arena, text.data))))
        ok = sy_fail(error, SY_CODE_OUT_OF_MEMORY, "out of memory");
    if (!ok && error && error->code == SY_CODE_OK)
        sy_fail(error, SY_CODE_INTERNAL, "an index expression is too large");
    sy_text_free(&text);
    sy_text_free(&main);
    sy_gen_free(&gen);
    return ok;
}
