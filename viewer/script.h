/* Scripts: one command a line, words separated by spaces, "…" for words with spaces, # begins a comment. What is wrong
 * with a line is said as FILE:LINE before anything runs. */
#ifndef SY_VIEWER_SCRIPT_H
#define SY_VIEWER_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { SCRIPT_WORDS = 8 };

struct app;
typedef struct script script;

typedef enum script_result { SCRIPT_DONE, SCRIPT_AGAIN, SCRIPT_WRONG } script_result;
/* A line: words[0] is the command. */
typedef struct script_line {
    int number, n;
    char *words[SCRIPT_WORDS];
} script_line;

typedef struct script_command {
    const char *name, *arguments; /* for the help: "X Y [WIDTH HEIGHT]" */
    int least, most;              /* words after the name */
    const char *help;
    /* SCRIPT_AGAIN: not yet, ask again after the next frame. SCRIPT_WRONG after writing why. */
    script_result (*run)(struct app *a, const script_line *line, char *error, size_t size);
} script_command;
/* script_act.c; false past the end. */
bool script_command_at(int index, const script_command **command);

/* NULL after writing why, with file and line. */
script *script_load(const char *path, char *error, size_t size);
void script_free(script **s);
/* Runs what can be run now, one command between two frames. True: nothing was done, for it waits or has ended. */
bool script_step(script *s, struct app *a);
bool script_ended(const script *s);
const char *script_error(const script *s); /* "": none */
void script_help(FILE *to);

#endif
