/* tools/reference/packages.tsv, which tells what fixtures were held against public packages: every system of tier 1 is in
 * it, what is named exists and is a check of its row, packages are pinned. That the comparisons are made is for
 * tools/reference/packages.py, which needs the packages. */
#include "graph/zoo/systems.h"
#include "tests/check.h"

#include <ctype.h>
#include <unistd.h>

static char *read_text(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tools/reference/%s", SY_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    REQUIRE(file && fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    char *text = calloc((size_t)size + 1, 1);
    REQUIRE(text && fseek(file, 0, SEEK_SET) == 0 && fread(text, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    return text;
}

/* A line "PACKAGE==…" in either list. */
static bool is_pinned(char *const lists[2], const char *package)
{
    char wanted[80];
    int n = snprintf(wanted, sizeof wanted, "\n%s==", package);
    for (int i = 0; i < 2; i++) {
        const char *at = strstr(lists[i], wanted);
        if (at && isdigit((unsigned char)at[n]))
            return true;
        if (!strncmp(lists[i], wanted + 1, (size_t)n - 1))
            return true;
    }
    return false;
}

/* Runs in sampling.safetensors and around.safetensors are checked by the tests that read them. */
static bool is_check(const sy_system *system, const char *fixture, const char *run)
{
    char name[64];
    for (const char *at = system->check; sy_systems_next(&at, name);)
        if (!strcmp(name, fixture) || (*run && !strcmp(fixture, "around") && !strcmp(name, "run:around")) ||
            (*run && !strcmp(fixture, "sampling") && !strcmp(name, "sample:reference")))
            return true;
    return false;
}

static void check_comparison(const sy_system *system, char *const lists[2], char *comparison)
{
    char path[512], *fixture = strchr(comparison, ':');
    CHECK_SAY(fixture, "%s is not PACKAGE:FIXTURE", comparison);
    if (!fixture)
        return;
    *fixture++ = '\0';
    char *run = strchr(fixture, '.');
    if (run)
        *run++ = '\0';
    CHECK_SAY(is_pinned(lists, comparison), "no list of tools/reference pins %s", comparison);
    snprintf(path, sizeof path, "%s/tests/zoo/fixtures/%s.safetensors", SY_SOURCE_DIR, fixture);
    CHECK_SAY(access(path, R_OK) == 0, "there is no fixture %s", fixture);
    CHECK_SAY(!system || is_check(system, fixture, run ? run : ""), "%s is no check of %s", fixture, system->key);
}

/* One row, cut up where it lies; marks its system as seen. */
static void check_row(const sy_systems *systems, char *const lists[2], char *row, bool *seen)
{
    char *compared = strchr(row, '\t'), *note = compared ? strchr(compared + 1, '\t') : NULL, name[64];
    CHECK_SAY(note && note[1] && !strchr(note + 1, '\t'), "a row of packages.tsv has not three cells: %s", row);
    if (!note)
        return;
    *compared++ = *note++ = '\0';
    const sy_system *system = sy_systems_find(systems, row);
    CHECK_SAY(system || !strcmp(row, "-"), "packages.tsv tells of %s, which is no system", row);
    if (system) {
        CHECK_SAY(!seen[system - systems->rows], "packages.tsv tells of %s twice", row);
        seen[system - systems->rows] = true;
    }
    if (!strcmp(compared, "-"))
        return;
    for (const char *at = compared; sy_systems_next(&at, name);)
        check_comparison(system, lists, name);
}

int main(void)
{
    sy_error error = {0};
    sy_systems *systems = sy_systems_create(&error);
    char *text = read_text("packages.tsv"), *line = text;
    char *lists[2] = {read_text("requirements-packages.txt"), read_text("requirements-packages-bare.txt")};
    REQUIRE(systems);
    bool *seen = calloc(systems->count, sizeof *seen), named = false;
    REQUIRE(seen);
    while (*line) {
        char *end = strchr(line, '\n');
        REQUIRE(end);
        *end = '\0';
        if (*line != '#' && named)
            check_row(systems, lists, line, seen);
        else if (*line != '#')
            named = !strcmp(line, "key\tcompared\tnote");
        line = end + 1;
    }
    CHECK(named);
    for (uint32_t i = 0; i < systems->count; i++)
        CHECK_SAY(systems->rows[i].tier != 1 || seen[i], "packages.tsv says nothing of %s", systems->rows[i].key);
    free(seen);
    free(text);
    free(lists[0]);
    free(lists[1]);
    sy_systems_destroy(&systems);
    return check_done();
}
