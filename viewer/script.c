/* See script.h: reading scripts, and going through them. */
#include "viewer/script.h"
#include "viewer/app.h"
#include "viewer/file.h"

#include <stdlib.h>
#include <string.h>

struct script {
    char path[512];
    char *text; /* the words point into it */
    script_line *lines;
    int n, next;
    uint32_t frame; /* frames drawn when the last command ran */
    char error[1200];
};

/* Cuts a line into words, in place. False after writing what is wrong. */
static bool cut(char *text, script_line *line, char *error, size_t size)
{
    line->n = 0;
    for (;;) {
        text += strspn(text, " \t\r");
        if (!*text || *text == '#')
            return true;
        if (line->n == SCRIPT_WORDS) {
            snprintf(error, size, "more than %d words", SCRIPT_WORDS);
            return false;
        }
        const bool quoted = *text == '"';
        text += quoted;
        line->words[line->n++] = text;
        char *end = text + strcspn(text, quoted ? "\"" : " \t\r");
        if (quoted && !*end) {
            snprintf(error, size, "the quote is not closed");
            return false;
        }
        text = *end ? end + 1 : end;
        *end = 0;
    }
}

static const script_command *command_of(const char *name)
{
    const script_command *c;
    for (int i = 0; script_command_at(i, &c); i++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static bool check(const script_line *line, char *error, size_t size)
{
    const script_command *c = command_of(line->words[0]);
    if (!c)
        snprintf(error, size, "there is no command \"%s\"; switchyard view --help-script lists them", line->words[0]);
    else if (line->n - 1 < c->least || line->n - 1 > c->most)
        snprintf(error, size, "%s takes: %s %s", c->name, c->name, c->arguments);
    return c && line->n - 1 >= c->least && line->n - 1 <= c->most;
}

static bool read_lines(script *s, char *error, size_t size)
{
    int number = 0, room = 0;
    char why[300];
    for (char *at = s->text, *end; at; at = end) {
        end = strchr(at, '\n');
        if (end)
            *end++ = 0;
        if (s->n == room) {
            script_line *more = realloc(s->lines, sizeof *more * (size_t)(room = room ? room * 2 : 64));
            if (!more) {
                snprintf(error, size, "%s: no memory", s->path);
                return false;
            }
            s->lines = more;
        }
        script_line *line = &s->lines[s->n];
        line->number = ++number;
        if (!cut(at, line, why, sizeof why) || (line->n && !check(line, why, sizeof why))) {
            snprintf(error, size, "%s:%d: %s", s->path, number, why);
            return false;
        }
        s->n += line->n > 0;
    }
    return true;
}

script *script_load(const char *path, char *error, size_t size)
{
    size_t bytes;
    script *s = calloc(1, sizeof *s);
    if (!s) {
        snprintf(error, size, "%s: no memory", path);
        return NULL;
    }
    snprintf(s->path, sizeof s->path, "%s", path);
    s->text = file_read(path, &bytes, error, size);
    if (!s->text || !read_lines(s, error, size))
        script_free(&s);
    return s;
}

void script_free(script **handle)
{
    script *s = *handle;
    if (!s)
        return;
    free(s->lines);
    free(s->text);
    free(s);
    *handle = NULL;
}

bool script_step(script *s, app *a)
{
    /* What a command changed is seen two frames later: sizes settle in the second. */
    if (gui_events_waiting()) /* what was pressed counts from when all of it has been seen */
        s->frame = a->times.frames;
    if (script_ended(s) || gui_events_waiting() || a->made_again || (s->next && a->times.frames < s->frame + 2))
        return true;
    char why[600] = "";
    const script_line *line = &s->lines[s->next];
    script_result result = command_of(line->words[0])->run(a, line, why, sizeof why);
    if (result == SCRIPT_WRONG)
        snprintf(s->error, sizeof s->error, "%s:%d: %s", s->path, line->number, why);
    if (result == SCRIPT_DONE) {
        s->next++;
        s->frame = a->times.frames;
    }
    return result != SCRIPT_DONE;
}

bool script_ended(const script *s)
{
    return s->next == s->n || *s->error;
}

const char *script_error(const script *s)
{
    return s->error;
}

void script_help(FILE *to)
{
    const script_command *c;
    fputs("Scripts for switchyard view --script FILE: one command a line, \"…\" around words with spaces, # begins a comment.\n"
          "Places are pixels of the window from its top left corner.\n\n",
          to);
    for (int i = 0; script_command_at(i, &c); i++) {
        char head[80];
        snprintf(head, sizeof head, "%s %s", c->name, c->arguments);
        fprintf(to, "  %-30s %s\n", head, c->help);
    }
}
