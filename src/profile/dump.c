/* Kernels as files: the GLSL they were made from, the SPIR-V that the driver got, and its disassembly. */
#include "src/api.h"
#include "src/profile/report.h"

#include "graph/base/file.h"
#include "graph/emit/spirv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool write_one(const char *directory, uint32_t index, const char *name, const char *ending, const void *data, size_t size, sy_error *error)
{
    sy_text path = {0};
    sy_text_printf(&path, "%s/%03u-%s.%s", directory, index, name, ending);
    sy_new_file *file = path.failed ? NULL : sy_file_begin(path.data, error);
    bool ok = file != NULL;
    if (ok) {
        sy_file_put(file, data, size);
        ok = sy_file_end(&file, true, error);
    }
    sy_text_free(&path);
    return ok;
}

static bool dump(const sy_profile_report *r, const char *directory, sy_error *error)
{
    if (!r->sources)
        return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "a profile read from a file has no kernels to dump");
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return sy_fail(error, SY_CODE_IO, "making the folder %s: %s", directory, strerror(errno));
    for (uint32_t i = 0; i < r->n_kernels; i++) {
        const sy_profile_source *s = &r->sources[i];
        const char *name = r->kernels[i].name;
        char *text = sy_spirv_disassemble(s->spirv, s->n_spirv);
        bool ok = write_one(directory, i, name, "comp", s->glsl, strlen(s->glsl), error) &&
                  write_one(directory, i, name, "spv", s->spirv, 4 * (size_t)s->n_spirv, error) &&
                  (!text || write_one(directory, i, name, "spvasm", text, strlen(text), error));
        free(text);
        if (!ok)
            return false;
    }
    return true;
}

sy_status sy_profile_dump(sy_context *context, const sy_profile *profile, const char *directory)
{
    sy_error error = {0};
    dump(profile, directory, &error);
    return sy_api_done(context, &error);
}
