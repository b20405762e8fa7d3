/* What doctor says of machines that are made up in a temporary folder: each missing piece is named, with a remedy. */
#include "src/device/environment.h"
#include "tests/check.h"

#include <sys/stat.h>
#include <unistd.h>

typedef struct fake {
    const char *variables[16]; /* name, value, name, value, NULL */
    const char *libraries[8];  /* what can be loaded; ends with NULL */
    char root[256];
} fake;

static const char *fake_variable(void *user, const char *name)
{
    const fake *f = user;
    for (int i = 0; f->variables[i]; i += 2)
        if (!strcmp(f->variables[i], name))
            return f->variables[i + 1];
    return NULL;
}

static bool fake_load(void *user, const char *library, char *why, size_t room)
{
    const fake *f = user;
    for (int i = 0; f->libraries[i]; i++)
        if (strstr(library, f->libraries[i]))
            return true;
    snprintf(why, room, "%s: no such file", library);
    return false;
}

/* Makes the folders of `path` and, with text, the file itself. */
static void put(const fake *f, const char *path, const char *text)
{
    char full[600];
    snprintf(full, sizeof full, "%s%s", f->root, path);
    for (char *at = full + strlen(f->root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir(full, 0755);
        *at = '/';
    }
    if (!text)
        return;
    FILE *file = fopen(full, "wb");
    REQUIRE(file != NULL);
    fputs(text, file);
    fclose(file);
}

static void start(fake *f)
{
    *f = (fake){0};
    const char *tmp = getenv("TMPDIR");
    snprintf(f->root, sizeof f->root, "%s/switchyard-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    REQUIRE(mkdtemp(f->root) != NULL);
}

static void end(const fake *f)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", f->root);
    CHECK(system(command) == 0);
}

static sy_environment check(fake *f)
{
    sy_environment e;
    sy_machine machine = {.root = f->root, .variable = fake_variable, .load = fake_load, .user = f};
    sy_environment_check(&machine, &e);
    for (uint32_t i = 0; i < e.n_findings; i++) /* a problem without a remedy helps nobody */
        CHECK_SAY(e.findings[i].level != SY_FINDING_PROBLEM || e.findings[i].remedy, "%s", e.findings[i].what);
    return e;
}

static const sy_finding *find(const sy_environment *e, sy_finding_level level, const char *word)
{
    for (uint32_t i = 0; i < e->n_findings; i++)
        if (e->findings[i].level == level && strstr(e->findings[i].what, word))
            return &e->findings[i];
    return NULL;
}

static const char manifest[] = "{\"file_format_version\": \"1.0.0\", \"ICD\": {\"library_path\": \"%s\"}}";

static void put_manifest(const fake *f, const char *path, const char *library)
{
    char text[400];
    snprintf(text, sizeof text, manifest, library);
    put(f, path, text);
}

static void test_bare(void)
{
    fake f;
    start(&f);
    sy_environment e = check(&f);
    CHECK(!e.loader && e.n_drivers == 0);
    const sy_finding *found = find(&e, SY_FINDING_PROBLEM, "libvulkan.so.1");
    CHECK(found && strstr(found->remedy, "libvulkan1"));
    found = find(&e, SY_FINDING_PROBLEM, "No Vulkan driver is installed");
    CHECK(found && strstr(found->remedy, "mesa-vulkan-drivers"));
    CHECK(find(&e, SY_FINDING_NOTE, "only software drivers"));
    sy_environment_free(&e);
    end(&f);
}

static void test_search(void)
{
    fake f;
    start(&f);
    f.libraries[0] = "libvulkan.so.1";
    f.libraries[1] = "libvulkan_good.so";
    put_manifest(&f, "/usr/share/vulkan/icd.d/good.json", "libvulkan_good.so");
    put_manifest(&f, "/etc/vulkan/icd.d/lost.json", "/opt/driver/libvulkan_lost.so");
    put_manifest(&f, "/home/me/.local/share/vulkan/icd.d/mine.json", "../libvulkan_good.so");
    put(&f, "/usr/local/share/vulkan/icd.d/damaged.json", "{\"ICD\": [");
    put(&f, "/usr/local/share/vulkan/icd.d/notes.txt", "not a manifest");
    f.variables[0] = "HOME", f.variables[1] = "/home/me";
    sy_environment e = check(&f);
    CHECK(e.loader && e.n_drivers == 2);
    CHECK(find(&e, SY_FINDING_GOOD, "/usr/share/vulkan/icd.d/good.json"));
    CHECK(find(&e, SY_FINDING_GOOD, "/home/me/.local/share/vulkan/icd.d/mine.json"));
    CHECK(find(&e, SY_FINDING_PROBLEM, "libvulkan_lost.so"));
    CHECK(find(&e, SY_FINDING_PROBLEM, "damaged.json is damaged"));
    CHECK(!find(&e, SY_FINDING_PROBLEM, "No Vulkan driver"));
    sy_environment_free(&e);

    /* Other data folders: what is under /usr is not looked at. */
    f.variables[2] = "XDG_DATA_DIRS", f.variables[3] = "/opt/share";
    e = check(&f);
    CHECK(e.n_drivers == 1 && !find(&e, SY_FINDING_PROBLEM, "damaged"));
    sy_environment_free(&e);
    end(&f);
}

static void test_variables(void)
{
    fake f;
    start(&f);
    f.libraries[0] = "libvulkan";
    put_manifest(&f, "/usr/share/vulkan/icd.d/installed.json", "libvulkan_a.so");
    put_manifest(&f, "/opt/one.json", "libvulkan_b.so");
    put_manifest(&f, "/opt/folder/two.json", "libvulkan_c.so");
    f.variables[0] = "VK_ICD_FILENAMES", f.variables[1] = "/opt/one.json:/opt/missing.json:relative.json";
    sy_environment e = check(&f);
    CHECK(e.n_drivers == 1 && find(&e, SY_FINDING_GOOD, "/opt/one.json") &&
          !find(&e, SY_FINDING_GOOD, "installed.json"));
    CHECK(find(&e, SY_FINDING_NOTE, "VK_ICD_FILENAMES is set"));
    const sy_finding *found = find(&e, SY_FINDING_PROBLEM, "/opt/missing.json, which does not exist");
    CHECK(found && strstr(found->remedy, "VK_ICD_FILENAMES"));
    CHECK(find(&e, SY_FINDING_PROBLEM, "not an absolute path"));
    sy_environment_free(&e);
    f.variables[2] = "VK_DRIVER_FILES", f.variables[3] = "/opt/folder"; /* the newer name wins */
    e = check(&f);
    CHECK(e.n_drivers == 1 && find(&e, SY_FINDING_GOOD, "/opt/folder/two.json"));
    sy_environment_free(&e);
    f.variables[0] = "VK_ADD_DRIVER_FILES", f.variables[1] = "/opt/one.json", f.variables[2] = NULL;
    e = check(&f);
    CHECK(e.n_drivers == 2 && find(&e, SY_FINDING_GOOD, "installed.json"));
    sy_environment_free(&e);
    f.variables[0] = "VK_LOADER_DRIVERS_DISABLE", f.variables[1] = "*lvp*";
    e = check(&f);
    CHECK(find(&e, SY_FINDING_NOTE, "VK_LOADER_DRIVERS_DISABLE=*lvp*"));
    sy_environment_free(&e);
    end(&f);
}

static void test_nodes(void)
{
    fake f;
    char path[400];
    start(&f);
    f.libraries[0] = "libvulkan";
    put_manifest(&f, "/usr/share/vulkan/icd.d/lvp.json", "libvulkan_lvp.so");
    put(&f, "/dev/dri/renderD128", "");
    put(&f, "/sys/class/drm/renderD128/device/vendor", "0x1002\n");
    sy_environment e = check(&f);
    CHECK(find(&e, SY_FINDING_GOOD, "/dev/dri/renderD128 (an AMD GPU)"));
    CHECK(!find(&e, SY_FINDING_NOTE, "only software"));
    sy_environment_free(&e);
    put(&f, "/sys/class/drm/renderD128/device/vendor", "0x10de\n");
    e = check(&f);
    const sy_finding *found = find(&e, SY_FINDING_NOTE, "no manifest of NVIDIA's Vulkan driver");
    CHECK(found && found->remedy && strstr(found->remedy, "nvidia-vulkan-icd"));
    sy_environment_free(&e);
    put_manifest(&f, "/etc/vulkan/icd.d/nvidia_icd.json", "libGLX_nvidia.so.0");
    e = check(&f);
    CHECK(!find(&e, SY_FINDING_NOTE, "no manifest of NVIDIA's"));
    CHECK(find(&e, SY_FINDING_PROBLEM, "libGLX_nvidia.so.0"));
    sy_environment_free(&e);
    snprintf(path, sizeof path, "%s/dev/dri/renderD128", f.root);
    if (geteuid()) { /* root may open everything */
        CHECK(chmod(path, 0) == 0);
        e = check(&f);
        found = find(&e, SY_FINDING_PROBLEM, "may not be opened");
        CHECK(found && strstr(found->remedy, "render"));
        sy_environment_free(&e);
    }
    end(&f);
}

/* The machine at hand: whatever it has, checking it does not fail, and it agrees with itself. */
static void test_here(void)
{
    sy_environment e;
    sy_environment_check(NULL, &e);
    CHECK(e.n_findings >= 2);
    for (uint32_t i = 0; i < e.n_findings; i++)
        printf("%d %s\n", (int)e.findings[i].level, e.findings[i].what);
    CHECK(e.loader == (find(&e, SY_FINDING_GOOD, "libvulkan.so.1") != NULL));
    sy_environment_free(&e);
}

int main(void)
{
    test_bare();
    test_search();
    test_variables();
    test_nodes();
    test_here();
    return check_done();
}
