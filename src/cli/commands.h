/* The command line: one file a command, each `int sy_command_NAME(int argc, char **argv)` with argv[0] its name.
 * They return the exit status. */
#ifndef SY_CLI_COMMANDS_H
#define SY_CLI_COMMANDS_H

#include "src/device/device.h"
#include "src/switchyard.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SY_EXIT_DONE = 0,
    SY_EXIT_FAILED = 1,     /* it could not be done: a message on standard error says why */
    SY_EXIT_USAGE = 2,      /* the arguments are wrong; nothing was done */
    SY_EXIT_CANCELLED = 130 /* Ctrl-C; nothing is left half written */
};

/* Name, what it does in one line. */
#define SY_COMMANDS(X)                                                                                                 \
    X(generate, "make pictures, and maps of which expert made which part")                                             \
    X(view, "see the routing while the picture comes: a window, or an image")                                          \
    X(compare, "make the same pictures with and without settings, side by side")                                       \
    X(settings, "list the settings of generate and compare")                                                           \
    X(run, "run any graph in the text form on .npy arrays")                                                            \
    X(profile, "say where the time of a model or a graph goes, dispatch by dispatch")                                   \
    X(replay, "run a recorded step again, on any device, and compare")                                                 \
    X(compile, "show what the compiler makes of a graph or a model")                                                   \
    X(tune, "find the fastest variant of each kernel on this device")                                                   \
    X(systems, "list the published systems, which of them run, and what proves it")                                    \
    X(devices, "list Vulkan devices")                                                                                  \
    X(doctor, "say what is missing, and test every kernel on a device")

#define X(name, doc) int sy_command_##name(int argc, char **argv);
SY_COMMANDS(X)
#undef X

/* "switchyard NAME: message" on standard error, with the way to the help; returns SY_EXIT_USAGE. */
int sy_cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "switchyard NAME: message" on standard error; returns SY_EXIT_FAILED. */
int sy_cli_fail(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whole-text numbers; false (after a message that names the option and the range) otherwise. */
bool sy_cli_u32(const char *command, const char *option, const char *text, uint32_t least, uint32_t most,
                uint32_t *out);
bool sy_cli_double(const char *command, const char *option, const char *text, double least, double most, double *out);

/* A context whose validation messages, where the layer is on, go to standard error. NULL when memory is out. */
sy_context *sy_cli_context(void);
/* The same for whoever looks at instances themselves. */
void sy_cli_validation(void *user, sy_severity severity, const char *text);

/* Settings as given, in order: copies of "NAME=VALUE". Zero is ready to begin. */
enum { SY_CLI_SETTINGS = 64 };
typedef struct sy_cli_settings {
    sy_named_setting settings[SY_CLI_SETTINGS];
    char *copies[SY_CLI_SETTINGS];
    uint32_t n;
} sy_cli_settings;
/* "NAME=VALUE" joins the list; false (after a message) if it is not of that form, or there is no such setting. */
bool sy_cli_take_setting(const char *command, sy_cli_settings *list, const char *text);
void sy_cli_free_settings(sy_cli_settings *list);

/* Rules of --steer, as given. Zero is ready to begin. */
enum { SY_CLI_STEERS = 256 };
typedef struct sy_cli_steers {
    sy_steer rules[SY_CLI_STEERS];
    const char *texts[SY_CLI_STEERS]; /* as given, borrowed */
    char *copies[SY_CLI_STEERS];
    uint32_t n;
} sy_cli_steers;
/* "[ROUTE:]off=N|to=N[@X,Y,W,H][#I]" joins the list; false (after a message) if it is not of that form. */
bool sy_cli_take_steer(const char *command, sy_cli_steers *list, const char *text);
void sy_cli_free_steers(sy_cli_steers *list);

/* From now on Ctrl-C and SIGTERM only set a flag, which sy_cli_interrupted reads; a second one ends the process. */
void sy_cli_catch_interrupt(void);
bool sy_cli_interrupted(void);

/* Path of the model that comes with Switchyard: $SWITCHYARD_MODEL, or beside the program, or in the source tree; NULL
 * if there is none. Static storage. */
const char *sy_cli_default_model(void);

/* Name of the compiler's pass at a place in the pipeline; NULL past the last. */
const char *sy_cli_pass(uint32_t index, const char **doc);

#endif
