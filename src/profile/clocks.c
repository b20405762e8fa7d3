/* See facts.h. Rates lie in different places by vendor; what is not there is not told. */
#include "src/profile/facts.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CLOCKS = 16, TRIES = 16 };

static void add(sy_profile_report *r, const char *name, const char *when, double megahertz)
{
    if (!r->clocks)
        r->clocks = sy_arena_array(&r->arena, MOST_CLOCKS, sizeof *r->clocks);
    if (!r->clocks || r->n_clocks == MOST_CLOCKS)
        return;
    sy_profile_fact *fact = &r->clocks[r->n_clocks];
    *fact = (sy_profile_fact){sy_arena_printf(&r->arena, "%s, %s", name, when), "MHz", sy_arena_printf(&r->arena, "%.0f", megahertz),
                              megahertz};
    r->n_clocks += fact->name && fact->text;
}

/* The mean of all processors: a CPU driver uses them all. */
static void read_processors(sy_profile_report *r, const char *when)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    double sum = 0, x;
    int n = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "cpu MHz : %lf", &x) == 1)
            sum += x, n++;
    if (file)
        fclose(file);
    if (n)
        add(r, "processor clock", when, sum / n);
}

/* Intel: a number; AMD: a line a state, the one in use with a star: "1: 1200Mhz *". */
static bool read_rate(const char *path, double *megahertz)
{
    FILE *file = fopen(path, "r");
    char line[256];
    int state;
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file))
        found = sscanf(line, "%d: %lf", &state, megahertz) == 2 ? strchr(line, '*') != NULL : sscanf(line, "%lf", megahertz) == 1;
    if (file)
        fclose(file);
    return found;
}

void sy_clocks_read(sy_profile_report *r, const char *when)
{
    static const char *const places[][2] = {{"/sys/class/drm/card*/gt_cur_freq_mhz", "GPU clock"},
                                            {"/sys/class/drm/card*/device/pp_dpm_sclk", "GPU clock"},
                                            {"/sys/class/drm/card*/device/pp_dpm_mclk", "GPU memory clock"}};
    if (r->device_kind && !strcmp(r->device_kind, "cpu")) {
        read_processors(r, when);
        return;
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        glob_t found;
        double megahertz;
        if (glob(places[i][0], 0, NULL, &found) != 0)
            continue;
        for (size_t k = 0; k < found.gl_pathc; k++)
            if (read_rate(found.gl_pathv[k], &megahertz))
                add(r, places[i][1], when, megahertz);
        globfree(&found);
    }
}

static bool has_monotonic(const sy_vk_device *d)
{
    VkTimeDomainEXT domains[16];
    uint32_t n = 16;
    bool device = false, host = false;
    if (!d->instance->vk.vkGetPhysicalDeviceCalibrateableTimeDomainsEXT || !d->vk.vkGetCalibratedTimestampsEXT ||
        !sy_snapshot_has_extension(d->snapshot, VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME))
        return false;
    VkResult result = d->instance->vk.vkGetPhysicalDeviceCalibrateableTimeDomainsEXT(d->physical, &n, domains);
    for (uint32_t i = 0; (result == VK_SUCCESS || result == VK_INCOMPLETE) && i < n; i++) {
        device = device || domains[i] == VK_TIME_DOMAIN_DEVICE_EXT;
        host = host || domains[i] == VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT;
    }
    return device && host;
}

bool sy_clocks_calibrate(const sy_vk_device *device, sy_profile_report *r)
{
    static const VkCalibratedTimestampInfoEXT infos[2] = {
        {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_DEVICE_EXT},
        {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT}};
    if (!r->timestamp_bits || !has_monotonic(device))
        return false;
    for (int i = 0; i < TRIES; i++) { /* the nearest of a few: a try may be interrupted */
        uint64_t at[2], off;
        if (device->vk.vkGetCalibratedTimestampsEXT(device->handle, 2, infos, at, &off) != VK_SUCCESS)
            break;
        double error = 1e-9 * (double)off;
        if (r->calibrated && error >= r->calibration_error)
            continue;
        r->calibrated = true;
        r->calibration_error = error;
        r->calibration_offset = 1e-9 * ((double)at[1] - (double)at[0] * device->plan->timestamp_period);
    }
    return r->calibrated;
}
