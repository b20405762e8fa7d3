/* See export.h. */
#include "viewer/app.h"
#include "viewer/layers.h"
#include "viewer/offscreen.h"
#include "viewer/png.h"
#include "viewer/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[EXPORT_KINDS] = {"view", "picture", "steps", "routes"};

const char *export_kind_name(export_kind kind)
{
    return (unsigned)kind < EXPORT_KINDS ? names[kind] : NULL;
}

/* ---- the middle of the window ---- */

/* Of the frame that was built last: the caller's (free), or NULL after writing why. */
static uint8_t *shoot(app *a, uint32_t *width, uint32_t *height, char *error, size_t size)
{
    uint8_t *rgb = NULL;
    const uint32_t x = (uint32_t)a->middle[0], y = (uint32_t)a->middle[1];
    if (!stage_wait(a) || !offscreen_shot(&a->g, &a->p, a->width, a->height, &rgb)) {
        snprintf(error, size, "it cannot be drawn: %.400s", a->g.error);
        return NULL;
    }
    *width = x + (uint32_t)a->middle[2] <= a->width ? (uint32_t)a->middle[2] : a->width - x;
    *height = y + (uint32_t)a->middle[3] <= a->height ? (uint32_t)a->middle[3] : a->height - y;
    for (uint32_t row = 0; row < *height; row++)
        memmove(rgb + (size_t)row * *width * 3, rgb + ((size_t)(y + row) * a->width + x) * 3, (size_t)*width * 3);
    return rgb;
}

static bool write_with_text(app *a, const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, char *error,
                            size_t size)
{
    char title[1200] = "", step[48] = "";
    uint32_t row;
    if (app_row(a, &row)) {
        request_title(&a->run.request, title, sizeof title);
        snprintf(step, sizeof step, "%u of %u", a->run.current->evaluations[row].step + 1, a->run.info.steps);
    }
    const png_text texts[] = {{"Software", "switchyard view"}, {"Title", title},   {"Prompt", a->run.request.prompt},
                              {"Model", a->run.model_path},    {"Device", a->run.device}, {"Sampler", a->run.sampler},
                              {"Step", step},                  {"Layer", a->look.layer},
                              {"Overlay", look_overlay_name(a->look.overlay)}};
    png_text some[sizeof texts / sizeof *texts];
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].value && *texts[i].value) /* empty ones are no PNG */
            some[n++] = texts[i];
    return png_write(path, rgb, width, height, some, n, error, size);
}

static bool export_view(app *a, char *error, size_t size)
{
    uint32_t width, height;
    uint8_t *rgb = shoot(a, &width, &height, error, size);
    bool ok = rgb && write_with_text(a, a->export.path, rgb, width, height, error, size);
    free(rgb);
    return ok;
}

/* ---- the picture itself ---- */

static uint8_t to_byte(float x)
{
    float y = 127.5f * x + 128.0f;
    return y >= 255.0f ? 255 : y >= 0.0f ? (uint8_t)y : 0; /* not a number: 0 */
}

static bool read_slice(app *a, const sy_history_slice *slice, gpu_buffer *host)
{
    gpu *g = &a->g;
    VkCommandBuffer commands;
    const VkBufferCopy copy = {.srcOffset = slice->offset, .size = slice->bytes};
    if (!gpu_buffer_create(g, slice->bytes, VK_BUFFER_USAGE_TRANSFER_DST_BIT, GPU_HOST_READ, host) ||
        !gpu_now_begin(g, &commands))
        return false;
    g->vk.vkCmdCopyBuffer(commands, slice->buffer, host->handle, 1, &copy);
    return gpu_now_end(g, &commands);
}

static bool export_picture(app *a, char *error, size_t size)
{
    uint32_t row;
    const sy_history *h = a->run.current;
    const sy_history_slice *slice;
    const sy_history_form *form;
    gpu_buffer host = {0};
    if (!app_row(a, &row) || !layer_slice_at(h, layers_preview(h), row, &slice, &form)) {
        snprintf(error, size, "this step has no picture");
        return false;
    }
    const int32_t *dim = form->array.dim;
    const size_t pixels = (size_t)dim[2] * (size_t)dim[3], picture = (size_t)a->look.picture % h->count;
    uint8_t *rgb = malloc(pixels * 3);
    bool ok = rgb && read_slice(a, slice, &host);
    const float *from = ok ? (const float *)host.mapped + picture * (size_t)dim[1] * pixels : NULL;
    for (size_t i = 0; ok && i < pixels; i++)
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] = to_byte(from[((int32_t)c < dim[1] ? c : (size_t)dim[1] - 1) * pixels + i]);
    if (!ok)
        snprintf(error, size, "the picture cannot be read: %.400s", rgb ? a->g.error : "no memory");
    ok = ok && write_with_text(a, a->export.path, rgb, (uint32_t)dim[3], (uint32_t)dim[2], error, size);
    gpu_buffer_destroy(&a->g, &host);
    free(rgb);
    return ok;
}

/* ---- the job ---- */

static void finish(app *a, bool failed, const char *why)
{
    export_job *j = &a->export;
    if (j->kind == EXPORT_STEPS)
        a->look.step = j->step_before;
    movie_free(&j->movie);
    j->active = false;
    j->failed = failed;
    if (failed)
        snprintf(j->said, sizeof j->said, "%s", why);
    else
        snprintf(j->said, sizeof j->said, "written to %.560s", j->path);
    a->redraw = a->redraw ? a->redraw : 1;
}

bool export_begin(app *a, export_kind kind, const char *path, char *error, size_t size)
{
    export_job *j = &a->export;
    uint32_t row;
    if (j->active || strlen(path) >= sizeof j->path || !*path) {
        snprintf(error, size, j->active ? "another export is going on" : "that is no file's name");
        return false;
    }
    if (!app_row(a, &row) || (kind == EXPORT_ROUTES && a->run.phase != ENGINE_DONE && a->run.phase != ENGINE_CANCELLED)) {
        snprintf(error, size, kind == EXPORT_ROUTES ? "the run has to end first" : "there is nothing to export yet");
        return false;
    }
    *j = (export_job){.active = true, .kind = kind, .step_before = a->look.step, .ms = 200};
    snprintf(j->path, sizeof j->path, "%s", path);
    a->look.playing = a->look.playing && kind != EXPORT_STEPS;
    if (kind == EXPORT_ROUTES)
        engine_save_routes(a->engine, path);
    a->redraw = a->redraw ? a->redraw : 1;
    return true;
}

/* The row of the next frame: that of an evaluation that ends a step. */
static bool set_row(app *a)
{
    export_job *j = &a->export;
    const sy_history *h = a->run.current;
    while (h && j->row + 1 < a->run.done && h->evaluations[j->row + 1].step == h->evaluations[j->row].step)
        j->row++;
    if (!h || j->row >= a->run.done)
        return false;
    a->look.step = (int)h->evaluations[j->row].step;
    return true;
}

void export_before_frame(app *a)
{
    export_job *j = &a->export;
    char why[500];
    if (!j->active)
        return;
    a->redraw = a->redraw ? a->redraw : 1;
    if (j->kind == EXPORT_ROUTES) {
        bool failed;
        if (engine_routes_saved(a->engine, &failed, why, sizeof why))
            finish(a, failed, why);
        return;
    }
    if (j->kind != EXPORT_STEPS)
        return;
    if (j->movie && movie_over(j->movie, why, sizeof why)) {
        finish(a, *why, why);
        return;
    }
    if (!set_row(a) && j->movie)
        movie_end(j->movie);
}

/* The frame that was built shows what is wanted, unless some of it is still being computed. */
static void add_frame(app *a)
{
    export_job *j = &a->export;
    char why[500];
    uint32_t width, height;
    const uint32_t last = a->run.done - 1;
    if (j->row >= a->run.done || (j->movie && !movie_ready(j->movie)))
        return;
    uint8_t *rgb = shoot(a, &width, &height, why, sizeof why);
    if (rgb && !j->movie) {
        j->width = width;
        j->height = height;
        j->movie = movie_begin(j->path, width, height, why, sizeof why);
    }
    if (rgb && j->movie && (width != j->width || height != j->height)) {
        snprintf(why, sizeof why, "the window changed its size while it was recorded");
        free(rgb);
        finish(a, true, why);
    } else if (!rgb || !j->movie) {
        free(rgb);
        finish(a, true, why);
    } else if (movie_add(j->movie, rgb, j->row == last ? 10 * j->ms : j->ms)) {
        j->row++;
    } else {
        free(rgb);
    }
}

void export_after_frame(app *a)
{
    export_job *j = &a->export;
    char why[500];
    if (!j->active || j->kind == EXPORT_ROUTES || a->unsettled)
        return;
    if (j->kind == EXPORT_STEPS) {
        add_frame(a);
        return;
    }
    bool ok = j->kind == EXPORT_VIEW ? export_view(a, why, sizeof why) : export_picture(a, why, sizeof why);
    finish(a, !ok, why);
}

void export_stop(app *a)
{
    if (a->export.active)
        finish(a, true, "it was stopped");
}
