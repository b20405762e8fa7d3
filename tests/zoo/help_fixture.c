/* See the header. */
#include "tests/zoo/help_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const fixture_names[] = {
    "dit", "sit_no_positions", "dit_moe", "dit_moe_fused", "promoe", "promoe_norms", "promoe_ec", "promoe_words", NULL};

static void require(bool ok, const char *name, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "fixture %s: %s\n", name, what);
    exit(1);
}

static double *read_one(const sy_safetensors *file, const char *name, uint64_t *count)
{
    const sy_stored_tensor *tensor = sy_safetensors_find(file, name);
    if (!tensor)
        return NULL;
    sy_error error = {0};
    double *out = calloc(tensor->count + 1, sizeof *out);
    require(out && sy_stored_read(tensor, out, tensor->count, &error), name, error.message);
    *count = tensor->count;
    return out;
}

double *fixture_read(const sy_safetensors *file, const char *name, uint64_t *count)
{
    char rest_name[128];
    uint64_t n = 0, n_rest = 0;
    double *out = read_one(file, name, &n);
    snprintf(rest_name, sizeof rest_name, "%s_rest", name);
    double *rest = out ? read_one(file, rest_name, &n_rest) : NULL;
    require(!rest || n == n_rest, name, "value and rest differ in size");
    for (uint64_t i = 0; rest && i < n; i++)
        out[i] += rest[i];
    free(rest);
    if (count)
        *count = n;
    return out;
}

fixture fixture_open(const char *name)
{
    char path[512];
    sy_error error = {0};
    uint64_t x = 0, time = 0, label = 0, weights = 0, output = 0;
    fixture f = {.name = name};
    snprintf(path, sizeof path, "%s/tests/zoo/fixtures/%s.safetensors", SY_SOURCE_DIR, name);
    f.file = sy_safetensors_open(path, 0, &error);
    require(f.file, name, error.message);
    require(sy_zoo_config_from_file(f.file, &f.config, &error), name, error.message);
    f.x = fixture_read(f.file, "reference.x", &x);
    f.time = fixture_read(f.file, "reference.time", &time);
    f.label = fixture_read(f.file, "reference.label", &label);
    f.label_weights = fixture_read(f.file, "reference.label_weights", &weights);
    f.output = fixture_read(f.file, "reference.output", &output);
    f.output_exact_weights = fixture_read(f.file, "reference.output_exact_weights", NULL);
    require(f.x && f.time && f.label && f.output, name, "a tensor is missing");
    const sy_network_config *c = &f.config;
    f.batch = (int32_t)time;
    f.tokens = (c->side / c->patch) * (c->side / c->patch);
    f.sample_values = (uint64_t)(c->channels * c->side * c->side);
    f.output_values = (uint64_t)(c->channels_out * c->side * c->side);
    f.label_values = c->words ? (uint64_t)c->words : 1;
    require(x == time * f.sample_values && output == time * f.output_values && label == time * f.label_values, name,
            "sizes do not fit");
    require(c->words ? weights == label : !f.label_weights, name, "label weights do not fit");
    return f;
}

void fixture_close(fixture *f)
{
    free(f->x);
    free(f->time);
    free(f->label);
    free(f->label_weights);
    free(f->output);
    free(f->output_exact_weights);
    sy_safetensors_close(&f->file);
}

sy_graph *fixture_graph(const fixture *f, int32_t batch)
{
    const sy_network_config *c = &f->config;
    sy_error error = {0};
    sy_graph *g = sy_graph_create(f->name);
    require(g, f->name, "no memory");
    sy_zoo_inputs in = {.x = sy_input(g, "x", SY_T(SY_F32, batch, c->channels, c->side, c->side)),
                        .time = sy_input(g, "time", SY_T(SY_F32, batch))};
    in.label = sy_input(g, "label", c->words ? SY_T(SY_I32, batch, c->words) : SY_T(SY_I32, batch));
    if (c->words)
        in.label_weights = sy_input(g, "label_weights", SY_T(SY_F32, batch, c->words));
    sy_output(g, "output", sy_zoo_build(g, c, &in));
    require(sy_graph_check(g, &error), f->name, error.message);
    return g;
}

const double *fixture_input(const fixture *f, const char *name, int32_t first)
{
    if (!strcmp(name, "x"))
        return f->x + (uint64_t)first * f->sample_values;
    if (!strcmp(name, "time"))
        return f->time + first;
    if (!strcmp(name, "label"))
        return f->label + (uint64_t)first * f->label_values;
    if (!strcmp(name, "label_weights") && f->label_weights)
        return f->label_weights + (uint64_t)first * f->label_values;
    return NULL;
}

double *fixture_route(const fixture *f, int32_t block, uint64_t *count)
{
    char name[64];
    snprintf(name, sizeof name, "reference.route.%d", (int)block);
    return fixture_read(f->file, name, count);
}

double fixture_error(const double *a, const double *b, uint64_t count)
{
    double difference = 0, size = 0;
    for (uint64_t i = 0; i < count; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    double error = sqrt(difference / size);
    return isnan(error) ? INFINITY : error;
}
