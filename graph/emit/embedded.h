/* Files inside the library: those of shaders/, and graph/zoo/systems.tsv. */
#ifndef SY_EMIT_EMBEDDED_H
#define SY_EMIT_EMBEDDED_H

#include <stddef.h>

struct sy_embedded {
    const char *name; /* file name without folder; NULL ends the table */
    const char *data; /* terminated */
    size_t size;
};
extern const struct sy_embedded sy_embedded_shaders[];
extern const struct sy_embedded sy_embedded_systems[];

#endif
