/* Every published size: a file with the authors' names and shapes gives the right configuration, and the network built
 * from it asks for exactly the tensors of the file, as many values and tensors as the publications count. */
#include "graph/import/safetensors.h"
#include "graph/zoo/zoo.h"
#include "tests/check.h"
#include "tests/zoo/help_header.h"

static sy_graph *build(const sy_network_config *c)
{
    sy_graph *g = sy_graph_create(c->architecture);
    REQUIRE(g);
    sy_zoo_inputs in = {.x = sy_input(g, "x", SY_T(SY_F32, 2, c->channels, c->side, c->side)),
                        .time = sy_input(g, "time", SY_T(SY_F32, 1)),
                        .label = sy_input(g, "label", SY_T(SY_I32, 2))};
    sy_value out = sy_zoo_build(g, c, &in);
    sy_error error = {0};
    CHECK_SAY(sy_graph_check(g, &error), "%s", error.message);
    sy_type wanted = SY_T(SY_F32, 2, c->channels_out, c->side, c->side);
    CHECK(out && sy_type_equal(&g->nodes[out].type, &wanted));
    return g;
}

static void check_counts(const header_size *s, const sy_network_config *c, uint64_t values, uint64_t tensors)
{
    uint64_t n_params = 0, n_values = 0;
    sy_graph *g = build(c);
    for (sy_value v = 1; v < g->n_nodes; v++)
        if (g->nodes[v].op == SY_OP_PARAM) {
            n_params++;
            n_values += sy_type_count(&g->nodes[v].type);
        }
    CHECK_SAY(n_values == values && n_params == tensors,
              "%s: the network has %llu values in %llu tensors, the file %llu in %llu", s->name,
              (unsigned long long)n_values, (unsigned long long)n_params, (unsigned long long)values,
              (unsigned long long)tensors);
    CHECK_SAY(!s->values || n_values == s->values, "%s: %llu values, published %llu", s->name,
              (unsigned long long)n_values, (unsigned long long)s->values);
    CHECK_SAY(!s->tensors || n_params == s->tensors, "%s: %llu tensors, published %llu", s->name,
              (unsigned long long)n_params, (unsigned long long)s->tensors);
    sy_graph_destroy(&g);
}

static void check_config(const header_size *s, const sy_network_config *c)
{
    static const char *const names[] = {"dit", "dit-moe", "promoe"};
    CHECK_TEXT(c->architecture, names[s->kind]);
    CHECK(c->side == s->latent && c->channels == 4 && c->channels_out == 8 && c->learn_sigma && c->latent);
    CHECK(c->patch == s->patch && c->width == s->width && c->depth == s->depth && c->has_pos_embed);
    CHECK_SAY(c->heads == s->heads, "%s: %d heads", s->name, (int)c->heads);
    CHECK(c->qk_norm == s->fused && c->attention_names == (s->fused ? SY_ATTENTION_WQKV : SY_ATTENTION_TIMM));
    CHECK(c->label_rows == 1001 && c->null_row == 1000 && c->words == 0 && c->dtype == SY_F32);
    CHECK(c->experts == s->experts && c->interleave == (s->kind == HEADER_PROMOE));
    CHECK(c->mlp_hidden == (s->kind == HEADER_DIT_MOE ? 0 : 4 * s->width));
    if (s->kind == HEADER_DIT_MOE) {
        CHECK(c->top_k == 2 && c->extra_experts == 0 && c->expert_hidden == 4 * s->width &&
              c->shared_hidden == 2 * s->width);
        CHECK(c->objective == (s->fused ? SY_OBJECTIVE_FLOW : SY_OBJECTIVE_DDPM) && c->time_scale == 1);
        CHECK(s->fused ? c->guided_channels >= 4 && c->guidance == 7 && c->steps == 50
                       : c->guided_channels == 3 && c->guidance == 4 && c->steps == 250);
    } else if (s->kind == HEADER_PROMOE) {
        CHECK(c->top_k == 1 && c->extra_experts == 1 && c->expert_hidden == 2 * s->width &&
              c->shared_hidden == 2 * s->width);
        CHECK(c->objective == SY_OBJECTIVE_FLOW && c->time_scale == 1000 && c->guided_channels >= 4 &&
              c->guidance == 1.5);
    } else {
        CHECK(c->objective == SY_OBJECTIVE_DDPM && c->time_scale == 1 && c->guided_channels == 3 && c->guidance == 4);
    }
}

static sy_safetensors *file_of(const header_size *s, const char *metadata, sy_text *bytes, uint64_t *values,
                               uint64_t *tensors)
{
    sy_error error = {0};
    header_write(s, metadata, bytes, values, tensors);
    REQUIRE(!bytes->failed);
    sy_safetensors *file = sy_safetensors_from_memory(bytes->data, bytes->size, SY_SAFETENSORS_HEADER_ONLY, &error);
    CHECK_SAY(file, "%s: %s", s->name, error.message);
    REQUIRE(file);
    return file;
}

/* What the tensors cannot tell, the metadata may. */
static void check_metadata(void)
{
    static const char sit[] =
        "\"switchyard.objective\":\"flow-reversed\",\"switchyard.guidance\":\"1.5\",\"switchyard.steps\":\"50\"";
    static const char expert_choice[] = "\"switchyard.architecture\":\"promoe-ec\",\"switchyard.num_heads\":\"8\"";
    uint64_t values, tensors;
    sy_network_config c;
    sy_error error = {0};
    sy_text bytes = {0}, more = {0};
    sy_safetensors *file = file_of(&header_sizes[3], sit, &bytes, &values, &tensors);
    CHECK_SAY(sy_zoo_config_from_file(file, &c, &error), "%s", error.message);
    CHECK(!strcmp(c.architecture, "dit") && c.objective == SY_OBJECTIVE_FLOW_REVERSED && c.guidance == 1.5 &&
          c.steps == 50);
    sy_safetensors_close(&file);
    for (const header_size *s = header_sizes; s->name; s++) {
        if (strcmp(s->name, "ProMoE-S"))
            continue;
        file = file_of(s, expert_choice, &more, &values, &tensors);
        CHECK_SAY(sy_zoo_config_from_file(file, &c, &error), "%s", error.message);
        CHECK(!strcmp(c.architecture, "promoe-ec") && c.heads == 8);
        check_counts(s, &c, values, tensors);
        sy_safetensors_close(&file);
    }
    sy_text_free(&bytes);
    sy_text_free(&more);
}

int main(void)
{
    for (const header_size *s = header_sizes; s->name; s++) {
        sy_text bytes = {0};
        sy_error error = {0};
        sy_network_config c = {0};
        uint64_t values, tensors;
        sy_safetensors *file = file_of(s, NULL, &bytes, &values, &tensors);
        bool ok = sy_zoo_config_from_file(file, &c, &error);
        CHECK_SAY(ok, "%s: %s", s->name, error.message);
        if (ok) {
            check_config(s, &c);
            check_counts(s, &c, values, tensors);
        }
        sy_safetensors_close(&file);
        sy_text_free(&bytes);
    }
    check_metadata();
    return check_done();
}
