/* What the commands share that measure without a model: a device for any shader, and the reports. */
#ifndef SY_CLI_MEASURED_H
#define SY_CLI_MEASURED_H

#include "src/device/device.h"
#include "src/profile/report.h"

/* The device by number or part of its name, case ignored; NULL: the best. NULL on error. */
sy_vk_device *sy_cli_open_device(sy_vk_instance *instance, const char *wanted, sy_error *error);

typedef struct sy_cli_reports {
    const char *json, *trace, *html; /* files; NULL: not wanted */
    uint32_t rows;                   /* of the table; 0: all */
} sy_cli_reports;
/* The device's roofs into the report: kept ones, or measured now (seconds, once a device and driver). What cannot be measured
 * is left out. */
void sy_cli_roofs(const sy_vk_device *device, sy_profile_report *report);
/* Judges the report, writes the files that are wanted, prints the table. */
bool sy_cli_report(const sy_cli_reports *wanted, sy_profile_report *report, sy_error *error);

#endif
