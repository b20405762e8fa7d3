/* switchyard generate with a model that knows neither words nor classes: it needs no prompt, and refuses one. */
#include "tests/check.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODEL "'" SY_SOURCE_DIR "/tests/zoo/fixtures/song_unet_vp.safetensors'"

static void says(const char *arguments, int wanted, const char *part)
{
    char command[2000], text[4096];
    snprintf(command, sizeof command, "'%s/switchyard' generate %s 2>&1", SY_BINARY_DIR, arguments);
    FILE *pipe = popen(command, "r");
    REQUIRE(pipe);
    text[fread(text, 1, sizeof text - 1, pipe)] = '\0';
    int ended = pclose(pipe), status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
    CHECK_SAY(status == wanted && strstr(text, part), "%s: status %d: %.400s", arguments, status, text);
}

int main(void)
{
    char folder[] = "/tmp/switchyard-unprompted-XXXXXX", path[64], arguments[512];
    REQUIRE(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.png", folder);
    says(MODEL " --prompt cat", 2, "takes neither --prompt nor --label");
    says(MODEL " --label 1", 2, "takes neither --prompt nor --label");
    snprintf(arguments, sizeof arguments, MODEL " --steps 2 --out %s", path);
    says(arguments, 0, path);
    CHECK(access(path, R_OK) == 0);
    remove(path);
    rmdir(folder);
    return check_done();
}
