/* The viewer as a whole: what every panel reads and changes. Drawing thread only; the engine has its own (engine.h).
 *
 *   stage.c    device, engine and what is made on the device: opened, and opened anew after a loss or on another device
 *   frame.c    one frame: look at the engine, build the panels, record, submit, present; when to draw one at all
 *   layout.c   where panels stand; panels.h lists them
 *   script.c   --script */
#ifndef SY_VIEWER_APP_H
#define SY_VIEWER_APP_H

#include "viewer/engine.h"
#include "viewer/export.h"
#include "viewer/gui.h"
#include "viewer/look.h"
#include "viewer/options.h"
#include "viewer/paint.h"
#include "viewer/runs.h"
#include "viewer/script.h"
#include "viewer/sight.h"
#include "viewer/swapchain.h"
#include "viewer/window.h"

enum { APP_DEVICES = 16 };

typedef struct frame_slot {
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence done;
    VkSemaphore acquired;
    bool busy;
    double event_time; /* of the input that it shows; 0: none */
} frame_slot;

/* What frames took, for --timings. */
typedef struct frame_times {
    uint32_t frames, frames_running, inputs;
    double running;                         /* seconds while generating */
    double building, recording, presenting; /* seconds, sums */
    double input_sum, input_most;           /* from input to presented */
    double first_picture;                   /* from start to the first step shown */
} frame_times;

typedef struct app {
    options *options;
    window *window; /* NULL: headless */
    uint32_t width, height;
    float scale; /* of the display */

    /* The stage. */
    sy_context *context;
    gpu g;
    paint p;
    swapchain swapchain;
    frame_slot slots[PAINT_FRAMES];
    uint32_t slot;
    bool staged;
    sy_device_info devices[APP_DEVICES]; /* as the context lists them, without the reference evaluator */
    uint32_t n_devices;
    char device[256];        /* wished for: name, "" the best */
    char device_shown[256];  /* the one there is */
    bool reopen;             /* open the stage anew before the next frame */
    bool wait_for_user;      /* and begin nothing then */
    bool made_again;         /* the run that goes on is the last one with its taps: app_follow_taps */

    sight sight;

    engine *engine;
    engine_state run;       /* as of this frame */
    uint64_t let_go;        /* epoch of the engine that was answered */
    const sy_model_info *model_seen; /* by app_model_opened */
    engine_request request; /* what the controls say */
    engine_request request_before; /* and said, before another model was asked for */
    look look;
    script *script; /* NULL: none */

    runs runs;
    export_job export;
    bool unsettled; /* the last frame lacks some of what it is to show, which is being computed */
    float middle[4]; /* of the window, in this frame: left, top, width, height */
    char numbers_path[1024], numbers_error[300]; /* numbers.h; "": none are wanted */
    bool numbers_given;

    char banner[2300]; /* an error that is shown until it is dismissed; "": none */
    bool banner_is_warning;
    bool show_help, quit, failed;
    bool focus_prompt; /* the keyboard goes there in the next frame */
    uint32_t redraw;   /* frames still to be drawn though nothing happens */
    bool animated;     /* something moves by itself: about twelve frames a second */
    float centre_x, centre_width; /* of the region in the middle, pixels */
    double started, last_frame, last_began;
    frame_times times;
} app;

/* ---- stage.c ---- */

/* Opens the device, starts the engine, opens the model. False with app.banner set; the stage is then closed. */
bool stage_open(app *a);
void stage_close(app *a); /* ends the run, waits for frames */
/* Waits until no frame is in flight. False when the device was lost. */
bool stage_wait(app *a);

/* ---- frame.c ---- */

/* Draws when there is reason to; waits for events, at most as long as nothing has to move. */
void frame_loop(app *a);
/* Without a window: builds a frame, and does what it records. */
bool frame_headless(app *a);
/* Writes what is seen, as of now, as a PNG. */
bool frame_screenshot(app *a, const char *path, char *error, size_t size);

/* ---- layout.c ---- */

void layout_build(app *a);

/* ---- what panels call ---- */

/* Cancels what runs and makes what the controls say. */
void app_generate(app *a);
/* Before a frame: what ended without taps, and is now looked at in a way that needs them, is made once more with them. */
void app_follow_taps(app *a);
/* A model has been opened: where there is no prompt it takes one that the model knows, and in a window begins. */
void app_model_opened(app *a);
/* A file was chosen: a model. */
void app_open_model(app *a, const char *path);
void app_device(app *a, const char *name);
/* Shown over everything until dismissed. */
void app_complain(app *a, bool warning, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The row of the histories that is looked at: of look.step. False: there is none yet. */
bool app_row(const app *a, uint32_t *row);

#endif
