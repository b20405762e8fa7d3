/* The search for drivers follows the Vulkan loader's documented rules (docs/LoaderDriverInterface.md of Vulkan-Loader):
 * VK_DRIVER_FILES (older: VK_ICD_FILENAMES) replaces the search, VK_ADD_DRIVER_FILES goes before it; else vulkan/icd.d
 * under the XDG configuration and data folders and /etc. The loader says little when it finds nothing; this says where
 * it looked, and what stops each driver. */
#include "src/device/environment.h"

#include "graph/base/file.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct search {
    const sy_machine *machine;
    sy_environment *out;
    uint32_t n_manifests;
    bool nvidia_manifest;
} search;

static void add(search *s, sy_finding_level level, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void add(search *s, sy_finding_level level, const char *remedy, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *what = sy_arena_string(&s->out->arena, text);
    const char *then = remedy ? sy_arena_string(&s->out->arena, remedy) : NULL;
    if (what && (then || !remedy) && s->out->n_findings < SY_MAX_FINDINGS)
        s->out->findings[s->out->n_findings++] = (sy_finding){level, what, then};
}

static const char *variable(const search *s, const char *name)
{
    const char *value = s->machine->variable ? s->machine->variable(s->machine->user, name) : getenv(name);
    return value && *value ? value : NULL;
}

static bool load(const search *s, const char *library, char *why, size_t room)
{
    if (s->machine->load)
        return s->machine->load(s->machine->user, library, why, room);
    void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
    if (!handle) {
        const char *text = dlerror();
        snprintf(why, room, "%s", text ? text : "cannot be loaded");
        return false;
    }
    dlclose(handle);
    return true;
}

/* An absolute path as this program can open it. */
static const char *real_path(const search *s, const char *path, char *out, size_t room)
{
    int n = snprintf(out, room, "%s%s", s->machine->root ? s->machine->root : "", path);
    return n > 0 && (size_t)n < room ? out : "";
}

static void check_loader(search *s)
{
    char why[300] = "";
    s->out->loader = load(s, "libvulkan.so.1", why, sizeof why);
    if (s->out->loader)
        add(s, SY_FINDING_GOOD, NULL, "The Vulkan loader libvulkan.so.1 is installed.");
    else
        add(s, SY_FINDING_PROBLEM, "Install it (Debian and Ubuntu: apt install libvulkan1; Fedora: vulkan-loader).",
            "The Vulkan loader libvulkan.so.1 cannot be loaded: %s.", why);
}

/* One manifest: read it, and see whether the library it names can be loaded. */
static void check_manifest(search *s, const char *path)
{
    char real[1100], library[1100], why[400] = "";
    size_t size = 0;
    sy_error error = {0};
    s->n_manifests++;
    char *text = sy_file_load(real_path(s, path, real, sizeof real), 1 << 20, &size, &error);
    if (!text) {
        add(s, SY_FINDING_PROBLEM, "Make the file readable, or reinstall the package it came with (dpkg -S FILE).",
            "The driver manifest %s cannot be read: %s", path, error.message);
        return;
    }
    cJSON *json = cJSON_ParseWithLength(text, size);
    free(text);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "ICD"), "library_path");
    if (!cJSON_IsString(item) || !item->valuestring[0]) {
        add(s, SY_FINDING_PROBLEM, "Reinstall the package it came with (dpkg -S FILE).",
            "The driver manifest %s is damaged: it names no library.", path);
        cJSON_Delete(json);
        return;
    }
    /* A plain name is found by the dynamic linker; other relative paths start at the manifest. */
    const char *named = item->valuestring, *slash = strrchr(path, '/');
    if (named[0] == '/')
        real_path(s, named, library, sizeof library);
    else if (strchr(named, '/') && slash)
        snprintf(library, sizeof library, "%.*s/%s", (int)(strrchr(real, '/') - real), real, named);
    else
        snprintf(library, sizeof library, "%s", named);
    if (strstr(named, "nvidia") || strstr(named, "GLX_nvidia"))
        s->nvidia_manifest = true;
    if (load(s, library, why, sizeof why)) {
        s->out->n_drivers++;
        add(s, SY_FINDING_GOOD, NULL, "Driver %s (%s).", path, named);
    } else {
        add(s, SY_FINDING_PROBLEM,
            "Install the package that has the library, or one of the same version as its dependencies (apt-file search "
            "NAME); or remove the manifest.",
            "The driver of %s cannot be loaded: %s.", path, why);
    }
    cJSON_Delete(json);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every *.json of a folder, sorted; false when there is no such folder. */
static bool check_folder(search *s, const char *folder)
{
    enum { MOST = 64 };
    char real[1100], *names[MOST];
    uint32_t n = 0;
    DIR *dir = opendir(real_path(s, folder, real, sizeof real));
    if (!dir) {
        if (errno == EACCES)
            add(s, SY_FINDING_PROBLEM, "Make the folder readable.", "The driver folder %s cannot be read.", folder);
        return false;
    }
    for (const struct dirent *entry; n < MOST && (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length > 5 && !strcmp(entry->d_name + length - 5, ".json") &&
            (names[n] = sy_arena_printf(&s->out->arena, "%s/%s", folder, entry->d_name)))
            n++;
    }
    closedir(dir);
    qsort(names, n, sizeof *names, by_name);
    for (uint32_t i = 0; i < n; i++)
        check_manifest(s, names[i]);
    return true;
}

/* Files and folders between colons, as the loader's variables have them. */
static void check_list(search *s, const char *name, const char *list)
{
    char *copy = sy_arena_string(&s->out->arena, list), *rest = NULL;
    for (char *path = copy ? strtok_r(copy, ":", &rest) : NULL; path; path = strtok_r(NULL, ":", &rest)) {
        char real[1100];
        struct stat status;
        if (path[0] != '/') {
            char remedy[200];
            snprintf(remedy, sizeof remedy, "Give absolute paths in %s, or unset it.", name);
            add(s, SY_FINDING_PROBLEM, remedy, "%s names \"%.200s\", which is not an absolute path.", name, path);
        } else if (stat(real_path(s, path, real, sizeof real), &status)) {
            char remedy[200];
            snprintf(remedy, sizeof remedy, "Correct %s, or unset it so that all installed drivers are found.", name);
            add(s, SY_FINDING_PROBLEM, remedy, "%s names %s, which does not exist.", name, path);
        } else if (S_ISDIR(status.st_mode)) {
            check_folder(s, path);
        } else {
            check_manifest(s, path);
        }
    }
}

/* The folders of a variable, or of its default, each with the loader's own folder added. */
static void check_base_folders(search *s, const char *list)
{
    char *copy = sy_arena_string(&s->out->arena, list), *rest = NULL;
    for (char *base = copy ? strtok_r(copy, ":", &rest) : NULL; base; base = strtok_r(NULL, ":", &rest)) {
        char folder[1024];
        if (snprintf(folder, sizeof folder, "%s/vulkan/icd.d", base) < (int)sizeof folder)
            check_folder(s, folder);
    }
}

static void check_search_path(search *s)
{
    const char *home = variable(s, "HOME"), *value;
    char path[1024];
    if ((value = variable(s, "XDG_CONFIG_HOME")))
        check_base_folders(s, value);
    else if (home && snprintf(path, sizeof path, "%s/.config", home) < (int)sizeof path)
        check_base_folders(s, path);
    check_base_folders(s, (value = variable(s, "XDG_CONFIG_DIRS")) ? value : "/etc/xdg");
    check_base_folders(s, "/etc");
    if ((value = variable(s, "XDG_DATA_HOME")))
        check_base_folders(s, value);
    else if (home && snprintf(path, sizeof path, "%s/.local/share", home) < (int)sizeof path)
        check_base_folders(s, path);
    check_base_folders(s, (value = variable(s, "XDG_DATA_DIRS")) ? value : "/usr/local/share:/usr/share");
}

static void check_drivers(search *s)
{
    static const char *const only[] = {"VK_DRIVER_FILES", "VK_ICD_FILENAMES"}; /* the newer name wins */
    const char *value = NULL, *name = NULL;
    for (int i = 0; i < 2 && !value; i++)
        value = variable(s, name = only[i]);
    if (value) {
        add(s, SY_FINDING_NOTE, NULL, "%s is set: only the drivers it names are looked at.", name);
        check_list(s, name, value);
    } else {
        if ((value = variable(s, "VK_ADD_DRIVER_FILES")))
            check_list(s, "VK_ADD_DRIVER_FILES", value);
        check_search_path(s);
    }
    static const char *const filters[] = {"VK_LOADER_DRIVERS_SELECT", "VK_LOADER_DRIVERS_DISABLE"};
    for (int i = 0; i < 2; i++)
        if ((value = variable(s, filters[i])))
            add(s, SY_FINDING_NOTE, NULL, "%s=%.200s may hide drivers.", filters[i], value);
    if (!s->n_manifests)
        add(s, SY_FINDING_PROBLEM,
            "Install one. Debian and Ubuntu: apt install mesa-vulkan-drivers (AMD, Intel, and a software driver for "
            "machines "
            "without a GPU); NVIDIA: apt install nvidia-vulkan-icd.",
            "No Vulkan driver is installed: no manifest was found in any of the loader's folders (vulkan/icd.d).");
}

/* Opens a device node the way drivers do. */
static bool check_node(search *s, const char *path)
{
    char real[1100];
    int file = open(real_path(s, path, real, sizeof real), O_RDWR | O_CLOEXEC);
    if (file >= 0) {
        close(file);
        return true;
    }
    if (errno == EACCES || errno == EPERM)
        add(s, SY_FINDING_PROBLEM,
            strstr(path, "/dri/") ? "Add yourself to its group and log in again: sudo usermod -aG render,video $USER. "
                                    "In a container: pass the "
                                    "device and the group (--device /dev/dri --group-add render)."
                                  : "Make the device node accessible (NVIDIA's packages install a udev rule). In a "
                                    "container: use the NVIDIA "
                                    "container toolkit.",
            "%s exists but may not be opened by this user.", path);
    return false;
}

static unsigned vendor_of(const search *s, const char *node)
{
    char path[300], real[1100];
    size_t size = 0;
    snprintf(path, sizeof path, "/sys/class/drm/%s/device/vendor", node);
    char *text = sy_file_load(real_path(s, path, real, sizeof real), 4096, &size, NULL);
    unsigned vendor = text ? (unsigned)strtoul(text, NULL, 16) : 0;
    free(text);
    return vendor;
}

static const char *vendor_text(unsigned vendor)
{
    return vendor == 0x10de   ? "an NVIDIA GPU"
           : vendor == 0x1002 ? "an AMD GPU"
           : vendor == 0x8086 ? "an Intel GPU"
                              : "a GPU";
}

static void check_nodes(search *s)
{
    char real[1100];
    uint32_t nodes = 0;
    bool nvidia = false;
    DIR *dir = opendir(real_path(s, "/dev/dri", real, sizeof real));
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[300];
        if (strncmp(entry->d_name, "renderD", 7))
            continue;
        nodes++;
        snprintf(path, sizeof path, "/dev/dri/%s", entry->d_name);
        unsigned vendor = vendor_of(s, entry->d_name);
        nvidia |= vendor == 0x10de;
        if (check_node(s, path))
            add(s, SY_FINDING_GOOD, NULL, "%s (%s) can be opened.", path, vendor_text(vendor));
    }
    if (dir)
        closedir(dir);
    if (!access(real_path(s, "/dev/nvidiactl", real, sizeof real), F_OK)) {
        nvidia = true;
        nodes++;
        if (check_node(s, "/dev/nvidiactl"))
            add(s, SY_FINDING_GOOD, NULL, "/dev/nvidiactl can be opened.");
    }
    if (nvidia && !s->nvidia_manifest)
        add(s, SY_FINDING_NOTE,
            "Debian: apt install nvidia-vulkan-icd. In a container: NVIDIA_DRIVER_CAPABILITIES must name graphics, and "
            "the "
            "manifest nvidia_icd.json must be inside.",
            "There is an NVIDIA GPU, but no manifest of NVIDIA's Vulkan driver.");
    if (!nodes)
        add(s, SY_FINDING_NOTE, NULL,
            "The kernel offers no GPU (no /dev/dri/renderD*, no /dev/nvidiactl): only software drivers can work. In a "
            "container, GPUs have to be passed in (--device /dev/dri, or --gpus all).");
}

void sy_environment_check(const sy_machine *machine, sy_environment *environment)
{
    static const sy_machine this_machine;
    search s = {.machine = machine ? machine : &this_machine, .out = environment};
    *environment = (sy_environment){0};
    check_loader(&s);
    check_drivers(&s);
    check_nodes(&s);
}

void sy_environment_free(sy_environment *environment)
{
    sy_arena_free(&environment->arena);
    environment->n_findings = 0;
}
