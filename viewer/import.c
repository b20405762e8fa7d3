/* See import.h. */
#include "viewer/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct import {
    gpu_buffer buffer;
    sy_history history;
    sy_history_tap *taps;
    sy_history_form *forms;    /* one a tap */
    sy_history_slice *slices;  /* [taps][evaluations] */
    sy_evaluation *evaluations;
    char *names;
};

static uint32_t most_slots(const sy_tap_result *t)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < t->evaluations; i++)
        most = t->steps[i].n_slots > most ? t->steps[i].n_slots : most;
    return most;
}

/* The sections one behind another. */
static sy_history_route layout_of(const sy_tap_result *t)
{
    uint32_t slots = most_slots(t), at = 0;
    sy_history_route r = {.n_rows = t->rows, .n_targets = t->targets, .n_slots = (int32_t)slots};
    uint32_t *sections[] = {&r.count, &r.offsets, &r.rows, &r.targets, &r.weights, &r.row_offsets, &r.row_slots};
    const uint32_t sizes[] = {1, (uint32_t)t->targets + 1, slots, slots, slots, (uint32_t)t->rows + 1, slots};
    for (int i = 0; i < 7; i++) {
        *sections[i] = at;
        at += sizes[i];
    }
    r.words = at;
    return r;
}

/* Slots come sorted by (target, row); rows get theirs, targets ascending, by counting. */
static void write_route(const sy_history_route *r, const sy_route_step *step, uint32_t *words)
{
    uint32_t *offsets = words + r->offsets, *row_offsets = words + r->row_offsets;
    memset(words, 0, (size_t)r->words * 4);
    words[r->count] = step->n_slots;
    for (uint32_t s = 0; s < step->n_slots; s++) {
        words[r->rows + s] = (uint32_t)step->row[s];
        words[r->targets + s] = (uint32_t)step->target[s];
        memcpy(words + r->weights + s, &step->weight[s], 4);
        offsets[step->target[s] + 1]++;
        row_offsets[step->row[s] + 1]++;
    }
    for (int32_t e = 0; e < r->n_targets; e++)
        offsets[e + 1] += offsets[e];
    for (int32_t t = 0; t < r->n_rows; t++)
        row_offsets[t + 1] += row_offsets[t];
    for (uint32_t s = step->n_slots; s-- > 0;) { /* from behind, so that the ends count down to the beginnings */
        uint32_t row = (uint32_t)step->row[s];
        words[r->row_slots + --row_offsets[row + 1]] = s;
    }
    for (int32_t t = 0; t < r->n_rows; t++)
        row_offsets[t] = row_offsets[t + 1];
    row_offsets[r->n_rows] = step->n_slots;
}

static uint64_t slice_bytes(const sy_tap_result *t, const sy_history_form *form)
{
    return t->is_route ? (uint64_t)form->route.words * 4 : t->evaluations ? t->array.bytes / t->evaluations : 0;
}

static bool there(const sy_tap_result *t, uint32_t evaluation)
{
    return evaluation < t->evaluations && (!t->is_route || t->steps[evaluation].n_slots > 0);
}

/* Places every slice; returns the bytes of them all. */
static uint64_t place(import *m, const sy_result *r)
{
    uint64_t at = 0;
    size_t name = 0;
    for (uint32_t i = 0; i < r->n_taps; i++) {
        const sy_tap_result *t = &r->taps[i];
        sy_history_slice *slices = m->slices + (size_t)i * r->n_evaluations;
        m->forms[i] = (sy_history_form){.array = t->array};
        m->forms[i].array.data = NULL;
        if (t->is_route)
            m->forms[i].route = layout_of(t);
        strcpy(m->names + name, t->name);
        m->taps[i] = (sy_history_tap){.name = m->names + name,
                                      .is_route = t->is_route,
                                      .forms = &m->forms[i],
                                      .n_forms = 1,
                                      .slices = slices};
        name += strlen(t->name) + 1;
        for (uint32_t e = 0; e < r->n_evaluations; e++) {
            uint64_t bytes = there(t, e) ? slice_bytes(t, &m->forms[i]) : 0;
            slices[e] = (sy_history_slice){.offset = at, .bytes = bytes};
            at += (bytes + 3) & ~(uint64_t)3;
        }
    }
    return at;
}

static void fill(import *m, const sy_result *r)
{
    for (uint32_t i = 0; i < r->n_taps; i++) {
        const sy_tap_result *t = &r->taps[i];
        sy_history_slice *slices = m->slices + (size_t)i * r->n_evaluations;
        for (uint32_t e = 0; e < r->n_evaluations; e++) {
            uint8_t *to = (uint8_t *)m->buffer.mapped + slices[e].offset;
            if (!slices[e].bytes)
                continue;
            slices[e].buffer = m->buffer.handle;
            if (t->is_route)
                write_route(&m->forms[i].route, &t->steps[e], (uint32_t *)(void *)to);
            else
                memcpy(to, (const uint8_t *)t->array.data + e * slices[e].bytes, slices[e].bytes);
        }
    }
}

bool import_result(gpu *g, const sy_result *r, import **made)
{
    import *m = *made = calloc(1, sizeof *m);
    size_t names = 1;
    for (uint32_t i = 0; i < r->n_taps; i++)
        names += strlen(r->taps[i].name) + 1;
    if (m) {
        m->taps = calloc((size_t)r->n_taps + 1, sizeof *m->taps);
        m->forms = calloc((size_t)r->n_taps + 1, sizeof *m->forms);
        m->slices = calloc((size_t)r->n_taps * r->n_evaluations + 1, sizeof *m->slices);
        m->evaluations = calloc((size_t)r->n_evaluations + 1, sizeof *m->evaluations);
        m->names = calloc(names, 1);
    }
    if (!m || !m->taps || !m->forms || !m->slices || !m->evaluations || !m->names) {
        snprintf(g->error, sizeof g->error, "no memory for the other run");
        import_destroy(g, made);
        return false;
    }
    memcpy(m->evaluations, r->evaluations, r->n_evaluations * sizeof *m->evaluations);
    for (uint32_t i = 0; i < r->n_evaluations; i++) /* the name would go with the result */
        m->evaluations[i].program = !strcmp(r->evaluations[i].program, "cached")    ? "cached"
                                    : !strcmp(r->evaluations[i].program, "active")  ? "active"
                                    : !strcmp(r->evaluations[i].program, "refresh") ? "refresh"
                                                                                    : "full";
    uint64_t bytes = place(m, r);
    m->history = (sy_history){.taps = m->taps,
                              .n_taps = r->n_taps,
                              .evaluations = m->evaluations,
                              .n_evaluations = r->n_evaluations,
                              .count = r->count,
                              .width = r->width,
                              .height = r->height,
                              .channels = r->channels,
                              .tokens_per_picture = r->tokens_per_picture,
                              .grid_width = r->grid_width,
                              .grid_height = r->grid_height,
                              .device_bytes = bytes};
    if (!gpu_buffer_create(g, bytes ? bytes : 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT,
                           GPU_HOST_WRITE, &m->buffer)) {
        import_destroy(g, made);
        return false;
    }
    fill(m, r);
    return true;
}

const sy_history *import_history(const import *m)
{
    return &m->history;
}

void import_destroy(gpu *g, import **made)
{
    import *m = *made;
    *made = NULL;
    if (!m)
        return;
    gpu_buffer_destroy(g, &m->buffer);
    free(m->taps);
    free(m->forms);
    free(m->slices);
    free(m->evaluations);
    free(m->names);
    free(m);
}
