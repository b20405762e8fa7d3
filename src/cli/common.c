/* What commands share: messages, numbers, interrupts, the default model. */
#include "src/cli/commands.h"

#include "graph/base/number.h"
#include "src/switchyard.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *command, const char *format, va_list arguments)
{
    fprintf(stderr, "switchyard %s: ", command);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int sy_cli_usage(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(command, format, arguments);
    va_end(arguments);
    fprintf(stderr, "See switchyard %s --help\n", command);
    return SY_EXIT_USAGE;
}

int sy_cli_fail(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(command, format, arguments);
    va_end(arguments);
    return SY_EXIT_FAILED;
}

bool sy_cli_double(const char *command, const char *option, const char *text, double least, double most, double *out)
{
    if (sy_number_read(text, strlen(text), out) && *out >= least && *out <= most)
        return true;
    sy_cli_usage(command, "%s is \"%s\"; it takes a number from %g to %g", option, text, least, most);
    return false;
}

bool sy_cli_u32(const char *command, const char *option, const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && value >= least && value <= most) {
        *out = (uint32_t)value;
        return true;
    }
    sy_cli_usage(command, "%s is \"%s\"; it takes a whole number from %u to %u", option, text, least, most);
    return false;
}

static volatile sig_atomic_t interrupted;

static void print_validation(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "validation: %s\n", text);
}

void sy_cli_validation(void *user, sy_severity severity, const char *text)
{
    (void)severity;
    print_validation(user, text);
}

sy_context *sy_cli_context(void)
{
    sy_context_params params = {.message = print_validation};
    sy_context *context = NULL;
    return sy_context_create(&params, &context) == SY_OK ? context : NULL;
}

static void interrupt(int signal_number)
{
    interrupted = 1;
    signal(signal_number, SIG_DFL);
}

void sy_cli_catch_interrupt(void)
{
    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
}

bool sy_cli_interrupted(void)
{
    return interrupted;
}

const char *sy_cli_default_model(void)
{
    static const char name[] = "emoji-promoe.safetensors";
    static char path[4200];
    char self[4096];
    const char *wanted = getenv("SWITCHYARD_MODEL");
    if (wanted && *wanted)
        return wanted;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = 0;
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = 0;
        static const char *const beside[] = {"/../share/switchyard/models/", "/../models/"};
        for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
            snprintf(path, sizeof path, "%s%s%s", self, beside[i], name);
            if (access(path, R_OK) == 0)
                return path;
        }
    }
    snprintf(path, sizeof path, "%s/%s", SY_SOURCE_MODELS, name);
    return access(path, R_OK) == 0 ? path : NULL;
}
