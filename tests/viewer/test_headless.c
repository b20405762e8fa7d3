/* The whole program without a window: a script makes pictures and screenshots; nothing needs a display; the same script
 * makes the same image; failures are said and end with 1. */
#include "tests/check.h"
#include "viewer/file.h"

#include <spng.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[300];

/* Exit status; what it printed, both streams, in out. */
static int run(const char *arguments, char *out, size_t size)
{
    char command[1200];
    snprintf(command, sizeof command, "cd '%s' && env -u DISPLAY -u WAYLAND_DISPLAY '%s/switchyard' view %s 2>&1", folder,
             SY_BINARY_DIR, arguments);
    FILE *pipe = popen(command, "r");
    REQUIRE(pipe);
    size_t n = fread(out, 1, size - 1, pipe);
    out[n] = 0;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_text(const char *name, const char *text)
{
    char path[400], error[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK(file_write(path, text, strlen(text), error, sizeof error));
}

/* Pixels as RGB; the caller's. */
static uint8_t *read_png(const char *name, uint32_t *width, uint32_t *height)
{
    char path[400], error[300];
    size_t n, bytes;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *data = file_read(path, &n, error, sizeof error);
    CHECK_SAY(data, "%s", error);
    spng_ctx *png = spng_ctx_new(0);
    struct spng_ihdr header;
    uint8_t *rgb = NULL;
    if (data && !spng_set_png_buffer(png, data, n) && !spng_get_ihdr(png, &header) &&
        !spng_decoded_image_size(png, SPNG_FMT_RGB8, &bytes) && (rgb = malloc(bytes)) &&
        !spng_decode_image(png, rgb, bytes, SPNG_FMT_RGB8, 0)) {
        *width = header.width;
        *height = header.height;
    }
    spng_ctx_free(png);
    free(data);
    return rgb;
}

static void check_script(void)
{
    char out[4000];
    uint32_t w[3] = {0}, h[3] = {0};
    write_text("a.script", "prompt \"cat face\"\nseed 3\nsteps 4\nsize 900x600\ngenerate\nwait\nscreenshot a.png\n"
                           "step 0\nscreenshot b.png\nsize 800x640\nhelp on\nscreenshot c.png\n");
    int status = run("--headless --script a.script", out, sizeof out);
    CHECK_SAY(status == 0 && !*out, "%d: %s", status, out);
    uint8_t *a = read_png("a.png", &w[0], &h[0]), *b = read_png("b.png", &w[1], &h[1]), *c = read_png("c.png", &w[2], &h[2]);
    REQUIRE(a && b && c);
    CHECK(w[0] == 900 && h[0] == 600 && w[1] == 900 && h[1] == 600 && w[2] == 800 && h[2] == 640);
    CHECK(memcmp(a, b, (size_t)w[0] * h[0] * 3) != 0); /* another step looks different */
    free(b);
    free(c);
    status = run("--headless --script a.script", out, sizeof out);
    CHECK(status == 0);
    b = read_png("a.png", &w[1], &h[1]);
    REQUIRE(b && w[1] == w[0] && h[1] == h[0]);
    CHECK_SAY(!memcmp(a, b, (size_t)w[0] * h[0] * 3), "the same script made another image");
    free(a);
    free(b);
}

static void check_wrong(void)
{
    char out[4000];
    CHECK_SAY(run("", out, sizeof out) == 1 && strstr(out, "--headless"), "without a display: %s", out);
    CHECK_SAY(run("--headless", out, sizeof out) == 2 && strstr(out, "--script"), "%s", out);
    CHECK_SAY(run("--headless --size 3x3 --screenshot x.png", out, sizeof out) == 2 && strstr(out, "--size"), "%s", out);
    write_text("b.script", "seed 1\nwait\noverlay purple\n");
    CHECK_SAY(run("--headless --script b.script", out, sizeof out) == 1 && strstr(out, "b.script:3: \"purple\""), "%s", out);
    write_text("c.script", "sead 1\n");
    CHECK_SAY(run("--headless --script c.script", out, sizeof out) == 1 && strstr(out, "c.script:1: "), "%s", out);
    write_text("broken.safetensors", "this is no model");
    CHECK_SAY(run("broken.safetensors --headless --screenshot x.png", out, sizeof out) == 1 && strstr(out, "broken.safetensors"),
              "%s", out);
    /* After a broken model the one before goes on. */
    write_text("d.script", "prompt owl\nsteps 2\ngenerate\nwait\nmodel broken.safetensors\nexpect-failure broken\n"
                           "generate\nwait\n");
    CHECK_SAY(run("--headless --script d.script", out, sizeof out) == 0, "%s", out);
    write_text("e.script", "prompt zzz\ngenerate\nwait\n");
    CHECK_SAY(run("--headless --script e.script", out, sizeof out) == 1 && strstr(out, "e.script:3: ") && strstr(out, "zzz"),
              "%s", out);
    write_text("f.script", "prompt owl\nsteps 3\ngenerate\nwait-step 1\ncancel\nwait\ngenerate\nwait\nseed 5\ngenerate\nwait\n"
                           "steer * off 3\ngenerate\nwait\nsteer none\nset guidance.steps 0,1\ngenerate\nwait\n");
    CHECK_SAY(run("--headless --script f.script", out, sizeof out) == 0 && !*out, "%s", out);
}

/* What nobody looks at is not made; looked at, it is made after all, the same. */
static void check_taps(void)
{
    char out[4000];
    uint32_t w[2] = {0}, h[2] = {0};
    write_text("g.script", "prompt owl\nsteps 2\ntab run\noverlay none\ngenerate\nwait\nexport routes g.safetensors\n");
    CHECK_SAY(run("--headless --script g.script", out, sizeof out) == 1 && strstr(out, "g.script:7: ") && strstr(out, "no routes"),
              "%s", out);
    write_text("h.script", "prompt owl\nsteps 2\ntab run\noverlay none\ngenerate\nwait\noverlay expert\nexport picture h.png\n"
                           "export routes h.safetensors\n");
    CHECK_SAY(run("--headless --script h.script", out, sizeof out) == 0 && !*out, "%s", out);
    write_text("i.script", "prompt owl\nsteps 2\ngenerate\nwait\nexport picture i.png\n");
    CHECK_SAY(run("--headless --script i.script", out, sizeof out) == 0 && !*out, "%s", out);
    uint8_t *again = read_png("h.png", &w[0], &h[0]), *at_once = read_png("i.png", &w[1], &h[1]);
    REQUIRE(again && at_once && w[0] == w[1] && h[0] == h[1]);
    CHECK(!memcmp(again, at_once, (size_t)w[0] * h[0] * 3));
    free(again);
    free(at_once);
}

int main(void)
{
    char program[400], command[400];
    snprintf(program, sizeof program, "%s/switchyard", SY_BINARY_DIR);
    if (access(program, X_OK) != 0)
        return check_skip("the program is not built");
    snprintf(folder, sizeof folder, "%s/test-view-%ld", SY_BINARY_DIR, (long)getpid());
    REQUIRE(mkdir(folder, 0755) == 0);
    check_script();
    check_taps();
    check_wrong();
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK(system(command) == 0);
    return check_done();
}
