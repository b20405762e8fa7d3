#include "tests/check.h"
#include "help_desktop.h"

#include "viewer/file.h"
#include "viewer/window.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Counts of checks are those of a file: here what fails ends the test. */
static _Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static desktop *open_one; /* ended with the test, however it ends */

static void stop(pid_t *pid, int how)
{
    if (*pid > 0) {
        kill(*pid, how);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

static void stop_all(void)
{
    if (open_one) {
        stop(&open_one->viewer, SIGKILL);
        stop(&open_one->server, SIGTERM); /* removes its lock */
    }
}

/* On a free display, whose number it writes once it can be used. */
static bool start_server(desktop *d, int width, int height)
{
    int ends[2];
    char size[32], number[8], said[12] = "";
    if (pipe(ends) != 0)
        return false;
    snprintf(size, sizeof size, "%dx%dx24", width, height);
    snprintf(number, sizeof number, "%d", ends[1]);
    d->server = fork();
    if (d->server == 0) {
        int log = open("/dev/null", O_WRONLY);
        dup2(log, 2);
        close(ends[0]);
        execlp("Xvfb", "Xvfb", "-displayfd", number, "-screen", "0", size, "-fbdir", d->folder, "-nolisten", "tcp", "-noreset",
               (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n < sizeof said - 1 && (got = read(ends[0], said + n, sizeof said - 1 - n)) > 0;)
        n += (size_t)got;
    close(ends[0]);
    snprintf(d->display, sizeof d->display, ":%d", atoi(said));
    return n > 0;
}

const char *desktop_open(desktop *d, int width, int height)
{
    *d = (desktop){0};
    if (system("command -v Xvfb >/dev/null") != 0 || system("command -v xdotool >/dev/null") != 0)
        return "Xvfb or xdotool is not installed (Debian: xvfb, xdotool)";
    if (access(SY_BINARY_DIR "/switchyard", X_OK) != 0)
        return "the program is not built";
    snprintf(d->folder, sizeof d->folder, "%s/test-window-%ld", SY_BINARY_DIR, (long)getpid());
    REQUIRE(mkdir(d->folder, 0755) == 0);
    open_one = d;
    atexit(stop_all);
    return start_server(d, width, height) ? NULL : "Xvfb does not start";
}

void desktop_close(desktop *d)
{
    char command[400];
    stop_all();
    snprintf(command, sizeof command, "rm -r '%s'", d->folder);
    REQUIRE(system(command) == 0);
    open_one = NULL;
}

void desktop_do(desktop *d, const char *format, ...)
{
    char command[700];
    int n = snprintf(command, sizeof command, "DISPLAY=%s xdotool ", d->display);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command + n, sizeof command - (size_t)n, format, arguments);
    va_end(arguments);
    if (system(command) != 0)
        fail("%s failed", command);
}

static char *said(const desktop *d)
{
    char error[300];
    size_t n;
    char *text = file_read(d->log, &n, error, sizeof error);
    REQUIRE(text);
    return text;
}

/* Its exit status; -1: it still runs after so long, or was killed. */
static int wait_for(desktop *d, double seconds)
{
    int status = 0;
    pid_t ended = 0;
    for (double end = window_time() + seconds; !ended && window_time() < end; window_sleep(0.05))
        ended = waitpid(d->viewer, &status, WNOHANG);
    if (!ended)
        return -1;
    d->viewer = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool find_window(desktop *d)
{
    char command[120];
    snprintf(command, sizeof command, "DISPLAY=%s xdotool search --onlyvisible --class switchyard 2>/dev/null", d->display);
    FILE *pipe = popen(command, "r");
    REQUIRE(pipe);
    bool found = fgets(d->window, sizeof d->window, pipe) != NULL;
    pclose(pipe);
    d->window[strcspn(d->window, "\n")] = 0;
    return found;
}

void desktop_start(desktop *d, const char *arguments, const char *log)
{
    char command[1800];
    snprintf(d->log, sizeof d->log, "%s/%s", d->folder, log);
    snprintf(command, sizeof command,
             "cd '%s' && DISPLAY=%s XDG_CONFIG_HOME='%s' SWITCHYARD_VALIDATION=1 exec '%s/switchyard' view %s >'%s' 2>&1",
             d->folder, d->display, d->folder, SY_BINARY_DIR, arguments, d->log);
    d->viewer = fork();
    if (d->viewer == 0) {
        unsetenv("WAYLAND_DISPLAY");
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int ended = -1;
    bool found = false;
    for (int i = 0; i < 150 && ended < 0 && !found; i++) {
        ended = wait_for(d, 0.2);
        found = ended < 0 && find_window(d);
    }
    if (ended >= 0 && strstr(said(d), "Vulkan cannot draw on this display")) {
        printf("skipped: %s", said(d));
        exit(77);
    }
    if (!found)
        fail("no window came: %s", said(d));
    desktop_do(d, "windowfocus --sync %s mousemove 2 2", d->window);
}

void desktop_end(desktop *d)
{
    desktop_do(d, "key ctrl+q");
    int status = wait_for(d, 30);
    char *text = said(d);
    if (status != 0 || *text) /* messages of the validation layer, among others */
        fail("exit status %d (-1: it did not end); it printed: %s", status, text);
    free(text);
}

static uint32_t word(const unsigned char *data, int index)
{
    const unsigned char *p = data + 4 * index;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Xvfb keeps its screen in a file, in the format of xwd: a header of words, most significant byte first, a table of colours
 * of 12 bytes each, pixels. */
screen desktop_look(const desktop *d)
{
    enum { HEADER_BYTES = 0, WIDTH = 4, HEIGHT = 5, BITS = 11, STRIDE = 12, COLOURS = 19, WORDS = 25 };
    char path[400], error[300];
    size_t n;
    snprintf(path, sizeof path, "%s/Xvfb_screen0", d->folder);
    screen s = {.data = (unsigned char *)file_read(path, &n, error, sizeof error)};
    REQUIRE(s.data && n > 4 * WORDS && word(s.data, BITS) == 32);
    s.width = (int)word(s.data, WIDTH);
    s.height = (int)word(s.data, HEIGHT);
    s.stride = (int)word(s.data, STRIDE);
    size_t begin = word(s.data, HEADER_BYTES) + 12 * (size_t)word(s.data, COLOURS);
    REQUIRE(n >= begin + (size_t)s.stride * (size_t)s.height);
    s.pixels = s.data + begin;
    return s;
}

void screen_free(screen *s)
{
    free(s->data);
    s->data = NULL;
}
