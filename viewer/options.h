/* The arguments of `switchyard view`. */
#ifndef SY_VIEWER_OPTIONS_H
#define SY_VIEWER_OPTIONS_H

#include "viewer/engine.h"

typedef struct options {
    engine_request request; /* model included */
    const char *device, *script, *screenshot;
    uint32_t width, height; /* 0: as remembered, or 1280x800 */
    float scale;            /* 0: the display's */
    bool headless, timings_of_frames;
} options;

/* False where the command ends here, with *status. default_model may be NULL. */
bool options_parse(options *o, int argc, char **argv, const char *default_model, int *status);
/* Adds or replaces a setting; an empty value takes it out. False after writing why. */
bool options_set(engine_request *r, const char *name, const char *value, char *error, size_t size);
bool options_sampler(const char *text, sy_sampler *sampler);
/* "1280x800" */
bool options_size(const char *text, uint32_t *width, uint32_t *height);

#endif
