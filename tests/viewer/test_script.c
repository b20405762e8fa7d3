/* Reading scripts: words, quotes, comments, and what is wrong said with file and line before anything runs. */
#include "tests/check.h"
#include "viewer/file.h"
#include "viewer/script.h"

#include <unistd.h>

static char path[256];

static script *load(const char *text, char *error, size_t size)
{
    error[0] = 0;
    REQUIRE(file_write(path, text, strlen(text), error, size));
    return script_load(path, error, size);
}

static void check_good(const char *text, bool empty)
{
    char error[600];
    script *s = load(text, error, sizeof error);
    CHECK_SAY(s, "%s", error);
    if (s)
        CHECK(script_ended(s) == empty && !*script_error(s));
    script_free(&s);
    CHECK(!s);
}

static void check_bad(const char *text, int line, const char *says)
{
    char error[600], place[300];
    script *s = load(text, error, sizeof error);
    snprintf(place, sizeof place, "%s:%d: ", path, line);
    CHECK_SAY(!s && !strncmp(error, place, strlen(place)) && strstr(error, says), "got \"%s\", wanted line %d and \"%s\"",
              error, line, says);
    script_free(&s);
}

static void check_commands(void)
{
    const script_command *c, *other;
    int n = 0;
    for (; script_command_at(n, &c); n++) {
        CHECK(c->run && *c->name && *c->help && c->least <= c->most && c->most < SCRIPT_WORDS);
        for (int i = 0; i < n && script_command_at(i, &other); i++)
            CHECK_SAY(strcmp(c->name, other->name), "%s is there twice", c->name);
    }
    CHECK(n > 20);
}

int main(void)
{
    char error[600];
    snprintf(path, sizeof path, "%s/test-%ld.script", SY_BINARY_DIR, (long)getpid());
    check_good("", true);
    check_good("# nothing\n\n   \t# more\n", true);
    check_good("prompt \"cat face | owl\" # two\ngenerate\nwait\r\nscreenshot \"a b.png\"", false);
    check_good("type \"#not a comment\"\n", false);
    check_bad("wait\nprompt \"cat face\n", 2, "quote");
    check_bad("# first\n\nnonsense 1\n", 3, "no command \"nonsense\"");
    check_bad("seed\n", 1, "seed takes");
    check_bad("seed 1 2\n", 1, "seed takes");
    check_bad("pick 1 2 3 4 5\n", 1, "pick takes");
    check_bad("a b c d e f g h i\n", 1, "words");
    check_commands();
    unlink(path);
    script *s = script_load("/nowhere/at/all", error, sizeof error);
    CHECK(!s && strstr(error, "/nowhere/at/all"));
    return check_done();
}
