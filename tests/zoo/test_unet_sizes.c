/* Every published U-Net: a file with the authors' names and shapes gives the right configuration with nothing said
 * beside them, and the network built from it asks for exactly these tensors, as many values as the publications count.
 */
#include "graph/import/safetensors.h"
#include "graph/zoo/zoo.h"
#include "tests/check.h"
#include "tests/zoo/help_unets.h"

/* Buffers that the graph reads as parameters; the publications do not count them. */
static bool is_buffer(const char *name)
{
    return strstr(name, "resample_filter") || strstr(name, "map_noise.freqs");
}

static void check_graph(const unet_size *s, const sy_network_config *c, const sy_safetensors *file, uint64_t values,
                        uint32_t tensors)
{
    sy_error error = {0};
    uint64_t n_values = 0;
    uint32_t n_tensors = 0;
    sy_graph *g = sy_zoo_file_graph(file, 2, &error);
    CHECK_SAY(g, "%s: %s", s->name, error.message);
    if (!g)
        return;
    for (sy_value v = 1; v < g->n_nodes; v++)
        if (g->nodes[v].op == SY_OP_PARAM && !is_buffer(g->nodes[v].name)) {
            n_tensors++;
            n_values += sy_type_count(&g->nodes[v].type);
        }
    CHECK_SAY(n_values == values && n_tensors == tensors,
              "%s: the network has %llu values in %u tensors, the file %llu in %u", s->name,
              (unsigned long long)n_values, n_tensors, (unsigned long long)values, tensors);
    CHECK_SAY(!s->values || n_values == s->values, "%s: %llu values, published %llu", s->name,
              (unsigned long long)n_values, (unsigned long long)s->values);
    CHECK_SAY(!s->tensors || n_tensors == s->tensors, "%s: %u tensors, published %u", s->name, n_tensors, s->tensors);
    sy_type wanted = SY_T(SY_F32, 2, c->channels_out, c->side, c->side);
    for (uint32_t i = 0; i < g->n_ends; i++)
        CHECK(g->ends[i].kind != SY_END_OUTPUT || sy_type_equal(&g->nodes[g->ends[i].value].type, &wanted));
    sy_graph_destroy(&g);
}

static void check_config(const unet_size *s, const sy_network_config *c)
{
    static const char *const names[] = {"adm", "song-unet", "dhariwal-unet", "dic"};
    CHECK_TEXT(c->architecture, names[s->kind]);
    CHECK_SAY(c->side == s->side, "%s: side %d", s->name, (int)c->side);
    CHECK(c->channels == s->channels && c->channels_out == s->channels_out && c->dtype == SY_F32);
    CHECK(c->label_rows == s->classes && c->words == 0 && c->latent == (s->kind == UNET_DIC));
    CHECK(c->null_row == (s->kind == UNET_DIC ? s->classes - 1 : -1));
    bool learned = s->kind == UNET_DIC || (s->kind == UNET_ADM && s->channels == 3);
    CHECK_SAY(c->learn_sigma == learned, "%s: learned variance", s->name);
    if (s->kind == UNET_ADM)
        CHECK(c->objective == SY_OBJECTIVE_DDPM && c->clip &&
              c->betas == (s->side == 64 ? SY_BETAS_COSINE : SY_BETAS_LINEAR) && c->heads == (s->side == 128 ? 4 : 0));
    else
        CHECK(c->objective == (s->kind == UNET_DIC ? SY_OBJECTIVE_DDPM : SY_OBJECTIVE_EDM) && !c->clip);
}

int main(void)
{
    for (const unet_size *s = unet_sizes; s->name; s++) {
        sy_text bytes = {0};
        sy_error error = {0};
        sy_network_config c = {0};
        uint64_t values;
        uint32_t tensors;
        unet_write(s, &bytes, &values, &tensors);
        REQUIRE(!bytes.failed);
        sy_safetensors *file = sy_safetensors_from_memory(bytes.data, bytes.size, SY_SAFETENSORS_HEADER_ONLY, &error);
        CHECK_SAY(file, "%s: %s", s->name, error.message);
        REQUIRE(file);
        bool ok = sy_zoo_config_from_file(file, &c, &error);
        CHECK_SAY(ok, "%s: %s", s->name, error.message);
        if (ok) {
            check_config(s, &c);
            check_graph(s, &c, file, values, tensors);
        }
        sy_safetensors_close(&file);
        sy_text_free(&bytes);
    }
    return check_done();
}
