/* The tokenizer of CLIP under libFuzzer: vocab.json, merges.txt and a prompt with zero bytes between. Any bytes give
 * ids of the vocabulary, or an error. */
#include "graph/import/clip_tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    const char *merges = text + strlen(text), *prompt = "", *last = text + size;
    merges += merges < last;
    if (merges < last) {
        prompt = merges + strlen(merges);
        prompt += prompt < last;
    }
    sy_error error = {0};
    sy_clip_tokenizer *t = sy_clip_tokenizer_create(text, strlen(text), merges, strlen(merges), NULL, &error);
    int32_t ids[16];
    if (!t && !error.message[0])
        abort();
    if (t && sy_clip_tokenizer_encode(t, prompt, ids, 16, NULL, &error))
        for (int i = 0; i < 16; i++)
            if (ids[i] < 0 || ids[i] >= sy_clip_tokenizer_count(t))
                abort();
    sy_clip_tokenizer_destroy(&t);
    free(text);
    return 0;
}
