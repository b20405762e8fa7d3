/* The self-test of a device: small graphs, one a family of kernels, run on it and in the reference evaluator. Drivers
 * have been wrong before, on one vendor, in one release; this finds it before a picture does. */
#ifndef SY_DEVICE_SELF_TEST_H
#define SY_DEVICE_SELF_TEST_H

#include "src/device/device.h"

typedef struct sy_self_test_case {
    const char *name;  /* static */
    char kernels[200]; /* kernel variants it ran, separated by spaces */
    char hash[33];     /* of their SPIR-V: a result holds for these kernels on this driver only */
    bool passed;
    bool reused;       /* not run: the stored result holds */
    bool changed;      /* passed before and fails now, or the other way round */
    double error;      /* largest relative L2 error of an output */
    char message[300]; /* "" when passed */
} sy_self_test_case;

enum { SY_SELF_TEST_CASES = 48 };

typedef struct sy_self_test_report {
    sy_self_test_case cases[SY_SELF_TEST_CASES];
    uint32_t n_cases, n_failed;
} sy_self_test_report;

typedef struct sy_self_test_params {
    const char *cache_directory;                                /* results and SPIR-V are kept there; NULL: nowhere */
    const char *variant; /* of shaders/manifest: it alone, in the cases that it can solve; NULL: what would be chosen */
    bool again;                                                 /* run even what has a stored result */
    void (*done)(void *context, const sy_self_test_case *test); /* after each case; may be NULL */
    void *context;
} sy_self_test_params;

/* False if a test could not be made (no memory); a kernel that fails is in the report. After a device is lost the
 * remaining cases fail with that message. */
bool sy_self_test(sy_vk_device *device, const sy_self_test_params *params, sy_self_test_report *report,
                  sy_error *error);

/* The graphs by index, in text form; NULL past the last. Tests compile them for devices that are not here. */
const char *sy_self_test_graph(uint32_t index, const char **name);

#endif
