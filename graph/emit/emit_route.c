/* route.build: entry_row/target/weight(i) pull the list; the template does the rest in the route's own buffer. */
#include "graph/emit/gen.h"
#include "graph/emit/manifest.h"

static void write_entry(sy_gen *gen, const char *head, sy_value list, int64_t length)
{
    const sy_type *type = &gen->graph->nodes[list].type;
    sy_ix index[SY_MAX_RANK];
    sy_gen_begin(gen, head);
    sy_ix_unflat(gen->ix, sy_ix_var(gen->ix, "i", 0, length - 1), type->dim, type->rank, index);
    sy_val v = sy_pull(gen, list, index);
    sy_gen_line(gen, v.dtype == SY_F32 ? "return %s;" : "return uint(%s);", v.text);
    sy_gen_end(gen);
}

int64_t sy_route_scratch(const sy_route_layout *at, int64_t *where)
{
    int64_t before = (int64_t)at->weights - at->offsets, after = (int64_t)at->words - at->row_offsets;
    *where = before >= after ? at->offsets : at->row_offsets;
    return before >= after ? before : after;
}

bool sy_emit_route(sy_gen *gen, sy_text *out)
{
    sy_value value = gen->group->anchors[0];
    const sy_node *node = &gen->graph->nodes[value];
    const sy_variant *v = sy_variant_find(gen->group->variant);
    const sy_route_layout at = sy_route_layout_of(&node->type);
    const struct sy_route_use *use = &gen->plan->route_uses[value];
    const sy_attributes *a = &node->attributes;
    int64_t length = (int64_t)sy_type_count(&gen->graph->nodes[node->args[0]].type), log = 0, where = 0;
    int64_t rows = node->type.dim[SY_ROUTE_ROWS], targets = node->type.dim[SY_ROUTE_TARGETS];
    int64_t group_rows = a->group_rows > 0 ? a->group_rows : rows,
            keys = (rows + group_rows - 1) / group_rows * targets;
    int64_t room = sy_route_scratch(&at, &where);
    while (1u << log < v->local[0])
        log++;
    uint32_t binding = gen->group->n_inputs;
    gen->uses[binding] |= 1;
    write_entry(gen, "uint entry_row(uint i)", node->args[0], length);
    write_entry(gen, "uint entry_target(uint i)", node->args[1], length);
    write_entry(gen, "float entry_weight(uint i)", node->args[2], length);
    sy_text_printf(out, "#define route b%u.d\n", binding);
    sy_text_add_bytes(out, gen->functions.data, gen->functions.size);
    sy_text consumers = {0};
    sy_text_add(&consumers, "");
    for (uint32_t c = 0; c < use->n_consumers; c++)
        sy_text_printf(&consumers, "        route[%uu] = %uu;\n        route[%uu] = tiles;\n        route[%uu] = 1u;\n",
                       at.indirect + 3 * c, use->columns[c], at.indirect + 3 * c + 1, at.indirect + 3 * c + 2);
    const sy_template_value values[] = {
        {"local", v->local[0], NULL},
        {"local4", v->local[0] / 4, NULL},
        {"unrolled", v->step, NULL},
        {"log", log, NULL},
        {"length", length, NULL},
        {"rows", rows, NULL},
        {"targets", targets, NULL},
        {"slots", node->type.dim[SY_ROUTE_SLOTS], NULL},
        {"capacity", a->capacity, NULL},
        {"group_rows", group_rows, NULL},
        {"dense", a->capacity && keys <= room, NULL},
        {"sparse", a->capacity && keys > room, NULL},
        {"room", room, NULL},
        {"scratch", where, NULL},
        {"keys", keys, NULL},
        {"at_count", at.count, NULL},
        {"at_offsets", at.offsets, NULL},
        {"at_rows", at.rows, NULL},
        {"at_targets", at.targets, NULL},
        {"at_weights", at.weights, NULL},
        {"at_row_offsets", at.row_offsets, NULL},
        {"at_row_slots", at.row_slots, NULL},
        {"at_tiles", at.tiles, NULL},
        {"tile_rows", use->tile_rows, NULL},
        {"consumers", 0, consumers.data ? consumers.data : ""},
    };
    bool ok = sy_template_expand(v->file, v->section, values, sizeof values / sizeof *values, out, gen->error);
    sy_text_free(&consumers);
    return ok;
}
