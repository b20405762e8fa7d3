/* switchyard generate with a folder of Stable Diffusion: prompts, negative texts, settings; and what does not go. In
 * the reference evaluator, so that no device is needed. */
#include "tests/check.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER SY_SOURCE_DIR "/tests/run/sd_folder"

static char text[8192];

static int generate(const char *model, const char *arguments)
{
    char command[2000];
    snprintf(command, sizeof command, "'%s/switchyard' generate '%s' --device reference --steps 1 %s 2>&1",
             SY_BINARY_DIR, model, arguments);
    FILE *pipe = popen(command, "r");
    REQUIRE(pipe);
    text[fread(text, 1, sizeof text - 1, pipe)] = '\0';
    int ended = pclose(pipe);
    return WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
}

static void refuses(const char *model, const char *arguments, const char *part)
{
    int status = generate(model, arguments);
    CHECK_SAY(status == 2 && strstr(text, part), "%s: status %d: %.400s", arguments, status, text);
}

int main(void)
{
    char folder[] = "/tmp/switchyard-texts-XXXXXX", arguments[512], name[64];
    REQUIRE(mkdtemp(folder));
    snprintf(arguments, sizeof arguments,
             "--prompt 'a cat' --prompt 'a dog' --negative 'lazy' --set nag=3,2.5,0.5 --out %s/x.png --json --quiet",
             folder);
    int status = generate(FOLDER, arguments);
    CHECK_SAY(status == 0 && strstr(text, "x-1.png") && strstr(text, "a dog"), "status %d: %.400s", status, text);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/x-%d.png", folder, i);
        CHECK(access(name, R_OK) == 0);
        remove(name);
    }
    CHECK(generate(FOLDER, "--list-prompts") == 0 && strstr(text, "prompted by text"));
    refuses(FOLDER, "", "which text?");
    refuses(FOLDER, "--label 3", "--label");
    refuses(FOLDER, "--prompt cat --set nag=3,0,1", "nag");
    refuses(FOLDER, "--prompt cat --set pladis=2,1.7", "pladis");
    refuses(SY_SOURCE_DIR "/models/emoji-promoe.safetensors", "--prompt cat --negative dog", "--negative is for");
    rmdir(folder);
    return check_done();
}
