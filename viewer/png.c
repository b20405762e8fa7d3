/* See png.h. Encoded in memory by libspng. */
#include "viewer/png.h"
#include "viewer/file.h"

#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 128)
            return false;
    return true;
}

static int encode(spng_ctx *png, const uint8_t *rgb, uint32_t width, uint32_t height, const png_text *texts,
                  uint32_t n_texts, struct spng_text *chunks)
{
    struct spng_ihdr header = {
        .width = width, .height = height, .bit_depth = 8, .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    int failed = spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
    failed = failed ? failed : spng_set_option(png, SPNG_IMG_COMPRESSION_LEVEL, 4);
    failed = failed ? failed : spng_set_ihdr(png, &header);
    for (uint32_t i = 0; i < n_texts; i++) {
        snprintf(chunks[i].keyword, sizeof chunks[i].keyword, "%s", texts[i].key);
        chunks[i].text = (char *)texts[i].value;
        chunks[i].length = strlen(texts[i].value);
        chunks[i].type = is_ascii(texts[i].value) ? SPNG_TEXT : SPNG_ITXT;
        chunks[i].language_tag = chunks[i].translated_keyword = "";
    }
    if (!failed && n_texts)
        failed = spng_set_text(png, chunks, n_texts);
    return failed ? failed : spng_encode_image(png, rgb, (size_t)width * height * 3, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
}

bool png_write(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, const png_text *texts,
               uint32_t n_texts, char *error, size_t size)
{
    struct spng_text *chunks = calloc((size_t)n_texts + 1, sizeof *chunks);
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    size_t bytes = 0;
    int failed = chunks && png ? encode(png, rgb, width, height, texts, n_texts, chunks) : SPNG_EMEM;
    void *data = failed ? NULL : spng_get_png_buffer(png, &bytes, &failed);
    if (!data)
        snprintf(error, size, "%s cannot be written: %s", path, spng_strerror(failed));
    bool ok = data && file_write(path, data, bytes, error, size);
    free(data);
    spng_ctx_free(png);
    free(chunks);
    return ok;
}
