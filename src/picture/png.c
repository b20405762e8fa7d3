/* Encoded in memory by libspng, then written under a temporary name and renamed. */
#include "src/picture/png.h"

#include "graph/base/file.h"

#include <spng.h>
#include <stdlib.h>
#include <string.h>

static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 128)
            return false;
    return true;
}

static int encode(spng_ctx *png, uint32_t width, uint32_t height, const uint8_t *rgb, const sy_png_text *texts,
                  uint32_t n_texts, struct spng_text *chunks)
{
    struct spng_ihdr header = {
        .width = width, .height = height, .bit_depth = 8, .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    int failed = spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
    if (!failed)
        failed = spng_set_ihdr(png, &header);
    for (uint32_t i = 0; i < n_texts; i++) {
        strncpy(chunks[i].keyword, texts[i].key, sizeof chunks[i].keyword - 1);
        chunks[i].text = (char *)texts[i].value;
        chunks[i].length = strlen(texts[i].value);
        chunks[i].type = is_ascii(texts[i].value) ? SPNG_TEXT : SPNG_ITXT;
        chunks[i].language_tag = "";
        chunks[i].translated_keyword = "";
    }
    if (!failed && n_texts)
        failed = spng_set_text(png, chunks, n_texts);
    if (!failed)
        failed = spng_encode_image(png, rgb, (size_t)width * height * 3, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    return failed;
}

bool sy_png_write(const char *path, uint32_t width, uint32_t height, const uint8_t *rgb, const sy_png_text *texts,
                  uint32_t n_texts, sy_error *error)
{
    struct spng_text *chunks = calloc((size_t)n_texts + 1, sizeof *chunks);
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    size_t size = 0;
    int failed = chunks && png ? encode(png, width, height, rgb, texts, n_texts, chunks) : SPNG_EMEM;
    void *data = failed ? NULL : spng_get_png_buffer(png, &size, &failed);
    bool ok = data != NULL;
    if (!ok)
        sy_fail(error, failed == SPNG_EMEM ? SY_CODE_OUT_OF_MEMORY : SY_CODE_INTERNAL, "encoding %s: %s", path,
                spng_strerror(failed));
    sy_new_file *file = ok ? sy_file_begin(path, error) : NULL;
    ok = file != NULL;
    if (ok) {
        sy_file_put(file, data, size);
        ok = sy_file_end(&file, true, error);
    }
    free(data);
    spng_ctx_free(png);
    free(chunks);
    return ok;
}
