/* The reader of .npy under libFuzzer: any bytes give an array of its size, or an error. */
#include "graph/import/npy.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sy_error error = {0};
    sy_npy npy;
    if (sy_npy_from_memory(data, size, &npy, &error)) {
        volatile double last = npy.data[sy_type_count(&npy.type) - 1];
        (void)last;
    } else if (!error.message[0] || npy.data) {
        abort();
    }
    sy_npy_free(&npy);
    sy_npy_raw raw;
    if (sy_npy_look(data, size, &raw, &error) && ((const uint8_t *)raw.data < data || raw.count * raw.element_bytes > (size_t)(data + size - (const uint8_t *)raw.data)))
        abort();
    return 0;
}
