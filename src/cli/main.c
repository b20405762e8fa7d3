/* switchyard COMMAND …: finds the command, nothing more. */
#include "src/cli/commands.h"
#include "src/switchyard.h"

#include "graph/base/nearest.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *doc;
    int (*run)(int argc, char **argv);
} commands[] = {
#define X(name, doc) {#name, doc, sy_command_##name},
    SY_COMMANDS(X)
#undef X
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *to)
{
    fprintf(
        to,
        "usage: switchyard COMMAND [ARGUMENTS]\n"
        "\n"
        "Runs routed neural networks (mixtures of experts) on any Vulkan device, and shows where every token goes.\n"
        "\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].doc);
    fprintf(to, "\n"
                "switchyard COMMAND --help tells all of a command. switchyard --version prints the version.\n"
                "\n"
                "Try: switchyard generate --prompt \"cat face with tears of joy\" --out cat.png --routes cat-routes\n"
                "\n"
                "Exit status: 0 done, 1 failed (a message says why), 2 wrong arguments, 130 interrupted.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return SY_EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return SY_EXIT_DONE;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("switchyard %d.%d.%d\n", SY_VERSION_MAJOR, SY_VERSION_MINOR, SY_VERSION_PATCH);
        return SY_EXIT_DONE;
    }
    sy_nearest nearest = {.wanted = argv[1]};
    for (int i = 0; i < COMMANDS; i++) {
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
        sy_nearest_offer(&nearest, commands[i].name);
    }
    fprintf(stderr, "switchyard: there is no command \"%s\"%s%s%s. See switchyard --help\n", argv[1],
            nearest.best ? "; did you mean " : "", nearest.best ? nearest.best : "", nearest.best ? "?" : "");
    return SY_EXIT_USAGE;
}
