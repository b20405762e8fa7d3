/* U-Nets that their files say wrong: the header of every fixture of a U-Net with one tensor gone, or of another shape,
 * is refused with a message or gives a graph, and never anything else. What builders read from shapes is the danger
 * here. */
#include "graph/import/safetensors.h"
#include "graph/zoo/zoo.h"
#include "tests/check.h"
#include "tests/zoo/help_system.h"

#include <string.h>

typedef enum change { NOTHING, GONE, FIRST_ZERO, FIRST_HUGE, FIRST_DOUBLED, SECOND_ONE, RANK_LESS, CHANGES } change;

static const char *const fixtures[] = {"adm",           "adm_words", "adm_plain", "song_unet", "ncsnpp",
                                       "dhariwal_unet", "unet",      "dic",       "sid2"};

static void dims_of(const sy_stored_tensor *t, change how, int64_t dims[8], uint32_t *rank)
{
    *rank = t->rank;
    for (uint32_t i = 0; i < t->rank; i++)
        dims[i] = t->dim[i];
    if (how == FIRST_ZERO)
        dims[0] = 0;
    else if (how == FIRST_HUGE)
        dims[0] = 1 << 23;
    else if (how == FIRST_DOUBLED)
        dims[0] *= 2;
    else if (how == SECOND_ONE && t->rank > 1)
        dims[1] = 1;
    else if (how == RANK_LESS && t->rank > 1)
        --*rank;
}

/* The fixture's header with tensor `which` changed. */
static void write_header(const sy_safetensors *from, uint32_t which, change how, sy_text *out)
{
    static const char *const keys[] = {"architecture", "image_size",        "norm_groups", "attention_order",
                                       "patch_size",   "num_head_channels", "num_heads",   "skip_tuning",
                                       "freeu",        "precond",           "objective",   "words_per_prompt"};
    uint64_t at = 0;
    sy_text_add_bytes(out, "\0\0\0\0\0\0\0\0", 8);
    sy_text_add(out, "{\"__metadata__\":{\"format\":\"pt\"");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char name[64];
        snprintf(name, sizeof name, "switchyard.%s", keys[i]);
        const char *said = sy_safetensors_metadata(from, name);
        if (said)
            sy_text_printf(out, ",\"%s\":\"%s\"", name, said);
    }
    sy_text_add(out, "}");
    for (uint32_t i = 0; i < sy_safetensors_count(from); i++) {
        const sy_stored_tensor *t = sy_safetensors_at(from, i);
        int64_t dims[8];
        uint32_t rank;
        uint64_t bytes = t->dtype == SY_F16 || t->dtype == SY_BF16 ? 2 : 4;
        if (i == which && how == GONE)
            continue;
        dims_of(t, i == which ? how : NOTHING, dims, &rank);
        sy_text_printf(out, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, t->dtype_name);
        for (uint32_t d = 0; d < rank; d++) {
            sy_text_printf(out, "%s%lld", d ? "," : "", (long long)dims[d]);
            bytes *= (uint64_t)dims[d];
        }
        sy_text_printf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                       (unsigned long long)(at + bytes));
        at += bytes;
    }
    sy_text_add(out, "}");
    uint64_t length = out->size - 8;
    for (int i = 0; i < 8; i++)
        out->data[i] = (char)(length >> (8 * i) & 255);
}

/* True if there is a graph. */
static bool try_one(const sy_safetensors *from, const char *name, uint32_t which, change how)
{
    sy_text text = {0};
    sy_error error = {0};
    write_header(from, which, how, &text);
    REQUIRE(!text.failed);
    sy_safetensors *file = sy_safetensors_from_memory(text.data, text.size, SY_SAFETENSORS_HEADER_ONLY, &error);
    sy_graph *g = file ? sy_zoo_file_graph(file, 1, &error) : NULL;
    CHECK_SAY(!g == (error.code != SY_CODE_OK && *error.message), "%s, tensor %u, change %d: %s", name, which, (int)how,
              g ? "a graph and an error" : "neither a graph nor an error");
    bool made = g;
    sy_graph_destroy(&g);
    sy_safetensors_close(&file);
    sy_text_free(&text);
    return made;
}

int main(void)
{
    for (size_t f = 0; f < sizeof fixtures / sizeof *fixtures; f++) {
        system_fixture fixture = system_open(fixtures[f]);
        uint32_t refused = 0, weights = 0;
        CHECK_SAY(try_one(fixture.file, fixtures[f], 0, NOTHING), "%s: refused as it is", fixtures[f]);
        for (uint32_t i = 0; i < sy_safetensors_count(fixture.file); i++) {
            const char *name = sy_safetensors_at(fixture.file, i)->name;
            bool weight = strncmp(name, "input.", 6) && strncmp(name, "output.", 7) && strncmp(name, "tap.", 4);
            weights += weight;
            for (change how = GONE; weight && how < CHANGES; how++)
                refused += !try_one(fixture.file, fixtures[f], i, how);
        }
        CHECK_SAY(refused > 3 * weights, "%s: %u of %u changed files refused", fixtures[f], refused,
                  weights * (CHANGES - 1));
        system_close(&fixture);
    }
    return check_done();
}
