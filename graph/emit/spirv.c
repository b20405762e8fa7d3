/* See spirv.h. glslang's process state is counted under one lock, so that several compilers in several threads may
 * come and go. Validation comes last, on what the driver will see. */
#include "graph/emit/spirv.h"
#include "graph/emit/optimise.h"
#include "graph/limits.h"

#include <glslang/Include/glslang_c_interface.h>
#include <glslang/Public/resource_limits_c.h>
#include <glslang/build_info.h>
#include <pthread.h>
#include <spirv-tools/libspirv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* glslang 12 does not know GL_KHR_cooperative_matrix; 14 and later do. */
enum { MATRICES_SINCE = 14 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static char versions[160];

bool sy_spirv_open(sy_error *error)
{
    pthread_mutex_lock(&lock);
    bool ok = users > 0 || glslang_initialize_process();
    if (ok && users++ == 0)
        snprintf(versions, sizeof versions, "glslang %d.%d.%d; %s", GLSLANG_VERSION_MAJOR, GLSLANG_VERSION_MINOR,
                 GLSLANG_VERSION_PATCH, spvSoftwareVersionString());
    pthread_mutex_unlock(&lock);
    return ok || sy_fail(error, SY_CODE_INTERNAL, "glslang could not be initialised");
}

void sy_spirv_close(void)
{
    pthread_mutex_lock(&lock);
    if (users > 0 && --users == 0)
        glslang_finalize_process();
    pthread_mutex_unlock(&lock);
}

bool sy_compiler_has_matrices(void)
{
    return GLSLANG_VERSION_MAJOR >= MATRICES_SINCE;
}

const char *sy_spirv_versions(void)
{
    return versions;
}

/* The compiler's first complaint, with the text of the line it names. */
static bool source_error(const char *name, const char *glsl, const char *log, sy_error *error)
{
    const char *first = strstr(log, "ERROR:");
    unsigned line = 0;
    first = first ? first : log;
    const char *end = strchr(first, '\n');
    int length = end ? (int)(end - first) : (int)strlen(first);
    if (sscanf(first, "ERROR: %*d:%u", &line) != 1 || line == 0)
        return sy_fail(error, SY_CODE_INTERNAL, "kernel %s: %.*s", name, length > 300 ? 300 : length, first);
    for (unsigned i = 1; i < line && *glsl; i++) {
        const char *next = strchr(glsl, '\n');
        glsl = next ? next + 1 : glsl + strlen(glsl);
    }
    return sy_fail(error, SY_CODE_INTERNAL, "kernel %s, line %u: %.*s: %.*s", name, line, length > 220 ? 220 : length,
                   first, (int)(strcspn(glsl, "\n") > 160 ? 160 : strcspn(glsl, "\n")), glsl);
}

/* "ERROR: 0:12: 'x' : undeclared" as "path:12: error: 'x' : undeclared"; lines without a place stay as they are. */
static bool list_complaints(const char *path, const char *log, sy_text *out, sy_error *error)
{
    while (*log) {
        int length = (int)strcspn(log, "\n"), at = 0;
        unsigned line = 0;
        char severity[12] = "", file[200] = "";
        bool placed = sscanf(log, "%11[A-Z]: %199[^:\n]:%u: %n", severity, file, &line, &at) == 3 && at > 0 && at <= length;
        const char *where = strspn(file, "0123456789") == strlen(file) ? path : file;
        if (placed)
            sy_text_printf(out, "%s:%u: %s: %.*s\n", where, line, strcmp(severity, "WARNING") ? "error" : "warning", length - at, log + at);
        else if (length)
            sy_text_printf(out, "%s: %.*s\n", path, length, log);
        if (placed && !strcmp(severity, "ERROR"))
            sy_fail(error, SY_CODE_INVALID_FILE, "%.150s:%u: %.*s", where, line, length - at > 250 ? 250 : length - at, log + at);
        log += length + (log[length] == '\n');
    }
    return sy_fail(error, SY_CODE_INVALID_FILE, "%s: the compiler refuses it", path);
}

/* `log`: where complaints of a user's shader go; NULL: it is one of ours. */
static bool complain(const char *name, const char *glsl, const char *said, sy_text *log, sy_error *error)
{
    return log ? list_complaints(name, said, log, error) : source_error(name, glsl, said, error);
}

static bool front_end(const char *name, const char *glsl, const char *preamble, sy_text *log, uint32_t **out, size_t *n_out,
                      sy_error *error)
{
    const glslang_input_t input = {
        .language = GLSLANG_SOURCE_GLSL,
        .stage = GLSLANG_STAGE_COMPUTE,
        .client = GLSLANG_CLIENT_VULKAN,
        .client_version = GLSLANG_TARGET_VULKAN_1_2,
        .target_language = GLSLANG_TARGET_SPV,
        .target_language_version = GLSLANG_TARGET_SPV_1_5,
        .code = glsl,
        .default_version = 450,
        .default_profile = GLSLANG_NO_PROFILE,
        .messages = GLSLANG_MSG_SPV_RULES_BIT | GLSLANG_MSG_VULKAN_RULES_BIT,
        .resource = glslang_default_resource(),
    };
    glslang_shader_t *shader = glslang_shader_create(&input);
    glslang_program_t *program = shader ? glslang_program_create() : NULL;
    bool ok = false;
    if (program && preamble)
        glslang_shader_set_preamble(shader, preamble);
    if (!program) {
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "out of memory in the shader compiler");
    } else if (!glslang_shader_preprocess(shader, &input) || !glslang_shader_parse(shader, &input)) {
        complain(name, glsl, glslang_shader_get_info_log(shader), log, error);
    } else {
        glslang_program_add_shader(program, shader);
        if (!glslang_program_link(program, GLSLANG_MSG_SPV_RULES_BIT | GLSLANG_MSG_VULKAN_RULES_BIT)) {
            complain(name, glsl, glslang_program_get_info_log(program), log, error);
        } else {
            glslang_spv_options_t options = {.disable_optimizer = true};
            glslang_program_SPIRV_generate_with_options(program, GLSLANG_STAGE_COMPUTE, &options);
            *n_out = glslang_program_SPIRV_get_size(program);
            *out = *n_out ? malloc(*n_out * sizeof **out) : NULL;
            ok = *out || sy_fail(error, SY_CODE_OUT_OF_MEMORY, "kernel %s: no SPIR-V was made", name);
            if (ok)
                glslang_program_SPIRV_get(program, *out);
        }
    }
    if (program)
        glslang_program_delete(program);
    if (shader)
        glslang_shader_delete(shader);
    return ok;
}

bool sy_spirv_validate(const char *name, const uint32_t *words, size_t n_words, sy_error *error)
{
    spv_context context = spvContextCreate(SPV_ENV_VULKAN_1_2);
    if (!context)
        return sy_fail(error, SY_CODE_OUT_OF_MEMORY, "out of memory in the SPIR-V validator");
    spv_diagnostic diagnostic = NULL;
    bool ok = spvValidateBinary(context, words, n_words, &diagnostic) == SPV_SUCCESS;
    if (!ok)
        sy_fail(error, SY_CODE_INVALID_FILE, "%s: the SPIR-V is not valid: %.300s", name,
                diagnostic && diagnostic->error ? diagnostic->error : "no reason given");
    spvDiagnosticDestroy(diagnostic);
    spvContextDestroy(context);
    return ok;
}

bool sy_spirv_compile(const char *name, const char *glsl, uint32_t **out, size_t *n_out, sy_error *error)
{
    uint32_t *raw = NULL, *best = NULL;
    size_t n_raw = 0, n_best = 0;
    if (!front_end(name, glsl, NULL, NULL, &raw, &n_raw, error))
        return false;
    if (strstr(glsl, "GL_KHR_cooperative_matrix")) { /* optimizers of several releases break such modules; drivers optimise as well */
        best = raw;
        n_best = n_raw;
        raw = NULL;
    } else if (!sy_optimise_spirv(raw, n_raw, &best, &n_best)) {
        free(raw);
        return sy_fail(error, SY_CODE_INTERNAL, "kernel %s: the SPIR-V optimizer failed", name);
    }
    free(raw);
    if (!sy_spirv_validate(name, best, n_best, error)) {
        free(best);
        return false;
    }
    *out = best;
    *n_out = n_best;
    return true;
}

bool sy_spirv_compile_source(const sy_spirv_source *source, uint32_t **out, size_t *n_out, sy_text *log, sy_error *error)
{
    sy_text preamble = {0};
    for (uint32_t i = 0; i < source->n_defines; i++) {
        const char *define = source->defines[i], *equals = strchr(define, '=');
        int name = (int)(equals ? (size_t)(equals - define) : strlen(define));
        sy_text_printf(&preamble, "#define %.*s %s\n", name, define, equals ? equals + 1 : "1");
    }
    bool ok = !preamble.failed && sy_spirv_open(error);
    if (preamble.failed)
        sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for a shader");
    if (ok) {
        ok = front_end(source->path, source->text, preamble.data, log, out, n_out, error);
        if (ok && !sy_spirv_validate(source->path, *out, *n_out, error)) {
            free(*out);
            ok = false;
        }
        sy_spirv_close();
    }
    sy_text_free(&preamble);
    return ok;
}

char *sy_spirv_disassemble(const uint32_t *words, size_t n_words)
{
    spv_context context = spvContextCreate(SPV_ENV_VULKAN_1_2);
    spv_text text = NULL;
    char *copy = NULL;
    uint32_t options = SPV_BINARY_TO_TEXT_OPTION_INDENT | SPV_BINARY_TO_TEXT_OPTION_FRIENDLY_NAMES;
    if (context && spvBinaryToText(context, words, n_words, options, &text, NULL) == SPV_SUCCESS)
        copy = strndup(text->str, text->length);
    spvTextDestroy(text);
    spvContextDestroy(context);
    return copy;
}
