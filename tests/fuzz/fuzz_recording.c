/* The reader of recordings under libFuzzer: any bytes give work all of whose parts can be reached, or an error. */
#include "src/run/recording.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t touch(const sy_recording *r)
{
    const sy_work *w = &r->work;
    uint64_t sum = strlen(r->what) + strlen(r->device);
    for (uint32_t i = 0; i < w->n_buffers; i++)
        for (uint64_t b = 0; w->buffers[i].data && b < w->buffers[i].bytes; b += 64)
            sum += ((const uint8_t *)w->buffers[i].data)[b];
    for (uint32_t i = 0; i < w->n_dispatches; i++) {
        const sy_work_dispatch *x = &w->dispatches[i];
        sum += strlen(x->label) + w->kernels[x->kernel].n_words + w->kernels[x->kernel].shader->local[0];
        for (uint32_t b = 0; b < x->n_bindings; b++)
            sum += w->buffers[x->bindings[b].buffer].bytes;
        if (x->indirect)
            sum += w->buffers[x->indirect_buffer].bytes;
    }
    for (uint32_t i = 0; i < r->n_results; i++) {
        const sy_recording_result *x = &r->results[i];
        if (x->offset > w->buffers[x->buffer].bytes || x->bytes > w->buffers[x->buffer].bytes - x->offset)
            abort();
        sum += ((const uint8_t *)x->after)[x->bytes - 1];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sy_error error = {0};
    sy_recording *r = sy_recording_from_memory(data, size, &error);
    if (!r && !error.message[0])
        abort();
    if (r) {
        volatile uint64_t sum = touch(r);
        (void)sum;
    }
    sy_recording_close(&r);
    return 0;
}
