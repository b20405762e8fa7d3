/* Writing .safetensors: the header is made as text first, so its size is known, and padded with spaces so that the
 * data begins at a multiple of 8 bytes. */
#include "graph/base/file.h"
#include "graph/import/safetensors.h"

#include <string.h>

static const char *const dtype_names[SY_DTYPE_COUNT] = {
    [SY_F32] = "F32", [SY_F16] = "F16", [SY_BF16] = "BF16", [SY_I32] = "I32", [SY_U32] = "U32"};

static void json_string(sy_text *out, const char *text)
{
    sy_text_add(out, "\"");
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            sy_text_printf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            sy_text_printf(out, "\\u%04x", (unsigned)*c);
        else
            sy_text_add_bytes(out, c, 1);
    }
    sy_text_add(out, "\"");
}

static uint64_t data_bytes(const sy_type *type)
{
    return sy_type_count(type) * (type->dtype == SY_F16 || type->dtype == SY_BF16 ? 2 : 4);
}

static void json_tensor(sy_text *out, const sy_safetensors_item *item, uint64_t begin)
{
    json_string(out, item->name);
    sy_text_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", dtype_names[item->type.dtype]);
    for (int i = 0; i < item->type.rank; i++)
        sy_text_printf(out, i ? ",%d" : "%d", item->type.dim[i]);
    sy_text_printf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin,
                   (unsigned long long)(begin + data_bytes(&item->type)));
}

static void json_header(sy_text *out, const sy_safetensors_item *items, uint32_t n_items,
                        const sy_safetensors_text *metadata, uint32_t n_metadata)
{
    uint64_t at = 0;
    sy_text_add(out, "{");
    if (n_metadata) {
        sy_text_add(out, "\"__metadata__\":{");
        for (uint32_t i = 0; i < n_metadata; i++) {
            sy_text_add(out, i ? "," : "");
            json_string(out, metadata[i].key);
            sy_text_add(out, ":");
            json_string(out, metadata[i].value);
        }
        sy_text_add(out, n_items ? "}," : "}");
    }
    for (uint32_t i = 0; i < n_items; i++) {
        sy_text_add(out, i ? "," : "");
        json_tensor(out, &items[i], at);
        at += data_bytes(&items[i].type);
    }
    sy_text_add(out, "}");
    while (out->size % 8 && !out->failed)
        sy_text_add(out, " ");
}

bool sy_safetensors_write(const char *path, const sy_safetensors_item *items, uint32_t n_items,
                          const sy_safetensors_text *metadata, uint32_t n_metadata, sy_error *error)
{
    sy_text header = {0};
    for (uint32_t i = 0; i < n_items; i++)
        if (items[i].type.is_route || sy_type_wrong(&items[i].type))
            return sy_fail(error, SY_CODE_INVALID_ARGUMENT, "\"%s\" cannot be written as a tensor.", items[i].name);
    json_header(&header, items, n_items, metadata, n_metadata);
    sy_new_file *file = header.failed ? NULL : sy_file_begin(path, error);
    if (!file) {
        if (header.failed)
            sy_fail(error, SY_CODE_OUT_OF_MEMORY, "no memory for the header of \"%s\".", path);
        sy_text_free(&header);
        return false;
    }
    unsigned char size[8];
    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)((uint64_t)header.size >> 8 * i);
    sy_file_put(file, size, sizeof size);
    sy_file_put(file, header.data, header.size);
    for (uint32_t i = 0; i < n_items; i++)
        sy_file_put(file, items[i].data, data_bytes(&items[i].type));
    sy_text_free(&header);
    return sy_file_end(&file, true, error);
}
