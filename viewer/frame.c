/* See app.h: one frame, and when to draw one.
 *
 * A frame is drawn after input (and once more, for what hovers and folds), when the engine has news, and while something
 * moves by itself; the last two at most FRAMES_A_SECOND, so that drawing takes little from generating where both share
 * the processor. Nothing here waits for the network longer than for the bounded submission in front of the frame. */
#include "viewer/app.h"
#include "viewer/offscreen.h"
#include "viewer/panels.h"
#include "viewer/png.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_A_SECOND = 15, AFTER_INPUT = 2, MOST_SETTLING = 12 };

/* Takes the engine's state; what it wants back is let go once no frame in flight can read it. */
static bool look_at_engine(app *a)
{
    if (!a->engine)
        return true;
    engine_look(a->engine, &a->run);
    if (a->run.epoch != a->let_go) { /* scripts look, too, and let nothing go */
        if (!stage_wait(a))
            return false;
        sight_let_go(a);
        engine_let_go(a->engine, a->run.epoch);
        a->let_go = a->run.epoch;
    }
    if (a->run.model && a->run.model != a->model_seen && a->run.phase != ENGINE_OPENING) {
        a->model_seen = a->run.model;
        app_model_opened(a);
    }
    if (a->run.phase == ENGINE_FAILED && a->run.model && strcmp(a->run.model_path, a->request.model) != 0)
        a->request = a->request_before; /* that model could not be opened: the one before stays */
    if (a->run.status == SY_ERROR_DEVICE_LOST && a->run.phase == ENGINE_FAILED) {
        snprintf(a->g.error, sizeof a->g.error, "%.500s", a->run.message);
        a->g.lost = true;
    }
    return !a->g.lost;
}

static void build(app *a, double seconds)
{
    double began = window_time();
    runs_follow(a);
    app_follow_taps(a);
    export_before_frame(a);
    sight_begin(a);
    gui_begin((float)a->width, (float)a->height, seconds);
    layout_build(a);
    gui_end();
    a->times.building += window_time() - began;
}

/* The slot whose last frame is done; NULL: not yet, or the device was lost. */
static frame_slot *next_slot(app *a)
{
    gpu *g = &a->g;
    frame_slot *s = &a->slots[a->slot];
    if (s->busy) {
        VkResult result = g->vk.vkWaitForFences(g->sy.device, 1, &s->done, VK_TRUE, 100ull * 1000 * 1000);
        if (result == VK_TIMEOUT || !gpu_check(g, result, "waiting for the last frame"))
            return NULL;
        s->busy = false;
    }
    return s;
}

static bool begin_commands(app *a, frame_slot *s)
{
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                           .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    return gpu_check(&a->g, a->g.vk.vkResetFences(a->g.sy.device, 1, &s->done), "drawing") &&
           gpu_check(&a->g, a->g.vk.vkBeginCommandBuffer(s->commands, &info), "drawing");
}

static bool submit(app *a, frame_slot *s, uint32_t image)
{
    const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                               .waitSemaphoreCount = a->window ? 1 : 0,
                               .pWaitSemaphores = &s->acquired,
                               .pWaitDstStageMask = &stage,
                               .commandBufferCount = 1,
                               .pCommandBuffers = &s->commands,
                               .signalSemaphoreCount = a->window ? 1 : 0,
                               .pSignalSemaphores = a->window ? &a->swapchain.drawn[image] : NULL};
    s->busy = gpu_check(&a->g, a->g.vk.vkEndCommandBuffer(s->commands), "drawing") && gpu_submit(&a->g, &info, s->done);
    a->slot = (a->slot + 1) % PAINT_FRAMES;
    return s->busy;
}

/* On drivers that run on the processor presenting waits for the drawing, with the queue's lock held: better to have
 * waited before. */
static void wait_drawn(app *a, frame_slot *s)
{
    if (a->g.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU)
        a->g.vk.vkWaitForFences(a->g.sy.device, 1, &s->done, VK_TRUE, 200ull * 1000 * 1000);
}

static void count_frame(app *a, double event_time)
{
    frame_times *t = &a->times;
    double now = window_time();
    t->frames++;
    t->frames_running += a->run.phase == ENGINE_RUNNING;
    if (!t->first_picture && a->run.done)
        t->first_picture = now - a->started;
    if (event_time) {
        double latency = now - event_time;
        t->inputs++;
        t->input_sum += latency;
        t->input_most = fmax(t->input_most, latency);
    }
}

/* Draws what was built into the window. False: not now, or an error in gpu.error. */
static bool show(app *a, frame_slot *s, double event_time)
{
    uint32_t image;
    if (!swapchain_acquire(&a->swapchain, s->acquired, &image))
        return false;
    double began = window_time();
    a->reopen = true; /* an image that was taken must be presented: where that fails, all is opened anew */
    bool ok = begin_commands(a, s);
    if (ok)
        a->unsettled = sight_record(a, s->commands);
    if (!ok ||
        !paint_record(&a->p, a->slot, true, s->commands, a->swapchain.framebuffers[image], a->swapchain.width,
                      a->swapchain.height) ||
        !submit(a, s, image))
        return false;
    a->reopen = false;
    double recorded = window_time();
    wait_drawn(a, s);
    ok = swapchain_present(&a->swapchain, image);
    a->times.recording += recorded - began;
    a->times.presenting += window_time() - recorded;
    count_frame(a, event_time);
    return ok;
}

/* After an error: the device is gone, or drawing goes on without this frame. */
static void judge(app *a)
{
    if (a->g.lost) {
        app_complain(a, false, "The device was lost and has been opened again. Generate starts the run anew.\n%s",
                     a->g.error);
        a->reopen = a->wait_for_user = true; /* the run itself may be what it was lost by */
    } else if (*a->g.error) {
        app_complain(a, false, "Drawing failed: %s.", a->g.error);
        a->swapchain.stale = true;
    }
    a->g.error[0] = 0;
}

static bool fit(app *a, const window_facts *facts)
{
    swapchain *s = &a->swapchain;
    const float scale = facts->scale * a->look.text_scale;
    if (s->lost && (!stage_wait(a) || !gpu_idle(&a->g) || !swapchain_renew(s, a->window))) {
        a->reopen = true; /* all of it anew, then */
        return false;
    }
    bool changed = s->stale || s->width != facts->width || s->height != facts->height;
    if (!changed && a->p.scale == scale)
        return true;
    if (!stage_wait(a) || (changed && (!gpu_idle(&a->g) || !swapchain_fit(s, &a->p, facts->width, facts->height))))
        return false;
    if (s->stale)
        return false;
    a->width = s->width;
    a->height = s->height;
    return paint_fonts(&a->p, scale);
}

static bool draw(app *a, const window_facts *facts)
{
    double now = window_time(), seconds = now - a->last_began;
    a->last_began = now;
    if (!look_at_engine(a) || !fit(a, facts))
        return false;
    frame_slot *s = next_slot(a);
    if (!s)
        return false;
    build(a, seconds);
    window_cursor(a->window, gui_cursor_wanted());
    return show(a, s, facts->event_time);
}

static void reopen(app *a)
{
    stage_close(a);
    if (!stage_open(a)) {
        fprintf(stderr, "switchyard view: %s\n", a->banner);
        a->quit = a->failed = true;
    }
    a->redraw = AFTER_INPUT;
}

/* Whether the engine has published something since the last frame. */
static bool news(app *a)
{
    static engine_state now; /* large */
    engine_look(a->engine, &now);
    return now.epoch != a->run.epoch || now.phase != a->run.phase || now.done != a->run.done || now.run != a->run.run ||
           now.loading != a->run.loading || now.model != a->run.model || now.result != a->run.result;
}

void frame_loop(app *a)
{
    const double interval = 1.0 / FRAMES_A_SECOND;
    double waited_from = window_time();
    bool pending = false; /* the engine's news wait for their frame */
    a->redraw = AFTER_INPUT;
    while (!a->quit) {
        double left = a->last_frame + interval - window_time();
        const bool scripted = a->script && !script_ended(a->script);
        double wait = a->redraw || gui_events_waiting() ? 0 : pending || a->animated || scripted ? fmax(left, 0.001) : -1;
        bool input = window_events(a->window, wait);
        window_facts facts = window_look(a->window);
        a->quit = a->quit || facts.closing;
        if (a->reopen)
            reopen(a);
        if (a->quit)
            break;
        if (facts.dropped)
            app_open_model(a, facts.dropped);
        if (scripted && !script_step(a->script, a))
            a->redraw = AFTER_INPUT;
        if (scripted && script_ended(a->script) && a->options->screenshot) { /* as without a window: the end */
            a->quit = true;
            break;
        }
        if (input)
            a->redraw = AFTER_INPUT;
        pending = pending || news(a);
        if (a->run.phase == ENGINE_RUNNING)
            a->times.running += window_time() - waited_from;
        waited_from = window_time();
        bool due = (pending || a->animated || scripted) && window_time() - a->last_frame >= interval;
        if (!facts.width) { /* minimised: the engine must not wait for frames */
            if (!look_at_engine(a))
                judge(a);
            window_events(a->window, pending ? interval : 0);
            pending = false;
            continue;
        }
        if (!a->redraw && !due && !gui_events_waiting())
            continue;
        a->redraw -= a->redraw > 0;
        pending = false;
        a->last_frame = window_time();
        if (!draw(a, &facts)) {
            judge(a);
            a->redraw = a->redraw ? a->redraw : 1;
            window_events(a->window, 0.02);
        } else
            export_after_frame(a);
    }
}

bool frame_headless(app *a)
{
    if (!look_at_engine(a) || !paint_fonts(&a->p, a->scale * a->look.text_scale))
        return false;
    bool more = true;
    for (int i = 0; more && i < MOST_SETTLING; i++) { /* nobody sees half a frame: until all answers are there */
        frame_slot *s = next_slot(a);
        if (!s)
            return false;
        build(a, 1.0 / 60);
        if (!begin_commands(a, s))
            return false;
        a->unsettled = more = sight_record(a, s->commands);
        if (!submit(a, s, 0) || !stage_wait(a))
            return false;
        count_frame(a, 0);
    }
    export_after_frame(a);
    return true;
}

bool frame_screenshot(app *a, const char *path, char *error, size_t size)
{
    uint8_t *rgb = NULL;
    if (!stage_wait(a) || !offscreen_shot(&a->g, &a->p, a->width, a->height, &rgb)) {
        snprintf(error, size, "%s cannot be drawn: %s", path, a->g.error);
        return false;
    }
    bool ok = png_write(path, rgb, a->width, a->height, NULL, 0, error, size);
    free(rgb);
    return ok;
}
