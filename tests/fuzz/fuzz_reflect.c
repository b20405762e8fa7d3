/* The reader of SPIR-V under libFuzzer: any words give a shader whose every field can be read, or an error. */
#include "graph/emit/reflect.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t touch(const sy_shader_block *block)
{
    uint64_t sum = block->bytes;
    char text[48];
    for (uint32_t i = 0; i < block->n_fields; i++)
        sum += strlen(block->fields[i].name) + strlen(sy_shader_field_text(&block->fields[i], text));
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sy_error error = {0};
    uint32_t *words = malloc(size + 4);
    if (!words)
        return 0;
    memcpy(words, data, size / 4 * 4);
    sy_shader *s = sy_shader_reflect(words, size / 4, &error);
    if (!s && !error.message[0])
        abort();
    if (s) {
        volatile uint64_t sum = touch(&s->push) + strlen(s->entry);
        for (uint32_t i = 0; i < s->n_resources; i++)
            sum += touch(&s->resources[i].block) + strlen(s->resources[i].name);
        for (uint32_t i = 0; i < s->n_constants; i++)
            sum += strlen(s->constants[i].name);
        for (int i = 0; i < 3; i++)
            if (s->local_constant[i] != SY_NO_CONSTANT && s->local_constant[i] >= s->n_constants)
                abort();
        (void)sum;
    }
    sy_shader_destroy(&s);
    free(words);
    return 0;
}
