/* The reader of safetensors under libFuzzer: any bytes give a file all of whose tensors can be read, or an error. */
#include "graph/import/safetensors.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void touch_all(const sy_safetensors *file, const uint8_t *data, size_t size)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < sy_safetensors_count(file); i++) {
        const sy_stored_tensor *t = sy_safetensors_at(file, i);
        sy_type type;
        if (sy_safetensors_find(file, t->name) != t)
            abort();
        sy_stored_type(t, &type, NULL);
        if (!t->data)
            continue;
        const uint8_t *begin = t->data;
        if (begin < data || t->bytes > (size_t)(data + size - begin) || (total += t->bytes) > size)
            abort();
        double *out = t->readable ? malloc((t->count + 1) * sizeof *out) : NULL;
        if (out && !sy_stored_read(t, out, t->count, NULL))
            abort();
        free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (unsigned flags = 0; flags < 2; flags++) {
        sy_error error = {0};
        sy_safetensors *file = sy_safetensors_from_memory(data, size, flags, &error);
        if (!file && !error.message[0])
            abort();
        if (file) {
            touch_all(file, data, size);
            sy_safetensors_need(file, "a.weight", NULL);
        }
        sy_safetensors_close(&file);
    }
    return 0;
}
