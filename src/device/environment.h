/* What this machine has for Vulkan, and what is missing: the loader, the drivers' manifests and libraries, the kernel's
 * devices and who may open them. For `switchyard doctor`; nothing here is needed to run. */
#ifndef SY_DEVICE_ENVIRONMENT_H
#define SY_DEVICE_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/base/arena.h"

typedef enum sy_finding_level {
    SY_FINDING_GOOD,    /* as it should be */
    SY_FINDING_NOTE,    /* worth knowing; nothing is wrong */
    SY_FINDING_PROBLEM, /* something a person should change; `remedy` says what */
} sy_finding_level;

typedef struct sy_finding {
    sy_finding_level level;
    const char *what, *remedy; /* sentences; remedy is NULL unless there is something to do */
} sy_finding;

enum { SY_MAX_FINDINGS = 64 };

typedef struct sy_environment {
    sy_arena arena; /* owns the texts */
    sy_finding findings[SY_MAX_FINDINGS];
    uint32_t n_findings;
    uint32_t n_drivers; /* manifests whose library can be loaded */
    bool loader;
} sy_environment;

/* How the machine is seen; NULL members are the real thing. Tests give their own. */
typedef struct sy_machine {
    const char *root; /* put in front of every absolute path */
    const char *(*variable)(void *user, const char *name);
    bool (*load)(void *user, const char *library, char *why, size_t room); /* can this shared library be loaded? */
    void *user;
} sy_machine;

void sy_environment_check(const sy_machine *machine, sy_environment *environment);
void sy_environment_free(sy_environment *environment);

#endif
