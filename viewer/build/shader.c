/* view_shader IN OUT NAME: compiles the GLSL in IN, whose ending names the stage, into a C header OUT with the SPIR-V as
 * `static const uint32_t NAME[]`. Runs while the viewer is built. */
#include <glslang/Include/glslang_c_interface.h>
#include <glslang/Public/resource_limits_c.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SOURCE = 1 << 20 };

/* Adds the file to source, the files it includes in place of the lines that do. */
static bool add_file(const char *path, char *source, int depth)
{
    char line[1024], name[512], inner[2048];
    FILE *file = depth < 8 ? fopen(path, "r") : NULL;
    bool ok = file != NULL;
    if (!ok)
        fprintf(stderr, "%s: cannot be read\n", path);
    while (ok && fgets(line, sizeof line, file)) {
        if (sscanf(line, "#include \"%511[^\"]\"", name) == 1) {
            const char *slash = strrchr(path, '/');
            snprintf(inner, sizeof inner, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path, name);
            ok = add_file(inner, source, depth + 1);
        } else if (strlen(source) + strlen(line) + 1 < MOST_SOURCE) {
            strcat(source, line);
        } else {
            ok = false;
        }
    }
    if (file)
        fclose(file);
    return ok;
}

static bool write_header(const char *path, const char *name, const uint32_t *words, size_t n)
{
    FILE *out = fopen(path, "w");
    if (!out)
        return false;
    fprintf(out, "#include <stdint.h>\nstatic const uint32_t %s[] = {", name);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s0x%08x,", i % 10 ? " " : "\n    ", words[i]);
    fprintf(out, "\n};\n");
    return fclose(out) == 0;
}

static bool compile(const char *path, const char *out, const char *name, const char *source)
{
    const char *dot = strrchr(path, '.');
    glslang_stage_t stage = dot && !strcmp(dot, ".vert")   ? GLSLANG_STAGE_VERTEX
                            : dot && !strcmp(dot, ".frag") ? GLSLANG_STAGE_FRAGMENT
                                                           : GLSLANG_STAGE_COMPUTE;
    const glslang_input_t input = {
        .language = GLSLANG_SOURCE_GLSL,
        .stage = stage,
        .client = GLSLANG_CLIENT_VULKAN,
        .client_version = GLSLANG_TARGET_VULKAN_1_2,
        .target_language = GLSLANG_TARGET_SPV,
        .target_language_version = GLSLANG_TARGET_SPV_1_5,
        .code = source,
        .default_version = 450,
        .default_profile = GLSLANG_NO_PROFILE,
        .messages = GLSLANG_MSG_SPV_RULES_BIT | GLSLANG_MSG_VULKAN_RULES_BIT,
        .resource = glslang_default_resource(),
    };
    bool ok = glslang_initialize_process();
    glslang_shader_t *shader = glslang_shader_create(&input);
    glslang_program_t *program = glslang_program_create();
    ok = ok && glslang_shader_preprocess(shader, &input) && glslang_shader_parse(shader, &input);
    if (!ok)
        fprintf(stderr, "%s: %s\n", path, glslang_shader_get_info_log(shader));
    if (ok) {
        glslang_program_add_shader(program, shader);
        ok = glslang_program_link(program, input.messages);
        if (!ok)
            fprintf(stderr, "%s: %s\n", path, glslang_program_get_info_log(program));
    }
    if (ok) {
        glslang_spv_options_t options = {.disable_optimizer = true};
        glslang_program_SPIRV_generate_with_options(program, stage, &options);
        ok = write_header(out, name, glslang_program_SPIRV_get_ptr(program), glslang_program_SPIRV_get_size(program));
    }
    glslang_program_delete(program);
    glslang_shader_delete(shader);
    glslang_finalize_process();
    return ok;
}

int main(int argc, char **argv)
{
    char *source = calloc(1, MOST_SOURCE);
    bool ok = source && argc == 4 && add_file(argv[1], source, 0) && compile(argv[1], argv[2], argv[3], source);
    free(source);
    return ok ? 0 : 1;
}
